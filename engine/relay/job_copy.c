/* Stages first, then their LoRAs, the picture to start from, then every string: one pass counts, a
 * second one copies. */
#include "engine/relay/job_copy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_STRINGS = 8, STAGE_STRINGS = 3, INIT_STRINGS = 5 };

/* Where the strings of a job are. */
static void list_job(rf_job *job, const char **at[JOB_STRINGS])
{
    at[0] = &job->switch_by;
    at[1] = &job->compat;
    at[2] = &job->sampler;
    at[3] = &job->schedule;
    at[4] = &job->sigmas;
    at[5] = &job->rng;
    at[6] = &job->emphasis;
    at[7] = &job->vae;
}

static void list_stage(rf_stage *stage, const char **at[STAGE_STRINGS])
{
    at[0] = &stage->prompt;
    at[1] = &stage->negative;
    at[2] = &stage->sampler;
}

static void list_init(rf_init *init, const char **at[INIT_STRINGS])
{
    at[0] = &init->path;
    at[1] = &init->sha256;
    at[2] = &init->mask_path;
    at[3] = &init->mask_sha256;
    at[4] = &init->job;
}

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t bytes_of_init(const rf_init *init)
{
    size_t       bytes = 0;
    const char **string[INIT_STRINGS];
    if (!init) return 0;
    rf_init copy = *init;
    list_init(&copy, string);
    for (int i = 0; i < INIT_STRINGS; i++) bytes += bytes_of(*string[i]);
    return sizeof *init + bytes;
}

static size_t bytes_of_loras(const rf_stage *stage)
{
    size_t bytes = (size_t)stage->lora_count * sizeof(rf_lora_use);
    for (int i = 0; i < stage->lora_count; i++) bytes += bytes_of(stage->loras[i].path);
    return bytes;
}

/* To *at, and moves on; their paths are still the caller's. */
static void copy_loras(rf_stage *stage, rf_lora_use **at)
{
    const size_t count = (size_t)stage->lora_count;
    if (count) memcpy(*at, stage->loras, count * sizeof **at);
    stage->loras = *at;
    *at += count;
}

/* Replaces *text by a copy at *to, and moves on. */
static void move(const char **text, char **to)
{
    const size_t bytes = bytes_of(*text);
    if (!*text) return;
    memcpy(*to, *text, bytes);
    *text = *to;
    *to += bytes;
}

rf_status rf_job_copy(rf_job *out, void **block, const rf_job *job, rf_error *err)
{
    const size_t count = (size_t)job->stage_count;
    rf_job       copy = *job;
    const char **string[JOB_STRINGS], **of_stage[STAGE_STRINGS], **of_init[INIT_STRINGS];
    size_t       bytes = count * sizeof(rf_stage) + bytes_of_init(job->init) + 1;
    *block = NULL;
    list_job(&copy, string);
    for (int i = 0; i < JOB_STRINGS; i++) bytes += bytes_of(*string[i]);
    for (size_t s = 0; s < count; s++)
        bytes += bytes_of(job->stages[s].prompt) + bytes_of(job->stages[s].negative) +
                 bytes_of(job->stages[s].sampler) + bytes_of_loras(&job->stages[s]);
    rf_stage *stages = malloc(bytes);
    if (!stages) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    rf_lora_use *lora = (rf_lora_use *)(stages + count);
    memcpy(stages, job->stages, count * sizeof *stages);
    for (size_t s = 0; s < count; s++) copy_loras(&stages[s], &lora);
    rf_init *init = (rf_init *)lora;
    char    *to = (char *)(job->init ? init + 1 : init);
    if (job->init) {
        *init = *job->init;
        copy.init = init;
        list_init(init, of_init);
        for (int i = 0; i < INIT_STRINGS; i++) move(of_init[i], &to);
    }
    for (int i = 0; i < JOB_STRINGS; i++) move(string[i], &to);
    for (size_t s = 0; s < count; s++) {
        list_stage(&stages[s], of_stage);
        for (int i = 0; i < STAGE_STRINGS; i++) move(of_stage[i], &to);
        rf_lora_use *own = (rf_lora_use *)(uintptr_t)stages[s].loras;
        for (int i = 0; i < stages[s].lora_count; i++) move(&own[i].path, &to);
    }
    copy.stages = stages;
    *out = copy;
    *block = stages;
    return RF_OK;
}
