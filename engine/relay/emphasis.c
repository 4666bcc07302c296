/* Two passes over a chunk: the means before and after, then weight and ratio in one product. */
#include "engine/relay/emphasis.h"

#include <math.h>
#include <stdint.h>

#include "engine/core/tokens.h"

static float load(const void *x, size_t i, rf_dtype dtype)
{
    switch (dtype) {
    case RF_F32: return ((const float *)x)[i];
    case RF_F16: return rf_f32_from_f16(((const uint16_t *)x)[i]);
    case RF_BF16: return rf_f32_from_bf16(((const uint16_t *)x)[i]);
    case RF_DTYPES: break;
    }
    return 0;
}

static void store(void *x, size_t i, rf_dtype dtype, float value)
{
    switch (dtype) {
    case RF_F32: ((float *)x)[i] = value; break;
    case RF_F16: ((uint16_t *)x)[i] = rf_f16_from_f32(value); break;
    case RF_BF16: ((uint16_t *)x)[i] = rf_bf16_from_f32(value); break;
    case RF_DTYPES: break;
    }
}

static int has_emphasis(const rf_emphasis_target *target, int count, size_t first)
{
    for (int i = 0; i < count; i++)
        for (size_t t = 0; t < RF_TOKENS_PER_CHUNK; t++)
            if (target[i].weight[first + t] != 1) return 1;
    return 0;
}

/* mean before / mean after, over one chunk of all targets. */
static double restoring_ratio(const rf_emphasis_target *target, int count, size_t first,
                              const rf_emphasis_shape *s)
{
    double before = 0, after = 0;
    for (int i = 0; i < count; i++)
        for (size_t row = first; row < first + RF_TOKENS_PER_CHUNK; row++) {
            double sum = 0;
            for (size_t c = 0; c < s->width; c++)
                sum += (double)load(target[i].context, row * s->stride + s->first_column + c,
                                    s->dtype);
            before += sum;
            after += sum * (double)target[i].weight[row];
        }
    return before / after;
}

rf_status rf_emphasis_apply(rf_emphasis mode, const rf_emphasis_target *target, int count,
                            const rf_emphasis_shape *s, rf_error *err)
{
    if (mode != RF_EMPHASIS_ORIGINAL && mode != RF_EMPHASIS_NO_NORM) return RF_OK;
    for (int chunk = 0; chunk < s->chunks; chunk++) {
        const size_t first = (size_t)chunk * RF_TOKENS_PER_CHUNK;
        if (!has_emphasis(target, count, first)) continue;
        const double ratio =
            mode == RF_EMPHASIS_ORIGINAL ? restoring_ratio(target, count, first, s) : 1;
        if (!isfinite(ratio))
            return rf_fail(err, RF_E_NAN,
                           "the weights of a prompt cancel out: its mean cannot be restored (try "
                           "the emphasis mode No norm)");
        for (int i = 0; i < count; i++)
            for (size_t row = first; row < first + RF_TOKENS_PER_CHUNK; row++) {
                const float factor = (float)((double)target[i].weight[row] * ratio);
                for (size_t c = 0; c < s->width; c++) {
                    const size_t at = row * s->stride + s->first_column + c;
                    store(target[i].context, at, s->dtype,
                          load(target[i].context, at, s->dtype) * factor);
                }
            }
    }
    return RF_OK;
}
