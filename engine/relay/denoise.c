/* One launch: a call for each of some runs, wherever these stand, from their states to their next
 * states.
 *
 * Between two calls of the UNet stand a few thousand multiply-adds of the samplers, and at a switch
 * nothing else: the next call is the other expert's program, on the same slab.
 *
 * All states lie in one pool of rows.  A slot's rows: X, two anchors of which one is valid, and a
 * ring of four for a history of three.  Which coefficient goes with which row is read from tables,
 * a line per run, so that the runs of a launch need nothing in common but the program. */
#include <math.h>
#include <string.h>

#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"

/* ---- rows --------------------------------------------------------------------------------- */

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

static int row_of(const rf_plan *p, const rf_pass *pass, int i, rf_source source)
{
    if (p->sample_row[source]) return p->sample_row[source] + i;
    return row_of_slot(p, pass->sample[i].slot, source);
}

static float *noise_of(const rf_plan *p, int i)
{
    return p->pool + (size_t)(p->sample_row[RF_SOURCE_NOISE] + i) * p->elems;
}

static int elems_of(const rf_pass *pass)
{
    return pass->program->h * pass->program->w * 4;
}

/* ---- noise -------------------------------------------------------------------------------- */

static void draw(rf_plan *p, const rf_pass *pass, int i, const rf_noise_request *request)
{
    const rf_sample     *sample = &pass->sample[i];
    const rf_noise_spec  spec = rf_picture_noise(p, sample->picture);
    const rf_noise_shape shape = {.channels = 4, .h = pass->program->h, .w = pass->program->w};
    const rf_course     *course = &p->job[sample->picture.job].course;
    if (request->kind == RF_NOISE_BROWNIAN) {
        const rf_brownian path = {.source = spec.source,
                                  .seed = spec.seed,
                                  .t0 = course->sigma_min,
                                  .t1 = course->sigma_max};
        rf_brownian_noise(&path, request->from, request->to, shape, p->scratch, noise_of(p, i));
    } else if (request->kind == RF_NOISE_DRAW) {
        rf_noise_tensor(&spec, request->draw, shape, &p->slot[sample->slot].memo, p->scratch,
                        noise_of(p, i));
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* Which of a call's sums over the slots. */
typedef enum sum_kind { SUM_START, SUM_BEFORE, SUM_MEMORY, SUM_ANCHOR, SUM_NEXT } sum_kind;

/* The weights of that sum, and where it goes; 0: this call has none. */
static int sum_of(const rf_plan *p, const rf_pass *pass, int i, sum_kind kind, float *weight,
                  int32_t *row)
{
    const rf_sample    *sample = &pass->sample[i];
    const rf_call      *c = sample->sampler;
    const rf_run_state *slot = &p->slot[sample->slot];
    const int           first = sample->slot * p->slot_rows;
    memset(weight, 0, RF_SOURCES * sizeof *weight);
    *row = first;
    switch (kind) {
    case SUM_START:
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

static rf_status run_lincomb(rf_plan *p, rf_lincomb_args *args, rf_error *err)
{
    args->coef = p->coef;
    const rf_status st = p->engine->device.ops->lincomb(p->engine->device.stream, args);
    if (st != RF_OK) return rf_fail(err, st, "sampler: the lincomb op failed");
    return RF_OK;
}

/* That sum of every call that has it; what has no weight is left out. */
static rf_status combine(rf_plan *p, const rf_pass *pass, sum_kind kind, rf_error *err)
{
    rf_lincomb_args args = {.y = p->pool,
                            .xrow = p->xrow,
                            .yrow = p->yrow,
                            .ystride = p->elems,
                            .e = elems_of(pass),
                            .terms = RF_SOURCES,
                            .ydtype = RF_F32};
    for (int s = 0; s < RF_SOURCES; s++) {
        args.x[s] = p->pool;
        args.xdtype[s] = RF_F32;
        args.xstride[s] = p->elems;
    }
    for (int i = 0; i < pass->count; i++) {
        float   *weight = p->coef + (size_t)args.n * RF_SOURCES;
        int32_t *xrow = p->xrow + (size_t)args.n * RF_SOURCES;
        if (!sum_of(p, pass, i, kind, weight, &p->yrow[args.n])) continue;
        for (int s = 0; s < RF_SOURCES; s++)
            xrow[s] = weight[s] != 0 ? row_of(p, pass, i, (rf_source)s) : -1;
        args.n++;
    }
    return args.n ? run_lincomb(p, &args, err) : RF_OK;
}

rf_status rf_denoise_start(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const rf_noise_request first = {.kind = RF_NOISE_DRAW, .draw = 0};
    for (int i = 0; i < pass->count; i++) draw(p, pass, i, &first);
    return combine(p, pass, SUM_START, err);
}

/* ---- the model ---------------------------------------------------------------------------- */

/* The UNet's input: x scaled, once per row; tables of every sample. */
static rf_status fill_input(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const rf_plan_expert *x = &p->expert[pass->program->expert];
    const size_t          bytes = rf_dtype_bytes(p->engine->dtype);
    rf_lincomb_args       args = {.x = {p->pool},
                                  .xrow = p->xrow,
                                  .xstride = {p->elems},
                                  .xdtype = {RF_F32},
                                  .n = pass->count,
                                  .e = elems_of(pass),
                                  .terms = 1,
                                  .ydtype = p->engine->dtype};
    for (int i = 0; i < pass->count; i++) {
        const double sigma = pass->sample[i].sampler->sigma;
        p->coef[i] = (float)(1 / sqrt(sigma * sigma + 1));
        p->xrow[i] = row_of(p, pass, i, RF_SOURCE_X);
    }
    for (int r = 0; r < pass->program->rows; r++) {
        const size_t first = (size_t)r * (size_t)pass->count;
        args.y = (char *)p->x + first * (size_t)args.e * bytes;
        const rf_status st = run_lincomb(p, &args, err);
        if (st != RF_OK) return st;
        for (int i = 0; i < pass->count; i++) {
            const rf_relay_row    *row = p->row + pass->sample[i].call->row_at + r;
            const rf_conditioning *cond = &x->cond[row->cond];
            p->temb_row[first + (size_t)i] = row->table_row;
            p->kv_table[first + (size_t)i] = (rf_attention_kv){.base = cond->kv, .skv = cond->rows};
        }
    }
    return RF_OK;
}

/* From eps to x0: `to` = x - sigma * sum of weight_j eps_j over all rows of a call, or over its row
 * u_row alone; as many terms at a time as the op takes. */
static rf_status denoised(rf_plan *p, const rf_pass *pass, rf_source to, rf_error *err)
{
    const int alone = to == RF_SOURCE_U, rows = alone ? 1 : pass->program->rows;
    for (int done = 0; done < rows;) {
        const int now = rows - done < RF_LINCOMB_TERMS - 1 ? rows - done : RF_LINCOMB_TERMS - 1;
        rf_lincomb_args args = {.y = p->pool,
                                .x = {p->pool},
                                .xrow = p->xrow,
                                .yrow = p->yrow,
                                .xstride = {p->elems},
                                .ystride = p->elems,
                                .xdtype = {RF_F32},
                                .n = pass->count,
                                .e = elems_of(pass),
                                .terms = 1 + now,
                                .ydtype = RF_F32};
        for (int j = 1; j <= now; j++) {
            args.x[j] = p->eps;
            args.xdtype[j] = p->engine->dtype;
        }
        for (int i = 0; i < pass->count; i++) {
            const rf_relay_call *call = pass->sample[i].call;
            float               *coef = p->coef + i * args.terms;
            int32_t             *xrow = p->xrow + i * args.terms;
            p->yrow[i] = row_of(p, pass, i, to);
            coef[0] = 1;
            xrow[0] = done ? p->yrow[i] : row_of(p, pass, i, RF_SOURCE_X);
            for (int j = 1; j <= now; j++) {
                const int    row = alone ? call->u_row : done + j - 1;
                const double weight = alone ? 1 : p->row[call->row_at + row].weight;
                coef[j] = (float)(-pass->sample[i].sampler->sigma * weight);
                xrow[j] = row * pass->count + i;
            }
        }
        const rf_status st = run_lincomb(p, &args, err);
        if (st != RF_OK) return st;
        done += now;
    }
    return RF_OK;
}

static rf_status run_model(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const int flip = p->last_expert != pass->program->expert;
    rf_trace_begin(p->engine->device.trace, RF_TRACE_PART, "unet");
    const double start = rf_now();
    if (p->last_end > 0) p->gaps[flip * p->gap_room + p->gap_count[flip]++] = start - p->last_end;
    const rf_status st =
        rf_program_run(&pass->program->forward[pass->count], &p->engine->device, err);
    p->last_end = rf_now();
    rf_trace_end(p->engine->device.trace, RF_TRACE_PART);
    p->last_expert = pass->program->expert;
    return st;
}

rf_status rf_denoise_predict(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(fill_input(p, pass, err));
    RF_TRY(run_model(p, pass, err));
    if (p->sample_row[RF_SOURCE_U]) RF_TRY(denoised(p, pass, RF_SOURCE_U, err));
    RF_TRY(denoised(p, pass, RF_SOURCE_D, err));
done:
    return st;
}

/* ---- what stands around a call ------------------------------------------------------------ */

/* x += before * noise: churn, restarts. */
static rf_status add_before(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    for (int i = 0; i < pass->count; i++) {
        const rf_call *call = pass->sample[i].sampler;
        if (call->before != 0) draw(p, pass, i, &call->before_noise);
    }
    return combine(p, pass, SUM_BEFORE, err);
}

/* All new values from the old ones, x last, for it is written in place. */
static rf_status advance(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < pass->count; i++) draw(p, pass, i, &pass->sample[i].sampler->noise);
    RF_TRY(combine(p, pass, SUM_MEMORY, err));
    RF_TRY(combine(p, pass, SUM_ANCHOR, err));
    RF_TRY(combine(p, pass, SUM_NEXT, err));
    for (int i = 0; i < pass->count; i++) {
        const rf_call *call = pass->sample[i].sampler;
        rf_run_state  *slot = &p->slot[pass->sample[i].slot];
        if (call->keeps_anchor) slot->anchor = !slot->anchor;
        if (call->remembers) slot->history = (slot->history + RF_HISTORY) % (RF_HISTORY + 1);
    }
done:
    return st;
}

void rf_denoise_mark(rf_plan *p, const rf_pass *pass)
{
    for (int i = 0; i < pass->count; i++) {
        rf_run_state *slot = &p->slot[pass->sample[i].slot];
        const float  *x = rf_slot_row(p, pass->sample[i].slot, RF_SOURCE_X);
        for (int e = 0; e < elems_of(pass) && slot->failed < 0; e++) {
            if (isfinite(x[e])) continue;
            slot->failed = pass->sample[i].sampler->step;
            slot->failed_expert = pass->program->expert;
        }
    }
}

rf_status rf_denoise_call(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(add_before(p, pass, err));
    RF_TRY(rf_denoise_predict(p, pass, err));
    RF_TRY(advance(p, pass, err));
    rf_denoise_mark(p, pass);
done:
    return st;
}
