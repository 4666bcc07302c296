/* From parts to one list; see diffusers_folder.h.
 *
 * The sizes that decide which tensors exist (levels, blocks, depths, widths) are read off the
 * folder's own names; then the layout is walked and every canonical tensor finds its parts.  Shapes
 * are for the checkpoint's check to judge, as with any other file. */
#include "engine/files/diffusers_folder.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/composed.h"
#include "engine/files/diffusers_names.h"
#include "engine/files/shards.h"
#include "engine/files/whole_file.h"

enum {
    COUNT_MAX = 64,
    WIDTH_MAX = 1 << 16,
    INDEX_MAX = 1 << 16, /* a hundred times what is written; its tree takes 40 times as much */
    PATH_BYTES = 4096,
};

struct rf_diffusers_folder {
    char        *path;
    rf_shards   *part[RF_PARTS];
    int          is_refiner; /* Stability's: the pipeline has no text_encoder */
    rf_sdxl_arch arch;       /* what decides which tensors there are */
    rf_composed *composed;
};

/* ---- what decides the layout -------------------------------------------------------------- */

static const rf_tensor *find(const rf_diffusers_folder *f, rf_part part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static const rf_tensor *find(const rf_diffusers_folder *f, rf_part part, const char *format, ...)
{
    char              name[RF_DIFFUSERS_NAME];
    const rf_tensors *list;
    va_list           args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return f->part[part] ? rf_shards_find(f->part[part], name, &list) : NULL;
}

/* Outputs of a weight, 0 where there is none. */
static int outputs_of(const rf_tensor *t)
{
    return t && t->ndim > 0 && t->dim[0] > 0 && t->dim[0] < WIDTH_MAX ? (int)t->dim[0] : 0;
}

static int ratio(int outputs, int width)
{
    return width > 0 && outputs / width > 0 ? outputs / width : 1;
}

static void look_at_unet(rf_diffusers_folder *f)
{
    rf_unet_arch *u = &f->arch.unet;
    u->width = outputs_of(find(f, RF_PART_UNET, "conv_in.weight"));
    while (u->blocks < COUNT_MAX &&
           find(f, RF_PART_UNET, "down_blocks.0.resnets.%d.norm1.weight", u->blocks))
        u->blocks++;
    for (int i = 0; i < RF_LEVELS_MAX; i++) {
        const rf_tensor *conv = find(f, RF_PART_UNET, "down_blocks.%d.resnets.0.conv1.weight", i);
        if (!conv) break;
        u->mult[u->levels++] = ratio(outputs_of(conv), u->width);
        while (u->depth[i] < COUNT_MAX &&
               find(f, RF_PART_UNET,
                    "down_blocks.%d.attentions.0.transformer_blocks.%d.norm1.weight", i,
                    u->depth[i]))
            u->depth[i]++;
    }
    while (u->middle_depth < COUNT_MAX &&
           find(f, RF_PART_UNET, "mid_block.attentions.0.transformer_blocks.%d.norm1.weight",
                u->middle_depth))
        u->middle_depth++;
}

static void look_at_text(rf_diffusers_folder *f, rf_part part, rf_clip_arch *c)
{
    c->projection_is_linear = 1;
    while (c->layers < COUNT_MAX &&
           find(f, part, "text_model.encoder.layers.%d.layer_norm1.weight", c->layers))
        c->layers++;
}

static void look_at_vae(rf_diffusers_folder *f)
{
    rf_vae_arch *v = &f->arch.vae;
    f->arch.has_vae = f->part[RF_PART_VAE] != NULL;
    v->width = outputs_of(find(f, RF_PART_VAE, "encoder.down_blocks.0.resnets.0.conv1.weight"));
    while (v->blocks < COUNT_MAX &&
           find(f, RF_PART_VAE, "encoder.down_blocks.0.resnets.%d.norm1.weight", v->blocks))
        v->blocks++;
    for (int i = 0; i < RF_LEVELS_MAX; i++) {
        const rf_tensor *conv =
            find(f, RF_PART_VAE, "encoder.down_blocks.%d.resnets.0.conv1.weight", i);
        if (!conv) break;
        v->mult[v->levels++] = ratio(outputs_of(conv), v->width);
    }
}

static rf_status look(rf_diffusers_folder *f, rf_error *err)
{
    look_at_unet(f);
    f->arch.has_clip_l = f->part[RF_PART_CLIP_L] != NULL;
    look_at_text(f, RF_PART_CLIP_L, &f->arch.clip_l);
    look_at_text(f, RF_PART_CLIP_G, &f->arch.clip_g);
    look_at_vae(f);
    const rf_unet_arch *u = &f->arch.unet;
    if (u->width && u->levels && u->blocks && u->blocks <= RF_BLOCKS_MAX) return RF_OK;
    return rf_fail(err, RF_E_MODEL, "%s/unet: this is no UNet as SDXL's", f->path);
}

/* ---- the list ----------------------------------------------------------------------------- */

/* The attention of older VAEs has other names. */
static const rf_tensor *find_part(const rf_shards *shards, const char *name,
                                  const rf_tensors **list)
{
    static const char *const older[][2] = {{".to_q.", ".query."},
                                           {".to_k.", ".key."},
                                           {".to_v.", ".value."},
                                           {".to_out.0.", ".proj_attn."}};
    const rf_tensor         *t = rf_shards_find(shards, name, list);
    for (int i = 0; i < 4 && !t; i++) {
        char        other[RF_DIFFUSERS_NAME + 16];
        const char *at = strstr(name, older[i][0]);
        if (!at) continue;
        snprintf(other, sizeof other, "%.*s%s%s", (int)(at - name), name, older[i][1],
                 at + strlen(older[i][0]));
        t = rf_shards_find(shards, other, list);
    }
    return t;
}

static rf_status add(rf_diffusers_folder *f, const rf_layout_tensor *t, rf_error *err)
{
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    rf_composed_part    part[RF_DIFFUSERS_PARTS];
    const int           parts = rf_diffusers_names(&f->arch, t, d);
    for (int i = 0; i < parts; i++) {
        part[i].tensor = find_part(f->part[t->part], d[i].name, &part[i].list);
        if (!part[i].tensor)
            return rf_fail(err, RF_E_MODEL, "%s/%s: tensor %s is missing", f->path,
                           rf_diffusers_part(t->part), d[i].name);
    }
    return parts ? rf_composed_add(f->composed, t->name, part, parts, err) : RF_OK;
}

typedef struct walk {
    rf_diffusers_folder *folder;
    rf_error            *err;
} walk;

static rf_status add_tensor(void *user, const rf_layout_tensor *t)
{
    const walk *w = user;
    return add(w->folder, t, w->err);
}

static rf_status make_list(rf_diffusers_folder *f, rf_error *err)
{
    walk            w = {.folder = f, .err = err};
    const rf_status st = rf_composed_create(&f->composed, f->path, err);
    return st == RF_OK ? rf_sdxl_layout(&f->arch, add_tensor, &w) : st;
}

/* ---- the pipeline ------------------------------------------------------------------------- */

static int is_absent(json_t *index, const char *part)
{
    json_t *entry = json_object_get(index, part);
    return !json_is_array(entry) || !json_is_string(json_array_get(entry, 0));
}

static rf_status check_pipeline(rf_diffusers_folder *f, json_t *index, rf_error *err)
{
    const char *name = json_string_value(json_object_get(index, "_class_name"));
    if (!name || strncmp(name, "StableDiffusionXL", strlen("StableDiffusionXL")) != 0)
        return rf_fail(err, RF_E_MODEL, "%s is a folder for %.64s, not for SDXL", f->path,
                       name ? name : "an unknown pipeline");
    if (is_absent(index, "text_encoder_2"))
        return rf_fail(err, RF_E_MODEL, "%s is a part of a pipeline: it has no text_encoder_2",
                       f->path);
    f->is_refiner = is_absent(index, "text_encoder");
    return RF_OK;
}

/* `index` could not be found, for the reason in *err: what is the folder then? */
static rf_status no_pipeline(const rf_diffusers_folder *f, const char *index, rf_error *err)
{
    char        above[PATH_BYTES];
    struct stat info;
    if (lstat(index, &info) == 0) return RF_E_NOT_FOUND; /* a link to nowhere */
    if (snprintf(above, sizeof above, "%s/../model_index.json", f->path) < (int)sizeof above &&
        stat(above, &info) == 0)
        return rf_fail(err, RF_E_MODEL,
                       "%s: one part of a diffusers model: name the folder above it, which has "
                       "model_index.json",
                       f->path);
    return rf_fail(err, RF_E_NOT_FOUND,
                   "%s: a folder without model_index.json is no diffusers model", f->path);
}

static rf_status read_pipeline(rf_diffusers_folder *f, rf_error *err)
{
    char         path[PATH_BYTES];
    char        *text = NULL;
    size_t       bytes = 0;
    json_error_t why;
    rf_status    st = RF_OK;
    if (snprintf(path, sizeof path, "%s/model_index.json", f->path) >= (int)sizeof path)
        return rf_fail(err, RF_E_NOT_FOUND, "%s: the path is too long", f->path);
    st = rf_whole_file_read(&text, &bytes, path, INDEX_MAX, err);
    if (st == RF_E_NOT_FOUND) st = no_pipeline(f, path, err);
    if (st != RF_OK) goto done;
    json_t *index = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    st = index ? check_pipeline(f, index, err)
               : rf_fail(err, RF_E_FORMAT, "%s: line %d: %s", path, why.line, why.text);
    json_decref(index);
done:
    free(text);
    return st;
}

static rf_status open_parts(rf_diffusers_folder *f, rf_error *err)
{
    for (int i = 0; i < RF_PARTS; i++) {
        const int   network = i == RF_PART_UNET || i == RF_PART_VAE;
        char        path[PATH_BYTES];
        const char *stem = network ? "diffusion_pytorch_model" : "model";
        if (i == RF_PART_CLIP_L && f->is_refiner) continue;
        if (snprintf(path, sizeof path, "%s/%s", f->path, rf_diffusers_part((rf_part)i)) >=
            (int)sizeof path)
            return rf_fail(err, RF_E_NOT_FOUND, "%s: the path is too long", f->path);
        const rf_status st = rf_shards_open(&f->part[i], path, stem, err);
        if (st == RF_E_NOT_FOUND && i == RF_PART_VAE) continue;
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

rf_status rf_diffusers_folder_open(rf_diffusers_folder **out, const char *path, rf_error *err)
{
    rf_status            st = RF_OK;
    rf_diffusers_folder *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    f->path = strdup(path);
    if (!f->path) {
        st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
        goto done;
    }
    RF_TRY(read_pipeline(f, err));
    RF_TRY(open_parts(f, err));
    RF_TRY(look(f, err));
    RF_TRY(make_list(f, err));
    *out = f;
    f = NULL;
done:
    rf_diffusers_folder_close(f);
    return st;
}

void rf_diffusers_folder_close(rf_diffusers_folder *f)
{
    if (!f) return;
    for (int i = 0; i < RF_PARTS; i++) rf_shards_close(f->part[i]);
    rf_composed_destroy(f->composed);
    free(f->path);
    free(f);
}

const rf_tensors *rf_diffusers_folder_list(const rf_diffusers_folder *f)
{
    return rf_composed_list(f->composed);
}

const rf_header *rf_diffusers_folder_header(const rf_diffusers_folder *f)
{
    return rf_shards_header(f->part[RF_PART_UNET], 0);
}

int rf_diffusers_folder_files(const rf_diffusers_folder *f)
{
    int files = 0;
    for (int i = 0; i < RF_PARTS; i++) files += f->part[i] ? rf_shards_files(f->part[i]) : 0;
    return files;
}

const char *rf_diffusers_folder_file(const rf_diffusers_folder *f, int index)
{
    for (int i = 0; i < RF_PARTS; i++) {
        const int files = f->part[i] ? rf_shards_files(f->part[i]) : 0;
        if (index < files) return rf_shards_path(f->part[i], index);
        index -= files;
    }
    return NULL;
}
