/* Listing, loading and packing of weights; see weights.h. */
#include "engine/core/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/upload.h"
#include "engine/core/weights_read.h"

enum {
    SLOT_ALIGN = 256,
    NAME_BYTES = 512,
};

/* ---- listing ------------------------------------------------------------------------------ */

static int storable(rf_filetype type)
{
    return type == RF_FILE_F32 || type == RF_FILE_F16 || type == RF_FILE_BF16;
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
    const rf_dtype own = rf_slot_source_dtype(s->part[0]->type);
    for (int i = 1; i < s->parts; i++)
        if (rf_slot_source_dtype(s->part[i]->type) != own) return w->dtype;
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
    *bytes = rf_slot_elems(s) * rf_dtype_bytes(s->wdtype);
    return RF_OK;
}

/* Staging of a slot: its plain elements, twice where they must be transposed; vectors and tables
 * convert straight into place. */
static size_t plain_bytes(const rf_slot *s)
{
    if (s->kind != RF_SLOT_GEMM && s->kind != RF_SLOT_CONV) return 0;
    const size_t bytes = rf_slot_elems(s) * rf_dtype_bytes(s->wdtype) * (s->transpose ? 2 : 1);
    return (bytes + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
}

/* Room for one part in f32: behind the plain elements in a host's staging. */
static size_t whole_bytes(const rf_slot *s)
{
    return s->patched ? rf_slot_elems(s) / (size_t)s->parts * sizeof(float) : 0;
}

static void widen(size_t *most, size_t bytes)
{
    if (bytes > *most) *most = bytes;
}

static void count_staging(rf_weights *w, rf_device *device, const rf_slot *s)
{
    const int on_host = rf_device_on_host(device);
    widen(&w->staging_bytes, plain_bytes(s) + (on_host ? whole_bytes(s) : 0));
    if (!on_host) widen(&w->host_bytes, whole_bytes(s));
}

rf_status rf_weights_add(rf_weights *w, rf_device *device, rf_slot slot,
                         const char *const names[RF_SLOT_PARTS], rf_error *err)
{
    slot.parts = 0;
    slot.patched = 0;
    while (slot.parts < RF_SLOT_PARTS && names[slot.parts]) slot.parts++;
    size_t file_bytes = 0;
    for (int i = 0; i < slot.parts; i++) {
        char full[NAME_BYTES];
        snprintf(full, sizeof full, "%s%s", w->prefix, names[i]);
        slot.part[i] = rf_tensors_find(w->file, full);
        const rf_status st = check_part(w, &slot, full, slot.part[i], err);
        if (st != RF_OK) return st;
        if (w->patch && w->patch->touches(w->patch->user, full)) slot.patched |= 1u << i;
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
    count_staging(w, device, &slot);
    w->slot[w->count++] = slot;
    return RF_OK;
}

/* ---- loading ------------------------------------------------------------------------------ */

typedef struct loading {
    rf_device *device;
    rf_upload *upload; /* NULL on a host */
    char      *staging;
    float     *whole;   /* of a device with memory of its own; NULL: nothing is patched */
    int        threads; /* of the host */
} loading;

/* Sends a part without passing through pageable memory; one that is patched is made there. */
static rf_status send_part(const rf_weights *w, const rf_slot *s, int part, const loading *l,
                           char *plain, rf_error *err)
{
    const rf_tensor *t = s->part[part];
    const size_t     size = rf_dtype_bytes(s->wdtype), step = RF_UPLOAD_BYTES / size;
    const int        patched = (int)(s->patched >> part & 1);
    rf_status        st = RF_OK;
    if (patched) RF_TRY(rf_part_read_patched(w, t, l->whole, l->threads, err));
    for (size_t from = 0; from < t->elems; from += step) {
        const size_t n = t->elems - from < step ? t->elems - from : step;
        void        *buffer = NULL;
        RF_TRY(rf_upload_buffer(l->upload, &buffer, err));
        if (patched)
            rf_convert_all(buffer, s->wdtype, l->whole + from, n, l->threads);
        else
            RF_TRY(rf_part_read(w, (rf_stretch){t, from, n}, buffer, s->wdtype, l->threads, err));
        RF_TRY(rf_upload_put(l->upload, plain + from * size, n * size, err));
    }
done:
    return st;
}

/* A transposed slot (one per text encoder) is turned on the host first. */
static rf_status send_turned(const rf_weights *w, const rf_slot *s, const loading *l, char *plain,
                             rf_error *err)
{
    const size_t bytes = rf_slot_elems(s) * rf_dtype_bytes(s->wdtype);
    char        *host = malloc(2 * bytes);
    if (!host) return rf_fail(err, RF_E_NOMEM, "%s: no memory to load", s->part[0]->name);
    rf_status st = rf_slot_read(w, s, host, l->whole, l->threads, err);
    if (st == RF_OK) st = rf_upload_all(l->upload, plain, host + bytes, bytes, err);
    free(host);
    return st;
}

static rf_status send_slot(const rf_weights *w, const rf_slot *s, const loading *l, char *plain,
                           rf_error *err)
{
    rf_status st = RF_OK;
    if (s->transpose) return send_turned(w, s, l, plain, err);
    for (int i = 0; i < s->parts && st == RF_OK; i++) {
        st = send_part(w, s, i, l, plain, err);
        plain += s->part[i]->elems * rf_dtype_bytes(s->wdtype);
    }
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

static rf_status load_slot(rf_weights *w, const rf_slot *s, const loading *l, rf_error *err)
{
    const int packs = s->kind == RF_SLOT_GEMM || s->kind == RF_SLOT_CONV;
    char     *dst = w->base + s->offset;
    char     *plain = packs ? l->staging : dst;
    rf_status st = RF_OK;
    if (!l->upload) {
        float *whole = s->patched ? (float *)(void *)(l->staging + plain_bytes(s)) : NULL;
        RF_TRY(rf_slot_read(w, s, plain, whole, l->threads, err));
        if (s->transpose) plain += rf_slot_elems(s) * rf_dtype_bytes(s->wdtype);
        if (packs) st = pack(w, l->device, s, dst, plain, err);
        return st;
    }
    RF_TRY(send_slot(w, s, l, plain, err));
    if (!packs) return RF_OK;
    RF_TRY(rf_upload_before_ops(l->upload, err));
    rf_device_note(l->device, s->part[0]->name);
    RF_TRY(pack(w, l->device, s, dst, plain, err));
    RF_TRY(rf_upload_after_ops(l->upload, err)); /* staging is free again */
done:
    return st;
}

/* Fills the block.  What stands in it already as `from` lists it, untouched by either patch, stays;
 * NULL: nothing does. */
static rf_status load_slots(rf_weights *w, const rf_weights *from, const loading *l,
                            const rf_load_progress *progress, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    done = 0;
    for (size_t i = 0; i < w->count; i++) {
        const rf_slot *s = &w->slot[i];
        for (int p = 0; p < s->parts; p++) done += s->part[p]->bytes;
        if (from && !s->patched && !from->slot[i].patched) continue;
        RF_TRY(load_slot(w, s, l, err));
        if (progress && progress->report && progress->report(progress->user, done) != 0)
            return rf_fail(err, RF_E_CANCELLED, "stopped while reading %s", w->file->path);
    }
    RF_TRY(rf_device_wait(l->device, err));
done:
    return st;
}

/* Into w->base, which is given back after a failure. */
static rf_status fill(rf_weights *w, const rf_weights *from, rf_device *device, void *staging,
                      const rf_load_progress *progress, rf_error *err)
{
    rf_status st = RF_OK;
    rf_upload upload = {0};
    loading   l = {.device = device, .staging = staging, .threads = rf_device_threads(device)};
    if (!rf_device_on_host(device)) {
        RF_TRY(rf_upload_start(&upload, device, err));
        l.upload = &upload;
    }
    if (w->host_bytes) {
        l.whole = malloc(w->host_bytes);
        if (!l.whole) {
            st = rf_fail(err, RF_E_NOMEM, "%s: no memory to merge LoRAs", w->file->path);
            goto done;
        }
    }
    RF_TRY(load_slots(w, from, &l, progress, err));
done:
    rf_upload_end(&upload);
    free(l.whole);
    if (st != RF_OK) rf_weights_unload(w, device);
    return st;
}

rf_status rf_weights_load(rf_weights *w, rf_device *device, void *staging,
                          const rf_load_progress *progress, rf_error *err)
{
    void *base = NULL;
    char  what[NAME_BYTES];
    snprintf(what, sizeof what, "weights of %s", w->file->path);
    const rf_status st = rf_device_alloc(device, &base, w->bytes, what, err);
    if (st != RF_OK) return st;
    w->base = base;
    return fill(w, NULL, device, staging, progress, err);
}

rf_status rf_weights_load_over(rf_weights *w, rf_weights *from, rf_device *device, void *staging,
                               const rf_load_progress *progress, rf_error *err)
{
    const rf_status st = rf_device_wait(device, err); /* queued ops may still read the block */
    if (st != RF_OK) {
        rf_weights_unload(from, device);
        return st;
    }
    w->base = from->base;
    from->base = NULL;
    return fill(w, from, device, staging, progress, err);
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
