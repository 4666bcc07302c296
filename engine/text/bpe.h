/* Byte-level byte-pair encoding of one word. */
#ifndef RF_BPE_H
#define RF_BPE_H

#include "engine/text/merges.h"
#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct rf_ids { /* {0} is an empty list */
    int32_t *at;        /* [length] token ids */
    size_t   length, capacity;
} rf_ids;

void      rf_ids_free(rf_ids *ids); /* leaves an empty list */
rf_status rf_ids_push(rf_ids *ids, int32_t id, rf_error *err);

/* Buffers that the words of one text share; {0} is empty. */
typedef struct rf_bpe_work {
    struct rf_bpe_symbol *symbol;
    uint64_t             *heap;
    size_t                symbols_max, heap_length, heap_max;
} rf_bpe_work;

void rf_bpe_work_free(rf_bpe_work *work);

/* Appends the tokens of one word of `bytes` >= 1 bytes.  Takes bytes * log(bytes) time and about 30
 * bytes of memory per byte: merges come off a heap, symbols hang in a list. */
rf_status rf_bpe_encode(const rf_merges *merges, rf_bpe_work *work, const unsigned char *word,
                        int32_t bytes, rf_ids *out, rf_error *err);

#endif
