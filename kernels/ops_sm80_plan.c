/* The op table that plans for the sm80 level where its kernels are not: sizes are its own, and what
 * would compute refuses. */
#include "kernels/ops.h"

#define REFUSE(op)                                                                                 \
    static rf_status refuse_##op(void *stream, const rf_##op##_args *a)                            \
    {                                                                                              \
        (void)stream, (void)a;                                                                     \
        return RF_E_UNSUPPORTED;                                                                   \
    }
#define REFUSE_PACK(op)                                                                            \
    static rf_status refuse_##op##_pack(void *stream, const rf_##op##_weight_shape *s, void *dst,  \
                                        const void *src)                                           \
    {                                                                                              \
        (void)stream, (void)s, (void)dst, (void)src;                                               \
        return RF_E_UNSUPPORTED;                                                                   \
    }

REFUSE(gemm)
REFUSE(conv)
REFUSE(attention)
REFUSE(groupnorm)
REFUSE(layernorm)
REFUSE(embedding)
REFUSE(timestep)
REFUSE(resize)
REFUSE(lincomb)
REFUSE(pixels)
REFUSE(latent_rgb)
REFUSE_PACK(gemm)
REFUSE_PACK(conv)

static const rf_ops table = {
    .level = RF_LEVEL_SM80,
    .gemm_prepare = rf_gemm_prepare_sm80,
    .gemm = refuse_gemm,
    .gemm_pack_bytes = rf_gemm_pack_bytes_sm80,
    .gemm_pack = refuse_gemm_pack,
    .conv_prepare = rf_conv_prepare_sm80,
    .conv = refuse_conv,
    .conv_pack_bytes = rf_conv_pack_bytes_sm80,
    .conv_pack = refuse_conv_pack,
    .attention_prepare = rf_attention_prepare_sm80,
    .attention = refuse_attention,
    .groupnorm_prepare = rf_groupnorm_prepare_sm80,
    .groupnorm = refuse_groupnorm,
    .layernorm = refuse_layernorm,
    .embedding = refuse_embedding,
    .timestep = refuse_timestep,
    .resize = refuse_resize,
    .lincomb = refuse_lincomb,
    .pixels = refuse_pixels,
    .latent_rgb = refuse_latent_rgb,
};

const rf_ops *rf_ops_sm80_plan(void)
{
    return &table;
}
