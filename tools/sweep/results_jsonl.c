/* results.jsonl: a line per cell; see report.h.  Schema 1, to which keys may only be added. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/cell_facts.h"
#include "tools/sweep/report.h"
#include "tools/text_file.h"

static void put_seed(rf_json_writer *w, const char *key, uint64_t seed)
{
    char text[24]; /* JSON's integers have no limit; rf_json_put_int's do */
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    rf_json_put_raw(w, key, text);
}

static void put_axes(rf_json_writer *w, const rf_cells *cells, const rf_cell *cell)
{
    static const char *const KEYS[RF_AXES] = {"x", "y", "z"};
    for (int i = 0; i < RF_AXES; i++) {
        const rf_axis *axis = &cells->axis[i];
        if (axis->kind == RF_VARY_NOTHING) continue;
        const rf_axis_value *value = &axis->value[cell->at[i]];
        rf_json_open(w, KEYS[i], '{');
        rf_json_put_text(w, "axis", axis->name);
        if (isfinite(value->number))
            rf_json_put_raw(w, "value", value->text); /* also of seeds that no double holds */
        else
            rf_json_put_text(w, "value", value->text);
        rf_json_close(w, '}');
    }
}

/* What a stage has of its own, where it has any. */
static void put_own(rf_json_writer *w, const rf_stage *s)
{
    const rf_stage_sampling *own = s->sampling;
    if (s->cfg_ramp != 0) rf_json_put_float(w, "cfg_ramp", s->cfg_ramp);
    if (s->clip_skip) rf_json_put_int(w, "clip_skip", s->clip_skip);
    if (own) {
        rf_json_put_real(w, "eta", own->eta);
        rf_json_put_real(w, "s_churn", own->s_churn);
        rf_json_put_real(w, "s_tmin", own->s_tmin);
        rf_json_put_real(w, "s_tmax", own->s_tmax);
        rf_json_put_real(w, "s_noise", own->s_noise);
    }
    if (s->lora_count == 0) return;
    rf_json_open(w, "loras", '[');
    for (int i = 0; i < s->lora_count; i++) {
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "path", s->loras[i].path);
        rf_json_put_real(w, "unet", s->loras[i].unet);
        rf_json_put_real(w, "text", s->loras[i].text);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

static void put_stages(rf_json_writer *w, const rf_cells *cells, const rf_cell *cell)
{
    const rf_job *job = &cell->job;
    rf_json_open(w, "stages", '[');
    for (int i = 0; i < job->stage_count; i++) {
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "file", rf_stage_file(cells, cell, i));
        if (i + 1 < job->stage_count) rf_json_put_real(w, "until", job->stages[i].until);
        rf_json_put_text(w, "prompt", rf_stage_prompt(job, i));
        rf_json_put_text(w, "negative", rf_stage_negative(job, i));
        rf_json_put_float(w, "cfg_scale", rf_stage_cfg(job, i));
        rf_json_put_text(w, "sampler", rf_stage_sampler(job, i));
        put_own(w, &job->stages[i]);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

/* What the cells begin from; null: noise. */
static void put_init(rf_json_writer *w, const rf_init *init)
{
    if (!init) {
        rf_json_put_null(w, "init");
        return;
    }
    rf_json_open(w, "init", '{');
    rf_json_put_text(w, "path", init->path);
    rf_json_put_text(w, "sha256", init->sha256);
    rf_json_put_text(w, "mask", init->mask_path);
    rf_json_put_text(w, "mask_sha256", init->mask_sha256);
    rf_json_put_real(w, "denoise", init->denoise);
    rf_json_put_bool(w, "exact_steps", init->exact_steps);
    rf_json_close(w, '}');
}

/* Everything that the job says, in its words; NaN and "the model's own" are null. */
static void put_job(rf_json_writer *w, const rf_cells *cells, const rf_cell *cell)
{
    const rf_job *job = &cell->job;
    rf_json_open(w, "job", '{');
    put_stages(w, cells, cell);
    rf_json_put_text(w, "switch_by", job->switch_by);
    rf_json_put_text(w, "compat", job->compat);
    rf_json_put_text(w, "sampler", job->sampler);
    rf_json_put_text(w, "schedule", job->schedule);
    rf_json_put_text(w, "sigmas", job->sigmas);
    rf_json_put_text(w, "rng", job->rng);
    rf_json_put_text(w, "emphasis", job->emphasis);
    rf_json_put_text(w, "vae", job->vae);
    rf_json_put_int(w, "steps", job->steps);
    rf_json_put_int(w, "width", job->width);
    rf_json_put_int(w, "height", job->height);
    rf_json_put_real(w, "sigma_min", job->sigma_min);
    rf_json_put_real(w, "sigma_max", job->sigma_max);
    rf_json_put_real(w, "rho", job->rho);
    rf_json_put_bool(w, "discard_penultimate", job->discard_penultimate);
    rf_json_put_real(w, "eta", job->eta);
    rf_json_put_real(w, "s_churn", job->s_churn);
    rf_json_put_real(w, "s_tmin", job->s_tmin);
    rf_json_put_real(w, "s_tmax", job->s_tmax);
    rf_json_put_real(w, "s_noise", job->s_noise);
    rf_json_put_int(w, "ensd", job->ensd);
    rf_json_put_real(w, "skip_early_cfg", job->skip_early_cfg);
    rf_json_put_real(w, "s_min_uncond", job->s_min_uncond);
    rf_json_put_bool(w, "s_min_uncond_all", job->s_min_uncond_all);
    put_seed(w, "variation_seed", job->variation_seed);
    rf_json_put_real(w, "variation", job->variation);
    rf_json_put_int(w, "seed_width", job->seed_width);
    rf_json_put_int(w, "seed_height", job->seed_height);
    rf_json_put_int(w, "clip_skip", job->clip_skip);
    rf_json_put_bool(w, "clip_l_skip", job->clip_l_skip);
    rf_json_put_bool(w, "old_edits", job->old_edits);
    rf_json_put_int(w, "original_width", job->original_width);
    rf_json_put_int(w, "original_height", job->original_height);
    rf_json_put_int(w, "target_width", job->target_width);
    rf_json_put_int(w, "target_height", job->target_height);
    rf_json_put_int(w, "crop_left", job->crop_left);
    rf_json_put_int(w, "crop_top", job->crop_top);
    put_init(w, job->init);
    rf_json_put_real(w, "aesthetic", job->aesthetic);
    rf_json_put_real(w, "aesthetic_negative", job->aesthetic_negative);
    rf_json_close(w, '}');
}

static void put_cell(FILE *out, const rf_sweep_story *story, int i)
{
    static const char *const STATES[] = {"open", "done", "failed"};
    const rf_cell           *cell = &story->cells->cell[i];
    const rf_cell_record    *record = &story->record[i];
    rf_json_writer           w = {.out = out};
    char                     file[256];
    snprintf(file, sizeof file, "cells/%.200s.png", cell->name);
    rf_json_open(&w, NULL, '{');
    rf_json_put_int(&w, "schema", 1);
    rf_json_put_text(&w, "name", cell->name);
    put_axes(&w, story->cells, cell);
    put_seed(&w, "seed", cell->job.seed);
    rf_json_put_text(&w, "state", STATES[record->state]);
    rf_json_put_text(&w, "file", record->state == RF_CELL_DONE ? file : NULL);
    rf_json_put_text(&w, "sha256", record->sha256);
    rf_json_put_text(&w, "error", record->error);
    if (record->state == RF_CELL_OPEN)
        rf_json_put_null(&w, "seconds");
    else
        rf_json_put_real(&w, "seconds", record->seconds);
    put_job(&w, story->cells, cell);
    rf_json_close(&w, '}');
    fputc('\n', out);
}

rf_status rf_results_write(const rf_sweep_story *story, rf_error *err)
{
    rf_status    st = RF_OK;
    rf_text_file file = {0};
    const size_t room = strlen(story->folder) + sizeof "/results.jsonl";
    char        *path = malloc(room);
    if (!path) return rf_fail(err, RF_E_NOMEM, "no memory for the name of results.jsonl");
    snprintf(path, room, "%s/results.jsonl", story->folder);
    RF_TRY(rf_text_file_create(&file, path, err));
    for (int i = 0; i < story->cells->count; i++) put_cell(file.out, story, i);
    RF_TRY(rf_text_file_commit(&file, err));
done:
    rf_text_file_discard(&file);
    free(path);
    return st;
}
