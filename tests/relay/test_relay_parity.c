/* Whole relays against PyTorch: four steps, the switch after two, each latent on the way
 * (tests/golden/networks.md and refiner.md say what was recorded). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/relays.h"

enum { STEPS = 4, SWITCH_STEP = 2 };

static const char *recorded;       /* what the goldens' names begin with */
static int         size;           /* of the picture */
static float      *recorded_noise; /* [size / 8, size / 8, 4] */

static float *recorded_f32(const char *what, size_t *elems)
{
    char name[48];
    snprintf(name, sizeof name, "%s.%s", recorded, what);
    return golden_f32(name, elems);
}

/* Row 0 of the recorded ids is the prompt, row 1 the negative one. */
static void use_recorded_tokens(rf_plan *plan)
{
    static const char *const name[RF_ENCODERS] = {"text.l.ids", "text.g.ids"};
    for (int encoder = 0; encoder < RF_ENCODERS; encoder++) {
        size_t   elems = 0;
        int32_t *id = golden_i32(name[encoder], &elems);
        cr_assert_eq(elems, 2u * RF_TOKENS_PER_CHUNK);
        for (int stage = 0; stage < plan->expert_count; stage++)
            for (int j = 0; j < RF_POLARITIES; j++) {
                const rf_conditioning *cond = &plan->expert[stage].cond[j];
                cr_assert_eq(cond->chunks, 1);
                for (int t = 0; t < RF_TOKENS_PER_CHUNK; t++)
                    cond->id[encoder][t] = (uint16_t)id[j * RF_TOKENS_PER_CHUNK + t];
            }
        free(id);
    }
}

/* Looks at the plan from inside, before each step and after the last. */
typedef struct witness {
    const rf_plan *plan;
    rf_dtype       dtype;
    int            latents, pictures;
    int            latents_only; /* stops before decoding: the reference takes its time */
} witness;

static void compare_latent(witness *w, const float *latent, int step)
{
    char   name[32];
    size_t elems = 0;
    snprintf(name, sizeof name, "latent.%d", step);
    float       *want = recorded_f32(name, &elems);
    const double error = relative_error(latent, RF_F32, want, elems);
    cr_expect(error <= parity_bound(w->dtype), "latent after step %d in %s: relative error %.3g",
              step, rf_dtype_name(w->dtype), error);
    free(want);
    w->latents++;
}

static void compare_vectors(const rf_plan *plan, rf_dtype dtype)
{
    for (int stage = 0; stage < plan->expert_count; stage++) {
        char   name[32];
        size_t elems = 0;
        snprintf(name, sizeof name, "vector.%d", stage);
        float       *want = recorded_f32(name, &elems);
        const double error = relative_error(plan->expert[stage].table[RF_TABLE_PLANNED].vector.host,
                                            dtype, want, elems);
        cr_expect(error <= parity_bound(dtype), "%s: relative error %.3g", name, error);
        free(want);
    }
}

/* Before the first call the latent is noise times the first sigma. */
static void start_from_recorded_noise(const rf_plan *plan)
{
    for (int i = 0; i < size / 8 * (size / 8) * 4; i++)
        rf_slot_row(plan, 0, RF_SOURCE_X)[i] =
            (float)plan->job[0].course.sigmas.sigma[0] * recorded_noise[i];
}

static int watch(void *user, const rf_progress *progress)
{
    witness *w = user;
    if (progress->phase == RF_PHASE_DECODE && w->latents_only) {
        compare_latent(w, rf_slot_row(w->plan, 0, RF_SOURCE_X), STEPS - 1);
        return 1;
    }
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    cr_expect_eq(progress->stage, progress->step < SWITCH_STEP ? 0 : 1);
    if (progress->step == 0) {
        compare_vectors(w->plan, w->dtype);
        start_from_recorded_noise(w->plan);
    }
    if (progress->step > 0)
        compare_latent(w, rf_slot_row(w->plan, 0, RF_SOURCE_X), progress->step - 1);
    return 0;
}

static rf_status finish(void *user, const rf_image *image, rf_error *err)
{
    (void)err;
    witness *w = user;
    compare_latent(w, image->latent, STEPS - 1);
    w->pictures++;
    return RF_OK;
}

static void compare_schedule(const rf_plan *plan)
{
    size_t       elems = 0;
    rf_plan_info info;
    float       *sigma = recorded_f32("sigmas", &elems);
    cr_assert_eq(elems, (size_t)STEPS + 1);
    rf_plan_get_info(plan, &info);
    for (int i = 0; i <= STEPS; i++) /* A1111 computes these in f32, the plan in f64 */
        cr_expect_float_eq(info.sigmas[i], (double)sigma[i], 2e-6 * (double)sigma[i], "sigma %d",
                           i);
    free(sigma);
    float *timestep = recorded_f32("timesteps", &elems);
    cr_assert_eq(elems, (size_t)STEPS);
    for (int i = 0; i < STEPS; i++)
        cr_expect_eq((float)plan->update[plan->call[i].update].timestep, timestep[i], "step %d", i);
    free(timestep);
}

static void check(relays *r, const rf_options *options)
{
    relays_start(r, options);
    const rf_stage stages[] = {
        {.expert = r->expert[0], .until = 0.5, .prompt = "a", .negative = "b", .cfg_scale = 6},
        {.expert = r->expert[1], .until = 1, .cfg_scale = -1}};
    rf_error err = {0};
    rf_job   job = relays_job(stages, 2, STEPS);
    job.width = job.height = size;
    rf_plan *plan = relays_plan(r, &job);
    witness  w = {.plan = plan, .dtype = r->engine->dtype, .latents_only = options->level != NULL};
    const rf_callbacks callbacks = {.progress = watch, .image = finish, .user = &w};
    use_recorded_tokens(plan);
    compare_schedule(plan);
    const rf_status st = rf_plan_run(plan, &callbacks, &err);
    cr_expect_eq(st, w.latents_only ? RF_E_CANCELLED : RF_OK, "%s", err.message);
    cr_expect_eq(w.latents, STEPS);
    cr_expect_eq(w.pictures, w.latents_only ? 0 : 1);
    rf_plan_destroy(plan);
    relays_stop(r);
}

static void check_everywhere(relays *r, const char *goldens, int pixels)
{
    recorded = goldens;
    size = pixels;
    recorded_noise = recorded_f32("noise", NULL);
    check(r, &(rf_options){.dtype = "f32", .threads = 1});
    check(r, &(rf_options){.dtype = "bf16", .threads = 1});
#ifndef RF_SANITIZE
    check(r, &(rf_options){.dtype = "f32", .threads = 1, .level = "ref"});
#endif
    free(recorded_noise);
    for (int i = 0; i < 2; i++) remove_tiny(r->path[i]);
}

Test(relay_parity, each_latent_on_the_way, .timeout = 240)
{
    relays r = {.path = {make_tiny(7), make_tiny(8)}};
    check_everywhere(&r, "relay", 128);
}

/* bigG alone, and another aesthetic score for the negative prompt. */
Test(relay_parity, each_latent_on_the_way_to_the_refiner, .timeout = 240)
{
    relays r = {.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F16)}};
    check_everywhere(&r, "refiner.relay", 64);
}
