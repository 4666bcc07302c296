/* LoRAs in relays: merged into the expert of their stage and no other, shared where they are the
 * same, changed without leaving a trace, and refused while planning where they do not fit. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/hash.h"
#include "tests/files/fixture.h"
#include "tests/model/golden.h"
#include "tests/relay/loras.h"
#include "tests/relay/sweeps.h"

#define KINDS "tests/golden/lora_kinds.safetensors"
#define OLD   "tests/golden/lora_old.safetensors"

static const rf_lora_use kinds = {.path = KINDS, .unet = 0.7, .text = 0.7};
static const rf_lora_use both[] = {{.path = KINDS, .unet = 0.5, .text = 0.25},
                                   {.path = OLD, .unet = -1, .text = 1}};

static rf_stage stage_of(rf_expert *expert, double until, const rf_lora_use *loras, int count)
{
    return (rf_stage){.expert = expert,
                      .until = until,
                      .prompt = "a (cat:1.2)",
                      .negative = "n",
                      .cfg_scale = 4,
                      .loras = loras,
                      .lora_count = count};
}

/* Three stages, LoRAs on two of them. */
static void relay_of(rf_stage stage[3], const relays *r, const rf_lora_use *last, int count)
{
    stage[0] = stage_of(r->expert[0], 0.3, &kinds, 1);
    stage[1] = stage_of(r->expert[1], 0.6, NULL, 0);
    stage[2] = stage_of(r->expert[0], 1, last, count);
}

static rf_status plan_status(relays *r, const rf_job *job, rf_error *err)
{
    rf_plan        *plan = NULL;
    const rf_status st = rf_plan_create(&plan, r->engine, job, err);
    cr_expect_eq(plan != NULL, st == RF_OK);
    rf_plan_destroy(plan);
    return st;
}

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct digest {
    char hex[RF_SHA256_HEX];
} digest;

static digest digest_of(const rf_expert *e)
{
    digest            d;
    const rf_weights *w = &e->weights[RF_NET_UNET];
    cr_assert_not_null(w->base);
    cr_assert_eq(rf_bytes_sha256(d.hex, w->base, w->bytes, NULL), RF_OK);
    return d;
}

/* Of the UNet that a job's stage had, after running it. */
static digest unet_of(relays *r, const rf_job *job, int stage)
{
    rf_error err = {0};
    rf_plan *plan = relays_plan(r, job);
    must(rf_plan_run(plan, NULL, &err), &err);
    const digest d = digest_of(plan->job[0].job.stages[stage].expert);
    rf_plan_destroy(plan);
    return d;
}

static digest unet_with(relays *r, const rf_lora_use *loras, int count)
{
    const rf_stage stage = stage_of(r->expert[0], 1, loras, count);
    const rf_job   job = relays_job(&stage, 1, 1);
    return unet_of(r, &job, 0);
}

Test(relay_loras, change_their_own_stage_alone, .timeout = 60)
{
    relays   r;
    rf_stage stage[3];
    relays_open(&r, NULL);
    const digest plain = unet_with(&r, NULL, 0);
    relay_of(stage, &r, both, 2);
    const rf_job job = relays_job(stage, 3, 6);
    const digest first = unet_of(&r, &job, 0), last = unet_of(&r, &job, 2);
    const digest middle = unet_of(&r, &job, 1);
    stage[0].lora_count = stage[2].lora_count = 0;
    cr_expect_str_eq(unet_of(&r, &job, 1).hex, middle.hex);
    cr_expect_str_eq(unet_of(&r, &job, 0).hex, plain.hex, "the file's own weights are back");
    cr_expect_str_neq(first.hex, plain.hex);
    cr_expect_str_neq(last.hex, plain.hex);
    cr_expect_str_neq(last.hex, first.hex);
    relays_close(&r);
}

Test(relay_loras, unet_and_text_are_apart, .timeout = 60)
{
    relays            r;
    pictures          out[4];
    const rf_lora_use use[4] = {{.path = KINDS, .unet = 0, .text = 0},
                                {.path = KINDS, .unet = 1, .text = 0},
                                {.path = KINDS, .unet = 0, .text = 1},
                                {.path = KINDS, .unet = 1, .text = 1}};
    relays_open(&r, NULL);
    const digest plain = unet_with(&r, NULL, 0);
    for (int i = 0; i < 4; i++) {
        const rf_stage stage = stage_of(r.expert[0], 1, &use[i], 1);
        const rf_job   job = relays_job(&stage, 1, 2);
        const int      same = strcmp(unet_of(&r, &job, 0).hex, plain.hex) == 0;
        cr_expect_eq(same, use[i].unet == 0, "case %d", i);
        relays_render(&r, &job, &out[i]);
        for (int k = 0; k < i; k++)
            cr_expect_not(pictures_equal(&out[i], 0, &out[k], 0), "%d equals %d", i, k);
    }
    for (int i = 0; i < 4; i++) pictures_free(&out[i]);
    relays_close(&r);
}

/* So many strengths, one after the other, in the memory of one. */
static void change_often(const rf_options *options, int changes)
{
    relays r = {.path = {make_tiny(7), make_tiny(8)}};
    size_t held = 0;
    char   last[RF_SHA256_HEX], plain[RF_SHA256_HEX];
    relays_start(&r, options);
    for (int i = 0; i < changes; i++) {
        const rf_lora_use use[2] = {{.path = KINDS, .unet = 0.01 * (i + 1), .text = 0.5},
                                    {.path = OLD, .unet = i % 3, .text = 0}};
        memcpy(last, unet_with(&r, use, 1 + i % 2).hex, sizeof last);
        if (i == 0) held = r.engine->device.bytes_held;
        cr_assert_eq(r.engine->device.bytes_held, held, "change %d: %zu bytes", i,
                     r.engine->device.bytes_held);
    }
    memcpy(plain, unet_with(&r, NULL, 0).hex, sizeof plain);
    cr_expect_eq(r.engine->device.bytes_held, held);
    relays_stop(&r);

    const int         end = changes - 1;
    const rf_lora_use fresh[2] = {{.path = KINDS, .unet = 0.01 * changes, .text = 0.5},
                                  {.path = OLD, .unet = end % 3, .text = 0}};
    relays_start(&r, options);
    cr_expect_str_eq(unet_with(&r, NULL, 0).hex, plain, "plain again");
    relays_stop(&r);
    relays_start(&r, options);
    cr_expect_str_eq(unet_with(&r, fresh, 1 + end % 2).hex, last, "as merged afresh");
    relays_stop(&r);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

Test(relay_loras, a_hundred_changes_leave_no_trace, .timeout = 240)
{
    change_often(&(rf_options){.dtype = "bf16", .threads = 1}, 100);
}

Test(relay_loras, nor_in_f32, .timeout = 120)
{
    change_often(&(rf_options){.dtype = "f32", .threads = 1}, 8);
}

/* ---- pictures ----------------------------------------------------------------------------- */

Test(relay_loras, batches_change_nothing, .timeout = 120)
{
    relays   r;
    rf_stage stage[3];
    pictures one, four;
    relays_open(&r, NULL);
    relay_of(stage, &r, both, 2);
    rf_job job = relays_job(stage, 3, 4);
    job.count = 4;
    relays_render(&r, &job, &one);
    job.batch = 4;
    relays_render(&r, &job, &four);
    pictures_expect_equal(&one, &four, "batch", 1);
    pictures_free(&one), pictures_free(&four);
    relays_close(&r);
}

Test(relay_loras, threads_change_nothing, .timeout = 120)
{
    relays r = {.path = {make_tiny(7), make_tiny(8)}};
    digest got[2];
    for (int i = 0; i < 2; i++) {
        relays_start(&r, &(rf_options){.dtype = "f32", .threads = 1 + 2 * i});
        got[i] = unet_with(&r, both, 2);
        relays_stop(&r);
    }
    cr_expect_str_eq(got[0].hex, got[1].hex);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

enum { JOBS = 4 };

/* Switch points and LoRAs of the last stage: prefixes are common, sets are, too. */
static void ask(rf_job job[JOBS], rf_stage stage[JOBS][3], const relays *r)
{
    static const rf_lora_use use[] = {{.path = KINDS, .unet = 0.7, .text = 0.7},
                                      {.path = KINDS, .unet = 0.2, .text = 0.7},
                                      {.path = OLD, .unet = 0.7, .text = 0.7}};
    for (int i = 0; i < JOBS; i++) {
        relay_of(stage[i], r, &use[i % 3], i < 3);
        stage[i][0].until = i < 2 ? 0.25 : 0.5;
        stage[i][1].until = 0.75;
        job[i] = relays_job(stage[i], 3, 4);
    }
}

Test(relay_loras, sharing_prefixes_changes_nothing, .timeout = 240)
{
    static const rf_options options[] = {{.dtype = "f32", .threads = 1},
                                         {.dtype = "f32", .threads = 1, .memory = 1}};
    relays                  r = {.path = {make_tiny(7), make_tiny(8)}};
    rf_stage                stage[JOBS][3];
    rf_job                  job[JOBS];
    rf_error                err = {0};
    for (int i = 0; i < 2; i++) {
        sweep *s = calloc(1, sizeof *s);
        relays_start(&r, &options[i]);
        ask(job, stage, &r);
        must(sweep_run(&r, job, JOBS, -1, 0, s, &err), &err);
        sweep_expect_alone(&r, job, JOBS, s, i ? "in turns" : "resident");
        sweep_free(s, JOBS);
        free(s);
        relays_stop(&r);
    }
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* In turns, relatives load over each other: a fresh block is taken once. */
Test(relay_loras, relatives_take_turns_in_one_block, .timeout = 120)
{
    relays       r = {.path = {make_tiny(7), make_tiny(8)}};
    rf_error     err = {0};
    rf_plan_info info;
    pictures     want, got;
    relays_start(&r, NULL);
    rf_stage stage[3] = {stage_of(r.expert[0], 0.3, &kinds, 1), stage_of(r.expert[0], 0.6, NULL, 0),
                         stage_of(r.expert[0], 1, both, 2)};
    rf_job   job = relays_job(stage, 3, 6);
    relays_render(&r, &job, &want);
    relays_stop(&r);
    relays_start(&r, &(rf_options){.dtype = "f32", .threads = 1, .memory = 1});
    for (int i = 0; i < 3; i++) stage[i].expert = r.expert[0];
    rf_plan *plan = relays_plan(&r, &job);
    rf_plan_get_info(plan, &info);
    cr_expect_eq(info.loads, 3);
    cr_expect_not(info.resident);
    const rf_callbacks callbacks = pictures_into(&got);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect_eq(r.engine->device.bytes_peak, info.peak_bytes, "%zu were held, %zu announced",
                 r.engine->device.bytes_peak, info.peak_bytes);
    pictures_expect_equal(&want, &got, "in turns", 1);
    rf_plan_destroy(plan);
    pictures_free(&want), pictures_free(&got);
    relays_stop(&r);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

Test(relay_loras, equal_sets_are_one_expert, .timeout = 60)
{
    relays            r;
    rf_stage_info     info;
    const rf_lora_use none = {.path = "/not/opened", .unet = 0, .text = 0};
    const rf_lora_use with_none[] = {none, both[0], none, both[1]};
    relays_open(&r, NULL);
    rf_stage stage[4] = {stage_of(r.expert[0], 0.25, both, 2), stage_of(r.expert[0], 0.5, NULL, 0),
                         stage_of(r.expert[0], 0.75, with_none, 4),
                         stage_of(r.expert[0], 1, &none, 1)};
    const rf_job job = relays_job(stage, 4, 8);
    rf_plan     *plan = relays_plan(&r, &job);
    cr_expect_eq(plan->expert_count, 2);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(rf_plan_get_stage(plan, i, &info), RF_OK);
        cr_expect_eq(info.weights_bytes > 0, i < 2, "stage %d", i);
        cr_expect_str_eq(info.expert, rf_expert_name(r.expert[0]));
    }
    cr_expect_eq(plan->vaes, 1);
    cr_expect_eq(plan->unet_bytes, 2 * r.expert[0]->weights[RF_NET_UNET].bytes);
    rf_plan_destroy(plan);
    const rf_lora_use turned[] = {both[1], both[0]};
    stage[2].loras = turned;
    stage[2].lora_count = 2;
    plan = relays_plan(&r, &job);
    cr_expect_eq(plan->expert_count, 3, "the order is part of a set");
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* ---- metadata ----------------------------------------------------------------------------- */

Test(relay_loras, a_picture_says_what_renders_it_again, .timeout = 120)
{
    relays            r;
    rf_error          err = {0};
    rf_stage          stage[3], again[3];
    rf_saved_job     *saved = NULL;
    pictures          first, second;
    const rf_lora_use use[] = {both[0], {.path = "/not/opened"}, both[1]};
    relays_open(&r, NULL);
    relay_of(stage, &r, use, 3);
    rf_job job = relays_job(stage, 3, 5);
    job.count = 2;
    relays_render(&r, &job, &first);
    must(rf_saved_job_from_json(&saved, first.job[1], &err), &err);
    rf_job replay = *rf_saved_job_get(saved);
    for (int i = 0; i < 3; i++) {
        again[i] = replay.stages[i];
        again[i].expert = stage[i].expert;
    }
    replay.stages = again;
    cr_expect_eq(again[1].lora_count, 0);
    cr_assert_eq(again[2].lora_count, 2, "what is not at work is not told");
    cr_expect_eq(again[2].loras[0].unet, 0.5);
    cr_expect_eq(again[2].loras[0].text, 0.25);
    cr_expect_str_eq(again[2].loras[1].path, OLD);
    const rf_file_ref file = rf_saved_job_lora(saved, 2, 1);
    cr_expect_str_eq(file.name, "lora_old");
    cr_expect_eq(strlen(file.sha256), 64u);
    cr_expect_eq(strlen(file.autov3), 64u);
    cr_expect_null(rf_saved_job_lora(saved, 2, 2).name);
    cr_expect_null(rf_saved_job_note(saved, 0));
    relays_render(&r, &replay, &second);
    cr_expect(pictures_equal(&first, 1, &second, 0));
    cr_expect_str_eq(first.parameters[1], second.parameters[0]);
    cr_expect_str_eq(first.job[1], second.job[0]);
    char hashes[128];
    snprintf(hashes, sizeof hashes, "Lora hashes: \"lora_kinds: %.12s, lora_old: %.12s\"",
             rf_saved_job_lora(saved, 0, 0).autov3, file.autov3);
    cr_expect(strstr(first.parameters[0], hashes), "%s", first.parameters[0]);
    rf_saved_job_free(saved);
    pictures_free(&first), pictures_free(&second);
    relays_close(&r);
}

/* ---- what fits ---------------------------------------------------------------------------- */

#define BLOCK "lora_unet_input_blocks_4_1_transformer_blocks_0_"

static const lora_module fitting[] = {{BLOCK "attn1_to_q", 64, 64},
                                      {BLOCK "attn1_to_k", 64, 64},
                                      {"lora_te1_text_model_encoder_layers_0_mlp_fc2", 64, 256},
                                      {NULL, 0, 0}};
static const lora_module partly[] = {{BLOCK "attn1_to_q", 64, 64},
                                     {BLOCK "attn1_to_k", 64, 64},
                                     {BLOCK "attn9_to_k", 64, 64},
                                     {NULL, 0, 0}};
/* As Stability's refiner to the base: one text encoder in common. */
static const lora_module foreign[] = {
    {BLOCK "attn1_to_q", 96, 96},
    {BLOCK "attn1_to_k", 96, 96},
    {"lora_te2_text_model_encoder_layers_1_self_attn_q_proj", 64, 64},
    {NULL, 0, 0}};

static rf_status plan_one(relays *r, const rf_lora_use *use, rf_error *err)
{
    const rf_stage stage = stage_of(r->expert[0], 1, use, 1);
    const rf_job   job = relays_job(&stage, 1, 2);
    r->warnings = 0;
    return plan_status(r, &job, err);
}

Test(relay_loras, counts_are_told, .timeout = 60)
{
    relays       r;
    rf_lora_info info;
    relays_open(&r, NULL);
    write_lora(fixture_path("fits.safetensors"), fitting);
    const rf_lora_use use[] = {{.path = fixture_path("fits.safetensors"), .unet = 1, .text = 1},
                               {.path = KINDS, .unet = 0, .text = 0}};
    const rf_stage    stage[] = {stage_of(r.expert[0], 0.5, use, 2),
                                 stage_of(r.expert[1], 1, &kinds, 1)};
    const rf_job      job = relays_job(stage, 2, 4);
    rf_plan          *plan = relays_plan(&r, &job);
    cr_assert_eq(rf_plan_get_lora(plan, 0, 0, &info), RF_OK);
    cr_expect_str_eq(info.path, use[0].path);
    cr_expect(info.used);
    cr_expect_eq(info.modules[RF_LORA_UNET], 2);
    cr_expect_eq(info.matched[RF_LORA_UNET], 2);
    cr_expect_eq(info.matched[RF_LORA_TE1], 1);
    cr_expect_eq(info.modules[RF_LORA_TE2] + info.modules[RF_LORA_ELSEWHERE], 0);
    cr_assert_eq(rf_plan_get_lora(plan, 0, 1, &info), RF_OK);
    cr_expect_not(info.used);
    cr_assert_eq(rf_plan_get_lora(plan, 1, 0, &info), RF_OK);
    cr_expect_eq(info.matched[RF_LORA_UNET], 20);
    cr_expect_eq(info.matched[RF_LORA_TE2], 3);
    cr_expect_eq(rf_plan_get_lora(plan, 1, 1, &info), RF_E_ARG);
    cr_expect_eq(rf_plan_get_lora(plan, 2, 0, &info), RF_E_ARG);
    cr_expect_eq(rf_plan_get_lora(plan, 0, -1, &info), RF_E_ARG);
    rf_plan_destroy(plan);
    relays_close(&r);
    fixture_cleanup();
}

Test(relay_loras, every_module_must_fit_or_partial, .timeout = 60)
{
    relays      r;
    rf_error    err = {0};
    rf_lora_use use = {.path = fixture_path("part.safetensors"), .unet = 1, .text = 1};
    relays_open(&r, NULL);
    write_lora(use.path, partly);
    for (int everywhere = 0; everywhere < 2; everywhere++) {
        use.everywhere = everywhere;
        use.partial = 0;
        cr_expect_eq(plan_one(&r, &use, &err), RF_E_MODEL);
        cr_expect(strstr(err.message, "2 of 3 modules fit"), "%s", err.message);
        cr_expect(strstr(err.message, "attn9_to_k"), "%s", err.message);
        cr_expect_eq(r.warnings, 0);
        use.partial = 1;
        cr_expect_eq(plan_one(&r, &use, &err), RF_OK);
        cr_expect_eq(r.warnings, 1);
        cr_expect(strstr(r.warning[0], "part: 2 of 3 modules fit"), "%s", r.warning[0]);
    }
    relays_close(&r);
    fixture_cleanup();
}

Test(relay_loras, of_another_architecture, .timeout = 60)
{
    relays      r;
    rf_error    err = {0};
    rf_lora_use use = {.path = fixture_path("other.safetensors"), .unet = 1, .text = 1};
    relays_open(&r, NULL);
    write_lora(use.path, foreign);
    const digest plain = unet_with(&r, NULL, 0);
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_MODEL);
    cr_expect(strstr(err.message, "another architecture"), "%s", err.message);
    cr_expect(strstr(err.message, "0 of 2 UNet modules fit"), "%s", err.message);
    use.everywhere = 1;
    cr_expect_eq(plan_one(&r, &use, &err), RF_OK);
    cr_expect_eq(r.warnings, 1);
    cr_expect(strstr(r.warning[0], "other on tiny7: 0 of 2 modules fit the base UNet (32 "
                                   "channels): skipped"),
              "%s", r.warning[0]);
    cr_expect_str_eq(unet_with(&r, &use, 1).hex, plain.hex);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- what is wrong ------------------------------------------------------------------------ */

Test(relay_loras, damaged_files_are_refused, .timeout = 60)
{
    relays      r;
    rf_error    err = {0};
    rf_lora_use use = {.path = "/no/such/lora.safetensors", .unet = 1, .text = 1, .everywhere = 1};
    char        half[4096];
    FILE       *file = fopen(KINDS, "rb");
    cr_assert_not_null(file);
    cr_assert_eq(fread(half, 1, sizeof half, file), sizeof half);
    fclose(file);
    relays_open(&r, NULL);
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_NOT_FOUND);
    use.path = r.path[0];
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_MODEL, "a checkpoint: %s", err.message);
    use.path = fixture_path("half.safetensors");
    fixture_raw(use.path, half, sizeof half);
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_FORMAT, "%s", err.message);
    use.path = NULL;
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_ARG);
    use.path = KINDS;
    use.unet = 101;
    cr_expect_eq(plan_one(&r, &use, &err), RF_E_ARG);
    cr_expect_str_eq(err.message, "stage 1: LoRA 1: unet is 101; it can be -100 to 100");
    use.unet = 1;
    cr_expect_eq(plan_one(&r, &use, &err), RF_OK, "%s", err.message);
    relays_close(&r);
    fixture_cleanup();
}

/* Shortened between planning and running: an error of the run, and nothing half-merged stays. */
Test(relay_loras, a_file_that_shrinks_is_an_error, .timeout = 60)
{
    relays            r;
    rf_error          err = {0};
    char              path[256];
    const rf_lora_use use = {.path = path, .unet = 1, .text = 0};
    snprintf(path, sizeof path, "%s", fixture_path("shrinks.safetensors"));
    relays_open(&r, NULL);
    write_lora(path, fitting);
    const digest   plain = unet_with(&r, NULL, 0);
    const rf_stage stage = stage_of(r.expert[0], 1, &use, 1);
    const rf_job   job = relays_job(&stage, 1, 1);
    rf_plan       *plan = relays_plan(&r, &job);
    fixture_raw(path, "short", 5);
    cr_expect_eq(rf_plan_run(plan, NULL, &err), RF_E_IO, "%s", err.message);
    cr_expect_null(plan->expert[0].expert->weights[RF_NET_UNET].base);
    write_lora(path, fitting);
    must(rf_plan_run(plan, NULL, &err), &err);
    rf_plan_destroy(plan);
    cr_expect_str_eq(unet_with(&r, NULL, 0).hex, plain.hex);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- strengths as an axis ------------------------------------------------------------------ */

/* Each strength is an expert of its own: of more than a few, one is in memory at a time, without
 * anybody setting a limit, and each is merged once. */
Test(relay_loras, many_strengths_take_the_room_of_one, .timeout = 240)
{
    enum { STRENGTHS = 6, SEEDS = 2, POINTS = STRENGTHS * SEEDS };
    relays       r;
    rf_lora_use  use[STRENGTHS];
    rf_stage     stage[POINTS][2];
    rf_job       job[POINTS];
    rf_error     err = {0};
    rf_plan_info info;
    sweep       *s = calloc(1, sizeof *s);
    relays_open(&r, NULL);
    for (int i = 0; i < POINTS; i++) {
        const int k = i % STRENGTHS;
        use[k] = (rf_lora_use){.path = KINDS, .unet = 0.25 * (k + 1), .text = 1};
        stage[i][0] = stage_of(r.expert[0], 0.5, NULL, 0);
        stage[i][1] = stage_of(r.expert[1], 1, &use[k], 1);
        job[i] = relays_job(stage[i], 2, 2);
        job[i].seed += (uint64_t)(i / STRENGTHS);
        job[i].batch = 4;
    }
    must(rf_plan_create_many(&s->plan, r.engine, job, POINTS, &err), &err);
    rf_plan_get_info(s->plan, &info);
    cr_expect_not(info.resident);
    cr_expect_eq(info.loads, 1 + STRENGTHS, "%d loads", info.loads);
    cr_expect_eq(info.calls_shared, SEEDS + POINTS);
    const rf_callbacks callbacks = sweep_callbacks(s);
    s->poison = -1;
    must(rf_plan_run(s->plan, &callbacks, &err), &err);
    cr_expect_leq(r.engine->device.bytes_peak, info.peak_bytes);
    rf_plan_destroy(s->plan);
    sweep_expect_alone(&r, job, POINTS, s, "strengths");
    sweep_free(s, POINTS);
    free(s);
    rf_plan *few = NULL;
    must(rf_plan_create_many(&few, r.engine, job, 4, &err), &err);
    rf_plan_get_info(few, &info);
    cr_expect(info.resident, "four stay");
    rf_plan_destroy(few);
    relays_close(&r);
}

/* Each expert opens the file for itself: it is one file all the same. */
Test(relay_loras, a_file_of_two_experts_is_hashed_once, .timeout = 60)
{
    relays   r;
    pictures p;
    relays_open(&r, NULL);
    rf_stage stage[2] = {stage_of(r.expert[0], 0.5, &kinds, 1), stage_of(r.expert[1], 1, both, 2)};
    const rf_job job = relays_job(stage, 2, 2);
    relays_render(&r, &job, &p);
    const char *at = strstr(p.parameters[0], "lora_kinds: ");
    cr_assert_not_null(at, "%s", p.parameters[0]);
    cr_expect_null(strstr(at + 1, "lora_kinds: "), "%s", p.parameters[0]);
    cr_expect_not_null(strstr(at, "lora_old: "), "%s", p.parameters[0]);
    pictures_free(&p);
    relays_close(&r);
}
