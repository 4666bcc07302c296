/* check: compares a level of an op with its reference, in the manner of dav1d's checkasm.
 *
 *     check *k = check_begin("gemm", row->name, fill, flop);
 *     if (!k) continue;                                   // above the flop limit: counted
 *     a.x = check_input(k, RF_BF16, m * n);               // filled; must stay unchanged
 *     a.y = check_output(k, RF_BF16, m, n, stride);       // NaN inside, guards around and between
 *     ...the op under test writes a.y; the reference, with every input widened, writes ref...
 *     check_compare(k, a.y, &(check_bound){.ref = ref, .magnitude = mag, .rel = rel}, "m n", m, n);
 *     CHECK_END(k);                                       // guards, inputs, verdict
 *
 * The bound of an element is computed, not chosen:
 *
 *     |new - ref| <= 2 * naive + 2 * ulp_out(ref),   naive = rel * magnitude
 *
 * naive is the error that the formula makes when it is evaluated plainly in the kernel's own types.
 * Measuring it on one naive run is fragile (an element can be exact by luck), so it is predicted:
 * a sum of n terms t in precision u errs by sqrt(n) * u * sum |t| (Higham & Mary 2019, "A new
 * approach to probabilistic rounding error analysis", theorem 2.4).  magnitude is that sum of
 * |terms| per output element, most easily had by running the reference on absolute values
 * (check_widened with CHECK_ABS), and rel is check_sum_error(n, unit) plus one unit for every
 * further rounding.  Reference and new may differ by one rounding each: hence 2 ulp of the storage
 * type.  ulp_out never goes below 2^-116: hardware may flush f32 subnormals on the way. */
#ifndef RF_TESTS_CHECK_H
#define RF_TESTS_CHECK_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"

typedef enum check_fill {
    CHECK_NORMAL = 0,  /* normal(0, 1) */
    CHECK_ZEROS,       /* all zero */
    CHECK_LARGE,       /* +-2^13 .. 2^14: products of three still sum to finite f32 */
    CHECK_ALTERNATING, /* 1, -1, 1, ... */
    CHECK_ONE_HOT,     /* one 1, at a random place of every 64 elements */
    CHECK_DENORMAL,    /* subnormal in the storage type */
    CHECK_FAR,         /* mean 100, deviation 0.1: finds cancellation */
    CHECK_FILLS,
} check_fill;

/* Unit roundoffs: half the distance from 1 to the next number. */
#define CHECK_UNIT_F32  0x1p-24
#define CHECK_UNIT_BF16 0x1p-8
#define CHECK_UNIT_F16  0x1p-11

typedef struct check check;

typedef struct check_bound {
    const float *ref;       /* [elements of the output] reference result, f32 */
    const float *magnitude; /* [likewise] sum of |terms|; NULL: the op only copies or rounds once */
    double       rel;       /* naive error relative to magnitude */
    double       add;       /* naive error that does not scale with magnitude */
} check_bound;

typedef struct check_verdict {
    bool wrong_value, guard_written, input_written;
    char text[1024]; /* what went wrong, one fault a line; empty if nothing did */
} check_verdict;

/* A case, or NULL if `flop` exceeds the limit (see check_skipped).  The seed is a hash of the names
 * and the fill; the environment's RF_CHECK_SEED is added to it. */
check *check_begin(const char *op, const char *row, int fill, double flop);

/* An input of the case's fill, or of a given one; f32, f16 or bf16.  Freed by check_end. */
void *check_input(check *k, rf_dtype dtype, size_t elems);
void *check_input_of(check *k, rf_dtype dtype, size_t elems, check_fill fill);
/* An input of the caller's own bytes (indices, tables): copied. */
void *check_input_bytes(check *k, const void *data, size_t bytes);

/* An output of `rows` rows of `cols` elements, `stride` elements apart.  Rows hold NaN; padding
 * between rows and guards around them hold a pattern that check_end looks for. */
void *check_output(check *k, rf_dtype dtype, size_t rows, size_t cols, size_t stride);
/* An output that starts as a copy of `input` (of `elems` elements): for ops that work in place. */
void *check_output_from(check *k, rf_dtype dtype, const void *input, size_t elems);
/* A guarded output that check_compare does not know: bytes, statistics. */
void *check_output_bytes(check *k, size_t bytes);

/* Scratch of `elems` floats, zeroed (reference results, magnitudes, workspaces). */
float *check_floats(check *k, size_t elems);

typedef enum check_view { CHECK_EXACT, CHECK_ABS } check_view;

/* An f32 copy of an input or output of this case, or of its absolute values; NULL of NULL. */
float *check_widened(check *k, const void *data, check_view view);

/* A sum of `terms` terms in arithmetic of unit roundoff `unit`: sqrt(terms) * unit. */
double check_sum_error(double terms, double unit);

/* Compares every element of `output` with the bound; NaN is a fault even if both have it, and so
 * is an infinity that the other has not.  `axes` names the output's axes, outermost first ("n hw
 * c"), followed by that many ints, their sizes: the report speaks in them. */
void check_compare(check *k, const void *output, const check_bound *bound, const char *axes, ...);
/* Compares bit for bit with `want`, an array of the output's type without padding. */
void check_compare_bits(check *k, const void *output, const void *want, const char *axes, ...);

/* Looks at the guards, the padding and the inputs, then frees everything. */
check_verdict check_end(check *k);

/* As check_end; a fault fails the running test, with the report. */
#define CHECK_END(k)                                                                               \
    do {                                                                                           \
        const check_verdict verdict_ = check_end(k);                                               \
        cr_expect(verdict_.text[0] == '\0', "%s", verdict_.text);                                  \
    } while (0)

/* Rows left out so far in this process because they exceed the flop limit. */
int check_skipped(void);

#endif
