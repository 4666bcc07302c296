/* Stages first, then their LoRAs, then every string: one pass counts, a second one copies. */
#include "engine/relay/job_copy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_STRINGS = 9, STAGE_STRINGS = 3 };

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
    at[8] = &job->preview_vae;
}

static void list_stage(rf_stage *stage, const char **at[STAGE_STRINGS])
{
    at[0] = &stage->prompt;
    at[1] = &stage->negative;
    at[2] = &stage->sampler;
}

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
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
    const char **string[JOB_STRINGS], **of_stage[STAGE_STRINGS];
    size_t       bytes = count * sizeof(rf_stage) + 1;
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
    char *to = (char *)lora;
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
