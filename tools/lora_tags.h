/* Which stages the tags of a job's prompts are for. */
#ifndef RF_LORA_TAGS_H
#define RF_LORA_TAGS_H

#include "engine/refinery.h"
#include "tools/lora_spec.h"

typedef struct rf_stage_tag {
    rf_lora_spec   spec;
    const char    *text; /* [text_bytes], the tag as written */
    size_t         text_bytes;
    int            stage;      /* whose prompt it stands in */
    int            everywhere; /* all stages share that prompt and see the tag */
    unsigned char *seen;       /* [stage_count] */
} rf_stage_tag;

typedef struct rf_stage_tags {
    rf_stage_tag  *tag; /* [count], in the order of the stages and their prompts */
    int            count;
    unsigned char *seen;
} rf_stage_tags;

/* At most `most` tags in a prompt; RF_E_ARG, RF_E_NOMEM, and what rf_explain gives. */
rf_status rf_stage_tags_read(rf_stage_tags *out, rf_engine *engine, const rf_job *job,
                             int hires_steps, int most, rf_trouble *trouble);
void      rf_stage_tags_free(rf_stage_tags *tags); /* {0} is fine */

#endif
