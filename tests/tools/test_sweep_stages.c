/* Sweeps of relays: cells of any number of stages, and axes over what one stage has. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/sweep/cells.h"

TestSuite(sweep_stages, .timeout = 60);

static rf_trouble trouble;
static char       heard[4000];

static void hear(void *user, const char *message)
{
    (void)user;
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s\n", message);
}

/* The settled request of `refinery render` with those words; the last is NULL. */
static void settle(rf_request *q, const char *const *words)
{
    static char   copies[32][400];
    char         *argv[33];
    int           argc = 0;
    rf_invocation in = {.verb = &rf_verb_render, .values = q};
    for (; words[argc]; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    memset(q, 0, sizeof *q);
    rf_request_prepare(q);
    cr_assert_eq(rf_options_parse(in.verb, argc, argv, q, &in.args, &in.trouble), RF_OK, "%s",
                 in.trouble.error.message);
    cr_assert_eq(rf_request_settle(&in, q, hear, NULL), RF_OK, "%s", in.trouble.error.message);
}

static const char *const THREE[] = {"--stage", "expert=a.st;until=0.3;cfg=7..5;eta=0.5;prompt=cat",
                                    "--stage", "expert=b.st;until=0.6",
                                    "--stage", "expert=a.st;cfg=3;negative=bad;prompt=cat, dog",
                                    NULL};
static const char *const PAIR[] = {"-m", "a.st", "-r", "b.st", "-p", "cat", NULL};

static rf_status make(rf_cells *cells, const rf_request *q, const char *x, const char *y)
{
    const char *const text[] = {x, y, NULL}, *const flag[] = {"--x", "--y", "--z"};
    rf_axis axis[RF_AXES];
    trouble = (rf_trouble){0};
    *heard = '\0';
    for (int a = 0; a < RF_AXES; a++)
        cr_assert_eq(rf_axis_parse(&axis[a], flag[a], text[a], &trouble), RF_OK, "%s: %s", text[a],
                     trouble.error.message);
    return rf_cells_make(cells, q, axis, hear, NULL, &trouble);
}

static rf_cells made_of(const rf_request *q, const char *x, const char *y)
{
    rf_cells cells;
    cr_assert_eq(make(&cells, q, x, y), RF_OK, "%s: %s", x, trouble.error.message);
    return cells;
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- names -------------------------------------------------------------------------------- */

Test(sweep_stages, names_say_which_stage)
{
    static const struct {
        const char  *text, *name, *lora;
        rf_axis_kind kind;
        int          stage;
    } row[] = {
        {"Stage 2 CFG Scale: 1-3", "Stage 2 CFG Scale", NULL, RF_VARY_CFG, 2},
        {"stage2.cfg: 1-3", "Stage 2 CFG Scale", NULL, RF_VARY_CFG, 2},
        {"STAGE 3 until: 0.5", "Stage 3 until", NULL, RF_VARY_SWITCH, 3},
        {"stage_12 switch at: 0.5", "Stage 12 until", NULL, RF_VARY_SWITCH, 12},
        {"Stage 1 expert: a, b", "Stage 1 checkpoint", NULL, RF_VARY_BASE, 1},
        {"Stage 1 Prompt S/R: a, b", "Stage 1 Prompt S/R", NULL, RF_VARY_PROMPT, 1},
        {"stage 4 cfg end: 2", "Stage 4 CFG end", NULL, RF_VARY_CFG_END, 4},
        {"stage 4 s_noise: 1", "Stage 4 Sigma noise", NULL, RF_VARY_S_NOISE, 4},
        {"LoRA pose v2.1 : 0-1 [3]", "LoRA pose v2.1", "pose v2.1", RF_VARY_LORA, 0},
        {"stage 2 lora ./x/y.safetensors: -1", "Stage 2 LoRA ./x/y.safetensors",
         "./x/y.safetensors", RF_VARY_LORA, 2},
        {"until: 0.5", "Refiner switch at", NULL, RF_VARY_SWITCH, 0},
    };
    static const struct {
        const char *text, *said;
    } wrong[] = {
        {"Stage 2 Seed: 1", "a stage has no Seed of its own"},
        {"Stage 2 Refiner CFG: 1", "a stage has no Refiner CFG of its own"},
        {"Stage 65 cfg: 1", "a relay has at most 64 stages"},
        {"Stage 99999999999999999999 cfg: 1", "a relay has at most 64 stages"},
        {"Stage 2 : 1", "there is no axis called ''"},
        {"LoRA: 1", "'LoRA' does not say which LoRA"},
        {"Stage 2 lora : 1", "does not say which LoRA"},
        {"LoRA x: 101", "out of range"},
        {"LoRA x: a", "is neither a number"},
        {"Stage 2 cgf: 1", "there is no axis called 'cgf'"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        rf_axis axis;
        cr_assert_eq(rf_axis_parse(&axis, "--x", row[i].text, &trouble), RF_OK, "%s: %s",
                     row[i].text, trouble.error.message);
        cr_expect_str_eq(axis.name, row[i].name);
        cr_expect_eq(axis.kind, row[i].kind, "%s", row[i].text);
        cr_expect_eq(axis.stage, row[i].stage, "%s", row[i].text);
        cr_expect(same_text(axis.lora, row[i].lora), "%s: %s", row[i].text, axis.lora);
        rf_axis_release(&axis);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rf_axis axis;
        trouble = (rf_trouble){0};
        cr_expect_eq(rf_axis_parse(&axis, "--x", wrong[i].text, &trouble), RF_E_ARG);
        cr_expect(strstr(trouble.error.message, wrong[i].said), "%s: %s", wrong[i].text,
                  trouble.error.message);
        cr_expect(!axis.value && !axis.block && !axis.own_name);
    }
}

/* ---- cells -------------------------------------------------------------------------------- */

/* Without an axis that touches them, a cell's stages are the request's. */
Test(sweep_stages, a_cell_is_the_relay)
{
    rf_request q;
    settle(&q, THREE);
    rf_cells       cells = made_of(&q, "Seed: 4, 5", NULL);
    const rf_cell *c = &cells.cell[1];
    cr_assert_eq(cells.count, 2);
    cr_assert_eq(c->job.stage_count, 3);
    cr_expect_eq(c->job.seed, 5);
    for (int s = 0; s < 3; s++) {
        const rf_stage *a = &c->job.stages[s], *b = &q.job.stages[s];
        cr_expect_eq(a->until, b->until);
        cr_expect_eq(a->cfg_scale, b->cfg_scale, "stage %d: %g", s, (double)a->cfg_scale);
        cr_expect_eq(a->cfg_ramp, b->cfg_ramp);
        cr_expect(same_text(a->prompt, b->prompt) && same_text(a->negative, b->negative));
        cr_expect_eq(a->sampling != NULL, b->sampling != NULL);
    }
    cr_expect_eq(c->job.stages[0].sampling->eta, 0.5);
    cr_expect_eq(c->job.stages[0].sampling->s_noise, 1);
    cr_expect_eq(cells.files, 2, "a.st is one file");
    cr_expect_eq(c->file[0], c->file[2]);
    cr_expect_str_eq(heard, "");
    rf_cells_release(&cells);
    rf_request_release(&q);
}

Test(sweep_stages, axes_reach_their_stage)
{
    rf_request q;
    settle(&q, THREE);
    rf_cells cells = made_of(&q, "Stage 2 until: 0.4, 0.5", "Stage 2 cfg: 4, 5");
    for (int i = 0; i < 4; i++) {
        const rf_stage *s = cells.cell[i].stages;
        cr_expect_eq(s[0].until, 0.3);
        cr_expect_eq(s[1].until, i % 2 ? 0.5 : 0.4);
        cr_expect_eq(s[1].cfg_scale, i / 2 ? -1.0f : 4.0f, "5 is where the first ends");
        cr_expect_eq(s[2].cfg_scale, 3);
        cr_expect_eq(cells.cell[i].job.idle_stages, 1);
    }
    rf_cells_release(&cells);

    cells = made_of(&q, "Stage 3 eta: 0, 1", "Eta: 0.25, 0.75");
    for (int i = 0; i < 4; i++) {
        const rf_stage *s = cells.cell[i].stages;
        cr_expect_eq(s[0].sampling->eta, 0.5, "its own");
        cr_expect_null(s[1].sampling);
        cr_expect_eq(s[2].sampling->eta, i % 2);
        cr_expect_eq(cells.cell[i].job.eta, i / 2 ? 0.75 : 0.25);
    }
    cr_expect(strstr(heard, "axis y (Eta) makes no difference to stage 3: axis x (Stage 3 Eta) "
                            "sets the same for it alone"),
              "%s", heard);
    rf_cells_release(&cells);

    cells = made_of(&q, "CFG Scale: 4, 8", "Stage 1 CFG end: 2, 8");
    for (int i = 0; i < 4; i++) {
        const rf_stage *s = cells.cell[i].stages;
        cr_expect_eq(s[0].cfg_scale, i % 2 ? 8 : 4);
        cr_expect_eq(s[0].cfg_scale + s[0].cfg_ramp, i / 2 ? 8 : 2);
        cr_expect_eq(s[2].cfg_scale, i % 2 ? 8 : 4);
    }
    rf_cells_release(&cells);

    cells = made_of(&q, "Stage 3 Prompt S/R: cat, fox", "Stage 2 checkpoint: b.st, c.st");
    cr_expect_str_eq(cells.cell[1].stages[0].prompt, "cat");
    cr_expect_null(cells.cell[1].stages[1].prompt);
    cr_expect_str_eq(cells.cell[1].stages[2].prompt, "fox, dog");
    cr_expect_str_eq(cells.file[cells.cell[3].file[1]], "c.st");
    cr_expect_eq(cells.files, 3);
    rf_cells_release(&cells);

    cells = made_of(&q, "Prompt S/R: cat, fox", "Stage 2 sampler: Euler, DPM++ 2M");
    cr_expect_str_eq(cells.cell[1].stages[0].prompt, "fox");
    cr_expect_null(cells.cell[1].stages[1].prompt, "as the first");
    cr_expect_str_eq(cells.cell[1].stages[2].prompt, "fox, dog");
    cr_expect_str_eq(cells.cell[2].stages[1].sampler, "DPM++ 2M");
    cr_expect_null(cells.cell[2].stages[2].sampler);
    rf_cells_release(&cells);
    rf_request_release(&q);
}

/* Of a base and a refiner the stages are the first and the second. */
Test(sweep_stages, a_pair_has_two)
{
    rf_request q;
    settle(&q, PAIR);
    rf_cells cells = made_of(&q, "Stage 2 cfg: 4", "Stage 1 until: 0.25");
    cr_expect_eq(cells.cell[0].stages[1].cfg_scale, 4);
    cr_expect_eq(cells.cell[0].stages[0].until, 0.25);
    rf_cells_release(&cells);
    cells = made_of(&q, "Stage 2 cfg: 4", "Refiner CFG: 5");
    cr_expect_eq(cells.cell[0].stages[1].cfg_scale, 5);
    cr_expect(strstr(heard, "axis x (Stage 2 CFG Scale) makes no difference: axis y (Refiner CFG)"),
              "%s", heard);
    rf_cells_release(&cells);
    cells = made_of(&q, "LoRA a: 0, 1", "LoRA b: 0, 1");
    cr_expect_str_eq(heard, "");
    rf_cells_release(&cells);
    cells = made_of(&q, "LoRA a: 0, 1", "Stage 2 LoRA a: 0, 1");
    cr_expect(strstr(heard, "makes no difference to the refiner"), "%s", heard);
    rf_cells_release(&cells);
    rf_request_release(&q);
}

Test(sweep_stages, what_no_stage_can_have_is_refused)
{
    static const struct {
        const char *x, *said;
    } wrong[] = {
        {"Stage 4 cfg: 1", "axis x (Stage 4 CFG Scale): there are 3 stages"},
        {"Stage 3 until: 1", "axis x (Stage 3 until): the last stage makes all steps"},
        {"Refiner CFG: 1", "of 3 stages it does not say which one it means"},
        {"Refiner switch at: 1", "of 3 stages it does not say which one it means"},
        {"Stage 2 Prompt S/R: dog, x", "is neither in the prompt nor in the negative prompt of "
                                       "stage 2"},
        {"Stage 1 until: 0.5, 2", "\"Stage 1 until: 2\""},
        {"Stage 2 sampler: Euler, Eulr", "\"Stage 2 Sampler: Eulr\""},
        {"Stage 2 sampler: DDIM", "cannot share a run"},
    };
    rf_request q;
    settle(&q, THREE);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rf_cells cells;
        cr_expect_eq(make(&cells, &q, wrong[i].x, NULL), RF_E_ARG, "%s", wrong[i].x);
        cr_expect(strstr(trouble.error.message, wrong[i].said), "%s: %s", wrong[i].x,
                  trouble.error.message);
        rf_cells_release(&cells);
    }
    rf_request_release(&q);
}
