/* conv_sm80_case: a convolution on the device. */
#include "tests/kernels/conv_sm80_case.h"

#include <math.h>

const int32_t conv_temb_row[4] = {2, 0, 1, 2};

void conv_run_sm80(gpu_settings settings, const conv_row *r, rf_conv_args a, size_t offset)
{
    const rf_gpu              *gpu = gpu_use(settings);
    const size_t               out_bytes = conv_out_elems(r) * 2;
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, a.dtype, a.wdtype};
    void                      *y = a.y;
    const bool                 in_place = a.residual == y;
    size_t                     packed_bytes, workspace_bytes;
    cr_assert_eq(rf_conv_pack_bytes_sm80((void *)gpu, &shape, &packed_bytes), RF_OK);
    cr_assert_eq(rf_conv_prepare_sm80((void *)gpu, &a, &workspace_bytes), RF_OK);
    cr_assert_eq(workspace_bytes, 0);

    void           *packed = gpu_unwritten(packed_bytes); /* what is not packed must not be read */
    const rf_status st =
        rf_conv_pack_sm80((void *)gpu, &shape, packed, gpu_upload(a.wt, conv_weight_elems(r) * 2));
    cr_assert(st == RF_OK && !gpu_faults()[0], "pack: %s", gpu_faults());
    gpu = gpu_use(settings);

    a.wt = packed;
    a.x = gpu_upload_at(a.x, conv_x_elems(r) * 2, offset);
    a.x2 = gpu_upload_at(a.x2, conv_x2_elems(r) * 2, offset);
    a.bias = gpu_upload_at(a.bias, (size_t)a.cout * sizeof(float), offset & ~(size_t)3);
    a.temb = gpu_upload_at(a.temb, CONV_TEMB_ROWS * (size_t)a.temb_stride * 2, offset);
    a.temb_row = gpu_upload(a.temb_row, (size_t)a.n * sizeof *a.temb_row);
    a.y = gpu_upload_at(y, out_bytes, offset);
    a.residual = in_place ? a.y : gpu_upload_at(a.residual, out_bytes, offset);
    rf_conv_sm80((void *)gpu, &a); /* a fault is in gpu_faults, and may be wanted */
    gpu_download(y, a.y, out_bytes);
    gpu_free_all();
}

int conv_out_pixels(const conv_row *r)
{
    return rf_conv_out(r->kind, r->h) * rf_conv_out(r->kind, r->w);
}

double conv_round_up(double x, double to)
{
    return ceil(x / to) * to;
}
