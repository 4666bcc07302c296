/* The executor: batches of pictures through the steps, the switch, the decoder.
 *
 * Between two calls of the UNet stand a few thousand multiply-adds of the sampler, and at a switch
 * nothing else: the next call is the other expert's program, on the same slab. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

/* One batch on its way. */
typedef struct batch {
    int first, count; /* pictures */
    int kind;         /* RF_WHOLE_BATCH or RF_LAST_BATCH */
} batch;

static size_t latent_elems(const rf_plan *p)
{
    return (size_t)p->h * (size_t)p->w * 4;
}

static void draw_noise(rf_plan *p, const batch *b, int draw)
{
    const rf_noise_shape shape = {.channels = 4, .h = p->h, .w = p->w};
    for (int i = 0; i < b->count; i++)
        p->noise->latent(p->job.seed + (uint64_t)(b->first + i), (uint32_t)draw, shape,
                         p->draw + (size_t)i * latent_elems(p));
}

/* y [count, e] = sum of terms; every sample has the same coefficients here. */
static rf_status combine(rf_plan *p, const batch *b, rf_lincomb_args *args, const float *coef,
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

/* x = sigma_0 * noise */
static rf_status start_batch(rf_plan *p, const batch *b, rf_error *err)
{
    const float     sigma = (float)p->sigmas[0];
    rf_lincomb_args args = {.y = p->latent, .x = {p->draw}, .terms = 1, .ydtype = RF_F32};
    draw_noise(p, b, 0);
    return combine(p, b, &args, &sigma, err);
}

/* The UNet's input: x scaled, once per polarity; rows and prompts of every sample. */
static rf_status fill_input(rf_plan *p, const batch *b, const rf_active_stage *a, int step,
                            rf_error *err)
{
    const size_t bytes = rf_dtype_bytes(p->engine->dtype);
    for (int polarity = 0; polarity < a->polarities; polarity++) {
        const size_t    first = (size_t)polarity * (size_t)b->count;
        rf_lincomb_args args = {.y = (char *)p->x + first * latent_elems(p) * bytes,
                                .x = {p->latent},
                                .terms = 1,
                                .ydtype = p->engine->dtype};
        const rf_status st = combine(p, b, &args, &p->step[step].sampler.input_scale, err);
        if (st != RF_OK) return st;
        const rf_prompt *prompt = &a->prompt[polarity];
        for (int i = 0; i < b->count; i++) {
            p->temb_row[first + (size_t)i] = (step - a->first_step) * a->polarities + polarity;
            p->kv_table[first + (size_t)i] = (rf_attention_kv){
                .base = prompt->kv, .skv = prompt->tokens[0].chunks * RF_TOKENS_PER_CHUNK};
        }
    }
    return RF_OK;
}

/* x = coef . (x, eps of the positive, eps of the negative prompt, noise); absent terms left out. */
static rf_status advance(rf_plan *p, const batch *b, const rf_active_stage *a, int step,
                         rf_error *err)
{
    const rf_sampler_step *s = &p->step[step].sampler;
    rf_lincomb_args        args = {.y = p->latent, .ydtype = RF_F32};
    float                  coef[RF_SOURCES];
    for (int source = 0; source < RF_SOURCES; source++) {
        if (source == RF_SOURCE_UNCOND && a->polarities == 1) continue;
        if (source == RF_SOURCE_NOISE && s->draw < 0) continue;
        const int t = args.terms++;
        const int predicted = source == RF_SOURCE_COND || source == RF_SOURCE_UNCOND;
        args.x[t] = source == RF_SOURCE_X ? p->latent : predicted ? p->eps : (void *)p->draw;
        args.xdtype[t] = predicted ? p->engine->dtype : RF_F32;
        args.row_off[t] = source == RF_SOURCE_UNCOND ? b->count : 0;
        coef[t] = s->coef[source];
    }
    if (s->draw >= 0) draw_noise(p, b, s->draw);
    return combine(p, b, &args, coef, err);
}

/* What might help against NaN. */
static const char *advice(const rf_plan *p)
{
    return p->engine->dtype == RF_F32 ? "" : " (try --dtype f32)";
}

static rf_status check_finite(const rf_plan *p, const batch *b, int step, rf_error *err)
{
    const rf_active_stage *a = &p->active[p->step[step].stage];
    for (int i = 0; i < b->count; i++) {
        const float *x = p->latent + (size_t)i * latent_elems(p);
        for (size_t e = 0; e < latent_elems(p); e++)
            if (!isfinite(x[e]))
                return rf_fail(err, RF_E_NAN,
                               "picture %d became NaN or infinite at step %d of %d, in %s; nothing "
                               "was saved%s",
                               b->first + i, step + 1, p->job.steps, a->expert->name, advice(p));
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
    double *sorted = p->gaps + p->job.steps;
    for (int flip = 0; flip < 2; flip++) {
        int count = 0;
        for (int i = 1; i < p->job.steps; i++)
            if ((p->active[p->step[i].stage].expert != p->active[p->step[i - 1].stage].expert) ==
                flip)
                sorted[count++] = p->gaps[i];
        *(flip ? &p->timings.flip_us : &p->timings.call_gap_us) = median_us(sorted, count);
    }
}

/* ---- the run ------------------------------------------------------------------------------ */

static rf_status denoise(rf_plan *p, const batch *b, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status     st = RF_OK;
    const int     steps = p->job.steps;
    const int64_t batches = ((int64_t)p->job.count + p->batch - 1) / p->batch;
    const int64_t earlier = b->first / p->batch;
    const double  start = rf_now();
    double        last_end = 0;
    RF_TRY(start_batch(p, b, err));
    for (int step = 0; step < steps; step++) {
        const rf_active_stage *a = &p->active[p->step[step].stage];
        const rf_progress      progress = {.phase = RF_PHASE_DENOISE,
                                           .stage = a->index,
                                           .expert = a->expert->name,
                                           .done = earlier * steps + step,
                                           .total = batches * steps,
                                           .image = b->first,
                                           .images = b->count,
                                           .step = step,
                                           .steps = steps};
        RF_TRY(rf_report(callbacks, &progress, err));
        RF_TRY(fill_input(p, b, a, step, err));
        if (step > 0) p->gaps[step] = rf_now() - last_end;
        RF_TRY(rf_program_run(&a->forward[b->kind], &p->engine->device, err));
        last_end = rf_now();
        RF_TRY(advance(p, b, a, step, err));
        RF_TRY(check_finite(p, b, step, err));
    }
    summarise_gaps(p);
done:
    p->timings.denoise += rf_now() - start;
    return st;
}

/* One colour everywhere; a true picture differs within the first few pixels. */
static int is_constant(const rf_plan *p)
{
    const size_t bytes = (size_t)p->job.width * (size_t)p->job.height * 3;
    return memcmp(p->pixels, p->pixels + 3, bytes - 3) == 0;
}

static rf_status check_picture(const rf_plan *p, int index, rf_error *err)
{
    if (p->stats->non_finite)
        return rf_fail(err, RF_E_NAN,
                       "the VAE of %s gave NaN or infinity in picture %d; nothing was saved%s",
                       p->vae->name, index, advice(p));
    if (is_constant(p))
        return rf_fail(
            err, RF_E_NAN,
            "picture %d came out constant (every pixel is %d, %d, %d); nothing was saved", index,
            p->pixels[0], p->pixels[1], p->pixels[2]);
    return RF_OK;
}

static rf_status decode(rf_plan *p, const batch *b, int i, const rf_callbacks *callbacks,
                        rf_error *err)
{
    const int         index = b->first + i;
    const double      start = rf_now();
    rf_status         st = RF_OK;
    char             *parameters = NULL;
    const rf_progress progress = {.phase = RF_PHASE_DECODE,
                                  .stage = p->active[p->active_count - 1].index,
                                  .expert = p->vae->name,
                                  .done = index,
                                  .total = p->job.count,
                                  .image = index,
                                  .images = 1};
    RF_TRY(rf_report(callbacks, &progress, err));
    memcpy(p->decode_latent, p->latent + (size_t)i * latent_elems(p),
           latent_elems(p) * sizeof(float));
    RF_TRY(rf_program_run(&p->decode, &p->engine->device, err));
    p->timings.decode += rf_now() - start;
    RF_TRY(check_picture(p, index, err));
    if (callbacks && callbacks->image) {
        RF_TRY(rf_plan_infotext(p, index, &parameters, err));
        const rf_image image = {.index = index,
                                .seed = p->job.seed + (uint64_t)index,
                                .width = p->job.width,
                                .height = p->job.height,
                                .rgb = p->pixels,
                                .latent = p->decode_latent,
                                .parameters = parameters};
        st = callbacks->image(callbacks->user, &image, err);
    }
done:
    free(parameters);
    return st;
}

rf_status rf_plan_run(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    p->timings = (rf_timings){0};
    for (int i = 0; i < p->active_count; i++) rf_file_hash_start(&p->active[i].expert->hash);
    if (p->vae_is_separate) rf_file_hash_start(&p->vae->hash);
    RF_TRY(rf_plan_prepare(p, callbacks, err));
    for (int first = 0; first < p->job.count; first += p->batch) {
        const int   left = p->job.count - first;
        const batch b = {.first = first,
                         .count = left < p->batch ? left : p->batch,
                         .kind = left < p->batch ? RF_LAST_BATCH : RF_WHOLE_BATCH};
        RF_TRY(denoise(p, &b, callbacks, err));
        for (int i = 0; i < b.count; i++) RF_TRY(decode(p, &b, i, callbacks, err));
    }
done:
    return st;
}
