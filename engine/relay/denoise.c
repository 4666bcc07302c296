/* One launch: a call for each of some runs, wherever these stand, from their states to their next
 * states.
 *
 * Between two calls of the UNet stand a few thousand multiply-adds of the samplers, and at a switch
 * nothing else: the next call is the other expert's program, on the same slab.
 *
 * All states lie in one pool of rows.  A slot's rows: X, two anchors of which one is valid, and a
 * ring of four for a history of three.  Which coefficient goes with which row is read from tables,
 * a line per run, so that the runs of a launch need nothing in common but the program.
 *
 * Tables and noise of all sums are written before the first of them is queued (launch_ring.h).  The
 * books, which anchor is valid and where the history begins, move on as that is done: they are
 * ahead of the device. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"
#include "engine/relay/x0_check.h"

/* ---- rows --------------------------------------------------------------------------------- */

/* A launch that is being written. */
typedef struct writing {
    rf_plan       *plan;
    const rf_pass *pass;
    int            noise[RF_BATCH_MAX]; /* row of a sample's latest; -1: none */
} writing;

static int row_of_slot(const rf_plan *p, int slot, rf_source source)
{
    const rf_run_state *s = &p->slot[slot];
    const int           first = slot * p->slot_rows;
    switch (source) {
    case RF_SOURCE_ANCHOR: return first + p->anchor_row + s->anchor;
    case RF_SOURCE_H1:
    case RF_SOURCE_H2:
    case RF_SOURCE_H3:
        return first + p->history_row +
               (s->history + (int)source - (int)RF_SOURCE_H1) % (RF_HISTORY + 1);
    default: return first;
    }
}

float *rf_slot_row(const rf_plan *p, int slot, rf_source source)
{
    return p->pool + (size_t)row_of_slot(p, slot, source) * p->elems;
}

/* In the pool, or among the launch's noise. */
static int row_of(const writing *w, int i, rf_source source)
{
    const rf_plan *p = w->plan;
    if (source == RF_SOURCE_NOISE) return w->noise[i];
    if (p->sample_row[source]) return p->sample_row[source] + i;
    return row_of_slot(p, w->pass->sample[i].slot, source);
}

static int elems_of(const rf_pass *pass)
{
    return pass->program->h * pass->program->w * 4;
}

/* ---- noise -------------------------------------------------------------------------------- */

static void draw(writing *w, int i, const rf_noise_request *request)
{
    rf_plan             *p = w->plan;
    const rf_sample     *sample = &w->pass->sample[i];
    const rf_noise_spec  spec = rf_picture_noise(p, sample->picture);
    const rf_noise_shape shape = {
        .channels = 4, .h = w->pass->program->h, .w = w->pass->program->w};
    const rf_course *course = &p->job[sample->picture.job].course;
    if (request->kind == RF_NOISE_NONE) return;
    float *noise = rf_ring_noise(p, (size_t)elems_of(w->pass), &w->noise[i]);
    if (request->kind == RF_NOISE_BROWNIAN) {
        const rf_brownian path = {.source = spec.source,
                                  .seed = spec.seed,
                                  .t0 = course->sigma_min,
                                  .t1 = course->sigma_max};
        rf_brownian_noise(&path, request->from, request->to, shape, p->scratch, noise);
    } else {
        rf_noise_tensor(&spec, request->draw, shape, &p->slot[sample->slot].memo, p->scratch,
                        noise);
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* Which of a call's sums over the slots. */
typedef enum sum_kind { SUM_START, SUM_BEFORE, SUM_MEMORY, SUM_ANCHOR, SUM_NEXT } sum_kind;

/* The weights of that sum, and where it goes; 0: this call has none. */
static int sum_of(const writing *w, int i, sum_kind kind, float *weight, int32_t *row)
{
    const rf_plan      *p = w->plan;
    const rf_sample    *sample = &w->pass->sample[i];
    const rf_call      *c = sample->sampler;
    const rf_run_state *slot = &p->slot[sample->slot];
    const int           first = sample->slot * p->slot_rows;
    memset(weight, 0, RF_SOURCES * sizeof *weight);
    *row = first;
    switch (kind) {
    case SUM_START: /* the latent of a picture stands for X, which is not there yet */
        weight[RF_SOURCE_X] = p->job[sample->picture.job].init != 0;
        weight[RF_SOURCE_NOISE] = (float)p->job[sample->picture.job].course.start;
        return 1;
    case SUM_BEFORE:
        weight[RF_SOURCE_X] = 1;
        weight[RF_SOURCE_NOISE] = c->before;
        return c->before != 0;
    case SUM_MEMORY:
        memcpy(weight, c->memory, sizeof c->memory);
        *row = first + p->history_row + (slot->history + RF_HISTORY) % (RF_HISTORY + 1);
        return c->remembers;
    case SUM_ANCHOR:
        memcpy(weight, c->anchor, sizeof c->anchor);
        *row = first + p->anchor_row + !slot->anchor;
        return c->keeps_anchor;
    case SUM_NEXT: memcpy(weight, c->next, sizeof c->next); return 1;
    }
    return 0;
}

/* That sum of those of the first `count` calls that have it; what has no weight is left out. */
static void write_sum(writing *w, sum_kind kind, int count)
{
    rf_plan         *p = w->plan;
    rf_sum_lines     to;
    rf_lincomb_args *sum = rf_ring_sum(p, count, RF_SOURCES, &to);
    sum->y = p->pool;
    sum->ystride = p->elems;
    sum->ydtype = RF_F32;
    sum->e = elems_of(w->pass);
    for (int s = 0; s < RF_SOURCES; s++) {
        const int noise = s == RF_SOURCE_NOISE;
        sum->x[s] = noise ? rf_ring_device_noise(p) : p->pool;
        sum->xstride[s] = noise ? (size_t)sum->e : p->elems;
        sum->xdtype[s] = RF_F32;
    }
    sum->n = 0;
    for (int i = 0; i < count; i++) {
        float   *weight = to.coef + (size_t)sum->n * RF_SOURCES;
        int32_t *xrow = to.xrow + (size_t)sum->n * RF_SOURCES;
        if (!sum_of(w, i, kind, weight, &to.yrow[sum->n])) continue;
        for (int s = 0; s < RF_SOURCES; s++)
            xrow[s] = weight[s] != 0 ? row_of(w, i, (rf_source)s) : -1;
        if (kind == SUM_START && weight[RF_SOURCE_X] != 0)
            xrow[RF_SOURCE_X] = p->init_row + p->job[w->pass->sample[i].picture.job].init - 1;
        sum->n++;
    }
    if (sum->n == 0) p->ring.sums--;
    if (kind == SUM_NEXT) sum->bad = rf_ring_device_bad(p);
}

/* ---- the model ---------------------------------------------------------------------------- */

/* The UNet's input: x scaled, once per row. */
static void write_input(writing *w)
{
    rf_plan         *p = w->plan;
    const int        count = w->pass->count;
    const size_t     row_bytes = (size_t)elems_of(w->pass) * rf_dtype_bytes(p->engine->dtype);
    rf_sum_lines     to;
    rf_lincomb_args *sum = rf_ring_sum(p, count, 1, &to);
    sum->x[0] = p->pool;
    sum->xstride[0] = p->elems;
    sum->xdtype[0] = RF_F32;
    sum->y = p->x;
    sum->yrow = NULL;
    sum->e = elems_of(w->pass);
    sum->ydtype = p->engine->dtype;
    for (int i = 0; i < count; i++) {
        const double sigma = w->pass->sample[i].sampler->sigma;
        to.coef[i] = (float)(1 / sqrt(sigma * sigma + 1));
        to.xrow[i] = row_of(w, i, RF_SOURCE_X);
    }
    for (int r = 1; r < w->pass->program->rows; r++) {
        rf_lincomb_args *again = &p->ring.sum[p->ring.sums++];
        *again = *sum;
        again->y = (char *)p->x + (size_t)r * (size_t)count * row_bytes;
    }
}

/* Which embedding, and which keys and values, each row of each sample has. */
static void write_rows(writing *w)
{
    const rf_plan        *p = w->plan;
    const rf_pass        *pass = w->pass;
    const rf_plan_expert *x = &p->expert[pass->program->expert];
    int32_t              *temb = rf_ring_temb(p);
    rf_attention_kv      *kv = rf_ring_kv(p);
    for (int r = 0; r < pass->program->rows; r++)
        for (int i = 0; i < pass->count; i++) {
            const rf_relay_row    *row = p->row + pass->sample[i].call->row_at + r;
            const rf_conditioning *cond = &x->cond[row->cond];
            *temb++ = row->table_row;
            *kv++ = (rf_attention_kv){.base = cond->kv, .skv = cond->rows};
        }
}

/* Cells of the latent that a mask leaves as they are: x0 is known there. */
static void write_kept(writing *w, rf_source of)
{
    rf_plan *p = w->plan;
    for (int i = 0; i < w->pass->count; i++) {
        const rf_plan_init *init = rf_init_of(p, w->pass->sample[i].picture.job);
        if (!init || !init->mask) continue;
        float *row = p->pool + (size_t)row_of(w, i, of) * p->elems;
        p->ring.sums += rf_init_keep(p, init, row, p->ring.sum + p->ring.sums);
    }
}

/* From what the UNet says to x0: `to` = skip x + out * sum of weight_j eps_j over all rows of a
 * call, or over its row u_row alone, by the expert's own parameterisation (of epsilon: x - sigma
 * eps); as many terms at a time as the op takes. */
static void write_denoised(writing *w, rf_source to)
{
    rf_plan                   *p = w->plan;
    const rf_pass             *pass = w->pass;
    const int                  alone = to == RF_SOURCE_U, rows = alone ? 1 : pass->program->rows;
    const rf_parameterisation *is =
        &rf_expert_prediction(p->expert[pass->program->expert].expert)->is;
    for (int done = 0; done < rows;) {
        const int    now = rows - done < RF_LINCOMB_TERMS - 1 ? rows - done : RF_LINCOMB_TERMS - 1;
        rf_sum_lines lines;
        rf_lincomb_args *sum = rf_ring_sum(p, pass->count, 1 + now, &lines);
        sum->y = p->pool;
        sum->ystride = p->elems;
        sum->ydtype = RF_F32;
        sum->e = elems_of(pass);
        sum->x[0] = p->pool;
        sum->xstride[0] = p->elems;
        sum->xdtype[0] = RF_F32;
        for (int j = 1; j <= now; j++) {
            sum->x[j] = p->eps;
            sum->xdtype[j] = p->engine->dtype;
        }
        for (int i = 0; i < pass->count; i++) {
            const rf_relay_call *call = pass->sample[i].call;
            const rf_x0_weights  x0 = rf_x0_weights_at(is, pass->sample[i].sampler->sigma);
            float               *coef = lines.coef + i * sum->terms;
            int32_t             *xrow = lines.xrow + i * sum->terms;
            lines.yrow[i] = row_of(w, i, to);
            coef[0] = done ? 1 : (float)x0.skip;
            xrow[0] = done ? lines.yrow[i] : row_of(w, i, RF_SOURCE_X);
            for (int j = 1; j <= now; j++) {
                const int    row = alone ? call->u_row : done + j - 1;
                const double weight = alone ? 1 : p->row[call->row_at + row].weight;
                coef[j] = (float)(x0.out * weight);
                xrow[j] = row * pass->count + i;
            }
        }
        done += now;
    }
    write_kept(w, to);
}

static rf_status run_model(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const rf_plan_program *program = pass->program;
    rf_device             *device = &p->engine->device;
    rf_status              st = RF_OK;
    rf_trace_begin(device->trace, RF_TRACE_PART, "unet");
    RF_TRY(rf_gap_close(p, program->expert, err));
    if (program->graph[pass->count]) {
        char note[RF_DEVICE_NOTE_BYTES];
        snprintf(note, sizeof note, "the UNet of %.50s", p->expert[program->expert].expert->name);
        RF_TRY(rf_graph_launch(device, program->graph[pass->count], note, err));
    } else {
        RF_TRY(rf_program_run(&program->forward[pass->count], device, err));
    }
    RF_TRY(rf_gap_open(p, program->expert, err));
    rf_trace_end(device->trace, RF_TRACE_PART);
done:
    return st;
}

/* ---- what stands around a call ------------------------------------------------------------ */

static void write_start(writing *w, int beginners)
{
    const rf_noise_request first = {.kind = RF_NOISE_DRAW, .draw = 0};
    for (int i = 0; i < beginners; i++) draw(w, i, &first);
    write_sum(w, SUM_START, beginners);
}

/* x += before * noise: churn, restarts. */
static void write_before(writing *w)
{
    for (int i = 0; i < w->pass->count; i++) {
        const rf_call *call = w->pass->sample[i].sampler;
        if (call->before != 0) draw(w, i, &call->before_noise);
    }
    write_sum(w, SUM_BEFORE, w->pass->count);
}

/* All new values from the old ones, x last, for it is written in place. */
static void write_after(writing *w)
{
    const int count = w->pass->count;
    for (int i = 0; i < count; i++) draw(w, i, &w->pass->sample[i].sampler->noise);
    write_sum(w, SUM_MEMORY, count);
    write_sum(w, SUM_ANCHOR, count);
    write_sum(w, SUM_NEXT, count);
    for (int i = 0; i < count; i++) {
        const rf_sample *sample = &w->pass->sample[i];
        const rf_call   *call = sample->sampler;
        rf_run_state    *slot = &w->plan->slot[sample->slot];
        if (call->keeps_anchor) slot->anchor = !slot->anchor;
        if (call->remembers) slot->history = (slot->history + RF_HISTORY) % (RF_HISTORY + 1);
        rf_ring_mark_state(w->plan, &(rf_ring_mark){.slot = sample->slot,
                                                    .sample = i,
                                                    .step = call->step,
                                                    .picture = sample->picture});
    }
    w->plan->ring.side[w->plan->ring.turn].expert = w->pass->program->expert;
}

/* ---- launches ----------------------------------------------------------------------------- */

static rf_status begin_writing(writing *w, rf_plan *p, const rf_pass *pass, rf_error *err)
{
    w->plan = p;
    w->pass = pass;
    for (int i = 0; i < pass->count; i++) w->noise[i] = -1;
    return rf_ring_next(p, err);
}

rf_status rf_denoise_open(rf_plan *p, const rf_pass *pass, int beginners, rf_error *err)
{
    rf_launch_ring *r = &p->ring;
    rf_status       st = RF_OK;
    writing         w;
    RF_TRY(rf_kv_bring(p, pass, err));
    RF_TRY(begin_writing(&w, p, pass, err));
    write_start(&w, beginners);
    r->begun = r->sums;
    write_before(&w);
    write_input(&w);
    write_rows(&w);
    r->fed = r->sums;
    if (p->sample_row[RF_SOURCE_U]) write_denoised(&w, RF_SOURCE_U);
    write_denoised(&w, RF_SOURCE_D);
    write_after(&w);
    RF_TRY(rf_ring_send(p, err));
    RF_TRY(rf_ring_run(p, 0, r->begun, err));
done:
    return st;
}

rf_status rf_denoise_call(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const rf_launch_ring *r = &p->ring;
    rf_status             st = RF_OK;
    RF_TRY(rf_ring_run(p, r->begun, r->fed, err));
    RF_TRY(run_model(p, pass, err));
    RF_TRY(rf_ring_run(p, r->fed, r->sums, err));
    RF_TRY(rf_x0_check(p, pass, err));
    RF_TRY(rf_ring_end(p, err));
done:
    return st;
}

rf_status rf_denoise_begin(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_status st = RF_OK;
    writing   w;
    RF_TRY(begin_writing(&w, p, pass, err));
    write_start(&w, pass->count);
    RF_TRY(rf_ring_send(p, err));
    RF_TRY(rf_ring_run(p, 0, p->ring.sums, err));
    RF_TRY(rf_ring_end(p, err));
done:
    return st;
}

rf_status rf_denoise_predict(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_status st = RF_OK;
    writing   w;
    RF_TRY(rf_kv_bring(p, pass, err));
    RF_TRY(begin_writing(&w, p, pass, err));
    p->ring.begun = 0;
    write_input(&w);
    write_rows(&w);
    p->ring.fed = p->ring.sums;
    write_denoised(&w, RF_SOURCE_D);
    RF_TRY(rf_ring_send(p, err));
    RF_TRY(rf_denoise_call(p, pass, err));
done:
    return st;
}
