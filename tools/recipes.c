/* The built-in recipes, and how tags get into their edits; see recipes.h. */
#include "tools/recipes.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rf_recipe rf_recipes[] = {
    {.name = "pony-animagine",
     .summary = "Pony Diffusion V6 XL for the content, Animagine XL 3.1 for the style",
     .sampler = "Euler a",
     .steps = 30,
     .cfg_scale = 6,
     .switch_at = 0.5,
     .prompt = "[score_9, score_8_up, score_7_up, {base}:very aesthetic, masterpiece, {refiner}"
               ":{switch}], {common}",
     .negative = "[source_pony, source_cartoon, source_furry, e621_low, {base}:worst quality, "
                 "low quality, very displeasing, {refiner}:{switch}], 3d, blurry, jpeg artifacts, "
                 "bad anatomy, watermark, greyscale, unfinished, oil painting, signature, text, "
                 "patreon username"},
    {.name = NULL},
};

const char *const rf_recipe_names[] = {"pony-animagine", NULL};

const rf_recipe *rf_recipe_find(const char *name)
{
    const rf_recipe *r = rf_recipes;
    while (r->name && strcmp(r->name, name) != 0) r++;
    return r->name ? r : NULL;
}

/* ---- tags inside an edit ------------------------------------------------------------------ */

/* A list of tags being looked through. */
typedef struct scan {
    const char    *text, *flag;
    size_t         bytes;
    unsigned char *escape; /* [bytes]: 1 where a backslash must go before the character */
    size_t        *open;   /* stack of open brackets: their places, */
    size_t        *colon;  /* and the last colon in each of them, SIZE_MAX for none */
    size_t         depth;
    rf_trouble    *trouble;
} scan;

static rf_status refuse(scan *s, size_t at, const char *why, const char *hint)
{
    rf_trouble_hint(s->trouble, "%s", hint);
    return rf_fail(&s->trouble->error, RF_E_ARG, "%s: '%c' at byte %zu %s", s->flag, s->text[at],
                   at + 1, why);
}

static rf_status close_bracket(scan *s, size_t at)
{
    const char *hint = "a bracket that belongs to a tag is written \\( \\) \\[ \\]";
    const char  partner = s->text[at] == ')' ? '(' : '[';
    if (s->depth == 0 || s->text[s->open[s->depth - 1]] != partner)
        return refuse(s, at, "closes nothing", hint);
    s->depth--;
    return RF_OK;
}

/* A colon or bar.  In square brackets it is an edit's own.  In round ones the last colon may come
 * before a weight; two, or a bar, would undo the edit around them, as they do outside brackets. */
static void separator(scan *s, size_t at)
{
    const size_t top = s->depth - 1;
    if (s->depth > 0 && s->text[s->open[top]] == '[') return;
    if (s->depth == 0 || s->text[at] == '|') {
        s->escape[at] = 1;
        return;
    }
    if (s->colon[top] != SIZE_MAX) s->escape[s->colon[top]] = 1;
    s->colon[top] = at;
}

static int word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

static int is_and(const scan *s, size_t at)
{
    if (strncmp(s->text + at, "AND", 3) != 0) return 0;
    const int before = at > 0 && word_byte(s->text[at - 1]);
    const int after = at + 3 < s->bytes && word_byte(s->text[at + 3]);
    return !before && !after;
}

static rf_status scan_tags(scan *s)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < s->bytes && st == RF_OK; i++) {
        const char c = s->text[i];
        if (c == '\\') {
            if (i + 1 == s->bytes || s->text[i + 1] == '\n')
                st = refuse(s, i, "escapes nothing", "a backslash itself is written \\\\");
            i++;
        } else if (c == '(' || c == '[') {
            s->colon[s->depth] = SIZE_MAX;
            s->open[s->depth++] = i;
        } else if (c == ')' || c == ']') {
            st = close_bracket(s, i);
        } else if (c == ':' || c == '|') {
            separator(s, i);
        } else if (c == 'A' && is_and(s, i)) {
            st = refuse(s, i, "begins AND, which would cut the recipe's edit in two",
                        "AND belongs into a --prompt of your own");
        }
    }
    if (st == RF_OK && s->depth > 0)
        st = refuse(s, s->open[s->depth - 1], "is never closed",
                    "a bracket that belongs to a tag is written \\( \\) \\[ \\]");
    return st;
}

/* Blanks and commas around a list of tags are not part of it. */
static size_t trim(const char **text)
{
    static const char AROUND[] = " \t\r\n,";
    *text += strspn(*text, AROUND);
    size_t bytes = strlen(*text);
    /* a comma after a backslash belongs to the tag: "\\," */
    while (bytes > 0 && strchr(AROUND, (*text)[bytes - 1]) &&
           !(bytes > 1 && (*text)[bytes - 2] == '\\'))
        bytes--;
    return bytes;
}

static rf_status write_protected(FILE *out, const char *text, size_t bytes, const char *flag,
                                 rf_trouble *trouble)
{
    rf_status st = RF_OK;
    scan      s = {.text = text, .flag = flag, .bytes = bytes, .trouble = trouble};
    s.escape = calloc(bytes + 1, 1);
    s.open = calloc(bytes + 1, sizeof *s.open);
    s.colon = calloc(bytes + 1, sizeof *s.colon);
    if (!s.escape || !s.open || !s.colon) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for tags of %zu bytes", bytes);
        goto done;
    }
    RF_TRY(scan_tags(&s));
    for (size_t i = 0; i < bytes; i++) {
        if (s.escape[i]) fputc('\\', out);
        fputc(text[i], out);
    }
done:
    free(s.escape);
    free(s.open);
    free(s.colon);
    return st;
}

/* ---- patterns ----------------------------------------------------------------------------- */

/* A list of tags with the comma that parts it from what comes before. */
static rf_status write_tags(FILE *out, const char *tags, const char *flag, rf_trouble *trouble)
{
    if (!tags) return RF_OK;
    const size_t bytes = trim(&tags);
    if (bytes == 0) return RF_OK;
    fputs(", ", out);
    if (flag) return write_protected(out, tags, bytes, flag, trouble);
    fwrite(tags, 1, bytes, out);
    return RF_OK;
}

static rf_status write_pattern(FILE *out, const char *p, const rf_recipe_tags *tags,
                               rf_trouble *trouble)
{
    rf_status st = RF_OK;
    while (*p) {
        const int   comma = strncmp(p, ", {", 3) == 0;
        const char *name = p + (comma ? 3 : 1);
        if (!comma && *p != '{') {
            fputc(*p++, out);
            continue;
        }
        p = strchr(name, '}') + 1;
        if (strncmp(name, "base}", 5) == 0)
            RF_TRY(write_tags(out, tags->base, tags->base_flag, trouble));
        else if (strncmp(name, "refiner}", 8) == 0)
            RF_TRY(write_tags(out, tags->refiner, tags->refiner_flag, trouble));
        else if (strncmp(name, "common}", 7) == 0)
            RF_TRY(write_tags(out, tags->common, NULL, trouble));
        else
            fputs(tags->when, out);
    }
done:
    return st;
}

rf_status rf_recipe_text(char **out, const char *pattern, const rf_recipe_tags *tags,
                         rf_trouble *trouble)
{
    char  *text = NULL;
    size_t bytes = 0;
    FILE  *stream = open_memstream(&text, &bytes);
    *out = NULL;
    rf_status st = stream ? write_pattern(stream, pattern, tags, trouble) : RF_OK;
    const int broken = !stream || fclose(stream) || !text;
    if (broken && st == RF_OK)
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for the recipe's prompt");
    if (st == RF_OK)
        *out = text;
    else
        free(text);
    return st;
}
