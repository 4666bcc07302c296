/* The cursor; see json_scan.h. */
#include "engine/files/json_scan.h"

#include <string.h>

#include "engine/files/utf8.h"

static int fail(rf_json *j, const char *error)
{
    if (!j->error) j->error = error;
    return 0;
}

/* ---- the window --------------------------------------------------------------------------- */

/* Drops what was read, but for the bytes from `keep` to `kept_end`, which move to the window's
 * start, the unread ones behind them; then reads on.  1 if there is more to read than before. */
static int refill(rf_json *j, char *keep, const char *kept_end)
{
    if (!j->source) return 0;
    const size_t   kept = (size_t)(kept_end - keep), unread = (size_t)(j->end - j->at);
    const uint64_t offset = rf_json_offset(j);
    memmove(j->window, keep, kept);
    memmove(j->window + kept, j->at, unread);
    j->at = j->window + kept;
    j->end = j->at + unread;
    j->before = offset - kept;
    const size_t got = j->source(j->user, j->end, (size_t)(j->window + j->room - j->end));
    j->end += got;
    return got > 0;
}

/* At least `bytes` (few) can be read at `at`, or all that is left. */
static void look_ahead(rf_json *j, ptrdiff_t bytes)
{
    while (j->end - j->at < bytes && refill(j, j->at, j->at)) {}
}

/* The next byte, -1 at the end. */
static int peek(rf_json *j)
{
    if (j->at == j->end) look_ahead(j, 1);
    return j->at == j->end ? -1 : (unsigned char)*j->at;
}

uint64_t rf_json_offset(const rf_json *j)
{
    return j->before + (uint64_t)(j->at - j->window);
}

int rf_json_is_over(rf_json *j)
{
    return peek(j) < 0;
}

/* ---- tokens ------------------------------------------------------------------------------- */

void rf_json_space(rf_json *j)
{
    for (int c = peek(j); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = peek(j)) j->at++;
}

int rf_json_take(rf_json *j, char c)
{
    if (j->error) return 0;
    rf_json_space(j);
    if (peek(j) != c) return 0;
    j->at++;
    return 1;
}

int rf_json_expect(rf_json *j, char c, const char *error)
{
    return rf_json_take(j, c) || fail(j, error);
}

/* ---- strings ------------------------------------------------------------------------------ */

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

/* At a backslash. */
static int escape(rf_json *j, char **out)
{
    j->at++;
    if (j->at == j->end) return fail(j, "a string without an end");
    const char c = *j->at++;
    switch (c) {
    case 'u': return unicode_escape(j, out);
    case '"':
    case '\\':
    case '/': *(*out)++ = c; return 1;
    case 'b': *(*out)++ = '\b'; return 1;
    case 'f': *(*out)++ = '\f'; return 1;
    case 'n': *(*out)++ = '\n'; return 1;
    case 'r': *(*out)++ = '\r'; return 1;
    case 't': *(*out)++ = '\t'; return 1;
    default: return fail(j, "an unknown escape in a string");
    }
}

/* How many of the next bytes are plain: printable ASCII but for quotes and backslashes.  Eight at
 * a time: most of a large header are such runs. */
static size_t plain_run(const char *text, size_t left)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t         n = 0;
    for (uint64_t w; n + sizeof w <= left; n += sizeof w) {
        memcpy(&w, text + n, sizeof w);
        const uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
        /* the high bit of every byte that is a control, a quote, a slash or no ASCII */
        if (((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & highs) break;
    }
    while (n < left && (unsigned char)text[n] >= 0x20 && (unsigned char)text[n] < 0x80 &&
           text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* How many of the next bytes are whole characters beyond ASCII; 0: the first is no UTF-8. */
static size_t wide_run(const char *text, size_t left)
{
    size_t n = 0;
    while (n < left && (unsigned char)text[n] >= 0x80) {
        const unsigned char lead = (unsigned char)text[n];
        const int two = lead >= 0xC2 && lead < 0xE0 && left - n > 1 && (text[n + 1] & 0xC0) == 0x80;
        const size_t span = two ? 2 : rf_utf8_span(text + n, left - n);
        if (span == 0) break;
        n += span;
    }
    return n;
}

/* The part of a string that is in memory, to its end or until less than an escape is left; `text`
 * to `out` is what was unescaped.  1 at the closing quote. */
static int string_part(rf_json *j, char **out, ptrdiff_t reserve)
{
    while (j->end - j->at > reserve) {
        const unsigned char c = (unsigned char)*j->at;
        if (c == '"') return 1;
        if (c < 0x20) return fail(j, "a control character in a string");
        if (c == '\\') {
            if (!escape(j, out)) return 0;
            continue;
        }
        const size_t left = (size_t)(j->end - j->at);
        const size_t n = c < 0x80 ? plain_run(j->at, left) : wide_run(j->at, left);
        if (n == 0) return fail(j, "text that is not UTF-8");
        if (*out != j->at) memmove(*out, j->at, n);
        *out += n;
        j->at += n;
    }
    return 0;
}

int rf_json_string(rf_json *j, char **text, size_t *bytes)
{
    enum { ESCAPE = 12 }; /* bytes of the longest escape, a surrogate pair */
    if (!rf_json_expect(j, '"', "something else where a string must stand")) return 0;
    char  *from = j->at, *out = from;
    size_t dropped = 0; /* of a string that is too long to be kept */
    for (ptrdiff_t reserve = j->source ? ESCAPE : 0;;) {
        if (string_part(j, &out, reserve)) break;
        if (j->error) return 0;
        if (out - from > RF_JSON_STRING_MAX) {
            dropped += (size_t)(out - from);
            from = out;
        }
        const size_t kept = (size_t)(out - from);
        const int    more = refill(j, from, out);
        if (more || reserve) {
            reserve = more ? reserve : 0; /* the end of the text, which may hold the quote */
            from = j->source ? j->window : from;
            out = from + kept;
            continue;
        }
        return fail(j, "a string without an end");
    }
    j->at++;
    *bytes = dropped + (size_t)(out - from);
    if (j->source && *bytes > RF_JSON_STRING_MAX) out = from;
    *out = '\0';
    *text = from;
    return 1;
}

/* ---- other values ------------------------------------------------------------------------- */

static int is_digit(rf_json *j)
{
    const int c = peek(j);
    return c >= '0' && c <= '9';
}

/* Digits without a superfluous leading zero; *value is -1 when 2^63-1 is passed. */
static int digits(rf_json *j, int64_t *value)
{
    int count = 0;
    if (!is_digit(j)) return fail(j, "something else where a number must stand");
    const int zero = *j->at == '0';
    *value = 0;
    for (; is_digit(j); j->at++) {
        const int digit = *j->at - '0';
        if (count > 0 && zero) return fail(j, "a number with a leading zero");
        if (++count > RF_JSON_DIGITS) return fail(j, "a number of too many digits");
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
    if (peek(j) == '-') return fail(j, "a negative number");
    if (!digits(j, value)) return 0;
    const int c = peek(j);
    if (c == '.' || c == 'e' || c == 'E')
        return fail(j, "a number that is not written as an integer");
    return *value >= 0 || fail(j, "a number above 2^63-1");
}

/* What follows a dot or an exponent, where zeros may lead. */
static int more_digits(rf_json *j, const char *error)
{
    int count = 0;
    for (; is_digit(j); j->at++)
        if (++count > RF_JSON_DIGITS) return fail(j, "a number of too many digits");
    return count > 0 || fail(j, error);
}

static int skip_number(rf_json *j)
{
    int64_t ignored;
    if (peek(j) == '-') j->at++;
    if (!digits(j, &ignored)) return 0;
    if (peek(j) == '.') {
        j->at++;
        if (!more_digits(j, "a number that ends in a dot")) return 0;
    }
    if (peek(j) == 'e' || peek(j) == 'E') {
        j->at++;
        if (peek(j) == '+' || peek(j) == '-') j->at++;
        return more_digits(j, "a number without its exponent");
    }
    return 1;
}

static int skip_scalar(rf_json *j)
{
    static const char *const words[] = {"true", "false", "null"};
    char                    *text;
    size_t                   bytes;
    look_ahead(j, 5);
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
        if (++j->skipped > RF_JSON_SKIP_MAX) return fail(j, "too many values that mean nothing");
        const int c = peek(j);
        if (!j->error && (c == '{' || c == '[')) {
            const char close = c == '{' ? '}' : ']';
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
