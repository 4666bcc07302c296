/* How fast samplers converge where the answer is known, and which are the same at eta 0. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/sample/walk.h"

enum { MOST = 256 };

/* One Gaussian: the probability flow is x(sigma) = m + (x - m) hypot(std, sigma) / hypot(std, ..),
 * a curve in sigma and in ln sigma. */
static const walk_data GAUSS = {
    .centers = 1, .center = {{0.7, -0.7, 0.1}}, .weight = {1}, .uncond = {1}, .std = 0.5};

/* n levels, even in ln sigma, from `high` to `low`, without the step to 0, which is always crude.
 */
static rf_sigmas even(double *sigma, int n, double high, double low)
{
    for (int i = 0; i <= n; i++) sigma[i] = (float)(high * pow(low / high, (double)i / n));
    return (rf_sigmas){.sigma = sigma, .steps = n};
}

static double gauss_error(const rf_calls *calls, double high, double low)
{
    double   want[WALK_ELEMS];
    walk_run run = {.data = &GAUSS, .path = {.seed = 5}};
    cr_assert_eq(rf_noise_source_find(&run.path.source, "NV", NULL), RF_OK);
    walk_start(&run, calls->start);
    for (int e = 0; e < WALK_ELEMS; e++) {
        const double m = GAUSS.center[0][e], x = run.slot[RF_SOURCE_X][e];
        want[e] = m + (x - m) * hypot(GAUSS.std, low) / hypot(GAUSS.std, high);
    }
    walk_calls(&run, calls);
    return walk_distance(run.slot[RF_SOURCE_X], want);
}

/* How much closer to the answer more steps come, as a power of how many more they are. */
static double order_of(const char *name, const rf_sigma_table *table, int few, int many)
{
    const int n[] = {few, many};
    double    error[2];
    for (int k = 0; k < 2; k++) {
        double             room[MOST + 1];
        const double       low = strcmp(name, "DPM fast") ? 0.5 : table->sigma[0];
        const rf_sigmas    sigmas = even(room, n[k], 10, low);
        rf_sampler_request r = walk_request(name, table, &sigmas);
        r.settings.eta = 0;
        rf_calls calls = walk_plan(&r);
        error[k] = gauss_error(&calls, room[0], low);
        rf_calls_free(&calls);
    }
    return log(error[0] / error[1]) / log((double)many / few);
}

/* Multistep samplers begin with a step of order 1, which keeps them at 2.  DPM fast of 3m + 2 calls
 * ends with a step of order 2, which keeps it at 3.  3M SDE: below. */
Test(a1111_5_5, orders_of_convergence, .timeout = 20)
{
    static const struct {
        const char *name;
        int         few, many;
        double      least, most;
    } rows[] = {{"Euler", 64, 128, 0.9, 1.1},       {"Euler a", 64, 128, 0.9, 1.1},
                {"Heun", 32, 64, 1.9, 2.2},         {"DPM2", 32, 64, 1.9, 2.2},
                {"DPM2 a", 32, 64, 1.9, 2.2},       {"DPM++ 2S a", 32, 64, 1.9, 2.2},
                {"DPM++ 2M", 32, 64, 1.9, 2.3},     {"DPM++ SDE", 32, 64, 1.9, 2.2},
                {"DPM++ 2M SDE", 32, 64, 1.9, 2.3}, {"DPM++ 2M SDE Heun", 32, 64, 1.9, 2.3},
                {"Restart", 9, 18, 1.7, 2.4},       {"DPM fast", 20, 41, 2.6, 3.6},
                {"DPM fast", 41, 83, 2.6, 3.6}};
    static rf_sigma_table table;
    rf_sigma_table_init(&table);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double order = order_of(rows[i].name, &table, rows[i].few, rows[i].many);
        cr_expect(order > rows[i].least && order < rows[i].most, "%s: order %.2f", rows[i].name,
                  order);
    }
}

/* With exact x0 behind it instead of a crude beginning, 3M is of order 3 in the rest of the way. */
Test(a1111_5_5, third_order_with_history, .timeout = 20)
{
    static rf_sigma_table table;
    double                error[2];
    rf_sigma_table_init(&table);
    for (int k = 0; k < 2; k++) {
        double             room[MOST + 1];
        const rf_sigmas    sigmas = even(room, 16 << k, 4, 0.3);
        rf_sampler_request r = walk_request("DPM++ 3M SDE", &table, &sigmas);
        r.settings.eta = 0;
        r.first = 4; /* levels behind it are the grid's */
        r.history_count = 2;
        r.history[0] = room[3], r.history[1] = room[2];

        walk_run run = {.data = &GAUSS, .path = {.seed = 5}};
        cr_assert_eq(rf_noise_source_find(&run.path.source, "NV", NULL), RF_OK);
        walk_start(&run, 1);
        double want[WALK_ELEMS];
        for (int e = 0; e < WALK_ELEMS; e++) {
            const double m = GAUSS.center[0][e], z = run.slot[RF_SOURCE_X][e], s = GAUSS.std;
            run.slot[RF_SOURCE_X][e] = (float)(m + z * hypot(s, room[4]));
            run.slot[RF_SOURCE_H1][e] = (float)(m + z * s * s / hypot(s, room[3]));
            run.slot[RF_SOURCE_H2][e] = (float)(m + z * s * s / hypot(s, room[2]));
            want[e] = m + z * hypot(s, room[16 << k]);
        }
        rf_calls calls = walk_plan(&r);
        walk_calls(&run, &calls);
        error[k] = walk_distance(run.slot[RF_SOURCE_X], want);
        rf_calls_free(&calls);
    }
    cr_assert(error[0] / error[1] > 6 && error[0] / error[1] < 12, "%g then %g", error[0],
              error[1]);
}

/* Largest difference of two plans' coefficients, call by call. */
static double difference(const rf_calls *a, const rf_calls *b)
{
    double most = 0;
    cr_assert_eq(a->count, b->count);
    for (int k = 0; k < a->count; k++) {
        most = fmax(most, fabs(a->call[k].sigma - b->call[k].sigma) / a->call[k].sigma);
        for (int i = 0; i < RF_SOURCES; i++) {
            most = fmax(most, fabs((double)a->call[k].next[i] - b->call[k].next[i]));
            most = fmax(most, fabs((double)a->call[k].anchor[i] - b->call[k].anchor[i]));
        }
    }
    return most;
}

/* Without fresh noise the ancestral and the SDE samplers are the plain ones. */
Test(a1111_5_5, eta_zero_is_the_plain_sampler, .timeout = 20)
{
    static const struct {
        const char *a, *b;
        double      bound;
    } rows[] = {{"Euler a", "Euler", 0},
                {"DPM2 a", "DPM2", 0},
                {"DPM++ 2M SDE", "DPM++ 2M", 1e-6},
                {"DPM++ SDE", "DPM++ 2S a", 1e-6}, /* its levels go through f32 */
                {"Restart", "Heun", 0}};
    static rf_sigma_table table;
    rf_sigma_table_init(&table);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int n = 1; n < 20; n++) {
            double             room[MOST + 1];
            const rf_sigmas    sigmas = even(room, n, 14.6, n % 2 ? 0.03 : 0.4);
            rf_sampler_request a = walk_request(rows[i].a, &table, &sigmas);
            rf_sampler_request b = walk_request(rows[i].b, &table, &sigmas);
            if (n % 3 == 0) room[n] = 0;
            a.settings.eta = b.settings.eta = 0;
            rf_calls p = walk_plan(&a), q = walk_plan(&b);
            cr_assert_leq(difference(&p, &q), rows[i].bound, "%s: %g", rows[i].a,
                          difference(&p, &q));
            rf_calls_free(&p);
            rf_calls_free(&q);
        }
}

/* In sigma space DDIM is Euler a on the table's levels, noise and all, but for the end's scale. */
Test(a1111_5_5, ddim_is_euler_a_in_sigma_space, .timeout = 20)
{
    static rf_sigma_table table;
    const double          etas[] = {0, 0.4, 1};
    rf_sigma_table_init(&table);
    for (int i = 0; i < 3; i++) {
        double             room[MOST + 1];
        const int          n = 20, stride = 50;
        rf_sigmas          sigmas = {.sigma = room, .steps = n};
        rf_sampler_request r = walk_request("DDIM", &table, &sigmas);
        r.settings.eta = etas[i];
        rf_calls ddim = walk_plan(&r);
        for (int j = 0; j < n; j++) room[j] = table.sigma[(n - 1 - j) * stride + 1];
        sigmas.steps = n - 1;
        r = walk_request("Euler a", &table, &sigmas);
        r.settings.eta = etas[i];
        rf_calls euler = walk_plan(&r);
        for (int s = 0; s < RF_SOURCES; s++)
            ddim.call[n - 2].next[s] *= (float)hypot(1, room[n - 1]);
        cr_assert_leq(difference(&ddim, &euler), 1e-6);
        cr_assert_leq(fabs(ddim.start - hypot(1, room[0])), 1e-12);
        cr_assert_eq(ddim.next_draw, euler.next_draw);
        rf_calls_free(&ddim);
        rf_calls_free(&euler);
    }
}

/* One value as data: every sampler that goes to 0 ends on it, however many steps it takes. */
Test(sampler, a_single_answer_is_reached, .timeout = 30)
{
    static const char *const names[] = {
        "DPM++ 2M",   "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
        "DPM++ 2S a", "Euler a",   "Euler",        "DPM++ 3M SDE",
        "Heun",       "DPM2",      "DPM2 a",       "Restart",
        "LCM",        "LMS"};
    static rf_sigma_table table;
    const walk_data       one = {.centers = 1, .center = {{0.7}}, .weight = {1}, .uncond = {1}};
    rf_sigma_table_init(&table);
    for (size_t s = 0; s < sizeof names / sizeof *names; s++)
        for (int n = 1; n <= 40; n++) {
            double             room[MOST + 1];
            const rf_sigmas    sigmas = even(room, n, 14.6, 0.03);
            rf_sampler_request r = walk_request(names[s], &table, &sigmas);
            walk_run           run = {.data = &one, .path = {.seed = 5, .t0 = 0.03, .t1 = 14.6}};
            cr_assert_eq(rf_noise_source_find(&run.path.source, "NV", NULL), RF_OK);
            room[n] = 0;
            rf_calls calls = walk_plan(&r);
            walk_start(&run, calls.start);
            walk_calls(&run, &calls);
            for (int e = 0; e < WALK_ELEMS; e++)
                cr_assert_leq(fabs(run.slot[RF_SOURCE_X][e] - one.center[0][e]), 1e-4,
                              "%s, %d steps: %g", names[s], n, (double)run.slot[RF_SOURCE_X][e]);
            rf_calls_free(&calls);
        }
}
