/* Lays the tokens of a prompt out in chunks of 77, as AUTOMATIC1111's process_tokens does.
 *
 * A chunk is start, 75 prompt tokens, end.  A chunk that fills up more than 0 and at most 20 tokens
 * after a comma ends at that comma, and what follows the comma opens the next one.  Short chunks
 * are padded with the end token; CLIP-G instead has zeros after the first end token.
 *
 * The pieces of a prompt are added one by one, each tokenized alone, each with its weight. */
#ifndef RF_CHUNKS_H
#define RF_CHUNKS_H

#include "engine/core/tokens.h"
#include "kernels/status.h"

#include <stddef.h>

/* Some 19,000 tokens: more than any prompt, and little enough for their keys and values. */
enum { RF_CHUNKS_MAX = 256 };

typedef enum rf_tokenizer_flavour {
    RF_TOKENIZER_CLIP_L, /* Hugging Face's slow CLIPTokenizer with ftfy */
    RF_TOKENIZER_CLIP_G, /* open_clip's SimpleTokenizer with clean "lower" */
} rf_tokenizer_flavour;

typedef struct rf_chunker {
    rf_tokens tokens;     /* the chunks closed so far, and the open one after them */
    int       chunks_max; /* for which there is memory */
    int       filled;     /* prompt tokens in the open chunk */
    int       last_comma; /* its last comma's place, or -1 */
} rf_chunker;

/* No tokens yet.  Free a chunker that is not finished with rf_chunker_free. */
rf_status rf_chunker_start(rf_chunker *chunker, rf_error *err);
void      rf_chunker_free(rf_chunker *chunker);

/* The next `count` prompt tokens, all of one weight.  RF_E_ARG beyond RF_CHUNKS_MAX chunks. */
rf_status rf_chunker_add(rf_chunker *chunker, const int32_t *id, size_t count, float weight,
                         rf_error *err);

/* `vectors` prompt tokens, id first and those after it, that stay together: where they do not fit
 * into the open chunk it is closed before them.  They count as no comma. */
rf_status rf_chunker_add_unit(rf_chunker *chunker, int32_t first, int vectors, float weight,
                              rf_error *err);

/* BREAK: closes the open chunk, even if it is empty. */
rf_status rf_chunker_break(rf_chunker *chunker, rf_error *err);

/* Closes the last chunk (a text without tokens is one empty chunk) and hands the tokens over; the
 * chunker is empty then. */
rf_status rf_chunker_finish(rf_chunker *chunker, rf_tokenizer_flavour flavour, rf_tokens *out,
                            rf_error *err);

/* Appends empty chunks until there are `chunks`: the two tokenizers may need different numbers for
 * one prompt, and their encoders' outputs stand side by side. */
rf_status rf_tokens_pad(rf_tokens *tokens, rf_tokenizer_flavour flavour, int chunks, rf_error *err);

void rf_tokens_free(rf_tokens *tokens); /* {0} is fine; it is {0} after */

#endif
