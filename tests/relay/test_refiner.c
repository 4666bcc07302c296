/* A base and Stability's refiner in one relay: kinds of expert that differ in everything share a
 * slab, a tree and its launches, and every picture has the bytes that its job gives alone. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/synth.h"
#include "tests/files/fixture.h"
#include "tests/model/golden.h"
#include "tests/relay/loras.h"
#include "tests/relay/sweeps.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

/* expert[0]: a base; expert[1]: a refiner. */
static void open_both(relays *r, const rf_options *options)
{
    *r = (relays){.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F16)}};
    relays_start(r, options);
}

static rf_stage stage_of(const relays *r, int expert, double until)
{
    return (rf_stage){.expert = r->expert[expert],
                      .until = until,
                      .prompt = "a (cat:1.2)",
                      .negative = "dog",
                      .cfg_scale = 3};
}

/* ---- memory ------------------------------------------------------------------------------- */

static rf_plan_info info_of(relays *r, const rf_stage *stages, int count)
{
    const rf_job job = relays_job(stages, count, 2);
    rf_plan     *plan = relays_plan(r, &job);
    rf_plan_info info;
    rf_plan_get_info(plan, &info);
    rf_plan_destroy(plan);
    return info;
}

Test(refiner, slab_is_the_larger_one, .timeout = 60)
{
    relays r;
    open_both(&r, NULL);
    const rf_stage     both[] = {stage_of(&r, 0, 0.5), stage_of(&r, 1, 1)};
    const rf_plan_info base = info_of(&r, &both[0], 1), refiner = info_of(&r, &both[1], 1);
    const rf_plan_info relay = info_of(&r, both, 2);
    cr_expect_gt(refiner.unet_slab_bytes, base.unet_slab_bytes);
    cr_expect_eq(relay.unet_slab_bytes, refiner.unet_slab_bytes);
    cr_expect_eq(relay.slab_bytes,
                 base.slab_bytes > refiner.slab_bytes ? base.slab_bytes : refiner.slab_bytes);
    cr_expect_eq(relay.unet_bytes, base.unet_bytes + refiner.unet_bytes);
    cr_expect_eq(relay.text_bytes,
                 base.text_bytes > refiner.text_bytes ? base.text_bytes : refiner.text_bytes);
    relays_close(&r);
}

/* ---- the same bytes ----------------------------------------------------------------------- */

static void four_at_once_and_alone(relays *r, const char *sampler)
{
    const rf_stage stages[] = {stage_of(r, 0, 0.5), stage_of(r, 1, 1)};
    rf_job         job = relays_job(stages, 2, 2);
    pictures       four, one;
    job.sampler = sampler;
    job.sigma_min = 5; /* few calls of DPM adaptive */
    job.count = job.batch = 4;
    relays_render(r, &job, &four);
    job.seed += 3;
    job.count = job.batch = 1;
    relays_render(r, &job, &one);
    cr_expect(pictures_equal(&four, 3, &one, 0), "%s", sampler);
    cr_expect_not(pictures_equal(&four, 2, &one, 0), "%s", sampler);
    pictures_free(&four);
    pictures_free(&one);
}

Test(refiner, batches_change_nothing, .timeout = 120)
{
    static const char *const samplers[] = {"Euler a", "DPM++ 2M", "DPM adaptive"};
    relays                   r;
    open_both(&r, &bf16);
    for (int i = 0; i < 3; i++) four_at_once_and_alone(&r, samplers[i]);
    relays_close(&r);
}

/* Switch points, scores and both orders in one tree. */
static void check_tree(relays *r)
{
    enum { JOBS = 6, STAGES = 3 };
    static const int order[JOBS][STAGES] = {{0, 1, -1}, {0, 1, -1}, {1, 0, -1},
                                            {0, -1, 0}, {1, -1, 0}, {0, 1, 0}};
    rf_stage         stage[JOBS][STAGES];
    rf_job           job[JOBS];
    rf_error         err = {0};
    sweep           *s = malloc(sizeof *s);
    for (int i = 0; i < JOBS; i++) {
        int count = 0;
        for (; count < STAGES && order[i][count] >= 0; count++)
            stage[i][count] = stage_of(r, order[i][count], (i == 1 ? 2.0 : 1.0) / 3 * (count + 1));
        job[i] = relays_job(stage[i], count, 3);
        job[i].batch = 3;
        if (i == 1) job[i].aesthetic = 8;
    }
    must(sweep_run(r, job, JOBS, -1, 0, s, &err), &err);
    sweep_expect_alone(r, job, JOBS, s, "a tree of both kinds");
    sweep_free(s, JOBS);
    free(s);
}

Test(refiner, shared_prefixes_change_nothing, .timeout = 120)
{
    relays r;
    open_both(&r, &bf16);
    check_tree(&r);
    relays_close(&r);
}

Test(refiner, turns_change_nothing, .timeout = 120)
{
    relays   r = {.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F16)}};
    pictures p[2];
    for (int i = 0; i < 2; i++) {
        relays_start(
            &r, &(rf_options){.dtype = "bf16", .threads = 1, .memory = (uint64_t)i, .kv_pool = 1});
        const rf_stage stages[] = {stage_of(&r, 0, 1.0 / 3), stage_of(&r, 1, 2.0 / 3),
                                   stage_of(&r, 0, 1)};
        const rf_job   job = relays_job(stages, 3, 3);
        relays_render(&r, &job, &p[i]);
        cr_expect_eq(r.expert[0]->unet_loads + r.expert[1]->unet_loads, i ? 3 : 2, "%d %d %d", i,
                     (int)r.expert[0]->unet_loads, (int)r.expert[1]->unet_loads);
        relays_stop(&r);
    }
    pictures_expect_equal(&p[0], &p[1], "in turns", 0);
    for (int i = 0; i < 2; i++) {
        pictures_free(&p[i]);
        remove_tiny(r.path[i]);
    }
}

/* ---- what the refiner is told -------------------------------------------------------------- */

typedef struct scores {
    double high, low;
} scores;

static void draw(relays *r, int expert, float cfg, const char *sampler, scores s, pictures *out)
{
    rf_stage stage = stage_of(r, expert, 1);
    stage.negative = stage.prompt; /* one conditioning, told two scores */
    stage.cfg_scale = cfg;
    rf_job job = relays_job(&stage, 1, 1);
    job.sampler = sampler;
    job.sigma_min = 10; /* few calls of DPM adaptive */
    job.aesthetic = s.high;
    job.aesthetic_negative = s.low;
    relays_render(r, &job, out);
}

/* Whether two pictures of an expert that is told other scores are the same. */
typedef struct telling {
    int         expert;
    float       cfg;
    const char *sampler;
    scores      a, b;
    int         same;
} telling;

Test(refiner, is_told_scores, .timeout = 120)
{
    static const telling rows[] = {
        {1, 3, "Euler", {0, 0}, {6, 2.5}, 1},
        {1, 3, "Euler", {6, 2.5}, {7, 2.5}, 0},
        {1, 3, "Euler", {6, 2.5}, {6, 6}, 0},
        {1, 1, "Euler", {6, 2.5}, {6, 6}, 1}, /* no negative prompt */
        {0, 3, "Euler", {6, 2.5}, {9, 1}, 1}, /* the base is told none */
        {1, 3, "DPM adaptive", {6, 2.5}, {6, 6}, 0},
    };
    relays r;
    open_both(&r, &bf16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const telling *t = &rows[i];
        pictures       x, y;
        draw(&r, t->expert, t->cfg, t->sampler, t->a, &x);
        draw(&r, t->expert, t->cfg, t->sampler, t->b, &y);
        cr_expect_eq(pictures_equal(&x, 0, &y, 0), t->same, "row %zu", i);
        pictures_free(&x);
        pictures_free(&y);
    }
    relays_close(&r);
}

/* Jobs that differ in scores alone share all calls of the base. */
Test(refiner, scores_leave_the_base_shared, .timeout = 60)
{
    relays r;
    open_both(&r, &bf16);
    const rf_stage stages[] = {stage_of(&r, 0, 0.75), stage_of(&r, 1, 1)};
    rf_job         job[] = {relays_job(stages, 2, 4), relays_job(stages, 2, 4)};
    rf_plan       *plan = NULL;
    rf_plan_info   info;
    rf_error       err = {0};
    job[1].aesthetic = 9;
    must(rf_plan_create_many(&plan, r.engine, job, 2, &err), &err);
    rf_plan_get_info(plan, &info);
    cr_expect_eq(info.calls_naive, 8);
    cr_expect_eq(info.calls_shared, 5);
    rf_plan_destroy(plan);
    job[1].aesthetic = 101;
    cr_expect_eq(rf_plan_create(&plan, r.engine, &job[1], &err), RF_E_ARG);
    cr_expect_not_null(strstr(err.message, "aesthetic"), "%s", err.message);
    relays_close(&r);
}

Test(refiner, a_picture_remembers_its_scores, .timeout = 60)
{
    relays r;
    open_both(&r, &bf16);
    const rf_stage stages[] = {stage_of(&r, 0, 0.5), stage_of(&r, 1, 1)};
    rf_job         job = relays_job(stages, 2, 2);
    pictures       first, again;
    rf_saved_job  *saved = NULL;
    rf_error       err = {0};
    job.aesthetic = 7.5, job.aesthetic_negative = 1.25;
    relays_render(&r, &job, &first);
    must(rf_saved_job_from_json(&saved, first.job[0], &err), &err);
    rf_job   replayed = *rf_saved_job_get(saved);
    rf_stage read[] = {replayed.stages[0], replayed.stages[1]};
    for (int i = 0; i < 2; i++) read[i].expert = r.expert[i];
    replayed.stages = read;
    relays_render(&r, &replayed, &again);
    pictures_expect_equal(&first, &again, "replayed", 1);
    rf_saved_job_free(saved);
    pictures_free(&first);
    pictures_free(&again);
    relays_close(&r);
}

/* A1111's ways with prompts, for one encoder as for two. */
Test(refiner, encodes_as_a1111_does, .timeout = 60)
{
    relays r;
    open_both(&r, &bf16);
    const rf_stage plain = {.expert = r.expert[1], .prompt = "a cat", .cfg_scale = 3};
    rf_stage       edited = plain;
    edited.prompt = "a [cat:dog:0.5] BREAK (b:1.3) AND c :0.5";
    rf_job   job = relays_job(&edited, 1, 2);
    pictures p;
    job.compat = "a1111";
    relays_render(&r, &job, &p);
    pictures_free(&p);
    job.stages = &plain; /* the empty negative prompt is all zeros, as the base's */
    rf_plan *plan = relays_plan(&r, &job);
    cr_assert_eq(plan->expert[0].conds, 2);
    cr_expect(!plan->expert[0].cond[0].zero && plan->expert[0].cond[1].zero);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* ---- LoRAs -------------------------------------------------------------------------------- */

static const lora_module made_for_it[] = {
    {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", 128, 128},
    {"lora_unet_down_blocks_2_attentions_0_transformer_blocks_0_attn2_to_k", 256, 64},
    {"unet.up_blocks.1.attentions.2.proj_out", 256, 256},
    {"lora_te2_text_model_encoder_layers_0_self_attn_k_proj", 64, 64},
    {NULL, 0, 0},
};

static const lora_module text_alone[] = {
    {"lora_te1_text_model_encoder_layers_0_mlp_fc1", 256, 64},
    {"lora_te2_text_model_encoder_layers_0_mlp_fc1", 256, 64},
    {"lora_te2_text_model_encoder_layers_1_mlp_fc1", 256, 64},
    {NULL, 0, 0},
};

/* Draws one step of base and refiner, with the LoRA on both. */
static void draw_with(relays *r, const rf_lora_use *use, pictures *out)
{
    rf_stage stages[] = {stage_of(r, 0, 0.5), stage_of(r, 1, 1)};
    for (int i = 0; i < 2; i++) stages[i].loras = use, stages[i].lora_count = use ? 1 : 0;
    const rf_job job = relays_job(stages, 2, 2);
    r->warnings = 0;
    relays_render(r, &job, out);
}

/* It changes the picture, through one of the stages: the other one passes it over. */
static void expect_skipped(relays *r, const char *path, const char *said, const pictures *plain)
{
    const rf_lora_use use = {.path = path, .unet = 1, .text = 1, .everywhere = 1};
    pictures          with;
    draw_with(r, &use, &with);
    cr_assert_eq(r->warnings, 1, "%d: %s; %s", r->warnings, r->warning[0], r->warning[1]);
    cr_expect(strstr(r->warning[0], said), "%s", r->warning[0]);
    cr_expect_not(pictures_equal(plain, 0, &with, 0), "%s", path);
    pictures_free(&with);
}

Test(refiner, loras_stay_with_their_kind, .timeout = 120)
{
    relays r;
    open_both(&r, NULL);
    pictures    plain;
    rf_plan    *plan = NULL;
    rf_error    err = {0};
    const char *own = fixture_path("own.safetensors"), *text = fixture_path("text.safetensors");
    write_lora(own, made_for_it);
    write_lora(text, text_alone);
    draw_with(&r, NULL, &plain);
    expect_skipped(&r, "tests/golden/lora_kinds.safetensors",
                   ": 0 of 20 modules fit the refiner UNet (64 channels): skipped", &plain);
    expect_skipped(&r, own, "own on tiny7: 0 of 3 modules fit the base UNet (32 channels)", &plain);
    expect_skipped(&r, text, "text on tiny-refiner9: 0 of 1 CLIP-L modules fit: skipped", &plain);

    const rf_lora_use base_s = {
        .path = "tests/golden/lora_kinds.safetensors", .unet = 1, .text = 1};
    rf_stage stage = stage_of(&r, 1, 1);
    stage.loras = &base_s, stage.lora_count = 1;
    const rf_job job = relays_job(&stage, 1, 1);
    cr_expect_eq(rf_plan_create(&plan, r.engine, &job, &err), RF_E_MODEL);
    cr_expect(strstr(err.message, "another architecture than tiny-refiner9: 0 of 20"), "%s",
              err.message);
    pictures_free(&plain);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- full size ---------------------------------------------------------------------------- */

/* Of files that have all names and shapes and a hole for data. */
static rf_expert *open_full(relays *r, const char *arch)
{
    rf_sdxl_arch a;
    fixture      f = {0};
    rf_expert   *expert = NULL;
    rf_error     err = {0};
    char         name[64];
    snprintf(name, sizeof name, "%s.safetensors", arch);
    const char *path = fixture_path(name);
    must(rf_synth_arch(&a, arch, &err), &err);
    fixture_layout(&f, &a, "F16", 2, NULL);
    fixture_write(&f, path);
    must(rf_expert_open(&expert, r->engine, path, &err), &err);
    return expert;
}

Test(refiner, full_size_is_planned, .timeout = 60)
{
    relays r;
    open_both(&r, &bf16);
    rf_expert     *base = open_full(&r, "sdxl"), *refiner = open_full(&r, "sdxl-refiner");
    const rf_stage stages[] = {{.expert = base, .until = 0.8, .prompt = "a fox", .cfg_scale = 6},
                               {.expert = refiner, .until = 1, .cfg_scale = -1}};
    rf_job         job = relays_job(stages, 2, 30);
    rf_stage_info  stage;
    rf_plan_info   info;
    job.width = job.height = 1024;
    rf_plan *plan = relays_plan(&r, &job);
    rf_plan_get_info(plan, &info);
    must(rf_plan_get_stage(plan, 1, &stage), NULL);
    cr_expect_eq(stage.weights_bytes / 1000000, 4521, "%zu", stage.weights_bytes);
    cr_expect_eq(info.unet_bytes / 1000000, 9659, "%zu", info.unet_bytes);
    cr_expect_leq(info.unet_slab_bytes, (size_t)260 << 20, "%zu", info.unet_slab_bytes);
    rf_plan_destroy(plan);
    rf_expert_close(refiner);
    rf_expert_close(base);
    relays_close(&r);
    fixture_cleanup();
}
