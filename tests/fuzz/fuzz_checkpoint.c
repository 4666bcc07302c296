/* Any edits to the tensor list of a tiny checkpoint: refused with a sentence, or its sizes hold.
 *
 * Random bytes never become 927 right names, so the input is a list of edits instead: five bytes
 * each, which tensor, what to do, and a value.  Header bytes have a target of their own. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/spellings.h"
#include "engine/files/synth.h"

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

static rf_status collect(void *user, const rf_layout_tensor *t)
{
    pool      *p = user;
    rf_tensor *to = &p->tensor[p->count++];
    require(p->count <= TENSORS_MAX);
    *to = (rf_tensor){.name = strdup(t->name), .type = RF_FILE_F16, .ndim = t->ndim};
    memcpy(to->dim, t->dim, sizeof t->dim);
    return RF_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rf_tensor *)a)->name, ((const rf_tensor *)b)->name);
}

/* The smallest checkpoint there can be: every tensor costs the fuzzer time. */
static void collect_all(pool *p)
{
    rf_sdxl_arch arch;
    require(rf_synth_arch(&arch, "tiny", NULL) == RF_OK);
    arch.unet.levels = 2;
    arch.unet.blocks = 1;
    arch.vae.blocks = 1;
    arch.clip_g.layers = 2;
    require(rf_sdxl_layout(&arch, collect, p) == RF_OK);
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
                                    "conditioner.embedders.0.transformer."
                                    "embeddings.token_embedding.weight"};

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pool  base, p;
    rf_identity  identity;
    rf_composed *respelled = NULL;
    if (base.count == 0) collect_all(&base);
    p = base;
    for (; size >= EDIT_BYTES; data += EDIT_BYTES, size -= EDIT_BYTES) edit(&p, data);
    sort(&p);
    const rf_tensors list = {.item = p.tensor, .count = p.count, .path = "fuzz"};
    const rf_status  st = rf_spellings_open(&respelled, &list, NULL);
    if (st != RF_OK) {
        require(st == RF_E_MODEL && !respelled);
        return 0;
    }
    /* includes the whole check */
    rf_checkpoint_identify(&identity, respelled ? rf_composed_list(respelled) : &list, &list);
    rf_composed_destroy(respelled);
    if (!identity.usable) {
        require(identity.problem.status == RF_E_MODEL && identity.problem.message[0] != '\0');
        return 0;
    }
    const rf_sdxl_arch *a = &identity.checkpoint.arch;
    require(a->unet.levels >= 1 && a->unet.levels <= RF_LEVELS_MAX);
    require(a->unet.time == 4 * a->unet.width);
    require(a->unet.context == a->clip_l.width + a->clip_g.width);
    return 0;
}
