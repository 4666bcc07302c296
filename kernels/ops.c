/* The op tables of the host levels. */
#include "kernels/ops.h"

#define TABLE(LEVEL, suffix)                                                                       \
    {                                                                                              \
        .level = LEVEL, .gemm_prepare = rf_gemm_prepare_##suffix, .gemm = rf_gemm_##suffix,        \
        .gemm_pack_bytes = rf_gemm_pack_bytes_##suffix, .gemm_pack = rf_gemm_pack_##suffix,        \
        .conv_prepare = rf_conv_prepare_##suffix, .conv = rf_conv_##suffix,                        \
        .conv_pack_bytes = rf_conv_pack_bytes_##suffix, .conv_pack = rf_conv_pack_##suffix,        \
        .attention_prepare = rf_attention_prepare_##suffix, .attention = rf_attention_##suffix,    \
        .groupnorm_prepare = rf_groupnorm_prepare_##suffix, .groupnorm = rf_groupnorm_##suffix,    \
        .layernorm = rf_layernorm_##suffix, .embedding = rf_embedding_##suffix,                    \
        .timestep = rf_timestep_##suffix, .resize = rf_resize_##suffix,                            \
        .lincomb = rf_lincomb_##suffix, .pixels = rf_pixels_##suffix,                              \
        .latent_rgb = rf_latent_rgb_##suffix,                                                      \
    }

static const rf_ops tables[] = {
    [RF_LEVEL_REF] = TABLE(RF_LEVEL_REF, ref),
    [RF_LEVEL_CPU] = TABLE(RF_LEVEL_CPU, cpu),
};

const rf_ops *rf_ops_of(rf_level level)
{
    if (level == RF_LEVEL_SM80) return rf_ops_sm80();
    return level == RF_LEVEL_VENDOR ? rf_ops_vendor() : &tables[level];
}
