/* Stages first, then every string behind them: one pass counts, a second one copies. */
#include "engine/relay/job_copy.h"

#include <stdlib.h>
#include <string.h>

enum { JOB_STRINGS = 8, STAGE_STRINGS = 3 };

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

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
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
                 bytes_of(job->stages[s].sampler);
    rf_stage *stages = malloc(bytes);
    if (!stages) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    char *to = (char *)(stages + count);
    memcpy(stages, job->stages, count * sizeof *stages);
    for (int i = 0; i < JOB_STRINGS; i++) move(string[i], &to);
    for (size_t s = 0; s < count; s++) {
        list_stage(&stages[s], of_stage);
        for (int i = 0; i < STAGE_STRINGS; i++) move(of_stage[i], &to);
    }
    copy.stages = stages;
    *out = copy;
    *block = stages;
    return RF_OK;
}
