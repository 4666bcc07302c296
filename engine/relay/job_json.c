/* Jobs to JSON; see job_json.h. */
#include "engine/relay/job_json.h"

#include <stdlib.h>

#include "engine/files/json_dump.h"
#include "engine/relay/init_json.h"
#include "engine/relay/job_fields.h"

enum { SCHEMA = 1 };

rf_job rf_job_of_picture(const rf_job *job, int index)
{
    rf_job one = *job;
    if (job->variation > 0) /* as in A1111 */
        one.variation_seed += (uint64_t)index;
    else
        one.seed += (uint64_t)index;
    one.count = 1;
    one.batch = 1;
    return one;
}

static rf_status write_lora(json_t *stage, const rf_lora_use *use, const rf_file_ref *file,
                            rf_error *err)
{
    json_t   *array = json_object_get(stage, "loras");
    json_t   *lora = json_object();
    rf_status st = RF_OK;
    if (!array) array = rf_json_add(stage, "loras", json_array());
    if (json_array_append_new(array, lora) != 0)
        return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
    RF_TRY(rf_file_write(lora, "file", rf_lora_file_fields, file, err));
    RF_TRY(rf_fields_write(lora, rf_lora_fields, use, err));
done:
    return st;
}

static rf_status write_sampling(json_t *stage, const rf_stage_sampling *sampling, rf_error *err)
{
    if (!sampling) return RF_OK;
    json_t *made = rf_json_add(stage, "sampling", json_object());
    return made ? rf_fields_write(made, rf_sampling_fields, sampling, err)
                : rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
}

static rf_status write_stage(json_t *object, const rf_stage *stage, const rf_file_ref *file,
                             const rf_file_ref *lora, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_file_write(object, "file", rf_file_fields, file, err));
    RF_TRY(rf_fields_write(object, rf_stage_fields, stage, err));
    RF_TRY(write_sampling(object, stage->sampling, err));
    for (int i = 0; lora && i < stage->lora_count; i++)
        if (lora[i].name) RF_TRY(write_lora(object, &stage->loras[i], &lora[i], err));
done:
    return st;
}

static rf_status write_stages(json_t *object, const rf_job *job, const rf_job_files *files,
                              rf_error *err)
{
    json_t            *array = rf_json_add(object, "stages", json_array());
    const rf_file_ref *lora = files->lora;
    rf_status          st = RF_OK;
    for (int i = 0; i < job->stage_count && st == RF_OK; i++) {
        json_t *stage = json_object();
        if (json_array_append_new(array, stage) != 0)
            return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
        st = write_stage(stage, &job->stages[i], &files->stage[i], lora, err);
        if (lora) lora += job->stages[i].lora_count;
    }
    return st;
}

static rf_status dump(char **out, const json_t *root, rf_error *err)
{
    *out = rf_json_dump(root, 0);
    return *out ? RF_OK : rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
}

rf_status rf_stage_json(char **out, const rf_stage *stage, const rf_file_ref *file, rf_error *err)
{
    rf_status st = RF_OK;
    json_t   *root = json_object();
    *out = NULL;
    if (!root) return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a stage");
    if (file) RF_TRY(rf_file_write(root, "file", rf_file_fields, file, err));
    RF_TRY(rf_fields_write(root, rf_brief_stage_fields, stage, err));
    RF_TRY(write_sampling(root, stage->sampling, err));
    RF_TRY(dump(out, root, err));
done:
    json_decref(root);
    return st;
}

rf_status rf_job_json(char **out, const rf_job *job, int index, const rf_job_files *files,
                      rf_error *err)
{
    rf_status    st = RF_OK;
    const rf_job one = rf_job_of_picture(job, index);
    json_t      *root = json_object();
    *out = NULL;
    if (json_object_set_new(root, "schema", json_integer(SCHEMA)) != 0 ||
        json_object_set_new(root, "refinery", json_string(RF_VERSION)) != 0 ||
        json_object_set_new(root, "dtype",
                            files->dtype ? json_string(files->dtype) : json_null()) != 0 ||
        (files->choice_table &&
         json_object_set_new(root, "choice_table", json_string(files->choice_table)) != 0)) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
        goto done;
    }
    RF_TRY(rf_file_write(root, "vae", rf_file_fields, &files->vae, err));
    RF_TRY(rf_fields_write(root, rf_job_fields, &one, err));
    RF_TRY(rf_embeddings_write(root, &one, files->embedding, err));
    if (one.init) RF_TRY(rf_init_write_json(root, one.init, err));
    RF_TRY(write_stages(root, &one, files, err));
    RF_TRY(dump(out, root, err));
done:
    json_decref(root);
    return st;
}
