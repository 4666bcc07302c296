/* Sizes from shapes; see sdxl_derive.h.
 *
 * Files are hostile: every dim is bounded here before anything is computed from it, and every
 * count of blocks or layers has an end of its own. */
#include "engine/files/sdxl_derive.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/files/sdxl_layout.h"

enum {
    NAME_BYTES = 160,
    WIDTH_MAX = 2048,      /* 6 times SDXL's; keeps every product in an int */
    TEXT_WIDTH_MAX = 4096, /* 3 times bigG's */
    DEPTH_MAX = 64,        /* 6 times SDXL's */
    LAYERS_MAX = 64,       /* twice bigG's */
    MULT_MAX = 16,
    LATENT_MAX = 1024, /* only to be told in words */
    HEAD = 64,         /* of every SDXL network's attention */
    GROUPS = 32,       /* of every GroupNorm */
    VOCAB = 49408,
    POSITIONS = 77,
    EXPANSION = 4, /* time embedding over UNet width */
};

typedef struct source {
    const rf_tensors *list;
    const char       *what; /* it is */
    rf_error         *err;
} source;

/* The tensor whose name the format makes, or NULL. */
static const rf_tensor *find(const source *s, const char *format, ...)
{
    char    name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return rf_tensors_find(s->list, name);
}

/* Dim `axis` of tensor `name` of `ndim` dims; a multiple of `step`, `step` .. `max`. */
static rf_status size_of(const source *s, int *out, const char *name, int ndim, int axis, int step,
                         int max)
{
    char             shape[128];
    const rf_tensor *t = rf_tensors_find(s->list, name);
    if (!t)
        return rf_fail(s->err, RF_E_MODEL, "%s: %s without tensor %s", s->list->path, s->what,
                       name);
    if (t->ndim != ndim)
        return rf_fail(s->err, RF_E_MODEL, "%s: tensor %s has shape %s where %d dims are expected",
                       s->list->path, name, rf_tensor_shape_text(t, shape, sizeof shape), ndim);
    const int64_t dim = t->dim[axis];
    if (dim < step || dim > max || dim % step)
        return rf_fail(s->err, RF_E_MODEL,
                       "%s: tensor %s has shape %s; dim %d should be a multiple of %d up to %d",
                       s->list->path, name, rf_tensor_shape_text(t, shape, sizeof shape), axis,
                       step, max);
    *out = (int)dim;
    return RF_OK;
}

/* *out = size / width, which must be whole. */
static rf_status multiplier(const source *s, int *out, const char *name, int size, int width)
{
    *out = size / width;
    if (size % width == 0 && *out <= MULT_MAX) return RF_OK;
    return rf_fail(s->err, RF_E_MODEL, "%s: tensor %s has %d channels, no multiple of %d",
                   s->list->path, name, size, width);
}

static rf_status uneven(const source *s, const char *network, const char *what)
{
    return rf_fail(s->err, RF_E_MODEL, "%s: the %s has levels with different numbers of %s",
                   s->list->path, network, what);
}

/* ---- UNet --------------------------------------------------------------------------------- */

static int depth_of(const source *s, const char *block)
{
    int depth = 0;
    while (depth <= DEPTH_MAX &&
           find(s, RF_PREFIX_UNET "%s.1.transformer_blocks.%d.norm1.weight", block, depth))
        depth++;
    return depth;
}

/* One residual block of `level`, the `nth` of it: its width and depth. */
static rf_status unet_block(const source *s, rf_unet_arch *u, int index, int level, int nth)
{
    rf_status st = RF_OK;
    char      block[64], name[NAME_BYTES];
    int       size = 0, mult = 0;
    snprintf(block, sizeof block, "input_blocks.%d", index);
    snprintf(name, sizeof name, RF_PREFIX_UNET "%s.0.in_layers.2.weight", block);
    RF_TRY(size_of(s, &size, name, 4, 0, GROUPS, WIDTH_MAX * MULT_MAX));
    RF_TRY(multiplier(s, &mult, name, size, u->width));
    const int depth = depth_of(s, block);
    if (depth > DEPTH_MAX || (depth && size % HEAD))
        return rf_fail(s->err, RF_E_MODEL, "%s: UNet %s has %d channels and %d transformer blocks",
                       s->list->path, block, size, depth);
    if (nth == 0) {
        u->mult[level] = mult;
        u->depth[level] = depth;
    } else if (u->mult[level] != mult || u->depth[level] != depth) {
        st = rf_fail(s->err, RF_E_MODEL, "%s: UNet %s is unlike the other blocks of its level",
                     s->list->path, block);
    }
done:
    return st;
}

static rf_status unet_levels(const source *s, rf_unet_arch *u)
{
    rf_status st = RF_OK;
    int       level = 0, nth = 0;
    for (int i = 1;; i++) {
        const int down = find(s, RF_PREFIX_UNET "input_blocks.%d.0.op.weight", i) != NULL;
        if (!down && !find(s, RF_PREFIX_UNET "input_blocks.%d.0.in_layers.2.weight", i)) break;
        if (down) {
            if (level == 0) u->blocks = nth;
            if (nth != u->blocks) return uneven(s, "UNet", "residual blocks");
            nth = 0;
            if (++level == RF_LEVELS_MAX) return uneven(s, "UNet", "blocks, and too many of them");
            continue;
        }
        if (nth == RF_BLOCKS_MAX) return uneven(s, "UNet", "blocks, and too many of them");
        RF_TRY(unet_block(s, u, i, level, nth++));
    }
    if (level == 0) u->blocks = nth;
    if (nth == 0 || nth != u->blocks) return uneven(s, "UNet", "residual blocks");
    u->levels = level + 1;
done:
    return st;
}

/* Width of the text conditioning, from the middle block's cross-attention. */
static rf_status unet_context(const source *s, rf_unet_arch *u)
{
    static const char name[] =
        RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    rf_status st = RF_OK;
    u->middle_depth = depth_of(s, "middle_block");
    if (u->middle_depth > DEPTH_MAX || (u->width * u->mult[u->levels - 1]) % HEAD)
        return rf_fail(s->err, RF_E_MODEL, "%s: the UNet's middle block has %d transformer blocks",
                       s->list->path, u->middle_depth);
    RF_TRY(size_of(s, &u->context, name, 2, 1, 1, 2 * TEXT_WIDTH_MAX));
done:
    return st;
}

static rf_status derive_unet(const source *s, rf_unet_arch *u)
{
    static const char first[] = RF_PREFIX_UNET "input_blocks.0.0.weight";
    rf_status         st = RF_OK;
    u->head = HEAD;
    u->groups = GROUPS;
    RF_TRY(size_of(s, &u->width, first, 4, 0, GROUPS, WIDTH_MAX));
    RF_TRY(size_of(s, &u->in_channels, first, 4, 1, 1, 4));
    RF_TRY(size_of(s, &u->out_channels, RF_PREFIX_UNET "out.2.weight", 4, 0, 1, 4));
    RF_TRY(size_of(s, &u->time, RF_PREFIX_UNET "time_embed.0.weight", 2, 0, EXPANSION * u->width,
                   EXPANSION * u->width));
    RF_TRY(size_of(s, &u->vector, RF_PREFIX_UNET "label_emb.0.0.weight", 2, 1, 1,
                   TEXT_WIDTH_MAX + RF_VECTOR_NUMBERS * RF_NUMBER_WAVES));
    if (u->in_channels != 4 || u->out_channels != 4)
        return rf_fail(s->err, RF_E_MODEL,
                       "%s: the UNet takes %d channels and gives %d where SDXL's latent has 4",
                       s->list->path, u->in_channels, u->out_channels);
    RF_TRY(unet_levels(s, u));
    RF_TRY(unet_context(s, u));
done:
    return st;
}

/* ---- text encoders ------------------------------------------------------------------------ */

/* What an encoder's tensors are called behind its prefix: the token table, the position table, the
 * first layer's widening matrix, and the front and end of a name that every layer has. */
typedef struct clip_names {
    const char *table, *positions, *expand, *layer, *norm;
} clip_names;

static rf_status clip_size(const source *s, int *out, const char *prefix, const char *leaf,
                           int axis, int step, int max)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", prefix, leaf);
    return size_of(s, out, name, 2, axis, step, max);
}

static rf_status derive_clip(const source *s, rf_clip_arch *c, const char *prefix,
                             const clip_names *names)
{
    rf_status st = RF_OK;
    RF_TRY(clip_size(s, &c->vocab, prefix, names->table, 0, VOCAB, VOCAB));
    RF_TRY(clip_size(s, &c->width, prefix, names->table, 1, HEAD, TEXT_WIDTH_MAX));
    RF_TRY(clip_size(s, &c->positions, prefix, names->positions, 0, POSITIONS, POSITIONS));
    RF_TRY(clip_size(s, &c->mlp, prefix, names->expand, 0, 1, 4 * TEXT_WIDTH_MAX));
    c->heads = c->width / HEAD;
    while (c->layers <= LAYERS_MAX &&
           find(s, "%s%s%d%s", prefix, names->layer, c->layers, names->norm))
        c->layers++;
    /* SDXL reads the layer before the last one. */
    if (c->layers < 2 || c->layers > LAYERS_MAX)
        st = rf_fail(s->err, RF_E_MODEL, "%s: a text encoder of %d layers (%s%s)", s->list->path,
                     c->layers, prefix, names->table);
done:
    return st;
}

static rf_status derive_text(const source *s, rf_sdxl_arch *a)
{
    static const clip_names l = {
        "embeddings.token_embedding.weight", "embeddings.position_embedding.weight",
        "encoder.layers.0.mlp.fc1.weight", "encoder.layers.", ".layer_norm1.weight"};
    static const clip_names g = {"token_embedding.weight", "positional_embedding",
                                 "transformer.resblocks.0.mlp.c_fc.weight",
                                 "transformer.resblocks.", ".ln_1.weight"};
    rf_status               st = RF_OK;
    a->has_clip_l = !rf_sdxl_is_refiner(s->list);
    a->clip_g.kind = RF_CLIP_OPEN;
    const char *prefix = rf_part_prefix(a, RF_PART_CLIP_G);
    a->clip_l.kind = RF_CLIP_HF;
    if (a->has_clip_l) RF_TRY(derive_clip(s, &a->clip_l, RF_PREFIX_CLIP_L, &l));
    RF_TRY(derive_clip(s, &a->clip_g, prefix, &g));
    a->clip_g.projection_is_linear = find(s, "%stext_projection", prefix) == NULL &&
                                     find(s, "%stext_projection.weight", prefix) != NULL;
    RF_TRY(clip_size(s, &a->clip_g.projection, prefix,
                     a->clip_g.projection_is_linear ? "text_projection.weight" : "text_projection",
                     !a->clip_g.projection_is_linear, 1, TEXT_WIDTH_MAX));
done:
    return st;
}

/* ---- VAE ---------------------------------------------------------------------------------- */

/* SDXL's has both halves, and a VAE that only decodes one of them: sizes are read off whichever is
 * there.  The decoder has one residual block more a level. */
static rf_status derive_vae(const source *s, rf_vae_arch *v)
{
    const int   both = find(s, RF_PREFIX_VAE "encoder.conv_in.weight") != NULL;
    const char *block = both ? RF_PREFIX_VAE "encoder.down" : RF_PREFIX_VAE "decoder.up";
    rf_status   st = RF_OK;
    char        name[NAME_BYTES];
    int         size = 0;
    v->groups = GROUPS;
    RF_TRY(size_of(s, &v->z, RF_PREFIX_VAE "decoder.conv_in.weight", 4, 1, 1, LATENT_MAX));
    if (v->z != 4)
        return rf_fail(s->err, RF_E_MODEL,
                       "%s: a VAE of %d latent channels, where SDXL's has 4 (Stable Diffusion 3's "
                       "and Flux's have 16)",
                       s->list->path, v->z);
    if (both)
        RF_TRY(
            size_of(s, &v->width, RF_PREFIX_VAE "encoder.conv_in.weight", 4, 0, GROUPS, WIDTH_MAX));
    else
        RF_TRY(size_of(s, &v->width, RF_PREFIX_VAE "decoder.conv_out.weight", 4, 1, GROUPS,
                       WIDTH_MAX));
    for (;; v->levels++) {
        snprintf(name, sizeof name, "%s.%d.block.0.conv1.weight", block, v->levels);
        if (!rf_tensors_find(s->list, name)) break;
        if (v->levels == RF_LEVELS_MAX) return uneven(s, "VAE", "blocks, and too many of them");
        RF_TRY(size_of(s, &size, name, 4, 0, GROUPS, WIDTH_MAX * MULT_MAX));
        RF_TRY(multiplier(s, &v->mult[v->levels], name, size, v->width));
    }
    while (v->blocks <= RF_BLOCKS_MAX + 1 &&
           find(s, "%s.0.block.%d.conv1.weight", block, v->blocks))
        v->blocks++;
    v->blocks -= !both;
    if (v->blocks < 1 || v->blocks > RF_BLOCKS_MAX || v->levels != 4)
        st = rf_fail(s->err, RF_E_MODEL,
                     "%s: a VAE of %d levels and %d blocks where SDXL's has 4 levels (it makes 8 "
                     "by 8 pixels of a latent)",
                     s->list->path, v->levels, v->blocks);
done:
    return st;
}

rf_status rf_vae_derive(rf_vae_arch *out, const rf_tensors *list, rf_error *err)
{
    const source s = {.list = list, .what = "a VAE", .err = err};
    *out = (rf_vae_arch){0};
    return derive_vae(&s, out);
}

/* 1 if any weight stands under the VAE's prefix; what its training left behind is none. */
static int has_vae(const rf_tensors *list)
{
    const size_t front = strlen(RF_PREFIX_VAE);
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->item[i].name;
        if (strncmp(name, RF_PREFIX_VAE, front) == 0 && strncmp(name + front, "loss.", 5) != 0 &&
            strncmp(name + front, "model_ema.", 10) != 0)
            return 1;
    }
    return 0;
}

int rf_sdxl_is_refiner(const rf_tensors *list)
{
    return !rf_tensors_find(list, RF_PREFIX_CLIP_G "ln_final.weight") &&
           rf_tensors_find(list, RF_PREFIX_REFINER_CLIP_G "ln_final.weight");
}

static rf_status check_together(const rf_sdxl_arch *a, const rf_tensors *list, rf_error *err)
{
    const int numbers = rf_sdxl_numbers(a) * RF_NUMBER_WAVES;
    if (a->unet.context != a->clip_l.width + a->clip_g.width)
        return rf_fail(err, RF_E_MODEL,
                       "%s: the UNet expects text of width %d, the text encoders give %d and %d",
                       list->path, a->unet.context, a->clip_l.width, a->clip_g.width);
    if (a->unet.vector != a->clip_g.projection + numbers)
        return rf_fail(err, RF_E_MODEL,
                       "%s: the UNet expects a vector of %d numbers, the text encoder gives %d "
                       "and %s %d",
                       list->path, a->unet.vector, a->clip_g.projection,
                       a->has_clip_l ? "the picture's sizes" : "sizes and aesthetic score",
                       numbers);
    return RF_OK;
}

rf_status rf_sdxl_derive(rf_sdxl_arch *out, const rf_tensors *list, rf_error *err)
{
    rf_status    st = RF_OK;
    rf_sdxl_arch a = {0};
    const source s = {.list = list, .what = "an SDXL checkpoint", .err = err};
    *out = a;
    RF_TRY(derive_unet(&s, &a.unet));
    RF_TRY(derive_text(&s, &a));
    a.has_vae = has_vae(list);
    if (a.has_vae) RF_TRY(derive_vae(&s, &a.vae));
    RF_TRY(check_together(&a, list, err));
    *out = a;
done:
    return st;
}
