/* Each mark is a function that says what it found or leaves it open; see prediction.h. */
#include "engine/files/prediction.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/files/whole_file.h"
#include "kernels/half.h"

enum { PATH_BYTES = 4096, CONFIG_MAX = 1 << 16, SIDECAR_MAX = 1 << 16 };

static const struct {
    const char         *name;
    rf_parameterisation is;
} NAMES[] = {
    {"epsilon", {.v = 0, .range = RF_RANGE_SDXL}},
    {"v", {.v = 1, .range = RF_RANGE_SDXL}},
    {"v-ztsnr", {.v = 1, .range = RF_RANGE_ZTSNR}},
};

enum { NAME_COUNT = sizeof NAMES / sizeof *NAMES };

rf_status rf_prediction_named(rf_prediction *out, const char *name, rf_error *err)
{
    *out = (rf_prediction){.source = RF_SAID_BY_USER};
    for (int i = 0; i < NAME_COUNT; i++) {
        if (strcasecmp(NAMES[i].name, name) != 0) continue;
        out->is = NAMES[i].is;
        snprintf(out->reason, sizeof out->reason, "asked for");
        return RF_OK;
    }
    return rf_fail(err, RF_E_ARG, "prediction is \"%.80s\"; it can be epsilon, v or v-ztsnr", name);
}

const char *rf_prediction_name(const rf_parameterisation *p)
{
    for (int i = 0; i < NAME_COUNT; i++)
        if (NAMES[i].is.v == p->v && NAMES[i].is.range == p->range) return NAMES[i].name;
    return NULL;
}

static void say(rf_prediction *out, rf_prediction_source source, int v, const char *reason)
{
    out->source = source;
    out->is.v = v;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

/* ---- tensors ------------------------------------------------------------------------------ */

/* The one number a tensor holds, whatever its type. */
static rf_status read_number(double *out, const rf_tensors *list, const rf_tensor *t, rf_error *err)
{
    char     bytes[8] = {0};
    float    single = 0;
    uint16_t half = 0;
    if (t->elems != 1 || (t->type != RF_FILE_F16 && t->type != RF_FILE_BF16 &&
                          t->type != RF_FILE_F32 && t->type != RF_FILE_F64))
        return rf_fail(err, RF_E_MODEL, "%s: tensor %s is not one number", list->path, t->name);
    const rf_status st = list->read(list, t, 0, bytes, (size_t)t->bytes, err);
    if (st != RF_OK) return st;
    memcpy(&half, bytes, sizeof half);
    memcpy(&single, bytes, sizeof single);
    memcpy(out, bytes, sizeof *out);
    if (t->type == RF_FILE_F16) *out = (double)rf_f32_from_f16(half);
    if (t->type == RF_FILE_BF16) *out = (double)rf_f32_from_bf16(half);
    if (t->type == RF_FILE_F32) *out = (double)single;
    return RF_OK;
}

/* Levels are f32 and squared on the way: far from the ends of its range, and far enough apart for a
 * thousand between them to differ. */
static rf_status check_levels(const rf_parameterisation *p, const char *path, rf_error *err)
{
    const double low = p->sigma_min, high = p->sigma_max;
    if (low >= 1e-6 && high <= 1e6 && high >= 1.1 * low) return RF_OK;
    return rf_fail(err, RF_E_MODEL,
                   "%s: its noise levels range from %g to %g, which no model has been trained on",
                   path, low, high);
}

static rf_status ask_tensors(rf_prediction *out, const rf_tensors *list, rf_error *err)
{
    const rf_tensor *high = rf_tensors_find(list, "edm_vpred.sigma_max");
    const rf_tensor *low = rf_tensors_find(list, "edm_vpred.sigma_min");
    rf_status        st = RF_OK;
    if (low && !high)
        return rf_fail(err, RF_E_MODEL, "%s has tensor edm_vpred.sigma_min and no sigma_max",
                       list->path);
    if (high) {
        out->is = (rf_parameterisation){.range = RF_RANGE_EDM, .sigma_min = 0.002};
        say(out, RF_SAID_BY_TENSORS, 1, "tensor edm_vpred.sigma_max");
        RF_TRY(read_number(&out->is.sigma_max, list, high, err));
        if (low) RF_TRY(read_number(&out->is.sigma_min, list, low, err));
        RF_TRY(check_levels(&out->is, list->path, err));
    } else if (rf_tensors_find(list, "v_pred")) {
        const int ztsnr = rf_tensors_find(list, "ztsnr") != NULL;
        say(out, RF_SAID_BY_TENSORS, 1, ztsnr ? "tensors v_pred and ztsnr" : "tensor v_pred");
        if (ztsnr) out->is.range = RF_RANGE_ZTSNR;
    }
done:
    return st;
}

/* ---- a diffusers folder ------------------------------------------------------------------- */

/* diffusers' EDM schedulers: CosXL's predicts v of variance 1, Playground's epsilon of 0.5^2. */
static rf_status read_edm(rf_prediction *out, json_t *config, int v, const char *path,
                          rf_error *err)
{
    const json_t *data = json_object_get(config, "sigma_data");
    const json_t *low = json_object_get(config, "sigma_min");
    const json_t *high = json_object_get(config, "sigma_max");
    if (!v || !data || json_number_value(data) != 1)
        return rf_fail(err, RF_E_MODEL,
                       "%s: an EDM scheduler as Playground 2.5's, whose latents are normalised in "
                       "another way than SDXL's, so that no other expert can go on with them",
                       path);
    out->is.range = RF_RANGE_EDM;
    out->is.sigma_min = low ? json_number_value(low) : 0.002;
    out->is.sigma_max = high ? json_number_value(high) : 80; /* diffusers' defaults */
    return check_levels(&out->is, path, err);
}

static rf_status read_config(rf_prediction *out, json_t *config, const char *path, rf_error *err)
{
    const char *type = json_string_value(json_object_get(config, "prediction_type"));
    const char *scheduler = json_string_value(json_object_get(config, "_class_name"));
    const int   v = type && strcmp(type, "v_prediction") == 0;
    rf_status   st = RF_OK;
    if (type && !v && strcmp(type, "epsilon") != 0)
        return rf_fail(err, RF_E_MODEL,
                       "%s: prediction_type is \"%.40s\"; epsilon and v_prediction are known", path,
                       type);
    if (scheduler && strncmp(scheduler, "EDM", 3) == 0)
        RF_TRY(read_edm(out, config, v, path, err));
    else if (v && json_is_true(json_object_get(config, "rescale_betas_zero_snr")))
        out->is.range = RF_RANGE_ZTSNR;
    if (type) say(out, RF_SAID_BY_SCHEDULER, v, "scheduler_config.json");
done:
    return st;
}

static rf_status ask_scheduler(rf_prediction *out, const char *folder, rf_error *err)
{
    char         path[PATH_BYTES];
    char        *text = NULL;
    size_t       bytes = 0;
    json_error_t why;
    rf_status    st = RF_OK;
    if (snprintf(path, sizeof path, "%s/scheduler/scheduler_config.json", folder) >=
        (int)sizeof path)
        return RF_OK;
    st = rf_whole_file_read(&text, &bytes, path, CONFIG_MAX, err);
    if (st == RF_E_NOT_FOUND) return RF_OK;
    if (st != RF_OK) return st;
    json_t *config = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    if (!config)
        st = rf_fail(err, RF_E_FORMAT, "%s: line %d: %s", path, why.line, why.text);
    else if (!json_is_object(config))
        st = rf_fail(err, RF_E_FORMAT, "%s is not an object", path);
    else
        st = read_config(out, config, path, err);
    json_decref(config);
    free(text);
    return st;
}

/* ---- metadata ----------------------------------------------------------------------------- */

/* 1: v; 0: epsilon; -1: neither. */
static int spelled(const char *text)
{
    static const char *const v[] = {"v", "v_prediction", "v-prediction", "v_pred", "vpred"};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        if (strcasecmp(text, v[i]) == 0) return 1;
    return strcasecmp(text, "epsilon") == 0 || strcasecmp(text, "eps") == 0 ? 0 : -1;
}

static void ask_metadata(rf_prediction *out, const rf_header *header)
{
    static const char key[] = "modelspec.prediction_type";
    for (size_t i = 0; header && i < header->meta_count; i++) {
        if (strcmp(header->meta[i].key, key) != 0) continue;
        const int v = spelled(header->meta[i].value);
        if (v >= 0)
            say(out, RF_SAID_BY_METADATA, v, "metadata modelspec.prediction_type");
        else
            snprintf(out->doubt, sizeof out->doubt,
                     "its metadata %s is \"%.60s\", which says nothing", key,
                     header->meta[i].value);
    }
}

/* ---- side-car ----------------------------------------------------------------------------- */

/* The value of a line `key: value`, quotes and comment taken off, into `out`; 0: another line. */
static int yaml_value(const char *line, size_t bytes, const char *key, char *out, size_t room)
{
    const char *at = line, *end = line + bytes;
    size_t      n = 0;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    if ((size_t)(end - at) <= strlen(key) || strncmp(at, key, strlen(key)) != 0) return 0;
    at += strlen(key);
    if (*at++ != ':') return 0;
    while (at < end && strchr(" \t\"'", *at)) at++;
    while (at < end && !strchr(" \t\r\"'#", *at) && n + 1 < room) out[n++] = *at++;
    out[n] = '\0';
    return 1;
}

#define KEY "parameterization"

/* A configuration of latent-diffusion is block YAML: one key per line. */
static void read_sidecar(rf_prediction *out, const char *text, size_t bytes)
{
    const char *end = text + bytes;
    for (const char *line = text, *next; line < end; line = next) {
        char        value[16];
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        const size_t length = (size_t)((stop ? stop : end) - line);
        if (!yaml_value(line, length, KEY, value, sizeof value)) continue;
        const int v = spelled(value);
        if (v < 0) continue;
        say(out, RF_SAID_BY_SIDECAR, v, "the .yaml file beside it");
        return;
    }
    if (memmem(text, bytes, KEY, sizeof KEY - 1))
        snprintf(out->doubt, sizeof out->doubt,
                 "the .yaml beside it speaks of " KEY
                 " in a way that is not understood: a line " KEY ": \"v\" would be");
}

/* What cannot be a configuration is worth a doubt; what fails to be read is an error, for an
 * expert that silently predicts something else gives noise. */
static rf_status ask_sidecar(rf_prediction *out, const char *path, rf_error *err)
{
    char        sidecar[PATH_BYTES];
    char       *text = NULL;
    size_t      bytes = 0;
    struct stat info;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const int   stem = (int)((dot && dot > name ? dot : path + strlen(path)) - path);
    rf_status   st = RF_OK;
    if (snprintf(sidecar, sizeof sidecar, "%.*s.yaml", stem, path) >= (int)sizeof sidecar ||
        stat(sidecar, &info) != 0)
        return RF_OK;
    if (!S_ISREG(info.st_mode) || info.st_size > SIDECAR_MAX) {
        snprintf(out->doubt, sizeof out->doubt,
                 "the .yaml beside it is not read: it is no file of at most %d bytes", SIDECAR_MAX);
        return RF_OK;
    }
    RF_TRY(rf_whole_file_read(&text, &bytes, sidecar, SIDECAR_MAX, err));
    read_sidecar(out, text, bytes);
done:
    free(text);
    return st;
}

/* ---- all of them -------------------------------------------------------------------------- */

static void look_at_name(rf_prediction *out, const char *path)
{
    static const char *const hints[] = {"vpred", "v-pred", "v_pred"};
    const char              *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof hints / sizeof *hints && !*out->doubt; i++)
        if (strcasestr(name, hints[i]))
            snprintf(out->doubt, sizeof out->doubt,
                     "its name speaks of v-prediction and nothing in it does: if the picture is "
                     "noise, try prediction v or v-ztsnr");
}

rf_status rf_prediction_find(rf_prediction *out, const rf_tensors *list, const rf_header *header,
                             const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    *out = (rf_prediction){.reason = "nothing says otherwise"};
    RF_TRY(ask_tensors(out, list, err));
    if (!out->source && !header) RF_TRY(ask_scheduler(out, path, err));
    if (!out->source) ask_metadata(out, header);
    if (!out->source && header) RF_TRY(ask_sidecar(out, path, err));
    if (!out->source) look_at_name(out, path);
done:
    return st;
}
