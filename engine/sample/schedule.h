/* Noise levels: the table a model was trained on, and the schedules that pick steps from it.
 *
 * sigma is the standard deviation of the noise in x = x0 + sigma * noise (Karras et al. 2022, with
 * s(t) = 1); t is the (fractional) index of the training step.  Everything is evaluated in f64 from
 * a table rounded to f32, and a schedule's values are rounded to f32 once: A1111 holds both as f32,
 * and evaluates in f32, so its values differ from these by a few units in the last place. */
#ifndef RF_SCHEDULE_H
#define RF_SCHEDULE_H

#include "engine/core/parameterisation.h"
#include "engine/sample/names.h"
#include "kernels/status.h"

enum { RF_TRAIN_STEPS = 1000, RF_LCM_STEPS = 50, RF_STEPS_MAX = 10000 };

/* SDXL's table: betas = linspace(sqrt 0.00085, sqrt 0.012, 1000)^2, alphas_cumprod in f64 then f32,
 * sigma = sqrt((1 - a) / a) in f32 (generative-models, LegacyDDPMDiscretization). */
typedef struct rf_sigma_table {
    double sigma[RF_TRAIN_STEPS]; /* ascending: 0.029167533 .. 14.614642 */
    double log_sigma[RF_TRAIN_STEPS];
    int    continuous; /* the model knows any level, as ln(sigma) / 4; the entries are for those
                          who walk a table */
} rf_sigma_table;

void rf_sigma_table_init(rf_sigma_table *table);

/* The table of a model.  Zero terminal SNR (Lin et al. 2023, algorithm 1): sqrt(a) shifted so that
 * its last value is 0 and scaled so that its first stays; the last a is then 4.8973451890853435e-08
 * (ComfyUI, A1111), which makes the last sigma 4518.76.  EDM: even distances in ln sigma from end
 * to end (ComfyUI, ModelSamplingContinuousEDM). */
void rf_sigma_table_make(rf_sigma_table *table, const rf_parameterisation *of);

/* Whether both have the same levels at the same timesteps. */
int rf_sigma_tables_equal(const rf_sigma_table *a, const rf_sigma_table *b);

/* Piecewise linear in ln sigma, each the inverse of the other, clamped to the table's ends
 * (k-diffusion, DiscreteSchedule).  sigma > 0. */
double rf_t_from_sigma(const rf_sigma_table *table, double sigma);
double rf_sigma_from_t(const rf_sigma_table *table, double t);

/* The nearest entry of the table, by distance in sigma and not in its logarithm: what A1111's
 * refiner and diffusers' denoising_end go by.  sigma >= 0; the lower index wins a tie. */
int rf_nearest_entry(const rf_sigma_table *table, double sigma);

/* The value a UNet is given for `sigma`: t rounded to f16, because A1111 casts it so before the
 * sinusoidal embedding (700.26 becomes 700.5; units of 0.5 from 512 on, 0.25 from 256 on, ...).
 * Where t lies halfway between two f16, rounding errors choose, here and there.  A continuous
 * model's is ln(sigma) / 4, as it is. */
float rf_timestep_for_sigma(const rf_sigma_table *table, double sigma);

/* What is asked of a schedule beside its name.  Zeroed: the defaults. */
typedef struct rf_schedule_options {
    double sigma_min, sigma_max; /* ends; 0: the table's.  Uniform, Simple, DDIM and Align Your
                                    Steps take none */
    double rho;                  /* Karras, Polyexponential; 0: 7 and 1 */
    int    discard_penultimate;  /* one value more, and the one before the last left out */
    int    lcm_table;            /* the sampler LCM's: entries 19, 39 .. 999 stand for the table */
    int    exact_a1111;          /* A1111 to the letter, where it differs (below) */
} rf_schedule_options;

/* The schedules, n steps of them, i from 0 (A1111 v1.10.1; Karras et al. 2022, eq. 5; Sabour et al.
 * 2024 for the last two).  T, S: rf_t_from_sigma, rf_sigma_from_t; ends s_max, s_min.
 *
 *   Uniform           S of n values from 999 to 0
 *   Normal            S of n values from T(s_max) to T(s_min)
 *   SGM Uniform       S of n + 1 such values without the last
 *   Simple            table entry 999 - trunc(1000 i / n)
 *   DDIM              each trunc(1000 / n)-th entry (at least each) from entry 1 on: may give more
 *                     than n steps, and starts below the top: n = 1 is entry 1 alone, as in A1111
 *   Karras            n values from s_max to s_min, equal distances in sigma^(1/rho)
 *   Exponential       ... in ln sigma
 *   Polyexponential   ... in (ln sigma - ln s_min)^(1/rho)
 *   Beta              S of T(s_min) + q (T(s_max) - T(s_min)), q the quantiles of Beta(0.6, 0.6) at
 *                     n values from 1 to 0; exact_a1111: s_min + q (s_max - s_min), which crowds
 *                     at the top of the noise instead of the top and bottom of the timesteps
 *   Align Your Steps  n values log-linear between eleven for SDXL; exact_a1111: n = 1 is the last
 *   KL Optimal        tan((1 - i/n) atan s_max + (i/n) atan s_min), i < n; exact_a1111: i <= n
 *
 * A final 0 follows, except after exact_a1111's KL Optimal, which ends at s_min.  So the repaired
 * KL Optimal makes n calls at A1111's own noise levels, and its last step goes on to 0. */
typedef struct rf_schedule rf_schedule;

/* The schedule of that name (or A1111 label or alias), case ignored; "Automatic" is the schedule
 * named `automatic` (a sampler's own, sampler.h).  RF_E_ARG with a suggestion and the names. */
rf_status   rf_schedule_find(const rf_schedule **out, const char *name, const char *automatic,
                             rf_error *err);
const char *rf_schedule_name(const rf_schedule *schedule); /* A1111's label: "SGM Uniform" */

/* Noise levels of a run; free() sigma. */
typedef struct rf_sigmas {
    double *sigma; /* [steps + 1], strictly descending f32 values; the last is 0 (but see
                      exact_a1111) */
    int steps;     /* of the run: the schedule DDIM may give more than were asked for */
} rf_sigmas;

/* steps 1 gives the first value of n = 1, then 0: ramps of one value are their first value.  *out
 * is {0} on failure: RF_E_ARG unless steps is 1 .. RF_STEPS_MAX, the options make sense, and that
 * many f32 lie apart between the ends (Simple has 1000). */
rf_status rf_schedule_sigmas(const rf_schedule *schedule, const rf_sigma_table *table, int steps,
                             const rf_schedule_options *options, rf_sigmas *out, rf_error *err);

/* An explicit list, "14.6, 8 3.1 0.5": a comma, blanks or both between, plain decimal numbers,
 * strictly descending, positive; a final 0 is added unless it is there.  RF_E_ARG names the entry
 * that is wrong, from 1. */
rf_status rf_sigmas_parse(rf_sigmas *out, const char *text, rf_error *err);

#endif
