/* A picture's job as JSON: every field survives, and what is not a job is refused by name. */
#include <criterion/criterion.h>
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/job_json.h"

TestSuite(job_json, .timeout = 60);

#define HASH "e3c47aedb06418c6c331443cd89f2b3b3b34b7ed2102a3d4c4408a8d35aad6b0"

static const rf_lora_use first[] = {{.path = "/loras/a.safetensors", .unet = 1.0 / 3, .text = -100},
                                    {.path = "/not/at/work", .unet = 1, .text = 1},
                                    {.path = "/loras/b.safetensors", .text = 1e-9, .partial = 1}};
static const rf_lora_use third[] = {{.path = "/loras/a.safetensors", .unet = 2, .text = 2}};
/* By stage: three, none, one. */
static const rf_file_ref lora_files[] = {
    {.name = "a", .path = "/loras/a.safetensors", .sha256 = HASH, .autov3 = "0123456789ab"},
    {0},
    {.name = "b", .path = "/loras/b.safetensors"},
    {.name = "a", .path = "/loras/a.safetensors", .sha256 = HASH}};

static const rf_stage_sampling sampling[] = {
    {.eta = NAN, .s_churn = 1e-3, .s_tmin = 0.1, .s_tmax = 1e22, .s_noise = 0.875}};

static const rf_stage    stages[] = {{.until = 1.0 / 3,
                                      .prompt = "a \"cat\", \xE7\x8C\xAB\n",
                                      .negative = "",
                                      .cfg_scale = 6.1f,
                                      .loras = first,
                                      .lora_count = 3},
                                     {.until = 7,
                                      .sampler = "Euler",
                                      .cfg_scale = -1,
                                      .cfg_ramp = -1.1f,
                                      .clip_skip = 12,
                                      .sampling = &sampling[0]},
                                     {.until = 1,
                                      .prompt = "\t\x01",
                                      .negative = "[a:b:switch]",
                                      .cfg_scale = FLT_MAX,
                                      .loras = third,
                                      .lora_count = 1}};
static const rf_file_ref files[] = {
    {.name = "pony", .path = "/models/pony.safetensors", .sha256 = HASH, .prediction = "v-ztsnr"},
    {.name = "animagine"},
    {0}};

/* No two fields alike, and none at its default. */
static const rf_job full = {.stages = stages,
                            .stage_count = 3,
                            .switch_by = "sigma",
                            .compat = "a1111",
                            .sampler = "DPM++ 2M Karras",
                            .schedule = "karras",
                            .sigmas = "14.6, 8, 0",
                            .rng = "cpu",
                            .emphasis = "no norm",
                            .vae = "/models/vae.safetensors",
                            .steps = 10000,
                            .width = 832,
                            .height = 1216,
                            .seed = UINT64_MAX - 4,
                            .count = 9,
                            .batch = 4,
                            .sigma_min = 0.1 + 0.2,
                            .sigma_max = 14.614641,
                            .rho = 5e-324,
                            .discard_penultimate = 1,
                            .eta = 0.7,
                            .s_churn = DBL_MAX,
                            .s_tmin = -0.0,
                            .s_tmax = 1e22,
                            .s_noise = 1.003,
                            .ensd = INT64_MIN,
                            .skip_early_cfg = 1e-5,
                            .s_min_uncond = 3,
                            .s_min_uncond_all = 1,
                            .variation_seed = 9007199254740993u,
                            .variation = 0,
                            .seed_width = 512,
                            .seed_height = 768,
                            .clip_skip = 2,
                            .clip_l_skip = 1,
                            .old_edits = 1,
                            .original_width = 4096,
                            .original_height = 4095,
                            .target_width = 1023,
                            .target_height = 1025,
                            .crop_left = INT_MIN,
                            .crop_top = INT_MAX,
                            .aesthetic = 7.25,
                            .aesthetic_negative = 1.5};

static const rf_job_files of_full = {.stage = files,
                                     .lora = lora_files,
                                     .vae = {.path = "/models/vae.safetensors", .name = "vae"},
                                     .dtype = "bf16"};

static rf_saved_job *round_trip(const rf_job *job, int index, const rf_job_files *with)
{
    char         *json = NULL;
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    cr_assert_eq(rf_job_json(&json, job, index, with, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_saved_job_from_json(&saved, json, &err), RF_OK, "%s", err.message);
    for (const char *p = json; *p; p++) cr_assert(*p >= 0x20 && *p <= 0x7E);
    free(json);
    return saved;
}

static void expect_text(const char *got, const char *want, const char *what)
{
    cr_expect((!got && !want) || (got && want && strcmp(got, want) == 0), "%s: %s", what,
              got ? got : "(none)");
}

static void expect_same(int same, const char *what)
{
    cr_expect(same, "%s", what);
}

#define SAME_TEXT(field)   expect_text(got->field, full.field, #field)
#define SAME_NUMBER(field) expect_same(got->field == full.field, #field)

/* If this fails, rf_job has a new field: give it a row in job_json.c, and lines in `full` above and
 * in every_field below. */
Test(job_json, no_field_is_forgotten)
{
    cr_expect_eq(sizeof(rf_job), 344);
    cr_expect_eq(sizeof(rf_stage), 80);
    cr_expect_eq(sizeof(rf_stage_sampling), 40);
    cr_expect_eq(sizeof(rf_file_ref), 40);
    cr_expect_eq(sizeof(rf_lora_use), 32);
}

static void expect_lora(const rf_saved_job *saved, int stage, int lora, const rf_lora_use *want,
                        const rf_file_ref *file)
{
    const rf_lora_use *got = &rf_saved_job_get(saved)->stages[stage].loras[lora];
    const rf_file_ref  ref = rf_saved_job_lora(saved, stage, lora);
    expect_text(got->path, want->path, "path");
    expect_same(got->unet == want->unet, "unet");
    expect_same(got->text == want->text, "text");
    cr_expect_eq(got->partial, want->partial);
    cr_expect_eq(got->everywhere, 0);
    expect_text(ref.name, file->name, "name");
    expect_text(ref.path, file->path, "path");
    expect_text(ref.sha256, file->sha256, "sha256");
    expect_text(ref.autov3, file->autov3, "autov3");
}

/* One that was not at work is not told; a stage without any has no such field. */
Test(job_json, loras)
{
    rf_saved_job *saved = round_trip(&full, 0, &of_full);
    const rf_job *got = rf_saved_job_get(saved);
    cr_assert_eq(got->stages[0].lora_count, 2);
    cr_expect_eq(got->stages[1].lora_count, 0);
    cr_assert_eq(got->stages[2].lora_count, 1);
    expect_lora(saved, 0, 0, &first[0], &lora_files[0]);
    expect_lora(saved, 0, 1, &first[2], &lora_files[2]);
    expect_lora(saved, 2, 0, &third[0], &lora_files[3]);
    cr_expect_null(rf_saved_job_lora(saved, 0, 2).name);
    cr_expect_null(rf_saved_job_lora(saved, 0, -1).name);
    cr_expect_null(rf_saved_job_lora(saved, 3, 0).name);
    rf_saved_job_free(saved);
    const rf_job_files none = {.stage = files};
    char              *json = NULL;
    cr_assert_eq(rf_job_json(&json, &full, 0, &none, NULL), RF_OK);
    cr_expect_null(strstr(json, "loras"));
    cr_expect_null(strstr(json, "autov3"));
    free(json);
}

/* Fields that few stages have are written where they are told. */
Test(job_json, what_stages_have_of_their_own)
{
    rf_saved_job            *saved = round_trip(&full, 0, &of_full);
    const rf_stage          *got = rf_saved_job_get(saved)->stages;
    const rf_stage_sampling *own = got[1].sampling;
    cr_expect_eq(got[1].cfg_ramp, -1.1f);
    cr_expect_eq(got[1].clip_skip, 12);
    cr_expect_eq(got[0].cfg_ramp, 0);
    cr_expect_eq(got[2].clip_skip, 0);
    cr_expect(!got[0].sampling && !got[2].sampling);
    cr_assert_not_null(own);
    cr_expect(isnan(own->eta));
    cr_expect_eq(own->s_churn, 1e-3);
    cr_expect_eq(own->s_tmin, 0.1);
    cr_expect_eq(own->s_tmax, 1e22);
    cr_expect_eq(own->s_noise, 0.875);
    rf_saved_job_free(saved);
    char *json = NULL;
    cr_assert_eq(rf_stage_json(&json, &stages[1], &files[0], NULL), RF_OK);
    cr_expect(strstr(json, "\"sampling\"") && strstr(json, HASH), "%s", json);
    cr_expect_null(strstr(json, "prompt"), "%s", json);
    free(json);
}

Test(job_json, every_field)
{
    rf_saved_job *saved = round_trip(&full, 0, &of_full);
    const rf_job *got = rf_saved_job_get(saved);
    SAME_TEXT(switch_by), SAME_TEXT(compat), SAME_TEXT(sampler), SAME_TEXT(schedule);
    SAME_TEXT(sigmas), SAME_TEXT(rng), SAME_TEXT(emphasis), SAME_TEXT(vae);
    SAME_NUMBER(steps), SAME_NUMBER(width), SAME_NUMBER(height), SAME_NUMBER(seed);
    SAME_NUMBER(sigma_min), SAME_NUMBER(sigma_max), SAME_NUMBER(rho);
    SAME_NUMBER(discard_penultimate), SAME_NUMBER(eta), SAME_NUMBER(s_churn), SAME_NUMBER(s_tmin);
    SAME_NUMBER(s_tmax), SAME_NUMBER(s_noise), SAME_NUMBER(ensd), SAME_NUMBER(skip_early_cfg);
    SAME_NUMBER(s_min_uncond), SAME_NUMBER(s_min_uncond_all), SAME_NUMBER(variation_seed);
    SAME_NUMBER(variation), SAME_NUMBER(seed_width), SAME_NUMBER(seed_height);
    SAME_NUMBER(clip_skip), SAME_NUMBER(clip_l_skip), SAME_NUMBER(old_edits);
    SAME_NUMBER(original_width), SAME_NUMBER(original_height), SAME_NUMBER(target_width);
    SAME_NUMBER(target_height), SAME_NUMBER(crop_left), SAME_NUMBER(crop_top);
    SAME_NUMBER(aesthetic), SAME_NUMBER(aesthetic_negative);
    SAME_NUMBER(stage_count);
    cr_expect(signbit(got->s_tmin));
    cr_expect_eq(got->count, 1);
    cr_expect_eq(got->batch, 1);
    for (int i = 0; i < full.stage_count; i++) {
        SAME_NUMBER(stages[i].until), SAME_NUMBER(stages[i].cfg_scale);
        SAME_TEXT(stages[i].prompt), SAME_TEXT(stages[i].negative), SAME_TEXT(stages[i].sampler);
        cr_expect_null(got->stages[i].expert);
        const rf_file_ref file = rf_saved_job_file(saved, i);
        expect_text(file.name, files[i].name, "name");
        expect_text(file.path, files[i].path, "path");
        expect_text(file.sha256, files[i].sha256, "sha256");
        expect_text(file.prediction, files[i].prediction, "prediction");
    }
    cr_expect_str_eq(rf_saved_job_file(saved, -1).name, "vae");
    cr_expect_null(rf_saved_job_file(saved, 3).name);
    cr_expect_str_eq(rf_saved_job_dtype(saved), "bf16");
    cr_expect_null(rf_saved_job_note(saved, 0));
    rf_saved_job_free(saved);
}

/* The other values that a field may have: none, the sampler's own, the defaults. */
Test(job_json, nothing_special)
{
    rf_job       job = rf_job_default();
    rf_stage     stage = {.until = 1, .cfg_scale = 6};
    rf_file_ref  file = {0};
    rf_job_files with = {.stage = &file};
    job.stages = &stage, job.stage_count = 1, job.eta = NAN;
    rf_saved_job *saved = round_trip(&job, 0, &with);
    const rf_job *got = rf_saved_job_get(saved);
    cr_expect(isnan(got->eta));
    cr_expect_null(got->compat);
    cr_expect_null(got->sigmas);
    cr_expect_null(got->vae);
    cr_expect_null(got->stages[0].prompt);
    cr_expect_null(rf_saved_job_dtype(saved));
    cr_expect_eq(got->clip_skip, job.clip_skip);
    rf_saved_job_free(saved);
}

/* 0.3 is no longer than that, though no double is 0.3 and no float 3.3; 1/3 keeps all its
 * digits, and the others theirs. */
Test(job_json, numbers_are_written_as_people_write_them)
{
    rf_job       job = rf_job_default();
    rf_stage     stage = {.until = 0.3, .cfg_scale = 3.3f};
    rf_file_ref  file = {0};
    rf_job_files with = {.stage = &file};
    char        *json = NULL;
    job.stages = &stage, job.stage_count = 1;
    cr_assert_eq(rf_job_json(&json, &job, 0, &with, NULL), RF_OK);
    cr_expect(strstr(json, "\"until\":0.3,") && strstr(json, "\"cfg_scale\":3.3,"), "%s", json);
    free(json);
    stage.until = 1.0 / 3;
    cr_assert_eq(rf_job_json(&json, &job, 0, &with, NULL), RF_OK);
    cr_expect(strstr(json, "\"until\":0.3333333333333333,") && strstr(json, "\"cfg_scale\":3.3,"),
              "%s", json);
    free(json);
}

/* A1111: picture i of a job is the one picture of a job with seed + i, or, with a variation,
 * with variation_seed + i. */
Test(a1111_4_1, one_picture_of_many)
{
    rf_job        job = full;
    rf_saved_job *saved = round_trip(&job, 7, &of_full);
    cr_expect_eq(rf_saved_job_get(saved)->seed, 2); /* past 2^64 */
    cr_expect_eq(rf_saved_job_get(saved)->variation_seed, full.variation_seed);
    rf_saved_job_free(saved);
    job.variation = 0.5;
    saved = round_trip(&job, 7, &of_full);
    cr_expect_eq(rf_saved_job_get(saved)->seed, full.seed);
    cr_expect_eq(rf_saved_job_get(saved)->variation_seed, full.variation_seed + 7);
    rf_saved_job_free(saved);
}

static void expect_refused(const char *json, const char *message)
{
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    cr_expect_eq(rf_saved_job_from_json(&saved, json, &err), RF_E_FORMAT, "%s", json);
    cr_expect_null(saved);
    cr_expect(strstr(err.message, message), "%s: %s", json, err.message);
}

#define JOB(fields) "{\"schema\":1,\"stages\":[{}]," fields "}"

Test(job_json, what_is_no_job)
{
    expect_refused("", "not JSON");
    expect_refused("{", "not JSON");
    expect_refused("[]", "not a JSON object");
    expect_refused("{}", "schema is not");
    expect_refused("{\"schema\":\"1\"}", "schema is not a whole number");
    expect_refused("{\"schema\":2,\"stages\":[{}]}", "schema 2");
    expect_refused("{\"schema\":1}", "stages is not an array");
    expect_refused("{\"schema\":1,\"stages\":[]}", "stages is not an array");
    expect_refused("{\"schema\":1,\"stages\":[7]}", "stages[0] is not an object");
    expect_refused("{\"schema\":1,\"stages\":[{},{\"prompt\":7}]}", "stages[1].prompt is not text");
    expect_refused("{\"schema\":1,\"stages\":[{\"file\":7}]}", "stages[0].file is not an object");
    expect_refused("{\"schema\":1,\"stages\":[{\"cfg_scale\":1e39}]}",
                   "stages[0].cfg_scale is not");
    expect_refused("{\"schema\":1,\"stages\":[{}],\"schema\":1}", "not JSON"); /* twice */
#define LORAS(text) "{\"schema\":1,\"stages\":[{\"loras\":" text "}]}"
    expect_refused(LORAS("7"), "stages[0].loras is not an array");
    expect_refused(LORAS("[{},7]"), "loras[1] is not an object");
    expect_refused(LORAS("[{\"unet\":\"1\"}]"), "loras[0].unet is not a number");
    expect_refused(LORAS("[{\"file\":[]}]"), "loras[0].file is not an object");
    expect_refused(LORAS("[{\"file\":{\"autov3\":1}}]"), "loras[0].autov3 is not text");
    expect_refused(LORAS("[{\"partial\":1}]"), "loras[0].partial is not true or false");
    expect_refused(JOB("\"steps\":1.5"), "job's steps is not a whole number");
    expect_refused(JOB("\"steps\":2147483648"), "steps is not a whole number");
    expect_refused(JOB("\"steps\":\"7\""), "steps is not a whole number");
    expect_refused(JOB("\"ensd\":9223372036854775808"), "not JSON");
    expect_refused(JOB("\"seed\":7"), "seed is not a string of digits");
    expect_refused(JOB("\"seed\":\"\""), "seed is not a string of digits");
    expect_refused(JOB("\"seed\":\"-1\""), "seed is not a string of digits");
    expect_refused(JOB("\"seed\":\"18446744073709551616\""), "seed is not a string of digits");
    expect_refused(JOB("\"rho\":null"), "rho is not a number");
    expect_refused(JOB("\"eta\":\"x\""), "eta is not a number");
    expect_refused(JOB("\"old_edits\":1"), "old_edits is not true or false");
    expect_refused(JOB("\"sampler\":null"), "sampler is not text");
    expect_refused(JOB("\"vae\":\"x\""), "vae.file is not an object");
    expect_refused(JOB("\"vae\":{\"name\":7}"), "vae.name is not text");
    expect_refused(JOB("\"dtype\":7"), "dtype is not text");
    expect_refused(JOB("\"sampler\":\"\\u0000\""), "not JSON");
    expect_refused(JOB("\"sampler\":\"\xFF\""), "not JSON");
}

/* A later version may know more; what it leaves out is at its default. */
Test(job_json, unknown_fields_become_notes)
{
    rf_saved_job *saved = NULL;
    cr_assert_eq(rf_saved_job_from_json(
                     &saved, JOB("\"upscale\":[2],\"steps\":7,\"vae\":{\"colour\":1}"), NULL),
                 RF_OK);
    cr_expect(strstr(rf_saved_job_note(saved, 0), "colour"));
    cr_expect(strstr(rf_saved_job_note(saved, 1), "upscale"));
    cr_expect_null(rf_saved_job_note(saved, 2));
    cr_expect_null(rf_saved_job_note(saved, -1));
    cr_expect_eq(rf_saved_job_get(saved)->steps, 7);
    cr_expect_eq(rf_saved_job_get(saved)->width, rf_job_default().width);
    rf_saved_job_free(saved);
}

Test(job_json, what_json_cannot_hold)
{
    rf_job   job = full;
    rf_error err = {0};
    char    *json = NULL;
    job.rho = INFINITY;
    cr_expect_eq(rf_job_json(&json, &job, 0, &of_full, &err), RF_E_ARG);
    cr_expect(strstr(err.message, "rho is not a finite number"), "%s", err.message);
    job = full, job.s_tmin = NAN;
    cr_expect_eq(rf_job_json(&json, &job, 0, &of_full, &err), RF_E_ARG);
    job = full, job.sampler = "\xFF";
    cr_expect_eq(rf_job_json(&json, &job, 0, &of_full, &err), RF_E_ARG);
    cr_expect(strstr(err.message, "sampler is not UTF-8 text"), "%s", err.message);
    cr_expect_null(json);
}

/* Of a picture made on a GPU: which table chose its kernels.  Of others not a byte. */
Test(job_json, the_choice_table_is_told_where_there_is_one)
{
    char         *json = NULL, *without = NULL;
    rf_saved_job *saved = NULL;
    rf_job_files  with = of_full;
    cr_assert_eq(rf_job_json(&without, &full, 0, &with, NULL), RF_OK);
    cr_expect_null(strstr(without, "choice_table"));
    with.choice_table = HASH;
    cr_assert_eq(rf_job_json(&json, &full, 0, &with, NULL), RF_OK);
    cr_expect_not_null(strstr(json, "\"choice_table\":\"" HASH "\""));
    cr_assert_eq(rf_saved_job_from_json(&saved, json, NULL), RF_OK);
    cr_expect_null(rf_saved_job_note(saved, 0), "a known field");
    rf_saved_job_free(saved);
    free(json);
    free(without);
}
