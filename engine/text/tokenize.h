/* The two tokenizers of SDXL: a prompt becomes token ids, then chunks.
 *
 * Both are the real programs, followed step by step: Hugging Face's slow CLIPTokenizer with ftfy
 * installed for CLIP-L, open_clip's SimpleTokenizer for bigG.  They share vocabulary and pattern
 * and differ in this: bigG decodes HTML references twice more, and spells its specials
 * <start_of_text> and <end_of_text> where CLIP-L has <|startoftext|> and <|endoftext|>.
 * Characters are Unicode 15.0's.  The one thing left out is told in fix.h. */
#ifndef RF_TOKENIZE_H
#define RF_TOKENIZE_H

#include "engine/core/tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/chunks.h"
#include "engine/text/prompt.h"
#include "engine/text/triggers.h"
#include "kernels/status.h"

typedef struct rf_tokenizer rf_tokenizer; /* read-only once made: threads may share it */

/* Makes both tokenizers (about 10 ms).  *out is NULL on failure. */
rf_status rf_tokenizer_create(rf_tokenizer **out, rf_error *err);
void      rf_tokenizer_destroy(rf_tokenizer *tokenizer); /* NULL is fine */

/* Appends the prompt tokens of `text`, without start and end.  RF_E_ARG if the text is not UTF-8
 * (the message says at which byte) or longer than RF_PROMPT_MAX_BYTES. */
rf_status rf_tokenizer_encode(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                              const char *text, rf_ids *ids, rf_error *err);

/* Tokens of a prompt's pieces in chunks: each piece is tokenized alone (BPE never crosses a
 * bracket), its tokens carry its weight, a BREAK closes the chunk; names among `triggers` (NULL:
 * none) become their vectors' ids.  `out` is freed with rf_tokens_free.  RF_E_ARG also for more
 * than RF_CHUNKS_MAX chunks. */
rf_status rf_tokenize(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                      const rf_piece *piece, int pieces, const rf_triggers *triggers,
                      rf_tokens *out, rf_error *err);

#endif
