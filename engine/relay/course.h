/* The course of a run: every call worked out before anything is computed.
 *
 * Which noise levels, which sampler coefficients, which stage, which prompt entries: all of it
 * follows from the job alone, without weights, so `explain` shows exactly what a plan will do.
 * Only DPM adaptive finds its calls on the way (denoise_adaptive.c); its course has none. */
#ifndef RF_COURSE_H
#define RF_COURSE_H

#include "engine/refinery.h"
#include "engine/sample/noise.h"
#include "engine/sample/sampler.h"
#include "engine/sample/switch.h"
#include "engine/text/prompt.h"

enum { RF_POSITIVE = 0, RF_NEGATIVE, RF_POLARITIES };

/* A pair of prompts.  Set 0 is the first stage's; a stage with a text of its own has another. */
typedef struct rf_course_set {
    char            *text[RF_POLARITIES];
    const rf_prompt *prompt[RF_POLARITIES];
} rf_course_set;

typedef struct rf_course_stage {
    const rf_sampler     *sampler;
    rf_sampler_settings   settings;
    const rf_sigma_table *table; /* what its expert knows; the course's own where they are equal */
    int                   clip_skip; /* A1111's, of CLIP-L; 0: SDXL's own */
    int                   set;
    float cfg, cfg_ramp; /* of its first call, and how far it moves up to the last */
    int   first_call;    /* before which it takes over; -1: never */
    int   first_step, calls;
} rf_course_stage;

typedef struct rf_course_call {
    rf_call    sampler;
    int        stage;    /* of the job */
    double     timestep; /* as the model is given it */
    const int *positive; /* [parts of its set's prompt]: entry of each */
    int        negative;
    int        skips_negative; /* by an option, not by its weight */
    double     cfg;
} rf_course_call;

typedef struct rf_course {
    rf_course_stage   *stage;
    int                stages;
    rf_course_set     *set;
    int                sets;
    rf_course_call    *call;
    int                calls;
    int               *entries; /* what `positive` points into */
    int                steps;
    int                nominal, calls_per_step; /* A1111's total of calls; 2 if second order */
    int                total; /* likewise, of those that a run from a picture makes */
    int                enter; /* rf_sampler_request's */
    const rf_schedule *schedule;
    /* Of the first stage at work: schedule, samplers' indices and switch rules go by it, whoever
     * makes the call (A1111 keeps the base's noise levels, too). */
    const rf_sigma_table *table;
    int                   first;         /* no stage before this one is at work */
    rf_sigmas             sigmas;        /* as walked */
    double                start;         /* x = start * noise(draw 0), plus a picture's latent */
    double         sigma_min, sigma_max; /* smallest positive, and largest, of the schedule */
    rf_switch_rule rule;
    double        *until;    /* [stages] */
    int           *handover; /* [stages]: call of each hand-over, or -1 */
    double        *aligned;  /* [stages]: see rf_prompt_clock */
    int            exact_a1111, adaptive;
    rf_emphasis    emphasis;
} rf_course;

/* Who hears of what is odd but no error. */
typedef struct rf_listener {
    void (*warn)(void *user, const char *message);
    void *user;
} rf_listener;

/* Works out `job`, whose numbers are in range (rf_job_check).  hires_steps > 0: of a hires pass of
 * so many steps.  `table`: of stages without an expert; it and the experts outlive the course.
 * `out` is zeroed on failure.  RF_E_ARG names the field. */
rf_status rf_course_create(rf_course *out, const rf_sigma_table *table, const rf_job *job,
                           int hires_steps, rf_listener listener, rf_error *err);
void      rf_course_free(rf_course *course); /* {0} is fine */

/* Gives back what is large: the calls (their number stays) and the parsed prompts. */
void rf_course_forget(rf_course *course);

/* The stage of call k of DPM adaptive, which asks on the way. */
int rf_course_stage_at(const rf_course *course, int k, double sigma, int previous);

/* Whether call k at `sigma` leaves the negative prompt out (A1111's skip_early_cond, s_min_uncond).
 */
int rf_course_skips_negative(const rf_job *job, int total, int k, double sigma);

/* Whether a call of a stage weighs the negative prompt at all: with guidance 1 it does not. */
int rf_course_negative(const rf_course *course, int stage, double cfg);

/* job_check.c: every number of a job that needs no lookup.  RF_E_ARG names the field. */
rf_status rf_job_check(const rf_job *job, rf_error *err);

#endif
