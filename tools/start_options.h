/* What a picture may start from, as it was typed: img2img, inpainting, several passes. */
#ifndef RF_START_OPTIONS_H
#define RF_START_OPTIONS_H

enum { RF_PASSES_MAX = 64 };

typedef struct rf_start_options {
    const char *init, *mask; /* files; NULL: not given */
    const char *resize_mode; /* "resize", "crop" or "fill" */
    double      denoise;     /* NaN: not given */
    int         mask_blur, invert_mask, exact_steps;
    int         passes, save_passes;
    const char *refine_by; /* "relay" or "img2img" */
} rf_start_options;

/* A1111's denoising strength for a picture that is given; and for what was just painted, of which
 * more is to be kept. */
#define RF_DENOISE_INIT 0.75
#define RF_DENOISE_PASS 0.4

#endif
