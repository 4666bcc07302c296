/* What goes wrong on a GPU: NaN in one of several runs, a user who stops, and calls of the CUDA
 * runtime that fail, wherever they stand. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/synth.h"
#include "tests/files/fixture.h"
#include "tests/model/golden.h"
#include "tests/relay/relay_cuda.h"
#include "tests/relay/sweeps.h"

static const rf_options f16 = {.dtype = "f16"};

static void relay_of(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 1};
}

/* ---- NaN ---------------------------------------------------------------------------------- */

/* The sweep of the same jobs on the CPU. */
static void poison_on_cpu(const relays *gpu, int launch, sweep *s)
{
    relays   r = {.path = {gpu->path[0], gpu->path[1]}};
    rf_stage stage[2];
    rf_error err = {0};
    relays_start(&r, NULL);
    relay_of(&r, stage);
    rf_job job = small_job(stage, 2, 4);
    job.count = job.batch = 3;
    must(sweep_run(&r, &job, 1, launch, 1, s, &err), &err);
    relays_stop(&r);
}

/* The UNets predict zeros. */
static const shooting samplers_alone = {
    .stop_at = -1,
    .poison_at = -1,
    .skip = {EMU_SKIP_KERNELS, EMU_SKIP_KERNELS, EMU_SKIP_GRAPHS, EMU_SKIP_KERNELS}};

Test(relay_cuda_failures, nan_is_one_run_s_alone, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    shooting clean = samplers_alone, s = samplers_alone, deaf = samplers_alone;
    sweep   *cpu = malloc(sizeof *cpu);
    fast_alone();
    gpu_open(&r, f16);
    relay_of(&r, stage);
    rf_job job = small_job(stage, 2, 4);
    job.count = job.batch = 3;
    must_shoot(&r, &job, 1, &clean);
    cr_expect_eq(clean.pictures, 3);
    s.poison_at = 1;
    must(shoot(&r, &job, 1, &s, &err), &err);
    cr_expect_eq(s.pictures, 2);
    cr_expect_eq(s.failures, 1);
    for (int i = 1; i < 3; i++) cr_expect(same_latent(&s, i, &clean, i), "picture %d", i);

    poison_on_cpu(&r, 1, cpu);
    const char *end = strchr(s.message, ';');
    cr_assert_not_null(end, "%s", s.message);
    cr_expect_eq(strncmp(s.message, cpu->message, (size_t)(end - s.message)), 0, "%s, not %s",
                 s.message, cpu->message);

    deaf.poison_at = 1; /* where nobody listens it is the run's error */
    rf_callbacks callbacks = shooting_callbacks(&deaf);
    callbacks.failed = NULL;
    must(rf_plan_create(&deaf.plan, r.engine, &job, &err), &err);
    cr_expect_eq(rf_plan_run(deaf.plan, &callbacks, &err), RF_E_NAN);
    cr_expect_str_eq(err.message, s.message);
    cr_expect_eq(deaf.pictures, 0);
    rf_plan_destroy(deaf.plan);
    sweep_free(cpu, 1);
    free(cpu);
    gpu_close(&r);
}

/* What a message says might help is something that a GPU can do, and not what is done already: the
 * UNets have f16, and the decoder has bf16 all the same. */
Test(relay_cuda_failures, advice_against_nan_can_be_followed, .timeout = 120)
{
    static const char *const dtypes[] = {"f16", "bf16"};
    const char *const        helps[] = {"(try --dtype bf16)", "(try --device cpu --dtype f32)"};
    fast_alone();
    for (int i = 0; i < 2; i++) {
        relays   r;
        rf_stage stage[2];
        rf_error err = {0};
        shooting unet = samplers_alone, vae = samplers_alone;
        unet.poison_at = 1;
        vae.vae_fails = 1;
        gpu_open(&r, (rf_options){.dtype = dtypes[i]});
        relay_of(&r, stage);
        const rf_job job = small_job(stage, 2, 2);
        must(shoot(&r, &job, 1, &unet, &err), &err);
        cr_expect_not_null(strstr(unet.message, helps[i]), "%s", unet.message);
        must(shoot(&r, &job, 1, &vae, &err), &err);
        cr_expect_not_null(strstr(vae.message, "VAE"), "%s", vae.message);
        cr_expect_not_null(strstr(vae.message, helps[1]), "%s", vae.message);
        gpu_close(&r);
    }
}

/* ---- stopping ----------------------------------------------------------------------------- */

Test(relay_cuda_failures, a_stopped_plan_runs_again, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    shooting want = samplers_alone, s = samplers_alone;
    fast_alone();
    gpu_open(&r, f16);
    relay_of(&r, stage);
    rf_job job = small_job(stage, 2, 4);
    job.sampler = "DPM++ 2M";
    must_shoot(&r, &job, 1, &want);
    must(rf_plan_create(&s.plan, r.engine, &job, &err), &err);
    for (int stop = 0; stop <= 4; stop++) {
        s.stop_at = stop < 4 ? stop : -1;
        s.launches = 0;
        const rf_callbacks callbacks = shooting_callbacks(&s);
        const rf_status    st = rf_plan_run(s.plan, &callbacks, &err);
        cr_expect_eq(st, stop < 4 ? RF_E_CANCELLED : RF_OK, "%s", err.message);
        cr_expect_eq(s.pictures, stop == 4);
    }
    cr_expect(same_latent(&s, 0, &want, 0));
    rf_plan_destroy(s.plan);
    gpu_close(&r);
}

/* ---- calls that fail ---------------------------------------------------------------------- */

/* An expert of zeros, half as large on disk. */
static char *make_zeros(const char *name)
{
    rf_sdxl_arch arch;
    rf_error     err = {0};
    fixture      f = {0};
    must(rf_synth_arch(&arch, "tiny", &err), &err);
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, fixture_path(name));
    return strdup(fixture_path(name));
}

/* A whole render, of which nothing is computed. */
static rf_status attempt(relays *r, rf_error *err)
{
    rf_stage stage[2];
    shooting s = shooting_nothing;
    relay_of(r, stage);
    const rf_job    job = small_job(stage, 2, 2);
    const rf_status st = shoot(r, &job, 1, &s, err);
    if (st == RF_OK) cr_expect_eq(s.pictures, 1);
    return st;
}

/* Call n fails with `code`.  0: there is no such call. */
static int fail_call(relays *r, size_t n, int code, int sticky)
{
    rf_error err = {0}, again = {0};
    if (!r->engine) gpu_start(r, f16);
    emu_runtime_fail(n, code);
    const rf_status st = attempt(r, &err);
    const int       reached = emu_runtime_calls() >= n;
    emu_runtime_fail(0, 0);
    if (!reached) {
        must(st, &err);
        gpu_stop(r);
        return 0;
    }
    if (st != RF_OK) { /* a call that gives back may fail if all else was done */
        cr_expect_eq(st, sticky ? RF_E_LOST : RF_E_NOMEM, "call %zu: %s", n, rf_status_name(st));
        cr_expect(strlen(err.message) > 20 && !strchr(err.message, '\n'), "call %zu: \"%s\"", n,
                  err.message);
    }
    const rf_status later = attempt(r, &again);
    if (!sticky) {
        cr_expect_eq(later, RF_OK, "call %zu with %d: %s", n, code, again.message);
        return 1;
    }
    cr_expect_eq(later, RF_E_LOST, "call %zu", n);
    if (st != RF_OK) cr_expect_str_eq(again.message, err.message, "the first cause");
    gpu_stop(r);
    return 1;
}

static void fail_calls(int code, int sticky)
{
    relays r = {.path = {make_zeros("a.safetensors"), make_zeros("b.safetensors")}};
    size_t n = 1, tried = 0;
    while (fail_call(&r, n, code, sticky)) {
        n += 1 + n / 6; /* every one at first, then ever fewer */
        cr_assert_lt(++tried, 1000u);
    }
    cr_expect_gt(n, 1000, "the scenario ended at call %zu", n);
    for (int i = 0; i < 2; i++) free(r.path[i]);
    fixture_cleanup();
}

Test(relay_cuda_failures, calls_without_memory, .timeout = 120)
{
    fast_alone();
    fail_calls(2, 0);
}

Test(relay_cuda_failures, calls_that_lose_the_gpu, .timeout = 120)
{
    fast_alone();
    fail_calls(719, 1);
}
