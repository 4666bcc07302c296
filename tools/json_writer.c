/* JSON written as it goes; see json_writer.h. */
#include "tools/json_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/text_input.h"

static void put_string(FILE *out, const char *s)
{
    const size_t len = strlen(s);
    fputc('"', out);
    for (size_t i = 0; i < len;) {
        const size_t n = rf_utf8_length(s + i, len - i);
        if (n == 0)
            fputs("\xEF\xBF\xBD", out); /* U+FFFD: file names may be any bytes */
        else if (strchr("\"\\", s[i]))
            fprintf(out, "\\%c", s[i]);
        else if (s[i] == '\n')
            fputs("\\n", out);
        else if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            fprintf(out, "\\u%04x", (unsigned)(unsigned char)s[i]);
        else
            fwrite(s + i, 1, n, out);
        i += n ? n : 1;
    }
    fputc('"', out);
}

static void begin(rf_json_writer *w, const char *key)
{
    if (w->begun[w->depth]++) fputc(',', w->out);
    if (!key) return;
    put_string(w->out, key);
    fputc(':', w->out);
}

void rf_json_open(rf_json_writer *w, const char *key, char bracket)
{
    begin(w, key);
    fputc(bracket, w->out);
    w->begun[++w->depth] = 0;
}

void rf_json_close(rf_json_writer *w, char bracket)
{
    w->depth--;
    fputc(bracket, w->out);
}

void rf_json_put_text(rf_json_writer *w, const char *key, const char *s)
{
    begin(w, key);
    if (s)
        put_string(w->out, s);
    else
        fputs("null", w->out);
}

void rf_json_put_raw(rf_json_writer *w, const char *key, const char *json)
{
    begin(w, key);
    fputs(json, w->out);
}

void rf_json_put_null(rf_json_writer *w, const char *key)
{
    rf_json_put_text(w, key, NULL);
}

void rf_json_put_int(rf_json_writer *w, const char *key, int64_t v)
{
    begin(w, key);
    fprintf(w->out, "%lld", (long long)v);
}

void rf_json_put_bool(rf_json_writer *w, const char *key, int v)
{
    begin(w, key);
    fputs(v ? "true" : "false", w->out);
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* %g of `v` with the fewest digits from `digits` on that read back as `v`. */
static void shortest(char out[RF_REAL_BYTES], double v, int single)
{
    const int most = single ? 9 : 17; /* always enough for an IEEE binary32, binary64 */
    for (int digits = single ? 6 : 15; digits <= most; digits++) {
        snprintf(out, RF_REAL_BYTES, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) return;
    }
}

char *rf_real_text(char out[RF_REAL_BYTES], double v)
{
    shortest(out, v, 0);
    return out;
}

static void put_number(rf_json_writer *w, const char *key, double v, int single)
{
    char text[RF_REAL_BYTES] = "null";
    begin(w, key);
    if (isfinite(v)) shortest(text, v, single);
    fputs(text, w->out);
    if (isfinite(v) && !strpbrk(text, ".e")) fputs(".0", w->out);
}

void rf_json_put_real(rf_json_writer *w, const char *key, double v)
{
    put_number(w, key, v, 0);
}

void rf_json_put_float(rf_json_writer *w, const char *key, float v)
{
    put_number(w, key, v, 1);
}
