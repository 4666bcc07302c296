/* Jobs from infotexts: A1111's reading rules, who made the picture, and what is left out. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"
#include "engine/refinery.h"

TestSuite(a1111_6_5_job, .timeout = 60);
TestSuite(a1111_1_8_job, .timeout = 60);

static rf_saved_job *read_job(const char *text)
{
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    cr_assert_eq(rf_saved_job_from_infotext(&saved, text, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_saved_job_get(saved)->count, 1);
    return saved;
}

static const char *find_note(const rf_saved_job *saved, const char *part)
{
    for (int i = 0; rf_saved_job_note(saved, i); i++)
        if (strstr(rf_saved_job_note(saved, i), part)) return rf_saved_job_note(saved, i);
    return NULL;
}

#define BASE "Steps: 28, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 18446744073709551615"

/* The example of A1111. */
Test(a1111_6_5_job, example)
{
    rf_saved_job *saved = read_job(
        "1girl, (smile:1.2)\nNegative prompt: bad\nSteps: 28, Sampler: DPM++ 2M, Schedule type: "
        "Karras, CFG scale: 7.0, Seed: 1, Size: 832x1216, Model hash: 67ab2fd8ec, Model: "
        "ponyDiffusionV6XL, Clip skip: 2, RNG: CPU, Refiner: animagine-xl-3.1 [e3c47aedb0], "
        "Refiner switch at: 0.8, Version: v1.10.1");
    const rf_job *job = rf_saved_job_get(saved);
    cr_expect_eq(job->stage_count, 2);
    cr_expect_str_eq(job->stages[0].prompt, "1girl, (smile:1.2)");
    cr_expect_str_eq(job->stages[0].negative, "bad");
    cr_expect_null(job->stages[1].prompt); /* the same */
    cr_expect_null(job->stages[1].negative);
    cr_expect_lt(job->stages[1].cfg_scale, 0);
    cr_expect_eq(job->stages[0].cfg_scale, 7);
    cr_expect_eq(job->stages[0].until, 0.8);
    cr_expect_eq(job->steps, 28);
    cr_expect_eq(job->width, 832);
    cr_expect_eq(job->height, 1216);
    cr_expect_eq(job->seed, 1);
    cr_expect_eq(job->clip_skip, 2);
    cr_expect_str_eq(job->sampler, "DPM++ 2M");
    cr_expect_str_eq(job->schedule, "Karras");
    cr_expect_str_eq(job->rng, "cpu");
    cr_expect_str_eq(job->compat, "a1111");
    cr_expect_str_eq(job->switch_by, "noise");
    cr_expect_str_eq(rf_saved_job_file(saved, 0).name, "ponyDiffusionV6XL");
    cr_expect_str_eq(rf_saved_job_file(saved, 0).sha256, "67ab2fd8ec");
    cr_expect_str_eq(rf_saved_job_file(saved, 1).name, "animagine-xl-3.1");
    cr_expect_str_eq(rf_saved_job_file(saved, 1).sha256, "e3c47aedb0");
    cr_expect_null(rf_saved_job_file(saved, -1).name);
    cr_expect_null(rf_saved_job_note(saved, 0), "%s", rf_saved_job_note(saved, 0));
    rf_saved_job_free(saved);
}

/* Every setting that an infotext can have, as it is written. */
Test(a1111_6_5_job, settings)
{
    rf_saved_job *saved =
        read_job(BASE ", Variation seed: 5, Variation seed strength: 0.25, Seed resize from: "
                      "512x768, ENSD: 31337, RNG: NV, Emphasis: No norm, Schedule max sigma: 14.0, "
                      "Schedule min sigma: 0.03, Schedule rho: 5.0, Discard penultimate sigma: "
                      "True, Eta: 0.5, Sigma churn: 1.5, Sigma tmin: 1e-05, Sigma tmax: 9, Sigma "
                      "noise: 1.003, NGMS: 1.5, NGMS all steps: True, Skip Early CFG: 0.2, Old "
                      "prompt editing timelines: True, VAE hash: 63aeecb90f, VAE: "
                      "sdxl_vae.safetensors, Version: v1.10.1");
    const rf_job *job = rf_saved_job_get(saved);
    cr_expect_eq(job->seed, UINT64_MAX);
    cr_expect_eq(job->variation_seed, 5);
    cr_expect_eq(job->variation, 0.25);
    cr_expect_eq(job->seed_width, 512);
    cr_expect_eq(job->seed_height, 768);
    cr_expect_eq(job->ensd, 31337);
    cr_expect_str_eq(job->rng, "nv");
    cr_expect_str_eq(job->emphasis, "No norm");
    cr_expect_eq(job->sigma_max, 14);
    cr_expect_eq(job->sigma_min, 0.03);
    cr_expect_eq(job->rho, 5);
    cr_expect_eq(job->discard_penultimate, 1);
    cr_expect_eq(job->eta, 0.5);
    cr_expect_eq(job->s_churn, 1.5);
    cr_expect_eq(job->s_tmin, 1e-5);
    cr_expect_eq(job->s_tmax, 9);
    cr_expect_eq(job->s_noise, 1.003);
    cr_expect_eq(job->s_min_uncond, 1.5);
    cr_expect_eq(job->s_min_uncond_all, 1);
    cr_expect_eq(job->skip_early_cfg, 0.2);
    cr_expect_eq(job->old_edits, 1);
    cr_expect_eq(job->stages[0].cfg_scale, 7.5f);
    cr_expect_str_eq(rf_saved_job_file(saved, -1).name, "sdxl_vae");
    cr_expect_str_eq(rf_saved_job_file(saved, -1).sha256, "63aeecb90f");
    cr_expect_null(rf_saved_job_note(saved, 0), "%s", rf_saved_job_note(saved, 0));
    rf_saved_job_free(saved);
    saved = read_job(BASE ", Eta DDIM: 0.25, RNG: NV");
    cr_expect_eq(rf_saved_job_get(saved)->eta, 0.25);
    rf_saved_job_free(saved);
}

/* What is absent is at A1111's default, not at ours. */
Test(a1111_6_5_job, defaults)
{
    rf_saved_job *saved = read_job("1girl\n" BASE);
    const rf_job *job = rf_saved_job_get(saved);
    cr_expect_eq(job->stage_count, 1);
    cr_expect_str_eq(job->schedule, "Automatic");
    cr_expect_eq(job->clip_skip, 1);
    cr_expect_str_eq(job->rng, "nv"); /* of the GPU, which only nv comes near */
    cr_expect_not_null(find_note(saved, "GPU"));
    cr_expect_eq(strcasecmp(job->emphasis, "original"), 0);
    cr_expect_str_eq(job->compat, "a1111");
    cr_expect_str_eq(job->stages[0].negative, "");
    cr_expect(isnan(job->eta));
    cr_expect_eq(job->old_edits, 0);
    cr_expect_null(rf_saved_job_dtype(saved));
    cr_expect_null(rf_saved_job_file(saved, 0).name);
    cr_expect_null(rf_saved_job_note(saved, 1), "%s", rf_saved_job_note(saved, 1));
    rf_saved_job_free(saved);
}

/* A1111: old combined names are split where samplers are looked up, not here. */
Test(a1111_5_1_job, combined_sampler_names_stay)
{
    rf_saved_job *saved = read_job("x\nSteps: 20, Sampler: DPM++ 2M SDE Karras, Seed: 1");
    cr_expect_str_eq(rf_saved_job_get(saved)->sampler, "DPM++ 2M SDE Karras");
    cr_expect_str_eq(rf_saved_job_get(saved)->schedule, "Automatic");
    rf_saved_job_free(saved);
}

/* By version, and by what is said: the rule really changed in 1.9.0. */
Test(a1111_1_8_job, switch_rule)
{
    static const struct {
        const char *more, *rule;
    } rows[] = {{"", "noise"},
                {", Version: v1.10.1", "noise"},
                {", Version: v1.9.0", "noise"},
                {", Version: v1.9.0-RC-12-gabc", "noise"},
                {", Version: v1.8.0", "steps"},
                {", Version: v1.8.0-RC", "steps"},
                {", Version: 1.8.1", "steps"},
                {", Version: v1.6.0-2-g4afaaf8a", "steps"},
                {", Version: ComfyUI", "noise"},
                {", Version: f2.0.1v1.10.1-previous-665-gae278f79", "steps"}, /* Forge: 1.4 */
                {", Version: refinery 0.1.0", "noise"},
                {", Refiner switch by sampling steps: True, Version: refinery 0.1.0", "steps"},
                {", Refiner switch by sampling steps: True, Version: v1.10.1", "steps"},
                {", Refiner switch by sampling steps: False, Version: v1.10.1", "noise"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[400];
        snprintf(text, sizeof text, "x\n" BASE ", Refiner: r, Refiner switch at: 0.5%s",
                 rows[i].more);
        rf_saved_job *saved = read_job(text);
        const rf_job *job = rf_saved_job_get(saved);
        cr_expect_str_eq(job->switch_by, rows[i].rule, "%s", rows[i].more);
        if (strstr(rows[i].more, "refinery"))
            cr_expect_null(job->compat);
        else
            cr_expect_str_eq(job->compat, "a1111");
        rf_saved_job_free(saved);
    }
}

/* Without a refiner there is no rule to tell. */
Test(a1111_1_8_job, no_refiner)
{
    rf_saved_job *saved =
        read_job(BASE ", Refiner switch by sampling steps: True, Version: v1.10.1");
    cr_expect_eq(rf_saved_job_get(saved)->stage_count, 1);
    cr_expect_str_eq(rf_saved_job_get(saved)->switch_by, rf_job_default().switch_by);
    rf_saved_job_free(saved);
}

Test(a1111_1_8_job, refiner_titles)
{
    static const char *const rows[][3] = {{"a [e3c47aedb0]", "a", "e3c47aedb0"},
                                          {"a", "a", NULL},
                                          {"a [v2]", "a [v2]", NULL},
                                          {"a [v2] [e3c47aedb0]", "a [v2]", "e3c47aedb0"},
                                          {"[e3c47aedb0]", "[e3c47aedb0]", NULL},
                                          {"a[e3c47aedb0]", "a[e3c47aedb0]", NULL},
                                          {"\"a, b [e3c47aedb0]\"", "a, b", "e3c47aedb0"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        snprintf(text, sizeof text, BASE ", Refiner: %s", rows[i][0]);
        rf_saved_job     *saved = read_job(text);
        const rf_file_ref file = rf_saved_job_file(saved, 1);
        cr_expect_str_eq(file.name, rows[i][1]);
        cr_expect_eq(file.sha256 != NULL, rows[i][2] != NULL, "%s", rows[i][0]);
        if (file.sha256 && rows[i][2]) cr_expect_str_eq(file.sha256, rows[i][2]);
        cr_expect_eq(rf_saved_job_get(saved)->stages[0].until, 0); /* 1.5: no point: at once */
        rf_saved_job_free(saved);
    }
}

/* A1111, version rules. */
Test(a1111_6_5_job, old_versions)
{
    rf_saved_job *saved = read_job("[a:b:0.5]\n" BASE ", Version: v1.5.2");
    cr_expect_eq(rf_saved_job_get(saved)->old_edits, 1);
    cr_expect_not_null(find_note(saved, "1.7.0-225"));
    rf_saved_job_free(saved);
    saved = read_job("(a)\n" BASE ", Version: v1.5.2");
    cr_expect_eq(rf_saved_job_get(saved)->old_edits, 0); /* nothing to be edited */
    rf_saved_job_free(saved);
    saved = read_job("[a:b:0.5]\n" BASE ", Version: v1.6.0");
    cr_expect_eq(rf_saved_job_get(saved)->old_edits, 0);
    rf_saved_job_free(saved);
    saved = read_job("[a:b:0.5]\n" BASE); /* only if there is a version */
    cr_expect_eq(rf_saved_job_get(saved)->old_edits, 0);
    cr_expect_null(find_note(saved, "1.7.0-225"));
    rf_saved_job_free(saved);
    saved = read_job("x\n" BASE ", Version: v1.7.0-225-gabc");
    cr_expect_null(find_note(saved, "1.7.0-225"));
    rf_saved_job_free(saved);
    saved = read_job("x\n" BASE ", Version: v1.7.0-224-gabc");
    cr_expect_not_null(find_note(saved, "1.7.0-225"));
    rf_saved_job_free(saved);
    saved = read_job("x\nSteps: 1, Sampler: PLMS, Seed: 1, Version: v1.5.0");
    cr_expect_not_null(find_note(saved, "1.6.0"));
    rf_saved_job_free(saved);
}

/* Whatever is left out is told, in one sentence each. */
Test(a1111_6_5_job, notes)
{
    static const char *const rows[][2] = {
        {"Hires upscale: 2, Hires upscaler: Latent", "Hires upscaler: Latent is left out"},
        {"Denoising strength: 0.4", "Denoising strength: 0.4"},
        {"Lora hashes: \"a: 0123456789ab, b: 0123456789ab\"", "Lora hashes: a: 0123456789ab, b"},
        {"TI hashes: \"a: 0123\"", "TI hashes"},
        {"Face restoration: CodeFormer", "Face restoration"},
        {"Tiling: True", "Tiling: True is left out"},
        {"ControlNet 0: \"Module: canny\"", "ControlNet 0"},
        {"SGM noise multiplier: True", "SGM noise multiplier: True is left out: it is not known"},
        {"Some thing: 1", "Some thing: 1 is left out: it is not known"},
        {"Mask blur: 4", "Mask blur"},
        {"RNG: TPU", "the TPU of the machine"},
        {"Model hash: 7460a6fa", "is not a SHA-256"},
        {"Clip skip: two", "Clip skip: \"two\" is not such a value"},
        {"CFG scale: nan", "CFG scale: \"nan\" is not a number"},
        {"Size: 99999999999x8", "Size-1: \"99999999999\" is not such a value"},
        {"Tool: \"\\u001b[31m\"", "Tool: ?[31m"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[400];
        snprintf(text, sizeof text, "x\n" BASE ", %s, Version: v1.10.1", rows[i][0]);
        rf_saved_job *saved = read_job(text);
        cr_expect_not_null(find_note(saved, rows[i][1]), "%s: %s", rows[i][0],
                           rf_saved_job_note(saved, 0));
        rf_saved_job_free(saved);
    }
    rf_saved_job *saved = read_job(BASE ", RNG: NV, User: me, Hashes: {}, Version: v1.10.1");
    cr_expect_null(rf_saved_job_note(saved, 0)); /* these say nothing about the picture */
    rf_saved_job_free(saved);
}

/* Pairs of refinery's own that say what A1111's keys cannot; what they are not is told. */
Test(a1111_6_5_job, stages)
{
    static const char WITH[] =
        "cat\nSteps: 8, Sampler: Euler a, CFG scale: 6, Seed: 1, Size: 64x64, Model: a, Refiner: "
        "c, "
        "Refiner switch at: 0.75, Stage 1: \"{\\\"until\\\": 0.25, \\\"cfg_scale\\\": 6, "
        "\\\"cfg_ramp\\\": -2}\", Stage 2: \"{\\\"file\\\": {\\\"name\\\": \\\"b\\\"}, "
        "\\\"sampling\\\": {\\\"eta\\\": 0.5}, \\\"clip_skip\\\": 2}\", %s: %s, RNG: NV, "
        "Version: refinery 0.1.0";
    static const struct {
        const char *key, *value, *note;
        int         stages;
    } row[] = {{"ENSD", "2", NULL, 2},
               {"Stage 3", "[]", "is not an object", 3},
               {"Stage 3", "x", "Stage 3 is left out: it is not JSON", 3},
               {"Stage 3", "\"{\\\"cfg_scale\\\": 1e99}\"", "a number that a float holds", 3},
               {"Stage 65", "{}", "it is not known here", 2},
               {"Stage 0", "{}", "it is not known here", 2},
               {"Stage 02x", "{}", "it is not known here", 2},
               {"Stage 5", "{}", NULL, 5}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[2000];
        snprintf(text, sizeof text, WITH, row[i].key, row[i].value);
        rf_saved_job *saved = read_job(text);
        const rf_job *job = rf_saved_job_get(saved);
        const char   *note = rf_saved_job_note(saved, 0);
        cr_assert_eq(job->stage_count, row[i].stages, "%s: %d", row[i].key, job->stage_count);
        cr_expect_eq(job->stages[0].cfg_ramp, -2);
        cr_expect_eq(job->stages[0].until, 0.25);
        cr_expect_eq(job->stages[1].clip_skip, 2);
        cr_expect_eq(job->stages[1].sampling->eta, 0.5);
        cr_expect_eq(job->stages[1].sampling->s_noise, 1);
        cr_expect_str_eq(rf_saved_job_file(saved, 1).name, "b");
        cr_expect(row[i].note ? note && strstr(note, row[i].note) : !note, "%s: %s", row[i].key,
                  note);
        if (row[i].stages == 3) {
            cr_expect_eq(job->stages[1].until, 0.75);
            cr_expect_str_eq(rf_saved_job_file(saved, 2).name, "c");
        }
        rf_saved_job_free(saved);
    }
}

/* A1111: LoRA tags stay in the prompt; a plan that has no LoRAs tells them. */
Test(a1111_2_1_job, lora_tags)
{
    rf_saved_job *saved = read_job("cat <lora:detail:0.8> <hypernet:x>\n" BASE ", RNG: NV");
    cr_expect_str_eq(rf_saved_job_get(saved)->stages[0].prompt,
                     "cat <lora:detail:0.8> <hypernet:x>");
    cr_expect_null(find_note(saved, "<lora:"));
    cr_expect_not_null(find_note(saved, "<hypernet:"));
    rf_saved_job_free(saved);
}

Test(a1111_6_5_job, no_parameters)
{
    static const char *const rows[] = {"", "1girl", "1girl\nSteps: 1, Seed: 2", ("\xFF\n" BASE)};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_saved_job *saved = NULL;
        rf_error      err = {0};
        cr_expect_eq(rf_saved_job_from_infotext(&saved, rows[i], &err), RF_E_FORMAT);
        cr_expect_null(saved);
        cr_expect_neq(err.message[0], '\0');
    }
}

/* A job of refinery's, through the writer and back: what an infotext can hold survives. */
Test(infotext, writes_what_it_reads)
{
    const rf_infotext_pair extra[] = {{"Refiner prompt", "masterpiece, [a:b:switch]"},
                                      {"Refiner negative prompt", "worst: 1"},
                                      {"Refiner CFG scale", "4.5"},
                                      {"Refiner from step", "15"},
                                      {"Refiner switch by", "sigma"},
                                      {"Refiner sampler", "DPM++ 2M"},
                                      {"Compatibility", "a1111"},
                                      {"Sigmas", "14.6, 8, 0"},
                                      {"VAE from", "animagine"},
                                      {"Precision", "bf16"}};
    rf_job                 job = rf_job_default();
    char                  *text = NULL;
    job.seed = 77, job.variation = 0.1 + 0.2, job.variation_seed = UINT64_MAX, job.eta = 0.25;
    job.seed_width = 64, job.seed_height = 72, job.clip_skip = 3, job.ensd = -5, job.rho = 6.5;
    job.s_noise = 0, job.discard_penultimate = 1, job.steps = 33;
    const rf_infotext info = {.job = &job,
                              .prompt = "cat,\n(dog)",
                              .negative = "bad",
                              .sampler = "Euler a",
                              .schedule = "Karras",
                              .cfg_scale = 6.1f,
                              .model = "pony: v6, XL",
                              .rng = "NV",
                              .emphasis = "Ignore",
                              .refiner = "animagine [v3]",
                              .refiner_hash = "e3c47aedb06418c6",
                              .refiner_switch_at = 1.0 / 3,
                              .extra = extra,
                              .extra_count = sizeof extra / sizeof *extra,
                              .version = "refinery " RF_VERSION};
    cr_assert_eq(rf_infotext_build(&text, &info, NULL), RF_OK);
    rf_saved_job *saved = read_job(text);
    const rf_job *got = rf_saved_job_get(saved);
    cr_expect_eq(got->seed, job.seed);
    cr_expect_eq(got->variation, job.variation);
    cr_expect_eq(got->variation_seed, job.variation_seed);
    cr_expect_eq(got->eta, job.eta);
    cr_expect_eq(got->seed_width, 64);
    cr_expect_eq(got->seed_height, 72);
    cr_expect_eq(got->clip_skip, 3);
    cr_expect_eq(got->ensd, -5);
    cr_expect_eq(got->rho, 6.5);
    cr_expect_eq(got->s_noise, 0);
    cr_expect_eq(got->discard_penultimate, 1);
    cr_expect_eq(got->steps, 33);
    cr_expect_str_eq(got->compat, "a1111");
    cr_expect_str_eq(got->switch_by, "sigma");
    cr_expect_str_eq(got->sigmas, "14.6, 8, 0");
    cr_expect_str_eq(got->stages[1].sampler, "DPM++ 2M");
    cr_expect_str_eq(got->emphasis, "Ignore");
    cr_expect_str_eq(got->stages[0].prompt, "cat,\n(dog)");
    cr_expect_str_eq(got->stages[0].negative, "bad");
    cr_expect_eq(got->stages[0].cfg_scale, 6.1f);
    cr_expect_eq(got->stages[0].until, 1.0 / 3);
    cr_expect_str_eq(got->stages[1].prompt, "masterpiece, [a:b:switch]");
    cr_expect_str_eq(got->stages[1].negative, "worst: 1");
    cr_expect_eq(got->stages[1].cfg_scale, 4.5f);
    cr_expect_str_eq(rf_saved_job_file(saved, 0).name, "pony: v6, XL");
    cr_expect_str_eq(rf_saved_job_file(saved, 1).name, "animagine [v3]");
    cr_expect_str_eq(rf_saved_job_file(saved, 1).sha256, "e3c47aedb0");
    cr_expect_str_eq(rf_saved_job_dtype(saved), "bf16");
    cr_expect_null(rf_saved_job_note(saved, 0), "%s", rf_saved_job_note(saved, 0));
    rf_saved_job_free(saved);
    free(text);
}
