/* Is this list of tensors an SDXL checkpoint, and if not, what is it? */
#ifndef RF_CHECKPOINT_H
#define RF_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/arch.h"
#include "engine/core/tensors.h"
#include "engine/files/model_kind.h"
#include "engine/files/sdxl_layout.h"
#include "kernels/status.h"

enum { RF_UNKNOWN_EXAMPLES = 3 };

typedef struct rf_checkpoint {
    rf_sdxl_arch arch;
    /* Tensors that nothing reads and that are not known to be harmless: worth one warning. */
    size_t      unknown_count;
    const char *unknown[RF_UNKNOWN_EXAMPLES]; /* the first ones; they live as long as the list */
} rf_checkpoint;

/* Derives the sizes, then checks presence, exact shape and element type (F16, BF16, F32) of every
 * tensor of the layout.  Reads no data.  RF_E_MODEL, naming the kind of file or the tensor with
 * what was expected and found; RF_E_NOMEM. */
rf_status rf_checkpoint_check(rf_checkpoint *out, const rf_tensors *list, rf_error *err);

/* The same of a VAE under a checkpoint's names (vae_view.h); where its encoder's first convolution
 * is missing, it needs none of the encoder. */
rf_status rf_checkpoint_check_vae(const rf_vae_arch *arch, const rf_tensors *list, rf_error *err);

/* One row of an inventory: tensors that stand under one prefix. */
typedef struct rf_inventory {
    const char *name; /* "UNet", ..., "other" */
    size_t      tensors;
    uint64_t    elems, bytes;
    size_t      types[RF_FILETYPES]; /* tensors of each element type */
} rf_inventory;

/* What `refinery inspect` prints of any file that has tensors. */
typedef struct rf_identity {
    rf_model_kind kind;
    rf_inventory  part[RF_PARTS + 1]; /* the last one counts what is in no part */
    int           usable;             /* 1: an expert can be made of it, and `checkpoint` is set */
    rf_checkpoint checkpoint;
    rf_error      problem; /* why it is not usable */
} rf_identity;

/* `stored`: what the inventory counts, `list` unless that is a view of it.  Never fails. */
void rf_checkpoint_identify(rf_identity *out, const rf_tensors *list, const rf_tensors *stored);

#endif
