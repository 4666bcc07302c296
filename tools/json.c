/* JSON helpers over jansson; see json.h. */
#include "tools/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/text_input.h"

json_t *rf_json_text(const char *s)
{
    if (!s) return json_null();
    json_t *text = json_string(s); /* NULL if `s` is not UTF-8 */
    if (text) return text;
    const size_t len = strlen(s);
    char        *clean = malloc(3 * len + 1); /* U+FFFD takes three bytes */
    if (!clean) return NULL;
    size_t out = 0;
    for (size_t i = 0; i < len;) {
        const size_t n = rf_utf8_length(s + i, len - i);
        memcpy(clean + out, n ? s + i : "\xEF\xBF\xBD", n ? n : 3);
        out += n ? n : 3;
        i += n ? n : 1;
    }
    text = json_stringn(clean, out);
    free(clean);
    return text;
}

json_t *rf_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *rf_json_single(float v)
{
    char text[40];
    for (int digits = 6; digits <= 9; digits++) { /* 9 are always enough for binary32 */
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    return rf_json_real(strtod(text, NULL));
}

json_t *rf_json_bytes(size_t bytes)
{
    return json_integer(bytes > INT64_MAX ? INT64_MAX : (json_int_t)bytes);
}

json_t *rf_json_seconds(double seconds)
{
    return rf_json_real(round(seconds * 1e6) / 1e6);
}

rf_status rf_json_print(json_t *object, rf_error *err)
{
    /* 12 digits: readable, and far beyond what any figure of ours means. */
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(object);
    if (!line) return rf_fail(err, RF_E_NOMEM, "no memory for a line of JSON");
    puts(line);
    free(line);
    return RF_OK;
}

void rf_json_print_error(rf_status status, const char *message, const char *hint)
{
    json_t *text = rf_json_text(message), *remedy = rf_json_text(*hint ? hint : NULL);
    (void)rf_json_print(json_pack("{s:{s:s, s:o, s:o}}", "error", "code", rf_status_name(status),
                                  "message", text, "hint", remedy),
                        NULL);
}
