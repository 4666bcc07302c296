/* Prompts are encoded and latents decoded several at a time where the slab has room for that, and
 * nothing shows it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/relay/sweeps.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

/* ---- prompts ------------------------------------------------------------------------------ */

static const char *const PROMPTS[] = {
    "a cat",
    "a (dog:1.3) and a [bird]",
    "one BREAK two",
    "a AND b BREAK (c:0.7) AND d",
    "red BREAK green BREAK blue",
    "[from:to:0.5] something",
    "(very:1.5) blue BREAK (not:0.5) red",
    "one more word",
};
enum { PROMPT_COUNT = 8 };

static void ask_for_prompts(const relays *r, rf_stage stage[PROMPT_COUNT][2],
                            rf_job job[PROMPT_COUNT])
{
    for (int i = 0; i < PROMPT_COUNT; i++) {
        stage[i][0] = (rf_stage){.expert = r->expert[0],
                                 .until = 0.5,
                                 .prompt = PROMPTS[i],
                                 .negative = i % 2 ? "n" : "",
                                 .cfg_scale = 3};
        stage[i][1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = 2};
        job[i] = relays_job(stage[i], 2, 2);
        job[i].compat = i >= 6 ? "a1111" : NULL;
        job[i].clip_l_skip = i == 7;
        job[i].clip_skip = 2;
        job[i].batch = 64; /* so that the slab has room */
        job[i].count = 8;
    }
}

/* Context and pooled vector of every conditioning. */
static void expect_same_conditionings(const rf_plan *a, const rf_plan *b)
{
    cr_assert_eq(a->expert_count, b->expert_count);
    for (int i = 0; i < a->expert_count; i++) {
        const rf_plan_expert *x = &a->expert[i], *y = &b->expert[i];
        const size_t          bytes = rf_dtype_bytes(a->engine->dtype);
        const size_t          context = (size_t)x->expert->arch.unet.context * bytes;
        const size_t          pooled = (size_t)x->expert->arch.clip_g.projection * bytes;
        cr_assert_eq(x->conds, y->conds);
        for (int c = 0; c < x->conds; c++) {
            cr_expect_arr_eq(x->cond[c].context, y->cond[c].context,
                             (size_t)x->cond[c].rows * context, "expert %d, context %d", i, c);
            cr_expect_arr_eq(x->cond[c].pooled, y->cond[c].pooled, pooled,
                             "expert %d, pooled vector %d", i, c);
        }
    }
}

static void check_prompts(const rf_options *options)
{
    relays   r;
    rf_stage stage[PROMPT_COUNT][2];
    rf_job   job[PROMPT_COUNT];
    rf_plan *plan[2] = {NULL, NULL};
    rf_error err = {0};
    int      together = 0;
    relays_open(&r, options);
    ask_for_prompts(&r, stage, job);
    for (int i = 0; i < 2; i++) {
        rf_plan *p = NULL;
        must(rf_plan_create_many(&p, r.engine, job, PROMPT_COUNT, &err), &err);
        for (int x = 0; x < p->expert_count; x++)
            for (int s = 0; s < p->expert[x].shapes; s++)
                for (int e = 0; e < RF_ENCODERS; e++) {
                    int *at_a_time = &p->expert[x].shape[s].at_a_time[e];
                    together += *at_a_time > 1;
                    cr_expect_leq(*at_a_time, RF_TEXT_BATCH_MAX);
                    if (i == 1) *at_a_time = 1;
                }
        must(rf_plan_prepare(p, NULL, &err), &err);
        plan[i] = p;
    }
    cr_expect_gt(together, 0, "some prompts are encoded together");
    expect_same_conditionings(plan[0], plan[1]);
    for (int i = 0; i < 2; i++) rf_plan_destroy(plan[i]);
    relays_close(&r);
}

Test(batches, prompts_bf16, .timeout = 120)
{
    check_prompts(&bf16);
}

Test(batches, prompts_f32, .timeout = 120)
{
    check_prompts(NULL);
}

/* ---- latents ------------------------------------------------------------------------------ */

enum { CELLS = 40 };

/* Seeds, of which two share their latent with a neighbour and one has another VAE. */
static void ask_for_seeds(const relays *r, rf_stage *stage, rf_job job[CELLS])
{
    *stage = (rf_stage){.expert = r->expert[0], .until = 1, .prompt = "a", .cfg_scale = 2};
    for (int i = 0; i < CELLS; i++) {
        job[i] = relays_job(stage, 1, 2);
        job[i].seed = (uint64_t)(i == 7 || i == 30 ? i - 1 : i);
        job[i].batch = 64;
        if (i == 30) job[i].vae = r->path[1];
    }
}

/* `alone`: as if nothing fit. */
static void decode_cells(relays *r, const rf_job *job, int alone, sweep *s)
{
    rf_error err = {0};
    memset(s, 0, sizeof *s);
    s->poison = -1;
    must(rf_plan_create_many(&s->plan, r->engine, job, CELLS, &err), &err);
    rf_plan_decoder *d = &s->plan->decoder[0];
    cr_expect_gt(d->at_a_time, 1, "%d latents at a time", d->at_a_time);
    cr_expect_leq(d->at_a_time, 64);
    for (int i = 0; alone && i < s->plan->decoders; i++) {
        s->plan->decoder[i].at_a_time = 1;
        s->plan->decoder[i].occurs[1] = 1;
    }
    const rf_callbacks callbacks = sweep_callbacks(s);
    must(rf_plan_run(s->plan, &callbacks, &err), &err);
    rf_plan_destroy(s->plan);
    s->plan = NULL;
}

static void check_latents(const rf_options *options)
{
    relays   r;
    rf_stage stage;
    rf_job   job[CELLS];
    sweep   *one = malloc(sizeof *one), *many = malloc(sizeof *many);
    relays_open(&r, options);
    ask_for_seeds(&r, &stage, job);
    decode_cells(&r, job, 0, many);
    decode_cells(&r, job, 1, one);
    for (int i = 0; i < CELLS; i++)
        pictures_expect_equal(&one->cell[i], &many->cell[i], "decoded together", 1);
    cr_expect(!pictures_equal(&many->cell[0], 0, &many->cell[1], 0));
    sweep_free(one, CELLS), sweep_free(many, CELLS);
    free(one), free(many);
    relays_close(&r);
}

Test(batches, latents_bf16, .timeout = 120)
{
    check_latents(&bf16);
}

Test(batches, latents_f32, .timeout = 120)
{
    check_latents(NULL);
}

/* NaN in one latent of a decoding: its picture alone is lost. */
Test(batches, a_latent_that_failed_spoils_no_other, .timeout = 120)
{
    relays   r;
    rf_stage stage;
    rf_job   job[CELLS];
    rf_error err = {0};
    sweep   *good = malloc(sizeof *good), *bad = malloc(sizeof *bad);
    relays_open(&r, &bf16);
    ask_for_seeds(&r, &stage, job);
    must(sweep_run(&r, job, CELLS, -1, 1, good, &err), &err);
    must(sweep_run(&r, job, CELLS, 1, 1, bad, &err), &err);
    cr_expect_eq(bad->failures, 1);
    for (int i = 0; i < CELLS; i++)
        if (!bad->failed[i]) pictures_expect_equal(&good->cell[i], &bad->cell[i], "beside NaN", 1);
    sweep_free(good, CELLS), sweep_free(bad, CELLS);
    free(good), free(bad);
    relays_close(&r);
}

/* The slab is what one decoding and the UNets need: nothing grows for the sake of batches. */
Test(batches, the_slab_stays_as_it_is, .timeout = 120)
{
    relays       r;
    rf_stage     stage;
    rf_job       job[CELLS];
    rf_plan     *plan = NULL;
    rf_plan_info info;
    rf_error     err = {0};
    size_t       bytes = 0;
    relays_open(&r, &bf16);
    ask_for_seeds(&r, &stage, job);
    must(rf_plan_create_many(&plan, r.engine, job, CELLS, &err), &err);
    rf_plan_get_info(plan, &info);
    const rf_plan_program *program = &plan->program[0];
    rf_expert             *e = r.expert[0];
    int                    n = RF_BATCH_MAX;
    while (!program->occurs[n]) n--;
    const rf_unet_forward_args args = rf_forward_args(plan, program, n);
    must(rf_record_count(&r.engine->device, &e->weights[RF_NET_UNET], e->unet.forward,
                         rf_unet_forward, &args, &bytes, &err),
         &err);
    cr_expect_eq(info.slab_bytes, bytes);
    rf_plan_destroy(plan);
    relays_close(&r);
}
