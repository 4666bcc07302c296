/* See init_json.h. */
#include "engine/relay/init_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/utf8.h"
#include "engine/relay/saved_job.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
}

/* ---- writing ------------------------------------------------------------------------------ */

static json_t *load(const char *job, json_error_t *why)
{
    return json_loads(job, JSON_REJECT_DUPLICATES, why);
}

rf_status rf_init_json_check(const rf_init *init, rf_error *err)
{
    const struct {
        const char *field, *text;
    } texts[] = {{"path", init->path},
                 {"sha256", init->sha256},
                 {"mask_path", init->mask_path},
                 {"mask_sha256", init->mask_sha256}};
    json_error_t why;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text && !rf_utf8_valid(texts[i].text, strlen(texts[i].text)))
            return rf_fail(err, RF_E_ARG, "init: %s is not UTF-8 text", texts[i].field);
    if (!init->job) return RF_OK;
    json_t   *job = load(init->job, &why);
    const int object = json_is_object(job);
    json_decref(job);
    if (object) return RF_OK;
    return rf_fail(err, RF_E_ARG, "init: job is not the JSON of a job%s%.200s", job ? "" : ": ",
                   job ? "" : why.text);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *file(const char *path, const char *sha256)
{
    json_t *made = json_object();
    if (json_object_set_new(made, "path", text_or_null(path)) == 0 &&
        json_object_set_new(made, "sha256", text_or_null(sha256)) == 0)
        return made;
    json_decref(made);
    return NULL;
}

rf_status rf_init_write_json(json_t *job, const rf_init *init, rf_error *err)
{
    const int    masked = init->mask || init->mask_path || init->mask_sha256;
    json_error_t why;
    json_t      *made = file(init->path, init->sha256);
    if (json_object_set_new(made, "denoise", json_real(init->denoise)) != 0 ||
        json_object_set_new(made, "exact_steps", json_boolean(init->exact_steps)) != 0 ||
        json_object_set_new(made, "mask",
                            masked ? file(init->mask_path, init->mask_sha256) : json_null()) != 0 ||
        json_object_set_new(made, "job", init->job ? load(init->job, &why) : json_null()) != 0) {
        json_decref(made);
        return no_memory(err);
    }
    return json_object_set_new(job, "init", made) == 0 ? RF_OK : no_memory(err);
}

/* ---- reading ------------------------------------------------------------------------------ */

static rf_status wrong(const char *name, const char *want, rf_error *err)
{
    return rf_fail(err, RF_E_FORMAT, "a saved job's init%s%s is not %s", *name ? "." : "", name,
                   want);
}

static rf_status read_text(rf_saved_job *saved, const char **out, const json_t *object,
                           const char *name, rf_error *err)
{
    const json_t *v = json_object_get(object, name);
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_string(v)) return wrong(name, "text", err);
    return rf_saved_job_keep(saved, out, json_string_value(v), err);
}

static rf_status read_mask(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    rf_status st = RF_OK;
    rf_init  *init = &saved->init;
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return wrong("mask", "an object", err);
    RF_TRY(read_text(saved, &init->mask_path, v, "path", err));
    RF_TRY(read_text(saved, &init->mask_sha256, v, "sha256", err));
    if (!init->mask_path && !init->mask_sha256)
        RF_TRY(rf_saved_job_add_note(saved, err,
                                     "the picture was painted inside a mask, and its job does not "
                                     "say which"));
done:
    return st;
}

/* The inner job, as text again: it is read when somebody asks for it. */
static rf_status read_inner(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return wrong("job", "an object", err);
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17));
    const rf_status st =
        text ? rf_saved_job_keep(saved, &saved->init.job, text, err) : no_memory(err);
    free(text);
    return st;
}

static rf_status note_others(rf_saved_job *saved, const json_t *object, rf_error *err)
{
    static const char *const known[] = {"path", "sha256", "denoise", "exact_steps", "mask", "job"};
    const char              *key;
    json_t                  *value;
    /* jansson's iterators want a pointer to non-const; nothing is changed */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0) i++;
        if (i < sizeof known / sizeof *known) continue;
        const rf_status st = rf_saved_job_add_note(
            saved, err,
            "the picture's job has a field init.%.100s, which refinery " RF_VERSION
            " does not know and leaves out",
            key);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

rf_status rf_init_read_json(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    rf_status st = RF_OK;
    rf_init  *init = &saved->init;
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return wrong("", "an object", err);
    const json_t *denoise = json_object_get(v, "denoise");
    const json_t *exact = json_object_get(v, "exact_steps");
    if (!json_is_number(denoise)) return wrong("denoise", "a number", err);
    if (exact && !json_is_boolean(exact)) return wrong("exact_steps", "true or false", err);
    init->denoise = json_number_value(denoise);
    init->exact_steps = json_is_true(exact);
    RF_TRY(read_text(saved, &init->path, v, "path", err));
    RF_TRY(read_text(saved, &init->sha256, v, "sha256", err));
    RF_TRY(read_mask(saved, json_object_get(v, "mask"), err));
    RF_TRY(read_inner(saved, json_object_get(v, "job"), err));
    RF_TRY(note_others(saved, v, err));
    saved->job.init = init;
done:
    return st;
}
