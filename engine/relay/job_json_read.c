/* Jobs from JSON: rf_saved_job_from_json of refinery.h.  What is not known here becomes a note,
 * what is not what it should be is refused. */
#include <string.h>

#include "engine/relay/init_json.h"
#include "engine/relay/job_fields.h"
#include "engine/relay/job_json.h"

enum {
    SCHEMA = 1,
    STAGES_MAX = 64,
    LORAS_MAX = 256,
    JSON_BYTES_MAX = 1 << 25, /* twice what the texts of a picture may hold */
};

static rf_status read_lora(rf_saved_job *saved, rf_saved_loras *l, int i, const json_t *v,
                           rf_error *err)
{
    static const char *const others[] = {"file", NULL};
    const rf_json_place      p = {"loras", i};
    if (!json_is_object(v))
        return rf_fail(err, RF_E_FORMAT, "a saved job's loras[%d] is not an object", i);
    rf_status st = RF_OK;
    RF_TRY(rf_file_read(saved, &l->file[i], json_object_get(v, "file"), &p, err));
    RF_TRY(rf_fields_read(saved, v, rf_lora_fields, &l->use[i], others, &p, err));
    l->use[i].path = l->file[i].path;
done:
    return st;
}

static rf_status read_loras(rf_saved_job *saved, int stage, const json_t *v, const rf_json_place *p,
                            rf_error *err)
{
    const size_t count = json_array_size(v);
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_array(v) || count > LORAS_MAX)
        return rf_json_wrong(p, "loras", "an array of at most 256", err);
    if (count == 0) return RF_OK;
    rf_status st = RF_OK;
    RF_TRY(rf_saved_job_add_loras(saved, stage, (int)count, err));
    for (size_t i = 0; i < count; i++)
        RF_TRY(read_lora(saved, &saved->loras[stage], (int)i, json_array_get(v, i), err));
done:
    return st;
}

/* What it leaves out is as in a job that leaves it out. */
static rf_status read_sampling(rf_saved_job *saved, int stage, const json_t *v,
                               const rf_json_place *p, rf_error *err)
{
    static const char *const none[] = {NULL};
    const rf_job             usual = rf_job_default();
    rf_stage_sampling       *own = &saved->sampling[stage];
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return rf_json_wrong(p, "sampling", "an object", err);
    *own = (rf_stage_sampling){.eta = usual.eta,
                               .s_churn = usual.s_churn,
                               .s_tmin = usual.s_tmin,
                               .s_tmax = usual.s_tmax,
                               .s_noise = usual.s_noise};
    saved->stage[stage].sampling = own;
    return rf_fields_read(saved, v, rf_sampling_fields, own, none, p, err);
}

static rf_status read_stage(rf_saved_job *saved, int i, const json_t *v, rf_error *err)
{
    static const char *const others[] = {"file", "loras", "sampling", NULL};
    const rf_json_place      p = {"stages", i};
    if (!json_is_object(v))
        return rf_fail(err, RF_E_FORMAT, "a saved job's stages[%d] is not an object", i);
    rf_status st = RF_OK;
    RF_TRY(rf_file_read(saved, &saved->file[i], json_object_get(v, "file"), &p, err));
    RF_TRY(rf_fields_read(saved, v, rf_stage_fields, &saved->stage[i], others, &p, err));
    RF_TRY(read_loras(saved, i, json_object_get(v, "loras"), &p, err));
    RF_TRY(read_sampling(saved, i, json_object_get(v, "sampling"), &p, err));
done:
    return st;
}

rf_status rf_stage_json_read(rf_saved_job *saved, int stage, const char *json, rf_error *err)
{
    json_error_t why;
    json_t      *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (!root) return rf_fail(err, RF_E_FORMAT, "it is not JSON: %.200s", why.text);
    const rf_status st = read_stage(saved, stage, root, err);
    json_decref(root);
    return st;
}

static rf_status read_dtype(rf_saved_job *saved, const json_t *v, const rf_json_place *p,
                            rf_error *err)
{
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_string(v)) return rf_json_wrong(p, "dtype", "text", err);
    return rf_saved_job_keep(saved, &saved->dtype, json_string_value(v), err);
}

static rf_status read_job(rf_saved_job **out, const json_t *root, rf_error *err)
{
    static const char *const others[] = {
        "schema", "refinery", "dtype", "choice_table", "vae", "stages", "embeddings", "init", NULL};
    static const rf_json_place top = {"", -1}, vae = {"vae", -1};
    rf_status                  st = RF_OK;
    rf_saved_job              *saved = NULL;
    const json_t              *schema = json_object_get(root, "schema");
    const json_t              *stages = json_object_get(root, "stages");
    const size_t               count = json_array_size(stages);
    if (!json_is_integer(schema)) return rf_json_wrong(&top, "schema", "a whole number", err);
    if (json_integer_value(schema) != SCHEMA)
        return rf_fail(err, RF_E_FORMAT,
                       "a saved job of schema %" JSON_INTEGER_FORMAT "; refinery " RF_VERSION
                       " reads schema %d",
                       json_integer_value(schema), SCHEMA);
    if (count < 1 || count > STAGES_MAX)
        return rf_json_wrong(&top, "stages", "an array of 1 to 64", err);
    RF_TRY(rf_saved_job_create(&saved, (int)count, err));
    RF_TRY(read_dtype(saved, json_object_get(root, "dtype"), &top, err));
    RF_TRY(rf_file_read(saved, &saved->vae, json_object_get(root, "vae"), &vae, err));
    RF_TRY(rf_fields_read(saved, root, rf_job_fields, &saved->job, others, &top, err));
    for (size_t i = 0; i < count; i++)
        RF_TRY(read_stage(saved, (int)i, json_array_get(stages, i), err));
    RF_TRY(rf_embeddings_read(saved, json_object_get(root, "embeddings"), &top, err));
    RF_TRY(rf_init_read_json(saved, json_object_get(root, "init"), err));
    saved->job.vae = saved->vae.path;
    *out = saved;
    saved = NULL;
done:
    rf_saved_job_free(saved);
    return st;
}

rf_status rf_saved_job_from_json(rf_saved_job **out, const char *json, rf_error *err)
{
    json_error_t why;
    rf_status    st;
    *out = NULL;
    const size_t bytes = strlen(json);
    if (bytes > JSON_BYTES_MAX)
        return rf_fail(err, RF_E_FORMAT, "a saved job of %zu bytes; at most %d are read", bytes,
                       JSON_BYTES_MAX);
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return rf_fail(err, RF_E_FORMAT, "a saved job is not JSON: line %d: %.200s", why.line,
                       why.text);
    st = json_is_object(root) ? read_job(out, root, err)
                              : rf_fail(err, RF_E_FORMAT, "a saved job is not a JSON object");
    json_decref(root);
    return st;
}
