/* The schedules are one table of small functions over one noise table; rounding to f32 and the
 * final 0 are added in one place, so that no schedule can forget them. */
#include "engine/sample/schedule.h"

#include <math.h>

#include "kernels/half.h"

void rf_sigma_table_init(rf_sigma_table *table)
{
    const double first = sqrt(0.00085), last = sqrt(0.012); /* sd_xl_base.yaml */
    const double step = (last - first) / (RF_TRAIN_STEPS - 1);
    double       product = 1;
    for (int i = 0; i < RF_TRAIN_STEPS; i++) {
        /* torch.linspace counts from the nearer end */
        const double root =
            i < RF_TRAIN_STEPS / 2 ? first + step * i : last - step * (RF_TRAIN_STEPS - 1 - i);
        product *= 1 - root * root;
        const float a = (float)product;
        const float sigma = sqrtf((1.0f - a) / a);
        table->sigma[i] = sigma;
        table->log_sigma[i] = log(table->sigma[i]);
    }
}

double rf_t_from_sigma(const rf_sigma_table *table, double sigma)
{
    const double x = log(sigma);
    int          low = 0, high = RF_TRAIN_STEPS - 1;
    while (high - low > 1) { /* log_sigma[low] <= x < log_sigma[high], or x is outside */
        const int middle = (low + high) / 2;
        if (table->log_sigma[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    const double a = table->log_sigma[low], b = table->log_sigma[high];
    return low + fmin(fmax((x - a) / (b - a), 0), 1);
}

double rf_sigma_from_t(const rf_sigma_table *table, double t)
{
    const double inside = fmin(fmax(t, 0), RF_TRAIN_STEPS - 1);
    const int    low = (int)inside;
    const int    high = low < RF_TRAIN_STEPS - 1 ? low + 1 : low;
    const double w = inside - low;
    return exp((1 - w) * table->log_sigma[low] + w * table->log_sigma[high]);
}

float rf_timestep_for_sigma(const rf_sigma_table *table, double sigma)
{
    return rf_f32_from_f16(rf_f16_from_f32((float)rf_t_from_sigma(table, sigma)));
}

/* i-th of n values from 0 to 1; a ramp of one value is 0. */
static double ramp(int i, int n)
{
    return n > 1 ? (double)i / (n - 1) : 0;
}

/* Karras et al. 2022, eq. 5, rho = 7. */
static void karras(const rf_sigma_table *table, int steps, double *sigma)
{
    const double rho = 7;
    const double from = pow(table->sigma[RF_TRAIN_STEPS - 1], 1 / rho);
    const double to = pow(table->sigma[0], 1 / rho);
    for (int i = 0; i < steps; i++) sigma[i] = pow(from + ramp(i, steps) * (to - from), rho);
}

/* Equal distances in t (k-diffusion, get_sigmas; A1111's "Normal" is the same list). */
static void uniform(const rf_sigma_table *table, int steps, double *sigma)
{
    for (int i = 0; i < steps; i++)
        sigma[i] = rf_sigma_from_t(table, (RF_TRAIN_STEPS - 1) * (1 - ramp(i, steps)));
}

static const rf_schedule SCHEDULES[] = {
    {.id = {.name = "Automatic"}, .fill = NULL},
    {.id = {.name = "Karras"}, .fill = karras},
    {.id = {.name = "Uniform"}, .fill = uniform},
    {.id = {.name = "Normal"}, .fill = uniform},
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

rf_status rf_schedule_sigmas(const rf_schedule *schedule, const rf_sigma_table *table, int steps,
                             double *sigma, rf_error *err)
{
    if (steps < 1 || steps > RF_STEPS_MAX)
        return rf_fail(err, RF_E_ARG, "steps is %d: it must be 1 to %d", steps, RF_STEPS_MAX);
    schedule->fill(table, steps, sigma);
    for (int i = 0; i < steps; i++) sigma[i] = (float)sigma[i];
    sigma[steps] = 0;
    return RF_OK;
}
