/* Any edits to the tensor list of a tiny checkpoint: refused with a sentence, or its sizes hold.
 *
 * Random bytes never become hundreds of right names, so the input is a list of edits instead: five
 * bytes each, which tensor, what to do, and a value; one byte more, and the text encoders are
 * spelled as Hugging Face does.  Header bytes have a target of their own. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/diffusers_names.h"
#include "engine/files/sdxl_derive.h"
#include "engine/files/spellings.h"
#include "engine/files/synth.h"
#include "engine/files/vae_view.h"

enum { TENSORS_MAX = 1024, EDIT_BYTES = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

typedef struct pool {
    rf_tensor tensor[TENSORS_MAX];
    size_t    count;
} pool;

/* The smallest checkpoint there can be: every tensor costs the fuzzer time. */
static void smallest(rf_sdxl_arch *arch)
{
    require(rf_synth_arch(arch, "tiny", NULL) == RF_OK);
    arch->unet.levels = 2;
    arch->unet.blocks = 1;
    arch->vae.blocks = 1;
    arch->clip_g.layers = 2;
}

static rf_tensor *add(pool *p, const char *name, const rf_layout_tensor *t)
{
    rf_tensor *to = &p->tensor[p->count++];
    require(p->count <= TENSORS_MAX);
    *to = (rf_tensor){.name = strdup(name), .type = RF_FILE_F16, .ndim = t->ndim};
    memcpy(to->dim, t->dim, sizeof t->dim);
    return to;
}

static rf_status collect(void *user, const rf_layout_tensor *t)
{
    add(user, t->name, t);
    return RF_OK;
}

/* bigG in Hugging Face's names, q, k and v apart; CLIP-L without the level "text_model.". */
static rf_status collect_spelled(void *user, const rf_layout_tensor *t)
{
    static const char   level[] = "text_model.";
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    char                name[512];
    rf_sdxl_arch        arch;
    smallest(&arch);
    const int parts = rf_diffusers_names(&arch, t, d);
    if (parts == 0 || t->part == RF_PART_UNET || t->part == RF_PART_VAE) return collect(user, t);
    for (int i = 0; i < parts; i++) {
        const int skip = t->part == RF_PART_CLIP_L ? (int)sizeof level - 1 : 0;
        snprintf(name, sizeof name, "conditioner.embedders.%s%s",
                 t->part == RF_PART_CLIP_L ? "0.transformer." : "1.model.", d[i].name + skip);
        add(user, name, t)->dim[0] /= parts;
    }
    return RF_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rf_tensor *)a)->name, ((const rf_tensor *)b)->name);
}

static void collect_all(pool *p, rf_layout_fn *fn)
{
    rf_sdxl_arch arch;
    smallest(&arch);
    require(rf_sdxl_layout(&arch, fn, p) == RF_OK);
    qsort(p->tensor, p->count, sizeof *p->tensor, by_name);
}

/* Nearly sorted already. */
static void sort(pool *p)
{
    for (size_t i = 1; i < p->count; i++) {
        const rf_tensor t = p->tensor[i];
        size_t          k = i;
        for (; k > 0 && by_name(&p->tensor[k - 1], &t) > 0; k--) p->tensor[k] = p->tensor[k - 1];
        p->tensor[k] = t;
    }
}

#define CLIP_L_FRONT "conditioner.embedders.0.transformer."

/* Names that turn a checkpoint into something else. */
static const char *const marks[] = {"v_pred",
                                    "edm_mean",
                                    "lora_x",
                                    "joint_blocks.0",
                                    "zz",
                                    RF_PREFIX_UNET "input_blocks.9.0.op.weight",
                                    RF_PREFIX_UNET "input_blocks.9.0.in_layers.2.weight",
                                    RF_PREFIX_CLIP_G "text_projection.weight",
                                    RF_PREFIX_REFINER_CLIP_G "ln_final.weight",
                                    RF_PREFIX_CLIP_G "text_model.embeddings.token_embedding.weight",
                                    CLIP_L_FRONT "embeddings.token_embedding.weight"};

static void edit(pool *p, const uint8_t *bytes)
{
    rf_tensor    *t = &p->tensor[(size_t)(bytes[0] | bytes[1] << 8) % p->count];
    const uint8_t axis = bytes[3] % RF_TENSOR_DIMS, value = bytes[4];
    switch (bytes[2] % 8) {
    case 0: t->dim[axis] = value; break;
    case 1: t->dim[axis] = (int64_t)value << (bytes[3] % 56); break;
    case 2: t->dim[axis % 2] *= value % 17; break;
    case 3: t->ndim = value % (RF_TENSOR_DIMS + 1); break;
    case 4: t->type = (rf_filetype)(value % RF_FILETYPES); break;
    case 5: t->name = marks[value % (sizeof marks / sizeof *marks)]; break;
    case 6: t->dim[axis % 2] += value - 128; break;
    default: *t = p->tensor[p->count > 1 ? --p->count : 0]; break; /* drop it */
    }
    for (int i = 0; i < RF_TENSOR_DIMS; i++)
        if (t->dim[i] < 0 || t->dim[i] > INT64_MAX / 256) t->dim[i] = 0; /* as the header parser */
}

/* As a file's VAE: whatever else the list has. */
static void check_vae(const rf_tensors *list)
{
    rf_vae_view *view = NULL;
    rf_vae_arch  vae;
    rf_error     err = {0};
    rf_status    st = rf_vae_view_open(&view, list, &err);
    if (st == RF_OK) st = rf_vae_derive(&vae, rf_vae_view_list(view), &err);
    if (st == RF_OK) st = rf_checkpoint_check_vae(&vae, rf_vae_view_list(view), &err);
    require(st == RF_OK ? vae.levels == 4 && vae.width >= 32
                        : st == RF_E_MODEL && err.message[0] != '\0');
    rf_vae_view_close(view);
}

static void check_expert(const rf_tensors *list, const rf_tensors *stored)
{
    rf_identity identity;
    rf_checkpoint_identify(&identity, list, stored); /* includes the whole check */
    if (!identity.usable) {
        require(identity.problem.status == RF_E_MODEL && identity.problem.message[0] != '\0');
        return;
    }
    const rf_sdxl_arch *a = &identity.checkpoint.arch;
    require(a->unet.levels >= 1 && a->unet.levels <= RF_LEVELS_MAX);
    require(a->unet.time == 4 * a->unet.width);
    require(a->unet.context == (a->has_clip_l ? a->clip_l.width : 0) + a->clip_g.width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pool  base[2], p;
    rf_composed *respelled = NULL;
    rf_error     err = {0};
    if (base[0].count == 0) {
        collect_all(&base[0], collect);
        collect_all(&base[1], collect_spelled);
    }
    const pool *from = &base[size % EDIT_BYTES == 1];
    memcpy(p.tensor, from->tensor, from->count * sizeof *p.tensor);
    p.count = from->count;
    for (; size >= EDIT_BYTES; data += EDIT_BYTES, size -= EDIT_BYTES) edit(&p, data);
    sort(&p);
    const rf_tensors  stored = {.item = p.tensor, .count = p.count, .path = "fuzz"};
    const rf_status   st = rf_spellings_open(&respelled, &stored, &err);
    const rf_tensors *list = respelled ? rf_composed_list(respelled) : &stored;
    if (st == RF_OK) {
        check_expert(list, &stored);
        check_vae(list);
    } else {
        require(st == RF_E_MODEL && err.message[0] != '\0');
    }
    rf_composed_destroy(respelled);
    return 0;
}
