/* groupnorm, the specification: mean, then squared deviations, in double. */
#include "kernels/groupnorm/groupnorm.h"

#include <math.h>

rf_status rf_groupnorm_check(const rf_groupnorm_args *a)
{
    if (a->n < 1 || a->hw < 1 || a->c < 1 || a->groups < 1 || a->c % a->groups) return RF_E_SHAPE;
    if (a->c1 < 0 || a->c1 >= a->c || (a->silu & ~1)) return RF_E_SHAPE;
    return (unsigned)a->dtype < RF_DTYPES ? RF_OK : RF_E_SHAPE;
}

rf_status rf_groupnorm_prepare_ref(void *stream, const rf_groupnorm_args *a,
                                   size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    return rf_groupnorm_check(a);
}

/* Channel c of pixel p (counted over all images), from the source that has it. */
static double at(const rf_groupnorm_args *a, size_t p, int c)
{
    const int c1 = a->c1 ? a->c1 : a->c;
    if (c < c1) return (double)rf_load(a->x, a->dtype, p * c1 + c);
    return (double)rf_load(a->x2, a->dtype, p * (a->c - c1) + (c - c1));
}

static void normalise_group(const rf_groupnorm_args *a, int b, int group)
{
    const int    width = a->c / a->groups, from = group * width, to = from + width;
    const size_t first = (size_t)b * a->hw, end = first + a->hw;
    const double count = (double)a->hw * width;
    double       sum = 0, squares = 0;
    for (size_t p = first; p < end; p++)
        for (int c = from; c < to; c++) sum += at(a, p, c);
    const double mean = sum / count;
    for (size_t p = first; p < end; p++)
        for (int c = from; c < to; c++) squares += (at(a, p, c) - mean) * (at(a, p, c) - mean);
    const double rstd = 1 / sqrt(squares / count + (double)a->eps);
    for (size_t p = first; p < end; p++)
        for (int c = from; c < to; c++) {
            double y = (at(a, p, c) - mean) * rstd * (double)a->gamma[c] + (double)a->beta[c];
            if (a->silu) y /= 1 + exp(-y);
            rf_store(a->y, a->dtype, p * a->c + c, (float)y);
        }
}

rf_status rf_groupnorm_ref(void *stream, const rf_groupnorm_args *a)
{
    (void)stream;
    if (rf_groupnorm_check(a) != RF_OK) return RF_E_SHAPE;
    for (int b = 0; b < a->n; b++)
        for (int group = 0; group < a->groups; group++) normalise_group(a, b, group);
    return RF_OK;
}
