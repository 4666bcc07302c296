/* Unicode normalisation form C; see codes.h.
 *
 * utf8proc decomposes each character and composes the list; the canonical ordering between the two
 * is ours, because utf8proc's own is an exchange sort that a run of n marks drives to n * n. */
#include "engine/text/codes.h"

#include <string.h>

#include <utf8proc.h>

enum {
    FIRST_UNSTABLE = 0x300, /* text below it is in form C already (UAX #15, section 9) */
    DECOMPOSED_MAX = 8,     /* code points in a canonical decomposition; Unicode has 4 at most */
    CLASSES = 256,          /* canonical combining classes */
};

static unsigned class_of(int32_t code)
{
    return (unsigned)utf8proc_get_property(code)->combining_class & 0xFF;
}

/* Sorts a run of marks by class, stably: count each class, then place. */
static void order_run(int32_t *run, int32_t *sorted, size_t length)
{
    size_t next[CLASSES + 1] = {0};
    for (size_t i = 0; i < length; i++) next[class_of(run[i]) + 1]++;
    for (size_t c = 1; c <= CLASSES; c++) next[c] += next[c - 1];
    for (size_t i = 0; i < length; i++) sorted[next[class_of(run[i])]++] = run[i];
    memcpy(run, sorted, length * sizeof *run);
}

static void order_marks(rf_codes *codes, int32_t *sorted)
{
    for (size_t at = 0; at < codes->length;) {
        bool     ordered = true;
        unsigned last = class_of(codes->at[at]);
        size_t   end = at + 1;
        if (last > 0)
            for (unsigned c; end < codes->length && (c = class_of(codes->at[end])) > 0; end++) {
                ordered = ordered && last <= c;
                last = c;
            }
        if (!ordered) order_run(codes->at + at, sorted, end - at);
        at = end;
    }
}

rf_status rf_codes_nfc(rf_codes *codes, rf_codes *scratch, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    stable = 0;
    while (stable < codes->length && codes->at[stable] < FIRST_UNSTABLE) stable++;
    if (stable == codes->length) return RF_OK;

    scratch->length = 0;
    for (size_t i = 0; i < codes->length; i++) {
        int32_t                parts[DECOMPOSED_MAX];
        int                    boundary = 0;
        const utf8proc_ssize_t count = utf8proc_decompose_char(codes->at[i], parts, DECOMPOSED_MAX,
                                                               UTF8PROC_DECOMPOSE, &boundary);
        if (count < 0 || count > DECOMPOSED_MAX)
            return rf_fail(err, RF_E_BUG, "text: U+%04X has no decomposition",
                           (unsigned)codes->at[i]);
        RF_TRY(rf_codes_append(scratch, parts, (size_t)count, err));
    }
    /* `codes` is free now, but may be shorter than the decomposed text. */
    codes->length = 0;
    RF_TRY(rf_codes_append(codes, scratch->at, scratch->length, err));
    order_marks(codes, scratch->at);
    const utf8proc_ssize_t length = utf8proc_normalize_utf32(
        codes->at, (utf8proc_ssize_t)codes->length, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (length < 0) return rf_fail(err, RF_E_BUG, "text: %s", utf8proc_errmsg(length));
    codes->length = (size_t)length;
done:
    return st;
}
