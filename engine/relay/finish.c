/* What a launch has finished: latents become pictures, several at a time where the slab has room
 * for that, and are judged and handed out with their metadata.
 *
 * Only latents of one launch are decoded together: no picture waits for another's calls. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/relay/ranges.h"
#include "engine/relay/run.h"

rf_picture rf_walk_picture(const rf_walk *w, int picture)
{
    const rf_picture p = w->tree->picture[picture];
    return (rf_picture){.job = p.job, .index = p.index + w->first};
}

/* What might help against NaN in a network that computes in `dtype`. */
static const char *advice(const rf_plan *p, rf_dtype dtype)
{
    if (dtype == RF_F16) return " (try --dtype bf16)"; /* which has the range that f16 lacks */
    if (dtype == RF_F32) return "";
    return rf_device_on_host(&p->engine->device) ? " (try --dtype f32)"
                                                 : " (try --device cpu --dtype f32)";
}

rf_progress rf_walk_progress(const rf_walk *w, rf_phase phase, rf_picture picture, int stage,
                             const char *expert)
{
    return (rf_progress){.phase = phase,
                         .stage = stage,
                         .expert = expert,
                         .image = picture.index,
                         .images = 1,
                         .job_index = picture.job,
                         .calls_done = w->plan->calls_done,
                         .calls = w->plan->calls_shared,
                         .pictures_done = w->plan->pictures_done,
                         .pictures = w->plan->pictures};
}

/* ---- pictures that go wrong ---------------------------------------------------------------- */

/* One picture's fault: whoever listens is told, and the others go on. */
static rf_status give_up(const rf_walk *w, rf_picture picture, const rf_error *why, rf_error *err)
{
    if (!w->callbacks || !w->callbacks->failed)
        return rf_fail(err, why->status, "%s", why->message);
    w->callbacks->failed(w->callbacks->user, picture.job, picture.index, why->status, why->message);
    return RF_OK;
}

static void describe_nan(const rf_walk *w, rf_picture picture, int slot, rf_error *why)
{
    const rf_plan      *p = w->plan;
    const rf_run_state *state = &p->slot[slot];
    rf_fail(why, RF_E_NAN,
            "picture %d became NaN or infinite at step %d of %d, in %s; nothing was saved%s",
            picture.index, state->failed + 1, p->job[picture.job].course.steps,
            p->expert[state->failed_expert].expert->name, advice(p, p->engine->dtype));
}

rf_status rf_walk_check(const rf_walk *w, rf_error *err)
{
    const rf_ring_mark *bad = &w->plan->ring.bad;
    rf_error            why = {0};
    if (bad->slot < 0 || (w->callbacks && w->callbacks->failed)) return RF_OK;
    describe_nan(w, bad->picture, bad->slot, &why);
    return give_up(w, bad->picture, &why, err);
}

/* ---- decoding ----------------------------------------------------------------------------- */

/* Latents that go through a decoder together. */
typedef struct decoding {
    int                   decoder;
    const rf_launch_item *item[RF_BATCH_MAX];
    int                   count, decoded;
} decoding;

static size_t pixel_bytes(const rf_job *job)
{
    return (size_t)job->width * (size_t)job->height * 3;
}

/* Of the picture at that place of the decoding. */
static const uint8_t *pixels_at(const rf_plan *p, const rf_job *job, int at)
{
    return (const uint8_t *)p->pixels.host + (size_t)at * pixel_bytes(job);
}

/* One colour everywhere; a true picture differs within the first few pixels. */
static int is_constant(const uint8_t *pixels, const rf_job *job)
{
    return memcmp(pixels, pixels + 3, pixel_bytes(job) - 3) == 0;
}

/* `at`: its place in the decoding. */
static rf_status check_picture(const rf_plan *p, rf_picture picture, int at, rf_error *why)
{
    const rf_plan_job *j = &p->job[picture.job];
    const uint8_t     *pixels = pixels_at(p, &j->job, at);
    if (((const rf_pixels_stats *)p->stats.host)[at].non_finite)
        return rf_fail(why, RF_E_NAN,
                       "the VAE of %s gave NaN or infinity in picture %d; nothing was saved%s",
                       p->vae[j->vae].expert->name, picture.index, advice(p, p->engine->vae_dtype));
    const rf_plan_init *init = rf_init_of(p, picture.job);
    if (is_constant(pixels, &j->job) && !(init && rf_init_is_flat(init)))
        return rf_fail(
            why, RF_E_NAN,
            "picture %d came out constant (every pixel is %d, %d, %d); nothing was saved",
            picture.index, pixels[0], pixels[1], pixels[2]);
    return RF_OK;
}

static int hashes_pending(rf_expert *e)
{
    int pending = rf_file_hash_pending(e->hash);
    for (int i = 0; i < e->merges; i++)
        pending |= rf_file_hash_pending(&e->merge[i].file->hash) |
                   rf_file_hash_pending(&e->merge[i].file->body);
    return pending;
}

/* Metadata names the files by their hashes, which a first run may still be computing: whoever wants
 * to stop is heard meanwhile. */
static rf_status await_hashes(const rf_walk *w, const rf_progress *progress, rf_error *err)
{
    const rf_plan        *p = w->plan;
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < p->expert_count + p->vaes; i++) {
        rf_expert *e =
            i < p->expert_count ? p->expert[i].expert : p->vae[i - p->expert_count].expert;
        while (hashes_pending(e)) {
            const rf_status st = rf_report(w->callbacks, progress, err);
            if (st != RF_OK) return st;
            nanosleep(&pause, NULL);
        }
    }
    return RF_OK;
}

static rf_status hand_out(const rf_walk *w, rf_picture picture, int at, const rf_progress *progress,
                          rf_error *err)
{
    rf_plan           *p = w->plan;
    const rf_plan_job *j = &p->job[picture.job];
    rf_status          st = RF_OK;
    char              *parameters = NULL, *job = NULL;
    if (!w->callbacks || !w->callbacks->image) return RF_OK;
    rf_range_part(p, "hand out", NULL, "wait for hashes");
    RF_TRY(await_hashes(w, progress, err));
    rf_range_part(p, "hand out", NULL, "picture");
    RF_TRY(rf_plan_infotext(p, picture, &parameters, err));
    RF_TRY(rf_plan_job_json(p, picture, &job, err));
    const rf_image image = {.job_index = picture.job,
                            .index = picture.index,
                            .seed = rf_picture_noise(p, picture).seed,
                            .width = j->job.width,
                            .height = j->job.height,
                            .rgb = pixels_at(p, &j->job, at),
                            .latent = (const float *)p->decode_latent.host +
                                      (size_t)at * (size_t)j->h * (size_t)j->w * 4,
                            .parameters = parameters,
                            .job = job};
    st = w->callbacks->image(w->callbacks->user, &image, err);
    rf_trace_end(p->engine->device.trace, RF_TRACE_PHASE);
done:
    free(parameters);
    free(job);
    return st;
}

/* Latents, pixels and statistics, where the host reads them. */
static rf_status bring_pictures(rf_plan *p, const rf_plan_decoder *decoder, int count,
                                rf_error *err)
{
    rf_device   *device = &p->engine->device;
    const size_t n = (size_t)count, places = n * (size_t)decoder->h * (size_t)decoder->w;
    rf_status    st = RF_OK;
    RF_TRY(rf_twin_down(device, &p->decode_latent, 0, places * 4 * sizeof(float), err));
    RF_TRY(rf_twin_down(device, &p->pixels, 0, places * 64 * 3, err));
    RF_TRY(rf_twin_down(device, &p->stats, 0, n * sizeof(rf_pixels_stats), err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

/* The next picture of that latent, from `picture` on, that the decoder is for; -1: none. */
static int next_of(const rf_walk *w, int picture, int decoder)
{
    while (picture >= 0 && w->plan->job[w->tree->picture[picture].job].decoder != decoder)
        picture = w->tree->next[picture];
    return picture;
}

/* What item number `at` of a decoding started from; NULL: noise.  Pictures of one latent have
 * this in common. */
static const rf_plan_init *init_at(const rf_walk *w, const decoding *d, int at)
{
    const int picture = next_of(w, w->tree->first[d->item[at]->node], d->decoder);
    return rf_init_of(w->plan, w->tree->picture[picture].job);
}

/* Cells that a mask leaves as they are, in the finished latent. */
static rf_status keep_cells(const rf_plan *p, const rf_plan_init *init, float *latent,
                            rf_error *err)
{
    enum { AT_ONCE = 17 }; /* of 1024 x 1024 cells */
    rf_lincomb_args op[AT_ONCE];
    rf_device      *device = &p->engine->device;
    const int       ops = rf_init_keep(p, init, latent, op);
    rf_status       st = rf_device_bind(device, err);
    rf_device_note(device, "the mask in the latent");
    for (int i = 0; i < ops && st == RF_OK; i++) {
        st = device->ops->lincomb(device->stream, &op[i]);
        if (st == RF_OK) continue;
        const rf_status cause = rf_device_check(device, err);
        return cause != RF_OK ? cause : rf_fail(err, st, "mask: the lincomb op failed");
    }
    return st;
}

static rf_status decode(const rf_walk *w, const decoding *d, rf_error *err)
{
    rf_plan               *p = w->plan;
    const double           start = rf_now();
    const rf_plan_decoder *decoder = &p->decoder[d->decoder];
    rf_device             *device = &p->engine->device;
    const size_t           elems = (size_t)decoder->h * (size_t)decoder->w * 4;
    rf_status              st = RF_OK;
    for (int i = 0; i < d->count; i++) {
        float              *latent = (float *)p->decode_latent.device + (size_t)i * elems;
        const rf_plan_init *init = init_at(w, d, i);
        RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_WITHIN, latent,
                              rf_slot_row(p, d->item[i]->slot, RF_SOURCE_X), elems * sizeof(float),
                              err));
        if (init && init->mask) RF_TRY(keep_cells(p, init, latent, err));
    }
    rf_range_network(p, "decode", p->vae[decoder->vae].expert, RF_NET_VAE);
    RF_TRY(rf_program_run(&decoder->program[d->count], device, err));
    RF_TRY(bring_pictures(p, decoder, d->count, err));
    for (int i = 0; i < d->count; i++) {
        const rf_plan_init *init = init_at(w, d, i);
        if (init && init->mask)
            rf_mask_compose(init->mask, init->rgb,
                            (uint8_t *)p->pixels.host + (size_t)i * elems / 4 * 64 * 3, elems * 16);
    }
    rf_trace_end(device->trace, RF_TRACE_PHASE);
    p->timings.decode += rf_now() - start;
done:
    return st;
}

/* Of the latent that stands at `at`; the first picture has all of them decoded. */
static rf_status finish_picture(rf_walk *w, rf_picture picture, decoding *d, int at, rf_error *err)
{
    rf_plan           *p = w->plan;
    const rf_plan_job *j = &p->job[picture.job];
    const int          slot = d->item[at]->slot, stage = j->active[j->active_count - 1];
    rf_error           why = {0};
    rf_status          st = RF_OK;
    rf_progress        progress =
        rf_walk_progress(w, RF_PHASE_DECODE, picture, stage, p->vae[j->vae].expert->name);
    progress.done = p->pictures_done;
    progress.total = p->pictures;
    if (p->slot[slot].failed >= 0) {
        describe_nan(w, picture, slot, &why);
        st = give_up(w, picture, &why, err);
        goto done;
    }
    RF_TRY(rf_report(w->callbacks, &progress, err));
    if (!d->decoded) RF_TRY(decode(w, d, err));
    d->decoded = 1;
    if (check_picture(p, picture, at, &why) != RF_OK)
        st = give_up(w, picture, &why, err);
    else
        st = hand_out(w, picture, at, &progress, err);
done:
    p->pictures_done++;
    return st;
}

/* ---- a launch's latents ------------------------------------------------------------------- */

/* Several pictures may have one latent. */
static rf_status finish_decoding(rf_walk *w, decoding *d, rf_error *err)
{
    for (int at = 0; at < d->count; at++)
        for (int i = next_of(w, w->tree->first[d->item[at]->node], d->decoder); i >= 0;
             i = next_of(w, w->tree->next[i], d->decoder)) {
            const rf_status st = finish_picture(w, rf_walk_picture(w, i), d, at, err);
            if (st != RF_OK) return st;
        }
    d->count = d->decoded = 0;
    return RF_OK;
}

static rf_status finish_with(rf_walk *w, const rf_launch *l, int decoder, rf_error *err)
{
    decoding  d = {.decoder = decoder};
    rf_status st = RF_OK;
    for (int i = l->first; i < l->first + l->count; i++) {
        const rf_launch_item *item = &w->tree->launches.item[i];
        if (!item->leaf || next_of(w, w->tree->first[item->node], decoder) < 0) continue;
        d.item[d.count++] = item;
        if (d.count == w->plan->decoder[decoder].at_a_time) RF_TRY(finish_decoding(w, &d, err));
    }
    RF_TRY(finish_decoding(w, &d, err));
done:
    return st;
}

rf_status rf_walk_finish(rf_walk *w, const rf_launch *l, rf_error *err)
{
    int leaves = 0;
    for (int i = l->first; i < l->first + l->count; i++) leaves += w->tree->launches.item[i].leaf;
    if (leaves == 0) return RF_OK;
    const rf_status st = rf_range_no_step(w->plan, err);
    if (st != RF_OK) return st;
    for (int d = 0; d < w->plan->decoders; d++) {
        const rf_status finished = finish_with(w, l, d, err);
        if (finished != RF_OK) return finished;
    }
    w->plan->last_end = 0; /* what comes next is no gap between two calls */
    return RF_OK;
}
