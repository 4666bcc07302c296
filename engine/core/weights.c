/* Listing, loading and packing of weights; see weights.h. */
#include "engine/core/weights.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/upload.h"
#include "engine/core/widen.h"

enum {
    CHUNK_BYTES = 1 << 20, /* read and converted while it is in the L2 cache */
    SLOT_ALIGN = 256,
    NAME_BYTES = 512,
};

/* ---- listing ------------------------------------------------------------------------------ */

static int storable(rf_filetype type)
{
    return type == RF_FILE_F32 || type == RF_FILE_F16 || type == RF_FILE_BF16;
}

static rf_dtype dtype_of(rf_filetype type)
{
    return type == RF_FILE_F16 ? RF_F16 : type == RF_FILE_BF16 ? RF_BF16 : RF_F32;
}

/* What one part must look like in the file. */
static int shape_fits(const rf_slot *s, const rf_tensor *t)
{
    const int64_t  rows = s->transpose ? s->k : s->n / s->parts;
    const int64_t  cols = s->transpose ? s->n : s->k;
    const int64_t *d = t->dim;
    switch (s->kind) {
    case RF_SLOT_VECTOR: return t->ndim == 1 && d[0] == rows;
    case RF_SLOT_TABLE: return t->ndim == 2 && d[0] == rows && d[1] == cols;
    case RF_SLOT_CONV:
        return t->ndim == 4 && d[0] == rows && d[1] == cols && d[2] == 3 && d[3] == 3;
    case RF_SLOT_GEMM:
        return (t->ndim == 2 || (t->ndim == 4 && d[2] == 1 && d[3] == 1)) && d[0] == rows &&
               d[1] == cols;
    }
    return 0;
}

static char *expected_text(const rf_slot *s, char *out, size_t bytes)
{
    const int rows = s->transpose ? s->k : s->n / s->parts, cols = s->transpose ? s->n : s->k;
    if (s->kind == RF_SLOT_VECTOR)
        snprintf(out, bytes, "[%d]", rows);
    else
        snprintf(out, bytes, "[%d, %d%s]", rows, cols, s->kind == RF_SLOT_CONV ? ", 3, 3" : "");
    return out;
}

static rf_status check_part(const rf_weights *w, const rf_slot *s, const char *name,
                            const rf_tensor *t, rf_error *err)
{
    char found[96], expected[64];
    if (!t) return rf_fail(err, RF_E_MODEL, "%s: tensor %s is missing", w->file->path, name);
    if (!shape_fits(s, t))
        return rf_fail(err, RF_E_MODEL, "%s: tensor %s is %s, expected %s", w->file->path, name,
                       rf_tensor_shape_text(t, found, sizeof found),
                       expected_text(s, expected, sizeof expected));
    if (!storable(t->type))
        return rf_fail(err, RF_E_MODEL,
                       "%s: tensor %s has type %s; only F16, BF16 and F32 are read", w->file->path,
                       name, rf_filetype_name(t->type));
    return RF_OK;
}

/* Storage type: what the op computes in on bf16 devices, else the file's own 16 bits. */
static rf_dtype storage_of(const rf_weights *w, const rf_slot *s)
{
    if (s->kind == RF_SLOT_VECTOR || s->wide) return RF_F32;
    const rf_dtype own = dtype_of(s->part[0]->type);
    for (int i = 1; i < s->parts; i++)
        if (dtype_of(s->part[i]->type) != own) return w->dtype;
    if (s->kind == RF_SLOT_TABLE) return own;
    return w->dtype == RF_F32 ? own : w->dtype;
}

static rf_gemm_weight_shape gemm_shape(const rf_weights *w, const rf_slot *s)
{
    return (rf_gemm_weight_shape){
        .n = s->n, .k = s->k, .dtype = w->dtype, .wdtype = s->wdtype, .act = s->act};
}

static rf_conv_weight_shape conv_shape(const rf_weights *w, const rf_slot *s)
{
    return (rf_conv_weight_shape){
        .cin = s->k, .cout = s->n, .kind = s->conv_kind, .dtype = w->dtype, .wdtype = s->wdtype};
}

/* Elements of the whole slot; the file's own checks bound every dimension. */
static size_t elems_of(const rf_slot *s)
{
    return (size_t)s->n * (size_t)s->k * (s->kind == RF_SLOT_CONV ? 9 : 1);
}

static rf_status packed_bytes(const rf_weights *w, rf_device *device, const rf_slot *s,
                              size_t *bytes)
{
    if (s->kind == RF_SLOT_GEMM) {
        const rf_gemm_weight_shape shape = gemm_shape(w, s);
        if (!device->ops->gemm_pack_bytes) return RF_E_UNSUPPORTED;
        return device->ops->gemm_pack_bytes(device->stream, &shape, bytes);
    }
    if (s->kind == RF_SLOT_CONV) {
        const rf_conv_weight_shape shape = conv_shape(w, s);
        if (!device->ops->conv_pack_bytes) return RF_E_UNSUPPORTED;
        return device->ops->conv_pack_bytes(device->stream, &shape, bytes);
    }
    *bytes = elems_of(s) * rf_dtype_bytes(s->wdtype);
    return RF_OK;
}

/* Staging of a slot: its plain elements, twice where they must be transposed; vectors and tables
 * convert straight into place. */
static size_t staging_of(const rf_slot *s)
{
    if (s->kind != RF_SLOT_GEMM && s->kind != RF_SLOT_CONV) return 0;
    return elems_of(s) * rf_dtype_bytes(s->wdtype) * (s->transpose ? 2 : 1);
}

rf_status rf_weights_add(rf_weights *w, rf_device *device, rf_slot slot,
                         const char *const names[RF_SLOT_PARTS], rf_error *err)
{
    slot.parts = 0;
    while (slot.parts < RF_SLOT_PARTS && names[slot.parts]) slot.parts++;
    size_t file_bytes = 0;
    for (int i = 0; i < slot.parts; i++) {
        char full[NAME_BYTES];
        snprintf(full, sizeof full, "%s%s", w->prefix, names[i]);
        slot.part[i] = rf_tensors_find(w->file, full);
        const rf_status st = check_part(w, &slot, full, slot.part[i], err);
        if (st != RF_OK) return st;
        file_bytes += slot.part[i]->bytes;
    }
    slot.wdtype = storage_of(w, &slot);
    const rf_status st = packed_bytes(w, device, &slot, &slot.bytes);
    if (st != RF_OK)
        return rf_fail(err, st, "%s: tensor %s%s cannot be packed for the %s level", w->file->path,
                       w->prefix, names[0], rf_level_name(device->ops->level));

    if (w->count == w->cap) {
        const size_t cap = w->cap ? w->cap * 2 : 256;
        rf_slot     *grown = realloc(w->slot, cap * sizeof *grown);
        if (!grown) return rf_fail(err, RF_E_NOMEM, "weights: %zu slots do not fit", cap);
        w->slot = grown;
        w->cap = cap;
    }
    slot.offset = w->bytes;
    w->bytes += (slot.bytes + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
    w->file_bytes += file_bytes;
    const size_t staging = staging_of(&slot);
    if (staging > w->staging_bytes) w->staging_bytes = staging;
    w->slot[w->count++] = slot;
    return RF_OK;
}

/* ---- loading ------------------------------------------------------------------------------ */

/* Elements of a tensor. */
typedef struct stretch {
    const rf_tensor *tensor;
    size_t           first, count;
} stretch;

/* Reads elements of a tensor and converts them to `dtype` at `dst`, in chunks, on all threads. */
static rf_status read_converted(const rf_weights *w, stretch s, void *dst, rf_dtype dtype,
                                int threads, rf_error *err)
{
    const rf_tensor *t = s.tensor;
    const rf_dtype   source = dtype_of(t->type);
    const size_t     step = CHUNK_BYTES / rf_dtype_bytes(source);
    const int64_t    chunks = (int64_t)((s.count + step - 1) / step);
    rf_status        st = RF_OK;
    rf_error         first = {0};
    atomic_flag      failed = ATOMIC_FLAG_INIT; /* the first error is the one reported */
#pragma omp parallel num_threads(threads)
    {
        char *scratch = source == dtype ? NULL : malloc(CHUNK_BYTES);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < chunks; i++) {
            const size_t from = (size_t)i * step;
            const size_t n = s.count - from < step ? s.count - from : step;
            char        *to = (char *)dst + from * rf_dtype_bytes(dtype);
            rf_error     mine = {0};
            rf_status    result;
            if (source != dtype && !scratch) {
                result = rf_fail(&mine, RF_E_NOMEM, "%s: no memory to convert %s", w->file->path,
                                 t->name);
            } else {
                result = w->file->read(w->file, t, (s.first + from) * rf_dtype_bytes(source),
                                       scratch ? scratch : to, n * rf_dtype_bytes(source), &mine);
                if (result == RF_OK && scratch) rf_convert(to, dtype, scratch, source, n);
            }
            if (result != RF_OK && !atomic_flag_test_and_set(&failed)) {
                st = result;
                first = mine;
            }
        }
        free(scratch);
    }
    if (st != RF_OK && err) *err = first;
    return st;
}

/* dst [n, k] = src [k, n], 2- or 4-byte elements. */
static void transpose(void *dst, const void *src, int n, int k, rf_dtype dtype)
{
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < (size_t)k; j++) {
            if (dtype == RF_F32)
                ((float *)dst)[i * (size_t)k + j] = ((const float *)src)[j * (size_t)n + i];
            else
                ((uint16_t *)dst)[i * (size_t)k + j] = ((const uint16_t *)src)[j * (size_t)n + i];
        }
}

/* All parts of a slot, one after the other, where the host can write. */
static rf_status read_plain(const rf_weights *w, const rf_slot *s, char *plain, int threads,
                            rf_error *err)
{
    size_t at = 0;
    for (int i = 0; i < s->parts; i++) {
        const rf_tensor *t = s->part[i];
        const rf_status  st =
            read_converted(w, (stretch){t, 0, t->elems}, plain + at, s->wdtype, threads, err);
        if (st != RF_OK) return st;
        at += t->elems * rf_dtype_bytes(s->wdtype);
    }
    if (s->transpose) transpose(plain + at, plain, s->n, s->k, s->wdtype);
    return RF_OK;
}

/* The same onto a device with memory of its own, without passing through pageable memory. */
static rf_status send_parts(const rf_weights *w, const rf_slot *s, rf_upload *upload, char *plain,
                            int threads, rf_error *err)
{
    const size_t size = rf_dtype_bytes(s->wdtype), step = RF_UPLOAD_BYTES / size;
    rf_status    st = RF_OK;
    for (int i = 0; i < s->parts; i++) {
        const rf_tensor *t = s->part[i];
        for (size_t from = 0; from < t->elems; from += step) {
            const size_t n = t->elems - from < step ? t->elems - from : step;
            void        *buffer = NULL;
            RF_TRY(rf_upload_buffer(upload, &buffer, err));
            RF_TRY(read_converted(w, (stretch){t, from, n}, buffer, s->wdtype, threads, err));
            RF_TRY(rf_upload_put(upload, plain + from * size, n * size, err));
        }
        plain += t->elems * size;
    }
done:
    return st;
}

/* A transposed slot (one per text encoder) is turned on the host first. */
static rf_status send_plain(const rf_weights *w, const rf_slot *s, rf_upload *upload, char *plain,
                            int threads, rf_error *err)
{
    if (!s->transpose) return send_parts(w, s, upload, plain, threads, err);
    const size_t bytes = elems_of(s) * rf_dtype_bytes(s->wdtype);
    char        *host = malloc(2 * bytes);
    if (!host) return rf_fail(err, RF_E_NOMEM, "%s: no memory to load", s->part[0]->name);
    rf_status st = read_plain(w, s, host, threads, err);
    if (st == RF_OK) st = rf_upload_all(upload, plain, host + bytes, bytes, err);
    free(host);
    return st;
}

static rf_status pack(const rf_weights *w, rf_device *device, const rf_slot *s, void *dst,
                      const void *plain, rf_error *err)
{
    rf_status st;
    if (s->kind == RF_SLOT_GEMM) {
        const rf_gemm_weight_shape shape = gemm_shape(w, s);
        st = device->ops->gemm_pack(device->stream, &shape, dst, plain);
    } else {
        const rf_conv_weight_shape shape = conv_shape(w, s);
        st = device->ops->conv_pack(device->stream, &shape, dst, plain);
    }
    if (st == RF_OK) return RF_OK;
    const rf_status cause = rf_device_check(device, err);
    if (cause != RF_OK) return cause;
    return rf_fail(err, st, "%s: packing %s failed", w->file->path, s->part[0]->name);
}

/* `upload` is NULL on a host. */
static rf_status load_slot(rf_weights *w, rf_device *device, const rf_slot *s, rf_upload *upload,
                           void *staging, rf_error *err)
{
    const int packs = s->kind == RF_SLOT_GEMM || s->kind == RF_SLOT_CONV;
    const int threads = rf_device_threads(device);
    char     *dst = w->base + s->offset;
    char     *plain = packs ? staging : dst;
    rf_status st = RF_OK;
    if (!upload) {
        RF_TRY(read_plain(w, s, plain, threads, err));
        if (s->transpose) plain += elems_of(s) * rf_dtype_bytes(s->wdtype);
        if (packs) st = pack(w, device, s, dst, plain, err);
        return st;
    }
    RF_TRY(send_plain(w, s, upload, plain, threads, err));
    if (!packs) return RF_OK;
    RF_TRY(rf_upload_before_ops(upload, err));
    rf_device_note(device, s->part[0]->name);
    RF_TRY(pack(w, device, s, dst, plain, err));
    RF_TRY(rf_upload_after_ops(upload, err)); /* staging is free again */
done:
    return st;
}

rf_status rf_weights_load(rf_weights *w, rf_device *device, void *staging,
                          const rf_load_progress *progress, rf_error *err)
{
    void      *base = NULL;
    size_t     done = 0;
    rf_upload  upload = {0};
    rf_upload *through = NULL;
    char       what[NAME_BYTES];
    snprintf(what, sizeof what, "weights of %s", w->file->path);
    rf_status st = rf_device_alloc(device, &base, w->bytes, what, err);
    if (st != RF_OK) return st;
    w->base = base;
    if (!rf_device_on_host(device)) {
        RF_TRY(rf_upload_start(&upload, device, err));
        through = &upload;
    }
    for (size_t i = 0; i < w->count; i++) {
        const rf_slot *s = &w->slot[i];
        RF_TRY(load_slot(w, device, s, through, staging, err));
        for (int p = 0; p < s->parts; p++) done += s->part[p]->bytes;
        if (progress && progress->report && progress->report(progress->user, done) != 0) {
            st = rf_fail(err, RF_E_CANCELLED, "stopped while reading %s", w->file->path);
            goto done;
        }
    }
    RF_TRY(rf_device_wait(device, err));
done:
    rf_upload_end(&upload);
    if (st != RF_OK) rf_weights_unload(w, device);
    return st;
}

void rf_weights_unload(rf_weights *w, rf_device *device)
{
    rf_device_free(device, w->base, w->bytes);
    w->base = NULL;
}

void rf_weights_free(rf_weights *w, rf_device *device)
{
    rf_weights_unload(w, device);
    free(w->slot);
    *w = (rf_weights){0};
}
