/* The schedules are one table of small functions; rounding to f32, the final 0 and the check that
 * sigma falls are in one place, so that no schedule can forget them. */
#include "engine/sample/schedule.h"

#include <math.h>
#include <stdlib.h>

#include "engine/sample/beta.h"
#include "engine/sample/sigma_grid.h"

/* What a schedule is computed from. */
typedef struct schedule_ask {
    rf_sigma_grid grid;
    int           steps;
    double        low, high; /* ends */
    double        rho;       /* 0: the schedule's own */
    int           exact_a1111;
} schedule_ask;

struct rf_schedule {
    rf_name id;
    /* Writes the values without the final 0 and returns their number, or -1 - that number if no 0
     * may follow.  Room for steps + RF_TRAIN_STEPS values. */
    int (*fill)(const schedule_ask *ask, double *sigma);
};

/* i-th of n values from a to b; a ramp of one value is a. */
static double ramp(double a, double b, int i, int n)
{
    return n > 1 ? a + (b - a) * ((double)i / (n - 1)) : a;
}

static int karras(const schedule_ask *ask, double *sigma)
{
    const double rho = ask->rho > 0 ? ask->rho : 7;
    const double from = pow(ask->high, 1 / rho), to = pow(ask->low, 1 / rho);
    for (int i = 0; i < ask->steps; i++) sigma[i] = pow(ramp(from, to, i, ask->steps), rho);
    return ask->steps;
}

static int polyexponential(const schedule_ask *ask, double *sigma)
{
    const double rho = ask->rho > 0 ? ask->rho : 1;
    const double from = log(ask->high), to = log(ask->low);
    for (int i = 0; i < ask->steps; i++)
        sigma[i] = exp(to + (from - to) * pow(ramp(1, 0, i, ask->steps), rho));
    return ask->steps;
}

static int exponential(const schedule_ask *ask, double *sigma)
{
    for (int i = 0; i < ask->steps; i++)
        sigma[i] = exp(ramp(log(ask->high), log(ask->low), i, ask->steps));
    return ask->steps;
}

/* The first ask->steps of `count` values, equal distances in t. */
static int even_in_t(const schedule_ask *ask, double from, double to, int count, double *sigma)
{
    for (int i = 0; i < ask->steps; i++)
        sigma[i] = rf_grid_sigma_from_t(&ask->grid, ramp(from, to, i, count));
    return ask->steps;
}

static int uniform(const schedule_ask *ask, double *sigma)
{
    return even_in_t(ask, ask->grid.count - 1, 0, ask->steps, sigma);
}

static int normal(const schedule_ask *ask, double *sigma)
{
    return even_in_t(ask, rf_grid_t_from_sigma(&ask->grid, ask->high),
                     rf_grid_t_from_sigma(&ask->grid, ask->low), ask->steps, sigma);
}

static int sgm_uniform(const schedule_ask *ask, double *sigma)
{
    return even_in_t(ask, rf_grid_t_from_sigma(&ask->grid, ask->high),
                     rf_grid_t_from_sigma(&ask->grid, ask->low), ask->steps + 1, sigma);
}

static int simple(const schedule_ask *ask, double *sigma)
{
    for (int i = 0; i < ask->steps; i++)
        sigma[i] =
            rf_grid_sigma(&ask->grid, ask->grid.count - 1 - i * ask->grid.count / ask->steps);
    return ask->steps;
}

static int ddim(const schedule_ask *ask, double *sigma)
{
    const int apart = ask->grid.count / ask->steps > 1 ? ask->grid.count / ask->steps : 1;
    const int count = (ask->grid.count - 2) / apart + 1; /* entries 1, 1 + apart, ... */
    for (int i = 0; i < count; i++)
        sigma[i] = rf_grid_sigma(&ask->grid, 1 + (count - 1 - i) * apart);
    return count;
}

static int kl_optimal(const schedule_ask *ask, double *sigma)
{
    const double from = atan(ask->high), to = atan(ask->low);
    const int    count = ask->exact_a1111 ? ask->steps + 1 : ask->steps;
    for (int i = 0; i < count; i++) sigma[i] = tan(ramp(from, to, i, ask->steps + 1));
    return ask->exact_a1111 ? -1 - count : count;
}

static int align_your_steps(const schedule_ask *ask, double *sigma)
{
    static const double anchor[] = {/* Sabour et al. 2024, for SDXL */
                                    14.615, 6.315, 3.771, 2.181, 1.342, 0.862,
                                    0.555,  0.380, 0.234, 0.113, 0.029};
    const int           last = (int)(sizeof anchor / sizeof *anchor) - 1;
    /* A1111 spreads from the small end, so that one value is the smallest. */
    const int from = ask->exact_a1111 && ask->steps == 1 ? last : 0;
    for (int i = 0; i < ask->steps; i++) {
        const double at = ramp(from, last, i, ask->steps);
        const int    left = at < last ? (int)at : last - 1;
        const double w = at - left;
        sigma[i] = exp((1 - w) * log(anchor[left]) + w * log(anchor[left + 1]));
    }
    return ask->steps;
}

static int beta(const schedule_ask *ask, double *sigma)
{
    const double shape = 0.6; /* A1111's default for both parameters */
    const double t_low = rf_grid_t_from_sigma(&ask->grid, ask->low);
    const double t_high = rf_grid_t_from_sigma(&ask->grid, ask->high);
    for (int i = 0; i < ask->steps; i++) {
        const double x = rf_beta_quantile(ramp(1, 0, i, ask->steps), shape, shape);
        sigma[i] = ask->exact_a1111
                       ? ask->low + x * (ask->high - ask->low)
                       : rf_grid_sigma_from_t(&ask->grid, t_low + x * (t_high - t_low));
    }
    return ask->steps;
}

/* A1111's labels, and its internal names. */
static const rf_schedule SCHEDULES[] = {
    {.id = {.name = "Automatic"}, .fill = NULL},
    {.id = {.name = "Uniform"}, .fill = uniform},
    {.id = {.name = "Karras"}, .fill = karras},
    {.id = {.name = "Exponential"}, .fill = exponential},
    {.id = {.name = "Polyexponential"}, .fill = polyexponential},
    {.id = {.name = "SGM Uniform", .alias = {"sgm_uniform", "SGMUniform"}}, .fill = sgm_uniform},
    {.id = {.name = "KL Optimal", .alias = {"kl_optimal"}}, .fill = kl_optimal},
    {.id = {.name = "Align Your Steps", .alias = {"align_your_steps"}}, .fill = align_your_steps},
    {.id = {.name = "Simple"}, .fill = simple},
    {.id = {.name = "Normal"}, .fill = normal},
    {.id = {.name = "DDIM"}, .fill = ddim},
    {.id = {.name = "Beta"}, .fill = beta},
};

static rf_status find_row(const rf_schedule **out, const char *name, rf_error *err)
{
    const rf_name_table table = {"schedule", SCHEDULES, sizeof *SCHEDULES,
                                 (int)(sizeof SCHEDULES / sizeof *SCHEDULES)};
    const void         *row = NULL;
    const rf_status     st = rf_name_find(&row, &table, name, err);
    *out = (const rf_schedule *)row;
    return st;
}

rf_status rf_schedule_find(const rf_schedule **out, const char *name, const char *automatic,
                           rf_error *err)
{
    rf_status          st = RF_OK;
    const rf_schedule *found = NULL;
    *out = NULL;
    RF_TRY(find_row(&found, name, err));
    if (!found->fill) RF_TRY(find_row(&found, automatic, err));
    if (!found->fill) {
        st = rf_fail(err, RF_E_BUG, "a sampler's automatic schedule is \"%s\"", automatic);
        goto done;
    }
    *out = found;
done:
    return st;
}

const char *rf_schedule_name(const rf_schedule *schedule)
{
    return schedule->id.name;
}

static rf_status check_ask(const schedule_ask *ask, rf_error *err)
{
    if (ask->steps < 1 || ask->steps > RF_STEPS_MAX)
        return rf_fail(err, RF_E_ARG, "steps is %d: it must be 1 to %d", ask->steps, RF_STEPS_MAX);
    if (!(ask->rho >= 0) || isinf(ask->rho))
        return rf_fail(err, RF_E_ARG, "rho is %g: it must be positive", ask->rho);
    if (!(ask->low > 0 && ask->low < ask->high) || isinf(ask->high))
        return rf_fail(err, RF_E_ARG,
                       "the noise levels range from %g to %g: the first must be "
                       "positive and below the second",
                       ask->low, ask->high);
    return RF_OK;
}

/* Rounds the `count` values and leaves out the last but one where that is asked. */
static rf_status finish(const rf_schedule *schedule, int count, int discard, rf_sigmas *sigmas,
                        rf_error *err)
{
    double *sigma = sigmas->sigma;
    if (discard) { /* at least two values and the last */
        sigma[count - 2] = sigma[count - 1];
        count--;
    }
    for (int i = 0; i < count; i++) sigma[i] = (float)sigma[i];
    for (int i = 1; i < count; i++)
        if (!(sigma[i] < sigma[i - 1])) /* also NaN */
            return rf_fail(err, RF_E_ARG,
                           "schedule %s with %d steps: noise level %d is %g, and the one before it "
                           "%g; use fewer steps or other ends",
                           schedule->id.name, count - 1, i + 1, sigma[i], sigma[i - 1]);
    sigmas->steps = count - 1;
    return RF_OK;
}

rf_status rf_schedule_sigmas(const rf_schedule *schedule, const rf_sigma_table *table, int steps,
                             const rf_schedule_options *options, rf_sigmas *out, rf_error *err)
{
    rf_status    st = RF_OK;
    rf_sigmas    made = {0};
    schedule_ask ask = {.grid = {table, 0, 1, RF_TRAIN_STEPS},
                        .steps = steps,
                        .rho = options->rho,
                        .exact_a1111 = options->exact_a1111};
    if (options->lcm_table) ask.grid = (rf_sigma_grid){table, 19, 20, 50};
    ask.low = options->sigma_min != 0 ? options->sigma_min : rf_grid_sigma(&ask.grid, 0);
    ask.high =
        options->sigma_max != 0 ? options->sigma_max : rf_grid_sigma(&ask.grid, ask.grid.count - 1);
    *out = (rf_sigmas){0};
    RF_TRY(check_ask(&ask, err));
    ask.steps += options->discard_penultimate ? 1 : 0;
    made.sigma = malloc(((size_t)ask.steps + RF_TRAIN_STEPS + 1) * sizeof *made.sigma);
    if (!made.sigma) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the noise levels of %d steps", steps);
        goto done;
    }
    int count = schedule->fill(&ask, made.sigma);
    if (count >= 0)
        made.sigma[count++] = 0;
    else
        count = -1 - count;
    RF_TRY(finish(schedule, count, options->discard_penultimate, &made, err));
    *out = made;
    made.sigma = NULL;
done:
    free(made.sigma);
    return st;
}
