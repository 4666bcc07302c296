/* See init_json.h. */
#include "engine/relay/init_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/json_dump.h"
#include "engine/files/utf8.h"
#include "engine/relay/job_fields.h"

static const rf_field init_fields[] = {
    {"path", RF_FIELD_TEXT_OR_NULL, offsetof(rf_init, path), 0},
    {"sha256", RF_FIELD_TEXT_OR_NULL, offsetof(rf_init, sha256), 0},
    {"denoise", RF_FIELD_DOUBLE, offsetof(rf_init, denoise), 0},
    {"exact_steps", RF_FIELD_FLAG, offsetof(rf_init, exact_steps), 0},
    {"resize_mode", RF_FIELD_INT, offsetof(rf_init, resize_mode), 1},
    {NULL, RF_FIELD_FLAG, 0, 0},
};

static const rf_field mask_fields[] = {
    {"path", RF_FIELD_TEXT_OR_NULL, offsetof(rf_init, mask_path), 0},
    {"sha256", RF_FIELD_TEXT_OR_NULL, offsetof(rf_init, mask_sha256), 0},
    {"blur", RF_FIELD_INT, offsetof(rf_init, mask_blur), 1},
    {"inverted", RF_FIELD_FLAG, offsetof(rf_init, mask_inverted), 1},
    {NULL, RF_FIELD_FLAG, 0, 0},
};

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

static rf_status write_mask(json_t *made, const rf_init *init, rf_error *err)
{
    if (!init->mask && !init->mask_path && !init->mask_sha256)
        return json_object_set_new(made, "mask", json_null()) == 0 ? RF_OK : no_memory(err);
    json_t *mask = rf_json_add(made, "mask", json_object());
    return mask ? rf_fields_write(mask, mask_fields, init, err) : no_memory(err);
}

rf_status rf_init_write_json(json_t *job, const rf_init *init, rf_error *err)
{
    json_error_t why;
    rf_status    st = RF_OK;
    json_t      *made = rf_json_add(job, "init", json_object());
    if (!made) return no_memory(err);
    RF_TRY(rf_fields_write(made, init_fields, init, err));
    RF_TRY(write_mask(made, init, err));
    if (json_object_set_new(made, "job", init->job ? load(init->job, &why) : json_null()) != 0)
        st = no_memory(err);
done:
    return st;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const rf_json_place here = {"init", -1};

static rf_status read_mask(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    static const char *const   none[] = {NULL};
    static const rf_json_place mask = {"init.mask", -1};
    rf_init                   *init = &saved->init;
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return rf_json_wrong(&here, "mask", "an object", err);
    const rf_status st = rf_fields_read(saved, v, mask_fields, init, none, &mask, err);
    if (st != RF_OK || init->mask_path || init->mask_sha256) return st;
    return rf_saved_job_add_note(
        saved, err, "the picture was painted inside a mask, and its job does not say which");
}

/* The inner job, as text again: it is read when somebody asks for it. */
static rf_status read_inner(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return rf_json_wrong(&here, "job", "an object", err);
    char           *text = rf_json_dump(v, 0);
    const rf_status st =
        text ? rf_saved_job_keep(saved, &saved->init.job, text, err) : no_memory(err);
    free(text);
    return st;
}

rf_status rf_init_read_json(rf_saved_job *saved, const json_t *v, rf_error *err)
{
    static const char *const   others[] = {"mask", "job", NULL};
    static const rf_json_place top = {"", -1};
    rf_status                  st = RF_OK;
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return rf_json_wrong(&top, "init", "an object", err);
    if (!json_object_get(v, "denoise")) return rf_json_wrong(&here, "denoise", "there", err);
    RF_TRY(rf_fields_read(saved, v, init_fields, &saved->init, others, &here, err));
    RF_TRY(read_mask(saved, json_object_get(v, "mask"), err));
    RF_TRY(read_inner(saved, json_object_get(v, "job"), err));
    saved->job.init = &saved->init;
done:
    return st;
}
