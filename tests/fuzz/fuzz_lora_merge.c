/* LoRAs of every kind for a model of tiny layers: refused with a sentence, or merged, and every
 * tensor that a file touches keeps its size.
 *
 * Random bytes never become a module's factors, so the input says which: for each module a layer
 * and a kind, then for each of its tensors whether it is right, and if not, how its shape lies. */
#include <stdlib.h>
#include <string.h>

#include "engine/core/tensors.h"
#include "engine/files/lora_fit.h"
#include "engine/files/lora_names.h"
#include "tests/fuzz/fuzz_file.h"

enum { NAMES_MAX = 8192, TENSORS_MAX = 512, MODULES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Networks of a few channels: the layout does not mind. */
static const rf_sdxl_arch tiny = {.unet = {.in_channels = 4,
                                           .out_channels = 4,
                                           .width = 4,
                                           .levels = 2,
                                           .mult = {1, 2},
                                           .depth = {0, 1},
                                           .middle_depth = 1,
                                           .blocks = 1,
                                           .context = 6,
                                           .vector = 8,
                                           .time = 4,
                                           .head = 4,
                                           .groups = 2},
                                  .clip_l = {.kind = RF_CLIP_HF,
                                             .width = 4,
                                             .layers = 2,
                                             .heads = 1,
                                             .mlp = 8,
                                             .vocab = 4,
                                             .positions = 3},
                                  .clip_g = {.kind = RF_CLIP_OPEN,
                                             .width = 4,
                                             .layers = 2,
                                             .heads = 1,
                                             .mlp = 8,
                                             .vocab = 4,
                                             .positions = 3,
                                             .projection = 4}};

static struct {
    rf_lora_names       *names;
    const char          *name[NAMES_MAX];
    const rf_lora_layer *layer[NAMES_MAX];
    int                  count;
    rf_tensor            tensor[TENSORS_MAX]; /* of the whole layout */
    int                  tensors;
} all;

static void collect(void *user, const char *name, const rf_lora_layer *layer)
{
    (void)user;
    if (all.count == NAMES_MAX) return;
    all.name[all.count] = name;
    all.layer[all.count++] = layer;
}

static rf_status collect_tensor(void *user, const rf_layout_tensor *t)
{
    (void)user;
    fuzz_require(all.tensors < TENSORS_MAX);
    rf_tensor *to = &all.tensor[all.tensors++];
    *to = (rf_tensor){.name = strdup(t->name), .ndim = t->ndim, .elems = 1};
    for (int i = 0; i < t->ndim; i++) {
        to->dim[i] = t->dim[i];
        to->elems *= (uint64_t)t->dim[i];
    }
    return RF_OK;
}

static void set_up(void)
{
    if (all.names) return;
    fuzz_require(rf_sdxl_layout(&tiny, collect_tensor, NULL) == RF_OK);
    fuzz_require(rf_lora_names_create(&all.names, &tiny, NULL) == RF_OK);
    rf_lora_names_each(all.names, collect, NULL);
}

/* ---- modules ------------------------------------------------------------------------------ */

/* A factor's shape: o and i are the layer's outputs and inputs, k its kernel, r the rank; capital
 * letters are their products, d and e halves of o and i, as in a LoKr. */
typedef struct factor {
    const char *end, *shape;
} factor;

static const factor kinds[][8] = {
    {{"lora_up.weight", "or"}, {"lora_down.weight", "rik"}, {"alpha", ""}},
    {{"lora_up.weight", "or11"}, {"lora_down.weight", "ri11"}, {"lora_mid.weight", "rrk"}},
    {{"lora_B.weight", "or"}, {"lora_A.weight", "rik"}, {"lora_magnitude_vector", "o"}},
    {{"lora_up.weight", "or"}, {"lora_down.weight", "rik"}, {"dora_scale", "1i"}},
    {{"hada_w1_a", "or"},
     {"hada_w1_b", "rI"},
     {"hada_w2_a", "or"},
     {"hada_w2_b", "rI"},
     {"alpha", ""}},
    {{"hada_w1_a", "ro"},
     {"hada_w1_b", "ri"},
     {"hada_w2_a", "ro"},
     {"hada_w2_b", "ri"},
     {"hada_t1", "rrk"},
     {"hada_t2", "rrk"}},
    {{"lokr_w1", "22"}, {"lokr_w2", "dek"}, {"alpha", ""}},
    {{"lokr_w1_a", "2r"}, {"lokr_w1_b", "r2"}, {"lokr_w2", "dek"}},
    {{"lokr_w1", "22"}, {"lokr_w2_a", "dr"}, {"lokr_w2_b", "rE"}, {"dora_scale", "o1"}},
    {{"lokr_w1", "22"}, {"lokr_w2_a", "rd"}, {"lokr_w2_b", "re"}, {"lokr_t2", "rrk"}},
    {{"diff", "oik"}, {"diff_b", "o"}},
    {{"set_weight", "oik"}},
    {{"w_norm", "o"}, {"b_norm", "o"}},
    {{"diff_b", "o"}},
};

typedef struct sizes {
    int64_t out, in, rank;
    int     ndim;
    int64_t kernel[RF_LAYOUT_DIMS];
} sizes;

static int64_t letter(const sizes *s, char c)
{
    int64_t kernel = 1;
    for (int i = 2; i < s->ndim; i++) kernel *= s->kernel[i];
    switch (c) {
    case 'o': return s->out;
    case 'i': return s->in;
    case 'I': return s->in * kernel;
    case 'E': return s->in / 2 * kernel;
    case 'd': return s->out / 2;
    case 'e': return s->in / 2;
    case 'r': return s->rank;
    default: return c - '0';
    }
}

static int shape_of(const sizes *s, const char *shape, int64_t dim[RF_TENSOR_DIMS])
{
    int n = 0;
    for (; *shape; shape++)
        if (*shape == 'k')
            for (int i = 2; i < s->ndim; i++) dim[n++] = s->kernel[i];
        else
            dim[n++] = letter(s, *shape);
    return n;
}

/* One of eight tensors is not as it should be. */
static int bend(int64_t dim[RF_TENSOR_DIMS], int ndim, uint8_t how, uint8_t value)
{
    const int axis = ndim ? value % ndim : 0;
    switch (how) {
    case 0: dim[axis] += 1; break;
    case 1: dim[axis] -= dim[axis] > 0; break;
    case 2: dim[axis] = value % 64; break;
    case 3: dim[axis] = 0; break;
    case 4:
        if (ndim > 1) {
            const int64_t first = dim[0];
            dim[0] = dim[1];
            dim[1] = first;
        }
        break;
    case 5: return ndim > 0 ? ndim - 1 : 0;
    case 6:
        if (ndim < RF_TENSOR_DIMS) dim[ndim++] = 1 + value % 3;
        break;
    default: dim[axis] *= 2; break;
    }
    return ndim;
}

static void add_factor(fuzz_header *h, fuzz_bytes *b, const char *module, const factor *f,
                       const sizes *s)
{
    static const char *const types[] = {"F16", "BF16", "F32", "F64", "I64", "U8"};
    static const size_t      bytes[] = {2, 2, 4, 8, 8, 1};
    char                     name[512];
    int64_t                  dim[RF_TENSOR_DIMS + 8] = {0};
    const uint8_t            fate = fuzz_byte(b);
    int                      ndim = shape_of(s, f->shape, dim), type = fate >> 3 & 3;
    if (type == 3) type = fate & 0x40 ? 3 + fate % 3 : 2;
    if ((fate & 7) == 1) return; /* it is not there */
    if ((fate & 7) == 2) {
        const uint8_t how = fuzz_byte(b);
        ndim = bend(dim, ndim, how % 8, how >> 3);
    }
    strcpy(name, module);
    strcat(name, (fate & 7) == 3 ? "" : ".");
    strcat(name, f->end);
    fuzz_add(h, name, types[type], bytes[type], dim, ndim);
}

static void add_module(fuzz_header *h, fuzz_bytes *b)
{
    const int            which = (fuzz_byte(b) | fuzz_byte(b) << 8) % all.count;
    const rf_lora_layer *layer = all.layer[which];
    const uint8_t        kind = fuzz_byte(b);
    const factor        *f = kinds[kind % (sizeof kinds / sizeof *kinds)];
    sizes                s = {.out = layer->dim[0],
                              .in = layer->ndim > 1 ? layer->dim[1] : 1,
                              .rank = 1 + (kind >> 4) % 4,
                              .ndim = layer->ndim};
    memcpy(s.kernel, layer->dim, sizeof s.kernel);
    for (int i = 0; i < 8 && f[i].end; i++) add_factor(h, b, all.name[which], &f[i], &s);
}

/* ---- merging ------------------------------------------------------------------------------ */

/* As a plan merges: every tensor that the file touches, whole, in f32. */
static void merge_all(const rf_lora_fit *fit)
{
    for (int i = 0; i < all.tensors; i++) {
        const rf_tensor *t = &all.tensor[i];
        if (!rf_lora_touches(fit, t->name)) continue;
        float *w = malloc((size_t)t->elems * sizeof *w); /* no larger: its ends are watched */
        fuzz_require(w != NULL);
        for (size_t k = 0; k < t->elems; k++) w[k] = (float)(k % 7) - 3;
        fuzz_require(rf_lora_merge(fit, t, 0.5f, w, 1, NULL) == RF_OK);
        free(w);
    }
}

static void fit_and_merge(const rf_lora *lora)
{
    rf_lora_fit fit = {0};
    rf_error    err = {0};
    if (rf_lora_fit_create(&fit, lora, all.names, &err) != RF_OK) {
        fuzz_require(err.status == RF_E_MODEL && err.message[0]);
        return;
    }
    fuzz_require(fit.matches + fit.unknown + fit.misfits == lora->modules);
    fuzz_require((fit.first.status == RF_OK) == (fit.matches == lora->modules));
    merge_all(&fit);
    rf_lora_fit_free(&fit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_header h;
    fuzz_bytes         b = {.at = data, .left = size};
    rf_lora           *lora = NULL;
    rf_error           err = {0};
    set_up();
    h.bytes = h.data = 0;
    h.count = 0;
    const int modules = 1 + fuzz_byte(&b) % MODULES;
    for (int i = 0; i < modules; i++) add_module(&h, &b);
    const rf_status st = rf_lora_open(&lora, fuzz_header_file(&h, &b), &err);
    if (st != RF_OK)
        fuzz_require((st == RF_E_MODEL || st == RF_E_FORMAT) && err.message[0] && !lora);
    else
        fit_and_merge(lora);
    rf_lora_close(lora);
    return 0;
}
