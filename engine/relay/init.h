/* Pictures that runs start from instead of pure noise (img2img), and the masks inside which they
 * paint (inpainting with an ordinary checkpoint).
 *
 * A plan has a list of distinct contents: equal pixels and masks under one encoder are one entry,
 * encoded once, and its index stands in the key of a run's first call (plan_tree.c).  Latents lie
 * behind the rows of the slots, so that a run begins with one sum, x = latent + start * noise.
 *
 * A mask is binary in the latent, as A1111 has it.  Cells that stay take the picture's own latent
 * wherever the sampler reads x0, and in the finished latent; that is a lincomb whose samples are
 * these cells, so no level needs an op for it.  In the finished picture the mask as given blends,
 * exactly at 0 and 255.
 *
 * The latent is the mean of the encoder's posterior.  A1111 and diffusers draw from it; its width
 * is far below any noise level, and a mean is the same on every run. */
#ifndef RF_RELAY_INIT_H
#define RF_RELAY_INIT_H

#include "engine/relay/engine.h"

struct rf_plan_job;

/* Samples of one lincomb. */
enum { RF_CELLS_AT_ONCE = 65535 };

typedef struct rf_plan_init {
    uint8_t   *rgb;  /* [8 h, 8 w, 3] */
    uint8_t   *mask; /* [8 h, 8 w]; NULL: all is painted anew */
    int        h, w; /* latent */
    rf_expert *encoder;
    int32_t   *kept; /* [kept_count]: cells of the latent that stay */
    int        kept_count;
    size_t     kept_at; /* in the plan's list of all */
} rf_plan_init;

/* init_mask.c: whether the latent's cells are painted, [h, w], of a mask [8 h, 8 w]: reduced as
 * Pillow's resize does by default (bicubic), 128 and more is.  RF_E_NOMEM. */
rf_status rf_mask_cells(const uint8_t *mask, int h, int w, uint8_t *painted, rf_error *err);

/* Blends `rgb` [count, 3] into `painted`, which keeps what the mask [count] has at 255. */
void rf_mask_compose(const uint8_t *mask, const uint8_t *rgb, uint8_t *painted, size_t count);

/* ---- init_plan.c: while planning ----------------------------------------------------------- */

/* Copies what the job starts from, unless it is there; sets the job's `init`.  Once the job's
 * stages and VAE are known.  RF_E_ARG: no pixels, a mask that lets nothing be painted, or metadata
 * that cannot be saved; RF_E_NOMEM. */
rf_status rf_plan_add_init(rf_plan *plan, struct rf_plan_job *job, rf_error *err);
void      rf_plan_free_inits(rf_plan *plan);

const rf_plan_init *rf_init_of(const rf_plan *plan, int job); /* NULL: it starts from noise */

/* Whether all pixels of the picture are equal. */
int rf_init_is_flat(const rf_plan_init *init);

/* Ops that keep one latent's cells take so many lincombs at most; and those, into `out`: `row` is
 * the device's. */
int rf_init_keeps(const rf_plan *plan);
int rf_init_keep(const rf_plan *plan, const rf_plan_init *init, float *row, rf_lincomb_args *out);

/* ---- init_encode.c: when it runs ----------------------------------------------------------- */

/* Sizes of the encoders: slab, staging, weights. */
rf_status rf_plan_size_inits(rf_plan *plan, rf_error *err);

int64_t rf_init_bytes_to_read(const rf_plan *plan);

/* Loads every encoder in turn, fills the latents' rows and the list of cells. */
rf_status rf_plan_encode_inits(rf_plan *plan, void *staging, const rf_callbacks *callbacks,
                               rf_error *err);

#endif
