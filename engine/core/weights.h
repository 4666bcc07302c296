/* The packed weights of one network: which tensors of which file, in which order and form, and,
 * once loaded, where.
 *
 * A network's forward function lists its weights by running once in list mode (recorder.h); the
 * n-th weight it asks for is slot n ever after.  Listing checks every name and shape against the
 * file; loading reads each tensor once, through a staging buffer of fixed size, converts it to
 * its storage type and packs it for the op level that will use it.  A GPU gets plain elements
 * through pinned buffers (upload.h) and packs them itself.
 *
 * A patch (LoRAs) changes tensors on the way: those it touches are read whole, in f32, patched, and
 * only then converted.  Patching is never undone; another patch starts from the file again. */
#ifndef RF_WEIGHTS_H
#define RF_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/device.h"
#include "engine/core/tensors.h"

typedef enum rf_slot_kind {
    RF_SLOT_GEMM,   /* [n, k], or [n, k, 1, 1] */
    RF_SLOT_CONV,   /* [n, k, 3, 3] */
    RF_SLOT_VECTOR, /* [n], kept as f32: biases, norm scales */
    RF_SLOT_TABLE,  /* [n, k], row-major in the file's own type: embeddings */
} rf_slot_kind;

enum { RF_SLOT_PARTS = 3 }; /* q, k and v make one projection */

typedef struct rf_slot {
    rf_slot_kind     kind;
    int              n, k;
    int              parts;     /* tensors stacked along the first axis, equal rows each */
    int              transpose; /* the file holds [k, n] (one part) */
    int              wide;      /* table: convert to f32 */
    rf_conv_kind     conv_kind;
    rf_act           act;
    rf_dtype         wdtype; /* storage; set by rf_weights_add */
    const rf_tensor *part[RF_SLOT_PARTS];
    unsigned         patched;       /* bit i: the patch touches part i; set by rf_weights_add */
    size_t           offset, bytes; /* in the packed block; set by rf_weights_add */
} rf_slot;

/* What changes tensors while they are read. */
typedef struct rf_weights_patch {
    int (*touches)(const void *user, const char *tensor); /* by its whole name */
    /* Changes a tensor's elements, all of them, on so many threads. */
    rf_status (*apply)(const void *user, const rf_tensor *tensor, float *whole, int threads,
                       rf_error *err);
    const void *user;
} rf_weights_patch;

typedef struct rf_weights {
    const rf_tensors       *file;   /* not owned; must outlive this */
    const char             *prefix; /* of every tensor name; not owned */
    rf_dtype                dtype;  /* activations these weights will meet */
    const rf_weights_patch *patch;  /* NULL: none; not owned; set before the first slot is added */
    rf_slot                *slot;   /* [count]; owned */
    size_t                  count, cap;
    size_t                  bytes;         /* packed, all slots */
    size_t                  file_bytes;    /* read from the file, for progress */
    size_t                  staging_bytes; /* of the device's memory, needed while loading ... */
    size_t                  host_bytes;    /* ... and of the host's, beside a device of its own: the
                                              largest patched tensor in f32 */
    char *base;                            /* NULL until loaded */
} rf_weights;

/* Adds a slot whose tensors are `names` (relative to the prefix; NULL ends the list early).
 * RF_E_MODEL if one is missing, has the wrong shape or an element type that cannot be used. */
rf_status rf_weights_add(rf_weights *w, rf_device *device, rf_slot slot,
                         const char *const names[RF_SLOT_PARTS], rf_error *err);

typedef struct rf_load_progress {
    /* Called with bytes read so far in this load; non-zero stops with RF_E_CANCELLED. */
    int (*report)(void *user, size_t bytes_done);
    void *user;
} rf_load_progress;

/* Allocates and fills the packed block.  `staging` holds staging_bytes of the device's memory. */
rf_status rf_weights_load(rf_weights *w, rf_device *device, void *staging,
                          const rf_load_progress *progress, rf_error *err);
/* The same without allocating: takes over the packed block of `from`, the same weights with another
 * patch, which nothing needs any more, and reads anew only the slots that either patch touches.
 * `from` is unloaded whatever happens; after a failure nothing is loaded. */
rf_status rf_weights_load_over(rf_weights *w, rf_weights *from, rf_device *device, void *staging,
                               const rf_load_progress *progress, rf_error *err);
/* Frees the packed block alone; the list stays and can be loaded again. */
void rf_weights_unload(rf_weights *w, rf_device *device);
void rf_weights_free(rf_weights *w, rf_device *device); /* {0} is fine */

static inline const void *rf_weights_at(const rf_weights *w, size_t slot)
{
    return w->base ? w->base + w->slot[slot].offset : NULL;
}

#endif
