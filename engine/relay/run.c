/* The executor: batches of pictures through denoising and decoder, and out with their metadata. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/relay/plan.h"

/* What might help against NaN. */
const char *rf_plan_advice(const rf_plan *p)
{
    return p->engine->dtype == RF_F32 ? "" : " (try --dtype f32)";
}

/* One colour everywhere; a true picture differs within the first few pixels. */
static int is_constant(const rf_plan *p)
{
    const size_t bytes = (size_t)p->job.width * (size_t)p->job.height * 3;
    return memcmp(p->pixels, p->pixels + 3, bytes - 3) == 0;
}

static rf_status check_picture(const rf_plan *p, int index, rf_error *err)
{
    if (p->stats->non_finite)
        return rf_fail(err, RF_E_NAN,
                       "the VAE of %s gave NaN or infinity in picture %d; nothing was saved%s",
                       p->vae->name, index, rf_plan_advice(p));
    if (is_constant(p))
        return rf_fail(
            err, RF_E_NAN,
            "picture %d came out constant (every pixel is %d, %d, %d); nothing was saved", index,
            p->pixels[0], p->pixels[1], p->pixels[2]);
    return RF_OK;
}

/* Metadata names the files by their hashes, which a first run may still be computing: whoever wants
 * to stop is heard meanwhile. */
static rf_status await_hashes(rf_plan *p, const rf_callbacks *callbacks,
                              const rf_progress *progress, rf_error *err)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i <= p->expert_count; i++) {
        rf_expert *e = i < p->expert_count ? p->expert[i].expert : p->vae;
        while (rf_file_hash_pending(&e->hash)) {
            const rf_status st = rf_report(callbacks, progress, err);
            if (st != RF_OK) return st;
            nanosleep(&pause, NULL);
        }
    }
    return RF_OK;
}

static rf_status decode(rf_plan *p, const rf_batch *b, int i, const rf_callbacks *callbacks,
                        rf_error *err)
{
    const int         index = b->first + i;
    const size_t      elems = (size_t)p->h * (size_t)p->w * 4;
    const double      start = rf_now();
    rf_status         st = RF_OK;
    char             *parameters = NULL, *job = NULL;
    const rf_progress progress = {.phase = RF_PHASE_DECODE,
                                  .stage = p->active[p->active_count - 1],
                                  .expert = p->vae->name,
                                  .done = index,
                                  .total = p->job.count,
                                  .image = index,
                                  .images = 1};
    RF_TRY(rf_report(callbacks, &progress, err));
    memcpy(p->decode_latent, p->slot[RF_SOURCE_X] + (size_t)i * elems, elems * sizeof(float));
    RF_TRY(rf_program_run(&p->decode, &p->engine->device, err));
    p->timings.decode += rf_now() - start;
    RF_TRY(check_picture(p, index, err));
    if (callbacks && callbacks->image) {
        RF_TRY(await_hashes(p, callbacks, &progress, err));
        RF_TRY(rf_plan_infotext(p, index, &parameters, err));
        RF_TRY(rf_plan_job_json(p, index, &job, err));
        const rf_image image = {.index = index,
                                .seed = rf_picture_noise(p, index).seed,
                                .width = p->job.width,
                                .height = p->job.height,
                                .rgb = p->pixels,
                                .latent = p->decode_latent,
                                .parameters = parameters,
                                .job = job};
        st = callbacks->image(callbacks->user, &image, err);
    }
done:
    free(parameters);
    free(job);
    return st;
}

rf_status rf_plan_run(rf_plan *p, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    p->timings = (rf_timings){0};
    for (int i = 0; i < p->expert_count; i++) rf_file_hash_start(&p->expert[i].expert->hash);
    if (p->vae_is_separate) rf_file_hash_start(&p->vae->hash);
    RF_TRY(rf_plan_prepare(p, callbacks, err));
    for (int first = 0; first < p->job.count; first += p->batch) {
        const int      left = p->job.count - first;
        const rf_batch b = {.first = first,
                            .count = left < p->batch ? left : p->batch,
                            .kind = left < p->batch ? RF_LAST_BATCH : RF_WHOLE_BATCH};
        RF_TRY(rf_denoise(p, &b, callbacks, err));
        for (int i = 0; i < b.count; i++) RF_TRY(decode(p, &b, i, callbacks, err));
    }
done:
    return st;
}
