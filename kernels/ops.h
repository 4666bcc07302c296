/* The op table: one function per op, all of one level. */
#ifndef RF_OPS_H
#define RF_OPS_H

#include "kernels/attention/attention.h"
#include "kernels/conv/conv.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"
#include "kernels/groupnorm/groupnorm.h"
#include "kernels/latent_rgb/latent_rgb.h"
#include "kernels/layernorm/layernorm.h"
#include "kernels/level.h"
#include "kernels/lincomb/lincomb.h"
#include "kernels/pixels/pixels.h"
#include "kernels/resize/resize.h"
#include "kernels/timestep/timestep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_ops {
    rf_level                 level;
    rf_gemm_prepare_fn      *gemm_prepare;
    rf_gemm_fn              *gemm;
    rf_gemm_pack_bytes_fn   *gemm_pack_bytes;
    rf_gemm_pack_fn         *gemm_pack;
    rf_conv_prepare_fn      *conv_prepare;
    rf_conv_fn              *conv;
    rf_conv_pack_bytes_fn   *conv_pack_bytes;
    rf_conv_pack_fn         *conv_pack;
    rf_attention_prepare_fn *attention_prepare;
    rf_attention_fn         *attention;
    rf_groupnorm_prepare_fn *groupnorm_prepare;
    rf_groupnorm_fn         *groupnorm;
    rf_layernorm_fn         *layernorm;
    rf_embedding_fn         *embedding;
    rf_timestep_fn          *timestep;
    rf_resize_fn            *resize;
    rf_lincomb_fn           *lincomb;
    rf_pixels_fn            *pixels;
    rf_latent_rgb_fn        *latent_rgb;
} rf_ops;

/* The table of `level`, constant.  NULL: this build has none (sm80 and vendor without CUDA).  A
 * function that is NULL is an op that the level lacks; who calls it says so (rf_call_prepare), and
 * no other level takes its place. */
const rf_ops *rf_ops_of(rf_level level);

/* The sm80 table, or NULL: which of the two is decided when a program is linked (ops_sm80.c or
 * ops_no_cuda.c). */
const rf_ops *rf_ops_sm80(void);

/* The vendor table (gemm, conv and attention alone), or NULL: likewise. */
const rf_ops *rf_ops_vendor(void);

/* The sm80 table of builds and machines that can only plan: checks, workspace and packed sizes are
 * the level's own, and what computes returns RF_E_UNSUPPORTED.  In every build. */
const rf_ops *rf_ops_sm80_plan(void);

#ifdef __cplusplus
}
#endif
#endif
