/* HTML character references; see entities.h.  The names are vocab/entities.txt, read once. */
#include "engine/text/entities.h"

#include "engine/text/vocab/vocab.h"

#include <stdlib.h>
#include <string.h>

enum {
    FTFY_NAME_MAX = 24, /* ftfy's HTML_ENTITY_RE */
    HTML_NAME_MAX = 32, /* html.unescape's pattern */
    ENTITY_CODES_MAX = 3,
    CODE_MAX = 0x10FFFF,
    REPLACEMENT = 0xFFFD,
    NOTHING = -1, /* a reference that stands for no character at all */
};

/* The letters of entities.txt. */
typedef enum entity_kind {
    KIND_NORMAL = 'n', /* needs its semicolon */
    KIND_LEGACY = 'l', /* HTML also knows it without */
    KIND_FTFY = 'f',   /* only ftfy knows it */
} entity_kind;

typedef struct entity {
    const char *name; /* in the embedded file */
    size_t      name_length;
    entity_kind kind;
    int32_t     code[ENTITY_CODES_MAX];
    size_t      codes;
} entity;

struct rf_entities {
    entity *row; /* [rows], by name */
    size_t  rows;
};

/* "name kind code [code [code]]"; false if the line is anything else. */
static bool read_row(entity *e, const char *line, const char *end)
{
    const char *space = memchr(line, ' ', (size_t)(end - line));
    if (!space || space == line || end - space < 4 || space[2] != ' ') return false;
    *e = (entity){
        .name = line, .name_length = (size_t)(space - line), .kind = (unsigned char)space[1]};
    for (const char *p = space + 2; p < end;) {
        if (*p++ != ' ' || e->codes == ENTITY_CODES_MAX) return false;
        int32_t code = 0;
        for (; p < end && *p != ' '; p++) {
            const int digit = *p >= 'A' ? *p - 'A' + 10 : *p - '0';
            if (digit < 0 || digit > 15 || code > CODE_MAX >> 4) return false;
            code = code << 4 | digit;
        }
        e->code[e->codes++] = code;
    }
    return true;
}

rf_status rf_entities_create(rf_entities **out, rf_error *err)
{
    rf_status    st = RF_OK;
    const char  *text = (const char *)rf_vocab_entities;
    const char  *end = text + rf_vocab_entities_bytes;
    size_t       lines = 0;
    rf_entities *entities = calloc(1, sizeof *entities);
    *out = NULL;

    for (const char *p = text; p < end; p++) lines += *p == '\n';
    if (entities) entities->row = calloc(lines, sizeof *entities->row);
    if (!entities || !entities->row) {
        st = rf_fail(err, RF_E_NOMEM, "tokenizer: %zu entities", lines);
        goto done;
    }
    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop || !read_row(&entities->row[entities->rows++], line, stop)) {
            st = rf_fail(err, RF_E_BUG, "tokenizer: entities.txt: line %zu", entities->rows);
            goto done;
        }
        line = stop + 1;
    }
    *out = entities;
    entities = NULL;
done:
    rf_entities_destroy(entities);
    return st;
}

void rf_entities_destroy(rf_entities *entities)
{
    if (entities) free(entities->row);
    free(entities);
}

static const entity *find(const rf_entities *entities, const char *name, size_t length)
{
    size_t low = 0, high = entities->rows;
    while (low < high) {
        const size_t  mid = low + (high - low) / 2;
        const entity *e = &entities->row[mid];
        const size_t  common = length < e->name_length ? length : e->name_length;
        int           order = memcmp(name, e->name, common);
        if (order == 0) order = (length > e->name_length) - (length < e->name_length);
        if (order == 0) return e;
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int digit_value(int32_t code, int base)
{
    int value = 99;
    if (code >= '0' && code <= '9') value = code - '0';
    if (code >= 'a' && code <= 'f') value = code - 'a' + 10;
    if (code >= 'A' && code <= 'F') value = code - 'A' + 10;
    return value < base ? value : -1;
}

/* What a numeric reference stands for: HTML standard 13.2.5.80, and Python drops the control
 * characters and noncharacters that the standard keeps. */
static int32_t numeric_meaning(int32_t number)
{
    if (number >= 0x80 && number <= 0x9F) return rf_code_from_windows_1252(number);
    if (number == 0 || number > CODE_MAX || (number >= 0xD800 && number <= 0xDFFF))
        return REPLACEMENT;
    if (number == '\r') return number;
    if (number < 0x20 && !(number == '\t' || number == '\n' || number == '\f')) return NOTHING;
    if (number == 0x7F || (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE)
        return NOTHING;
    return number;
}

/* Reads "#38" or "#x26" at in[at], after the ampersand.  Returns the characters read, 0 if it is no
 * number; *meaning is its code point or NOTHING. */
static size_t read_number(const rf_codes *in, size_t at, int32_t *meaning)
{
    size_t p = at + 1;
    int    base = 10;
    if (p < in->length && (in->at[p] == 'x' || in->at[p] == 'X')) {
        base = 16;
        p++;
    }
    const size_t digits = p;
    int32_t      number = 0;
    for (int d; p < in->length && (d = digit_value(in->at[p], base)) >= 0; p++)
        number = number > CODE_MAX ? number : number * base + d;
    *meaning = numeric_meaning(number);
    return p > digits ? p - at : 0;
}

/* Copies the ASCII letters and digits at in[at], `max` at most; returns their count. */
static size_t read_name(const rf_codes *in, size_t at, char *name, size_t max)
{
    size_t n = 0;
    while (n < max && at + n < in->length && in->at[at + n] < 0x80) {
        const char c = (char)in->at[at + n];
        if (!rf_code_is_letter(c) && !rf_code_is_number(c)) break;
        name[n++] = c;
    }
    return n;
}

/* If ftfy decodes a reference at in[at], an ampersand: appends its meaning and sets *took to its
 * length, else to 0. */
static rf_status ftfy_reference(const rf_entities *entities, const rf_codes *in, size_t at,
                                rf_codes *out, size_t *took, rf_error *err)
{
    char         name[FTFY_NAME_MAX];
    const bool   number = at + 1 < in->length && in->at[at + 1] == '#';
    const size_t start = at + 1 + number;
    const size_t length = read_name(in, start, name, FTFY_NAME_MAX);
    const size_t end = start + length; /* where the semicolon must be */
    *took = 0;
    if (length == 0 || end >= in->length || in->at[end] != ';') return RF_OK;
    if (number) {
        int32_t meaning;
        if (read_number(in, at + 1, &meaning) != end - at - 1 || meaning == ';') return RF_OK;
        *took = end + 1 - at;
        return meaning == NOTHING ? RF_OK : rf_codes_push(out, meaning, err);
    }
    const entity *e = find(entities, name, length);
    if (!e) return RF_OK;
    *took = end + 1 - at;
    return rf_codes_append(out, e->code, e->codes, err);
}

/* The same by html.unescape: a name may be cut short to the longest that HTML knows. */
static rf_status html_reference(const rf_entities *entities, const rf_codes *in, size_t at,
                                rf_codes *out, size_t *took, rf_error *err)
{
    *took = 0;
    if (at + 1 < in->length && in->at[at + 1] == '#') {
        int32_t      meaning;
        const size_t length = read_number(in, at + 1, &meaning);
        if (length == 0) return RF_OK;
        const size_t end = at + 1 + length;
        *took = end - at + (end < in->length && in->at[end] == ';');
        return meaning == NOTHING ? RF_OK : rf_codes_push(out, meaning, err);
    }
    char          name[HTML_NAME_MAX];
    size_t        length = read_name(in, at + 1, name, HTML_NAME_MAX);
    size_t        end = at + 1 + length;
    const entity *e = NULL;
    if (end < in->length && in->at[end] == ';') {
        e = find(entities, name, length);
        if (e && e->kind != KIND_FTFY) {
            *took = end + 1 - at;
            return rf_codes_append(out, e->code, e->codes, err);
        }
    }
    for (; length >= 2; length--) {
        e = find(entities, name, length);
        if (!e || e->kind != KIND_LEGACY) continue;
        *took = 1 + length;
        return rf_codes_append(out, e->code, e->codes, err);
    }
    return RF_OK;
}

typedef rf_status reference_fn(const rf_entities *entities, const rf_codes *in, size_t at,
                               rf_codes *out, size_t *took, rf_error *err);

static rf_status unescape(const rf_entities *entities, reference_fn *reference, const rf_codes *in,
                          rf_codes *out, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t at = 0; at < in->length;) {
        size_t took = 0;
        if (in->at[at] == '&') RF_TRY(reference(entities, in, at, out, &took, err));
        if (took == 0) {
            RF_TRY(rf_codes_push(out, in->at[at], err));
            took = 1;
        }
        at += took;
    }
done:
    return st;
}

rf_status rf_unescape_ftfy(const rf_entities *entities, const rf_codes *in, rf_codes *out,
                           rf_error *err)
{
    return unescape(entities, ftfy_reference, in, out, err);
}

rf_status rf_unescape_html(const rf_entities *entities, const rf_codes *in, rf_codes *out,
                           rf_error *err)
{
    return unescape(entities, html_reference, in, out, err);
}
