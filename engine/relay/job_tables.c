/* The fields of files, LoRAs, stages and jobs; see job_fields.h. */
#include "engine/relay/job_fields.h"

const rf_field rf_file_fields[] = {
    {"name", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, name), 0},
    {"path", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, path), 0},
    {"sha256", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, sha256), 0},
    {"prediction", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, prediction), 1},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_lora_file_fields[] = {
    {"name", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, name), 0},
    {"path", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, path), 0},
    {"sha256", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, sha256), 0},
    {"autov3", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, autov3), 0},
    {"prediction", RF_FIELD_TEXT_OR_NULL, offsetof(rf_file_ref, prediction), 1},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_lora_fields[] = {
    {"unet", RF_FIELD_DOUBLE, offsetof(rf_lora_use, unet), 0},
    {"text", RF_FIELD_DOUBLE, offsetof(rf_lora_use, text), 0},
    {"partial", RF_FIELD_FLAG, offsetof(rf_lora_use, partial), 0},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_stage_fields[] = {
    {"until", RF_FIELD_DOUBLE, offsetof(rf_stage, until), 0},
    {"prompt", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, prompt), 0},
    {"negative", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, negative), 0},
    {"cfg_scale", RF_FIELD_FLOAT, offsetof(rf_stage, cfg_scale), 0},
    {"sampler", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, sampler), 0},
    {"cfg_ramp", RF_FIELD_FLOAT, offsetof(rf_stage, cfg_ramp), 1},
    {"clip_skip", RF_FIELD_INT, offsetof(rf_stage, clip_skip), 1},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_brief_stage_fields[] = {
    {"until", RF_FIELD_DOUBLE, offsetof(rf_stage, until), 1},
    {"cfg_scale", RF_FIELD_FLOAT, offsetof(rf_stage, cfg_scale), 0},
    {"cfg_ramp", RF_FIELD_FLOAT, offsetof(rf_stage, cfg_ramp), 1},
    {"sampler", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, sampler), 1},
    {"clip_skip", RF_FIELD_INT, offsetof(rf_stage, clip_skip), 1},
    {"prompt", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, prompt), 1},
    {"negative", RF_FIELD_TEXT_OR_NULL, offsetof(rf_stage, negative), 1},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_sampling_fields[] = {
    {"eta", RF_FIELD_DOUBLE_OR_NAN, offsetof(rf_stage_sampling, eta), 0},
    {"s_churn", RF_FIELD_DOUBLE, offsetof(rf_stage_sampling, s_churn), 0},
    {"s_tmin", RF_FIELD_DOUBLE, offsetof(rf_stage_sampling, s_tmin), 0},
    {"s_tmax", RF_FIELD_DOUBLE, offsetof(rf_stage_sampling, s_tmax), 0},
    {"s_noise", RF_FIELD_DOUBLE, offsetof(rf_stage_sampling, s_noise), 0},
    {NULL, RF_FIELD_TEXT, 0, 0},
};

const rf_field rf_job_fields[] = {
    {"switch_by", RF_FIELD_TEXT, offsetof(rf_job, switch_by), 0},
    {"compat", RF_FIELD_TEXT_OR_NULL, offsetof(rf_job, compat), 0},
    {"sampler", RF_FIELD_TEXT, offsetof(rf_job, sampler), 0},
    {"schedule", RF_FIELD_TEXT, offsetof(rf_job, schedule), 0},
    {"sigmas", RF_FIELD_TEXT_OR_NULL, offsetof(rf_job, sigmas), 0},
    {"rng", RF_FIELD_TEXT, offsetof(rf_job, rng), 0},
    {"emphasis", RF_FIELD_TEXT, offsetof(rf_job, emphasis), 0},
    {"steps", RF_FIELD_INT, offsetof(rf_job, steps), 0},
    {"width", RF_FIELD_INT, offsetof(rf_job, width), 0},
    {"height", RF_FIELD_INT, offsetof(rf_job, height), 0},
    {"seed", RF_FIELD_UINT64, offsetof(rf_job, seed), 0},
    {"sigma_min", RF_FIELD_DOUBLE, offsetof(rf_job, sigma_min), 0},
    {"sigma_max", RF_FIELD_DOUBLE, offsetof(rf_job, sigma_max), 0},
    {"rho", RF_FIELD_DOUBLE, offsetof(rf_job, rho), 0},
    {"discard_penultimate", RF_FIELD_FLAG, offsetof(rf_job, discard_penultimate), 0},
    {"eta", RF_FIELD_DOUBLE_OR_NAN, offsetof(rf_job, eta), 0},
    {"s_churn", RF_FIELD_DOUBLE, offsetof(rf_job, s_churn), 0},
    {"s_tmin", RF_FIELD_DOUBLE, offsetof(rf_job, s_tmin), 0},
    {"s_tmax", RF_FIELD_DOUBLE, offsetof(rf_job, s_tmax), 0},
    {"s_noise", RF_FIELD_DOUBLE, offsetof(rf_job, s_noise), 0},
    {"ensd", RF_FIELD_INT64, offsetof(rf_job, ensd), 0},
    {"skip_early_cfg", RF_FIELD_DOUBLE, offsetof(rf_job, skip_early_cfg), 0},
    {"s_min_uncond", RF_FIELD_DOUBLE, offsetof(rf_job, s_min_uncond), 0},
    {"s_min_uncond_all", RF_FIELD_FLAG, offsetof(rf_job, s_min_uncond_all), 0},
    {"variation_seed", RF_FIELD_UINT64, offsetof(rf_job, variation_seed), 0},
    {"variation", RF_FIELD_DOUBLE, offsetof(rf_job, variation), 0},
    {"seed_width", RF_FIELD_INT, offsetof(rf_job, seed_width), 0},
    {"seed_height", RF_FIELD_INT, offsetof(rf_job, seed_height), 0},
    {"clip_skip", RF_FIELD_INT, offsetof(rf_job, clip_skip), 0},
    {"clip_l_skip", RF_FIELD_FLAG, offsetof(rf_job, clip_l_skip), 0},
    {"old_edits", RF_FIELD_FLAG, offsetof(rf_job, old_edits), 0},
    {"original_width", RF_FIELD_INT, offsetof(rf_job, original_width), 0},
    {"original_height", RF_FIELD_INT, offsetof(rf_job, original_height), 0},
    {"target_width", RF_FIELD_INT, offsetof(rf_job, target_width), 0},
    {"target_height", RF_FIELD_INT, offsetof(rf_job, target_height), 0},
    {"crop_left", RF_FIELD_INT, offsetof(rf_job, crop_left), 0},
    {"crop_top", RF_FIELD_INT, offsetof(rf_job, crop_top), 0},
    {"aesthetic", RF_FIELD_DOUBLE, offsetof(rf_job, aesthetic), 1},
    {"aesthetic_negative", RF_FIELD_DOUBLE, offsetof(rf_job, aesthetic_negative), 1},
    {NULL, RF_FIELD_TEXT, 0, 0},
};
