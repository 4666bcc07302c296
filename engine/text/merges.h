/* CLIP's vocabulary of 49,408 tokens: which two tokens merge into which third, and how soon.
 *
 * Ids, as every CLIP tokenizer numbers them: 256 bytes, the same 256 at the end of a word, one
 * token per merge in rank order, and the two specials of engine/core/tokens.h. */
#ifndef RF_MERGES_H
#define RF_MERGES_H

#include "kernels/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { RF_NO_RANK = -1 };

typedef struct rf_merges rf_merges; /* read-only once made: threads may share it */

/* Reads vocab/merges.txt as it was built in. */
rf_status rf_merges_create(rf_merges **out, rf_error *err);
void      rf_merges_destroy(rf_merges *merges);

/* The token of a single byte. */
int32_t rf_merges_byte(const rf_merges *merges, unsigned char byte, bool ends_word);

/* The rank at which two neighbouring tokens merge (the least goes first), or RF_NO_RANK. */
int32_t rf_merges_rank(const rf_merges *merges, int32_t left, int32_t right);

/* The token that the merge of this rank makes. */
int32_t rf_merges_token(int32_t rank);

#endif
