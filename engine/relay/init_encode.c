/* Pictures to latents, before the first step: one encoder in memory at a time, and one picture;
 * see init.h. */
#include <math.h>
#include <string.h>

#include "engine/model/vae.h"
#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"
#include "kernels/half.h"

static rf_vae_encode_args args_of(const rf_plan *p, const rf_plan_init *init)
{
    return (rf_vae_encode_args){.arch = &init->encoder->arch.vae,
                                .pixels = p->init_pixels.device,
                                .moments = p->moments.device,
                                .n = 1,
                                .h = init->h,
                                .w = init->w};
}

/* Whether an earlier one has the same. */
static int had_encoder(const rf_plan *p, int i)
{
    for (int k = 0; k < i; k++)
        if (p->init[k].encoder == p->init[i].encoder) return 1;
    return 0;
}

rf_status rf_plan_size_inits(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < p->inits; i++) {
        const rf_plan_init      *init = &p->init[i];
        const rf_vae_encode_args args = args_of(p, init);
        size_t                   bytes = 0;
        RF_TRY(rf_expert_list(init->encoder, RF_NET_VAE_ENCODER, err));
        rf_weights *w = &init->encoder->weights[RF_NET_VAE_ENCODER];
        if (w->staging_bytes > p->staging_bytes) p->staging_bytes = w->staging_bytes;
        if (w->host_bytes > p->merge_bytes) p->merge_bytes = w->host_bytes;
        if (w->bytes > p->encoder_bytes) p->encoder_bytes = w->bytes;
        RF_TRY(rf_record_count(&p->engine->device, w, 0, rf_vae_encode, &args, &bytes, err));
        if (bytes > p->network_slab[RF_NET_VAE_ENCODER])
            p->network_slab[RF_NET_VAE_ENCODER] = bytes;
        if (bytes > p->slab_bytes) p->slab_bytes = bytes;
    }
done:
    return st;
}

int64_t rf_init_bytes_to_read(const rf_plan *p)
{
    int64_t total = 0;
    for (int i = 0; i < p->inits && !p->ready; i++)
        if (!had_encoder(p, i))
            total += (int64_t)p->init[i].encoder->weights[RF_NET_VAE_ENCODER].file_bytes;
    return total;
}

/* ---- one picture -------------------------------------------------------------------------- */

static rf_status send_pixels(rf_plan *p, const rf_plan_init *init, rf_error *err)
{
    const rf_dtype dtype = p->engine->vae_dtype;
    const size_t   count = (size_t)init->h * (size_t)init->w * 64 * 3;
    for (size_t i = 0; i < count; i++)
        rf_store(p->init_pixels.host, dtype, i, (float)(2 * init->rgb[i] / 255.0 - 1));
    return rf_twin_up(&p->engine->device, &p->init_pixels, 0, count * rf_dtype_bytes(dtype), err);
}

/* The means, scaled as samplers want them, from the moments to the latent's row. */
static rf_status take_means(rf_plan *p, const rf_plan_init *init, rf_error *err)
{
    const rf_dtype dtype = p->engine->vae_dtype;
    const size_t   z = (size_t)init->encoder->arch.vae.z, cells = (size_t)init->h * (size_t)init->w;
    const size_t   row = (size_t)p->init_row + (size_t)(init - p->init);
    rf_device     *device = &p->engine->device;
    float         *latent = p->decode_latent.host; /* free until a picture is decoded */
    int            finite = 1;
    rf_status      st = RF_OK;
    RF_TRY(rf_twin_down(device, &p->moments, 0, cells * 2 * z * rf_dtype_bytes(dtype), err));
    RF_TRY(rf_device_wait(device, err));
    for (size_t i = 0; i < cells * z; i++) {
        latent[i] = RF_VAE_SCALE * rf_load(p->moments.host, dtype, i / z * 2 * z + i % z);
        finite &= isfinite(latent[i]) != 0;
    }
    if (!finite)
        return rf_fail(err, RF_E_NAN,
                       "the VAE of %s made NaN or infinity of the picture to start "
                       "from",
                       init->encoder->name);
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, p->pool + row * p->elems, latent,
                          cells * z * sizeof *latent, err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

static rf_status encode(rf_plan *p, const rf_plan_init *init, rf_error *err)
{
    const rf_vae_encode_args args = args_of(p, init);
    rf_device               *device = &p->engine->device;
    rf_status                st = RF_OK;
    RF_TRY(rf_record_place(device, &init->encoder->weights[RF_NET_VAE_ENCODER], 0, rf_vae_encode,
                           &args, p->slab, p->slab_bytes, &p->scratch_program, err));
    rf_range_network(p, "encode", init->encoder, RF_NET_VAE_ENCODER);
    RF_TRY(send_pixels(p, init, err));
    RF_TRY(rf_program_run(&p->scratch_program, device, err));
    RF_TRY(take_means(p, init, err));
    rf_trace_end(device->trace, RF_TRACE_PART);
done:
    return st;
}

/* ---- all of them -------------------------------------------------------------------------- */

/* All that the encoder of number `first` is for. */
static rf_status encode_with(rf_plan *p, int first, void *staging, const rf_callbacks *callbacks,
                             rf_error *err)
{
    rf_expert        *encoder = p->init[first].encoder;
    const int         stage = p->job[0].active[0];
    const rf_progress progress = {.phase = RF_PHASE_ENCODE,
                                  .stage = stage,
                                  .expert = encoder->name,
                                  .done = first,
                                  .total = p->inits,
                                  .calls_done = p->calls_done,
                                  .calls = p->calls_shared,
                                  .pictures_done = p->pictures_done,
                                  .pictures = p->pictures};
    rf_status         st = RF_OK;
    RF_TRY(rf_load_reporting(p, encoder, RF_NET_VAE_ENCODER, NULL, stage, staging, callbacks, err));
    for (int i = first; i < p->inits; i++) {
        if (p->init[i].encoder != encoder) continue;
        RF_TRY(rf_report(callbacks, &progress, err));
        RF_TRY(encode(p, &p->init[i], err));
    }
done:
    rf_expert_unload(encoder, RF_NET_VAE_ENCODER);
    return st;
}

/* Cells that stay, and the coefficients of taking them as they are. */
static rf_status send_kept(rf_plan *p, rf_error *err)
{
    rf_device *device = &p->engine->device;
    size_t     most = 0;
    rf_status  st = RF_OK;
    for (int i = 0; i < p->inits; i++) {
        const rf_plan_init *init = &p->init[i];
        const size_t        count = (size_t)init->kept_count;
        if (count)
            memcpy((int32_t *)p->kept.host + init->kept_at, init->kept, count * sizeof *init->kept);
        if (count > most) most = count;
    }
    if (most == 0) return RF_OK;
    if (most > RF_CELLS_AT_ONCE) most = RF_CELLS_AT_ONCE;
    for (size_t i = 0; i < most; i++) ((float *)p->ones.host)[i] = 1;
    RF_TRY(rf_twin_up(device, &p->kept, 0, p->kept_cells * sizeof(int32_t), err));
    RF_TRY(rf_twin_up(device, &p->ones, 0, most * sizeof(float), err));
done:
    return st;
}

rf_status rf_plan_encode_inits(rf_plan *p, void *staging, const rf_callbacks *callbacks,
                               rf_error *err)
{
    rf_status st = send_kept(p, err);
    for (int i = 0; i < p->inits && st == RF_OK; i++)
        if (!had_encoder(p, i)) st = encode_with(p, i, staging, callbacks, err);
    return st;
}
