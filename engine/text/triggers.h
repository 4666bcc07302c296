/* Names of textual inversions in a prompt's tokens.
 *
 * A1111's rule: the name's own tokens, wherever they stand in a row within one piece of the prompt,
 * are replaced; of several names that begin at one place the longest counts.  What stands for them
 * are token ids beyond the vocabulary, one per vector. */
#ifndef RF_TRIGGERS_H
#define RF_TRIGGERS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/chunks.h"

enum {
    RF_TOKEN_EXTRA = RF_TOKEN_END + 1,        /* the first id beyond the vocabulary */
    RF_TOKEN_EXTRAS = 65536 - RF_TOKEN_EXTRA, /* of which so many fit into 16 bits */
};

typedef struct rf_trigger {
    rf_ids  id[2];   /* the name's tokens, by flavour */
    int32_t first;   /* what its first vector is called, RF_TOKEN_EXTRA .. */
    int     vectors; /* 1 .. 75 */
} rf_trigger;

/* Those that a prompt knows.  {0}: none. */
typedef struct rf_triggers {
    const rf_trigger *const *item; /* [count] */
    int                      count;
} rf_triggers;

/* The one whose name stands at id[0]; NULL: none does. */
const rf_trigger *rf_trigger_at(const rf_triggers *triggers, rf_tokenizer_flavour flavour,
                                const int32_t *id, size_t count);

#endif
