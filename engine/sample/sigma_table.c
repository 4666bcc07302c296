/* The table is computed, not stored: a thousand numbers nobody can check against five lines that
 * anybody can. */
#include <math.h>

#include "engine/sample/sigma_grid.h"
#include "kernels/half.h"

/* a[i]: alphas_cumprod of SDXL. */
static void fill_alphas(double *a)
{
    const double first = sqrt(0.00085), last = sqrt(0.012); /* sd_xl_base.yaml */
    const double step = (last - first) / (RF_TRAIN_STEPS - 1);
    double       product = 1;
    for (int i = 0; i < RF_TRAIN_STEPS; i++) {
        /* torch.linspace counts from the nearer end */
        const double root =
            i < RF_TRAIN_STEPS / 2 ? first + step * i : last - step * (RF_TRAIN_STEPS - 1 - i);
        product *= 1 - root * root;
        a[i] = product;
    }
}

static void sdxl(rf_sigma_table *table)
{
    double alpha[RF_TRAIN_STEPS];
    fill_alphas(alpha);
    for (int i = 0; i < RF_TRAIN_STEPS; i++) {
        const float a = (float)alpha[i];
        table->sigma[i] = sqrtf((1.0f - a) / a);
    }
}

static void zero_terminal_snr(rf_sigma_table *table)
{
    const double last_alpha = 4.8973451890853435e-08;
    double       alpha[RF_TRAIN_STEPS];
    fill_alphas(alpha);
    const double first = sqrt(alpha[0]), last = sqrt(alpha[RF_TRAIN_STEPS - 1]);
    for (int i = 0; i < RF_TRAIN_STEPS; i++) {
        const double root = (sqrt(alpha[i]) - last) * (first / (first - last));
        const double a = i < RF_TRAIN_STEPS - 1 ? root * root : last_alpha;
        table->sigma[i] = (float)sqrt((1 - a) / a);
    }
}

static void edm(rf_sigma_table *table, double sigma_min, double sigma_max)
{
    const double low = log(sigma_min), high = log(sigma_max);
    for (int i = 0; i < RF_TRAIN_STEPS; i++)
        table->sigma[i] = (float)exp(low + (high - low) * i / (RF_TRAIN_STEPS - 1));
}

void rf_sigma_table_make(rf_sigma_table *table, const rf_parameterisation *of)
{
    table->continuous = of->range == RF_RANGE_EDM;
    switch (of->range) {
    case RF_RANGE_SDXL: sdxl(table); break;
    case RF_RANGE_ZTSNR: zero_terminal_snr(table); break;
    case RF_RANGE_EDM: edm(table, of->sigma_min, of->sigma_max); break;
    }
    for (int i = 0; i < RF_TRAIN_STEPS; i++) table->log_sigma[i] = log(table->sigma[i]);
}

void rf_sigma_table_init(rf_sigma_table *table)
{
    rf_sigma_table_make(table, &(rf_parameterisation){.range = RF_RANGE_SDXL});
}

int rf_sigma_tables_equal(const rf_sigma_table *a, const rf_sigma_table *b)
{
    int same = a->continuous == b->continuous;
    for (int i = 0; same && i < RF_TRAIN_STEPS; i++) same = a->sigma[i] == b->sigma[i];
    return same;
}

double rf_grid_sigma(const rf_sigma_grid *grid, int entry)
{
    return grid->table->sigma[grid->first + entry * grid->stride];
}

static double log_sigma(const rf_sigma_grid *grid, int entry)
{
    return grid->table->log_sigma[grid->first + entry * grid->stride];
}

double rf_grid_t_from_sigma(const rf_sigma_grid *grid, double sigma)
{
    const double x = log(sigma);
    int          low = 0, high = grid->count - 1;
    while (high - low > 1) { /* log_sigma(low) <= x < log_sigma(high), or x is outside */
        const int middle = (low + high) / 2;
        if (log_sigma(grid, middle) <= x)
            low = middle;
        else
            high = middle;
    }
    const double a = log_sigma(grid, low), b = log_sigma(grid, high);
    return low + fmin(fmax((x - a) / (b - a), 0), 1);
}

double rf_grid_sigma_from_t(const rf_sigma_grid *grid, double t)
{
    const double inside = fmin(fmax(t, 0), grid->count - 1);
    const int    low = (int)inside;
    const int    high = low < grid->count - 1 ? low + 1 : low;
    const double w = inside - low;
    return exp((1 - w) * log_sigma(grid, low) + w * log_sigma(grid, high));
}

double rf_t_from_sigma(const rf_sigma_table *table, double sigma)
{
    return rf_grid_t_from_sigma(&(rf_sigma_grid){table, 0, 1, RF_TRAIN_STEPS}, sigma);
}

double rf_sigma_from_t(const rf_sigma_table *table, double t)
{
    return rf_grid_sigma_from_t(&(rf_sigma_grid){table, 0, 1, RF_TRAIN_STEPS}, t);
}

int rf_nearest_entry(const rf_sigma_table *table, double sigma)
{
    int low = 0, high = RF_TRAIN_STEPS - 1;
    while (high - low > 1) { /* the nearest is low, high or between */
        const int middle = (low + high) / 2;
        if (table->sigma[middle] <= sigma)
            low = middle;
        else
            high = middle;
    }
    return sigma - table->sigma[low] <= table->sigma[high] - sigma ? low : high;
}

float rf_timestep_for_sigma(const rf_sigma_table *table, double sigma)
{
    if (table->continuous) return (float)(log(sigma) / 4);
    return rf_f32_from_f16(rf_f16_from_f32((float)rf_t_from_sigma(table, sigma)));
}
