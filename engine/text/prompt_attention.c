/* Attention; see prompt_attention.h.
 *
 * A bracket that closes multiplies the weights of all pieces since it opened, at once and in
 * double: products depend on their order, and this is A1111's.  Deep nesting around many pieces is
 * therefore quadratic; rf_prompt_charge refuses what would take long. */
#include "engine/text/prompt_attention.h"

#include "engine/text/prompt_chars.h"

#include <stdlib.h>
#include <string.h>

static const double ROUND_WEIGHT = 1.1, SQUARE_WEIGHT = 1 / 1.1, BREAK_WEIGHT = -1;

typedef struct rf_attention_piece {
    size_t start; /* of its text; it ends where the next one starts */
    bool   is_break;
} attention_piece;

typedef struct parser {
    rf_prompt_context *context;
    rf_attention      *work;
    const char        *text;
    size_t             length;
    bool               exact;
} parser;

void rf_attention_free(rf_attention *work)
{
    free(work->text);
    free(work->weight);
    free(work->piece);
    free(work->round);
    free(work->square);
    *work = (rf_attention){0};
}

static rf_status new_piece(rf_attention *w, bool is_break, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_prompt_reserve(&w->weight, &w->weight_max, w->pieces + 1, sizeof *w->weight, err));
    RF_TRY(rf_prompt_reserve(&w->piece, &w->piece_max, w->pieces + 1, sizeof *w->piece, err));
    w->weight[w->pieces] = is_break ? BREAK_WEIGHT : 1;
    w->piece[w->pieces++] = (attention_piece){.start = w->length, .is_break = is_break};
done:
    return st;
}

static rf_status append(rf_attention *w, const char *text, size_t length, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_prompt_reserve(&w->text, &w->text_max, w->length + length, 1, err));
    if (length) memcpy(w->text + w->length, text, length);
    w->length += length;
done:
    return st;
}

/* Text of weight 1.  It joins the piece before it if the two must end up with one weight: both have
 * 1 now, and no bracket opened between them that could still close. */
static rf_status add_text(rf_attention *w, const char *text, size_t length, rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t n = w->pieces;
    const bool   joins = n > 0 && !w->piece[n - 1].is_break && w->weight[n - 1] == 1 &&
                       (w->rounds == 0 || w->round[w->rounds - 1] < n) &&
                       (w->squares == 0 || w->square[w->squares - 1] < n);
    if (!joins) RF_TRY(new_piece(w, false, err));
    RF_TRY(append(w, text, length, err));
done:
    return st;
}

/* Text in which the word BREAK, with the white space around it, is a mark. */
static rf_status add_run(parser *p, size_t start, size_t end, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    from = start; /* not yet added */
    for (size_t at = start; at < end; at++) {
        const char *found = memchr(p->text + at, 'B', end - at);
        if (!found) break;
        at = (size_t)(found - p->text);
        if (!rf_word_is(p->text, start, end, at, "BREAK")) continue;
        RF_TRY(add_text(p->work, p->text + from, rf_trim_space(p->text, from, at) - from, err));
        RF_TRY(new_piece(p->work, true, err));
        RF_TRY(append(p->work, "BREAK", 5, err));
        from = rf_skip_space(p->text, at + 5, end);
        at = from - 1;
    }
    RF_TRY(add_text(p->work, p->text + from, end - from, err));
done:
    return st;
}

static rf_status multiply(parser *p, size_t from, double factor, rf_error *err)
{
    rf_attention   *w = p->work;
    const rf_status st = rf_prompt_charge(p->context, w->pieces - from, err);
    if (st != RF_OK) return st;
    for (size_t i = from; i < w->pieces; i++) w->weight[i] *= factor;
    return RF_OK;
}

static rf_status open_bracket(rf_attention *w, bool round, rf_error *err)
{
    rf_status st = RF_OK;
    if (round) {
        RF_TRY(rf_prompt_reserve(&w->round, &w->round_max, w->rounds + 1, sizeof *w->round, err));
        w->round[w->rounds++] = w->pieces;
    } else {
        RF_TRY(
            rf_prompt_reserve(&w->square, &w->square_max, w->squares + 1, sizeof *w->square, err));
        w->square[w->squares++] = w->pieces;
    }
done:
    return st;
}

/* ')' or ']' at `at`, or the text up to `end` that a ')' would end with a weight. */
static rf_status close_bracket(parser *p, size_t at, rf_error *err)
{
    rf_attention *w = p->work;
    if (p->text[at] == ')' && w->rounds > 0)
        return multiply(p, w->round[--w->rounds], ROUND_WEIGHT, err);
    if (p->text[at] == ']' && w->squares > 0)
        return multiply(p, w->square[--w->squares], SQUARE_WEIGHT, err);
    return add_text(w, p->text + at, 1, err);
}

/* A number between colon and ')' that is none, such as 1.2.3. */
static rf_status refuse_weight(const parser *p, size_t at, size_t end, rf_error *err)
{
    return rf_fail(err, RF_E_ARG, "'%.*s' is no weight: A1111 stops at (...:%.*s)", (int)(end - at),
                   p->text + at, (int)(end - at), p->text + at);
}

/* ':' at *at, which moves past it and the weight that it may start. */
static rf_status take_colon(parser *p, size_t *at, rf_error *err)
{
    rf_attention    *w = p->work;
    const size_t     colon = *at;
    const size_t     start = rf_skip_space(p->text, colon + 1, p->length);
    const rf_decimal number = rf_decimal_scan(p->text, start, p->length);
    const size_t     close = rf_skip_space(p->text, number.end, p->length);
    if (number.end == start || close == p->length || p->text[close] != ')') {
        *at = colon + 1;
        return add_text(w, p->text + colon, 1, err);
    }
    *at = close + 1;
    if (w->rounds == 0) return add_text(w, p->text + colon, *at - colon, err);
    if (number.is_number) {
        double          weight;
        const rf_status st = rf_decimal_value(p->text, start, number.end, &weight, err);
        return st == RF_OK ? multiply(p, w->round[--w->rounds], weight, err) : st;
    }
    if (p->exact) return refuse_weight(p, start, number.end, err);
    rf_prompt_warn(p->context, RF_TRAP_BAD_WEIGHT,
                   "a weight with more than one point, or without digits, is plain text (A1111 "
                   "would stop at it)");
    const rf_status st = add_text(w, p->text + colon, close - colon, err);
    return st == RF_OK ? close_bracket(p, close, err) : st;
}

/* '\' at *at: it hides what follows if that is a bracket or a backslash, and vanishes. */
static rf_status take_backslash(parser *p, size_t *at, rf_error *err)
{
    const size_t place = (*at)++;
    const char   next = place + 1 < p->length ? p->text[place + 1] : '\0';
    const bool   escapes = next && strchr("()[]\\", next);
    *at += escapes;
    return add_text(p->work, p->text + place + 1, escapes, err);
}

static rf_status take(parser *p, size_t *at, rf_error *err)
{
    const char c = p->text[*at];
    if (c == '\\') return take_backslash(p, at, err);
    if (c == ':') return take_colon(p, at, err);
    if (c == '(' || c == '[') {
        ++*at;
        return open_bracket(p->work, c == '(', err);
    }
    if (c == ')' || c == ']') return close_bracket(p, (*at)++, err);
    const size_t start = *at;
    while (*at < p->length && !strchr("\\()[]:", p->text[*at])) ++*at;
    return add_run(p, start, *at, err);
}

/* Brackets that were never closed act up to the end: first the round ones, then the square ones. */
static rf_status close_all(parser *p, rf_error *err)
{
    rf_attention *w = p->work;
    rf_status     st = RF_OK;
    for (size_t i = 0; i < w->rounds; i++) RF_TRY(multiply(p, w->round[i], ROUND_WEIGHT, err));
    for (size_t i = 0; i < w->squares; i++) RF_TRY(multiply(p, w->square[i], SQUARE_WEIGHT, err));
done:
    return st;
}

/* A break inside emphasis is a break again. */
static void repair_breaks(parser *p)
{
    rf_attention *w = p->work;
    for (size_t i = 0; i < w->pieces; i++) {
        if (!w->piece[i].is_break || w->weight[i] == BREAK_WEIGHT) continue;
        w->weight[i] = BREAK_WEIGHT;
        rf_prompt_warn(p->context, RF_TRAP_BREAK_IN_EMPHASIS,
                       "BREAK inside brackets starts a new chunk all the same (A1111 would take "
                       "it for a word of the picture)");
    }
}

/* Whether piece i continues piece i - 1.  A1111 does not except its breaks. */
static bool merges(const parser *p, size_t i)
{
    const rf_attention *w = p->work;
    if (!p->exact && (w->piece[i].is_break || w->piece[i - 1].is_break)) return false;
    return w->weight[i] == w->weight[i - 1];
}

/* Copies the pieces out, neighbours of one weight as one. */
static rf_status hand_out(parser *p, const rf_piece **out, int *pieces, rf_error *err)
{
    rf_attention *w = p->work;
    rf_status     st = RF_OK;
    rf_piece     *piece = NULL;
    size_t        count = 1;
    for (size_t i = 1; i < w->pieces; i++) count += !merges(p, i);
    RF_TRY(rf_prompt_take(p->context, count, sizeof *piece, &piece, err));
    for (size_t i = 0, next, n = 0; i < w->pieces; i = next, n++) {
        for (next = i + 1; next < w->pieces && merges(p, next);) next++;
        const size_t start = w->piece[i].start;
        const size_t end = next < w->pieces ? w->piece[next].start : w->length;
        RF_TRY(rf_prompt_copy(p->context, w->text + start, end - start, &piece[n].text, err));
        piece[n].weight = w->weight[i];
        piece[n].is_break =
            p->exact ? w->weight[i] == BREAK_WEIGHT && strcmp(piece[n].text, "BREAK") == 0
                     : w->piece[i].is_break;
    }
    *out = piece;
    *pieces = (int)count;
done:
    return st;
}

rf_status rf_attention_parse(rf_prompt_context *context, rf_attention *work, const char *text,
                             size_t length, const rf_piece **piece, int *pieces, rf_error *err)
{
    rf_status st = RF_OK;
    parser    p = {.context = context,
                   .work = work,
                   .text = text,
                   .length = length,
                   .exact = context->options->exact_a1111};
    work->length = work->pieces = work->rounds = work->squares = 0;
    RF_TRY(rf_prompt_reserve(&work->text, &work->text_max, length + 1, 1, err)); /* never NULL */
    if (context->options->emphasis == RF_EMPHASIS_NONE) {
        RF_TRY(add_text(work, text, length, err));
    } else {
        for (size_t at = 0; at < length;) RF_TRY(take(&p, &at, err));
        if (work->pieces == 0) {
            work->rounds = work->squares = 0; /* there is nothing that they could weigh */
            RF_TRY(add_text(work, "", 0, err));
        }
        RF_TRY(close_all(&p, err));
        if (!p.exact) repair_breaks(&p);
    }
    RF_TRY(hand_out(&p, piece, pieces, err));
done:
    return st;
}
