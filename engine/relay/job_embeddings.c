/* A job's textual inversions as JSON and back: "embeddings":[{"file":{...}, "name":"badhands"}]. */
#include "engine/relay/job_fields.h"

#include <stdlib.h>

enum { EMBEDDINGS_MAX = 1024 };

static const rf_field fields[] = {
    {"name", RF_FIELD_TEXT_OR_NULL, offsetof(rf_embedding_use, name), 0},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "no memory for the embeddings of a job");
}

rf_status rf_embeddings_write(json_t *object, const rf_job *job, const rf_file_ref *file,
                              rf_error *err)
{
    rf_status st = RF_OK;
    if (job->embedding_count == 0) return RF_OK;
    json_t *array = rf_json_add(object, "embeddings", json_array());
    for (int i = 0; i < job->embedding_count; i++) {
        json_t *one = json_object();
        if (!array || json_array_append_new(array, one) != 0) return no_memory(err);
        RF_TRY(rf_file_write(one, "file", rf_file_fields, &file[i], err));
        RF_TRY(rf_fields_write(one, fields, &job->embeddings[i], err));
    }
done:
    return st;
}

static rf_status read_one(rf_saved_job *saved, int i, const json_t *v, rf_error *err)
{
    static const char *const others[] = {"file", NULL};
    const rf_json_place      place = {"embeddings", i};
    rf_status                st = RF_OK;
    if (!json_is_object(v))
        return rf_fail(err, RF_E_FORMAT, "a saved job's embeddings[%d] is not an object", i);
    RF_TRY(rf_file_read(saved, &saved->embedding_file[i], json_object_get(v, "file"), &place, err));
    RF_TRY(rf_fields_read(saved, v, fields, &saved->embedding[i], others, &place, err));
    saved->embedding[i].path = saved->embedding_file[i].path;
done:
    return st;
}

rf_status rf_embeddings_read(rf_saved_job *saved, const json_t *v, const rf_json_place *place,
                             rf_error *err)
{
    const size_t count = json_array_size(v);
    rf_status    st = RF_OK;
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_array(v) || count > EMBEDDINGS_MAX)
        return rf_json_wrong(place, "embeddings", "an array of at most 1024", err);
    if (count == 0) return RF_OK;
    saved->embedding = calloc(count, sizeof *saved->embedding);
    saved->embedding_file = calloc(count, sizeof *saved->embedding_file);
    if (!saved->embedding || !saved->embedding_file) return no_memory(err);
    for (size_t i = 0; i < count; i++) RF_TRY(read_one(saved, (int)i, json_array_get(v, i), err));
    saved->job.embeddings = saved->embedding;
    saved->job.embedding_count = (int)count;
done:
    return st;
}
