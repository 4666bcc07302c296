/* Pre-norm transformer with a causal mask; see clip.h. */
#include "engine/model/clip.h"

#include <math.h>

#include "engine/core/tokens.h"

static const float epsilon = 1e-5f;

/* The layers' names in the two spellings. */
typedef struct spelling {
    const char   *layers; /* the list of layers */
    const char   *norm1, *norm2, *final_norm;
    rf_gemm_layer qkv;
    const char   *out, *up, *down;
    const char   *tokens, *positions;
    rf_act        act;
} spelling;

static const spelling spellings[] = {
    [RF_CLIP_HF] =
        {
            .layers = "encoder.layers",
            .norm1 = "layer_norm1",
            .norm2 = "layer_norm2",
            .final_norm = "final_layer_norm",
            .qkv = {.weight = {"self_attn.q_proj.weight", "self_attn.k_proj.weight",
                               "self_attn.v_proj.weight"},
                    .bias = {"self_attn.q_proj.bias", "self_attn.k_proj.bias",
                             "self_attn.v_proj.bias"}},
            .out = "self_attn.out_proj",
            .up = "mlp.fc1",
            .down = "mlp.fc2",
            .tokens = "embeddings.token_embedding.weight",
            .positions = "embeddings.position_embedding.weight",
            .act = RF_ACT_QUICK_GELU,
        },
    [RF_CLIP_OPEN] =
        {
            .layers = "transformer.resblocks",
            .norm1 = "ln_1",
            .norm2 = "ln_2",
            .final_norm = "ln_final",
            .qkv = {.weight = {"attn.in_proj_weight"}, .bias = {"attn.in_proj_bias"}},
            .out = "attn.out_proj",
            .up = "mlp.c_fc",
            .down = "mlp.c_proj",
            .tokens = "token_embedding.weight",
            .positions = "positional_embedding",
            .act = RF_ACT_GELU,
        },
};

static void norm(rf_recorder *r, void *y, const void *x, int m, int c, const char *name)
{
    rf_do_layernorm(r, (rf_layernorm_args){.y = y, .x = x, .m = m, .c = c, .eps = epsilon}, name);
}

/* x [chunks * 77, c] in place; `t` is a buffer of the same size. */
static void layer(rf_recorder *r, const rf_clip_arch *a, const spelling *s, void *x, void *t,
                  int chunks, int index)
{
    const int    c = a->width, seq = RF_TOKENS_PER_CHUNK, m = chunks * seq;
    const size_t mark = rf_enter(r, "%s.%d", s->layers, index);

    void *qkv = rf_take(r, (size_t)m * 3 * (size_t)c);
    norm(r, t, x, m, c, s->norm1);
    rf_do_gemm(r, (rf_gemm_args){.y = qkv, .x = t, .m = m, .n = 3 * c, .k = c}, &s->qkv);
    rf_do_attention(r,
                    (rf_attention_args){.o = t,
                                        .q = qkv,
                                        .k = rf_offset(r, qkv, (size_t)c),
                                        .v = rf_offset(r, qkv, 2 * (size_t)c),
                                        .n = chunks,
                                        .sq = seq,
                                        .skv = seq,
                                        .heads = a->heads,
                                        .d = c / a->heads,
                                        .q_stride = 3 * c,
                                        .kv_stride = 3 * c,
                                        .o_stride = c,
                                        .scale = (float)(1.0 / sqrt((double)c / a->heads)),
                                        .causal = 1},
                    "attention");
    rf_do_linear(r, (rf_gemm_args){.y = x, .x = t, .residual = x, .m = m, .n = c, .k = c}, s->out);
    rf_give(r, qkv);

    void *wide = rf_take(r, (size_t)m * (size_t)a->mlp);
    norm(r, t, x, m, c, s->norm2);
    rf_do_linear(r, (rf_gemm_args){.y = wide, .x = t, .m = m, .n = a->mlp, .k = c, .act = s->act},
                 s->up);
    rf_do_linear(r, (rf_gemm_args){.y = x, .x = wide, .residual = x, .m = m, .n = c, .k = a->mlp},
                 s->down);
    rf_give(r, wide);
    rf_leave(r, mark);
}

/* Copies by a one-term combination: hidden must survive the last layer, which works in place. */
static void copy(rf_recorder *r, void *y, const void *x, int m, int c)
{
    static const float one = 1;
    rf_do_lincomb(r,
                  (rf_lincomb_args){.y = y,
                                    .x = {x},
                                    .coef = &one,
                                    .xdtype = {r->dtype},
                                    .n = 1,
                                    .e = m * c,
                                    .terms = 1,
                                    .ydtype = r->dtype},
                  "copy");
}

void rf_clip_forward(rf_recorder *r, const void *arg)
{
    const rf_clip_args *a = arg;
    const rf_clip_arch *arch = a->arch;
    const spelling     *s = &spellings[arch->kind];
    const int           c = arch->width, seq = RF_TOKENS_PER_CHUNK, m = a->chunks * seq;
    void               *t = rf_take(r, (size_t)m * (size_t)c);

    rf_do_embedding(r,
                    (rf_embedding_args){.y = a->hidden,
                                        .id = a->id,
                                        .extra = a->extra,
                                        .m = m,
                                        .c = c,
                                        .vocab = arch->vocab,
                                        .extras = a->extras,
                                        .seq = seq},
                    s->tokens, s->positions);
    for (int i = 0; i < a->depth; i++) layer(r, arch, s, a->hidden, t, a->chunks, i);

    if (arch->projection) {
        const int pooled = a->prompts * seq;
        void     *last = rf_take(r, (size_t)pooled * (size_t)c);
        copy(r, last, a->hidden, pooled, c);
        layer(r, arch, s, last, t, a->prompts, arch->layers - 1);
        norm(r, t, last, pooled, c, s->final_norm);
        rf_do_gemm(
            r, (rf_gemm_args){.y = a->pooled, .x = t, .m = pooled, .n = arch->projection, .k = c},
            &(rf_gemm_layer){.weight = {arch->projection_is_linear ? "text_projection.weight"
                                                                   : "text_projection"},
                             .transpose = !arch->projection_is_linear});
        rf_give(r, last);
    }
    rf_give(r, t);
}
