/* The tiny model's UNet and VAE, both ways, through the CUDA device, emulated, against PyTorch's
 * recorded values (tests/golden/networks.md): weights from the file, programs as graphs, and two
 * experts taking turns on one slab. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/upload.h"
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/files/taesd_layout.h"
#include "engine/model/taesd.h"
#include "engine/model/unet.h"
#include "engine/model/vae.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"
#include "tests/model/golden.h"
#include "tests/model/taesd_file.h"

enum { PIECES = 32 };

/* f16 has an eighth of bf16's roundoff, and so of its bound (parity_bound). */
static const double f16_bound = 3e-2 / 8;

static rf_error err;

static void must(rf_status st)
{
    cr_assert_eq(st, RF_OK, "%s: %s", rf_status_name(st), err.message);
}

/* ---- a GPU and what lies on it --------------------------------------------------------------- */

static rf_device device;
static rf_upload upload;
static struct {
    void  *at;
    size_t bytes;
} piece[PIECES];
static int pieces;

static void start(void)
{
    emu_runtime_start(&emu_gpu_rtx4090);
    emu_configure(&(emu_settings){.no_races = true}); /* of each kernel: tests/kernels */
    must(rf_device_open_cuda(&device, 0, 1, &err));
    must(rf_upload_start(&upload, &device, &err));
}

static void *take(size_t bytes)
{
    cr_assert_lt(pieces, PIECES);
    must(rf_device_alloc(&device, &piece[pieces].at, bytes, "piece", &err));
    piece[pieces].bytes = bytes;
    return piece[pieces++].at;
}

static void *put(const void *host, size_t bytes)
{
    void *at = take(bytes);
    must(rf_upload_all(&upload, at, host, bytes, &err));
    must(rf_upload_before_ops(&upload, &err));
    return at;
}

static void *put_rounded(const float *f, size_t elems, rf_dtype dtype)
{
    void *rounded = malloc(elems * rf_dtype_bytes(dtype));
    for (size_t i = 0; i < elems; i++) rf_store(rounded, dtype, i, f[i]);
    void *at = put(rounded, elems * rf_dtype_bytes(dtype));
    free(rounded);
    return at;
}

/* A recorded tensor in `dtype`. */
static void *put_golden(const char *name, rf_dtype dtype, size_t *elems)
{
    float *f = golden_f32(name, elems);
    void  *at = put_rounded(f, *elems, dtype);
    free(f);
    return at;
}

/* free() it. */
static void *get(const void *from, size_t bytes)
{
    void *staging = NULL, *host = malloc(bytes);
    must(rf_device_alloc_staging(&device, &staging, bytes, "staging", &err));
    must(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_DOWN, staging, from, bytes, &err));
    must(rf_device_wait(&device, &err));
    memcpy(host, staging, bytes);
    rf_device_free_staging(&device, staging, bytes);
    return host;
}

static void end(void)
{
    rf_upload_end(&upload);
    while (pieces--) rf_device_free(&device, piece[pieces].at, piece[pieces].bytes);
    cr_expect_eq(device.bytes_held, 0u);
    rf_device_close(&device);
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
}

/* ---- an expert ------------------------------------------------------------------------------- */

typedef struct expert {
    char            *path;
    rf_safetensors  *file;
    rf_checkpoint    checkpoint;
    rf_weights       weights;
    rf_unet_list     list;
    rf_unet_sections sections;
    rf_program       program;
    rf_graph        *graph;
    void            *y;
    size_t           y_elems;
} expert;

static void open_expert(expert *e, unsigned seed, const char *prefix, rf_dtype dtype)
{
    *e = (expert){.path = make_tiny(seed)};
    must(rf_safetensors_open(&e->file, e->path, &err));
    must(rf_checkpoint_check(&e->checkpoint, rf_safetensors_list(e->file), &err));
    e->weights =
        (rf_weights){.file = rf_safetensors_list(e->file), .prefix = prefix, .dtype = dtype};
}

static void load(expert *e)
{
    void *staging = NULL;
    must(rf_device_alloc(&device, &staging, e->weights.staging_bytes, "staging", &err));
    must(rf_weights_load(&e->weights, &device, staging, NULL, &err));
    rf_device_free(&device, staging, e->weights.staging_bytes);
}

static void close_expert(expert *e)
{
    rf_graph_destroy(&device, e->graph);
    rf_program_free(&e->program);
    rf_weights_free(&e->weights, &device);
    rf_safetensors_close(e->file);
    remove_tiny(e->path);
}

/* One slab for all programs of all experts: large enough for the largest. */
typedef struct slab {
    void  *at;
    size_t bytes;
} slab;

static void place(expert *e, const slab *s, size_t first_slot, rf_forward_fn *forward,
                  const void *arg)
{
    size_t bytes = 0;
    must(rf_record_count(&device, &e->weights, first_slot, forward, arg, &bytes, &err));
    cr_assert_leq(bytes, s->bytes);
    must(rf_record_place(&device, &e->weights, first_slot, forward, arg, s->at, s->bytes,
                         &e->program, &err));
}

/* ---- UNet ------------------------------------------------------------------------------------ */

enum { H = 9, W = 13 }; /* odd: with its resizes */

/* Everything up to the graph of a call: embeddings, the prompt's keys and values, the program. */
static void prepare_unet(expert *e, const slab *s)
{
    const rf_unet_arch *arch = &e->checkpoint.arch.unet;
    size_t              elems = 0;
    cr_assert_eq(rf_unet_list_blocks(arch, &e->list), 0);
    must(rf_unet_list_weights(&device, &e->weights, arch, &e->list, &e->sections, &err));
    load(e);

    const float              timestep = 601.5f;
    const void              *vector = put_golden("unet.vector", RF_F16, &elems);
    const void              *context = put_golden("unet.context", RF_F16, &elems);
    const int                tokens = (int)(elems / (size_t)arch->context);
    void                    *table = take(e->list.temb_columns * 2);
    void                    *pool = take(e->list.kv_elems * (size_t)tokens * 2);
    const rf_unet_embed_args embed = {.list = &e->list,
                                      .arch = arch,
                                      .timestep = put(&timestep, sizeof timestep),
                                      .vector = vector,
                                      .table = table,
                                      .rows = 1};
    place(e, s, e->sections.embed, rf_unet_embed, &embed);
    must(rf_program_run(&e->program, &device, &err));
    const rf_unet_kv_args kv = {
        .list = &e->list, .arch = arch, .context = context, .pool = pool, .tokens = tokens};
    place(e, s, e->sections.kv, rf_unet_kv, &kv);
    must(rf_program_run(&e->program, &device, &err));

    const int32_t         row = 0;
    const rf_attention_kv entry = {.base = pool, .skv = tokens};
    const void           *x = put_golden("unet.odd.x", RF_F16, &e->y_elems);
    e->y = take(e->y_elems * 2);
    const rf_unet_forward_args forward = {.list = &e->list,
                                          .arch = arch,
                                          .x = x,
                                          .y = e->y,
                                          .temb = table,
                                          .temb_rows = 1,
                                          .temb_row = put(&row, sizeof row),
                                          .kv = put(&entry, sizeof entry),
                                          .kv_tokens = tokens,
                                          .n = 1,
                                          .h = H,
                                          .w = W};
    place(e, s, e->sections.forward, rf_unet_forward, &forward);
    must(rf_program_capture(&e->program, &device, &e->graph, &err));
}

/* Launches the expert's graph; its result.  free() it. */
static uint16_t *call(const expert *e)
{
    must(rf_graph_launch(&device, e->graph, "a call of the UNet", &err));
    return get(e->y, e->y_elems * 2);
}

Test(networks_cuda, two_experts_take_turns_on_one_slab, .timeout = 600)
{
    expert a, b;
    slab   s = {.bytes = 2 << 20};
    start();
    s.at = take(s.bytes);
    open_expert(&a, 7, RF_PREFIX_UNET, RF_F16);
    open_expert(&b, 8, RF_PREFIX_UNET, RF_F16);
    prepare_unet(&a, &s);
    prepare_unet(&b, &s);
    must(rf_device_wait(&device, &err));

    const size_t allocations = device.allocations;
    uint16_t    *base = call(&a), *refined = call(&b), *again = call(&a);
    cr_expect_eq(device.allocations, allocations);
    size_t elems = 0;
    float *want = golden_f32("unet.odd.out", &elems);
    cr_assert_eq(elems, a.y_elems);
    const double error = relative_error(base, RF_F16, want, elems);
    cr_expect(error <= f16_bound, "relative error %.3g, allowed %.3g", error, f16_bound);
    cr_expect_gt(relative_error(refined, RF_F16, want, elems), 0.1, "another expert");
    cr_expect_eq(memcmp(base, again, elems * 2), 0, "what was in the slab does not matter");
    free(want), free(base), free(refined), free(again);
    close_expert(&a);
    close_expert(&b);
    end();
}

/* ---- VAE ------------------------------------------------------------------------------------- */

Test(networks_cuda, vae_decoder, .timeout = 600)
{
    enum { LATENT_H = 2, LATENT_W = 3 };
    const float unscale = 1 / RF_VAE_SCALE;
    expert      e;
    slab        s = {.bytes = 2 << 20};
    size_t      elems = 0, expected = 0;
    start();
    s.at = take(s.bytes);
    open_expert(&e, 7, RF_PREFIX_VAE, RF_BF16); /* f16 overflows in a VAE of full size */
    rf_pixels_stats    stats = {0};
    rf_vae_decode_args args = {
        .arch = &e.checkpoint.arch.vae, .n = 1, .h = LATENT_H, .w = LATENT_W};
    must(rf_record_list(&device, &e.weights, rf_vae_decode, &args, &err));
    load(&e);
    args.latent = put_golden("vae.small.latent", RF_F32, &elems);
    args.unscale = put(&unscale, sizeof unscale);
    args.pixels = take((size_t)LATENT_H * LATENT_W * 64 * 3);
    args.stats = take(sizeof stats);
    place(&e, &s, 0, rf_vae_decode, &args);
    must(rf_program_capture(&e.program, &device, &e.graph, &err));
    must(rf_graph_launch(&device, e.graph, "the decoder", &err));

    const rf_op_call *last = &e.program.call[e.program.count - 1]; /* pixels: of the image */
    cr_assert_eq(last->kind, RF_OP_PIXELS);
    float       *want = golden_f32("vae.small.image", &expected);
    void        *image = get(last->args.pixels.x, expected * 2);
    const double error = relative_error(image, RF_BF16, want, expected);
    cr_expect(error <= parity_bound(RF_BF16), "relative error %.3g", error);
    rf_pixels_stats *got = get(args.stats, sizeof stats);
    cr_expect(got->non_finite == 0 && got->least < got->greatest);
    free(want), free(image), free(got);
    close_expert(&e);
    end();
}

Test(networks_cuda, vae_encoder, .timeout = 600)
{
    enum { LATENT_H = 2, LATENT_W = 3 };
    expert e;
    slab   s = {.bytes = 2 << 20};
    size_t elems = 0;
    start();
    s.at = take(s.bytes);
    open_expert(&e, 7, RF_PREFIX_VAE, RF_BF16);
    rf_vae_encode_args args = {
        .arch = &e.checkpoint.arch.vae, .n = 1, .h = LATENT_H, .w = LATENT_W};
    must(rf_record_list(&device, &e.weights, rf_vae_encode, &args, &err));
    load(&e);
    float *pixels = encoder_f32("small.pixels", &elems);
    args.pixels = put_rounded(pixels, elems, RF_BF16);
    free(pixels);
    float *want = encoder_f32("small.moments", &elems);
    args.moments = take(elems * 2);
    place(&e, &s, 0, rf_vae_encode, &args);
    must(rf_program_run(&e.program, &device, &err));
    void        *moments = get(args.moments, elems * 2);
    const double error = relative_error(moments, RF_BF16, want, elems);
    cr_expect(error <= parity_bound(RF_BF16), "relative error %.3g", error);
    free(want), free(moments);
    close_expert(&e);
    end();
}

/* Previews are computed in f16, which tiny autoencoders are made for. */
Test(networks_cuda, tiny_autoencoder, .timeout = 600)
{
    enum { LATENT_H = 3, LATENT_W = 4 };
    expert        e = {.path = taesd_write(16, TAESD_ORIGINAL)};
    slab          s = {.bytes = 1 << 20};
    size_t        elems = 0, expected = 0;
    rf_taesd_arch arch;
    uint16_t      entered[LATENT_H * LATENT_W * 4];
    float        *latent = taesd_f32("latent", &elems);
    start();
    s.at = take(s.bytes);
    must(rf_safetensors_open(&e.file, e.path, &err));
    must(rf_taesd_derive(&arch, rf_safetensors_list(e.file), &err));
    const rf_weights_patch patch = rf_taesd_patch(&arch);
    e.weights = (rf_weights){.file = rf_safetensors_list(e.file),
                             .prefix = arch.prefix,
                             .dtype = RF_F16,
                             .patch = &patch};
    rf_taesd_args args = {.arch = &arch, .n = 1, .h = LATENT_H, .w = LATENT_W};
    must(rf_record_list(&device, &e.weights, rf_taesd_decode, &args, &err));
    load(&e);
    rf_taesd_enter(entered, RF_F16, latent, elems);
    args.latent = put(entered, sizeof entered);
    args.pixels = take((size_t)LATENT_H * LATENT_W * 64 * 3);
    args.stats = take(sizeof(rf_pixels_stats));
    place(&e, &s, 0, rf_taesd_decode, &args);
    must(rf_program_run(&e.program, &device, &err));

    const rf_op_call *last = &e.program.call[e.program.count - 1];
    cr_assert_eq(last->kind, RF_OP_PIXELS);
    float       *want = taesd_f32("image", &expected);
    void        *image = get(last->args.pixels.x, expected * 2);
    const double error = relative_error(image, RF_F16, want, expected);
    cr_expect(error <= f16_bound, "relative error %.3g", error);
    free(want), free(image), free(latent);
    close_expert(&e);
    end();
}
