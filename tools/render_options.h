/* What `refinery render` was asked for. */
#ifndef RF_RENDER_OPTIONS_H
#define RF_RENDER_OPTIONS_H

#include "tools/options.h"

typedef struct rf_render_values {
    rf_common   common;
    const char *base, *refiner, *vae; /* files; NULL if not given */
    double      switch_at;            /* 0..1 */
    const char *prompt, *negative;    /* NULL if not given: empty */
    const char *prompt_file;
    const char *refiner_prompt, *refiner_negative; /* NULL: the base's */
    double      cfg_scale;
    double      refiner_cfg_scale; /* negative: the base's */
    int         steps;
    int64_t     seed; /* RF_SEED_RANDOM until it is drawn */
    const char *sampler, *schedule, *rng;
    rf_size     size;
    int         width, height; /* of --width and --height; 0 if not given */
    int         count, batch;
    const char *output; /* pattern; NULL: out.png, or out-{index}.png for several */
    int         overwrite, no_metadata, dry_run;
    const char *dtype, *device;
    int         threads; /* 0: one per core */
    const char *progress;
} rf_render_values;

extern const rf_option rf_render_options[]; /* ended by a row without a name */

#endif
