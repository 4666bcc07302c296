/* `refinery meta IMAGE...`: what pictures say about how they were made. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext_read.h"
#include "engine/files/json_dump.h"
#include "engine/refinery.h"
#include "tools/json_writer.h"
#include "tools/signals.h"
#include "tools/verbs.h"
#include "tools/wrap.h"

typedef struct meta_values {
    rf_common common;
} meta_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(meta_values, RF_PLACE_HELP)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

typedef struct picture {
    const char       *path, *parameters, *job; /* the latter two NULL: not there */
    rf_infotext_parts parts;                   /* of the parameters */
    int               verbose;
} picture;

/* ---- JSON --------------------------------------------------------------------------------- */

/* The pairs as one object; of several with one key the last counts, as for A1111. */
static char *fields_json(const rf_infotext_parts *parts)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < parts->count; i++)
        json_object_set_new(fields, parts->pair[i].key, json_string(parts->pair[i].value));
    char *text = json_dumps(fields, JSON_COMPACT);
    json_decref(fields);
    return text;
}

static rf_status print_json(const picture *p, rf_error *err)
{
    rf_status      st = RF_OK;
    rf_json_writer w = {.out = stdout};
    char          *fields = p->parameters ? fields_json(&p->parts) : NULL;
    if (p->parameters && !fields) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the fields of %.300s", p->path);
        goto done;
    }
    rf_json_open(&w, NULL, '{');
    rf_json_put_int(&w, "schema", 1);
    rf_json_put_text(&w, "path", p->path);
    rf_json_put_text(&w, "parameters", p->parameters);
    rf_json_put_text(&w, "prompt", p->parameters ? p->parts.prompt : NULL);
    rf_json_put_text(&w, "negative", p->parameters ? p->parts.negative : NULL);
    rf_json_put_raw(&w, "fields", fields ? fields : "null");
    rf_json_put_raw(&w, "refinery", p->job ? p->job : "null");
    rf_json_close(&w, '}');
    putchar('\n');
done:
    free(fields);
    return st;
}

/* ---- text --------------------------------------------------------------------------------- */

static void print_section(const char *name, const char *text)
{
    if (!*text) return;
    printf("  %s\n", name);
    rf_text_wrap(stdout, text, 6, 0);
}

enum { KEY_COLUMNS = 32 }; /* "Refiner switch by sampling steps" */

static void print_field(const char *key, int key_bytes, const char *value)
{
    const int column = printf("  %-*.*s ", KEY_COLUMNS, key_bytes, key);
    rf_text_wrap(stdout, value, KEY_COLUMNS + 3, column);
}

/* JSON for people; its text is not trusted more than any other. */
static void print_job(const char *json)
{
    json_t *job = json_loads(json, 0, NULL);
    char   *text = job ? rf_json_dump(job, 2) : NULL;
    puts("  refinery");
    for (const char *line = text; line && *line;) {
        const size_t len = strcspn(line, "\n");
        fputs("      ", stdout);
        rf_text_put(stdout, line, len);
        putchar('\n');
        line += len + (line[len] == '\n');
    }
    free(text);
    json_decref(job);
}

/* One pair, or the two that were made of a size; how many. */
static size_t print_pair(const rf_infotext_parts *parts, size_t i)
{
    const rf_infotext_pair *a = &parts->pair[i], *b = a + 1;
    const size_t            len = strlen(a->key);
    char                    size[60];
    if (i + 1 < parts->count && len > 2 && strcmp(a->key + len - 2, "-1") == 0 &&
        strncmp(a->key, b->key, len - 1) == 0 && strcmp(b->key + len - 1, "2") == 0) {
        snprintf(size, sizeof size, "%.20sx%.20s", a->value, b->value);
        print_field(a->key, (int)len - 2, size);
        return 2;
    }
    print_field(a->key, (int)len, a->value);
    return 1;
}

static void print_text(const picture *p)
{
    puts(p->path);
    if (p->parameters) {
        print_section("prompt", p->parts.prompt);
        print_section("negative", p->parts.negative);
    }
    for (size_t i = 0; i < p->parts.count;) i += print_pair(&p->parts, i);
    if (!p->job) return;
    if (p->verbose)
        print_job(p->job);
    else
        puts("  and the whole job, for refinery replay; -v shows it");
}

/* ---- the verb ----------------------------------------------------------------------------- */

/* JSON between values may hold line breaks, and an answer is one line; inside of strings JSON has
 * none.  What is no JSON object is an error of the file. */
static rf_status check_job(char *json, const char *path, rf_error *err)
{
    json_error_t why;
    json_t      *job = json_loads(json, 0, &why);
    if (!json_is_object(job)) {
        const int is_json = job != NULL;
        json_decref(job);
        return rf_fail(err, RF_E_FORMAT, "%.300s: the text 'refinery' is no JSON object%s%.160s",
                       path, is_json ? "" : ": ", is_json ? "" : why.text);
    }
    json_decref(job);
    for (; *json; json++)
        if (*json == '\n' || *json == '\r') *json = ' ';
    return RF_OK;
}

static rf_status show(rf_invocation *in, const char *path)
{
    rf_status         st = RF_OK;
    rf_error         *err = &in->trouble.error;
    rf_picture_texts *texts = NULL;
    char             *job = NULL;
    picture           p = {.path = path, .verbose = in->console.verbose};
    RF_TRY(rf_picture_texts_read(&texts, path, err));
    p.parameters = rf_picture_texts_get(texts, "parameters");
    const char *json = rf_picture_texts_get(texts, "refinery");
    if (!p.parameters && !json) {
        st = rf_fail(err, RF_E_FORMAT, "%.400s does not say how it was made", path);
        goto done;
    }
    if (json) {
        job = strdup(json);
        if (!job) {
            st = rf_fail(err, RF_E_NOMEM, "no memory for the texts of %.300s", path);
            goto done;
        }
        RF_TRY(check_job(job, path, err));
        p.job = job;
    }
    if (p.parameters) RF_TRY(rf_infotext_read(&p.parts, p.parameters, err));
    if (in->console.json)
        RF_TRY(print_json(&p, err));
    else
        print_text(&p);
done:
    rf_infotext_parts_free(&p.parts);
    free(job);
    rf_picture_texts_free(texts);
    return st;
}

static rf_status run_meta(rf_invocation *in)
{
    for (int i = 0; i < in->args.operand_count && !rf_signals_caught(); i++) {
        const rf_status st = show(in, in->args.operands[i]);
        if (st == RF_OK) continue;
        const int code = rf_console_error(&in->console, st, &in->trouble);
        if (!in->exit_code) in->exit_code = code; /* the first failure's */
        in->trouble.hint[0] = '\0';
    }
    return RF_OK; /* failures are reported, and in exit_code */
}

const rf_verb rf_verb_meta = {
    .name = "meta",
    .summary = "what pictures say about how they were made",
    .examples = "refinery meta picture.png\n"
                "refinery meta --json *.png\n",
    .usage = "[options] IMAGE...",
    .notes = "Reads PNG, and JPEG and WebP with an EXIF comment, A1111's or refinery's own.\n",
    .options = OPTIONS,
    .operands_min = 1,
    .operands_max = INT_MAX,
    .values_bytes = sizeof(meta_values),
    .run = run_meta,
};
