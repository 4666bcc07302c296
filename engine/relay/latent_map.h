/* The linear map from a latent pixel to a colour that previews are made with (kernels/latent_rgb):
 * [5, 3], the weights of four channels and then the bias, of colours 0..1.
 *
 * Colours belong to a VAE: where it is not SDXL's own its map is fitted, from what it makes of one
 * probe.  The probe has every combination of its four channels at plus and minus one standard
 * deviation, a patch of latent pixels each; so the channels are orthogonal, and least squares are
 * sums.  Patches all in one picture: GroupNorm takes its statistics over the whole map, and a probe
 * of one colour would lose its brightness there. */
#ifndef RF_LATENT_MAP_H
#define RF_LATENT_MAP_H

#include <stdint.h>

#include "engine/core/arch.h"

enum {
    RF_LATENT_MAP = 5 * 3,
    RF_PROBE_PATCH = 4,                  /* latent pixels a side */
    RF_PROBE_SIDE = 4 * RF_PROBE_PATCH,  /* of the probe: 16 patches */
    RF_PROBE_PIXELS = 8 * RF_PROBE_SIDE, /* of its picture */
};

/* Of SDXL's VAE: 1, and `map` is filled; 0: another size, so another latent space. */
int rf_latent_map_known(float map[RF_LATENT_MAP], const rf_vae_arch *vae);

void rf_latent_map_probe(float *latent); /* [RF_PROBE_SIDE, RF_PROBE_SIDE, 4] */

/* rgb [RF_PROBE_PIXELS, RF_PROBE_PIXELS, 3]: what the VAE made of the probe. */
void rf_latent_map_fit(float map[RF_LATENT_MAP], const uint8_t *rgb);

#endif
