/* torch.randn of a CPU generator: MT19937 and ATen's two ways to turn its words into normals
 * (Matsumoto & Nishimura 1998; ATen's normal_fill and normal_distribution<double>). */
#ifndef RF_MT19937_H
#define RF_MT19937_H

#include "engine/sample/noise.h"

/* The words of a generator seeded `seed` (init_genrand), in order. */
typedef struct rf_mt19937 {
    uint32_t state[624];
    int      left; /* words of state not yet handed out */
} rf_mt19937;

void     rf_mt19937_seed(rf_mt19937 *mt, uint32_t seed);
uint32_t rf_mt19937_next(rf_mt19937 *mt);
void     rf_mt19937_skip(rf_mt19937 *mt, uint64_t words);

/* The source "CPU" of noise.h; same arguments as rf_noise_draw. */
void rf_noise_draw_cpu(uint64_t seed, uint32_t draw, rf_noise_shape shape, rf_noise_memo *memo,
                       float *out);

#endif
