/* Whether an expert's first answer looks like what it is taken to predict.
 *
 * At high noise the UNet's input is nearly the noise itself.  Who predicts noise repeats it; who
 * predicts v says about -x0 instead, which has little of it.  So the part of the input in the
 * answer tells the two apart, where x0 alone does not: an epsilon expert taken for a v expert gives
 * an x0 of the right size, minus the noise.  What is said is a warning; no byte depends on it.
 *
 * Bounds, against what the demo's experts do at sigma 14.6: of epsilon as epsilon the deviation of
 * x0 is 0.86 to 1.0 and the input's part 0.99 to 1.01; as v the part is the same; an x0 has 0.78 to
 * 0.89 in common with its neighbours.  A random network's answer has 0.06 to 0.12. */
#include "engine/relay/x0_check.h"

#include <math.h>

#include "engine/core/widen.h"
#include "engine/relay/plan.h"

enum { CHANNELS = 4, MOST_ELEMS = 1 << 16 }; /* a picture of 1024x1024; of larger ones the top */

/* Below this level noise and picture are too much alike to tell. */
static const double LEAST_SIGMA = 5;

/* What horizontal neighbours have in common, -1 to 1. */
static double smoothness(const float *latent, int h, int w)
{
    double both = 0, each = 0;
    for (int c = 0; c < CHANNELS; c++) {
        double mean = 0;
        for (int i = 0; i < h * w; i++) mean += (double)latent[i * CHANNELS + c] / (h * w);
        for (int i = 0; i < h * w; i++) {
            if (i % w == w - 1) continue;
            const double a = (double)latent[i * CHANNELS + c] - mean;
            const double b = (double)latent[(i + 1) * CHANNELS + c] - mean;
            both += a * b;
            each += (a * a + b * b) / 2;
        }
    }
    return both / each;
}

rf_x0_look rf_x0_look_at(const rf_parameterisation *is, double sigma, const float *input,
                         const float *answer, int h, int w)
{
    const rf_x0_weights weights = rf_x0_weights_at(is, sigma);
    const double        from_input = weights.skip * sqrt(sigma * sigma + 1);
    const int           count = h * w * CHANNELS;
    double              xx = 0, xy = 0, yy = 0, sum = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        const double x = (double)input[i], y = (double)answer[i];
        const double x0 = from_input * x + weights.out * y;
        xx += x * x;
        xy += x * y;
        yy += y * y;
        sum += x0;
        squares += x0 * x0;
    }
    const double mean = sum / count;
    rf_x0_look   look = {.std = sqrt(fmax(squares / count - mean * mean, 0)),
                         .input_part = xy / xx,
                         .answer = sqrt(yy / count),
                         .smoothness = smoothness(answer, h, w)};
    /* A trained network's answer has a variance near 1 in either parameterisation. */
    if (look.answer > 0.3 && look.answer < 3) {
        look.looks_like_v = !is->v && look.std > sigma / 2 && look.input_part < 0.5 &&
                            look.smoothness > 0.4; /* a picture, and no untrained network */
        look.looks_like_epsilon = is->v && look.input_part > 0.75;
    }
    return look;
}

/* `role`: "base" or "refiner", as the options are called. */
static void tell(const rf_expert *e, const char *role, const rf_x0_look *look)
{
    if (look->looks_like_v)
        rf_warn(e->engine,
                "%.200s looks like v-prediction: its first x0 has a deviation of %.3g where about "
                "1 is right; try --%s-prediction v, or v-ztsnr",
                e->name, look->std, role);
    if (look->looks_like_epsilon)
        rf_warn(e->engine,
                "%.200s looks like epsilon prediction: its first answer is %.0f %% of the noise it "
                "was given; try --%s-prediction epsilon",
                e->name, 100 * look->input_part, role);
}

/* Nobody draws noise at the moment: the scratch is free. */
static void judge(rf_plan *p, const void *input, const void *answer)
{
    const rf_x0_glance   *g = &p->glance;
    const rf_plan_expert *x = &p->expert[g->expert];
    const size_t          elems = (size_t)g->h * (size_t)g->w * CHANNELS;
    rf_convert(p->scratch, RF_F32, input, p->engine->dtype, elems);
    rf_convert(p->scratch + elems, RF_F32, answer, p->engine->dtype, elems);
    const rf_x0_look look = rf_x0_look_at(&rf_expert_prediction(x->expert)->is, g->sigma,
                                          p->scratch, p->scratch + elems, g->h, g->w);
    tell(x->expert, x->stage ? "refiner" : "base", &look);
}

size_t rf_x0_glance_bytes(const rf_plan *p)
{
    const size_t elems = p->elems < MOST_ELEMS ? p->elems : MOST_ELEMS;
    return rf_device_on_host(&p->engine->device) ? 0 : 2 * elems * rf_dtype_bytes(p->engine->dtype);
}

rf_status rf_x0_check(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    rf_device    *device = &p->engine->device;
    rf_x0_glance *g = &p->glance;
    rf_expert    *e = rf_expert_parent(p->expert[pass->program->expert].expert);
    const int     w = pass->program->w, rows = MOST_ELEMS / (w * CHANNELS);
    const double  sigma = pass->sample[0].sampler->sigma;
    rf_status     st = RF_OK;
    if (e->x0_seen || g->pending || sigma < LEAST_SIGMA) return RF_OK;
    e->x0_seen = 1;
    g->expert = pass->program->expert;
    g->sigma = sigma;
    g->w = w;
    g->h = rows < pass->program->h ? rows : pass->program->h;
    if (rf_device_on_host(device)) {
        judge(p, p->x, p->eps);
        return RF_OK;
    }
    const size_t bytes = (size_t)g->h * (size_t)w * CHANNELS * rf_dtype_bytes(p->engine->dtype);
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, g->raw, p->x, bytes, err));
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, (char *)g->raw + bytes, p->eps,
                          bytes, err));
    g->pending = 1;
    g->side = p->ring.turn;
done:
    return st;
}

void rf_x0_check_end(rf_plan *p, int side)
{
    rf_x0_glance *g = &p->glance;
    const size_t  bytes = (size_t)g->h * (size_t)g->w * CHANNELS * rf_dtype_bytes(p->engine->dtype);
    if (!g->pending || g->side != side) return;
    g->pending = 0;
    judge(p, g->raw, (const char *)g->raw + bytes);
}
