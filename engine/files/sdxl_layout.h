/* Every tensor of a single-file SDXL checkpoint, enumerated from its sizes.
 *
 * One enumeration serves all who must know the layout: the check of a file, the random checkpoint
 * of `synth`, and their tests.  Names and shapes: generative-models (sd_xl_base.yaml; UNetModel,
 * FrozenCLIPEmbedder, FrozenOpenCLIPEmbedder2, AutoencoderKL).  Real sizes give 2515 tensors, those
 * of Stability's refiner 1858. */
#ifndef RF_SDXL_LAYOUT_H
#define RF_SDXL_LAYOUT_H

#include <stdint.h>

#include "engine/core/arch.h"
#include "kernels/status.h"

typedef enum rf_part {
    RF_PART_UNET,
    RF_PART_CLIP_L,
    RF_PART_CLIP_G,
    RF_PART_VAE,
    RF_PARTS,
} rf_part;

/* What a tensor does, which decides what a random one may hold. */
typedef enum rf_role {
    RF_ROLE_WEIGHT,       /* of a linear layer or convolution; dim[0] outputs unless transposed */
    RF_ROLE_RESIDUAL,     /* the same, and its output is added to a residual stream */
    RF_ROLE_BIAS,         /* [c] */
    RF_ROLE_NORM,         /* [c], the factor of a norm */
    RF_ROLE_EMBEDDING,    /* [rows, width], looked up */
    RF_ROLE_LOGIT_SCALE,  /* [], unused */
    RF_ROLE_POSITION_IDS, /* [1, 77] integers, unused */
} rf_role;

enum {
    RF_LAYOUT_DIMS = 4,
    RF_BLOCKS_MAX = 16, /* residual blocks per level */
};

typedef struct rf_layout_tensor {
    const char *name;  /* lives until the callback returns */
    const char *inner; /* its end: the name behind the part's prefix */
    rf_part     part;
    rf_role     role;
    int         ndim;
    int64_t     dim[RF_LAYOUT_DIMS];
    int         optional;   /* 1: files may lack it, and nothing reads it */
    int         pointwise;  /* 1: [a, b] and [a, b, 1, 1] mean the same */
    int         transposed; /* 1: inputs come first, y = x W */
} rf_layout_tensor;

/* An error that it returns ends the enumeration and is returned. */
typedef rf_status rf_layout_fn(void *user, const rf_layout_tensor *tensor);

/* Calls `fn` for every tensor, part by part; CLIP-L only if arch->has_clip_l, the VAE only if
 * arch->has_vae. */
rf_status rf_sdxl_layout(const rf_sdxl_arch *arch, rf_layout_fn *fn, void *user);
/* The same of one part, whether or not the architecture has it. */
rf_status rf_sdxl_layout_part(const rf_sdxl_arch *arch, rf_part part, rf_layout_fn *fn, void *user);

const char *rf_part_name(rf_part part); /* "UNet", "CLIP-L", "OpenCLIP bigG", "VAE" */
/* RF_PREFIX_UNET ...; bigG has another place in the refiner. */
const char *rf_part_prefix(const rf_sdxl_arch *arch, rf_part part);

#endif
