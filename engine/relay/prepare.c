/* Everything between planning and the first step: memory, weights, what depends on the prompt or
 * the step alone, and the programs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/model/vae.h"
#include "engine/relay/plan.h"
#include "kernels/half.h"

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
    for (int i = 0; i < p->expert_count; i++) {
        const rf_expert *e = p->expert[i].expert;
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
    for (int i = 0; i < p->expert_count; i++) {
        const rf_status st = rf_load_reporting(p, p->expert[i].expert, RF_NET_UNET,
                                               p->expert[i].stage, staging, callbacks, err);
        if (st != RF_OK) return st;
    }
    return rf_load_reporting(p, p->vae, RF_NET_VAE, p->active[p->active_count - 1], staging,
                             callbacks, err);
}

/* ---- what an expert computes once --------------------------------------------------------- */

/* Sizes are held in f16 before they are embedded as in A1111: above 2048 odd values are lost. */
static float held(int size)
{
    return rf_f32_from_f16(rf_f16_from_f32((float)size));
}

/* vector = pooled, then each of (h, w, crop top, crop left, target h, target w) as 256 sinusoids
 * (generative-models, ConcatTimestepEmbedderND). */
static rf_status fill_vectors(rf_plan *p, rf_plan_expert *x)
{
    const rf_ops *ops = p->engine->device.ops;
    const rf_job *job = &p->job;
    const size_t  bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t  pooled = (size_t)x->expert->arch.clip_g.projection * bytes;
    const size_t  row_bytes = (size_t)x->expert->arch.unet.vector * bytes;
    p->sizes[0] = held(job->original_height ? job->original_height : job->height);
    p->sizes[1] = held(job->original_width ? job->original_width : job->width);
    p->sizes[2] = held(job->crop_top);
    p->sizes[3] = held(job->crop_left);
    p->sizes[4] = held(job->target_height ? job->target_height : job->height);
    p->sizes[5] = held(job->target_width ? job->target_width : job->width);
    for (int row = 0; row < x->table_rows; row++) {
        char                  *vector = (char *)x->vector + (size_t)row * row_bytes;
        const rf_timestep_args args = {.y = vector + pooled,
                                       .value = p->sizes,
                                       .m = 6,
                                       .dim = 256,
                                       .y_stride = 256,
                                       .dtype = p->engine->dtype};
        memcpy(vector, x->cond[x->row_cond[row]].pooled, pooled);
        const rf_status st = ops->timestep(p->engine->device.stream, &args);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

static void fill_timesteps(rf_plan *p)
{
    for (int k = 0; k < p->course.calls; k++) {
        const rf_relay_call *call = &p->call[k];
        for (int i = 0; i < call->rows; i++)
            p->expert[call->expert].timestep[call->table_row + i] = (float)call->timestep;
    }
}

static rf_status record_unet(rf_plan *p, rf_expert *e, size_t first_slot, rf_forward_fn *forward,
                             const void *arg, rf_program *program, rf_error *err)
{
    return rf_record_place(&p->engine->device, &e->weights[RF_NET_UNET], first_slot, forward, arg,
                           p->slab, p->slab_bytes, program, err);
}

/* Time and vector conditioning of all calls; DPM adaptive keeps the program for later. */
static rf_status embed(rf_plan *p, rf_plan_expert *x, rf_error *err)
{
    rf_expert               *e = x->expert;
    const rf_unet_embed_args args = rf_expert_embed_args(x);
    rf_program              *program = p->course.adaptive ? &x->embed : &p->scratch_program;
    rf_status                st = RF_OK;
    RF_TRY(record_unet(p, e, e->unet.embed, rf_unet_embed, &args, program, err));
    if (!p->course.adaptive) RF_TRY(rf_program_run(program, &p->engine->device, err));
done:
    return st;
}

static rf_status fill_kv(rf_plan *p, rf_plan_expert *x, const rf_conditioning *cond, rf_error *err)
{
    rf_expert            *e = x->expert;
    const rf_unet_kv_args args = {.list = &e->blocks,
                                  .arch = &e->arch.unet,
                                  .context = cond->context,
                                  .pool = cond->kv,
                                  .tokens = cond->rows};
    const rf_status st = record_unet(p, e, e->unet.kv, rf_unet_kv, &args, &p->scratch_program, err);
    return st == RF_OK ? rf_program_run(&p->scratch_program, &p->engine->device, err) : st;
}

static rf_status prepare_expert(rf_plan *p, rf_plan_expert *x, rf_error *err)
{
    rf_status st = fill_vectors(p, x);
    if (st != RF_OK) return rf_fail(err, st, "%s: the size embedding failed", x->expert->path);
    RF_TRY(embed(p, x, err));
    for (int i = 0; i < x->conds; i++) RF_TRY(fill_kv(p, x, &x->cond[i], err));
    for (int i = 0; i < x->programs; i++)
        for (int kind = 0; kind < RF_BATCH_KINDS; kind++) {
            const rf_unet_forward_args args = rf_expert_forward_args(
                p, x, x->program[i].rows, kind == RF_WHOLE_BATCH ? p->batch : p->last_batch);
            RF_TRY(record_unet(p, x->expert, x->expert->unet.forward, rf_unet_forward, &args,
                               &x->program[i].forward[kind], err));
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
    fill_timesteps(p);
    for (int i = 0; i < p->expert_count; i++) RF_TRY(prepare_expert(p, &p->expert[i], err));
    RF_TRY(record_decode(p, err));
    p->timings.encode += rf_now() - start;
    p->ready = 1;
done:
    rf_device_free(device, staging, p->staging_bytes);
    return st;
}
