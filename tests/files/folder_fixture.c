/* Cutting a checkpoint into parts; see folder_fixture.h. */
#include "tests/files/folder_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/diffusers_names.h"
#include "engine/files/safetensors.h"
#include "engine/files/synth.h"

enum { PATH_BYTES = 1024, SHARDS_MAX = 8 };

/* A file under construction: header and data grow side by side. */
typedef struct part_file {
    char  *header, *data;
    size_t header_bytes, data_bytes;
    FILE  *header_out, *data_out;
    long   at;
} part_file;

typedef struct maker {
    const char       *folder;
    rf_sdxl_arch      arch;
    const rf_tensors *tensors;
    part_file         file[RF_PARTS][SHARDS_MAX];
    FILE             *map; /* of the index */
    char             *map_text;
    size_t            map_bytes;
    int               shards, next;
} maker;

static void begin(part_file *p)
{
    p->header_out = open_memstream(&p->header, &p->header_bytes);
    p->data_out = open_memstream(&p->data, &p->data_bytes);
    fputc('{', p->header_out);
}

/* One tensor, turned if need be; all is F32 here. */
static void put(part_file *p, const char *name, const rf_tensor *t, const float *value,
                int64_t rows, int transposed)
{
    int64_t dim[RF_TENSOR_DIMS];
    memcpy(dim, t->dim, sizeof dim);
    dim[0] = rows;
    int64_t count = 1;
    for (int i = 0; i < t->ndim; i++) count *= dim[i];
    if (transposed) dim[0] = t->dim[1], dim[1] = t->dim[0];
    fprintf(p->header_out, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", p->at ? "," : "", name);
    for (int i = 0; i < t->ndim; i++)
        fprintf(p->header_out, "%s%lld", i ? "," : "", (long long)dim[i]);
    fprintf(p->header_out, "],\"data_offsets\":[%ld,%ld]}", p->at, p->at + (long)count * 4);
    p->at += (long)count * 4;
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = transposed ? i % dim[1] * dim[0] + i / dim[1] : i;
        fwrite(&value[from], sizeof *value, 1, p->data_out);
    }
}

static rf_status cut(void *user, const rf_layout_tensor *layout)
{
    maker              *m = user;
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    const int           parts = rf_diffusers_names(&m->arch, layout, d);
    if (parts == 0) return RF_OK;
    const rf_tensor *t = rf_tensors_find(m->tensors, layout->name);
    cr_assert(t && t->type == RF_FILE_F32, "%s", layout->name);
    float *value = malloc((size_t)t->bytes);
    cr_assert(value && m->tensors->read(m->tensors, t, 0, value, (size_t)t->bytes, NULL) == RF_OK);
    for (int i = 0; i < parts; i++) {
        const int     shard = layout->part == RF_PART_UNET ? m->next++ % m->shards : 0;
        const int64_t rows = t->dim[0] / parts;
        put(&m->file[layout->part][shard], d[i].name, t,
            value + (size_t)i * (size_t)(t->elems / (uint64_t)parts), rows, d[i].transposed);
        if (layout->part == RF_PART_UNET && m->shards > 1)
            fprintf(m->map, "%s\"%s\":\"diffusion_pytorch_model-%05d-of-%05d.safetensors\"",
                    ftell(m->map) ? "," : "", d[i].name, shard + 1, m->shards);
    }
    free(value);
    return RF_OK;
}

void folder_write(const char *folder, const char *name, const void *data, unsigned long bytes)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "%s", path);
}

static void finish(const maker *m, part_file *p, const char *name)
{
    fputc('}', p->header_out);
    fclose(p->header_out);
    fclose(p->data_out);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", m->folder, name);
    FILE          *f = fopen(path, "wb");
    const uint64_t n = p->header_bytes;
    cr_assert(f && fwrite(&n, 8, 1, f) == 1 && fwrite(p->header, 1, n, f) == n &&
              fwrite(p->data, 1, p->data_bytes, f) == p->data_bytes && fclose(f) == 0);
    free(p->header);
    free(p->data);
}

static void finish_part(maker *m, rf_part part)
{
    char        name[PATH_BYTES / 2];
    const int   network = part == RF_PART_UNET || part == RF_PART_VAE;
    const int   shards = part == RF_PART_UNET ? m->shards : 1;
    const char *stem = network ? "diffusion_pytorch_model" : "model";
    for (int i = 0; i < shards; i++) {
        if (shards > 1)
            snprintf(name, sizeof name, "%s/%s-%05d-of-%05d.safetensors", rf_diffusers_part(part),
                     stem, i + 1, shards);
        else
            snprintf(name, sizeof name, "%s/%s.safetensors", rf_diffusers_part(part), stem);
        finish(m, &m->file[part][i], name);
    }
}

static void make_directory(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s", folder, name ? "/" : "", name ? name : "");
    cr_assert(mkdir(path, 0777) == 0 || errno == EEXIST, "%s", path);
}

static void write_index(maker *m)
{
    char *text = NULL;
    fclose(m->map);
    if (m->shards > 1 && asprintf(&text, "{\"metadata\":{},\"weight_map\":{%s}}", m->map_text) > 0)
        folder_write(m->folder, "unet/diffusion_pytorch_model.safetensors.index.json", text,
                     strlen(text));
    free(text);
    free(m->map_text);
}

void folder_make(const char *folder, const char *checkpoint, const char *arch, int shards)
{
    static const char base[] =
        "{\"_class_name\":\"StableDiffusionXLPipeline\","
        "\"text_encoder\":[\"transformers\",\"CLIPTextModel\"],"
        "\"text_encoder_2\":[\"transformers\",\"CLIPTextModelWithProjection\"]}";
    static const char refiner[] =
        "{\"_class_name\":\"StableDiffusionXLImg2ImgPipeline\","
        "\"requires_aesthetics_score\":true,\"text_encoder\":[null,null],"
        "\"text_encoder_2\":[\"transformers\",\"CLIPTextModelWithProjection\"]}";
    rf_safetensors *file = NULL;
    maker          *m = calloc(1, sizeof *m);
    cr_assert(m && shards <= SHARDS_MAX);
    cr_assert_eq(rf_safetensors_open(&file, checkpoint, NULL), RF_OK);
    cr_assert_eq(rf_synth_arch(&m->arch, arch, NULL), RF_OK);
    m->folder = folder;
    m->shards = shards;
    m->tensors = rf_safetensors_list(file);
    m->map = open_memstream(&m->map_text, &m->map_bytes);
    make_directory(folder, NULL);
    for (int i = 0; i < RF_PARTS; i++) {
        if (i == RF_PART_CLIP_L && !m->arch.has_clip_l) continue;
        make_directory(folder, rf_diffusers_part((rf_part)i));
        for (int k = 0; k < (i == RF_PART_UNET ? shards : 1); k++) begin(&m->file[i][k]);
    }
    cr_assert_eq(rf_sdxl_layout(&m->arch, cut, m), RF_OK);
    for (int i = 0; i < RF_PARTS; i++)
        if (i != RF_PART_CLIP_L || m->arch.has_clip_l) finish_part(m, (rf_part)i);
    write_index(m);
    const char *pipeline = m->arch.has_clip_l ? base : refiner;
    folder_write(folder, "model_index.json", pipeline, strlen(pipeline));
    rf_safetensors_close(file);
    free(m);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

void folder_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
