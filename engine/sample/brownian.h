/* Noise of the SDE samplers: increments of one Brownian path per picture, by bisection
 * (torchsde's BrownianInterval as k-diffusion's BrownianTreeNoiseSampler uses it; Kidger et al.
 * 2021, "Efficient and Accurate Gradients for Neural SDEs", section 4).
 *
 * A pure function of (source, seed, interval, time pair): asked again, or in another order, it
 * gives the same values.  Times are noise levels rounded to six decimals. */
#ifndef RF_BROWNIAN_H
#define RF_BROWNIAN_H

#include "engine/sample/noise.h"

/* Python's round(x, 6): the six decimals nearest to the exact value of x, ties to even, and the
 * double nearest to those.  x >= 0. */
double rf_round6(double x);

/* The path of one picture: over [t0, t1] = smallest positive and largest sigma of the schedule. */
typedef struct rf_brownian {
    const rf_noise_source *source;
    uint64_t               seed;
    double                 t0, t1;
} rf_brownian;

/* out = -(W(from) - W(to)) / sqrt(from - to), standard normal; from > to >= 0, from - to in f64.
 * Times outside the interval are clamped to it; where that leaves nothing between them, out is 0.
 * `scratch` has room for three tensors.  About log2(10^6 (t1 - t0)) levels, a draw each and twice
 * below the level that parts the two times. */
void rf_brownian_noise(const rf_brownian *path, double from, double to, rf_noise_shape shape,
                       float *scratch, float *out);

/* First `count` words of numpy's SeedSequence(entropy, spawn_key, pool_size=24).generate_state; its
 * first words do not depend on how many are asked for. */
void rf_seed_sequence(uint64_t entropy, const uint64_t *spawn_key, int keys, uint32_t *out,
                      int count);

#endif
