/* layernorm: the cpu level against the reference. */
#include "kernels/layernorm/layernorm.h"

#include <math.h>

#include "kernels/host.h"
#include "tests/kernels/norm_case.h"

#define ROW(name, m, c, why) {#name, m, c},
static const struct {
    const char *name;
    int         m, c;
} rows[] = {RF_LAYERNORM_SHAPES(ROW)};

static rf_layernorm_args args_of(check *k, size_t i, rf_dtype dtype)
{
    const size_t      elems = (size_t)rows[i].m * rows[i].c;
    rf_layernorm_args a = {.m = rows[i].m, .c = rows[i].c, .eps = 1e-5f, .dtype = dtype};
    a.x = check_input(k, dtype, elems);
    a.gamma = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.beta = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.y = check_output(k, dtype, 1, elems, elems);
    return a;
}

static rf_status run_cpu(const rf_layernorm_args *a, int threads)
{
    rf_host *host = NULL;
    cr_assert_eq(rf_host_create(&host, threads, NULL), RF_OK);
    const rf_status st = rf_layernorm_cpu(host, a);
    rf_host_destroy(host);
    return st;
}

Test(layernorm, matches_reference, .timeout = 60)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
                check *k = check_begin("layernorm", rows[i].name, f, 30.0 * rows[i].m * rows[i].c);
                if (!k) continue;
                const rf_layernorm_args a = args_of(k, i, (rf_dtype)dtype);
                cr_expect_eq(run_cpu(&a, 2), RF_OK);
                layernorm_compare(k, &a);
                CHECK_END(k);
            }
    cr_log_info("layernorm: %d rows above the flop limit skipped", check_skipped());
}

Test(layernorm, reference_rounds_once)
{
    for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
        check                  *k = check_begin("layernorm/ref", "edge_ragged", CHECK_NORMAL, 0);
        const rf_layernorm_args a = args_of(k, 2, (rf_dtype)dtype);
        cr_expect_eq(rf_layernorm_ref(NULL, &a), RF_OK);
        layernorm_compare(k, &a);
        CHECK_END(k);
    }
}

/* In place, with any number of threads, and row by row: the same bits. */
Test(layernorm, in_place_threads_and_batch_do_not_matter)
{
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < 7; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            check            *k = check_begin("layernorm/same", rows[i].name, CHECK_NORMAL, 0);
            rf_layernorm_args a = args_of(k, i, (rf_dtype)dtype);
            const size_t      elems = (size_t)a.m * a.c, size = rf_dtype_bytes(a.dtype);
            cr_expect_eq(run_cpu(&a, 1), RF_OK);
            for (size_t t = 0; t < 4; t++) {
                rf_layernorm_args b = a;
                b.y = check_output_from(k, a.dtype, a.x, elems);
                b.x = b.y;
                cr_expect_eq(run_cpu(&b, threads[t]), RF_OK);
                check_compare_bits(k, b.y, a.y, "row c", a.m, a.c);
            }
            rf_layernorm_args last = a;
            last.m = 1;
            last.x = (const char *)a.x + (elems - (size_t)a.c) * size;
            last.y = check_output(k, a.dtype, 1, (size_t)a.c, (size_t)a.c);
            cr_expect_eq(run_cpu(&last, 1), RF_OK);
            check_compare_bits(k, last.y, (char *)a.y + (elems - (size_t)a.c) * size, "c", a.c);
            CHECK_END(k);
        }
}

/* Planted defects: the last channel is forgotten; the variance is unbiased. */
Test(layernorm, defects_are_reported)
{
    for (int defect = 0; defect < 2; defect++) {
        check            *k = check_begin("layernorm/defect", "edge_ragged", CHECK_NORMAL, 0);
        rf_layernorm_args a = args_of(k, 2, RF_F32), wrong = a;
        a.m = wrong.m = 1;
        float *gamma = check_floats(k, (size_t)a.c);
        for (int c = 0; c < a.c; c++) gamma[c] = a.gamma[c] * sqrtf((float)(a.c - 1) / (float)a.c);
        if (defect == 0)
            wrong.c--;
        else
            wrong.gamma = gamma;
        cr_expect_eq(run_cpu(&wrong, 1), RF_OK);
        a.y = check_output_from(k, RF_F32, wrong.y, (size_t)a.c);
        layernorm_compare(k, &a);
        cr_expect(check_end(k).wrong_value, "defect %d", defect);
    }
}

#define REJECTS(rule, change)                                                                      \
    Test(layernorm, rejects_##rule)                                                                \
    {                                                                                              \
        check            *k = check_begin("layernorm", #rule, CHECK_NORMAL, 0);                    \
        rf_layernorm_args a = args_of(k, 2, RF_BF16);                                              \
        change;                                                                                    \
        cr_expect_eq(rf_layernorm_ref(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_layernorm_cpu(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(*(uint16_t *)a.y, 0xFFFF, "y was written");                                   \
        CHECK_END(k);                                                                              \
    }

REJECTS(no_rows, a.m = 0)
REJECTS(no_channels, a.c = 0)
REJECTS(unknown_dtype, a.dtype = RF_DTYPES)
