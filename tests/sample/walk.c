#include "tests/sample/walk.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const rf_noise_shape FLAT = {.channels = 1, .h = 1, .w = WALK_ELEMS};

static void posterior_mean(const walk_data *m, const double *weight, const float *x, double sigma,
                           double *out)
{
    const double total = m->std * m->std + sigma * sigma;
    double       w[3], most = -INFINITY, sum = 0;
    for (int k = 0; k < m->centers; k++) {
        double square = 0;
        for (int e = 0; e < WALK_ELEMS; e++) square += pow(x[e] - m->center[k][e], 2);
        w[k] = log(weight[k]) - square / (2 * total);
        most = fmax(most, w[k]);
    }
    for (int k = 0; k < m->centers; k++) sum += w[k] = exp(w[k] - most);
    for (int e = 0; e < WALK_ELEMS; e++) {
        out[e] = m->std * m->std * x[e] / total;
        for (int k = 0; k < m->centers; k++)
            out[e] += w[k] / sum * sigma * sigma * m->center[k][e] / total;
    }
}

void walk_denoise(const walk_data *data, const float *x, double sigma, float *d, float *u)
{
    double cond[WALK_ELEMS], uncond[WALK_ELEMS];
    posterior_mean(data, data->weight, x, sigma, cond);
    posterior_mean(data, data->uncond, x, sigma, uncond);
    for (int e = 0; e < WALK_ELEMS; e++) {
        if (data->guidance != 0) cond[e] = uncond[e] + data->guidance * (cond[e] - uncond[e]);
        d[e] = (float)cond[e];
        u[e] = (float)uncond[e];
    }
}

void walk_start(walk_run *run, double start)
{
    memset(run->slot, 0, sizeof run->slot);
    rf_noise_draw(run->path.source, run->path.seed, 0, FLAT, NULL, run->slot[RF_SOURCE_X]);
    for (int e = 0; e < WALK_ELEMS; e++) run->slot[RF_SOURCE_X][e] *= (float)start;
}

static void noise(const walk_run *run, rf_noise_request request, float *out)
{
    float scratch[3 * WALK_ELEMS];
    if (request.kind == RF_NOISE_DRAW)
        rf_noise_draw(run->path.source, run->path.seed, request.draw, FLAT, NULL, out);
    else if (request.kind == RF_NOISE_BROWNIAN)
        rf_brownian_noise(&run->path, request.from, request.to, FLAT, scratch, out);
    else
        for (int e = 0; e < WALK_ELEMS; e++) out[e] = NAN; /* nobody may look */
}

static void sum(const walk_run *run, const float *row, float *out)
{
    for (int e = 0; e < WALK_ELEMS; e++) {
        out[e] = 0;
        for (int s = 0; s < RF_SOURCES; s++)
            if (row[s] != 0) out[e] += row[s] * run->slot[s][e];
    }
}

void walk_call(walk_run *run, const rf_call *call)
{
    float(*slot)[WALK_ELEMS] = run->slot;
    float next[WALK_ELEMS], anchor[WALK_ELEMS], memory[WALK_ELEMS];
    if (call->before != 0) {
        noise(run, call->before_noise, next);
        for (int e = 0; e < WALK_ELEMS; e++) slot[RF_SOURCE_X][e] += call->before * next[e];
    }
    memcpy(run->seen, slot[RF_SOURCE_X], sizeof next);
    walk_denoise(run->data, slot[RF_SOURCE_X], (float)call->sigma, slot[RF_SOURCE_D],
                 slot[RF_SOURCE_U]);
    noise(run, call->noise, slot[RF_SOURCE_NOISE]);
    sum(run, call->next, next);
    sum(run, call->anchor, anchor);
    sum(run, call->memory, memory);
    if (call->keeps_anchor) memcpy(slot[RF_SOURCE_ANCHOR], anchor, sizeof anchor);
    if (call->remembers) {
        memmove(slot[RF_SOURCE_H2], slot[RF_SOURCE_H1], 2 * sizeof memory);
        memcpy(slot[RF_SOURCE_H1], memory, sizeof memory);
    }
    memcpy(slot[RF_SOURCE_X], next, sizeof next);
}

void walk_calls(walk_run *run, const rf_calls *calls)
{
    for (int k = 0; k < calls->count; k++) walk_call(run, &calls->call[k]);
}

double walk_distance(const float *got, const double *want)
{
    double difference = 0, norm = 0;
    for (int e = 0; e < WALK_ELEMS; e++) {
        difference += pow(got[e] - want[e], 2);
        norm += want[e] * want[e];
    }
    return sqrt(difference / norm);
}

rf_calls walk_plan(const rf_sampler_request *request)
{
    rf_calls calls = {0};
    rf_error err = {0};
    cr_assert_eq(rf_sampler_plan(request, &calls, &err), RF_OK, "%s: %s", request->sampler->id.name,
                 err.message);
    return calls;
}

const rf_sampler *walk_sampler(const char *name)
{
    const rf_sampler *s = NULL;
    rf_error          err = {0};
    cr_assert_eq(rf_sampler_find(&s, NULL, name, &err), RF_OK, "%s", err.message);
    return s;
}

rf_sampler_request walk_request(const char *sampler, const rf_sigma_table *table,
                                const rf_sigmas *sigmas)
{
    return (rf_sampler_request){.sampler = walk_sampler(sampler),
                                .settings = rf_sampler_settings_default(),
                                .table = table,
                                .sigmas = sigmas,
                                .nominal_steps = sigmas->steps,
                                .end = sigmas->steps,
                                .next_draw = 1};
}
