/* LoRAs: files of S01 to S12 in their slot, kinds that are refused by name, modules that are
 * incomplete, factors whose shapes lie, alphas that are no numbers.  The layer that most of them
 * name is [64, 64] in the tiny checkpoint; its neighbour the convolution is [64, 32, 3, 3]. */
#include "tests/hostile/hostile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINEAR  "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
#define CONV    "lora_unet_input_blocks_4_0_in_layers_2"
#define TENSORS 9

typedef struct tensor {
    const char *name, *shape; /* "64,4" of F16, or "I64:64,4" */
} tensor;

typedef struct row {
    const char *what;
    tensor      tensor[TENSORS];
    const char *said;
} row;

static void add_rows(hostile *h, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hostile_tensors t = {0};
        for (int k = 0; k < TENSORS && rows[i].tensor[k].name; k++) {
            char        dtype[8] = "F16";
            const char *name = rows[i].tensor[k].name, *shape = rows[i].tensor[k].shape;
            const char *colon = strchr(shape, ':');
            if (colon) {
                snprintf(dtype, sizeof dtype, "%.*s", (int)(colon - shape), shape);
                shape = colon + 1;
            }
            hostile_add(&t, name, dtype, shape);
        }
        hostile_file(h, &t, rows[i].what, RF_E_MODEL, rows[i].said);
    }
}

/* ---- what is no LoRA, or of a kind that is refused ---------------------------------------- */

static const row kinds[] = {
    {"OFT", {{LINEAR ".oft_blocks", "4,16,16"}}, "OFT"},
    {"OFT of a diagonal", {{LINEAR ".oft_diag", "4,16,16"}}, "OFT"},
    {"OFT of peft", {{"unet.x.oft_R.weight", "4,120"}}, "OFT"},
    {"BOFT", {{LINEAR ".boft_R", "2,4,16,16"}}, "BOFT"},
    {"GLoRA", {{LINEAR ".a1.weight", "4,64"}, {LINEAR ".a2.weight", "64,4"}}, "GLoRA"},
    {"GLoRA by its other half", {{LINEAR ".b1.weight", "4,64"}}, "GLoRA"},
    {"IA3", {{LINEAR ".weight", "64"}, {LINEAR ".on_input", ""}}, ""},
    {"VeRA", {{"unet.x.vera_lambda_b", "64"}}, "VeRA"},
    {"a checkpoint", {{RF_PREFIX_UNET "input_blocks.0.0.weight", "32,4,3,3"}}, "not a LoRA"},
    {"a VAE", {{"decoder.conv_in.weight", "512,4,3,3"}}, "not a LoRA"},
    {"a text encoder", {{"text_model.final_layer_norm.weight", "768"}}, "not a LoRA"},
    {"a ControlNet-LoRA", {{"lora_controlnet", "1"}}, "no part of any LoRA"},
    {"a tensor without a dot", {{"lora_unet", "1"}}, "no part of any LoRA"},
    {"an ending alone", {{".lora_up.weight", "1,1"}}, "no part of any LoRA"},
    {"a stranger beside a module",
     {{LINEAR ".lora_up.weight", "64,4"}, {LINEAR ".lora_down.weight", "4,64"}, {"x.y", "1"}},
     "x.y is no part"},
    {"bundled embeddings alone", {{"bundle_emb.a.clip_l", "1,64"}}, "no LoRA"},
    {"a bundle without a name", {{"bundle_emb.", "1,64"}}, ""},
};

/* ---- modules ------------------------------------------------------------------------------ */

static const row modules[] = {
    {"up alone", {{LINEAR ".lora_up.weight", "64,4"}}, "incomplete"},
    {"down alone", {{LINEAR ".lora_down.weight", "4,64"}}, "incomplete"},
    {"mid alone", {{CONV ".lora_mid.weight", "4,4,3,3"}}, "incomplete"},
    {"an alpha alone", {{LINEAR ".alpha", ""}}, "incomplete"},
    {"a magnitude alone", {{LINEAR ".dora_scale", "64,1"}}, "incomplete"},
    {"up and mid",
     {{CONV ".lora_up.weight", "64,4,1,1"}, {CONV ".lora_mid.weight", "4,4,3,3"}},
     "incomplete"},
    {"a LoHa of three quarters",
     {{LINEAR ".hada_w1_a", "64,4"}, {LINEAR ".hada_w1_b", "4,64"}, {LINEAR ".hada_w2_a", "64,4"}},
     "incomplete"},
    {"a LoHa with one core",
     {{CONV ".hada_w1_a", "4,64"},
      {CONV ".hada_w1_b", "4,32"},
      {CONV ".hada_w2_a", "4,64"},
      {CONV ".hada_w2_b", "4,32"},
      {CONV ".hada_t1", "4,4,3,3"}},
     "incomplete"},
    {"a LoKr of one side", {{LINEAR ".lokr_w1", "8,8"}}, "incomplete"},
    {"a LoKr with half a factor",
     {{LINEAR ".lokr_w1", "8,8"}, {LINEAR ".lokr_w2_a", "8,2"}},
     "incomplete"},
    {"a LoRA that is a LoHa too",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".hada_w1_a", "64,4"}},
     "mixture"},
    {"a difference that is a LoRA too",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".diff", "64,64"}},
     "mixture"},
    {"the same factor in two spellings",
     {{"unet.x.lora_A.weight", "4,64"},
      {"unet.x.lora_A.default.weight", "4,64"},
      {"unet.x.lora_B.weight", "64,4"}},
     "another of the same meaning"},
    {"a difference and a replacement",
     {{LINEAR ".diff", "64,64"}, {LINEAR ".set_weight", "64,64"}},
     "another of the same meaning"},
    {"a layer that is not there",
     {{"lora_unet_nowhere.lora_up.weight", "64,4"}, {"lora_unet_nowhere.lora_down.weight", "4,64"}},
     "means no layer"},
    {"a layer of 1.5",
     {{"lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight", "320,4"},
      {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "4,320"}},
     "means no layer"},
    {"one layer by two names",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {"diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.lora_up.weight", "64,4"},
      {"diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
       "4,64"}},
     "mean the same layer"},
};

/* ---- shapes ------------------------------------------------------------------------------- */

static const row shapes[] = {
    {"ranks that differ",
     {{LINEAR ".lora_up.weight", "64,4"}, {LINEAR ".lora_down.weight", "5,64"}},
     "does not fit"},
    {"up turned",
     {{LINEAR ".lora_up.weight", "4,64"}, {LINEAR ".lora_down.weight", "4,64"}},
     "does not fit"},
    {"down turned",
     {{LINEAR ".lora_up.weight", "64,4"}, {LINEAR ".lora_down.weight", "64,4"}},
     "does not fit"},
    {"both turned",
     {{LINEAR ".lora_up.weight", "4,64"}, {LINEAR ".lora_down.weight", "64,4"}},
     "outputs of"},
    {"one output more",
     {{LINEAR ".lora_up.weight", "65,4"}, {LINEAR ".lora_down.weight", "4,64"}},
     "makes 65 outputs"},
    {"one output less",
     {{LINEAR ".lora_up.weight", "63,4"}, {LINEAR ".lora_down.weight", "4,64"}},
     "makes 63 outputs"},
    {"one input more",
     {{LINEAR ".lora_up.weight", "64,4"}, {LINEAR ".lora_down.weight", "4,65"}},
     "of 65 inputs"},
    {"one input less",
     {{LINEAR ".lora_up.weight", "64,4"}, {LINEAR ".lora_down.weight", "4,63"}},
     "of 63 inputs"},
    {"a rank of 0",
     {{LINEAR ".lora_up.weight", "64,0"}, {LINEAR ".lora_down.weight", "0,64"}},
     "has the shape"},
    {"no outputs",
     {{LINEAR ".lora_up.weight", "0,4"}, {LINEAR ".lora_down.weight", "4,64"}},
     "has the shape"},
    {"a rank of 8193",
     {{LINEAR ".lora_up.weight", "64,8193"}, {LINEAR ".lora_down.weight", "8193,64"}},
     "at most 8192"},
    {"a rank of a million",
     {{LINEAR ".lora_up.weight", "64,1000000"}, {LINEAR ".lora_down.weight", "1000000,64"}},
     "at most 8192"},
    {"a rank of 2^36",
     {{LINEAR ".lora_up.weight", "1,68719476736"}, {LINEAR ".lora_down.weight", "68719476736,1"}},
     "at most 8192"},
    {"2^31 outputs",
     {{LINEAR ".lora_up.weight", "2147483648,1"}, {LINEAR ".lora_down.weight", "1,64"}},
     "makes 2147483648 outputs"},
    {"a scalar up",
     {{LINEAR ".lora_up.weight", ""}, {LINEAR ".lora_down.weight", "1,64"}},
     "has the shape"},
    {"a vector up",
     {{LINEAR ".lora_up.weight", "64"}, {LINEAR ".lora_down.weight", "4,64"}},
     "does not fit"},
    {"a linear layer with a kernel",
     {{LINEAR ".lora_up.weight", "64,4,1,1"}, {LINEAR ".lora_down.weight", "4,64,3,3"}},
     "outputs of"},
    {"a convolution with another kernel",
     {{CONV ".lora_up.weight", "64,4,1,1"}, {CONV ".lora_down.weight", "4,32,5,5"}},
     "outputs of"},
    {"a convolution without a kernel",
     {{CONV ".lora_up.weight", "64,4"}, {CONV ".lora_down.weight", "4,32"}},
     "outputs of"},
    {"a core of another rank",
     {{CONV ".lora_up.weight", "64,4,1,1"},
      {CONV ".lora_down.weight", "4,32,1,1"},
      {CONV ".lora_mid.weight", "5,4,3,3"}},
     "does not fit"},
    {"a core of another rank inside",
     {{CONV ".lora_up.weight", "64,4,1,1"},
      {CONV ".lora_down.weight", "4,32,1,1"},
      {CONV ".lora_mid.weight", "4,5,3,3"}},
     "does not fit"},
    {"a core of one dim",
     {{CONV ".lora_up.weight", "64,4,1,1"},
      {CONV ".lora_down.weight", "4,32,1,1"},
      {CONV ".lora_mid.weight", "144"}},
     "does not fit"},
    {"a core of another kernel",
     {{CONV ".lora_up.weight", "64,4,1,1"},
      {CONV ".lora_down.weight", "4,32,1,1"},
      {CONV ".lora_mid.weight", "4,4,1,1"}},
     "outputs of"},
    {"a core with a kernel of 2^30",
     {{CONV ".lora_up.weight", "64,1,1,1"},
      {CONV ".lora_down.weight", "1,32,1,1"},
      {CONV ".lora_mid.weight", "1,1,32768,32768"}},
     "outputs of"},
    {"a LoHa of two sizes",
     {{LINEAR ".hada_w1_a", "64,4"},
      {LINEAR ".hada_w1_b", "4,64"},
      {LINEAR ".hada_w2_a", "32,4"},
      {LINEAR ".hada_w2_b", "4,64"}},
     "does not fit"},
    {"a LoHa of two widths",
     {{LINEAR ".hada_w1_a", "64,4"},
      {LINEAR ".hada_w1_b", "4,64"},
      {LINEAR ".hada_w2_a", "64,4"},
      {LINEAR ".hada_w2_b", "4,32"}},
     "does not fit"},
    {"a LoHa of two ranks inside",
     {{LINEAR ".hada_w1_a", "64,4"},
      {LINEAR ".hada_w1_b", "3,64"},
      {LINEAR ".hada_w2_a", "64,4"},
      {LINEAR ".hada_w2_b", "4,64"}},
     "does not fit"},
    {"a LoHa with cores of two kernels",
     {{CONV ".hada_w1_a", "4,64"},
      {CONV ".hada_w1_b", "4,32"},
      {CONV ".hada_w2_a", "4,64"},
      {CONV ".hada_w2_b", "4,32"},
      {CONV ".hada_t1", "4,4,3,3"},
      {CONV ".hada_t2", "4,4,1,1"}},
     "does not fit"},
    {"a LoHa whose second half has another rank",
     {{CONV ".hada_w1_a", "4,64"},
      {CONV ".hada_w1_b", "4,32"},
      {CONV ".hada_w2_a", "3,64"},
      {CONV ".hada_w2_b", "4,32"},
      {CONV ".hada_t1", "4,4,3,3"},
      {CONV ".hada_t2", "4,4,3,3"}},
     "does not fit"},
    {"a LoHa whose second half has a rank of a million",
     {{LINEAR ".hada_w1_a", "64,4"},
      {LINEAR ".hada_w1_b", "4,64"},
      {LINEAR ".hada_w2_a", "64,1000000"},
      {LINEAR ".hada_w2_b", "1000000,64"}},
     "at most 8192"},
    {"a LoKr of another size",
     {{LINEAR ".lokr_w1", "8,8"}, {LINEAR ".lokr_w2", "9,8"}},
     "makes 72 outputs"},
    {"a LoKr of 2^64 outputs",
     {{LINEAR ".lokr_w1", "4294967296,1"}, {LINEAR ".lokr_w2", "4294967296,1"}},
     "outputs of"},
    /* its outputs are 64 if a product wraps: 2^58 + 1 = 5 * 107367629 * 536903681 */
    {"a LoKr of 2^64 + 64 outputs",
     {{LINEAR ".lokr_w1", "34357641280,1"}, {LINEAR ".lokr_w2", "536903681,64"}},
     "outputs of"},
    {"a LoKr with factors of two ranks",
     {{LINEAR ".lokr_w1", "8,8"}, {LINEAR ".lokr_w2_a", "8,2"}, {LINEAR ".lokr_w2_b", "3,8"}},
     "does not fit"},
    {"a LoKr whose first rank is a million",
     {{LINEAR ".lokr_w1_a", "8,1000000"},
      {LINEAR ".lokr_w1_b", "1000000,8"},
      {LINEAR ".lokr_w2_a", "8,2"},
      {LINEAR ".lokr_w2_b", "2,8"}},
     "at most 8192"},
    {"a difference of another shape", {{LINEAR ".diff", "64,63"}}, "outputs of"},
    {"a difference of one dim", {{LINEAR ".diff", "4096"}}, "outputs of"},
    {"a difference of eight dims", {{LINEAR ".diff", "64,1,64,1,1,1,1,1"}}, "outputs of"},
    {"a replacement of nothing", {{LINEAR ".set_weight", "0,64"}}, "has the shape"},
    {"a bias of another size", {{CONV ".diff_b", "63"}}, "outputs of"},
    {"a bias where there is none", {{LINEAR ".diff_b", "64"}}, ""},
    {"magnitudes of another size",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".dora_scale", "63,1"}},
     ""},
    {"magnitudes of two dims",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".dora_scale", "64,64"}},
     ""},
    {"factors of whole numbers",
     {{LINEAR ".lora_up.weight", "I64:64,4"}, {LINEAR ".lora_down.weight", "I64:4,64"}},
     "element type I64"},
    {"factors of 8 bits",
     {{LINEAR ".lora_up.weight", "U8:64,4"}, {LINEAR ".lora_down.weight", "U8:4,64"}},
     "element type U8"},
    {"factors of truths",
     {{LINEAR ".lora_up.weight", "BOOL:64,4"}, {LINEAR ".lora_down.weight", "BOOL:4,64"}},
     "element type BOOL"},
    {"factors of doubles",
     {{LINEAR ".lora_up.weight", "F64:64,4"}, {LINEAR ".lora_down.weight", "F64:4,64"}},
     "element type F64"},
    {"an alpha of two numbers",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".alpha", "2"}},
     "has the shape"},
    {"an alpha of none",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".alpha", "0"}},
     "has the shape"},
    {"an alpha of a byte",
     {{LINEAR ".lora_up.weight", "64,4"},
      {LINEAR ".lora_down.weight", "4,64"},
      {LINEAR ".alpha", "U8:"}},
     "element type U8"},
};

/* ---- alphas ------------------------------------------------------------------------------- */

static void alpha_case(hostile *h, const char *what, const char *dtype, const void *value,
                       size_t bytes)
{
    hostile_tensors t = {0};
    hostile_add(&t, LINEAR ".lora_up.weight", "F16", "64,4");
    hostile_add(&t, LINEAR ".lora_down.weight", "F16", "4,64");
    hostile_add_value(&t, LINEAR ".alpha", dtype, "", value, bytes);
    hostile_file(h, &t, what, RF_E_MODEL, "no sensible number");
}

static void alphas(hostile *h)
{
    static const struct {
        const char *what;
        float       value;
    } rows[] = {{"an alpha of NaN", NAN},
                {"an alpha of infinity", INFINITY},
                {"an alpha of -infinity", -INFINITY},
                {"an alpha of 1e38", 1e38f},
                {"an alpha of -1e38", -1e38f},
                {"an alpha of 40,001 at rank 4", 40001}};
    const uint16_t half_nan = 0x7E00, half_infinity = 0x7C00, brain_nan = 0x7FC0;
    const double   huge = 1e300, nan_double = (double)NAN;
    const int64_t  most = INT64_MAX, least = INT64_MIN;
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++)
        alpha_case(h, rows[i].what, "F32", &rows[i].value, 4);
    alpha_case(h, "an alpha of NaN in 16 bits", "F16", &half_nan, 2);
    alpha_case(h, "an alpha of infinity in 16 bits", "F16", &half_infinity, 2);
    alpha_case(h, "an alpha of NaN in bf16", "BF16", &brain_nan, 2);
    alpha_case(h, "an alpha of 1e300", "F64", &huge, 8);
    alpha_case(h, "an alpha of NaN in 64 bits", "F64", &nan_double, 8);
    alpha_case(h, "an alpha of 2^63 - 1", "I64", &most, 8);
    alpha_case(h, "an alpha of -2^63", "I64", &least, 8);
}

/* ---- many --------------------------------------------------------------------------------- */

/* `count` modules or embeddings that only their number makes hostile; the last one is at fault. */
static void many(hostile *h, const char *what, const char *format, int count, rf_status want,
                 const char *said)
{
    hostile_tensors t = {0};
    char            name[256];
    for (int i = 0; i < count; i++) {
        /* the one conversion in `format` is %d */
        const char *mark = strstr(format, "%d");
        snprintf(name, sizeof name, "%.*s%d%s", (int)(mark - format), format, i, mark + 2);
        hostile_add(&t, name, "F16", "1,1");
    }
    hostile_file(h, &t, what, want, said);
}

/* peft's metadata around a module of rank 4. */
static void metadata_case(hostile *h, const char *what, const char *json, const char *said)
{
    char header[4096];
    snprintf(
        header, sizeof header,
        "{\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"},"
        "\"unet.x.lora_A.weight\":{\"dtype\":\"F16\",\"shape\":[4,64],\"data_offsets\":[0,512]},"
        "\"unet.x.lora_B.weight\":{\"dtype\":\"F16\",\"shape\":[64,4],"
        "\"data_offsets\":[512,1024]}}",
        json);
    hostile_header(h, what, header, 0, 1024, RF_E_MODEL, said);
}

void hostile_loras(hostile *h)
{
    static const char *const headers[] = {
        "{\"" LINEAR ".alpha\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}}",
        "{\"" LINEAR ".alpha\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"" LINEAR ".alpha\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}",
        "{\"" LINEAR ".alpha\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"" LINEAR ".alpha\":{\"dtype\":\"f32\",\"shape\":[],\"data_offsets\":[0,4]}}",
        "{\"" LINEAR ".alpha\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}"};
    hostile_begin(h, "L", HOSTILE_LORA);
    hostile_headers(h, headers, HOSTILE_COUNT(headers), 4, RF_E_FORMAT, "");
    hostile_raw(h, "a LoRA of no bytes", "", 0, RF_E_FORMAT, "empty");
    hostile_raw(h, "a pickled LoRA", "PK\3\4aaaaaaaaaaaa", 16, RF_E_MODEL, "pickle");
    hostile_raw(h, "a page instead of a LoRA", "<html>", 6, RF_E_MODEL, "web page");
    add_rows(h, kinds, HOSTILE_COUNT(kinds));
    add_rows(h, modules, HOSTILE_COUNT(modules));
    alphas(h);
    metadata_case(h, "metadata with an alpha of 1e300", "{\\\"lora_alpha\\\":1e300}",
                  "no sensible number");
    metadata_case(h, "metadata with a pattern's alpha of 1e300",
                  "{\\\"lora_alpha\\\":4,\\\"alpha_pattern\\\":{\\\"x\\\":1e300}}",
                  "no sensible number");
    metadata_case(h, "metadata of brackets", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "means no layer");
    metadata_case(h, "metadata of strings for numbers", "{\\\"lora_alpha\\\":\\\"4\\\"}",
                  "means no layer");
    many(h, "12,000 modules of one half", "lora_unet_%d.lora_up.weight", 12000, RF_E_MODEL,
         "incomplete");
    many(h, "12,000 differences of nothing that is there", "lora_unet_%d.diff", 12000, RF_E_MODEL,
         "means no layer");
    many(h, "11,000 embeddings and no LoRA", "bundle_emb.%d.clip_l", 11000, RF_E_MODEL, "no LoRA");
    hostile_largest(h, "as much as is read, of half modules", "lora_unet_", ".lora_up.weight",
                    "F16", 12000, RF_E_MODEL, "incomplete");
    hostile_largest(h, "as much as is read, of biases", "lora_unet_", ".diff_b", "F16", 12000,
                    RF_E_MODEL, "means no layer");
    many(h, "12,001 modules", "lora_unet_%d.diff", 12001, RF_E_FORMAT, "more than 12000 tensors");
}

void hostile_lora_shapes(hostile *h)
{
    hostile_begin(h, "S16L", HOSTILE_LORA);
    add_rows(h, shapes, HOSTILE_COUNT(shapes));
}
