/* What axes.c is made of: the table of axes, lists of items, numbers and ranges.  For tools/sweep/
 * alone. */
#ifndef RF_SWEEP_AXIS_PARTS_H
#define RF_SWEEP_AXIS_PARTS_H

#include <stdint.h>

#include "tools/sweep/axes.h"

/* ---- the table (axis_names.c) ------------------------------------------------------------- */

typedef enum rf_axis_takes {
    RF_TAKES_NAMES, /* of samplers, schedules, files: not empty */
    RF_TAKES_TEXTS, /* to search for (the first) and to put in its place: verbatim */
    RF_TAKES_SIZES,
    RF_TAKES_SEEDS, /* whole numbers, or "random" */
    RF_TAKES_WHOLE_NUMBERS,
    RF_TAKES_NUMBERS,
} rf_axis_takes;

typedef struct rf_axis_rule {
    const char   *name;
    rf_axis_kind  kind;
    rf_axis_takes takes;
    int64_t       min, max; /* of numbers */
    /* Spellings in small letters and digits alone, the name's first; up to a NULL. */
    const char *spelling[8];
} rf_axis_rule;

/* The axis called `name`; case, blanks and signs do not matter.  RF_E_ARG with the nearest name. */
rf_status rf_axis_rule_find(const rf_axis_rule **out, const char *flag, const char *name,
                            rf_trouble *trouble);

/* Likewise `name` with a stage before it or a LoRA's name behind it (axis_stages.c): fills kind,
 * stage, lora and name of *axis, which is to be released.  RF_E_ARG also for what no stage has. */
rf_status rf_axis_name_read(rf_axis *axis, const rf_axis_rule **rule, const char *flag,
                            const char *name, rf_trouble *trouble);

/* ---- lists (axis_list.c) ------------------------------------------------------------------ */

typedef struct rf_axis_list {
    const char **item; /* [count] */
    int          count;
    char        *block;
} rf_axis_list;

/* Splits a CSV list: blanks around items do not belong to them, quotes may hold commas and,
 * doubled, quotes.  Items may be empty only in quotes.  `where` begins the errors: "--x Seed". */
rf_status rf_axis_list_split(rf_axis_list *out, const char *where, const char *text,
                             rf_trouble *trouble);
void      rf_axis_list_release(rf_axis_list *list); /* {0} is fine */

const char *rf_axis_skip_blanks(const char *text);

/* ---- numbers (axis_values.c) -------------------------------------------------------------- */

enum { RF_AXIS_MICRO = 1000000 }; /* a real value is a whole number of millionths */

/* Whole numbers, or millionths where the rule takes reals.  So ranges are exact, and 0.1 + 0.2 is
 * 0.3. */
typedef struct rf_axis_numbers {
    int64_t *at; /* [count]; free() it */
    int      count, room;
} rf_axis_numbers;

/* Appends what `text` stands for: one number, or those of a range.  `where`: "--x Seed, value 2".
 */
rf_status rf_axis_expand(rf_axis_numbers *numbers, const rf_axis_rule *rule, const char *where,
                         const char *text, rf_trouble *trouble);
/* Likewise one number that is known. */
rf_status rf_axis_append(rf_axis_numbers *numbers, int64_t number, const char *where,
                         rf_trouble *trouble);

enum { RF_AXIS_NUMBER_BYTES = 24 };

/* The shortest text that reads as this number. */
void rf_axis_number_print(char out[RF_AXIS_NUMBER_BYTES], const rf_axis_rule *rule, int64_t number);

#endif
