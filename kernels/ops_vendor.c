/* The op table of the vendor level: three ops; the others are the sm80 level's affair. */
#include "kernels/ops.h"

static const rf_ops table = {
    .level = RF_LEVEL_VENDOR,
    .gemm_prepare = rf_gemm_prepare_vendor,
    .gemm = rf_gemm_vendor,
    .gemm_pack_bytes = rf_gemm_pack_bytes_vendor,
    .gemm_pack = rf_gemm_pack_vendor,
    .conv_prepare = rf_conv_prepare_vendor,
    .conv = rf_conv_vendor,
    .conv_pack_bytes = rf_conv_pack_bytes_vendor,
    .conv_pack = rf_conv_pack_vendor,
    .attention_prepare = rf_attention_prepare_vendor,
    .attention = rf_attention_vendor,
};

const rf_ops *rf_ops_vendor(void)
{
    return &table;
}
