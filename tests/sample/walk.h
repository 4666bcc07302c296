/* Runs the calls of a plan over a model that is a formula, as an executor would: f32 values, one
 * rounding per product and per sum, terms in the order of the sources. */
#ifndef WALK_H
#define WALK_H

#include "engine/sample/brownian.h"
#include "engine/sample/sampler.h"

enum { WALK_ELEMS = 32 };

/* What data looks like: a mixture of Gaussians of one deviation.  Its posterior mean is the model
 * (Karras et al. 2022, app. B.3), evaluated in f64. */
typedef struct walk_data {
    int    centers;
    double center[3][WALK_ELEMS], weight[3];
    double uncond[3]; /* weights of the negative prompt's */
    double std;
    double guidance; /* 0: x0 as it is; else the guided x0 is U + guidance (x0 - U) */
} walk_data;

/* d, u = guided x0 and the negative prompt's. */
void walk_denoise(const walk_data *data, const float *x, double sigma, float *d, float *u);

typedef struct walk_run {
    const walk_data *data;
    rf_brownian      path; /* its source and seed are those of the draws too */
    float            slot[RF_SOURCES][WALK_ELEMS];
    float            seen[WALK_ELEMS]; /* what the last call's model saw */
} walk_run;

/* x = start * draw 0, all else 0. */
void walk_start(walk_run *run, double start);

void walk_call(walk_run *run, const rf_call *call);
void walk_calls(walk_run *run, const rf_calls *calls);

/* |got - want| / |want| */
double walk_distance(const float *got, const double *want);

/* Fails the test unless the plan is made. */
rf_calls          walk_plan(const rf_sampler_request *request);
const rf_sampler *walk_sampler(const char *name);

/* A request for the whole of `sigmas`, default settings. */
rf_sampler_request walk_request(const char *sampler, const rf_sigma_table *table,
                                const rf_sigmas *sigmas);

#endif
