/* Axes of a sweep, in the syntax of A1111's X/Y/Z plot: "Refiner switch at: 0-1 [11]".
 *
 * An axis knows what its values are called and, for numbers, what they are; what a value does to a
 * job is known to cells.c alone. */
#ifndef RF_SWEEP_AXES_H
#define RF_SWEEP_AXES_H

#include "tools/console.h"

enum { RF_AXIS_X = 0, RF_AXIS_Y, RF_AXIS_Z, RF_AXES, RF_AXIS_VALUES_MAX = 10000 };

/* What is varied.  axes.c has a table of names, A1111's spellings and ours. */
typedef enum rf_axis_kind {
    RF_VARY_NOTHING = 0, /* the axis is not used: one value without a label */
    RF_VARY_SWITCH,      /* "Refiner switch at": in the unit of --switch-by */
    RF_VARY_BASE,        /* "Checkpoint name", "Base" */
    RF_VARY_REFINER,     /* "Refiner checkpoint"; "None": the base alone */
    RF_VARY_VAE,
    RF_VARY_SEED,
    RF_VARY_VARIATION_SEED,
    RF_VARY_VARIATION,
    RF_VARY_STEPS,
    RF_VARY_CFG, /* of all stages */
    RF_VARY_BASE_CFG,
    RF_VARY_REFINER_CFG,
    RF_VARY_SAMPLER, /* of all stages */
    RF_VARY_REFINER_SAMPLER,
    RF_VARY_SCHEDULE,
    RF_VARY_PROMPT, /* "Prompt S/R": searched and replaced in the prompts of all stages */
    RF_VARY_BASE_PROMPT,
    RF_VARY_REFINER_PROMPT,
    RF_VARY_SIZE,
    RF_VARY_CLIP_SKIP,
    RF_VARY_ETA,
    RF_VARY_SIGMA_MIN,
    RF_VARY_SIGMA_MAX,
    RF_VARY_RHO,
    RF_VARY_CFG_END, /* of a stage whose CFG moves: that of its last call */
    RF_VARY_S_CHURN,
    RF_VARY_S_TMIN,
    RF_VARY_S_TMAX,
    RF_VARY_S_NOISE,
    RF_VARY_LORA, /* "LoRA NAME": its strength */
    RF_VARY_DENOISE,
    RF_VARY_KINDS
} rf_axis_kind;

typedef struct rf_axis_value {
    const char *text;   /* as typed, or a number in its shortest form: the value, and its label */
    double      number; /* of kinds that take numbers, rounded to 6 decimals; else NaN.  The
                           nearest one of a seed beyond 2^53, which `text` has in full */
} rf_axis_value;

typedef struct rf_axis {
    rf_axis_kind   kind;
    int            stage;    /* of "Stage 2 CFG Scale", from 1; 0: what the name alone means */
    const char    *lora;     /* of "LoRA pose": whose strength it is; else NULL */
    const char    *name;     /* "Refiner switch at", the table's spelling */
    rf_axis_value *value;    /* [count] */
    int            count;    /* >= 1 */
    int            drawn;    /* has seeds that were drawn: read again, they are others */
    char          *block;    /* owns the texts */
    char          *own_name; /* what name and lora point into, where the table's is not all */
} rf_axis;

/* `text`: "NAME: VALUES"; NULL: an axis of one value that changes nothing.  VALUES is a CSV list
 * (quotes as in CSV files; an empty text is ""); numbers may be ranges: "1-5", "1-10 (+3)",
 * "1-10 [5]" with signs and decimals, ends included.  Unlike A1111's, a range with a step has its
 * end also where it counts down, and never goes beyond it.  Seeds may be "random" (or -1): drawn
 * here, so that `text` is the number.  Prompt S/R: the first item is what is searched, and the
 * first value.  `flag` is what the errors call it ("--x").  RF_E_ARG with the nearest name, or what
 * is wrong where; RF_E_NOMEM.  *out is zeroed on failure. */
rf_status rf_axis_parse(rf_axis *out, const char *flag, const char *text, rf_trouble *trouble);

/* An axis of given texts, as JSON plans have them.  The same checks. */
rf_status rf_axis_make(rf_axis *out, const char *flag, const char *name, const char *const *texts,
                       int count, rf_trouble *trouble);
void      rf_axis_release(rf_axis *axis); /* {0} is fine */

/* Of each kind, for the help and completion; ended by NULL. */
extern const char *const rf_axis_names[];

#endif
