/* From axes to a plan of all cells; see sweep.h. */
#include "tools/sweep/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lora_report.h"
#include "tools/signals.h"

void rf_sweep_warn(void *sweep, const char *message)
{
    rf_sweep *s = sweep;
    if (rf_report_warn(&s->report, message)) rf_console_warning(&s->in->console, message);
}

/* ---- axes ----------------------------------------------------------------------------------- */

static const char *const FLAGS[RF_AXES] = {"--x", "--y", "--z"};

static rf_status parse_axes(const rf_sweep *s, rf_axis axis[RF_AXES])
{
    rf_status               st = RF_OK;
    rf_trouble             *t = &s->in->trouble;
    const rf_sweep_options *o = s->o;
    const char *const       given = o->axis[0]   ? FLAGS[0]
                                    : o->axis[1] ? FLAGS[1]
                                    : o->axis[2] ? FLAGS[2]
                                                 : NULL;
    if (o->plan && given)
        return rf_fail(&t->error, RF_E_ARG, "--plan and %s both say what is varied: give one",
                       given);
    if (o->plan) return rf_axes_from_json(axis, o->plan, t);
    if (!given) {
        rf_trouble_hint(t, "--x \"Refiner switch at: 0-1 [11]\"");
        return rf_fail(&t->error, RF_E_ARG, "nothing is varied: give --x, --y, --z or --plan");
    }
    for (int a = 0; a < RF_AXES; a++) RF_TRY(rf_axis_parse(&axis[a], FLAGS[a], o->axis[a], t));
done:
    return st;
}

static rf_status check_request(rf_sweep *s)
{
    rf_trouble             *t = &s->in->trouble;
    const rf_sweep_options *o = s->o;
    const rf_request       *q = &o->request;
    if (o->resume && q->overwrite)
        return rf_fail(&t->error, RF_E_ARG, "--resume goes on, --overwrite begins again: give one");
    if (s->shard.count > 1 && (q->seed == RF_SEED_RANDOM || q->variation_seed == RF_SEED_RANDOM)) {
        rf_trouble_hint(t, "give the same number to all of them");
        return rf_fail(&t->error, RF_E_ARG, "--shard: every shard would draw a seed of its own");
    }
    if (!q->base && !rf_request_has_relay(q)) {
        rf_trouble_hint(t, "refinery sweep -m pony.safetensors -r anime.safetensors --x \"Refiner "
                           "switch at: 0-1 [11]\" -p \"1girl, forest\"");
        return rf_fail(&t->error, RF_E_ARG, "--base is missing: which checkpoint shall render?");
    }
    return RF_OK;
}

/* Seeds of an axis are drawn by every process and at every start: another one would work on
 * another sweep. */
static rf_status check_drawn(rf_sweep *s, const rf_axis axis[RF_AXES])
{
    rf_trouble *t = &s->in->trouble;
    int         drawn = 0;
    for (int a = 0; a < RF_AXES; a++) drawn |= axis[a].drawn;
    if (!drawn || (s->shard.count < 2 && s->ranks.size < 2 && !s->o->resume)) return RF_OK;
    rf_trouble_hint(t, "results.jsonl and the labels of the grid tell those of a finished sweep");
    return rf_fail(&t->error, RF_E_ARG,
                   "random seeds on an axis are drawn anew by every process: give numbers for "
                   "--resume, --shard and several ranks");
}

/* Seeds that rank 0 drew are everyone's. */
static rf_status share_seeds(rf_sweep *s)
{
    rf_request     *q = &s->o->request;
    int64_t         seeds[] = {q->seed, q->variation_seed};
    const rf_status st = rf_ranks_share(&s->ranks, seeds, sizeof seeds, &s->in->trouble.error);
    q->seed = seeds[0];
    q->variation_seed = seeds[1];
    q->job.seed = (uint64_t)seeds[0];
    q->job.variation_seed = (uint64_t)seeds[1];
    return st;
}

static rf_status make_cells(rf_sweep *s)
{
    rf_status st = RF_OK;
    rf_axis   axis[RF_AXES] = {{.count = 0}};
    RF_TRY(check_request(s));
    RF_TRY(rf_request_settle(s->in, &s->o->request, rf_sweep_warn, s));
    RF_TRY(rf_start_settle(&s->start, s->in, &s->o->request, rf_sweep_warn, s));
    RF_TRY(share_seeds(s));
    st = parse_axes(s, axis);
    if (st == RF_OK) st = check_drawn(s, axis);
    if (st != RF_OK) {
        for (int a = 0; a < RF_AXES; a++) rf_axis_release(&axis[a]);
        goto done;
    }
    RF_TRY(rf_cells_make(&s->cells, &s->o->request, axis, rf_sweep_warn, s, &s->in->trouble));
done:
    return st;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static rf_status take_memory(rf_sweep *s)
{
    const size_t n = (size_t)s->cells.count;
    s->expert = calloc((size_t)s->cells.files + 1, sizeof(rf_expert *));
    s->job = calloc(n, sizeof *s->job);
    s->stage = calloc(n * (size_t)s->cells.stages, sizeof *s->stage);
    s->group = calloc(n, sizeof *s->group);
    s->owner = calloc(n, sizeof *s->owner);
    s->cost = calloc(n, sizeof *s->cost);
    s->map = calloc(n, sizeof *s->map);
    s->record = calloc(n, sizeof *s->record);
    if (s->expert && s->job && s->stage && s->group && s->owner && s->cost && s->map && s->record)
        return RF_OK;
    return rf_fail(&s->in->trouble.error, RF_E_NOMEM, "no memory for %d cells", s->cells.count);
}

/* What was said of a file's prediction, by the stages that cells have it in. */
static rf_status prediction_of(const rf_sweep *s, int file, const char **out)
{
    const rf_request  *q = &s->o->request;
    const char *const *said = q->predictions;
    int                known = 0;
    *out = NULL;
    for (int i = 0; i < s->cells.count; i++)
        for (int k = 0; k < s->cells.cell[i].job.stage_count; k++) {
            if (s->cells.cell[i].file[k] != file) continue;
            const int same = *out && said[k] ? strcmp(*out, said[k]) == 0 : !*out == !said[k];
            if (known && !same)
                return rf_fail(&s->in->trouble.error, RF_E_ARG,
                               rf_request_has_relay(q)
                                   ? "%.300s is the expert of several stages: all of them must "
                                     "say the same prediction"
                                   : "%.300s is a base and a refiner of this sweep: "
                                     "--base-prediction and --refiner-prediction must agree",
                               s->cells.file[file]);
            *out = said[k];
            known = 1;
        }
    return RF_OK;
}

static rf_status open_experts(rf_sweep *s)
{
    rf_status   st = RF_OK;
    rf_request *q = &s->o->request;
    rf_trouble *t = &s->in->trouble;
    if (q->threads == 0) q->threads = rf_ranks_threads(&s->ranks);
    q->device = rf_rank_device(&s->ranks, q->device, s->gpu);
    RF_TRY(rf_experts_begin(&s->experts, q, NULL, rf_sweep_warn, NULL, s, t));
    rf_experts_say_device(&s->experts, q, &s->in->console);
    for (int i = 0; i < s->cells.files; i++) {
        const char *prediction = NULL;
        RF_TRY(prediction_of(s, i, &prediction));
        RF_TRY(
            rf_experts_open(&s->experts, s->cells.file[i], prediction, &s->expert[i], &t->error));
    }
done:
    return st;
}

static void make_jobs(rf_sweep *s)
{
    for (int i = 0; i < s->cells.count; i++) {
        const rf_cell *c = &s->cells.cell[i];
        rf_stage      *stage = &s->stage[(size_t)i * (size_t)s->cells.stages];
        s->job[i] = c->job;
        s->job[i].batch = s->o->request.job.batch;
        s->job[i].stages = stage;
        for (int k = 0; k < c->job.stage_count; k++) {
            stage[k] = c->job.stages[k];
            if (c->file[k] >= 0) stage[k].expert = s->expert[c->file[k]];
        }
    }
}

/* What the axes of strengths say of a cell's LoRAs. */
static int axis_loras(const rf_sweep *s, const rf_cell *c, rf_axis_lora out[RF_AXES])
{
    int count = 0;
    for (int a = 0; a < RF_AXES; a++) {
        const rf_axis *axis = &s->cells.axis[a];
        if (axis->kind == RF_VARY_LORA)
            out[count++] = (rf_axis_lora){.stage = axis->stage - 1,
                                          .name = axis->lora,
                                          .strength = axis->value[c->at[a]].number};
    }
    return count;
}

/* Prompt S/R may replace in tags, so every cell's prompts are read. */
static rf_status add_loras(rf_sweep *s)
{
    rf_status    st = RF_OK;
    rf_trouble  *t = &s->in->trouble;
    rf_axis_lora of_axes[RF_AXES];
    RF_TRY(rf_loras_begin(&s->loras, &s->o->request, t));
    s->loras.of_axes = of_axes;
    for (int i = 0; i < s->cells.count; i++) {
        s->loras.of_axes_count = axis_loras(s, &s->cells.cell[i], of_axes);
        rf_stage *stage = &s->stage[(size_t)i * (size_t)s->cells.stages];
        RF_TRY(
            rf_loras_settle(&s->loras, s->experts.engine, &s->job[i], stage, rf_sweep_warn, s, t));
        for (int k = 0; k < s->job[i].stage_count; k++) {
            s->cells.cell[i].stages[k].loras = stage[k].loras;
            s->cells.cell[i].stages[k].lora_count = stage[k].lora_count;
        }
    }
done:
    s->loras.of_axes_count = 0;
    return st;
}

static rf_status add_embeddings(rf_sweep *s)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    RF_TRY(rf_embeddings_begin(&s->embeddings, &s->o->request, t));
    for (int i = 0; i < s->cells.count; i++) {
        rf_job *job = &s->job[i];
        RF_TRY(rf_embeddings_settle(&s->embeddings, job, NULL, NULL, t)); /* others may say it */
        s->cells.cell[i].job.embeddings = job->embeddings;
        s->cells.cell[i].job.embedding_count = job->embedding_count;
    }
done:
    return st;
}

/* One group, or as many as several workers need. */
static rf_status divide(rf_sweep *s)
{
    rf_status st = RF_OK;
    const int workers = s->shard.count > 1 ? s->shard.count : s->ranks.size;
    s->groups = 1;
    s->cost[0] = s->info.calls_shared;
    if (workers > 1)
        RF_TRY(rf_plan_divide(s->whole, workers, s->group, s->cost, &s->groups,
                              &s->in->trouble.error));
    if (s->shard.count > 1) rf_shard_assign(s->owner, s->cost, s->groups, s->shard.count);
done:
    return st;
}

static int is_open(const rf_sweep *s, int cell)
{
    return s->record[cell].state == RF_CELL_OPEN;
}

static rf_status divide_cells(rf_sweep *s, const int *cell, int count)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    rf_plan  *plan = NULL;
    rf_job   *job = calloc((size_t)count, sizeof *job);
    int      *group = calloc((size_t)count, sizeof *group);
    if (!job || !group) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for %d jobs", count);
        goto done;
    }
    for (int i = 0; i < count; i++) job[i] = s->job[cell[i]];
    RF_TRY(rf_plan_create_many(&plan, s->experts.engine, job, count, err));
    RF_TRY(rf_plan_divide(plan, s->ranks.size, group, s->cost, &s->groups, err));
    for (int i = 0; i < count; i++) s->group[cell[i]] = group[i];
done:
    rf_plan_destroy(plan);
    free(group);
    free(job);
    return st;
}

/* Of a shard's own groups; what of the others' is done it does not know. */
static void forget_what_is_done(rf_sweep *s)
{
    for (int g = 0; g < s->groups; g++) s->cost[g] = -s->cost[g];
    for (int i = 0; i < s->cells.count; i++)
        if (is_open(s, i) && s->cost[s->group[i]] < 0) s->cost[s->group[i]] *= -1;
    for (int g = 0; g < s->groups; g++)
        if (s->cost[g] < 0) s->cost[g] = 0;
}

rf_status rf_sweep_divide_open(rf_sweep *s)
{
    int open = 0;
    for (int i = 0; i < s->cells.count; i++)
        if (is_open(s, i)) s->map[open++] = i;
    if (open == s->cells.count) return RF_OK;
    if (s->shard.count > 1) forget_what_is_done(s);
    if (s->ranks.size < 2) return RF_OK;
    s->groups = 0;
    return open ? divide_cells(s, s->map, open) : RF_OK;
}

/* On rank 0, as soon as it hears of it. */
static void tell_who_gave_up(void *user, int rank, const char *why)
{
    char text[RF_ERROR_BYTES + 120];
    snprintf(text, sizeof text,
             "rank %d gives up: %s; the others go on, and --resume makes what it leaves open", rank,
             why);
    rf_sweep_warn(user, text);
}

rf_status rf_sweep_prepare(rf_sweep *s)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    s->began = rf_meter_clock();
    if (s->o->shard) RF_TRY(rf_shard_parse(&s->shard, s->o->shard, t));
    if (s->o->shard)
        s->ranks = (rf_ranks){.size = 1, .local_size = 1};
    else
        RF_TRY(rf_ranks_begin(&s->ranks, &t->error));
    s->ranks.signal = rf_signals_caught;
    s->ranks.gave_up = tell_who_gave_up;
    s->ranks.user = s;
    if (s->shard.count == 1) s->shard = (rf_shard){0}; /* 1/1 is all of it */
    if (s->ranks.rank > 0) {
        s->in->console.quiet = 1; /* rank 0 speaks for all */
        s->in->console.json = 0;
    }
    RF_TRY(make_cells(s));
    RF_TRY(take_memory(s));
    RF_TRY(open_experts(s));
    make_jobs(s);
    RF_TRY(add_loras(s));
    RF_TRY(add_embeddings(s));
    st = rf_plan_create_many(&s->whole, s->experts.engine, s->job, s->cells.count, &t->error);
    if (st != RF_OK && s->cells.count > 1)
        rf_trouble_hint(t, "jobs are cells: all of x, for each y, for each z");
    if (st != RF_OK) goto done;
    rf_lora_report_tell(&s->in->console, s->whole, &s->job[0]);
    rf_plan_get_info(s->whole, &s->info);
    RF_TRY(divide(s));
done:
    return st;
}

int rf_sweep_owns(const rf_sweep *s, int cell)
{
    return s->shard.count < 2 || s->owner[s->group[cell]] == s->shard.index;
}

void rf_sweep_release(rf_sweep *s)
{
    rf_journal_close(s->journal);
    if (s->now != s->whole) rf_plan_destroy(s->now);
    rf_plan_destroy(s->whole);
    rf_loras_end(&s->loras);
    rf_embeddings_end(&s->embeddings);
    rf_experts_end(&s->experts);
    rf_start_release(&s->start);
    for (int i = 0; s->record && i < s->cells.count; i++) {
        free((char *)s->record[i].error);
        free((char *)s->record[i].sha256);
    }
    free(s->record);
    free(s->map);
    free(s->cost);
    free(s->owner);
    free(s->group);
    free(s->stage);
    free(s->job);
    free(s->expert);
    free(s->identity.summary);
    rf_report_release(&s->report);
    rf_cells_release(&s->cells);
    rf_ranks_end(&s->ranks);
}
