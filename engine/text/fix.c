/* ftfy's fix_text; see fix.h.  The order of the steps is ftfy's: fix_and_explain in its
 * __init__.py; the tables are those of its chardata.py. */
#include "engine/text/fix.h"

#include <string.h>

#include <utf8proc.h>

enum {
    SEGMENT_MAX = 1000000, /* ftfy's max_decode_length: longer lines are cut */
    PASSES_MAX = 8,        /* see fix_segment */
    EXPANSION_MAX = 4,     /* code points that one character may become */
    ESCAPE = 0x1B,
};

typedef struct ligature {
    uint16_t code;
    uint16_t parts[3];
} ligature;

static const ligature ligatures[] = {
    {0x132, {'I', 'J'}},       {0x133, {'i', 'j'}},       {0x149, {0x2BC, 'n'}},
    {0x1F1, {'D', 'Z'}},       {0x1F2, {'D', 'z'}},       {0x1F3, {'d', 'z'}},
    {0x1C4, {'D', 0x17D}},     {0x1C5, {'D', 0x17E}},     {0x1C6, {'d', 0x17E}},
    {0x1C7, {'L', 'J'}},       {0x1C8, {'L', 'j'}},       {0x1C9, {'l', 'j'}},
    {0x1CA, {'N', 'J'}},       {0x1CB, {'N', 'j'}},       {0x1CC, {'n', 'j'}},
    {0xFB00, {'f', 'f'}},      {0xFB01, {'f', 'i'}},      {0xFB02, {'f', 'l'}},
    {0xFB03, {'f', 'f', 'i'}}, {0xFB04, {'f', 'f', 'l'}}, {0xFB05, {0x17F, 't'}},
    {0xFB06, {'s', 't'}},
};

static size_t split_ligature(int32_t code, int32_t *out)
{
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++) {
        if (ligatures[i].code != code) continue;
        size_t n = 0;
        while (n < 3 && ligatures[i].parts[n]) {
            out[n] = ligatures[i].parts[n];
            n++;
        }
        return n;
    }
    out[0] = code;
    return 1;
}

/* Full and half width forms by their compatibility decomposition. */
static size_t fix_width(int32_t code, int32_t *out)
{
    int boundary = 0;
    out[0] = code == 0x3000 ? ' ' : code;
    if (code < 0xFF01 || code > 0xFFEF) return 1;
    const utf8proc_ssize_t n = utf8proc_decompose_char(
        code, out, EXPANSION_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    return n > 0 && n <= EXPANSION_MAX ? (size_t)n : 1;
}

static int32_t fix_quote_or_break(int32_t code)
{
    if (code == 0x2BC || (code >= 0x2018 && code <= 0x201B)) return '\'';
    if (code >= 0x201C && code <= 0x201F) return '"';
    if (code == '\r' || code == 0x2028 || code == 0x2029) return '\n';
    return code;
}

/* The steps that look at one character: C1 controls, ligatures, width, quotes, line breaks. */
static rf_status fix_characters(const rf_codes *in, rf_codes *out, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < in->length; i++) {
        if (in->at[i] < 0x80) {
            RF_TRY(rf_codes_push(out, in->at[i] == '\r' ? '\n' : in->at[i], err));
            continue;
        }
        int32_t      part[EXPANSION_MAX], wide[EXPANSION_MAX];
        const size_t parts = split_ligature(rf_code_from_windows_1252(in->at[i]), part);
        for (size_t p = 0; p < parts; p++) {
            const size_t wides = fix_width(part[p], wide);
            for (size_t w = 0; w < wides; w++)
                RF_TRY(rf_codes_push(out, fix_quote_or_break(wide[w]), err));
        }
    }
done:
    return st;
}

/* The length of the terminal escape at text->at[at]: ESC [ digits and semicolons, a letter. */
static size_t escape_length(const rf_codes *text, size_t at)
{
    size_t p = at + 1;
    if (p >= text->length || text->at[p] != '[') return 0;
    for (p++; p < text->length; p++)
        if (text->at[p] != ';' && utf8proc_category(text->at[p]) != UTF8PROC_CATEGORY_ND) break;
    const bool ended = p < text->length && text->at[p] < 0x80 && rf_code_is_letter(text->at[p]);
    return ended ? p + 1 - at : 0;
}

static bool is_removed_control(int32_t c)
{
    if (c < 0x20) return !(c == '\t' || c == '\n' || c == '\f' || c == '\r');
    return c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/* Removes terminal escapes, then control characters, in place. */
static void remove_controls(rf_codes *text)
{
    size_t kept = 0;
    for (size_t at = 0; at < text->length;) {
        const int32_t code = text->at[at];
        const size_t  escape = code == ESCAPE ? escape_length(text, at) : 0;
        if (escape == 0 && !is_removed_control(code)) text->at[kept++] = code;
        at += escape ? escape : 1;
    }
    text->length = kept;
}

typedef struct fix_work {
    rf_codes line, next, scratch;
} fix_work;

static bool equal(const rf_codes *a, const rf_codes *b)
{
    return a->length == b->length &&
           (a->length == 0 || memcmp(a->at, b->at, a->length * sizeof *a->at) == 0);
}

static void swap(rf_codes *a, rf_codes *b)
{
    const rf_codes t = *a;
    *a = *b;
    *b = t;
}

/* Fixes work->line until nothing changes, as ftfy does, but PASSES_MAX times at most: each pass
 * decodes one level of "&amp;amp;amp;", and a million levels would take a million passes. */
static rf_status fix_segment(const rf_entities *entities, bool unescape, fix_work *work,
                             rf_error *err)
{
    rf_status st = RF_OK;
    rf_codes  before = {0};
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        before.length = work->next.length = 0;
        if (unescape)
            RF_TRY(rf_unescape_ftfy(entities, &work->line, &before, err));
        else
            RF_TRY(rf_codes_append(&before, work->line.at, work->line.length, err));
        RF_TRY(fix_characters(&before, &work->next, err));
        remove_controls(&work->next);
        RF_TRY(rf_codes_nfc(&work->next, &work->scratch, err));
        const bool settled = equal(&work->line, &work->next);
        swap(&work->line, &work->next);
        if (settled) break;
    }
done:
    rf_codes_free(&before);
    return st;
}

/* ftfy works on lines, a line break with the line it ends. */
static size_t segment_end(const rf_codes *in, size_t at)
{
    size_t end = at;
    while (end < in->length && end - at < SEGMENT_MAX)
        if (in->at[end++] == '\n') break;
    return end;
}

rf_status rf_fix_text(const rf_entities *entities, const rf_codes *in, rf_codes *out, rf_error *err)
{
    rf_status st = RF_OK;
    fix_work  work = {0};
    bool      unescape = true; /* until a '<' says that this is HTML which means its entities */
    for (size_t at = 0, end; at < in->length; at = end) {
        end = segment_end(in, at);
        work.line.length = 0;
        RF_TRY(rf_codes_append(&work.line, in->at + at, end - at, err));
        for (size_t i = at; i < end && unescape; i++) unescape = in->at[i] != '<';
        RF_TRY(fix_segment(entities, unescape, &work, err));
        RF_TRY(rf_codes_append(out, work.line.at, work.line.length, err));
    }
done:
    rf_codes_free(&work.line);
    rf_codes_free(&work.next);
    rf_codes_free(&work.scratch);
    return st;
}
