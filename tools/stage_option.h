/* `--stage 'expert=FILE;until=0.3;cfg=6;lora=NAME:0.8;prediction=v;prompt=...'`: one stage of a
 * relay of any number, given in the order of the denoising. */
#ifndef RF_STAGE_OPTION_H
#define RF_STAGE_OPTION_H

#include "tools/relay_keys.h"

/* Reads the values of --stage.  Pairs are separated by ';' and blanks around them do not count;
 * prompt= is the last and goes to the end.  RF_E_ARG naming stage and pair; what reading files
 * gives. */
rf_status rf_relay_read(rf_relay *out, const rf_texts *texts, rf_trouble *trouble);

#endif
