/* Parsing edits; see edits.h. */
#include "engine/text/edits.h"

#include "engine/text/prompt_chars.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { NO_MARK = -1 };

typedef enum group_state {
    ROUND_FIRST,  /* (here */
    ROUND_SECOND, /* (x:here */
    SQUARE_FIRST, /* [here */
    SQUARE_TO,    /* [x:here, and it is no `when` */
    SQUARE_OPTION /* [x|here */
} group_state;

typedef struct group {      /* an open bracket */
    int32_t     open, last; /* marks: its '[', and its latest separator */
    group_state state;
} group;

typedef struct parser {
    const char *text;
    size_t      length;
    bool        exact;
    rf_edits   *edits;
    group      *open; /* [depth]: a stack */
    size_t      depth, depth_max;
} parser;

void rf_edits_free(rf_edits *edits)
{
    free(edits->mark);
    *edits = (rf_edits){0};
}

static size_t skip_digits(const char *text, size_t at, size_t length)
{
    while (at < length && text[at] >= '0' && text[at] <= '9') at++;
    return at;
}

/* [+-]? (digits | digits . digits? | . digits) ([eE] [+-]? digits)?; `at` if it is none. */
static size_t skip_number(const char *text, size_t at, size_t length, bool *is_fraction)
{
    const size_t begin = at;
    if (at < length && (text[at] == '+' || text[at] == '-')) at++;
    const size_t whole = skip_digits(text, at, length);
    size_t       end = whole, digits = whole - at;
    *is_fraction = end < length && text[end] == '.';
    if (*is_fraction) {
        end = skip_digits(text, whole + 1, length);
        digits += end - whole - 1;
    }
    if (digits == 0) return begin;
    if (end < length && (text[end] == 'e' || text[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < length && (text[exponent] == '+' || text[exponent] == '-')) exponent++;
        const size_t after = skip_digits(text, exponent, length);
        if (after == exponent) return begin;
        end = after;
    }
    return end;
}

/* `switch` or `switchK`, K = 1, 2, ...; `at` if it is neither. */
static size_t skip_keyword(const char *text, size_t at, size_t length, int *handover)
{
    static const char keyword[] = "switch";
    const size_t      letters = sizeof keyword - 1;
    if (length - at < letters || memcmp(text + at, keyword, letters) != 0) return at;
    const size_t digits = at + letters, end = skip_digits(text, digits, length);
    *handover = end == digits ? 1 : 0;
    if (end > digits && text[digits] == '0') return at;
    for (size_t i = digits; i < end; i++)
        *handover = *handover < INT_MAX / 10 - 1 ? 10 * *handover + (text[i] - '0') : INT_MAX;
    return end;
}

bool rf_edit_when_read(const char *text, size_t at, size_t length, bool exact, rf_edit_when *when)
{
    const size_t start = rf_skip_space(text, at, length);
    *when = (rf_edit_when){.start = start};
    size_t end = skip_number(text, start, length, &when->is_fraction);
    if (end == start && !exact) end = skip_keyword(text, start, length, &when->handover);
    if (end == start) return false;
    when->end = end;
    when->close = rf_skip_space(text, end, length);
    return when->close < length && text[when->close] == ']';
}

/* Adds a mark; if it belongs to `g`, the group's latest mark points to it. */
static rf_status add_mark(parser *p, group *g, size_t at, rf_error *err)
{
    rf_edits       *e = p->edits;
    const rf_status st =
        rf_prompt_reserve(&e->mark, &e->capacity, e->length + 1, sizeof *e->mark, err);
    if (st != RF_OK) return st;
    e->mark[e->length] = (rf_edit_mark){.at = (int32_t)at, .next = NO_MARK};
    if (g) {
        e->mark[g->last].next = (int32_t)e->length;
        g->last = (int32_t)e->length;
    }
    e->length++;
    return RF_OK;
}

static rf_status open_group(parser *p, size_t at, rf_error *err)
{
    const bool      square = p->text[at] == '[';
    const rf_status st =
        rf_prompt_reserve(&p->open, &p->depth_max, p->depth + 1, sizeof *p->open, err);
    if (st != RF_OK) return st;
    const int32_t mark = square ? (int32_t)p->edits->length : NO_MARK;
    p->open[p->depth++] =
        (group){.open = mark, .last = mark, .state = square ? SQUARE_FIRST : ROUND_FIRST};
    return square ? add_mark(p, NULL, at, err) : RF_OK;
}

/* No open group can be completed any more: their marks stay plain. */
static void break_groups(parser *p)
{
    for (size_t i = 0; i < p->depth; i++)
        if (p->open[i].state == SQUARE_OPTION) p->edits->stray_bar = true;
    p->depth = 0;
}

/* The innermost group is an edit that ends at `at`: its marks get their meaning. */
static rf_status close_edit(parser *p, rf_edit_kind kind, size_t at, rf_error *err)
{
    group          *g = &p->open[p->depth - 1];
    const rf_status st = add_mark(p, g, at, err);
    if (st != RF_OK) return st;
    rf_edit_mark *const mark = p->edits->mark;
    const int32_t       close = g->last;
    int32_t             separators = 0;
    for (int32_t i = mark[g->open].next; i != NO_MARK; i = mark[i].next) {
        mark[i].kind = i == close ? RF_EDIT_CLOSE : RF_EDIT_SEPARATE;
        mark[i].value = close;
        separators += i != close;
    }
    mark[g->open].kind = kind;
    if (kind == RF_EDIT_ALTERNATE) {
        mark[g->open].value = separators + 1;
        p->edits->alternations++;
    } else {
        p->edits->schedules++;
    }
    p->depth--;
    return RF_OK;
}

/* ':' at *at, which moves past what it starts. */
static rf_status take_colon(parser *p, size_t *at, rf_error *err)
{
    group       *g = &p->open[p->depth - 1];
    const size_t colon = (*at)++;
    rf_edit_when when;
    if (g->state == ROUND_FIRST) {
        g->state = ROUND_SECOND;
        return RF_OK;
    }
    if (g->state != SQUARE_FIRST && g->state != SQUARE_TO) {
        break_groups(p);
        return RF_OK;
    }
    const bool is_when = rf_edit_when_read(p->text, *at, p->length, p->exact, &when);
    if (!is_when && g->state == SQUARE_TO) {
        break_groups(p);
        return RF_OK;
    }
    const rf_edit_kind kind = g->state == SQUARE_TO ? RF_EDIT_FROM_TO : RF_EDIT_TO;
    rf_status          st = RF_OK;
    RF_TRY(add_mark(p, g, colon, err));
    g->state = SQUARE_TO;
    if (is_when) {
        RF_TRY(close_edit(p, kind, when.close, err));
        *at = when.close + 1;
    }
done:
    return st;
}

static rf_status take_bar(parser *p, size_t at, rf_error *err)
{
    group *g = p->depth ? &p->open[p->depth - 1] : NULL;
    if (g && (g->state == SQUARE_FIRST || g->state == SQUARE_OPTION)) {
        g->state = SQUARE_OPTION;
        return add_mark(p, g, at, err);
    }
    p->edits->stray_bar = true;
    break_groups(p);
    return RF_OK;
}

static rf_status take_closer(parser *p, size_t at, rf_error *err)
{
    if (p->depth == 0) return RF_OK;
    const group_state state = p->open[p->depth - 1].state;
    const bool        round = state == ROUND_FIRST || state == ROUND_SECOND;
    if (round != (p->text[at] == ')') || state == SQUARE_TO)
        break_groups(p);
    else if (state == SQUARE_OPTION)
        return close_edit(p, RF_EDIT_ALTERNATE, at, err);
    else
        p->depth--; /* its brackets are text, and stay it */
    return RF_OK;
}

/* The character or escape at *at, which moves past it. */
static rf_status take(parser *p, size_t *at, rf_error *err)
{
    const size_t place = *at;
    const char   c = p->text[place];
    if (c == ':' && p->depth) return take_colon(p, at, err);
    *at = place + 1;
    if (c == '(' || c == '[') return open_group(p, place, err);
    if (c == ')' || c == ']') return take_closer(p, place, err);
    if (c == '|') return take_bar(p, place, err);
    if (c == '\\') {
        if (place + 1 == p->length || p->text[place + 1] == '\n')
            p->edits->stray_backslash = true;
        else
            *at = place + 2; /* of a longer character the rest is plain */
    }
    return RF_OK;
}

rf_status rf_edits_parse(rf_edits *edits, const char *text, size_t length, bool exact,
                         rf_error *err)
{
    rf_status st = RF_OK;
    parser    p = {.text = text, .length = length, .exact = exact, .edits = edits};
    *edits = (rf_edits){0};
    for (size_t at = 0; at < length;) RF_TRY(take(&p, &at, err));
    break_groups(&p);
    if (exact && (edits->stray_bar || edits->stray_backslash)) {
        edits->length = 0;
        edits->schedules = edits->alternations = 0;
    }
done:
    free(p.open);
    return st;
}
