/* Experts that are not in memory together: each is loaded once where the stages allow it, memory is
 * what the plan announced, and every picture has the bytes of the order that keeps all of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/golden.h"
#include "tests/relay/sweeps.h"

static const rf_options roomy = {.dtype = "bf16", .threads = 1};
static const rf_options tight = {.dtype = "bf16", .threads = 1, .memory = 1}; /* one at a time */

enum { JOBS = 6 };

typedef struct request {
    rf_job   job[JOBS];
    rf_stage stage[JOBS][3];
    int      jobs;
} request;

/* Switch points of two seeds. */
static void ask_for_points(request *q, const relays *r, const char *sampler, int batch)
{
    q->jobs = JOBS;
    for (int i = 0; i < JOBS; i++) {
        rf_stage *s = q->stage[i];
        const int point = 1 + i / 2;
        s[0] = (rf_stage){.expert = r->expert[0],
                          .until = 0.25 * point,
                          .prompt = "a (cat:1.2)",
                          .negative = "n",
                          .cfg_scale = 6};
        s[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 3};
        q->job[i] = relays_job(s, 2, 4);
        q->job[i].sampler = sampler;
        q->job[i].batch = batch;
        q->job[i].seed = (uint64_t)i % 2;
    }
}

/* One picture, whose stages name experts in that order: "ABA". */
static void ask_for_relay(request *q, const relays *r, const char *experts)
{
    const int count = (int)strlen(experts);
    q->jobs = 1;
    for (int i = 0; i < count; i++)
        q->stage[0][i] = (rf_stage){.expert = r->expert[experts[i] - 'A'],
                                    .until = (i + 1.0) / count,
                                    .prompt = "a",
                                    .cfg_scale = 2};
    q->job[0] = relays_job(q->stage[0], count, 6);
}

static rf_plan *plan_of(const relays *r, const request *q, rf_plan_info *info)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    must(rf_plan_create_many(&plan, r->engine, q->job, q->jobs, &err), &err);
    rf_plan_get_info(plan, info);
    return plan;
}

static int64_t loads_of(const relays *r)
{
    return r->expert[0]->unet_loads + r->expert[1]->unet_loads;
}

/* ---- the same pictures -------------------------------------------------------------------- */

static void run(relays *r, const request *q, sweep *s)
{
    rf_error err = {0};
    must(sweep_run(r, q->job, q->jobs, -1, 0, s, &err), &err);
}

/* The request over both orders. */
static void expect_same(relays *r, request *q,
                        void        ask(request *q, const relays *r, const char *s, int batch),
                        const char *sampler, int batch)
{
    sweep *want = malloc(sizeof *want), *got = malloc(sizeof *got);
    relays_start(r, &roomy);
    ask(q, r, sampler, batch);
    run(r, q, want);
    relays_stop(r);
    relays_start(r, &tight);
    ask(q, r, sampler, batch);
    run(r, q, got);
    for (int i = 0; i < q->jobs; i++)
        pictures_expect_equal(&want->cell[i], &got->cell[i], sampler, 1);
    relays_stop(r);
    sweep_free(want, q->jobs), sweep_free(got, q->jobs);
    free(want), free(got);
}

Test(residency, pictures_are_those_of_the_other_order, .timeout = 300)
{
    static const char *const sampler[] = {"Euler a", "DPM++ 3M SDE", "Heun", "DPM adaptive"};
    relays                   r = {.path = {make_tiny(7), make_tiny(8)}};
    request                  q;
    for (int i = 0; i < 4; i++) expect_same(&r, &q, ask_for_points, sampler[i], 1 + 3 * (i % 2));
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* Pictures of one job come in order, batch after batch. */
Test(residency, one_job_of_many_pictures, .timeout = 120)
{
    relays   r = {.path = {make_tiny(7), make_tiny(8)}};
    request  q;
    pictures out[2];
    for (int i = 0; i < 2; i++) {
        relays_start(&r, i ? &tight : &roomy);
        ask_for_relay(&q, &r, "AB");
        q.job[0].count = 5;
        q.job[0].batch = 2;
        relays_render(&r, &q.job[0], &out[i]);
        relays_stop(&r);
    }
    pictures_expect_equal(&out[0], &out[1], "one job", 1);
    for (int i = 0; i < 2; i++) {
        pictures_free(&out[i]);
        remove_tiny(r.path[i]);
    }
}

/* ---- loads -------------------------------------------------------------------------------- */

static void expect_loads(const relays *r, const request *q, int loads, const char *what)
{
    rf_error      err = {0};
    rf_plan_info  info;
    const int64_t before = loads_of(r);
    rf_plan      *plan = plan_of(r, q, &info);
    cr_expect_eq(info.loads, loads, "%s: %d loads announced", what, info.loads);
    cr_expect_eq(info.resident, 0);
    must(rf_plan_run(plan, NULL, &err), &err);
    cr_expect_eq(loads_of(r) - before, loads, "%s: %d loads made", what,
                 (int)(loads_of(r) - before));
    rf_plan_destroy(plan);
}

Test(residency, loads_are_counted, .timeout = 240)
{
    static const struct {
        const char *experts;
        int         loads;
    } row[] = {{"AB", 2}, {"BA", 2}, {"ABA", 3}};
    relays  r = {.path = {make_tiny(7), make_tiny(8)}};
    request q;
    for (int i = 0; i < 3; i++) {
        relays_start(&r, &tight);
        ask_for_relay(&q, &r, row[i].experts);
        q.job[0].count = 5; /* several batches, and a ragged one */
        q.job[0].batch = 2;
        expect_loads(&r, &q, row[i].loads, row[i].experts);
        relays_stop(&r);
    }
    relays_start(&r, &tight);
    ask_for_points(&q, &r, "Euler", 2);
    expect_loads(&r, &q, 2, "switch points over seeds");
    relays_stop(&r);
    relays_start(&r, &tight);
    for (int i = 0; i < JOBS / 2; i++) /* the refiner is another's base: one of them comes back */
        q.stage[i][0].expert = r.expert[1], q.stage[i][1].expert = r.expert[0];
    for (int i = JOBS / 2; i < JOBS; i++)
        q.stage[i][0].expert = r.expert[0], q.stage[i][1].expert = r.expert[1];
    expect_loads(&r, &q, 3, "bases and refiners");
    relays_stop(&r);
    relays_start(&r, &tight);
    ask_for_points(&q, &r, "DPM adaptive", 1);
    expect_loads(&r, &q, 2 * JOBS, "DPM adaptive: one picture after the other");
    relays_close(&r);
}

/* A million pictures of one job need no larger plan than a thousand: they are several rounds. */
Test(residency, rounds_are_bounded, .timeout = 120)
{
    relays       r;
    request      q;
    rf_plan_info info;
    relays_open(&r, &tight);
    ask_for_relay(&q, &r, "AB");
    q.job[0].batch = 7;
    q.job[0].count = 1022;
    rf_plan_destroy(plan_of(&r, &q, &info));
    cr_expect_eq(info.loads, 2);
    cr_expect_eq(info.states, 1022, "%d", info.states);
    cr_expect_eq(info.launches, 1022 / 7 * 6);
    q.job[0].count = 1000000;
    rf_plan_destroy(plan_of(&r, &q, &info));
    cr_expect_eq(info.states, 1022, "%d", info.states);
    cr_expect_eq(info.loads, 2 * (1000000 / 1022 + 1), "%d", info.loads);
    cr_expect_eq(info.calls_shared, 6000000);
    q.job[0].steps = 10000; /* a million calls at most */
    q.job[0].count = 200;
    rf_plan_destroy(plan_of(&r, &q, &info));
    cr_expect_eq(info.states, 98, "%d", info.states);
    relays_close(&r);
}

/* A third expert: what `memory` holds of them stays. */
Test(residency, what_is_needed_last_leaves, .timeout = 120)
{
    relays       r;
    request      q;
    rf_plan_info info;
    rf_error     err = {0};
    rf_expert   *third = NULL;
    relays_open(&r, &tight);
    char *path = make_tiny(9);
    must(rf_expert_open(&third, r.engine, path, &err), &err);
    ask_for_relay(&q, &r, "ABA");
    q.jobs = 2;
    memcpy(q.stage[1], q.stage[0], sizeof q.stage[0]);
    q.job[1] = q.job[0];
    q.job[1].stages = q.stage[1];
    q.stage[0][2].expert = q.stage[1][2].expert = third; /* A B C and A C C */
    q.stage[1][1].expert = third;
    const struct {
        double memory;
        int    loads, resident;
    } row[] = {{1, 3, 0}, {2, 3, 0}, {2.99, 3, 0}, {3, 3, 1}, {4, 3, 1}};
    rf_plan     *plan = plan_of(&r, &q, &info);
    const double one = (double)info.unet_bytes / 3;
    rf_plan_destroy(plan);
    for (int i = 0; i < 5; i++) {
        r.engine->memory = (uint64_t)(row[i].memory * one + 0.5);
        rf_plan_destroy(plan_of(&r, &q, &info));
        cr_expect_eq(info.loads, row[i].loads, "%g: %d", row[i].memory, info.loads);
        cr_expect_eq(info.resident, row[i].resident, "%g", row[i].memory);
    }
    q.jobs = 1; /* A B A C A B: with two in memory A stays, and B leaves for C */
    rf_stage six[6];
    for (int i = 0; i < 6; i++) {
        six[i] = q.stage[0][0];
        six[i].until = (i + 1) / 6.0;
        six[i].expert = i == 3 ? third : r.expert[i % 2 && i != 3];
    }
    q.job[0].stages = six;
    q.job[0].stage_count = 6;
    r.engine->memory = (uint64_t)(2 * one + 0.5);
    rf_plan_destroy(plan_of(&r, &q, &info));
    cr_expect_eq(info.loads, 4, "%d", info.loads);
    r.engine->memory = 1;
    rf_plan_destroy(plan_of(&r, &q, &info));
    cr_expect_eq(info.loads, 6, "%d", info.loads);
    rf_expert_close(third);
    remove_tiny(path);
    relays_close(&r);
}

/* Plans one after the other, each with an expert of its own: under a limit the UNets of the former
 * ones leave as far as they must, and a plan whose UNet has left loads it again. */
Test(residency, what_former_plans_loaded_leaves, .timeout = 120)
{
    relays       r;
    request      q;
    rf_plan_info info;
    rf_error     err = {0};
    rf_plan     *plan[3];
    pictures     out[2];
    relays_open(&r, &roomy);
    rf_expert *expert[3] = {r.expert[0], r.expert[1]};
    char      *path = make_tiny(9);
    must(rf_expert_open(&expert[2], r.engine, path, &err), &err);
    for (int i = 0; i < 3; i++) {
        ask_for_relay(&q, &r, "A");
        q.stage[0][0].expert = expert[i];
        plan[i] = plan_of(&r, &q, &info);
    }
    static const int held[3][3] = {{1, 1, 1}, {0, 0, 1}, {1, 0, 1}}; /* once all have run */
    for (int limit = 0; limit < 3; limit++) {                        /* none, of one UNet, of two */
        r.engine->memory = (uint64_t)limit * info.unet_bytes;
        for (int i = 0; i < 3; i++) rf_expert_unload(expert[i], RF_NET_UNET);
        for (int i = 0; i < 3; i++) must(rf_plan_run(plan[i], NULL, &err), &err);
        for (int i = 0; i < 3; i++)
            cr_expect_eq(expert[i]->weights[RF_NET_UNET].base != NULL, held[limit][i],
                         "limit %d, expert %d", limit, i);
    }
    for (int i = 0; i < 2; i++) {
        const rf_callbacks callbacks = pictures_into(&out[i]);
        r.engine->memory = i ? 0 : 1; /* first it takes the others' place */
        must(rf_plan_run(plan[0], &callbacks, &err), &err);
    }
    pictures_expect_equal(&out[0], &out[1], "loaded again", 1);
    for (int i = 0; i < 2; i++) pictures_free(&out[i]);
    for (int i = 0; i < 3; i++) rf_plan_destroy(plan[i]);
    rf_expert_close(expert[2]);
    remove_tiny(path);
    relays_close(&r);
}

/* ---- memory and order --------------------------------------------------------------------- */

typedef struct witness {
    const relays *r;
    rf_plan_info  info;
    int           experts, calls, loads; /* stretches of one expert among the calls */
    const char   *expert;
    int64_t       read, to_read, calls_done;
    int           stop_at_load; /* the n-th report of reading a UNet between calls; 0: never */
} witness;

static int watch(void *user, const rf_progress *progress)
{
    witness         *w = user;
    const rf_device *device = &w->r->engine->device;
    if (progress->phase == RF_PHASE_LOAD) {
        cr_expect_geq(progress->done, w->read, "reading goes on where it was");
        if (w->read) cr_expect_eq(progress->total, w->to_read);
        cr_expect_leq(progress->done, progress->total);
        cr_expect_eq(progress->calls_done, w->calls_done, "a load makes no calls");
        w->read = progress->done;
        w->to_read = progress->total;
        if (w->calls && w->stop_at_load && !--w->stop_at_load) return 1;
    }
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (!w->expert || strcmp(w->expert, progress->expert) != 0) w->experts++;
    w->expert = progress->expert;
    w->calls_done = progress->calls_done + progress->images; /* once this launch is made */
    w->calls++;
    size_t unet = 0;
    for (int i = 0; i < 2; i++) {
        const rf_weights *weights = &w->r->expert[i]->weights[RF_NET_UNET];
        if (weights->base) unet += weights->bytes;
    }
    cr_expect_eq(unet, w->info.unet_bytes / 2, "one UNet is in memory");
    cr_expect_eq(device->bytes_held, w->info.slab_bytes + w->info.kv_bytes + w->info.state_bytes +
                                         w->info.vae_bytes + unet);
    return 0;
}

Test(residency, one_expert_is_in_memory_at_a_time, .timeout = 240)
{
    relays   r;
    request  q;
    rf_error err = {0};
    relays_open(&r, &tight);
    ask_for_points(&q, &r, "DPM++ 2M", 2);
    witness            w = {.r = &r};
    rf_plan           *plan = plan_of(&r, &q, &w.info);
    const rf_callbacks callbacks = {.progress = watch, .user = &w};
    cr_assert_eq(w.info.loads, 2);
    for (int i = 0; i < 2; i++) { /* the second run begins with the refiner in memory */
        w.calls = w.experts = 0;
        w.read = w.to_read = w.calls_done = 0;
        must(rf_plan_run(plan, &callbacks, &err), &err);
        cr_expect_eq(w.calls, w.info.launches);
        cr_expect_eq(w.experts, 2, "all calls of the base, then all of the refiner");
        cr_expect_eq(w.read, w.to_read, "progress ends at 100 %%");
        cr_expect_eq(r.engine->device.bytes_peak, w.info.peak_bytes);
    }
    cr_expect_eq(loads_of(&r), 4);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* ---- going wrong in the middle ------------------------------------------------------------ */

typedef struct file_copy {
    char  *bytes;
    size_t count;
} file_copy;

static file_copy copy_of(const char *path)
{
    file_copy c = {0};
    FILE     *f = fopen(path, "rb");
    cr_assert_not_null(f);
    fseek(f, 0, SEEK_END);
    c.count = (size_t)ftell(f);
    rewind(f);
    c.bytes = malloc(c.count);
    cr_assert_eq(fread(c.bytes, 1, c.count, f), c.count);
    fclose(f);
    return c;
}

static void put_back(const char *path, const file_copy *c)
{
    FILE *f = fopen(path, "r+b"); /* the same file: it is open */
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(c->bytes, 1, c->count, f), c->count);
    fclose(f);
}

static int truncate_second(void *user, const rf_progress *progress)
{
    const relays *r = user;
    if (progress->phase == RF_PHASE_DENOISE) cr_assert_eq(truncate(r->path[1], 50000), 0);
    return 0;
}

Test(residency, a_file_that_fails_in_the_middle_is_named, .timeout = 120)
{
    relays       r;
    request      q;
    rf_plan_info info;
    rf_error     err = {0};
    pictures     got, want;
    relays_open(&r, &roomy);
    relays_hash(&r);
    const file_copy copy = copy_of(r.path[1]);
    ask_for_relay(&q, &r, "AB");
    relays_render(&r, &q.job[0], &want);
    relays_stop(&r);
    relays_start(&r, &tight);
    ask_for_relay(&q, &r, "AB");
    rf_plan     *plan = plan_of(&r, &q, &info);
    rf_callbacks callbacks = pictures_into(&got);
    callbacks.progress = truncate_second;
    callbacks.user = &r;
    callbacks.image = NULL;
    cr_expect_eq(rf_plan_run(plan, &callbacks, &err), RF_E_IO);
    cr_expect_not_null(strstr(err.message, r.path[1]), "%s", err.message);
    cr_expect_null(r.expert[1]->weights[RF_NET_UNET].base, "nothing is half loaded");
    put_back(r.path[1], &copy);
    callbacks = pictures_into(&got);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect(pictures_equal(&got, 0, &want, 0), "the run after it");
    rf_plan_destroy(plan);
    pictures_free(&got), pictures_free(&want);
    free(copy.bytes);
    relays_close(&r);
}

Test(residency, stopping_while_the_next_expert_is_read, .timeout = 120)
{
    relays   r;
    request  q;
    rf_error err = {0};
    pictures got, want;
    relays_open(&r, &tight);
    ask_for_relay(&q, &r, "AB");
    relays_render(&r, &q.job[0], &want);
    witness            w = {.r = &r, .stop_at_load = 3};
    rf_plan           *plan = plan_of(&r, &q, &w.info);
    const rf_callbacks stops = {.progress = watch, .user = &w};
    cr_expect_eq(rf_plan_run(plan, &stops, &err), RF_E_CANCELLED);
    cr_expect_not_null(strstr(err.message, r.path[1]), "%s", err.message);
    const rf_callbacks callbacks = pictures_into(&got);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect(pictures_equal(&got, 0, &want, 0), "the run after it");
    rf_plan_destroy(plan);
    pictures_free(&got), pictures_free(&want);
    relays_close(&r);
}

/* Two plans over the same experts: what one unloads, the other loads again. */
Test(residency, plans_take_turns, .timeout = 120)
{
    relays       r;
    request      both, alone;
    rf_plan_info info;
    rf_error     err = {0};
    pictures     want[2], got;
    relays_open(&r, &tight);
    ask_for_relay(&both, &r, "AB");
    ask_for_relay(&alone, &r, "A");
    rf_plan *plan[2] = {plan_of(&r, &both, &info), plan_of(&r, &alone, &info)};
    cr_expect_eq(info.resident, 1, "one expert need not leave");
    for (int i = 0; i < 6; i++) {
        const rf_callbacks callbacks = pictures_into(i < 2 ? &want[i] : &got);
        must(rf_plan_run(plan[i % 2], &callbacks, &err), &err);
        if (i < 2) continue;
        cr_expect(pictures_equal(&got, 0, &want[i % 2], 0), "run %d", i);
        pictures_free(&got);
    }
    for (int i = 0; i < 2; i++) {
        rf_plan_destroy(plan[i]);
        pictures_free(&want[i]);
    }
    relays_close(&r);
}
