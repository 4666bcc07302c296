/* Cells of sweeps: each is the job that `render` would have for the same values. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/sweep/cells.h"

static rf_trouble trouble;

enum { HEARD_MAX = 16, ARGS_MAX = 32 };

static char heard[HEARD_MAX][400];
static int  heards;

static void hear(void *user, const char *message)
{
    (void)user;
    if (heards < HEARD_MAX) snprintf(heard[heards++], sizeof heard[0], "%s", message);
}

static void ignore(void *user, const char *message)
{
    (void)user;
    (void)message;
}

/* Whether exactly one warning was heard, with this in it; "" for none at all. */
static int only_heard(const char *part)
{
    return *part ? heards == 1 && strstr(heard[0], part) : heards == 0;
}

/* The settled request of `refinery render ARGS`, in which ';' separates arguments. */
static void settle(rf_request *q, const char *args)
{
    static char   words[2][1000]; /* options point into it: two requests live at a time */
    static int    turn;
    char         *argv[ARGS_MAX + 1];
    int           argc = 0;
    rf_invocation in = {.verb = &rf_verb_render, .values = q};
    char         *rest = words[turn ^= 1];
    cr_assert_lt(strlen(args), sizeof words[0]);
    strcpy(rest, args);
    memset(q, 0, sizeof *q);
    for (char *w; argc < ARGS_MAX && (w = strsep(&rest, ";"));) argv[argc++] = w;
    argv[argc] = NULL;
    rf_request_prepare(q);
    cr_assert_eq(rf_options_parse(in.verb, *args ? argc : 0, argv, q, &in.args, &in.trouble), RF_OK,
                 "%s: %s", args, in.trouble.error.message);
    cr_assert_eq(rf_request_settle(&in, q, ignore, NULL), RF_OK, "%s: %s", args,
                 in.trouble.error.message);
}

static rf_status make(rf_cells *cells, const rf_request *q, const char *x, const char *y,
                      const char *z)
{
    const char *const text[] = {x, y, z}, *const flag[] = {"--x", "--y", "--z"};
    rf_axis axis[RF_AXES];
    trouble = (rf_trouble){0};
    heards = 0;
    for (int a = 0; a < RF_AXES; a++)
        cr_assert_eq(rf_axis_parse(&axis[a], flag[a], text[a], &trouble), RF_OK, "%s: %s", text[a],
                     trouble.error.message);
    const rf_status st = rf_cells_make(cells, q, axis, hear, NULL, &trouble);
    for (int a = 0; a < RF_AXES; a++) cr_expect(!axis[a].value, "the axes were not taken over");
    return st;
}

/* ---- the same job ------------------------------------------------------------------------- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int same_real(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void expect_same_stage(const rf_stage *a, const rf_stage *b, const char *what)
{
    cr_expect(!a->expert && same_real(a->until, b->until), "%s: until %g, %g", what, a->until,
              b->until);
    cr_expect(same_text(a->prompt, b->prompt), "%s: prompt %s, %s", what, a->prompt, b->prompt);
    cr_expect(same_text(a->negative, b->negative), "%s: negative %s, %s", what, a->negative,
              b->negative);
    cr_expect(same_real((double)a->cfg_scale, (double)b->cfg_scale), "%s: cfg %g, %g", what,
              (double)a->cfg_scale, (double)b->cfg_scale);
    cr_expect(same_text(a->sampler, b->sampler), "%s: sampler %s, %s", what, a->sampler,
              b->sampler);
}

/* All members, by their kinds; a member that is forgotten here would go unnoticed. */
static void expect_same_job(const rf_job *a, const rf_job *b, const char *what)
{
    cr_expect(same_text(a->switch_by, b->switch_by) && same_text(a->compat, b->compat) &&
                  same_text(a->sampler, b->sampler) && same_text(a->schedule, b->schedule) &&
                  same_text(a->sigmas, b->sigmas) && same_text(a->rng, b->rng) &&
                  same_text(a->emphasis, b->emphasis) && same_text(a->vae, b->vae),
              "%s: texts differ", what);
    cr_expect(a->steps == b->steps && a->width == b->width && a->height == b->height &&
                  a->seed == b->seed && a->count == b->count && a->batch == b->batch &&
                  a->discard_penultimate == b->discard_penultimate && a->ensd == b->ensd &&
                  a->s_min_uncond_all == b->s_min_uncond_all &&
                  a->variation_seed == b->variation_seed && a->seed_width == b->seed_width &&
                  a->seed_height == b->seed_height && a->clip_skip == b->clip_skip &&
                  a->clip_l_skip == b->clip_l_skip && a->old_edits == b->old_edits &&
                  a->original_width == b->original_width &&
                  a->original_height == b->original_height && a->target_width == b->target_width &&
                  a->target_height == b->target_height && a->crop_left == b->crop_left &&
                  a->crop_top == b->crop_top,
              "%s: whole numbers differ", what);
    cr_expect(same_real(a->sigma_min, b->sigma_min) && same_real(a->sigma_max, b->sigma_max) &&
                  same_real(a->rho, b->rho) && same_real(a->eta, b->eta) &&
                  same_real(a->s_churn, b->s_churn) && same_real(a->s_tmin, b->s_tmin) &&
                  same_real(a->s_tmax, b->s_tmax) && same_real(a->s_noise, b->s_noise) &&
                  same_real(a->skip_early_cfg, b->skip_early_cfg) &&
                  same_real(a->s_min_uncond, b->s_min_uncond) &&
                  same_real(a->variation, b->variation),
              "%s: numbers differ", what);
    cr_assert_eq(a->stage_count, b->stage_count, "%s: %d and %d stages", what, a->stage_count,
                 b->stage_count);
    for (int s = 0; s < a->stage_count; s++) expect_same_stage(&a->stages[s], &b->stages[s], what);
}

static const char *file_of(const rf_cells *cells, int cell, int stage)
{
    const int file = cells->cell[cell].file[stage];
    return file < 0 ? NULL : cells->file[file];
}

/* ---- values ------------------------------------------------------------------------------- */

#define TWO "-m;b.st;-r;r.st;-p;a cat;-n;bad cat"

Test(sweep_cells, each_value_gives_the_job_of_the_option)
{
    static const struct {
        const char *before, *axis;
        int         value;
        const char *after; /* what render is told for that value */
    } ROW[] = {
        {TWO, "switch: 0-1 [11]", 3, TWO ";-x;0.3"},
        {TWO, "switch: 0, 1", 0, TWO ";-x;0"},
        {TWO, "switch: 0, 1", 1, TWO ";-x;1"},
        {TWO ";--switch-by;step", "switch: 5-30 (+5)", 2, TWO ";--switch-by;step;-x;15"},
        {TWO ";--switch-by;sigma", "switch: 4, 2.5", 1, TWO ";--switch-by;sigma;-x;2.5"},
        {TWO, "Seed: 9007199254740992-9007199254740993", 1, TWO ";-s;9007199254740993"},
        {TWO ";--variation-strength;0.1", "Var. seed: 3,4", 1,
         TWO ";--variation-strength;0.1;--variation-seed;4"},
        {TWO, "Var. strength: 0-1 [3]", 1, TWO ";--variation-strength;0.5"},
        {TWO, "Steps: 10-30 (+10)", 1, TWO ";--steps;20"},
        {TWO, "CFG Scale: 4, 7.5", 1, TWO ";--cfg-scale;7.5"},
        {TWO, "Base CFG: 4, 7.5", 1, TWO ";--cfg-scale;7.5;--refiner-cfg-scale;6"},
        {TWO, "Base CFG: 4, 6", 1, TWO},
        {TWO, "Refiner CFG: 4, 7.5", 0, TWO ";--refiner-cfg-scale;4"},
        {TWO ";--refiner-cfg-scale;3", "CFG: 5", 0, TWO ";--cfg;5;--refiner-cfg-scale;5"},
        {TWO ";--refiner-cfg-scale;3", "Base CFG: 5", 0, TWO ";--cfg;5;--refiner-cfg-scale;3"},
        {TWO, "Sampler: Euler, DPM++ 2M", 1, TWO ";--sampler;DPM++ 2M"},
        {TWO ";--refiner-sampler;Heun", "Sampler: Euler", 0, TWO ";--sampler;Euler"},
        {TWO, "Refiner sampler: Euler, DPM++ 2M", 1, TWO ";--refiner-sampler;DPM++ 2M"},
        {TWO, "Schedule type: Karras, beta", 1, TWO ";--scheduler;beta"},
        {TWO, "Size: 1024x1024, 768 X 512", 1, TWO ";--size;768x512"},
        {TWO ";--clip-l-skip", "Clip skip: 1-2", 1, TWO ";--clip-l-skip;--clip-skip;2"},
        {TWO, "Eta: 0, 0.5", 1, TWO ";--eta;0.5"},
        {TWO, "Schedule type: Karras", 0, TWO ";--scheduler;Karras"},
        {TWO, "Schedule type: align-your-steps", 0, TWO ";--scheduler;align-your-steps"},
        {TWO, "Sampler: dpm++ 2M", 0, TWO ";--sampler;dpm++ 2M"},
        {TWO, "Refiner sampler: heun", 0, TWO ";--refiner-sampler;heun"},
        {TWO, "Schedule min sigma: 0.03", 0, TWO ";--sigma-min;0.03"},
        {TWO, "Schedule max sigma: 12", 0, TWO ";--sigma-max;12"},
        {TWO, "Schedule rho: 5", 0, TWO ";--rho;5"},
        {TWO, "VAE: v.st, None", 0, TWO ";--vae;v.st"},
        {TWO ";--vae;v.st", "VAE: w.st, None", 1, TWO},
        {TWO ";--vae;v.st", "VAE: automatic", 0, TWO},
        {TWO, "Refiner: r.st, none", 1, "-m;b.st;-p;a cat;-n;bad cat"},
        {"-m;b.st;-x;0.3;--refiner-prompt;p", "Refiner: None, r.st", 1,
         "-m;b.st;-r;r.st;-x;0.3;--refiner-prompt;p"},
        {TWO, "Prompt S/R: cat, dog", 1, "-m;b.st;-r;r.st;-p;a dog;-n;bad dog"},
        {TWO, "Base prompt S/R: cat, dog", 1,
         TWO ";-p;a dog;-n;bad dog;--refiner-prompt;a cat;--refiner-negative;bad cat"},
        {TWO, "Refiner prompt S/R: cat, dog", 1,
         TWO ";--refiner-prompt;a dog;--refiner-negative;bad dog"},
        {TWO, "Refiner prompt S/R: cat, dog", 0, TWO},
        {TWO, "Base prompt S/R: bad, good", 1, TWO ";-n;good cat;--refiner-negative;bad cat"},
        {TWO ";--refiner-prompt;cats, cat", "Prompt S/R: cat, c", 1,
         TWO ";-p;a c;-n;bad c;--refiner-prompt;cs, c"},
        {TWO ";--refiner-prompt;x", "Refiner prompt S/R: x, \"\"", 1, TWO ";--refiner-prompt;"},
        {TWO ";--count;4", "Seed: 7", 0, TWO ";-s;7"},
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        rf_request before, after;
        rf_cells   cells;
        settle(&before, ROW[i].before);
        settle(&after, ROW[i].after);
        cr_assert_eq(make(&cells, &before, ROW[i].axis, NULL, NULL), RF_OK, "%s: %s", ROW[i].axis,
                     trouble.error.message);
        expect_same_job(&cells.cell[ROW[i].value].job, &after.job, ROW[i].axis);
        cr_expect(same_text(file_of(&cells, ROW[i].value, 0), after.base));
        cr_expect(same_text(file_of(&cells, ROW[i].value, 1), after.refiner), "%s", ROW[i].axis);
        rf_cells_release(&cells);
        rf_cells_release(&cells); /* {0} is fine */
    }
}

Test(sweep_cells, without_axes_there_is_one_cell_and_it_is_the_request)
{
    rf_request q;
    rf_cells   cells;
    settle(&q, TWO ";--refiner-cfg-scale;6;--steps;12;--refiner-prompt;a cat");
    cr_assert_eq(make(&cells, &q, NULL, NULL, NULL), RF_OK);
    cr_assert_eq(cells.count, 1);
    expect_same_job(&cells.cell[0].job, &q.job, "no axes");
    cr_expect_str_eq(cells.cell[0].name, "x00-y00-z00");
    cr_expect_eq(heards, 0);
    rf_cells_release(&cells);
}

Test(sweep_cells, x_goes_fastest_then_y_then_z)
{
    static const char *const NAME[] = {"x00-y00-z00", "x01-y00-z00", "x00-y01-z00", "x01-y01-z00",
                                       "x00-y02-z00", "x01-y02-z00", "x00-y00-z01"};
    rf_request               q;
    rf_cells                 cells;
    settle(&q, TWO);
    cr_assert_eq(make(&cells, &q, "switch: 0.2, 0.4", "Seed: 1-3", "Steps: 10, 20"), RF_OK);
    cr_assert_eq(cells.count, 12);
    for (int i = 0; i < cells.count; i++) {
        const rf_cell *c = &cells.cell[i];
        cr_expect(c->at[0] == i % 2 && c->at[1] == i / 2 % 3 && c->at[2] == i / 6);
        cr_expect(c->job.stages == c->stages && c->job.stage_count == 2 && c->job.count == 1);
        cr_expect_eq(c->stages[0].until, c->at[0] ? 0.4 : 0.2);
        cr_expect_eq(c->job.seed, (uint64_t)c->at[1] + 1);
        cr_expect_eq(c->job.steps, c->at[2] ? 20 : 10);
        if (i < 7) cr_expect_str_eq(c->name, NAME[i]);
    }
    rf_cells_release(&cells);
    cr_assert_eq(make(&cells, &q, "Seed: 0-100", "Steps: 1-100", NULL), RF_OK);
    cr_expect_str_eq(cells.cell[cells.count - 1].name, "x100-y99-z00");
    rf_cells_release(&cells);
}

Test(sweep_cells, files_are_told_once)
{
    static const char *const FILES[] = {"a.st", "b.st", "r.st"};
    rf_request               q;
    rf_cells                 cells;
    settle(&q, "-m;old.st;-p;x");
    cr_assert_eq(make(&cells, &q, "Base: a.st, b.st, a.st", "Refiner: NONE, r.st, b.st", NULL),
                 RF_OK);
    cr_assert_eq(cells.files, 3);
    for (int i = 0; i < 3; i++) cr_expect_str_eq(cells.file[i], FILES[i]);
    static const int BASE[] = {0, 1, 0}, REFINER[] = {-1, 2, 1};
    for (int i = 0; i < 9; i++) {
        cr_expect_eq(cells.cell[i].file[0], BASE[i % 3]);
        cr_expect_eq(cells.cell[i].file[1], REFINER[i / 3]);
        cr_expect_eq(cells.cell[i].job.stage_count, i / 3 ? 2 : 1);
        cr_expect_eq(cells.cell[i].stages[0].until, i / 3 ? 0.5 : 1);
    }
    rf_cells_release(&cells);
}

Test(sweep_cells, prompt_axes_work_one_after_the_other)
{
    static const char *const PROMPT[] = {"red cat", "blue cat", "red dog", "blue dog"};
    rf_request               q;
    rf_cells                 cells;
    settle(&q, "-m;b.st;-r;r.st;-p;red cat;-n;cat hair");
    cr_assert_eq(make(&cells, &q, "Prompt S/R: red, blue", "Prompt S/R: cat, dog", "Seed: 1-2"),
                 RF_OK);
    for (int i = 0; i < cells.count; i++) {
        const rf_stage *s = cells.cell[i].stages;
        cr_expect_str_eq(s[0].prompt, PROMPT[i % 4]);
        cr_expect_str_eq(s[0].negative, i % 4 < 2 ? "cat hair" : "dog hair");
        cr_expect(!s[1].prompt && !s[1].negative);
        if (i >= 4) cr_expect_eq(s[0].prompt, cells.cell[i - 4].stages[0].prompt, "not shared");
    }
    cr_expect_eq(cells.cell[0].stages[0].prompt, q.stages[0].prompt, "copied");
    cr_expect_eq(heards, 0);
    rf_cells_release(&cells);
}

/* ---- refusals ----------------------------------------------------------------------------- */

Test(sweep_cells, what_no_job_can_have_is_refused_by_axis_and_value)
{
    static const struct {
        const char *request, *x, *y, *message;
    } ROW[] = {
        {TWO, "Seed: 1", "switch: 0.5, 1.5", "axis y, \"Refiner switch at: 1.5\": "},
        {TWO, "switch: -0.1", NULL, "axis x, \"Refiner switch at: -0.1\": "},
        {TWO ";--switch-by;step", "switch: 1, 2.5", NULL, "\"Refiner switch at: 2.5\": "},
        {TWO, "Sampler: Euler, Eulr", NULL, "axis x, \"Sampler: Eulr\": unknown sampler"},
        {TWO, "Refiner sampler: Eulr", NULL, "axis x, \"Refiner sampler: Eulr\": unknown sampler"},
        {TWO, "Schedule: karas", NULL, "axis x, \"Schedule type: karas\": unknown schedule"},
        {TWO ";--sigmas;9,3,0", "Sampler: DDIM", NULL, "axis x, \"Sampler: DDIM\": sigmas: "},
        {TWO, "Prompt S/R: dog, cat", NULL,
         "axis x (Prompt S/R): 'dog' is neither in the prompt nor in the negative prompt"},
        {TWO, "Prompt S/R: Cat, dog", NULL, "'Cat' is neither"},
        {TWO ";--refiner-prompt;x;--refiner-negative;y", "Seed: 1", "Refiner prompt S/R: cat, dog",
         "axis y (Refiner prompt S/R): 'cat' is neither in the prompt nor in the negative prompt "
         "of the refiner"},
        {TWO ";--refiner-prompt;x", "Base prompt S/R: x, y", NULL, "of the base"},
        {"-p;x", "Seed: 1", NULL, "--base is missing"},
        {TWO, "Seed: 1-1000", "Steps: 1-1000",
         "make 1000000 cells (1000 x 1000 x 1); a sweep can "},
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        rf_request q;
        rf_cells   cells;
        settle(&q, ROW[i].request);
        cr_expect_eq(make(&cells, &q, ROW[i].x, ROW[i].y, NULL), RF_E_ARG, "%s was taken",
                     ROW[i].x);
        cr_expect(strstr(trouble.error.message, ROW[i].message), "%s", trouble.error.message);
        cr_expect_eq(cells.count, 0);
        rf_cells_release(&cells);
    }
}

Test(sweep_cells, what_is_wrong_without_the_axis_is_not_its_fault)
{
    rf_request q;
    rf_cells   cells;
    settle(&q, TWO ";-x;7");
    cr_expect_eq(make(&cells, &q, "Sampler: Heun", NULL, NULL), RF_E_ARG);
    cr_expect_eq(strstr(trouble.error.message, "stage 1 of 2 lasts until 7"), trouble.error.message,
                 "%s", trouble.error.message);
    rf_cells_release(&cells);
    cr_expect_eq(make(&cells, &q, "switch: 0.7", NULL, NULL), RF_OK); /* nor does it matter */
    rf_cells_release(&cells);
}

Test(sweep_cells, prompts_that_would_grow_beyond_measure_are_refused, .timeout = 60)
{
    enum { BYTES = 600000, HITS = 20, LONG = 30000 };
    static char prompt[BYTES + 1], text[2 * LONG];
    rf_request  q;
    rf_cells    cells;
    memset(prompt, 'x', BYTES);
    for (int i = 0; i < HITS; i++) prompt[i * (BYTES / HITS)] = 'a';
    settle(&q, "-m;b.st;-p;x");
    q.stages[0].prompt = prompt;
    strcpy(text, "Prompt S/R: a, b, ");
    memset(text + strlen(text), 'c', LONG);
    cr_expect_eq(make(&cells, &q, text, NULL, NULL), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "with value 3 the prompt has 1199980 bytes"), "%s",
              trouble.error.message);
    rf_cells_release(&cells);
    memset(text, 0, sizeof text);
    strcpy(text, "Prompt S/R: a");
    for (int i = 0; i < 300; i++) strcat(text, i % 2 ? ",c" : ",b");
    cr_expect_eq(make(&cells, &q, text, NULL, NULL), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "take more than 64 MiB"), "%s", trouble.error.message);
    rf_cells_release(&cells);
}

/* ---- warnings ----------------------------------------------------------------------------- */

#define RECIPE "-m;b.st;-r;r.st;--recipe;pony-animagine;fox"

Test(sweep_cells, warnings_tell_what_may_not_be_meant)
{
    static const struct {
        const char *request, *x, *y, *warning;
    } ROW[] = {
        {TWO, "switch: 0-1 [3]", "Seed: 1-2", ""},
        /* the same thing twice */
        {TWO, "Seed: 1-2", "Seed: 3-4",
         "axis x (Seed) makes no difference: axis y (Seed) sets the same after it"},
        {TWO, "Base CFG: 1-2", "CFG: 3-4", "axis x (Base CFG) makes no difference: axis y (CFG Sc"},
        {TWO, "CFG: 3-4", "Base CFG: 1-2",
         "axis x (CFG Scale) makes no difference to the base: axis y (Base CFG) sets the same"},
        {TWO, "Sampler: Euler, Heun", "Refiner sampler: Euler, Heun",
         "axis x (Sampler) makes no difference to the refiner: axis y"},
        {TWO, "Base CFG: 1-2", "Refiner CFG: 1-2", ""},
        {TWO, "Prompt S/R: cat, dog", "Prompt S/R: cat, fox",
         "axis y searches for 'cat' in what axis x has made of 'cat'"},
        {TWO, "Base prompt S/R: cat, dog", "Refiner prompt S/R: cat, fox", ""},
        /* no effect */
        {"-m;b.st;-p;x", "switch: 0-1 [3]", NULL,
         "axis x (Refiner switch at) has no effect without a refiner: the base does all steps"},
        {"-m;b.st;-p;x", "switch: 0-1 [3]", "Refiner: None, r.st", ""},
        {"-m;b.st;-p;x", "Refiner CFG: 1-3", NULL, "no effect without a refiner"},
        {TWO, "Clip skip: 1-3", NULL, "no effect without --clip-l-skip"},
        {TWO, "Var. seed: 1-3", NULL, "no effect without --variation-strength"},
        {TWO, "Var. seed: 1-3", "Var. strength: 0, 0.1", ""},
        {TWO ";--sigmas;9,3,0", "Schedule: karras, beta", NULL, "no effect beside --sigmas"},
        {TWO ";--refiner-cfg-scale;3", "CFG: 1-3", NULL, "--refiner-cfg-scale has no effect"},
        {TWO ";--refiner-sampler;Heun", "Sampler: Euler", NULL, "--refiner-sampler has no effect"},
        /* words that stay behind */
        {TWO ";-p;[cat:dog:0.5]", "switch: 0.4, 0.5", NULL,
         "axis x (Refiner switch at) moves the switch, but a prompt edit stays at ':0.5]': write "
         "':switch]' and the words change with the model"},
        {TWO ";-p;[cat:dog:switch]", "switch: 0.4, 0.5", NULL, ""},
        {TWO ";-p;[cat:dog:0.5]", "switch: 0.5", NULL, ""}, /* it does not move */
        {TWO ";-p;[cat:dog: 10 ]", "switch: 0.4, 0.5", NULL, "stays at ':10]'"},
        {TWO ";-n;[(bad:1.2)::0.3]", "switch: 0.4, 0.5", NULL, "stays at ':0.3]'"},
        {TWO ";--refiner-prompt;x [y:.5]", "switch: 0.4, 0.5", NULL, "stays at ':.5]'"},
        {TWO ";-p;(cat:1.2), \\[a:0.5], [a|b], [c], d:3]", "switch: 0.4, 0.5", NULL, ""},
        {TWO ";-p;[a:b:switch] [c:d:7]", "Prompt S/R: a, e", "switch: 0.4, 0.5", "stays at ':7]'"},
        {TWO, "Prompt S/R: cat, [cat:dog:0.5]", "switch: 0.4, 0.5", "stays at ':0.5]'"},
        {TWO ";-p;[cat:dog:0.5]", "Steps: 10, 20", NULL, ""},
        {TWO ";-p;[cat:dog:0.3]", "Steps: 10, 20", NULL, ""},
        {TWO ";-p;[cat:dog:5]", "Steps: 10, 20", NULL, "axis x (Steps) moves the switch, but"},
        {TWO ";-p;[cat:dog:5];--switch-by;step;-x;5", "Steps: 10, 20", NULL, ""},
        {TWO ";-p;[cat:dog:0.5];--switch-by;step;-x;5", "Steps: 10, 20", NULL, "(Steps) moves"},
        {TWO ";-p;[cat:dog:0.5];--switch-by;noise", "Schedule: karras, beta", NULL, ""},
        {TWO ";-p;[cat:dog:0.6];--switch-by;noise", "Schedule: karras, beta", NULL,
         "axis x (Schedule type) moves the switch, but"},
        {TWO ";-p;[cat:dog:0.6]", "Schedule: karras, beta", NULL, ""},
        {"-m;b.st;-p;[cat:dog:0.6]", "Steps: 10, 20", NULL, ""},
        {RECIPE, "switch: 0-1 [11]", "Steps: 10, 20", ""},
        {RECIPE ";--compat;a1111", "switch: 0-1 [11]", NULL,
         "stays at ':0.5]': without --compat a1111 write ':switch]'"},
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        rf_request q;
        rf_cells   cells;
        settle(&q, ROW[i].request);
        cr_assert_eq(make(&cells, &q, ROW[i].x, ROW[i].y, NULL), RF_OK, "%s: %s", ROW[i].x,
                     trouble.error.message);
        cr_expect(only_heard(ROW[i].warning), "%s, %s, %s: %d warnings, '%s'", ROW[i].request,
                  ROW[i].x, ROW[i].y, heards, heards ? heard[0] : "");
        rf_cells_release(&cells);
        rf_request_release(&q);
    }
}

Test(sweep_cells, the_later_axis_wins)
{
    rf_request q;
    rf_cells   cells;
    settle(&q, TWO);
    cr_assert_eq(make(&cells, &q, "CFG: 3-4", "Base CFG: 1-2", "Base: n.st"), RF_OK);
    for (int i = 0; i < 4; i++) {
        cr_expect_eq((int)cells.cell[i].stages[0].cfg_scale, i / 2 + 1);
        cr_expect_eq((int)cells.cell[i].stages[1].cfg_scale, i % 2 + 3);
    }
    cr_expect_str_eq(cells.file[0], "n.st");
    rf_cells_release(&cells);
    cr_assert_eq(make(&cells, &q, "Base: a.st, b.st", "Base: c.st", NULL), RF_OK);
    cr_expect(cells.files == 2 && cells.cell[1].file[0] == 0);
    cr_expect_str_eq(cells.file[0], "c.st"); /* the others are not opened */
    rf_cells_release(&cells);
}

/* ---- size --------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double held_mib(void)
{
    const struct mallinfo2 info = mallinfo2(); /* of no use under ASan, which has its own malloc */
    return (double)(info.uordblks + info.hblkhd) / (1 << 20);
}

Test(sweep_cells, ten_thousand_cells_take_a_moment_and_little_memory, .timeout = 60)
{
    rf_request q;
    rf_cells   cells;
    settle(&q, TWO);
    cr_assert_eq(make(&cells, &q, "switch: 0.5", NULL, NULL), RF_OK); /* the engine's tables */
    rf_cells_release(&cells);
    const double memory = held_mib(), begun = seconds();
    cr_assert_eq(make(&cells, &q, "switch: 0-1 [20]", "Seed: 1-50",
                      "Prompt S/R: cat, 2, 3, 4, 5, "
                      "6, 7, 8, 9, 10"),
                 RF_OK);
    const double took = seconds() - begun, more = held_mib() - memory;
    cr_expect_eq(cells.count, 10000);
    cr_log_info("10,000 cells: %.3f s, %.1f MiB", took, more);
    cr_expect_lt(took, 0.5); /* 0.03 s on the machine this was written on, and sanitizers */
#ifndef RF_SANITIZE
    cr_expect(more > 1 && more < 8, "%g MiB", more);
#endif
    rf_cells_release(&cells);
    cr_assert_eq(make(&cells, &q, "switch: 0-1 [10000]", NULL, NULL), RF_OK); /* all explained */
    cr_log_info("with 10,000 values of one axis: %.3f s", seconds() - begun - took);
    cr_expect_lt(seconds() - begun - took, 5);
    rf_cells_release(&cells);
}
