/* A diffusers folder holds, name by name and byte by byte, what the single file holds; hostile
 * indexes lead nowhere. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/checkpoint.h"
#include "engine/files/diffusers_folder.h"
#include "engine/files/safetensors.h"
#include "tests/files/folder_fixture.h"
#include "tests/model/golden.h"

#define UNET_INDEX "unet/diffusion_pytorch_model.safetensors.index.json"

typedef struct place {
    char *tiny, folder[256];
} place;

static place set_up(int shards)
{
    place p = {.tiny = make_tiny(7)};
    snprintf(p.folder, sizeof p.folder, "%s.folder", p.tiny);
    folder_make(p.folder, p.tiny, "tiny", shards);
    return p;
}

static void tear_down(place *p)
{
    folder_remove(p->folder);
    remove_tiny(p->tiny);
}

static unsigned char *bytes_of(const rf_tensors *list, const rf_tensor *t)
{
    unsigned char *data = malloc((size_t)t->bytes);
    /* in two reads, the cut in the middle of nowhere */
    const size_t half = (size_t)t->bytes / 8 * 3;
    cr_assert_eq(list->read(list, t, 0, data, half, NULL), RF_OK);
    cr_assert_eq(list->read(list, t, half, data + half, (size_t)t->bytes - half, NULL), RF_OK);
    return data;
}

/* [n, k] against [k, n], elements of four bytes. */
static int is_turned(const unsigned char *a, const unsigned char *b, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            if (memcmp(a + 4 * (i * k + j), b + 4 * (j * n + i), 4) != 0) return 0;
    return 1;
}

static void check_equal(const rf_tensors *file, const rf_tensors *folder)
{
    size_t found = 0;
    for (size_t i = 0; i < folder->count; i++) {
        const rf_tensor *a = &folder->item[i];
        const int        turned = strstr(a->name, "text_projection.weight") != NULL;
        const rf_tensor *b = turned ? rf_tensors_find(file, RF_PREFIX_CLIP_G "text_projection")
                                    : rf_tensors_find(file, a->name);
        cr_assert(b && a->bytes == b->bytes && a->type == b->type, "%s", a->name);
        unsigned char *x = bytes_of(folder, a), *y = bytes_of(file, b);
        cr_expect(turned ? is_turned(x, y, (size_t)a->dim[0], (size_t)a->dim[1])
                         : memcmp(x, y, (size_t)a->bytes) == 0,
                  "%s", a->name);
        cr_expect_eq(folder->read(folder, a, a->bytes - 1, x, 2, NULL), RF_E_BUG, "%s", a->name);
        free(x);
        free(y);
        found++;
    }
    cr_expect_gt(found, 900);
}

static void folder_equals_file(int shards)
{
    place                p = set_up(shards);
    rf_error             err = {0};
    rf_safetensors      *file = NULL;
    rf_diffusers_folder *folder = NULL;
    rf_checkpoint        one, many;
    cr_assert_eq(rf_safetensors_open(&file, p.tiny, NULL), RF_OK);
    cr_assert_eq(rf_diffusers_folder_open(&folder, p.folder, &err), RF_OK, "%s", err.message);
    const rf_tensors *list = rf_diffusers_folder_list(folder);
    check_equal(rf_safetensors_list(file), list);
    cr_assert_eq(rf_checkpoint_check(&many, list, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_checkpoint_check(&one, rf_safetensors_list(file), NULL), RF_OK);
    cr_expect(memcmp(&one.arch.unet, &many.arch.unet, sizeof one.arch.unet) == 0);
    cr_expect(memcmp(&one.arch.vae, &many.arch.vae, sizeof one.arch.vae) == 0);
    cr_expect_eq(many.arch.clip_g.projection_is_linear, 1);
    rf_diffusers_folder_close(folder);
    rf_safetensors_close(file);
    tear_down(&p);
}

Test(diffusers_folder, plain_equals_the_single_file, .timeout = 60)
{
    folder_equals_file(1);
}

Test(diffusers_folder, sharded_equals_the_single_file, .timeout = 60)
{
    folder_equals_file(3);
}

/* An index, what is expected of it, and of which the sentence must speak. */
static const struct {
    const char *text, *said;
    rf_status   status;
} hostile[] = {
    {"", "byte 0 holds", RF_E_FORMAT},
    {"{\"weight_map\":{}}", "weight_map", RF_E_FORMAT},
    {"{\"weight_map\":[]}", "weight_map", RF_E_FORMAT},
    {"{}", "weight_map", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"../unet/x.safetensors\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"sub/x.safetensors\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"sub\\\\x.safetensors\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\".safetensors\"}}", "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":1}}", "where a string must stand", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"x.safetensors\\u0000.safetensors\"}}", "", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"diffusion_pytorch_model.safetensors.index.json\"}}",
     "no .safetensors file", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"missing.safetensors\"}}", "missing.safetensors", RF_E_NOT_FOUND},
    {"{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}", "duplicate",
     RF_E_FORMAT},
    /* there, but not all of what is in it is listed, or what is listed is not in it */
    {"{\"weight_map\":{\"conv_in.bias\":\"diffusion_pytorch_model.safetensors\"}}",
     "which the index does not say", RF_E_FORMAT},
    {"{\"weight_map\":{\"nowhere\":\"diffusion_pytorch_model.safetensors\"}}",
     "which the index does not say", RF_E_FORMAT},
};

Test(diffusers_folder, hostile_indexes_are_refused, .timeout = 60)
{
    place p = set_up(1);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        rf_error             err = {0};
        rf_diffusers_folder *folder = NULL;
        folder_write(p.folder, UNET_INDEX, hostile[i].text, strlen(hostile[i].text));
        cr_expect_eq(rf_diffusers_folder_open(&folder, p.folder, &err), hostile[i].status, "%s: %s",
                     hostile[i].text, err.message);
        cr_expect_not_null(strstr(err.message, hostile[i].said), "%s: %s", hostile[i].text,
                           err.message);
        cr_expect_null(folder);
    }
    tear_down(&p);
}

static void expect_refused(const place *p, rf_status status, const char *said)
{
    rf_error             err = {0};
    rf_diffusers_folder *folder = NULL;
    cr_expect_eq(rf_diffusers_folder_open(&folder, p->folder, &err), status, "%s", err.message);
    cr_expect_not_null(strstr(err.message, said), "%s", err.message);
}

Test(diffusers_folder, what_is_missing_or_something_else_is_named, .timeout = 60)
{
    place      p = set_up(1);
    char       path[400];
    const char other[] = "{\"_class_name\":\"FluxPipeline\"}";
    const char part[] = "{\"_class_name\":\"StableDiffusionXLImg2ImgPipeline\","
                        "\"text_encoder\":[null,null]}";
    folder_write(p.folder, "model_index.json", other, strlen(other));
    expect_refused(&p, RF_E_MODEL, "FluxPipeline");
    place one = p;
    snprintf(one.folder, sizeof one.folder, "%.200s/text_encoder", p.folder);
    expect_refused(&one, RF_E_MODEL, "one part of a diffusers model: name the folder above it");
    folder_write(p.folder, "model_index.json", part, strlen(part));
    expect_refused(&p, RF_E_MODEL, "refiner");
    folder_write(p.folder, "model_index.json", "{", 1);
    expect_refused(&p, RF_E_FORMAT, "model_index.json: line 1");
    snprintf(path, sizeof path, "%s/model_index.json", p.folder);
    unlink(path);
    expect_refused(&p, RF_E_NOT_FOUND, "a folder without model_index.json");
    cr_assert_eq(symlink("nowhere", path), 0);
    expect_refused(&p, RF_E_NOT_FOUND, "model_index.json: No such file");
    tear_down(&p);
}

Test(diffusers_folder, a_variant_is_found_and_a_missing_part_named, .timeout = 60)
{
    place                p = set_up(1);
    char                 from[400], to[400];
    rf_error             err = {0};
    rf_diffusers_folder *folder = NULL;
    snprintf(from, sizeof from, "%s/unet/diffusion_pytorch_model.safetensors", p.folder);
    snprintf(to, sizeof to, "%s/unet/diffusion_pytorch_model.fp16.safetensors", p.folder);
    cr_assert_eq(rename(from, to), 0);
    cr_expect_eq(rf_diffusers_folder_open(&folder, p.folder, &err), RF_OK, "%s", err.message);
    rf_diffusers_folder_close(folder);
    unlink(to);
    expect_refused(&p, RF_E_NOT_FOUND, "/unet: there is no diffusion_pytorch_model.safetensors");
    tear_down(&p);
}
