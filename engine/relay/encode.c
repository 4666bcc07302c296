/* Text to conditioning: every prompt through its own expert's encoders, one encoder in memory at a
 * time, several prompts of one shape at a time: chunks know nothing of each other.
 *
 * context = penultimate states of CLIP-L and bigG side by side, of Stability's refiner those of
 * bigG; pooled = bigG's projection at the first end token of the first chunk (Podell et al. 2023,
 * section 2.1).  Emphasis acts on the context alone, each encoder's columns by themselves. */
#include <stdlib.h>
#include <string.h>

#include "engine/model/clip.h"
#include "engine/relay/emphasis.h"
#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"

/* Where the pooled vector stands: the first end token. */
static int first_end(const uint16_t *id)
{
    for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++)
        if (id[i] == RF_TOKEN_END) return i;
    return RF_TOKENS_PER_CHUNK - 1;
}

/* A1111's clip skip n: CLIP-L's state n - 1 layers before its end, if asked for at all. */
static int clip_depth(const rf_text_shape *shape, const rf_clip_arch *arch, int encoder)
{
    const int skip = encoder == RF_ENCODER_L && shape->clip_skip ? shape->clip_skip : 2;
    return arch->layers - (skip - 1) < 1 ? 1 : arch->layers - (skip - 1);
}

rf_clip_args rf_clip_args_of(const rf_plan *p, const rf_plan_expert *x, const rf_text_shape *shape,
                             int encoder, int prompts)
{
    const rf_clip_arch *arch =
        encoder == RF_ENCODER_G ? &x->expert->arch.clip_g : &x->expert->arch.clip_l;
    return (rf_clip_args){.arch = arch,
                          .id = p->token_ids.device,
                          .extra = p->inversions.table.device,
                          .extras = p->inversions.vectors,
                          .hidden = p->hidden.device,
                          .pooled = p->pooled_rows.device,
                          .depth = clip_depth(shape, arch, encoder),
                          .chunks = shape->chunks * prompts,
                          .prompts = prompts};
}

/* An encoder's columns of the context. */
static rf_emphasis_shape columns_of(const rf_plan *p, const rf_plan_expert *x,
                                    const rf_conditioning *cond, int encoder)
{
    const rf_sdxl_arch *arch = &x->expert->arch;
    const int           g = encoder == RF_ENCODER_G;
    return (rf_emphasis_shape){.chunks = cond->chunks,
                               .stride = (size_t)arch->unet.context,
                               .first_column = g ? (size_t)arch->clip_l.width : 0,
                               .width = (size_t)(g ? arch->clip_g.width : arch->clip_l.width),
                               .dtype = p->engine->dtype};
}

/* ---- several prompts at a time --------------------------------------------------------------- */

typedef struct encoding {
    rf_plan             *plan;
    rf_plan_expert      *x;
    const rf_text_shape *shape;
    int                  encoder;
    rf_conditioning     *cond[RF_TEXT_BATCH_MAX];
    int                  count;
    int                  recorded; /* prompts that the program at hand is for; 0: none */
} encoding;

/* Chunk k of prompt i: all first ones come first. */
static size_t chunk_at(const encoding *e, int k, int i)
{
    return (size_t)k * (size_t)e->count + (size_t)i;
}

static void fill_ids(const encoding *e)
{
    int32_t *id = e->plan->token_ids.host;
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->shape->chunks; k++)
            for (int t = 0; t < RF_TOKENS_PER_CHUNK; t++)
                id[chunk_at(e, k, i) * RF_TOKENS_PER_CHUNK + (size_t)t] =
                    e->cond[i]->id[e->encoder][k * RF_TOKENS_PER_CHUNK + t];
}

/* Outputs of the program at hand, where the host reads them. */
static rf_status bring_states(const encoding *e, rf_error *err)
{
    const rf_plan     *p = e->plan;
    rf_device         *device = &e->plan->engine->device;
    const rf_clip_args args = rf_clip_args_of(p, e->x, e->shape, e->encoder, e->count);
    const size_t       row = RF_TOKENS_PER_CHUNK * rf_dtype_bytes(p->engine->dtype);
    const size_t       hidden = (size_t)args.chunks * (size_t)args.arch->width * row;
    const size_t       pooled = (size_t)args.prompts * (size_t)args.arch->projection * row;
    rf_status          st = RF_OK;
    RF_TRY(rf_twin_down(device, &p->hidden, 0, hidden, err));
    if (e->encoder == RF_ENCODER_G) RF_TRY(rf_twin_down(device, &p->pooled_rows, 0, pooled, err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

/* What came out for prompt i: its columns of the context, and its pooled vector. */
static void take_states(const encoding *e, int i)
{
    const rf_plan          *p = e->plan;
    const rf_conditioning  *cond = e->cond[i];
    const rf_emphasis_shape s = columns_of(p, e->x, cond, e->encoder);
    const size_t            bytes = rf_dtype_bytes(p->engine->dtype), seq = RF_TOKENS_PER_CHUNK;
    for (int k = 0; k < cond->chunks; k++)
        for (size_t t = 0; t < seq; t++)
            memcpy((char *)cond->context +
                       (((size_t)k * seq + t) * s.stride + s.first_column) * bytes,
                   (const char *)p->hidden.host + (chunk_at(e, k, i) * seq + t) * s.width * bytes,
                   s.width * bytes);
    if (e->encoder != RF_ENCODER_G) return;
    const size_t pooled = (size_t)e->x->expert->arch.clip_g.projection * bytes;
    const size_t row = (size_t)i * seq + (size_t)first_end(cond->id[e->encoder]);
    memcpy(cond->pooled, (const char *)p->pooled_rows.host + row * pooled, pooled);
}

static rf_status encode_prompts(encoding *e, rf_error *err)
{
    rf_plan           *p = e->plan;
    rf_device         *device = &p->engine->device;
    const rf_network   network = e->encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L;
    const rf_clip_args args = rf_clip_args_of(p, e->x, e->shape, e->encoder, e->count);
    rf_status          st = RF_OK;
    if (e->recorded != e->count)
        RF_TRY(rf_record_place(device, &e->x->expert->weights[network], 0, rf_clip_forward, &args,
                               p->slab, p->slab_bytes, &p->scratch_program, err));
    e->recorded = e->count;
    rf_range_network(p, "encode", e->x->expert, network);
    fill_ids(e);
    RF_TRY(rf_twin_up(device, &p->token_ids, 0,
                      (size_t)args.chunks * RF_TOKENS_PER_CHUNK * sizeof(int32_t), err));
    RF_TRY(rf_program_run(&p->scratch_program, device, err));
    RF_TRY(bring_states(e, err));
    for (int i = 0; i < e->count; i++) take_states(e, i);
    rf_trace_end(p->engine->device.trace, RF_TRACE_PART);
done:
    return st;
}

static int has_shape(const rf_plan_expert *x, const rf_conditioning *cond,
                     const rf_text_shape *shape)
{
    return !cond->zero && cond->chunks == shape->chunks &&
           x->group[cond->group].clip_skip == shape->clip_skip;
}

static rf_status encode_shape(rf_plan *p, rf_plan_expert *x, const rf_text_shape *shape,
                              int encoder, const rf_callbacks *callbacks, rf_error *err)
{
    const rf_progress progress = {.phase = RF_PHASE_ENCODE,
                                  .stage = x->stage,
                                  .expert = x->expert->name,
                                  .done = encoder,
                                  .total = RF_ENCODERS,
                                  .calls_done = p->calls_done,
                                  .calls = p->calls_shared,
                                  .pictures_done = p->pictures_done,
                                  .pictures = p->pictures};
    encoding          e = {.plan = p, .x = x, .shape = shape, .encoder = encoder};
    rf_status         st = RF_OK;
    for (int i = 0; i < x->conds; i++) {
        if (!has_shape(x, &x->cond[i], shape)) continue;
        RF_TRY(rf_report(callbacks, &progress, err));
        e.cond[e.count++] = &x->cond[i];
        if (e.count < shape->at_a_time[encoder]) continue;
        RF_TRY(encode_prompts(&e, err));
        e.count = 0;
    }
    if (e.count) RF_TRY(encode_prompts(&e, err));
done:
    return st;
}

/* ---- what follows ---------------------------------------------------------------------------- */

/* Weights of a group's tokens, on the columns just written. */
static rf_status emphasise(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                           int encoder, rf_error *err)
{
    const rf_conditioning  *first = &x->cond[g->first];
    const rf_emphasis_shape shape = columns_of(p, x, first, encoder);
    if (!first->weight[encoder]) return RF_OK;
    rf_emphasis_target *target = calloc((size_t)g->count, sizeof *target);
    if (!target) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (int i = 0; i < g->count; i++)
        target[i] =
            (rf_emphasis_target){.context = first[i].context, .weight = first[i].weight[encoder]};
    const rf_status st = rf_emphasis_apply(g->emphasis, target, g->count, &shape, err);
    free(target);
    return st;
}

/* Rows behind a prompt's own repeat its last one (plan_prompts.c, pad_parts). */
static void pad_context(const rf_plan *p, const rf_plan_expert *x, rf_conditioning *cond)
{
    const size_t row_bytes =
        (size_t)x->expert->arch.unet.context * rf_dtype_bytes(p->engine->dtype);
    const size_t own = (size_t)cond->chunks * RF_TOKENS_PER_CHUNK;
    for (size_t row = own; row < (size_t)cond->rows; row++)
        memcpy((char *)cond->context + row * row_bytes,
               (char *)cond->context + (own - 1) * row_bytes, row_bytes);
}

static rf_status finish_group(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                              int encoder, rf_error *err)
{
    const rf_status st = emphasise(p, x, g, encoder, err);
    if (st != RF_OK || encoder != RF_ENCODER_G) return st;
    for (int i = 0; i < g->count; i++) pad_context(p, x, &x->cond[g->first + i]);
    return RF_OK;
}

/* Every prompt of an expert, by one load of the encoder.  A group of zeros is nobody's text: the
 * shelf comes zeroed. */
static rf_status encode_expert(rf_plan *p, rf_plan_expert *x, int encoder, void *staging,
                               const rf_callbacks *callbacks, rf_error *err)
{
    const rf_network network = encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L;
    rf_status        st = RF_OK;
    if (x->shapes == 0 || !rf_plan_encodes(x, encoder)) return RF_OK;
    RF_TRY(rf_load_reporting(p, x->expert, network, NULL, x->stage, staging, callbacks, err));
    RF_TRY(rf_inversions_fill(p, (int)(x - p->expert), encoder, err));
    for (int i = 0; i < x->shapes; i++)
        RF_TRY(encode_shape(p, x, &x->shape[i], encoder, callbacks, err));
    for (int i = 0; i < x->groups; i++)
        if (!x->cond[x->group[i].first].zero)
            RF_TRY(finish_group(p, x, &x->group[i], encoder, err));
done:
    rf_expert_unload(x->expert, network);
    return st;
}

rf_status rf_plan_encode(rf_plan *p, void *staging, const rf_callbacks *callbacks, rf_error *err)
{
    for (int i = 0; i < p->expert_count; i++)
        for (int encoder = 0; encoder < RF_ENCODERS; encoder++) {
            const rf_status st = encode_expert(p, &p->expert[i], encoder, staging, callbacks, err);
            if (st != RF_OK) return st;
        }
    p->encoded = 1;
    return RF_OK;
}
