/* The two experts that ship: what they draw stays as good as it was, on every level and in every
 * type.  Scores are bounded, not pixels: those may change in their last bits with a library.  Under
 * sanitizers one prompt is drawn, in minutes else, and only the style is looked at. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"
#include "tools/measure/figures.h"
#include "tools/measure/prompt_plan.h"
#include "tools/recipes.h"

static const char PROMPTS[] = RF_ROOT "/docs/demo/prompts.txt";
static const char JUDGE[] = RF_ROOT "/tools/judge/judge.safetensors";

static rf_asked *asked;
static size_t    count;

static void set_up(void)
{
    rf_error err = {0};
    rf_spawn_enter_folder();
    cr_assert_eq(rf_asked_read(&asked, &count, PROMPTS, &err), RF_OK, "%s", err.message);
}

static void tear_down(void)
{
    rf_asked_free(asked, count);
    rf_spawn_leave_folder();
}

TestSuite(demo_experts, .init = set_up, .fini = tear_down, .timeout = 560);

#ifdef RF_SANITIZE
enum { TYPES = 1, SOME = 1, SANITIZED = 1 };
#else
enum { TYPES = 2, SOME = 12, SANITIZED = 0 };
#endif

/* ---- the recipe --------------------------------------------------------------------------- */

enum { POINTS = 4, BASE_ALONE = POINTS - 1 };

static double mean(const rf_measurement *m, int point, int what)
{
    return rf_figure_of(m->outcome + (size_t)point * m->prompts, NULL, m->prompts, what).mean;
}

/* As the README has it: a sweep, and the judge on its folder. */
static void sweep_and_measure(rf_measurement *m, const char *dtype)
{
    static rf_spawned r;
    rf_error          err = {0};
    char              command[1000];
    size_t           *order = calloc(count, sizeof *order);
    FILE             *plan = fopen("plan.json", "w");
    cr_assert(order && plan);
    cr_assert_eq(rf_prompts_order(order, asked, count, &err), RF_OK);
    cr_assert_eq(rf_prompt_plan_print(plan, asked, count, SOME, "0, 0.4, 0.6, 1", NULL, &err),
                 RF_OK, "%s", err.message);
    fclose(plan);
    snprintf(command, sizeof command,
             "sweep --base " RF_DEMO "/base.safetensors --refiner " RF_DEMO "/refiner.safetensors "
             "--recipe pony-animagine --size 128x128 --plan plan.json '%s' --seed 1 --batch 4 "
             "--threads 2 --dtype %s --output %s --no-grid --no-report -q",
             asked[order[0]].prompt, dtype, dtype);
    free(order);
    rf_spawn_expect(&r, command, 0, "");
    const rf_measure_options o = {
        .folder = dtype, .judge = JUDGE, .asked = asked, .asked_count = count};
    cr_assert_eq(rf_measure(m, &o, &err), RF_OK, "%s", err.message);
    cr_assert(m->points == POINTS && m->prompts == SOME);
    cr_expect_str_eq(m->dtype, dtype);
    for (int i = 0; i < POINTS; i++)
        printf("%s: switch at %.2f: content %.3f, style %.3f\n", dtype, m->point[i],
               mean(m, i, RF_CONTENT), mean(m, i, RF_STYLE));
}

/* Its claim on twelve prompts: with the switch in between, the base's content in the refiner's
 * style. */
Test(demo_experts, recipe_holds)
{
    static const char *const dtypes[] = {"f32", "bf16"};
    for (int i = 0; i < TYPES; i++) {
        rf_measurement m;
        sweep_and_measure(&m, dtypes[i]);
        cr_expect_leq(mean(&m, BASE_ALONE, RF_STYLE), 0.1);
        cr_expect(SANITIZED || mean(&m, BASE_ALONE, RF_CONTENT) >= 0.88);
        cr_expect(SANITIZED || mean(&m, 0, RF_CONTENT) <= mean(&m, BASE_ALONE, RF_CONTENT) - 0.05);
        for (int k = 0; k < BASE_ALONE; k++) {
            cr_expect_geq(mean(&m, k, RF_STYLE), 0.9);
            cr_expect(SANITIZED || k == 0 || mean(&m, k, RF_CONTENT) >= 0.88);
        }
        rf_measurement_release(&m);
    }
}

/* ---- the reference kernels ---------------------------------------------------------------- */

#ifndef RF_SANITIZE
static rf_status judge_it(void *user, const rf_image *image, rf_error *err)
{
    rf_judge  *judge = NULL;
    rf_reading reading;
    int        right[RF_ATTRIBUTES];
    (void)user;
    cr_assert_eq(rf_judge_open(&judge, JUDGE, err), RF_OK);
    rf_judge_read(judge, image->rgb, &reading);
    rf_scene_grade(right, &asked[0].scene, &reading);
    printf("ref: content %.3f, style %.3f\n", rf_content_score(right), reading.style);
    cr_expect_geq(rf_content_score(right), 0.9);
    cr_expect_leq(reading.style, 0.2);
    rf_judge_close(judge);
    return RF_OK;
}

/* They take seconds for a step: few steps, one prompt, base alone. */
Test(demo_experts, reference_level_draws_it_too)
{
    const rf_recipe     *recipe = rf_recipe_find("pony-animagine");
    const rf_recipe_tags tags = {.common = asked[0].prompt, .when = "switch"},
                         none = {.when = "switch"};
    const rf_options options = {.level = "ref", .dtype = "f32", .threads = 2};
    rf_trouble       trouble = {0};
    rf_error         err = {0};
    char            *text[2] = {0};
    rf_engine       *engine = NULL;
    rf_expert       *base = NULL;
    rf_plan         *plan = NULL;
    cr_assert_eq(rf_recipe_text(&text[0], recipe->prompt, &tags, &trouble), RF_OK);
    cr_assert_eq(rf_recipe_text(&text[1], recipe->negative, &none, &trouble), RF_OK);
    cr_assert_eq(rf_engine_create(&engine, &options, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_expert_open(&base, engine, RF_DEMO "/base.safetensors", &err), RF_OK);
    const rf_stage stage = {.expert = base,
                            .until = 1,
                            .prompt = text[0],
                            .negative = text[1],
                            .cfg_scale = (float)recipe->cfg_scale};
    rf_job         job = rf_job_default();
    job.stages = &stage, job.stage_count = 1;
    job.sampler = recipe->sampler;
    job.steps = 8;
    job.width = job.height = RF_SIDE;
    job.seed = 1;
    cr_assert_eq(rf_plan_create(&plan, engine, &job, &err), RF_OK, "%s", err.message);
    const rf_callbacks callbacks = {.image = judge_it};
    cr_expect_eq(rf_plan_run(plan, &callbacks, &err), RF_OK, "%s", err.message);
    rf_plan_destroy(plan);
    rf_expert_close(base);
    rf_engine_destroy(engine);
    for (int i = 0; i < 2; i++) free(text[i]);
}
#endif
