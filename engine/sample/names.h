/* Looking up a row of a table by the name a user typed: one rule, and one way to say no, for
 * samplers, schedules and noise sources. */
#ifndef RF_NAMES_H
#define RF_NAMES_H

#include <stddef.h>

#include "kernels/status.h"

/* First member of every row that has a name. */
typedef struct rf_name {
    const char *name;     /* as it is reported; at most 63 bytes, like the aliases */
    const char *alias[3]; /* also accepted; NULL where there are fewer */
} rf_name;

/* A table of such rows. */
typedef struct rf_name_table {
    const char *what; /* "sampler": what a row is, for messages */
    const void *row;  /* first row; begins with an rf_name */
    size_t      stride;
    int         count;
} rf_name_table;

/* *out = the row whose name or alias is `given`; ASCII case does not matter.  RF_E_ARG (*out NULL)
 * if there is none: the message has the nearest name, if one is near, and all known names. */
rf_status rf_name_find(const void **out, const rf_name_table *table, const char *given,
                       rf_error *err);

#endif
