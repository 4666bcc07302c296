/* Code point lists; see codes.h. */
#include "engine/text/codes.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

void rf_codes_free(rf_codes *codes)
{
    free(codes->at);
    *codes = (rf_codes){0};
}

static rf_status reserve(rf_codes *codes, size_t more, rf_error *err)
{
    if (more <= codes->capacity - codes->length) return RF_OK;
    const size_t limit = SIZE_MAX / sizeof *codes->at / 2;
    if (more > limit || codes->length > limit - more)
        return rf_fail(err, RF_E_NOMEM, "text: more than %zu characters", limit);
    const size_t need = codes->length + more;
    const size_t grown = codes->capacity + codes->capacity / 2;
    const size_t capacity = need > grown ? need : grown;
    int32_t     *at = realloc(codes->at, capacity * sizeof *at);
    if (!at) return rf_fail(err, RF_E_NOMEM, "text: %zu bytes", capacity * sizeof *at);
    codes->at = at;
    codes->capacity = capacity;
    return RF_OK;
}

rf_status rf_codes_push(rf_codes *codes, int32_t code, rf_error *err)
{
    if (codes->length == codes->capacity) {
        const rf_status st = reserve(codes, 64, err); /* one allocation for most prompts' words */
        if (st != RF_OK) return st;
    }
    codes->at[codes->length++] = code;
    return RF_OK;
}

rf_status rf_codes_append(rf_codes *codes, const int32_t *from, size_t count, rf_error *err)
{
    const rf_status st = reserve(codes, count, err);
    if (st != RF_OK || count == 0) return st;
    memcpy(codes->at + codes->length, from, count * sizeof *from);
    codes->length += count;
    return RF_OK;
}

rf_status rf_codes_decode(rf_codes *codes, const char *text, size_t bytes, rf_error *err)
{
    const size_t    before = codes->length;
    const rf_status st = reserve(codes, bytes, err); /* no code point is shorter than a byte */
    if (st != RF_OK) return st;
    for (size_t at = 0; at < bytes;) {
        int32_t                code;
        const utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                       (utf8proc_ssize_t)(bytes - at), &code);
        if (took <= 0) {
            codes->length = before;
            return rf_fail(err, RF_E_ARG, "the prompt is not UTF-8: byte %zu is 0x%02X", at,
                           (unsigned)(unsigned char)text[at]);
        }
        codes->at[codes->length++] = code;
        at += (size_t)took;
    }
    return RF_OK;
}

bool rf_code_is_space(int32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
    const utf8proc_category_t kind = utf8proc_category(code);
    return code == 0x85 || kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
           kind == UTF8PROC_CATEGORY_ZP;
}

bool rf_code_is_letter(int32_t code)
{
    if (code < 0x80) return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    const utf8proc_category_t kind = utf8proc_category(code);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool rf_code_is_number(int32_t code)
{
    if (code < 0x80) return code >= '0' && code <= '9';
    const utf8proc_category_t kind = utf8proc_category(code);
    return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

int32_t rf_code_from_windows_1252(int32_t code)
{
    static const uint16_t windows_1252[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
        0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
    return code >= 0x80 && code <= 0x9F ? windows_1252[code - 0x80] : code;
}
