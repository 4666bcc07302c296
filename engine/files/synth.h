/* Random checkpoints of the exact SDXL layout, for tests and benchmarks.
 *
 * Every element is a pure function of (seed, tensor, index) made of integer operations and exactly
 * rounded float ones, so that the same seed gives the same bytes on every machine.  Weights are
 * scaled by fan-in and residual branches kept small, so that activations stay of order one through
 * networks of full depth. */
#ifndef RF_SYNTH_H
#define RF_SYNTH_H

#include <stdint.h>

#include "engine/core/arch.h"
#include "engine/core/tensors.h"
#include "kernels/status.h"

typedef struct rf_synth_options {
    /* "sdxl" (6.94 GB in 16 bits) or "tiny" (same layout, small widths); "sdxl-refiner" (6.08 GB)
     * and "tiny-refiner", as Stability's */
    const char *arch;
    uint64_t    seed;
    rf_filetype type; /* RF_FILE_F16, RF_FILE_BF16 or RF_FILE_F32 */
    int         overwrite;
    /* Called often with bytes written and bytes in all; non-zero stops the work.  NULL is fine. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} rf_synth_options;

/* The sizes that a name stands for.  RF_E_ARG lists the names. */
rf_status rf_synth_arch(rf_sdxl_arch *out, const char *name, rf_error *err);

/* Writes a checkpoint, atomically.  RF_E_ARG, RF_E_NOMEM, RF_E_CANCELLED and the errors of
 * rf_png_write. */
rf_status rf_synth_write(const char *path, const rf_synth_options *options, rf_error *err);

#endif
