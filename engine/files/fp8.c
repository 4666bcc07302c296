/* The view; see fp8.h. */
#include "engine/files/fp8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"

enum { NAME_BYTES = 640, CHUNK = 4096 };

/* What stands behind a tensor of the view. */
typedef struct origin {
    const rf_tensor *tensor;
    float            scale; /* of 8-bit ones */
} origin;

struct rf_fp8_view {
    const rf_tensors *from;
    rf_tensor        *tensor; /* [list.count]; `offset` is the index of its origin */
    origin           *origin;
    rf_tensors        list;
};

float rf_f32_from_e4m3(uint8_t b)
{
    const int   exponent = b >> 3 & 15, mantissa = b & 7;
    const float sign = b & 0x80 ? -1.0f : 1.0f;
    if ((b & 0x7F) == 0x7F) return rf_f32_from_bits(0x7FC00000u);
    if (exponent == 0) return sign * ldexpf((float)mantissa, -9);
    return sign * ldexpf((float)(8 + mantissa), exponent - 10);
}

float rf_f32_from_e5m2(uint8_t b)
{
    return rf_f32_from_f16((uint16_t)(b << 8));
}

static int is_fp8(const rf_tensor *t)
{
    return t->type == RF_FILE_F8_E4M3 || t->type == RF_FILE_F8_E5M2;
}

static const char *ending(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0 ? name + n - m : NULL;
}

/* ---- scales ------------------------------------------------------------------------------- */

/* The 8-bit weight that `name`, ending in `end`, stands beside; NULL: there is none. */
static const rf_tensor *weight_beside(const rf_tensors *list, const char *name, const char *end)
{
    char        weight[NAME_BYTES];
    const char *at = ending(name, end);
    if (!at) return NULL;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)(at - name), name);
    const rf_tensor *t = rf_tensors_find(list, weight);
    return t && is_fp8(t) ? t : NULL;
}

/* Belongs to the 8-bit storage and not to the model: 1, or -1 if nobody knows what it means. */
static int is_auxiliary(const rf_tensors *list, const char *name)
{
    static const char *const known[] = {".scale_weight", ".weight_scale", ".scale_input",
                                        ".input_scale", ".comfy_quant"};
    char                     weight[NAME_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (weight_beside(list, name, known[i])) return 1;
    if (ending(name, "scaled_fp8")) return 1;
    const char *dot = strrchr(name, '.');
    if (!dot || !(strstr(dot, "scale") || strstr(dot, "quant") || strstr(dot, "zero_point")))
        return 0;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)(dot - name), name);
    const rf_tensor *t = rf_tensors_find(list, weight);
    return t && is_fp8(t) ? -1 : 0;
}

static rf_status read_scale(const rf_tensors *list, const rf_tensor *t, float *out, rf_error *err)
{
    unsigned char raw[4] = {0};
    char          shape[96];
    const int number = t->type == RF_FILE_F32 || t->type == RF_FILE_F16 || t->type == RF_FILE_BF16;
    if (t->elems != 1 || !number)
        return rf_fail(err, RF_E_MODEL,
                       "%s: %s is %s %s where one number is expected: scales of blocks or rows are "
                       "not supported",
                       list->path, t->name, rf_filetype_name(t->type),
                       rf_tensor_shape_text(t, shape, sizeof shape));
    const rf_status st = list->read(list, t, 0, raw, (size_t)t->bytes, err);
    if (st != RF_OK) return st;
    *out = rf_load(raw,
                   t->type == RF_FILE_F32   ? RF_F32
                   : t->type == RF_FILE_F16 ? RF_F16
                                            : RF_BF16,
                   0);
    if (isfinite(*out) && *out != 0) return RF_OK;
    return rf_fail(err, RF_E_MODEL, "%s: the scale %s is %g", list->path, t->name, (double)*out);
}

/* The scale of an 8-bit tensor; 1 without one. */
static rf_status find_scale(const rf_tensors *list, const rf_tensor *t, float *scale, int *scaled,
                            rf_error *err)
{
    static const char *const spelling[] = {"scale_weight", "weight_scale"};
    const char              *at = ending(t->name, "weight");
    *scale = 1;
    *scaled = 0;
    for (int i = 0; i < 2 && at; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%.*s%s", (int)(at - t->name), t->name, spelling[i]);
        const rf_tensor *s = rf_tensors_find(list, name);
        if (!s) continue;
        if (*scaled)
            return rf_fail(err, RF_E_MODEL, "%s: %s has a scale in two spellings", list->path,
                           t->name);
        const rf_status st = read_scale(list, s, scale, err);
        if (st != RF_OK) return st;
        *scaled = 1;
    }
    return RF_OK;
}

/* ---- the list ----------------------------------------------------------------------------- */

static rf_status add(rf_fp8_view *v, const rf_tensor *t, rf_error *err)
{
    rf_tensor *to = &v->tensor[v->list.count];
    origin    *from = &v->origin[v->list.count];
    int        scaled = 0;
    *to = *t;
    from->tensor = t;
    if (is_fp8(t)) {
        const rf_status st = find_scale(v->from, t, &from->scale, &scaled, err);
        if (st != RF_OK) return st;
        to->type = scaled ? RF_FILE_F32 : RF_FILE_F16;
        to->bytes = t->elems * rf_filetype_bytes(to->type);
    }
    to->offset = v->list.count++;
    return RF_OK;
}

static rf_status fill(rf_fp8_view *v, rf_error *err)
{
    for (size_t i = 0; i < v->from->count; i++) {
        const rf_tensor *t = &v->from->item[i];
        const int        auxiliary = is_auxiliary(v->from, t->name);
        if (auxiliary > 0) continue;
        if (auxiliary < 0)
            return rf_fail(err, RF_E_MODEL,
                           "%s: %s may be a scale of 8-bit weights, of a kind that is not known; "
                           "without it they would be noise",
                           v->from->path, t->name);
        const rf_status st = add(v, t, err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void widen(void *dst, rf_filetype type, const uint8_t *src, size_t count, const origin *o)
{
    const int e4m3 = o->tensor->type == RF_FILE_F8_E4M3;
    for (size_t i = 0; i < count; i++) {
        if (type == RF_FILE_F16 && !e4m3) {
            ((uint16_t *)dst)[i] = (uint16_t)(src[i] << 8);
            continue;
        }
        const float x = e4m3 ? rf_f32_from_e4m3(src[i]) : rf_f32_from_e5m2(src[i]);
        if (type == RF_FILE_F16)
            ((uint16_t *)dst)[i] = rf_f16_from_f32(x);
        else
            ((float *)dst)[i] = x * o->scale;
    }
}

static rf_status read_wide(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                           size_t bytes, rf_error *err)
{
    const rf_fp8_view *v = self->impl;
    const origin      *o = &v->origin[t->offset];
    const size_t       size = rf_filetype_bytes(t->type);
    uint8_t            raw[CHUNK];
    if (!is_fp8(o->tensor)) return v->from->read(v->from, o->tensor, from, dst, bytes, err);
    if (from % size || bytes % size || from > t->bytes || bytes > t->bytes - from)
        return rf_fail(err, RF_E_BUG, "%s: a read outside of %s", self->path, t->name);
    for (size_t done = 0; done < bytes / size;) {
        const size_t    left = bytes / size - done, now = left < CHUNK ? left : CHUNK;
        const rf_status st = v->from->read(v->from, o->tensor, from / size + done, raw, now, err);
        if (st != RF_OK) return st;
        widen((char *)dst + done * size, t->type, raw, now, o);
        done += now;
    }
    return RF_OK;
}

rf_status rf_fp8_view_open(rf_fp8_view **out, const rf_tensors *list, rf_error *err)
{
    int       any = 0;
    rf_status st = RF_OK;
    *out = NULL;
    for (size_t i = 0; i < list->count; i++) any |= is_fp8(&list->item[i]);
    if (!any) return RF_OK;
    rf_fp8_view *v = calloc(1, sizeof *v);
    if (!v) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", list->path);
    v->from = list;
    v->tensor = calloc(list->count, sizeof *v->tensor);
    v->origin = calloc(list->count, sizeof *v->origin);
    if (!v->tensor || !v->origin) {
        st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", list->path);
        goto done;
    }
    RF_TRY(fill(v, err));
    v->list.item = v->tensor;
    v->list.path = list->path;
    v->list.read = read_wide;
    v->list.impl = v;
    *out = v;
    v = NULL;
done:
    rf_fp8_view_close(v);
    return st;
}

void rf_fp8_view_close(rf_fp8_view *v)
{
    if (!v) return;
    free(v->tensor);
    free(v->origin);
    free(v);
}

const rf_tensors *rf_fp8_view_list(const rf_fp8_view *v)
{
    return &v->list;
}
