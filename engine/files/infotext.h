/* The `parameters` text that A1111 writes into pictures and other tools read back.
 *
 * The six values that naive readers look for (Steps, Sampler, Schedule type, CFG scale, Seed,
 * Size) come first and are never quoted; what only refinery knows comes last. */
#ifndef RF_INFOTEXT_H
#define RF_INFOTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct rf_infotext_pair {
    const char *key, *value;
} rf_infotext_pair;

/* NULL leaves a key out; strings are UTF-8.  Hashes are SHA-256 in hex, of which ten digits are
 * shown; NULL or empty if unknown. */
typedef struct rf_infotext {
    const char             *prompt, *negative;
    int                     steps;
    const char             *sampler, *schedule;
    float                   cfg_scale;
    uint64_t                seed;
    int                     width, height;
    const char             *model, *model_hash; /* file name without extension */
    const char             *vae, *vae_hash; /* file name; only if decoded by a file of its own */
    const char             *rng;            /* "NV" */
    const char             *refiner, *refiner_hash;
    double                  refiner_switch_at; /* fraction of the steps; shown with `refiner` */
    const rf_infotext_pair *extra; /* [extra_count], shown in this order before the version */
    size_t                  extra_count;
    const char             *version;
} rf_infotext;

/* *out is to be free()d.  RF_E_NOMEM. */
rf_status rf_infotext_build(char **out, const rf_infotext *info, rf_error *err);

enum { RF_NUMBER_BYTES = 40 };

/* The shortest decimal that reads back as `x`, as Python's repr prints it: "7.0", "0.8", "1e-05".
 * `single`: reads back as a float.  Whatever the locale.  Returns out. */
char *rf_number_text(char out[RF_NUMBER_BYTES], double x, int single);

#endif
