/* Sizes at the edge, values that are refused, and files that are not what they seemed: one clear
 * sentence each, and no picture. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/synth.h"
#include "tests/files/fixture.h"
#include "tests/model/golden.h"
#include "tests/relay/relays.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

static int varied(const pictures *p)
{
    const size_t bytes = (size_t)p->width * (size_t)p->height * 3;
    for (size_t i = 1; i < bytes; i++)
        if (p->rgb[0][i] != p->rgb[0][0]) return 1;
    return 0;
}

Test(relay_input, sizes_at_the_edge, .timeout = 300)
{
    static const int size[][2] = {{64, 64}, {72, 64}, {64, 72}, {520, 648}};
#ifdef RF_SANITIZE
    const int count = 3; /* the last one is the same code, with 70 times the pixels */
#else
    const int count = 4;
#endif
    relays r;
    relays_open(&r, &bf16);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .cfg_scale = 1}};
    for (int i = 0; i < count; i++) {
        pictures p;
        rf_job   job = relays_job(stage, 2, 2);
        job.width = size[i][0];
        job.height = size[i][1];
        relays_render(&r, &job, &p);
        cr_expect(p.width == job.width && p.height == job.height);
        cr_expect(varied(&p));
        pictures_free(&p);
    }
    relays_close(&r);
}

/* ---- values ------------------------------------------------------------------------------- */

/* Planning this job must fail with `st` and a sentence that has `words` in it. */
static void refused(relays *r, const rf_job *job, rf_status st, const char *words)
{
    rf_plan *plan = (rf_plan *)1;
    rf_error err = {0};
    cr_expect_eq(rf_plan_create(&plan, r->engine, job, &err), st, "%s: %s", words, err.message);
    cr_expect_eq(err.status, st);
    cr_expect_null(plan);
    cr_expect_not_null(strstr(err.message, words), "\"%s\" should mention \"%s\"", err.message,
                       words);
    cr_expect_eq(rf_plan_create(&plan, r->engine, job, NULL), st);
}

Test(relay_input, values_out_of_range, .timeout = 120)
{
    relays r, other;
    relays_open(&r, &bf16);
    const rf_stage good[2] = {{.expert = r.expert[0], .until = 0.5},
                              {.expert = r.expert[1], .until = 1}};
    rf_stage       stage[2];
    const rf_job   job = relays_job(stage, 2, 2);
    rf_job         bad;
#define REFUSED(field, value, words)                                                               \
    do {                                                                                           \
        memcpy(stage, good, sizeof good);                                                          \
        bad = job;                                                                                 \
        field = value;                                                                             \
        refused(&r, &bad, RF_E_ARG, words);                                                        \
    } while (0)
    REFUSED(bad.steps, 0, "steps is 0");
    REFUSED(bad.steps, 10001, "steps is 10001");
    REFUSED(bad.steps, -1, "steps is -1");
    REFUSED(bad.width, 100, "multiple of 8");
    REFUSED(bad.height, 100, "height is 100");
    REFUSED(bad.width, 56, "width is 56");
    REFUSED(bad.height, 8200, "height is 8200");
    REFUSED(bad.width, 0, "width is 0");
    REFUSED(bad.width, -64, "width is -64");
    REFUSED(bad.count, 0, "count is 0");
    REFUSED(bad.count, 1000001, "count is 1000001");
    REFUSED(bad.batch, 0, "batch is 0");
    REFUSED(bad.batch, 65, "batch is 65");
    REFUSED(bad.stage_count, 0, "stage_count is 0");
    REFUSED(bad.stage_count, 65, "stage_count is 65");
    REFUSED(bad.stages, NULL, "no stages");
    REFUSED(bad.sampler, NULL, "no sampler");
    REFUSED(bad.schedule, NULL, "no schedule");
    REFUSED(bad.rng, NULL, "no rng");
    REFUSED(bad.sampler, "Eulr a", "did you mean \"Euler a\"");
    REFUSED(bad.schedule, "no such thing", "unknown schedule");
    REFUSED(bad.rng, "dice", "unknown noise source");
    REFUSED(stage[0].cfg_scale, NAN, "cfg_scale is nan");
    REFUSED(stage[1].cfg_scale, INFINITY, "stage 2");
    REFUSED(stage[1].cfg_scale, 1000.5f, "cfg_scale is 1000.5");
    REFUSED(stage[0].until, NAN, "stage 1 of 2");
    REFUSED(stage[0].until, -0.1, "stage 1 of 2");
    REFUSED(stage[0].until, 1.5, "stage 1 of 2");
    REFUSED(stage[1].expert, NULL, "stage 2 has no expert");
    other = r;
    relays_start(&other, &bf16);
    REFUSED(stage[0].expert, other.expert[0], "stage 1 has no expert of this engine");
#undef REFUSED
    relays_stop(&other);
    relays_close(&r);
}

Test(relay_input, options_out_of_range, .timeout = 60)
{
    static const struct {
        rf_options  options;
        rf_status   st;
        const char *words;
    } row[] = {
        {{.dtype = "f8"}, RF_E_ARG, "dtype is \"f8\"; it can be auto, f16, bf16 or f32"},
        {{.dtype = "f16"}, RF_E_UNSUPPORTED, "this CPU cannot compute in f16; use dtype f32 or"},
        {{.device = "emulated"}, RF_E_DEVICE, "tests alone"},
        {{.device = "cuda", .level = "ref"}, RF_E_ARG, "only on the device cpu"},
        {{.level = "sm90"}, RF_E_ARG, "level is \"sm90\""},
        {{.device = "cuda:99"}, RF_E_DEVICE, ""}, /* why depends on the build */
        {{.device = "tpu"}, RF_E_ARG, "tpu"},
        {{.threads = -1}, RF_E_ARG, "threads is -1"},
        {{.threads = 1025}, RF_E_ARG, "threads is 1025"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        rf_engine *engine = (rf_engine *)1;
        rf_error   err = {0};
        cr_expect_eq(rf_engine_create(&engine, &row[i].options, &err), row[i].st);
        cr_expect_null(engine);
        cr_expect_not_null(strstr(err.message, row[i].words), "%s", err.message);
    }
}

Test(relay_input, plans_say_what_they_will_do, .timeout = 60)
{
    static const struct {
        double until;
        int    steps, calls[3];
    } row[] = {{0.5, 30, {15, 15, 0}}, {0.5, 5, {3, 2, 0}},    {0.3, 10, {3, 7, 0}},
               {0.01, 10, {1, 9, 0}},  {0.99, 10, {10, 0, 0}}, {0, 10, {0, 10, 0}}};
    relays r;
    relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .level = "ref"});
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const rf_stage stage[] = {{.expert = r.expert[0], .until = row[i].until},
                                  {.expert = r.expert[1], .until = 1},
                                  {.expert = r.expert[0], .until = 1}};
        rf_job         job = relays_job(stage, 3, row[i].steps);
        rf_plan_info   info;
        rf_stage_info  s;
        int            first = 0;
        job.count = 3;
        job.batch = 8;
        r.warnings = 0;
        rf_plan *plan = relays_plan(&r, &job);
        rf_plan_get_info(plan, &info);
        cr_expect_eq(info.batch, 3);
        cr_expect_eq(info.sigmas[row[i].steps], 0.0);
        for (int j = 0; j < 3; j++) {
            cr_assert_eq(rf_plan_get_stage(plan, j, &s), RF_OK);
            cr_expect_eq(s.calls, row[i].calls[j], "row %zu, stage %d: %d calls", i, j, s.calls);
            cr_expect_eq(s.first_step, first);
            cr_expect_eq(s.sigma, info.sigmas[first]);
            cr_expect_str_eq(s.expert, j == 1 ? "tiny8" : "tiny7");
            cr_expect_eq(s.weights_bytes > 0, s.calls > 0);
            first += s.calls;
        }
        cr_expect_str_eq(info.vae, row[i].calls[1] ? "tiny8" : "tiny7", "of the last with a call");
        cr_expect_eq(r.warnings, 1 + !row[i].calls[0] + !row[i].calls[1]);
        cr_expect_eq(rf_plan_get_stage(plan, 3, &s), RF_E_ARG);
        cr_expect_eq(rf_plan_get_stage(plan, -1, &s), RF_E_ARG);
        rf_plan_destroy(plan);
        job.idle_stages = 1; /* they are meant */
        r.warnings = 0;
        rf_plan_destroy(relays_plan(&r, &job));
        cr_expect_eq(r.warnings, 0, "%s", r.warning[0]);
    }
    relays_close(&r);
}

/* The largest job there is: sizes must come out right, not wrapped. */
Test(relay_input, the_largest_job, .timeout = 120)
{
    relays   r;
    rf_stage stage[64];
    relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .level = "ref"});
    for (int i = 0; i < 64; i++)
        stage[i] = (rf_stage){.expert = r.expert[i % 2], .until = (i + 1) / 64.0, .cfg_scale = -1};
    rf_plan_info one, many;
    rf_job       job = relays_job(stage, 64, 10000);
    job.width = job.height = 8192;
    rf_plan *plan = relays_plan(&r, &job);
    rf_plan_get_info(plan, &one);
    rf_plan_destroy(plan);
    job.count = 1000000;
    job.batch = 64;
    job.seed = UINT64_MAX; /* wraps, as the seeds of later pictures do */
    plan = relays_plan(&r, &job);
    rf_plan_get_info(plan, &many);
    int calls = 0;
    for (int i = 0; i < 64; i++) {
        rf_stage_info info;
        cr_assert_eq(rf_plan_get_stage(plan, i, &info), RF_OK);
        cr_expect_eq(info.first_step, calls);
        calls += info.calls;
    }
    cr_expect_eq(calls, 10000);
    const size_t pixels = (size_t)8192 * 8192, latent = pixels / 64 * 4;
    cr_expect_geq(one.slab_bytes, pixels * 64 * sizeof(float), "VAE: three maps at the top");
    cr_expect_geq(many.slab_bytes, 128 * pixels / 64 * 32 * 4 * sizeof(float), "UNet: four maps");
    cr_expect_geq(many.state_bytes, one.state_bytes + 63 * 6 * latent * sizeof(float));
    cr_expect_eq(many.kv_bytes, one.kv_bytes, "prompts and embeddings are shared by all pictures");
    cr_expect_geq(many.peak_bytes, many.slab_bytes + many.state_bytes);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* ---- files -------------------------------------------------------------------------------- */

/* Overwrites a tensor of an F32 file with one value, its first `limit` elements at most. */
static void overwrite(const char *path, const char *name, float value, uint64_t limit)
{
    rf_safetensors *file = NULL;
    rf_error        err = {0};
    must(rf_safetensors_open(&file, path, &err), &err);
    const rf_tensor *t = rf_tensors_find(rf_safetensors_list(file), name);
    cr_assert_not_null(t, "%s", name);
    const int fd = open(path, O_WRONLY);
    for (uint64_t i = 0; i < t->elems && i < limit; i++)
        cr_assert_eq(pwrite(fd, &value, sizeof value, (off_t)(t->offset + i * sizeof value)),
                     (ssize_t)sizeof value);
    close(fd);
    rf_safetensors_close(file);
}

/* Running this job must fail with `st`, a sentence that has `words` in it, and no picture. */
static void fails(relays *r, const rf_job *job, rf_status st, const char *words)
{
    pictures           none;
    rf_error           err = {0};
    rf_plan           *plan = relays_plan(r, job);
    const rf_callbacks callbacks = pictures_into(&none);
    cr_expect_eq(rf_plan_run(plan, &callbacks, &err), st, "%s: %s", words, err.message);
    cr_expect_not_null(strstr(err.message, words), "\"%s\" should mention \"%s\"", err.message,
                       words);
    cr_expect_eq(none.count, 0, "%s", words);
    pictures_free(&none);
    rf_plan_destroy(plan);
}

#define UNET_OUT RF_PREFIX_UNET "out.2.bias"
#define VAE_OUT  RF_PREFIX_VAE "decoder.conv_out."

Test(relay_input, nan_and_constant_pictures, .timeout = 240)
{
    relays         r = {.path = {make_tiny(7), make_tiny(8)}};
    const rf_stage refine[] = {{.until = 0.5, .cfg_scale = 1}, {.until = 1, .cfg_scale = 1}};
    rf_stage       stage[2];
    rf_job         job = relays_job(stage, 2, 4);
    job.count = job.batch = 2;
    memcpy(stage, refine, sizeof stage);

    overwrite(r.path[1], UNET_OUT, NAN, 1);
    relays_start(&r, &bf16);
    stage[0].expert = r.expert[0], stage[1].expert = r.expert[1];
    fails(&r, &job, RF_E_NAN, "picture 0 became NaN or infinite at step 3 of 4, in tiny8");
    stage[0].until = 1; /* the bad one takes no part */
    pictures p;
    relays_render(&r, &job, &p);
    pictures_free(&p);
    relays_stop(&r);

    job.stage_count = 1;
    overwrite(r.path[0], VAE_OUT "bias", INFINITY, 1);
    relays_start(&r, &bf16);
    stage[0].expert = r.expert[0];
    fails(&r, &job, RF_E_NAN, "the VAE of tiny7 gave NaN or infinity in picture 0");
    relays_stop(&r);

    overwrite(r.path[0], VAE_OUT "bias", 0, UINT64_MAX);
    overwrite(r.path[0], VAE_OUT "weight", 0, UINT64_MAX);
    relays_start(&r, &bf16);
    stage[0].expert = r.expert[0];
    fails(&r, &job, RF_E_NAN, "picture 0 came out constant (every pixel is 127, 127, 127)");
    relays_stop(&r);

    overwrite(r.path[0], VAE_OUT "bias", 1, 1); /* the red of every pixel */
    relays_start(&r, &bf16);
    stage[0].expert = r.expert[0];
    fails(&r, &job, RF_E_NAN, "picture 0 came out constant (every pixel is 255, 127, 127)");
    relays_stop(&r);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* The file shrinks between opening and loading: nothing is mapped, so nothing dies of it. */
Test(relay_input, a_file_cut_after_opening, .timeout = 120)
{
    relays r;
    relays_open(&r, &bf16);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1}};
    const rf_job   job = relays_job(stage, 2, 2);
    cr_assert_eq(truncate(r.path[1], 1 << 20), 0);
    fails(&r, &job, RF_E_IO, r.path[1]);
    fails(&r, &job, RF_E_IO, r.path[1]);
    relays_close(&r);
}

/* A checkpoint of zeros without a VAE. */
static void write_without_vae(const char *path)
{
    rf_sdxl_arch arch;
    rf_error     err = {0};
    fixture      f = {0};
    must(rf_synth_arch(&arch, "tiny", &err), &err);
    arch.has_vae = 0;
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, path);
}

/* The VAE of checkpoint `from` as a file of its own, its names without the prefix. */
static void write_vae_alone(const char *from, const char *to)
{
    const size_t    prefix = sizeof RF_PREFIX_VAE - 1;
    rf_safetensors *file = NULL;
    rf_error        err = {0};
    fixture         f = {0};
    must(rf_safetensors_open(&file, from, &err), &err);
    const rf_tensors *list = rf_safetensors_list(file);
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->item[i].name, RF_PREFIX_VAE, prefix) == 0)
            fixture_add(&f, list->item[i].name + prefix, "F32", list->item[i].ndim,
                        list->item[i].dim, 4);
    fixture_write(&f, to);

    rf_safetensors *alone = NULL;
    FILE           *out = fopen(to, "r+b");
    must(rf_safetensors_open(&alone, to, &err), &err);
    cr_assert_not_null(out);
    for (size_t i = 0; i < list->count; i++) {
        const rf_tensor *t = &list->item[i];
        if (strncmp(t->name, RF_PREFIX_VAE, prefix) != 0) continue;
        char            *data = malloc(t->bytes);
        const rf_tensor *at = rf_tensors_find(rf_safetensors_list(alone), t->name + prefix);
        cr_assert(data && at && at->bytes == t->bytes, "%s", t->name);
        must(list->read(list, t, 0, data, t->bytes, &err), &err);
        cr_assert_eq(fseeko(out, (off_t)at->offset, SEEK_SET), 0);
        cr_assert_eq(fwrite(data, 1, t->bytes, out), t->bytes);
        free(data);
    }
    cr_assert_eq(fclose(out), 0);
    rf_safetensors_close(alone);
    rf_safetensors_close(file);
}

/* The refiner's own VAE, taken out of its checkpoint, gives the refiner's pixels. */
Test(relay_input, a_vae_alone_decodes, .timeout = 240)
{
    relays   r;
    pictures own, alone;
    relays_open(&r, NULL);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1}};
    rf_job         job = relays_job(stage, 2, 2);
    relays_render(&r, &job, &own);
    job.vae = fixture_path("alone.safetensors");
    write_vae_alone(r.path[1], job.vae);
    relays_render(&r, &job, &alone);
    pictures_expect_equal(&own, &alone, "a VAE alone", 0);
    cr_expect_not_null(strstr(alone.parameters[0], "VAE: alone"), "%s", alone.parameters[0]);
    pictures_free(&own);
    pictures_free(&alone);
    relays_close(&r);
    fixture_cleanup();
}

Test(relay_input, a_vae_that_is_elsewhere, .timeout = 240)
{
    relays     r;
    rf_expert *bare = NULL;
    rf_error   err = {0};
    pictures   p;
    relays_open(&r, &bf16);
    const char *path = fixture_path("bare.safetensors");
    write_without_vae(path);
    must(rf_expert_open(&bare, r.engine, path, &err), &err);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .cfg_scale = 1},
                              {.expert = bare, .until = 1}};
    rf_job         job = relays_job(stage, 2, 2);
    refused(&r, &job, RF_E_MODEL, "bare.safetensors has no VAE");

    job.vae = r.path[1];
    relays_render(&r, &job, &p);
    cr_expect(varied(&p));
    cr_expect_not_null(strstr(p.parameters[0], "VAE: tiny8"), "%s", p.parameters[0]);
    cr_expect_not_null(strstr(p.parameters[0], "VAE hash: "), "%s", p.parameters[0]);
    pictures_free(&p);

    job.vae = path;
    refused(&r, &job, RF_E_MODEL, "bare.safetensors has no VAE");
    job.vae = fixture_path("no-such-file.safetensors");
    refused(&r, &job, RF_E_NOT_FOUND, "no-such-file.safetensors");

    rf_sdxl_arch arch;
    fixture      f = {0};
    must(rf_synth_arch(&arch, "tiny", &err), &err);
    const int64_t kernel[] = {128, 4, 3, 3};
    fixture_add(&f, "decoder.conv_in.weight", "F16", 4, kernel, 2);
    fixture_add(&f, "encoder.conv_in.weight", "F16", 4, kernel, 2);
    job.vae = fixture_path("vae.safetensors");
    fixture_write(&f, job.vae);
    refused(&r, &job, RF_E_MODEL, "a VAE of 0 levels");
    rf_expert_close(bare);
    relays_close(&r);
    fixture_cleanup();
}
