/* The tiny autoencoder's decoder against diffusers', its spellings, and files that are none. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/safetensors.h"
#include "engine/files/taesd_layout.h"
#include "engine/model/taesd.h"
#include "tests/files/fixture.h"
#include "tests/model/golden.h"
#include "tests/model/taesd_file.h"

enum { H = 3, W = 4, PIXELS = 64 * H * W, ELEMS = 4 * H * W };

static rf_error err;

static void must(rf_status st)
{
    cr_assert_eq(st, RF_OK, "%s: %s", rf_status_name(st), err.message);
}

typedef struct decoded {
    uint8_t pixels[PIXELS * 3];
    double  error; /* of what becomes pixels, against the golden picture */
} decoded;

static void load(rf_weights *w, rf_device *device)
{
    void *staging = NULL;
    must(rf_device_alloc(device, &staging, w->staging_bytes, "staging", &err));
    must(rf_weights_load(w, device, staging, NULL, &err));
    rf_device_free(device, staging, w->staging_bytes);
}

/* Runs all but the last op, which makes bytes of the last convolution's result. */
static void run(decoded *out, rf_program *program, rf_device *device, rf_dtype dtype)
{
    float *want = taesd_f32("image", NULL);
    size_t elems = 0;
    must(rf_program_run_range(program, 0, program->count - 1, device, &err));
    const void *y = call_result(&program->call[program->count - 2], &elems);
    cr_assert_eq(elems, PIXELS * 3u);
    out->error = relative_error(y, dtype, want, elems);
    must(rf_program_run_range(program, program->count - 1, program->count, device, &err));
    free(want);
}

static void decode(decoded *out, const char *path, rf_level level, rf_dtype dtype)
{
    rf_safetensors *file = NULL;
    rf_device       device;
    rf_taesd_arch   arch;
    rf_pixels_stats stats = {0};
    rf_program      program = {0};
    void           *slab = NULL, *input = malloc(ELEMS * sizeof(float));
    size_t          slab_bytes = 0;
    float          *latent = taesd_f32("latent", NULL);
    must(rf_safetensors_open(&file, path, &err));
    const rf_tensors *list = rf_safetensors_list(file);
    must(rf_taesd_derive(&arch, list, &err));
    must(rf_device_open_host(&device, 1, level, &err));
    const rf_weights_patch patch = rf_taesd_patch(&arch);
    rf_weights          w = {.file = list, .prefix = arch.prefix, .dtype = dtype, .patch = &patch};
    const rf_taesd_args args = {.arch = &arch,
                                .latent = input,
                                .pixels = out->pixels,
                                .stats = &stats,
                                .n = 1,
                                .h = H,
                                .w = W};
    rf_taesd_enter(input, dtype, latent, ELEMS);
    must(rf_record_list(&device, &w, rf_taesd_decode, &args, &err));
    load(&w, &device);
    must(rf_record_count(&device, &w, 0, rf_taesd_decode, &args, &slab_bytes, &err));
    must(rf_device_alloc(&device, &slab, slab_bytes, "slab", &err));
    must(rf_record_place(&device, &w, 0, rf_taesd_decode, &args, slab, slab_bytes, &program, &err));
    run(out, &program, &device, dtype);
    rf_program_free(&program);
    rf_device_free(&device, slab, slab_bytes);
    rf_weights_free(&w, &device);
    rf_device_close(&device);
    rf_safetensors_close(file);
    free(input);
    free(latent);
}

Test(taesd, as_diffusers, .timeout = 60)
{
    static const struct {
        rf_level level;
        rf_dtype dtype;
    } rows[] = {{RF_LEVEL_REF, RF_F32}, {RF_LEVEL_CPU, RF_F32}, {RF_LEVEL_CPU, RF_BF16}};
    char *path = taesd_write(16, TAESD_ORIGINAL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        decoded d;
        decode(&d, path, rows[i].level, rows[i].dtype);
        cr_expect(d.error <= parity_bound(rows[i].dtype), "%zu: %.3g", i, d.error);
        cr_expect(d.error > 0);
    }
    taesd_remove(path);
}

Test(taesd, in_any_spelling, .timeout = 60)
{
    decoded want, got;
    for (int i = 0; i < TAESD_SPELLINGS; i++) {
        char *path = taesd_write(16, (taesd_spelling)i);
        decode(i ? &got : &want, path, RF_LEVEL_CPU, RF_F32);
        if (i) cr_expect_eq(memcmp(got.pixels, want.pixels, sizeof want.pixels), 0, "%d", i);
        taesd_remove(path);
    }
}

/* ---- files that are none ------------------------------------------------------------------ */

typedef struct shape {
    const char *name;
    int         ndim;
    int64_t     dim[4];
} shape;

static void refused(const shape *list, int count, const char *text)
{
    fixture         f = {0};
    rf_safetensors *file = NULL;
    rf_taesd_arch   arch;
    const char     *path = fixture_path("some.safetensors");
    for (int i = 0; i < count; i++)
        fixture_add(&f, list[i].name, "F16", list[i].ndim, list[i].dim, 2);
    fixture_write(&f, path);
    must(rf_safetensors_open(&file, path, &err));
    cr_expect_eq(rf_taesd_derive(&arch, rf_safetensors_list(file), &err), RF_E_MODEL, "%s", text);
    cr_expect_not_null(strstr(err.message, text), "\"%s\" should say \"%s\"", err.message, text);
    rf_safetensors_close(file);
}

Test(taesd, what_is_none_is_refused)
{
    const shape       block = {"3.conv.0.weight", 4, {64, 64, 3, 3}};
    const shape       first[] = {{"1.weight", 4, {64, 16, 3, 3}},
                                 {"1.weight", 2, {64, 36}},
                                 {"1.weight", 4, {4096, 4, 3, 3}},
                                 {"1.weight", 4, {0, 4, 3, 3}}};
    const char *const text[] = {"SDXL's latent has 4 channels", "has shape [64, 36]",
                                "has shape [4096", "has shape [0"};
    for (int i = 0; i < 4; i++) {
        const shape two[] = {first[i], block};
        refused(two, 2, text[i]);
    }
    const shape alone[] = {{"1.weight", 4, {64, 4, 3, 3}}};
    refused(alone, 1, "no decoder");
    const shape encoder[] = {{"encoder.layers.0.weight", 4, {64, 3, 3, 3}},
                             {"encoder.layers.1.conv.0.weight", 4, {64, 64, 3, 3}}};
    refused(encoder, 2, "its decoder");
    fixture_cleanup();
}

/* The rest of the shapes are judged where the weights are listed: one that is wrong is named. */
Test(taesd, hostile_shapes_are_named)
{
    static const shape wrong[] = {{"3.conv.0.weight", 4, {64, 64, 1, 1}},
                                  {"3.conv.0.weight", 2, {64, 576}},
                                  {"3.conv.0.weight", 4, {64, 63, 3, 3}},
                                  {"3.conv.0.weight", 4, {65, 64, 3, 3}},
                                  {"3.conv.0.weight", 1, {64}}};
    const shape        first = {"1.weight", 4, {64, 4, 3, 3}}, bias = {"1.bias", 1, {64}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fixture         f = {0};
        rf_safetensors *file = NULL;
        rf_device       device;
        rf_taesd_arch   arch;
        const shape     list[] = {first, bias, wrong[i]};
        const char     *path = fixture_path("wrong.safetensors");
        for (int k = 0; k < 3; k++)
            fixture_add(&f, list[k].name, "F16", list[k].ndim, list[k].dim, 2);
        fixture_write(&f, path);
        must(rf_safetensors_open(&file, path, &err));
        must(rf_device_open_host(&device, 1, RF_LEVEL_CPU, &err));
        must(rf_taesd_derive(&arch, rf_safetensors_list(file), &err));
        rf_weights          w = {.file = rf_safetensors_list(file), .prefix = "", .dtype = RF_F32};
        const rf_taesd_args args = {.arch = &arch, .n = 1, .h = 8, .w = 8};
        cr_expect_eq(rf_record_list(&device, &w, rf_taesd_decode, &args, &err), RF_E_MODEL);
        cr_expect_not_null(strstr(err.message, "3.conv.0.weight"), "%s", err.message);
        rf_weights_free(&w, &device);
        rf_device_close(&device);
        rf_safetensors_close(file);
    }
    fixture_cleanup();
}
