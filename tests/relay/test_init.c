/* Runs that start from a picture: what they begin with, that nothing else of them differs from a
 * run from noise, what masks keep, who shares what, and what metadata says. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/sweeps.h"

enum { SIDE = 64, CELLS = SIDE / 8, LATENT = CELLS * CELLS * 4, PIXELS = SIDE * SIDE };

static uint8_t picture[2][PIXELS * 3], mask[PIXELS];
static rf_init init;

static void paint(void)
{
    for (int i = 0; i < PIXELS * 3; i++) {
        const int x = i / 3 % SIDE, y = i / 3 / SIDE;
        picture[0][i] = (uint8_t)(3 * x + 40 * (i % 3) + (y * y) % 97);
        picture[1][i] = (uint8_t)(255 - 2 * y + 30 * (i % 3));
    }
    for (int i = 0; i < PIXELS; i++) mask[i] = i % SIDE < SIDE / 2 ? 0 : 255;
    init = (rf_init){.rgb = picture[0], .denoise = 0.5};
}

static rf_job job_from(const rf_stage *stages, int count, int steps)
{
    rf_job job = relays_job(stages, count, steps);
    job.init = &init;
    return job;
}

/* ---- masks -------------------------------------------------------------------------------- */

/* Pillow 13.0: Image.fromarray(m).convert("RGB").resize((9, 8)), numpy.around(... / 255). */
Test(init, masks_are_reduced_as_pillow_does)
{
    static const char *const want[] = {"011001001", "010010001", "100010010", "101100100",
                                       "011001001", "010010001", "100010010", "101100100"};
    enum { W = 72, H = 64 };
    uint8_t  m[W * H], painted[W * H / 64];
    rf_error err = {0};
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int       v = (x * x * 7 + y * y * 3 + x * y * 5) % 1021 * 255 / 1020;
            const int kind = (x / 9 + y / 11) % 3;
            if (kind == 0) v = 0;
            if (kind == 1 && v < 160) v = 160;
            m[y * W + x] = (uint8_t)v;
        }
    must(rf_mask_cells(m, H / 8, W / 8, painted, &err), &err);
    for (int i = 0; i < W * H / 64; i++)
        cr_expect_eq(painted[i], want[i / (W / 8)][i % (W / 8)] - '0', "cell %d", i);
}

Test(init, compositing_is_exact_at_both_ends)
{
    const uint8_t m[] = {0, 255, 128}, old[] = {1, 2, 3, 1, 2, 3, 0, 255, 10};
    uint8_t new[] = {9, 8, 7, 9, 8, 7, 255, 0, 10};
    const uint8_t want[] = {1, 2, 3, 9, 8, 7, 128, 127, 10};
    rf_mask_compose(m, old, new, 3);
    cr_expect_arr_eq(new, want, sizeof want);
}

/* ---- a plain reference -------------------------------------------------------------------- */

/* The latent of a picture, by the encoder alone: its own device, program and loop. */
static void encode(const relays *r, const uint8_t *rgb, float *latent)
{
    rf_error   err = {0};
    rf_device  device;
    rf_expert *e = r->expert[0];
    rf_weights w = {.file = rf_model_file_list(e->file), .prefix = RF_PREFIX_VAE, .dtype = RF_F32};
    rf_program program = {0};
    void      *staging, *slab;
    size_t     bytes;
    float      pixels[PIXELS * 3], moments[2 * LATENT];
    const rf_vae_encode_args args = {
        .arch = &e->arch.vae, .pixels = pixels, .moments = moments, .n = 1, .h = CELLS, .w = CELLS};
    for (int i = 0; i < PIXELS * 3; i++) pixels[i] = (float)(2 * rgb[i] / 255.0 - 1);
    must(rf_device_open_host(&device, 1, RF_LEVEL_CPU, &err), &err);
    must(rf_record_list(&device, &w, rf_vae_encode, &args, &err), &err);
    must(rf_device_alloc(&device, &staging, w.staging_bytes, "staging", &err), &err);
    must(rf_weights_load(&w, &device, staging, NULL, &err), &err);
    must(rf_record_count(&device, &w, 0, rf_vae_encode, &args, &bytes, &err), &err);
    must(rf_device_alloc(&device, &slab, bytes, "slab", &err), &err);
    must(rf_record_place(&device, &w, 0, rf_vae_encode, &args, slab, bytes, &program, &err), &err);
    must(rf_program_run(&program, &device, &err), &err);
    for (int i = 0; i < LATENT; i++) latent[i] = 0.13025f * moments[i / 4 * 8 + i % 4];
    rf_device_free(&device, staging, w.staging_bytes);
    rf_device_free(&device, slab, bytes);
    rf_program_free(&program);
    rf_weights_free(&w, &device);
    rf_device_close(&device);
}

/* The latent before every step; `put` replaces the one before the first. */
typedef struct steps {
    const rf_plan *plan;
    const float   *put;
    float          before[32][LATENT];
    int            count;
    pictures       out;
    rf_callbacks   keep;
} steps;

static int look(void *user, const rf_progress *progress)
{
    steps *s = user;
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    float *x = rf_slot_row(s->plan, 0, RF_SOURCE_X);
    if (progress->step == 0 && s->put) memcpy(x, s->put, sizeof s->before[0]);
    memcpy(s->before[s->count++], x, sizeof s->before[0]);
    return 0;
}

static rf_status keep(void *user, const rf_image *image, rf_error *err)
{
    steps *s = user;
    return s->keep.image(s->keep.user, image, err);
}

static void render(relays *r, const rf_job *job, const float *put, steps *s)
{
    rf_error err = {0};
    rf_plan *plan = relays_plan(r, job);
    *s = (steps){.plan = plan, .put = put};
    s->keep = pictures_into(&s->out);
    const rf_callbacks callbacks = {.progress = look, .image = keep, .user = s};
    must(rf_plan_run(plan, &callbacks, &err), &err);
    rf_plan_destroy(plan);
}

static int same_bits(const float *a, const float *b, int count)
{
    int different = 0;
    for (int i = 0; i < count; i++) different += rf_bits_from_f32(a[i]) != rf_bits_from_f32(b[i]);
    return !different;
}

/* x = latent + sigma * noise; and from there every step is that of a run from noise. */
Test(init, begins_at_the_noised_latent_and_goes_on_as_any_run, .timeout = 120)
{
    relays r;
    float  latent[LATENT], noise[LATENT];
    relays_open(&r, NULL);
    paint();
    const rf_stage stages[] = {
        {.expert = r.expert[0], .until = 0.7, .prompt = "a", .negative = "n", .cfg_scale = 3},
        {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 2}};
    rf_job       whole = relays_job(stages, 2, 6), cut = job_from(stages, 2, 6);
    rf_error     err = {0};
    static steps all, started, tail;
    whole.switch_by = cut.switch_by = "sigma"; /* the same levels for either */
    rf_stage by_sigma[2] = {stages[0], stages[1]};
    by_sigma[0].until = 0.5;
    whole.stages = cut.stages = by_sigma;
    encode(&r, picture[0], latent);
    must(rf_noise_of("nv", 5, 0, 4, CELLS, CELLS, noise, &err), &err);
    render(&r, &whole, NULL, &all);
    cr_assert_eq(all.count, 6);
    render(&r, &cut, NULL, &started);
    cr_assert_eq(started.count, 4, "trunc(0.5 * 6) + 1");

    rf_plan    *plan = relays_plan(&r, &cut);
    const float sigma = (float)plan->job[0].course.sigmas.sigma[0];
    rf_plan_destroy(plan);
    for (int i = 0; i < LATENT; i++) { /* rf_noise_of gives [c, h, w] */
        const float want = latent[i] + sigma * noise[i % 4 * CELLS * CELLS + i / 4];
        cr_assert_eq(rf_bits_from_f32(started.before[0][i]), rf_bits_from_f32(want), "value %d", i);
    }
    render(&r, &cut, all.before[2], &tail);
    for (int k = 0; k < 4; k++)
        cr_expect(same_bits(tail.before[k], all.before[2 + k], LATENT), "before step %d", k);
    pictures_expect_equal(&tail.out, &all.out, "the tail of a run from noise", 0);
    cr_expect_not(pictures_equal(&started.out, 0, &all.out, 0));
    pictures_free(&all.out), pictures_free(&started.out), pictures_free(&tail.out);
    relays_close(&r);
}

/* ---- sharing ------------------------------------------------------------------------------ */

Test(init, equal_contents_share_and_others_do_not, .timeout = 120)
{
    relays       r;
    static sweep s;
    rf_error     err = {0};
    relays_open(&r, NULL);
    paint();
    static uint8_t copy[PIXELS * 3];
    memcpy(copy, picture[0], sizeof copy);
    const rf_stage one[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    const rf_stage two[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                            {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    const rf_init  inits[] = {{.rgb = picture[0], .denoise = 0.5},
                              {.rgb = copy, .denoise = 0.5},                     /* the same */
                              {.rgb = picture[1], .denoise = 0.5},               /* other pixels */
                              {.rgb = picture[0], .mask = mask, .denoise = 0.5}, /* a mask */
                              {.rgb = picture[0], .denoise = 0.8}};              /* more calls */
    rf_job         jobs[6];
    for (int i = 0; i < 5; i++) {
        jobs[i] = job_from(i == 1 ? two : one, i == 1 ? 2 : 1, 6);
        jobs[i].init = &inits[i];
        jobs[i].sampler = "Euler a";
        jobs[i].batch = 3;
    }
    jobs[5] = jobs[0];
    jobs[5].init = NULL;
    rf_plan     *plan = NULL;
    rf_plan_info info;
    must(rf_plan_create_many(&plan, r.engine, jobs, 6, &err), &err);
    rf_plan_get_info(plan, &info);
    /* calls: 4 and 4 that share 2, 4, 4, 5, and 6 from noise */
    cr_expect_eq(info.calls_naive, 27);
    cr_expect_eq(info.calls_shared, 25);
    cr_expect_eq(plan->inits, 3, "pixels are copied once, whatever the strength");
    rf_plan_destroy(plan);
    must(sweep_run(&r, jobs, 6, -1, 0, &s, &err), &err);
    sweep_expect_alone(&r, jobs, 6, &s, "from pictures");
    for (int i = 1; i < 6; i++)
        cr_expect_not(pictures_equal(&s.cell[0], 0, &s.cell[i], 0), "job %d differs", i);
    sweep_free(&s, 6);
    relays_close(&r);
}

/* Every picture of a job has its own seed and the same beginning. */
Test(init, batches_change_nothing, .timeout = 120)
{
    relays   r;
    pictures together, alone;
    relays_open(&r, &(rf_options){.dtype = "bf16", .threads = 1});
    paint();
    init.mask = mask;
    const rf_stage stages[] = {
        {.expert = r.expert[0], .until = 1, .prompt = "a", .negative = "b", .cfg_scale = 3}};
    rf_job job = job_from(stages, 1, 4);
    job.sampler = "DPM++ 2M SDE";
    job.count = 3;
    job.batch = 2;
    relays_render(&r, &job, &together);
    for (int i = 0; i < 3; i++) {
        rf_job one = job;
        one.count = one.batch = 1;
        one.seed += (uint64_t)i;
        relays_render(&r, &one, &alone);
        cr_expect(pictures_equal(&together, i, &alone, 0), "picture %d", i);
        pictures_free(&alone);
    }
    cr_expect_not(pictures_equal(&together, 0, &together, 1));
    pictures_free(&together);
    relays_close(&r);
}

/* Variations of one seed, whose noise is that of another size: as without a picture. */
Test(init, variations_and_resized_seeds, .timeout = 120)
{
    relays   r;
    pictures together, alone;
    relays_open(&r, NULL);
    paint();
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_job         job = job_from(stages, 1, 4);
    job.sampler = "Euler a";
    job.variation = 0.3;
    job.variation_seed = 9;
    job.seed_width = job.seed_height = 72;
    job.count = job.batch = 2;
    relays_render(&r, &job, &together);
    job.count = job.batch = 1;
    job.variation_seed++;
    relays_render(&r, &job, &alone);
    cr_expect(pictures_equal(&together, 1, &alone, 0));
    cr_expect_not(pictures_equal(&together, 0, &alone, 0));
    pictures_free(&together), pictures_free(&alone);
    relays_close(&r);
}

/* ---- inpainting --------------------------------------------------------------------------- */

static const char *const samplers[] = {
    "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
    "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
    "LMS",        "Heun",         "DPM2",         "DPM2 a",
    "DPM fast",   "DPM adaptive", "Restart",      "DDIM",
    "DDIM CFG++", "PLMS",         "LCM"};

/* Whatever the sampler: the latent's kept cells are the picture's own, and its pixels the bytes
 * that were given; the rest is new. */
Test(init, a_mask_keeps_what_it_covers, .timeout = 240)
{
    relays r;
    float  latent[LATENT];
    relays_open(&r, NULL);
    paint();
    init.mask = mask;
    encode(&r, picture[0], latent);
    const rf_stage stages[] = {
        {.expert = r.expert[0], .until = 1, .prompt = "a", .negative = "b", .cfg_scale = 2}};
    for (size_t k = 0; k < sizeof samplers / sizeof *samplers; k++) {
        rf_job   job = job_from(stages, 1, 3);
        pictures p;
        int new = 0;
        job.sampler = samplers[k];
        job.schedule = "automatic";
        relays_render(&r, &job, &p);
        for (int i = 0; i < LATENT; i++) {
            const int kept = i / 4 % CELLS < CELLS / 2;
            if (kept)
                cr_assert_eq(rf_bits_from_f32(p.latent[0][i]), rf_bits_from_f32(latent[i]),
                             "%s: value %d of the latent", samplers[k], i);
        }
        for (int i = 0; i < PIXELS * 3; i++) {
            if (mask[i / 3] == 0)
                cr_assert_eq(p.rgb[0][i], picture[0][i], "%s: byte %d", samplers[k], i);
            else
                new += p.rgb[0][i] != picture[0][i];
        }
        cr_expect_gt(new, PIXELS, "%s: %d bytes are new", samplers[k], new);
        pictures_free(&p);
    }
    relays_close(&r);
}

/* What the model sees where nothing is painted is the picture under that level's noise: x0 is the
 * picture's there at every call, also the one that DDIM CFG++ takes its direction from. */
Test(init, kept_cells_follow_the_picture_on_the_way, .timeout = 120)
{
    static const char *const deterministic[] = {"Euler", "Heun", "DPM++ 2M", "DDIM", "DDIM CFG++"};
    relays                   r;
    float                    latent[LATENT], noise[LATENT];
    rf_error                 err = {0};
    static steps             s;
    relays_open(&r, NULL);
    paint();
    init.mask = mask;
    encode(&r, picture[0], latent);
    must(rf_noise_of("nv", 5, 0, 4, CELLS, CELLS, noise, &err), &err);
    const rf_stage stages[] = {
        {.expert = r.expert[0], .until = 1, .prompt = "a", .negative = "b", .cfg_scale = 2}};
    for (size_t k = 0; k < sizeof deterministic / sizeof *deterministic; k++) {
        rf_job job = job_from(stages, 1, 6);
        job.sampler = deterministic[k];
        const rf_explanation *e = NULL;
        must(rf_explain(&e, r.engine, &job, 0, &err), &err);
        render(&r, &job, NULL, &s);
        cr_assert_eq(s.count, e->calls);
        for (int c = 0; c < s.count; c++)
            for (int i = 0; i < LATENT; i++) {
                if (i / 4 % CELLS >= CELLS / 2) continue;
                const double want = (double)latent[i] +
                                    e->call[c].sigma * (double)noise[i % 4 * CELLS * CELLS + i / 4];
                cr_assert_float_eq(s.before[c][i], want, 1e-4 * (1 + fabs(want)),
                                   "%s, call %d, value %d", deterministic[k], c, i);
            }
        rf_explanation_free(e);
        pictures_free(&s.out);
    }
    relays_close(&r);
}

/* Root of the mean square. */
static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < LATENT; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum / LATENT);
}

/* One call at the lowest level: what comes out is nearly what went in. */
Test(init, no_strength_gives_the_picture_back, .timeout = 60)
{
    relays   r;
    float    latent[LATENT];
    pictures p;
    relays_open(&r, NULL);
    paint();
    init.denoise = 0;
    encode(&r, picture[0], latent);
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    const rf_job   job = job_from(stages, 1, 6);
    relays_render(&r, &job, &p);
    cr_expect_lt(distance(p.latent[0], latent), 3 * 0.0292,
                 "the noise of that level, and what the "
                 "model takes for it");
    init.denoise = 1;
    pictures_free(&p);
    relays_render(&r, &job, &p);
    cr_expect_gt(distance(p.latent[0], latent), 0.5);
    pictures_free(&p);
    relays_close(&r);
}

/* 255 everywhere is no mask at all. */
Test(init, a_full_mask_is_none, .timeout = 120)
{
    relays   r;
    pictures with, without;
    relays_open(&r, NULL);
    paint();
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_job         job = job_from(stages, 1, 2);
    relays_render(&r, &job, &without);
    memset(mask, 255, sizeof mask);
    init.mask = mask;
    relays_render(&r, &job, &with);
    pictures_expect_equal(&with, &without, "a mask of 255", 0);
    pictures_free(&with), pictures_free(&without);
    relays_close(&r);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void expect_refused(relays *r, const rf_job *job, const char *words)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    cr_expect_eq(rf_plan_create(&plan, r->engine, job, &err), RF_E_ARG, "%s", words);
    cr_expect_not_null(strstr(err.message, words), "\"%s\" in: %s", words, err.message);
    rf_plan_destroy(plan);
}

Test(init, refusals, .timeout = 120)
{
    relays r;
    relays_open(&r, NULL);
    paint();
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_job         job = job_from(stages, 1, 2);
    init.rgb = NULL;
    init.path = "cat.png";
    expect_refused(&r, &job, "no pixels to start from: load cat.png");
    paint();
    init.denoise = NAN;
    expect_refused(&r, &job, "denoise is");
    paint();
    memset(mask, 0, sizeof mask);
    init.mask = mask;
    expect_refused(&r, &job, "the mask lets nothing be painted");
    mask[100] = 255; /* of which nothing is left in the latent */
    expect_refused(&r, &job, "the mask lets nothing be painted");
    paint();
    init.job = "{\"steps\":";
    expect_refused(&r, &job, "init: job is not the JSON of a job");
    init.job = "[1]";
    expect_refused(&r, &job, "init: job is not the JSON of a job");
    paint();
    init.mask_path = "\xff.png";
    expect_refused(&r, &job, "mask_path is not UTF-8");
    relays_close(&r);
}

/* ---- metadata ----------------------------------------------------------------------------- */

Test(init, metadata_say_where_it_began, .timeout = 120)
{
    relays        r;
    pictures      first, again;
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    relays_open(&r, NULL);
    paint();
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_job         job = job_from(stages, 1, 4);
    init.mask = mask;
    init.denoise = 0.7;
    init.exact_steps = 1;
    init.path = "cat.png";
    init.sha256 = "00aa";
    init.mask_path = "hat.png";
    init.job = "{\"steps\":3,\"rho\":0.1,\"seed\":\"7\"}";
    relays_render(&r, &job, &first);
    cr_expect_not_null(strstr(first.parameters[0], ", Denoising strength: 0.7, "), "%s",
                       first.parameters[0]);
    must(rf_saved_job_from_json(&saved, first.job[0], &err), &err);
    cr_expect_null(rf_saved_job_note(saved, 0), "%s", rf_saved_job_note(saved, 0));
    const rf_init *back = rf_saved_job_get(saved)->init;
    cr_assert_not_null(back);
    cr_expect_null(back->rgb);
    cr_expect_null(back->mask);
    cr_expect_eq(back->denoise, 0.7);
    cr_expect_eq(back->exact_steps, 1);
    cr_expect_str_eq(back->path, "cat.png");
    cr_expect_str_eq(back->sha256, "00aa");
    cr_expect_str_eq(back->mask_path, "hat.png");
    cr_expect_null(back->mask_sha256);
    cr_expect_str_eq(back->job, init.job);

    rf_saved_job *text = NULL; /* which does not say from what */
    must(rf_saved_job_from_infotext(&text, first.parameters[0], &err), &err);
    cr_expect_null(rf_saved_job_get(text)->init);
    int told = 0;
    for (int i = 0; rf_saved_job_note(text, i); i++)
        told += strstr(rf_saved_job_note(text, i), "Denoising strength: 0.7 is left out") != NULL;
    cr_expect_eq(told, 1);
    rf_saved_job_free(text);

    rf_stage stage = rf_saved_job_get(saved)->stages[0];
    rf_job   replay = *rf_saved_job_get(saved);
    rf_init  loaded = *back;
    stage.expert = r.expert[0];
    loaded.rgb = picture[0];
    loaded.mask = mask;
    replay.stages = &stage;
    replay.init = &loaded;
    relays_render(&r, &replay, &again);
    pictures_expect_equal(&first, &again, "replayed", 1);
    cr_expect_str_eq(first.job[0], again.job[0]);
    rf_saved_job_free(saved);
    pictures_free(&first), pictures_free(&again);
    relays_close(&r);
}

Test(init, saved_jobs_that_lie, .timeout = 60)
{
    static const struct {
        const char *value, *words;
    } rows[] = {{"3", "init is not an object"},
                {"{}", "init.denoise is not there"},
                {"{\"denoise\":\"x\"}", "init.denoise is not a number"},
                {"{\"denoise\":1,\"exact_steps\":2}", "init.exact_steps is not true or false"},
                {"{\"denoise\":1,\"path\":2}", "init.path is not text"},
                {"{\"denoise\":1,\"mask\":2}", "init.mask is not an object"},
                {"{\"denoise\":1,\"mask\":{\"sha256\":[]}}", "init.mask.sha256 is not text"},
                {"{\"denoise\":1,\"job\":[]}", "init.job is not an object"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char          text[256];
        rf_saved_job *saved = NULL;
        rf_error      err = {0};
        snprintf(text, sizeof text, "{\"schema\":1,\"stages\":[{}],\"init\":%s}", rows[i].value);
        cr_expect_eq(rf_saved_job_from_json(&saved, text, &err), RF_E_FORMAT, "%s", text);
        cr_expect_not_null(strstr(err.message, rows[i].words), "%s", err.message);
        rf_saved_job_free(saved);
    }
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    must(rf_saved_job_from_json(
             &saved, "{\"schema\":1,\"stages\":[{}],\"init\":{\"denoise\":1,\"mask\":{},\"z\":1}}",
             &err),
         &err);
    cr_expect_not_null(strstr(rf_saved_job_note(saved, 1), "inside a mask"));
    cr_expect_not_null(strstr(rf_saved_job_note(saved, 0), "a field z,"));
    rf_saved_job_free(saved);
    must(rf_saved_job_from_json(&saved, "{\"schema\":1,\"stages\":[{}],\"init\":null}", &err),
         &err);
    cr_expect_null(rf_saved_job_get(saved)->init);
    rf_saved_job_free(saved);
}
