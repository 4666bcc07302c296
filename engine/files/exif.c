/* See exif.h.  TIFF 6.0, section 2, and Exif 2.3, 4.6: IFD0 points to the Exif IFD, whose entry
 * 0x9286 is the comment.  Offsets are followed twice and never backwards in a loop, so that hostile
 * data cannot make this run long. */
#include "engine/files/exif.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/utf8.h"

enum {
    ENTRY_BYTES = 12,
    TAG_EXIF_IFD = 0x8769,
    TAG_USER_COMMENT = 0x9286,
    TYPE_LONG = 4,
    TYPE_UNDEFINED = 7, /* what the standard wants of a comment */
    TYPE_BYTE = 1,      /* what Pillow writes */
    CODING_BYTES = 8,   /* what a comment begins with: the name of its coding */
};

typedef struct tiff {
    const unsigned char *data;
    size_t               bytes;
    int                  big; /* endian */
} tiff;

static uint32_t u16(const tiff *t, size_t at)
{
    const uint32_t a = t->data[at], b = t->data[at + 1];
    return t->big ? a << 8 | b : b << 8 | a;
}

static uint32_t u32(const tiff *t, size_t at)
{
    const uint32_t a = u16(t, at), b = u16(t, at + 2);
    return t->big ? a << 16 | b : b << 16 | a;
}

/* Whether `bytes` bytes at `at` are there. */
static int inside(const tiff *t, size_t at, size_t bytes)
{
    return at <= t->bytes && bytes <= t->bytes - at;
}

/* Place of the entry `tag` in the directory at `at`; 0: it has none; -1: the directory is cut off.
 * An entry is never at 0: the header is. */
static int64_t find_entry(const tiff *t, size_t at, uint32_t tag)
{
    if (!inside(t, at, 2)) return -1;
    const size_t count = u16(t, at);
    if (!inside(t, at + 2, count * ENTRY_BYTES)) return -1;
    for (size_t i = 0; i < count; i++)
        if (u16(t, at + 2 + i * ENTRY_BYTES) == tag) return (int64_t)(at + 2 + i * ENTRY_BYTES);
    return 0;
}

static int open_tiff(tiff *t, const unsigned char *data, size_t bytes)
{
    if (bytes >= 6 && memcmp(data, "Exif\0\0", 6) == 0) data += 6, bytes -= 6;
    if (bytes < 8) return 0;
    *t = (tiff){.data = data, .bytes = bytes, .big = data[0] == 'M'};
    return (memcmp(data, "II", 2) == 0 || memcmp(data, "MM", 2) == 0) && u16(t, 2) == 42;
}

/* UTF-16 to UTF-8; half a surrogate pair becomes U+FFFD, and a NUL ends the text. */
static void utf16_text(char *out, const tiff *t)
{
    size_t at = 0;
    tiff   s = *t;
    if (s.bytes >= 2 && s.data[0] == 0xFF && s.data[1] == 0xFE) s.big = 0, at = 2;
    if (s.bytes >= 2 && s.data[0] == 0xFE && s.data[1] == 0xFF) s.big = 1, at = 2;
    for (; inside(&s, at, 2); at += 2) {
        uint32_t c = u16(&s, at);
        if (c == 0) break;
        const uint32_t low = inside(&s, at, 4) ? u16(&s, at + 2) : 0;
        if (c >= 0xD800 && c <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            at += 2;
        } else if (c >= 0xD800 && c <= 0xDFFF) {
            c = 0xFFFD;
        }
        out = rf_utf8_put(out, c);
    }
    *out = '\0';
}

static rf_status decode(char **out, const unsigned char *comment, size_t bytes, const char *name,
                        rf_error *err)
{
    static const char    zeros[CODING_BYTES] = "";
    const unsigned char *text = comment + CODING_BYTES;
    if (bytes < CODING_BYTES)
        return rf_fail(err, RF_E_FORMAT, "%s: the EXIF comment is cut off", name);
    bytes -= CODING_BYTES;
    char *s = malloc(2 * bytes + 1); /* UTF-16 grows by a half at the most */
    if (!s) return rf_fail(err, RF_E_NOMEM, "%s: no memory for the EXIF comment", name);
    if (memcmp(comment, "UNICODE", CODING_BYTES) == 0) {
        utf16_text(s, &(tiff){.data = text, .bytes = bytes, .big = 1});
        *out = s;
        return RF_OK;
    }
    if (memcmp(comment, "ASCII\0\0", CODING_BYTES) == 0 ||
        memcmp(comment, zeros, CODING_BYTES) == 0) {
        const size_t n = strnlen((const char *)text, bytes);
        memcpy(s, text, n);
        s[n] = '\0';
        if (rf_utf8_valid(s, n)) {
            *out = s;
            return RF_OK;
        }
    }
    free(s);
    return rf_fail(err, RF_E_FORMAT, "%s: the EXIF comment is neither UNICODE nor ASCII", name);
}

rf_status rf_exif_comment(char **out, const unsigned char *data, size_t bytes, const char *name,
                          rf_error *err)
{
    tiff t;
    *out = NULL;
    if (!open_tiff(&t, data, bytes))
        return rf_fail(err, RF_E_FORMAT, "%s: its EXIF data has no TIFF header", name);
    int64_t entry = find_entry(&t, u32(&t, 4), TAG_EXIF_IFD);
    if (entry > 0 && u16(&t, (size_t)entry + 2) == TYPE_LONG)
        entry = find_entry(&t, u32(&t, (size_t)entry + 8), TAG_USER_COMMENT);
    else if (entry > 0)
        entry = -1;
    if (entry < 0) return rf_fail(err, RF_E_FORMAT, "%s: its EXIF data is damaged", name);
    if (entry == 0) return RF_OK;
    const size_t   at = u32(&t, (size_t)entry + 8), count = u32(&t, (size_t)entry + 4);
    const uint32_t type = u16(&t, (size_t)entry + 2);
    /* up to four bytes would stand in the entry itself, too few for the coding */
    if ((type != TYPE_UNDEFINED && type != TYPE_BYTE) || count < CODING_BYTES ||
        !inside(&t, at, count))
        return rf_fail(err, RF_E_FORMAT, "%s: its EXIF comment is damaged", name);
    return decode(out, t.data + at, count, name, err);
}
