/* Alphas from tensors and from peft's metadata; see lora_alpha.h. */
#include "engine/files/lora_alpha.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "kernels/half.h"

enum {
    VALUES_MAX = 1 << 13, /* in peft's metadata: twice as many as there are layers, four times */
    SCALE_MAX = 10000,
};

/* ---- tensors ------------------------------------------------------------------------------ */

static rf_status read_scalar(const rf_tensors *list, const rf_tensor *t, double *out, rf_error *err)
{
    unsigned char   raw[8] = {0};
    uint16_t        half;
    float           single;
    int64_t         whole;
    const rf_status st = list->read(list, t, 0, raw, (size_t)t->bytes, err);
    memcpy(&half, raw, sizeof half);
    memcpy(&single, raw, sizeof single);
    memcpy(&whole, raw, sizeof whole);
    switch (t->type) {
    case RF_FILE_F16: *out = (double)rf_f32_from_f16(half); break;
    case RF_FILE_BF16: *out = (double)rf_f32_from_bf16(half); break;
    case RF_FILE_F32: *out = (double)single; break;
    case RF_FILE_I64: *out = (double)whole; break;
    default: memcpy(out, raw, sizeof *out); break;
    }
    return st;
}

/* ---- peft's metadata ---------------------------------------------------------------------- */

/* What would make more of a tree than a file should get is not peft's. */
static int is_modest(const char *json)
{
    size_t values = 0;
    for (; *json; json++) values += *json == ',' || *json == '[' || *json == '{';
    return values <= VALUES_MAX;
}

static json_t *read_metadata(const rf_lora *l)
{
    const rf_header *h = rf_safetensors_header(l->file);
    for (size_t i = 0; i < h->meta_count; i++)
        if (strcmp(h->meta[i].key, "lora_adapter_metadata") == 0 && is_modest(h->meta[i].value))
            return json_loadb(h->meta[i].value, strlen(h->meta[i].value), 0, NULL);
    return NULL;
}

/* A component's entry: "unet.lora_alpha", "text_encoder_2.r", or without a front. */
static json_t *entry_of(json_t *metadata, rf_part part, const char *key)
{
    static const char *const fronts[RF_PARTS] = {[RF_PART_UNET] = "unet.",
                                                 [RF_PART_CLIP_L] = "text_encoder.",
                                                 [RF_PART_CLIP_G] = "text_encoder_2."};
    char                     name[64];
    if (part >= RF_PARTS || !fronts[part]) return json_object_get(metadata, key);
    snprintf(name, sizeof name, "%s%s", fronts[part], key);
    json_t *own = json_object_get(metadata, name);
    return own ? own : json_object_get(metadata, key);
}

/* A module's own number in a pattern: the longest key that its name ends with. */
static json_t *pattern_of(json_t *pattern, const char *module)
{
    json_t *value = json_object_get(pattern, module);
    while (!value && (module = strchr(module, '.'))) value = json_object_get(pattern, ++module);
    return value;
}

static double number_of(json_t *metadata, const rf_lora_module *m, const char *key,
                        const char *patterns)
{
    json_t *own = pattern_of(entry_of(metadata, m->part, patterns), m->name);
    json_t *value = own ? own : entry_of(metadata, m->part, key);
    return json_is_number(value) ? json_number_value(value) : 0;
}

/* alpha / r, or alpha / sqrt(r) with rank-stabilised LoRA (Kalajdzievski 2023). */
static double scale_of_metadata(json_t *metadata, const rf_lora_module *m)
{
    const double alpha = number_of(metadata, m, "lora_alpha", "alpha_pattern");
    if (alpha == 0 || m->rank == 0) return 1;
    const int stabilised = json_is_true(entry_of(metadata, m->part, "use_rslora"));
    return alpha / (stabilised ? sqrt(m->rank) : m->rank);
}

/* ---- both --------------------------------------------------------------------------------- */

rf_status rf_lora_read_alphas(rf_lora *l, rf_error *err)
{
    rf_status st = RF_OK;
    json_t   *metadata = read_metadata(l);
    for (int i = 0; i < l->modules; i++) {
        rf_lora_module  *m = &l->module[i];
        const rf_tensor *t = m->tensor[RF_LORA_ALPHA];
        double           alpha = 0, scale = t ? 1 : scale_of_metadata(metadata, m);
        if (t) RF_TRY(read_scalar(l->tensors, t, &alpha, err));
        if (alpha != 0 && m->rank > 0) scale = alpha / m->rank;
        if (!(fabs(scale) <= SCALE_MAX) || !isfinite(alpha)) {
            st = rf_fail(err, RF_E_MODEL,
                         "%s: the alpha of module %s is no sensible number (rank %d)",
                         l->tensors->path, m->name, m->rank);
            goto done;
        }
        m->scale = (float)scale;
    }
done:
    json_decref(metadata);
    return st;
}
