/* Token ids of one text for one encoder: what `text` makes and `model` consumes. */
#ifndef RF_TOKENS_H
#define RF_TOKENS_H

#include <stdint.h>

enum {
    RF_TOKENS_PER_CHUNK = 77, /* start, 75 tokens, end: the position table of CLIP */
    RF_TOKEN_START = 49406,
    RF_TOKEN_END = 49407,
};

typedef struct rf_tokens {
    int      chunks; /* >= 1 */
    int32_t *id;     /* [chunks, 77]; owned, free() */
    float   *weight; /* [chunks, 77]: emphasis, 1 for start, end and padding; owned, free() */
    int      length; /* prompt tokens in all, without start, end and padding */
} rf_tokens;

#endif
