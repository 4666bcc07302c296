/* See part_folder.h.
 *
 * A VAE's scaling factor is the one thing that tells SDXL's VAE from Stable Diffusion 1's, which
 * has the same tensors in the same shapes: a file alone does not say whose it is. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/part_folder.h"
#include "engine/files/shards.h"
#include "engine/files/whole_file.h"

enum { CONFIG_MAX = 1 << 16 }; /* a hundred times what is written */

static rf_status check_config(const char *path, json_t *config, rf_error *err)
{
    const double  sdxl = 0.13025; /* sd_xl_base.yaml, scale_factor; SD 1 and 2: 0.18215 */
    const json_t *scale = json_object_get(config, "scaling_factor");
    const char *class = json_string_value(json_object_get(config, "_class_name"));
    if (class && strcmp(class, "AutoencoderKL") != 0) return RF_OK; /* TAESD has a scale of 1 */
    if (!json_is_number(scale) || fabs(json_number_value(scale) - sdxl) < 1e-4) return RF_OK;
    return rf_fail(err, RF_E_MODEL,
                   "%s: scaling_factor is %g where SDXL's VAE has %g: this one decodes another "
                   "model's latents",
                   path, json_number_value(scale), sdxl);
}

/* A folder need not have one. */
static rf_status read_config(const char *folder, rf_error *err)
{
    char        *path = NULL, *text = NULL;
    size_t       bytes = 0;
    json_error_t why;
    json_t      *config = NULL;
    if (asprintf(&path, "%s/config.json", folder) < 0)
        return rf_fail(err, RF_E_NOMEM, "%s: out of memory", folder);
    rf_status st = rf_whole_file_read(&text, &bytes, path, CONFIG_MAX, err);
    if (st == RF_E_NOT_FOUND) {
        st = RF_OK;
        goto done;
    }
    if (st != RF_OK) goto done;
    config = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    st = config ? check_config(path, config, err)
                : rf_fail(err, RF_E_FORMAT, "%s: line %d: %s", path, why.line, why.text);
done:
    json_decref(config);
    free(text);
    free(path);
    return st;
}

static int is_part(const char *path)
{
    char        index[4096];
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return 0;
    return snprintf(index, sizeof index, "%s/model_index.json", path) < (int)sizeof index &&
           stat(index, &info) != 0;
}

rf_status rf_part_folder_file(char **file, const char *path, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_shards *shards = NULL;
    *file = NULL;
    if (!is_part(path)) return RF_OK;
    st = rf_shards_open(&shards, path, "diffusion_pytorch_model", err);
    if (st == RF_E_NOT_FOUND) return RF_OK; /* whoever opens it says what it lacks */
    if (st != RF_OK) return st;
    RF_TRY(read_config(path, err));
    if (rf_shards_files(shards) != 1) {
        st = rf_fail(err, RF_E_MODEL, "%s: a part of a pipeline in %d files, where a VAE has one",
                     path, rf_shards_files(shards));
        goto done;
    }
    *file = strdup(rf_shards_path(shards, 0));
    if (!*file) st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
done:
    rf_shards_close(shards);
    return st;
}
