/* The executor: walks the tree of the plan's runs launch by launch.  Where not all experts are in
 * memory, the first launch of an expert's turn finds it missing and has it loaded. */
#include "engine/relay/run.h"
#include "engine/relay/ranges.h"

/* ---- launches ----------------------------------------------------------------------------- */

static void begin(rf_plan *p, int slot)
{
    p->slot[slot].anchor = p->slot[slot].history = 0;
    p->slot[slot].failed = -1;
    p->slot[slot].memo.elements = 0; /* what a run before it drew, or memory that nobody has set */
}

/* A fork: everything of the state. */
static rf_status copy_state(rf_plan *p, int from, int to, rf_error *err)
{
    const size_t elems = (size_t)p->slot_rows * p->elems;
    p->slot[to] = p->slot[from];
    rf_ring_fork(p, from, to);
    return rf_device_copy(&p->engine->device, RF_STREAM_OPS, RF_COPY_WITHIN,
                          p->pool + (size_t)to * elems, p->pool + (size_t)from * elems,
                          elems * sizeof *p->pool, err);
}

/* Samples of a launch, those that begin first; their number is *beginners. */
static rf_status gather(const rf_walk *w, const rf_launch *l, rf_pass *pass, int *beginners,
                        rf_error *err)
{
    rf_plan  *p = w->plan;
    rf_status st = RF_OK;
    int       count = 0;
    for (int later = 0; later < 2; later++) {
        for (int i = l->first; i < l->first + l->count; i++) {
            const rf_launch_item *item = &w->tree->launches.item[i];
            if ((item->from >= 0) != later) continue;
            if (!later)
                begin(p, item->slot);
            else if (item->from != item->slot)
                RF_TRY(copy_state(p, item->from, item->slot, err));
            const rf_relay_call *call = &p->call[w->tree->call[item->node]];
            p->sample[count++] =
                (rf_sample){.call = call,
                            .sampler = &p->update[call->update].sampler,
                            .slot = item->slot,
                            .made = w->tree->depth[item->node],
                            .picture = rf_walk_picture(w, w->tree->first[item->node])};
        }
        if (!later) *beginners = count;
    }
    *pass = (rf_pass){.program = &p->program[l->kind], .sample = p->sample, .count = count};
done:
    return st;
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

/* Whether any run ends here. */
static int finishes(const rf_walk *w, const rf_launch *l)
{
    int leaves = 0;
    for (int i = l->first; i < l->first + l->count; i++) leaves += w->tree->launches.item[i].leaf;
    return leaves > 0;
}

/* As far as is known: of a device that lags behind, no bytes depend on it. */
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
    rf_pass           pass;
    int               beginners = 0;
    const rf_progress progress = progress_at(w, l);
    RF_TRY(gather(w, l, &pass, &beginners, err));
    const int lost = all_failed(p, &pass);
    if (!lost) {
        RF_TRY(rf_plan_summon(p, pass.program->expert, w->callbacks, err));
        RF_TRY(rf_range_step(p, &progress, err));
        RF_TRY(rf_denoise_open(p, &pass, beginners, err));
    }
    RF_TRY(rf_report(w->callbacks, &progress, err));
    if (!lost) {
        RF_TRY(rf_denoise_call(p, &pass, err));
        RF_TRY(rf_preview_show(p, &pass, w->callbacks, err));
    }
    if (finishes(w, l)) RF_TRY(rf_denoise_settle(p, err));
    RF_TRY(rf_walk_check(w, err));
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
        const rf_picture      picture = rf_walk_picture(w, w->tree->first[item->node]);
        begin(w->plan, item->slot);
        RF_TRY(rf_denoise_adaptive(w->plan, picture, item->slot, &progress, w->callbacks, err));
        RF_TRY(rf_walk_check(w, err));
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

/* ---- all of it ---------------------------------------------------------------------------- */

static rf_status run_round(rf_walk *w, int round, rf_error *err)
{
    rf_plan  *p = w->plan;
    rf_status st = RF_OK;
    int       most = 0;
    for (int i = 0; i < p->jobs; i++)
        if (p->job[i].job.count > most) most = p->job[i].job.count;
    w->first = round * p->pictures_per_round;
    p->turn = (rf_turn){.round = round};
    const int whole = most - w->first >= p->pictures_per_round;
    w->tree = &p->tree[whole ? RF_WHOLE_ROUND : RF_LAST_ROUND];
    rf_gap_forget(p);
    for (int i = 0; i < w->tree->launches.launches; i++) {
        st = run_launch(w, &w->tree->launches.launch[i], err);
        if (st != RF_OK) return st;
    }
    st = rf_denoise_settle(p, err);
    rf_gap_summarise(p);
    return st;
}

/* What was queued still reads and writes the plan's memory. */
static void abandon(rf_plan *p)
{
    rf_error told = {0}; /* another error is on its way to the caller */
    (void)rf_device_wait(&p->engine->device, &told);
    rf_ring_forget(p);
}

/* Of its file and its LoRAs'. */
static void start_hashes(rf_expert *e)
{
    rf_file_hash_start(e->hash);
    for (int i = 0; i < e->merges; i++) {
        rf_file_hash_start(&e->merge[i].file->hash);
        rf_file_hash_start(&e->merge[i].file->body);
    }
}

rf_status rf_plan_run(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    rf_walk   w = {.plan = p, .callbacks = callbacks};
    p->timings = (rf_timings){0};
    p->calls_done = p->pictures_done = 0;
    rf_range_request(p);
    for (int i = 0; i < p->expert_count; i++) start_hashes(p->expert[i].expert);
    for (int i = 0; i < p->vaes; i++)
        if (p->vae[i].separate) start_hashes(p->vae[i].expert);
    rf_ring_forget(p);
    RF_TRY(rf_plan_prepare(p, callbacks, err));
    for (int round = 0; round < p->rounds; round++) RF_TRY(run_round(&w, round, err));
done:
    if (st != RF_OK) abandon(p);
    rf_plan_tidy(p, 1);
    return rf_range_request_end(p, st, err);
}
