/* Embeddings made on the spot whose vectors are words of a checkpoint: a prompt that says their
 * name must give, bit for bit, the picture of a prompt that says the words. */
#ifndef RF_TEST_EMBEDDINGS_H
#define RF_TEST_EMBEDDINGS_H

#include "tests/relay/relays.h"

/* Tensors of one file; texts and numbers are written as they are given. */
typedef struct tensor_text {
    const char  *name;
    int          rows, columns;
    const float *value; /* [rows, columns] */
} tensor_text;

/* Writes F32 tensors; the list ends with a name of NULL. */
void write_tensors(const char *path, const tensor_text *tensors);

/* vector[0] [tokens, CLIP-L's width] and vector[1] [tokens, bigG's width]: the expert's own rows
 * for the tokens of `words`; free() both.  Their number. */
int word_vectors(relays *r, const rf_expert *expert, const char *words, float *vector[2]);

/* The file of a textual inversion of these words. */
void write_inversion(relays *r, const rf_expert *expert, const char *words, const char *path);

#endif
