/* Reading names and strengths; see lora_spec.h.  Strengths are plain decimals: what strtod takes
 * beyond them (nan, inf, 0x1p3) is refused. */
#include "tools/lora_spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/text/prompt_chars.h"

enum { NUMBER_BYTES = 40, SHOWN_BYTES = 80 };

typedef struct span {
    const char *text;
    size_t      length;
} span;

static span trimmed(span s)
{
    while (s.length && *s.text == ' ') s = (span){s.text + 1, s.length - 1};
    while (s.length && s.text[s.length - 1] == ' ') s.length--;
    return s;
}

/* Bytes of `s` that a message has room for; whole characters. */
static int shown(span s)
{
    size_t n = s.length < SHOWN_BYTES ? s.length : SHOWN_BYTES;
    while (n > 0 && n < s.length && ((unsigned char)s.text[n] & 0xC0) == 0x80) n--;
    return (int)n;
}

/* Whether it is meant as a number, in range or not. */
static int read_number(span s, double *out)
{
    char text[NUMBER_BYTES], *end = NULL;
    s = trimmed(s);
    if (s.length == 0 || s.length >= sizeof text) return 0;
    memcpy(text, s.text, s.length);
    text[s.length] = '\0';
    if (text[strspn(text, "0123456789.+-eE")] != '\0') return 0;
    *out = strtod(text, &end);
    return *end == '\0';
}

static rf_status read_strength(span s, double *out, const char *where, rf_trouble *trouble)
{
    if (read_number(s, out) && fabs(*out) <= RF_LORA_STRENGTH_MAX) return RF_OK;
    return rf_fail(&trouble->error, RF_E_ARG, "%s: '%.*s' is not a strength from -%d to %d", where,
                   shown(s), s.text, RF_LORA_STRENGTH_MAX, RF_LORA_STRENGTH_MAX);
}

/* ---- on a command line -------------------------------------------------------------------- */

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* Takes ":FIELD" off the end of `s`; 0 if there is no colon, or nothing before it. */
static int take_field(span *s, span *field)
{
    const char *colon = memrchr(s->text, ':', s->length);
    if (!colon || colon == s->text) return 0;
    const size_t before = (size_t)(colon - s->text);
    *field = (span){colon + 1, s->length - before - 1};
    s->length = before;
    return 1;
}

rf_status rf_lora_spec_option(rf_lora_spec *out, const char *flag, const char *text,
                              rf_trouble *trouble)
{
    rf_status st = RF_OK;
    span      rest = {text, strlen(text)}, last, first, name;
    double    ignored = 0;
    *out = (rf_lora_spec){.unet = 1, .text = 1};
    name = rest;
    if (!is_file(text) && take_field(&rest, &last)) {
        name = rest;
        RF_TRY(read_strength(last, &out->text, flag, trouble));
        out->unet = out->text;
        if (take_field(&rest, &first) && read_number(first, &ignored)) {
            name = rest;
            RF_TRY(read_strength(first, &out->unet, flag, trouble));
        }
    }
    if (name.length == 0) st = rf_fail(&trouble->error, RF_E_ARG, "%s: the name is empty", flag);
    out->name = name.text;
    out->length = name.length;
done:
    return st;
}

/* ---- in a prompt -------------------------------------------------------------------------- */

static int is_word(span s, const char *word)
{
    return s.length == strlen(word) && memcmp(s.text, word, s.length) == 0;
}

typedef enum found { NO_TAG, A_TAG, NO_MORE } found;

/* What begins at `open`.  A tag: '<', word characters, ':', one or more characters, '>'. */
static found find_end(const char *prompt, size_t open, size_t bytes, size_t *colon, size_t *end)
{
    *colon = rf_skip_word(prompt, open + 1, bytes);
    if (*colon == open + 1 || prompt[*colon] != ':') return NO_TAG;
    const char *close = strchr(prompt + *colon + 1, '>');
    if (!close) return NO_MORE; /* nor will a later tag find one */
    if (close == prompt + *colon + 1) return NO_TAG;
    *end = (size_t)(close - prompt) + 1;
    return A_TAG;
}

typedef struct tag_reader {
    const char *where; /* the tag itself, for messages */
    rf_trouble *trouble;
    int         unet_given;
} tag_reader;

static rf_status refuse_argument(const tag_reader *r, span argument, const char *why)
{
    return rf_fail(&r->trouble->error, RF_E_ARG, "%s: '%.*s' %s", r->where, shown(argument),
                   argument.text, why);
}

static rf_status take_named(tag_reader *r, rf_lora_spec *s, span argument, const char *equals)
{
    const size_t before = (size_t)(equals - argument.text);
    const span   key = trimmed((span){argument.text, before});
    const span   value = {equals + 1, argument.length - before - 1};
    if (is_word(key, "te")) return read_strength(value, &s->text, r->where, r->trouble);
    if (is_word(key, "dyn"))
        return refuse_argument(r, argument,
                               "is not supported: LoRAs are merged at their full rank");
    if (!is_word(key, "unet"))
        return refuse_argument(r, argument, "is not understood: only te= and unet= are");
    r->unet_given = 1;
    return read_strength(value, &s->unet, r->where, r->trouble);
}

/* A named strength wins over one by position, wherever it stands. */
static rf_status take_positional(tag_reader *r, rf_lora_spec *s, const span *argument, int position)
{
    switch (position) {
    case 0:
        s->name = trimmed(*argument).text;
        s->length = trimmed(*argument).length;
        return RF_OK;
    case 1: return read_strength(*argument, &s->text, r->where, r->trouble);
    case 2: r->unet_given = 1; return read_strength(*argument, &s->unet, r->where, r->trouble);
    default: return refuse_argument(r, *argument, "is one argument too many");
    }
}

/* Exactly one '=' makes an argument a named one. */
static const char *equals_of(span argument)
{
    const char *first = memchr(argument.text, '=', argument.length);
    return first && first == memrchr(argument.text, '=', argument.length) ? first : NULL;
}

/* Goes through the arguments; `named`: only those with a name, else only the others. */
static rf_status take_arguments(tag_reader *r, rf_lora_spec *s, span all, int named)
{
    rf_status st = RF_OK;
    int       position = 0;
    for (;;) {
        const char *colon = memchr(all.text, ':', all.length);
        const span  argument = {all.text, colon ? (size_t)(colon - all.text) : all.length};
        const char *equals = equals_of(argument);
        if (named && equals) RF_TRY(take_named(r, s, argument, equals));
        if (!named && !equals) RF_TRY(take_positional(r, s, &argument, position++));
        if (!colon) break;
        all = (span){colon + 1, all.length - argument.length - 1};
    }
done:
    return st;
}

static rf_status read_tag(rf_lora_tag *tag, const char *prompt, size_t colon, rf_trouble *trouble)
{
    rf_status     st = RF_OK;
    char          where[SHOWN_BYTES + 1];
    const span    whole = {prompt + tag->begin, tag->end - tag->begin};
    const span    all = {prompt + colon + 1, tag->end - colon - 2};
    tag_reader    r = {.where = where, .trouble = trouble};
    rf_lora_spec *s = &tag->spec;
    memcpy(where, whole.text, (size_t)shown(whole));
    where[shown(whole)] = '\0';
    *s = (rf_lora_spec){.unet = 1, .text = 1};
    RF_TRY(take_arguments(&r, s, all, 0));
    RF_TRY(take_arguments(&r, s, all, 1));
    if (!r.unet_given) s->unet = s->text;
    if (s->length == 0) st = rf_fail(&trouble->error, RF_E_ARG, "%s: it names no LoRA", where);
done:
    return st;
}

int rf_lora_tag_next(rf_lora_tag *out, const char *prompt, size_t from, rf_trouble *trouble)
{
    const size_t bytes = strlen(prompt);
    const char  *open = strchr(prompt + from, '<');
    while (open) {
        const size_t begin = (size_t)(open - prompt);
        size_t       colon = 0, end = begin + 1;
        const found  what = find_end(prompt, begin, bytes, &colon, &end);
        if (what == NO_MORE) break;
        if (what == A_TAG) {
            const span kind = {prompt + begin + 1, colon - begin - 1};
            *out = (rf_lora_tag){.begin = begin, .end = end};
            if (is_word(kind, "lora") || is_word(kind, "lyco"))
                return read_tag(out, prompt, colon, trouble) == RF_OK ? 1 : -1;
        }
        open = strchr(prompt + end, '<');
    }
    return 0;
}
