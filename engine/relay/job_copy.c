/* One walk over everything that a job points to, made twice: the first time it counts, the second
 * time it copies into the one block.  Pixels are not copied: they are as large as pictures. */
#include "engine/relay/job_copy.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct copier {
    char  *base; /* NULL: counting */
    size_t used;
} copier;

/* `bytes` from `from`, where they are now: `from` while counting, and of nothing. */
static void *put(copier *c, const void *from, size_t bytes)
{
    enum { ALIGN = alignof(max_align_t) };
    if (!from || bytes == 0) return (void *)(uintptr_t)from;
    char *to = c->base ? c->base + c->used : NULL;
    c->used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return to ? memcpy(to, from, bytes) : (void *)(uintptr_t)from;
}

static void put_texts(copier *c, const char **const *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (*text[i]) {
            const char *copy = put(c, *text[i], strlen(*text[i]) + 1);
            if (c->base) *text[i] = copy;
        }
}

#define PUT_TEXTS(c, ...)                                                                          \
    do {                                                                                           \
        const char **const text[] = {__VA_ARGS__};                                                 \
        put_texts(c, text, sizeof text / sizeof *text);                                            \
    } while (0)

static void put_stage(copier *c, rf_stage *stage)
{
    const size_t count = (size_t)stage->lora_count;
    rf_lora_use *lora = put(c, stage->loras, count * sizeof *lora);
    for (size_t i = 0; i < count; i++) PUT_TEXTS(c, &lora[i].path);
    void *sampling = put(c, stage->sampling, sizeof *stage->sampling);
    if (c->base) {
        stage->loras = lora;
        stage->sampling = sampling;
    }
    PUT_TEXTS(c, &stage->prompt, &stage->negative, &stage->sampler);
}

static void put_job(copier *c, rf_job *job)
{
    const size_t      stages = (size_t)job->stage_count, uses = (size_t)job->embedding_count;
    rf_stage         *stage = put(c, job->stages, stages * sizeof *stage);
    rf_embedding_use *use = put(c, job->embeddings, uses * sizeof *use);
    rf_init          *init = put(c, job->init, sizeof *init);
    for (size_t i = 0; i < stages; i++) put_stage(c, &stage[i]);
    for (size_t i = 0; i < uses; i++) PUT_TEXTS(c, &use[i].path, &use[i].name);
    if (init)
        PUT_TEXTS(c, &init->path, &init->sha256, &init->mask_path, &init->mask_sha256, &init->job);
    PUT_TEXTS(c, &job->switch_by, &job->compat, &job->sampler, &job->schedule, &job->sigmas,
              &job->rng, &job->emphasis, &job->vae, &job->preview_vae);
    if (!c->base) return;
    job->stages = stage;
    job->embeddings = use;
    job->init = init;
}

rf_status rf_job_copy(rf_job *out, void **block, const rf_job *job, rf_error *err)
{
    copier c = {.base = NULL};
    rf_job copy = *job;
    *block = NULL;
    put_job(&c, &copy);
    c.base = malloc(c.used);
    if (!c.base) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    c.used = 0;
    put_job(&c, &copy);
    *out = copy;
    *block = c.base;
    return RF_OK;
}
