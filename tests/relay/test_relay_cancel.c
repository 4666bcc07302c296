/* Stopping at every place where one may stop, errors of the image callback, and what progress
 * says.  Afterwards the same plan gives the same picture. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/relay/relays.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

/* Loading reports after each of hundreds of tensors; every so many of them it may be stopped. */
#ifdef RF_SANITIZE
enum { STRIDE = 100 };
#else
enum { STRIDE = 20 };
#endif

typedef struct stopper {
    pictures   *out;
    long        calls, stop_at; /* reports at which one may stop; stop_at -1: never */
    int         stopped;
    rf_progress last;
    int         seen[4]; /* reports of each phase */
    int         steps[2];
    int64_t     read, to_read; /* bytes of files */
} stopper;

static int stop(void *user, const rf_progress *progress)
{
    stopper *s = user;
    cr_assert_not(s->stopped, "no report after the stop");
    cr_assert_lt((int)progress->phase, 4);
    cr_assert(progress->stage == 0 || progress->stage == 1);
    cr_assert_geq(progress->done, 0);
    cr_assert_leq(progress->done, progress->total);
    if (progress->phase != RF_PHASE_DECODE)
        cr_assert_str_eq(progress->expert, progress->stage == 0 ? "tiny7" : "tiny8");
    if (progress->phase == s->last.phase && progress->phase == RF_PHASE_DENOISE)
        cr_assert_geq(progress->done, s->last.done);
    if (progress->phase == RF_PHASE_DENOISE) {
        s->steps[progress->stage]++;
        cr_assert_eq(progress->steps, 3);
        cr_assert_eq(progress->total, 6, "two batches of three steps");
        cr_assert_eq(progress->images, progress->image == 0 ? 2 : 1);
    }
    if (progress->phase == RF_PHASE_LOAD) {
        cr_assert_geq(progress->done, s->read, "reading never goes back");
        cr_assert(s->to_read == 0 || s->to_read == progress->total);
        s->read = progress->done;
        s->to_read = progress->total;
    }
    s->last = *progress;
    if (s->seen[progress->phase]++ % STRIDE && progress->phase == RF_PHASE_LOAD) return 0;
    s->stopped = s->calls++ == s->stop_at;
    return s->stopped;
}

static int ask_thrice(void *user)
{
    int *asked = user;
    return ++*asked == 3;
}

/* Another file's turn keeps this one waiting: who asks for its hash may stop, and ask again. */
Test(relay_cancel, a_hash_that_is_waited_for, .timeout = 60)
{
    relays   r;
    rf_error err = {0};
    char     hex[65], again[65];
    int      asked = 0;
    relays_open(&r, &bf16);
    pthread_mutex_lock(&r.engine->hash_turn);
    cr_expect_eq(rf_expert_sha256(r.expert[0], hex, ask_thrice, &asked, &err), RF_E_CANCELLED);
    cr_expect_eq(asked, 3);
    cr_expect(strstr(err.message, "tiny7"), "%s", err.message);
    pthread_mutex_unlock(&r.engine->hash_turn);
    asked = -1000000;
    must(rf_expert_sha256(r.expert[0], hex, ask_thrice, &asked, &err), &err);
    must(rf_expert_sha256(r.expert[0], again, NULL, NULL, &err), &err);
    cr_expect_str_eq(hex, again);
    cr_expect_eq(strspn(hex, "0123456789abcdef"), 64u);
    relays_close(&r);
}

/* A base of two steps, a refiner of one; three pictures in batches of two. */
static rf_job relay_job(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 6};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 6};
    rf_job job = relays_job(stage, 2, 3);
    job.sampler = "Euler a";
    job.count = 3;
    job.batch = 2;
    return job;
}

static rf_callbacks stopping(stopper *s, pictures *out, long stop_at)
{
    rf_callbacks callbacks = pictures_into(out);
    *s = (stopper){.out = out, .stop_at = stop_at};
    callbacks.progress = stop;
    return callbacks;
}

/* pictures_into expects its own user pointer. */
static rf_status keep(void *user, const rf_image *image, rf_error *err)
{
    pictures           also;
    stopper           *s = user;
    const rf_callbacks callbacks = pictures_into(&also);
    also = *s->out;
    const rf_status st = callbacks.image(&also, image, err);
    *s->out = also;
    return st;
}

static rf_status run(rf_plan *plan, stopper *s, pictures *out, long stop_at, rf_error *err)
{
    rf_callbacks callbacks = stopping(s, out, stop_at);
    callbacks.image = keep;
    callbacks.user = s;
    return rf_plan_run(plan, &callbacks, err);
}

Test(relay_cancel, at_every_report, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    stopper  s;
    pictures want, got;
    rf_error err = {0};
    relays_open(&r, &bf16);
    relays_hash(&r);
    const rf_job job = relay_job(&r, stage);
    rf_plan     *plan = relays_plan(&r, &job);
    must(run(plan, &s, &want, -1, &err), &err);
    cr_expect_eq(want.count, 3);
    cr_expect_eq(s.read, s.to_read, "reading ends at 100 %%");
    cr_expect_eq(s.steps[0], 4);
    cr_expect_eq(s.steps[1], 2);
    cr_expect_eq(s.seen[RF_PHASE_DECODE], 3);
    for (int phase = 0; phase < 4; phase++) cr_expect_gt(s.seen[phase], 0);
    rf_plan_destroy(plan);
    relays_stop(&r);

    /* A fresh engine: its plan is stopped ever later, and each run goes on with what is loaded;
     * then again, with everything loaded. */
    relays_start(&r, &bf16);
    relays_hash(&r);
    const rf_job later = relay_job(&r, stage);
    int          stopped[4] = {0};
    plan = relays_plan(&r, &later);
    for (int round = 0; round < 2; round++) {
        rf_status st = RF_E_CANCELLED;
        for (long n = 0; st != RF_OK; n++) {
            st = run(plan, &s, &got, n, &err);
            if (st != RF_OK) {
                cr_assert_eq(st, RF_E_CANCELLED, "%s", err.message);
                cr_assert_eq(err.status, RF_E_CANCELLED);
                cr_assert_neq(err.message[0], '\0');
                stopped[s.last.phase]++;
            }
            for (int i = 0; i < got.count; i++) /* pictures finished before the stop are good */
                cr_expect(pictures_equal(&got, i, &want, i));
            cr_expect(st != RF_OK || got.count == 3);
            pictures_free(&got);
        }
    }
    cr_expect_geq(stopped[RF_PHASE_LOAD], 3);
    cr_expect_geq(stopped[RF_PHASE_ENCODE], 4, "two prompts, two encoders");
    cr_expect_geq(stopped[RF_PHASE_DENOISE], 6);
    cr_expect_geq(stopped[RF_PHASE_DECODE], 3);
    must(run(plan, &s, &got, -1, &err), &err);
    pictures_expect_equal(&got, &want, "once more", 1);
    pictures_free(&got), pictures_free(&want);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* A plan that was stopped can be thrown away, with its experts half loaded. */
Test(relay_cancel, and_leave, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    stopper  s;
    pictures none;
    rf_error err = {0};
    relays_open(&r, &bf16);
    for (long n = 0; n < 2000; n = 2 * n + 1) {
        const rf_job    job = relay_job(&r, stage);
        rf_plan        *plan = relays_plan(&r, &job);
        const rf_status st = run(plan, &s, &none, n, &err);
        cr_expect(st == RF_E_CANCELLED || st == RF_OK);
        rf_plan_destroy(plan);
        pictures_free(&none);
        relays_stop(&r);
        relays_start(&r, &bf16);
    }
    relays_close(&r);
}

/* ---- the image callback ------------------------------------------------------------------- */

static rf_status refuse_second(void *user, const rf_image *image, rf_error *err)
{
    int *pictures_seen = user;
    cr_expect_eq(image->index, *pictures_seen);
    ++*pictures_seen;
    if (image->index == 1) return rf_fail(err, RF_E_NO_SPACE, "no room for picture 1");
    return RF_OK;
}

Test(relay_cancel, errors_of_the_image_callback_are_passed_on, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    int      seen = 0;
    rf_error err = {0};
    relays_open(&r, &bf16);
    const rf_job       job = relay_job(&r, stage);
    rf_plan           *plan = relays_plan(&r, &job);
    const rf_callbacks callbacks = {.image = refuse_second, .user = &seen};
    cr_expect_eq(rf_plan_run(plan, &callbacks, &err), RF_E_NO_SPACE);
    cr_expect_str_eq(err.message, "no room for picture 1");
    cr_expect_eq(seen, 2);
    seen = 0;
    cr_expect_eq(rf_plan_run(plan, &callbacks, NULL), RF_E_NO_SPACE);
    cr_expect_eq(rf_plan_run(plan, NULL, &err), RF_OK, "without callbacks");
    rf_plan_destroy(plan);
    relays_close(&r);
}

Test(relay_cancel, timings_tell_a_switch_from_a_step, .timeout = 60)
{
    relays     r;
    rf_stage   stage[2];
    rf_timings t;
    rf_error   err = {0};
    relays_open(&r, &bf16);
    for (int switched = 0; switched < 2; switched++) {
        rf_job job = relay_job(&r, stage);
        if (!switched) stage[0].until = 1;
        job.count = job.batch = 1;
        rf_plan *plan = relays_plan(&r, &job);
        must(rf_plan_run(plan, NULL, &err), &err);
        rf_plan_get_timings(plan, &t);
        cr_expect(t.load > 0 && t.encode > 0 && t.denoise > 0 && t.decode > 0);
        cr_expect_gt(t.call_gap_us, 0);
        cr_expect_eq(t.flip_us > 0, switched);
        must(rf_plan_run(plan, NULL, &err), &err);
        rf_plan_get_timings(plan, &t);
        cr_expect(t.encode == 0 && t.denoise > 0, "the second run has its own times");
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}
