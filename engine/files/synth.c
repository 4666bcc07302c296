/* The writer of random checkpoints; see synth.h.
 *
 * Two passes over the same enumeration, one for the header and one for the data, each with the
 * 64-bit tensors first, so that every tensor is aligned to its element size, as other readers
 * need.  One thread: looking elements up takes 3 s for 6.9 GB, far less than writing them. */
#include "engine/files/synth.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/outfile.h"
#include "engine/files/sdxl_layout.h"
#include "kernels/half.h"

enum {
    CHUNK_ELEMS = 1 << 20, /* one write, 4 MB at most: it stays in the caches */
    TABLE_ELEMS = 1 << 16,
};

/* Uniform in centre +- reach. */
typedef struct range {
    float centre, reach;
} range;

typedef struct writer {
    const rf_synth_options *o;
    rf_outfile              file;
    rf_error               *err;
    char                   *header; /* text so far */
    size_t                  header_bytes, header_room;
    void                   *chunk; /* CHUNK_ELEMS of the widest type */
    void                   *table; /* TABLE_ELEMS of it, made for `made_for` */
    range                   made_for;
    uint64_t                offset, index; /* of the next tensor */
    int                     wide;          /* wide: this pass emits the 64-bit tensors */
} writer;

/* Four levels, of which the two in the middle attend; one text encoder. */
static void make_refiner(rf_sdxl_arch *a, int width, int depth)
{
    a->unet.width = width;
    a->unet.levels = 4;
    a->unet.mult[3] = a->unet.mult[2];
    a->unet.depth[1] = a->unet.depth[2] = a->unet.middle_depth = depth;
    a->clip_l = (rf_clip_arch){0};
    a->has_clip_l = 0;
}

rf_status rf_synth_arch(rf_sdxl_arch *out, const char *name, rf_error *err)
{
    const rf_unet_arch unet = {.in_channels = 4,
                               .out_channels = 4,
                               .levels = 3,
                               .mult = {1, 2, 4},
                               .blocks = 2,
                               .head = 64,
                               .groups = 32};
    const rf_vae_arch  vae = {.levels = 4, .mult = {1, 2, 4, 4}, .blocks = 2, .z = 4, .groups = 32};
    const rf_clip_arch clip = {.vocab = 49408, .positions = 77};
    rf_sdxl_arch       a = {.unet = unet, .clip_l = clip, .clip_g = clip, .vae = vae};
    a.has_clip_l = a.has_vae = 1;
    a.clip_g.kind = RF_CLIP_OPEN;
    if (name && strcmp(name, "sdxl") == 0) {
        a.unet.width = 320;
        a.unet.depth[1] = 2, a.unet.depth[2] = a.unet.middle_depth = 10;
        a.clip_l.width = 768, a.clip_l.layers = 12, a.clip_l.mlp = 3072;
        a.clip_g.width = 1280, a.clip_g.layers = 32, a.clip_g.mlp = 5120;
        a.vae.width = 128;
    } else if (name && strcmp(name, "tiny") == 0) {
        a.unet.width = 32; /* one channel per group; attention from 64 channels on */
        a.unet.depth[1] = 1, a.unet.depth[2] = 2, a.unet.middle_depth = 1;
        a.clip_l.width = 64, a.clip_l.layers = 2, a.clip_l.mlp = 256;
        a.clip_g.width = 64, a.clip_g.layers = 3, a.clip_g.mlp = 256;
        a.vae.width = 32;
    } else if (name && strcmp(name, "sdxl-refiner") == 0) {
        make_refiner(&a, 384, 4);
        a.clip_g.width = 1280, a.clip_g.layers = 32, a.clip_g.mlp = 5120;
        a.vae.width = 128;
    } else if (name && strcmp(name, "tiny-refiner") == 0) {
        make_refiner(&a, 64, 1); /* no layer has the sizes of tiny's, as with the real ones */
        a.clip_g.width = 64, a.clip_g.layers = 3, a.clip_g.mlp = 256;
        a.vae.width = 32;
    } else {
        return rf_fail(err, RF_E_ARG,
                       "no architecture is named %s; there are sdxl, sdxl-refiner, tiny and "
                       "tiny-refiner",
                       name ? name : "(null)");
    }
    a.unet.time = 4 * a.unet.width;
    a.unet.context = a.clip_l.width + a.clip_g.width;
    a.unet.vector = a.clip_g.width + rf_sdxl_numbers(&a) * RF_NUMBER_WAVES;
    a.clip_l.heads = a.clip_l.width / 64, a.clip_g.heads = a.clip_g.width / 64;
    a.clip_g.projection = a.clip_g.width;
    *out = a;
    return RF_OK;
}

/* ---- elements ----------------------------------------------------------------------------- */

/* Steele, Lea & Flood 2014, SplitMix: a bijection that scrambles all 64 bits. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static range range_of(const rf_layout_tensor *t)
{
    const double sqrt3 = 1.7320508075688772; /* a uniform in +-r has deviation r / sqrt 3 */
    double       deviation = 0, fan_in = 1;
    for (int i = t->transposed ? 0 : 1; i < t->ndim - t->transposed; i++)
        fan_in *= (double)t->dim[i];
    range r = {0};
    switch (t->role) {
    case RF_ROLE_WEIGHT: deviation = 1 / sqrt(fan_in); break;
    /* A tenth: 210 residual additions of a UNet then no more than triple the variance. */
    case RF_ROLE_RESIDUAL: deviation = 0.1 / sqrt(fan_in); break;
    case RF_ROLE_BIAS: deviation = 0.01; break;
    case RF_ROLE_EMBEDDING: deviation = 0.02; break; /* as CLIP starts its training */
    case RF_ROLE_NORM: r.centre = 1, deviation = 0.02; break;
    case RF_ROLE_LOGIT_SCALE: r.centre = 4.6052f; break; /* ln 100, where CLIP's ends */
    case RF_ROLE_POSITION_IDS: break;
    }
    r.reach = (float)(deviation * sqrt3);
    return r;
}

/* All 2^16 elements that a tensor of that range can hold: converting is slower than looking up. */
static void make_table(writer *w, range r)
{
    const float unit = r.reach * 0x1p-15f; /* exact: a power of two */
    for (int i = 0; i < TABLE_ELEMS; i++) {
        const int   level = i - TABLE_ELEMS / 2;
        const float x = r.centre + (float)level * unit;
        if (w->o->type == RF_FILE_F32)
            ((float *)w->table)[i] = x;
        else
            ((uint16_t *)w->table)[i] =
                w->o->type == RF_FILE_F16 ? rf_f16_from_f32(x) : rf_bf16_from_f32(x);
    }
}

/* Elements first .. first + count - 1 (first a multiple of 4) of the tensor with that key.  One
 * hash makes four of them: 16 bits are finer than the mantissas of f16 and bf16. */
static void fill(void *out, const writer *w, uint64_t key, uint64_t first, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        hash = i % 4 ? hash >> 16 : mix(key + (first + i) / 4);
        if (w->o->type == RF_FILE_F32)
            ((float *)out)[i] = ((const float *)w->table)[hash & 0xFFFF];
        else
            ((uint16_t *)out)[i] = ((const uint16_t *)w->table)[hash & 0xFFFF];
    }
}

/* ---- the file ----------------------------------------------------------------------------- */

static uint64_t elems_of(const rf_layout_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= (uint64_t)t->dim[i];
    return n;
}

static int is_wide(const rf_layout_tensor *t)
{
    return t->role == RF_ROLE_POSITION_IDS;
}

static rf_status report(const writer *w)
{
    /* w->offset: where the data ends, since the header is written first. */
    const uint64_t header = 8 + (uint64_t)w->header_bytes;
    if (!w->o->progress || !w->o->progress(w->o->user, w->file.bytes, header + w->offset))
        return RF_OK;
    return rf_fail(w->err, RF_E_CANCELLED, "%s: stopped before it was complete", w->file.path);
}

static rf_status write_tensor(void *user, const rf_layout_tensor *t)
{
    rf_status      st = RF_OK;
    writer        *w = user;
    const uint64_t elems = elems_of(t);
    const uint64_t key = mix(mix(w->o->seed) + w->index);
    const size_t   size = rf_filetype_bytes(w->o->type);
    if (is_wide(t) != w->wide) return RF_OK;
    w->index++;
    if (w->wide) {
        for (uint64_t i = 0; i < elems; i++) ((int64_t *)w->chunk)[i] = (int64_t)i;
        return rf_outfile_write(&w->file, w->chunk, elems * sizeof(int64_t), w->err);
    }
    const range r = range_of(t);
    if (r.centre != w->made_for.centre || r.reach != w->made_for.reach) make_table(w, r);
    w->made_for = r;
    for (uint64_t at = 0; at < elems; at += CHUNK_ELEMS) {
        const size_t n = elems - at < CHUNK_ELEMS ? (size_t)(elems - at) : CHUNK_ELEMS;
        fill(w->chunk, w, key, at, n);
        RF_TRY(rf_outfile_write(&w->file, w->chunk, n * size, w->err));
        RF_TRY(report(w));
    }
done:
    return st;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static rf_status
add_text(writer *w, const char *format, ...)
{
    va_list args;
    if (w->header_room - w->header_bytes < 512) { /* longer than any entry */
        char *bigger = realloc(w->header, w->header_room * 2 + 4096);
        if (!bigger) return rf_fail(w->err, RF_E_NOMEM, "%s: no memory", w->file.path);
        w->header = bigger;
        w->header_room = w->header_room * 2 + 4096;
    }
    va_start(args, format);
    const int n =
        vsnprintf(w->header + w->header_bytes, w->header_room - w->header_bytes, format, args);
    va_end(args);
    if (n < 0 || n >= 512) return rf_fail(w->err, RF_E_BUG, "synth: an entry of %d bytes", n);
    w->header_bytes += (size_t)n;
    return RF_OK;
}

static rf_status describe_tensor(void *user, const rf_layout_tensor *t)
{
    rf_status         st = RF_OK;
    writer           *w = user;
    char              shape[128];
    const rf_filetype type = is_wide(t) ? RF_FILE_I64 : w->o->type;
    const uint64_t    bytes = elems_of(t) * rf_filetype_bytes(type);
    rf_tensor         shaped = {.ndim = t->ndim};
    if (is_wide(t) != w->wide) return RF_OK;
    memcpy(shaped.dim, t->dim, sizeof t->dim);
    RF_TRY(add_text(
        w, ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
        t->name, rf_filetype_name(type), rf_tensor_shape_text(&shaped, shape, sizeof shape),
        w->offset, w->offset + bytes));
    w->offset += bytes;
done:
    return st;
}

static rf_status write_header(writer *w, const rf_sdxl_arch *arch)
{
    rf_status     st = RF_OK;
    unsigned char length[8];
    RF_TRY(add_text(
        w, "{\"__metadata__\":{\"format\":\"pt\",\"refinery.synth\":\"%s seed %" PRIu64 "\"}",
        w->o->arch, w->o->seed));
    for (w->wide = 1; w->wide >= 0; w->wide--) RF_TRY(rf_sdxl_layout(arch, describe_tensor, w));
    RF_TRY(add_text(w, "}"));
    while (w->header_bytes % 8) RF_TRY(add_text(w, " "));
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)w->header_bytes >> 8 * i);
    RF_TRY(rf_outfile_write(&w->file, length, sizeof length, w->err));
    RF_TRY(rf_outfile_write(&w->file, w->header, w->header_bytes, w->err));
done:
    return st;
}

rf_status rf_synth_write(const char *path, const rf_synth_options *options, rf_error *err)
{
    rf_status    st = RF_OK;
    writer       w = {.o = options, .err = err};
    rf_sdxl_arch arch;
    if (options->type != RF_FILE_F16 && options->type != RF_FILE_BF16 &&
        options->type != RF_FILE_F32)
        return rf_fail(err, RF_E_ARG, "synth: elements are F16, BF16 or F32");
    RF_TRY(rf_synth_arch(&arch, options->arch, err));
    RF_TRY(rf_outfile_create(&w.file, path, options->overwrite, err));
    w.chunk = malloc(CHUNK_ELEMS * sizeof(float));
    w.table = calloc(TABLE_ELEMS, sizeof(float)); /* right for the range {0, 0} */
    if (!w.chunk || !w.table) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to make it", path);
        goto done;
    }
    RF_TRY(write_header(&w, &arch));
    for (w.wide = 1; w.wide >= 0; w.wide--) RF_TRY(rf_sdxl_layout(&arch, write_tensor, &w));
    RF_TRY(rf_outfile_commit(&w.file, err));
done:
    rf_outfile_discard(&w.file);
    free(w.chunk);
    free(w.table);
    free(w.header);
    return st;
}
