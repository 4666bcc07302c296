/* The cursor; see json_scan.h. */
#include "engine/files/json_scan.h"

#include <string.h>

#include "engine/files/utf8.h"

static int fail(rf_json *j, const char *error)
{
    if (!j->error) j->error = error;
    return 0;
}

void rf_json_space(rf_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

int rf_json_take(rf_json *j, char c)
{
    if (j->error) return 0;
    rf_json_space(j);
    if (j->at == j->end || *j->at != c) return 0;
    j->at++;
    return 1;
}

int rf_json_expect(rf_json *j, char c, const char *error)
{
    return rf_json_take(j, c) || fail(j, error);
}

/* Four hex digits at `at`, or -1. */
static int32_t hex4(rf_json *j)
{
    int32_t value = 0;
    if (j->end - j->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = *j->at++;
        int        digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* \uXXXX, after the u; a surrogate must come with its other half. */
static int unicode_escape(rf_json *j, char **out)
{
    int32_t c = hex4(j);
    if (c < 0) return fail(j, "a \\u escape without four hexadecimal digits");
    if (c == 0) return fail(j, "a NUL character in a string");
    if (c >= 0xDC00 && c <= 0xDFFF) return fail(j, "half a surrogate pair in a string");
    if (c >= 0xD800 && c <= 0xDBFF) {
        int32_t low = -1;
        if (j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
            j->at += 2;
            low = hex4(j);
        }
        if (low < 0xDC00 || low > 0xDFFF) return fail(j, "half a surrogate pair in a string");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    *out = rf_utf8_put(*out, (uint32_t)c);
    return 1;
}

static int escape(rf_json *j, char **out)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end) return fail(j, "a string without an end");
    const char c = *j->at++;
    if (c == 'u') return unicode_escape(j, out);
    const char *name = c ? strchr(names, c) : NULL;
    if (!name) return fail(j, "an unknown escape in a string");
    *(*out)++ = means[name - names];
    return 1;
}

int rf_json_string(rf_json *j, char **text, size_t *bytes)
{
    if (!rf_json_expect(j, '"', "something else where a string must stand")) return 0;
    char *out = j->at;
    *text = out;
    while (j->at < j->end) {
        const unsigned char c = (unsigned char)*j->at;
        if (c == '"') {
            j->at++;
            *out = '\0';
            *bytes = (size_t)(out - *text);
            return 1;
        }
        if (c < 0x20) return fail(j, "a control character in a string");
        if (c == '\\') {
            j->at++;
            if (!escape(j, &out)) return 0;
            continue;
        }
        const size_t n = rf_utf8_span(j->at, (size_t)(j->end - j->at));
        if (n == 0) return fail(j, "text that is not UTF-8");
        if (out != j->at) memmove(out, j->at, n);
        out += n;
        j->at += n;
    }
    return fail(j, "a string without an end");
}

static int is_digit(const rf_json *j)
{
    return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

/* Digits without a superfluous leading zero; *value saturates at -1 when 2^63-1 is passed. */
static int digits(rf_json *j, int64_t *value)
{
    if (!is_digit(j)) return fail(j, "something else where a number must stand");
    if (*j->at == '0' && j->end - j->at > 1 && j->at[1] >= '0' && j->at[1] <= '9')
        return fail(j, "a number with a leading zero");
    *value = 0;
    for (; is_digit(j); j->at++) {
        const int digit = *j->at - '0';
        if (*value < 0 || *value > (INT64_MAX - digit) / 10)
            *value = -1;
        else
            *value = *value * 10 + digit;
    }
    return 1;
}

int rf_json_integer(rf_json *j, int64_t *value)
{
    if (j->error) return 0;
    rf_json_space(j);
    if (j->at < j->end && *j->at == '-') return fail(j, "a negative number");
    if (!digits(j, value)) return 0;
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))
        return fail(j, "a number that is not written as an integer");
    return *value >= 0 || fail(j, "a number above 2^63-1");
}

static int skip_number(rf_json *j)
{
    int64_t ignored;
    if (*j->at == '-') j->at++;
    if (!digits(j, &ignored)) return 0;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!is_digit(j)) return fail(j, "a number that ends in a dot");
        while (is_digit(j)) j->at++;
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-')) j->at++;
        if (!is_digit(j)) return fail(j, "a number without its exponent");
        while (is_digit(j)) j->at++;
    }
    return 1;
}

static int skip_scalar(rf_json *j)
{
    static const char *const words[] = {"true", "false", "null"};
    char                    *text;
    size_t                   bytes;
    if (j->at == j->end) return fail(j, "the end where a value must stand");
    if (*j->at == '"') return rf_json_string(j, &text, &bytes);
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(j->end - j->at) >= n && memcmp(j->at, words[i], n) == 0) {
            j->at += n;
            return 1;
        }
    }
    return skip_number(j);
}

static int skip_key(rf_json *j)
{
    char  *text;
    size_t bytes;
    return rf_json_string(j, &text, &bytes) && rf_json_expect(j, ':', "a key without a colon");
}

/* Iterative: `open` holds the closing bracket of every level that is open. */
int rf_json_skip(rf_json *j)
{
    char open[RF_JSON_DEPTH];
    int  depth = 0;
    for (;;) {
        rf_json_space(j);
        if (!j->error && j->at < j->end && (*j->at == '{' || *j->at == '[')) {
            const char close = *j->at == '{' ? '}' : ']';
            if (depth == RF_JSON_DEPTH) return fail(j, "values nested too deeply");
            j->at++;
            if (!rf_json_take(j, close)) {
                open[depth++] = close;
                if (close == '}' && !skip_key(j)) return 0;
                continue;
            }
        } else if (j->error || !skip_scalar(j)) {
            return 0;
        }
        while (depth > 0 && rf_json_take(j, open[depth - 1])) depth--;
        if (depth == 0) return 1;
        if (!rf_json_expect(j, ',', "values without a comma between them")) return 0;
        if (open[depth - 1] == '}' && !skip_key(j)) return 0;
    }
}
