/* Any bytes as a relay: a file's JSON where they begin with a brace, else the pairs of one --stage.
 * Stages that keep their promises, or a sentence. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/relay_file.h"
#include "tools/stage_option.h"
#include "tools/text_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

static void check_stage(const rf_relay *relay, int i)
{
    rf_trouble      trouble = {.hint = ""};
    const rf_stage *s = &relay->stage[i];
    const double    end = (double)s->cfg_scale + (double)s->cfg_ramp;
    require(isfinite(s->until) && s->cfg_scale >= -1 && s->cfg_scale <= 1000);
    require(s->cfg_ramp == 0 || (end > -1e-3 && end < 1001));
    require(s->clip_skip >= 0 && s->clip_skip <= 12);
    require(rf_text_check(s->prompt, "fuzz", &trouble) == RF_OK);
    require(rf_text_check(s->negative, "fuzz", &trouble) == RF_OK);
    rf_job            job = rf_job_default();
    rf_stage          stage = *s;
    rf_stage_sampling out;
    rf_relay_settle_sampling(relay->given[i], &relay->sampling[i], &job, &stage, &out);
    if (stage.sampling) require(out.s_noise >= 0 && out.s_noise <= 100 && !(out.eta < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rf_relay relay;
    rf_trouble      trouble = {.hint = ""};
    char           *text = malloc(size + 1);
    require(text != NULL);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; (at = strchr(at, '@')); at++) /* a fuzzer reads no files */
        if (at[1] != 'w') *at = 'a';
    const int       file = *text == '{';
    const rf_texts  texts = {.item = {text}, .count = 1};
    const rf_status st = file ? rf_relay_read_text(&relay, "/nowhere/fuzz.json", text, &trouble)
                              : rf_relay_read(&relay, &texts, &trouble);
    if (st == RF_OK) {
        require(relay.stages >= 1 && relay.stages <= RF_RELAY_STAGES);
        for (int i = 0; i < relay.stages; i++) check_stage(&relay, i);
        for (int i = 0; i < relay.loras; i++)
            require(relay.lora[i].text && relay.lora[i].stage < relay.stages);
        if (file) require(rf_relay_insert(&relay, "a cat", "bad", &trouble) == RF_OK);
    } else {
        require(trouble.error.message[0] != '\0');
    }
    rf_relay_free(&relay);
    free(text);
    return 0;
}
