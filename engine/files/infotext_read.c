/* The reading rules; see infotext_read.h.
 *
 * A1111 searches the line with a regular expression, which backtracks.  A start that fails here is
 * never tried again: a run of key characters that no colon ends holds no key at all. */
#include "engine/files/infotext_read.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/json_scan.h"

enum {
    TEXT_MAX = 1 << 25, /* bytes; far beyond any prompt */
    PAIRS_MIN = 3,      /* of a line that is not prompt */
};

static const char white[] = " \t\n\v\f\r\x1c\x1d\x1e\x1f"; /* to Python, as far as ASCII goes */
static const char negative_mark[] = "Negative prompt:";

typedef struct span {
    const char *at, *end;
} span;

static int is_white(char c)
{
    return c && strchr(white, c) != NULL;
}

static span strip(span s)
{
    while (s.at < s.end && is_white(*s.at)) s.at++;
    while (s.end > s.at && is_white(s.end[-1])) s.end--;
    return s;
}

/* Python's \w; letters outside ASCII are taken for granted. */
static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static int is_key(char c)
{
    return is_word(c) || c == ' ' || c == '-' || c == '/';
}

/* The end of the quotation at `s`, if it is one and a comma or the end follows it; else NULL. */
static const char *quotation_end(span s)
{
    const char *p = s.at + 1;
    if (s.at == s.end || *s.at != '"') return NULL;
    while (p < s.end && *p != '"') p += *p == '\\' ? 2 : 1;
    if (p >= s.end || p == s.at + 1) return NULL;
    return p + 1 == s.end || p[1] == ',' ? p + 1 : NULL;
}

/* Takes the next pair of `line`; 0 if there is none. */
static int next_pair(span *line, span *key, span *value)
{
    while (line->at < line->end) {
        const char *p = line->at;
        if (!is_word(*p)) {
            line->at++;
            continue;
        }
        while (p < line->end && is_key(*p)) p++;
        *key = (span){line->at, p};
        line->at = p;
        if (p == line->end || *p != ':' || p - key->at < 2) continue;
        value->at = p + 1;
        value->end = line->end;
        while (value->at < line->end && is_white(*value->at)) value->at++;
        const char *end = quotation_end(*value);
        if (!end) end = memchr(value->at, ',', (size_t)(line->end - value->at));
        if (!end) end = line->end;
        line->at = end < line->end ? end + 1 : end; /* past the comma */
        *value = strip((span){value->at, end});
        return 1;
    }
    return 0;
}

static size_t count_pairs(span line)
{
    size_t n = 0;
    for (span key, value; next_pair(&line, &key, &value);) n++;
    return n;
}

/* ---- storing ------------------------------------------------------------------------------ */

/* Copies `s` and `suffix` to *at, and moves *at behind their NUL. */
static char *keep(char **at, span s, const char *suffix)
{
    char        *copy = *at;
    const size_t n = (size_t)(s.end - s.at), more = strlen(suffix);
    memcpy(copy, s.at, n);
    memcpy(copy + n, suffix, more + 1);
    *at += n + more + 1;
    return copy;
}

static char *keep_value(char **at, span s)
{
    char  *copy = keep(at, s, ""), *text;
    size_t bytes;
    if (*copy != '"') return copy;
    rf_json j = {.at = copy, .end = *at - 1};
    if (rf_json_string(&j, &text, &bytes) && j.at == j.end) return text;
    memcpy(copy, s.at, (size_t)(s.end - s.at)); /* not JSON after all: as it stands */
    copy[s.end - s.at] = '\0';
    return copy;
}

/* The x of digits x digits, or NULL. */
static const char *size_cross(span s)
{
    const char *p = s.at, *cross;
    while (p < s.end && *p >= '0' && *p <= '9') p++;
    cross = p;
    if (p == s.at || p == s.end || *p++ != 'x' || p == s.end) return NULL;
    while (p < s.end && *p >= '0' && *p <= '9') p++;
    return p == s.end ? cross : NULL;
}

static rf_status read_pairs(rf_infotext_parts *out, span line, size_t pairs, rf_error *err)
{
    /* A pair of n bytes, "ab:1x1" at the least, never needs more than 3 n. */
    const size_t bytes = 3 * (size_t)(line.end - line.at) + 1;
    out->pair = malloc(2 * pairs * sizeof *out->pair); /* a size makes two */
    out->memory = malloc(bytes);
    if (!out->pair || !out->memory)
        return rf_fail(err, RF_E_NOMEM, "no memory for the parameters of a picture");
    char *at = out->memory;
    for (span key, value; next_pair(&line, &key, &value);) {
        const char *cross = size_cross(value);
        if (!cross) {
            const char *k = keep(&at, key, "");
            out->pair[out->count++] = (rf_infotext_pair){k, keep_value(&at, value)};
            continue;
        }
        const char *k = keep(&at, key, "-1"), *v = keep(&at, (span){value.at, cross}, "");
        out->pair[out->count++] = (rf_infotext_pair){k, v};
        k = keep(&at, key, "-2"), v = keep(&at, (span){cross + 1, value.end}, "");
        out->pair[out->count++] = (rf_infotext_pair){k, v};
    }
    return RF_OK;
}

/* ---- the text ----------------------------------------------------------------------------- */

/* Appends a line to a text that has room for it. */
static void append_line(char *text, size_t *used, span line)
{
    if (*used > 0) text[(*used)++] = '\n';
    memcpy(text + *used, line.at, (size_t)(line.end - line.at));
    *used += (size_t)(line.end - line.at);
    text[*used] = '\0';
}

static rf_status read_prompts(rf_infotext_parts *out, span all, rf_error *err)
{
    const size_t room = (size_t)(all.end - all.at) + 1, mark = sizeof negative_mark - 1;
    size_t       used[2] = {0};
    int          negative = 0;
    out->prompt = calloc(1, room);
    out->negative = calloc(1, room);
    if (!out->prompt || !out->negative)
        return rf_fail(err, RF_E_NOMEM, "no memory for the prompts of a picture");
    while (all.at < all.end) {
        const char *end = memchr(all.at, '\n', (size_t)(all.end - all.at));
        if (!end) end = all.end;
        span line = strip((span){all.at, end});
        all.at = end < all.end ? end + 1 : end;
        if ((size_t)(line.end - line.at) >= mark && memcmp(line.at, negative_mark, mark) == 0) {
            negative = 1;
            line = strip((span){line.at + mark, line.end});
        }
        append_line(negative ? out->negative : out->prompt, &used[negative], line);
    }
    return RF_OK;
}

rf_status rf_infotext_read(rf_infotext_parts *out, const char *text, rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t bytes = strlen(text);
    *out = (rf_infotext_parts){0};
    if (bytes > TEXT_MAX)
        return rf_fail(err, RF_E_FORMAT, "a picture's parameters of %zu bytes; at most %d are read",
                       bytes, TEXT_MAX);
    span all = strip((span){text, text + bytes}), line = all;
    for (const char *p = all.at; (p = memchr(p, '\n', (size_t)(all.end - p)));) line.at = ++p;
    const size_t pairs = count_pairs(line);
    if (pairs >= PAIRS_MIN) {
        all.end = line.at;
        RF_TRY(read_pairs(out, line, pairs, err));
    }
    RF_TRY(read_prompts(out, all, err));
done:
    if (st != RF_OK) rf_infotext_parts_free(out);
    return st;
}

void rf_infotext_parts_free(rf_infotext_parts *parts)
{
    free(parts->prompt);
    free(parts->negative);
    free(parts->pair);
    free(parts->memory);
    *parts = (rf_infotext_parts){0};
}

const char *rf_infotext_get(const rf_infotext_parts *parts, const char *key)
{
    for (size_t i = parts->count; i > 0; i--)
        if (strcmp(parts->pair[i - 1].key, key) == 0) return parts->pair[i - 1].value;
    return NULL;
}
