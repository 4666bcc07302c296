/* See preview.h. */
#include "engine/relay/preview.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/trace.h"
#include "engine/files/taesd_layout.h"
#include "engine/model/taesd.h"
#include "engine/relay/plan.h"

/* ---- planning ----------------------------------------------------------------------------- */

static rf_status open_decoder(rf_plan *p, const char *path, rf_error *err)
{
    rf_preview_kit *kit = &p->preview;
    rf_status       st = RF_OK;
    kit->path = strdup(path);
    if (!kit->path) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    RF_TRY(rf_model_file_open(&kit->file, path, err));
    RF_TRY(rf_taesd_derive(&kit->arch, rf_model_file_list(kit->file), err));
done:
    return st;
}

rf_status rf_preview_add_job(rf_plan *p, const rf_job *job, rf_error *err)
{
    rf_preview_kit *kit = &p->preview;
    if (job->preview_every == 0) return RF_OK;
    if (kit->asked) {
        const int same = kit->path && job->preview_vae ? strcmp(kit->path, job->preview_vae) == 0
                                                       : !kit->path && !job->preview_vae;
        if (same) return RF_OK;
        return rf_fail(err, RF_E_ARG, "preview_vae: the jobs of a plan have one for all of them");
    }
    kit->asked = 1;
    return job->preview_vae ? open_decoder(p, job->preview_vae, err) : RF_OK;
}

static rf_taesd_args taesd_args(const rf_plan *p, const rf_plan_decoder *d)
{
    return (rf_taesd_args){.arch = &p->preview.arch,
                           .latent = p->preview.latent.device,
                           .pixels = p->pixels.device,
                           .stats = p->stats.device,
                           .n = 1,
                           .h = d->h,
                           .w = d->w};
}

/* The probe of a VAE, which goes where latents go that are decoded. */
static rf_vae_decode_args probe_args(const rf_plan *p, int vae)
{
    const rf_plan_decoder probe = {.vae = vae, .h = RF_PROBE_SIDE, .w = RF_PROBE_SIDE};
    return rf_decode_args(p, &probe, 1);
}

static int needs_probe(const rf_plan *p, int vae)
{
    float map[RF_LATENT_MAP];
    return !rf_latent_map_known(map, &p->vae[vae].expert->arch.vae);
}

static void widen(size_t *most, size_t bytes)
{
    if (bytes > *most) *most = bytes;
}

static rf_status size_decoder(rf_plan *p, rf_error *err)
{
    rf_preview_kit     *kit = &p->preview;
    rf_device          *device = &p->engine->device;
    const rf_taesd_args least = {.arch = &kit->arch, .n = 1, .h = 8, .w = 8};
    rf_status           st = RF_OK;
    kit->patch = rf_taesd_patch(&kit->arch);
    kit->weights = (rf_weights){.file = rf_model_file_list(kit->file),
                                .prefix = kit->arch.prefix,
                                .dtype = p->engine->dtype,
                                .patch = &kit->patch};
    RF_TRY(rf_record_list(device, &kit->weights, rf_taesd_decode, &least, err));
    widen(&p->staging_bytes, kit->weights.staging_bytes);
    widen(&p->merge_bytes, kit->weights.host_bytes);
    p->vae_bytes += kit->weights.bytes;
    for (int i = 0; i < p->decoders; i++) {
        const rf_taesd_args args = taesd_args(p, &p->decoder[i]);
        size_t              bytes = 0;
        RF_TRY(rf_record_count(device, &kit->weights, 0, rf_taesd_decode, &args, &bytes, err));
        widen(&p->slab_bytes, bytes);
    }
done:
    return st;
}

rf_status rf_preview_size(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    if (!p->preview.asked) return RF_OK;
    if (p->preview.path) return size_decoder(p, err);
    for (int i = 0; i < p->vaes; i++) {
        const rf_vae_decode_args args = probe_args(p, i);
        size_t                   bytes = 0;
        if (!needs_probe(p, i)) continue;
        RF_TRY(rf_record_count(&p->engine->device, &p->vae[i].expert->weights[RF_NET_VAE], 0,
                               rf_vae_decode, &args, &bytes, err));
        widen(&p->slab_bytes, bytes);
        widen(&p->decode_elems, (size_t)RF_PROBE_SIDE * RF_PROBE_SIDE * 4);
    }
done:
    return st;
}

/* ---- preparing ---------------------------------------------------------------------------- */

static rf_status prepare_decoder(rf_plan *p, void *staging, rf_error *err)
{
    rf_preview_kit *kit = &p->preview;
    rf_device      *device = &p->engine->device;
    rf_status       st = RF_OK;
    if (!kit->weights.base) RF_TRY(rf_weights_load(&kit->weights, device, staging, NULL, err));
    for (int i = 0; i < p->decoders; i++) {
        const rf_taesd_args args = taesd_args(p, &p->decoder[i]);
        RF_TRY(rf_record_place(device, &kit->weights, 0, rf_taesd_decode, &args, p->slab,
                               p->slab_bytes, &p->decoder[i].preview, err));
    }
done:
    return st;
}

static rf_status bring_pixels(rf_plan *p, size_t bytes, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_twin_down(&p->engine->device, &p->pixels, 0, bytes, err));
    RF_TRY(rf_device_wait(&p->engine->device, err));
done:
    return st;
}

static rf_status probe(rf_plan *p, int vae, rf_error *err)
{
    enum {
        ELEMS = RF_PROBE_SIDE * RF_PROBE_SIDE * 4,
        BYTES = 3 * RF_PROBE_PIXELS * RF_PROBE_PIXELS
    };
    rf_device               *device = &p->engine->device;
    const rf_vae_decode_args args = probe_args(p, vae);
    rf_status                st = RF_OK;
    rf_latent_map_probe(p->decode_latent.host);
    RF_TRY(rf_twin_up(device, &p->decode_latent, 0, ELEMS * sizeof(float), err));
    RF_TRY(rf_record_place(device, &p->vae[vae].expert->weights[RF_NET_VAE], 0, rf_vae_decode,
                           &args, p->slab, p->slab_bytes, &p->scratch_program, err));
    RF_TRY(rf_program_run(&p->scratch_program, device, err));
    RF_TRY(bring_pixels(p, BYTES, err));
    rf_latent_map_fit(p->vae[vae].map, p->pixels.host);
done:
    return st;
}

rf_status rf_preview_prepare(rf_plan *p, void *staging, rf_error *err)
{
    rf_status st = RF_OK;
    if (!p->preview.asked) return RF_OK;
    if (p->preview.path) return prepare_decoder(p, staging, err);
    for (int i = 0; i < p->vaes; i++)
        if (!rf_latent_map_known(p->vae[i].map, &p->vae[i].expert->arch.vae))
            RF_TRY(probe(p, i, err));
done:
    return st;
}

/* ---- showing ------------------------------------------------------------------------------ */

/* The last call's x0 is not shown: the picture follows. */
static int is_due(const rf_plan *p, const rf_sample *sample)
{
    const rf_plan_job *j = &p->job[sample->picture.job];
    const int          every = j->job.preview_every;
    return every > 0 && sample->made % every == 0 &&
           (j->course.adaptive || sample->made < j->course.calls);
}

/* An eighth of the picture. */
static rf_status map_linearly(rf_plan *p, const rf_plan_job *j, const float *x0, rf_error *err)
{
    rf_device      *device = &p->engine->device;
    rf_preview_kit *kit = &p->preview;
    float          *map = kit->map.host;
    rf_status       st = RF_OK;
    memcpy(map, p->vae[j->vae].map, sizeof p->vae[j->vae].map);
    map[RF_LATENT_MAP] = 1;
    RF_TRY(rf_twin_up(device, &kit->map, 0, RF_PREVIEW_MAP * sizeof *map, err));
    const float             *there = kit->map.device;
    const rf_latent_rgb_args args = {.y = p->pixels.device,
                                     .x = x0,
                                     .map = there,
                                     .scale = there + RF_LATENT_MAP,
                                     .n = 1,
                                     .hw = j->h * j->w};
    rf_device_note(device, "preview");
    st = device->ops->latent_rgb(device->stream, &args);
    if (st != RF_OK) {
        const rf_status cause = rf_device_check(device, err);
        st = cause != RF_OK ? cause : rf_fail(err, st, "the preview's linear map failed");
        goto done;
    }
    RF_TRY(bring_pixels(p, (size_t)j->h * (size_t)j->w * 3, err));
done:
    return st;
}

/* As large as the picture. */
static rf_status decode(rf_plan *p, const rf_plan_job *j, const float *x0, rf_error *err)
{
    rf_device      *device = &p->engine->device;
    rf_preview_kit *kit = &p->preview;
    const size_t    elems = (size_t)j->h * (size_t)j->w * 4;
    const rf_dtype  dtype = p->engine->dtype;
    rf_status       st = RF_OK;
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, p->scratch, x0, elems * sizeof *x0,
                          err));
    RF_TRY(rf_device_wait(device, err));
    rf_taesd_enter(kit->latent.host, dtype, p->scratch, elems);
    RF_TRY(rf_twin_up(device, &kit->latent, 0, elems * rf_dtype_bytes(dtype), err));
    RF_TRY(rf_program_run(&p->decoder[j->decoder].preview, device, err));
    RF_TRY(bring_pixels(p, elems / 4 * 64 * 3, err));
done:
    return st;
}

static rf_status show(rf_plan *p, const rf_sample *sample, const float *x0,
                      const rf_callbacks *callbacks, rf_error *err)
{
    const rf_plan_job *j = &p->job[sample->picture.job];
    const int          side = p->preview.path ? 8 : 1;
    const rf_status    st = p->preview.path ? decode(p, j, x0, err) : map_linearly(p, j, x0, err);
    if (st != RF_OK) return st;
    callbacks->preview(callbacks->user,
                       &(rf_preview){.job_index = sample->picture.job,
                                     .index = sample->picture.index,
                                     .call = sample->made,
                                     .calls = j->course.adaptive ? 0 : j->course.calls,
                                     .width = j->w * side,
                                     .height = j->h * side,
                                     .rgb = p->pixels.host});
    return RF_OK;
}

rf_status rf_preview_show(rf_plan *p, const rf_pass *pass, const rf_callbacks *callbacks,
                          rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = RF_OK;
    int        due = 0;
    if (!p->preview.asked || !callbacks || !callbacks->preview) return RF_OK;
    for (int i = 0; i < pass->count; i++) due |= is_due(p, &pass->sample[i]);
    if (!due) return RF_OK;
    rf_trace_begin(device->trace, RF_TRACE_PART, "preview");
    RF_TRY(rf_denoise_settle(p, err)); /* who has failed is known now, and not shown */
    for (int i = 0; i < pass->count; i++) {
        const rf_sample *sample = &pass->sample[i];
        const size_t     row = (size_t)p->sample_row[RF_SOURCE_D] + (size_t)i;
        if (is_due(p, sample) && p->slot[sample->slot].failed < 0)
            RF_TRY(show(p, sample, p->pool + row * p->elems, callbacks, err));
    }
    p->last_end = 0; /* what comes next is no gap between two calls */
    rf_trace_end(device->trace, RF_TRACE_PART);
done:
    return st;
}

void rf_preview_free(rf_plan *p)
{
    rf_preview_kit *kit = &p->preview;
    for (int i = 0; i < p->decoders; i++) rf_program_free(&p->decoder[i].preview);
    rf_weights_free(&kit->weights, &p->engine->device);
    rf_model_file_close(kit->file);
    free(kit->path);
    *kit = (rf_preview_kit){0};
}
