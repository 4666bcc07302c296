/* How much memory a plan needs, and where each piece lies.
 *
 * Everything is counted by running the code that will use it (recorder.h); the pieces outside the
 * slab are placed by one function that runs twice, counting and then placing. */
#include "engine/model/clip.h"
#include "engine/model/vae.h"
#include "engine/relay/plan.h"
#include "engine/sample/adaptive.h"

#include <stdint.h>

/* ---- the slab: the largest of all programs --------------------------------------------------- */

static rf_status widen_slab(rf_plan *p, rf_expert *e, rf_network network, size_t first_slot,
                            rf_forward_fn *forward, const void *arg, rf_error *err)
{
    size_t          bytes = 0;
    const rf_status st = rf_record_count(&p->engine->device, &e->weights[network], first_slot,
                                         forward, arg, &bytes, err);
    if (bytes > p->slab_bytes) p->slab_bytes = bytes;
    return st;
}

static rf_status size_text(rf_plan *p, rf_plan_expert *x, int encoder, rf_error *err)
{
    static const rf_network network[RF_ENCODERS] = {RF_NET_CLIP_L, RF_NET_CLIP_G};
    rf_expert              *e = x->expert;
    rf_status               st = rf_expert_list(e, network[encoder], err);
    if (st != RF_OK) return st;
    for (int i = 0; i < x->conds; i++) {
        const rf_clip_args args = rf_clip_args_of(p, x, &x->cond[i], encoder);
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

rf_unet_forward_args rf_expert_forward_args(const rf_plan *p, const rf_plan_expert *x, int rows,
                                            int batch)
{
    return (rf_unet_forward_args){.list = &x->expert->blocks,
                                  .arch = &x->expert->arch.unet,
                                  .x = p->x,
                                  .y = p->eps,
                                  .temb = x->temb,
                                  .temb_rows = x->table_rows,
                                  .temb_row = p->temb_row,
                                  .kv = p->kv_table,
                                  .kv_tokens = most_tokens(x),
                                  .n = batch * rows,
                                  .h = p->h,
                                  .w = p->w};
}

rf_unet_embed_args rf_expert_embed_args(const rf_plan_expert *x)
{
    return (rf_unet_embed_args){.list = &x->expert->blocks,
                                .arch = &x->expert->arch.unet,
                                .timestep = x->timestep,
                                .vector = x->vector,
                                .table = x->temb,
                                .rows = x->table_rows};
}

static rf_status size_unet(rf_plan *p, rf_plan_expert *x, rf_error *err)
{
    rf_expert               *e = x->expert;
    rf_status                st = RF_OK;
    const rf_unet_embed_args embed = rf_expert_embed_args(x);

    RF_TRY(rf_expert_list(e, RF_NET_UNET, err));
    RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.embed, rf_unet_embed, &embed, err));
    for (int i = 0; i < x->conds; i++) {
        const rf_unet_kv_args kv = {
            .list = &e->blocks, .arch = &e->arch.unet, .tokens = x->cond[i].rows};
        RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.kv, rf_unet_kv, &kv, err));
    }
    for (int i = 0; i < x->programs; i++)
        for (int kind = 0; kind < RF_BATCH_KINDS; kind++) {
            const rf_unet_forward_args forward = rf_expert_forward_args(
                p, x, x->program[i].rows, kind == RF_WHOLE_BATCH ? p->batch : p->last_batch);
            RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.forward, rf_unet_forward, &forward, err));
        }
done:
    return st;
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

static void place_kv(rf_plan *p, placer *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert     *x = &p->expert[i];
        const rf_unet_list *blocks = &x->expert->blocks;
        x->temb = place(at, blocks->temb_columns * (size_t)x->table_rows, bytes);
        for (int j = 0; j < x->conds; j++)
            x->cond[j].kv = place(at, blocks->kv_elems * (size_t)x->cond[j].rows, bytes);
    }
}

/* The largest text encoder output, over prompts and encoders. */
typedef struct text_sizes {
    size_t chunks, hidden, pooled;
} text_sizes;

static text_sizes measure_text(const rf_plan *p)
{
    text_sizes s = {0};
    for (int i = 0; i < p->expert_count; i++) {
        const rf_plan_expert *x = &p->expert[i];
        const rf_sdxl_arch   *arch = &x->expert->arch;
        const size_t width = (size_t)(arch->clip_l.width > arch->clip_g.width ? arch->clip_l.width
                                                                              : arch->clip_g.width);
        const size_t pooled = (size_t)arch->clip_g.projection;
        for (int j = 0; j < x->conds; j++) {
            const size_t chunks = (size_t)x->cond[j].tokens[0].chunks;
            if (chunks > s.chunks) s.chunks = chunks;
            if (chunks * width > s.hidden) s.hidden = chunks * width;
        }
        if (pooled > s.pooled) s.pooled = pooled;
    }
    s.hidden *= RF_TOKENS_PER_CHUNK;
    s.pooled *= RF_TOKENS_PER_CHUNK;
    return s;
}

static void place_expert_state(rf_plan *p, rf_plan_expert *x, placer *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t rows = (size_t)x->table_rows;
    x->timestep = place(at, rows, sizeof *x->timestep);
    x->vector = place(at, rows * (size_t)x->expert->arch.unet.vector, bytes);
    for (int j = 0; j < x->conds; j++) {
        rf_conditioning *cond = &x->cond[j];
        cond->context = place(at, (size_t)cond->rows * (size_t)x->expert->arch.unet.context, bytes);
        cond->pooled = place(at, (size_t)x->expert->arch.clip_g.projection, bytes);
    }
}

/* The sampler's slots: those that no call reads or writes do not exist. */
static void place_slots(rf_plan *p, placer *at)
{
    const size_t elems = (size_t)p->batch * (size_t)p->h * (size_t)p->w * 4;
    int          used[RF_SOURCES] = {[RF_SOURCE_X] = 1, [RF_SOURCE_D] = 1, [RF_SOURCE_NOISE] = 1};
    int          remembers = 0;
    for (int k = 0; k < p->course.calls; k++) {
        const rf_call *c = &p->call[k].sampler;
        used[RF_SOURCE_ANCHOR] |= c->keeps_anchor;
        remembers |= c->remembers;
        for (int s = 0; s < RF_SOURCES; s++)
            used[s] |= c->next[s] != 0 || (c->keeps_anchor && c->anchor[s] != 0) ||
                       (c->remembers && c->memory[s] != 0);
    }
    for (int s = RF_SOURCE_H1; s <= RF_SOURCE_H3; s++) used[s] |= remembers;
    for (int s = 0; s < RF_SOURCES; s++)
        p->slot[s] = used[s] ? place(at, elems, sizeof(float)) : NULL;
    p->spare[0] = remembers ? place(at, elems, sizeof(float)) : NULL;
    p->spare[1] = used[RF_SOURCE_ANCHOR] ? place(at, elems, sizeof(float)) : NULL;
}

/* Scratch of the noise: three tensors, of the size the seed is from if that is larger. */
static size_t scratch_elems(const rf_plan *p)
{
    const size_t here = (size_t)p->h * (size_t)p->w;
    const size_t seed = (size_t)(p->job.seed_height / 8) * (size_t)(p->job.seed_width / 8);
    return 3 * 4 * (here > seed ? here : seed);
}

static void place_state(rf_plan *p, placer *at)
{
    const size_t     bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t     batch = (size_t)p->batch, samples = batch * (size_t)p->rows;
    const size_t     latent = (size_t)p->h * (size_t)p->w * 4;
    const text_sizes text = measure_text(p);

    place_slots(p, at);
    p->scratch = place(at, scratch_elems(p), sizeof(float));
    p->adaptive = p->course.adaptive ? place(at, rf_adaptive_scratch(latent), sizeof(float)) : NULL;
    p->memo = place(at, batch, sizeof *p->memo);
    p->decode_latent = place(at, latent, sizeof(float));
    p->x = place(at, samples * latent, bytes);
    p->eps = place(at, samples * latent, bytes);
    p->coef = place(at, batch * RF_LINCOMB_TERMS, sizeof(float));
    p->unscale = place(at, 1, sizeof(float));
    p->temb_row = place(at, samples, sizeof(int32_t));
    p->kv_table = place(at, samples, sizeof(rf_attention_kv));
    p->token_ids = place(at, text.chunks * RF_TOKENS_PER_CHUNK, sizeof(int32_t));
    p->sizes = place(at, 6, sizeof(float));
    p->hidden = place(at, text.hidden, bytes);
    p->pooled_rows = place(at, text.pooled, bytes);
    p->pixels = place(at, latent / 4 * 64, 3);
    p->stats = place(at, 1, sizeof(rf_pixels_stats));
    for (int i = 0; i < p->expert_count; i++) place_expert_state(p, &p->expert[i], at);
}

/* ---- both together ------------------------------------------------------------------------ */

/* Packed bytes of the UNets: told at the first stage that has the expert. */
static size_t sum_unets(rf_plan *p)
{
    size_t sum = 0;
    for (int i = 0; i < p->expert_count; i++) {
        const rf_plan_expert *x = &p->expert[i];
        p->info[x->stage].weights_bytes = x->expert->weights[RF_NET_UNET].bytes;
        sum += x->expert->weights[RF_NET_UNET].bytes;
    }
    return sum;
}

static void widen_staging(rf_plan *p, const rf_expert *e, rf_network network)
{
    if (e->weights[network].staging_bytes > p->staging_bytes)
        p->staging_bytes = e->weights[network].staging_bytes;
}

rf_status rf_plan_size(rf_plan *p, rf_error *err)
{
    rf_status                st = RF_OK;
    const rf_vae_decode_args decode = {.arch = &p->vae->arch.vae, .n = 1, .h = p->h, .w = p->w};

    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        for (int e = 0; e < RF_ENCODERS; e++) RF_TRY(size_text(p, x, e, err));
        RF_TRY(size_unet(p, x, err));
        widen_staging(p, x->expert, RF_NET_CLIP_L);
        widen_staging(p, x->expert, RF_NET_CLIP_G);
        widen_staging(p, x->expert, RF_NET_UNET);
    }
    RF_TRY(rf_expert_list(p->vae, RF_NET_VAE, err));
    RF_TRY(widen_slab(p, p->vae, RF_NET_VAE, 0, rf_vae_decode, &decode, err));
    widen_staging(p, p->vae, RF_NET_VAE);
    p->vae_bytes = p->vae->weights[RF_NET_VAE].bytes;

    placer kv = {0}, state = {0};
    place_kv(p, &kv);
    place_state(p, &state);
    p->kv_bytes = kv.used;
    p->state_bytes = state.used;

    const size_t unets = sum_unets(p) + p->vae_bytes;
    p->peak_bytes = p->slab_bytes + p->kv_bytes + p->state_bytes + p->staging_bytes +
                    (unets > p->text_bytes ? unets : p->text_bytes);
done:
    return st;
}

void rf_plan_release(rf_plan *p)
{
    rf_device *device = &p->engine->device;
    rf_device_free(device, p->slab, p->slab_bytes);
    rf_device_free(device, p->state, p->state_bytes);
    rf_device_free(device, p->kv, p->kv_bytes);
    p->slab = p->state = p->kv = NULL;
}

rf_status rf_plan_allocate(rf_plan *p, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = RF_OK;
    if (p->slab) return RF_OK;
    RF_TRY(rf_device_alloc(device, &p->kv, p->kv_bytes, "prompt keys and values", err));
    RF_TRY(rf_device_alloc(device, &p->state, p->state_bytes, "latents", err));
    RF_TRY(rf_device_alloc(device, &p->slab, p->slab_bytes, "activations", err));
    place_kv(p, &(placer){.base = p->kv});
    place_state(p, &(placer){.base = p->state});
    *p->unscale = 1 / RF_VAE_SCALE;
done:
    if (st != RF_OK) rf_plan_release(p); /* all or nothing: the next run tries again */
    return st;
}
