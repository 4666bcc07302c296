/* The n-th allocation, read, file or thread fails, for every n there is (later ones in strides):
 * the right status and a sentence, no crash, nothing leaked, and then the same call works. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/relays.h"
#include "tests/relay/scarcity.h"

#ifdef RF_SANITIZE
enum { DENSE = 8, STRIDE_PERCENT = 400 };
#else
enum { DENSE = 16, STRIDE_PERCENT = 150 };
#endif

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

/* The next n to try: every one at first, then ever fewer. */
static long following(long n)
{
    return n < DENSE ? n + 1 : n * STRIDE_PERCENT / 100 + 1;
}

/* Judges one attempt; returns 1 when nothing was refused, so that all n have been tried. */
static int judge(scarce kind, long n, rf_status st, const rf_error *err)
{
    if (!scarcity_end()) {
        cr_assert_eq(st, RF_OK, "nothing failed, and yet: %s", err->message);
        return 1;
    }
    if (kind == SCARCE_THREADS) {
        cr_assert_eq(st, RF_OK, "a thread is a convenience: %s", err->message);
        return 0;
    }
    const rf_status want = kind == SCARCE_MEMORY ? RF_E_NOMEM : RF_E_IO;
    cr_assert_eq(st, want, "call %ld: %s: %s", n, rf_status_name(st), err->message);
    cr_assert_eq(err->status, st);
    cr_assert_neq(err->message[0], '\0');
    return 0;
}

Test(relay_failures, engines, .timeout = 120)
{
    const rf_options options = {.threads = 1, .hash_cache = "/no/such/folder/cache"};
    long             n = 0;
    for (int finished = 0; !finished; n = following(n)) {
        const long live = scarcity_live();
        rf_engine *engine = NULL;
        rf_error   err = {0};
        scarcity_begin(SCARCE_MEMORY, n);
        const rf_status st = rf_engine_create(&engine, &options, &err);
        finished = judge(SCARCE_MEMORY, n, st, &err);
        cr_assert_eq(engine != NULL, st == RF_OK);
        rf_engine_destroy(engine);
        cr_assert_eq(scarcity_live(), live, "call %ld leaks %ld", n, scarcity_live() - live);
    }
    cr_expect_gt(n, 5);
}

Test(relay_failures, experts, .timeout = 120)
{
    relays r;
    relays_open(&r, &bf16);
    for (int kind = SCARCE_MEMORY; kind <= SCARCE_READING; kind++) {
        long n = 0;
        for (int finished = 0; !finished; n = following(n)) {
            const long live = scarcity_live();
            rf_expert *expert = NULL;
            rf_error   err = {0};
            scarcity_begin((scarce)kind, n);
            const rf_status st = rf_expert_open(&expert, r.engine, r.path[0], &err);
            finished = judge((scarce)kind, n, st, &err);
            cr_assert_eq(expert != NULL, st == RF_OK);
            rf_expert_close(expert);
            cr_assert_eq(scarcity_live(), live, "call %ld leaks %ld", n, scarcity_live() - live);
        }
        cr_expect_gt(n, 3);
    }
    relays_close(&r);
}

static void open_experts(relays *r)
{
    rf_error err = {0};
    for (int i = 0; i < 2; i++)
        must(rf_expert_open(&r->expert[i], r->engine, r->path[i], &err), &err);
}

static void close_experts(relays *r)
{
    for (int i = 0; i < 2; i++) rf_expert_close(r->expert[i]);
    r->expert[0] = r->expert[1] = NULL;
}

static const rf_lora_use lora = {
    .path = "tests/golden/lora_kinds.safetensors", .unet = 0.5, .text = 0.5};

static uint8_t       rgb[64 * 64 * 3], mask[64 * 64];
static const rf_init init = {.rgb = rgb,
                             .mask = mask,
                             .denoise = 1,
                             .path = "a.png",
                             .mask_path = "b.png",
                             .job = "{\"steps\":1}"};

/* Two stages with words of their own, the second with a LoRA, a VAE from elsewhere, and half a
 * picture to paint anew. */
static rf_job small_job(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1};
    stage[1] = (rf_stage){.expert = r->expert[1],
                          .until = 1,
                          .prompt = "b",
                          .negative = "c",
                          .cfg_scale = 2,
                          .loras = &lora,
                          .lora_count = 1};
    rf_job job = relays_job(stage, 2, 2);
    job.vae = r->path[0];
    for (int i = 0; i < 64 * 32; i++) mask[i] = 255;
    job.init = &init;
    return job;
}

Test(relay_failures, plans, .timeout = 120)
{
    relays     r = {.path = {make_tiny(7), make_tiny(8)}};
    rf_stage   stage[2];
    const long live = scarcity_live(); /* compared at the end: engines keep compiled primitives */
    relays_start(&r, &bf16);
    close_experts(&r);
    for (int kind = SCARCE_MEMORY; kind <= SCARCE_READING; kind++) {
        long n = 0;
        for (int finished = 0; !finished; n = following(n)) {
            rf_plan *plan = NULL;
            rf_error err = {0};
            open_experts(&r); /* what one plan lists, the next finds listed */
            const rf_job job = small_job(&r, stage);
            scarcity_begin((scarce)kind, n);
            const rf_status st = rf_plan_create(&plan, r.engine, &job, &err);
            finished = judge((scarce)kind, n, st, &err);
            cr_assert_eq(plan != NULL, st == RF_OK);
            rf_plan_destroy(plan);
            close_experts(&r);
        }
        cr_expect_gt(n, 3);
    }
    relays_stop(&r);
    cr_assert_eq(scarcity_live(), live, "%ld leak", scarcity_live() - live);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* One attempt: a fresh plan over fresh experts, run until something is refused, and once more. */
static int attempt(relays *r, int relatives, scarce kind, long n, const pictures *want)
{
    rf_stage   stage[2];
    rf_plan   *plan = NULL;
    rf_error   err = {0};
    pictures   got;
    const long live = scarcity_live();
    open_experts(r);
    const rf_job job = small_job(r, stage);
    if (relatives) stage[1].expert = r->expert[0];
    must(rf_plan_create(&plan, r->engine, &job, &err), &err);
    rf_callbacks callbacks = pictures_into(&got);
    scarcity_begin(kind, n);
    const rf_status st = rf_plan_run(plan, &(rf_callbacks){0}, &err);
    const int       finished = judge(kind, n, st, &err);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_assert(pictures_equal(&got, 0, want, 0), "call %ld: the run after it differs", n);
    rf_plan_destroy(plan);
    close_experts(r);
    pictures_free(&got);
    cr_assert_eq(scarcity_live(), live, "call %ld leaks %ld", n, scarcity_live() - live);
    cr_assert_eq(r->engine->device.bytes_held, 0u);
    return finished;
}

static void fail_runs(const rf_options *options, int relatives)
{
    relays   r;
    rf_stage stage[2];
    pictures want;
    relays_open(&r, options);
    const rf_job job = small_job(&r, stage);
    if (relatives) stage[1].expert = r.expert[0];
    relays_render(&r, &job, &want);
    close_experts(&r);
    for (int kind = SCARCE_MEMORY; kind <= SCARCE_THREADS; kind++) {
        long n = 0;
        while (!attempt(&r, relatives, (scarce)kind, n, &want)) n = following(n);
        cr_expect_gt(n, kind == SCARCE_THREADS ? 0 : 100);
    }
    pictures_free(&want);
    relays_close(&r);
}

Test(relay_failures, runs, .timeout = 300)
{
    fail_runs(&bf16, 0);
}

/* The second expert is read between two calls, into the first one's room. */
Test(relay_failures, runs_in_turns, .timeout = 300)
{
    fail_runs(&(rf_options){.dtype = "bf16", .threads = 1, .memory = 1}, 0);
}

/* It is the first one with a LoRA, and takes its room over. */
Test(relay_failures, runs_of_relatives, .timeout = 300)
{
    fail_runs(&(rf_options){.dtype = "bf16", .threads = 1, .memory = 1}, 1);
}
