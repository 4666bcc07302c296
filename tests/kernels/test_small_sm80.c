/* resize and timestep: the sm80 level against the reference.  resize gives its bits; timestep
 * rounds an f64 value once, so two ulp bound it. */
#include <stdlib.h>

#include "kernels/resize/resize.h"
#include "kernels/timestep/timestep.h"
#include "tests/kernels/check.h"
#include "tests/kernels/gpu_case.h"

#define SCHEDULE(s, d) ((gpu_settings){gpu_limit(s), (uint64_t)(s), (d)})

static void expect_no_faults(const char *row)
{
    cr_expect(!gpu_faults()[0], "%s: %s", row, gpu_faults());
}

/* ---- resize ------------------------------------------------------------------------------------
 */

#define RESIZE_ROW(name, n, h, w, c, ho, wo, why) {#name, n, h, w, c, ho, wo},
static const struct resize_row {
    const char *name;
    int         n, h, w, c, ho, wo;
} resize_rows[] = {RF_RESIZE_SHAPES(RESIZE_ROW)};
enum { RESIZE_ROWS = sizeof resize_rows / sizeof *resize_rows };

static size_t pixels(int n, int h, int w)
{
    return (size_t)n * (size_t)h * (size_t)w;
}

static rf_resize_args resize_args(check *k, const struct resize_row *r, rf_dtype dtype)
{
    rf_resize_args a = {.n = r->n, .h = r->h, .w = r->w, .c = r->c, .ho = r->ho, .wo = r->wo};
    a.dtype = dtype;
    a.x = check_input(k, dtype, pixels(r->n, r->h, r->w) * (size_t)r->c);
    a.y = check_output(k, dtype, pixels(r->n, r->ho, r->wo), (size_t)r->c, (size_t)r->c);
    return a;
}

static void resize_run(rf_resize_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  size = rf_dtype_bytes(a.dtype) * (size_t)a.c;
    const size_t  bytes = pixels(a.n, a.ho, a.wo) * size;
    void         *y = a.y;
    a.x = gpu_upload(a.x, pixels(a.n, a.h, a.w) * size);
    a.y = gpu_upload(y, bytes);
    rf_resize_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_free_all();
}

static void resize_compare(check *k, const rf_resize_args *a)
{
    rf_resize_args right = *a;
    right.y = check_floats(k, pixels(a->n, a->ho, a->wo) * (size_t)a->c);
    cr_assert_eq(rf_resize_ref(NULL, &right), RF_OK);
    check_compare_bits(k, a->y, right.y, "n ho wo c", a->n, a->ho, a->wo, a->c);
}

Test(resize_sm80, gives_the_bits_of_the_reference, .timeout = 60)
{
    for (int i = 0; i < RESIZE_ROWS; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            const struct resize_row *r = &resize_rows[i];
            const double             elems = (double)pixels(r->n, r->ho, r->wo) * r->c;
            check *k = check_begin("resize_sm80", r->name, CHECK_NORMAL, 20 * elems);
            if (!k) continue;
            const rf_resize_args a = resize_args(k, r, (rf_dtype)dtype);
            resize_run(a, SCHEDULE(i, 0));
            expect_no_faults(r->name);
            resize_compare(k, &a);
            CHECK_END(k);
        }
}

Test(resize_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    for (int defect = 0; defect < 3; defect++) {
        if (defect == 2 && !gpu_checked()) continue;
        check               *k = check_begin("resize_sm80", "edge_up", CHECK_NORMAL, 0);
        const rf_resize_args a = resize_args(k, &resize_rows[1], RF_F16);
        resize_run(a, SCHEDULE(0, defect));
        resize_compare(k, &a);
        const bool wrong = check_end(k).wrong_value, fault = gpu_faults()[0];
        cr_expect_eq(wrong || fault, defect != 0, "defect %d", defect);
    }
}

Test(resize_sm80, moves_each_byte_once)
{
    GPU_EMULATED_ONLY();
    static const struct resize_row row = {"traffic", 1, 8, 8, 64, 16, 16};
    check                         *k = check_begin("resize_sm80", row.name, CHECK_NORMAL, 0);
    const rf_resize_args           a = resize_args(k, &row, RF_BF16);
    resize_run(a, SCHEDULE(0, 0));
    cr_expect_eq(gpu_counts()->global_written_bytes, 16 * 16 * 64 * 2);
    cr_expect_eq(gpu_counts()->global_accesses_16, gpu_counts()->global_accesses);
    CHECK_END(k);
}

Test(resize_sm80, rejects_bad_sizes)
{
    const rf_gpu        *gpu = gpu_use(SCHEDULE(0, 0));
    const rf_resize_args none = {.n = 1, .h = 1, .w = 1, .c = 0, .ho = 1, .wo = 1};
    const rf_resize_args huge = {
        .n = 1 << 30, .h = 1, .w = 1, .c = 1 << 30, .ho = 1 << 30, .wo = 1 << 30};
    cr_expect_eq(rf_resize_sm80((void *)gpu, &none), RF_E_SHAPE);
    cr_expect_eq(rf_resize_sm80((void *)gpu, &huge), RF_E_SHAPE);
}

/* ---- timestep ----------------------------------------------------------------------------------
 */

#define TIMESTEP_ROW(name, m, dim, y_stride, why) {#name, m, dim, y_stride},
static const struct timestep_row {
    const char *name;
    int         m, dim, y_stride;
} timestep_rows[] = {RF_TIMESTEP_SHAPES(TIMESTEP_ROW)};
enum { TIMESTEP_ROWS = sizeof timestep_rows / sizeof *timestep_rows };

/* Values as SDXL has them: steps of the noise, sizes, crops. */
static rf_timestep_args timestep_args(check *k, const struct timestep_row *r, rf_dtype dtype)
{
    rf_timestep_args a = {.m = r->m, .dim = r->dim, .y_stride = r->y_stride, .dtype = dtype};
    float            value[64];
    for (int i = 0; i < r->m; i++) value[i] = i % 2 ? 999.f - 33.3f * (float)i : 1024.f;
    a.value = check_input_bytes(k, value, (size_t)r->m * sizeof(float));
    a.y = check_output(k, dtype, (size_t)r->m, (size_t)r->dim, (size_t)r->y_stride);
    return a;
}

static void timestep_run(rf_timestep_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  elems = (size_t)(a.m - 1) * (size_t)a.y_stride + (size_t)a.dim;
    const size_t  bytes = elems * rf_dtype_bytes(a.dtype);
    void         *y = a.y;
    a.value = gpu_upload(a.value, (size_t)a.m * sizeof(float));
    a.y = gpu_upload(y, bytes);
    rf_timestep_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_free_all();
}

static void timestep_compare(check *k, const rf_timestep_args *a)
{
    rf_timestep_args wide = *a;
    float           *ref = check_floats(k, (size_t)a->m * (size_t)a->dim);
    wide.dtype = RF_F32, wide.y = ref, wide.y_stride = a->dim;
    cr_assert_eq(rf_timestep_ref(NULL, &wide), RF_OK);
    check_compare(k, a->y, &(check_bound){.ref = ref}, "row column", a->m, a->dim);
}

Test(timestep_sm80, matches_reference)
{
    for (int i = 0; i < TIMESTEP_ROWS; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            const struct timestep_row *r = &timestep_rows[i];
            check                     *k = check_begin("timestep_sm80", r->name, CHECK_NORMAL, 0);
            const rf_timestep_args     a = timestep_args(k, r, (rf_dtype)dtype);
            timestep_run(a, SCHEDULE(dtype, 0));
            expect_no_faults(r->name);
            timestep_compare(k, &a);
            CHECK_END(k);
        }
}

Test(timestep_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    for (int defect = 0; defect < 3; defect++) {
        check                 *k = check_begin("timestep_sm80", "edge_stride", CHECK_NORMAL, 0);
        const rf_timestep_args a = timestep_args(k, &timestep_rows[1], RF_BF16);
        timestep_run(a, SCHEDULE(0, defect));
        timestep_compare(k, &a);
        const check_verdict v = check_end(k);
        cr_expect_eq(v.wrong_value || v.guard_written, defect != 0, "defect %d", defect);
    }
}

Test(timestep_sm80, rejects_bad_sizes)
{
    const rf_gpu          *gpu = gpu_use(SCHEDULE(0, 0));
    const rf_timestep_args odd = {.m = 1, .dim = 3, .y_stride = 3};
    cr_expect_eq(rf_timestep_sm80((void *)gpu, &odd), RF_E_SHAPE);
}
