/* Converted checkpoints hold what they held: tensor for tensor, and nothing appears half-written.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/core/widen.h"
#include "engine/files/model_file.h"
#include "engine/files/prediction.h"
#include "engine/files/synth.h"
#include "engine/refinery.h"
#include "tests/files/fixture.h"
#include "tests/files/folder_fixture.h"
#include "tests/files/rewrite.h"

static int disk_is_full;

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    const int result = __real_statvfs(path, out);
    if (disk_is_full) out->f_bavail = 1;
    return result;
}

static char tiny[400];

static void set_up(void)
{
    rf_error               err = {0};
    const rf_synth_options options = {.arch = "tiny", .seed = 3, .type = RF_FILE_F16};
    snprintf(tiny, sizeof tiny, "%s/tiny.safetensors", fixture_folder());
    cr_assert_eq(rf_synth_write(tiny, &options, &err), RF_OK, "%s", err.message);
}

static void clean_up(void)
{
    folder_remove(fixture_folder());
}

TestSuite(convert, .init = set_up, .fini = clean_up, .timeout = 120);

/* ---- helpers ------------------------------------------------------------------------------ */

static rf_converted convert(const char *to, const char *from, rf_convert_options options)
{
    rf_converted out;
    rf_error     err = {0};
    cr_assert_eq(rf_convert_model(&out, to, from, &options, &err), RF_OK, "%s", err.message);
    return out;
}

static void expect_refused(const char *to, const char *from, rf_convert_options options,
                           rf_status want, const char *said)
{
    rf_converted out;
    rf_error     err = {.message = ""};
    cr_expect_eq(rf_convert_model(&out, to, from, &options, &err), want, "%s", err.message);
    cr_expect_not_null(strstr(err.message, said), "not '%s' but: %s", said, err.message);
}

static rf_model_file *open_model(const char *path)
{
    rf_model_file *file = NULL;
    rf_error       err = {0};
    cr_assert_eq(rf_model_file_open(&file, path, &err), RF_OK, "%s", err.message);
    return file;
}

static float *floats_of(const rf_tensors *list, const rf_tensor *t)
{
    const rf_dtype type = t->type == RF_FILE_F16    ? RF_F16
                          : t->type == RF_FILE_BF16 ? RF_BF16
                                                    : RF_F32;
    void          *raw = malloc((size_t)t->bytes + 1);
    float         *out = malloc((size_t)t->elems * sizeof *out + 1);
    cr_assert(raw && out && list->read(list, t, 0, raw, (size_t)t->bytes, NULL) == RF_OK);
    rf_convert(out, RF_F32, raw, type, (size_t)t->elems);
    free(raw);
    return out;
}

static int same_bits(const float *a, const float *b, uint64_t n)
{
    const uint32_t *x = (const uint32_t *)(const void *)a, *y = (const uint32_t *)(const void *)b;
    for (uint64_t i = 0; i < n; i++)
        if (x[i] != y[i]) return 0;
    return 1;
}

static int is_unused(const char *name)
{
    return strstr(name, ".position_ids") || strstr(name, ".logit_scale");
}

/* Every tensor of `a` that anything reads is in `b`, in the same bits, and nothing else is;
 * `prefix`: of the names that are looked at. */
static void expect_same(const char *a, const char *b, const char *prefix)
{
    rf_model_file    *x = open_model(a), *y = open_model(b);
    const rf_tensors *p = rf_model_file_list(x), *q = rf_model_file_list(y);
    size_t            looked_at = 0;
    for (size_t i = 0; i < p->count; i++) {
        const rf_tensor *t = &p->item[i], *u = rf_tensors_find(q, t->name);
        if (is_unused(t->name) || strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
        cr_assert_not_null(u, "%s is not in %s", t->name, b);
        cr_assert_eq(t->ndim, u->ndim, "%s", t->name);
        for (int k = 0; k < t->ndim; k++) cr_assert_eq(t->dim[k], u->dim[k], "%s", t->name);
        float *v = floats_of(p, t), *w = floats_of(q, u);
        cr_assert(same_bits(v, w, t->elems), "%s differs", t->name);
        free(v);
        free(w);
        looked_at++;
    }
    cr_expect_gt(looked_at, 200u);
    if (!*prefix)
        for (size_t i = 0; i < q->count; i++)
            cr_expect_not_null(rf_tensors_find(p, q->item[i].name), "%s is new", q->item[i].name);
    rf_model_file_close(x);
    rf_model_file_close(y);
}

static int entries(const char *folder)
{
    int            n = 0;
    DIR           *dir = opendir(folder);
    struct dirent *e;
    while (dir && (e = readdir(dir))) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (dir) closedir(dir);
    return n;
}

/* ---- what is in it ------------------------------------------------------------------------ */

Test(convert, file_to_folder_to_file_is_the_same_tensors)
{
    char hex[65];
    char folder[400], back[400];
    snprintf(folder, sizeof folder, "%s", fixture_path("folder"));
    snprintf(back, sizeof back, "%s", fixture_path("back.safetensors"));
    const rf_converted first = convert(folder, tiny, (rf_convert_options){0});
    const rf_converted second = convert(back, folder, (rf_convert_options){0});
    cr_expect_eq(first.dropped, 2);
    cr_expect_eq(second.dropped, 0);
    expect_same(tiny, back, "");
    cr_expect_eq(rf_model_file_sha256(hex, folder, NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, first.sha256);
    cr_expect_eq(rf_model_file_sha256(hex, back, NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, second.sha256);
    /* and the same bytes again */
    const rf_converted again = convert(back, folder, (rf_convert_options){.overwrite = 1});
    cr_expect_str_eq(again.sha256, second.sha256);
}

Test(convert, wider_and_back_is_the_same_file)
{
    char wide[400];
    snprintf(wide, sizeof wide, "%s", fixture_path("wide.safetensors"));
    const char *back = fixture_path("back.safetensors"), *copy = fixture_path("copy.safetensors");
    const rf_converted as_it_is = convert(copy, tiny, (rf_convert_options){0});
    convert(wide, tiny, (rf_convert_options){.dtype = "f32"});
    const rf_converted narrow = convert(back, wide, (rf_convert_options){.dtype = "f16"});
    expect_same(tiny, wide, "");
    expect_same(tiny, back, "");
    cr_expect_eq(as_it_is.tensors, narrow.tensors);
    cr_expect_eq(as_it_is.dropped, 0);
}

Test(convert, the_refiner_goes_there_and_back)
{
    char                   refiner[400], folder[400];
    const rf_synth_options options = {.arch = "tiny-refiner", .seed = 3, .type = RF_FILE_BF16};
    snprintf(refiner, sizeof refiner, "%s", fixture_path("refiner.safetensors"));
    snprintf(folder, sizeof folder, "%s", fixture_path("folder"));
    cr_assert_eq(rf_synth_write(refiner, &options, NULL), RF_OK);
    convert(folder, refiner, (rf_convert_options){0});
    cr_expect_neq(access(fixture_path("folder/text_encoder"), F_OK), 0);
    cr_expect_eq(access(fixture_path("folder/tokenizer_2/vocab.json"), F_OK), 0);
    convert(fixture_path("back.safetensors"), folder, (rf_convert_options){0});
    expect_same(refiner, fixture_path("back.safetensors"), "");
}

static void add_leftovers(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    const float   one = 1;
    const int64_t dim[] = {1};
    (void)user;
    if (t) {
        rewrite_keep(w, t, data);
        return;
    }
    rewrite_put(w, "model_ema.decay", RF_FILE_F32, 1, dim, &one);
    rewrite_put(w, "loss.x", RF_FILE_F32, 1, dim, &one);
    rewrite_put(w, "optimizer_state", RF_FILE_F32, 1, dim, &one);
}

static int warnings;

static void count_warning(void *user, const char *message)
{
    (void)user;
    cr_expect_not_null(strstr(message, "optimizer_state"), "%s", message);
    warnings++;
}

Test(convert, leftovers_of_training_are_dropped)
{
    char fat[400];
    snprintf(fat, sizeof fat, "%s", fixture_path("fat.safetensors"));
    rewrite_file(fat, tiny, add_leftovers, NULL);
    const rf_converted out =
        convert(fixture_path("lean.safetensors"), fat, (rf_convert_options){.warn = count_warning});
    cr_expect_eq(out.dropped, 3);
    cr_expect_eq(warnings, 1);
    expect_same(tiny, fixture_path("lean.safetensors"), "");
}

/* E4M3 of 1.5 is 0x3C. */
static void narrow_one(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    static const char name[] = RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.attn1.to_q";
    const float       scale = 2;
    const int64_t     one[] = {1};
    (void)user;
    if (!t || strncmp(t->name, name, sizeof name - 1) != 0) {
        if (t) rewrite_keep(w, t, data);
        return;
    }
    unsigned char *bytes = malloc((size_t)t->elems);
    memset(bytes, 0x3C, (size_t)t->elems);
    rewrite_put(w, t->name, RF_FILE_F8_E4M3, t->ndim, t->dim, bytes);
    rewrite_put(w, RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.attn1.to_q.scale_weight",
                RF_FILE_F32, 1, one, &scale);
    free(bytes);
}

Test(convert, eight_bits_become_sixteen)
{
    static const char name[] =
        RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.attn1.to_q.weight";
    char narrow[400];
    snprintf(narrow, sizeof narrow, "%s", fixture_path("fp8.safetensors"));
    rewrite_file(narrow, tiny, narrow_one, NULL);
    convert(fixture_path("out.safetensors"), narrow, (rf_convert_options){.dtype = "f16"});
    rf_model_file    *file = open_model(fixture_path("out.safetensors"));
    const rf_tensors *list = rf_model_file_stored(file);
    const rf_tensor  *t = rf_tensors_find(list, name);
    cr_assert(t && t->type == RF_FILE_F16);
    float *v = floats_of(list, t);
    for (uint64_t i = 0; i < t->elems; i++) cr_assert_eq(v[i], 3.0f);
    free(v);
    rf_model_file_close(file);
}

/* One value that f16 has no room for. */
static void raise_one(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (!t) return;
    if (strcmp(t->name, RF_PREFIX_VAE "decoder.conv_out.bias") != 0) {
        rewrite_keep(w, t, data);
        return;
    }
    const float high[] = {1, 1e5f, 1};
    rewrite_put(w, t->name, RF_FILE_F32, t->ndim, t->dim, high);
}

Test(convert, what_f16_cannot_hold_is_refused)
{
    char high[400], out[400];
    snprintf(high, sizeof high, "%s", fixture_path("high.safetensors"));
    snprintf(out, sizeof out, "%s", fixture_path("out.safetensors"));
    rewrite_file(high, tiny, raise_one, NULL);
    expect_refused(out, high, (rf_convert_options){.dtype = "f16"}, RF_E_MODEL,
                   "tensor first_stage_model.decoder.conv_out.bias holds 100000, which f16 cannot");
    cr_expect_eq(entries(fixture_folder()), 2, "nothing is left of it");
    convert(out, high, (rf_convert_options){.dtype = "bf16"});
}

Test(convert, the_vae_of_another_file_takes_the_place)
{
    char                   other[400], out[400];
    const rf_synth_options options = {.arch = "tiny", .seed = 4, .type = RF_FILE_F16};
    snprintf(other, sizeof other, "%s", fixture_path("other.safetensors"));
    snprintf(out, sizeof out, "%s", fixture_path("out.safetensors"));
    cr_assert_eq(rf_synth_write(other, &options, NULL), RF_OK);
    convert(out, tiny, (rf_convert_options){.vae = other});
    expect_same(tiny, out, RF_PREFIX_UNET);
    expect_same(other, out, RF_PREFIX_VAE);
    expect_refused(fixture_path("no.safetensors"), tiny,
                   (rf_convert_options){.vae = "tests/golden/lora_kinds.safetensors"}, RF_E_MODEL,
                   "a LoRA, not a VAE");
}

/* ---- what it says of itself --------------------------------------------------------------- */

static void add_marks(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    const int64_t none[] = {0};
    const float   sigma[] = {80, 0.002f};
    if (t) {
        rewrite_keep(w, t, data);
        return;
    }
    if (*(const int *)user == 2) {
        rewrite_put(w, "edm_vpred.sigma_max", RF_FILE_F32, 0, none, &sigma[0]);
        rewrite_put(w, "edm_vpred.sigma_min", RF_FILE_F32, 0, none, &sigma[1]);
        return;
    }
    rewrite_put(w, "v_pred", RF_FILE_F32, 1, none, "");
    if (*(const int *)user) rewrite_put(w, "ztsnr", RF_FILE_F32, 1, none, "");
}

static rf_prediction prediction_of(const char *path)
{
    rf_prediction  p;
    rf_model_file *file = open_model(path);
    cr_assert_eq(
        rf_prediction_find(&p, rf_model_file_list(file), rf_model_file_header(file), path, NULL),
        RF_OK);
    rf_model_file_close(file);
    return p;
}

Test(convert, what_it_predicts_goes_along)
{
    for (int marks = 0; marks < 3; marks++) {
        char marked[400], folder[400], back[400];
        snprintf(marked, sizeof marked, "%s", fixture_path("marked.safetensors"));
        snprintf(folder, sizeof folder, "%s", fixture_path("folder"));
        snprintf(back, sizeof back, "%s", fixture_path("back.safetensors"));
        rewrite_file(marked, tiny, add_marks, &marks);
        convert(folder, marked, (rf_convert_options){.overwrite = 1});
        const rf_converted  out = convert(back, folder, (rf_convert_options){.overwrite = 1});
        const rf_prediction p = prediction_of(marked), q = prediction_of(folder);
        const rf_prediction r = prediction_of(back);
        cr_expect_eq(q.source, RF_SAID_BY_SCHEDULER);
        cr_expect_eq(r.source, RF_SAID_BY_TENSORS);
        cr_expect(p.is.v && q.is.v && r.is.v, "case %d", marks);
        cr_expect(p.is.range == q.is.range && p.is.range == r.is.range, "case %d", marks);
        cr_expect_float_eq(p.is.sigma_max, r.is.sigma_max, 0);
        cr_expect_float_eq(p.is.sigma_min, r.is.sigma_min, 1e-9);
        cr_expect_eq(out.dropped, 0);
        expect_same(marked, back, "");
    }
}

static const char *told(const rf_model_file *file, const char *key)
{
    const rf_header *h = rf_model_file_told(file);
    for (size_t i = 0; i < h->meta_count; i++)
        if (strcmp(h->meta[i].key, key) == 0) return h->meta[i].value;
    return NULL;
}

Test(convert, metadata_stay_and_stay_true)
{
    static const char front[] =
        "{\"__metadata__\":{\"modelspec.title\":\"A \\\"tiny\\\" one\",\"modelspec.hash_sha256\":"
        "\"0x12\",\"modelspec.unet_dtype\":\"float16\",\"modelspec.sai_model_spec\":\"1.0.0\","
        "\"sshs_model_hash\":\"12\"},";
    char     told_file[400], folder[400];
    uint64_t n = 0;
    snprintf(told_file, sizeof told_file, "%s", fixture_path("told.safetensors"));
    snprintf(folder, sizeof folder, "%s", fixture_path("folder"));
    /* the header's first entry is its metadata: put ours there instead */
    FILE *f = fopen(tiny, "rb");
    cr_assert_eq(fread(&n, 8, 1, f), 1u);
    char *header = calloc(1, (size_t)n + 1), *data = malloc(1 << 26);
    cr_assert_eq(fread(header, 1, (size_t)n, f), (size_t)n);
    const size_t bytes = fread(data, 1, 1 << 26, f);
    fclose(f);
    const char    *rest = strchr(header, '}') + 2;
    const uint64_t length = sizeof front - 1 + strlen(rest);
    f = fopen(told_file, "wb");
    cr_assert(fwrite(&length, 8, 1, f) == 1 && fputs(front, f) >= 0 && fputs(rest, f) >= 0 &&
              fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0);
    free(header);
    free(data);
    const rf_lora_use lora = {
        .path = "tests/golden/lora_kinds.safetensors", .unet = 0.5, .text = 1};
    convert(folder, told_file,
            (rf_convert_options){.dtype = "bf16", .loras = &lora, .lora_count = 1});
    rf_model_file *file = open_model(folder);
    cr_expect_str_eq(told(file, "modelspec.title"), "A \"tiny\" one");
    cr_expect_str_eq(told(file, "modelspec.unet_dtype"), "bfloat16");
    cr_expect_str_eq(told(file, "modelspec.merged_from"), "lora_kinds:0.5:1");
    cr_expect_str_eq(told(file, "refinery.loras"), "lora_kinds:0.5:1");
    cr_expect_str_eq(told(file, "refinery.converted_from"), "told");
    cr_expect_str_eq(told(file, "format"), "pt");
    cr_expect_null(told(file, "modelspec.hash_sha256"));
    cr_expect_null(told(file, "sshs_model_hash"));
    rf_model_file_close(file);
}

/* Names, ids and escapes of the vocabulary that other programs will read. */
Test(convert, the_folder_has_a_tokenizer)
{
    static const struct {
        const char *token;
        int         id;
    } rows[] = {{"!", 0},
                {"\"", 1},
                {"\\", 59},
                {"!</w>", 256},
                {"in", 512},
                {"the</w>", 518},
                {"cat</w>", 2368},
                {"<|startoftext|>", 49406},
                {"<|endoftext|>", 49407}};
    convert(fixture_path("folder"), tiny, (rf_convert_options){0});
    json_t *vocab = json_load_file(fixture_path("folder/tokenizer/vocab.json"), 0, NULL);
    cr_assert_not_null(vocab);
    cr_expect_eq(json_object_size(vocab), 49408u);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(json_integer_value(json_object_get(vocab, rows[i].token)), rows[i].id, "%s",
                     rows[i].token);
    json_decref(vocab);
}

/* ---- what goes wrong ---------------------------------------------------------------------- */

Test(convert, refuses_before_anything_is_written)
{
    const rf_lora_use foreign = {.path = fixture_path("sd1.safetensors"), .unet = 1, .text = 1};
    fixture           f = {0};
    const char       *out = fixture_path("out.safetensors");
    fixture_add(&f,
                "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
                ".lora_down.weight",
                "F16", 2, (const int64_t[]){4, 768}, 2);
    fixture_add(&f,
                "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
                ".lora_up.weight",
                "F16", 2, (const int64_t[]){320, 4}, 2);
    fixture_write(&f, foreign.path);
    expect_refused(out, tiny, (rf_convert_options){.dtype = "fp8"}, RF_E_ARG, "f16, bf16 and f32");
    expect_refused(out, tiny, (rf_convert_options){.layout = "zip"}, RF_E_ARG,
                   "file and diffusers");
    expect_refused("out", tiny, (rf_convert_options){.layout = "file"}, RF_E_ARG, ".safetensors");
    expect_refused(out, "none.safetensors", (rf_convert_options){0}, RF_E_NOT_FOUND, "none");
    expect_refused(out, foreign.path, (rf_convert_options){0}, RF_E_MODEL, "a LoRA");
    expect_refused("no/such/out", tiny, (rf_convert_options){0}, RF_E_CREATE, "does not exist");
    expect_refused(out, tiny, (rf_convert_options){.loras = &foreign, .lora_count = 1}, RF_E_MODEL,
                   "for another architecture (Stable Diffusion 1.x) than tiny");
    disk_is_full = 1;
    expect_refused(out, tiny, (rf_convert_options){0}, RF_E_NO_SPACE, "its disk has 0.00 GB free");
    expect_refused(fixture_path("folder"), tiny, (rf_convert_options){0}, RF_E_NO_SPACE, "disk");
    cr_expect_eq(entries(fixture_folder()), 2);
}

Test(convert, what_is_there_is_replaced_only_if_asked)
{
    char out[400], folder[400];
    snprintf(out, sizeof out, "%s", fixture_path("out.safetensors"));
    snprintf(folder, sizeof folder, "%s", fixture_path("folder"));
    fixture_raw(out, "mine", 4);
    expect_refused(out, tiny, (rf_convert_options){0}, RF_E_EXISTS, "already exists");
    convert(out, tiny, (rf_convert_options){.overwrite = 1});
    convert(folder, tiny, (rf_convert_options){0});
    expect_refused(folder, tiny, (rf_convert_options){0}, RF_E_EXISTS, "already exists");
    const rf_converted first = convert(folder, tiny, (rf_convert_options){.overwrite = 1});
    /* onto itself: it is read while the new one grows beside it */
    const rf_converted self = convert(folder, folder, (rf_convert_options){.overwrite = 1});
    cr_expect_eq(self.tensors, first.tensors);
    expect_same(tiny, folder, RF_PREFIX_UNET);
    folder_write(folder, "unet/notes.txt", "mine", 4);
    expect_refused(folder, tiny, (rf_convert_options){.overwrite = 1}, RF_E_CREATE,
                   "holds unet/notes.txt, which refinery did not write");
    expect_refused(out, folder, (rf_convert_options){.layout = "diffusers", .overwrite = 1},
                   RF_E_CREATE, "no folder");
    cr_expect_eq(entries(fixture_folder()), 3);
}

static int stop_halfway(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return 2 * done > total;
}

Test(convert, stopped_it_leaves_nothing)
{
    const rf_convert_options options = {.progress = stop_halfway};
    expect_refused(fixture_path("out.safetensors"), tiny, options, RF_E_CANCELLED, "stopped");
    expect_refused(fixture_path("folder"), tiny, options, RF_E_CANCELLED, "stopped");
    cr_expect_eq(entries(fixture_folder()), 1);
}

Test(convert, a_disk_that_fills_up_leaves_nothing)
{
    const struct rlimit limit = {10 << 20, 10 << 20};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_refused(fixture_path("out.safetensors"), tiny, (rf_convert_options){0}, RF_E_NO_SPACE,
                   "out.safetensors: cannot be written");
    expect_refused(fixture_path("folder"), tiny, (rf_convert_options){0}, RF_E_NO_SPACE,
                   "folder: cannot be written");
    cr_expect_eq(entries(fixture_folder()), 1);
}
