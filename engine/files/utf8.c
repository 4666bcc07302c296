/* See utf8.h. */
#include "engine/files/utf8.h"

size_t rf_utf8_span(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char  lead = s[0];
    if (lead < 0x80) return 1;
    const size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (lead == 0xE0 && s[1] < 0xA0) return 0; /* overlong */
    if (lead == 0xED && s[1] > 0x9F) return 0; /* surrogates */
    if (lead == 0xF0 && s[1] < 0x90) return 0; /* overlong */
    if (lead == 0xF4 && s[1] > 0x8F) return 0; /* above U+10FFFF */
    return n;
}

int rf_utf8_valid(const char *s, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        const size_t n = s[at] ? rf_utf8_span(s + at, bytes - at) : 0;
        if (n == 0) return 0;
        at += n;
    }
    return 1;
}

char *rf_utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}
