/* Text to conditioning: every prompt through its own expert's encoders, one encoder in memory at a
 * time.
 *
 * context = penultimate states of CLIP-L and bigG side by side; pooled = bigG's projection at the
 * first end token of the first chunk (Podell et al. 2023, section 2.1). */
#include <string.h>

#include "engine/model/clip.h"
#include "engine/relay/plan.h"

/* Where the pooled vector stands: the first end token. */
static int first_end(const rf_tokens *tokens)
{
    for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++)
        if (tokens->id[i] == RF_TOKEN_END) return i;
    return RF_TOKENS_PER_CHUNK - 1;
}

/* One prompt through one encoder, into its columns of the context. */
static rf_status encode_prompt(rf_plan *p, rf_active_stage *a, rf_prompt *prompt, int encoder,
                               rf_error *err)
{
    rf_expert          *e = a->expert;
    rf_device          *device = &p->engine->device;
    const rf_tokens    *tokens = &prompt->tokens[encoder];
    const int           g = encoder == RF_ENCODER_G;
    const rf_clip_arch *arch = g ? &e->arch.clip_g : &e->arch.clip_l;
    const size_t        rows = (size_t)tokens->chunks * RF_TOKENS_PER_CHUNK;
    const size_t        bytes = rf_dtype_bytes(p->engine->dtype);
    const rf_clip_args  args = {.arch = arch,
                                .id = p->token_ids,
                                .hidden = p->hidden,
                                .pooled = p->pooled_rows,
                                .chunks = tokens->chunks};
    rf_status           st = RF_OK;

    RF_TRY(rf_record_place(device, &e->weights[g ? RF_NET_CLIP_G : RF_NET_CLIP_L], 0,
                           rf_clip_forward, &args, p->slab, p->slab_bytes, &p->scratch, err));
    memcpy(p->token_ids, tokens->id, rows * sizeof *tokens->id);
    RF_TRY(rf_program_run(&p->scratch, device, err));

    const size_t to = (size_t)e->arch.unet.context * bytes, from = (size_t)arch->width * bytes;
    const size_t left = g ? (size_t)e->arch.clip_l.width * bytes : 0;
    for (size_t row = 0; row < rows; row++)
        memcpy((char *)prompt->context + row * to + left, (const char *)p->hidden + row * from,
               from);
    if (g) {
        const size_t pooled = (size_t)arch->projection * bytes;
        memcpy(prompt->pooled, (const char *)p->pooled_rows + (size_t)first_end(tokens) * pooled,
               pooled);
    }
done:
    return st;
}

/* Every prompt that uses this expert; stages with one expert share a load. */
static rf_status encode_expert(rf_plan *p, rf_expert *e, int first, int encoder, void *staging,
                               const rf_callbacks *callbacks, rf_error *err)
{
    const rf_network network = encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L;
    rf_status        st = RF_OK;
    int              loaded = 0;
    for (int i = first; i < p->active_count; i++) {
        rf_active_stage *a = &p->active[i];
        if (a->expert != e) continue;
        for (int j = 0; j < a->polarities; j++) {
            if (a->prompt[j].same || a->prompt[j].zero) continue; /* memory comes zeroed */
            if (!loaded)
                RF_TRY(rf_load_reporting(p, e, network, a->index, staging, callbacks, err));
            loaded = 1;
            const rf_progress progress = {.phase = RF_PHASE_ENCODE,
                                          .stage = a->index,
                                          .expert = e->name,
                                          .done = encoder,
                                          .total = RF_ENCODERS};
            RF_TRY(rf_report(callbacks, &progress, err));
            RF_TRY(encode_prompt(p, a, &a->prompt[j], encoder, err));
        }
    }
done:
    rf_expert_unload(e, network);
    return st;
}

rf_status rf_plan_encode(rf_plan *p, void *staging, const rf_callbacks *callbacks, rf_error *err)
{
    for (int i = 0; i < p->active_count; i++) {
        int seen = 0;
        for (int j = 0; j < i; j++) seen |= p->active[j].expert == p->active[i].expert;
        if (seen) continue;
        for (int encoder = 0; encoder < RF_ENCODERS; encoder++) {
            const rf_status st =
                encode_expert(p, p->active[i].expert, i, encoder, staging, callbacks, err);
            if (st != RF_OK) return st;
        }
    }
    p->encoded = 1;
    return RF_OK;
}
