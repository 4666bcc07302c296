/* Infotext as A1111 writes it: layout, key order, quoting, Python's numbers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"

#define PONY      "67ab2fd8ec439a89b3fedb15cc65f54336af163c7eb5e4f2acc98f090a29b0b3"
#define ANIMAGINE "e3c47aedb06418c6c331443cd89f2b3b3b34b7ed2102a3d4c4408a8d35aad6b0"

/* Everything at the value that A1111 does not tell. */
static const rf_job usual = {.steps = 28,
                             .seed = 1,
                             .width = 1024,
                             .height = 1024,
                             .eta = NAN,
                             .s_noise = 1,
                             .clip_skip = 1};

static const rf_infotext plain = {
    .job = &usual, .prompt = "1girl", .sampler = "DPM++ 2M", .schedule = "Karras", .cfg_scale = 7};

static void expect(const rf_infotext *info, const char *want)
{
    char *got = NULL;
    cr_assert_eq(rf_infotext_build(&got, info, NULL), RF_OK);
    cr_expect_str_eq(got, want);
    free(got);
}

Test(infotext, everything)
{
    const rf_infotext_pair extra[] = {{"Refiner prompt", "masterpiece, 1girl"}, {"Note", "plain"}};
    rf_infotext            info = plain;
    info.negative = "bad hands";
    info.model = "ponyDiffusionV6XL", info.model_hash = PONY;
    info.vae = "sdxl_vae.safetensors", info.vae_hash = "63aeecb90ff7bc1c115395962d3e803571385b61";
    info.rng = "NV";
    info.refiner = "animagine-xl-3.1", info.refiner_hash = ANIMAGINE, info.refiner_switch_at = 0.8;
    info.switch_by_steps = 1;
    info.extra = extra, info.extra_count = 2;
    info.version = "refinery 0.1.0";
    expect(&info, "1girl\nNegative prompt: bad hands\n"
                  "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1, "
                  "Size: 1024x1024, Model hash: 67ab2fd8ec, Model: ponyDiffusionV6XL, "
                  "VAE hash: 63aeecb90f, VAE: sdxl_vae.safetensors, RNG: NV, "
                  "Refiner: animagine-xl-3.1 [e3c47aedb0], Refiner switch at: 0.8, "
                  "Refiner switch by sampling steps: True, "
                  "Refiner prompt: \"masterpiece, 1girl\", Note: plain, Version: refinery 0.1.0");
}

Test(infotext, least)
{
    static const char line[] = "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, "
                               "CFG scale: 7.0, Seed: 1, Size: 1024x1024";
    char              want[256];
    rf_infotext       info = plain;
    snprintf(want, sizeof want, "1girl\n%s", line);
    expect(&info, want);
    info.model_hash = "", info.vae_hash = PONY; /* no VAE of its own, so no hash of it */
    expect(&info, want);
    info.prompt = " 1girl\n\n", info.negative = ""; /* only the ends are stripped */
    snprintf(want, sizeof want, "1girl\n\n\n%s", line);
    expect(&info, want);
    info.prompt = NULL;
    expect(&info, line);
    info.negative = "x";
    snprintf(want, sizeof want, "Negative prompt: x\n%s", line);
    expect(&info, want);
}

Test(a1111_6_1, values_are_quoted_as_json)
{
    static const char *const rows[][2] = {{"plain name", "plain name"},
                                          {"a,b", "\"a,b\""},
                                          {"a:b", "\"a:b\""},
                                          {"a\nb", "\"a\\nb\""},
                                          {"a\"b", "a\"b"},
                                          {"\"a\"", "\"\\\"a\\\"\""},
                                          {" a", "\" a\""},
                                          {"a\t", "\"a\\t\""},
                                          {"a b", "a b"},
                                          {"a\"b,", "\"a\\\"b,\""},
                                          {"a\\b:", "\"a\\\\b:\""},
                                          {"\xE7\x8C\xAB,", "\"\xE7\x8C\xAB,\""},
                                          {"\t\r\b\f\x01,", "\"\\t\\r\\b\\f\\u0001,\""},
                                          {"", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char        want[512];
        rf_infotext info = plain;
        info.model = rows[i][0], info.version = "1";
        snprintf(want, sizeof want,
                 "1girl\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, "
                 "Seed: 1, Size: 1024x1024, Model: %s, Version: 1",
                 rows[i][1]);
        expect(&info, want);
    }
}

Test(a1111_6_1, a_value_equal_to_its_key_stands_alone)
{
    const rf_infotext_pair extra = {"Tiling", "Tiling"};
    rf_infotext            info = plain;
    info.extra = &extra, info.extra_count = 1;
    expect(&info, "1girl\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, "
                  "Seed: 1, Size: 1024x1024, Tiling");
}

/* Right-hand sides were printed by Python 3.11's repr. */
Test(a1111_6_1, numbers_print_as_in_python)
{
    static const struct {
        double      x;
        int         single;
        const char *text;
    } rows[] = {{0, 0, "0.0"},
                {-0.0, 0, "-0.0"},
                {7, 0, "7.0"},
                {0.8, 0, "0.8"},
                {0.5, 0, "0.5"},
                {1, 0, "1.0"},
                {10, 0, "10.0"},
                {123456, 0, "123456.0"},
                {1.5, 0, "1.5"},
                {0.1 + 0.2, 0, "0.30000000000000004"},
                {1.0 / 3, 0, "0.3333333333333333"},
                {6.1f, 1, "6.1"},
                {6.1f, 0, "6.099999904632568"},
                {12.75, 1, "12.75"},
                {0.0001, 0, "0.0001"},
                {0.00001, 0, "1e-05"},
                {1.5e-7, 0, "1.5e-07"},
                {1e15, 0, "1000000000000000.0"},
                {1e16, 0, "1e+16"},
                {1.25e22, 0, "1.25e+22"},
                {5e-324, 0, "5e-324"},
                {1.7976931348623157e308, 0, "1.7976931348623157e+308"},
                {-2.5, 0, "-2.5"},
                {100.25, 0, "100.25"},
                {0.05, 0, "0.05"},
                {1e300, 0, "1e+300"}};
    char out[RF_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(rf_number_text(out, rows[i].x, rows[i].single), rows[i].text);
}

Test(infotext, large_seeds_and_long_prompts)
{
    rf_infotext info = plain;
    char       *got, *prompt = malloc(200001);
    memset(prompt, 'p', 200000);
    prompt[200000] = '\0';
    rf_job job = usual;
    job.seed = UINT64_MAX, info.job = &job, info.prompt = prompt;
    cr_assert_eq(rf_infotext_build(&got, &info, NULL), RF_OK);
    cr_expect_not_null(strstr(got, "Seed: 18446744073709551615, Size"));
    cr_expect_eq(strspn(got, "p"), 200000);
    free(got);
    free(prompt);
}

/* The line behind the prompt. */
static void expect_line(const rf_infotext *info, const char *want)
{
    char *got = NULL;
    cr_assert_eq(rf_infotext_build(&got, info, NULL), RF_OK);
    const char *line = strrchr(got, '\n');
    cr_expect_str_eq(line ? line + 1 : got, want);
    free(got);
}

#define HEAD "Steps: 28, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, "

/* Every key of a job at once, in A1111's order: the fixed list, then the run's own. */
Test(a1111_6_2, key_order)
{
    const rf_infotext_pair extra = {"Precision", "bf16"};
    rf_job                 job = usual;
    rf_infotext            info = plain;
    info.job = &job, info.sampler = "Euler a", info.schedule = "Automatic";
    job.variation = 0.25, job.variation_seed = UINT64_MAX;
    job.seed_width = 512, job.seed_height = 768;
    job.clip_skip = 2, job.ensd = 31337;
    job.sigma_max = 14, job.sigma_min = 0.03, job.rho = 5, job.discard_penultimate = 1;
    job.eta = 0.5, job.s_churn = 1.5, job.s_tmin = 0.1, job.s_tmax = 9, job.s_noise = 1.003;
    job.s_min_uncond = 1.5, job.s_min_uncond_all = 1, job.skip_early_cfg = 0.2, job.old_edits = 1;
    info.model = "pony", info.model_hash = PONY, info.vae = "v.safetensors", info.vae_hash = PONY;
    info.rng = "CPU", info.emphasis = "No norm", info.prompt = "(1girl)";
    info.refiner = "animagine", info.refiner_hash = ANIMAGINE, info.refiner_switch_at = 0.5;
    info.switch_by_steps = 1, info.extra = &extra, info.extra_count = 1;
    info.version = "refinery 0.1.0";
    expect_line(&info,
                HEAD "Size: 1024x1024, Model hash: 67ab2fd8ec, Model: pony, VAE hash: 67ab2fd8ec, "
                     "VAE: v.safetensors, Variation seed: 18446744073709551615, "
                     "Variation seed strength: 0.25, Seed resize from: 512x768, Clip skip: 2, "
                     "ENSD: 31337, RNG: CPU, Emphasis: No norm, Schedule max sigma: 14.0, "
                     "Schedule min sigma: 0.03, Schedule rho: 5.0, "
                     "Discard penultimate sigma: True, Refiner: animagine [e3c47aedb0], "
                     "Refiner switch at: 0.5, Refiner switch by sampling steps: True, Eta: 0.5, "
                     "Sigma churn: 1.5, Sigma tmin: 0.1, Sigma tmax: 9.0, Sigma noise: 1.003, "
                     "NGMS: 1.5, NGMS all steps: True, Skip Early CFG: 0.2, "
                     "Old prompt editing timelines: True, Precision: bf16, "
                     "Version: refinery 0.1.0");
}

/* What is usual is not told. */
Test(a1111_6_2, null_and_usual_values_are_omitted)
{
    rf_job      job = usual;
    rf_infotext info = plain;
    info.job = &job, info.sampler = "Euler a", info.schedule = "Automatic";
    expect_line(&info, HEAD "Size: 1024x1024");
    job.eta = 1;            /* an ancestral sampler's usual one */
    job.variation_seed = 5; /* without a strength it means nothing */
    job.seed_width = 512;   /* nor does half a size */
    info.vae_hash = PONY;
    expect_line(&info, HEAD "Size: 1024x1024");
    job.eta = 0;
    expect_line(&info, HEAD "Size: 1024x1024, Eta: 0.0");
    info.timestep_sampler = 1; /* DDIM's usual one */
    expect_line(&info, HEAD "Size: 1024x1024");
    job.eta = 1;
    expect_line(&info, HEAD "Size: 1024x1024, Eta DDIM: 1.0");
}

/* A refiner that takes over by noise has no third key: A1111. */
Test(a1111_1_8, switch_by_noise)
{
    rf_infotext info = plain;
    info.sampler = "Euler a", info.schedule = "Automatic";
    info.refiner = "animagine", info.refiner_switch_at = 0.8;
    expect_line(&info, HEAD "Size: 1024x1024, Refiner: animagine, Refiner switch at: 0.8");
    info.refiner = NULL, info.switch_by_steps = 1;
    expect_line(&info, HEAD "Size: 1024x1024");
}

/* A1111: the mode is told if it is not Original and some text has ( or [. */
Test(a1111_6_2, emphasis_where_it_matters)
{
    const rf_stage with = {.negative = "[bad]"};
    rf_job         job = usual;
    rf_infotext    info = plain;
    info.job = &job, info.sampler = "Euler a", info.schedule = "Automatic";
    info.emphasis = "Original", info.prompt = "(1girl)";
    expect_line(&info, HEAD "Size: 1024x1024");
    info.emphasis = "None", info.prompt = "1girl)";
    expect_line(&info, HEAD "Size: 1024x1024");
    info.negative = "[3d]";
    expect_line(&info, HEAD "Size: 1024x1024, Emphasis: None");
    info.negative = "3d", job.stages = &with, job.stage_count = 1;
    expect_line(&info, HEAD "Size: 1024x1024, Emphasis: None");
}
