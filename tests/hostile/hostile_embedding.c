/* Textual inversions: sides that do not go together, vectors that are none, bundles of too many.
 * And the marks of a checkpoint's noise levels, whose numbers lie. */
#include "tests/hostile/hostile.h"

#include <math.h>
#include <stdio.h>

typedef struct tensor {
    const char *name, *shape;
} tensor;

static const struct {
    const char *what;
    tensor      tensor[3];
    const char *said;
} rows[] = {
    {"a vector that is not in a list", {{"clip_l", "768"}}, "is [768]"},
    {"a scalar", {{"clip_l", ""}}, "is []"},
    {"three dims", {{"clip_l", "1,768,1"}}, "is [1, 768, 1]"},
    {"no vectors", {{"clip_l", "0,768"}}, "is [0, 768]"},
    {"vectors of nothing", {{"clip_g", "4,0"}}, "is [4, 0]"},
    {"76 vectors", {{"clip_l", "76,768"}}, "is [76, 768]"},
    {"a million vectors", {{"clip_l", "1000000,768"}}, "is [1000000, 768]"},
    {"vectors of 8193", {{"clip_g", "1,8193"}}, "is [1, 8193]"},
    {"vectors of 2^31", {{"clip_g", "1,2147483648"}}, "is [1, 2147483648]"},
    {"a matrix turned", {{"clip_l", "768,4"}}, "is [768, 4]"},
    {"sides of two numbers", {{"clip_l", "4,768"}, {"clip_g", "5,1280"}}, "the same tokens"},
    {"one embedding in two spellings",
     {{"bundle_emb.a.clip_l", "1,768"}, {"bundle_emb.a.string_to_param.clip_l", "1,768"}},
     "is there twice"},
    {"bundled sides of two numbers",
     {{"bundle_emb.a.clip_l", "1,768"}, {"bundle_emb.a.clip_g", "2,1280"}},
     "the same tokens"},
    {"bundled for another encoder", {{"bundle_emb.a.t5xxl", "1,4096"}}, "for no encoder"},
    {"bundled without a name", {{"bundle_emb..clip_l", "1,768"}}, "for no encoder"},
    {"bundled without a part", {{"bundle_emb.a", "1,768"}}, "for no encoder"},
    {"of Stable Diffusion 1", {{"emb_params", "4,768"}}, "SD 1.x"},
    {"by another name", {{"clip_h", "4,768"}}, "no textual inversion"},
    {"a LoRA", {{"lora_unet_x.lora_up.weight", "4,4"}}, "no textual inversion"},
    {"a VAE", {{"decoder.conv_in.weight", "512,4,3,3"}}, "no textual inversion"},
};

static void of_type(hostile *h, const char *dtype)
{
    hostile_tensors t = {0};
    hostile_add(&t, "clip_l", dtype, "4,768");
    hostile_file(h, &t, "vectors of another type", RF_E_MODEL, "vectors are F32, F16 or BF16");
}

static void with_number(hostile *h, const char *what, const char *dtype, const void *value,
                        size_t bytes)
{
    hostile_tensors t = {0};
    hostile_add_value(&t, "clip_g", dtype, "4,1280", value, bytes);
    hostile_add(&t, "clip_l", dtype, "4,768");
    hostile_file(h, &t, what, RF_E_MODEL, "not a finite number");
}

static void bundles(hostile *h, const char *what, int count, const char *shape, const char *said)
{
    hostile_tensors t = {0};
    char            name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "bundle_emb.%d.clip_l", i);
        hostile_add(&t, name, "F16", shape);
    }
    hostile_file(h, &t, what, RF_E_MODEL, said);
}

void hostile_embeddings(hostile *h)
{
    const float    infinite = INFINITY, none = NAN;
    const uint16_t half_nan = 0x7E00, brain_infinity = 0xFF80;
    hostile_begin(h, "E", HOSTILE_EMBEDDING);
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++) {
        hostile_tensors t = {0};
        for (int k = 0; k < 3 && rows[i].tensor[k].name; k++)
            hostile_add(&t, rows[i].tensor[k].name, "F16", rows[i].tensor[k].shape);
        hostile_file(h, &t, rows[i].what, RF_E_MODEL, rows[i].said);
    }
    of_type(h, "I64");
    of_type(h, "U8");
    of_type(h, "F64");
    of_type(h, "BOOL");
    of_type(h, "F8_E4M3");
    with_number(h, "infinity", "F32", &infinite, 4);
    with_number(h, "NaN", "F32", &none, 4);
    with_number(h, "NaN in 16 bits", "F16", &half_nan, 2);
    with_number(h, "infinity in bf16", "BF16", &brain_infinity, 2);
    bundles(h, "257 embeddings", 257, "1,8", "more than 256 embeddings");
    bundles(h, "12,000 embeddings", 12000, "1,1", "more than 256 embeddings");
    bundles(h, "200 embeddings of the largest size", 200, "75,8192", "more than");
    hostile_raw(h, "no bytes", "", 0, RF_E_FORMAT, "empty");
    hostile_raw(h, "a pickle", "\x80\2}q\0(X\x0c\0\0\0string_to_token", 25, RF_E_MODEL, "pickle");
    hostile_raw(h, "a picture, as A1111 stores them", "\x89PNG\r\n\x1a\n\0\0\0\0", 12, RF_E_MODEL,
                "picture");
    hostile_header(h, "cut", "{\"clip_l\":" HOSTILE_GOOD "}", 0, 3, RF_E_FORMAT, "cut");
    hostile_header(h, "twice", "{\"clip_l\":" HOSTILE_GOOD ",\"clip_l\":" HOSTILE_GOOD "}", 0, 4,
                   RF_E_FORMAT, "two tensors are named clip_l");
}

/* ---- marks of the noise levels ------------------------------------------------------------ */

/* The tiny checkpoint and one or two numbers. */
static void level_case(hostile *h, const char *what, const char *name, const char *dtype,
                       const char *shape, const void *value, size_t bytes, const char *said)
{
    hostile_tensors t = {0};
    hostile_layout(&t, hostile_tiny(), NULL, 0);
    hostile_add_value(&t, name, dtype, shape, value, bytes);
    hostile_file(h, &t, what, RF_E_MODEL, said);
}

void hostile_levels(hostile *h)
{
    static const struct {
        const char *what;
        float       value;
    } highs[] = {{"a highest level of NaN", NAN},
                 {"a highest level of infinity", INFINITY},
                 {"a highest level of -infinity", -INFINITY},
                 {"a highest level of 0", 0},
                 {"a highest level below 0", -80},
                 {"a highest level of 1e38", 1e38f},
                 {"a highest level below the lowest", 1e-3f},
                 {"a highest level of 1e-40", 1e-40f}};
    const float   eighty = 80;
    const int64_t whole = 80;
    hostile_begin(h, "P", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(highs); i++)
        level_case(h, highs[i].what, "edm_vpred.sigma_max", "F32", "", &highs[i].value, 4,
                   "noise levels range");
    level_case(h, "two highest levels", "edm_vpred.sigma_max", "F32", "2", &eighty, 4,
               "is not one number");
    level_case(h, "no highest level", "edm_vpred.sigma_max", "F32", "0", &eighty, 0,
               "is not one number");
    level_case(h, "a highest level in whole numbers", "edm_vpred.sigma_max", "I64", "", &whole, 8,
               "is not one number");
    level_case(h, "a lowest level alone", "edm_vpred.sigma_min", "F32", "", &eighty, 4,
               "no sigma_max");
}
