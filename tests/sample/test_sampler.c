/* Samplers as coefficients against the textbook in double precision, over a toy denoiser whose
 * exact answers are known, and against what must hold for every step. */
#include <criterion/criterion.h>
#include <math.h>

#include "engine/sample/noise.h"
#include "engine/sample/sampler.h"
#include "engine/sample/schedule.h"

enum { ELEMS = 64, STEPS = 200 };

/* The best denoiser for data of mean `mean` and deviation `spread` (Karras et al. 2022, app. B),
 * called as a UNet is: scaled input in, eps out. */
typedef struct toy {
    double mean, spread;
} toy;

static double toy_eps(toy m, double scaled_x, double sigma)
{
    const double x = scaled_x * sqrt(sigma * sigma + 1);
    return sigma * (x - m.mean) / (m.spread * m.spread + sigma * sigma);
}

typedef struct toy_run {
    toy    cond, uncond;
    double cfg, eta, s_noise;
    int    steps;
    double sigma[STEPS + 1];
} toy_run;

static const rf_sampler *sampler(const char *name)
{
    const rf_sampler *s = NULL;
    cr_assert_eq(rf_sampler_find(&s, name, NULL), RF_OK);
    return s;
}

static toy_run make_run(const char *schedule, int steps)
{
    static rf_sigma_table table;
    const rf_schedule    *s = NULL;
    toy_run r = {{0.7, 0.5}, {-0.2, 1.0}, .cfg = 6, .eta = 1, .s_noise = 1, .steps = steps};
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, schedule, "", NULL), RF_OK);
    cr_assert_eq(rf_schedule_sigmas(s, &table, steps, r.sigma, NULL), RF_OK);
    return r;
}

static rf_step_request request_at(const toy_run *r, int i, int next_draw)
{
    return (rf_step_request){.sigma = r->sigma[i],
                             .sigma_next = r->sigma[i + 1],
                             .cfg = r->cfg,
                             .eta = r->eta,
                             .s_noise = r->s_noise,
                             .next_draw = next_draw};
}

/* As the executor does it: f32 state, one f32 rounding per product and per sum, terms in order. */
static void run_coefficients(const rf_sampler *s, const toy_run *r, float *x)
{
    float noise[ELEMS];
    int   next_draw = 1;
    rf_noise_nv(5, 0, ELEMS, noise);
    for (int e = 0; e < ELEMS; e++) x[e] = noise[e] * (float)r->sigma[0];
    for (int i = 0; i < r->steps; i++) {
        const rf_step_request request = request_at(r, i, next_draw);
        rf_sampler_step       step;
        cr_assert_eq(rf_sampler_plan(s, &request, &step, NULL), RF_OK);
        if (step.draw >= 0) rf_noise_nv(5, (uint32_t)step.draw, ELEMS, noise);
        for (int e = 0; e < ELEMS; e++) {
            const double input = (double)(step.input_scale * x[e]);
            float        y = step.coef[RF_SOURCE_X] * x[e];
            y += step.coef[RF_SOURCE_COND] * (float)toy_eps(r->cond, input, r->sigma[i]);
            if (step.coef[RF_SOURCE_UNCOND] != 0)
                y += step.coef[RF_SOURCE_UNCOND] * (float)toy_eps(r->uncond, input, r->sigma[i]);
            if (step.draw >= 0) y += step.coef[RF_SOURCE_NOISE] * noise[e];
            x[e] = y;
        }
        next_draw += step.draws;
    }
}

/* Textbook, in the form of the papers: D first, then d = (x - D) / sigma, then the step. */
static void run_textbook(int ancestral, const toy_run *r, double *x)
{
    float noise[ELEMS];
    rf_noise_nv(5, 0, ELEMS, noise);
    for (int e = 0; e < ELEMS; e++) x[e] = noise[e] * r->sigma[0];
    for (int i = 0; i < r->steps; i++) {
        const double s = r->sigma[i], next = r->sigma[i + 1], c_in = 1 / sqrt(s * s + 1);
        double       up = 0, down = next;
        if (ancestral) {
            up = fmin(next, r->eta * sqrt(next * next * (s * s - next * next) / (s * s)));
            down = sqrt(next * next - up * up);
        }
        rf_noise_nv(5, (uint32_t)i + 1, ELEMS, noise);
        for (int e = 0; e < ELEMS; e++) {
            const double dc = x[e] - s * toy_eps(r->cond, x[e] * c_in, s);
            const double du = x[e] - s * toy_eps(r->uncond, x[e] * c_in, s);
            const double d = (x[e] - (du + r->cfg * (dc - du))) / s;
            x[e] += d * (down - s);
            if (next > 0) x[e] += noise[e] * r->s_noise * up;
        }
    }
}

static double relative_l2(const float *got, const double *want)
{
    double difference = 0, norm = 0;
    for (int e = 0; e < ELEMS; e++) {
        difference += (got[e] - want[e]) * (got[e] - want[e]);
        norm += want[e] * want[e];
    }
    return sqrt(difference / norm);
}

/* Six f32 roundings of values the size of the first sigma, which later steps only shrink; guidance
 * weighs the two eps. */
static double rounding_bound(const toy_run *r, const double *want)
{
    double norm = 0;
    for (int e = 0; e < ELEMS; e++) norm += want[e] * want[e];
    return 6 * 0x1p-24 * r->sigma[0] * (fabs(r->cfg) + fabs(1 - r->cfg)) / sqrt(norm / ELEMS);
}

Test(sampler, matches_textbook, .timeout = 30)
{
    const int    counts[] = {1, 2, 7, 30};
    const double cfgs[] = {1, 6, 0, 1.5};
    for (int ancestral = 0; ancestral < 2; ancestral++)
        for (int schedule = 0; schedule < 2; schedule++)
            for (size_t i = 0; i < 16; i++) {
                toy_run r = make_run(schedule ? "Karras" : "Uniform", counts[i / 4]);
                r.cfg = cfgs[i % 4];
                r.eta = i % 3 == 2 ? 0.6 : 1;
                r.s_noise = i % 3 == 1 ? 1.003 : 1;
                float  got[ELEMS];
                double want[ELEMS];
                run_coefficients(sampler(ancestral ? "Euler a" : "Euler"), &r, got);
                run_textbook(ancestral, &r, want);
                const double error = relative_l2(got, want);
                const double bound = rounding_bound(&r, want);
                cr_assert_leq(error, bound, "ancestral %d, steps %d, cfg %g: %g, not %g", ancestral,
                              r.steps, r.cfg, error, bound);
            }
}

/* One value as data: every sampler ends on it, wherever it began and however many steps it took. */
Test(sampler, a_single_answer_is_reached, .timeout = 10)
{
    for (int ancestral = 0; ancestral < 2; ancestral++)
        for (int steps = 1; steps <= 50; steps++) {
            toy_run r = make_run("Karras", steps);
            float   x[ELEMS];
            r.cond = (toy){0.7, 0};
            r.cfg = 1;
            run_coefficients(sampler(ancestral ? "Euler a" : "Euler"), &r, x);
            for (int e = 0; e < ELEMS; e++)
                cr_assert_leq(fabs(x[e] - 0.7), 3e-5, "%d steps: %g", steps, (double)x[e]);
        }
}

/* Gaussian data has the ODE solution x(0) = m + (x - m) s / sqrt(s^2 + sigma^2); Euler's distance
 * from it halves with twice the steps. */
Test(sampler, euler_converges_with_first_order, .timeout = 10)
{
    double error[3];
    for (int k = 0; k < 3; k++) {
        toy_run r = make_run("Karras", 50 << k);
        float   x[ELEMS], noise[ELEMS];
        r.cfg = 1;
        run_coefficients(sampler("Euler"), &r, x);
        rf_noise_nv(5, 0, ELEMS, noise);
        double want[ELEMS];
        for (int e = 0; e < ELEMS; e++) {
            const double from = noise[e] * r.sigma[0] - r.cond.mean;
            want[e] = r.cond.mean + from * r.cond.spread / hypot(r.cond.spread, r.sigma[0]);
        }
        error[k] = relative_l2(x, want);
    }
    for (int k = 0; k < 2; k++) {
        const double ratio = error[k] / error[k + 1];
        cr_assert(ratio > 1.8 && ratio < 2.2, "%g then %g", error[k], error[k + 1]);
    }
}

/* Of data 0, eps is x / sigma: what is left of the old noise and what is added must make up the
 * wanted level, variances adding. */
Test(sampler, euler_a_keeps_the_noise_level, .timeout = 20)
{
    const double etas[] = {0, 0.3, 1};
    for (int k = 0; k < 3; k++) {
        toy_run r = make_run("Karras", 30);
        r.cfg = 1;
        r.eta = etas[k];
        for (int i = 0; i < r.steps; i++) {
            const rf_step_request request = request_at(&r, i, 1);
            rf_sampler_step       s;
            cr_assert_eq(rf_sampler_plan(sampler("Euler a"), &request, &s, NULL), RF_OK);
            const double down = r.sigma[i] * s.coef[RF_SOURCE_X] + (double)s.coef[RF_SOURCE_COND];
            cr_assert_leq(fabs(hypot(down, s.coef[RF_SOURCE_NOISE]) - r.sigma[i + 1]),
                          1.2e-7 * r.sigma[i]);
        }
    }
}

Test(sampler, eta_zero_is_euler, .timeout = 20)
{
    for (int steps = 1; steps <= STEPS; steps++) {
        toy_run r = make_run("Karras", steps);
        r.eta = 0;
        for (int i = 0; i < steps; i++) {
            const rf_step_request request = request_at(&r, i, i + 1);
            rf_sampler_step       a, b;
            cr_assert_eq(rf_sampler_plan(sampler("Euler a"), &request, &a, NULL), RF_OK);
            cr_assert_eq(rf_sampler_plan(sampler("Euler"), &request, &b, NULL), RF_OK);
            for (int c = 0; c < RF_SOURCES; c++) cr_assert_eq(a.coef[c], b.coef[c]);
            cr_assert_eq(a.input_scale, b.input_scale);
            cr_assert_eq(a.draw, -1);
            cr_assert_eq(a.draws, i < steps - 1 ? 1 : 0); /* drawn by A1111, not used */
        }
    }
}

/* Draw 0 is the initial noise; step i adds draw i + 1; the step to 0 draws nothing. */
Test(sampler, draws_are_counted_as_in_a1111, .timeout = 20)
{
    for (int steps = 1; steps <= STEPS; steps++) {
        const toy_run r = make_run("Uniform", steps);
        int           ancestral = 1, plain = 1;
        for (int i = 0; i < steps; i++) {
            rf_step_request request = request_at(&r, i, ancestral);
            rf_sampler_step s;
            cr_assert_eq(rf_sampler_plan(sampler("Euler a"), &request, &s, NULL), RF_OK);
            cr_assert_eq(s.draw, i < steps - 1 ? i + 1 : -1);
            ancestral += s.draws;
            request.next_draw = plain;
            cr_assert_eq(rf_sampler_plan(sampler("Euler"), &request, &s, NULL), RF_OK);
            cr_assert_eq(s.draw, -1);
            plain += s.draws;
        }
        cr_assert_eq(ancestral, steps);
        cr_assert_eq(plain, steps + 1);
    }
}

Test(sampler, coefficients_are_finite_and_sane, .timeout = 30)
{
    const char *const names[] = {"Euler", "Euler a"};
    const char *const schedules[] = {"Karras", "Uniform", "Normal"};
    for (int k = 0; k < 6; k++)
        for (int steps = 1; steps <= STEPS; steps++) {
            const toy_run r = make_run(schedules[k / 2], steps);
            for (int i = 0; i < steps; i++) {
                const rf_step_request request = request_at(&r, i, 1);
                rf_sampler_step       s;
                cr_assert_eq(rf_sampler_plan(sampler(names[k % 2]), &request, &s, NULL), RF_OK);
                for (int c = 0; c < RF_SOURCES; c++) cr_assert(isfinite(s.coef[c]));
                cr_assert_eq(s.coef[RF_SOURCE_X], 1);
                cr_assert_leq(s.coef[RF_SOURCE_COND], 0);   /* towards the prompt */
                cr_assert_geq(s.coef[RF_SOURCE_UNCOND], 0); /* away from the negative */
                cr_assert(s.input_scale > 0 && s.input_scale < 1);
                cr_assert_eq(s.draw >= 0, s.coef[RF_SOURCE_NOISE] != 0);
            }
        }
}

/* cfg 1 has no negative prompt: the coefficient is +0, not a rounding remainder or -0. */
Test(sampler, cfg_one_leaves_the_negative_out, .timeout = 10)
{
    toy_run r = make_run("Karras", 30);
    r.cfg = 1;
    for (int i = 0; i < r.steps; i++)
        for (int ancestral = 0; ancestral < 2; ancestral++) {
            const rf_step_request request = request_at(&r, i, 1);
            rf_sampler_step       s;
            cr_assert_eq(
                rf_sampler_plan(sampler(ancestral ? "Euler a" : "Euler"), &request, &s, NULL),
                RF_OK);
            cr_assert_eq(s.coef[RF_SOURCE_UNCOND], 0);
            cr_assert_not(signbit(s.coef[RF_SOURCE_UNCOND]));
        }
}

Test(sampler, refuses_bad_requests, .timeout = 10)
{
    const rf_step_request good = {2, 1, .cfg = 6, .eta = 1, .s_noise = 1, .next_draw = 1};
    rf_step_request       bad[14];
    int                   n = 0;
#define BAD(field, value) bad[n] = good, bad[n++].field = (value)
    BAD(sigma, NAN);
    BAD(sigma, INFINITY);
    BAD(sigma, 1);
    BAD(sigma, 1e300);
    BAD(sigma_next, NAN);
    BAD(sigma_next, -0.5);
    BAD(sigma_next, 3);
    BAD(cfg, NAN);
    BAD(cfg, INFINITY);
    BAD(cfg, 1e300);
    BAD(eta, -1);
    BAD(eta, NAN);
    BAD(s_noise, INFINITY);
    BAD(next_draw, 0);
#undef BAD
    rf_sampler_step step = {.coef = {77, 77, 77, 77}, .input_scale = 77, .draw = 77, .draws = 77};
    for (int i = 0; i < n; i++) {
        rf_error err = {0};
        cr_assert_eq(rf_sampler_plan(sampler("Euler a"), &bad[i], &step, &err), RF_E_ARG, "%d", i);
        cr_assert_neq(err.message[0], '\0');
        for (int c = 0; c < RF_SOURCES; c++) cr_assert_eq(step.coef[c], 77);
        cr_assert(step.input_scale == 77 && step.draw == 77 && step.draws == 77);
    }
    cr_assert_eq(rf_sampler_plan(sampler("Euler a"), &good, &step, NULL), RF_OK);
}
