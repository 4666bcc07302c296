/* A diffusers folder, file by file, in a temporary folder that gets its name at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/diffusers_names.h"
#include "engine/files/outfile.h"
#include "engine/files/outfolder.h"
#include "engine/relay/convert.h"
#include "engine/text/vocab_files.h"

enum { PATH_BYTES = 4096, LINE_BYTES = 160 };

static const struct {
    const char *name;
    rf_part     part; /* without which it is not there */
} subfolders[] = {
    {"scheduler", RF_PART_UNET},
    {"text_encoder", RF_PART_CLIP_L},
    {"text_encoder_2", RF_PART_CLIP_G},
    {"tokenizer", RF_PART_CLIP_L},
    {"tokenizer_2", RF_PART_CLIP_G},
    {"unet", RF_PART_UNET},
    {"vae", RF_PART_VAE},
};

/* Everything that is written: only a folder of these is ever replaced. */
static const char *const files[] = {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/special_tokens_map.json",
    "tokenizer_2/tokenizer_config.json",
    "tokenizer_2/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
};

static int knows(const char *inside)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(files[i], inside) == 0) return 1;
    return 0;
}

rf_status rf_convert_folder_check(const rf_conversion *c)
{
    return rf_outfolder_check(c->to, c->options->overwrite, knows, c->err);
}

/* ---- texts -------------------------------------------------------------------------------- */

static rf_status join(char path[PATH_BYTES], const char *folder, const char *name, rf_error *err)
{
    if (snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES) return RF_OK;
    return rf_fail(err, RF_E_CREATE, "%s: the path is too long", folder);
}

static rf_status write_text(const rf_conversion *c, const rf_outfolder *to, const char *name,
                            const char *text, size_t bytes)
{
    rf_status  st = RF_OK;
    rf_outfile file = {.dir = -1, .fd = -1};
    char       path[PATH_BYTES];
    RF_TRY(join(path, to->temp, name, c->err));
    RF_TRY(rf_outfile_create(&file, path, 0, c->err));
    file.path = c->to;
    RF_TRY(rf_outfile_write(&file, text, bytes, c->err));
    RF_TRY(rf_outfile_commit(&file, c->err));
done:
    rf_outfile_discard(&file);
    return st;
}

static rf_status write_configs(const rf_conversion *c, const rf_outfolder *to)
{
    rf_status         st = RF_OK;
    rf_convert_config config[RF_CONVERT_CONFIGS] = {{NULL, NULL}};
    const rf_filetype type = c->list.item[0].type; /* of the UNet's first tensor */
    const char       *dtype = type == RF_FILE_F16    ? "float16"
                              : type == RF_FILE_BF16 ? "bfloat16"
                                                     : "float32";
    RF_TRY(rf_convert_configs_make(config, &c->arch, &c->prediction.is, dtype, c->err));
    for (int i = 0; i < RF_CONVERT_CONFIGS; i++)
        if (config[i].text)
            RF_TRY(write_text(c, to, config[i].name, config[i].text, strlen(config[i].text)));
done:
    rf_convert_configs_free(config);
    return st;
}

static rf_status write_vocabularies(const rf_conversion *c, const rf_outfolder *to)
{
    rf_status st = RF_OK;
    char     *vocab = NULL, *merges = NULL;
    size_t    vocab_bytes = 0, merges_bytes = 0;
    RF_TRY(rf_vocab_json(&vocab, &vocab_bytes, c->err));
    RF_TRY(rf_vocab_merges_txt(&merges, &merges_bytes, c->err));
    if (c->arch.has_clip_l) {
        RF_TRY(write_text(c, to, "tokenizer/vocab.json", vocab, vocab_bytes));
        RF_TRY(write_text(c, to, "tokenizer/merges.txt", merges, merges_bytes));
    }
    RF_TRY(write_text(c, to, "tokenizer_2/vocab.json", vocab, vocab_bytes));
    RF_TRY(write_text(c, to, "tokenizer_2/merges.txt", merges, merges_bytes));
done:
    free(vocab);
    free(merges);
    return st;
}

/* ---- weights ------------------------------------------------------------------------------ */

static int has_part(const rf_conversion *c, rf_part part)
{
    for (size_t i = 0; i < c->list.count; i++)
        if (c->list.item[i].part == part) return 1;
    return 0;
}

/* The UNet's file carries the metadata of the whole: it is the one that people look into. */
static rf_status write_part(rf_conversion *c, const rf_outfolder *to, rf_part part,
                            char hex[RF_SHA256_HEX], char line[LINE_BYTES])
{
    static const char PLAIN[] = "{\"format\":\"pt\"}";
    rf_status         st = RF_OK;
    char              path[PATH_BYTES], name[64];
    const int         network = part == RF_PART_UNET || part == RF_PART_VAE;
    snprintf(name, sizeof name, "%s/%s.safetensors", rf_diffusers_part(part),
             network ? "diffusion_pytorch_model" : "model");
    RF_TRY(join(path, to->temp, name, c->err));
    RF_TRY(rf_convert_write(path, c->to, &c->list, part, part == RF_PART_UNET ? c->metadata : PLAIN,
                            &c->job, hex, c->err));
    snprintf(line, LINE_BYTES, "%s  %s\n", hex, name);
done:
    return st;
}

/* In the order of their names, in which a folder's hash takes them (model_file.h). */
static const rf_part by_name[] = {RF_PART_CLIP_L, RF_PART_CLIP_G, RF_PART_UNET, RF_PART_VAE};

static rf_status write_weights(rf_conversion *c, const rf_outfolder *to, rf_converted *out)
{
    rf_status st = RF_OK;
    char      hex[RF_SHA256_HEX], lines[RF_PARTS * LINE_BYTES] = "", line[LINE_BYTES];
    for (int i = 0; i < RF_PARTS; i++) {
        if (!has_part(c, by_name[i])) continue;
        RF_TRY(write_part(c, to, by_name[i], hex, line));
        strncat(lines, line, sizeof lines - strlen(lines) - 1);
    }
    RF_TRY(rf_bytes_sha256(out->sha256, lines, strlen(lines), c->err));
done:
    return st;
}

rf_status rf_convert_folder_write(rf_conversion *c, rf_converted *out)
{
    rf_status    st = RF_OK;
    rf_outfolder to = {.path = NULL};
    RF_TRY(rf_outfolder_create(&to, c->to, c->options->overwrite, knows, c->err));
    for (size_t i = 0; i < sizeof subfolders / sizeof *subfolders; i++)
        if (has_part(c, subfolders[i].part))
            RF_TRY(rf_outfolder_subfolder(&to, subfolders[i].name, c->err));
    RF_TRY(write_configs(c, &to));
    RF_TRY(write_vocabularies(c, &to));
    RF_TRY(write_weights(c, &to, out));
    RF_TRY(rf_outfolder_commit(&to, c->err));
done:
    rf_outfolder_discard(&to);
    return st;
}
