/* Text to conditioning: every prompt through its own expert's encoders, one encoder in memory at a
 * time.
 *
 * context = penultimate states of CLIP-L and bigG side by side; pooled = bigG's projection at the
 * first end token of the first chunk (Podell et al. 2023, section 2.1).  Emphasis acts on the
 * context alone, each encoder's columns by themselves. */
#include <stdlib.h>
#include <string.h>

#include "engine/model/clip.h"
#include "engine/relay/emphasis.h"
#include "engine/relay/plan.h"

/* Where the pooled vector stands: the first end token. */
static int first_end(const rf_tokens *tokens)
{
    for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++)
        if (tokens->id[i] == RF_TOKEN_END) return i;
    return RF_TOKENS_PER_CHUNK - 1;
}

/* A1111's clip skip n: CLIP-L's state n - 1 layers before its end, if asked for at all. */
static int clip_depth(const rf_plan *p, const rf_clip_arch *arch, int encoder)
{
    const int skip = encoder == RF_ENCODER_L && p->job.clip_l_skip ? p->job.clip_skip : 2;
    return arch->layers - (skip - 1) < 1 ? 1 : arch->layers - (skip - 1);
}

rf_clip_args rf_clip_args_of(const rf_plan *p, const rf_plan_expert *x, const rf_conditioning *cond,
                             int encoder)
{
    const rf_clip_arch *arch =
        encoder == RF_ENCODER_G ? &x->expert->arch.clip_g : &x->expert->arch.clip_l;
    return (rf_clip_args){.arch = arch,
                          .id = p->token_ids,
                          .hidden = p->hidden,
                          .pooled = p->pooled_rows,
                          .depth = clip_depth(p, arch, encoder),
                          .chunks = cond->tokens[encoder].chunks};
}

/* An encoder's columns of the context. */
static rf_emphasis_shape columns_of(const rf_plan *p, const rf_plan_expert *x,
                                    const rf_conditioning *cond, int encoder)
{
    const rf_sdxl_arch *arch = &x->expert->arch;
    const int           g = encoder == RF_ENCODER_G;
    return (rf_emphasis_shape){.chunks = cond->tokens[encoder].chunks,
                               .stride = (size_t)arch->unet.context,
                               .first_column = g ? (size_t)arch->clip_l.width : 0,
                               .width = (size_t)(g ? arch->clip_g.width : arch->clip_l.width),
                               .dtype = p->engine->dtype};
}

/* One prompt through one encoder, into its columns of the context. */
static rf_status encode_prompt(rf_plan *p, rf_plan_expert *x, rf_conditioning *cond, int encoder,
                               rf_error *err)
{
    rf_expert              *e = x->expert;
    rf_device              *device = &p->engine->device;
    const rf_tokens        *tokens = &cond->tokens[encoder];
    const rf_clip_args      args = rf_clip_args_of(p, x, cond, encoder);
    const rf_emphasis_shape s = columns_of(p, x, cond, encoder);
    const size_t            rows = (size_t)tokens->chunks * RF_TOKENS_PER_CHUNK;
    const size_t            bytes = rf_dtype_bytes(p->engine->dtype);
    rf_weights *weights = &e->weights[encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L];
    rf_status   st = RF_OK;

    RF_TRY(rf_record_place(device, weights, 0, rf_clip_forward, &args, p->slab, p->slab_bytes,
                           &p->scratch_program, err));
    memcpy(p->token_ids, tokens->id, rows * sizeof *tokens->id);
    RF_TRY(rf_program_run(&p->scratch_program, device, err));

    for (size_t row = 0; row < rows; row++)
        memcpy((char *)cond->context + (row * s.stride + s.first_column) * bytes,
               (const char *)p->hidden + row * s.width * bytes, s.width * bytes);
    if (encoder == RF_ENCODER_G) {
        const size_t pooled = (size_t)args.arch->projection * bytes;
        memcpy(cond->pooled, (const char *)p->pooled_rows + (size_t)first_end(tokens) * pooled,
               pooled);
    }
done:
    return st;
}

/* Weights of a group's tokens, on the columns just written. */
static rf_status emphasise(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                           int encoder, rf_error *err)
{
    const rf_conditioning  *first = &x->cond[g->first];
    const rf_emphasis_shape shape = columns_of(p, x, first, encoder);
    rf_emphasis_target     *target = calloc((size_t)g->count, sizeof *target);
    if (!target) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (int i = 0; i < g->count; i++)
        target[i] = (rf_emphasis_target){.context = first[i].context,
                                         .weight = first[i].tokens[encoder].weight};
    const rf_status st = rf_emphasis_apply(p->course.emphasis, target, g->count, &shape, err);
    free(target);
    return st;
}

/* Rows behind a prompt's own repeat its last one (plan_prompts.c, pad_parts). */
static void pad_context(const rf_plan *p, const rf_plan_expert *x, rf_conditioning *cond)
{
    const size_t row_bytes =
        (size_t)x->expert->arch.unet.context * rf_dtype_bytes(p->engine->dtype);
    const size_t own = (size_t)cond->tokens[0].chunks * RF_TOKENS_PER_CHUNK;
    for (size_t row = own; row < (size_t)cond->rows; row++)
        memcpy((char *)cond->context + row * row_bytes,
               (char *)cond->context + (own - 1) * row_bytes, row_bytes);
}

static rf_status encode_group(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                              int encoder, const rf_callbacks *callbacks, rf_error *err)
{
    const rf_progress progress = {.phase = RF_PHASE_ENCODE,
                                  .stage = x->stage,
                                  .expert = x->expert->name,
                                  .done = encoder,
                                  .total = RF_ENCODERS};
    rf_status         st = RF_OK;
    for (int i = 0; i < g->count; i++) {
        RF_TRY(rf_report(callbacks, &progress, err));
        RF_TRY(encode_prompt(p, x, &x->cond[g->first + i], encoder, err));
    }
    RF_TRY(emphasise(p, x, g, encoder, err));
    if (encoder == RF_ENCODER_G)
        for (int i = 0; i < g->count; i++) pad_context(p, x, &x->cond[g->first + i]);
done:
    return st;
}

/* Every prompt of an expert, by one load of the encoder. */
static rf_status encode_expert(rf_plan *p, rf_plan_expert *x, int encoder, void *staging,
                               const rf_callbacks *callbacks, rf_error *err)
{
    const rf_network network = encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L;
    rf_status        st = RF_OK;
    int              loaded = 0;
    for (int i = 0; i < x->groups; i++) {
        const rf_conditioning_group *g = &x->group[i];
        if (x->cond[g->first].zero) continue; /* memory comes zeroed */
        if (!loaded)
            RF_TRY(rf_load_reporting(p, x->expert, network, x->stage, staging, callbacks, err));
        loaded = 1;
        RF_TRY(encode_group(p, x, g, encoder, callbacks, err));
    }
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
