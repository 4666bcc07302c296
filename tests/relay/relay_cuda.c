/* See relay_cuda.h. */
#include "tests/relay/relay_cuda.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/model/golden.h"

const shooting shooting_whole = {.stop_at = -1, .poison_at = -1};
const shooting shooting_latents = {
    .stop_at = -1, .poison_at = -1, .skip = {[RF_PHASE_DECODE] = EMU_SKIP_KERNELS}};
const shooting shooting_nothing = {
    .stop_at = -1,
    .poison_at = -1,
    .skip = {EMU_SKIP_KERNELS, EMU_SKIP_KERNELS, EMU_SKIP_KERNELS, EMU_SKIP_KERNELS}};

/* ---- engines ------------------------------------------------------------------------------ */

void fast_alone(void)
{
    if (emu_checked()) cr_skip_test("the fast build does");
}

void gpu_start(relays *r, rf_options options)
{
    emu_runtime_start(&emu_gpu_emulated);
    emu_configure(&(emu_settings){.no_races = true}); /* of each kernel: tests/kernels */
    emu_clear();
    options.device = emu_runtime_stands_in() ? "emulated" : "cuda";
    options.threads = 1;
    relays_start(r, &options);
}

void gpu_open(relays *r, rf_options options)
{
    *r = (relays){.path = {make_tiny(7), make_tiny(8)}};
    gpu_start(r, options);
}

void gpu_stop(relays *r)
{
    relays_stop(r);
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.streams && !held.events &&
                  !held.graphs && !held.executables,
              "something is left on the GPU");
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
}

void gpu_close(relays *r)
{
    gpu_stop(r);
    for (int i = 0; i < 2; i++) remove_tiny(r->path[i]);
}

rf_job small_job(const rf_stage *stages, int count, int steps)
{
    rf_job job = relays_job(stages, count, steps);
    job.width = job.height = SIDE;
    return job;
}

/* ---- on the way --------------------------------------------------------------------------- */

static rf_device *device_of(const shooting *s)
{
    return &s->plan->engine->device;
}

static void check(rf_status st, const rf_error *err)
{
    if (st != RF_E_LOST && st != RF_E_NOMEM) must(st, err); /* tests make calls fail */
}

/* What the decoder is not there to write. */
static void paint(const shooting *s)
{
    const rf_plan *p = s->plan;
    const size_t   pixels = p->decode_elems / 4 * 64 * 3;
    const size_t   stats = (size_t)p->decodings * sizeof(rf_pixels_stats);
    rf_error       err = {0};
    for (size_t i = 0; i < pixels; i++) ((uint8_t *)p->pixels.host)[i] = (uint8_t)(i * 7);
    memset(p->stats.host, 0, stats);
    ((rf_pixels_stats *)p->stats.host)->non_finite = s->vae_fails;
    check(rf_twin_up(device_of(s), &p->pixels, 0, pixels, &err), &err);
    check(rf_twin_up(device_of(s), &p->stats, 0, stats, &err), &err);
}

static void predict_zeros(const shooting *s)
{
    const rf_plan *p = s->plan;
    const size_t   elems = (size_t)p->rows * (size_t)p->batch * p->elems;
    rf_error       err = {0};
    check(rf_device_fill(device_of(s), RF_STREAM_OPS, p->eps, 0,
                         elems * rf_dtype_bytes(p->engine->dtype), &err),
          &err);
}

static void poison(const shooting *s, const rf_progress *progress)
{
    const rf_plan     *p = s->plan;
    const rf_launches *l = &p->tree[0].launches;
    const int          slot = l->item[l->launch[progress->done].first].slot;
    float             *pinned = p->decode_latent.host; /* free until pictures are decoded */
    rf_error           err = {0};
    *pinned = NAN;
    must(rf_device_copy(device_of(s), RF_STREAM_OPS, RF_COPY_UP,
                        rf_slot_row(p, slot, RF_SOURCE_X) + 17, pinned, sizeof *pinned, &err),
         &err);
}

static void expect_nothing_taken(shooting *s)
{
    const emu_held held = emu_runtime_held();
    if (s->launches == 0) {
        s->allocations = device_of(s)->allocations;
        s->held = held;
    }
    cr_expect_eq(device_of(s)->allocations, s->allocations);
    cr_expect(held.memory_bytes == s->held.memory_bytes &&
                  held.pinned_bytes == s->held.pinned_bytes && held.events == s->held.events &&
                  held.executables == s->held.executables,
              "something is taken after planning");
}

static int follow(void *user, const rf_progress *progress)
{
    shooting  *s = user;
    const bool computed = !emu_runtime_stands_in() || !s->skip[progress->phase];
    emu_runtime_skip(s->skip[progress->phase]);
    if (progress->phase == RF_PHASE_DECODE && !computed) paint(s);
    if (progress->phase == RF_PHASE_DENOISE || s->launches)
        if (s->plan->resident) expect_nothing_taken(s);
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (s->skip[RF_PHASE_DENOISE] == EMU_SKIP_GRAPHS) predict_zeros(s);
    if (s->launches == s->poison_at) poison(s, progress);
    return s->launches++ == s->stop_at;
}

static rf_status keep(void *user, const rf_image *image, rf_error *err)
{
    shooting *s = user;
    const int at = image->job_index + image->index;
    (void)err;
    s->pictures++;
    if (at >= SHOTS) return RF_OK;
    cr_assert(image->width == SIDE && image->height == SIDE);
    memcpy(s->latent[at], image->latent, sizeof s->latent[at]);
    memcpy(s->rgb[at], image->rgb, sizeof s->rgb[at]);
    return RF_OK;
}

static void fail(void *user, int job_index, int index, rf_status status, const char *message)
{
    shooting *s = user;
    cr_expect_eq(status, RF_E_NAN);
    (void)job_index, (void)index;
    s->failures++;
    snprintf(s->message, sizeof s->message, "%s", message);
}

rf_callbacks shooting_callbacks(shooting *s)
{
    emu_runtime_skip(s->skip[RF_PHASE_LOAD]);
    return (rf_callbacks){.progress = follow, .image = keep, .failed = fail, .user = s};
}

rf_status shoot(relays *r, const rf_job *jobs, int count, shooting *s, rf_error *err)
{
    rf_status st = rf_plan_create_many(&s->plan, r->engine, jobs, count, err);
    if (st != RF_OK) return st;
    const rf_callbacks callbacks = shooting_callbacks(s);
    st = rf_plan_run(s->plan, &callbacks, err);
    rf_plan_destroy(s->plan);
    s->plan = NULL;
    return st;
}

void must_shoot(relays *r, const rf_job *jobs, int count, shooting *s)
{
    rf_error err = {0};
    must(shoot(r, jobs, count, s, &err), &err);
    cr_expect_eq(s->failures, 0, "%s", s->message);
}

int same_latent(const shooting *a, int i, const shooting *b, int j)
{
    return memcmp((const void *)a->latent[i], (const void *)b->latent[j], sizeof a->latent[i]) == 0;
}
