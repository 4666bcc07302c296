/* Emphasis, (a), [a], (a:1.2), and BREAK: a text becomes pieces with weights. */
#ifndef RF_PROMPT_ATTENTION_H
#define RF_PROMPT_ATTENTION_H

#include "engine/text/prompt_context.h"

/* Buffers that the texts of one prompt share; {0} is empty, free with rf_attention_free. */
typedef struct rf_attention {
    char                      *text; /* of all pieces, one after another */
    double                    *weight;
    struct rf_attention_piece *piece;
    size_t                    *round, *square; /* open brackets: at which piece they opened */
    size_t                     length, text_max, pieces, weight_max, piece_max;
    size_t                     rounds, round_max, squares, square_max;
} rf_attention;

void rf_attention_free(rf_attention *work);

/* The pieces of text[0, length), taken from `context`.  RF_E_ARG, only for exact_a1111: a weight on
 * which A1111 stops. */
rf_status rf_attention_parse(rf_prompt_context *context, rf_attention *work, const char *text,
                             size_t length, const rf_piece **piece, int *pieces, rf_error *err);

#endif
