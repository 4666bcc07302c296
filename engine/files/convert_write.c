/* Header first, then data in the same order; see convert_write.h.
 *
 * Wider types come first, so that every tensor is aligned to its element size, as other readers
 * need; among equals the order is the layout's, so that the same input gives the same bytes. */
#include "engine/files/convert_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/widen.h"
#include "engine/files/outfile.h"
#include "engine/files/sha256.h"

enum { CHUNK_ELEMS = 1 << 18, WIDEST = 8, HALF_INFINITY = 0x7C00 };

typedef struct writer {
    const rf_convert_list *list;
    rf_part                part;
    const char            *shown;
    rf_convert_job        *job;
    rf_outfile             file;
    rf_sha256             *hash;
    void                  *in, *out; /* [CHUNK_ELEMS] of the widest type */
    float                 *whole;    /* the tensor that is being changed or turned ... */
    uint64_t               whole_room;
    const rf_tensor       *held; /* ... and which one that is */
    rf_error              *err;
} writer;

static rf_dtype dtype_of(rf_filetype type)
{
    return type == RF_FILE_F16 ? RF_F16 : type == RF_FILE_BF16 ? RF_BF16 : RF_F32;
}

static int belongs(const writer *w, const rf_convert_tensor *t)
{
    return w->part == RF_PARTS || t->part == w->part;
}

static rf_status put(writer *w, const void *data, size_t bytes)
{
    rf_status st = RF_OK;
    RF_TRY(rf_outfile_write(&w->file, data, bytes, w->err));
    rf_sha256_add(w->hash, data, bytes);
    w->job->done += bytes;
    if (w->job->progress && w->job->progress(w->job->user, w->job->done, w->job->total))
        st = rf_fail(w->err, RF_E_CANCELLED, "%s: stopped before it was complete", w->shown);
done:
    return st;
}

/* ---- the header --------------------------------------------------------------------------- */

static void describe(FILE *to, const rf_convert_tensor *t, uint64_t *at)
{
    const uint64_t bytes = t->elems * rf_filetype_bytes(t->type);
    fprintf(to, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, rf_filetype_name(t->type));
    for (int i = 0; i < t->ndim; i++) fprintf(to, "%s%" PRId64, i ? "," : "", t->dim[i]);
    fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at, *at + bytes);
    *at += bytes;
}

static rf_status write_header(writer *w, const char *metadata)
{
    rf_status     st = RF_OK;
    char         *text = NULL;
    size_t        bytes = 0;
    uint64_t      at = 0;
    unsigned char length[8];
    FILE         *to = open_memstream(&text, &bytes);
    if (!to) return rf_fail(w->err, RF_E_NOMEM, "%s: no memory for its header", w->shown);
    fprintf(to, "{\"__metadata__\":%s", metadata);
    for (size_t size = WIDEST; size > 0; size /= 2)
        for (size_t i = 0; i < w->list->count; i++) {
            const rf_convert_tensor *t = &w->list->item[i];
            if (belongs(w, t) && rf_filetype_bytes(t->type) == size) describe(to, t, &at);
        }
    fputc('}', to);
    for (long n = ftell(to); n % 8; n++) fputc(' ', to);
    if (fclose(to) != 0) {
        st = rf_fail(w->err, RF_E_NOMEM, "%s: no memory for its header", w->shown);
        goto done;
    }
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)bytes >> 8 * i);
    RF_TRY(put(w, length, sizeof length));
    RF_TRY(put(w, text, bytes));
done:
    free(text);
    return st;
}

/* ---- elements ----------------------------------------------------------------------------- */

/* What is finite must stay so: f16 ends at 65504. */
static rf_status check_range(const writer *w, const rf_convert_tensor *t, const float *from,
                             size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((((const uint16_t *)w->out)[i] & 0x7FFF) == HALF_INFINITY && isfinite(from[i]))
            return rf_fail(w->err, RF_E_MODEL,
                           "%s: tensor %s holds %g, which f16 cannot: bf16 or f32 can",
                           t->list->path, t->source->name, (double)from[i]);
    return RF_OK;
}

/* n elements in f32. */
static rf_status put_floats(writer *w, const rf_convert_tensor *t, const float *from, size_t n)
{
    rf_status st = RF_OK;
    rf_convert(w->out, dtype_of(t->type), from, RF_F32, n);
    if (t->type == RF_FILE_F16) RF_TRY(check_range(w, t, from, n));
    RF_TRY(put(w, w->out, n * rf_filetype_bytes(t->type)));
done:
    return st;
}

/* n elements in the source's type, which are in w->in. */
static rf_status put_read(writer *w, const rf_convert_tensor *t, size_t n)
{
    const rf_dtype from = dtype_of(t->source->type), to = dtype_of(t->type);
    if (t->as_is || from == to) return put(w, w->in, n * rf_filetype_bytes(t->type));
    if (from == RF_F32) return put_floats(w, t, w->in, n);
    rf_convert(w->out, RF_F32, w->in, from, n);
    memcpy(w->in, w->out, n * sizeof(float));
    return put_floats(w, t, w->in, n);
}

static rf_status stream(writer *w, const rf_convert_tensor *t)
{
    rf_status    st = RF_OK;
    const size_t size = rf_filetype_bytes(t->source->type);
    for (uint64_t at = 0; at < t->elems; at += CHUNK_ELEMS) {
        const size_t n = t->elems - at < CHUNK_ELEMS ? (size_t)(t->elems - at) : CHUNK_ELEMS;
        RF_TRY(t->list->read(t->list, t->source, (t->first + at) * size, w->in, n * size, w->err));
        RF_TRY(put_read(w, t, n));
    }
done:
    return st;
}

/* ---- tensors that must be whole ----------------------------------------------------------- */

static float strength_of(const rf_convert_lora *l, rf_part part)
{
    return part == RF_PART_UNET ? l->unet : l->text;
}

static int is_touched(const writer *w, const rf_convert_tensor *t)
{
    for (int i = 0; t->patch && i < w->job->loras; i++)
        if (strength_of(&w->job->lora[i], t->part) != 0 &&
            rf_lora_touches(&w->job->lora[i].fit, t->patch))
            return 1;
    return 0;
}

static rf_status read_whole(writer *w, const rf_convert_tensor *t)
{
    const rf_tensor *s = t->source;
    const size_t     size = rf_filetype_bytes(s->type);
    rf_status        st = RF_OK;
    if (w->whole_room < s->elems) {
        free(w->whole);
        w->whole_room = s->elems <= SIZE_MAX / sizeof(float) ? s->elems : 0;
        w->whole = w->whole_room ? malloc((size_t)s->elems * sizeof(float)) : NULL;
        if (!w->whole) {
            w->whole_room = 0;
            return rf_fail(w->err, RF_E_NOMEM, "%s: no memory for tensor %s", w->shown, s->name);
        }
    }
    for (uint64_t at = 0; at < s->elems; at += CHUNK_ELEMS) {
        const size_t n = s->elems - at < CHUNK_ELEMS ? (size_t)(s->elems - at) : CHUNK_ELEMS;
        RF_TRY(t->list->read(t->list, s, at * size, w->in, n * size, w->err));
        rf_convert(w->whole + at, RF_F32, w->in, dtype_of(s->type), n);
    }
done:
    return st;
}

/* Fills w->whole: read, and merged in the order and arithmetic of rf_expert's own reading. */
static rf_status hold(writer *w, const rf_convert_tensor *t)
{
    rf_status st = RF_OK;
    if (w->held == t->source) return RF_OK;
    w->held = NULL;
    RF_TRY(read_whole(w, t));
    for (int i = 0; t->patch && i < w->job->loras; i++) {
        const rf_convert_lora *l = &w->job->lora[i];
        const float            strength = strength_of(l, t->part);
        if (strength == 0 || !rf_lora_touches(&l->fit, t->patch)) continue;
        RF_TRY(rf_lora_merge(&l->fit, t->source, strength, w->whole, w->job->threads, w->err));
    }
    w->held = t->source;
done:
    return st;
}

/* Element i of the output, counted in rows, from the source's [dim 1, dim 0]. */
static float turned(const writer *w, const rf_convert_tensor *t, uint64_t i)
{
    const uint64_t rows = (uint64_t)t->dim[0], columns = (uint64_t)t->dim[1];
    return w->whole[i % columns * rows + i / columns];
}

static rf_status write_whole(writer *w, const rf_convert_tensor *t)
{
    rf_status st = RF_OK;
    RF_TRY(hold(w, t));
    for (uint64_t at = 0; at < t->elems; at += CHUNK_ELEMS) {
        const size_t n = t->elems - at < CHUNK_ELEMS ? (size_t)(t->elems - at) : CHUNK_ELEMS;
        const float *from = w->whole + t->first + at;
        if (t->transposed) {
            for (size_t i = 0; i < n; i++) ((float *)w->in)[i] = turned(w, t, at + i);
            from = w->in;
        }
        RF_TRY(put_floats(w, t, from, n));
    }
done:
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static rf_status write_tensor(writer *w, const rf_convert_tensor *t)
{
    if (!t->source) return put(w, &t->value, t->elems * sizeof t->value);
    return t->transposed || is_touched(w, t) ? write_whole(w, t) : stream(w, t);
}

static rf_status write_data(writer *w)
{
    rf_status st = RF_OK;
    for (size_t size = WIDEST; size > 0; size /= 2)
        for (size_t i = 0; i < w->list->count; i++) {
            const rf_convert_tensor *t = &w->list->item[i];
            if (!belongs(w, t) || rf_filetype_bytes(t->type) != size) continue;
            RF_TRY(write_tensor(w, t));
        }
done:
    return st;
}

rf_status rf_convert_write(const char *path, const char *shown, const rf_convert_list *list,
                           rf_part part, const char *metadata, rf_convert_job *job,
                           char hex[RF_SHA256_HEX], rf_error *err)
{
    rf_status     st = RF_OK;
    unsigned char digest[RF_SHA256_BYTES];
    writer        w = {.list = list, .part = part, .shown = shown, .job = job, .err = err};
    RF_TRY(rf_outfile_create(&w.file, path, job->overwrite, err));
    w.file.path = shown;
    w.in = malloc(CHUNK_ELEMS * WIDEST);
    w.out = malloc(CHUNK_ELEMS * WIDEST);
    w.hash = rf_sha256_begin();
    if (!w.in || !w.out || !w.hash) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to write it", shown);
        goto done;
    }
    RF_TRY(write_header(&w, metadata));
    RF_TRY(write_data(&w));
    RF_TRY(rf_outfile_commit(&w.file, err));
    rf_sha256_end(w.hash, digest);
    for (int i = 0; i < RF_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
done:
    rf_outfile_discard(&w.file);
    rf_sha256_free(w.hash);
    free(w.in);
    free(w.out);
    free(w.whole);
    return st;
}
