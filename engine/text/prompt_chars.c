/* Python's character classes over UTF-8; see prompt_chars.h. */
#include "engine/text/prompt_chars.h"

#include "engine/text/codes.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

int32_t rf_char_at(const char *text, size_t at, size_t *bytes)
{
    int32_t code = (unsigned char)text[at];
    *bytes = 1;
    if (code >= 0x80)
        *bytes = (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + at, -1, &code);
    return code;
}

/* The place of the character that ends before `at`. */
static size_t previous(const char *text, size_t at)
{
    do at--;
    while (((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* str.isspace: rf_code_is_space and the four information separators. */
static bool is_space(int32_t code)
{
    return rf_code_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

static bool is_word(int32_t code)
{
    return code == '_' || rf_code_is_letter(code) || rf_code_is_number(code);
}

size_t rf_skip_space(const char *text, size_t at, size_t end)
{
    size_t bytes;
    while (at < end && is_space(rf_char_at(text, at, &bytes))) at += bytes;
    return at;
}

size_t rf_trim_space(const char *text, size_t start, size_t end)
{
    size_t bytes;
    while (end > start) {
        const size_t last = previous(text, end);
        if (!is_space(rf_char_at(text, last, &bytes))) break;
        end = last;
    }
    return end;
}

size_t rf_skip_word(const char *text, size_t at, size_t end)
{
    size_t bytes;
    while (at < end && is_word(rf_char_at(text, at, &bytes))) at += bytes;
    return at;
}

bool rf_word_is(const char *text, size_t start, size_t end, size_t at, const char *word)
{
    const size_t length = strlen(word);
    size_t       bytes;
    if (length > end - at || memcmp(text + at, word, length) != 0) return false;
    if (at > start && is_word(rf_char_at(text, previous(text, at), &bytes))) return false;
    return at + length == end || !is_word(rf_char_at(text, at + length, &bytes));
}

/* The value of a decimal digit (\d, category Nd) of any script, or -1. */
static int digit_value(int32_t code)
{
    if (code < 0x80) return code >= '0' && code <= '9' ? code - '0' : -1;
    if (utf8proc_category(code) != UTF8PROC_CATEGORY_ND) return -1;
    /* Unicode gives each script's digits ten places in a row, from zero on; a run of several tens
     * (mathematical digits) starts with a zero too. */
    int32_t zero = code;
    while (utf8proc_category(zero - 1) == UTF8PROC_CATEGORY_ND) zero--;
    return (code - zero) % 10;
}

rf_decimal rf_decimal_scan(const char *text, size_t at, size_t end)
{
    size_t place = at, digits = 0, points = 0, bytes;
    if (place < end && (text[place] == '+' || text[place] == '-')) place++;
    for (; place < end; place += bytes) {
        const int32_t code = rf_char_at(text, place, &bytes);
        const bool    digit = digit_value(code) >= 0;
        if (!digit && code != '.') break;
        digits += digit;
        points += !digit;
    }
    if (digits + points == 0) return (rf_decimal){.end = at};
    return (rf_decimal){.end = place, .is_number = digits > 0 && points < 2};
}

rf_status rf_decimal_value(const char *text, size_t at, size_t end, double *value, rf_error *err)
{
    char   small[64]; /* any number that a person writes */
    char  *ascii = end - at < sizeof small ? small : malloc(end - at + 1);
    size_t length = 0, bytes;
    if (!ascii) return rf_fail(err, RF_E_NOMEM, "prompt: a number of %zu bytes", end - at);
    for (; at < end; at += bytes) {
        const int32_t code = rf_char_at(text, at, &bytes);
        const int     digit = digit_value(code);
        ascii[length++] = (char)(digit >= 0 ? '0' + digit : code);
    }
    ascii[length] = '\0';
    *value = strtod(ascii, NULL);
    if (ascii != small) free(ascii);
    return RF_OK;
}
