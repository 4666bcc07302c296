/* Textual inversions in relays: where their names stand their vectors are read, by the stages that
 * they fit; and a picture's metadata knows them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"
#include "tests/files/fixture.h"
#include "tests/relay/embeddings.h"

static rf_stage stage_of(rf_expert *expert, double until, const char *prompt)
{
    return (rf_stage){
        .expert = expert, .until = until, .prompt = prompt, .negative = "n", .cfg_scale = 4};
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* Prompts with a name in them, and with the words that it stands for. */
static const struct {
    const char *named, *negative, *said, *said_negative;
} prompts[] = {
    {"a mysticthing on a mat", "n", "a red cat on a mat", "n"},
    {"(MysticThing:1.3), photo", "n", "(red cat:1.3), photo", "n"},
    {"a dog", "mysticthing", "a dog", "red cat"},
    {"mysticthing and mysticthing", "ugly mysticthing", "red cat and red cat", "ugly red cat"},
    {"a BREAK mysticthing [b:mysticthing:0.5]", "n", "a BREAK red cat [b:red cat:0.5]", "n"},
};
enum { PROMPTS = sizeof prompts / sizeof *prompts };

Test(inversions, a_name_reads_its_vectors, .timeout = 120)
{
    relays r;
    relays_open(&r, NULL);
    char *path = strdup(fixture_path("mysticthing.safetensors"));
    write_inversion(&r, r.expert[0], "red cat", path);
    const rf_embedding_use use = {.path = path};
    for (int i = 0; i < PROMPTS; i++) {
        pictures named = {0}, said = {0};
        rf_stage stage = stage_of(r.expert[0], 1, prompts[i].named);
        stage.negative = prompts[i].negative;
        rf_job job = relays_job(&stage, 1, 2);
        job.embeddings = &use, job.embedding_count = 1;
        relays_render(&r, &job, &named);
        stage.prompt = prompts[i].said, stage.negative = prompts[i].said_negative;
        job.embedding_count = 0;
        relays_render(&r, &job, &said);
        pictures_expect_equal(&named, &said, prompts[i].named, 0);
        pictures_free(&named);
        pictures_free(&said);
    }
    cr_expect_eq(r.warnings, 0);
    free(path);
    relays_close(&r);
    fixture_cleanup();
}

/* In a relay each expert reads the same vectors; batches and shared prefixes change nothing. */
Test(inversions, batches_and_relays_agree, .timeout = 120)
{
    relays r;
    relays_open(&r, NULL);
    char *path = strdup(fixture_path("style.safetensors"));
    write_inversion(&r, r.expert[1], "blue sky over sea", path);
    const rf_embedding_use use = {.path = path, .name = "zzstyle"};
    const rf_stage         stages[] = {stage_of(r.expert[0], 0.5, "zzstyle, house"),
                                       stage_of(r.expert[1], 1, "zzstyle, garden")};
    rf_job                 job = relays_job(stages, 2, 4);
    pictures               one = {0}, four = {0}, without = {0};
    job.embeddings = &use, job.embedding_count = 1, job.count = 4;
    relays_render(&r, &job, &one);
    job.batch = 4;
    relays_render(&r, &job, &four);
    pictures_expect_equal(&one, &four, "batch 4", 1);
    job.embedding_count = 0;
    relays_render(&r, &job, &without);
    cr_expect_not(pictures_equal(&one, 0, &without, 0), "the name alone gives the same picture");
    pictures_free(&one);
    pictures_free(&four);
    pictures_free(&without);
    free(path);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- LoRAs that bring some ---------------------------------------------------------------- */

Test(inversions, a_lora_brings_its_own_to_its_stage, .timeout = 120)
{
    relays r;
    relays_open(&r, NULL);
    float    *vector[2];
    char     *path = strdup(fixture_path("bundle.safetensors"));
    const int count = word_vectors(&r, r.expert[0], "red cat", vector);
    const int inner = r.expert[0]->arch.clip_l.width, outer = r.expert[0]->arch.clip_g.width;
    float    *zero = calloc(4096, sizeof *zero);
    write_tensors(
        path,
        (tensor_text[]){{"bundle_emb.trigword.clip_g", count, outer, vector[1]},
                        {"bundle_emb.trigword.clip_l", count, inner, vector[0]},
                        {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
                         1, inner, zero},
                        {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight",
                         inner, 1, zero},
                        {0}});
    const rf_lora_use lora = {.path = path, .unet = 1, .text = 1};
    rf_stage          stages[] = {stage_of(r.expert[0], 0.5, "a trigword"),
                                  stage_of(r.expert[1], 1, "a trigword")};
    rf_job            job = relays_job(stages, 2, 2);
    pictures          named = {0}, said = {0};
    stages[0].loras = &lora, stages[0].lora_count = 1;
    relays_render(&r, &job, &named);
    stages[0].prompt = "a red cat"; /* the other stage does not know the name */
    relays_render(&r, &job, &said);
    pictures_expect_equal(&named, &said, "bundled", 0);
    pictures_free(&named);
    pictures_free(&said);
    free(vector[0]);
    free(vector[1]);
    free(zero);
    free(path);
    relays_close(&r);
    fixture_cleanup();
}

/* One job's LoRA is another job's embedding: the second is hashed, and refused if it is none. */
Test(inversions, a_lora_of_one_job_is_listed_by_another, .timeout = 60)
{
    static const float zero[4096] = {0};
    relays             r;
    relays_open(&r, NULL);
    const int   l = r.expert[0]->arch.clip_l.width, g = r.expert[0]->arch.clip_g.width;
    const char *path = fixture_path("both.safetensors");
    const char *down = "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight";
    const char *up = "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight";
    const rf_lora_use      lora = {.path = path, .unet = 1, .text = 1};
    const rf_embedding_use use = {.path = path};
    rf_stage stage[2] = {stage_of(r.expert[0], 1, "a"), stage_of(r.expert[0], 1, "a")};
    rf_job   job[2] = {relays_job(&stage[0], 1, 1), relays_job(&stage[1], 1, 1)};
    stage[0].loras = &lora, stage[0].lora_count = 1;
    job[1].embeddings = &use, job[1].embedding_count = 1;
    for (int good = 0; good < 2; good++) {
        rf_plan  *plan = NULL;
        rf_error  err = {0};
        const int other = good ? g : 8;
        write_tensors(path, (tensor_text[]){{good ? "bundle_emb.word.clip_g"
                                                  : "bundle_emb.word.string_to_param.*",
                                             1, other, zero},
                                            {"bundle_emb.word.clip_l", 1, l, zero},
                                            {down, 1, l, zero},
                                            {up, l, 1, zero},
                                            {0}});
        cr_expect_eq(rf_plan_create_many(&plan, r.engine, job, 2, &err), good ? RF_OK : RF_E_MODEL,
                     "%s", err.message);
        if (good) cr_expect_eq(strlen(rf_inversions_find(&plan->inversions, path)->sha256), 64u);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
    fixture_cleanup();
}

/* ---- metadata ----------------------------------------------------------------------------- */

Test(inversions, pictures_know_them, .timeout = 60)
{
    relays r;
    relays_open(&r, NULL);
    char *path = strdup(fixture_path("mysticthing.safetensors"));
    write_inversion(&r, r.expert[0], "red cat", path);
    const rf_embedding_use use = {.path = path, .name = "other name"};
    const rf_stage         stage = stage_of(r.expert[0], 1, "an other name");
    rf_job                 job = relays_job(&stage, 1, 1);
    pictures               p = {0};
    rf_saved_job          *saved = NULL;
    rf_error               err = {0};
    job.embeddings = &use, job.embedding_count = 1;
    relays_render(&r, &job, &p);
    cr_expect_not_null(strstr(p.parameters[0], "TI hashes: \"other name: "), "%s", p.parameters[0]);
    must(rf_saved_job_from_json(&saved, p.job[0], &err), &err);
    const rf_job *read = rf_saved_job_get(saved);
    cr_assert_eq(read->embedding_count, 1);
    cr_expect_str_eq(read->embeddings[0].path, path);
    cr_expect_str_eq(read->embeddings[0].name, "other name");
    cr_expect_eq(strlen(rf_saved_job_embedding(saved, 0).sha256), 64u);
    cr_expect_str_eq(rf_saved_job_embedding(saved, 0).name, "mysticthing"); /* the file's */
    cr_expect_null(rf_saved_job_embedding(saved, 1).path);
    rf_saved_job_free(saved);
    pictures_free(&p);
    free(path);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void expect_refusal(relays *r, const rf_embedding_use *use, int count, rf_status want,
                           const char *piece)
{
    const rf_stage stage = stage_of(r->expert[0], 1, "a");
    rf_job         job = relays_job(&stage, 1, 1);
    rf_plan       *plan = NULL;
    rf_error       err = {0};
    job.embeddings = use, job.embedding_count = count;
    cr_expect_eq(rf_plan_create(&plan, r->engine, &job, &err), want, "%s", err.message);
    cr_expect_not_null(strstr(err.message, piece), "%s", err.message);
    cr_expect_null(plan);
}

Test(inversions, what_does_not_fit_is_refused, .timeout = 60)
{
    static const float value[80 * 12] = {0};
    static const float bad[8] = {0, INFINITY};
    relays             r;
    relays_open(&r, NULL);
    const int l = r.expert[0]->arch.clip_l.width, g = r.expert[0]->arch.clip_g.width;
    const struct {
        tensor_text tensor[3];
        rf_status   status;
        const char *piece;
    } files[] = {
        {{{"clip_l", 1, 12, value}, {"clip_g", 1, 8, value}}, RF_E_MODEL, "fits no stage"},
        {{{"clip_l", 1, l, value}}, RF_E_MODEL, "fits no stage"},
        {{{"emb_params", 1, 12, value}}, RF_E_MODEL, "SD 1.x"},
        {{{"something", 1, 12, value}}, RF_E_MODEL, "no textual inversion"},
        {{{"clip_l", 76, 4, value}, {"clip_g", 76, 8, value}}, RF_E_MODEL, "1 to 75 vectors"},
        {{{"clip_l", 1, 8, value}, {"clip_g", 2, 8, value}}, RF_E_MODEL, "1 vectors and"},
        {{{"clip_l", 1, 8, bad}, {"clip_g", 1, 8, value}}, RF_E_MODEL, "finite"},
        {{{"bundle_emb.x.string_to_param.*", 1, 12, value}}, RF_E_MODEL, "no encoder of SDXL"},
    };
    cr_assert_lt(g, 4096);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = fixture_path("bad.safetensors");
        write_tensors(path, files[i].tensor);
        expect_refusal(&r, &(rf_embedding_use){.path = path}, 1, files[i].status, files[i].piece);
    }
    char *path = strdup(fixture_path("good.safetensors"));
    write_inversion(&r, r.expert[0], "red cat", path);
    expect_refusal(&r, (rf_embedding_use[]){{.path = path}, {.path = path, .name = "GOOD"}}, 2,
                   RF_E_ARG, "two embeddings");
    expect_refusal(&r, &(rf_embedding_use){.path = path, .name = " "}, 1, RF_E_ARG, "no prompt");
    expect_refusal(&r, &(rf_embedding_use){.path = NULL}, 1, RF_E_ARG, "has no path");
    expect_refusal(&r, &(rf_embedding_use){.path = "/none.safetensors"}, 1, RF_E_NOT_FOUND, "none");
    expect_refusal(&r, &(rf_embedding_use){.path = path}, 1025, RF_E_ARG, "embedding_count");
    free(path);
    relays_close(&r);
    fixture_cleanup();
}
