/* All spellings of all layers, sorted; see lora_names.h. */
#include "engine/files/lora_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/diffusers_names.h"

/* Room for names in the making, each longer than what goes into it. */
enum { NAME_BYTES = 400, INNER_BYTES = 640, WHOLE_BYTES = 800, BLOCK_BYTES = 64 * 1024 };

typedef struct entry {
    const char *name;
    int         layer;
} entry;

/* Names live in blocks that never move. */
typedef struct text_block {
    struct text_block *next;
    size_t             used;
    char               text[BLOCK_BYTES];
} text_block;

struct rf_lora_names {
    const rf_sdxl_arch *arch; /* while it is being made */
    rf_lora_layer      *layer;
    int                 layers, layer_room;
    entry              *entry; /* ascending by name once made */
    int                 entries, entry_room;
    text_block         *text;
};

/* ---- lists -------------------------------------------------------------------------------- */

static const char *keep(rf_lora_names *n, const char *name)
{
    const size_t bytes = strlen(name) + 1;
    if (!n->text || n->text->used + bytes > BLOCK_BYTES) {
        text_block *fresh = malloc(sizeof *fresh);
        if (!fresh) return NULL;
        fresh->next = n->text;
        fresh->used = 0;
        n->text = fresh;
    }
    char *at = n->text->text + n->text->used;
    memcpy(at, name, bytes);
    n->text->used += bytes;
    return at;
}

static void *room_for_one(void *list, int count, int *room, size_t size)
{
    if (count < *room) return list;
    const int grown = *room ? 2 * *room : 1024;
    void     *moved = realloc(list, (size_t)grown * size);
    if (moved) *room = grown;
    return moved;
}

static rf_status add_name(rf_lora_names *n, const char *name)
{
    entry      *grown = room_for_one(n->entry, n->entries, &n->entry_room, sizeof *grown);
    const char *kept = grown ? keep(n, name) : NULL;
    if (grown) n->entry = grown;
    if (!kept) return RF_E_NOMEM;
    n->entry[n->entries++] = (entry){.name = kept, .layer = n->layers - 1};
    return RF_OK;
}

/* `front` and `name`, with underscores for dots in the latter. */
static rf_status add_flat(rf_lora_names *n, const char *front, const char *name)
{
    char flat[WHOLE_BYTES];
    snprintf(flat, sizeof flat, "%s%s", front, name);
    for (char *c = flat + strlen(front); *c; c++)
        if (*c == '.') *c = '_';
    return add_name(n, flat);
}

static rf_status add_dotted(rf_lora_names *n, const char *front, const char *name)
{
    char dotted[WHOLE_BYTES];
    snprintf(dotted, sizeof dotted, "%s%s", front, name);
    return add_name(n, dotted);
}

/* ---- spellings ---------------------------------------------------------------------------- */

/* diffusers before peft: "...attn1.to_q" is "...attn1.processor.to_q_lora". */
static rf_status add_processor(rf_lora_names *n, const char *theirs)
{
    static const char *const projections[][2] = {
        {".to_q", "to_q_lora"},
        {".to_k", "to_k_lora"},
        {".to_v", "to_v_lora"},
        {".to_out.0", "to_out_lora"},
    };
    char         name[INNER_BYTES];
    const size_t length = strlen(theirs);
    rf_status    st = RF_OK;
    for (int i = 0; i < 4; i++) {
        const size_t end = strlen(projections[i][0]);
        if (length < end || strcmp(theirs + length - end, projections[i][0]) != 0) continue;
        snprintf(name, sizeof name, "%.*s.processor.%s", (int)(length - end), theirs,
                 projections[i][1]);
        RF_TRY(add_dotted(n, "unet.", name));
        RF_TRY(add_dotted(n, "", name));
    }
done:
    return st;
}

/* `ours` without the prefix, `theirs` without the folder; both without ".weight". */
static rf_status add_unet(rf_lora_names *n, const char *ours, const char *theirs)
{
    rf_status st = RF_OK;
    RF_TRY(add_flat(n, "lora_unet_", ours));
    RF_TRY(add_flat(n, "lora_unet_", theirs));
    RF_TRY(add_flat(n, "lycoris_", theirs));
    RF_TRY(add_dotted(n, "unet.", theirs));
    RF_TRY(add_dotted(n, "", theirs));
    RF_TRY(add_dotted(n, "base_model.model.", theirs));
    RF_TRY(add_dotted(n, "diffusion_model.", ours));
    RF_TRY(add_dotted(n, RF_PREFIX_UNET, ours));
    RF_TRY(add_processor(n, theirs));
done:
    return st;
}

static rf_status add_text_encoder(rf_lora_names *n, rf_part part, const char *theirs)
{
    const int g = part == RF_PART_CLIP_G;
    rf_status st = RF_OK;
    RF_TRY(add_flat(n, g ? "lora_te2_" : "lora_te1_", theirs));
    RF_TRY(add_flat(n, g ? "lycoris_te2_" : "lycoris_te1_", theirs));
    RF_TRY(add_dotted(n, g ? "text_encoder_2." : "text_encoder.", theirs));
    if (!g) RF_TRY(add_flat(n, "lora_te_", theirs));
done:
    return st;
}

/* Without ".weight" at its end. */
static void stem_of(char out[NAME_BYTES], const char *name)
{
    snprintf(out, NAME_BYTES, "%s", name);
    char *end = strstr(out, ".weight");
    if (end) *end = 0;
}

static rf_status add_spellings(rf_lora_names *n, const rf_layout_tensor *t,
                               const rf_diffusers_tensor *d)
{
    char ours[NAME_BYTES], theirs[NAME_BYTES];
    stem_of(ours, t->inner);
    stem_of(theirs, d->name);
    return t->part == RF_PART_UNET ? add_unet(n, ours, theirs)
                                   : add_text_encoder(n, t->part, theirs);
}

/* ---- layers ------------------------------------------------------------------------------- */

static rf_status add_layer(rf_lora_names *n, const rf_layout_tensor *t, int row_part, int row_parts,
                           int transposed)
{
    rf_lora_layer *grown = room_for_one(n->layer, n->layers, &n->layer_room, sizeof *grown);
    rf_lora_layer  layer = {.part = t->part,
                            .row_part = row_part,
                            .row_parts = row_parts,
                            .transposed = transposed,
                            .is_norm = t->role == RF_ROLE_NORM,
                            .ndim = t->pointwise ? 2 : t->ndim};
    if (!grown) return RF_E_NOMEM;
    n->layer = grown;
    memcpy(layer.dim, t->dim, sizeof layer.dim);
    layer.dim[0] /= row_parts;
    if (transposed) layer.dim[0] = t->dim[1], layer.dim[1] = t->dim[0];
    layer.weight = keep(n, t->name);
    if (!layer.weight) return RF_E_NOMEM;
    n->layer[n->layers++] = layer;
    return RF_OK;
}

static int is_layer(const rf_layout_tensor *t)
{
    return t->part != RF_PART_VAE &&
           (t->role == RF_ROLE_WEIGHT || t->role == RF_ROLE_RESIDUAL || t->role == RF_ROLE_NORM);
}

/* The bias of a layer comes right after its weight, with as many rows. */
static rf_status add_bias(rf_lora_names *n, const rf_layout_tensor *t)
{
    char        expected[NAME_BYTES];
    const char *kept = NULL;
    for (int i = n->layers - 1; i >= 0 && i >= n->layers - RF_DIFFUSERS_PARTS; i--) {
        rf_lora_layer *layer = &n->layer[i];
        const size_t   stem = strlen(layer->weight) - strlen("weight");
        snprintf(expected, sizeof expected, "%.*sbias", (int)stem, layer->weight);
        if (strcmp(expected, t->name) != 0) break;
        if (!kept) kept = keep(n, t->name);
        if (!kept) return RF_E_NOMEM;
        layer->bias = kept;
    }
    return RF_OK;
}

static rf_status add_tensor(void *user, const rf_layout_tensor *t)
{
    rf_lora_names      *n = user;
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    rf_status           st = RF_OK;
    if (t->role == RF_ROLE_BIAS) return add_bias(n, t);
    if (!is_layer(t)) return RF_OK;
    const int parts = rf_diffusers_names(n->arch, t, d);
    for (int i = 0; i < parts; i++) {
        RF_TRY(add_layer(n, t, i, parts, d[i].transposed));
        RF_TRY(add_spellings(n, t, &d[i]));
    }
done:
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

rf_status rf_lora_names_create(rf_lora_names **out, const rf_sdxl_arch *arch, rf_error *err)
{
    rf_lora_names *n = calloc(1, sizeof *n);
    *out = NULL;
    if (!n) return rf_fail(err, RF_E_NOMEM, "LoRA names: out of memory");
    n->arch = arch;
    if (rf_sdxl_layout(arch, add_tensor, n) != RF_OK) {
        rf_lora_names_destroy(n);
        return rf_fail(err, RF_E_NOMEM, "LoRA names: out of memory");
    }
    n->arch = NULL;
    qsort(n->entry, (size_t)n->entries, sizeof *n->entry, by_name);
    *out = n;
    return RF_OK;
}

void rf_lora_names_destroy(rf_lora_names *n)
{
    if (!n) return;
    while (n->text) {
        text_block *next = n->text->next;
        free(n->text);
        n->text = next;
    }
    free(n->layer);
    free(n->entry);
    free(n);
}

const rf_lora_layer *rf_lora_names_find(const rf_lora_names *n, const char *name)
{
    const entry  key = {.name = name};
    const entry *found = bsearch(&key, n->entry, (size_t)n->entries, sizeof *n->entry, by_name);
    return found ? &n->layer[found->layer] : NULL;
}

rf_part rf_lora_part_of(const char *name)
{
    static const struct {
        const char *front;
        rf_part     part;
    } fronts[] = {
        {"lora_te1_", RF_PART_CLIP_L},       {"lora_te2_", RF_PART_CLIP_G},
        {"lora_te_", RF_PART_CLIP_L},        {"lycoris_te1_", RF_PART_CLIP_L},
        {"lycoris_te2_", RF_PART_CLIP_G},    {"text_encoder.", RF_PART_CLIP_L},
        {"text_encoder_2.", RF_PART_CLIP_G}, {"lora_unet_", RF_PART_UNET},
        {"lycoris_", RF_PART_UNET},          {"unet.", RF_PART_UNET},
        {"down_blocks.", RF_PART_UNET},      {"up_blocks.", RF_PART_UNET},
        {"mid_block.", RF_PART_UNET},        {"diffusion_model.", RF_PART_UNET},
        {"base_model.", RF_PART_UNET},       {RF_PREFIX_UNET, RF_PART_UNET},
    };
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
        if (strncmp(name, fronts[i].front, strlen(fronts[i].front)) == 0) return fronts[i].part;
    return RF_PARTS;
}

void rf_lora_names_each(const rf_lora_names *n,
                        void (*fn)(void *user, const char *name, const rf_lora_layer *layer),
                        void *user)
{
    for (int i = 0; i < n->entries; i++) fn(user, n->entry[i].name, &n->layer[n->entry[i].layer]);
}
