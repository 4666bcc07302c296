/* The executor: walks the tree of the plan's runs launch by launch, decodes what is finished, and
 * hands it out with its metadata. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/relay/plan.h"

typedef struct walk {
    rf_plan            *plan;
    const rf_callbacks *callbacks;
    const rf_plan_tree *tree;
    int                 first;                     /* index that the tree's picture 0 stands for */
    int64_t             launches, calls, pictures; /* done */
} walk;

static rf_picture picture_of(const walk *w, int picture)
{
    const rf_picture p = w->tree->picture[picture];
    return (rf_picture){.job = p.job, .index = p.index + w->first};
}

/* What might help against NaN. */
static const char *advice(const rf_plan *p)
{
    return p->engine->dtype == RF_F32 ? "" : " (try --dtype f32)";
}

static rf_progress progress_of(const walk *w, rf_phase phase, rf_picture picture, int stage,
                               const char *expert)
{
    return (rf_progress){.phase = phase,
                         .stage = stage,
                         .expert = expert,
                         .image = picture.index,
                         .images = 1,
                         .job_index = picture.job,
                         .calls_done = w->calls,
                         .calls = w->plan->calls_shared,
                         .pictures_done = w->pictures,
                         .pictures = w->plan->pictures};
}

/* ---- pictures that go wrong ---------------------------------------------------------------- */

/* One picture's fault: whoever listens is told, and the others go on. */
static rf_status give_up(const walk *w, rf_picture picture, const rf_error *why, rf_error *err)
{
    if (!w->callbacks || !w->callbacks->failed)
        return rf_fail(err, why->status, "%s", why->message);
    w->callbacks->failed(w->callbacks->user, picture.job, picture.index, why->status, why->message);
    return RF_OK;
}

static void describe_nan(const walk *w, rf_picture picture, int slot, rf_error *why)
{
    const rf_plan      *p = w->plan;
    const rf_run_state *state = &p->slot[slot];
    rf_fail(why, RF_E_NAN,
            "picture %d became NaN or infinite at step %d of %d, in %s; nothing was saved%s",
            picture.index, state->failed + 1, p->job[picture.job].course.steps,
            p->expert[state->failed_expert].expert->name, advice(p));
}

/* ---- decoding ----------------------------------------------------------------------------- */

/* One colour everywhere; a true picture differs within the first few pixels. */
static int is_constant(const rf_plan *p, const rf_job *job)
{
    const size_t bytes = (size_t)job->width * (size_t)job->height * 3;
    return memcmp(p->pixels, p->pixels + 3, bytes - 3) == 0;
}

static rf_status check_picture(const rf_plan *p, rf_picture picture, rf_error *why)
{
    const rf_plan_job *j = &p->job[picture.job];
    if (p->stats->non_finite)
        return rf_fail(why, RF_E_NAN,
                       "the VAE of %s gave NaN or infinity in picture %d; nothing was saved%s",
                       p->vae[j->vae].expert->name, picture.index, advice(p));
    if (is_constant(p, &j->job))
        return rf_fail(
            why, RF_E_NAN,
            "picture %d came out constant (every pixel is %d, %d, %d); nothing was saved",
            picture.index, p->pixels[0], p->pixels[1], p->pixels[2]);
    return RF_OK;
}

/* Metadata names the files by their hashes, which a first run may still be computing: whoever wants
 * to stop is heard meanwhile. */
static rf_status await_hashes(const walk *w, const rf_progress *progress, rf_error *err)
{
    const rf_plan        *p = w->plan;
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < p->expert_count + p->vaes; i++) {
        rf_expert *e =
            i < p->expert_count ? p->expert[i].expert : p->vae[i - p->expert_count].expert;
        while (rf_file_hash_pending(&e->hash)) {
            const rf_status st = rf_report(w->callbacks, progress, err);
            if (st != RF_OK) return st;
            nanosleep(&pause, NULL);
        }
    }
    return RF_OK;
}

static rf_status hand_out(const walk *w, rf_picture picture, const rf_progress *progress,
                          rf_error *err)
{
    rf_plan           *p = w->plan;
    const rf_plan_job *j = &p->job[picture.job];
    rf_status          st = RF_OK;
    char              *parameters = NULL, *job = NULL;
    if (!w->callbacks || !w->callbacks->image) return RF_OK;
    RF_TRY(await_hashes(w, progress, err));
    RF_TRY(rf_plan_infotext(p, picture, &parameters, err));
    RF_TRY(rf_plan_job_json(p, picture, &job, err));
    const rf_image image = {.job_index = picture.job,
                            .index = picture.index,
                            .seed = rf_picture_noise(p, picture).seed,
                            .width = j->job.width,
                            .height = j->job.height,
                            .rgb = p->pixels,
                            .latent = p->decode_latent,
                            .parameters = parameters,
                            .job = job};
    st = w->callbacks->image(w->callbacks->user, &image, err);
done:
    free(parameters);
    free(job);
    return st;
}

static rf_status decode(rf_plan *p, const rf_plan_job *j, int slot, rf_error *err)
{
    const double start = rf_now();
    memcpy(p->decode_latent, rf_slot_row(p, slot, RF_SOURCE_X),
           (size_t)j->h * (size_t)j->w * 4 * sizeof(float));
    const rf_status st = rf_program_run(&p->decoder[j->decoder].program, &p->engine->device, err);
    p->timings.decode += rf_now() - start;
    return st;
}

/* *decoded: the decoder whose pixels of this very latent stand there; -1: none. */
static rf_status finish_picture(walk *w, rf_picture picture, int slot, int *decoded, rf_error *err)
{
    rf_plan           *p = w->plan;
    const rf_plan_job *j = &p->job[picture.job];
    rf_error           why = {0};
    rf_status          st = RF_OK;
    rf_progress progress = progress_of(w, RF_PHASE_DECODE, picture, j->active[j->active_count - 1],
                                       p->vae[j->vae].expert->name);
    progress.done = w->pictures;
    progress.total = p->pictures;
    if (p->slot[slot].failed >= 0) {
        describe_nan(w, picture, slot, &why);
        st = give_up(w, picture, &why, err);
        goto done;
    }
    RF_TRY(rf_report(w->callbacks, &progress, err));
    if (*decoded != j->decoder) RF_TRY(decode(p, j, slot, err));
    *decoded = j->decoder;
    if (check_picture(p, picture, &why) != RF_OK)
        st = give_up(w, picture, &why, err);
    else
        st = hand_out(w, picture, &progress, err);
done:
    w->pictures++;
    return st;
}

static rf_status finish_run(walk *w, const rf_launch_item *item, rf_error *err)
{
    int decoded = -1;
    for (int i = w->tree->first[item->node]; i >= 0; i = w->tree->next[i]) {
        const rf_status st = finish_picture(w, picture_of(w, i), item->slot, &decoded, err);
        if (st != RF_OK) return st;
    }
    w->plan->last_end = 0;
    return RF_OK;
}

/* ---- launches ----------------------------------------------------------------------------- */

static void begin(rf_plan *p, int slot)
{
    p->slot[slot].anchor = p->slot[slot].history = 0;
    p->slot[slot].failed = -1;
}

/* A fork: everything of the state. */
static void copy_state(rf_plan *p, int from, int to)
{
    const size_t elems = (size_t)p->slot_rows * p->elems;
    memcpy(p->pool + (size_t)to * elems, p->pool + (size_t)from * elems, elems * sizeof *p->pool);
    p->slot[to] = p->slot[from];
}

/* Samples of a launch, those that begin first; their number is *beginners. */
static rf_pass gather(const walk *w, const rf_launch *l, int *beginners)
{
    rf_plan *p = w->plan;
    int      count = 0;
    for (int later = 0; later < 2; later++) {
        for (int i = l->first; i < l->first + l->count; i++) {
            const rf_launch_item *item = &w->tree->launches.item[i];
            if ((item->from >= 0) != later) continue;
            if (!later)
                begin(p, item->slot);
            else if (item->from != item->slot)
                copy_state(p, item->from, item->slot);
            const rf_relay_call *call = &p->call[w->tree->call[item->node]];
            p->sample[count++] = (rf_sample){.call = call,
                                             .sampler = &p->update[call->update].sampler,
                                             .slot = item->slot,
                                             .picture = picture_of(w, w->tree->first[item->node])};
        }
        if (!later) *beginners = count;
    }
    return (rf_pass){.program = &p->program[l->kind], .sample = p->sample, .count = count};
}

static rf_progress progress_at(const walk *w, const rf_launch *l)
{
    const rf_plan     *p = w->plan;
    const int          node = w->tree->launches.item[l->first].node, k = w->tree->depth[node] - 1;
    const rf_picture   picture = picture_of(w, w->tree->first[node]);
    const rf_plan_job *j = &p->job[picture.job];
    const int          stage = rf_plan_stage_at(j, k);
    rf_progress        progress =
        progress_of(w, RF_PHASE_DENOISE, picture, stage, j->job.stages[stage].expert->name);
    progress.done = w->launches;
    progress.total = p->launches;
    progress.images = l->count;
    progress.steps = j->course.steps;
    if (w->tree->call[node] >= 0)
        progress.step = p->update[p->call[w->tree->call[node]].update].sampler.step;
    return progress;
}

static int all_failed(const rf_plan *p, const rf_pass *pass)
{
    int failed = 0;
    for (int i = 0; i < pass->count; i++) failed += p->slot[pass->sample[i].slot].failed >= 0;
    return failed == pass->count;
}

/* Where nobody listens the first run that goes wrong ends all. */
static rf_status check(const walk *w, const rf_pass *pass, rf_error *err)
{
    if (w->callbacks && w->callbacks->failed) return RF_OK;
    for (int i = 0; i < pass->count; i++) {
        const rf_sample *s = &pass->sample[i];
        rf_error         why = {0};
        if (w->plan->slot[s->slot].failed < 0) continue;
        describe_nan(w, s->picture, s->slot, &why);
        return give_up(w, s->picture, &why, err);
    }
    return RF_OK;
}

static rf_status run_calls(walk *w, const rf_launch *l, rf_error *err)
{
    rf_plan          *p = w->plan;
    rf_status         st = RF_OK;
    int               beginners = 0;
    const rf_progress progress = progress_at(w, l);
    const rf_pass     pass = gather(w, l, &beginners);
    const rf_pass     fresh = {.program = pass.program, .sample = pass.sample, .count = beginners};
    if (beginners) RF_TRY(rf_denoise_start(p, &fresh, err));
    RF_TRY(rf_report(w->callbacks, &progress, err));
    if (all_failed(p, &pass)) goto done;
    RF_TRY(rf_denoise_call(p, &pass, err));
    RF_TRY(check(w, &pass, err));
done:
    return st;
}

/* Runs of DPM adaptive, one after the other: each has steps of its own. */
static rf_status run_adaptive(walk *w, const rf_launch *l, rf_error *err)
{
    rf_status         st = RF_OK;
    const rf_progress progress = progress_at(w, l);
    for (int i = l->first; i < l->first + l->count; i++) {
        const rf_launch_item *item = &w->tree->launches.item[i];
        const rf_sample       sample = {.slot = item->slot,
                                        .picture = picture_of(w, w->tree->first[item->node])};
        begin(w->plan, item->slot);
        RF_TRY(
            rf_denoise_adaptive(w->plan, sample.picture, item->slot, &progress, w->callbacks, err));
        RF_TRY(check(w, &(rf_pass){.sample = &sample, .count = 1}, err));
    }
done:
    return st;
}

static rf_status run_launch(walk *w, const rf_launch *l, rf_error *err)
{
    const double start = rf_now();
    rf_status    st = w->tree->call[w->tree->launches.item[l->first].node] < 0
                          ? run_adaptive(w, l, err)
                          : run_calls(w, l, err);
    w->plan->timings.denoise += rf_now() - start;
    if (st != RF_OK) return st;
    w->launches++;
    w->calls += l->count;
    for (int i = l->first; i < l->first + l->count && st == RF_OK; i++)
        if (w->tree->launches.item[i].leaf) st = finish_run(w, &w->tree->launches.item[i], err);
    return st;
}

/* ---- timing the gaps between calls -------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(double *seconds, int count)
{
    if (count == 0) return 0;
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    return 1e6 * seconds[count / 2];
}

static void forget_gaps(rf_plan *p)
{
    p->gap_count[0] = p->gap_count[1] = 0;
    p->last_end = 0;
}

/* Of the last round. */
static void summarise_gaps(rf_plan *p)
{
    p->timings.call_gap_us = median_us(p->gaps, p->gap_count[0]);
    p->timings.flip_us = median_us(p->gaps + p->gap_room, p->gap_count[1]);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static rf_status run_round(walk *w, int round, rf_error *err)
{
    rf_plan *p = w->plan;
    int      most = 0;
    for (int i = 0; i < p->jobs; i++)
        if (p->job[i].job.count > most) most = p->job[i].job.count;
    w->first = round * p->pictures_per_round;
    const int whole = most - w->first >= p->pictures_per_round;
    w->tree = &p->tree[whole ? RF_WHOLE_ROUND : RF_LAST_ROUND];
    forget_gaps(p);
    for (int i = 0; i < w->tree->launches.launches; i++) {
        const rf_status st = run_launch(w, &w->tree->launches.launch[i], err);
        if (st != RF_OK) return st;
    }
    summarise_gaps(p);
    return RF_OK;
}

rf_status rf_plan_run(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    walk      w = {.plan = p, .callbacks = callbacks};
    p->timings = (rf_timings){0};
    for (int i = 0; i < p->expert_count; i++) rf_file_hash_start(&p->expert[i].expert->hash);
    for (int i = 0; i < p->vaes; i++)
        if (p->vae[i].separate) rf_file_hash_start(&p->vae[i].expert->hash);
    RF_TRY(rf_plan_prepare(p, callbacks, err));
    for (int round = 0; round < p->rounds; round++) RF_TRY(run_round(&w, round, err));
done:
    return st;
}
