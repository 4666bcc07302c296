/* The data files of this folder as arrays; tools/embed.cmake makes them when the engine is built.
 */
#ifndef RF_VOCAB_H
#define RF_VOCAB_H

#include <stddef.h>

/* merges.txt: 48,894 lines "left right", in rank order. */
extern const unsigned char rf_vocab_merges[];
extern const size_t        rf_vocab_merges_bytes;

/* entities.txt: lines "name kind code [code [code]]", sorted by name, codes in hexadecimal. */
extern const unsigned char rf_vocab_entities[];
extern const size_t        rf_vocab_entities_bytes;

#endif
