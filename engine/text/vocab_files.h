/* The tokenizer's files as other programs read them: vocab.json and merges.txt of CLIP, from the
 * list of merges that is built in. */
#ifndef RF_VOCAB_FILES_H
#define RF_VOCAB_FILES_H

#include <stddef.h>

#include "kernels/status.h"

/* `{"!":0, ... "<|endoftext|>":49407}`, in the order of the ids; free() *out.  RF_E_NOMEM. */
rf_status rf_vocab_json(char **out, size_t *bytes, rf_error *err);

/* The merges, a line each, under the line with a version that readers skip.  free() *out. */
rf_status rf_vocab_merges_txt(char **out, size_t *bytes, rf_error *err);

#endif
