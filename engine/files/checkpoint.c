/* The check of a checkpoint against the layout of its own sizes; see checkpoint.h. */
#include "engine/files/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/sdxl_derive.h"

typedef struct check {
    const rf_tensors *list;
    rf_error         *err;
    unsigned char    *known; /* [list->count]: named by the layout */
    size_t            missing;
    char              first_missing[192];
} check;

static int same_shape(const rf_tensor *t, const rf_layout_tensor *want)
{
    const int longer = t->ndim > want->ndim ? t->ndim : want->ndim;
    if (t->ndim != want->ndim && !want->pointwise) return 0;
    for (int i = 0; i < longer; i++) {
        const int64_t have = i < t->ndim ? t->dim[i] : 1;
        if (have != (i < want->ndim ? want->dim[i] : 1)) return 0;
    }
    return !want->pointwise || t->ndim == 2 || t->ndim == 4;
}

static rf_status wrong_shape(const check *c, const rf_tensor *t, const rf_layout_tensor *want)
{
    char      have_text[128], want_text[128];
    rf_tensor wanted = {.ndim = want->ndim};
    memcpy(wanted.dim, want->dim, sizeof want->dim);
    return rf_fail(c->err, RF_E_MODEL, "%s: tensor %s has shape %s where %s is expected",
                   c->list->path, t->name, rf_tensor_shape_text(t, have_text, sizeof have_text),
                   rf_tensor_shape_text(&wanted, want_text, sizeof want_text));
}

static rf_status check_type(const check *c, const rf_tensor *t)
{
    switch (t->type) {
    case RF_FILE_F16:
    case RF_FILE_BF16:
    case RF_FILE_F32: return RF_OK;
    default:
        return rf_fail(c->err, RF_E_MODEL,
                       "%s: tensor %s is of type %s where F16, BF16 or F32 is expected",
                       c->list->path, t->name, rf_filetype_name(t->type));
    }
}

static rf_status check_tensor(void *user, const rf_layout_tensor *want)
{
    check           *c = user;
    const rf_tensor *t = rf_tensors_find(c->list, want->name);
    if (!t) {
        if (want->optional) return RF_OK;
        if (c->missing++ == 0) strncpy(c->first_missing, want->name, sizeof c->first_missing - 1);
        return RF_OK;
    }
    c->known[t - c->list->item] = 1;
    if (want->optional) return RF_OK; /* never read, so it may be anything */
    if (!same_shape(t, want)) return wrong_shape(c, t, want);
    return check_type(c, t);
}

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* By the front of a name, in whatever spelling (spellings.h). */
static int part_of(const char *name)
{
    static const struct {
        const char *front;
        rf_part     part;
    } fronts[] = {{RF_PREFIX_UNET, RF_PART_UNET},
                  {"conditioner.embedders.0.transformer.", RF_PART_CLIP_L},
                  {"conditioner.embedders.1.", RF_PART_CLIP_G},
                  {RF_PREFIX_REFINER_CLIP_G, RF_PART_CLIP_G},
                  {RF_PREFIX_VAE, RF_PART_VAE}};
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
        if (strncmp(name, fronts[i].front, strlen(fronts[i].front)) == 0) return fronts[i].part;
    return RF_PARTS;
}

/* Leftovers of training and of other programs, known to change nothing. */
static int is_harmless(const char *name)
{
    static const char *const starts[] = {
        "model_ema.",        "denoiser.", "alphas_cumprod", "betas",
        "embedding_manager", "loss.",     "sqrt_",          "posterior_",
        "log_one_minus_",    "lvlb_wei",  "logvar",         "edm_vpred."}; /* prediction.h */
    static const char *const ends[] = {".position_ids", ".logit_scale"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(name, starts[i], strlen(starts[i])) == 0) return 1;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i])) return 1;
    /* CLIP-L's own projection, which SDXL does not use */
    return (part_of(name) == RF_PART_CLIP_L && strstr(name, "text_projection")) ||
           strcmp(name, "v_pred") == 0 || strcmp(name, "ztsnr") == 0 || /* prediction.h */
           strncmp(name, RF_PREFIX_VAE "loss.", sizeof RF_PREFIX_VAE "loss." - 1) == 0 ||
           strncmp(name, RF_PREFIX_VAE "model_ema.", sizeof RF_PREFIX_VAE "model_ema." - 1) == 0;
}

static void count_unknown(const check *c, rf_checkpoint *out)
{
    for (size_t i = 0; i < c->list->count; i++) {
        const char *name = c->list->item[i].name;
        if (c->known[i] || is_harmless(name)) continue;
        if (out->unknown_count < RF_UNKNOWN_EXAMPLES) out->unknown[out->unknown_count] = name;
        out->unknown_count++;
    }
}

static rf_status check_known(rf_checkpoint *out, const rf_tensors *list, rf_model_kind kind,
                             rf_error *err)
{
    rf_status   st = RF_OK;
    const char *refusal = rf_model_kind_refusal(kind);
    check       c = {.list = list, .err = err};
    *out = (rf_checkpoint){0};
    if (refusal) return rf_fail(err, RF_E_MODEL, "%s: %s", list->path, refusal);
    RF_TRY(rf_sdxl_derive(&out->arch, list, err));
    c.known = calloc(list->count, 1);
    if (!c.known) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to check it", list->path);
        goto done;
    }
    RF_TRY(rf_sdxl_layout(&out->arch, check_tensor, &c));
    if (c.missing > 1)
        st = rf_fail(err, RF_E_MODEL, "%s: an SDXL checkpoint without tensor %s and %zu others",
                     list->path, c.first_missing, c.missing - 1);
    else if (c.missing)
        st = rf_fail(err, RF_E_MODEL, "%s: an SDXL checkpoint without tensor %s", list->path,
                     c.first_missing);
    count_unknown(&c, out);
done:
    if (st != RF_OK) *out = (rf_checkpoint){0};
    free(c.known);
    return st;
}

/* ---- a VAE in a file of its own ----------------------------------------------------------- */

typedef struct vae_check {
    check c;
    int   has_encoder;
} vae_check;

static rf_status check_vae_tensor(void *user, const rf_layout_tensor *want)
{
    const vae_check *v = user;
    const char      *own = want->name + strlen(RF_PREFIX_VAE);
    const int        encodes = strncmp(own, "encoder.", 8) == 0 || strncmp(own, "quant_", 6) == 0;
    if (encodes && !v->has_encoder) return RF_OK;
    const rf_tensor *t = rf_tensors_find(v->c.list, want->name);
    if (!t)
        return rf_fail(v->c.err, RF_E_MODEL, "%s: a VAE without tensor %s", v->c.list->path, own);
    if (!same_shape(t, want)) return wrong_shape(&v->c, t, want);
    return check_type(&v->c, t);
}

rf_status rf_checkpoint_check_vae(const rf_vae_arch *arch, const rf_tensors *list, rf_error *err)
{
    const rf_sdxl_arch whole = {.vae = *arch, .has_vae = 1};
    vae_check          v = {.c = {.list = list, .err = err}};
    v.has_encoder = rf_tensors_find(list, RF_PREFIX_VAE "encoder.conv_in.weight") != NULL;
    return rf_sdxl_layout_part(&whole, RF_PART_VAE, check_vae_tensor, &v);
}

/* ---- a checkpoint ------------------------------------------------------------------------- */

rf_status rf_checkpoint_check(rf_checkpoint *out, const rf_tensors *list, rf_error *err)
{
    return check_known(out, list, rf_model_kind_of(list), err);
}

void rf_checkpoint_identify(rf_identity *out, const rf_tensors *list, const rf_tensors *stored)
{
    *out = (rf_identity){.kind = rf_model_kind_of(list)};
    for (int p = 0; p <= RF_PARTS; p++)
        out->part[p].name = p < RF_PARTS ? rf_part_name((rf_part)p) : "other";
    for (size_t i = 0; i < stored->count; i++) {
        const rf_tensor *t = &stored->item[i];
        rf_inventory    *part = &out->part[part_of(t->name)];
        part->tensors++;
        part->elems += t->elems;
        part->bytes += t->bytes;
        part->types[t->type]++;
    }
    out->usable = check_known(&out->checkpoint, list, out->kind, &out->problem) == RF_OK;
}
