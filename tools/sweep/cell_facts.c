/* See cell_facts.h. */
#include "tools/sweep/cell_facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- stages ------------------------------------------------------------------------------- */

const char *rf_stage_prompt(const rf_job *job, int stage)
{
    while (stage > 0 && !job->stages[stage].prompt) stage--;
    return job->stages[stage].prompt ? job->stages[stage].prompt : "";
}

const char *rf_stage_negative(const rf_job *job, int stage)
{
    while (stage > 0 && !job->stages[stage].negative) stage--;
    return job->stages[stage].negative ? job->stages[stage].negative : "";
}

const char *rf_stage_sampler(const rf_job *job, int stage)
{
    const char *own = job->stages[stage].sampler;
    return own ? own : job->sampler ? job->sampler : "";
}

float rf_stage_cfg(const rf_job *job, int stage)
{
    const rf_stage *s = job->stages;
    int             from = stage;
    while (from > 0 && s[from].cfg_scale < 0) from--;
    float cfg = s[from].cfg_scale < 0 ? 6 : s[from].cfg_scale; /* rf_stage's default */
    for (; from < stage; from++)
        if (s[from].cfg_ramp != 0) cfg = fmaxf(0, cfg + s[from].cfg_ramp);
    return cfg;
}

const char *rf_stage_file(const rf_cells *cells, const rf_cell *cell, int stage)
{
    const int file = stage < cell->job.stage_count ? cell->file[stage] : -1;
    return file >= 0 && file < cells->files ? cells->file[file] : NULL;
}

/* ---- facts -------------------------------------------------------------------------------- */

static void put_text(rf_fact **at, const char *name, const char *text)
{
    **at = (rf_fact){.name = name, .text = text && *text ? text : NULL};
    (*at)++;
}

/* A number that is left out where it is not `told`. */
static void put_number(rf_fact **at, const char *name, double v, int told)
{
    rf_fact *fact = *at;
    char     text[RF_REAL_BYTES];
    put_text(at, name, NULL);
    if (!told) return;
    snprintf(fact->number, sizeof fact->number, "%s", rf_real_text(text, v));
    fact->text = fact->number;
}

static void put_seed(rf_fact **at, const char *name, uint64_t seed, int told)
{
    rf_fact *fact = *at;
    put_text(at, name, NULL);
    if (!told) return;
    snprintf(fact->number, sizeof fact->number, "%llu", (unsigned long long)seed);
    fact->text = fact->number;
}

/* 7.1f is told as 7.1, not as the double that it is. */
static double as_told(float v)
{
    return round((double)v * 1e5) / 1e5;
}

static const char *unless_same(const char *text, const char *other)
{
    return strcmp(text, other) == 0 ? NULL : text;
}

static void put_relay(rf_fact **at, const rf_cells *cells, const rf_cell *cell)
{
    const rf_job *job = &cell->job;
    const int     two = job->stage_count > 1;
    char          text[RF_REAL_BYTES];
    put_text(at, "Base", rf_stage_file(cells, cell, 0));
    put_text(at, "Refiner", two ? rf_stage_file(cells, cell, 1) : NULL);
    put_text(at, "VAE", job->vae);
    rf_fact *fact = *at;
    put_text(at, "Refiner switch at", NULL);
    if (two) {
        snprintf(fact->number, sizeof fact->number, "%s (by %.40s)",
                 rf_real_text(text, job->stages[0].until),
                 job->switch_by ? job->switch_by : "steps");
        fact->text = fact->number;
    }
    put_text(at, "Prompt", rf_stage_prompt(job, 0));
    put_text(at, "Negative prompt", rf_stage_negative(job, 0));
    put_text(at, "Refiner prompt",
             two ? unless_same(rf_stage_prompt(job, 1), rf_stage_prompt(job, 0)) : NULL);
    put_text(at, "Refiner negative",
             two ? unless_same(rf_stage_negative(job, 1), rf_stage_negative(job, 0)) : NULL);
    const float cfg = rf_stage_cfg(job, 0), after = two ? rf_stage_cfg(job, 1) : cfg;
    put_number(at, "CFG scale", as_told(cfg), 1);
    put_number(at, "Refiner CFG scale", as_told(after), after < cfg || after > cfg);
    put_text(at, "Sampler", rf_stage_sampler(job, 0));
    put_text(at, "Refiner sampler",
             two ? unless_same(rf_stage_sampler(job, 1), rf_stage_sampler(job, 0)) : NULL);
}

/* Of more than two stages: "pony.safetensors to 0.3, anime.safetensors to 0.8, pony.safetensors",
 * as much of it as there is room for. */
static void put_stages(rf_fact **at, const rf_cells *cells, const rf_cell *cell)
{
    const rf_job *job = &cell->job;
    rf_fact      *fact = *at;
    size_t        used = 0;
    char          until[RF_REAL_BYTES];
    put_text(at, "Stages", NULL);
    if (job->stage_count < 3) return;
    for (int i = 0; i < job->stage_count && used < sizeof fact->number; i++) {
        const char *file = rf_stage_file(cells, cell, i), *slash = file ? strrchr(file, '/') : NULL;
        const int   last = i + 1 == job->stage_count;
        used += (size_t)snprintf(fact->number + used, sizeof fact->number - used, "%s%.60s%s%s",
                                 i ? ", " : "", slash ? slash + 1 : (file ? file : "-"),
                                 last ? "" : " to ",
                                 last ? "" : rf_real_text(until, job->stages[i].until));
    }
    fact->text = fact->number;
}

void rf_cell_facts(rf_fact fact[RF_FACTS], const rf_cells *cells, const rf_cell *cell)
{
    const rf_job *job = &cell->job;
    rf_fact      *at = fact;
    put_relay(&at, cells, cell);
    put_stages(&at, cells, cell);
    put_number(&at, "Steps", job->steps, 1);
    put_text(&at, "Schedule", job->schedule);
    put_text(&at, "Sigmas", job->sigmas);
    rf_fact *size = at;
    put_text(&at, "Size", NULL);
    snprintf(size->number, sizeof size->number, "%dx%d", job->width, job->height);
    size->text = size->number;
    put_seed(&at, "Seed", job->seed, 1);
    put_seed(&at, "Variation seed", job->variation_seed, job->variation > 0);
    put_number(&at, "Variation strength", job->variation, job->variation > 0);
    put_number(&at, "Clip skip", job->clip_skip, job->clip_skip > 1);
    put_number(&at, "Eta", job->eta, !isnan(job->eta));
    put_number(&at, "Sigma min", job->sigma_min, job->sigma_min > 0);
    put_number(&at, "Sigma max", job->sigma_max, job->sigma_max > 0);
    put_number(&at, "Rho", job->rho, job->rho > 0);
    put_text(&at, "Begins from", job->init ? job->init->path : NULL);
    put_text(&at, "Mask", job->init ? job->init->mask_path : NULL);
    put_number(&at, "Denoising strength", job->init ? job->init->denoise : 0, job->init != NULL);
}
