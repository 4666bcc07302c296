/* What can be said of the sm80 gemm without a GPU or its compiler: which sizes it takes, and how
 * many bytes. */
#include "kernels/gemm/sm80_gemm_plan.h"

static rf_status check_types(rf_dtype dtype, rf_dtype wdtype)
{
    return dtype == wdtype && (dtype == RF_F16 || dtype == RF_BF16) ? RF_OK : RF_E_SHAPE;
}

/* Sizes that leave room for rounding up in an int, and no more than 65535 tiles of columns. */
static rf_status check_sizes(int m, int n, int k)
{
    const int most_n = 1 << 21, most = 1 << 30;
    return n < 1 || k < 1 || n > most_n || k > most || m > most ? RF_E_SHAPE : RF_OK;
}

rf_status rf_gemm_prepare_sm80(void *stream, const rf_gemm_args *a, size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    if (rf_gemm_check(a) != RF_OK || check_sizes(a->m, a->n, a->k) != RF_OK) return RF_E_SHAPE;
    return check_types(a->dtype, a->wdtype);
}

rf_status rf_gemm_pack_bytes_sm80(void *stream, const rf_gemm_weight_shape *s, size_t *bytes)
{
    (void)stream;
    *bytes = 0;
    if (check_sizes(1, s->n, s->k) != RF_OK || (s->act == RF_ACT_GEGLU && s->n % 2))
        return RF_E_SHAPE;
    *bytes = (size_t)rf_gemm_packed_rows_sm80(s->n, s->act) *
             (size_t)rf_gemm_whole_pieces_sm80(s->k) * 2;
    return check_types(s->dtype, s->wdtype);
}
