/* Noise: standard normal tensors as a pure function of (source, seed, draw index, shape).
 *
 * A value depends on nothing but these numbers, so the same prefix of two runs sees the same noise
 * whatever was computed or batched beside it.  Draw 0 is the initial noise; a sampler's draws are
 * 1, 2, ... (sampler.h).  SDE samplers draw from a Brownian path instead (brownian.h).
 *
 * NV is Philox-4x32-10 (Salmon et al. 2011), one counter block per element, and half of a
 * Box-Muller pair, as AUTOMATIC1111's source "NV" imitates CUDA's generator:
 *   counter (draw, 0, element, 0), key (low, high 32 bits of the seed); words g0, g1 give
 *   u = g0 2^-32 + 2^-33,  v = g1 a + a/2,  a = 2 pi 2^-32 rounded to f32
 *   value = sqrt(-2 ln u) sin v,  in f64, rounded to f32 once
 *
 * CPU is torch.randn with a CPU generator: MT19937 seeded with the low 32 bits, blocks of sixteen
 * uniforms to sixteen normals in f32 (ATen, normal_fill); fewer than sixteen values go another way
 * there, and so here.  torch's vector code has a logarithm, sine and cosine of its own: values
 * agree to one unit in the last place (5e-7 near 4), four in five bit for bit.  It has no random
 * access: a generator (rf_noise_memo) remembers where the last draw ended, which changes the time
 * of a draw and never its values.
 *
 * What is guaranteed: the integers always.  NV's value is bit for bit the same wherever log and sin
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

/* A latent: [channels, h, w] in the source's element order, stored channels last.
 *   out[(y * w + x) * channels + c] = element (c * h + y) * w + x
 * The three sizes are positive and their product is below 2^31. */
typedef struct rf_noise_shape {
    int channels, h, w;
} rf_noise_shape;

typedef struct rf_noise_source rf_noise_source;

/* The source of that name ("NV", "CPU"), case ignored.  RF_E_ARG with a suggestion and the names.
 */
rf_status   rf_noise_source_find(const rf_noise_source **out, const char *name, rf_error *err);
const char *rf_noise_source_name(const rf_noise_source *source);

/* Speeds up draws in ascending order from one seed; zeroed: remembers nothing.  Flat, copyable. */
typedef struct rf_noise_memo {
    uint64_t seed;
    uint32_t draw, elements; /* state is where this draw of that many values begins; 0: nowhere */
    int      left;           /* words of state not yet used */
    uint32_t state[624];
} rf_noise_memo;

/* out = draw number `draw` of a fresh generator seeded `seed`, every draw of this shape.  `memo`
 * may be NULL. */
void rf_noise_draw(const rf_noise_source *source, uint64_t seed, uint32_t draw,
                   rf_noise_shape shape, rf_noise_memo *memo, float *out);

/* A picture's noise, as a job asks for it. */
typedef struct rf_noise_spec {
    const rf_noise_source *source;
    uint64_t               seed, variation_seed;
    double                 variation; /* strength 0..1; 0: none */
    int64_t                ensd;      /* eta noise seed delta: draws 1, 2, ... come from draw
                                         0, 1, ... of a generator seeded seed + ensd; 0: off */
    int resize_h, resize_w;           /* latent size the seed is from; 0: none */
    /* A1111 to the letter: its slerp swaps the weights where the two noises are almost equal. */
    int exact_a1111;
} rf_noise_spec;

/* Draw 0: initial noise, with variation (slerp along the height, A1111 4.3) and seed resize (4.4);
 * draws 1, 2, ...: what samplers add.  `scratch` has room for two tensors of the largest of the two
 * shapes; NULL is fine where neither variation nor resize is asked for. */
void rf_noise_tensor(const rf_noise_spec *spec, uint32_t draw, rf_noise_shape shape,
                     rf_noise_memo *memo, float *scratch, float *out);

#endif
