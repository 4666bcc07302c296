/* Explanations, for tests of the command: a prompt may be one edit "[a:b:switch]" with text behind
 * it, sides of an AND, and hold BREAK; a bracket gives its text the weight 1.1.  Every step is one
 * call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/fake_engine.h"

enum { PARTS = 3, STEPS = 10000 };

typedef struct fake_prompt {
    rf_part_info  part[PARTS];
    rf_entry_info entry[PARTS][2];
    rf_piece_info piece[PARTS][2][2];
    char          text[PARTS][2][4096], whole[PARTS][4096];
} fake_prompt;

typedef struct fake_explanation {
    rf_explanation x; /* first: freed as this */
    rf_prompt_set  set[64];
    fake_prompt    prompt[64], negative[64];
    double         sigma[STEPS + 1], timestep[STEPS];
    rf_call_info   call[STEPS];
    int            used[2][PARTS]; /* entries before and after the switch */
    rf_switch_info handover[63];
    const char    *warning[1];
} fake_explanation;

/* "[a:b:switch]c" to "ac" and "bc"; how many. */
static int split_edit(char out[2][4096], const char *text, size_t len)
{
    const char *middle = memchr(text, ':', len), *end = strstr(text, ":switch]");
    if (*text != '[' || !middle || !end || middle >= end || end >= text + len) {
        snprintf(out[0], 4096, "%.*s", (int)len, text);
        return 1;
    }
    const int tail = (int)(text + len - (end + 8));
    snprintf(out[0], 4096, "%.*s%.*s", (int)(middle - text - 1), text + 1, tail, end + 8);
    snprintf(out[1], 4096, "%.*s%.*s", (int)(end - middle - 1), middle + 1, tail, end + 8);
    return 2;
}

static void fill_part(fake_prompt *p, int i, const char *text, size_t len, const rf_job *job)
{
    const int switch_call = job->stage_count > 1 ? fake_first_step(job, 0) : job->steps;
    int       entries = split_edit(p->text[i], text, len);
    if (job->stage_count == 1) entries = 1;
    snprintf(p->whole[i], sizeof p->whole[i], "%.*s", (int)len, text);
    p->part[i] =
        (rf_part_info){.text = p->whole[i], .weight = 1, .entry = p->entry[i], .entries = entries};
    for (int j = 0; j < entries; j++) {
        const char *t = p->text[i][j];
        p->piece[i][j][0] = (rf_piece_info){t, strpbrk(t, "([") ? 1.1 : 1, 0};
        p->piece[i][j][1] = (rf_piece_info){"BREAK", -1, 1};
        p->entry[i][j] = (rf_entry_info){.until = j + 1 < entries ? switch_call - 1 : job->steps,
                                         .text = t,
                                         .piece = p->piece[i][j],
                                         .pieces = strstr(t, "BREAK") ? 2 : 1,
                                         .tokens = (int)strlen(t),
                                         .chunks = 1 + (int)strlen(t) / 75};
    }
}

static rf_prompt_info fill_prompt(fake_prompt *p, const char *given, const rf_job *job)
{
    const char *const text = given ? given : "";
    int               i = 0;
    for (const char *at = text; i < PARTS; i++) {
        const char *and = strstr(at, " AND ");
        fill_part(p, i, at, and&&i + 1 < PARTS ? (size_t)(and-at) : strlen(at), job);
        if (!and || i + 1 == PARTS) break;
        at = and+5;
    }
    return (rf_prompt_info){.text = text, .part = p->part, .parts = i + 1};
}

/* `set_of`: each stage's set.  An edit is at its second text from the first hand-over on. */
static void fill_calls(fake_explanation *e, const rf_job *job, const int *set_of)
{
    const int last = job->stage_count - 1;
    for (int p = 0; p < PARTS; p++) e->used[1][p] = 1;
    for (int k = 0; k < job->steps; k++) {
        int stage = 0;
        while (stage < last && k >= fake_first_step(job, stage)) stage++;
        const int set = set_of[stage];
        e->sigma[k] = 14.6146 * (1 - (double)k / job->steps);
        e->timestep[k] = 999.0 * (1 - (double)k / job->steps);
        e->call[k] = (rf_call_info){
            .step = k,
            .stage = stage,
            .prompt_set = set,
            .sigma = e->sigma[k],
            .timestep = e->timestep[k],
            .prompt_entry = e->used[stage && e->set[set].prompt.part[0].entries > 1],
            .negative_entry = stage && e->set[set].negative.part[0].entries > 1,
            .negative_skipped = job->stages[0].cfg_scale == 1,
            .cfg_scale = (double)job->stages[stage].cfg_scale,
        };
    }
    for (int i = 0; i < last; i++) {
        const int first = fake_first_step(job, i);
        e->handover[i] = (rf_switch_info){.stage = i + 1, .call = -1, .step = -1};
        if (first < job->steps)
            e->handover[i] = (rf_switch_info){i + 1, first, first, e->sigma[first], 0.25};
    }
}

rf_status rf_explain(const rf_explanation **out, rf_engine *engine, const rf_job *job,
                     int hires_steps, rf_error *err)
{
    const rf_status st = fake_job_check(job, err);
    (void)engine;
    *out = NULL;
    if (st != RF_OK) return st;
    fake_explanation *e = calloc(1, sizeof *e);
    if (!e) return rf_fail(err, RF_E_NOMEM, "no memory");
    rf_job pass = *job;
    if (hires_steps) pass.steps = hires_steps;
    int sets = 0, set_of[64] = {0};
    for (int i = 0; i < job->stage_count; i++) {
        const rf_stage *s = &job->stages[i];
        if (i == 0 || s->prompt) {
            e->set[sets].prompt = fill_prompt(&e->prompt[sets], s->prompt, &pass);
            e->set[sets].negative = fill_prompt(
                &e->negative[sets], s->negative ? s->negative : job->stages[0].negative, &pass);
            sets++;
        }
        set_of[i] = sets - 1;
    }
    fill_calls(e, &pass, set_of);
    e->warning[0] = "as ordered";
    e->x = (rf_explanation){.set = e->set,
                            .sets = sets,
                            .sigmas = e->sigma,
                            .sigma_count = pass.steps + 1,
                            .timesteps = e->timestep,
                            .timestep_count = pass.steps,
                            .call = e->call,
                            .calls = pass.steps,
                            .handover = e->handover,
                            .handovers = job->stage_count - 1,
                            .sampler = job->sampler,
                            .schedule = job->schedule,
                            .switch_by = job->switch_by,
                            .warning = e->warning,
                            .warnings = strstr(e->set[0].prompt.text, "!warn") != NULL};
    *out = &e->x;
    return RF_OK;
}

void rf_explanation_free(const rf_explanation *explanation)
{
    free((void *)explanation);
}
