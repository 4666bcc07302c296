/* The files a render will write. */
#ifndef RF_RENDER_OUTPUTS_H
#define RF_RENDER_OUTPUTS_H

#include "tools/render_options.h"

typedef struct rf_outputs {
    char **paths; /* [count], one per picture */
    int    count;
} rf_outputs;

/* Expands the pattern for every picture and checks that each file can be written: before any work.
 * RF_E_ARG if the pattern is wrong, or two pictures, or a picture and an input, are one file;
 * otherwise what rf_output_check says.  The seed must be drawn already. */
rf_status rf_outputs_prepare(rf_outputs *out, const rf_render_values *v, rf_trouble *trouble);
void      rf_outputs_release(rf_outputs *outputs);

/* `pattern` with {seed} and {index} replaced, to be freed by the caller.  RF_E_ARG, RF_E_NOMEM. */
rf_status rf_pattern_expand(char **out, const char *pattern, int64_t seed, int index,
                            rf_trouble *trouble);

#endif
