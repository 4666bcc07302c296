/* File or folder, widened and renamed where it must be; see model_file.h. */
#include "engine/files/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/diffusers_folder.h"
#include "engine/files/fp8.h"
#include "engine/files/part_folder.h"
#include "engine/files/safetensors.h"
#include "engine/files/spellings.h"

struct rf_model_file {
    rf_safetensors      *file; /* or */
    rf_diffusers_folder *folder;
    rf_fp8_view         *wide;      /* over either; NULL: nothing is in 8 bits */
    rf_composed         *respelled; /* over these; NULL: all names are canonical */
};

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

const rf_tensors *rf_model_file_stored(const rf_model_file *model)
{
    return model->file ? rf_safetensors_list(model->file) : rf_diffusers_folder_list(model->folder);
}

rf_status rf_model_file_open(rf_model_file **out, const char *path, rf_error *err)
{
    rf_status      st = RF_OK;
    char          *part = NULL;
    rf_model_file *model = calloc(1, sizeof *model);
    *out = NULL;
    if (!model) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    RF_TRY(rf_part_folder_file(&part, path, err));
    if (part)
        RF_TRY(rf_safetensors_open(&model->file, part, err));
    else if (is_folder(path))
        RF_TRY(rf_diffusers_folder_open(&model->folder, path, err));
    else
        RF_TRY(rf_safetensors_open(&model->file, path, err));
    RF_TRY(rf_fp8_view_open(&model->wide, rf_model_file_stored(model), err));
    RF_TRY(rf_spellings_open(&model->respelled, rf_model_file_list(model), err));
    *out = model;
    model = NULL;
done:
    free(part);
    rf_model_file_close(model);
    return st;
}

void rf_model_file_close(rf_model_file *model)
{
    if (!model) return;
    rf_composed_destroy(model->respelled);
    rf_fp8_view_close(model->wide);
    rf_safetensors_close(model->file);
    rf_diffusers_folder_close(model->folder);
    free(model);
}

const rf_tensors *rf_model_file_list(const rf_model_file *model)
{
    if (model->respelled) return rf_composed_list(model->respelled);
    return model->wide ? rf_fp8_view_list(model->wide) : rf_model_file_stored(model);
}

const rf_header *rf_model_file_header(const rf_model_file *model)
{
    return model->file ? rf_safetensors_header(model->file) : NULL;
}

const rf_header *rf_model_file_told(const rf_model_file *model)
{
    return model->file ? rf_safetensors_header(model->file)
                       : rf_diffusers_folder_header(model->folder);
}

/* ---- hashes ------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line for each file in use; free() *lines and them. */
static rf_status hash_files(const rf_diffusers_folder *folder, const char *path, const char *cache,
                            const atomic_int *cancel, char **line, int count, rf_error *err)
{
    for (int i = 0; i < count; i++) {
        char            hex[RF_SHA256_HEX];
        const char     *file = rf_diffusers_folder_file(folder, i);
        const rf_status st = rf_file_sha256(hex, file, cache, cancel, err);
        if (st != RF_OK) return st;
        /* by the name first, so that sorting the lines sorts the names */
        if (asprintf(&line[i], "%s\n%s", file + strlen(path) + 1, hex) < 0) {
            line[i] = NULL;
            return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
        }
    }
    qsort(line, (size_t)count, sizeof *line, by_text);
    return RF_OK;
}

static rf_status hash_lines(char hex[RF_SHA256_HEX], char *const *line, int count, rf_error *err)
{
    char  *text = NULL;
    size_t bytes = 0;
    FILE  *out = open_memstream(&text, &bytes);
    for (int i = 0; out && i < count; i++) {
        const char *hash = strchr(line[i], '\n') + 1;
        fprintf(out, "%s  %.*s\n", hash, (int)(hash - 1 - line[i]), line[i]);
    }
    if (!out || fclose(out) != 0) return rf_fail(err, RF_E_NOMEM, "hash: out of memory");
    const rf_status st = rf_bytes_sha256(hex, text, bytes, err);
    free(text);
    return st;
}

static rf_status hash_folder(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                             const atomic_int *cancel, rf_error *err)
{
    rf_diffusers_folder *folder = NULL;
    rf_status            st = rf_diffusers_folder_open(&folder, path, err);
    if (st != RF_OK) return st;
    const int count = rf_diffusers_folder_files(folder);
    char    **line = calloc((size_t)count, sizeof *line);
    if (!line) {
        st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
        goto done;
    }
    RF_TRY(hash_files(folder, path, cache, cancel, line, count, err));
    RF_TRY(hash_lines(hex, line, count, err));
done:
    for (int i = 0; line && i < count; i++) free(line[i]);
    free(line);
    rf_diffusers_folder_close(folder);
    return st;
}

rf_status rf_model_file_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                               const atomic_int *cancel, rf_error *err)
{
    char     *part = NULL;
    rf_status st = rf_part_folder_file(&part, path, err);
    if (st != RF_OK) return st;
    st = !part && is_folder(path) ? hash_folder(hex, path, cache, cancel, err)
                                  : rf_file_sha256(hex, part ? part : path, cache, cancel, err);
    free(part);
    return st;
}
