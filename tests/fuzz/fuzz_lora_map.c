/* Any names and any shapes as a LoRA: refused with a sentence, or a list of modules that keeps its
 * promises, and each of them finds its layer or does not.
 *
 * The input is a list of tensors: pieces of real names, put together in any order, and dims. */
#include <string.h>

#include "engine/core/tensors.h"
#include "engine/files/lora_fit.h"
#include "engine/files/lora_names.h"
#include "engine/files/synth.h"
#include "tests/fuzz/fuzz_file.h"

enum { TENSORS = 24, PIECES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {
    "lora_unet_",
    "lora_te1_",
    "lora_te2_",
    "lora_te_",
    "lycoris_",
    "unet.",
    "text_encoder.",
    "text_encoder_2.",
    "base_model.model.",
    "diffusion_model.",
    "model.diffusion_model.",
    "text_model.encoder.layers.0.",
    "text_model_encoder_layers_0_",
    "self_attn.q_proj",
    "self_attn_q_proj",
    "mlp.fc1",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.",
    "down_blocks_1_attentions_0_transformer_blocks_0_attn1_",
    "input_blocks_4_1_transformer_blocks_0_attn1_",
    "to_q",
    "to_out.0",
    "to_out_0",
    "processor.",
    "to_q_lora",
    "proj_in",
    ".lora_up.weight",
    ".lora_down.weight",
    ".lora_mid.weight",
    ".lora.up.weight",
    ".lora.down.weight",
    "_lora.up.weight",
    "_lora.down.weight",
    ".lora_linear_layer.up.weight",
    ".lora_A.weight",
    ".lora_B.weight",
    ".lora_A.default.weight",
    ".lora_magnitude_vector",
    ".hada_w1_a",
    ".hada_w1_b",
    ".hada_w2_a",
    ".hada_w2_b",
    ".hada_t1",
    ".hada_t2",
    ".lokr_w1",
    ".lokr_w2",
    ".lokr_w1_a",
    ".lokr_w1_b",
    ".lokr_w2_a",
    ".lokr_w2_b",
    ".lokr_t2",
    ".diff",
    ".diff_b",
    ".set_weight",
    ".w_norm",
    ".dora_scale",
    ".alpha",
    ".oft_blocks",
    ".on_input",
    "bundle_emb.",
    "a.clip_l",
    ".string_to_param.",
    ".",
    "x",
    "",
};

static void name_of(char *name, size_t room, fuzz_bytes *b)
{
    const int count = 1 + fuzz_byte(b) % PIECES;
    *name = '\0';
    for (int i = 0; i < count; i++) {
        const char *piece = pieces[fuzz_byte(b) % (sizeof pieces / sizeof *pieces)];
        if (strlen(name) + strlen(piece) < room) strcat(name, piece);
    }
}

static void add_tensor(fuzz_header *h, fuzz_bytes *b)
{
    static const char *const types[] = {"F16", "F16", "BF16", "F32", "F64", "I64", "U8", "BOOL"};
    static const size_t      bytes[] = {2, 2, 2, 4, 8, 8, 1, 1};
    static const int64_t     sizes[] = {0, 1, 2, 4, 8, 64, 65, 128};
    char                     name[400];
    int64_t                  dim[RF_TENSOR_DIMS];
    name_of(name, sizeof name, b);
    const uint8_t how = fuzz_byte(b);
    const int     ndim = how >> 3 & 3, type = how & 7;
    for (int i = 0; i < ndim; i++) dim[i] = sizes[fuzz_byte(b) % 8];
    fuzz_add(h, name, types[type], bytes[type], dim, ndim);
}

static void check_modules(const rf_lora *lora)
{
    int counted = 0, kinds = 0;
    for (int i = 0; i <= RF_PARTS; i++) counted += lora->count[i];
    for (int i = 0; i < RF_LORA_KINDS; i++) kinds += lora->kinds[i];
    fuzz_require(lora->modules > 0 && counted == lora->modules && kinds == lora->modules);
    for (int i = 0; i < lora->modules; i++) {
        const rf_lora_module *m = &lora->module[i];
        fuzz_require(m->name[0] && (i == 0 || strcmp(m[-1].name, m->name) < 0));
        fuzz_require(m->rank >= 0 && m->rank <= 8192);
        fuzz_require(m->scale >= -10000 && m->scale <= 10000);
    }
    for (int i = 1; i < lora->embeddings; i++)
        fuzz_require(strcmp(lora->embedding[i - 1], lora->embedding[i]) < 0);
}

static void check_fit(const rf_lora *lora, const rf_lora_names *names)
{
    rf_lora_fit fit = {0};
    rf_error    err = {0};
    if (rf_lora_fit_create(&fit, lora, names, &err) != RF_OK) {
        fuzz_require(err.status == RF_E_MODEL && err.message[0]);
        return;
    }
    fuzz_require(fit.matches + fit.unknown + fit.misfits == lora->modules);
    for (int i = 0; i < fit.matches; i++) {
        const rf_lora_match *m = &fit.match[i];
        fuzz_require(rf_lora_names_find(names, m->module->name) == m->layer);
        fuzz_require(!m->module->tensor[RF_LORA_BIAS] || m->layer->bias);
    }
    rf_lora_fit_free(&fit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rf_lora_names *names; /* made once: it is read-only */
    static fuzz_header    h;
    fuzz_bytes            b = {.at = data, .left = size};
    rf_lora              *lora = NULL;
    rf_error              err = {0};
    rf_sdxl_arch          arch;
    if (!names) {
        fuzz_require(rf_synth_arch(&arch, "tiny", NULL) == RF_OK);
        fuzz_require(rf_lora_names_create(&names, &arch, NULL) == RF_OK);
    }
    h.bytes = h.data = 0;
    h.count = 0;
    const int tensors = 1 + fuzz_byte(&b) % TENSORS;
    for (int i = 0; i < tensors; i++) add_tensor(&h, &b);
    const rf_status st = rf_lora_open(&lora, fuzz_header_file(&h, &b), &err);
    if (st != RF_OK) {
        fuzz_require((st == RF_E_MODEL || st == RF_E_FORMAT) && err.message[0] && !lora);
        return 0;
    }
    check_modules(lora);
    check_fit(lora, names);
    rf_lora_close(lora);
    return 0;
}
