/* The files a render will write. */
#ifndef RF_RENDER_OUTPUTS_H
#define RF_RENDER_OUTPUTS_H

#include <stdint.h>

#include "tools/console.h"

typedef struct rf_outputs {
    char **paths; /* [pictures] those that are asked for, then [passes - 1, pictures] those on the
                     way to them */
    int count;    /* of all */
    int pictures;
} rf_outputs;

/* Where picture `i` goes as pass number `pass` of `passes`, from 0, has left it. */
const char *rf_outputs_path(const rf_outputs *outputs, int i, int pass, int passes);

typedef struct rf_input {
    const char *flag, *path; /* the latter NULL: not given */
} rf_input;

typedef struct rf_output_request {
    const char *pattern; /* may hold {seed} and {index} */
    int         literal; /* it may not: braces are part of the name */
    int         count;
    int         passes;        /* whose pictures are written, 0 as 1: before the last one they are
                                  called NAME-pass1.png, NAME-pass2.png */
    int64_t         seed;      /* of the first picture, drawn already; they count up, */
    int             same_seed; /* or do not */
    int             overwrite;
    const char     *trace;    /* one more file that is written; NULL: none */
    int             previews; /* each picture's preview is one more */
    const rf_input *inputs;   /* files that are read, ended by a row without a flag */
} rf_output_request;

/* Expands the pattern for every picture and checks that each file can be written: before any work.
 * RF_E_ARG if the pattern is wrong, or two of all files that are read and written are one;
 * otherwise what rf_output_check says. */
rf_status rf_outputs_prepare(rf_outputs *out, const rf_output_request *request,
                             rf_trouble *trouble);
void      rf_outputs_release(rf_outputs *outputs);

/* "out.preview.png" of "out.png", to be freed by the caller.  RF_E_NOMEM. */
rf_status rf_preview_path(char **out, const char *path);

/* `pattern` with {seed} and {index} replaced, to be freed by the caller.  RF_E_ARG, RF_E_NOMEM. */
rf_status rf_pattern_expand(char **out, const char *pattern, int64_t seed, int index,
                            rf_trouble *trouble);

#endif
