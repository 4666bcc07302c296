/* Noise: standard normal tensors as a pure function of (source, seed, draw index, shape).
 *
 * No generator object exists: a value depends on nothing but these numbers, so the same prefix of
 * two runs sees the same noise whatever was computed or batched beside it.  Draw 0 is the initial
 * noise; a sampler's draws are 1, 2, ... (sampler.h).
 *
 * NV is Philox-4x32-10 (Salmon et al. 2011), one counter block per element, and half of a
 * Box-Muller pair, as AUTOMATIC1111's source "NV" imitates CUDA's generator:
 *   counter (draw, 0, element, 0), key (low, high 32 bits of the seed); words g0, g1 give
 *   u = g0 2^-32 + 2^-33,  v = g1 a + a/2,  a = 2 pi 2^-32 rounded to f32
 *   value = sqrt(-2 ln u) sin v,  in f64, rounded to f32 once
 *
 * What is guaranteed: the integers always.  The value is bit for bit the same wherever log and sin
 * of the C library return the same double (sqrt and the products are IEEE 754).  Two libraries, or
 * one that picks other code for another CPU, may differ by one unit in the 53rd bit, which changes
 * the f32 only next to a rounding boundary: about one value in 10^8, by one unit in its last
 * place. */
#ifndef RF_NOISE_H
#define RF_NOISE_H

#include <stdint.h>

#include "engine/sample/names.h"
#include "kernels/status.h"

/* One block of Philox-4x32-10: counter[4] is replaced by four random words. */
void rf_philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1);

/* out[e] = element e of the draw, e = 0 .. count-1. */
void rf_noise_nv(uint64_t seed, uint32_t draw, uint32_t count, float *out);

/* A latent: [channels, h, w] in the source's element order, stored channels last.
 *   out[(y * w + x) * channels + c] = element (c * h + y) * w + x
 * The three sizes are positive and their product is below 2^32. */
typedef struct rf_noise_shape {
    int channels, h, w;
} rf_noise_shape;

typedef void rf_noise_latent_fn(uint64_t seed, uint32_t draw, rf_noise_shape shape, float *out);

rf_noise_latent_fn rf_noise_nv_latent;

typedef struct rf_noise_source {
    rf_name             id; /* "NV" */
    rf_noise_latent_fn *latent;
} rf_noise_source;

/* The source of that name, case ignored.  RF_E_ARG with a suggestion and the list of names. */
rf_status rf_noise_source_find(const rf_noise_source **out, const char *name, rf_error *err);

#endif
