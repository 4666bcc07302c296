/* Samplers: what happens to the latent after a UNet call, as the coefficients of one linear
 * combination (kernels/lincomb).
 *
 * A sampler is host code only: per step it turns noise levels and settings into a few f32, computed
 * in f64 and rounded once.  The executor stays ignorant of samplers, and samples at different steps
 * or with different samplers can share a batch, one row of coefficients each.
 *
 * Per run, with sigma[0 .. steps] from schedule.h:
 *
 *   x = (float)sigma[0] * noise(draw 0)                      [h, w, 4] f32, sigma space
 *   next_draw = 1
 *   for each step i:
 *     eps_cond, eps_uncond = UNet(input_scale * x, rf_timestep_for_sigma(sigma[i]), prompts)
 *     x = coef[X] x + coef[COND] eps_cond + coef[UNCOND] eps_uncond + coef[NOISE] noise(draw)
 *     next_draw += draws
 *
 * The UNet predicts eps: x0 = x - sigma eps.  Guidance (Ho & Salimans 2022) combines the two x0 as
 * D = D_u + cfg (D_c - D_u).  A source whose coefficient is 0 need not exist: with cfg 1 the
 * negative prompt is not evaluated. */
#ifndef RF_SAMPLER_H
#define RF_SAMPLER_H

#include "engine/sample/names.h"
#include "kernels/status.h"

/* What a step may combine; also the order of the terms of the sum.  A sampler that remembers
 * earlier x0 gets its sources here, within RF_LINCOMB_TERMS. */
typedef enum rf_source {
    RF_SOURCE_X = 0,
    RF_SOURCE_COND,   /* eps of the positive prompt */
    RF_SOURCE_UNCOND, /* eps of the negative prompt */
    RF_SOURCE_NOISE,  /* a standard normal tensor, noise.h */
    RF_SOURCES,
} rf_source;

/* One step, as asked for. */
typedef struct rf_step_request {
    double sigma, sigma_next; /* sigma > sigma_next >= 0 */
    double cfg;               /* guidance scale; 1: the positive prompt alone */
    double eta;               /* ancestral samplers: share of fresh noise, >= 0; A1111's 1 */
    double s_noise;           /* factor of the fresh noise; A1111's 1 */
    int    next_draw;         /* noise draws made so far, the initial noise included; >= 1 */
} rf_step_request;

/* One step, as planned. */
typedef struct rf_sampler_step {
    float coef[RF_SOURCES];
    float input_scale; /* 1 / sqrt(sigma^2 + 1): from sigma space to the UNet's input */
    int   draw;        /* index of the noise tensor to add; -1 if coef[RF_SOURCE_NOISE] is 0 */
    int   draws; /* by how many A1111's generator advances in this step, used tensors or not */
} rf_sampler_step;

typedef void rf_sampler_fn(const rf_step_request *request, rf_sampler_step *step);

enum { RF_SAMPLER_ANCESTRAL = 1 }; /* flags: eta means something, and noise is added */

typedef struct rf_sampler {
    rf_name        id;        /* "Euler a" */
    const char    *automatic; /* name of the schedule that "Automatic" means */
    unsigned       flags;
    rf_sampler_fn *plan; /* fills coef, draw and draws; the request has been checked */
} rf_sampler;

/* The sampler of that name or A1111 alias ("k_euler_a"), case ignored.  RF_E_ARG with a suggestion
 * and the list of names. */
rf_status rf_sampler_find(const rf_sampler **out, const char *name, rf_error *err);

/* Plans one step.  RF_E_ARG if a number of the request is out of range or not finite (step
 * untouched). */
rf_status rf_sampler_plan(const rf_sampler *sampler, const rf_step_request *request,
                          rf_sampler_step *step, rf_error *err);

#endif
