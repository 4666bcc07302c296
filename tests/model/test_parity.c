/* The networks against PyTorch, block by block: tests/golden/networks.md says what was recorded. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/model/clip.h"
#include "engine/model/unet.h"
#include "engine/model/vae.h"
#include "tests/model/golden.h"

/* A tiny expert on a device, as far as one network goes. */
typedef struct bench {
    char           *path;
    rf_safetensors *file;
    rf_checkpoint   checkpoint;
    rf_device       device;
    rf_weights      weights;
    rf_program      program;
    void           *slab;
    size_t          slab_bytes;
} bench;

static rf_error err;

static void must(rf_status st)
{
    cr_assert_eq(st, RF_OK, "%s: %s", rf_status_name(st), err.message);
}

/* Whose goldens are asked for: the tiny expert's, or the tiny refiner's. */
static char *make_recorded(const char *golden)
{
    return strncmp(golden, "refiner.", 8) == 0 ? make_expert("tiny-refiner", 9, RF_FILE_F16)
                                               : make_tiny(7);
}

static void setup(bench *b, rf_level level, rf_dtype dtype, const char *prefix, const char *golden)
{
    *b = (bench){.path = make_recorded(golden)};
    must(rf_safetensors_open(&b->file, b->path, &err));
    must(rf_checkpoint_check(&b->checkpoint, rf_safetensors_list(b->file), &err));
    must(rf_device_open_host(&b->device, 2, level, &err));
    b->weights =
        (rf_weights){.file = rf_safetensors_list(b->file), .prefix = prefix, .dtype = dtype};
}

static void load(bench *b)
{
    void *staging = NULL;
    must(rf_device_alloc(&b->device, &staging, b->weights.staging_bytes, "staging", &err));
    must(rf_weights_load(&b->weights, &b->device, staging, NULL, &err));
    rf_device_free(&b->device, staging, b->weights.staging_bytes);
}

/* Counts, allocates and places one forward function. */
static void record(bench *b, size_t first_slot, rf_forward_fn *forward, const void *arg)
{
    rf_device_free(&b->device, b->slab, b->slab_bytes);
    must(rf_record_count(&b->device, &b->weights, first_slot, forward, arg, &b->slab_bytes, &err));
    must(rf_device_alloc(&b->device, &b->slab, b->slab_bytes, "slab", &err));
    must(rf_record_place(&b->device, &b->weights, first_slot, forward, arg, b->slab, b->slab_bytes,
                         &b->program, &err));
}

static void teardown(bench *b)
{
    rf_device_free(&b->device, b->slab, b->slab_bytes);
    rf_program_free(&b->program);
    rf_weights_free(&b->weights, &b->device);
    rf_device_close(&b->device);
    rf_safetensors_close(b->file);
    remove_tiny(b->path);
}

/* `from` rounded to dtype; free() it. */
static void *rounded(const float *from, size_t elems, rf_dtype dtype)
{
    void *to = malloc(elems * rf_dtype_bytes(dtype));
    for (size_t i = 0; i < elems; i++) rf_store(to, dtype, i, from[i]);
    return to;
}

static void *golden_rounded(const char *name, size_t *elems, rf_dtype dtype)
{
    float *f = golden_f32(name, elems);
    void  *r = rounded(f, *elems, dtype);
    free(f);
    return r;
}

static void compare(const char *what, const void *got, rf_dtype dtype, const float *want,
                    size_t elems)
{
    const double error = relative_error(got, dtype, want, elems);
    cr_expect(error <= parity_bound(dtype), "%s in %s: relative error %.3g, allowed %.3g", what,
              rf_dtype_name(dtype), error, parity_bound(dtype));
}

/* ---- text encoders ------------------------------------------------------------------------ */

static void check_clip(rf_level level, rf_dtype dtype, int g)
{
    bench b;
    setup(&b, level, dtype, g ? RF_PREFIX_CLIP_G : RF_PREFIX_CLIP_L, "");
    const rf_clip_arch *arch = g ? &b.checkpoint.arch.clip_g : &b.checkpoint.arch.clip_l;
    size_t              ids = 0, elems = 0;
    int32_t            *id = golden_i32(g ? "text.g.ids" : "text.l.ids", &ids);
    const int           chunks = (int)(ids / 77);
    const size_t        bytes = rf_dtype_bytes(dtype);
    char               *hidden = calloc(ids * (size_t)arch->width, bytes);
    char               *pooled = calloc(77 * (size_t)arch->width, bytes);
    rf_clip_args        args = {.arch = arch,
                                .id = id,
                                .hidden = hidden,
                                .pooled = pooled,
                                .depth = arch->layers - 1,
                                .chunks = chunks,
                                .prompts = 1};

    must(rf_record_list(&b.device, &b.weights, rf_clip_forward, &args, &err));
    load(&b);
    record(&b, 0, rf_clip_forward, &args);
    must(rf_program_run(&b.program, &b.device, &err));
    float *want = golden_f32(g ? "text.g.penultimate" : "text.l.penultimate", &elems);
    cr_assert_eq(elems, ids * (size_t)arch->width);
    compare(g ? "bigG" : "CLIP-L", hidden, dtype, want, elems);
    free(want);

    if (g) { /* the pooled vector of each sequence, which must then be the first chunk */
        want = golden_f32("text.g.pooled", &elems);
        const size_t width = elems / (size_t)chunks;
        for (int row = 0; row < chunks; row++) {
            int end = 0;
            while (id[row * 77 + end] != 49407) end++;
            args = (rf_clip_args){.arch = arch,
                                  .id = id + row * 77,
                                  .hidden = hidden,
                                  .pooled = pooled,
                                  .depth = arch->layers - 1,
                                  .chunks = 1,
                                  .prompts = 1};
            record(&b, 0, rf_clip_forward, &args);
            must(rf_program_run(&b.program, &b.device, &err));
            compare("pooled", pooled + (size_t)end * width * bytes, dtype,
                    want + (size_t)row * width, width);
        }
        free(want);
    }
    free(id), free(hidden), free(pooled);
    teardown(&b);
}

Test(parity, text_encoders, .timeout = 120)
{
    for (int g = 0; g < 2; g++) {
        check_clip(RF_LEVEL_REF, RF_F32, g);
        check_clip(RF_LEVEL_CPU, RF_F32, g);
        check_clip(RF_LEVEL_CPU, RF_BF16, g);
    }
}

/* ---- UNet --------------------------------------------------------------------------------- */

/* "input_blocks.4", "middle_block", "out": the block that a call belongs to. */
static void block_of(const char *label, char out[48])
{
    const char *dot = strchr(label, '.');
    size_t      length = dot ? (size_t)(dot - label) : strlen(label);
    if (strncmp(label, "middle_block", 12) != 0 && strncmp(label, "out.", 4) != 0 && dot) {
        const char *second = strchr(dot + 1, '.');
        length = second ? (size_t)(second - label) : strlen(label);
    }
    snprintf(out, 48, "%.*s", (int)length, label);
}

/* Runs call by call; after the last call of a block its result must be the recorded one, if one is.
 */
static int compare_blocks(bench *b, const char *golden, rf_dtype dtype)
{
    int compared = 0;
    for (size_t i = 0; i < b->program.count; i++) {
        const rf_op_call *call = &b->program.call[i];
        char              block[48], next[48] = "";
        must(rf_program_run_range(&b->program, i, i + 1, &b->device, &err));
        block_of(call->label, block);
        if (i + 1 < b->program.count) block_of(b->program.call[i + 1].label, next);
        const int resized = call->kind == RF_OP_RESIZE;
        if (!resized && strcmp(block, next) == 0) continue;
        if (resized) { /* stands at the head of the block that needs it */
            const int index = (int)strtol(strchr(block, '.') + 1, NULL, 10);
            snprintf(block, sizeof block, "output_blocks.%d.resized", index - 1);
        }
        char   name[80];
        size_t elems = 0, expected = 0;
        snprintf(name, sizeof name, "%s.%s", golden, block);
        if (!golden_has(name)) continue;
        const void *y = call_result(call, &elems);
        cr_assert_not_null(y, "%s", call->label);
        float *want = golden_f32(name, &expected);
        cr_assert_eq(elems, expected, "%s", name);
        compare(name, y, dtype, want, elems);
        free(want);
        compared++;
    }
    return compared;
}

/* `blocks`: that are recorded. */
static void check_unet(rf_level level, rf_dtype dtype, const char *golden, int blocks, int h, int w)
{
    bench b;
    setup(&b, level, dtype, RF_PREFIX_UNET, golden);
    const rf_unet_arch *arch = &b.checkpoint.arch.unet;
    rf_unet_list        list;
    rf_unet_sections    sections;
    cr_assert_eq(rf_unet_list_blocks(arch, &list), 0);
    must(rf_unet_list_weights(&b.device, &b.weights, arch, &list, &sections, &err));
    load(&b);

    const int                refiner = strncmp(golden, "refiner.", 8) == 0;
    const char              *vector_name = refiner ? "refiner.vector" : "unet.vector";
    const char              *context_name = refiner ? "refiner.context" : "unet.context";
    char                     name[64];
    size_t                   elems = 0;
    const size_t             bytes = rf_dtype_bytes(dtype);
    void                    *vector = golden_rounded(vector_name, &elems, dtype);
    void                    *context = golden_rounded(context_name, &elems, dtype);
    const int                tokens = (int)(elems / (size_t)arch->context);
    void                    *table = calloc(list.temb_columns, bytes);
    void                    *pool = calloc(list.kv_elems * (size_t)tokens, bytes);
    const float              timestep = 601.5f;
    const rf_unet_embed_args embed = {.list = &list,
                                      .arch = arch,
                                      .timestep = &timestep,
                                      .vector = vector,
                                      .table = table,
                                      .rows = 1};
    record(&b, sections.embed, rf_unet_embed, &embed);
    must(rf_program_run(&b.program, &b.device, &err));
    const rf_unet_kv_args kv = {
        .list = &list, .arch = arch, .context = context, .pool = pool, .tokens = tokens};
    record(&b, sections.kv, rf_unet_kv, &kv);
    must(rf_program_run(&b.program, &b.device, &err));

    snprintf(name, sizeof name, "%s.x", golden);
    void                      *x = golden_rounded(name, &elems, dtype);
    void                      *y = calloc(elems, bytes);
    const int32_t              row = 0;
    const rf_attention_kv      entry = {.base = pool, .skv = tokens};
    const rf_unet_forward_args forward = {.list = &list,
                                          .arch = arch,
                                          .x = x,
                                          .y = y,
                                          .temb = table,
                                          .temb_rows = 1,
                                          .temb_row = &row,
                                          .kv = &entry,
                                          .kv_tokens = tokens,
                                          .n = 1,
                                          .h = h,
                                          .w = w};
    record(&b, sections.forward, rf_unet_forward, &forward);
    cr_expect_eq(compare_blocks(&b, golden, dtype), blocks);
    free(vector), free(context), free(table), free(pool), free(x), free(y);
    teardown(&b);
}

/* Four blocks and the output. */
Test(parity, unet_of_even_size, .timeout = 240)
{
    check_unet(RF_LEVEL_CPU, RF_F32, "unet.even", 5, 16, 16);
    check_unet(RF_LEVEL_CPU, RF_BF16, "unet.even", 5, 16, 16);
}

/* Every block: 9 down, the middle, 9 up, the output; and two resizes. */
Test(parity, unet_of_odd_size, .timeout = 240)
{
    check_unet(RF_LEVEL_REF, RF_F32, "unet.odd", 22, 9, 13);
    check_unet(RF_LEVEL_CPU, RF_F32, "unet.odd", 22, 9, 13);
    check_unet(RF_LEVEL_CPU, RF_BF16, "unet.odd", 22, 9, 13);
}

/* Levels without attention at both ends, and maps that are odd on every level. */
Test(parity, unet_of_the_refiner, .timeout = 240)
{
    check_unet(RF_LEVEL_CPU, RF_F32, "refiner.unet", 13, 5, 6);
    check_unet(RF_LEVEL_CPU, RF_BF16, "refiner.unet", 13, 5, 6);
#ifndef RF_SANITIZE
    check_unet(RF_LEVEL_REF, RF_F32, "refiner.unet", 13, 5, 6);
#endif
}

/* ---- VAE ---------------------------------------------------------------------------------- */

static void check_vae(rf_level level, rf_dtype dtype, const char *size, int h, int w)
{
    bench b;
    setup(&b, level, dtype, RF_PREFIX_VAE, "");
    const float     unscale = 1 / RF_VAE_SCALE;
    char            name[64];
    size_t          elems = 0, expected = 0;
    rf_pixels_stats stats;
    snprintf(name, sizeof name, "vae.%s.latent", size);
    float                   *latent = golden_f32(name, &elems);
    uint8_t                 *pixels = malloc((size_t)h * (size_t)w * 64 * 3);
    const rf_vae_decode_args args = {.arch = &b.checkpoint.arch.vae,
                                     .latent = latent,
                                     .pixels = pixels,
                                     .stats = &stats,
                                     .n = 1,
                                     .h = h,
                                     .w = w,
                                     .unscale = &unscale};
    must(rf_record_list(&b.device, &b.weights, rf_vae_decode, &args, &err));
    load(&b);
    record(&b, 0, rf_vae_decode, &args);

    int compared = 0;
    for (size_t i = 0; i < b.program.count; i++) {
        const rf_op_call *call = &b.program.call[i];
        const char       *next = i + 1 < b.program.count ? b.program.call[i + 1].label : "";
        must(rf_program_run_range(&b.program, i, i + 1, &b.device, &err));
        const char *label = call->label;
        const char *part = NULL;
        char        level_name[16];
        if (strcmp(label, "decoder.conv_in") == 0) part = "conv_in";
        if (strcmp(label, "decoder.conv_out") == 0) part = "image";
        if (strncmp(label, "decoder.mid.", 12) == 0 && strncmp(next, "decoder.mid.", 12) != 0)
            part = "mid";
        if (strncmp(label, "decoder.up.", 11) == 0 && strncmp(label, next, 12) != 0) {
            snprintf(level_name, sizeof level_name, "up.%c", label[11]);
            part = level_name;
        }
        if (!part) continue;
        snprintf(name, sizeof name, "vae.%s.%s", size, part);
        if (!golden_has(name)) continue; /* the large sizes record fewer levels */
        float      *want = golden_f32(name, &expected);
        const void *y = call_result(call, &elems);
        cr_assert_eq(elems, expected, "%s", name);
        compare(name, y, dtype, want, elems);
        free(want);
        compared++;
    }
    cr_expect_geq(compared, 2, "%s: only %d maps compared", size, compared);
    cr_expect_eq(stats.non_finite, 0);
    free(latent), free(pixels);
    teardown(&b);
}

Test(parity, vae_decoder, .timeout = 240)
{
    check_vae(RF_LEVEL_REF, RF_F32, "small", 2, 3);
    check_vae(RF_LEVEL_CPU, RF_F32, "small", 2, 3);
    check_vae(RF_LEVEL_CPU, RF_F32, "square", 8, 8);
    check_vae(RF_LEVEL_CPU, RF_F32, "wide", 6, 10);
    check_vae(RF_LEVEL_CPU, RF_BF16, "square", 8, 8);
    check_vae(RF_LEVEL_CPU, RF_BF16, "wide", 6, 10);
}

/* Runs call by call; what stands after a part of the encoder must be what is recorded. */
static void check_encoder(rf_level level, rf_dtype dtype, const char *size, int h, int w)
{
    bench  b;
    char   name[64];
    size_t elems = 0, expected = 0;
    setup(&b, level, dtype, RF_PREFIX_VAE, "");
    snprintf(name, sizeof name, "%s.pixels", size);
    float *given = encoder_f32(name, &elems);
    cr_assert_eq(elems, (size_t)h * (size_t)w * 64 * 3);
    void                    *pixels = rounded(given, elems, dtype);
    void                    *moments = calloc((size_t)h * (size_t)w * 8, rf_dtype_bytes(dtype));
    const rf_vae_encode_args args = {.arch = &b.checkpoint.arch.vae,
                                     .pixels = pixels,
                                     .moments = moments,
                                     .n = 1,
                                     .h = h,
                                     .w = w};
    must(rf_record_list(&b.device, &b.weights, rf_vae_encode, &args, &err));
    load(&b);
    record(&b, 0, rf_vae_encode, &args);

    const struct {
        const char *label, *golden;
    } parts[] = {{"encoder.down.3.block.1.conv2", "small.down.3"},
                 {"encoder.mid.block_2.conv2", "small.mid"},
                 {"quant_conv.weight", NULL}};
    int compared = 0;
    for (size_t i = 0; i < b.program.count; i++) {
        const rf_op_call *call = &b.program.call[i];
        must(rf_program_run_range(&b.program, i, i + 1, &b.device, &err));
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            if (strcmp(call->label, parts[k].label) != 0) continue;
            if (parts[k].golden && strcmp(size, "small") != 0) continue;
            snprintf(name, sizeof name, "%s.moments", size);
            float      *want = encoder_f32(parts[k].golden ? parts[k].golden : name, &expected);
            const void *y = call_result(call, &elems);
            cr_assert_eq(elems, expected, "%s", call->label);
            compare(call->label, y, dtype, want, elems);
            free(want);
            compared++;
        }
    }
    cr_expect_eq(compared, strcmp(size, "small") == 0 ? 3 : 1, "%d parts compared", compared);
    free(given), free(pixels), free(moments);
    teardown(&b);
}

Test(parity, vae_encoder, .timeout = 240)
{
    check_encoder(RF_LEVEL_REF, RF_F32, "small", 2, 3);
    check_encoder(RF_LEVEL_CPU, RF_F32, "small", 2, 3);
    check_encoder(RF_LEVEL_CPU, RF_F32, "wide", 4, 5);
    check_encoder(RF_LEVEL_CPU, RF_BF16, "wide", 4, 5);
}
