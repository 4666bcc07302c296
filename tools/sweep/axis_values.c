/* Numbers and their ranges; see axis_parts.h.
 *
 *   5    1-5    1-10 (+3)    10-1 (-3)    1-10 [5]
 *
 * Ranges include their end where a step meets it.  [n] is n numbers at equal distances, both ends
 * among them; whole numbers are cut off towards 0, as A1111's int(numpy.linspace) does, but from
 * exact quotients. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/axis_parts.h"

typedef struct range {
    int64_t start, end;
    int64_t step;  /* 0: none was given */
    int64_t count; /* likewise */
} range;

typedef struct item {
    const rf_axis_rule *rule;
    const char         *text, *at, *where;
    rf_trouble         *trouble;
} item;

static int takes_reals(const rf_axis_rule *rule)
{
    return rule->takes == RF_TAKES_NUMBERS;
}

static int64_t unit(const rf_axis_rule *rule)
{
    return takes_reals(rule) ? RF_AXIS_MICRO : 1;
}

/* ---- reading ------------------------------------------------------------------------------ */

static rf_status malformed(const item *i)
{
    const int reals = takes_reals(i->rule);
    return rf_fail(&i->trouble->error, RF_E_ARG,
                   "%s: '%.80s' is neither a %s nor a range such as %s", i->where, i->text,
                   reals ? "number" : "whole number",
                   reals ? "0-1 [11] or 0-1 (+0.1)" : "1-5, 1-10 (+3) or 1-10 [5]");
}

static rf_status out_of_range(const item *i)
{
    const rf_axis_rule *rule = i->rule;
    return rf_fail(&i->trouble->error, RF_E_ARG,
                   "%s: '%.80s' is out of range: %s goes from %" PRId64 " to %" PRId64, i->where,
                   i->text, rule->name, rule->min, rule->max);
}

/* Bytes of the unsigned decimal number at `text`; 0 if there is none. */
static size_t number_length(const char *text, int reals)
{
    static const char DIGITS[] = "0123456789";
    const size_t      whole = strspn(text, DIGITS);
    size_t            end = whole, digits = whole;
    if (!reals) return whole;
    if (text[end] == '.') {
        const size_t part = strspn(text + end + 1, DIGITS);
        digits += part;
        end += 1 + part;
    }
    if (digits == 0) return 0;
    if (text[end] == 'e' || text[end] == 'E') {
        const size_t sign = text[end + 1] == '-' || text[end + 1] == '+';
        const size_t exponent = strspn(text + end + 1 + sign, DIGITS);
        if (exponent > 0) end += 1 + sign + exponent;
    }
    return end;
}

/* The number at i->at with its sign, in units.  A size that no axis has is out of range here, so
 * that nothing overflows later. */
static rf_status read_number(item *i, int64_t *out)
{
    char      digits[64];
    const int reals = takes_reals(i->rule);
    i->at = rf_axis_skip_blanks(i->at);
    const int negative = *i->at == '-';
    if (negative || *i->at == '+') i->at = rf_axis_skip_blanks(i->at + 1);
    const size_t bytes = number_length(i->at, reals);
    if (bytes == 0 || bytes >= sizeof digits) return malformed(i);
    memcpy(digits, i->at, bytes);
    digits[bytes] = '\0';
    errno = 0;
    if (reals) {
        const double real = strtod(digits, NULL);
        if (real > 1e9) return out_of_range(i); /* 1e15 millionths are exact in binary64 */
        *out = llround(real * RF_AXIS_MICRO);
    } else {
        *out = strtoll(digits, NULL, 10);
        if (errno == ERANGE) return out_of_range(i);
    }
    if (negative) *out = -*out;
    i->at = rf_axis_skip_blanks(i->at + bytes);
    return RF_OK;
}

/* What stands in brackets behind a range. */
static rf_status read_step(item *i, range *r)
{
    rf_status st = RF_OK;
    i->at++;
    RF_TRY(read_number(i, &r->step));
    if (*i->at++ != ')') return malformed(i);
    if (r->step == 0)
        st =
            rf_fail(&i->trouble->error, RF_E_ARG, "%s: '%.80s' has a step of 0", i->where, i->text);
done:
    return st;
}

static rf_status read_count(item *i, range *r)
{
    i->at = rf_axis_skip_blanks(i->at + 1);
    const size_t bytes = number_length(i->at, 0);
    if (bytes == 0) return malformed(i);
    errno = 0;
    r->count = strtoll(i->at, NULL, 10);
    i->at = rf_axis_skip_blanks(i->at + bytes);
    if (*i->at++ != ']') return malformed(i);
    if (errno == 0 && r->count >= 1 && r->count <= RF_AXIS_VALUES_MAX) return RF_OK;
    return rf_fail(&i->trouble->error, RF_E_ARG, "%s: '%.80s': in [ ] stands a count from 1 to %d",
                   i->where, i->text, RF_AXIS_VALUES_MAX);
}

static rf_status read_range(item *i, range *r)
{
    rf_status st = RF_OK;
    *r = (range){0};
    RF_TRY(read_number(i, &r->start));
    r->end = r->start;
    if (*i->at == '-') {
        i->at++;
        RF_TRY(read_number(i, &r->end));
        if (*i->at == '(')
            RF_TRY(read_step(i, r));
        else if (*i->at == '[')
            RF_TRY(read_count(i, r));
    }
    if (*rf_axis_skip_blanks(i->at)) st = malformed(i);
done:
    return st;
}

/* ---- expanding ---------------------------------------------------------------------------- */

rf_status rf_axis_append(rf_axis_numbers *n, int64_t number, const char *where, rf_trouble *trouble)
{
    if (n->count == RF_AXIS_VALUES_MAX)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: an axis has at most %d values", where,
                       RF_AXIS_VALUES_MAX);
    if (n->count == n->room) {
        const int room = n->room ? 2 * n->room : 16;
        int64_t  *grown = realloc(n->at, (size_t)room * sizeof *grown);
        if (!grown)
            return rf_fail(&trouble->error, RF_E_NOMEM, "%s: no memory for %d values", where, room);
        n->at = grown;
        n->room = room;
    }
    n->at[n->count++] = number;
    return RF_OK;
}

/* start + (end - start) * k / (count - 1): cut off towards 0, or rounded to a millionth. */
static int64_t point(const range *r, int64_t k, int reals)
{
    const int64_t  parts = r->count - 1;
    const int      down = r->end < r->start;
    const uint64_t length =
        down ? (uint64_t)r->start - (uint64_t)r->end : (uint64_t)r->end - (uint64_t)r->start;
    if (parts == 0) return r->start;
    const uint64_t whole = length / (uint64_t)parts * (uint64_t)k;
    const uint64_t rest = length % (uint64_t)parts * (uint64_t)k;
    const uint64_t away = whole + rest / (uint64_t)parts; /* from the start, cut off */
    const int64_t  part = (int64_t)(rest % (uint64_t)parts);
    const int64_t  at = (int64_t)((uint64_t)r->start + (down ? -away : away));
    const int      further = reals ? 2 * part >= parts : part > 0 && (down ? at > 0 : at < 0);
    return further ? at + (down ? -1 : 1) : at;
}

static rf_status expand_count(rf_axis_numbers *n, const item *i, const range *r)
{
    rf_status st = RF_OK;
    for (int64_t k = 0; k < r->count; k++)
        RF_TRY(rf_axis_append(n, point(r, k, takes_reals(i->rule)), i->where, i->trouble));
done:
    return st;
}

static rf_status expand_steps(rf_axis_numbers *n, const item *i, const range *r)
{
    rf_status     st = RF_OK;
    const int64_t step = r->step ? r->step : unit(i->rule);
    if (r->start != r->end && (r->end > r->start) != (step > 0)) {
        rf_trouble_hint(i->trouble, step > 0 ? "a range that counts down has a negative step: "
                                               "10-1 (-3)"
                                             : "a range that counts up has a positive step: "
                                               "1-10 (+3)");
        return rf_fail(&i->trouble->error, RF_E_ARG, "%s: '%.80s' steps away from its end",
                       i->where, i->text);
    }
    /* The distance that is left cannot overflow, as v + step could. */
    for (int64_t v = r->start;; v += step) {
        RF_TRY(rf_axis_append(n, v, i->where, i->trouble));
        if (step > 0 ? r->end - v < step : r->end - v > step) break;
    }
done:
    return st;
}

rf_status rf_axis_expand(rf_axis_numbers *numbers, const rf_axis_rule *rule, const char *where,
                         const char *text, rf_trouble *trouble)
{
    rf_status     st = RF_OK;
    const int64_t per = unit(rule);
    item          i = {.rule = rule, .text = text, .at = text, .where = where, .trouble = trouble};
    range         r;
    RF_TRY(read_range(&i, &r));
    if (r.start < rule->min * per || r.start > rule->max * per || r.end < rule->min * per ||
        r.end > rule->max * per)
        return out_of_range(&i);
    RF_TRY(r.count ? expand_count(numbers, &i, &r) : expand_steps(numbers, &i, &r));
done:
    return st;
}

/* ---- printing ----------------------------------------------------------------------------- */

void rf_axis_number_print(char out[RF_AXIS_NUMBER_BYTES], const rf_axis_rule *rule, int64_t number)
{
    const uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
    const uint64_t per = (uint64_t)unit(rule);
    const char    *sign = number < 0 ? "-" : "";
    int            bytes = snprintf(out, RF_AXIS_NUMBER_BYTES, "%s%" PRIu64, sign, size / per);
    if (size % per == 0) return;
    bytes +=
        snprintf(out + bytes, (size_t)(RF_AXIS_NUMBER_BYTES - bytes), ".%06" PRIu64, size % per);
    while (out[bytes - 1] == '0') out[--bytes] = '\0';
}
