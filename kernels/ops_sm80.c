/* The op table of the sm80 level: builds with CUDA, and tests that emulate it. */
#include "kernels/ops.h"

static const rf_ops table = {
    .level = RF_LEVEL_SM80,
    .gemm_prepare = rf_gemm_prepare_sm80,
    .gemm = rf_gemm_sm80,
    .gemm_pack_bytes = rf_gemm_pack_bytes_sm80,
    .gemm_pack = rf_gemm_pack_sm80,
    .conv_prepare = rf_conv_prepare_sm80,
    .conv = rf_conv_sm80,
    .conv_pack_bytes = rf_conv_pack_bytes_sm80,
    .conv_pack = rf_conv_pack_sm80,
    .attention_prepare = rf_attention_prepare_sm80,
    .attention = rf_attention_sm80,
    .groupnorm_prepare = rf_groupnorm_prepare_sm80,
    .groupnorm = rf_groupnorm_sm80,
    .layernorm = rf_layernorm_sm80,
    .embedding = rf_embedding_sm80,
    .timestep = rf_timestep_sm80,
    .resize = rf_resize_sm80,
    .lincomb = rf_lincomb_sm80,
    .pixels = rf_pixels_sm80,
    .latent_rgb = rf_latent_rgb_sm80,
};

const rf_ops *rf_ops_sm80(void)
{
    return &table;
}
