/* The enumeration; see sdxl_layout.h.
 *
 * The first error sticks in the emitter, so that the functions below read as a plain list of what
 * a network holds. */
#include "engine/files/sdxl_layout.h"

#include <stdio.h>
#include <string.h>

typedef struct emitter {
    rf_layout_fn *fn;
    void         *user;
    rf_part       part;
    const char   *prefix; /* the part's */
    rf_status     st;
} emitter;

const char *rf_part_name(rf_part part)
{
    static const char *const names[RF_PARTS] = {[RF_PART_UNET] = "UNet",
                                                [RF_PART_CLIP_L] = "CLIP-L",
                                                [RF_PART_CLIP_G] = "OpenCLIP bigG",
                                                [RF_PART_VAE] = "VAE"};
    return names[part];
}

const char *rf_part_prefix(const rf_sdxl_arch *arch, rf_part part)
{
    static const char *const prefixes[RF_PARTS] = {[RF_PART_UNET] = RF_PREFIX_UNET,
                                                   [RF_PART_CLIP_L] = RF_PREFIX_CLIP_L,
                                                   [RF_PART_CLIP_G] = RF_PREFIX_CLIP_G,
                                                   [RF_PART_VAE] = RF_PREFIX_VAE};
    if (part == RF_PART_CLIP_G && !arch->has_clip_l) return RF_PREFIX_REFINER_CLIP_G;
    return prefixes[part];
}

/* Buffers for names in the making, each longer than what goes into it; the longest name that
 * comes out has about 100 bytes. */
enum { BLOCK_BYTES = 64, AT_BYTES = 80, INNER_BYTES = 128, DEEP_BYTES = 160, NAME_BYTES = 320 };

/* Emits `t` under the part's prefix, `at` and `leaf`. */
static void emit(emitter *e, const char *at, const char *leaf, rf_layout_tensor t)
{
    char name[NAME_BYTES];
    if (e->st != RF_OK) return;
    snprintf(name, sizeof name, "%s%s%s", e->prefix, at, leaf);
    t.name = name;
    t.inner = name + strlen(e->prefix);
    t.part = e->part;
    e->st = e->fn(e->user, &t);
}

static void vector(emitter *e, rf_role role, const char *at, const char *leaf, int64_t c)
{
    emit(e, at, leaf, (rf_layout_tensor){.role = role, .ndim = 1, .dim = {c}});
}

static void matrix(emitter *e, rf_role role, const char *at, const char *leaf, int64_t rows,
                   int64_t columns)
{
    emit(e, at, leaf, (rf_layout_tensor){.role = role, .ndim = 2, .dim = {rows, columns}});
}

/* Weight and bias of the layer `at` `name`. */
static void biased(emitter *e, const char *at, const char *name, rf_layout_tensor weight)
{
    char leaf[INNER_BYTES];
    snprintf(leaf, sizeof leaf, "%s.weight", name);
    emit(e, at, leaf, weight);
    snprintf(leaf, sizeof leaf, "%s.bias", name);
    vector(e, RF_ROLE_BIAS, at, leaf, weight.dim[0]);
}

static void norm(emitter *e, const char *at, const char *name, int64_t c)
{
    biased(e, at, name, (rf_layout_tensor){.role = RF_ROLE_NORM, .ndim = 1, .dim = {c}});
}

static void linear(emitter *e, rf_role role, const char *at, const char *name, int64_t outputs,
                   int64_t inputs)
{
    biased(e, at, name, (rf_layout_tensor){.role = role, .ndim = 2, .dim = {outputs, inputs}});
}

static void conv(emitter *e, rf_role role, const char *at, const char *name, int64_t outputs,
                 int64_t inputs, int size)
{
    biased(e, at, name,
           (rf_layout_tensor){.role = role, .ndim = 4, .dim = {outputs, inputs, size, size}});
}

/* ---- UNet --------------------------------------------------------------------------------- */

static void unet_resblock(emitter *e, const rf_unet_arch *u, const char *block, int64_t inputs,
                          int64_t outputs)
{
    char at[AT_BYTES];
    snprintf(at, sizeof at, "%s.", block);
    norm(e, at, "in_layers.0", inputs);
    conv(e, RF_ROLE_WEIGHT, at, "in_layers.2", outputs, inputs, 3);
    linear(e, RF_ROLE_WEIGHT, at, "emb_layers.1", outputs, u->time);
    norm(e, at, "out_layers.0", outputs);
    conv(e, RF_ROLE_RESIDUAL, at, "out_layers.3", outputs, outputs, 3);
    if (inputs != outputs) conv(e, RF_ROLE_WEIGHT, at, "skip_connection", outputs, inputs, 1);
}

/* `keys`: width of what keys and values are made from. */
static void unet_attention(emitter *e, const char *block, const char *name, int64_t c, int64_t keys)
{
    char at[DEEP_BYTES];
    snprintf(at, sizeof at, "%s%s.", block, name);
    matrix(e, RF_ROLE_WEIGHT, at, "to_q.weight", c, c);
    matrix(e, RF_ROLE_WEIGHT, at, "to_k.weight", c, keys);
    matrix(e, RF_ROLE_WEIGHT, at, "to_v.weight", c, keys);
    linear(e, RF_ROLE_RESIDUAL, at, "to_out.0", c, c);
}

static void unet_transformer(emitter *e, const rf_unet_arch *u, const char *block, int64_t c,
                             int depth)
{
    const rf_layout_tensor in = {.role = RF_ROLE_WEIGHT, .ndim = 2, .dim = {c, c}, .pointwise = 1};
    const rf_layout_tensor out = {
        .role = RF_ROLE_RESIDUAL, .ndim = 2, .dim = {c, c}, .pointwise = 1};
    char at[AT_BYTES], inner[INNER_BYTES];
    snprintf(at, sizeof at, "%s.", block);
    norm(e, at, "norm", c);
    biased(e, at, "proj_in", in);
    for (int i = 0; i < depth; i++) {
        snprintf(inner, sizeof inner, "%stransformer_blocks.%d.", at, i);
        norm(e, inner, "norm1", c);
        unet_attention(e, inner, "attn1", c, c);
        norm(e, inner, "norm2", c);
        unet_attention(e, inner, "attn2", c, u->context);
        norm(e, inner, "norm3", c);
        linear(e, RF_ROLE_WEIGHT, inner, "ff.net.0.proj", 8 * c, c); /* value and gate */
        linear(e, RF_ROLE_RESIDUAL, inner, "ff.net.2", c, 4 * c);
    }
    biased(e, at, "proj_out", out);
}

/* Going down; leaves the channels of every skip in skips[*count]. */
static void unet_inputs(emitter *e, const rf_unet_arch *u, int64_t *skips, int *count)
{
    char    at[BLOCK_BYTES];
    int     i = 0;
    int64_t c = u->width;
    conv(e, RF_ROLE_WEIGHT, "", "input_blocks.0.0", c, u->in_channels, 3);
    skips[i++] = c;
    for (int level = 0; level < u->levels; level++) {
        const int64_t outputs = (int64_t)u->width * u->mult[level];
        for (int block = 0; block < u->blocks; block++) {
            snprintf(at, sizeof at, "input_blocks.%d.0", i);
            unet_resblock(e, u, at, c, outputs);
            snprintf(at, sizeof at, "input_blocks.%d.1", i);
            if (u->depth[level]) unet_transformer(e, u, at, outputs, u->depth[level]);
            skips[i++] = c = outputs;
        }
        if (level == u->levels - 1) break;
        snprintf(at, sizeof at, "input_blocks.%d.0.op", i);
        conv(e, RF_ROLE_WEIGHT, "", at, c, c, 3);
        skips[i++] = c;
    }
    *count = i;
}

static void unet_outputs(emitter *e, const rf_unet_arch *u, const int64_t *skips, int count)
{
    char    at[BLOCK_BYTES];
    int     i = 0;
    int64_t c = (int64_t)u->width * u->mult[u->levels - 1];
    for (int level = u->levels - 1; level >= 0; level--) {
        const int64_t outputs = (int64_t)u->width * u->mult[level];
        for (int block = 0; block <= u->blocks; block++, i++) {
            snprintf(at, sizeof at, "output_blocks.%d.0", i);
            unet_resblock(e, u, at, c + skips[--count], outputs);
            c = outputs;
            snprintf(at, sizeof at, "output_blocks.%d.1", i);
            if (u->depth[level]) unet_transformer(e, u, at, c, u->depth[level]);
            if (level == 0 || block < u->blocks) continue;
            snprintf(at, sizeof at, "output_blocks.%d.%d.conv", i, u->depth[level] ? 2 : 1);
            conv(e, RF_ROLE_WEIGHT, "", at, c, c, 3);
        }
    }
}

static void unet(emitter *e, const rf_unet_arch *u)
{
    int64_t       skips[RF_LEVELS_MAX * (RF_BLOCKS_MAX + 1) + 1];
    int           count = 0;
    const int64_t middle = (int64_t)u->width * u->mult[u->levels - 1];
    linear(e, RF_ROLE_WEIGHT, "", "time_embed.0", u->time, u->width);
    linear(e, RF_ROLE_WEIGHT, "", "time_embed.2", u->time, u->time);
    linear(e, RF_ROLE_WEIGHT, "", "label_emb.0.0", u->time, u->vector);
    linear(e, RF_ROLE_WEIGHT, "", "label_emb.0.2", u->time, u->time);
    unet_inputs(e, u, skips, &count);
    unet_resblock(e, u, "middle_block.0", middle, middle);
    unet_transformer(e, u, "middle_block.1", middle, u->middle_depth);
    unet_resblock(e, u, "middle_block.2", middle, middle);
    unet_outputs(e, u, skips, count);
    norm(e, "", "out.0", u->width * (int64_t)u->mult[0]);
    conv(e, RF_ROLE_WEIGHT, "", "out.2", u->out_channels, u->width * (int64_t)u->mult[0], 3);
}

/* ---- text encoders ------------------------------------------------------------------------ */

static void clip_l(emitter *e, const rf_clip_arch *c)
{
    char at[BLOCK_BYTES];
    emit(e, "", "embeddings.position_ids",
         (rf_layout_tensor){
             .role = RF_ROLE_POSITION_IDS, .ndim = 2, .dim = {1, c->positions}, .optional = 1});
    matrix(e, RF_ROLE_EMBEDDING, "", "embeddings.token_embedding.weight", c->vocab, c->width);
    matrix(e, RF_ROLE_EMBEDDING, "", "embeddings.position_embedding.weight", c->positions,
           c->width);
    for (int i = 0; i < c->layers; i++) {
        snprintf(at, sizeof at, "encoder.layers.%d.", i);
        norm(e, at, "layer_norm1", c->width);
        linear(e, RF_ROLE_WEIGHT, at, "self_attn.q_proj", c->width, c->width);
        linear(e, RF_ROLE_WEIGHT, at, "self_attn.k_proj", c->width, c->width);
        linear(e, RF_ROLE_WEIGHT, at, "self_attn.v_proj", c->width, c->width);
        linear(e, RF_ROLE_RESIDUAL, at, "self_attn.out_proj", c->width, c->width);
        norm(e, at, "layer_norm2", c->width);
        linear(e, RF_ROLE_WEIGHT, at, "mlp.fc1", c->mlp, c->width);
        linear(e, RF_ROLE_RESIDUAL, at, "mlp.fc2", c->width, c->mlp);
    }
    norm(e, "", "final_layer_norm", c->width);
}

static void clip_g(emitter *e, const rf_clip_arch *c)
{
    char                   at[BLOCK_BYTES];
    const rf_layout_tensor projection = {
        .role = RF_ROLE_WEIGHT, .ndim = 2, .dim = {c->width, c->projection}, .transposed = 1};
    matrix(e, RF_ROLE_EMBEDDING, "", "token_embedding.weight", c->vocab, c->width);
    matrix(e, RF_ROLE_EMBEDDING, "", "positional_embedding", c->positions, c->width);
    for (int i = 0; i < c->layers; i++) {
        snprintf(at, sizeof at, "transformer.resblocks.%d.", i);
        norm(e, at, "ln_1", c->width);
        matrix(e, RF_ROLE_WEIGHT, at, "attn.in_proj_weight", 3 * (int64_t)c->width, c->width);
        vector(e, RF_ROLE_BIAS, at, "attn.in_proj_bias", 3 * (int64_t)c->width);
        linear(e, RF_ROLE_RESIDUAL, at, "attn.out_proj", c->width, c->width);
        norm(e, at, "ln_2", c->width);
        linear(e, RF_ROLE_WEIGHT, at, "mlp.c_fc", c->mlp, c->width);
        linear(e, RF_ROLE_RESIDUAL, at, "mlp.c_proj", c->width, c->mlp);
    }
    norm(e, "", "ln_final", c->width);
    if (c->projection_is_linear)
        matrix(e, RF_ROLE_WEIGHT, "", "text_projection.weight", c->projection, c->width);
    else
        emit(e, "", "text_projection", projection);
    emit(e, "", "logit_scale", (rf_layout_tensor){.role = RF_ROLE_LOGIT_SCALE, .optional = 1});
}

/* ---- VAE ---------------------------------------------------------------------------------- */

static void vae_resblock(emitter *e, const char *block, int64_t inputs, int64_t outputs)
{
    char at[AT_BYTES];
    snprintf(at, sizeof at, "%s.", block);
    norm(e, at, "norm1", inputs);
    conv(e, RF_ROLE_WEIGHT, at, "conv1", outputs, inputs, 3);
    norm(e, at, "norm2", outputs);
    conv(e, RF_ROLE_RESIDUAL, at, "conv2", outputs, outputs, 3);
    if (inputs != outputs) conv(e, RF_ROLE_WEIGHT, at, "nin_shortcut", outputs, inputs, 1);
}

/* `half`: "encoder" or "decoder". */
static void vae_middle(emitter *e, const char *half, int64_t c)
{
    static const char *const names[] = {"q", "k", "v", "proj_out"};
    char                     at[BLOCK_BYTES];
    snprintf(at, sizeof at, "%s.mid.block_1", half);
    vae_resblock(e, at, c, c);
    snprintf(at, sizeof at, "%s.mid.attn_1.", half);
    norm(e, at, "norm", c);
    for (int i = 0; i < 4; i++)
        biased(e, at, names[i],
               (rf_layout_tensor){.role = i == 3 ? RF_ROLE_RESIDUAL : RF_ROLE_WEIGHT,
                                  .ndim = 4,
                                  .dim = {c, c, 1, 1},
                                  .pointwise = 1});
    snprintf(at, sizeof at, "%s.mid.block_2", half);
    vae_resblock(e, at, c, c);
}

static void vae_encoder(emitter *e, const rf_vae_arch *v)
{
    char    at[BLOCK_BYTES];
    int64_t c = v->width;
    conv(e, RF_ROLE_WEIGHT, "encoder.", "conv_in", c, 3, 3);
    for (int level = 0; level < v->levels; level++) {
        const int64_t outputs = (int64_t)v->width * v->mult[level];
        for (int block = 0; block < v->blocks; block++, c = outputs) {
            snprintf(at, sizeof at, "encoder.down.%d.block.%d", level, block);
            vae_resblock(e, at, c, outputs);
        }
        if (level == v->levels - 1) break;
        snprintf(at, sizeof at, "encoder.down.%d.", level);
        conv(e, RF_ROLE_WEIGHT, at, "downsample.conv", c, c, 3);
    }
    vae_middle(e, "encoder", c);
    norm(e, "encoder.", "norm_out", c);
    conv(e, RF_ROLE_WEIGHT, "encoder.", "conv_out", 2 * (int64_t)v->z, c, 3);
}

static void vae_decoder(emitter *e, const rf_vae_arch *v)
{
    char    at[BLOCK_BYTES];
    int64_t c = (int64_t)v->width * v->mult[v->levels - 1];
    conv(e, RF_ROLE_WEIGHT, "decoder.", "conv_in", c, v->z, 3);
    vae_middle(e, "decoder", c);
    for (int level = v->levels - 1; level >= 0; level--) {
        const int64_t outputs = (int64_t)v->width * v->mult[level];
        for (int block = 0; block <= v->blocks; block++, c = outputs) {
            snprintf(at, sizeof at, "decoder.up.%d.block.%d", level, block);
            vae_resblock(e, at, c, outputs);
        }
        if (level == 0) break;
        snprintf(at, sizeof at, "decoder.up.%d.", level);
        conv(e, RF_ROLE_WEIGHT, at, "upsample.conv", c, c, 3);
    }
    norm(e, "decoder.", "norm_out", c);
    conv(e, RF_ROLE_WEIGHT, "decoder.", "conv_out", 3, c, 3);
}

static void vae(emitter *e, const rf_vae_arch *v)
{
    vae_encoder(e, v);
    conv(e, RF_ROLE_WEIGHT, "", "quant_conv", 2 * (int64_t)v->z, 2 * (int64_t)v->z, 1);
    conv(e, RF_ROLE_WEIGHT, "", "post_quant_conv", v->z, v->z, 1);
    vae_decoder(e, v);
}

rf_status rf_sdxl_layout_part(const rf_sdxl_arch *arch, rf_part part, rf_layout_fn *fn, void *user)
{
    emitter e = {.fn = fn, .user = user, .part = part, .prefix = rf_part_prefix(arch, part)};
    switch (part) {
    case RF_PART_UNET: unet(&e, &arch->unet); break;
    case RF_PART_CLIP_L: clip_l(&e, &arch->clip_l); break;
    case RF_PART_CLIP_G: clip_g(&e, &arch->clip_g); break;
    case RF_PART_VAE: vae(&e, &arch->vae); break;
    case RF_PARTS: break;
    }
    return e.st;
}

rf_status rf_sdxl_layout(const rf_sdxl_arch *arch, rf_layout_fn *fn, void *user)
{
    const int has[RF_PARTS] = {[RF_PART_UNET] = 1,
                               [RF_PART_CLIP_L] = arch->has_clip_l,
                               [RF_PART_CLIP_G] = 1,
                               [RF_PART_VAE] = arch->has_vae};
    rf_status st = RF_OK;
    for (int part = 0; part < RF_PARTS && st == RF_OK; part++)
        if (has[part]) st = rf_sdxl_layout_part(arch, (rf_part)part, fn, user);
    return st;
}
