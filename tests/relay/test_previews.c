/* Previews during a run: how many, of which calls and pictures, in which colours; and that nothing
 * else is another for them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/latent_map.h"
#include "tests/files/fixture.h"
#include "tests/model/taesd_file.h"
#include "tests/relay/relays.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

enum { SHOWN = 64 };

typedef struct seen {
    pictures  *out;
    rf_device *device;
    rf_preview shown[SHOWN]; /* without pixels */
    uint8_t   *rgb[SHOWN];
    int        count, reports, stop_at; /* stop_at: reports of calls; 0: never */
    size_t     allocations;             /* at the first call's report */
} seen;

static void on_preview(void *user, const rf_preview *preview)
{
    seen        *s = user;
    const size_t bytes = (size_t)preview->width * (size_t)preview->height * 3;
    cr_assert_lt(s->count, SHOWN);
    s->shown[s->count] = *preview;
    s->shown[s->count].rgb = NULL;
    s->rgb[s->count] = malloc(bytes);
    cr_assert_not_null(s->rgb[s->count]);
    memcpy(s->rgb[s->count++], preview->rgb, bytes);
}

static int on_progress(void *user, const rf_progress *progress)
{
    seen *s = user;
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (s->reports++ == 0) s->allocations = s->device->allocations;
    cr_expect_eq(s->device->allocations, s->allocations, "something is taken during the run");
    return s->reports == s->stop_at;
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    seen              *s = user;
    pictures           p;
    const rf_callbacks keep = pictures_into(&p);
    p = *s->out;
    const rf_status st = keep.image(&p, image, err);
    *s->out = p;
    return st;
}

static seen watch(relays *r, pictures *out)
{
    *out = (pictures){0};
    return (seen){.out = out, .device = &r->engine->device};
}

static rf_callbacks callbacks_of(seen *s)
{
    return (rf_callbacks){
        .progress = on_progress, .image = on_image, .preview = on_preview, .user = s};
}

static void forget(seen *s)
{
    for (int i = 0; i < s->count; i++) free(s->rgb[i]);
    s->count = s->reports = 0;
}

static rf_status render(relays *r, const rf_job *jobs, int count, seen *s, rf_error *err)
{
    rf_plan           *plan = NULL;
    const rf_callbacks callbacks = callbacks_of(s);
    rf_status          st = rf_plan_create_many(&plan, r->engine, jobs, count, err);
    if (st == RF_OK) st = rf_plan_run(plan, &callbacks, err);
    rf_plan_destroy(plan);
    return st;
}

static rf_job relay_job(const relays *r, rf_stage stage[2], int steps)
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 3};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 1};
    return relays_job(stage, 2, steps);
}

/* ---- nothing else changes ----------------------------------------------------------------- */

/* Three pictures in batches of two, six calls each: previews after calls 2 and 4, for the picture
 * follows the sixth. */
Test(previews, pictures_are_the_same_bytes, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    pictures without, with;
    relays_open(&r, NULL);
    rf_job job = relay_job(&r, stage, 6);
    job.sampler = "Euler a";
    job.count = 3;
    job.batch = 2;
    relays_render(&r, &job, &without);
    char *file = taesd_write(16, TAESD_ORIGINAL);
    for (int tiny = 0; tiny < 2; tiny++) {
        seen s = watch(&r, &with);
        job.preview_every = 2;
        job.preview_vae = tiny ? file : NULL;
        must(render(&r, &job, 1, &s, &err), &err);
        pictures_expect_equal(&without, &with, tiny ? "TAESDXL" : "linear", 1);
        cr_assert_eq(s.count, 6, "%d previews", s.count);
        for (int i = 0; i < s.count; i++) {
            const rf_preview *p = &s.shown[i];
            cr_expect_eq(p->index, i < 4 ? i % 2 : 2, "%d: picture %d", i, p->index);
            cr_expect_eq(p->call, (i < 4 ? i / 2 : i - 4) * 2 + 2, "%d: call %d", i, p->call);
            cr_expect_eq(p->calls, 6);
            cr_expect_eq(p->job_index, 0);
            cr_expect_eq(p->width, tiny ? 64 : 8);
            cr_expect_eq(p->height, tiny ? 64 : 8);
        }
        cr_expect_neq(memcmp(s.rgb[0], s.rgb[1], 8 * 8 * 3), 0, "two pictures");
        cr_expect_neq(memcmp(s.rgb[0], s.rgb[2], 8 * 8 * 3), 0, "two calls");
        forget(&s);
        pictures_free(&with);
    }
    pictures_free(&without);
    taesd_remove(file);
    relays_close(&r);
}

/* ---- which ones --------------------------------------------------------------------------- */

static void expect_count(relays *r, const rf_job *job, int count, const char *what)
{
    rf_error err = {0};
    pictures out;
    seen     s = watch(r, &out);
    must(render(r, job, 1, &s, &err), &err);
    cr_expect_eq(s.count, count, "%s: %d previews", what, s.count);
    forget(&s);
    pictures_free(&out);
}

Test(previews, one_every_so_many_calls, .timeout = 240)
{
    static const struct {
        const char *sampler;
        int         steps, every, count;
    } rows[] = {
        {"Euler", 4, 0, 0}, {"Euler", 4, 1, 3},  {"Euler", 4, 3, 1},
        {"Euler", 4, 4, 0}, {"Euler", 4, 99, 0}, {"Heun", 3, 2, 2}, /* of five calls */
        {"Euler", 1, 1, 0},
    };
    relays   r;
    rf_stage stage[2];
    relays_open(&r, &bf16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_job job = relay_job(&r, stage, rows[i].steps);
        job.sampler = rows[i].sampler;
        job.preview_every = rows[i].every;
        expect_count(&r, &job, rows[i].count, rows[i].sampler);
    }
    relays_close(&r);
}

/* Nobody knows how many calls there will be; the previews count up. */
Test(previews, of_dpm_adaptive, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    pictures without, with;
    relays_open(&r, NULL);
    rf_job job = relay_job(&r, stage, 6);
    job.sampler = "DPM adaptive";
    relays_render(&r, &job, &without);
    job.preview_every = 3;
    seen s = watch(&r, &with);
    must(render(&r, &job, 1, &s, &err), &err);
    pictures_expect_equal(&without, &with, "adaptive", 1);
    cr_expect_gt(s.count, 1);
    for (int i = 0; i < s.count; i++) {
        cr_expect_eq(s.shown[i].call, 3 * (i + 1));
        cr_expect_eq(s.shown[i].calls, 0);
    }
    forget(&s);
    pictures_free(&without);
    pictures_free(&with);
    relays_close(&r);
}

/* img2img makes fewer calls, and these are counted. */
Test(previews, of_a_run_that_begins_from_a_picture, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures without, with;
    rf_error err = {0};
    uint8_t  rgb[64 * 64 * 3], mask[64 * 64];
    relays_open(&r, &bf16);
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 31 % 251);
    memset(mask, 0, sizeof mask / 2);
    memset(mask + sizeof mask / 2, 255, sizeof mask / 2);
    const rf_init init = {.rgb = rgb, .mask = mask, .denoise = 0.6};
    rf_job        job = relay_job(&r, stage, 10);
    job.init = &init;
    relays_render(&r, &job, &without);
    job.preview_every = 2;
    seen s = watch(&r, &with);
    must(render(&r, &job, 1, &s, &err), &err);
    pictures_expect_equal(&without, &with, "from a picture", 1);
    cr_assert_gt(s.count, 0);
    cr_expect_lt(s.shown[0].calls, 10);
    cr_expect_eq(s.count, (s.shown[0].calls - 1) / 2);
    for (int i = 0; i < s.count; i++) cr_expect_eq(s.shown[i].call, 2 * (i + 1));
    forget(&s);
    pictures_free(&without);
    pictures_free(&with);
    relays_close(&r);
}

/* Two jobs that part after two of four calls: what they share is shown once. */
Test(previews, a_shared_call_is_shown_once, .timeout = 240)
{
    relays   r;
    rf_stage a[2], b[2];
    rf_error err = {0};
    relays_open(&r, &bf16);
    rf_job job[2] = {relay_job(&r, a, 4), relay_job(&r, b, 4)};
    b[1].prompt = "c";
    for (int i = 0; i < 2; i++) job[i].preview_every = 1;
    rf_plan *plan = NULL;
    pictures out;
    seen     s = watch(&r, &out);
    must(rf_plan_create_many(&plan, r.engine, job, 2, &err), &err);
    const rf_callbacks callbacks = {.preview = on_preview, .user = &s};
    must(rf_plan_run(plan, &callbacks, &err), &err);
    int of[2] = {0, 0};
    for (int i = 0; i < s.count; i++) of[s.shown[i].job_index]++;
    cr_expect_eq(of[0], 3);
    cr_expect_eq(of[1], 1, "only what it does not share");
    rf_plan_destroy(plan);
    forget(&s);
    relays_close(&r);
}

/* Stopped after the third report: the previews until then, and a second run is whole. */
Test(previews, a_cancelled_run, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    pictures whole, again;
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage, 4);
    relays_render(&r, &job, &whole);
    job.preview_every = 1;
    rf_plan           *plan = relays_plan(&r, &job);
    seen               s = watch(&r, &again);
    const rf_callbacks callbacks = callbacks_of(&s);
    s.stop_at = 3;
    cr_expect_eq(rf_plan_run(plan, &callbacks, &err), RF_E_CANCELLED);
    cr_expect_eq(s.count, 2);
    forget(&s);
    s.stop_at = 0;
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect_eq(s.count, 3);
    pictures_expect_equal(&whole, &again, "after a stop", 1);
    forget(&s);
    rf_plan_destroy(plan);
    pictures_free(&whole);
    pictures_free(&again);
    relays_close(&r);
}

/* ---- memory ------------------------------------------------------------------------------- */

static int compare_sizes(void *user, const rf_progress *progress)
{
    rf_plan     *plan = user;
    rf_plan_info info;
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    rf_plan_get_info(plan, &info);
    cr_expect_eq(plan->engine->device.bytes_held, info.slab_bytes + info.kv_bytes +
                                                      info.state_bytes + info.unet_bytes +
                                                      info.vae_bytes);
    cr_expect_eq(plan->engine->device.bytes_peak, info.peak_bytes);
    return 0;
}

static void ignore(void *user, const rf_preview *preview)
{
    (void)user, (void)preview;
}

Test(previews, announced_sizes_are_allocated_sizes, .timeout = 240)
{
    char *file = taesd_write(64, TAESD_DIFFUSERS);
    for (int tiny = 0; tiny < 2; tiny++) {
        relays   r;
        rf_stage stage[2];
        rf_error err = {0};
        relays_open(&r, &bf16);
        relays_hash(&r);
        rf_job job = relay_job(&r, stage, 3);
        job.preview_every = 1;
        job.preview_vae = tiny ? file : NULL;
        rf_plan           *plan = relays_plan(&r, &job);
        const rf_callbacks callbacks = {.progress = compare_sizes, .preview = ignore, .user = plan};
        for (int run = 0; run < 2; run++) must(rf_plan_run(plan, &callbacks, &err), &err);
        rf_plan_destroy(plan);
        relays_close(&r);
    }
    taesd_remove(file);
}

/* ---- colours ------------------------------------------------------------------------------ */

/* Each of the probe's patches has one colour: what a linear VAE would make of it comes back. */
Test(latent_map, a_linear_vae_is_found_again)
{
    static const float want[RF_LATENT_MAP] = {.1f,  .05f, .02f, -.06f, .11f, .04f, .03f, -.02f,
                                              .09f, .02f, .01f, -.1f,  .5f,  .45f, .55f};
    uint8_t           *rgb = malloc((size_t)3 * RF_PROBE_PIXELS * RF_PROBE_PIXELS);
    float              latent[RF_PROBE_SIDE * RF_PROBE_SIDE * 4], map[RF_LATENT_MAP];
    cr_assert_not_null(rgb);
    rf_latent_map_probe(latent);
    for (int y = 0; y < RF_PROBE_PIXELS; y++)
        for (int x = 0; x < RF_PROBE_PIXELS; x++)
            for (int k = 0; k < 3; k++) {
                const float *l = latent + (y / 8 * RF_PROBE_SIDE + x / 8) * 4;
                float        v = want[12 + k];
                for (int c = 0; c < 4; c++) v += want[3 * c + k] * l[c];
                rgb[(y * RF_PROBE_PIXELS + x) * 3 + k] = (uint8_t)lrintf(255 * v);
            }
    rf_latent_map_fit(map, rgb);
    for (int i = 0; i < RF_LATENT_MAP; i++)
        cr_expect(fabsf(map[i] - want[i]) < 0.5f / 255, "%d: %g", i, (double)map[i]);
    free(rgb);
}

/* SDXL's own VAE has a published map; any other size none. */
Test(latent_map, known_for_one_size)
{
    rf_vae_arch vae = {.width = 128, .levels = 4, .mult = {1, 2, 4, 4}, .blocks = 2, .z = 4};
    float       map[RF_LATENT_MAP];
    cr_assert(rf_latent_map_known(map, &vae));
    cr_expect_float_eq(map[0], 0.18255f, 1e-6f);
    cr_expect_float_eq(map[12], 0.5542f, 1e-6f);
    vae.mult[3] = 2;
    cr_expect_not(rf_latent_map_known(map, &vae));
    vae = (rf_vae_arch){.width = 32, .levels = 4, .mult = {1, 2, 4, 4}, .blocks = 2};
    cr_expect_not(rf_latent_map_known(map, &vae));
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void refused(relays *r, const rf_job *jobs, int count, rf_status status, const char *text)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    cr_expect_eq(rf_plan_create_many(&plan, r->engine, jobs, count, &err), status, "%s", text);
    cr_expect_not_null(strstr(err.message, text), "\"%s\" should say \"%s\"", err.message, text);
    cr_expect_null(plan);
}

Test(previews, what_cannot_be_is_refused, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, &bf16);
    char  *file = taesd_write(16, TAESD_BOTH_HALVES);
    rf_job job = relay_job(&r, stage, 2);
    job.preview_every = -1;
    refused(&r, &job, 1, RF_E_ARG, "preview_every is -1");
    job.preview_every = 1;
    job.preview_vae = r.path[0];
    refused(&r, &job, 1, RF_E_MODEL, "no decoder of a tiny autoencoder");
    job.preview_vae = "no-such-file.safetensors";
    refused(&r, &job, 1, RF_E_NOT_FOUND, "no-such-file");
    rf_job two[2] = {job, job};
    two[0].preview_vae = NULL;
    two[1].preview_vae = file;
    refused(&r, two, 2, RF_E_ARG, "the jobs of a plan have one");
    two[0].preview_every = 0; /* shows none, so it does not matter */
    rf_plan *plan = NULL;
    rf_error err = {0};
    must(rf_plan_create_many(&plan, r.engine, two, 2, &err), &err);
    rf_plan_destroy(plan);
    taesd_remove(file);
    relays_close(&r);
}
