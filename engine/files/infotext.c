/* Building the text; see infotext.h.  Layout and quoting are A1111's, numbers are Python's. */
#include "engine/files/infotext.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A growing string; the first failed growth empties it for good. */
typedef struct text {
    char  *s;
    size_t length, room;
    int    failed, pairs;
} text;

static void append(text *t, const char *s, size_t bytes)
{
    if (t->failed) return;
    if (bytes > SIZE_MAX / 2 - t->length - 1) {
        t->failed = 1;
        return;
    }
    if (t->length + bytes + 1 > t->room) {
        const size_t want = 2 * (t->length + bytes + 1);
        char        *bigger = realloc(t->s, want);
        if (!bigger) {
            t->failed = 1;
            return;
        }
        t->s = bigger;
        t->room = want;
    }
    memcpy(t->s + t->length, s, bytes);
    t->length += bytes;
    t->s[t->length] = '\0';
}

static void append_string(text *t, const char *s)
{
    append(t, s, strlen(s));
}

/* As Python's json.dumps(s, ensure_ascii=False). */
static void append_json(text *t, const char *s)
{
    static const char plain[] = "\"\\\n\r\t\b\f", named[] = "\"\\nrtbf";
    append(t, "\"", 1);
    for (; *s; s++) {
        const char *hit = strchr(plain, *s);
        char        escape[8];
        if (hit) {
            snprintf(escape, sizeof escape, "\\%c", named[hit - plain]);
            append_string(t, escape);
        } else if ((unsigned char)*s < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s);
            append_string(t, escape);
        } else {
            append(t, s, 1);
        }
    }
    append(t, "\"", 1);
}

static const char white[] = " \t\n\v\f\r\x1c\x1d\x1e\x1f"; /* to Python, as far as ASCII goes */

/* A1111 quotes what holds a comma, a line break or a colon.  Its reader also unquotes what merely
 * begins like a quotation and drops white space at the ends, so those are quoted here too. */
static int needs_quotes(const char *value)
{
    const size_t n = strlen(value);
    if (n == 0) return 0;
    return strpbrk(value, ",\n:") || *value == '"' || strchr(white, *value) ||
           strchr(white, value[n - 1]);
}

static void pair(text *t, const char *key, const char *value)
{
    if (!value) return;
    if (t->pairs++) append_string(t, ", ");
    append_string(t, key);
    if (strcmp(key, value) == 0) return; /* A1111: a value equal to its key is not repeated */
    append_string(t, ": ");
    if (needs_quotes(value))
        append_json(t, value);
    else
        append_string(t, value);
}

char *rf_number_text(char out[RF_NUMBER_BYTES], double x, int single)
{
    char   raw[RF_NUMBER_BYTES], digits[18] = "";
    int    precision = 0, count = 0, exponent = 0;
    size_t n = 0;
    if (!isfinite(x)) {
        snprintf(out, RF_NUMBER_BYTES, "%s", isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return out;
    }
    do { /* 17 digits always read back */
        snprintf(raw, sizeof raw, "%.*e", precision, fabs(x));
    } while ((single ? (double)strtof(raw, NULL) : strtod(raw, NULL)) != fabs(x) &&
             ++precision < 17);
    for (const char *p = raw; *p && *p != 'e'; p++) /* the decimal point depends on the locale */
        if (*p >= '0' && *p <= '9' && count < 17) digits[count++] = *p;
    exponent = (int)strtol(strchr(raw, 'e') + 1, NULL, 10);
    if (signbit(x)) out[n++] = '-';
    if (exponent < -4 || exponent >= 16) {
        snprintf(out + n, RF_NUMBER_BYTES - n, "%c%s%se%c%02d", digits[0], count > 1 ? "." : "",
                 digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
        return out;
    }
    /* digit i stands for 10^(exponent - i); the point follows the one that stands for 1 */
    for (int i = exponent < 0 ? exponent : 0; i < count || i <= exponent + 1; i++) {
        out[n++] = i >= 0 && i < count ? digits[i] : '0';
        if (i == exponent) out[n++] = '.';
    }
    out[n] = '\0';
    return out;
}

/* The first ten digits of a hash, or NULL. */
static const char *short_hash(char out[11], const char *hex)
{
    if (!hex || !*hex) return NULL;
    snprintf(out, 11, "%.10s", hex);
    return out;
}

/* "animagine-xl-3.1 [e3c47aedb0]" */
static void title_pair(text *t, const char *key, const char *name, const char *hex)
{
    char hash[11];
    if (!name) return;
    const size_t bytes = strlen(name) + sizeof " [0123456789]";
    char        *title = malloc(bytes);
    if (!title) {
        t->failed = 1;
        return;
    }
    if (short_hash(hash, hex))
        snprintf(title, bytes, "%s [%s]", name, hash);
    else
        snprintf(title, bytes, "%s", name);
    pair(t, key, title);
    free(title);
}

static void number_pair(text *t, const rf_infotext_field *f, double x, int single)
{
    char number[RF_NUMBER_BYTES];
    if (isnan(x) || x == f->usual) return;
    pair(t, f->key, rf_number_text(number, x, single));
}

static void integer_pair(text *t, const rf_infotext_field *f, int64_t x)
{
    char number[24];
    if ((double)x == f->usual) return;
    snprintf(number, sizeof number, "%" PRId64, x);
    pair(t, f->key, number);
}

static void size_pair(text *t, const rf_infotext_field *f, const int size[2])
{
    char number[24];
    if (size[0] < 1 || size[1] < 1) return;
    snprintf(number, sizeof number, "%dx%d", size[0], size[1]);
    pair(t, f->key, number);
}

static void field_pair(text *t, const rf_infotext *info, const rf_infotext_field *f)
{
    const char *at = (f->in_job ? (const char *)info->job : (const char *)info) + f->offset;
    char        shown[24];
    if (f->when && !f->when(info)) return;
    switch (f->kind) {
    case RF_INFOTEXT_TEXT: pair(t, f->key, *(const char *const *)at); break;
    case RF_INFOTEXT_HASH: pair(t, f->key, short_hash(shown, *(const char *const *)at)); break;
    case RF_INFOTEXT_TITLE:
        title_pair(t, f->key, *(const char *const *)at, info->refiner_hash);
        break;
    case RF_INFOTEXT_INT: integer_pair(t, f, *(const int *)at); break;
    case RF_INFOTEXT_INT64: integer_pair(t, f, *(const int64_t *)at); break;
    case RF_INFOTEXT_UINT64:
        snprintf(shown, sizeof shown, "%" PRIu64, *(const uint64_t *)at);
        pair(t, f->key, shown);
        break;
    case RF_INFOTEXT_DOUBLE: number_pair(t, f, *(const double *)at, 0); break;
    case RF_INFOTEXT_FLOAT: number_pair(t, f, (double)*(const float *)at, 1); break;
    case RF_INFOTEXT_FLAG: pair(t, f->key, *(const int *)at ? "True" : NULL); break;
    case RF_INFOTEXT_SIZE: size_pair(t, f, (const int *)at); break;
    }
}

static void all_pairs(text *t, const rf_infotext *info)
{
    for (size_t i = 0; i < rf_infotext_field_count; i++)
        field_pair(t, info, &rf_infotext_fields[i]);
    for (size_t i = 0; i < info->extra_count; i++)
        pair(t, info->extra[i].key, info->extra[i].value);
    pair(t, "Version", info->version);
}

/* Python's str.strip() for the white space that ASCII has. */
static void strip(char *s)
{
    const size_t lead = strspn(s, white);
    size_t       n = strlen(s);
    while (n > lead && strchr(white, s[n - 1])) n--;
    memmove(s, s + lead, n - lead);
    s[n - lead] = '\0';
}

rf_status rf_infotext_build(char **out, const rf_infotext *info, rf_error *err)
{
    text t = {0};
    *out = NULL;
    if (info->prompt) append_string(&t, info->prompt);
    append_string(&t, "\n");
    if (info->negative && *info->negative) {
        append_string(&t, "Negative prompt: ");
        append_string(&t, info->negative);
        append_string(&t, "\n");
    }
    all_pairs(&t, info);
    if (t.failed) {
        free(t.s);
        return rf_fail(err, RF_E_NOMEM, "no memory for the picture's parameters");
    }
    strip(t.s);
    *out = t.s;
    return RF_OK;
}
