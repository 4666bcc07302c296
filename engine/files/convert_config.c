/* See convert_config.h.  Only what differs between checkpoints is computed; the rest is the
 * published text. */
#include "engine/files/convert_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void set(json_t *o, const char *key, const char *value)
{
    if (value) json_object_set_new(o, key, json_string(value));
}

static json_t *pair(const char *library, const char *class_name)
{
    return json_pack("[s?, s?]", library, class_name);
}

static const char *scheduler_class(const rf_parameterisation *is)
{
    return is->range == RF_RANGE_EDM ? "EDMEulerScheduler" : "EulerDiscreteScheduler";
}

static json_t *pipeline(const rf_sdxl_arch *a, const rf_parameterisation *is)
{
    static const char D[] = "diffusers", T[] = "transformers", TOKENIZER[] = "CLIPTokenizer";
    const int         base = a->has_clip_l, vae = a->has_vae;
    json_t           *o = json_object();
    set(o, "_class_name", base ? "StableDiffusionXLPipeline" : "StableDiffusionXLImg2ImgPipeline");
    set(o, "_diffusers_version", "0.19.0");
    json_object_set_new(o, "force_zeros_for_empty_prompt", json_boolean(base));
    if (!base) json_object_set_new(o, "requires_aesthetics_score", json_true());
    json_object_set_new(o, "scheduler", pair(D, scheduler_class(is)));
    json_object_set_new(o, "text_encoder", base ? pair(T, "CLIPTextModel") : pair(NULL, NULL));
    json_object_set_new(o, "text_encoder_2", pair(T, "CLIPTextModelWithProjection"));
    json_object_set_new(o, "tokenizer", base ? pair(T, TOKENIZER) : pair(NULL, NULL));
    json_object_set_new(o, "tokenizer_2", pair(T, TOKENIZER));
    json_object_set_new(o, "unet", pair(D, "UNet2DConditionModel"));
    json_object_set_new(o, "vae", vae ? pair(D, "AutoencoderKL") : pair(NULL, NULL));
    return o;
}

/* CosXL's, as Stability publishes it: levels in even steps of the logarithm, data of variance 1. */
static json_t *edm_scheduler(const rf_parameterisation *is)
{
    return json_pack("{s:s, s:s, s:i, s:s, s:f, s:f, s:f, s:f, s:s}", "_class_name",
                     scheduler_class(is), "_diffusers_version", "0.19.0", "num_train_timesteps",
                     1000, "prediction_type", "v_prediction", "rho", 7.0, "sigma_data", 1.0,
                     "sigma_max", is->sigma_max, "sigma_min", is->sigma_min, "sigma_schedule",
                     "exponential");
}

/* With zero-terminal-SNR the first step must be the last timestep: "trailing" (Lin et al. 2024). */
static json_t *scheduler(const rf_parameterisation *is)
{
    const int ztsnr = is->range == RF_RANGE_ZTSNR;
    if (is->range == RF_RANGE_EDM) return edm_scheduler(is);
    return json_pack("{s:s, s:s, s:f, s:s, s:f, s:b, s:s, s:i, s:s, s:b, s:f, s:b, s:b, s:i, s:s, "
                     "s:n, s:b}",
                     "_class_name", scheduler_class(is), "_diffusers_version", "0.19.0", "beta_end",
                     0.012, "beta_schedule", "scaled_linear", "beta_start", 0.00085, "clip_sample",
                     0, "interpolation_type", "linear", "num_train_timesteps", 1000,
                     "prediction_type", is->v ? "v_prediction" : "epsilon",
                     "rescale_betas_zero_snr", ztsnr, "sample_max_value", 1.0, "set_alpha_to_one",
                     0, "skip_prk_steps", 1, "steps_offset", 1, "timestep_spacing",
                     ztsnr ? "trailing" : "leading", "trained_betas", "use_karras_sigmas", 0);
}

/* ---- networks ----------------------------------------------------------------------------- */

/* diffusers takes the middle block's depth from the last level; one without attention ignores its
 * own.  Heads are called attention_head_dim there, for history's sake. */
static json_t *unet(const rf_unet_arch *u)
{
    json_t *down = json_array(), *up = json_array(), *channels = json_array();
    json_t *heads = json_array(), *depths = json_array();
    for (int i = 0; i < u->levels; i++) {
        const int attends = u->depth[i] > 0, last = i == u->levels - 1;
        const int width = u->width * u->mult[i];
        json_array_append_new(down, json_string(attends ? "CrossAttnDownBlock2D" : "DownBlock2D"));
        json_array_insert_new(up, 0, json_string(attends ? "CrossAttnUpBlock2D" : "UpBlock2D"));
        json_array_append_new(channels, json_integer(width));
        json_array_append_new(heads, json_integer(width > u->head ? width / u->head : 1));
        json_array_append_new(depths, json_integer(attends ? u->depth[i]
                                                   : last  ? u->middle_depth
                                                           : 1));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:b, s:i, s:i, s:o, s:i, s:b, s:i, s:i, s:i, "
        "s:i, s:s, s:f, s:i, s:i, s:i, s:s, s:i, s:s, s:o, s:o, s:b}",
        "_class_name", "UNet2DConditionModel", "_diffusers_version", "0.19.0", "act_fn", "silu",
        "addition_embed_type", "text_time", "addition_embed_type_num_heads", 64,
        "addition_time_embed_dim", 256, "attention_head_dim", heads, "block_out_channels", channels,
        "center_input_sample", 0, "conv_in_kernel", 3, "cross_attention_dim", u->context,
        "down_block_types", down, "downsample_padding", 1, "flip_sin_to_cos", 1, "freq_shift", 0,
        "in_channels", u->in_channels, "layers_per_block", u->blocks, "mid_block_scale_factor", 1,
        "mid_block_type", "UNetMidBlock2DCrossAttn", "norm_eps", 1e-5, "norm_num_groups", u->groups,
        "out_channels", u->out_channels, "projection_class_embeddings_input_dim", u->vector,
        "resnet_time_scale_shift", "default", "sample_size", 128, "time_embedding_type",
        "positional", "transformer_layers_per_block", depths, "up_block_types", up,
        "use_linear_projection", 1);
}

static json_t *vae(const rf_vae_arch *v)
{
    json_t *down = json_array(), *up = json_array(), *channels = json_array();
    for (int i = 0; i < v->levels; i++) {
        json_array_append_new(down, json_string("DownEncoderBlock2D"));
        json_array_append_new(up, json_string("UpDecoderBlock2D"));
        json_array_append_new(channels, json_integer(v->width * v->mult[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:o}",
                     "_class_name", "AutoencoderKL", "_diffusers_version", "0.19.0", "act_fn",
                     "silu", "block_out_channels", channels, "down_block_types", down,
                     "force_upcast", 1, "in_channels", 3, "latent_channels", v->z,
                     "layers_per_block", v->blocks, "norm_num_groups", v->groups, "out_channels", 3,
                     "sample_size", 1024, "scaling_factor", 0.13025, "up_block_types", up);
}

static json_t *clip(const rf_clip_arch *c, const char *dtype)
{
    const int open = c->kind == RF_CLIP_OPEN;
    return json_pack(
        "{s:[s], s:f, s:i, s:f, s:i, s:s, s:i, s:f, s:f, s:i, s:f, s:i, s:s, s:i, s:i, s:i, s:i, "
        "s:s?, s:i}",
        "architectures", open ? "CLIPTextModelWithProjection" : "CLIPTextModel",
        "attention_dropout", 0.0, "bos_token_id", 0, "dropout", 0.0, "eos_token_id", 2,
        "hidden_act", open ? "gelu" : "quick_gelu", "hidden_size", c->width, "initializer_factor",
        1.0, "initializer_range", 0.02, "intermediate_size", c->mlp, "layer_norm_eps", 1e-5,
        "max_position_embeddings", c->positions, "model_type", "clip_text_model",
        "num_attention_heads", c->heads, "num_hidden_layers", c->layers, "pad_token_id", 1,
        "projection_dim", c->projection ? c->projection : c->width, "torch_dtype", dtype,
        "vocab_size", c->vocab);
}

/* ---- tokenizers --------------------------------------------------------------------------- */

/* CLIP-L pads with the end token, bigG with token 0, which is "!". */
static json_t *special_tokens(int open)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "bos_token", "<|startoftext|>", "eos_token",
                     "<|endoftext|>", "pad_token", open ? "!" : "<|endoftext|>", "unk_token",
                     "<|endoftext|>");
}

static json_t *tokenizer(int open)
{
    json_t *o = special_tokens(open);
    json_object_update_new(o, json_pack("{s:b, s:b, s:s, s:i, s:s}", "add_prefix_space", 0,
                                        "do_lower_case", 1, "errors", "replace", "model_max_length",
                                        77, "tokenizer_class", "CLIPTokenizer"));
    return o;
}

/* ---- all ---------------------------------------------------------------------------------- */

rf_status rf_convert_configs_make(rf_convert_config   out[RF_CONVERT_CONFIGS],
                                  const rf_sdxl_arch *arch, const rf_parameterisation *is,
                                  const char *dtype, rf_error *err)
{
    const int base = arch->has_clip_l;
    const struct {
        const char *name;
        int         wanted;
        json_t     *json;
    } all[] = {
        {"model_index.json", 1, pipeline(arch, is)},
        {"scheduler/scheduler_config.json", 1, scheduler(is)},
        {"unet/config.json", 1, unet(&arch->unet)},
        {"vae/config.json", arch->has_vae, vae(&arch->vae)},
        {"text_encoder/config.json", base, clip(&arch->clip_l, dtype)},
        {"text_encoder_2/config.json", 1, clip(&arch->clip_g, dtype)},
        {"tokenizer/special_tokens_map.json", base, special_tokens(0)},
        {"tokenizer/tokenizer_config.json", base, tokenizer(0)},
        {"tokenizer_2/special_tokens_map.json", 1, special_tokens(1)},
        {"tokenizer_2/tokenizer_config.json", 1, tokenizer(1)},
    };
    int failed = 0;
    memset(out, 0, RF_CONVERT_CONFIGS * sizeof *out);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        out[i].name = all[i].name;
        if (all[i].wanted) {
            out[i].text =
                json_dumps(all[i].json, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
            failed |= !out[i].text;
        }
        json_decref(all[i].json);
    }
    if (!failed) return RF_OK;
    rf_convert_configs_free(out);
    return rf_fail(err, RF_E_NOMEM, "convert: no memory for the folder's configuration");
}

void rf_convert_configs_free(rf_convert_config configs[RF_CONVERT_CONFIGS])
{
    for (int i = 0; i < RF_CONVERT_CONFIGS; i++) free(configs[i].text);
    memset(configs, 0, RF_CONVERT_CONFIGS * sizeof *configs);
}

/* ---- metadata ----------------------------------------------------------------------------- */

/* Hashes of what the file no longer holds. */
static int is_outdated(const char *key)
{
    static const char *const keys[] = {"modelspec.hash_sha256", "sshs_model_hash",
                                       "sshs_legacy_hash"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return 1;
    return 0;
}

/* Keys that the input has and that would now be wrong get their new value. */
static void correct(json_t *o, const char *key, const char *value)
{
    if (json_object_get(o, key)) set(o, key, value);
}

rf_status rf_convert_metadata(char **out, const rf_header *header, const rf_convert_story *story,
                              rf_error *err)
{
    json_t *o = json_object();
    for (size_t i = 0; header && i < header->meta_count; i++) {
        const rf_pair *pair = &header->meta[i];
        const int      kept = pair->bytes == 0 || pair->value[0]; /* header.h: not too long */
        if (kept && !is_outdated(pair->key)) set(o, pair->key, pair->value);
    }
    set(o, "format", "pt"); /* without it transformers takes the file for nothing */
    set(o, "refinery.converted_from", story->from);
    set(o, "refinery.loras", story->loras);
    set(o, "refinery.vae", story->vae);
    correct(o, "modelspec.unet_dtype", story->dtype);
    correct(o, "modelspec.vae_dtype", story->dtype);
    correct(o, "modelspec.prediction_type", story->v ? "v" : "epsilon");
    if (story->loras && json_object_get(o, "modelspec.sai_model_spec"))
        set(o, "modelspec.merged_from", story->loras);
    *out = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    json_decref(o);
    return *out ? RF_OK : rf_fail(err, RF_E_NOMEM, "convert: no memory for the metadata");
}
