/* What the samplers' files share: a planner collects the calls of a stretch, and a rule appends
 * them.  Rules are void and never check memory: where it ran out, calls land in a spare one and
 * rf_sampler_plan says so at the end. */
#ifndef RF_SAMPLER_RULE_H
#define RF_SAMPLER_RULE_H

#include "engine/sample/sampler.h"

typedef struct rf_planner {
    const rf_sampler_request *request;
    rf_sampler_settings       set;   /* eta and s_tmax resolved */
    rf_calls                  calls; /* history: what H1, H2, H3 hold at this point */
    int                       room;  /* calls that fit */
    int                       out_of_memory;
    float                     before; /* for the next call */
    rf_noise_request          before_noise;
    rf_call                   spare;
} rf_planner;

typedef struct rf_sampler_rule {
    void (*plan)(rf_planner *p);
} rf_sampler_rule;

/* A call at `sigma`, appended: all coefficients 0, timestep NaN, the last of its step.  Valid until
 * the next one. */
rf_call *rf_plan_call(rf_planner *p, int step, double sigma);

/* Draws a tensor for later use or none: its index, which counts either way (A1111). */
uint32_t rf_plan_draw(rf_planner *p);

/* `amount` of a new tensor ahead of the next call. */
void rf_plan_before(rf_planner *p, double amount);

/* `amount` of a new tensor, or of a Brownian path, added to the new x.  Nothing is asked for where
 * the coefficient is 0. */
void rf_plan_noise(rf_planner *p, rf_call *call, double amount);
void rf_plan_brownian(rf_call *call, double amount, double from, double to);

/* The call's x0 becomes H1, and its level goes into the planner's history. */
void rf_plan_remember_x0(rf_planner *p, rf_call *call);

/* The call's eps = (X - D) / sigma becomes H1. */
void rf_plan_remember_eps(rf_call *call);

/* The anchor is where the call's x is. */
void rf_plan_anchor_here(rf_call *call);

/* row += weight * eps of a call at `sigma`. */
void rf_row_eps(double *row, double weight, double sigma);

/* out = row, rounded. */
void rf_row_round(float *out, const double *row);

/* The straight line along eps from `from` at level `sigma` to level `to`, toward the call's D:
 * (to / sigma) from + (1 - to / sigma) D.  Euler's step, and DPM-Solver++'s of first order. */
void rf_plan_line(float *row, rf_source from, double sigma, double to);

/* Ways to level `to`: solve down to `down`, then add `up` of fresh noise, down^2 + up^2 = to^2
 * (k-diffusion, get_ancestral_step). */
typedef struct rf_ancestral {
    double down, up;
} rf_ancestral;

rf_ancestral rf_ancestral_step(double sigma, double to, double eta);

/* phi_0 = e^z, phi_(k+1) = (phi_k - 1 / k!) / z: the weights of exponential integrators. */
double rf_phi(int k, double z);

/* Churn of a step at `sigma` (Karras et al. 2022, algorithm 2): plans the noise, draws a tensor in
 * any case, and returns the level the call is made at. */
double rf_plan_churn(rf_planner *p, double sigma);

/* One step of Heun from sigma to `to`; Euler's where `to` is 0 (sampler_euler.c). */
void rf_plan_heun(rf_planner *p, int step, double sigma, double to);

/* The timestep samplers walk the indices j stride + 1, at most 999, stride = floor(1000 / steps);
 * this many of them.  steps is 1 .. RF_TRAIN_STEPS (sampler_ddim.c). */
int rf_timestep_count(int steps);

extern const rf_sampler_rule rf_rule_euler, rf_rule_euler_a, rf_rule_heun; /* sampler_euler.c */
extern const rf_sampler_rule rf_rule_dpm2, rf_rule_dpm2_a;                 /* sampler_dpm2.c */
extern const rf_sampler_rule rf_rule_2m, rf_rule_2s_a;                     /* sampler_dpmpp.c */
extern const rf_sampler_rule rf_rule_sde, rf_rule_2m_sde, rf_rule_2m_sde_heun,
    rf_rule_3m_sde;                                                          /* sampler_sde.c */
extern const rf_sampler_rule rf_rule_lms;                                    /* sampler_lms.c */
extern const rf_sampler_rule rf_rule_lcm;                                    /* sampler_lcm.c */
extern const rf_sampler_rule rf_rule_restart;                                /* sampler_restart.c */
extern const rf_sampler_rule rf_rule_fast;                                   /* sampler_fast.c */
extern const rf_sampler_rule rf_rule_ddim, rf_rule_ddim_cfgpp, rf_rule_plms; /* sampler_ddim.c */
extern const rf_sampler_rule rf_rule_unipc;                                  /* sampler_unipc.c */

#endif
