/* The sizes of an SDXL expert's networks, read off its tensors: what `files` finds out and `model`
 * builds.  Nothing is assumed from a model's name; a tiny checkpoint of the same layout is just
 * another checkpoint. */
#ifndef RF_ARCH_H
#define RF_ARCH_H

enum { RF_LEVELS_MAX = 8 };

/* UNet (Podell et al. 2023, SDXL; generative-models, UNetModel). */
typedef struct rf_unet_arch {
    int in_channels, out_channels; /* 4, 4 */
    int width;                     /* model_channels: 320 */
    int levels;                    /* 3 */
    int mult[RF_LEVELS_MAX];       /* channel multipliers: 1 2 4 */
    int depth[RF_LEVELS_MAX];      /* transformer blocks per attention, 0 for none: 0 2 10 */
    int middle_depth;              /* 10 */
    int blocks;                    /* residual blocks per level going down; one more going up: 2 */
    int context;                   /* width of the text conditioning: 2048 */
    int vector;                    /* width of the vector conditioning: 2816 */
    int time;                      /* width of the time embedding: 1280 */
    int head;                      /* attention head size: 64 */
    int groups;                    /* GroupNorm groups: 32 */
} rf_unet_arch;

typedef enum rf_clip_kind {
    RF_CLIP_HF,   /* Hugging Face names, separate q k v, quick GELU: CLIP-L */
    RF_CLIP_OPEN, /* OpenCLIP names, fused in_proj, exact GELU: bigG */
} rf_clip_kind;

typedef struct rf_clip_arch {
    rf_clip_kind kind;
    int          width, layers, heads, mlp; /* CLIP-L 768 12 12 3072, bigG 1280 32 20 5120 */
    int          vocab, positions;          /* 49408, 77 */
    int          projection;                /* width of the pooled output; 0 if there is none */
    /* 1 if the projection is stored as a Linear's weight ("text_projection.weight", y = W x);
     * 0 if as OpenCLIP's parameter ("text_projection", y = x P). */
    int projection_is_linear;
} rf_clip_arch;

/* VAE (Rombach et al. 2022; generative-models, AutoencoderKL). */
typedef struct rf_vae_arch {
    int width;               /* 128 */
    int levels;              /* 4 */
    int mult[RF_LEVELS_MAX]; /* 1 2 4 4 */
    int blocks;              /* residual blocks per level in the encoder; one more in the decoder */
    int z;                   /* latent channels: 4 */
    int groups;              /* 32 */
} rf_vae_arch;

/* The decoder of a tiny autoencoder, TAESDXL: layers known by number, which differ by one between
 * spellings (taesd_layout.h). */
typedef struct rf_taesd_arch {
    int         width;  /* of every map: 64 */
    int         first;  /* number of its first convolution: 1, in diffusers 0 */
    const char *prefix; /* of every name; static */
} rf_taesd_arch;

typedef struct rf_sdxl_arch {
    rf_unet_arch unet;
    rf_clip_arch clip_l, clip_g;
    rf_vae_arch  vae;
    /* 0: Stability's refiner, which reads bigG alone and is told an aesthetic score; clip_l is all
     * zeros */
    int has_clip_l;
    int has_vae; /* 0: the file carries no decoder */
} rf_sdxl_arch;

/* Numbers that join the pooled text in the vector conditioning, each as so many sinusoids: size,
 * crop and target size (h, w each); the refiner has one aesthetic score in place of the target
 * (generative-models, sd_xl_base.yaml and sd_xl_refiner.yaml). */
enum { RF_VECTOR_NUMBERS = 6, RF_REFINER_NUMBERS = 5, RF_NUMBER_WAVES = 256 };

static inline int rf_sdxl_numbers(const rf_sdxl_arch *arch)
{
    return arch->has_clip_l ? RF_VECTOR_NUMBERS : RF_REFINER_NUMBERS;
}

/* Prefixes of the parts in a single-file checkpoint (generative-models, sd_xl_base.yaml); the
 * refiner's one text encoder takes the first one's place (sd_xl_refiner.yaml). */
#define RF_PREFIX_UNET   "model.diffusion_model."
#define RF_PREFIX_CLIP_L "conditioner.embedders.0.transformer.text_model."
#define RF_PREFIX_CLIP_G "conditioner.embedders.1.model."
#define RF_PREFIX_VAE    "first_stage_model."

#define RF_PREFIX_REFINER_CLIP_G "conditioner.embedders.0.model."

#endif
