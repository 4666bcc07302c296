/* The endings in use; see lora_keys.h.  Longer ones stand before those that they end with. */
#include "engine/files/lora_keys.h"

#include <string.h>

typedef struct ending {
    const char  *text;
    rf_lora_role role;
} ending;

static const ending endings[] = {
    /* kohya, LyCORIS */
    {".lora_up.weight", RF_LORA_UP},
    {".lora_down.weight", RF_LORA_DOWN},
    {".lora_mid.weight", RF_LORA_MID},
    {".hada_w1_a", RF_LORA_W1_A},
    {".hada_w1_b", RF_LORA_W1_B},
    {".hada_w2_a", RF_LORA_W2_A},
    {".hada_w2_b", RF_LORA_W2_B},
    {".hada_t1", RF_LORA_T1},
    {".hada_t2", RF_LORA_T2},
    {".lokr_w1_a", RF_LORA_K1_A},
    {".lokr_w1_b", RF_LORA_K1_B},
    {".lokr_w1", RF_LORA_K1},
    {".lokr_w2_a", RF_LORA_K2_A},
    {".lokr_w2_b", RF_LORA_K2_B},
    {".lokr_w2", RF_LORA_K2},
    {".lokr_t2", RF_LORA_KT},
    {".diff_b", RF_LORA_BIAS},
    {".diff", RF_LORA_WEIGHT},
    {".set_weight", RF_LORA_WEIGHT},
    {".w_norm", RF_LORA_WEIGHT},
    {".b_norm", RF_LORA_BIAS},
    {".dora_scale", RF_LORA_DORA},
    {".alpha", RF_LORA_ALPHA},
    /* peft */
    {".lora_B.default.weight", RF_LORA_UP},
    {".lora_A.default.weight", RF_LORA_DOWN},
    {".lora_B.weight", RF_LORA_UP},
    {".lora_A.weight", RF_LORA_DOWN},
    {".lora_magnitude_vector.default.weight", RF_LORA_DORA},
    {".lora_magnitude_vector.weight", RF_LORA_DORA},
    {".lora_magnitude_vector.default", RF_LORA_DORA},
    {".lora_magnitude_vector", RF_LORA_DORA},
    /* diffusers before peft */
    {".lora_linear_layer.up.weight", RF_LORA_UP},
    {".lora_linear_layer.down.weight", RF_LORA_DOWN},
    {".lora.up.weight", RF_LORA_UP},
    {".lora.down.weight", RF_LORA_DOWN},
};

/* "x_lora.up.weight": before peft the attention's processor held the factors, and there "x_lora" is
 * part of the name. */
static const ending processor_endings[] = {
    {"_lora.up.weight", RF_LORA_UP},
    {"_lora.down.weight", RF_LORA_DOWN},
};

static const struct {
    const char *text, *kind;
} refused[] = {
    {".oft_blocks", "OFT or BOFT"}, {".oft_diag", "OFT"},
    {".oft_R.weight", "OFT"},       {".rescale", "OFT"},
    {".a1.weight", "GLoRA"},        {".a2.weight", "GLoRA"},
    {".b1.weight", "GLoRA"},        {".b2.weight", "GLoRA"},
    {".bm1.weight", "GLoRA"},       {".bm2.weight", "GLoRA"},
    {".on_input", "IA3"},           {".boft_R", "BOFT"},
    {".vera_lambda_b", "VeRA"},     {".vera_lambda_d", "VeRA"},
};

static int ends(const char *name, size_t length, const char *end)
{
    const size_t n = strlen(end);
    const char  *at = name + (length > n ? length - n : length);
    return *at == *end && strcmp(at, end) == 0; /* most names differ in the first byte */
}

/* The old spelling without a processor, "text_model...q_proj_lora.up.weight" and its like, names
 * the layer before "_lora"; with one, "to_q_lora" is looked up as it stands. */
static rf_lora_key processor_key(const char *name, size_t length)
{
    rf_lora_key key = {.kind = RF_LORA_KEY_UNKNOWN};
    for (size_t i = 0; i < sizeof processor_endings / sizeof *processor_endings; i++) {
        if (!ends(name, length, processor_endings[i].text)) continue;
        key.kind = RF_LORA_KEY_ROLE;
        key.role = processor_endings[i].role;
        key.stem = length - strlen(processor_endings[i].text);
        if (strstr(name, ".processor.")) key.stem += strlen("_lora");
    }
    return key;
}

rf_lora_key rf_lora_key_of(const char *name)
{
    const size_t length = strlen(name);
    if (strncmp(name, RF_LORA_BUNDLE, strlen(RF_LORA_BUNDLE)) == 0) {
        const char *at = name + strlen(RF_LORA_BUNDLE), *end = strstr(at, ".string_to_param.");
        if (!end) end = strrchr(at, '.');
        return (rf_lora_key){.kind = RF_LORA_KEY_EMBEDDING,
                             .stem = end ? (size_t)(end - at) : strlen(at)};
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends(name, length, endings[i].text))
            return (rf_lora_key){.kind = RF_LORA_KEY_ROLE,
                                 .role = endings[i].role,
                                 .stem = length - strlen(endings[i].text),
                                 .sets = strcmp(endings[i].text, ".set_weight") == 0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (ends(name, length, refused[i].text))
            return (rf_lora_key){.kind = RF_LORA_KEY_REFUSED, .refused = refused[i].kind};
    return processor_key(name, length);
}
