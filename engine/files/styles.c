/* A1111's styles.csv; see styles.h and refinery.h.
 *
 * RFC 4180 with what Python's csv module forgives, because that is what wrote and read these files:
 * lines may end in LF, CR LF or CR, rows may be short or long, and text behind a closing quote
 * belongs to its field.  A quotation that never ends is an error here: it swallows the styles that
 * follow. */
#include "engine/files/styles.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/near.h"
#include "engine/files/utf8.h"
#include "engine/files/whole_file.h"

enum {
    FILE_MAX = 1 << 24,   /* bytes of a styles.csv */
    MERGED_MAX = 1 << 24, /* bytes of a prompt with a style; bounds {prompt}{prompt}... */
};

enum { NAME, PROMPT, NEGATIVE, COLUMNS };

typedef struct style_row {
    const char *text[COLUMNS]; /* into the file's text */
} style_row;

struct rf_styles {
    char      *text; /* fields, unquoted and ended where they stood */
    style_row *style;
    int        count, room;
};

/* ---- CSV ---------------------------------------------------------------------------------- */

typedef struct csv {
    char       *at, *end;
    size_t      line;
    const char *name; /* for messages */
    int         row_done;
} csv;

/* Steps over a line break, if one is next. */
static int take_break(csv *c)
{
    if (c->at == c->end || (*c->at != '\n' && *c->at != '\r')) return 0;
    if (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n') c->at++;
    c->at++;
    c->line++;
    return 1;
}

/* *field = the next field of the row, unquoted in place; sets row_done behind the last one. */
static rf_status next_field(csv *c, const char **field, rf_error *err)
{
    char        *out = c->at;
    const size_t line = c->line;
    int          quoted = c->at < c->end && *c->at == '"';
    *field = out;
    if (quoted) c->at++;
    while (c->at < c->end) {
        const char ch = *c->at;
        if (quoted && ch == '"') {
            c->at++;
            if (c->at < c->end && *c->at == '"')
                *out++ = *c->at++; /* doubled: a quote that is meant */
            else
                quoted = 0;
            continue;
        }
        if (!quoted && (ch == ',' || ch == '\n' || ch == '\r')) break;
        if (ch == '\n' || (ch == '\r' && (c->at + 1 == c->end || c->at[1] != '\n'))) c->line++;
        *out++ = ch;
        c->at++;
    }
    if (quoted)
        return rf_fail(err, RF_E_FORMAT, "%s: line %zu: a quotation begins that never ends",
                       c->name, line);
    c->row_done = c->at == c->end || *c->at != ',';
    if (c->row_done)
        take_break(c);
    else
        c->at++;
    *out = '\0'; /* at the latest on the separator, which has been read */
    return RF_OK;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Which column of the file each of ours is; -1: none. */
static rf_status read_header(csv *c, int column[COLUMNS], rf_error *err)
{
    int text = -1;
    for (int i = 0; i < COLUMNS; i++) column[i] = -1;
    c->row_done = c->at == c->end;
    for (int i = 0; !c->row_done; i++) {
        const char     *title;
        const rf_status st = next_field(c, &title, err);
        if (st != RF_OK) return st;
        if (strcmp(title, "name") == 0) column[NAME] = i;
        if (strcmp(title, "prompt") == 0) column[PROMPT] = i;
        if (strcmp(title, "negative_prompt") == 0) column[NEGATIVE] = i;
        if (strcmp(title, "text") == 0) text = i;
    }
    if (column[PROMPT] < 0) column[PROMPT] = text; /* A1111's first format */
    if (column[NAME] < 0 || column[PROMPT] < 0)
        return rf_fail(err, RF_E_FORMAT,
                       "%s: line 1: the first line must name the columns name and prompt", c->name);
    return RF_OK;
}

static rf_status add_style(rf_styles *styles, const style_row *s, rf_error *err)
{
    if (styles->count == styles->room) {
        const int  room = styles->room ? 2 * styles->room : 32; /* FILE_MAX bounds it */
        style_row *grown = realloc(styles->style, (size_t)room * sizeof *grown);
        if (!grown) return rf_fail(err, RF_E_NOMEM, "no memory for %d styles", room);
        styles->style = grown;
        styles->room = room;
    }
    styles->style[styles->count++] = *s;
    return RF_OK;
}

static rf_status read_rows(rf_styles *styles, csv *c, rf_error *err)
{
    int       column[COLUMNS];
    rf_status st = read_header(c, column, err);
    while (st == RF_OK && c->at < c->end) {
        style_row s = {{"", "", ""}};
        c->row_done = 0;
        for (int i = 0; st == RF_OK && !c->row_done; i++) {
            const char *field;
            st = next_field(c, &field, err);
            for (int k = 0; st == RF_OK && k < COLUMNS; k++)
                if (column[k] == i) s.text[k] = field;
        }
        /* empty lines and comments separate styles in A1111's files */
        if (st == RF_OK && *s.text[NAME] && *s.text[NAME] != '#') st = add_style(styles, &s, err);
    }
    return st;
}

static rf_status check_text(const char *text, size_t bytes, const char *name, rf_error *err)
{
    size_t line = 1;
    for (size_t at = 0; at < bytes;) {
        const size_t n = text[at] ? rf_utf8_span(text + at, bytes - at) : 0;
        if (n == 0) return rf_fail(err, RF_E_FORMAT, "%s: line %zu is not UTF-8 text", name, line);
        line += text[at] == '\n';
        at += n;
    }
    return RF_OK;
}

rf_status rf_styles_parse(rf_styles **out, const char *text, size_t bytes, const char *name,
                          rf_error *err)
{
    rf_status  st = RF_OK;
    rf_styles *styles = NULL;
    *out = NULL;
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, bytes -= 3;
    RF_TRY(check_text(text, bytes, name, err));
    styles = calloc(1, sizeof *styles);
    if (styles) styles->text = malloc(bytes + 1);
    if (!styles || !styles->text) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory for its %zu bytes", name, bytes);
        goto done;
    }
    memcpy(styles->text, text, bytes);
    csv c = {.at = styles->text, .end = styles->text + bytes, .line = 1, .name = name};
    RF_TRY(read_rows(styles, &c, err));
    *out = styles;
    styles = NULL;
done:
    rf_styles_free(styles);
    return st;
}

rf_status rf_styles_read(rf_styles **out, const char *path, rf_error *err)
{
    char  *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    rf_status st = rf_whole_file_read(&text, &bytes, path, FILE_MAX, err);
    if (st == RF_OK) st = rf_styles_parse(out, text, bytes, path, err);
    free(text);
    return st;
}

void rf_styles_free(rf_styles *styles)
{
    if (!styles) return;
    free(styles->text);
    free(styles->style);
    free(styles);
}

const char *rf_styles_name(const rf_styles *styles, int i)
{
    return i >= 0 && i < styles->count ? styles->style[i].text[NAME] : NULL;
}

/* ---- merging ------------------------------------------------------------------------------ */

typedef struct span {
    const char *at;
    size_t      bytes;
} span;

/* Python's str.strip(), as far as ASCII goes. */
static span strip(const char *s)
{
    static const char white[] = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
    const char       *at = s + strspn(s, white);
    size_t            n = strlen(at);
    while (n > 0 && strchr(white, at[n - 1])) n--;
    return (span){at, n};
}

static char *put(char *out, span s)
{
    memcpy(out, s.at, s.bytes);
    return out + s.bytes;
}

static char *put_replaced(char *out, const char *style, const char *mark, const char *prompt)
{
    const span whole = {prompt, strlen(prompt)};
    for (const char *hit; (hit = strstr(style, mark)); style = hit + strlen(mark)) {
        out = put(out, (span){style, (size_t)(hit - style)});
        out = put(out, whole);
    }
    return put(out, (span){style, strlen(style)});
}

/* A style's text and a prompt in one: in place of every {prompt}, or one after the other. */
static rf_status merge(char **out, const char *style, const char *prompt, rf_error *err)
{
    static const char mark[] = "{prompt}";
    const span        first = strip(prompt), last = strip(style);
    size_t            bytes = strlen(prompt) + strlen(style) + 3, hits = 0;
    for (const char *p = style; (p = strstr(p, mark)); p += sizeof mark - 1) hits++;
    if (bytes > MERGED_MAX || hits > MERGED_MAX / bytes)
        return rf_fail(err, RF_E_ARG, "with the style the prompt would pass %d MB",
                       MERGED_MAX >> 20);
    bytes += hits * strlen(prompt);
    char *at = *out = malloc(bytes);
    if (!at) return rf_fail(err, RF_E_NOMEM, "no memory for a prompt of %zu bytes", bytes);
    if (hits > 0) {
        at = put_replaced(at, style, mark, prompt);
    } else {
        at = put(at, first);
        if (first.bytes && last.bytes) at = put(at, (span){", ", 2});
        at = put(at, last);
    }
    *at = '\0';
    return RF_OK;
}

/* The style of that name; of several the last one, as in A1111. */
static rf_status find(const style_row **out, const rf_styles *styles, const char *name,
                      rf_error *err)
{
    const char *nearest = NULL;
    size_t      best = SIZE_MAX;
    for (int i = styles->count; i > 0; i--) {
        const char *known = styles->style[i - 1].text[NAME];
        if (strcmp(known, name) == 0) {
            *out = &styles->style[i - 1];
            return RF_OK;
        }
        const size_t n = rf_near(name, known);
        if (n < best) best = n, nearest = known;
    }
    if (nearest)
        return rf_fail(err, RF_E_NOT_FOUND,
                       "no style is named \"%.100s\": did you mean \"%.100s\"?", name, nearest);
    return rf_fail(err, RF_E_NOT_FOUND, "no style is named \"%.100s\" (the file has %d)", name,
                   styles->count);
}

rf_status rf_styles_apply(const rf_styles *styles, const char *name, char **prompt, char **negative,
                          rf_error *err)
{
    rf_status        st = RF_OK;
    const style_row *s = NULL;
    char            *merged[2] = {NULL, NULL};
    RF_TRY(find(&s, styles, name, err));
    RF_TRY(merge(&merged[0], s->text[PROMPT], *prompt ? *prompt : "", err));
    RF_TRY(merge(&merged[1], s->text[NEGATIVE], *negative ? *negative : "", err));
    free(*prompt);
    free(*negative);
    *prompt = merged[0];
    *negative = merged[1];
    return RF_OK;
done:
    free(merged[0]);
    free(merged[1]);
    return st;
}
