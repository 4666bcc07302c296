/* One batch from noise to latents: the course's calls, one after the other.
 *
 * Between two calls of the UNet stand a few thousand multiply-adds of the sampler, and at a switch
 * nothing else: the next call is the other expert's program, on the same slab. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

static size_t latent_elems(const rf_plan *p)
{
    return (size_t)p->h * (size_t)p->w * 4;
}

static rf_noise_shape latent_shape(const rf_plan *p)
{
    return (rf_noise_shape){.channels = 4, .h = p->h, .w = p->w};
}

/* ---- noise -------------------------------------------------------------------------------- */

/* With variation all pictures share the seed and differ in the variation's (A1111). */
rf_noise_spec rf_picture_noise(const rf_plan *p, int picture)
{
    const rf_job     *job = &p->job;
    const rf_sampler *sampler = p->course.stage[0].sampler;
    const uint64_t    i = (uint64_t)picture;
    return (rf_noise_spec){.source = p->noise,
                           .seed = job->seed + (job->variation > 0 ? 0 : i),
                           .variation_seed = job->variation_seed + i,
                           .variation = job->variation,
                           .ensd = sampler->flags & RF_SAMPLER_BROWNIAN ? 0 : job->ensd,
                           .resize_h = job->seed_height / 8,
                           .resize_w = job->seed_width / 8,
                           .exact_a1111 = p->course.exact_a1111};
}

static void draw(rf_plan *p, const rf_batch *b, const rf_noise_request *request)
{
    for (int i = 0; i < b->count; i++) {
        const rf_noise_spec spec = rf_picture_noise(p, b->first + i);
        float              *out = p->slot[RF_SOURCE_NOISE] + (size_t)i * latent_elems(p);
        if (request->kind == RF_NOISE_BROWNIAN) {
            const rf_brownian path = {.source = spec.source,
                                      .seed = spec.seed,
                                      .t0 = p->course.sigma_min,
                                      .t1 = p->course.sigma_max};
            rf_brownian_noise(&path, request->from, request->to, latent_shape(p), p->scratch, out);
        } else {
            rf_noise_tensor(&spec, request->draw, latent_shape(p), &p->memo[i], p->scratch, out);
        }
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* y [count, e] = sum of terms; every sample has the same coefficients here. */
static rf_status combine(rf_plan *p, const rf_batch *b, rf_lincomb_args *args, const float *coef,
                         rf_error *err)
{
    for (int i = 0; i < b->count; i++)
        memcpy(p->coef + i * args->terms, coef, (size_t)args->terms * sizeof *coef);
    args->coef = p->coef;
    args->n = b->count;
    args->e = (int)latent_elems(p);
    const rf_status st = p->engine->device.ops->lincomb(p->engine->device.stream, args);
    if (st != RF_OK) return rf_fail(err, st, "sampler: the lincomb op failed");
    return RF_OK;
}

/* y = sum over the slots; what has no weight is left out. */
static rf_status combine_slots(rf_plan *p, const rf_batch *b, float *y, const float *weight,
                               rf_error *err)
{
    rf_lincomb_args args = {.y = y, .ydtype = RF_F32};
    float           coef[RF_SOURCES] = {0};
    for (int s = 0; s < RF_SOURCES; s++) {
        if (weight[s] == 0) continue;
        args.x[args.terms] = p->slot[s];
        args.xdtype[args.terms] = RF_F32;
        coef[args.terms++] = weight[s];
    }
    if (args.terms == 0) { /* all of it: 0 times x */
        args.x[0] = p->slot[RF_SOURCE_X];
        args.xdtype[0] = RF_F32;
        args.terms = 1;
    }
    return combine(p, b, &args, coef, err);
}

rf_status rf_denoise_start(rf_plan *p, const rf_batch *b, rf_error *err)
{
    const rf_noise_request first = {.kind = RF_NOISE_DRAW, .draw = 0};
    const float            weight[RF_SOURCES] = {[RF_SOURCE_NOISE] = (float)p->course.start};
    memset(p->memo, 0, (size_t)p->batch * sizeof *p->memo);
    draw(p, b, &first);
    return combine_slots(p, b, p->slot[RF_SOURCE_X], weight, err);
}

/* x += before * noise: churn, restarts. */
static rf_status add_before(rf_plan *p, const rf_batch *b, const rf_call *call, rf_error *err)
{
    const float weight[RF_SOURCES] = {[RF_SOURCE_X] = 1, [RF_SOURCE_NOISE] = call->before};
    if (call->before == 0) return RF_OK;
    draw(p, b, &call->before_noise);
    return combine_slots(p, b, p->slot[RF_SOURCE_X], weight, err);
}

/* ---- the model ---------------------------------------------------------------------------- */

/* The UNet's input: x scaled, once per row; tables of every sample. */
static rf_status fill_input(rf_plan *p, const rf_batch *b, const rf_relay_call *call, rf_error *err)
{
    const rf_plan_expert *x = &p->expert[call->expert];
    const double          sigma = call->sampler.sigma;
    const float           scale = (float)(1 / sqrt(sigma * sigma + 1));
    const size_t          bytes = rf_dtype_bytes(p->engine->dtype);
    for (int row = 0; row < call->rows; row++) {
        const size_t    first = (size_t)row * (size_t)b->count;
        rf_lincomb_args args = {.y = (char *)p->x + first * latent_elems(p) * bytes,
                                .x = {p->slot[RF_SOURCE_X]},
                                .terms = 1,
                                .ydtype = p->engine->dtype};
        const rf_status st = combine(p, b, &args, &scale, err);
        if (st != RF_OK) return st;
        const rf_conditioning *cond = &x->cond[call->row[row].cond];
        for (int i = 0; i < b->count; i++) {
            p->temb_row[first + (size_t)i] =
                p->course.adaptive ? call->row[row].cond : call->table_row + row;
            p->kv_table[first + (size_t)i] = (rf_attention_kv){.base = cond->kv, .skv = cond->rows};
        }
    }
    return RF_OK;
}

/* From eps to x0: y = x - sigma * sum of weight_j eps_j over `rows` rows, as many terms at a time
 * as the op takes. */
static rf_status denoised(rf_plan *p, const rf_batch *b, double sigma, const rf_relay_row *row,
                          int first, int rows, float *y, rf_error *err)
{
    const float *sum = p->slot[RF_SOURCE_X];
    for (int done = 0; done < rows;) {
        rf_lincomb_args args = {
            .y = y, .x = {sum}, .xdtype = {RF_F32}, .terms = 1, .ydtype = RF_F32};
        float coef[RF_LINCOMB_TERMS] = {1};
        for (; done < rows && args.terms < RF_LINCOMB_TERMS; done++) {
            const int t = args.terms++;
            args.x[t] = p->eps;
            args.xdtype[t] = p->engine->dtype;
            args.row_off[t] = (first + done) * b->count;
            coef[t] = (float)(-sigma * row[done].weight);
        }
        const rf_status st = combine(p, b, &args, coef, err);
        if (st != RF_OK) return st;
        sum = y;
    }
    return RF_OK;
}

static rf_status predict_x0(rf_plan *p, const rf_batch *b, const rf_relay_call *call, rf_error *err)
{
    const double       sigma = call->sampler.sigma;
    const rf_relay_row alone = {.weight = 1};
    rf_status          st = RF_OK;
    if (p->slot[RF_SOURCE_U])
        RF_TRY(denoised(p, b, sigma, &alone, call->u_row, 1, p->slot[RF_SOURCE_U], err));
    RF_TRY(denoised(p, b, sigma, call->row, 0, call->rows, p->slot[RF_SOURCE_D], err));
done:
    return st;
}

rf_status rf_denoise_predict(rf_plan *p, const rf_batch *b, const rf_relay_call *call,
                             rf_error *err)
{
    const rf_plan_expert *x = &p->expert[call->expert];
    rf_status             st = RF_OK;
    RF_TRY(fill_input(p, b, call, err));
    RF_TRY(rf_program_run(&x->program[call->program].forward[b->kind], &p->engine->device, err));
    RF_TRY(predict_x0(p, b, call, err));
done:
    return st;
}

/* ---- what follows from a call ------------------------------------------------------------- */

static void swap(float **a, float **b)
{
    float *const was = *a;
    *a = *b;
    *b = was;
}

/* All new values from the old ones, x last, for it is written in place. */
static rf_status advance(rf_plan *p, const rf_batch *b, const rf_call *call, rf_error *err)
{
    rf_status st = RF_OK;
    float   **h = &p->slot[RF_SOURCE_H1];
    if (call->noise.kind != RF_NOISE_NONE) draw(p, b, &call->noise);
    if (call->remembers) RF_TRY(combine_slots(p, b, p->spare[0], call->memory, err));
    if (call->keeps_anchor) RF_TRY(combine_slots(p, b, p->spare[1], call->anchor, err));
    RF_TRY(combine_slots(p, b, p->slot[RF_SOURCE_X], call->next, err));
    if (call->keeps_anchor) swap(&p->slot[RF_SOURCE_ANCHOR], &p->spare[1]);
    if (call->remembers) { /* h1 = the new one, the oldest becomes spare */
        swap(&h[2], &p->spare[0]);
        swap(&h[1], &h[2]);
        swap(&h[0], &h[1]);
    }
done:
    return st;
}

rf_status rf_denoise_check(const rf_plan *p, const rf_batch *b, const rf_relay_call *call,
                           rf_error *err)
{
    for (int i = 0; i < b->count; i++) {
        const float *x = p->slot[RF_SOURCE_X] + (size_t)i * latent_elems(p);
        for (size_t e = 0; e < latent_elems(p); e++)
            if (!isfinite(x[e]))
                return rf_fail(err, RF_E_NAN,
                               "picture %d became NaN or infinite at step %d of %d, in %s; nothing "
                               "was saved%s",
                               b->first + i, call->sampler.step + 1, p->course.steps,
                               p->stage_expert[call->stage]->name, rf_plan_advice(p));
    }
    return RF_OK;
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

/* gaps[i]: between call i-1 and call i of the last batch. */
static void summarise_gaps(rf_plan *p)
{
    double *sorted = p->gaps + p->course.calls;
    for (int flip = 0; flip < 2; flip++) {
        int count = 0;
        for (int i = 1; i < p->course.calls; i++)
            if ((p->call[i].expert != p->call[i - 1].expert) == flip) sorted[count++] = p->gaps[i];
        *(flip ? &p->timings.flip_us : &p->timings.call_gap_us) = median_us(sorted, count);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static rf_progress progress_at(const rf_plan *p, const rf_batch *b, int k)
{
    const int64_t        calls = p->course.calls;
    const int64_t        batches = ((int64_t)p->job.count + p->batch - 1) / p->batch;
    const rf_relay_call *call = &p->call[k];
    return (rf_progress){.phase = RF_PHASE_DENOISE,
                         .stage = call->stage,
                         .expert = p->stage_expert[call->stage]->name,
                         .done = b->first / p->batch * calls + k,
                         .total = batches * calls,
                         .image = b->first,
                         .images = b->count,
                         .step = call->sampler.step,
                         .steps = p->course.steps};
}

static rf_status walk_calls(rf_plan *p, const rf_batch *b, const rf_callbacks *callbacks,
                            rf_error *err)
{
    rf_status st = RF_OK;
    double    last_end = 0;
    for (int k = 0; k < p->course.calls; k++) {
        const rf_relay_call  *call = &p->call[k];
        const rf_plan_expert *x = &p->expert[call->expert];
        const rf_progress     progress = progress_at(p, b, k);
        RF_TRY(rf_report(callbacks, &progress, err));
        RF_TRY(add_before(p, b, &call->sampler, err));
        RF_TRY(fill_input(p, b, call, err));
        if (k > 0) p->gaps[k] = rf_now() - last_end;
        RF_TRY(
            rf_program_run(&x->program[call->program].forward[b->kind], &p->engine->device, err));
        last_end = rf_now();
        RF_TRY(predict_x0(p, b, call, err));
        RF_TRY(advance(p, b, &call->sampler, err));
        RF_TRY(rf_denoise_check(p, b, call, err));
    }
    summarise_gaps(p);
done:
    return st;
}

rf_status rf_denoise(rf_plan *p, const rf_batch *b, const rf_callbacks *callbacks, rf_error *err)
{
    const double start = rf_now();
    rf_status    st = rf_denoise_start(p, b, err);
    if (st == RF_OK)
        st = p->course.adaptive ? rf_denoise_adaptive(p, b, callbacks, err)
                                : walk_calls(p, b, callbacks, err);
    p->timings.denoise += rf_now() - start;
    return st;
}
