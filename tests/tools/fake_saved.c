/* Jobs in pictures, for tests of the command: the fields that a test can see, and no more.  An
 * infotext names one file, "pony", without path or hash, and cannot honour its hires fix. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/hash.h"
#include "tests/tools/fake_engine.h"

struct rf_saved_job {
    json_t     *root;
    rf_job      job;
    rf_stage    stages[64];
    rf_lora_use use[64][8];
    rf_init     init;
    char       *init_job;
    const char *note[2];
};

static json_t *file_json(rf_expert *expert)
{
    char hex[65];
    rf_expert_sha256(expert, hex, NULL, NULL, NULL);
    return json_pack("{s:s, s:s, s:s}", "name", rf_expert_name(expert), "path",
                     rf_expert_path(expert), "sha256", hex);
}

static json_t *loras_json(const rf_stage *stage)
{
    char    whole[65], body[65];
    json_t *list = json_array();
    for (int i = 0; i < stage->lora_count; i++) {
        const rf_lora_use *use = &stage->loras[i];
        const char        *slash = strrchr(use->path, '/'), *name = slash ? slash + 1 : use->path;
        rf_file_sha256(whole, use->path, NULL, NULL, NULL);
        const int is_lora = rf_file_body_sha256(body, use->path, NULL, NULL, NULL) == RF_OK;
        json_array_append_new(list, json_pack("{s:s%, s:s, s:s, s:s*, s:f, s:f}", "name", name,
                                              strcspn(name, "."), "path", use->path, "sha256",
                                              whole, "autov3", is_lora ? body : NULL, "unet",
                                              use->unet, "text", use->text));
    }
    return list;
}

static json_t *init_json(const rf_init *init)
{
    if (!init) return json_null();
    return json_pack("{s:s*, s:s*, s:s*, s:s*, s:f, s:i, s:i, s:i, s:i, s:o}", "path", init->path,
                     "sha256", init->sha256, "mask", init->mask_path, "mask_sha256",
                     init->mask_sha256, "denoise", init->denoise, "exact", init->exact_steps,
                     "resize", init->resize_mode, "blur", init->mask_blur, "inverted",
                     init->mask_inverted, "job",
                     init->job ? json_loads(init->job, 0, NULL) : json_null());
}

char *fake_job_to_json(const rf_job *job, uint64_t seed)
{
    json_t *stages = json_array();
    for (int i = 0; i < job->stage_count; i++)
        json_array_append_new(
            stages, json_pack("{s:f, s:s?, s:o, s:o}", "until", job->stages[i].until, "prompt",
                              job->stages[i].prompt, "file", file_json(job->stages[i].expert),
                              "loras", loras_json(&job->stages[i])));
    json_t *root = json_pack("{s:I, s:i, s:i, s:i, s:s, s:s, s:o, s:s*, s:o}", "seed",
                             (json_int_t)seed, "steps", job->steps, "width", job->width, "height",
                             job->height, "sampler", job->sampler, "switch_by", job->switch_by,
                             "stages", stages, "vae", job->vae, "init", init_json(job->init));
    char   *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    return text;
}

static void read_init(rf_saved_job *s, json_t *value)
{
    rf_init *init = &s->init;
    if (!json_is_object(value)) return;
    json_unpack(value, "{s?s, s?s, s?s, s?s, s:f, s:i, s:i, s:i, s:i}", "path", &init->path,
                "sha256", &init->sha256, "mask", &init->mask_path, "mask_sha256",
                &init->mask_sha256, "denoise", &init->denoise, "exact", &init->exact_steps,
                "resize", &init->resize_mode, "blur", &init->mask_blur, "inverted",
                &init->mask_inverted);
    json_t *job = json_object_get(value, "job");
    if (json_is_object(job)) init->job = s->init_job = json_dumps(job, 0);
    s->job.init = init;
}

rf_status rf_saved_job_from_json(rf_saved_job **out, const char *json, rf_error *err)
{
    json_int_t    seed = 0;
    rf_saved_job *s = *out = calloc(1, sizeof **out);
    if (!s) return rf_fail(err, RF_E_NOMEM, "no memory");
    s->job = rf_job_default();
    s->root = json_loads(json, 0, NULL);
    if (json_unpack(s->root, "{s:I, s:i, s:i, s:i, s:s, s:s}", "seed", &seed, "steps",
                    &s->job.steps, "width", &s->job.width, "height", &s->job.height, "sampler",
                    &s->job.sampler, "switch_by", &s->job.switch_by) != 0) {
        rf_saved_job_free(s);
        *out = NULL;
        return rf_fail(err, RF_E_FORMAT, "the job of the picture is damaged");
    }
    json_t *stages = json_object_get(s->root, "stages");
    read_init(s, json_object_get(s->root, "init"));
    s->job.seed = (uint64_t)seed;
    s->job.stages = s->stages;
    s->job.stage_count = (int)json_array_size(stages);
    for (int i = 0; i < s->job.stage_count; i++) {
        const json_t *stage = json_array_get(stages, (size_t)i);
        json_unpack((json_t *)stage, "{s:f, s?s}", "until", &s->stages[i].until, "prompt",
                    &s->stages[i].prompt);
        const json_t *loras = json_object_get(stage, "loras");
        s->stages[i].loras = s->use[i];
        s->stages[i].lora_count = (int)json_array_size(loras);
        for (int k = 0; k < s->stages[i].lora_count; k++)
            json_unpack(json_array_get(loras, (size_t)k), "{s:f, s:f}", "unet", &s->use[i][k].unet,
                        "text", &s->use[i][k].text);
    }
    return RF_OK;
}

rf_status rf_saved_job_from_infotext(rf_saved_job **out, const char *parameters, rf_error *err)
{
    rf_saved_job *s = *out = calloc(1, sizeof **out);
    if (!s) return rf_fail(err, RF_E_NOMEM, "no memory");
    if (!strstr(parameters, "Steps:")) {
        rf_saved_job_free(s);
        *out = NULL;
        return rf_fail(err, RF_E_FORMAT, "the parameters have no Steps");
    }
    s->job = rf_job_default();
    s->job.width = s->job.height = 64;
    s->job.stages = s->stages;
    s->job.stage_count = 1;
    s->note[0] = "Hires upscale: there is no hires pass yet";
    return RF_OK;
}

void rf_saved_job_free(rf_saved_job *saved)
{
    if (!saved) return;
    json_decref(saved->root);
    free(saved->init_job);
    free(saved);
}

const rf_job *rf_saved_job_get(const rf_saved_job *saved)
{
    return &saved->job;
}

rf_file_ref rf_saved_job_file(const rf_saved_job *saved, int stage)
{
    rf_file_ref file = {.name = NULL};
    if (!saved->root) return stage < 0 ? file : (rf_file_ref){.name = "pony"};
    if (stage < 0) {
        file.path = json_string_value(json_object_get(saved->root, "vae"));
        return file;
    }
    const json_t *stages = json_object_get(saved->root, "stages");
    json_unpack(json_object_get(json_array_get(stages, (size_t)stage), "file"), "{s:s, s:s, s:s}",
                "name", &file.name, "path", &file.path, "sha256", &file.sha256);
    return file;
}

/* No picture of this engine has any. */
rf_file_ref rf_saved_job_embedding(const rf_saved_job *saved, int embedding)
{
    (void)saved, (void)embedding;
    return (rf_file_ref){0};
}

rf_file_ref rf_saved_job_lora(const rf_saved_job *saved, int stage, int lora)
{
    rf_file_ref   file = {.name = NULL};
    const json_t *stages = json_object_get(saved->root, "stages");
    const json_t *loras = json_object_get(json_array_get(stages, (size_t)stage), "loras");
    json_unpack(json_array_get(loras, (size_t)lora), "{s:s, s:s, s:s, s?s}", "name", &file.name,
                "path", &file.path, "sha256", &file.sha256, "autov3", &file.autov3);
    return file;
}

const char *rf_saved_job_dtype(const rf_saved_job *saved)
{
    return saved->root ? "f32" : NULL;
}

const char *rf_saved_job_note(const rf_saved_job *saved, int i)
{
    return i < 1 ? saved->note[i] : NULL;
}
