/* See relay_file.h. */
#include "tools/relay_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/request.h"
#include "tools/suggest.h"
#include "tools/text_input.h"

enum { WHERE_BYTES = 440, NUMBER_BYTES = 32 };

typedef struct file {
    rf_relay   *relay;
    const char *path;
    char       *folder;
    rf_trouble *trouble;
} file;

/* A copy that lives as long as the relay. */
static rf_status keep(file *f, const char *text, const char **out)
{
    char *copy = strdup(text);
    *out = copy;
    return rf_relay_own(f->relay, copy, f->trouble);
}

/* ---- stages ------------------------------------------------------------------------------- */

/* A string, or a number as one would type it; NULL: neither. */
static const char *text_of(const json_t *v, char number[NUMBER_BYTES])
{
    if (json_is_string(v)) return json_string_value(v);
    if (json_is_integer(v))
        snprintf(number, NUMBER_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        snprintf(number, NUMBER_BYTES, "%.17g", json_real_value(v));
    else
        return NULL;
    return number;
}

static rf_status read_value(file *f, rf_relay_reader *r, rf_relay_key key, const json_t *v)
{
    rf_status   st = RF_OK;
    char        number[NUMBER_BYTES];
    const char *text = text_of(v, number);
    if (!text)
        return rf_fail(&f->trouble->error, RF_E_FORMAT, "%s: \"%s\" is neither a string%s",
                       r->where, rf_relay_key_names[key],
                       key == RF_KEY_LORA ? " nor a list of strings" : " nor a number");
    RF_TRY(keep(f, text, &text));
    RF_TRY(rf_relay_read_value(r, key, text));
done:
    return st;
}

static rf_status read_member(file *f, rf_relay_reader *r, const char *name, json_t *v)
{
    rf_status    st = RF_OK;
    rf_relay_key key = RF_KEY_EXPERT;
    RF_TRY(rf_relay_find_key(r, name, &key));
    if (key != RF_KEY_LORA || !json_is_array(v)) return read_value(f, r, key, v);
    for (size_t i = 0; i < json_array_size(v); i++)
        RF_TRY(read_value(f, r, key, json_array_get(v, i)));
done:
    return st;
}

static rf_status read_stage(file *f, int i, int last, json_t *object)
{
    rf_status       st = RF_OK;
    char            where[WHERE_BYTES];
    const char     *name = NULL;
    json_t         *value = NULL;
    rf_relay_reader r = {
        .relay = f->relay, .stage = i, .where = where, .folder = f->folder, .trouble = f->trouble};
    snprintf(where, sizeof where, "%.400s: stage %d", f->path, i + 1);
    rf_relay_begin_stage(&r);
    if (!json_is_object(object))
        return rf_fail(&f->trouble->error, RF_E_FORMAT, "%s is no object", where);
    json_object_foreach(object, name, value) RF_TRY(read_member(f, &r, name, value));
    RF_TRY(rf_relay_end_stage(&r, last));
done:
    return st;
}

static rf_status read_stages(file *f, json_t *stages)
{
    const size_t count = json_array_size(stages);
    rf_status    st = RF_OK;
    if (!json_is_array(stages) || count < 1 || count > RF_RELAY_STAGES) {
        rf_trouble_hint(f->trouble, "{\"stages\": [{\"expert\": \"pony.safetensors\", \"until\": "
                                    "0.5}, {\"expert\": \"anime.safetensors\"}]}");
        return rf_fail(&f->trouble->error, RF_E_FORMAT, "%s: \"stages\" is no list of 1 to %d",
                       f->path, RF_RELAY_STAGES);
    }
    f->relay->stages = (int)count;
    for (size_t i = 0; i < count; i++)
        RF_TRY(read_stage(f, (int)i, i + 1 == count, json_array_get(stages, i)));
done:
    return st;
}

/* ---- the whole run ------------------------------------------------------------------------ */

static rf_status read_setting(file *f, const char *name, const json_t *v, const char **out)
{
    char where[WHERE_BYTES];
    if (!v) return RF_OK;
    snprintf(where, sizeof where, "%.400s: \"%s\"", f->path, name);
    if (!json_is_string(v))
        return rf_fail(&f->trouble->error, RF_E_FORMAT, "%s is no string", where);
    const rf_status st = keep(f, json_string_value(v), out);
    return st == RF_OK ? rf_text_check(*out, where, f->trouble) : st;
}

static rf_status read_steps(file *f, const json_t *v)
{
    if (!v) return RF_OK;
    const json_int_t n = json_is_integer(v) ? json_integer_value(v) : 0;
    if (n < 1 || n > 10000)
        return rf_fail(&f->trouble->error, RF_E_FORMAT,
                       "%s: \"steps\" is no whole number from 1 to 10000", f->path);
    f->relay->steps = (int)n;
    return RF_OK;
}

static rf_status check_members(const file *f, json_t *root)
{
    static const char *const MEMBERS[] = {"schema",   "summary", "switch_by", "sampler",
                                          "schedule", "steps",   "stages"};
    enum { COUNT = sizeof MEMBERS / sizeof *MEMBERS };
    const char *name = NULL;
    json_t     *value = NULL;
    json_object_foreach(root, name, value)
    {
        rf_suggest suggest = rf_suggest_begin(name);
        int        known = 0;
        for (int i = 0; i < COUNT; i++) {
            known |= strcmp(MEMBERS[i], name) == 0;
            rf_suggest_offer(&suggest, MEMBERS[i]);
        }
        if (known) continue;
        if (suggest.best) rf_trouble_hint(f->trouble, "did you mean \"%s\"?", suggest.best);
        return rf_fail(&f->trouble->error, RF_E_FORMAT,
                       "%s: there is no member \"%.80s\"; expected summary, switch_by, sampler, "
                       "schedule, steps, stages",
                       f->path, name);
    }
    const json_t *schema = json_object_get(root, "schema");
    if (schema && json_integer_value(schema) != 1)
        return rf_fail(&f->trouble->error, RF_E_FORMAT,
                       "%s: its \"schema\" is not 1, which is what refinery %s reads", f->path,
                       rf_version());
    return RF_OK;
}

static rf_status read_root(file *f, json_t *root)
{
    rf_status st = RF_OK;
    if (!json_is_object(root))
        return rf_fail(&f->trouble->error, RF_E_FORMAT, "%s: a relay is an object with \"stages\"",
                       f->path);
    RF_TRY(check_members(f, root));
    RF_TRY(read_setting(f, "summary", json_object_get(root, "summary"), &f->relay->summary));
    RF_TRY(read_setting(f, "switch_by", json_object_get(root, "switch_by"), &f->relay->switch_by));
    RF_TRY(read_setting(f, "sampler", json_object_get(root, "sampler"), &f->relay->sampler));
    RF_TRY(read_setting(f, "schedule", json_object_get(root, "schedule"), &f->relay->schedule));
    if (f->relay->sampler) f->relay->sampler = rf_sampling_spelling("sampler", f->relay->sampler);
    if (f->relay->schedule)
        f->relay->schedule = rf_sampling_spelling("scheduler", f->relay->schedule);
    RF_TRY(read_steps(f, json_object_get(root, "steps")));
    RF_TRY(read_stages(f, json_object_get(root, "stages")));
done:
    return st;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

rf_status rf_relay_read_text(rf_relay *out, const char *path, const char *text, rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    json_error_t where;
    json_t      *root = NULL;
    file         f = {.relay = out, .path = path, .folder = folder_of(path), .trouble = trouble};
    *out = (rf_relay){.stages = 0};
    if (!f.folder) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a relay");
    root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        st = rf_fail(&trouble->error, RF_E_FORMAT, "%s: line %d: this is not JSON: %s", path,
                     where.line, where.text);
        goto done;
    }
    RF_TRY(read_root(&f, root));
done:
    json_decref(root);
    free(f.folder);
    if (st == RF_E_ARG) st = trouble->error.status = RF_E_FORMAT; /* the file's fault, no flag's */
    return st;
}

rf_status rf_relay_read_file(rf_relay *out, const char *path, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char     *text = NULL;
    *out = (rf_relay){.stages = 0};
    st = rf_prompt_read(&text, path, "--relay", 0, trouble);
    if (st == RF_E_ARG) st = trouble->error.status = RF_E_FORMAT;
    if (st == RF_OK) st = rf_relay_read_text(out, path, text, trouble);
    free(text);
    return st;
}

/* ---- {prompt} ----------------------------------------------------------------------------- */

static const char MARK[] = "{prompt}";

/* *text with `put` where it has the mark; *found says whether it has one. */
static rf_status insert(rf_relay *relay, const char **text, const char *put, int *found,
                        rf_trouble *trouble)
{
    char  *made = NULL;
    size_t bytes = 0, marks = 0;
    if (!*text || !strstr(*text, MARK)) return RF_OK;
    *found = 1;
    for (const char *at = *text; (at = strstr(at, MARK)); at += strlen(MARK)) marks++;
    if (strlen(*text) + marks * (put ? strlen(put) : 0) > RF_PROMPT_BYTES_MAX)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "--relay: with the prompt in the place of {prompt}, %zu times, the text is "
                       "longer than 1 MiB",
                       marks);
    FILE *out = open_memstream(&made, &bytes);
    if (!out) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a prompt");
    const char *at = *text;
    for (const char *mark; (mark = strstr(at, MARK)); at = mark + strlen(MARK))
        fprintf(out, "%.*s%s", (int)(mark - at), at, put ? put : "");
    fputs(at, out);
    if (fclose(out) != 0) {
        free(made);
        made = NULL;
    }
    *text = made;
    return rf_relay_own(relay, made, trouble);
}

rf_status rf_relay_insert(rf_relay *relay, const char *prompt, const char *negative,
                          rf_trouble *trouble)
{
    rf_status st = RF_OK;
    int       found[2] = {0};
    for (int i = 0; i < relay->stages; i++) {
        RF_TRY(insert(relay, &relay->stage[i].prompt, prompt, &found[0], trouble));
        RF_TRY(insert(relay, &relay->stage[i].negative, negative, &found[1], trouble));
    }
    if (prompt && !found[0]) relay->stage[0].prompt = prompt;
    if (negative && !found[1]) relay->stage[0].negative = negative;
done:
    return st;
}
