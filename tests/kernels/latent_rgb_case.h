/* What the tests of every latent_rgb level share: a case's inputs, and the verdict. */
#ifndef RF_LATENT_RGB_CASE_H
#define RF_LATENT_RGB_CASE_H

#include "kernels/latent_rgb/latent_rgb.h"
#include "tests/kernels/check.h"

typedef struct latent_rgb_row {
    const char *name;
    int         n, hw;
} latent_rgb_row;
#define LATENT_RGB_ROW(name, n, hw, why) {#name, n, hw},

/* The latents of a case: side by side, or rows of a pool, backwards, some floats apart. */
typedef enum latent_rgb_pool { POOL_NONE, POOL_WIDE, POOL_ODD, POOLS } latent_rgb_pool;

/* Of a fill; in the normal one a channel of each pixel is so close to the middle between two bytes
 * that a rounding more or less shows. */
rf_latent_rgb_args latent_rgb_args(check *k, const latent_rgb_row *r, latent_rgb_pool pool,
                                   check_fill fill);

size_t latent_rgb_bytes(const rf_latent_rgb_args *a);  /* of y */
size_t latent_rgb_floats(const rf_latent_rgb_args *a); /* of x, in cases as above */

/* True if the bytes are the reference's. */
bool latent_rgb_equal(const rf_latent_rgb_args *a);

#endif
