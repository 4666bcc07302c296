/* What can be said of the sm80 conv without a GPU or its compiler: which sizes it takes, and how
 * many bytes. */
#include "kernels/conv/sm80_conv_plan.h"

static rf_status check_types(rf_dtype dtype, rf_dtype wdtype)
{
    return dtype == wdtype && (dtype == RF_F16 || dtype == RF_BF16) ? RF_OK : RF_E_SHAPE;
}

/* Weights whose k fits an int with room to round up, and no more than 65535 tiles of channels. */
static rf_status check_channels(int cin, int cout)
{
    const int most_cin = 1 << 26, most_cout = 1 << 21;
    return cin < 1 || cout < 1 || cin > most_cin || cout > most_cout ? RF_E_SHAPE : RF_OK;
}

/* Maps whose pixels, in and out, can be counted by an int through all images. */
static rf_status check_maps(const rf_conv_args *a)
{
    const int64_t most_side = 1 << 15, most_n = 1 << 20, most = 1 << 30;
    if (a->h > most_side || a->w > most_side || a->n > most_n) return RF_E_SHAPE;
    const int64_t in = (int64_t)a->n * a->h * a->w;
    const int64_t out = (int64_t)a->n * rf_conv_out(a->kind, a->h) * rf_conv_out(a->kind, a->w);
    return in > most || out > most ? RF_E_SHAPE : RF_OK;
}

rf_status rf_conv_prepare_sm80(void *stream, const rf_conv_args *a, size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    if (rf_conv_check(a) != RF_OK || check_channels(a->cin, a->cout) != RF_OK ||
        check_maps(a) != RF_OK)
        return RF_E_SHAPE;
    return check_types(a->dtype, a->wdtype);
}

rf_status rf_conv_pack_bytes_sm80(void *stream, const rf_conv_weight_shape *s, size_t *bytes)
{
    (void)stream;
    *bytes = 0;
    if (check_channels(s->cin, s->cout) != RF_OK || check_types(s->dtype, s->wdtype) != RF_OK)
        return RF_E_SHAPE;
    *bytes = (size_t)s->cout * RF_CONV_TAPS * (size_t)rf_conv_packed_channels_sm80(s->cin) * 2;
    return RF_OK;
}
