/* `--stage 'expert=FILE;until=0.3;cfg=6;lora=NAME:0.8;prediction=v;prompt=...'`: one stage of a
 * relay of any number, given in the order of the denoising. */
#ifndef RF_STAGE_OPTION_H
#define RF_STAGE_OPTION_H

#include "engine/refinery.h"
#include "tools/options.h"

enum { RF_RELAY_STAGES = RF_TEXTS_MAX, RF_RELAY_LORAS = 256 };

typedef struct rf_relay_lora {
    int         stage;
    const char *text; /* as rf_lora_spec_option reads it */
} rf_relay_lora;

typedef struct rf_relay {
    rf_stage stage[RF_RELAY_STAGES]; /* without experts and LoRAs; NULL and negative values: not
                                        given */
    const char   *expert[RF_RELAY_STAGES];     /* files; NULL: not given */
    const char   *prediction[RF_RELAY_STAGES]; /* likewise, for rf_expert_set_prediction */
    rf_relay_lora lora[RF_RELAY_LORAS];
    int           stages, loras;
    int           last_until; /* the last stage has an `until`, which nothing reads */
    char         *owned[3 * RF_RELAY_STAGES];
    int           owned_count;
} rf_relay;

/* Reads the values of --stage.  Pairs are separated by ';' and blanks around them do not count;
 * prompt= is the last and goes to the end.  prompt=@FILE and negative=@FILE read a file.  Every
 * stage but the last needs `until`.  RF_E_ARG naming stage and pair; what reading files gives. */
rf_status rf_relay_read(rf_relay *out, const rf_texts *texts, rf_trouble *trouble);
void      rf_relay_free(rf_relay *relay); /* {0} is fine */

#endif
