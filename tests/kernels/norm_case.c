/* norm_case: oracle and bound of the norms.
 *
 * naive error of y = (x - mean) * r * gamma + beta, with N elements in the group and u = 2^-24:
 *   mean and deviation     (sqrt N + 2) u * (|x| + mean of |x|) * r * |gamma|
 *   variance               sqrt N u, on the first term; the roundings of the formula itself
 * silu has a slope of at most 1.1, and rounds three more times.  The naive error of layernorm is
 * groupnorm's with one row as the group. */
#include "tests/kernels/norm_case.h"

#include <math.h>

void layernorm_compare(check *k, const rf_layernorm_args *a)
{
    const size_t      elems = (size_t)a->m * a->c;
    rf_layernorm_args wide = *a;
    float            *ref = check_floats(k, elems), *magnitude = check_floats(k, elems);
    const float      *x = wide.x = check_widened(k, a->x, CHECK_EXACT);
    wide.dtype = RF_F32;
    wide.y = ref;
    cr_assert_eq(rf_layernorm_ref(NULL, &wide), RF_OK);
    for (int r = 0; r < a->m; r++, x += a->c) {
        double sum = 0, size = 0, squares = 0;
        for (int c = 0; c < a->c; c++) sum += (double)x[c], size += fabs((double)x[c]);
        for (int c = 0; c < a->c; c++) squares += pow((double)x[c] - sum / a->c, 2);
        const double rstd = 1 / sqrt(squares / a->c + (double)a->eps), u = CHECK_UNIT_F32;
        for (int c = 0; c < a->c; c++) {
            const double term =
                (fabs((double)x[c]) + size / a->c) * rstd * fabs((double)a->gamma[c]);
            magnitude[(size_t)r * a->c + c] =
                (float)((2 * sqrt(a->c) + 6) * u * term + 2 * u * fabs((double)a->beta[c]));
        }
    }
    check_compare(k, a->y, &(check_bound){.ref = ref, .magnitude = magnitude, .rel = 1}, "row c",
                  a->m, a->c);
}

/* The naive error of every output; `wide` has f32 inputs. */
static void naive_error(const rf_groupnorm_args *wide, float *error)
{
    const int    width = wide->c / wide->groups, c1 = wide->c1 ? wide->c1 : wide->c;
    const double count = (double)wide->hw * width, u = CHECK_UNIT_F32;
    const float *x = wide->x, *x2 = wide->x2;
    for (int b = 0; b < wide->n; b++)
        for (int g = 0; g < wide->groups; g++) {
            double sum = 0, size = 0, squares = 0;
            for (int pass = 0; pass < 3; pass++)
                for (int p = b * wide->hw; p < (b + 1) * wide->hw; p++)
                    for (int c = g * width; c < (g + 1) * width; c++) {
                        const double v = (double)(c < c1 ? x[(size_t)p * c1 + c]
                                                         : x2[(size_t)p * (wide->c - c1) + c - c1]);
                        const double d = v - sum / count;
                        if (pass == 0) sum += v, size += fabs(v);
                        if (pass == 1) squares += d * d;
                        if (pass < 2) continue;
                        const double r = fabs((double)wide->gamma[c]) /
                                         sqrt(squares / count + (double)wide->eps);
                        const double term = (fabs(v) + size / count) * r;
                        error[(size_t)p * wide->c + c] =
                            (float)((2 * sqrt(count) + 6) * u * term * 1.1 +
                                    8 * u * (fabs(d) * r + fabs((double)wide->beta[c])));
                    }
        }
}

void groupnorm_compare(check *k, const rf_groupnorm_args *a)
{
    const size_t      elems = (size_t)a->n * a->hw * a->c;
    rf_groupnorm_args wide = *a;
    float            *ref = check_floats(k, elems), *magnitude = check_floats(k, elems);
    wide.dtype = RF_F32;
    wide.x = check_widened(k, a->x, CHECK_EXACT);
    wide.x2 = check_widened(k, a->x2, CHECK_EXACT);
    wide.y = ref;
    cr_assert_eq(rf_groupnorm_ref(NULL, &wide), RF_OK);
    naive_error(&wide, magnitude);
    check_compare(k, a->y, &(check_bound){.ref = ref, .magnitude = magnitude, .rel = 1}, "n hw c",
                  a->n, a->hw, a->c);
}
