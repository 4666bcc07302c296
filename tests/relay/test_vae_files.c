/* VAEs in files of their own: whatever their names are, the picture is the same; what is no VAE of
 * SDXL's is refused, and named. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/diffusers_names.h"
#include "engine/files/safetensors.h"
#include "tests/files/fixture.h"
#include "tests/relay/relays.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

/* ---- files -------------------------------------------------------------------------------- */

typedef struct spelling {
    const char *prefix;
    int         diffusers; /* 1: to_q ...; 2: query ... */
    int         flat;      /* attention as [c, c], else [c, c, 1, 1] */
    int         decoder;   /* alone */
} spelling;

typedef struct writer {
    const spelling   *how;
    const rf_tensors *from;
    rf_sdxl_arch      arch;
    char             *header, *data;
    size_t            header_bytes, data_bytes;
    FILE             *header_out, *data_out;
} writer;

static void replace(char *name, const char *old, const char *now)
{
    char        whole[RF_DIFFUSERS_NAME];
    const char *at = strstr(name, old);
    if (!at) return;
    snprintf(whole, sizeof whole, "%.*s%s%s", (int)(at - name), name, now, at + strlen(old));
    memcpy(name, whole, sizeof whole);
}

static void rename_tensor(char *name, const spelling *how, const rf_sdxl_arch *arch,
                          const rf_layout_tensor *t)
{
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    snprintf(name, RF_DIFFUSERS_NAME, "%s", t->name + strlen(RF_PREFIX_VAE));
    if (!how->diffusers) return;
    cr_assert_eq(rf_diffusers_names(arch, t, d), 1, "%s", t->name);
    snprintf(name, RF_DIFFUSERS_NAME, "%s", d[0].name);
    if (how->diffusers == 1) return;
    replace(name, ".to_q.", ".query.");
    replace(name, ".to_k.", ".key.");
    replace(name, ".to_v.", ".value.");
    replace(name, ".to_out.0.", ".proj_attn.");
}

static rf_status write_tensor(void *user, const rf_layout_tensor *t)
{
    writer     *w = user;
    char        name[RF_DIFFUSERS_NAME];
    rf_error    err = {0};
    const char *bare = t->name + strlen(RF_PREFIX_VAE);
    const int encodes = strncmp(bare, "encoder.", 8) == 0 || strncmp(bare, "quant_conv.", 11) == 0;
    if (t->part != RF_PART_VAE || (w->how->decoder && encodes)) return RF_OK;
    const rf_tensor *from = rf_tensors_find(w->from, t->name);
    cr_assert_not_null(from, "%s", t->name);
    const int dims = t->pointwise && w->how->flat ? 2 : t->ndim;
    rename_tensor(name, w->how, &w->arch, t);
    const long at = ftell(w->data_out);
    char      *data = malloc(from->bytes);
    must(w->from->read(w->from, from, 0, data, from->bytes, &err), &err);
    fwrite(data, 1, from->bytes, w->data_out);
    free(data);
    fprintf(w->header_out, "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":[", at ? "," : "{",
            w->how->prefix, name);
    for (int i = 0; i < dims; i++)
        fprintf(w->header_out, "%s%d", i ? "," : "", (int)(i < t->ndim ? t->dim[i] : 1));
    fprintf(w->header_out, "],\"data_offsets\":[%ld,%ld]}", at, ftell(w->data_out));
    return RF_OK;
}

/* The VAE of checkpoint `from` as a file of its own. */
static void write_vae(const char *from, const char *to, const spelling *how)
{
    rf_safetensors *file = NULL;
    rf_checkpoint   checkpoint;
    rf_error        err = {0};
    must(rf_safetensors_open(&file, from, &err), &err);
    must(rf_checkpoint_check(&checkpoint, rf_safetensors_list(file), &err), &err);
    writer w = {.how = how, .from = rf_safetensors_list(file), .arch = checkpoint.arch};
    w.header_out = open_memstream(&w.header, &w.header_bytes);
    w.data_out = open_memstream(&w.data, &w.data_bytes);
    cr_assert(w.header_out && w.data_out);
    must(rf_sdxl_layout(&w.arch, write_tensor, &w), &err);
    fputc('}', w.header_out);
    cr_assert_eq(fclose(w.header_out) | fclose(w.data_out), 0);
    FILE          *out = fopen(to, "wb");
    const uint64_t bytes = w.header_bytes;
    cr_assert_not_null(out);
    fwrite(&bytes, sizeof bytes, 1, out);
    fwrite(w.header, 1, w.header_bytes, out);
    fwrite(w.data, 1, w.data_bytes, out);
    cr_assert_eq(fclose(out), 0);
    free(w.header);
    free(w.data);
    rf_safetensors_close(file);
}

static rf_job relay_job(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .cfg_scale = 1};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1};
    return relays_job(stage, 2, 2);
}

/* ---- the same picture --------------------------------------------------------------------- */

Test(vae_files, in_any_spelling, .timeout = 240)
{
    static const spelling rows[] = {
        {"", 0, 0, 0},     {"first_stage_model.", 0, 0, 0},
        {"vae.", 0, 1, 0}, {"", 1, 1, 0},
        {"", 1, 0, 0},     {"", 2, 1, 0},
        {"", 2, 0, 0},     {"first_stage_model.", 1, 1, 0},
        {"vae.", 2, 1, 0}, {"", 0, 0, 1},
        {"vae.", 1, 1, 1}, {"first_stage_model.", 2, 0, 1},
    };
    relays   r;
    rf_stage stage[2];
    pictures own, alone;
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    relays_render(&r, &job, &own);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char what[80];
        job.vae = fixture_path("alone.safetensors");
        write_vae(r.path[1], job.vae, &rows[i]);
        relays_render(&r, &job, &alone);
        snprintf(what, sizeof what, "\"%s\", diffusers %d, flat %d, decoder %d", rows[i].prefix,
                 rows[i].diffusers, rows[i].flat, rows[i].decoder);
        pictures_expect_equal(&own, &alone, what, 0);
        cr_expect_not_null(strstr(alone.parameters[0], "VAE: alone"), "%s", alone.parameters[0]);
        pictures_free(&alone);
    }
    cr_expect_eq(r.warnings, 0, "%s", r.warning[0]);
    pictures_free(&own);
    relays_close(&r);
    fixture_cleanup();
}

static void write_text(const char *path, const char *text)
{
    fixture_raw(path, text, strlen(text));
}

static void refused(relays *r, const rf_job *job, rf_status status, const char *text)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    cr_expect_eq(rf_plan_create(&plan, r->engine, job, &err), status, "%s: %s", text, err.message);
    cr_expect_not_null(strstr(err.message, text), "\"%s\" should say \"%s\"", err.message, text);
    cr_expect_null(plan);
    rf_plan_destroy(plan);
}

/* diffusers' vae/, whose config.json tells SDXL's latents from Stable Diffusion 1's. */
Test(vae_files, a_folder, .timeout = 240)
{
    static const spelling how = {"", 1, 1, 0};
    relays                r;
    rf_stage              stage[2];
    pictures              own, alone;
    char                  folder[300], weights[400], config[400];
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    relays_render(&r, &job, &own);
    snprintf(folder, sizeof folder, "%s", fixture_path("my-vae"));
    snprintf(weights, sizeof weights, "%s/diffusion_pytorch_model.fp16.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    job.vae = folder;
    refused(&r, &job, RF_E_NOT_FOUND, "my-vae");
    write_vae(r.path[1], weights, &how);
    for (int i = 0; i < 2; i++) {
        relays_render(&r, &job, &alone);
        pictures_expect_equal(&own, &alone, "a folder", 0);
        cr_expect_not_null(strstr(alone.parameters[0], "VAE: my-vae"), "%s", alone.parameters[0]);
        cr_expect_not_null(strstr(alone.parameters[0], "VAE hash: "), "%s", alone.parameters[0]);
        pictures_free(&alone);
        write_text(config, "{\"_class_name\": \"AutoencoderKL\", \"scaling_factor\": 0.13025}");
    }
    job.vae = weights;
    relays_render(&r, &job, &alone);
    cr_expect_not_null(strstr(alone.parameters[0], "VAE: my-vae"), "%s", alone.parameters[0]);
    cr_expect_not_null(strstr(alone.job[0], "diffusion_pytorch_model"), "%s", alone.job[0]);
    pictures_free(&alone);
    job.vae = folder;
    write_text(config, "{\"scaling_factor\": 0.18215}");
    refused(&r, &job, RF_E_MODEL, "scaling_factor is 0.18215 where SDXL's VAE has 0.13025");
    write_text(config, "{\"scaling_factor\": ");
    refused(&r, &job, RF_E_FORMAT, "config.json: line 1");
    unlink(config);
    unlink(weights);
    rmdir(folder);
    pictures_free(&own);
    relays_close(&r);
    fixture_cleanup();
}

/* Half a VAE decodes, and begins from no picture. */
Test(vae_files, a_decoder_alone_encodes_nothing, .timeout = 240)
{
    static const spelling how = {"", 1, 1, 1};
    uint8_t               rgb[64 * 64 * 3] = {0};
    const rf_init         init = {.rgb = rgb, .denoise = 0.5};
    relays                r;
    rf_stage              stage[2];
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    job.init = &init;
    job.vae = fixture_path("half.safetensors");
    write_vae(r.path[1], job.vae, &how);
    refused(&r, &job, RF_E_MODEL, "encoder.conv_in.weight is missing");
    relays_close(&r);
    fixture_cleanup();
}

/* Nothing in the file says so: its name is all there is. */
Test(vae_files, a_name_of_stable_diffusion_1, .timeout = 240)
{
    static const spelling how = {"", 0, 0, 0};
    relays                r;
    rf_stage              stage[2];
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    job.vae = fixture_path("vae-ft-mse-840000-ema-pruned.safetensors");
    write_vae(r.path[1], job.vae, &how);
    rf_plan_destroy(relays_plan(&r, &job));
    cr_expect_eq(r.warnings, 1);
    cr_expect_not_null(strstr(r.warning[0], "a VAE of Stable Diffusion 1"), "%s", r.warning[0]);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- hostile shapes ----------------------------------------------------------------------- */

typedef struct shape {
    const char *name;
    int         ndim;
    int64_t     dim[5];
} shape;

/* A decoder's tensors that decide its sizes, width 32. */
static const shape sizes[] = {
    {"decoder.conv_in.weight", 4, {128, 4, 3, 3}},
    {"decoder.conv_out.weight", 4, {3, 32, 3, 3}},
    {"decoder.up.0.block.0.conv1.weight", 4, {32, 64, 3, 3}},
    {"decoder.up.0.block.1.conv1.weight", 4, {32, 32, 3, 3}},
    {"decoder.up.1.block.0.conv1.weight", 4, {64, 128, 3, 3}},
    {"decoder.up.2.block.0.conv1.weight", 4, {128, 128, 3, 3}},
    {"decoder.up.3.block.0.conv1.weight", 4, {128, 128, 3, 3}},
};
enum { SIZES = sizeof sizes / sizeof *sizes };

Test(vae_files, hostile_shapes_are_refused, .timeout = 240)
{
    static const struct {
        shape       instead; /* of the tensor of that name, or one more */
        const char *text;
    } rows[] = {
        {{"decoder.conv_in.weight", 4, {128, 16, 3, 3}}, "a VAE of 16 latent channels"},
        {{"decoder.conv_in.weight", 4, {128, 0, 3, 3}}, "decoder.conv_in.weight has shape"},
        {{"decoder.conv_in.weight", 2, {128, 36}}, "decoder.conv_in.weight has shape"},
        {{"decoder.conv_in.weight", 4, {127, 4, 3, 3}}, "post_quant_conv"},
        {{"decoder.conv_out.weight", 4, {3, 33, 3, 3}}, "decoder.conv_out.weight has shape"},
        {{"decoder.conv_out.weight", 4, {3, 1 << 20, 3, 3}}, "decoder.conv_out.weight has shape"},
        {{"decoder.conv_out.weight", 1, {32}}, "decoder.conv_out.weight has shape"},
        {{"decoder.up.2.block.0.conv1.weight", 4, {48, 128, 3, 3}}, "decoder.up.2.block.0"},
        {{"decoder.up.2.block.0.conv1.weight", 5, {128, 128, 3, 3, 3}}, "decoder.up.2.block.0"},
        {{"decoder.up.2.block.0.conv1.weight", 4, {1 << 20, 1, 3, 3}}, "decoder.up.2.block.0"},
        {{"decoder.up.4.block.0.conv1.weight", 4, {128, 128, 3, 3}}, "a VAE of 5 levels"},
        {{"vae.decoder.conv_in.weight", 4, {1, 1, 1, 1}}, "a VAE of 1 latent channels"},
        {{"post_quant_conv.weight", 4, {4, 5, 1, 1}},
         "post_quant_conv.weight has shape [4, 5, 1, 1]"},
        {{"post_quant_conv.weight", 4, {4, 4, 3, 3}},
         "post_quant_conv.weight has shape [4, 4, 3, 3]"},
        {{"decoder.mid_block.attentions.0.query.weight", 2, {128, 128}}, "post_quant_conv"},
    };
    relays   r;
    rf_stage stage[2];
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    job.vae = fixture_path("hostile.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const shape *instead = &rows[i].instead;
        fixture      f = {0};
        int          replaced = 0;
        for (int k = 0; k < SIZES; k++) {
            const int    same = strcmp(sizes[k].name, instead->name) == 0;
            const shape *s = same ? instead : &sizes[k];
            fixture_add(&f, s->name, "F16", s->ndim, s->dim, 2);
            replaced |= same;
        }
        if (!replaced) fixture_add(&f, instead->name, "F16", instead->ndim, instead->dim, 2);
        fixture_write(&f, job.vae);
        refused(&r, &job, RF_E_MODEL, rows[i].text);
    }
    relays_close(&r);
    fixture_cleanup();
}

/* to_q and query at once: which one is meant? */
Test(vae_files, two_names_of_one_tensor, .timeout = 240)
{
    static const char *const twice[] = {"decoder.mid_block.attentions.0.query.weight",
                                        "decoder.mid_block.attentions.0.to_q.weight"};
    const int64_t            square[] = {128, 128};
    relays                   r;
    rf_stage                 stage[2];
    fixture                  f = {0};
    relays_open(&r, &bf16);
    rf_job job = relay_job(&r, stage);
    job.vae = fixture_path("twice.safetensors");
    for (int k = 0; k < SIZES; k++)
        fixture_add(&f, sizes[k].name, "F16", sizes[k].ndim, sizes[k].dim, 2);
    for (int k = 0; k < 2; k++) fixture_add(&f, twice[k], "F16", 2, square, 2);
    fixture_write(&f, job.vae);
    refused(&r, &job, RF_E_MODEL, "are the same part of a VAE");
    relays_close(&r);
    fixture_cleanup();
}
