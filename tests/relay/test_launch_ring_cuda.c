/* The relay's loop on a device that queues its work: whatever it does gives the bytes of the host,
 * where every launch is done before the next is written.
 *
 * The stand-in for CUDA puts work off as long as CUDA may, so that a table, noise or flag that is
 * written or read too early is wrong every time.  The networks are replaced by sums that read what
 * the true ones read of a launch: a launch costs next to nothing then, and all levels give the same
 * bits. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"
#include "tests/relay/relays.h"

enum {
    POINTS = 2, /* where the experts switch */
    SEEDS = 2,
    JOBS = 32,
    REPORTS = 64,
    SIZE = 64, /* pixels */
    ELEMS = SIZE / 8 * (SIZE / 8) * 4,
    EMBEDDINGS = 256,
    PIXELS_PER_LATENT = 64 * 3 / 4,
};

static const rf_options host = {.dtype = "bf16", .threads = 1};
static const rf_options queued = {.device = "emulated", .dtype = "bf16", .threads = 1};

/* ---- the networks that are none ------------------------------------------------------------- */

/* On the device at work: embeddings, [EMBEDDINGS, ELEMS]; then coefficients, as many ones as there
 * can be samples and rows, and as many pairs. */
enum {
    LINES = 256,
    ONES = EMBEDDINGS * ELEMS,
    PAIRS = ONES + LINES,
    CONSTANTS = PAIRS + 2 * LINES
};

static float              *constants;
static const rf_unet_list *refiner; /* whose answer has another sign */

void __wrap_rf_unet_forward(rf_recorder *r, const void *arg); /* names are the linker's */
void __wrap_rf_vae_decode(rf_recorder *r, const void *arg);

static const float *constant(int at)
{
    return constants ? constants + at : NULL;
}

/* eps = row `temb_row` of the embeddings + x / 8; x / 4 for the refiner. */
void __wrap_rf_unet_forward(rf_recorder *r, const void *arg)
{
    const rf_unet_forward_args *a = arg;
    const int                   e = a->h * a->w * 4;
    rf_lincomb_args             row = {.y = a->y,
                                       .x = {constant(0)},
                                       .coef = constant(ONES),
                                       .xrow = a->temb_row,
                                       .xstride = {ELEMS},
                                       .n = a->n,
                                       .e = e,
                                       .terms = 1,
                                       .ydtype = r->dtype};
    rf_do_lincomb(r, row, "embedding");
    rf_lincomb_args sum = {.y = a->y,
                           .x = {a->y, a->x, a->x},
                           .coef = constant(PAIRS),
                           .n = a->n,
                           .e = e,
                           .terms = 2,
                           .ydtype = r->dtype};
    for (int j = 0; j < 3; j++) sum.xdtype[j] = r->dtype;
    rf_do_lincomb(r, sum, "sum");
    if (a->list == refiner) rf_do_lincomb(r, sum, "sum");
}

/* Every value of the latent, over and over. */
void __wrap_rf_vae_decode(rf_recorder *r, const void *arg)
{
    const rf_vae_decode_args *a = arg;
    const int                 e = a->h * a->w * 4;
    const size_t              row = (size_t)e * PIXELS_PER_LATENT;
    void                     *image = rf_take(r, row * (size_t)a->n);
    for (int k = 0; k < PIXELS_PER_LATENT; k++) {
        const rf_lincomb_args copy = {.y = rf_offset(r, image, (size_t)k * (size_t)e),
                                      .x = {a->latent},
                                      .coef = constant(ONES),
                                      .ystride = row,
                                      .n = a->n,
                                      .e = e,
                                      .terms = 1,
                                      .ydtype = r->dtype};
        rf_do_lincomb(r, copy, "copy");
    }
    const rf_pixels_args pixels = {
        .y = a->pixels, .x = image, .stats = a->stats, .n = a->n, .hw = a->h * a->w * 64};
    rf_do_pixels(r, pixels, "pixels");
    rf_give(r, image);
}

static void place_constants(rf_device *device)
{
    const size_t bytes = CONSTANTS * sizeof(float);
    rf_error     err = {0};
    void        *device_side = NULL, *staging = NULL;
    must(rf_device_alloc(device, &device_side, bytes, "constants", &err), &err);
    must(rf_device_alloc_staging(device, &staging, bytes, "constants", &err), &err);
    float *f = staging;
    for (int i = 0; i < ONES; i++) f[i] = (float)((i * 37 + i / ELEMS * 11) % 251 - 125) / 125;
    for (int i = ONES; i < PAIRS; i++) f[i] = 1;
    for (int i = PAIRS; i < CONSTANTS; i++) f[i] = i % 2 ? 0.125f : 1;
    must(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, device_side, staging, bytes, &err),
         &err);
    must(rf_device_wait(device, &err), &err);
    rf_device_free_staging(device, staging, bytes);
    constants = device_side;
}

static void open_relays(relays *r, const rf_options *options)
{
    emu_configure(&(emu_settings){.no_races = true}); /* of each kernel: tests/kernels */
    relays_open(r, options);
    place_constants(&r->engine->device);
    refiner = &r->expert[1]->blocks;
}

static void close_relays(relays *r)
{
    rf_device_free(&r->engine->device, constants, CONSTANTS * sizeof(float));
    constants = NULL;
    relays_close(r);
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
}

/* ---- a request, and what comes of it -------------------------------------------------------- */

typedef struct request {
    rf_job   job[JOBS];
    rf_stage stage[JOBS][3];
    int      jobs;
} request;

/* Switch points of some seeds, so that states fork. */
static void add_points(request *q, const relays *r, const char *sampler, double churn)
{
    for (int i = 0; i < POINTS * SEEDS; i++) {
        rf_stage *s = q->stage[q->jobs];
        rf_job   *job = &q->job[q->jobs++];
        s[0] = (rf_stage){.expert = r->expert[0],
                          .until = 0.25 * (2 + i % POINTS),
                          .prompt = "a",
                          .negative = "n",
                          .cfg_scale = 6};
        s[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 3};
        *job = relays_job(s, 2, 4);
        job->sampler = sampler;
        job->s_churn = churn;
        job->batch = 2;
        job->seed = (uint64_t)i / POINTS;
    }
}

/* One picture, whose stages name experts in that order: "ABA". */
static void ask_for_relay(request *q, const relays *r, const char *experts, int steps)
{
    const int count = (int)strlen(experts);
    *q = (request){.jobs = 1};
    for (int i = 0; i < count; i++)
        q->stage[0][i] = (rf_stage){.expert = r->expert[experts[i] - 'A'],
                                    .until = (i + 1.0) / count,
                                    .prompt = "a",
                                    .cfg_scale = 2};
    q->job[0] = relays_job(q->stage[0], count, steps);
    q->job[0].sampler = "Euler a";
}

typedef struct outcome {
    rf_plan   *plan;
    rf_device *device;
    float     *nan;    /* pinned */
    int        poison; /* the first run of that launch gets it; -1: none */
    int        hurry;  /* a planted fault: nobody waits for a launch */
    rf_device *other;  /* what the caller is about between reports; NULL: nothing */
    rf_status  st;
    rf_error   err;
    pictures   cell[JOBS];
    char       failure[JOBS][RF_ERROR_BYTES];
    int        reports;
    emu_done   at[REPORTS]; /* what was done when that launch was reported */
    size_t     allocations[2];
    rf_timings timings;

    float              *constants; /* where several are at work */
    const rf_unet_list *refiner;
} outcome;

static int watch(void *user, const rf_progress *progress)
{
    outcome  *o = user;
    rf_plan  *p = o->plan;
    rf_error *err = &o->err;
    if (o->other) must(rf_device_bind(o->other, err), err);
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (o->reports == 0) o->allocations[0] = o->device->allocations;
    o->allocations[1] = o->device->allocations;
    o->at[o->reports++ % REPORTS] = emu_runtime_done();
    for (int i = 0; i < p->ring.sides && o->hurry; i++) p->ring.side[i].queued = 0;
    if (progress->done != o->poison) return 0;
    const rf_launches *l = &p->tree[0].launches;
    const int          slot = l->item[l->launch[progress->done].first].slot;
    must(rf_device_copy(o->device, RF_STREAM_OPS, RF_COPY_UP,
                        rf_slot_row(p, slot, RF_SOURCE_X) + 17, o->nan, sizeof *o->nan, err),
         err);
    return 0;
}

static rf_status keep(void *user, const rf_image *image, rf_error *err)
{
    outcome           *o = user;
    pictures          *cell = &o->cell[image->job_index];
    pictures           now;
    const rf_callbacks one = pictures_into(&now);
    const rf_status    st = one.image(&now, image, err);
    *cell = now;
    return st;
}

static void fail(void *user, int job, int index, rf_status status, const char *message)
{
    outcome *o = user;
    cr_expect_eq(status, RF_E_NAN);
    cr_expect_eq(index, 0);
    snprintf(o->failure[job], sizeof o->failure[job], "%s", message);
}

static void plan(const relays *r, const request *q, outcome *o)
{
    void *nan = NULL;
    *o = (outcome){.device = &r->engine->device, .poison = -1};
    must(rf_device_alloc_staging(o->device, &nan, sizeof *o->nan, "nan", &o->err), &o->err);
    o->nan = nan;
    *o->nan = NAN;
    must(rf_plan_create_many(&o->plan, r->engine, q->job, q->jobs, &o->err), &o->err);
}

/* Forgets what came before. */
static void run(outcome *o, int listens)
{
    const rf_callbacks callbacks = {
        .progress = watch, .image = keep, .failed = listens ? fail : NULL, .user = o};
    for (int i = 0; i < JOBS; i++) pictures_free(&o->cell[i]);
    memset(o->failure, 0, sizeof o->failure);
    o->reports = 0;
    o->st = rf_plan_run(o->plan, &callbacks, &o->err);
    rf_plan_get_timings(o->plan, &o->timings);
}

/* All but the results. */
static void end(outcome *o)
{
    rf_plan_destroy(o->plan);
    rf_device_free_staging(o->device, o->nan, sizeof *o->nan);
}

static void forget(outcome *o)
{
    for (int i = 0; i < JOBS; i++) pictures_free(&o->cell[i]);
}

/* Whether two messages say the same; what might help is the device's own. */
static bool same_words(const char *a, const char *b)
{
    const char *end = strstr(a, "; nothing was saved");
    return end ? strncmp(a, b, (size_t)(end - a)) == 0 : strcmp(a, b) == 0;
}

static bool equal(const outcome *a, const outcome *b)
{
    bool same = a->st == b->st && (a->st == RF_OK || same_words(a->err.message, b->err.message));
    for (int i = 0; i < JOBS; i++) {
        same = same && a->cell[i].count == b->cell[i].count;
        if (same && a->cell[i].count) same = pictures_equal(&a->cell[i], 0, &b->cell[i], 0);
        same = same && same_words(a->failure[i], b->failure[i]);
    }
    return same;
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* All samplers in one tree: their launches are each other's neighbours in the ring. */
Test(launch_ring_cuda, gives_the_bytes_of_the_host, .timeout = 240)
{
    static const char *const samplers[] = {"Euler a", "DPM++ 2M", "DPM2 a", "UniPC",
                                           "DPM++ 3M SDE"};
    static outcome           o[2];
    for (int side = 0; side < 2; side++) {
        relays  r;
        request q = {.jobs = 0};
        open_relays(&r, side ? &queued : &host);
        for (int s = 0; s < 5; s++) add_points(&q, &r, samplers[s], 0);
        add_points(&q, &r, "Euler", 4);
        add_points(&q, &r, "DPM adaptive", 0);
        q.jobs -= POINTS * SEEDS - 1;
        plan(&r, &q, &o[side]);
        run(&o[side], 0);
        must(o[side].st, &o[side].err);
        cr_expect_eq(o[side].allocations[0], o[side].allocations[1]);
        end(&o[side]);
        close_relays(&r);
    }
    cr_expect_eq(o[0].cell[6 * POINTS * SEEDS].count, 1);
    cr_expect(equal(&o[0], &o[1]));
    forget(&o[0]), forget(&o[1]);
}

/* The host writes a launch while two are queued, and waits for nothing but the older of them. */
Test(launch_ring_cuda, waits_once_a_launch, .timeout = 60)
{
    enum { STEPS = 12 };
    relays  r;
    request q;
    outcome o, hurried;
    open_relays(&r, &queued);
    ask_for_relay(&q, &r, "AB", STEPS);
    plan(&r, &q, &o);
    run(&o, 0);
    must(o.st, &o.err);
    cr_assert_eq(o.reports, STEPS);
    for (int k = 0; k < STEPS; k++) {
        const size_t done = k < RF_RING_SIDES ? 0 : (size_t)(k - RF_RING_SIDES + 1);
        cr_expect_eq(o.at[k].graph_launches, done, "launch %d: %zu done", k,
                     o.at[k].graph_launches);
        cr_expect_eq(o.at[k].waits - o.at[0].waits, done, "launch %d", k);
    }
    cr_expect_gt(o.timings.call_gap_us, 0);
    cr_expect_gt(o.timings.flip_us, 0);
    end(&o);

    /* What shows that this can fail: a side that is written too early is another launch's. */
    plan(&r, &q, &hurried);
    hurried.hurry = 1;
    run(&hurried, 0);
    cr_expect_not(equal(&o, &hurried));
    end(&hurried);
    emu_clear();
    forget(&o), forget(&hurried);
    close_relays(&r);
}

/* NaN before any launch, of any run: the same pictures fail, with the same words, and the others
 * are what they were, although the device tells of it when forks have been taken. */
Test(launch_ring_cuda, tells_of_nan_as_the_host_does, .timeout = 240)
{
    static outcome o[2];
    relays         r[2];
    for (int side = 0; side < 2; side++) {
        request q = {.jobs = 0};
        open_relays(&r[side], side ? &queued : &host);
        add_points(&q, &r[side], "DPM++ 2M", 0);
        plan(&r[side], &q, &o[side]);
        o[side].constants = constants;
        o[side].refiner = refiner;
    }
    for (int k = 0, launches = 1; k < launches; k++)
        for (int listens = 0; listens < 2; listens++) {
            for (int side = 0; side < 2; side++) {
                constants = o[side].constants;
                refiner = o[side].refiner;
                o[side].poison = k;
                run(&o[side], listens);
                cr_expect_eq(o[side].st, listens ? RF_OK : RF_E_NAN);
            }
            launches = (int)o[0].plan->launches;
            cr_expect(equal(&o[0], &o[1]), "before launch %d: \"%s\" and \"%s\"", k,
                      o[0].err.message, o[1].err.message);
        }
    for (int side = 0; side < 2; side++) {
        end(&o[side]);
        forget(&o[side]);
        constants = o[side].constants;
        close_relays(&r[side]);
    }
}

/* Every program that occurs is a graph, made ahead of the steps; where experts take turns it is
 * made anew, for it holds the addresses of weights that have moved. */
Test(launch_ring_cuda, graphs_follow_the_weights, .timeout = 120)
{
    static outcome o[3];
    for (int side = 0; side < 3; side++) {
        relays     r;
        request    q;
        rf_options options = side ? queued : host;
        if (side == 2) options.memory = 1;
        open_relays(&r, &options);
        ask_for_relay(&q, &r, "ABA", 6);
        plan(&r, &q, &o[side]);
        cr_expect_eq(o[side].plan->loads, side == 2 ? 3 : 2);
        for (int again = 0; again < (side ? 2 : 1); again++) {
            const size_t made = side == 1 ? (again ? 0 : 2)
                                : again   ? 2
                                          : 3; /* the last UNet stays */
            emu_done     before = {0};
            if (side) before = emu_runtime_done();
            run(&o[side], 0);
            must(o[side].st, &o[side].err);
            if (!side) continue;
            const emu_done after = emu_runtime_done();
            cr_expect_eq(after.graphs - before.graphs, made);
            cr_expect_eq(after.graph_launches - before.graph_launches, 6u);
            cr_expect_eq(emu_runtime_held().executables, 2);
        }
        end(&o[side]);
        if (side) cr_expect_eq(emu_runtime_held().executables, 0);
        close_relays(&r);
    }
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.events && !held.streams);
    cr_expect(equal(&o[0], &o[1]));
    cr_expect(equal(&o[0], &o[2]));
    for (int side = 0; side < 3; side++) forget(&o[side]);
}

/* Whoever hears of progress may be at work on another GPU. */
Test(launch_ring_cuda, callers_may_have_another_gpu, .timeout = 60)
{
    emu_gpu   two = emu_gpu_emulated;
    rf_device other;
    relays    r;
    request   q;
    outcome   o, with_other;
    rf_error  err = {0};
    two.devices = 2;
    emu_runtime_start(&two);
    open_relays(&r, &queued);
    must(rf_device_open_cuda(&other, 1, 1, &err), &err);
    ask_for_relay(&q, &r, "AB", 4);
    plan(&r, &q, &o);
    run(&o, 0);
    must(o.st, &o.err);
    end(&o);
    plan(&r, &q, &with_other);
    with_other.other = &other;
    run(&with_other, 0);
    must(with_other.st, &with_other.err);
    end(&with_other);
    cr_expect(equal(&o, &with_other));
    forget(&o), forget(&with_other);
    rf_device_close(&other);
    close_relays(&r);
}

/* Any call of the runtime fails in the loop: an error, and then the same plan gives its picture.
 * After one that breaks the device all is given back. */
Test(launch_ring_cuda, any_call_may_fail, .timeout = 120)
{
    enum { INVALID_VALUE = 1, LAUNCH_FAILURE = 719, DENSE = 8, STRIDE_PERCENT = 117 };
    relays         r;
    request        q;
    static outcome first, o;
    open_relays(&r, &queued);
    ask_for_relay(&q, &r, "AB", 4);
    plan(&r, &q, &first);
    run(&first, 0);
    end(&first);
    plan(&r, &q, &o);
    run(&o, 0);
    emu_runtime_fail(0, 0);
    run(&o, 0);
    const size_t calls = emu_runtime_calls();
    cr_expect_gt(calls, 50u);
    for (size_t n = 1; n <= calls; n = n < DENSE ? n + 1 : n * STRIDE_PERCENT / 100 + 1) {
        emu_runtime_fail(n, INVALID_VALUE);
        run(&o, 0);
        cr_expect_eq(o.st, RF_E_DEVICE, "call %zu: %s", n, rf_status_name(o.st));
        emu_runtime_fail(0, 0);
        run(&o, 0);
        cr_expect(equal(&first, &o), "after call %zu", n);
    }
    emu_runtime_fail(calls / 2, LAUNCH_FAILURE);
    run(&o, 0);
    cr_expect_eq(o.st, RF_E_LOST);
    end(&o);
    forget(&o), forget(&first);
    close_relays(&r);
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.events && !held.executables);
}
