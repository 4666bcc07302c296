/* A relay as it was asked for, and what one of its stages can say: the keys of --stage and of relay
 * files, whose values are texts here, whoever wrote them. */
#ifndef RF_RELAY_KEYS_H
#define RF_RELAY_KEYS_H

#include "engine/refinery.h"
#include "tools/options.h"

enum { RF_RELAY_STAGES = RF_TEXTS_MAX, RF_RELAY_LORAS = 256 };

typedef enum rf_relay_key {
    RF_KEY_EXPERT = 0,
    RF_KEY_UNTIL,
    RF_KEY_CFG,
    RF_KEY_SAMPLER,
    RF_KEY_ETA,
    RF_KEY_S_CHURN,
    RF_KEY_S_TMIN,
    RF_KEY_S_TMAX,
    RF_KEY_S_NOISE,
    RF_KEY_CLIP_SKIP,
    RF_KEY_LORA,
    RF_KEY_PREDICTION,
    RF_KEY_NEGATIVE,
    RF_KEY_PROMPT,
    RF_RELAY_KEYS
} rf_relay_key;

extern const char *const rf_relay_key_names[]; /* [RF_RELAY_KEYS], and NULL */

typedef struct rf_relay_lora {
    int         stage;
    const char *text;  /* as rf_lora_spec_option reads it */
    const char *where; /* "r.json: stage 1 lora", for messages */
} rf_relay_lora;

typedef struct rf_relay {
    rf_stage stage[RF_RELAY_STAGES]; /* without experts, LoRAs and sampling; NULL and negative
                                        values: not given */
    rf_stage_sampling sampling[RF_RELAY_STAGES];   /* what of it was given, ... */
    unsigned          given[RF_RELAY_STAGES];      /* ... by these bits, 1 << rf_relay_key */
    const char       *expert[RF_RELAY_STAGES];     /* files; NULL: not given */
    const char       *prediction[RF_RELAY_STAGES]; /* likewise, for rf_expert_set_prediction */
    rf_relay_lora     lora[RF_RELAY_LORAS];
    int               stages, loras;
    /* of a file, for the whole run; NULL and 0: not given */
    const char *summary, *switch_by, *sampler, *schedule;
    int         steps;
    char      **owned; /* texts */
    int         owned_count;
} rf_relay;

void rf_relay_free(rf_relay *relay); /* {0} is fine */

/* Hands `text` over to the relay, also on failure.  NULL: RF_E_NOMEM, as where memory ends. */
rf_status rf_relay_own(rf_relay *relay, char *text, rf_trouble *trouble);

/* A stage that is being read. */
typedef struct rf_relay_reader {
    rf_relay   *relay;
    int         stage;
    const char *where;  /* how messages name it: "--stage (2)" */
    const char *folder; /* that files are relative to; NULL: the current one */
    rf_trouble *trouble;
} rf_relay_reader;

void rf_relay_begin_stage(rf_relay_reader *reader);

/* RF_E_ARG names the keys there are, with a hint at the nearest. */
rf_status rf_relay_find_key(const rf_relay_reader *reader, const char *name, rf_relay_key *out);

/* Reads one value; `text` lives as long as the relay.  CFG may be "6..4": from the stage's first
 * call to its last.  "@FILE" as a prompt reads the file.  RF_E_ARG, also where the key was read
 * before (only lora comes again); what reading files gives. */
rf_status rf_relay_read_value(rf_relay_reader *reader, rf_relay_key key, const char *text);

/* Every stage but the last needs `until`: RF_E_ARG. */
rf_status rf_relay_end_stage(rf_relay_reader *reader, int last);

/* What a stage has of its sampler's numbers, as the bits `given` say, and the rest as in `job`,
 * into *out, which the stage then points to; without such bits nothing. */
void rf_relay_settle_sampling(unsigned given, const rf_stage_sampling *own, const rf_job *job,
                              rf_stage *stage, rf_stage_sampling *out);

#endif
