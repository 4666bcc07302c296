/* The table of samplers, their names, the requests they refuse, and what must hold for every plan.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "kernels/lincomb/lincomb.h"
#include "tests/sample/walk.h"

enum { MOST = 64 };

/* The n-th allocation of a test fails, if n is positive. */
static int fail_at;

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_realloc(void *old, size_t bytes)
{
    return fail_at > 0 && --fail_at == 0 ? NULL : __real_realloc(old, bytes);
}

static rf_sigma_table TABLE;

static void setup(void)
{
    rf_sigma_table_init(&TABLE);
}

TestSuite(sampler, .init = setup);
TestSuite(a1111_1_1, .init = setup);
TestSuite(a1111_4_6, .init = setup);
TestSuite(a1111_4_7, .init = setup);
TestSuite(a1111_5_1, .init = setup);
TestSuite(a1111_5_5, .init = setup);

/* Even in ln sigma, from the table's top to its bottom, then 0. */
static rf_sigmas even(double *sigma, int steps)
{
    const double high = TABLE.sigma[RF_TRAIN_STEPS - 1], low = TABLE.sigma[0];
    for (int i = 0; i < steps; i++)
        sigma[i] = (float)(high * pow(low / high, steps > 1 ? (double)i / (steps - 1) : 0));
    sigma[steps] = 0;
    return (rf_sigmas){.sigma = sigma, .steps = steps};
}

static const char *const PLANNED[] = {
    "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
    "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
    "LMS",        "Heun",         "DPM2",         "DPM2 a",
    "DPM fast",   "Restart",      "DDIM",         "DDIM CFG++",
    "PLMS",       "UniPC",        "LCM"};
enum { SAMPLERS = sizeof PLANNED / sizeof *PLANNED };

static rf_calls plan(const char *name, int steps, double *room)
{
    const rf_sigmas          sigmas = even(room, steps);
    const rf_sampler_request r = walk_request(name, &TABLE, &sigmas);
    return walk_plan(&r);
}

Test(a1111_5_1, names_aliases_schedules_flags, .timeout = 10)
{
    enum {
        SECOND = RF_SAMPLER_SECOND_ORDER,
        BROWNIAN = RF_SAMPLER_BROWNIAN,
        ENSD = RF_SAMPLER_ENSD,
        DISCARD = RF_SAMPLER_DISCARD,
        WALK = RF_SAMPLER_TIMESTEPS,
        ALL = SECOND | BROWNIAN | ENSD | DISCARD | WALK
    };
    static const struct {
        const char *name, *alias, *automatic;
        unsigned    flags;
    } rows[] = {
        {"DPM++ 2M", "k_dpmpp_2m", "Karras", 0},
        {"DPM++ SDE", "k_dpmpp_sde", "Karras", SECOND | BROWNIAN},
        {"DPM++ 2M SDE", "k_dpmpp_2m_sde", "Exponential", BROWNIAN},
        {"DPM++ 2M SDE Heun", "k_dpmpp_2m_sde_heun", "Exponential", BROWNIAN},
        {"DPM++ 2S a", "k_dpmpp_2s_a", "Karras", SECOND | ENSD},
        {"DPM++ 3M SDE", "k_dpmpp_3m_sde", "Exponential", BROWNIAN | DISCARD},
        {"Euler a", "k_euler_a", "Uniform", ENSD},
        {"Euler a", "k_euler_ancestral", "Uniform", ENSD},
        {"Euler", "k_euler", "Uniform", 0},
        {"LMS", "k_lms", "Uniform", 0},
        {"Heun", "k_heun", "Uniform", SECOND},
        {"DPM2", "k_dpm_2", "Karras", SECOND | DISCARD},
        {"DPM2 a", "k_dpm_2_a", "Karras", SECOND | DISCARD | ENSD},
        {"DPM fast", "k_dpm_fast", "Uniform", ENSD},
        {"DPM adaptive", "k_dpm_ad", "Uniform", ENSD},
        {"Restart", "restart", "Karras", SECOND},
        {"DDIM", "ddim", "Uniform", WALK},
        {"DDIM CFG++", "ddim_cfgpp", "Uniform", WALK},
        {"PLMS", "plms", "Uniform", WALK},
        {"UniPC", "unipc", "Uniform", WALK},
        {"LCM", "k_lcm", "Uniform", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_sampler *s = walk_sampler(rows[i].name);
        cr_assert_str_eq(s->id.name, rows[i].name);
        cr_assert_eq(s, walk_sampler(rows[i].alias));
        cr_assert_str_eq(s->automatic, rows[i].automatic);
        cr_assert_eq(s->flags & ALL, rows[i].flags, "%s: %x", s->id.name, s->flags);
        cr_assert_eq(!!(s->flags & RF_SAMPLER_LCM), !strcmp(s->id.name, "LCM"));
        cr_assert_eq(!!(s->flags & RF_SAMPLER_ADAPTIVE), !strcmp(s->id.name, "DPM adaptive"));
    }
}

Test(a1111_5_1, old_combined_names_are_split, .timeout = 10)
{
    static const char *const rows[][3] = {
        /* given, sampler, schedule */
        {"DPM++ 2M SDE Karras", "DPM++ 2M SDE", "Karras"},
        {"DPM++ 2M SDE Heun Karras", "DPM++ 2M SDE Heun", "Karras"},
        {"DPM++ 2M SDE Heun Exponential", "DPM++ 2M SDE Heun", "Automatic"},
        {"DPM++ 2M SDE Exponential", "DPM++ 2M SDE", "Automatic"},
        {"DPM++ 2M Karras", "DPM++ 2M", "Automatic"},
        {"LMS Karras", "LMS", "Karras"},
        {"DPM2 a karras", "DPM2 a", "Automatic"},
        {"euler A SGM Uniform", "Euler a", "SGM Uniform"},
        {"k_euler sgm_uniform", "Euler", "SGM Uniform"},
        {"Euler Uniform", "Euler", "Automatic"},
        {"Euler Automatic", "Euler", "Automatic"},
        {"DPM++ 2M SDE Heun", "DPM++ 2M SDE Heun", NULL},
        {"DPM fast", "DPM fast", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_sampler *s = NULL;
        const char       *schedule = "?";
        rf_error          err = {0};
        cr_assert_eq(rf_sampler_find(&s, &schedule, rows[i][0], &err), RF_OK, "%s", err.message);
        cr_assert_str_eq(s->id.name, rows[i][1], "%s", rows[i][0]);
        if (rows[i][2])
            cr_assert_str_eq(schedule, rows[i][2], "%s: %s", rows[i][0], schedule);
        else
            cr_assert_null(schedule);
    }
    const rf_sampler *s = NULL;
    const char       *schedule = "?";
    cr_assert_eq(rf_sampler_find(&s, NULL, "DPM++ 2M Karras", NULL), RF_E_ARG);
    const char *const unknown[] = {"Karras",           " Karras",     "DPM++ 2M  Karras",
                                   "DPM++ 2M Karras ", "Eule Karras", ""};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        rf_error err = {0};
        cr_assert_eq(rf_sampler_find(&s, &schedule, unknown[i], &err), RF_E_ARG, "%s", unknown[i]);
        cr_assert_null(s);
        cr_assert_null(schedule);
        cr_assert_not_null(strstr(err.message, "DPM++ 2M, "));
    }
}

Test(a1111_5_5, etas_and_guidance_by_default, .timeout = 10)
{
    cr_assert_eq(walk_sampler("Euler a")->eta, 1);
    cr_assert_eq(walk_sampler("DPM++ 2M SDE")->eta, 1);
    cr_assert_eq(walk_sampler("DPM adaptive")->eta, 1);
    cr_assert_eq(walk_sampler("DDIM")->eta, 0);
    cr_assert_eq(walk_sampler("DDIM CFG++")->eta, 0);
    cr_assert_eq(walk_sampler("DDIM CFG++")->cfg_divisor, 12.5);
    cr_assert_eq(walk_sampler("DDIM")->cfg_divisor, 1);
    const rf_sampler_settings s = rf_sampler_settings_default();
    cr_assert(isnan(s.eta) && s.s_churn == 0 && s.s_tmin == 0 && s.s_tmax == 0 && s.s_noise == 1);
}

/* Calls of a run of n steps, and the steps it reports. */
Test(a1111_5_5, number_of_calls, .timeout = 30)
{
    for (int n = 1; n <= MOST; n++) {
        double    room[MOST + 1];
        const int entries = (1000 + 1000 / n - 1) / (1000 / n); /* of the timestep list */
        for (int s = 0; s < SAMPLERS; s++) {
            const rf_sampler *sampler = walk_sampler(PLANNED[s]);
            const int         walk = sampler->flags & RF_SAMPLER_TIMESTEPS;
            int               steps = n, calls = n;
            if (sampler->flags & RF_SAMPLER_SECOND_ORDER) calls = 2 * n - 1; /* Restart too */
            if (walk) steps = calls = entries - 1;
            if (!strcmp(PLANNED[s], "UniPC")) steps = calls = entries;
            if (!strcmp(PLANNED[s], "PLMS")) calls = entries;
            if (!strcmp(PLANNED[s], "DPM fast")) steps = n / 3 + 1;
            if (steps == 0) continue; /* one step of DDIM: refused, see below */
            rf_calls plan_ = plan(PLANNED[s], n, room);
            cr_assert_eq(plan_.count, calls, "%s, %d: %d", PLANNED[s], n, plan_.count);
            cr_assert_eq(plan_.steps, steps, "%s, %d: %d", PLANNED[s], n, plan_.steps);
            rf_calls_free(&plan_);
        }
    }
    double   room[MOST + 1];
    rf_calls twenty = plan("DDIM", 20, room), thirty = plan("PLMS", 30, room);
    cr_assert_eq(twenty.count, 19);
    cr_assert_eq(twenty.call[0].timestep, 951);
    cr_assert_eq(twenty.call[18].timestep, 51); /* index 1 is never evaluated */
    cr_assert_eq(thirty.count, 31);
    rf_calls_free(&twenty);
    rf_calls_free(&thirty);
}

/* A step makes two calls where the flag says so, and one else; DPM fast up to three, and PLMS two
 * at the beginning. */
Test(a1111_1_1, calls_of_a_step, .timeout = 10)
{
    for (int s = 0; s < SAMPLERS; s++) {
        double   room[MOST + 1];
        rf_calls p = plan(PLANNED[s], 25, room);
        int      calls[MOST] = {0}, most = 0;
        for (int k = 0; k < p.count; k++) calls[p.call[k].step]++;
        for (int i = 0; i + 1 < p.steps; i++) {
            const int two = (walk_sampler(PLANNED[s])->flags & RF_SAMPLER_SECOND_ORDER) ||
                            (i == 0 && !strcmp(PLANNED[s], "PLMS"));
            const int three = !strcmp(PLANNED[s], "DPM fast");
            cr_assert_eq(calls[i], three ? 3 : two ? 2 : 1, "%s, step %d", PLANNED[s], i);
            most = calls[i] > most ? calls[i] : most;
        }
        cr_assert_leq(calls[p.steps - 1], most); /* the step to 0 has one */
        rf_calls_free(&p);
    }
}

/* As many steps as the table has indices, and what does not divide them. */
Test(a1111_5_5, timesteps_of_long_walks, .timeout = 20)
{
    const char *const names[] = {"DDIM", "DDIM CFG++", "PLMS", "UniPC"};
    static const struct {
        int steps, entries, first; /* the highest index */
    } rows[] = {{3, 4, 999},      {7, 8, 995},      {30, 31, 991},
                {501, 1000, 999}, {999, 1000, 999}, {1000, 1000, 999}};
    for (int s = 0; s < 4; s++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const rf_sigmas          sigmas = {.sigma = NULL, .steps = rows[i].steps};
            const rf_sampler_request r = walk_request(names[s], &TABLE, &sigmas);
            rf_calls                 p = walk_plan(&r);
            cr_assert_eq(p.count, rows[i].entries - (s < 2));
            cr_assert_eq(p.call[0].timestep, s == 3 ? 999 : rows[i].first);
            for (int k = 1; k < p.count;
                 k++) /* 999 + 1 is clipped; PLMS asks twice at the second */
                cr_assert(p.call[k].timestep < p.call[k - 1].timestep || k < 3);
            rf_calls_free(&p);
        }
}

/* Steps count up by one, their last call is marked, and only calls with noise ask for it. */
Test(sampler, plans_are_well_formed, .timeout = 60)
{
    for (int n = 2; n <= MOST; n++)
        for (int s = 0; s < SAMPLERS; s++) {
            double   room[MOST + 1];
            rf_calls p = plan(PLANNED[s], n, room);
            cr_assert_eq(p.call[0].step, 0);
            cr_assert_eq(p.call[p.count - 1].step, p.steps - 1);
            for (int k = 0; k < p.count; k++) {
                const rf_call *c = &p.call[k];
                cr_assert_eq(c->last, k + 1 == p.count || p.call[k + 1].step == c->step + 1);
                if (!c->last) cr_assert_eq(p.call[k + 1].step, c->step);
                cr_assert(c->sigma > 0 && c->sigma < 15);
                cr_assert_eq(c->noise.kind != RF_NOISE_NONE, c->next[RF_SOURCE_NOISE] != 0);
                cr_assert_eq(c->before_noise.kind != RF_NOISE_NONE, c->before != 0);
                if (c->noise.kind == RF_NOISE_DRAW) cr_assert_lt(c->noise.draw, p.next_draw);
                if (!(walk_sampler(PLANNED[s])->flags & RF_SAMPLER_UNCOND))
                    cr_assert_eq(c->next[RF_SOURCE_U], 0);
                int terms = 0;
                for (int i = 0; i < RF_SOURCES; i++) terms += c->next[i] != 0;
                cr_assert_leq(terms, RF_LINCOMB_TERMS);
                double sum = 0; /* all at one value stays there, but for noise and kept slopes */
                for (int i = 0; i < RF_SOURCE_NOISE; i++) sum += (double)c->next[i];
                if (walk_sampler(PLANNED[s])->flags & RF_SAMPLER_MULTISTEP_X0)
                    cr_assert_leq(fabs(sum - 1), 1e-5, "%s, %d: %g", PLANNED[s], n, sum);
            }
            rf_calls_free(&p);
        }
}

/* Which draws a sampler adds at which call; draw 0 is the initial noise. */
Test(a1111_4_6, order_of_draws, .timeout = 10)
{
    const char *const once[] = {"Euler a", "DPM2 a", "DPM++ 2S a", "LCM"};
    for (int e = 0; e < 2; e++)
        for (int s = 0; s < 4; s++) { /* one after each step but the last, used or not */
            double             room[MOST + 1];
            const rf_sigmas    sigmas = even(room, 12);
            rf_sampler_request r = walk_request(once[s], &TABLE, &sigmas);
            r.settings.eta = e;
            rf_calls p = walk_plan(&r);
            for (int k = 0; k < p.count; k++) {
                const rf_call *c = &p.call[k];
                const int      used = c->last && c->step < 11 && (e || s == 3);
                cr_assert_eq(c->noise.kind, used ? RF_NOISE_DRAW : RF_NOISE_NONE);
                if (used) cr_assert_eq(c->noise.draw, (uint32_t)c->step + 1);
            }
            cr_assert_eq(p.next_draw, 12, "%s: %u", once[s], p.next_draw);
            rf_calls_free(&p);
        }
    const char *const every[] = {"Euler", "Heun", "DPM2"};
    for (int s = 0; s < 3; s++) { /* one every step, churn or not, ahead of its first call */
        double             room[MOST + 1];
        const rf_sigmas    sigmas = even(room, 12);
        rf_sampler_request r = walk_request(every[s], &TABLE, &sigmas);
        r.next_draw = 5;
        rf_calls p = walk_plan(&r);
        cr_assert_eq(p.next_draw, 17);
        for (int k = 0; k < p.count; k++) cr_assert_eq(p.call[k].before, 0);
        rf_calls_free(&p);
        r.settings.s_churn = 3;
        p = walk_plan(&r);
        for (int k = 0; k < p.count; k++)
            if (k == 0 || p.call[k - 1].last) {
                cr_assert_eq(p.call[k].before_noise.kind, RF_NOISE_DRAW);
                cr_assert_eq(p.call[k].before_noise.draw, (uint32_t)p.call[k].step + 5);
            } else {
                cr_assert_eq(p.call[k].before, 0);
            }
        rf_calls_free(&p);
    }
}

Test(a1111_4_6, draws_of_walks_restarts_and_others, .timeout = 10)
{
    static const struct {
        const char *sampler;
        int         steps;
        unsigned    draws;
    } rows[] = {{"DDIM", 20, 19},     {"DDIM CFG++", 20, 19}, {"PLMS", 20, 0},
                {"UniPC", 20, 0},     {"LMS", 20, 0},         {"DPM++ 2M", 20, 0},
                {"DPM++ SDE", 20, 0}, {"DPM fast", 20, 7},    {"Restart", 19, 0},
                {"Restart", 20, 1},   {"Restart", 36, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double   room[MOST + 1];
        rf_calls p = plan(rows[i].sampler, rows[i].steps, room);
        cr_assert_eq(p.next_draw, 1 + rows[i].draws, "%s: %u", rows[i].sampler, p.next_draw);
        rf_calls_free(&p);
    }
}

/* Churn only between s_tmin and s_tmax, at most to twice the variance. */
Test(a1111_5_5, churn, .timeout = 10)
{
    double             room[MOST + 1];
    const rf_sigmas    sigmas = even(room, 10);
    rf_sampler_request r = walk_request("Euler", &TABLE, &sigmas);
    r.settings = (rf_sampler_settings){NAN, 2, room[6], room[3], 1.5};
    rf_calls p = walk_plan(&r);
    for (int k = 0; k < 10; k++) {
        const rf_call *c = &p.call[k];
        const double   raised = k >= 3 && k <= 6 ? 1.2 : 1; /* 1 + 2 / 10 */
        cr_assert_leq(fabs(c->sigma - raised * room[k]), 1e-12);
        cr_assert_leq(fabs(c->before - 1.5 * room[k] * sqrt(raised * raised - 1)), 1e-6 * room[k]);
    }
    rf_calls_free(&p);
    r.settings = (rf_sampler_settings){.eta = NAN, .s_churn = 1e6, .s_noise = 1};
    p = walk_plan(&r);
    for (int k = 0; k < 10; k++)
        cr_assert_leq(fabs(p.call[k].sigma - sqrt(2) * room[k]), 1e-12 * room[k]);
    rf_calls_free(&p);
}

/* Of data 0, x is noise alone: what is left of the old and what is added must make up the next
 * level, variances adding. */
Test(sampler, fresh_noise_fills_up_the_level, .timeout = 20)
{
    const char *const names[] = {"Euler a",      "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
                                 "DPM++ 3M SDE", "LCM",          "DDIM"};
    const double      etas[] = {0, 0.3, 1};
    for (int s = 0; s < 6; s++)
        for (int e = 0; e < 3; e++) {
            double             room[MOST + 1];
            const rf_sigmas    sigmas = even(room, 30);
            rf_sampler_request r = walk_request(names[s], &TABLE, &sigmas);
            r.settings.eta = etas[e];
            rf_calls p = walk_plan(&r);
            for (int k = 0; k + 1 < p.count; k++) {
                const rf_call *c = &p.call[k];
                const double   kept = c->sigma * (double)c->next[RF_SOURCE_X];
                cr_assert_leq(fabs(hypot(kept, c->next[RF_SOURCE_NOISE]) - p.call[k + 1].sigma),
                              3e-5 * p.call[k + 1].sigma, "%s, call %d", names[s], k);
            }
            rf_calls_free(&p);
        }
}

Test(a1111_4_7, times_go_through_f32_logarithms, .timeout = 10)
{
    double   room[MOST + 1];
    rf_calls p = plan("DPM++ SDE", 20, room);
    int      off = 0;
    for (int k = 0; k + 1 < p.count; k += 2) {
        const rf_noise_request half = p.call[k].noise, full = p.call[k + 1].noise;
        cr_assert_eq(half.kind, RF_NOISE_BROWNIAN);
        cr_assert_eq(half.from, full.from);
        cr_assert_eq(half.to, p.call[k + 1].sigma);
        cr_assert_eq(half.from, (double)(float)half.from);
        cr_assert_leq(fabs(half.from - room[k / 2]), 2.4e-7 * room[k / 2]);
        cr_assert_leq(fabs(half.to - sqrt(room[k / 2] * room[k / 2 + 1])), 1e-6 * half.to);
        off += half.from != room[k / 2];
    }
    cr_assert_gt(off, 0); /* else this shows nothing */
    rf_calls_free(&p);
    p = plan("DPM++ 2M SDE", 20, room);
    for (int k = 0; k + 1 < p.count; k++) {
        cr_assert_eq(p.call[k].noise.from, room[k]);
        cr_assert_eq(p.call[k].noise.to, room[k + 1]);
    }
    rf_calls_free(&p);
}

Test(a1111_5_1, lcm_asks_at_fifty_indices, .timeout = 10)
{
    for (int n = 1; n <= MOST; n++) {
        double   room[MOST + 1];
        rf_calls p = plan("LCM", n, room);
        for (int k = 0; k < n; k++) {
            const double t = p.call[k].timestep;
            cr_assert(t >= 19 && t <= 999 && fmod(t - 19, 20) == 0);
            for (int other = 19; other < 1000; other += 20)
                cr_assert_leq(fabs(log(room[k]) - TABLE.log_sigma[(int)t]),
                              fabs(log(room[k]) - TABLE.log_sigma[other]) + 2e-6);
        }
        rf_calls_free(&p);
    }
}

static rf_sampler_request good(const rf_sigmas *sigmas)
{
    return walk_request("Euler a", &TABLE, sigmas);
}

static void refused(const rf_sampler_request *r, const char *because)
{
    rf_calls calls = {.count = 77};
    rf_error err = {0};
    cr_assert_eq(rf_sampler_plan(r, &calls, &err), RF_E_ARG, "%s", because);
    cr_assert_not_null(strstr(err.message, because), "\"%s\" has no \"%s\"", err.message, because);
    cr_assert(calls.call == NULL && calls.count == 0);
    rf_calls_free(&calls);
}

Test(sampler, refuses_settings_out_of_range, .timeout = 10)
{
    double          room[MOST + 1];
    const rf_sigmas sigmas = even(room, 10);
    const double    bad[] = {-1, INFINITY, -INFINITY, 1e300, NAN};
    for (int i = 0; i < 5; i++) {
        rf_sampler_request r = good(&sigmas);
#define REFUSED(field) r = good(&sigmas), r.settings.field = bad[i], refused(&r, #field " is ")
        REFUSED(s_churn);
        REFUSED(s_tmin);
        REFUSED(s_tmax);
        REFUSED(s_noise);
        if (i < 4) REFUSED(eta); /* NaN is the sampler's own */
#undef REFUSED
    }
    rf_sampler_request r = good(&sigmas);
    r.settings.s_noise = 3e38;
    refused(&r, "range");
}

Test(sampler, refuses_stretches_that_cannot_be, .timeout = 10)
{
    double             room[MOST + 1];
    rf_sigmas          sigmas = even(room, 10);
    rf_sampler_request r = good(&sigmas);
    r.first = -1, refused(&r, "stretch");
    r.first = 10, refused(&r, "stretch");
    r = good(&sigmas), r.end = 11, refused(&r, "stretch");
    r = good(&sigmas), r.next_draw = 0, refused(&r, "draw 0");
    const char *const whole[] = {"DPM fast", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC"};
    for (int i = 0; i < 6; i++) {
        r = walk_request(whole[i], &TABLE, &sigmas);
        r.first = 1, refused(&r, whole[i]);
        r.first = 0, r.end = 9, refused(&r, whole[i]);
    }
    r = walk_request("DPM adaptive", &TABLE, &sigmas), refused(&r, "DPM adaptive");
    sigmas.steps = 1;
    r = walk_request("DDIM", &TABLE, &sigmas), refused(&r, "2 steps");
    sigmas.steps = 1001;
    r = walk_request("UniPC", &TABLE, &sigmas), refused(&r, "at most 1000");
    sigmas.steps = RF_STEPS_MAX + 1;
    r = good(&sigmas), refused(&r, "steps is 10001");
    sigmas.steps = 0;
    r = good(&sigmas), refused(&r, "steps is 0");
}

Test(sampler, refuses_levels_that_do_not_fall, .timeout = 10)
{
    const double values[] = {NAN, INFINITY, -1, 0, 1e300, 1e-60, 14};
    for (int i = 0; i < 7; i++) {
        double          room[MOST + 1];
        const rf_sigmas sigmas = even(room, 10);
        room[5] = values[i];
        const rf_sampler_request r = good(&sigmas);
        refused(&r, i == 6 ? "must fall" : "noise level 5");
    }
    double          room[MOST + 1];
    const rf_sigmas sigmas = even(room, 10);
    for (int i = 0; i <= 10; i++) room[i] *= 1e-3;
    rf_sampler_request r = walk_request("DPM fast", &TABLE, &sigmas);
    refused(&r, "below");
    r = walk_request("DPM++ 2M", &TABLE, &sigmas);
    r.history_count = 2, r.history[0] = room[0], refused(&r, "history 1");
    r.history[0] = 2, r.history[1] = NAN, refused(&r, "history 2");
    r.history[1] = 1.5, refused(&r, "history 2");
    r.history_count = 4, refused(&r, "history of 4");
    r.history_count = -1, refused(&r, "history of -1");
}

/* Schedules as close as f32 has them, or as far: everything is finite or refused. */
Test(sampler, coefficients_are_finite, .timeout = 60)
{
    const double etas[] = {0, 1e-6, 1, 50, 1e30};
    for (int s = 0; s < SAMPLERS; s++)
        for (int e = 0; e < 5; e++)
            for (int kind = 0; kind < 3; kind++) {
                double    room[MOST + 1];
                rf_sigmas sigmas = even(room, 40);
                for (int i = 0; i < 40 && kind > 0; i++)
                    room[i] = kind == 1 ? 14.0 - i * 0x1p-20 : (float)pow(10, 37 - 2 * i);
                rf_sampler_request r = walk_request(PLANNED[s], &TABLE, &sigmas);
                rf_calls           p = {0};
                r.settings.eta = etas[e];
                if (rf_sampler_plan(&r, &p, NULL) != RF_OK) {
                    cr_assert_eq(kind, 2, "%s, eta %g", PLANNED[s], etas[e]);
                    continue;
                }
                for (int k = 0; k < p.count; k++)
                    for (int i = 0; i < RF_SOURCES; i++)
                        cr_assert(isfinite(p.call[k].next[i]) && isfinite(p.call[k].memory[i]) &&
                                  isfinite(p.call[k].anchor[i]));
                rf_calls_free(&p);
            }
}

Test(sampler, memory_runs_out, .timeout = 20)
{
    double                   room[MOST + 1];
    const rf_sigmas          sigmas = even(room, MOST);
    const rf_sampler_request r = walk_request("Heun", &TABLE, &sigmas);
    int                      failures = 0;
    for (;; failures++) {
        rf_calls p = {0};
        rf_error err = {0};
        fail_at = failures + 1;
        const rf_status st = rf_sampler_plan(&r, &p, &err);
        if (st == RF_OK) {
            rf_calls_free(&p);
            break;
        }
        cr_assert_eq(st, RF_E_NOMEM);
        cr_assert(p.call == NULL && err.message[0]);
    }
    cr_assert_geq(failures, 2);
}
