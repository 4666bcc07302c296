/* groupnorm: the cpu level against the reference, and what the contract promises besides. */
#include "kernels/groupnorm/groupnorm.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "tests/kernels/norm_case.h"

#define ROW(name, n, hw, c, c1, groups, why) {#name, n, hw, c, c1, groups},
static const struct {
    const char *name;
    int         n, hw, c, c1, groups;
} rows[] = {RF_GROUPNORM_SHAPES(ROW)};

/* Rows that are quick enough for the tests that run them many times. */
enum { EDGES = 11 };

static rf_groupnorm_args args_of(check *k, size_t i, rf_dtype dtype, int silu)
{
    const size_t      pixels = (size_t)rows[i].n * rows[i].hw;
    const int         c1 = rows[i].c1 ? rows[i].c1 : rows[i].c;
    rf_groupnorm_args a = {.n = rows[i].n,
                           .hw = rows[i].hw,
                           .c = rows[i].c,
                           .c1 = rows[i].c1,
                           .groups = rows[i].groups,
                           .eps = 1e-5f,
                           .silu = silu,
                           .dtype = dtype};
    a.x = check_input(k, dtype, pixels * c1);
    if (rows[i].c1) a.x2 = check_input(k, dtype, pixels * (a.c - c1));
    a.gamma = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.beta = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.y = check_output(k, dtype, pixels, (size_t)a.c, (size_t)a.c);
    return a;
}

static rf_status run_cpu(const rf_groupnorm_args *a, int threads)
{
    rf_host          *host = NULL;
    size_t            bytes = 0;
    rf_groupnorm_args b = *a;
    cr_assert_eq(rf_host_create(&host, threads, NULL), RF_OK);
    rf_status st = rf_groupnorm_prepare_cpu(host, &b, &bytes);
    b.workspace = malloc(bytes + 1);
    memset(b.workspace, 0xFF, bytes);
    if (st == RF_OK) st = rf_groupnorm_cpu(host, &b);
    free(b.workspace);
    rf_host_destroy(host);
    return st;
}

Test(groupnorm, matches_reference, .timeout = 60)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
                check *k = check_begin("groupnorm", rows[i].name, f,
                                       30.0 * rows[i].n * rows[i].hw * rows[i].c);
                if (!k) continue;
                const rf_groupnorm_args a = args_of(k, i, (rf_dtype)dtype, (f + dtype) & 1);
                cr_expect_eq(run_cpu(&a, 2), RF_OK);
                groupnorm_compare(k, &a);
                CHECK_END(k);
            }
    cr_log_info("groupnorm: %d rows above the flop limit skipped", check_skipped());
}

Test(groupnorm, reference_rounds_once)
{
    for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
        check                  *k = check_begin("groupnorm/ref", "edge_span", CHECK_NORMAL, 0);
        const rf_groupnorm_args a = args_of(k, 5, (rf_dtype)dtype, 1);
        cr_expect_eq(rf_groupnorm_ref(NULL, &a), RF_OK);
        groupnorm_compare(k, &a);
        CHECK_END(k);
    }
}

/* y == x gives the bits that separate buffers give. */
Test(groupnorm, works_in_place)
{
    for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
        check            *k = check_begin("groupnorm/in_place", "edge_ragged", CHECK_NORMAL, 0);
        rf_groupnorm_args a = args_of(k, 3, (rf_dtype)dtype, 1), in_place = a;
        const size_t      elems = (size_t)a.n * a.hw * a.c;
        in_place.y = check_output_from(k, a.dtype, a.x, elems);
        in_place.x = in_place.y;
        cr_expect_eq(run_cpu(&a, 2), RF_OK);
        cr_expect_eq(run_cpu(&in_place, 2), RF_OK);
        check_compare_bits(k, in_place.y, a.y, "element", (int)elems);
        CHECK_END(k);
    }
}

Test(groupnorm, deterministic_and_independent_of_threads, .timeout = 30)
{
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < EDGES; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            check            *k = check_begin("groupnorm/threads", rows[i].name, CHECK_NORMAL, 0);
            rf_groupnorm_args a = args_of(k, i, (rf_dtype)dtype, 1);
            const size_t      elems = (size_t)a.n * a.hw * a.c;
            cr_expect_eq(run_cpu(&a, 1), RF_OK);
            for (size_t t = 0; t < 4; t++) {
                rf_groupnorm_args b = a;
                b.y = check_output(k, b.dtype, 1, elems, elems);
                cr_expect_eq(run_cpu(&b, threads[t]), RF_OK);
                check_compare_bits(k, b.y, a.y, "element", (int)elems);
            }
            CHECK_END(k);
        }
}

Test(groupnorm, independent_of_batch)
{
    for (size_t i = 0; i < EDGES; i++) {
        check            *k = check_begin("groupnorm/batch", rows[i].name, CHECK_NORMAL, 0);
        rf_groupnorm_args a = args_of(k, i, RF_BF16, 1), one = a;
        const int         c1 = a.c1 ? a.c1 : a.c;
        one.n = 1;
        cr_expect_eq(run_cpu(&a, 2), RF_OK);
        for (int b = 0; b < a.n; b++) {
            const size_t pixel = (size_t)b * a.hw;
            one.x = (const uint16_t *)a.x + pixel * c1;
            one.x2 = a.x2 ? (const uint16_t *)a.x2 + pixel * (a.c - c1) : NULL;
            one.y = check_output(k, RF_BF16, 1, (size_t)a.hw * a.c, (size_t)a.hw * a.c);
            cr_expect_eq(run_cpu(&one, 1), RF_OK);
            check_compare_bits(k, one.y, (uint16_t *)a.y + pixel * a.c, "hw c", a.hw, a.c);
        }
        CHECK_END(k);
    }
}

/* Planted defects: unbiased variance, a mean that misses the last pixel, no silu. */
Test(groupnorm, defects_are_reported)
{
    for (int defect = 0; defect < 3; defect++) {
        check            *k = check_begin("groupnorm/defect", "edge_ragged", CHECK_NORMAL, 0);
        rf_groupnorm_args a = args_of(k, 3, RF_F32, 1), wrong = a;
        const int         width = a.c / a.groups;
        const double      count = (double)a.hw * width;
        a.n = wrong.n = 1;
        float *gamma = check_floats(k, (size_t)a.c);
        for (int c = 0; c < a.c; c++) gamma[c] = a.gamma[c] * (float)sqrt((count - 1) / count);
        if (defect == 0) wrong.gamma = gamma;
        if (defect == 1) wrong.hw--;
        if (defect == 2) wrong.silu = 0;
        cr_expect_eq(run_cpu(&wrong, 1), RF_OK);
        a.y = check_output_from(k, RF_F32, wrong.y, (size_t)a.hw * a.c);
        groupnorm_compare(k, &a);
        cr_expect(check_end(k).wrong_value, "defect %d", defect);
    }
}

#define REJECTS(rule, change)                                                                      \
    Test(groupnorm, rejects_##rule)                                                                \
    {                                                                                              \
        check            *k = check_begin("groupnorm", #rule, CHECK_NORMAL, 0);                    \
        rf_groupnorm_args a = args_of(k, 3, RF_BF16, 0);                                           \
        size_t            bytes;                                                                   \
        change;                                                                                    \
        cr_expect_eq(rf_groupnorm_ref(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_groupnorm_cpu(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_groupnorm_prepare_ref(NULL, &a, &bytes), RF_E_SHAPE);                      \
        cr_expect_eq(rf_groupnorm_prepare_cpu(NULL, &a, &bytes), RF_E_SHAPE);                      \
        cr_expect_eq(*(uint16_t *)a.y, 0xFFFF, "y was written");                                   \
        CHECK_END(k);                                                                              \
    }

REJECTS(uneven_groups, a.groups = 31)
REJECTS(no_groups, a.groups = 0)
REJECTS(empty_batch, a.n = 0)
REJECTS(no_pixels, a.hw = 0)
REJECTS(first_source_of_everything, a.c1 = a.c)
REJECTS(negative_first_source, a.c1 = -1)
REJECTS(unknown_dtype, a.dtype = RF_DTYPES)
REJECTS(other_activations, a.silu = 2)
