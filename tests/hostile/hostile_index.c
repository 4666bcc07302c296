/* S14: indexes of sharded models, the names in them, and what they say of their files.  The folder
 * around them is right: the tiny checkpoint's. */
#include "tests/hostile/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SHARD        "diffusion_pytorch_model.safetensors"
#define MAP(entries) "{\"weight_map\":{" entries "}}"

/* Files of one tensor each beside the index: "a.safetensors" has "a" of 4 bytes, and so on. */
static void make_unet(const char *folder, const char *index)
{
    char path[1100], name[2] = "a";
    for (; *name <= 'd'; ++*name) {
        hostile_tensors t = {0};
        hostile_add(&t, name, "F32", "1");
        snprintf(path, sizeof path, "%s/unet/%s.safetensors", folder, name);
        hostile_write(&t, path);
    }
    snprintf(path, sizeof path, "%s/unet/" SHARD ".index.json", folder);
    if (index) hostile_bytes(path, index, strlen(index));
}

static const char pipeline[] = "{\"_class_name\":\"StableDiffusionXLPipeline\","
                               "\"text_encoder\":[\"transformers\",\"CLIPTextModel\"],"
                               "\"text_encoder_2\":[\"transformers\",\"CLIPTextModel\"]}";

static void make_folder(const char *folder)
{
    char path[1100];
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/unet", folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    hostile_bytes(path, pipeline, sizeof pipeline - 1);
}

static void index_case(hostile *h, const char *what, const char *index, rf_status want,
                       const char *said)
{
    const char *folder = hostile_next(h, what, want, said);
    make_folder(folder);
    make_unet(folder, index);
    hostile_made(h);
}

static const struct {
    const char *index, *said;
    rf_status   want;
} indexes[] = {
    /* no such JSON */
    {"", "something else than an object", RF_E_FORMAT},
    {"[]", "something else than an object", RF_E_FORMAT},
    {"null", "something else than an object", RF_E_FORMAT},
    {"{", "string must stand", RF_E_FORMAT},
    {"{}", "no weight_map", RF_E_FORMAT},
    {"{\"weight_map\":{}}", "no weight_map", RF_E_FORMAT},
    {"{\"weight_map\":[]}", "as weight_map", RF_E_FORMAT},
    {"{\"weight_map\":null}", "as weight_map", RF_E_FORMAT},
    {"{\"weight_map\":\"a.safetensors\"}", "as weight_map", RF_E_FORMAT},
    {MAP("\"a\":1"), "string must stand", RF_E_FORMAT},
    {MAP("\"a\":[\"a.safetensors\"]"), "string must stand", RF_E_FORMAT},
    {MAP("\"a\":null"), "string must stand", RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\",") "x", "string must stand", RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\"") "x", "after the closing brace", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"a.safetensors\"},\"weight_map\":{}}", "two of weight_map",
     RF_E_FORMAT},
    {"{\"metadata\":{},\"metadata\":{},\"weight_map\":{\"a\":\"a.safetensors\"}}",
     "two of metadata", RF_E_FORMAT},
    /* names that lead elsewhere */
    {MAP("\"a\":\"/etc/passwd\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"/tmp/a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"../unet/a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"..\\\\a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"./a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"sub/a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"sub\\\\a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"C:\\\\a.safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"..\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\".safetensors\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\\u0000.png\""), "NUL", RF_E_FORMAT},
    {MAP("\"a\":\"a.bin\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"a.ckpt\""), "of this folder", RF_E_FORMAT},
    {MAP("\"a\":\"\\ud800.safetensors\""), "surrogate", RF_E_FORMAT},
    {MAP("\"a\":\"" SHARD ".index.json\""), "of this folder", RF_E_FORMAT},
    /* files that are not as it says */
    {MAP("\"a\":\"missing.safetensors\""), "missing.safetensors", RF_E_NOT_FOUND},
    {MAP("\"a\":\"a.safetensors\",\"z\":\"missing.safetensors\""), "missing.safetensors",
     RF_E_NOT_FOUND},
    {MAP("\"a\":\"b.safetensors\""), "which the index does not say", RF_E_FORMAT},
    {MAP("\"a\":\"b.safetensors\",\"b\":\"a.safetensors\""), "which the index does not say",
     RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\",\"z\":\"a.safetensors\""), "which lacks it", RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\",\"a\":\"a.safetensors\""), "duplicate tensor a", RF_E_FORMAT},
    {MAP("\"a\":\"a.safetensors\",\"\\u0061\":\"b.safetensors\""), "duplicate tensor a",
     RF_E_FORMAT},
    {MAP("\"\":\"a.safetensors\""), "which the index does not say", RF_E_FORMAT},
    /* what it says of the whole */
    {"{\"metadata\":{\"total_size\":5},\"weight_map\":{\"a\":\"a.safetensors\"}}",
     "all tensors take 5", RF_E_FORMAT},
    {"{\"metadata\":{\"total_size\":0},\"weight_map\":{\"a\":\"a.safetensors\"}}",
     "all tensors take 0", RF_E_FORMAT},
    {"{\"weight_map\":{\"a\":\"a.safetensors\"},\"metadata\":{\"total_size\":9223372036854775807}}",
     "all tensors take 9223372036854775807", RF_E_FORMAT},
    {"{\"metadata\":{\"total_size\":-4},\"weight_map\":{\"a\":\"a.safetensors\"}}",
     "no number of bytes", RF_E_FORMAT},
    {"{\"metadata\":{\"total_size\":\"4\"},\"weight_map\":{\"a\":\"a.safetensors\"}}",
     "no number of bytes", RF_E_FORMAT},
    {"{\"metadata\":[],\"weight_map\":{\"a\":\"a.safetensors\"}}", "as metadata", RF_E_FORMAT},
    /* all true, and no UNet */
    {"{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b."
     "safetensors\"}}",
     "", RF_E_NOT_FOUND},
};

/* Entries "0", "1" ..., each in a file of its own or all in one. */
static void many(hostile *h, const char *what, int count, int own_files, rf_status want,
                 const char *said)
{
    char        path[1100];
    const char *folder = hostile_next(h, what, want, said);
    make_folder(folder);
    make_unet(folder, NULL);
    snprintf(path, sizeof path, "%s/unet/" SHARD ".index.json", folder);
    FILE *out = fopen(path, "wb");
    if (!out) abort();
    fputs("{\"weight_map\":", out);
    for (int i = 0; i < count; i++)
        fprintf(out, "%c\"%d\":\"%d.safetensors\"", i ? ',' : '{', i, own_files ? i : 0);
    fputs("}}", out);
    if (fclose(out) != 0) abort();
    if (own_files && count < 1000)
        for (int i = 0; i < count; i++) {
            hostile_tensors t = {0};
            char            name[16];
            snprintf(name, sizeof name, "%d", i);
            hostile_add(&t, name, "F32", "1");
            snprintf(path, sizeof path, "%s/unet/%d.safetensors", folder, i);
            hostile_write(&t, path);
        }
    hostile_made(h);
}

/* An index of many megabytes, or of one deep value. */
static void large(hostile *h, const char *what, size_t bytes, char fill, const char *said)
{
    char        path[1100], piece[4096];
    const char *folder = hostile_next(h, what, RF_E_FORMAT, said);
    make_folder(folder);
    make_unet(folder, NULL);
    snprintf(path, sizeof path, "%s/unet/" SHARD ".index.json", folder);
    FILE *out = fopen(path, "wb");
    if (!out) abort();
    memset(piece, fill, sizeof piece);
    fputs("{\"x\":", out);
    for (size_t i = 0; i < bytes / sizeof piece; i++)
        if (fwrite(piece, sizeof piece, 1, out) != 1) abort();
    if (fclose(out) != 0) abort();
    hostile_made(h);
}

void hostile_s14(hostile *h)
{
    hostile_begin(h, "S14", HOSTILE_FOLDER);
    for (size_t i = 0; i < HOSTILE_COUNT(indexes); i++)
        index_case(h, indexes[i].index, indexes[i].index, indexes[i].want, indexes[i].said);
    many(h, "300 files", 300, 1, RF_E_FORMAT, "more than 256 files");
    many(h, "12,001 tensors", 12001, 0, RF_E_FORMAT, "more than 12000 tensors");
    many(h, "20,000 files", 20000, 1, RF_E_FORMAT, "more than 12000 tensors");
    many(h, "100,000 files", 100000, 1, RF_E_FORMAT, "are read");
    many(h, "10,000 tensors in a file that is not there", 10000, 0, RF_E_NOT_FOUND,
         "0.safetensors");
    large(h, "a megabyte of brackets", 1000000, '[', "too deeply");
    large(h, "a megabyte of braces", 1000000, '{', "string must stand");
    large(h, "a megabyte of spaces", 1000000, ' ', "a value must stand");
    large(h, "a megabyte of ones", 1000000, '1', "too many digits");
    large(h, "a hundred megabytes", 100 << 20, ' ', "are read");
}

/* ---- the folder --------------------------------------------------------------------------- */

static void pipeline_case(hostile *h, const char *text, rf_status want, const char *said)
{
    char        path[1100];
    const char *folder = hostile_next(h, text, want, said);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    hostile_bytes(path, text, strlen(text));
    hostile_made(h);
}

static void large_pipeline(hostile *h, const char *what, size_t bytes, char fill, const char *said)
{
    char        path[1100], *text = malloc(bytes);
    const char *folder = hostile_next(h, what, RF_E_FORMAT, said);
    if (!text) abort();
    memset(text, fill, bytes);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    hostile_bytes(path, text, bytes);
    free(text);
    hostile_made(h);
}

void hostile_folders(hostile *h)
{
    static const struct {
        const char *text, *said;
        rf_status   want;
    } pipelines[] = {
        {"", "model_index.json", RF_E_FORMAT},
        {"{", "model_index.json", RF_E_FORMAT},
        {"null", "model_index.json", RF_E_FORMAT},
        {"{\"_class_name\":\"StableDiffusionXLPipeline\",}", "model_index.json", RF_E_FORMAT},
        {"{\"a\":1,\"a\":2}", "duplicate", RF_E_FORMAT},
        {"{\"_class_name\":\"\xFF\"}", "decode byte", RF_E_FORMAT},
        {"{}", "unknown pipeline", RF_E_MODEL},
        {"[]", "unknown pipeline", RF_E_MODEL},
        {"{\"_class_name\":1}", "unknown pipeline", RF_E_MODEL},
        {"{\"_class_name\":[\"StableDiffusionXLPipeline\"]}", "unknown pipeline", RF_E_MODEL},
        {"{\"_class_name\":\"FluxPipeline\"}", "FluxPipeline", RF_E_MODEL},
        {"{\"_class_name\":\"StableDiffusionPipeline\"}", "StableDiffusionPipeline", RF_E_MODEL},
        {"{\"_class_name\":\"\\u001b[2J\"}", "not for SDXL", RF_E_MODEL},
        {"{\"_class_name\":\"StableDiffusionXLPipeline\"}", "", RF_E_MODEL},
        {"{\"_class_name\":\"StableDiffusionXLPipeline\",\"text_encoder\":\"../..\"}", "",
         RF_E_MODEL},
        {pipeline, "/unet: there is no", RF_E_NOT_FOUND},
    };
    char        path[1100];
    const char *folder;
    hostile_begin(h, "D", HOSTILE_FOLDER);
    for (size_t i = 0; i < HOSTILE_COUNT(pipelines); i++)
        pipeline_case(h, pipelines[i].text, pipelines[i].want, pipelines[i].said);
    large_pipeline(h, "a pipeline of 60 KB of brackets", 60000, '[', "model_index.json");
    large_pipeline(h, "a pipeline of a megabyte", 1 << 20, ' ', "are read");

    folder = hostile_next(h, "nothing in it", RF_E_NOT_FOUND, "model_index.json");
    mkdir(folder, 0777);
    hostile_made(h);
    folder = hostile_next(h, "a pipeline that is a folder", RF_E_IO, "not a regular file");
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    mkdir(path, 0777);
    hostile_made(h);
    folder = hostile_next(h, "a UNet that is a pipe", RF_E_IO, "pipe");
    make_folder(folder);
    snprintf(path, sizeof path, "%s/unet/" SHARD, folder);
    mkfifo(path, 0666);
    hostile_made(h);
    folder = hostile_next(h, "a UNet that is a pickle", RF_E_MODEL, "pickle");
    make_folder(folder);
    snprintf(path, sizeof path, "%s/unet/" SHARD, folder);
    hostile_bytes(path, "PK\3\4aaaaaaaaaaaa", 16);
    hostile_made(h);
    folder = hostile_next(h, "a UNet that was cut", RF_E_FORMAT, "cut");
    make_folder(folder);
    snprintf(path, sizeof path, "%s/unet/" SHARD, folder);
    hostile_bytes(path, "\377\0\0\0\0\0\0\0{", 9);
    hostile_made(h);
}
