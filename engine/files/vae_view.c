/* From a VAE's names to the original ones; see vae_view.h.
 *
 * Original names have nothing that is renamed here, so nobody has to ask which ones a file has. */
#include "engine/files/vae_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/arch.h"

enum { NAME_BYTES = 160 };

struct rf_vae_view {
    const rf_tensors *from;
    rf_tensor        *tensor; /* [list.count]; `offset` is the index in `source` */
    const rf_tensor **source;
    rf_tensors        list;
};

typedef struct renamed {
    const char *theirs, *ours;
} renamed;

/* ---- names -------------------------------------------------------------------------------- */

static const char *after(const char *name, const char *front)
{
    const size_t n = strlen(front);
    return strncmp(name, front, n) == 0 ? name + n : NULL;
}

/* The rest of `name` behind `front` and a number of one digit and a dot. */
static const char *after_digit(const char *name, const char *front, int *digit)
{
    const char *rest = after(name, front);
    if (!rest || rest[0] < '0' || rest[0] > '9' || rest[1] != '.') return NULL;
    *digit = rest[0] - '0';
    return rest + 2;
}

/* `at`, and the rest of `name` under its new front, if any of `list` is its front. */
static void rename_front(char *out, const char *at, const char *name, const renamed *list)
{
    for (; list->theirs; list++) {
        const char *rest = after(name, list->theirs);
        if (!rest) continue;
        snprintf(out, NAME_BYTES, "%s%s%s", at, list->ours, rest);
        return;
    }
    snprintf(out, NAME_BYTES, "%s%s", at, name);
}

static const renamed middle_names[] = {
    {"mid_block.resnets.0.", "mid.block_1."},
    {"mid_block.resnets.1.", "mid.block_2."},
    {"mid_block.attentions.0.group_norm.", "mid.attn_1.norm."},
    {"mid_block.attentions.0.to_q.", "mid.attn_1.q."},
    {"mid_block.attentions.0.to_k.", "mid.attn_1.k."},
    {"mid_block.attentions.0.to_v.", "mid.attn_1.v."},
    {"mid_block.attentions.0.to_out.0.", "mid.attn_1.proj_out."},
    {"mid_block.attentions.0.query.", "mid.attn_1.q."},
    {"mid_block.attentions.0.key.", "mid.attn_1.k."},
    {"mid_block.attentions.0.value.", "mid.attn_1.v."},
    {"mid_block.attentions.0.proj_attn.", "mid.attn_1.proj_out."},
    {"conv_norm_out.", "norm_out."},
    {NULL, NULL},
};

static const renamed level_names[] = {
    {"downsamplers.0.", "downsample."},
    {"upsamplers.0.", "upsample."},
    {NULL, NULL},
};

static const renamed block_names[] = {
    {"conv_shortcut.", "nin_shortcut."},
    {NULL, NULL},
};

/* `levels`: of the decoder, whose blocks diffusers counts from the other end. */
static void rename_tensor(char *out, const char *name, int levels)
{
    char        at[NAME_BYTES / 2];
    int         level = 0, block = 0;
    const char *decoder = after(name, "decoder."), *half = decoder;
    if (!half) half = after(name, "encoder.");
    if (!half) {
        snprintf(out, NAME_BYTES, "%s", name);
        return;
    }
    const char *module = after_digit(half, decoder ? "up_blocks." : "down_blocks.", &level);
    snprintf(at, sizeof at, "%.*s", (int)(half - name), name);
    if (!module || level >= levels) {
        rename_front(out, at, half, middle_names);
        return;
    }
    const char *leaf = after_digit(module, "resnets.", &block);
    if (decoder) level = levels - 1 - level;
    snprintf(at, sizeof at, "%s.%d.", decoder ? "decoder.up" : "encoder.down", level);
    if (leaf) {
        snprintf(at + strlen(at), sizeof at - strlen(at), "block.%d.", block);
        rename_front(out, at, leaf, block_names);
    } else {
        rename_front(out, at, module, level_names);
    }
}

/* ---- the list ----------------------------------------------------------------------------- */

static const rf_tensor *find(const rf_tensors *list, const char *prefix, const char *name)
{
    char whole[NAME_BYTES];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return rf_tensors_find(list, whole);
}

/* What the names begin with; NULL: this is no VAE. */
static const char *prefix_of(const rf_tensors *list)
{
    static const char *const prefixes[] = {RF_PREFIX_VAE, "vae.", ""};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (find(list, prefixes[i], "decoder.conv_in.weight")) return prefixes[i];
    return NULL;
}

static int levels_of(const rf_tensors *list, const char *prefix)
{
    char name[NAME_BYTES];
    int  levels = 0;
    do snprintf(name, sizeof name, "decoder.up_blocks.%d.resnets.0.conv1.weight", levels);
    while (find(list, prefix, name) && ++levels < RF_LEVELS_MAX);
    return levels;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rf_tensor *)a)->name, ((const rf_tensor *)b)->name);
}

static rf_status no_memory(const rf_vae_view *v, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", v->from->path);
}

static rf_status add(rf_vae_view *v, const rf_tensor *t, const char *name, int levels,
                     rf_error *err)
{
    char       original[NAME_BYTES], whole[NAME_BYTES + sizeof RF_PREFIX_VAE];
    rf_tensor *to = &v->tensor[v->list.count];
    if (strlen(name) >= NAME_BYTES / 2) return RF_OK; /* no VAE has such a name */
    rename_tensor(original, name, levels);
    snprintf(whole, sizeof whole, "%s%s", RF_PREFIX_VAE, original);
    char *kept = strdup(whole);
    if (!kept) return no_memory(v, err);
    *to = *t;
    to->name = kept;
    to->offset = v->list.count;
    v->source[v->list.count++] = t;
    return RF_OK;
}

static rf_status make_list(rf_vae_view *v, const char *prefix, rf_error *err)
{
    const rf_tensors *from = v->from;
    const int         levels = levels_of(from, prefix);
    rf_status         st = RF_OK;
    v->tensor = calloc(from->count, sizeof *v->tensor);
    v->source = calloc(from->count, sizeof(rf_tensor *));
    if (!v->tensor || !v->source) return no_memory(v, err);
    for (size_t i = 0; i < from->count; i++) {
        const char *name = after(from->item[i].name, prefix);
        if (name) RF_TRY(add(v, &from->item[i], name, levels, err));
    }
    qsort(v->tensor, v->list.count, sizeof *v->tensor, by_name);
    for (size_t i = 1; i < v->list.count; i++) {
        if (strcmp(v->tensor[i - 1].name, v->tensor[i].name) != 0) continue;
        st =
            rf_fail(err, RF_E_MODEL, "%s: tensors %s and %s are the same part of a VAE", from->path,
                    v->source[v->tensor[i - 1].offset]->name, v->source[v->tensor[i].offset]->name);
        goto done;
    }
done:
    return st;
}

static rf_status read_source(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                             size_t bytes, rf_error *err)
{
    const rf_vae_view *v = self->impl;
    return v->from->read(v->from, v->source[t->offset], from, dst, bytes, err);
}

rf_status rf_vae_view_open(rf_vae_view **out, const rf_tensors *list, rf_error *err)
{
    rf_status    st = RF_OK;
    const char  *prefix = prefix_of(list);
    rf_vae_view *v = NULL;
    *out = NULL;
    if (!prefix)
        return rf_fail(err, RF_E_MODEL, "%s: no VAE, for it has no decoder.conv_in.weight",
                       list->path);
    v = calloc(1, sizeof *v);
    if (!v) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", list->path);
    v->from = list;
    RF_TRY(make_list(v, prefix, err));
    v->list.item = v->tensor;
    v->list.path = list->path;
    v->list.read = read_source;
    v->list.impl = v;
    *out = v;
    v = NULL;
done:
    rf_vae_view_close(v);
    return st;
}

void rf_vae_view_close(rf_vae_view *v)
{
    if (!v) return;
    for (size_t i = 0; v->tensor && i < v->list.count; i++) free((char *)v->tensor[i].name);
    free(v->tensor);
    free(v->source);
    free(v);
}

const rf_tensors *rf_vae_view_list(const rf_vae_view *v)
{
    return &v->list;
}
