/* Writes a safetensors file anew, tensor by tensor, changed on the way.  Whatever fails in here
 * fails the test. */
#ifndef RF_TEST_REWRITE_H
#define RF_TEST_REWRITE_H

#include "engine/core/tensors.h"

typedef struct rewriter rewriter;

/* Called for every tensor of the old file, and once with t NULL at the end, for what is added. */
typedef void rewrite_fn(rewriter *w, const rf_tensor *t, const void *data, void *user);

void rewrite_file(const char *to, const char *from, rewrite_fn *fn, void *user);

/* Puts a tensor into the new file: as it was; under another name; all of it given. */
void rewrite_keep(rewriter *w, const rf_tensor *t, const void *data);
void rewrite_as(rewriter *w, const char *name, const rf_tensor *t, const void *data);
void rewrite_put(rewriter *w, const char *name, rf_filetype type, int ndim, const int64_t *dim,
                 const void *data);

#endif
