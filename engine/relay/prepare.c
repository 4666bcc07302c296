/* Everything between planning and the first step: memory, weights, what depends on the prompt or
 * the step alone, and the programs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/model/vae.h"
#include "engine/relay/plan.h"

double rf_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

rf_status rf_report(const rf_callbacks *callbacks, const rf_progress *progress, rf_error *err)
{
    if (!callbacks || !callbacks->progress) return RF_OK;
    if (callbacks->progress(callbacks->user, progress) == 0) return RF_OK;
    return rf_fail(err, RF_E_CANCELLED, "stopped on request");
}

/* ---- loading ------------------------------------------------------------------------------ */

typedef struct load_report {
    const rf_callbacks *callbacks;
    rf_progress         progress;
    int64_t             before; /* bytes that this run read of other networks */
} load_report;

static int report_load(void *user, size_t bytes)
{
    load_report *r = user;
    r->progress.done = r->before + (int64_t)bytes;
    return rf_report(r->callbacks, &r->progress, NULL) != RF_OK;
}

/* Bytes that loading will read of a network: none if it is in memory already. */
static int64_t bytes_to_read(const rf_expert *e, rf_network network)
{
    return e->weights[network].base ? 0 : (int64_t)e->weights[network].file_bytes;
}

/* All that a run will read, for a progress that reaches 100 % once. */
static int64_t total_to_read(const rf_plan *p)
{
    int64_t total = bytes_to_read(p->vae, RF_NET_VAE);
    for (int i = 0; i < p->active_count; i++) {
        const rf_expert *e = p->active[i].expert;
        int              seen = 0;
        for (int j = 0; j < i; j++) seen |= p->active[j].expert == e;
        if (seen) continue;
        total += bytes_to_read(e, RF_NET_UNET);
        if (!p->encoded) total += bytes_to_read(e, RF_NET_CLIP_L) + bytes_to_read(e, RF_NET_CLIP_G);
    }
    return total;
}

rf_status rf_load_reporting(rf_plan *p, rf_expert *expert, rf_network network, int stage,
                            void *staging, const rf_callbacks *callbacks, rf_error *err)
{
    const double           start = rf_now();
    const int64_t          bytes = bytes_to_read(expert, network);
    load_report            report = {.callbacks = callbacks,
                                     .progress = {.phase = RF_PHASE_LOAD,
                                                  .stage = stage,
                                                  .expert = expert->name,
                                                  .total = p->load_total},
                                     .before = p->load_done};
    const rf_load_progress progress = {.report = report_load, .user = &report};
    const rf_status        st = rf_expert_load(expert, network, staging, &progress, err);
    p->load_done += bytes;
    p->timings.load += rf_now() - start;
    return st;
}

static rf_status load_all(rf_plan *p, void *staging, const rf_callbacks *callbacks, rf_error *err)
{
    for (int i = 0; i < p->active_count; i++) {
        const rf_status st = rf_load_reporting(p, p->active[i].expert, RF_NET_UNET,
                                               p->active[i].index, staging, callbacks, err);
        if (st != RF_OK) return st;
    }
    return rf_load_reporting(p, p->vae, RF_NET_VAE, p->active[p->active_count - 1].index, staging,
                             callbacks, err);
}

/* ---- what a stage computes once ----------------------------------------------------------- */

/* vector = pooled, then each of (h, w, crop top, crop left, target h, target w) as 256 sinusoids
 * (generative-models, ConcatTimestepEmbedderND). */
static rf_status fill_vectors(rf_plan *p, rf_active_stage *a)
{
    const rf_ops *ops = p->engine->device.ops;
    const size_t  bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t  pooled = (size_t)a->expert->arch.clip_g.projection * bytes;
    const size_t  row_bytes = (size_t)a->expert->arch.unet.vector * bytes;
    const float   sizes[6] = {(float)p->job.height, (float)p->job.width, 0, 0,
                              (float)p->job.height, (float)p->job.width};
    memcpy(p->sizes, sizes, sizeof sizes);
    for (int row = 0; row < a->calls * a->polarities; row++) {
        char                  *vector = (char *)a->vector + (size_t)row * row_bytes;
        const rf_timestep_args args = {.y = vector + pooled,
                                       .value = p->sizes,
                                       .m = 6,
                                       .dim = 256,
                                       .y_stride = 256,
                                       .dtype = p->engine->dtype};
        memcpy(vector, a->prompt[row % a->polarities].pooled, pooled);
        const rf_status st = ops->timestep(p->engine->device.stream, &args);
        if (st != RF_OK) return st;
        a->timestep[row] = p->step[a->first_step + row / a->polarities].timestep;
    }
    return RF_OK;
}

/* Records a program that runs once, and runs it. */
static rf_status run_once(rf_plan *p, rf_expert *e, size_t first_slot, rf_forward_fn *forward,
                          const void *arg, rf_error *err)
{
    const rf_status st = rf_record_place(&p->engine->device, &e->weights[RF_NET_UNET], first_slot,
                                         forward, arg, p->slab, p->slab_bytes, &p->scratch, err);
    return st == RF_OK ? rf_program_run(&p->scratch, &p->engine->device, err) : st;
}

static rf_status prepare_stage(rf_plan *p, rf_active_stage *a, rf_error *err)
{
    rf_expert *e = a->expert;
    rf_status  st = fill_vectors(p, a);
    if (st != RF_OK) return rf_fail(err, st, "%s: the size embedding failed", e->path);

    const rf_unet_embed_args embed = {.list = &e->blocks,
                                      .arch = &e->arch.unet,
                                      .timestep = a->timestep,
                                      .vector = a->vector,
                                      .table = a->temb,
                                      .rows = a->calls * a->polarities};
    RF_TRY(run_once(p, e, e->unet.embed, rf_unet_embed, &embed, err));
    for (int j = 0; j < a->polarities; j++) {
        if (a->prompt[j].same) continue;
        const rf_unet_kv_args kv = {.list = &e->blocks,
                                    .arch = &e->arch.unet,
                                    .context = a->prompt[j].context,
                                    .pool = a->prompt[j].kv,
                                    .tokens = a->prompt[j].tokens[0].chunks * RF_TOKENS_PER_CHUNK};
        RF_TRY(run_once(p, e, e->unet.kv, rf_unet_kv, &kv, err));
    }
    for (int kind = 0; kind < RF_BATCH_KINDS; kind++) {
        const rf_unet_forward_args forward =
            rf_stage_forward_args(p, a, kind == RF_WHOLE_BATCH ? p->batch : p->last_batch);
        RF_TRY(rf_record_place(&p->engine->device, &e->weights[RF_NET_UNET], e->unet.forward,
                               rf_unet_forward, &forward, p->slab, p->slab_bytes, &a->forward[kind],
                               err));
    }
done:
    return st;
}

static rf_status record_decode(rf_plan *p, rf_error *err)
{
    const rf_vae_decode_args args = {.arch = &p->vae->arch.vae,
                                     .latent = p->decode_latent,
                                     .pixels = p->pixels,
                                     .stats = p->stats,
                                     .n = 1,
                                     .h = p->h,
                                     .w = p->w,
                                     .unscale = p->unscale};
    return rf_record_place(&p->engine->device, &p->vae->weights[RF_NET_VAE], 0, rf_vae_decode,
                           &args, p->slab, p->slab_bytes, &p->decode, err);
}

rf_status rf_plan_prepare(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_device *device = &p->engine->device;
    void      *staging = NULL;
    rf_status  st = RF_OK;
    if (p->ready) return RF_OK;

    p->load_done = 0;
    p->load_total = total_to_read(p);
    RF_TRY(rf_plan_allocate(p, err));
    RF_TRY(rf_device_alloc(device, &staging, p->staging_bytes, "staging", err));
    if (!p->encoded) {
        const double start = rf_now(), loaded = p->timings.load;
        RF_TRY(rf_plan_encode(p, staging, callbacks, err));
        p->timings.encode += rf_now() - start - (p->timings.load - loaded);
    }
    RF_TRY(load_all(p, staging, callbacks, err));
    const double start = rf_now();
    for (int i = 0; i < p->active_count; i++) RF_TRY(prepare_stage(p, &p->active[i], err));
    RF_TRY(record_decode(p, err));
    p->timings.encode += rf_now() - start;
    p->ready = 1;
done:
    rf_device_free(device, staging, p->staging_bytes);
    return st;
}
