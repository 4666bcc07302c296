/* What must not change a picture does not change a bit of it: repetition, threads, batches, stages
 * that add nothing. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/relays.h"

/* 76 tokens and more: two chunks. */
static const char *const LONG_PROMPT =
    "one two three four five six seven eight nine ten one two three four five six seven eight nine "
    "ten one two three four five six seven eight nine ten one two three four five six seven eight "
    "nine ten one two three four five six seven eight nine ten one two three four five six seven "
    "eight nine ten one two three four five six seven eight nine ten one two three four five six";

/* The recipe: base, then refiner with words of its own. */
static void recipe(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0],
                          .until = 0.5,
                          .prompt = "a cat",
                          .negative = "blurry",
                          .cfg_scale = 6};
    stage[1] =
        (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "a better cat", .cfg_scale = 4.5f};
}

static const rf_options f32 = {.dtype = "f32", .threads = 1};
static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

Test(relay_bits, repetition, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, &bf16);
    recipe(&r, stage);
    rf_job job = relays_job(stage, 2, 4);
    for (int ancestral = 0; ancestral < 2; ancestral++) {
        pictures once, again, anew, other;
        job.sampler = ancestral ? "Euler a" : "Euler";
        rf_plan     *plan = relays_plan(&r, &job);
        rf_callbacks callbacks = pictures_into(&once);
        must(rf_plan_run(plan, &callbacks, &err), &err);
        callbacks = pictures_into(&again);
        must(rf_plan_run(plan, &callbacks, &err), &err);
        rf_plan_destroy(plan);
        relays_render(&r, &job, &anew);
        pictures_expect_equal(&once, &again, "one plan twice", 1);
        pictures_expect_equal(&once, &anew, "one job twice", 1);
        job.seed++;
        relays_render(&r, &job, &other);
        job.seed--;
        cr_expect_not(pictures_equal(&once, 0, &other, 0), "the seed matters");
        pictures_free(&once), pictures_free(&again), pictures_free(&anew), pictures_free(&other);
    }
    relays_close(&r);
}

static void check_threads(const rf_options *with)
{
    relays   r = {.path = {make_tiny(7), make_tiny(8)}};
    rf_stage stage[2];
    pictures one = {0};
    for (int threads = 1; threads <= 3; threads++) {
        rf_options options = *with;
        pictures   now;
        options.threads = threads;
        relays_start(&r, &options);
        recipe(&r, stage);
        rf_job job = relays_job(stage, 2, 2);
        job.sampler = "Euler a";
        relays_render(&r, &job, &now);
        if (threads == 1) {
            one = now;
        } else {
            pictures_expect_equal(&one, &now, options.dtype, 1);
            pictures_free(&now);
        }
        relays_stop(&r);
    }
    pictures_free(&one);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

Test(relay_bits, threads_bf16, .timeout = 240)
{
    check_threads(&bf16);
}

#ifndef RF_SANITIZE /* each render is dear there; the other type runs the same code of the relay   \
                     */
Test(relay_bits, threads_f32, .timeout = 240)
{
    check_threads(&f32);
}
#endif

/* Four pictures at once, in batches of three and one, and one by one. */
static void check_batches(relays *r, rf_job job, const char *what)
{
    pictures four, three, one;
    job.count = 4;
    job.batch = 4;
    relays_render(r, &job, &four);
    job.batch = 3;
    relays_render(r, &job, &three);
    pictures_expect_equal(&four, &three, what, 1);
    for (int i = 0; i < 4; i++) {
        rf_job single = job;
        single.count = single.batch = 1;
        single.seed = job.seed + (uint64_t)i;
        relays_render(r, &single, &one);
        cr_expect(pictures_equal(&four, i, &one, 0), "%s: picture %d alone differs", what, i);
        cr_expect_str_eq(four.parameters[i], one.parameters[0]);
        if (i > 0) cr_expect_not(pictures_equal(&four, i, &four, 0));
        pictures_free(&one);
    }
    pictures_free(&four), pictures_free(&three);
}

static void check_batches_in(const rf_options *options)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, options);
    recipe(&r, stage);
    rf_job job = relays_job(stage, 2, 2);
    check_batches(&r, job, "Euler");
#ifndef RF_SANITIZE
    job.sampler = "Euler a";
    check_batches(&r, job, "Euler a");
#endif
    /* prompts of different lengths side by side, and one call per step in the second stage */
    stage[0].prompt = LONG_PROMPT;
    stage[0].negative = "";
    stage[1].cfg_scale = 1;
    job.width = 72;
    check_batches(&r, job, "long prompt, empty negative, cfg 1, odd size");
    relays_close(&r);
}

Test(relay_bits, batches_bf16, .timeout = 300)
{
    check_batches_in(&bf16);
}

Test(relay_bits, batches_f32, .timeout = 300)
{
    check_batches_in(&f32);
}

/* The job's stages against the same job with other stages. */
static void expect_same(relays *r, rf_job job, const rf_stage *stages, int count, const char *what)
{
    pictures a, b;
    relays_render(r, &job, &a);
    job.stages = stages;
    job.stage_count = count;
    relays_render(r, &job, &b);
    pictures_expect_equal(&a, &b, what, 0);
    pictures_free(&a), pictures_free(&b);
}

Test(relay_bits, stages_without_a_call, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, &bf16);
    for (int ancestral = 0; ancestral < 2; ancestral++) {
        recipe(&r, stage);
        rf_job job = relays_job(stage, 2, 3);
        job.sampler = ancestral ? "Euler a" : "Euler";

        stage[0].until = 1;
        rf_stage alone = stage[0];
        expect_same(&r, job, &alone, 1, "until 1: the base alone");
        cr_expect_eq(r.warnings, 1);
        cr_expect_not_null(strstr(r.warning[0], "stage 2"), "%s", r.warning[0]);

        stage[0].until = 0;
        r.warnings = 0;
        alone = stage[1];
        alone.negative = stage[0].negative; /* inherited from a stage that takes no part */
        expect_same(&r, job, &alone, 1, "until 0: the refiner alone");
        cr_expect_eq(r.warnings, 1);
        cr_expect_not_null(strstr(r.warning[0], "stage 1"), "%s", r.warning[0]);
        r.warnings = 0;
    }
    relays_close(&r);
}

/* The metadata too: nothing of the other expert is left in it. */
Test(relay_bits, dropped_stages_leave_no_trace, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures dropped, alone;
    relays_open(&r, &bf16);
    recipe(&r, stage);
    stage[0].until = 0;
    rf_job job = relays_job(stage, 2, 1);
    relays_render(&r, &job, &dropped);
    stage[1].negative = stage[0].negative;
    job.stages = &stage[1];
    job.stage_count = 1;
    relays_render(&r, &job, &alone);
    pictures_expect_equal(&dropped, &alone, "until 0", 1);
    cr_expect_null(strstr(dropped.parameters[0], "Refiner"), "%s", dropped.parameters[0]);
    cr_expect_not_null(strstr(dropped.parameters[0], "VAE from: tiny8"));
    pictures_free(&dropped), pictures_free(&alone);
    relays_close(&r);
}

/* Readers keep the first or the last of two equal keys: there must be no choice. */
Test(relay_bits, metadata_has_each_key_once, .timeout = 240)
{
    static const char *const keys[] = {
        "Refiner: ",           "Refiner switch at: ", "Refiner switch by sampling steps: ",
        "Refiner from step: ", "Refiner prompt: ",    "Refiner CFG scale: ",
        "VAE from: ",          "Precision: "};
    relays   r;
    rf_stage stage[2];
    pictures p;
    relays_open(&r, &bf16);
    recipe(&r, stage);
    const rf_job job = relays_job(stage, 2, 2);
    relays_render(&r, &job, &p);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *first = strstr(p.parameters[0], keys[i]);
        cr_assert_not_null(first, "%s is not in %s", keys[i], p.parameters[0]);
        cr_expect_null(strstr(first + 1, keys[i]), "%s is twice in %s", keys[i], p.parameters[0]);
    }
    pictures_free(&p);
    relays_close(&r);
}

/* A1111 ignores a refiner that is the base: here it denoises its part, to the same picture. */
Test(a1111_1_2, stages_of_one_expert, .timeout = 240)
{
    relays r;
    relays_open(&r, &bf16);
    rf_expert     *a = r.expert[0], *b = r.expert[1];
    const rf_stage one = {.expert = a, .until = 1, .prompt = "x", .negative = "y", .cfg_scale = 6};
    rf_stage       two[2] = {one, one};
    two[0].until = 0.4;
    rf_job job = relays_job(&one, 1, 4);
    expect_same(&r, job, two, 2, "one expert in both stages");
    job.sampler = "Euler a";
    expect_same(&r, job, two, 2, "one expert in both stages, Euler a");

    /* A, B, A, and the same with the last stage cut in two */
    rf_stage aba[3] = {one, one, one}, abaa[4] = {one, one, one, one};
    aba[1].expert = abaa[1].expert = b;
    aba[0].until = abaa[0].until = 0.25;
    aba[1].until = abaa[1].until = 0.5;
    abaa[2].until = 0.75;
    job.stages = aba;
    job.stage_count = 3;
    expect_same(&r, job, abaa, 4, "A B A A");
    pictures here, there;
    relays_render(&r, &job, &here);
    aba[1].expert = a;
    relays_render(&r, &job, &there);
    cr_expect_not(pictures_equal(&here, 0, &there, 0), "the expert in the middle matters");
    pictures_free(&here), pictures_free(&there);
    relays_close(&r);
}

/* With cfg 1 the negative prompt is neither encoded nor called, so its words do not matter; near 1
 * they do. */
Test(relay_bits, guidance_of_one, .timeout = 240)
{
    relays   r;
    pictures p[4];
    relays_open(&r, &bf16);
    rf_stage stage = {.expert = r.expert[0], .until = 1, .prompt = "x", .cfg_scale = 1};
    rf_job   job = relays_job(&stage, 1, 2);
    for (int i = 0; i < 4; i++) {
        stage.negative = i % 2 ? "y" : "";
        stage.cfg_scale = i < 2 ? 1 : 1.5f;
        rf_plan     *plan = relays_plan(&r, &job);
        rf_error     err = {0};
        rf_callbacks callbacks = pictures_into(&p[i]);
        cr_expect_eq(plan->call[0].rows, i < 2 ? 1 : 2);
        cr_expect_eq(plan->expert[0].conds, i < 2 ? 1 : 2);
        must(rf_plan_run(plan, &callbacks, &err), &err);
        rf_plan_destroy(plan);
    }
    cr_expect(pictures_equal(&p[0], 0, &p[1], 0));
    cr_expect_not(pictures_equal(&p[2], 0, &p[3], 0));
    cr_expect_not(pictures_equal(&p[0], 0, &p[2], 0));
    for (int i = 0; i < 4; i++) pictures_free(&p[i]);
    relays_close(&r);
}

/* Plans share what their experts have loaded, and nothing else. */
Test(relay_bits, plans_side_by_side, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    pictures first, between, again;
    relays_open(&r, &bf16);
    recipe(&r, stage);
    rf_job   small = relays_job(stage, 2, 2), large = small;
    rf_plan *a = relays_plan(&r, &small);
    large.width = 128;
    large.sampler = "Euler a";
    rf_plan     *b = relays_plan(&r, &large);
    rf_callbacks callbacks = pictures_into(&first);
    must(rf_plan_run(a, &callbacks, &err), &err);
    callbacks = pictures_into(&between);
    must(rf_plan_run(b, &callbacks, &err), &err);
    rf_plan_destroy(b);
    callbacks = pictures_into(&again);
    must(rf_plan_run(a, &callbacks, &err), &err);
    pictures_expect_equal(&first, &again, "another plan ran between", 1);
    rf_plan_destroy(a);
    pictures_free(&first), pictures_free(&between), pictures_free(&again);
    relays_close(&r);
}

/* Two engines may work at once. */
typedef struct worker {
    relays   r;
    pictures out;
} worker;

static void *work(void *arg)
{
    worker  *w = arg;
    rf_stage stage[2];
    recipe(&w->r, stage);
    const rf_job job = relays_job(stage, 2, 2);
    relays_render(&w->r, &job, &w->out);
    return NULL;
}

Test(relay_bits, two_engines_at_once, .timeout = 240)
{
    worker    a = {.r = {.path = {make_tiny(7), make_tiny(8)}}}, b;
    pthread_t thread;
    pictures  alone;
    b = a;
    relays_start(&a.r, &bf16);
    relays_start(&b.r, &bf16);
    work(&a);
    alone = a.out;
    relays_stop(&a.r);
    relays_start(&a.r, &bf16);
    cr_assert_eq(pthread_create(&thread, NULL, work, &b), 0);
    work(&a);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    pictures_expect_equal(&alone, &a.out, "beside another engine", 1);
    pictures_expect_equal(&alone, &b.out, "in another thread", 1);
    pictures_free(&alone), pictures_free(&a.out), pictures_free(&b.out);
    relays_stop(&b.r);
    relays_close(&a.r);
}
