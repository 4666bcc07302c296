/* ftfy's fix_text, as both tokenizers call it before anything else.
 *
 * Of ftfy 6.3 with its default settings, all but one thing is here: HTML entities (unless a '<' has
 * been seen in the text), C1 controls read as Windows-1252, Latin ligatures, full and half width,
 * curly quotes, line breaks, terminal escapes, control characters and normalisation form C.  Left
 * out is the repair of mojibake (fix_encoding): it guesses at text that other programs broke, and
 * takes a table of codecs to do so.  Text that is not mojibake comes out the same. */
#ifndef RF_FIX_H
#define RF_FIX_H

#include "engine/text/codes.h"
#include "engine/text/entities.h"

rf_status rf_fix_text(const rf_entities *entities, const rf_codes *in, rf_codes *out,
                      rf_error *err);

#endif
