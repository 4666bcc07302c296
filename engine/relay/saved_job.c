/* Storage and access; see saved_job.h. */
#include "engine/relay/saved_job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_BYTES = 400 };

static char *add_copy(rf_string_list *list, const char *text)
{
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 16;
        char       **grown = realloc(list->at, room * sizeof *grown);
        if (!grown) return NULL;
        list->at = grown;
        list->room = room;
    }
    char *copy = strdup(text);
    if (copy) list->at[list->count++] = copy;
    return copy;
}

static void free_list(rf_string_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->at[i]);
    free(list->at);
}

rf_status rf_saved_job_create(rf_saved_job **out, int stages, rf_error *err)
{
    rf_saved_job *saved = calloc(1, sizeof *saved);
    *out = NULL;
    if (saved) {
        saved->job = rf_job_default();
        saved->stage = calloc((size_t)stages, sizeof *saved->stage);
        saved->file = calloc((size_t)stages, sizeof *saved->file);
        saved->loras = calloc((size_t)stages, sizeof *saved->loras);
        saved->sampling = calloc((size_t)stages, sizeof *saved->sampling);
    }
    if (!saved || !saved->stage || !saved->file || !saved->loras || !saved->sampling) {
        rf_saved_job_free(saved);
        return rf_fail(err, RF_E_NOMEM, "no memory for a saved job of %d stages", stages);
    }
    for (int i = 0; i < stages; i++)
        saved->stage[i] = (rf_stage){.until = 1, .cfg_scale = i == 0 ? 6.0f : -1.0f};
    saved->job.stages = saved->stage;
    saved->job.stage_count = stages;
    saved->job.count = saved->job.batch = 1;
    *out = saved;
    return RF_OK;
}

void rf_saved_job_free(rf_saved_job *saved)
{
    if (!saved) return;
    free_list(&saved->string);
    free_list(&saved->note);
    for (int i = 0; saved->loras && i < saved->job.stage_count; i++) {
        free(saved->loras[i].use);
        free(saved->loras[i].file);
    }
    free(saved->loras);
    free(saved->sampling);
    free(saved->embedding);
    free(saved->embedding_file);
    free(saved->stage);
    free(saved->file);
    free(saved);
}

rf_status rf_saved_job_add_loras(rf_saved_job *saved, int stage, int count, rf_error *err)
{
    rf_saved_loras *l = &saved->loras[stage];
    l->use = calloc((size_t)count, sizeof *l->use);
    l->file = calloc((size_t)count, sizeof *l->file);
    if (!l->use || !l->file)
        return rf_fail(err, RF_E_NOMEM, "no memory for the %d LoRAs of a saved job", count);
    l->count = count;
    saved->stage[stage].loras = l->use;
    saved->stage[stage].lora_count = count;
    return RF_OK;
}

rf_status rf_saved_job_keep(rf_saved_job *saved, const char **out, const char *text, rf_error *err)
{
    *out = add_copy(&saved->string, text);
    return *out ? RF_OK : rf_fail(err, RF_E_NOMEM, "no memory for the texts of a saved job");
}

rf_status rf_saved_job_add_note(rf_saved_job *saved, rf_error *err, const char *format, ...)
{
    char    note[NOTE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    rf_make_printable(note);
    return add_copy(&saved->note, note)
               ? RF_OK
               : rf_fail(err, RF_E_NOMEM, "no memory for the notes on a saved job");
}

const rf_job *rf_saved_job_get(const rf_saved_job *saved)
{
    return &saved->job;
}

rf_file_ref rf_saved_job_file(const rf_saved_job *saved, int stage)
{
    if (stage == -1) return saved->vae;
    return stage >= 0 && stage < saved->job.stage_count ? saved->file[stage] : (rf_file_ref){0};
}

rf_file_ref rf_saved_job_embedding(const rf_saved_job *saved, int embedding)
{
    if (embedding < 0 || embedding >= saved->job.embedding_count) return (rf_file_ref){0};
    return saved->embedding_file[embedding];
}

rf_file_ref rf_saved_job_lora(const rf_saved_job *saved, int stage, int lora)
{
    if (stage < 0 || stage >= saved->job.stage_count) return (rf_file_ref){0};
    const rf_saved_loras *l = &saved->loras[stage];
    return lora >= 0 && lora < l->count ? l->file[lora] : (rf_file_ref){0};
}

const char *rf_saved_job_dtype(const rf_saved_job *saved)
{
    return saved->dtype;
}

const char *rf_saved_job_note(const rf_saved_job *saved, int i)
{
    return i >= 0 && (size_t)i < saved->note.count ? saved->note.at[i] : NULL;
}
