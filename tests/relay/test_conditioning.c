/* Whole conditioning tensors against PyTorch: chunks, emphasis alone and coupled, clip skip
 * (tests/golden/networks.md, conditioning.safetensors). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/relays.h"

enum { STEPS = 20 };

static const char PLAIN[] = "a photo of an old castle, sunset, score_9";
static const char EDITED[] =
    "a photo of [an (old:1.3) castle:a ((small)) [[boat]]:0.5], (sunset:0.7), score_9";
static const char BROKEN[] = "(masterpiece:1.2), best quality, a castle on a hill BREAK a river, "
                             "(three boats:0.8), [clouds], soft light";

static int stop_before_denoising(void *user, const rf_progress *progress)
{
    (void)user;
    return progress->phase == RF_PHASE_DENOISE;
}

/* A plan whose prompts are encoded. */
static rf_plan *encoded(relays *r, const rf_job *job)
{
    rf_error           err = {0};
    rf_plan           *plan = relays_plan(r, job);
    const rf_callbacks callbacks = {.progress = stop_before_denoising};
    cr_assert_eq(rf_plan_run(plan, &callbacks, &err), RF_E_CANCELLED, "%s", err.message);
    return plan;
}

/* Rows of `width` out of contexts that are 128 wide. */
static void compare(const rf_plan *plan, int cond, const char *name, size_t variant, size_t width)
{
    size_t                 elems = 0;
    char                   tensor[64];
    const rf_conditioning *c = &plan->expert[0].cond[cond];
    const size_t           count = (size_t)c->rows * width;
    const rf_dtype         dtype = plan->engine->dtype;
    snprintf(tensor, sizeof tensor, "%s", name);
    float *want = conditioning_f32(tensor, &elems);
    char  *got = malloc(count * sizeof(float));
    cr_assert_geq(elems, (variant + 1) * count);
    for (int row = 0; row < c->rows; row++)
        memcpy(got + (size_t)row * width * rf_dtype_bytes(dtype),
               (const char *)c->context + (size_t)row * 128 * rf_dtype_bytes(dtype),
               width * rf_dtype_bytes(dtype));
    const double error = relative_error(got, dtype, want + variant * count, count);
    cr_expect(error <= parity_bound(dtype), "%s [%zu]: relative error %.3g", name, variant, error);
    free(got), free(want);
}

static void compare_pooled(const rf_plan *plan, int cond, const char *name, size_t variant)
{
    float       *want = conditioning_f32(name, NULL);
    const double error = relative_error(plan->expert[0].cond[cond].pooled, plan->engine->dtype,
                                        want + variant * 64, 64);
    cr_expect(error <= parity_bound(plan->engine->dtype), "%s: relative error %.3g", name, error);
    free(want);
}

static void check(relays *r, const char *dtype)
{
    relays_start(r, &(rf_options){.dtype = dtype, .threads = 1});
    rf_stage stage = {.expert = r->expert[0], .prompt = PLAIN, .cfg_scale = 1};
    rf_job   job = relays_job(&stage, 1, STEPS);
    rf_plan *plan = encoded(r, &job);
    compare(plan, 0, "plain.context", 0, 128);
    compare_pooled(plan, 0, "plain.pooled", 0);
    rf_plan_destroy(plan);

    job.clip_l_skip = 1;
    for (job.clip_skip = 1; job.clip_skip <= 2; job.clip_skip++) {
        plan = encoded(r, &job);
        if (job.clip_skip == 1)
            compare(plan, 0, "skip1.context_l", 0, 64);
        else
            compare(plan, 0, "plain.context", 0, 128);
        compare_pooled(plan, 0, "plain.pooled", 0);
        rf_plan_destroy(plan);
    }
    job.clip_l_skip = 0;

    stage.prompt = EDITED;
    plan = encoded(r, &job);
    cr_expect_eq(plan->expert[0].conds, 2);
    compare(plan, 0, "alone.context", 0, 128);
    compare_pooled(plan, 0, "alone.pooled", 0);
    rf_plan_destroy(plan);
    job.emphasis = "No norm";
    plan = encoded(r, &job);
    compare(plan, 0, "no_norm.context", 0, 128);
    rf_plan_destroy(plan);
    job.emphasis = "Original";
    job.compat = "a1111";
    plan = encoded(r, &job);
    cr_expect_eq(plan->expert[0].groups, 1);
    for (int i = 0; i < 2; i++) {
        compare(plan, i, "coupled.context", (size_t)i, 128);
        compare_pooled(plan, i, "coupled.pooled", (size_t)i);
    }
    rf_plan_destroy(plan);

    job.compat = NULL;
    stage.prompt = BROKEN;
    plan = encoded(r, &job);
    cr_expect_eq(plan->expert[0].cond[0].rows, 2 * RF_TOKENS_PER_CHUNK);
    compare(plan, 0, "break.context", 0, 128);
    compare_pooled(plan, 0, "break.pooled", 0);
    rf_plan_destroy(plan);
    relays_stop(r);
}

Test(a1111_3_4, conditioning_is_pytorchs, .timeout = 240)
{
    relays r = {.path = {make_tiny(7), make_tiny(8)}};
    check(&r, "f32");
    check(&r, "bf16");
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}
