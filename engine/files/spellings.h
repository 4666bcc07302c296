/* A single-file checkpoint whose text encoders are spelled in another way, as a list in the
 * canonical names.
 *
 * In use: bigG in Hugging Face's names, with q, k and v apart (its rows are stacked again), and
 * CLIP-L without the level "text_model.".  As everywhere, foreign names are made from the layout
 * and looked up, never taken apart.  Which way round bigG's projection lies is told by its name
 * alone (rf_clip_arch), which is kept: it is square. */
#ifndef RF_SPELLINGS_H
#define RF_SPELLINGS_H

#include "engine/files/composed.h"

/* *out = NULL and RF_OK if nothing is spelled otherwise; else a list of all that `list` has, which
 * must outlive it.  What is incomplete keeps its names, for the check to tell what is missing.
 * RF_E_MODEL: rows of q, k and v that do not go together; RF_E_NOMEM. */
rf_status rf_spellings_open(rf_composed **out, const rf_tensors *list, rf_error *err);

#endif
