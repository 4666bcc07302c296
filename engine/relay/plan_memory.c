/* How much memory a plan needs, and where each piece lies.
 *
 * Everything is counted by running the code that will use it (recorder.h); the pieces outside the
 * slab are placed by one function that runs twice, counting and then placing. */
#include "engine/model/clip.h"
#include "engine/model/vae.h"
#include "engine/relay/plan.h"
#include "engine/sample/adaptive.h"

#include <stdint.h>
#include <stdlib.h>

/* ---- the slab: the largest of all programs --------------------------------------------------- */

static rf_status widen_slab(rf_plan *p, rf_expert *e, rf_network network, size_t first_slot,
                            rf_forward_fn *forward, const void *arg, rf_error *err)
{
    size_t          bytes = 0;
    const rf_status st = rf_record_count(&p->engine->device, &e->weights[network], first_slot,
                                         forward, arg, &bytes, err);
    if (bytes > p->network_slab[network]) p->network_slab[network] = bytes;
    if (bytes > p->slab_bytes) p->slab_bytes = bytes;
    return st;
}

/* Whether an earlier conditioning asks for the same pass: thousands of prompts have few lengths. */
static int is_counted(const rf_plan_expert *x, int cond)
{
    for (int i = 0; i < cond; i++)
        if (x->cond[i].rows == x->cond[cond].rows) return 1;
    return 0;
}

static rf_status size_text(rf_plan *p, rf_plan_expert *x, int encoder, rf_error *err)
{
    static const rf_network network[RF_ENCODERS] = {RF_NET_CLIP_L, RF_NET_CLIP_G};
    rf_expert              *e = x->expert;
    if (!rf_plan_encodes(x, encoder)) return RF_OK;
    rf_status st = rf_expert_list(e, network[encoder], err);
    if (st != RF_OK) return st;
    for (int i = 0; i < x->shapes; i++) {
        const rf_clip_args args = rf_clip_args_of(p, x, &x->shape[i], encoder, 1);
        st = widen_slab(p, e, network[encoder], 0, rf_clip_forward, &args, err);
        if (st != RF_OK) return st;
    }
    if (e->weights[network[encoder]].bytes > p->text_bytes)
        p->text_bytes = e->weights[network[encoder]].bytes;
    return RF_OK;
}

static int most_tokens(const rf_plan_expert *x)
{
    int rows = RF_TOKENS_PER_CHUNK;
    for (int i = 0; i < x->conds; i++)
        if (x->cond[i].rows > rows) rows = x->cond[i].rows;
    return rows;
}

rf_unet_forward_args rf_forward_args(const rf_plan *p, const rf_plan_program *program, int samples)
{
    const rf_plan_expert *x = &p->expert[program->expert];
    const rf_plan_table  *table = &x->table[program->table];
    return (rf_unet_forward_args){.list = &x->expert->blocks,
                                  .arch = &x->expert->arch.unet,
                                  .x = p->x,
                                  .y = p->eps,
                                  .temb = table->temb,
                                  .temb_rows = table->rows,
                                  .temb_row = rf_ring_device_temb(p),
                                  .kv = rf_ring_device_kv(p),
                                  .kv_tokens = most_tokens(x),
                                  .n = samples * program->rows,
                                  .h = program->h,
                                  .w = program->w};
}

rf_unet_embed_args rf_embed_args(const rf_plan_expert *x, const rf_plan_table *table)
{
    return (rf_unet_embed_args){.list = &x->expert->blocks,
                                .arch = &x->expert->arch.unet,
                                .timestep = table->timestep.device,
                                .vector = table->vector.device,
                                .table = table->temb,
                                .rows = table->rows};
}

rf_vae_decode_args rf_decode_args(const rf_plan *p, const rf_plan_decoder *d, int latents)
{
    return (rf_vae_decode_args){.arch = &p->vae[d->vae].expert->arch.vae,
                                .latent = p->decode_latent.device,
                                .pixels = p->pixels.device,
                                .stats = p->stats.device,
                                .n = latents,
                                .h = d->h,
                                .w = d->w,
                                .unscale = p->unscale.device};
}

static rf_status size_unet(rf_plan *p, rf_plan_expert *x, rf_error *err)
{
    rf_expert *e = x->expert;
    rf_status  st = RF_OK;
    for (int t = 0; t < RF_TABLES; t++) {
        const rf_unet_embed_args embed = rf_embed_args(x, &x->table[t]);
        if (embed.rows == 0) continue;
        RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.embed, rf_unet_embed, &embed, err));
    }
    for (int i = 0; i < x->conds; i++) {
        if (is_counted(x, i)) continue;
        const rf_unet_kv_args kv = {
            .list = &e->blocks, .arch = &e->arch.unet, .tokens = x->cond[i].rows};
        RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.kv, rf_unet_kv, &kv, err));
    }
done:
    return st;
}

static rf_status size_programs(rf_plan *p, rf_error *err)
{
    for (int i = 0; i < p->programs; i++)
        for (int n = 1; n <= RF_BATCH_MAX; n++) {
            if (!p->program[i].occurs[n]) continue;
            rf_expert                 *e = p->expert[p->program[i].expert].expert;
            const rf_unet_forward_args forward = rf_forward_args(p, &p->program[i], n);
            const rf_status            st =
                widen_slab(p, e, RF_NET_UNET, e->unet.forward, rf_unet_forward, &forward, err);
            if (st != RF_OK) return st;
        }
    return RF_OK;
}

/* ---- the rest: one function counts, then places ---------------------------------------------- */

enum { ALIGN = 256 };

typedef struct placer {
    char  *base; /* NULL: counting */
    size_t used;
} placer;

static void *place(placer *at, size_t count, size_t size)
{
    const size_t offset = at->used;
    at->used += (count * size + ALIGN - 1) / ALIGN * ALIGN;
    return at->base ? at->base + offset : NULL;
}

/* Where things lie whose side matters. */
typedef struct sides {
    placer device, desk, shelf;
    int    one; /* a host device: there is neither desk nor shelf */
} sides;

static void *place_on_desk(sides *at, size_t count, size_t size)
{
    return place(at->one ? &at->device : &at->desk, count, size);
}

static void *place_on_shelf(sides *at, size_t count, size_t size)
{
    return place(at->one ? &at->device : &at->shelf, count, size);
}

static rf_twin place_twin(sides *at, size_t count, size_t size)
{
    void *device = place(&at->device, count, size);
    return (rf_twin){.host = at->one ? device : place(&at->desk, count, size), .device = device};
}

static void place_kv(rf_plan *p, placer *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        const size_t    columns = x->expert->blocks.temb_columns;
        for (int t = 0; t < RF_TABLES; t++)
            x->table[t].temb = place(at, columns * (size_t)x->table[t].rows, bytes);
    }
    p->kv_pool.base = place(at, p->kv_pool.bytes, 1);
}

/* Contexts on their way to the pool; the host has them where ops read them. */
static void place_uploads(rf_kv_pool *pool, sides *at)
{
    if (at->one) return;
    pool->from = place_on_desk(at, RF_KV_UPLOADS, pool->context_bytes);
    pool->context = place(&at->device, pool->context_bytes, 1);
}

/* The largest text encoder output, over shapes, as many at a time, and encoders. */
typedef struct text_sizes {
    size_t chunks, hidden, pooled;
} text_sizes;

static void widen(size_t *most, size_t size)
{
    if (size > *most) *most = size;
}

static text_sizes measure_text(const rf_plan *p)
{
    text_sizes   s = {0};
    const size_t seq = RF_TOKENS_PER_CHUNK;
    for (int i = 0; i < p->expert_count; i++) {
        const rf_plan_expert *x = &p->expert[i];
        for (int j = 0; j < x->shapes * RF_ENCODERS; j++) {
            const rf_text_shape *shape = &x->shape[j / RF_ENCODERS];
            const int            encoder = j % RF_ENCODERS;
            if (!rf_plan_encodes(x, encoder)) continue;
            const size_t       prompts = (size_t)shape->at_a_time[encoder];
            const rf_clip_args args = rf_clip_args_of(p, x, shape, encoder, (int)prompts);
            widen(&s.chunks, (size_t)args.chunks);
            widen(&s.hidden, (size_t)args.chunks * seq * (size_t)args.arch->width);
            widen(&s.pooled, prompts * seq * (size_t)args.arch->projection);
        }
    }
    return s;
}

static void place_expert_state(rf_plan *p, rf_plan_expert *x, sides *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    for (int t = 0; t < RF_TABLES; t++) {
        rf_plan_table *table = &x->table[t];
        const size_t   rows = (size_t)table->rows;
        table->timestep = place_twin(at, rows, sizeof(float));
        table->vector = place_twin(at, rows * (size_t)x->expert->arch.unet.vector, bytes);
    }
    for (int j = 0; j < x->conds; j++) {
        rf_conditioning *cond = &x->cond[j];
        cond->context =
            place_on_shelf(at, (size_t)cond->rows * (size_t)x->expert->arch.unet.context, bytes);
        cond->pooled = place_on_shelf(at, (size_t)x->expert->arch.clip_g.projection, bytes);
    }
}

/* The sampler's rows: those that no call reads or writes do not exist.  A slot has an anchor more
 * than the sampler knows, and one entry of the history: new values are sums of the old ones. */
static void place_slots(rf_plan *p, sides *at)
{
    int anchor = 0, remembers = 0, u = 0, rows = 1;
    for (int k = 0; k < p->updates; k++) {
        const rf_call *c = &p->update[k].sampler;
        anchor |= c->keeps_anchor;
        remembers |= c->remembers;
        u |= c->next[RF_SOURCE_U] != 0 || (c->keeps_anchor && c->anchor[RF_SOURCE_U] != 0) ||
             (c->remembers && c->memory[RF_SOURCE_U] != 0);
    }
    p->anchor_row = anchor ? rows : 0;
    rows += anchor ? 2 : 0;
    p->history_row = remembers ? rows : 0;
    rows += remembers ? RF_HISTORY + 1 : 0;
    p->slot_rows = rows;
    rows *= p->slots;
    p->sample_row[RF_SOURCE_D] = rows;
    p->sample_row[RF_SOURCE_U] = u ? rows + p->batch : 0;
    rows += (u ? 2 : 1) * p->batch;
    p->init_row = rows;
    rows += p->inits;
    p->pool = place(&at->device, (size_t)rows * p->elems, sizeof(float));
    p->slot = place_on_desk(at, (size_t)p->slots, sizeof *p->slot);
    p->sample = place_on_desk(at, (size_t)p->batch, sizeof *p->sample);
}

static void place_ring(rf_plan *p, sides *at)
{
    rf_launch_ring *r = &p->ring;
    rf_ring_measure(p);
    r->device = place(&at->device, r->bytes, 1);
    for (int i = 0; i < r->sides; i++) {
        rf_ring_side *side = &r->side[i];
        side->block.device = r->device;
        side->block.host = at->one ? r->device : place(&at->desk, r->bytes, 1);
        side->mark = place_on_desk(at, rf_ring_marks_room(p), sizeof *side->mark);
    }
    r->sum = place_on_desk(at, (size_t)r->sums_room, sizeof *r->sum);
}

/* Scratch of the noise: three tensors, of the size the seed is from if that is larger. */
static size_t scratch_elems(const rf_plan *p)
{
    size_t most = p->elems;
    for (int i = 0; i < p->jobs; i++) {
        const rf_job *job = &p->job[i].job;
        const size_t  seed = (size_t)(job->seed_height / 8) * (size_t)(job->seed_width / 8) * 4;
        if (seed > most) most = seed;
    }
    return 3 * most;
}

/* What runs start from, beside their latents. */
static void place_inits(rf_plan *p, sides *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->vae_dtype);
    size_t       cells = 0, most = 0;
    p->kept_cells = 0;
    for (int i = 0; i < p->inits; i++) {
        rf_plan_init *init = &p->init[i];
        init->kept_at = p->kept_cells;
        p->kept_cells += (size_t)init->kept_count;
        widen(&cells, (size_t)init->h * (size_t)init->w);
        widen(&most, (size_t)init->kept_count);
    }
    if (p->inits == 0) return;
    p->init_pixels = place_twin(at, cells * 64 * 3, bytes);
    p->moments = place_twin(at, cells * 2 * 4, bytes);
    p->kept = place_twin(at, p->kept_cells, sizeof(int32_t));
    p->ones = place_twin(at, most < RF_CELLS_AT_ONCE ? most : RF_CELLS_AT_ONCE, sizeof(float));
}

static void place_state(rf_plan *p, sides *at)
{
    const size_t     bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t     batch = (size_t)p->batch, samples = batch * (size_t)p->rows;
    const text_sizes text = measure_text(p);

    place_slots(p, at);
    place_ring(p, at);
    p->scratch = place_on_desk(at, scratch_elems(p), sizeof(float));
    p->adaptive_scratch =
        p->adaptive ? place_on_desk(at, rf_adaptive_scratch(p->elems), sizeof(float)) : NULL;
    p->glance.raw = rf_x0_glance_bytes(p) ? place_on_desk(at, rf_x0_glance_bytes(p), 1) : NULL;
    p->decode_latent = place_twin(at, p->decode_elems, sizeof(float));
    p->x = place(&at->device, samples * p->elems, bytes);
    p->eps = place(&at->device, samples * p->elems, bytes);
    p->unscale = place_twin(at, (size_t)p->decodings, sizeof(float));
    p->token_ids = place_twin(at, text.chunks * RF_TOKENS_PER_CHUNK, sizeof(int32_t));
    p->inversions.table = place_twin(at, rf_inversions_room(p), sizeof(float));
    p->sizes = place_twin(at, (size_t)p->sizings * RF_SIZES, sizeof(float));
    p->size_waves = place_twin(at, (size_t)p->sizings * RF_SIZES * RF_SIZE_WAVES, bytes);
    p->hidden = place_twin(at, text.hidden, bytes);
    p->pooled_rows = place_twin(at, text.pooled, bytes);
    p->pixels = place_twin(at, p->decode_elems / 4 * 64, 3);
    p->stats = place_twin(at, (size_t)p->decodings, sizeof(rf_pixels_stats));
    place_inits(p, at);
    if (p->preview.asked) p->preview.map = place_twin(at, RF_PREVIEW_MAP, sizeof(float));
    if (p->preview.path) p->preview.latent = place_twin(at, p->elems, bytes);
    place_uploads(&p->kv_pool, at);
    for (int i = 0; i < p->expert_count; i++) place_expert_state(p, &p->expert[i], at);
}

/* ---- both together ------------------------------------------------------------------------ */

/* Packed bytes of the UNets: told at the first stage that has the expert. */
static void tell_stages(rf_plan *p)
{
    const rf_plan_job *j = &p->job[0];
    for (int i = j->active_count - 1; i >= 0; i--) {
        const rf_expert *e = j->job.stages[j->active[i]].expert;
        int              first = 1;
        for (int k = 0; k < i; k++) first &= j->job.stages[j->active[k]].expert != e;
        if (first) j->info[j->active[i]].weights_bytes = e->weights[RF_NET_UNET].bytes;
    }
}

static void widen_staging(rf_plan *p, const rf_expert *e, rf_network network)
{
    widen(&p->staging_bytes, e->weights[network].staging_bytes);
    widen(&p->merge_bytes, e->weights[network].host_bytes);
}

static rf_status size_decoders(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < p->vaes; i++) {
        rf_expert *e = p->vae[i].expert;
        RF_TRY(rf_expert_list(e, RF_NET_VAE, err));
        widen_staging(p, e, RF_NET_VAE);
        p->vae_bytes += e->weights[RF_NET_VAE].bytes;
    }
    for (int i = 0; i < p->decoders; i++) {
        const rf_vae_decode_args decode = rf_decode_args(p, &p->decoder[i], 1);
        RF_TRY(widen_slab(p, p->vae[p->decoder[i].vae].expert, RF_NET_VAE, 0, rf_vae_decode,
                          &decode, err));
    }
done:
    return st;
}

/* The slab: UNets at their batches, and one of everything else. */
static rf_status size_networks(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        RF_TRY(rf_plan_list_shapes(x, err));
        for (int e = 0; e < RF_ENCODERS; e++) RF_TRY(size_text(p, x, e, err));
        RF_TRY(size_unet(p, x, err));
        widen_staging(p, x->expert, RF_NET_CLIP_L);
        widen_staging(p, x->expert, RF_NET_CLIP_G);
        widen_staging(p, x->expert, RF_NET_UNET);
    }
    RF_TRY(size_programs(p, err));
    RF_TRY(size_decoders(p, err));
    RF_TRY(rf_plan_size_inits(p, err));
done:
    return st;
}

static rf_status fill_slab(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    p->decode_elems = p->elems; /* DPM adaptive uses it, too */
    RF_TRY(rf_preview_size(p, err));
    RF_TRY(rf_plan_count_decodings(p, err));
    for (int i = 0; i < p->decoders; i++) RF_TRY(rf_plan_batch_decodings(p, &p->decoder[i], err));
    for (int i = 0; i < p->expert_count; i++)
        for (int e = 0; e < RF_ENCODERS; e++) RF_TRY(rf_plan_batch_text(p, &p->expert[i], e, err));
done:
    return st;
}

rf_status rf_plan_size(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < p->jobs; i++)
        widen(&p->elems, (size_t)p->job[i].h * (size_t)p->job[i].w * 4);
    RF_TRY(size_networks(p, err));
    RF_TRY(fill_slab(p, err));
    RF_TRY(rf_kv_size(p, err));

    placer kv = {0};
    sides  state = {.one = rf_device_on_host(&p->engine->device)};
    place_kv(p, &kv);
    place_state(p, &state);
    p->kv_bytes = kv.used;
    p->state_bytes = state.device.used;
    p->desk_bytes = state.desk.used;
    p->shelf_bytes = state.shelf.used;

    tell_stages(p);
    const rf_residency unets = rf_residency_foresee(p, p->held);
    const size_t       weights = unets.peak_bytes + p->vae_bytes;
    const size_t       once = p->text_bytes > p->encoder_bytes ? p->text_bytes : p->encoder_bytes;
    p->loads = unets.loads;
    p->peak_bytes = p->slab_bytes + p->kv_bytes + p->state_bytes + p->staging_bytes +
                    (weights > once ? weights : once);
done:
    return st;
}

void rf_plan_release(rf_plan *p)
{
    rf_device *device = &p->engine->device;
    rf_kv_close(p);
    rf_ring_close(p);
    rf_device_free(device, p->slab, p->slab_bytes);
    rf_device_free(device, p->state, p->state_bytes);
    rf_device_free(device, p->kv, p->kv_bytes);
    rf_device_free_staging(device, p->desk, p->desk_bytes);
    free(p->shelf);
    p->slab = p->state = p->kv = p->desk = p->shelf = NULL;
}

/* Zeroed, as prompts of zeros want it. */
static rf_status take_shelf(rf_plan *p, rf_error *err)
{
    if (p->shelf_bytes == 0) return RF_OK;
    p->shelf = calloc(p->shelf_bytes, 1);
    if (p->shelf) return RF_OK;
    return rf_fail(err, RF_E_NOMEM, "encoded prompts: cannot get %.1f MiB of memory",
                   (double)p->shelf_bytes / (1 << 20));
}

rf_status rf_plan_allocate(rf_plan *p, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = RF_OK;
    if (p->slab) return RF_OK;
    RF_TRY(rf_device_alloc(device, &p->kv, p->kv_bytes, "prompt keys and values", err));
    RF_TRY(rf_device_alloc(device, &p->state, p->state_bytes, "latents", err));
    RF_TRY(rf_device_alloc_staging(device, &p->desk, p->desk_bytes, "tables and pictures", err));
    RF_TRY(take_shelf(p, err));
    RF_TRY(rf_device_alloc(device, &p->slab, p->slab_bytes, "activations", err));
    place_kv(p, &(placer){.base = p->kv});
    place_state(p, &(sides){.device.base = p->state,
                            .desk.base = p->desk,
                            .shelf.base = p->shelf,
                            .one = rf_device_on_host(device)});
    RF_TRY(rf_kv_open(p, err));
    for (int i = 0; i < p->decodings; i++) ((float *)p->unscale.host)[i] = 1 / RF_VAE_SCALE;
    RF_TRY(rf_twin_up(device, &p->unscale, 0, (size_t)p->decodings * sizeof(float), err));
    RF_TRY(rf_ring_open(p, err));
done:
    if (st != RF_OK) rf_plan_release(p); /* all or nothing: the next run tries again */
    return st;
}
