/* What a converted checkpoint consists of: the tensors of the layout and nothing else, each with
 * the place that it comes from.  Training's leftovers (EMA, optimiser, buffers) are not in it. */
#ifndef RF_CONVERT_LIST_H
#define RF_CONVERT_LIST_H

#include "engine/core/parameterisation.h"
#include "engine/core/tensors.h"
#include "engine/files/sdxl_layout.h"

typedef enum rf_convert_layout {
    RF_CONVERT_FILE,      /* one file, in the names of the original checkpoints */
    RF_CONVERT_DIFFUSERS, /* a folder, a file per part */
} rf_convert_layout;

typedef struct rf_convert_tensor {
    char             *name; /* in the output */
    rf_part           part; /* whose file it is in, of a folder */
    rf_filetype       type; /* in the output */
    int               ndim;
    int64_t           dim[RF_TENSOR_DIMS];
    uint64_t          elems;
    const rf_tensor  *source; /* NULL: `value`, one number in F32, or nothing at all */
    float             value;
    const rf_tensors *list;       /* of the source */
    uint64_t          first;      /* element of the source at which it begins */
    int               transposed; /* rows and columns are exchanged against the source */
    int               as_is;      /* bytes are copied, whatever they are */
    const char       *patch; /* the canonical name, by which LoRAs know it; NULL: none touches it */
} rf_convert_tensor;

typedef struct rf_convert_list {
    rf_convert_tensor *item; /* [count], in the layout's order */
    size_t             count, room;
    uint64_t           bytes;   /* of all tensors, in the output */
    size_t             dropped; /* tensors of the input that are not in it */
} rf_convert_list;

/* Where the tensors of a checkpoint come from. */
typedef struct rf_convert_source {
    const rf_sdxl_arch *arch;
    const rf_tensors   *list;
    const rf_tensors   *vae;    /* NULL: `list` */
    rf_convert_layout   layout; /* of the output */
    rf_filetype         type;   /* F16, BF16, F32; RF_FILETYPES: every tensor keeps its own */
} rf_convert_source;

/* RF_E_MODEL: a tensor is missing, of another size or of a type that holds no weights; RF_E_NOMEM.
 */
rf_status rf_convert_list_make(rf_convert_list *out, const rf_convert_source *source,
                               rf_error *err);

/* Adds the marks by which readers of a single file know what it predicts: none for epsilon; v_pred,
 * and with it ztsnr, both empty; edm_vpred.sigma_max and .sigma_min. */
rf_status rf_convert_list_mark(rf_convert_list *list, const rf_convert_source *source,
                               const rf_parameterisation *is, rf_error *err);

void rf_convert_list_free(rf_convert_list *list); /* {0} is fine */

#endif
