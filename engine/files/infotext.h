/* The `parameters` text that A1111 writes into pictures and other tools read back.
 *
 * One table names every key, where its value is and when it is shown; the writer walks it, and the
 * reader of a job (engine/relay/saved_job_infotext.c) asks it where a value belongs, so that the
 * two cannot drift apart.  The values that naive readers look for (Steps, Sampler, Schedule type,
 * CFG scale, Seed, Size) come first and are never quoted; what only refinery knows comes last. */
#ifndef RF_INFOTEXT_H
#define RF_INFOTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/refinery.h"
#include "kernels/status.h"

typedef struct rf_infotext_pair {
    const char *key, *value;
} rf_infotext_pair;

/* NULL leaves a key out; strings are UTF-8.  Hashes are SHA-256 in hex, of which ten digits are
 * shown; NULL or empty if unknown. */
typedef struct rf_infotext {
    /* Of this one picture (rf_job_of_picture), with the settings that its sampler does not read at
     * their defaults: steps, seed, size, variation, sigmas, eta, ... are taken from here. */
    const rf_job           *job;
    const char             *prompt, *negative;
    const char             *sampler;  /* A1111's name */
    const char             *schedule; /* as it was resolved, or "Automatic", as A1111 shows it */
    float                   cfg_scale;
    const char             *model, *model_hash; /* file name without extension */
    const char             *vae, *vae_hash; /* file name; only if decoded by a file of its own */
    const char             *rng;            /* "NV" or "CPU" */
    const char             *emphasis; /* A1111's name; shown if it is not "Original" and matters */
    const char             *refiner, *refiner_hash;
    double                  refiner_switch_at; /* shown with `refiner` */
    int                     switch_by_steps;   /* shown with `refiner`; 0: by noise */
    double                  denoise;           /* shown if the job starts from a picture */
    int                     timestep_sampler; /* its eta is "Eta DDIM", usually 0; else usually 1 */
    const rf_infotext_pair *extra; /* [extra_count], shown in this order before the version */
    size_t                  extra_count;
    const char             *version;
} rf_infotext;

/* *out is to be free()d.  RF_E_NOMEM. */
rf_status rf_infotext_build(char **out, const rf_infotext *info, rf_error *err);

typedef enum rf_infotext_kind {
    RF_INFOTEXT_TEXT,   /* const char * */
    RF_INFOTEXT_HASH,   /* const char *, ten digits of it */
    RF_INFOTEXT_TITLE,  /* the refiner with its hash */
    RF_INFOTEXT_INT,    /* int */
    RF_INFOTEXT_INT64,  /* int64_t */
    RF_INFOTEXT_UINT64, /* uint64_t */
    RF_INFOTEXT_DOUBLE, /* double */
    RF_INFOTEXT_FLOAT,  /* float */
    RF_INFOTEXT_FLAG,   /* int: "True" or nothing */
    RF_INFOTEXT_SIZE,   /* two ints: "1024x768", or nothing if one is 0 */
} rf_infotext_kind;

typedef struct rf_infotext_field {
    const char      *key;
    rf_infotext_kind kind;
    int              in_job; /* `offset` is into rf_job; else into rf_infotext */
    size_t           offset;
    double           usual;               /* a number that is not shown; NaN: every number is */
    int (*when)(const rf_infotext *info); /* NULL: always */
} rf_infotext_field;

/* All fields in A1111's order; stands before and after the extra pairs, which are not in it. */
extern const rf_infotext_field rf_infotext_fields[];
extern const size_t            rf_infotext_field_count;

enum { RF_NUMBER_BYTES = 40 };

/* The shortest decimal that reads back as `x`, as Python's repr prints it: "7.0", "0.8", "1e-05".
 * `single`: reads back as a float.  Whatever the locale.  Returns out. */
char *rf_number_text(char out[RF_NUMBER_BYTES], double x, int single);

#endif
