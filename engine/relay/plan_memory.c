/* How much memory a plan needs, and where each piece lies.
 *
 * Everything is counted by running the code that will use it (recorder.h); the pieces outside the
 * slab are placed by one function that runs twice, counting and then placing. */
#include "engine/model/clip.h"
#include "engine/model/vae.h"
#include "engine/relay/plan.h"

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

static rf_status size_text(rf_plan *p, rf_active_stage *a, int polarity, rf_error *err)
{
    static const rf_network network[RF_ENCODERS] = {RF_NET_CLIP_L, RF_NET_CLIP_G};
    rf_expert              *e = a->expert;
    for (int i = 0; i < RF_ENCODERS; i++) {
        const rf_clip_args args = {.arch = i == RF_ENCODER_L ? &e->arch.clip_l : &e->arch.clip_g,
                                   .chunks = a->prompt[polarity].tokens[i].chunks};
        rf_status          st = rf_expert_list(e, network[i], err);
        if (st == RF_OK) st = widen_slab(p, e, network[i], 0, rf_clip_forward, &args, err);
        if (st != RF_OK) return st;
        if (e->weights[network[i]].bytes > p->text_bytes)
            p->text_bytes = e->weights[network[i]].bytes;
    }
    return RF_OK;
}

static int most_tokens(const rf_active_stage *a)
{
    int chunks = 1;
    for (int i = 0; i < a->polarities; i++)
        if (a->prompt[i].tokens[0].chunks > chunks) chunks = a->prompt[i].tokens[0].chunks;
    return chunks * RF_TOKENS_PER_CHUNK;
}

rf_unet_forward_args rf_stage_forward_args(const rf_plan *plan, const rf_active_stage *stage,
                                           int batch)
{
    return (rf_unet_forward_args){.list = &stage->expert->blocks,
                                  .arch = &stage->expert->arch.unet,
                                  .x = plan->x,
                                  .y = plan->eps,
                                  .temb = stage->temb,
                                  .temb_rows = stage->calls * stage->polarities,
                                  .temb_row = plan->temb_row,
                                  .kv = plan->kv_table,
                                  .kv_tokens = most_tokens(stage),
                                  .n = batch * stage->polarities,
                                  .h = plan->h,
                                  .w = plan->w};
}

static rf_status size_unet(rf_plan *p, rf_active_stage *a, rf_error *err)
{
    rf_expert               *e = a->expert;
    rf_status                st = RF_OK;
    const rf_unet_embed_args embed = {
        .list = &e->blocks, .arch = &e->arch.unet, .rows = a->calls * a->polarities};

    RF_TRY(rf_expert_list(e, RF_NET_UNET, err));
    RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.embed, rf_unet_embed, &embed, err));
    for (int i = 0; i < a->polarities; i++) {
        const rf_unet_kv_args kv = {.list = &e->blocks,
                                    .arch = &e->arch.unet,
                                    .tokens = a->prompt[i].tokens[0].chunks * RF_TOKENS_PER_CHUNK};
        RF_TRY(widen_slab(p, e, RF_NET_UNET, e->unet.kv, rf_unet_kv, &kv, err));
    }
    for (int kind = 0; kind < RF_BATCH_KINDS; kind++) {
        const rf_unet_forward_args forward =
            rf_stage_forward_args(p, a, kind == RF_WHOLE_BATCH ? p->batch : p->last_batch);
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
    for (int i = 0; i < p->active_count; i++) {
        rf_active_stage    *a = &p->active[i];
        const rf_unet_list *blocks = &a->expert->blocks;
        const size_t        rows = (size_t)a->calls * (size_t)a->polarities;
        a->temb = place(at, blocks->temb_columns * rows, bytes);
        for (int j = 0; j < a->polarities; j++) {
            rf_prompt   *prompt = &a->prompt[j];
            const size_t tokens = (size_t)prompt->tokens[0].chunks * RF_TOKENS_PER_CHUNK;
            prompt->kv =
                prompt->same ? prompt->same->kv : place(at, blocks->kv_elems * tokens, bytes);
        }
    }
}

/* The largest text encoder output, over prompts and encoders. */
typedef struct text_sizes {
    size_t chunks, hidden, pooled;
} text_sizes;

static text_sizes measure_text(const rf_plan *p)
{
    text_sizes s = {0};
    for (int i = 0; i < p->active_count; i++) {
        const rf_active_stage *a = &p->active[i];
        const size_t width = (size_t)(a->expert->arch.clip_l.width > a->expert->arch.clip_g.width
                                          ? a->expert->arch.clip_l.width
                                          : a->expert->arch.clip_g.width);
        const size_t pooled = (size_t)a->expert->arch.clip_g.projection;
        for (int j = 0; j < a->polarities; j++) {
            const size_t chunks = (size_t)a->prompt[j].tokens[0].chunks;
            if (chunks > s.chunks) s.chunks = chunks;
            if (chunks * width > s.hidden) s.hidden = chunks * width;
        }
        if (pooled > s.pooled) s.pooled = pooled;
    }
    s.hidden *= RF_TOKENS_PER_CHUNK;
    s.pooled *= RF_TOKENS_PER_CHUNK;
    return s;
}

static void place_stage_state(rf_plan *p, rf_active_stage *a, placer *at)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t rows = (size_t)a->calls * (size_t)a->polarities;
    a->timestep = place(at, rows, sizeof *a->timestep);
    a->vector = place(at, rows * (size_t)a->expert->arch.unet.vector, bytes);
    for (int j = 0; j < a->polarities; j++) {
        rf_prompt   *prompt = &a->prompt[j];
        const size_t tokens = (size_t)prompt->tokens[0].chunks * RF_TOKENS_PER_CHUNK;
        if (prompt->same) {
            prompt->context = prompt->same->context;
            prompt->pooled = prompt->same->pooled;
            continue;
        }
        prompt->context = place(at, tokens * (size_t)a->expert->arch.unet.context, bytes);
        prompt->pooled = place(at, (size_t)a->expert->arch.clip_g.projection, bytes);
    }
}

static void place_state(rf_plan *p, placer *at)
{
    const size_t     bytes = rf_dtype_bytes(p->engine->dtype);
    const size_t     batch = (size_t)p->batch, samples = batch * RF_POLARITIES;
    const size_t     latent = (size_t)p->h * (size_t)p->w * 4;
    const text_sizes text = measure_text(p);

    p->latent = place(at, batch * latent, sizeof(float));
    p->draw = place(at, batch * latent, sizeof(float));
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
    for (int i = 0; i < p->active_count; i++) place_stage_state(p, &p->active[i], at);
}

/* ---- both together ------------------------------------------------------------------------ */

/* Packed bytes of the UNets: what each stage adds, the same expert counted once. */
static size_t sum_unets(rf_plan *p)
{
    size_t sum = 0;
    for (int i = 0; i < p->active_count; i++) {
        rf_active_stage *a = &p->active[i];
        int              seen = 0;
        for (int j = 0; j < i; j++) seen |= p->active[j].expert == a->expert;
        p->info[a->index].weights_bytes = seen ? 0 : a->expert->weights[RF_NET_UNET].bytes;
        sum += p->info[a->index].weights_bytes;
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

    for (int i = 0; i < p->active_count; i++) {
        rf_active_stage *a = &p->active[i];
        for (int j = 0; j < a->polarities; j++) RF_TRY(size_text(p, a, j, err));
        RF_TRY(size_unet(p, a, err));
        widen_staging(p, a->expert, RF_NET_CLIP_L);
        widen_staging(p, a->expert, RF_NET_CLIP_G);
        widen_staging(p, a->expert, RF_NET_UNET);
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
