/* attention_case: rows, oracle and bound of the attention tests.
 *
 * naive error of an output = A * (u_p + u_s + u_o) + t, A = sum over keys of p |v|:
 *   u_p  rounding of the weights p
 *   u_s  error of a score, which multiplies p by exp(error): (sqrt d + 2) u * max over keys of
 *        |scale| sum |q| |k|, twice (numerator and denominator)
 *   u_o  the two sums over the keys: 2 sqrt(keys) u, and a few roundings
 *   t    what is lost of weights too small for their type: that much of every |v| */
#include "tests/kernels/attention_case.h"

#include <math.h>

#define ROW(name, n, sq, skv, heads, d, causal, why) {#name, n, sq, skv, heads, d, causal},
const attention_row attention_rows[] = {RF_ATTENTION_SHAPES(ROW)};
const int           attention_rows_count = sizeof attention_rows / sizeof *attention_rows;

const attention_row *attention_row_named(const char *name)
{
    for (int i = 0; i < attention_rows_count; i++)
        if (!strcmp(attention_rows[i].name, name)) return &attention_rows[i];
    cr_assert_fail("no row %s", name);
    return NULL;
}

rf_attention_args attention_args(const attention_row *r, rf_dtype dtype)
{
    const int width = r->heads * r->d;
    return (rf_attention_args){.n = r->n,
                               .sq = r->sq,
                               .skv = r->skv,
                               .heads = r->heads,
                               .d = r->d,
                               .causal = r->causal,
                               .q_stride = width + 8,
                               .kv_stride = 2 * width + 8,
                               .o_stride = width + 16,
                               .scale = 1 / sqrtf((float)r->d),
                               .dtype = dtype};
}

double attention_flop(const attention_row *r)
{
    return 4.0 * r->n * r->sq * r->skv * r->heads * r->d;
}

void attention_fill(check *k, rf_attention_args *a)
{
    const size_t width = (size_t)a->heads * a->d;
    a->q = check_input(k, a->dtype, (size_t)a->n * a->sq * a->q_stride);
    a->k = check_input(k, a->dtype, (size_t)a->n * a->skv * a->kv_stride);
    a->v = (const char *)a->k + width * rf_dtype_bytes(a->dtype);
    a->o = check_output(k, a->dtype, (size_t)a->n * a->sq, width, (size_t)a->o_stride);
}

/* The largest |scale| sum |q||k| over the keys that row `i` of head `h` sees. */
static double score_size(const rf_attention_args *wide, int b, int h, int i)
{
    const float *q = (const float *)wide->q + ((size_t)b * wide->sq + i) * wide->q_stride;
    double       most = 0;
    for (int j = 0; j < (wide->causal ? i + 1 : wide->skv); j++) {
        const float *key = (const float *)wide->k + ((size_t)b * wide->skv + j) * wide->kv_stride;
        double       sum = 0;
        for (int c = h * wide->d; c < (h + 1) * wide->d; c++)
            sum += (double)fabsf(q[c]) * (double)fabsf(key[c]);
        most = fmax(most, sum * (double)fabsf(wide->scale));
    }
    return most;
}

/* Turns A into the naive error, in place. */
static void to_naive_error(const rf_attention_args *wide, attention_rounding p, float *magnitude)
{
    const double u_o = 2 * check_sum_error(wide->skv, CHECK_UNIT_F32) + 4 * CHECK_UNIT_F32;
    for (int b = 0; b < wide->n; b++)
        for (int i = 0; i < wide->sq; i++)
            for (int h = 0; h < wide->heads; h++) {
                const double u = check_sum_error(wide->d, CHECK_UNIT_F32) + 2 * CHECK_UNIT_F32;
                const double u_s = expm1(fmin(2 * u * score_size(wide, b, h, i), 10));
                for (int c = 0; c < wide->d; c++)
                    magnitude[((size_t)(b * wide->sq + i) * wide->heads + h) * wide->d + c] *=
                        (float)(p.rel + u_s + u_o);
            }
}

/* Adds `lost` of every |v| that a query sees; `wide` has them. */
static void add_lost_weights(const rf_attention_args *wide, double lost, float *error)
{
    const int width = wide->heads * wide->d;
    for (int b = 0; b < wide->n; b++)
        for (int c = 0; c < width; c++) {
            double sum = 0;
            int    j = 0;
            for (int i = 0; i < wide->sq; i++) {
                for (; j < (wide->causal ? i + 1 : wide->skv); j++)
                    sum += (double)((const float *)
                                        wide->v)[((size_t)b * wide->skv + j) * wide->kv_stride + c];
                error[(size_t)(b * wide->sq + i) * width + c] += (float)(lost * sum);
            }
        }
}

void attention_compare(check *k, const rf_attention_args *a, attention_rounding p)
{
    const int         width = a->heads * a->d;
    const size_t      elems = (size_t)a->n * a->sq * width;
    rf_attention_args wide = *a;
    float            *ref = check_floats(k, elems), *magnitude = check_floats(k, elems);
    wide.dtype = RF_F32;
    wide.o_stride = width;
    wide.q = check_widened(k, a->q, CHECK_EXACT);
    wide.k = check_widened(k, a->k, CHECK_EXACT);
    wide.v = (const float *)wide.k + width;
    wide.o = ref;
    cr_assert_eq(rf_attention_ref(NULL, &wide), RF_OK);
    wide.v = check_widened(k, a->k, CHECK_ABS) + width;
    wide.o = magnitude;
    cr_assert_eq(rf_attention_ref(NULL, &wide), RF_OK);
    to_naive_error(&wide, p, magnitude);
    add_lost_weights(&wide, p.add, magnitude);
    check_compare(k, a->o, &(check_bound){.ref = ref, .magnitude = magnitude, .rel = 1},
                  "n row head d", a->n, a->sq, a->heads, a->d);
}
