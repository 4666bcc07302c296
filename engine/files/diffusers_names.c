/* From the layout's names to diffusers'; see diffusers_names.h.
 *
 * A name is rewritten from its front: the block's number becomes block and layer, then a short list
 * of renamed leaves applies. */
#include "engine/files/diffusers_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_BYTES = 64 }; /* the front of a name in the making */

typedef struct renamed {
    const char *ours, *theirs;
} renamed;

const char *rf_diffusers_part(rf_part part)
{
    static const char *const folders[RF_PARTS] = {[RF_PART_UNET] = "unet",
                                                  [RF_PART_CLIP_L] = "text_encoder",
                                                  [RF_PART_CLIP_G] = "text_encoder_2",
                                                  [RF_PART_VAE] = "vae"};
    return folders[part];
}

/* What follows `front` in `name`; NULL if that is not how it begins. */
static const char *after(const char *name, const char *front)
{
    const size_t n = strlen(front);
    return strncmp(name, front, n) == 0 ? name + n : NULL;
}

/* The same of `front` and a number, "block.2.": what follows its dot. */
static const char *after_number(const char *name, const char *front, int *number)
{
    const char *digits = after(name, front);
    char       *end = NULL;
    if (!digits || *digits < '0' || *digits > '9') return NULL;
    const long value = strtol(digits, &end, 10);
    if (*end != '.' || value > 9999) return NULL;
    *number = (int)value;
    return end + 1;
}

/* `at` and the rest of `name` under its new front: the first of `list` that it begins with. */
static int rename_front(char *out, const char *at, const char *name, const renamed *list,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest = after(name, list[i].ours);
        if (!rest) continue;
        snprintf(out, RF_DIFFUSERS_NAME, "%s%s%s", at, list[i].theirs, rest);
        return 1;
    }
    return 0;
}

#define RENAME(out, at, name, list) rename_front(out, at, name, list, sizeof list / sizeof *list)

/* ---- UNet --------------------------------------------------------------------------------- */

static const renamed unet_ends[] = {
    {"time_embed.0.", "time_embedding.linear_1."},
    {"time_embed.2.", "time_embedding.linear_2."},
    {"label_emb.0.0.", "add_embedding.linear_1."},
    {"label_emb.0.2.", "add_embedding.linear_2."},
    {"input_blocks.0.0.", "conv_in."},
    {"out.0.", "conv_norm_out."},
    {"out.2.", "conv_out."},
};

static const renamed unet_res[] = {
    {"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
    {"emb_layers.1.", "time_emb_proj."}, {"out_layers.0.", "norm2."},
    {"out_layers.3.", "conv2."},         {"skip_connection.", "conv_shortcut."},
};

/* A module of a block: a residual block, a transformer, or a convolution that resizes. */
static int unet_module(char *out, const char *at, int layer, const char *module)
{
    char        inner[AT_BYTES + 32];
    const char *leaf = strchr(module, '.');
    if (!leaf) return 0;
    leaf++;
    if (after(leaf, "op.")) {
        snprintf(out, RF_DIFFUSERS_NAME, "%s.downsamplers.0.conv.%s", at, leaf + 3);
        return 1;
    }
    if (after(leaf, "conv.")) {
        snprintf(out, RF_DIFFUSERS_NAME, "%s.upsamplers.0.conv.%s", at, leaf + 5);
        return 1;
    }
    if (module[0] == '0') {
        snprintf(inner, sizeof inner, "%s.resnets.%d.", at, layer);
        return RENAME(out, inner, leaf, unet_res);
    }
    snprintf(out, RF_DIFFUSERS_NAME, "%s.attentions.%d.%s", at, layer, leaf);
    return 1;
}

static int unet_name(const rf_unet_arch *u, const char *name, char *out)
{
    char        at[AT_BYTES];
    int         index = 0;
    const int   layers = u->blocks + 1; /* going down, the last one resizes */
    const char *middle = after(name, "middle_block.");
    if (RENAME(out, "", name, unet_ends)) return 1;
    if (middle && middle[0] == '1')
        return snprintf(out, RF_DIFFUSERS_NAME, "mid_block.attentions.0.%s", middle + 2) > 0;
    if (middle) {
        snprintf(at, sizeof at, "mid_block.resnets.%d.", middle[0] == '0' ? 0 : 1);
        return RENAME(out, at, middle + 2, unet_res);
    }
    const char *down = after_number(name, "input_blocks.", &index);
    if (down) {
        snprintf(at, sizeof at, "down_blocks.%d", (index - 1) / layers);
        return unet_module(out, at, (index - 1) % layers, down);
    }
    const char *up = after_number(name, "output_blocks.", &index);
    if (!up) return 0;
    snprintf(at, sizeof at, "up_blocks.%d", index / layers);
    return unet_module(out, at, index % layers, up);
}

/* ---- text encoders ------------------------------------------------------------------------ */

static const renamed open_ends[] = {
    {"token_embedding.", "text_model.embeddings.token_embedding."},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.", "text_model.final_layer_norm."},
    {"text_projection", "text_projection.weight"},
};

static const renamed open_layer[] = {
    {"ln_1.", "layer_norm1."},
    {"ln_2.", "layer_norm2."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
    {"attn.out_proj.", "self_attn.out_proj."},
};

static int open_names(const rf_clip_arch *c, const char *name,
                      rf_diffusers_tensor out[RF_DIFFUSERS_PARTS])
{
    static const char parts[RF_DIFFUSERS_PARTS] = {'q', 'k', 'v'};
    char              at[AT_BYTES];
    int               layer = 0;
    if (strcmp(name, "text_projection") == 0) out[0].transposed = !c->projection_is_linear;
    if (strcmp(name, "text_projection.weight") == 0)
        return snprintf(out[0].name, RF_DIFFUSERS_NAME, "%s", name) > 0;
    if (RENAME(out[0].name, "", name, open_ends)) return 1;
    const char *rest = after_number(name, "transformer.resblocks.", &layer);
    if (!rest) return 0;
    snprintf(at, sizeof at, "text_model.encoder.layers.%d.", layer);
    if (RENAME(out[0].name, at, rest, open_layer)) return 1;
    const char *leaf = after(rest, "attn.in_proj_");
    if (!leaf) return 0;
    for (int i = 0; i < RF_DIFFUSERS_PARTS; i++)
        snprintf(out[i].name, RF_DIFFUSERS_NAME, "%sself_attn.%c_proj.%s", at, parts[i], leaf);
    return RF_DIFFUSERS_PARTS;
}

/* ---- VAE ---------------------------------------------------------------------------------- */

static const renamed vae_middle[] = {
    {"block_1.", "resnets.0."},
    {"block_2.", "resnets.1."},
    {"attn_1.norm.", "attentions.0.group_norm."},
    {"attn_1.q.", "attentions.0.to_q."},
    {"attn_1.k.", "attentions.0.to_k."},
    {"attn_1.v.", "attentions.0.to_v."},
    {"attn_1.proj_out.", "attentions.0.to_out.0."},
};

/* A residual block's leaf. */
static int vae_leaf(char *out, const char *at, const char *leaf)
{
    const char *shortcut = after(leaf, "nin_shortcut.");
    if (shortcut)
        snprintf(out, RF_DIFFUSERS_NAME, "%sconv_shortcut.%s", at, shortcut);
    else
        snprintf(out, RF_DIFFUSERS_NAME, "%s%s", at, leaf);
    return 1;
}

static int vae_name(const rf_vae_arch *v, const char *name, char *out)
{
    char        at[AT_BYTES], half[16];
    int         level = 0, block = 0;
    const char *dot = strchr(name, '.');
    const int   down = after(name, "encoder.") != NULL;
    if (!down && !after(name, "decoder.")) return snprintf(out, RF_DIFFUSERS_NAME, "%s", name) > 0;
    snprintf(half, sizeof half, "%.*s", (int)(dot - name), name);
    const char *rest = dot + 1, *middle = after(rest, "mid.");
    snprintf(at, sizeof at, "%s.mid_block.", half);
    if (middle) return RENAME(out, at, middle, vae_middle);
    if (after(rest, "norm_out."))
        return snprintf(out, RF_DIFFUSERS_NAME, "%s.conv_norm_out.%s", half, rest + 9) > 0;
    const char *module = after_number(rest, down ? "down." : "up.", &level);
    if (!module) return snprintf(out, RF_DIFFUSERS_NAME, "%s", name) > 0;
    const int   theirs = down ? level : v->levels - 1 - level;
    const char *way = down ? "down" : "up";
    const char *leaf = after_number(module, "block.", &block);
    if (leaf) {
        snprintf(at, sizeof at, "%s.%s_blocks.%d.resnets.%d.", half, way, theirs, block);
        return vae_leaf(out, at, leaf);
    }
    return snprintf(out, RF_DIFFUSERS_NAME, "%s.%s_blocks.%d.%ssamplers.0.%s", half, way, theirs,
                    way, strchr(module, '.') + 1) > 0;
}

/* ---- all ---------------------------------------------------------------------------------- */

int rf_diffusers_names(const rf_sdxl_arch *arch, const rf_layout_tensor *tensor,
                       rf_diffusers_tensor out[RF_DIFFUSERS_PARTS])
{
    const char *name = tensor->inner;
    memset(out, 0, RF_DIFFUSERS_PARTS * sizeof *out);
    if (tensor->optional) return 0;
    switch (tensor->part) {
    case RF_PART_UNET: return unet_name(&arch->unet, name, out[0].name);
    case RF_PART_CLIP_L: return snprintf(out[0].name, RF_DIFFUSERS_NAME, "text_model.%s", name) > 0;
    case RF_PART_CLIP_G: return open_names(&arch->clip_g, name, out);
    case RF_PART_VAE: return vae_name(&arch->vae, name, out[0].name);
    case RF_PARTS: break;
    }
    return 0;
}
