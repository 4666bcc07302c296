/* `refinery explain --json`: schema 1, to which keys may only be added. */
#include <stdio.h>

#include "tools/explain_report.h"
#include "tools/json_writer.h"

static void put_entry(rf_json_writer *w, const rf_entry_info *entry)
{
    rf_json_open(w, NULL, '{');
    rf_json_put_int(w, "until", entry->until);
    rf_json_put_text(w, "text", entry->text);
    rf_json_open(w, "attention", '[');
    for (int i = 0; i < entry->pieces; i++) {
        rf_json_open(w, NULL, '[');
        rf_json_put_text(w, NULL, entry->piece[i].is_break ? "BREAK" : entry->piece[i].text);
        rf_json_put_real(w, NULL, entry->piece[i].weight);
        rf_json_close(w, ']');
    }
    rf_json_close(w, ']');
    rf_json_put_int(w, "tokens", entry->tokens);
    rf_json_put_int(w, "chunks", entry->chunks);
    rf_json_close(w, '}');
}

static void put_prompt(rf_json_writer *w, const char *key, const rf_prompt_info *prompt)
{
    rf_json_open(w, key, '{');
    rf_json_open(w, "parts", '[');
    for (int i = 0; i < prompt->parts; i++) {
        const rf_part_info *part = &prompt->part[i];
        rf_json_open(w, NULL, '{');
        rf_json_put_real(w, "weight", part->weight);
        rf_json_put_text(w, "text", part->text);
        rf_json_open(w, "schedule", '[');
        for (int j = 0; j < part->entries; j++) put_entry(w, &part->entry[j]);
        rf_json_close(w, ']');
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
    rf_json_close(w, '}');
}

static void put_call(rf_json_writer *w, const rf_explanation *x, int k)
{
    const rf_call_info *call = &x->call[k];
    rf_json_open(w, NULL, '{');
    rf_json_put_int(w, "call", k);
    rf_json_put_int(w, "step", call->step);
    rf_json_put_real(w, "sigma", call->sigma);
    rf_json_put_real(w, "timestep", call->timestep);
    rf_json_put_int(w, "stage", call->stage);
    rf_json_put_int(w, "prompt_set", call->prompt_set);
    rf_json_open(w, "prompt_entry", '[');
    for (int i = 0; i < x->set[call->prompt_set].prompt.parts; i++)
        rf_json_put_int(w, NULL, call->prompt_entry[i]);
    rf_json_close(w, ']');
    rf_json_put_int(w, "negative_entry", call->negative_entry);
    rf_json_put_bool(w, "negative_skipped", call->negative_skipped);
    rf_json_put_real(w, "cfg_scale", call->cfg_scale);
    rf_json_close(w, '}');
}

/* A hand-over that never happens is told as one at the end, beyond the last call. */
static void put_places(rf_json_writer *w, const rf_explanation *x, int call, int step)
{
    rf_json_put_int(w, "call", call < 0 ? x->calls : call);
    rf_json_put_int(w, "step", call < 0 ? x->sigma_count - 1 : step);
}

static void put_handover(rf_json_writer *w, const rf_explained *e, const rf_switch_info *at)
{
    put_places(w, e->explanation, at->call, at->step);
    rf_json_put_real(w, "sigma", at->sigma);
    rf_json_put_float(w, "ratio", (float)at->ratio); /* A1111 computes it in f32 */
    rf_json_put_bool(w, "happens", at->call >= 0);
    rf_json_put_text(w, "by", e->explanation->switch_by);
    rf_json_put_real(w, "at", e->job->stages[at->stage - 1].until);
}

static void put_switch(rf_json_writer *w, const rf_explained *e)
{
    const rf_explanation *x = e->explanation;
    if (x->handovers == 0) {
        rf_json_put_null(w, "switch");
        return;
    }
    rf_json_open(w, "switch", '{');
    put_handover(w, e, &x->handover[0]);
    rf_json_open(w, "by_rule", '{');
    for (int i = 0; i < e->landings; i++) {
        rf_json_open(w, e->landing[i].rule, '{');
        put_places(w, x, e->landing[i].call, e->landing[i].step);
        rf_json_close(w, '}');
    }
    rf_json_close(w, '}');
    rf_json_close(w, '}');
}

/* All of them, the one above included. */
static void put_switches(rf_json_writer *w, const rf_explained *e)
{
    rf_json_open(w, "switches", '[');
    for (int i = 0; i < e->explanation->handovers; i++) {
        rf_json_open(w, NULL, '{');
        rf_json_put_int(w, "stage", e->explanation->handover[i].stage);
        put_handover(w, e, &e->explanation->handover[i]);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

/* One list per stage. */
static void put_loras(rf_json_writer *w, const rf_job *job)
{
    rf_json_open(w, "loras", '[');
    for (int i = 0; i < job->stage_count; i++) {
        rf_json_open(w, NULL, '[');
        for (int k = 0; k < job->stages[i].lora_count; k++) {
            const rf_lora_use *use = &job->stages[i].loras[k];
            rf_json_open(w, NULL, '{');
            rf_json_put_text(w, "path", use->path);
            rf_json_put_real(w, "unet", use->unet);
            rf_json_put_real(w, "text", use->text);
            rf_json_put_bool(w, "everywhere", use->everywhere);
            rf_json_put_bool(w, "partial", use->partial);
            rf_json_close(w, '}');
        }
        rf_json_close(w, ']');
    }
    rf_json_close(w, ']');
}

/* Of each stage's expert; null where it has none. */
static void put_predictions(rf_json_writer *w, const rf_job *job)
{
    rf_json_open(w, "predictions", '[');
    for (int i = 0; i < job->stage_count; i++) {
        rf_prediction_info p;
        if (!job->stages[i].expert) {
            rf_json_put_null(w, NULL);
            continue;
        }
        rf_expert_get_prediction(job->stages[i].expert, &p);
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "prediction", p.prediction);
        rf_json_put_bool(w, "ztsnr", p.ztsnr);
        rf_json_put_real(w, "sigma_min", p.sigma_min);
        rf_json_put_real(w, "sigma_max", p.sigma_max);
        rf_json_put_text(w, "reason", p.reason);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

/* What stages have of their own; null: the job's. */
static void put_stages(rf_json_writer *w, const rf_job *job)
{
    rf_json_open(w, "stages", '[');
    for (int i = 0; i < job->stage_count; i++) {
        const rf_stage          *s = &job->stages[i];
        const rf_stage_sampling *own = s->sampling;
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "expert", s->expert ? rf_expert_name(s->expert) : NULL);
        rf_json_put_text(w, "sampler", s->sampler);
        rf_json_put_float(w, "cfg_ramp", s->cfg_ramp);
        if (s->clip_skip)
            rf_json_put_int(w, "clip_skip", s->clip_skip);
        else
            rf_json_put_null(w, "clip_skip");
        if (own) {
            rf_json_open(w, "sampling", '{');
            rf_json_put_real(w, "eta", own->eta);
            rf_json_put_real(w, "s_churn", own->s_churn);
            rf_json_put_real(w, "s_tmin", own->s_tmin);
            rf_json_put_real(w, "s_tmax", own->s_tmax);
            rf_json_put_real(w, "s_noise", own->s_noise);
            rf_json_close(w, '}');
        } else {
            rf_json_put_null(w, "sampling");
        }
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

static void put_reals(rf_json_writer *w, const char *key, const double *value, int count)
{
    rf_json_open(w, key, '[');
    for (int i = 0; i < count; i++) rf_json_put_real(w, NULL, value[i]);
    rf_json_close(w, ']');
}

void rf_explain_print_json(const rf_explained *e)
{
    const rf_explanation *x = e->explanation;
    rf_json_writer        w = {.out = stdout};
    rf_json_open(&w, NULL, '{');
    rf_json_put_int(&w, "schema", 1);
    put_prompt(&w, "prompt", &x->set[0].prompt);
    put_prompt(&w, "negative", &x->set[0].negative);
    rf_json_open(&w, "prompt_sets", '[');
    for (int i = 0; i < x->sets; i++) {
        rf_json_open(&w, NULL, '{');
        put_prompt(&w, "prompt", &x->set[i].prompt);
        put_prompt(&w, "negative", &x->set[i].negative);
        rf_json_close(&w, '}');
    }
    rf_json_close(&w, ']');
    put_reals(&w, "sigmas", x->sigmas, x->sigma_count);
    put_reals(&w, "timesteps", x->timesteps, x->timestep_count);
    rf_json_open(&w, "calls", '[');
    for (int i = 0; i < x->calls; i++) put_call(&w, x, i);
    rf_json_close(&w, ']');
    put_switch(&w, e);
    put_switches(&w, e);
    put_loras(&w, e->job);
    put_predictions(&w, e->job);
    put_stages(&w, e->job);
    rf_json_open(&w, "warnings", '[');
    for (int i = 0; i < x->warnings; i++) rf_json_put_text(&w, NULL, x->warning[i]);
    rf_json_close(&w, ']');
    rf_json_put_text(&w, "sampler", x->sampler);
    rf_json_put_text(&w, "scheduler", x->schedule);
    rf_json_put_int(&w, "steps", e->job->steps);
    rf_json_close(&w, '}');
    fputc('\n', stdout);
}
