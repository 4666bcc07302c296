/* Samplers: what happens to the latent around every UNet call, as coefficients of linear
 * combinations (kernels/lincomb).
 *
 * A sampler is host code only: it turns noise levels and settings into the list of a run's calls,
 * each a few f32 computed in f64 and rounded once.  The executor stays ignorant of samplers, and
 * samples at different calls can share a batch, one row of coefficients each.  The one exception is
 * DPM adaptive, whose steps depend on the picture (adaptive.h).
 *
 * State of a run, every slot [h, w, 4] f32 in sigma space (x = x0 + sigma * noise), zero at first:
 *
 *   X          what the model sees
 *   ANCHOR     where the step began, for samplers that make several calls a step
 *   H1 H2 H3   what earlier calls left to remember, the latest first
 *
 * Per run, with call k from 0:
 *
 *   x = start * noise(draw 0), plus the latent of the picture that the run starts from, if any
 *   for each call:
 *     if before != 0:  x += before * noise(before_noise)           (churn, restarts)
 *     eps_j = UNet(x / sqrt(sigma^2 + 1), timestep, prompt j)       j: AND parts, negative
 *     D     = the guided x0 prediction, U = the negative prompt's alone
 *     new x, new anchor, memory = sums over (X ANCHOR D U H1 H2 H3 NOISE), all from the old values
 *     if keeps_anchor: anchor = new anchor
 *     if remembers: (H1, H2, H3) = (memory, H1, H2)
 *
 * Formulas are k-diffusion 0.0.16's and, for the timestep samplers, their papers', as A1111 v1.10.1
 * runs them. */
#ifndef RF_SAMPLER_H
#define RF_SAMPLER_H

#include <stdint.h>

#include "engine/sample/names.h"
#include "engine/sample/schedule.h"
#include "kernels/status.h"

typedef enum rf_source {
    RF_SOURCE_X = 0,
    RF_SOURCE_ANCHOR,
    RF_SOURCE_D, /* guided x0 of this call */
    RF_SOURCE_U, /* x0 of the negative prompt alone; only samplers flagged RF_SAMPLER_UNCOND */
    RF_SOURCE_H1,
    RF_SOURCE_H2,
    RF_SOURCE_H3,
    RF_SOURCE_NOISE, /* the call's noise */
    RF_SOURCES,
} rf_source;

typedef enum rf_noise_kind {
    RF_NOISE_NONE = 0,
    RF_NOISE_DRAW,     /* a picture's draw number `draw` (noise.h) */
    RF_NOISE_BROWNIAN, /* its path between two noise levels (brownian.h) */
} rf_noise_kind;

typedef struct rf_noise_request {
    rf_noise_kind kind;
    uint32_t      draw;
    double        from, to;
} rf_noise_request;

/* One evaluation of the model and what follows from it. */
typedef struct rf_call {
    int              step;     /* of the run, 0-based; several calls may share one */
    int              last;     /* the last call of its step */
    double           sigma;    /* noise level the model is given */
    double           timestep; /* the table index it is given; NaN: rf_timestep_for_sigma(sigma) */
    float            before;   /* 0: nothing is added ahead of the call */
    rf_noise_request before_noise;
    float            next[RF_SOURCES];   /* the new x */
    float            anchor[RF_SOURCES]; /* the new anchor, if keeps_anchor */
    float            memory[RF_SOURCES]; /* what to remember, if remembers */
    int              keeps_anchor, remembers;
    rf_noise_request noise; /* kind NONE where no NOISE coefficient is non-zero */
} rf_call;

enum { /* flags of a sampler */
       RF_SAMPLER_SECOND_ORDER = 1
                                 << 0, /* A1111's flag: prompts and switch count twice the steps */
       RF_SAMPLER_BROWNIAN = 1 << 1,
       RF_SAMPLER_ENSD = 1 << 2,      /* eta noise seed delta applies */
       RF_SAMPLER_DISCARD = 1 << 3,   /* its schedule drops the next to last value */
       RF_SAMPLER_TIMESTEPS = 1 << 4, /* walks table indices, not a schedule: DDIM, ... */
       RF_SAMPLER_OWN_GRID = 1 << 5,  /* uses only the schedule's ends, or rebuilds it */
       RF_SAMPLER_ADAPTIVE = 1 << 6,  /* steps depend on the picture: adaptive.h */
       RF_SAMPLER_MULTISTEP_X0 = 1
                                 << 7, /* remembers x0: history may pass to another such sampler */
       RF_SAMPLER_ANCESTRAL = 1 << 8,  /* eta means something */
       RF_SAMPLER_CHURN = 1 << 9,      /* s_churn, s_tmin, s_tmax mean something */
       RF_SAMPLER_UNCOND = 1 << 10,    /* reads RF_SOURCE_U */
       RF_SAMPLER_LCM = 1 << 11,       /* 50-entry table */
       RF_SAMPLER_S_NOISE = 1 << 12,   /* s_noise means something */
};

typedef struct rf_sampler {
    rf_name     id;        /* "Euler a", and A1111's aliases */
    const char *automatic; /* name of the schedule that "Automatic" means */
    unsigned    flags;
    double      eta;    /* default: 1, DDIM 0 */
    double cfg_divisor; /* the guidance scale is divided by this: 12.5 for DDIM CFG++, else 1 */
    const struct rf_sampler_rule *rule; /* sampler_rule.h */
} rf_sampler;

/* The sampler of that name or A1111 alias ("k_euler_a"), case ignored; an old combined name ("DPM++
 * 2M Karras") is split, and *schedule then is the schedule's name, "Automatic" where that means the
 * same (else NULL; `schedule` may be NULL: combined names are unknown then).  RF_E_ARG with a
 * suggestion and the names. */
rf_status rf_sampler_find(const rf_sampler **out, const char **schedule, const char *name,
                          rf_error *err);

typedef struct rf_sampler_settings {
    double eta;                     /* NaN: the sampler's */
    double s_churn, s_tmin, s_tmax; /* s_tmax 0: no upper end */
    double s_noise;                 /* A1111's 1 */
} rf_sampler_settings;

rf_sampler_settings rf_sampler_settings_default(void); /* eta NaN, 0, 0, 0, s_noise 1 */

/* Whether the sampler does the same with both: what it does not read may differ. */
int rf_sampler_same_settings(const rf_sampler *sampler, const rf_sampler_settings *a,
                             const rf_sampler_settings *b);

/* A stretch of a run: steps first .. end-1 of `sigmas`.  A stage with another sampler is a stretch
 * of its own. */
typedef struct rf_sampler_request {
    const rf_sampler     *sampler;
    rf_sampler_settings   settings;
    const rf_sigma_table *table;
    const rf_sigmas      *sigmas; /* of the whole run; timestep samplers read only `steps`
                                     and own-grid samplers only its ends and `steps` */
    int nominal_steps;            /* as the user asked */
    int first, end;               /* whole run: 0, sigmas->steps.  Samplers with a grid of
                                     their own plan whole runs only (RF_E_ARG) */
    int enter; /* timestep samplers: the entry of their list that a run from a picture begins
                  at, its noise scaled to that level; 0: from plain noise at the top */
    uint32_t next_draw; /* draws made so far; >= 1 */
    /* Noise levels of what H1 H2 H3 hold, for multistep samplers in x0; history 0: nothing. */
    double history[3];
    int    history_count;
} rf_sampler_request;

/* The calls of a stretch; free with rf_calls_free. */
typedef struct rf_calls {
    rf_call *call;
    int      count;
    int      steps;     /* that it walks: calls' step is first .. first + steps - 1 */
    double   start;     /* x = start * noise(draw 0), where the stretch begins a run */
    uint32_t next_draw; /* after the stretch */
    double   history[3];
    int      history_count;
} rf_calls;

rf_status rf_sampler_plan(const rf_sampler_request *request, rf_calls *out, rf_error *err);
void      rf_calls_free(rf_calls *calls); /* {0} is fine */

#endif
