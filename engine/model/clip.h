/* The two text encoders as one forward function: CLIP-L in Hugging Face's spelling, bigG in
 * OpenCLIP's (Radford et al. 2021; SDXL reads both at the penultimate layer, without the final
 * norm; clip skip reads CLIP-L elsewhere). */
#ifndef RF_CLIP_H
#define RF_CLIP_H

#include "engine/core/arch.h"
#include "engine/core/recorder.h"

typedef struct rf_clip_args {
    const rf_clip_arch *arch;
    const int32_t      *id; /* [chunks, 77], read when the program runs; from arch->vocab on
                               they name rows of `extra` */
    const float *extra;     /* [extras, width]: vectors of textual inversions */
    int          extras;
    void        *hidden; /* [chunks, 77, width]: the state behind `depth` layers */
    /* layers - 1 is what SDXL reads; without a projection up to `layers`. */
    int depth;
    /* [prompts, 77, projection], or NULL: every position of the first `prompts` chunks through the
     * last layer, the final norm and the projection.  The pooled vector is the row of the first end
     * token of a prompt's first chunk: chunks know nothing of each other, so several prompts are
     * their first chunks and then the rest. */
    void *pooled;
    int   chunks, prompts;
} rf_clip_args;

rf_forward_fn rf_clip_forward; /* arg: rf_clip_args */

#endif
