/* DPM adaptive: steps chosen by the picture itself (k-diffusion 0.0.16,
 * DPMSolver.dpm_solver_adaptive with A1111's defaults: order 3, rtol 0.05, atol 0.0078, h_init
 * 0.05, PID 0, 1, 0, accept_safety 0.81, eta 1 as A1111 passes it).  One picture at a time, host
 * arrays. */
#ifndef RF_ADAPTIVE_H
#define RF_ADAPTIVE_H

#include "engine/sample/sampler.h"

typedef struct rf_adaptive_model {
    /* d [elements] = guided x0 of x [elements] at sigma; call counts from 0.  An error ends the run
     * and is returned. */
    rf_status (*denoise)(void *user, const float *x, double sigma, int call, float *d,
                         rf_error *err);
    /* out [elements] = the picture's draw number `draw`, 1, 2, ... (only with eta > 0). */
    void (*noise)(void *user, uint32_t draw, float *out);
    void *user;
} rf_adaptive_model;

/* x [elements]: sigma_max * noise in, the picture's latent out.  `scratch` holds
 * rf_adaptive_scratch(elements) floats. */
size_t    rf_adaptive_scratch(size_t elements);
rf_status rf_adaptive_run(const rf_adaptive_model *model, double sigma_max, double sigma_min,
                          double eta, double s_noise, size_t elements, float *scratch, float *x,
                          rf_error *err);

#endif
