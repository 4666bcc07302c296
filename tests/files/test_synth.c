/* Random checkpoints pass the engine's own check, are the same every time, and are scaled. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/hash.h"
#include "engine/files/safetensors.h"
#include "engine/files/synth.h"
#include "kernels/half.h"
#include "tests/files/fixture.h"

TestSuite(synth, .timeout = 120, .fini = fixture_cleanup);

static void make(const char *path, uint64_t seed, rf_filetype type)
{
    const rf_synth_options o = {.arch = "tiny", .seed = seed, .type = type, .overwrite = 1};
    rf_error               err;
    cr_assert_eq(rf_synth_write(path, &o, &err), RF_OK, "%s", err.message);
}

/* The bytes of seed 1 in f16; a change here invalidates every golden picture made with it. */
Test(synth, same_seed_same_bytes)
{
    char        hex[RF_SHA256_HEX], other[RF_SHA256_HEX];
    const char *path = fixture_path("tiny.safetensors");
    make(path, 1, RF_FILE_F16);
    cr_assert_eq(rf_file_sha256(hex, path, NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, "a19117b9755c7f76cf78b5aa005103eefa34b4b2b384b1ee167d2eb0fe2ad527");
    make(path, 2, RF_FILE_F16);
    cr_assert_eq(rf_file_sha256(other, path, NULL, NULL, NULL), RF_OK);
    cr_expect_str_neq(hex, other);
}

static float value(const rf_tensor *t, const void *data, size_t i)
{
    const rf_dtype type = t->type == RF_FILE_F32   ? RF_F32
                          : t->type == RF_FILE_F16 ? RF_F16
                                                   : RF_BF16;
    return rf_load(data, type, i);
}

/* Mean and deviation of a tensor. */
static void moments(const rf_tensors *list, const char *name, double *mean, double *deviation)
{
    const rf_tensor *t = rf_tensors_find(list, name);
    double           sum = 0, squares = 0;
    cr_assert_not_null(t, "%s", name);
    void *data = malloc(t->bytes);
    cr_assert_eq(list->read(list, t, 0, data, t->bytes, NULL), RF_OK);
    for (size_t i = 0; i < t->elems; i++) {
        const double x = (double)value(t, data, i);
        cr_assert(isfinite(x));
        sum += x, squares += x * x;
    }
    free(data);
    *mean = sum / (double)t->elems;
    *deviation = sqrt(fmax(0, squares / (double)t->elems - *mean * *mean));
}

Test(synth, every_type_passes_the_check_and_is_scaled)
{
    static const struct {
        const char *name;
        double      mean, deviation;
    } rows[] = {
        {RF_PREFIX_UNET "input_blocks.4.0.in_layers.2.weight", 0, 1 / 16.97}, /* 32 * 9 */
        {RF_PREFIX_UNET "input_blocks.4.0.out_layers.3.weight", 0, 0.1 / 24}, /* 64 * 9 */
        {RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.ff.net.0.proj.weight", 0, 1 / 11.31},
        {RF_PREFIX_CLIP_L "embeddings.token_embedding.weight", 0, 0.02},
        {RF_PREFIX_CLIP_G "text_projection", 0, 0.125},
        {RF_PREFIX_CLIP_G "transformer.resblocks.0.ln_1.weight", 1, 0.02},
        {RF_PREFIX_VAE "decoder.conv_in.weight", 0, 1 / 6.0},
    };
    const rf_filetype types[] = {RF_FILE_F16, RF_FILE_BF16, RF_FILE_F32};
    const char       *path = fixture_path("tiny.safetensors");
    rf_sdxl_arch      want;
    cr_assert_eq(rf_synth_arch(&want, "tiny", NULL), RF_OK);
    for (int type = 0; type < 3; type++) {
        rf_safetensors *file;
        rf_checkpoint   got;
        rf_error        err;
        make(path, 7, types[type]);
        cr_assert_eq(rf_safetensors_open(&file, path, &err), RF_OK, "%s", err.message);
        const rf_tensors *list = rf_safetensors_list(file);
        cr_expect_eq(rf_checkpoint_check(&got, list, &err), RF_OK, "%s", err.message);
        cr_expect_eq(memcmp(&got.arch.unet, &want.unet, sizeof want.unet), 0);
        cr_expect_eq(got.unknown_count, 0);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            double mean, deviation;
            moments(list, rows[i].name, &mean, &deviation);
            cr_expect(fabs(mean - rows[i].mean) < 0.3 * rows[i].deviation, "%s: mean %g",
                      rows[i].name, mean);
            cr_expect(fabs(deviation / rows[i].deviation - 1) < 0.2, "%s: deviation %g",
                      rows[i].name, deviation);
        }
        for (size_t i = 0; i < list->count; i++) /* aligned, as other readers need */
            cr_expect_eq(list->item[i].offset % rf_filetype_bytes(list->item[i].type), 0);
        rf_safetensors_close(file);
    }
}

Test(synth, bad_requests)
{
    rf_error         err;
    rf_synth_options o = {.arch = "huge", .type = RF_FILE_F16};
    cr_expect_eq(rf_synth_write(fixture_path("x"), &o, &err), RF_E_ARG);
    cr_expect_not_null(strstr(err.message, "tiny"), "%s", err.message);
    o = (rf_synth_options){.arch = NULL, .type = RF_FILE_F16};
    cr_expect_eq(rf_synth_write(fixture_path("x"), &o, &err), RF_E_ARG);
    o = (rf_synth_options){.arch = "tiny", .type = RF_FILE_F64};
    cr_expect_eq(rf_synth_write(fixture_path("x"), &o, &err), RF_E_ARG);
    o.type = RF_FILE_F16;
    fixture_raw(fixture_path("x"), "x", 1);
    cr_expect_eq(rf_synth_write(fixture_path("x"), &o, &err), RF_E_EXISTS);
}
