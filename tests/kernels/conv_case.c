/* conv_case: rows and oracle of the conv tests. */
#include "tests/kernels/conv_case.h"

#define ROW(name, n, h, w, cin, cin1, cout, kind, why) {#name, n, h, w, cin, cin1, cout, kind},
const conv_row conv_rows[] = {RF_CONV_SHAPES(ROW)};
const int      conv_rows_count = sizeof conv_rows / sizeof *conv_rows;

static size_t in_pixels(const conv_row *r)
{
    return (size_t)r->n * (size_t)r->h * (size_t)r->w;
}

size_t conv_x_elems(const conv_row *r)
{
    return in_pixels(r) * (size_t)(r->cin1 ? r->cin1 : r->cin);
}

size_t conv_x2_elems(const conv_row *r)
{
    return r->cin1 ? in_pixels(r) * (size_t)(r->cin - r->cin1) : 0;
}

size_t conv_weight_elems(const conv_row *r)
{
    return (size_t)r->cout * (size_t)r->cin * 9;
}

size_t conv_out_elems(const conv_row *r)
{
    return (size_t)r->n * (size_t)rf_conv_out(r->kind, r->h) * (size_t)rf_conv_out(r->kind, r->w) *
           (size_t)r->cout;
}

rf_conv_args conv_args_of(const conv_row *r)
{
    return (rf_conv_args){.n = r->n,
                          .h = r->h,
                          .w = r->w,
                          .cin = r->cin,
                          .cin1 = r->cin1,
                          .cout = r->cout,
                          .kind = r->kind};
}

float *conv_reference(check *k, rf_conv_args a, const void *residual, check_view view)
{
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, RF_F32, RF_F32};
    const size_t               out = (size_t)a.n * (size_t)rf_conv_out(a.kind, a.h) *
                       (size_t)rf_conv_out(a.kind, a.w) * (size_t)a.cout;
    float *packed = check_floats(k, (size_t)a.cout * (size_t)a.cin * 9);
    cr_assert_eq(rf_conv_pack_ref(NULL, &shape, packed, check_widened(k, a.wt, view)), RF_OK);
    a.wt = packed;
    a.y = check_floats(k, out);
    a.x = check_widened(k, a.x, view);
    a.x2 = check_widened(k, a.x2, view);
    a.bias = check_widened(k, a.bias, view);
    a.temb = check_widened(k, a.temb, view);
    a.residual = check_widened(k, residual, view);
    a.dtype = a.wdtype = RF_F32;
    cr_assert_eq(rf_conv_ref(NULL, &a), RF_OK);
    return a.y;
}
