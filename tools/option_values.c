/* From text to value, strictly: no trailing junk, no NaN or infinity, and the range in the message.
 * strtod alone would take "nan", "0x1p3", " 5" and "5 apples". */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/options.h"
#include "tools/suggest.h"

/* Whole decimal number with optional sign; 0 if `text` is anything else. */
static int is_integer(const char *text)
{
    if (*text == '-' || *text == '+') text++;
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static rf_status convert_int(const rf_option *o, const char *flag, const char *text, int *out,
                             rf_trouble *trouble)
{
    errno = 0;
    const long long v = is_integer(text) ? strtoll(text, NULL, 10) : 0;
    if (!is_integer(text) || errno == ERANGE || (double)v < o->min || (double)v > o->max)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s: '%.80s' is not a whole number from %.0f to %.0f", flag, text, o->min,
                       o->max);
    *out = (int)v;
    return RF_OK;
}

static rf_status convert_every(const rf_option *o, const char *flag, const char *text, int *out,
                               rf_trouble *trouble)
{
    const size_t word = strncmp(text, "every=", 6) == 0 ? 6 : 0;
    rf_trouble   unused = {.hint = ""};
    if (convert_int(o, flag, text + word, out, &unused) == RF_OK) return RF_OK;
    return rf_fail(&trouble->error, RF_E_ARG,
                   "%s: '%.80s' is not every=N, or N, a whole number from %.0f to %.0f", flag, text,
                   o->min, o->max);
}

static rf_status convert_long(const rf_option *o, const char *flag, const char *text, int64_t *out,
                              rf_trouble *trouble)
{
    errno = 0;
    const long long v = is_integer(text) ? strtoll(text, NULL, 10) : 0;
    if (!is_integer(text) || errno == ERANGE || (double)v < o->min || (double)v > o->max)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s' is not a whole number from %g to %g",
                       flag, text, o->min, o->max);
    *out = v;
    return RF_OK;
}

static rf_status convert_real(const rf_option *o, const char *flag, const char *text, double *out,
                              rf_trouble *trouble)
{
    char        *end = NULL;
    const int    plain = *text && text[strspn(text, "0123456789.+-eE")] == '\0';
    const double v = plain ? strtod(text, &end) : 0;
    if (!plain || *end || !isfinite(v) || v < o->min || v > o->max)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s' is not a number from %g to %g", flag,
                       text, o->min, o->max);
    *out = v;
    return RF_OK;
}

/* A number, perhaps with decimals, and a unit of 1024s: K, M, G or T, "B" or "iB" behind it. */
static rf_status convert_bytes(const char *flag, const char *text, uint64_t *out,
                               rf_trouble *trouble)
{
    static const char UNITS[] = "KMGT";
    const size_t      digits = strspn(text, "0123456789.");
    const char       *unit = text + digits, *which = NULL;
    char             *end = NULL;
    double            v = digits ? strtod(text, &end) : -1;
    if (*unit && (which = strchr(UNITS, toupper((unsigned char)*unit))) != NULL) {
        for (const char *u = UNITS; u <= which; u++) v *= 1024;
        unit++;
        if (strcasecmp(unit, "B") == 0 || strcasecmp(unit, "iB") == 0) unit = "";
    }
    if (!digits || end != text + digits || *unit || !isfinite(v) || v >= 9e18)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s' is not a size such as 800M or 12G",
                       flag, text);
    *out = (uint64_t)v;
    return RF_OK;
}

/* Seeds end at 2^63 - 1, the largest whole number that JSON readers keep. */
static rf_status convert_seed(const char *flag, const char *text, int64_t *out, rf_trouble *trouble)
{
    if (strcmp(text, "random") == 0 || strcmp(text, "-1") == 0) {
        *out = RF_SEED_RANDOM;
        return RF_OK;
    }
    errno = 0;
    const long long v = is_integer(text) ? strtoll(text, NULL, 10) : -1;
    if (errno == ERANGE || v < 0)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s: '%.80s' is neither a whole number from 0 to %lld nor 'random'", flag,
                       text, LLONG_MAX);
    *out = v;
    return RF_OK;
}

static rf_status convert_side(const rf_option *o, const char *flag, const char *text,
                              const char *side, int v, rf_trouble *trouble)
{
    if (v < o->min || v > o->max)
        return rf_fail(&trouble->error, RF_E_ARG, "%s %.40s: the %s must be from %.0f to %.0f",
                       flag, text, side, o->min, o->max);
    if (v % 8 == 0 || o->kind == RF_OPTION_PIXELS) return RF_OK;
    const int down = v / 8 * 8;
    rf_trouble_hint(trouble, "%d and %d are", down, down + 8);
    return rf_fail(&trouble->error, RF_E_ARG, "%s %.40s: the %s %d is not a multiple of 8", flag,
                   text, side, v);
}

/* Digits at *text, at most six of them (more are out of any range); -1 if there are none. */
static int take_digits(const char **text)
{
    const size_t len = strspn(*text, "0123456789");
    int          v = 0;
    if (len == 0 || len > 6) return -1;
    for (size_t i = 0; i < len; i++) v = 10 * v + ((*text)[i] - '0');
    *text += len;
    return v;
}

static rf_status convert_size(const rf_option *o, const char *flag, const char *text, int *out,
                              rf_trouble *trouble)
{
    rf_status   st = RF_OK;
    const char *p = text;
    const int   width = take_digits(&p);
    const int   cross = *p == 'x' || *p == 'X';
    p += cross;
    const int height = cross ? take_digits(&p) : -1;
    if (width < 0 || height < 0 || *p)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s: '%.80s' is not a size such as 1024x1024 (width x height)", flag, text);
    RF_TRY(convert_side(o, flag, text, "width", width, trouble));
    RF_TRY(convert_side(o, flag, text, "height", height, trouble));
    out[0] = width;
    out[1] = height;
done:
    return st;
}

static rf_status convert_stretch(const rf_option *o, const char *flag, const char *text, int *out,
                                 rf_trouble *trouble)
{
    const char *p = text;
    const int   first = take_digits(&p);
    const int   colon = *p == ':';
    p += colon;
    const int last = colon ? take_digits(&p) : -1;
    if (*p || first < o->min || last < first || last > o->max)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s: '%.80s' is not two numbers from %.0f to %.0f such as 12:18, the first "
                       "not the larger",
                       flag, text, o->min, o->max);
    out[0] = first;
    out[1] = last;
    return RF_OK;
}

/* "euler_a" and "Euler a" are one name: case, blanks, '_' and '-' do not tell names apart. */
static int same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        const int x = strchr("_- ", *a) ? ' ' : tolower((unsigned char)*a);
        const int y = strchr("_- ", *b) ? ' ' : tolower((unsigned char)*b);
        if (x != y) return 0;
    }
    return *a == *b;
}

static void convert_name(const rf_option *o, const char *text, const char **out)
{
    *out = text;
    for (const char *const *name = o->choices; *name; name++)
        if (same_name(*name, text)) *out = *name;
}

static rf_status convert_choice(const rf_option *o, const char *flag, const char *text,
                                const char **out, rf_trouble *trouble)
{
    rf_suggest suggest = rf_suggest_begin(text);
    char       known[400] = "";
    size_t     used = 0;
    for (const char *const *name = o->choices; *name; name++) {
        if (same_name(*name, text)) {
            *out = *name;
            return RF_OK;
        }
        rf_suggest_offer(&suggest, *name);
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     *name);
    }
    if (suggest.best) rf_trouble_hint(trouble, "did you mean '%s'?", suggest.best);
    return rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s' is not one of: %s", flag, text, known);
}

/* Files must have a name; whether they can be opened is for those who open them to say. */
static rf_status convert_text(const rf_option *o, const char *flag, const char *text,
                              const char **out, rf_trouble *trouble)
{
    if (o->kind != RF_OPTION_TEXT && !*text)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: the file name is empty", flag);
    *out = text;
    return RF_OK;
}

static rf_status append_text(const char *flag, const char *text, rf_texts *out, rf_trouble *trouble)
{
    if (!*text) return rf_fail(&trouble->error, RF_E_ARG, "%s: the name is empty", flag);
    if (out->count == RF_TEXTS_MAX)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: given more than %d times", flag,
                       RF_TEXTS_MAX);
    out->item[out->count++] = text;
    return RF_OK;
}

rf_status rf_option_convert(const rf_option *option, const char *flag, const char *text, void *at,
                            rf_trouble *trouble)
{
    switch (option->kind) {
    case RF_OPTION_FLAG: *(int *)at = 1; return RF_OK;
    case RF_OPTION_TEXT:
    case RF_OPTION_INPUT:
    case RF_OPTION_OUTPUT: return convert_text(option, flag, text, at, trouble);
    case RF_OPTION_CHOICE: return convert_choice(option, flag, text, at, trouble);
    case RF_OPTION_NAME: convert_name(option, text, at); return RF_OK;
    case RF_OPTION_TEXTS:
    case RF_OPTION_FOLDERS: return append_text(flag, text, at, trouble);
    case RF_OPTION_LONG: return convert_long(option, flag, text, at, trouble);
    case RF_OPTION_INT: return convert_int(option, flag, text, at, trouble);
    case RF_OPTION_REAL: return convert_real(option, flag, text, at, trouble);
    case RF_OPTION_BYTES: return convert_bytes(flag, text, at, trouble);
    case RF_OPTION_SEED: return convert_seed(flag, text, at, trouble);
    case RF_OPTION_SIZE:
    case RF_OPTION_PIXELS: return convert_size(option, flag, text, at, trouble);
    case RF_OPTION_EVERY: return convert_every(option, flag, text, at, trouble);
    case RF_OPTION_STRETCH: return convert_stretch(option, flag, text, at, trouble);
    }
    return rf_fail(&trouble->error, RF_E_BUG, "option %s has no kind", option->name);
}
