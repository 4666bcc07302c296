/* Any text as a picture's parameters: taken apart without a finding, and what is found is what was
 * there; as a job, an answer or a sentence.  Read as a job in JSON too: that text is as hostile. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext_read.h"
#include "engine/files/utf8.h"
#include "engine/refinery.h"
#include "engine/relay/job_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

static void check_job(rf_saved_job *saved, rf_status st, const rf_error *err)
{
    if (st != RF_OK) {
        require(!saved && err->status == st && err->message[0] != '\0');
        return;
    }
    const rf_job *job = rf_saved_job_get(saved);
    require(job->stage_count >= 1 && job->stage_count <= 64 && job->count == 1);
    require(job->sampler && job->schedule && job->rng && job->emphasis && job->switch_by);
    for (int i = 0; rf_saved_job_note(saved, i); i++) require(rf_saved_job_note(saved, i)[0]);

    /* what was read can be saved, and says the same then */
    rf_file_ref  files[64];
    char        *json = NULL, *again = NULL;
    rf_job_files with = {.stage = files, .vae = rf_saved_job_file(saved, -1)};
    with.dtype = rf_saved_job_dtype(saved);
    for (int i = 0; i < job->stage_count; i++) files[i] = rf_saved_job_file(saved, i);
    require(rf_job_json(&json, job, 0, &with, NULL) == RF_OK);
    rf_saved_job *second = NULL;
    require(rf_saved_job_from_json(&second, json, NULL) == RF_OK);
    require(!rf_saved_job_note(second, 0));
    for (int i = 0; i < job->stage_count; i++) files[i] = rf_saved_job_file(second, i);
    with.vae = rf_saved_job_file(second, -1);
    with.dtype = rf_saved_job_dtype(second);
    require(rf_job_json(&again, rf_saved_job_get(second), 0, &with, NULL) == RF_OK);
    require(strcmp(json, again) == 0);
    free(json);
    free(again);
    rf_saved_job_free(second);
    rf_saved_job_free(saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_infotext_parts parts;
    rf_saved_job     *saved = NULL;
    rf_error          err = {0};
    char             *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    require(rf_infotext_read(&parts, text, NULL) == RF_OK);
    require(strlen(parts.prompt) + strlen(parts.negative) <= size);
    for (size_t i = 0; i < parts.count; i++) require(strlen(parts.pair[i].key) >= 2);
    rf_infotext_parts_free(&parts);
    rf_status st = rf_saved_job_from_infotext(&saved, text, &err);
    check_job(saved, st, &err);
    saved = NULL;
    st = rf_saved_job_from_json(&saved, text, &err);
    check_job(saved, st, &err);
    free(text);
    return 0;
}
