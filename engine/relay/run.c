/* The executor: walks the tree of the plan's runs launch by launch.  Where not all experts are in
 * memory, the first launch of an expert's turn finds it missing and has it loaded. */
#include <stdlib.h>
#include <string.h>

#include "engine/relay/ranges.h"
#include "engine/relay/run.h"

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
static rf_pass gather(const rf_walk *w, const rf_launch *l, int *beginners)
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
            p->sample[count++] =
                (rf_sample){.call = call,
                            .sampler = &p->update[call->update].sampler,
                            .slot = item->slot,
                            .picture = rf_walk_picture(w, w->tree->first[item->node])};
        }
        if (!later) *beginners = count;
    }
    return (rf_pass){.program = &p->program[l->kind], .sample = p->sample, .count = count};
}

static rf_progress progress_at(const rf_walk *w, const rf_launch *l)
{
    const rf_plan     *p = w->plan;
    const int          node = w->tree->launches.item[l->first].node, k = w->tree->depth[node] - 1;
    const rf_picture   picture = rf_walk_picture(w, w->tree->first[node]);
    const rf_plan_job *j = &p->job[picture.job];
    const int          stage = rf_plan_stage_at(j, k);
    rf_progress        progress =
        rf_walk_progress(w, RF_PHASE_DENOISE, picture, stage, j->job.stages[stage].expert->name);
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

static rf_status run_calls(rf_walk *w, const rf_launch *l, rf_error *err)
{
    rf_plan          *p = w->plan;
    rf_status         st = RF_OK;
    int               beginners = 0;
    const rf_progress progress = progress_at(w, l);
    const rf_pass     pass = gather(w, l, &beginners);
    const rf_pass     fresh = {.program = pass.program, .sample = pass.sample, .count = beginners};
    if (!all_failed(p, &pass)) RF_TRY(rf_plan_summon(p, pass.program->expert, w->callbacks, err));
    RF_TRY(rf_range_step(p, &progress, err));
    if (beginners) RF_TRY(rf_denoise_start(p, &fresh, err));
    RF_TRY(rf_report(w->callbacks, &progress, err));
    if (all_failed(p, &pass)) goto done;
    RF_TRY(rf_denoise_call(p, &pass, err));
    RF_TRY(rf_walk_check(w, &pass, err));
done:
    rf_trace_end(p->engine->device.trace, RF_TRACE_STEP);
    return st;
}

/* Runs of DPM adaptive, one after the other: each has steps of its own. */
static rf_status run_adaptive(rf_walk *w, const rf_launch *l, rf_error *err)
{
    rf_status         st = RF_OK;
    const rf_progress progress = progress_at(w, l);
    for (int i = l->first; i < l->first + l->count; i++) {
        const rf_launch_item *item = &w->tree->launches.item[i];
        const rf_sample       sample = {.slot = item->slot,
                                        .picture = rf_walk_picture(w, w->tree->first[item->node])};
        begin(w->plan, item->slot);
        RF_TRY(
            rf_denoise_adaptive(w->plan, sample.picture, item->slot, &progress, w->callbacks, err));
        RF_TRY(rf_walk_check(w, &(rf_pass){.sample = &sample, .count = 1}, err));
    }
done:
    return st;
}

static rf_status run_launch(rf_walk *w, const rf_launch *l, rf_error *err)
{
    rf_plan     *p = w->plan;
    const double start = rf_now(), aside = p->timings.load + p->timings.encode;
    rf_status    st = w->tree->call[w->tree->launches.item[l->first].node] < 0
                          ? run_adaptive(w, l, err)
                          : run_calls(w, l, err);
    p->timings.denoise += rf_now() - start - (p->timings.load + p->timings.encode - aside);
    if (st != RF_OK) return st;
    w->launches++;
    p->calls_done += l->count;
    return rf_walk_finish(w, l, err);
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

static rf_status run_round(rf_walk *w, int round, rf_error *err)
{
    rf_plan *p = w->plan;
    int      most = 0;
    for (int i = 0; i < p->jobs; i++)
        if (p->job[i].job.count > most) most = p->job[i].job.count;
    w->first = round * p->pictures_per_round;
    p->turn = (rf_turn){.round = round};
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
    rf_walk   w = {.plan = p, .callbacks = callbacks};
    p->timings = (rf_timings){0};
    p->calls_done = p->pictures_done = 0;
    rf_range_request(p);
    for (int i = 0; i < p->expert_count; i++) rf_file_hash_start(&p->expert[i].expert->hash);
    for (int i = 0; i < p->vaes; i++)
        if (p->vae[i].separate) rf_file_hash_start(&p->vae[i].expert->hash);
    RF_TRY(rf_plan_prepare(p, callbacks, err));
    for (int round = 0; round < p->rounds; round++) RF_TRY(run_round(&w, round, err));
done:
    return rf_range_request_end(p, st, err);
}
