/* Texts out of PNG, JPEG and WebP; see picture_texts.h.
 *
 * PNG is read by spng, up to the first pixels: A1111, Pillow and refinery write texts before them,
 * and what comes after could only be had by decoding the picture.  JPEG and WebP are walked from
 * segment to segment until the EXIF data. */
#include "engine/files/picture_texts.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/exif.h"
#include "engine/files/utf8.h"
#include "engine/files/whole_file.h"

enum {
    FILE_MAX = 1 << 28, /* bytes; a PNG of 8192x8192 noisy pixels is 201 MB */
    TEXT_MAX = 1 << 24, /* bytes of one chunk, and of all of them inflated */
    CHUNKS_MAX = 1000,  /* spng's own limit */
};

typedef struct text_item {
    char *key, *text;
} text_item;

struct rf_picture_texts {
    text_item *item;
    size_t     count;
};

static char *latin1_to_utf8(const char *s, size_t bytes)
{
    char *out = malloc(2 * bytes + 1), *at = out;
    for (size_t i = 0; out && i < bytes && s[i]; i++) at = rf_utf8_put(at, (unsigned char)s[i]);
    if (out) *at = '\0';
    return out;
}

/* ---- PNG ---------------------------------------------------------------------------------- */

static rf_status png_failed(int code, const char *name, rf_error *err)
{
    if (code == SPNG_EMEM)
        return rf_fail(err, RF_E_NOMEM, "%s: no memory for its texts (at most %d MB are read)",
                       name, TEXT_MAX >> 20);
    if (code == SPNG_ECHUNK_LIMITS)
        return rf_fail(err, RF_E_FORMAT, "%s: more than %d chunks, or texts of more than %d MB",
                       name, CHUNKS_MAX, TEXT_MAX >> 20);
    return rf_fail(err, RF_E_FORMAT, "%s: a damaged PNG: %s", name, spng_strerror(code));
}

static rf_status keep_png_text(text_item *item, const struct spng_text *from, const char *name,
                               rf_error *err)
{
    const int latin1 = from->type != SPNG_ITXT;
    if (!latin1 && !rf_utf8_valid(from->text, from->length))
        return rf_fail(err, RF_E_FORMAT, "%s: its international text is not UTF-8", name);
    item->key = latin1_to_utf8(from->keyword, strlen(from->keyword));
    item->text = latin1 ? latin1_to_utf8(from->text, from->length) : calloc(1, from->length + 1);
    if (!item->key || !item->text)
        return rf_fail(err, RF_E_NOMEM, "%s: no memory for its texts", name);
    if (!latin1) memcpy(item->text, from->text, from->length);
    return RF_OK;
}

/* Appends a text that is already owned; takes it over, whatever happens. */
static rf_status add_comment(rf_picture_texts *texts, char *comment, const char *name,
                             rf_error *err)
{
    text_item *grown = realloc(texts->item, (texts->count + 1) * sizeof *grown);
    if (grown) texts->item = grown;
    char *key = grown ? strdup("parameters") : NULL;
    if (!key) {
        free(comment);
        return rf_fail(err, RF_E_NOMEM, "%s: no memory for its texts", name);
    }
    texts->item[texts->count++] = (text_item){.key = key, .text = comment};
    return RF_OK;
}

static rf_status read_exif(rf_picture_texts *texts, const unsigned char *data, size_t bytes,
                           const char *name, rf_error *err)
{
    char     *comment = NULL;
    rf_status st = rf_exif_comment(&comment, data, bytes, name, err);
    if (st == RF_OK && comment) st = add_comment(texts, comment, name, err);
    return st;
}

static rf_status png_texts(rf_picture_texts *texts, spng_ctx *ctx, const char *name, rf_error *err)
{
    rf_status         st = RF_OK;
    uint32_t          count = 0;
    struct spng_text *found = NULL;
    struct spng_exif  exif;
    int               code = spng_get_text(ctx, NULL, &count);
    if (code != 0 && code != SPNG_ECHUNKAVAIL) return png_failed(code, name, err);
    if (code == 0 && count > 0) {
        found = calloc(count, sizeof *found);
        texts->item = calloc(count, sizeof *texts->item);
        if (!found || !texts->item) {
            st = rf_fail(err, RF_E_NOMEM, "%s: no memory for its %u texts", name, count);
            goto done;
        }
        if ((code = spng_get_text(ctx, found, &count)) != 0) {
            st = png_failed(code, name, err);
            goto done;
        }
        for (texts->count = 0; texts->count < count;) {
            const size_t i = texts->count++;
            RF_TRY(keep_png_text(&texts->item[i], &found[i], name, err));
        }
    }
    /* A1111: an EXIF comment wins, so it stands last */
    if (spng_get_exif(ctx, &exif) == 0)
        RF_TRY(read_exif(texts, (const unsigned char *)exif.data, exif.length, name, err));
done:
    free(found);
    return st;
}

static rf_status read_png(rf_picture_texts *texts, const unsigned char *data, size_t bytes,
                          const char *name, rf_error *err)
{
    rf_status st;
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) return rf_fail(err, RF_E_NOMEM, "%s: no memory for the PNG decoder", name);
    int code = spng_set_png_buffer(ctx, data, bytes);
    if (!code) code = spng_set_chunk_limits(ctx, TEXT_MAX, TEXT_MAX);
    /* a text with a wrong checksum is damage, not absence */
    if (!code) code = spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_ERROR);
    st = code ? png_failed(code, name, err) : png_texts(texts, ctx, name, err);
    spng_ctx_free(ctx);
    return st;
}

/* ---- JPEG, WebP --------------------------------------------------------------------------- */

/* ITU T.81, B.1.1: 0xFF and a marker; most have a big-endian length that counts itself. */
static rf_status read_jpeg(rf_picture_texts *texts, const unsigned char *data, size_t bytes,
                           const char *name, rf_error *err)
{
    enum { START_OF_SCAN = 0xDA, END_OF_IMAGE = 0xD9, APP1 = 0xE1 };
    for (size_t at = 2;;) {
        while (at + 1 < bytes && data[at] == 0xFF && data[at + 1] == 0xFF) at++; /* fill bytes */
        if (bytes - at < 4 || data[at] != 0xFF)
            return rf_fail(err, RF_E_FORMAT, "%s: a damaged JPEG: no marker at byte %zu", name, at);
        const unsigned marker = data[at + 1];
        if (marker == START_OF_SCAN || marker == END_OF_IMAGE) return RF_OK;
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        at += 2;
        if (length < 2 || length > bytes - at)
            return rf_fail(err, RF_E_FORMAT, "%s: a damaged JPEG: a segment of %zu bytes", name,
                           length);
        if (marker == APP1 && length >= 8 && memcmp(data + at + 2, "Exif\0\0", 6) == 0)
            return read_exif(texts, data + at + 2, length - 2, name, err);
        at += length;
    }
}

static size_t little_u32(const unsigned char *p)
{
    return p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* RIFF: a name, a little-endian length, padding to an even size. */
static rf_status read_webp(rf_picture_texts *texts, const unsigned char *data, size_t bytes,
                           const char *name, rf_error *err)
{
    for (size_t at = 12; bytes - at >= 8;) {
        const size_t length = little_u32(data + at + 4);
        if (length > bytes - at - 8)
            return rf_fail(err, RF_E_FORMAT, "%s: a damaged WebP: a chunk of %zu bytes", name,
                           length);
        if (memcmp(data + at, "EXIF", 4) == 0)
            return read_exif(texts, data + at + 8, length, name, err);
        at += 8 + length;
        if (length % 2 && at < bytes) at++;
    }
    return RF_OK;
}

/* ---- the file ----------------------------------------------------------------------------- */

rf_status rf_picture_texts_parse(rf_picture_texts **out, const unsigned char *data, size_t bytes,
                                 const char *name, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_picture_texts *texts = calloc(1, sizeof *texts);
    *out = NULL;
    if (!texts) return rf_fail(err, RF_E_NOMEM, "%s: no memory for its texts", name);
    if (bytes >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        RF_TRY(read_png(texts, data, bytes, name, err));
    else if (bytes >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0)
        RF_TRY(read_jpeg(texts, data, bytes, name, err));
    else if (bytes >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        RF_TRY(read_webp(texts, data, bytes, name, err));
    else
        RF_TRY(rf_fail(err, RF_E_FORMAT, "%s is not a PNG, JPEG or WebP picture", name));
    *out = texts;
    texts = NULL;
done:
    rf_picture_texts_free(texts);
    return st;
}

rf_status rf_picture_texts_read(rf_picture_texts **out, const char *path, rf_error *err)
{
    char  *data = NULL;
    size_t bytes = 0;
    *out = NULL;
    rf_status st = rf_whole_file_read(&data, &bytes, path, FILE_MAX, err);
    if (st == RF_OK)
        st = rf_picture_texts_parse(out, (const unsigned char *)data, bytes, path, err);
    free(data);
    return st;
}

const char *rf_picture_texts_get(const rf_picture_texts *texts, const char *key)
{
    for (size_t i = texts->count; i > 0; i--) /* of equal keys the last, as in Pillow */
        if (strcmp(texts->item[i - 1].key, key) == 0) return texts->item[i - 1].text;
    return NULL;
}

void rf_picture_texts_free(rf_picture_texts *texts)
{
    if (!texts) return;
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->item[i].key);
        free(texts->item[i].text);
    }
    free(texts->item);
    free(texts);
}
