/* Textual inversion for SDXL (Gal et al. 2022): vectors that stand in a prompt in place of a name.
 *
 * A file of its own has `clip_l` [n, 768] and `clip_g` [n, 1280], n vectors for each encoder; a
 * LoRA may bring several, as `bundle_emb.NAME.clip_l` and `bundle_emb.NAME.string_to_param.clip_l`
 * (OneTrainer).  Either way they are read whole, for they are small. */
#ifndef RF_INVERSION_H
#define RF_INVERSION_H

#include "engine/core/tensors.h"
#include "kernels/status.h"

enum {
    RF_INVERSION_VECTORS_MAX = 75, /* a chunk's prompt tokens */
    RF_INVERSION_WIDTH_MAX = 8192,
    RF_INVERSIONS_MAX = 256,            /* in one file */
    RF_INVERSION_NUMBERS_MAX = 1 << 20, /* in one file: 75 vectors of SDXL are 153,600 */
};

enum { RF_INVERSION_L, RF_INVERSION_G, RF_INVERSION_SIDES };

/* One embedding. */
typedef struct rf_inversion {
    char  *name;                       /* the bundle's name for it; of a file of its own NULL */
    int    vectors;                    /* 1 .. RF_INVERSION_VECTORS_MAX, the same of both sides */
    int    width[RF_INVERSION_SIDES];  /* 0: the file has none for this encoder */
    float *vector[RF_INVERSION_SIDES]; /* [vectors, width] */
} rf_inversion;

typedef struct rf_embedding_file {
    rf_inversion *item; /* [count], ascending by name */
    int           count;
    size_t        numbers; /* of all vectors */
} rf_embedding_file;

/* Reads a file of either kind.  Errors of rf_safetensors_open; RF_E_MODEL: it holds no embedding,
 * or one for another model (SD 1.x's `emb_params`), or sides that do not go together, or a number
 * that is not finite. */
rf_status rf_embedding_file_read(rf_embedding_file *out, const char *path, rf_error *err);

/* The same of an opened file's tensors; no embedding at all is no error here, and count is 0. */
rf_status rf_embedding_file_gather(rf_embedding_file *out, const rf_tensors *list, rf_error *err);

void rf_embedding_file_free(rf_embedding_file *file); /* {0} is fine */

#endif
