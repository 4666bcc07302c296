/* Everything between planning and the first step: memory, weights, what depends on the prompt or
 * the step alone, and the programs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/model/vae.h"
#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"
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
    rf_residency_look(p, p->held);
    int64_t total = rf_residency_foresee(p, p->held).file_bytes;
    total += rf_init_bytes_to_read(p);
    for (int i = 0; i < p->vaes; i++) total += bytes_to_read(p->vae[i].expert, RF_NET_VAE);
    for (int i = 0; i < p->expert_count && !p->encoded; i++)
        if (p->expert[i].shapes)
            total += bytes_to_read(p->expert[i].expert, RF_NET_CLIP_L) +
                     bytes_to_read(p->expert[i].expert, RF_NET_CLIP_G);
    return total;
}

rf_status rf_load_reporting(rf_plan *p, rf_expert *expert, rf_network network, rf_expert *over,
                            int stage, void *staging, const rf_callbacks *callbacks, rf_error *err)
{
    const double           start = rf_now();
    const int64_t          bytes = bytes_to_read(expert, network);
    load_report            report = {.callbacks = callbacks,
                                     .progress = {.phase = RF_PHASE_LOAD,
                                                  .stage = stage,
                                                  .expert = expert->name,
                                                  .total = p->load_total,
                                                  .calls_done = p->calls_done,
                                                  .calls = p->calls_shared,
                                                  .pictures_done = p->pictures_done,
                                                  .pictures = p->pictures},
                                     .before = p->load_done};
    const rf_load_progress progress = {.report = report_load, .user = &report};
    if (bytes) rf_range_network(p, "load", expert, network);
    const rf_status st = rf_expert_load(expert, network, over, staging, &progress, err);
    rf_trace_end(p->engine->device.trace, RF_TRACE_PART);
    p->load_done += bytes;
    p->timings.load += rf_now() - start;
    return st;
}

static rf_status load_decoders(rf_plan *p, void *staging, const rf_callbacks *callbacks,
                               rf_error *err)
{
    const rf_plan_job *j = &p->job[0];
    for (int i = 0; i < p->vaes; i++) {
        const rf_status st =
            rf_load_reporting(p, p->vae[i].expert, RF_NET_VAE, NULL, j->active[j->active_count - 1],
                              staging, callbacks, err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* ---- what an expert computes once --------------------------------------------------------- */

/* Sizes are held in f16 before they are embedded as in A1111: above 2048 odd values are lost. */
static float held(double size)
{
    return rf_f32_from_f16(rf_f16_from_f32((float)size));
}

/* The sinusoids of all sizings, where the host composes vectors of them. */
static rf_status embed_sizes(rf_plan *p, rf_error *err)
{
    rf_device             *device = &p->engine->device;
    const rf_dtype         dtype = p->engine->dtype;
    const size_t           values = (size_t)p->sizings * RF_SIZES;
    const rf_timestep_args args = {.y = p->size_waves.device,
                                   .value = p->sizes.device,
                                   .m = (int)values,
                                   .dim = RF_SIZE_WAVES,
                                   .y_stride = RF_SIZE_WAVES,
                                   .dtype = dtype};
    rf_status              st = RF_OK;
    for (size_t i = 0; i < values; i++)
        ((float *)p->sizes.host)[i] = held(p->sizing[i / RF_SIZES].value[i % RF_SIZES]);
    RF_TRY(rf_twin_up(device, &p->sizes, 0, values * sizeof(float), err));
    rf_device_note(device, "size embedding");
    st = device->ops->timestep(device->stream, &args);
    if (st != RF_OK) {
        const rf_status cause = rf_device_check(device, err);
        st = cause != RF_OK ? cause : rf_fail(err, st, "the size embedding failed");
        goto done;
    }
    RF_TRY(rf_twin_down(device, &p->size_waves, 0, values * RF_SIZE_WAVES * rf_dtype_bytes(dtype),
                        err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

/* vector = pooled, then the sinusoids of each of the six sizes, or of the refiner's five numbers.
 */
static rf_status fill_vectors(rf_plan *p, const rf_plan_expert *x, const rf_plan_table *table,
                              rf_error *err)
{
    rf_device   *device = &p->engine->device;
    const size_t bytes = rf_dtype_bytes(p->engine->dtype), rows = (size_t)table->rows;
    const size_t pooled = (size_t)x->expert->arch.clip_g.projection * bytes;
    const size_t wave = RF_SIZE_WAVES * bytes;
    const size_t numbers = (size_t)rf_sdxl_numbers(&x->expert->arch) * wave;
    const size_t row_bytes = (size_t)x->expert->arch.unet.vector * bytes;
    for (size_t row = 0; row < rows; row++) {
        char *vector = (char *)table->vector.host + row * row_bytes;
        memcpy(vector, x->cond[table->cond[row]].pooled, pooled);
        memcpy(vector + pooled,
               (const char *)p->size_waves.host + (size_t)table->sizing[row] * RF_SIZES * wave,
               numbers);
    }
    return rf_twin_up(device, &table->vector, 0, rows * row_bytes, err);
}

/* Not those of DPM adaptive, which writes its own before every call: the copy of these would still
 * be under way at the first. */
static rf_status fill_timesteps(rf_plan *p, const rf_plan_table *table, rf_error *err)
{
    const size_t bytes = (size_t)table->rows * sizeof *table->planned;
    if (bytes == 0) return RF_OK;
    memcpy(table->timestep.host, table->planned, bytes);
    return rf_twin_up(&p->engine->device, &table->timestep, 0, bytes, err);
}

static rf_status record_unet(rf_plan *p, rf_expert *e, size_t first_slot, rf_forward_fn *forward,
                             const void *arg, rf_program *program, rf_error *err)
{
    return rf_record_place(&p->engine->device, &e->weights[RF_NET_UNET], first_slot, forward, arg,
                           p->slab, p->slab_bytes, program, err);
}

/* Time and vector conditioning of all calls. */
static rf_status embed(rf_plan *p, rf_plan_expert *x, rf_error *err)
{
    rf_expert               *e = x->expert;
    const rf_unet_embed_args args = rf_embed_args(x, &x->table[RF_TABLE_PLANNED]);
    rf_status                st = RF_OK;
    if (args.rows == 0) return RF_OK;
    rf_range_part(p, "encode", e->name, "time embeddings");
    RF_TRY(record_unet(p, e, e->unet.embed, rf_unet_embed, &args, &p->scratch_program, err));
    RF_TRY(rf_program_run(&p->scratch_program, &p->engine->device, err));
done:
    return st;
}

/* What needs the UNet's weights once. */
static rf_status compute(rf_plan *p, int expert, rf_error *err)
{
    rf_plan_expert *x = &p->expert[expert];
    rf_status       st = RF_OK;
    if (x->computed) return RF_OK;
    for (int t = 0; t < RF_TABLES; t++) RF_TRY(fill_vectors(p, x, &x->table[t], err));
    RF_TRY(fill_timesteps(p, &x->table[RF_TABLE_PLANNED], err));
    RF_TRY(embed(p, x, err));
    rf_range_part(p, "encode", x->expert->name, "keys and values");
    RF_TRY(rf_kv_fill(p, expert, err));
    rf_trace_end(p->engine->device.trace, RF_TRACE_PART);
    x->computed = 1;
done:
    return st;
}

/* A graph holds addresses of the weights as they lay when it was made, as a program does. */
static rf_status capture(rf_plan *p, rf_plan_program *program, int samples, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_graph_destroy(device, program->graph[samples]);
    program->graph[samples] = NULL;
    if (rf_device_on_host(device)) return RF_OK;
    return rf_program_capture(&program->forward[samples], device, &program->graph[samples], err);
}

static rf_status record_program(rf_plan *p, rf_plan_program *program, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_expert *e = p->expert[program->expert].expert;
    for (int n = 1; n <= RF_BATCH_MAX; n++) {
        if (!program->occurs[n]) continue;
        const rf_unet_forward_args args = rf_forward_args(p, program, n);
        RF_TRY(
            record_unet(p, e, e->unet.forward, rf_unet_forward, &args, &program->forward[n], err));
        RF_TRY(capture(p, program, n, err));
    }
done:
    return st;
}

/* The programs of an expert, over the weights as they lie now.  DPM adaptive embeds anew for every
 * call. */
static rf_status record_expert(rf_plan *p, int expert, rf_error *err)
{
    rf_plan_expert          *x = &p->expert[expert];
    rf_expert               *e = x->expert;
    rf_plan_table           *table = &x->table[RF_TABLE_ADAPTIVE];
    const rf_unet_embed_args args = rf_embed_args(x, table);
    rf_status                st = RF_OK;
    if (x->recorded == e->unet_loads) return RF_OK;
    x->recorded = 0;
    rf_range_part(p, "encode", e->name, "programs");
    if (args.rows)
        RF_TRY(record_unet(p, e, e->unet.embed, rf_unet_embed, &args, &table->embed, err));
    for (int i = 0; i < p->programs; i++)
        if (p->program[i].expert == expert) RF_TRY(record_program(p, &p->program[i], err));
    x->recorded = e->unet_loads;
    rf_trace_end(p->engine->device.trace, RF_TRACE_PART);
done:
    return st;
}

/* `over`: whose UNet makes room for it; NULL: there is room. */
static rf_status load_unet(rf_plan *p, const rf_plan_expert *x, rf_expert *over,
                           const rf_callbacks *callbacks, rf_error *err)
{
    rf_device       *device = &p->engine->device;
    const rf_network unet = RF_NET_UNET;
    void            *staging = NULL;
    rf_status        st = RF_OK;
    if (x->expert->weights[unet].base) return RF_OK;
    RF_TRY(rf_device_alloc(device, &staging, p->staging_bytes, x->expert->path, err));
    RF_TRY(rf_load_reporting(p, x->expert, unet, over, x->stage, staging, callbacks, err));
done:
    if (over) rf_expert_unload(over, unet); /* whatever failed, it leaves */
    rf_device_free(device, staging, p->staging_bytes);
    return st;
}

rf_status rf_plan_summon(rf_plan *p, int expert, const rf_callbacks *callbacks, rf_error *err)
{
    rf_plan_expert *x = &p->expert[expert];
    rf_status       st = RF_OK;
    if (x->expert->weights[RF_NET_UNET].base && x->recorded == x->expert->unet_loads) return RF_OK;
    const double start = rf_now(), loaded = p->timings.load;
    rf_expert   *over = rf_residency_make_room(p, expert);
    RF_TRY(load_unet(p, x, over, callbacks, err));
    RF_TRY(rf_kv_record(p, expert, err));
    RF_TRY(compute(p, expert, err));
    RF_TRY(record_expert(p, expert, err));
    p->timings.encode += rf_now() - start - (p->timings.load - loaded);
    p->last_end = 0; /* that is no gap between two calls */
done:
    return st;
}

static rf_status record_decoder(rf_plan *p, rf_plan_decoder *d, rf_error *err)
{
    rf_weights *weights = &p->vae[d->vae].expert->weights[RF_NET_VAE];
    for (int n = 1; n <= d->at_a_time; n++) {
        if (!d->occurs[n]) continue;
        const rf_vae_decode_args args = rf_decode_args(p, d, n);
        const rf_status st = rf_record_place(&p->engine->device, weights, 0, rf_vae_decode, &args,
                                             p->slab, p->slab_bytes, &d->program[n], err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* What stays for good: the text encoders' output, and the decoders. */
static rf_status prepare_once(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_device   *device = &p->engine->device;
    const double start = rf_now();
    void        *staging = NULL;
    rf_status    st = RF_OK;
    if (p->ready) return RF_OK;
    RF_TRY(rf_plan_allocate(p, err));
    RF_TRY(rf_device_alloc(device, &staging, p->staging_bytes, "staging", err));
    RF_TRY(embed_sizes(p, err));
    if (!p->encoded) RF_TRY(rf_plan_encode(p, staging, callbacks, err));
    RF_TRY(rf_plan_encode_inits(p, staging, callbacks, err));
    RF_TRY(load_decoders(p, staging, callbacks, err));
    for (int i = 0; i < p->decoders; i++) RF_TRY(record_decoder(p, &p->decoder[i], err));
    RF_TRY(rf_preview_prepare(p, staging, err));
    p->timings.encode += rf_now() - start - p->timings.load;
    p->ready = 1;
done:
    rf_device_free(device, staging, p->staging_bytes);
    return st;
}

rf_status rf_plan_prepare(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    p->load_done = 0;
    p->load_total = total_to_read(p);
    p->turn = (rf_turn){0};
    RF_TRY(prepare_once(p, callbacks, err));
    for (int i = 0; i < p->expert_count && p->resident; i++)
        RF_TRY(rf_plan_summon(p, i, callbacks, err));
    if (p->resident) rf_plan_tidy(p, 1); /* whoever could be overwritten has been */
done:
    return st;
}
