/* Prompts meet models: edits at the switch, parts of an AND, emphasis, guidance that is skipped. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/relay/relays.h"

enum { STEPS = 4 };

static rf_job relay_of(rf_stage stage[2], const relays *r, const char *prompt)
{
    stage[0] = (rf_stage){
        .expert = r->expert[0], .until = 0.5, .prompt = prompt, .negative = "bad", .cfg_scale = 4};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = -1};
    return relays_job(stage, 2, STEPS);
}

static double difference(const pictures *a, const pictures *b)
{
    const size_t elems = (size_t)a->width * (size_t)a->height / 64 * 4;
    double       off = 0, all = 0;
    for (size_t i = 0; i < elems; i++) {
        const double d = (double)a->latent[0][i] - (double)b->latent[0][i];
        off += d * d;
        all += (double)a->latent[0][i] * (double)a->latent[0][i];
    }
    return sqrt(off / all);
}

/* ---- the switch --------------------------------------------------------------------------- */

Test(relay_prompts, switch_is_a_prompt_per_stage, .timeout = 120)
{
    relays   r;
    pictures edited, own;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "[a cat:a (dog:1.3):switch], grass");
    stage[0].negative = "[low:worst:switch] quality";
    relays_render(&r, &job, &edited);
    stage[0].prompt = "a cat, grass";
    stage[0].negative = "low quality";
    stage[1].prompt = "a (dog:1.3), grass";
    stage[1].negative = "worst quality";
    relays_render(&r, &job, &own);
    pictures_expect_equal(&edited, &own, "the keyword and a stage's own prompt", 0);
    cr_expect_eq(r.warnings, 0, "%s", r.warning[0]);
    pictures_free(&edited), pictures_free(&own);
    relays_close(&r);
}

Test(relay_prompts, a_number_equal_to_the_switch_is_the_switch, .timeout = 120)
{
    relays   r;
    pictures word, number;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "[a:b:switch]");
    relays_render(&r, &job, &word);
    stage[0].prompt = "[a:b:0.5]";
    relays_render(&r, &job, &number);
    pictures_expect_equal(&word, &number, "0.5 and switch", 0);
    job.compat = "a1111"; /* one call later there, and after the model */
    pictures old;
    relays_render(&r, &job, &old);
    cr_expect_gt(difference(&word, &old), 0);
    pictures_free(&word), pictures_free(&number), pictures_free(&old);
    relays_close(&r);
}

/* The latent as the refiner takes it over. */
typedef struct handed {
    const rf_plan *plan;
    float          latent[256];
    int            seen;
} handed;

static int look(void *user, const rf_progress *progress)
{
    handed *h = user;
    if (progress->phase != RF_PHASE_DENOISE || progress->stage != 1 || h->seen) return 0;
    memcpy(h->latent, h->plan->slot[RF_SOURCE_X], sizeof h->latent);
    h->seen = 1;
    return 1; /* that is all */
}

static void hand_over(relays *r, const rf_job *job, handed *out)
{
    rf_error err = {0};
    *out = (handed){.plan = relays_plan(r, job)};
    const rf_callbacks callbacks = {.progress = look, .user = out};
    cr_expect_eq(rf_plan_run((rf_plan *)(uintptr_t)out->plan, &callbacks, &err), RF_E_CANCELLED);
    cr_expect_eq(out->seen, 1);
    rf_plan_destroy((rf_plan *)(uintptr_t)out->plan);
}

/* Repaired coupling (A1111 3.2, 3.4): the refiner's words leave the base's part as it was; under
 * compat their emphasis moves the mean of both. */
Test(relay_prompts, the_refiners_words_leave_the_base_alone, .timeout = 240)
{
    relays   r;
    handed   a, b;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, NULL);
    for (int exact = 0; exact < 2; exact++) {
        job.compat = exact ? "a1111" : NULL;
        /* exact: an edit in A1111's own words, past the switch */
        stage[0].prompt = exact ? "(old:1.4) [tree:house:3]" : "(old:1.4) [tree:house:switch]";
        hand_over(&r, &job, &a);
        stage[0].prompt = exact ? "(old:1.4) [tree:(river:1.9) BREAK x:3]"
                                : "(old:1.4) [tree:(river:1.9) BREAK x:switch]";
        hand_over(&r, &job, &b);
        const void *const left = a.latent, *const right = b.latent;
        const int equal = memcmp(left, right, sizeof a.latent) == 0;
        cr_expect_eq(equal, !exact, "%s", exact ? "coupled in A1111" : "each variant alone");
    }
    relays_close(&r);
}

Test(relay_prompts, without_a_hand_over_the_first_text_stays, .timeout = 120)
{
    relays   r;
    pictures edited, plain;
    relays_open(&r, NULL);
    rf_stage stage = {.expert = r.expert[0], .until = 1, .prompt = "[a:b:switch]", .cfg_scale = 4};
    rf_job   job = relays_job(&stage, 1, STEPS);
    relays_render(&r, &job, &edited);
    cr_expect_eq(r.warnings, 1);
    stage.prompt = "a";
    relays_render(&r, &job, &plain);
    pictures_expect_equal(&edited, &plain, "nobody takes over", 0);
    pictures_free(&edited), pictures_free(&plain);
    relays_close(&r);
}

/* ---- AND ---------------------------------------------------------------------------------- */

Test(a1111_2_2, parts_are_weighed, .timeout = 240)
{
    static const struct {
        const char *left, *right;
    } same[] = {
        {"red", "red :0.25 AND red :0.75"},
        {"red", "red AND blue :0"},
        {"red AND blue", "blue AND red"},
        /* more rows than one combination takes */
        {"red", "red :0.1 AND red :0.1 AND red :0.1 AND red :0.1 AND red :0.1 AND red :0.1 AND "
                "red :0.1 AND red :0.1 AND red :0.1 AND red :0.1"},
    };
    relays   r;
    pictures a, b;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        rf_job job = relay_of(stage, &r, same[i].left);
        relays_render(&r, &job, &a);
        stage[0].prompt = same[i].right;
        relays_render(&r, &job, &b);
        cr_expect_lt(difference(&a, &b), 2e-5, "%s and %s: %g", same[i].left, same[i].right,
                     difference(&a, &b));
        pictures_free(&a), pictures_free(&b);
    }
    rf_job job = relay_of(stage, &r, "red AND blue");
    relays_render(&r, &job, &a);
    stage[0].prompt = "red AND blue :0.5";
    relays_render(&r, &job, &b);
    cr_expect_gt(difference(&a, &b), 1e-4);
    pictures_free(&a), pictures_free(&b);
    relays_close(&r);
}

Test(relay_prompts, too_many_parts_are_refused, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    char     text[257 * 6] = "a";
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int parts = 2; parts <= 257; parts++) {
        strcat(text, " AND a");
        if (parts < 256) continue;
        const rf_job    job = relay_of(stage, &r, text);
        rf_plan        *plan = NULL;
        const rf_status st = rf_plan_create(&plan, r.engine, &job, &err);
        cr_expect_eq(st, parts == 256 ? RF_OK : RF_E_ARG, "%d parts: %s", parts, err.message);
        rf_plan_destroy(plan);
    }
    cr_expect_not_null(strstr(err.message, "257"), "%s", err.message);
    relays_close(&r);
}

/* ---- guidance ----------------------------------------------------------------------------- */

Test(a1111_3_6, skipped_guidance_is_none, .timeout = 120)
{
    relays   r;
    pictures skipped[2], none;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "x");
    job.skip_early_cfg = 1;
    relays_render(&r, &job, &skipped[0]);
    job.skip_early_cfg = 0;
    job.s_min_uncond = 100;
    job.s_min_uncond_all = 1;
    relays_render(&r, &job, &skipped[1]);
    job.s_min_uncond = 0;
    stage[0].cfg_scale = 1;
    relays_render(&r, &job, &none);
    for (int i = 0; i < 2; i++) {
        pictures_expect_equal(&skipped[i], &none, "no negative prompt anywhere", 0);
        pictures_free(&skipped[i]);
    }
    pictures_free(&none);

    job = relay_of(stage, &r, "x"); /* every other call: those with odd k */
    job.s_min_uncond = 100;
    rf_plan *plan = relays_plan(&r, &job);
    for (int k = 0; k < STEPS; k++) cr_expect_eq(plan->call[k].rows, k % 2 ? 1 : 2, "call %d", k);
    rf_plan_destroy(plan);
    job.s_min_uncond = 0;
    job.skip_early_cfg = 0.25; /* k / total <= 0.25: calls 0 and 1 */
    plan = relays_plan(&r, &job);
    for (int k = 0; k < STEPS; k++) cr_expect_eq(plan->call[k].rows, k < 2 ? 1 : 2, "call %d", k);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* ---- conditioning ------------------------------------------------------------------------- */

/* Each text once per expert, and none that no call uses. */
Test(relay_prompts, only_what_calls_use_is_encoded, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job   job = relay_of(stage, &r, "[a:b:switch] [c:d:9]");
    rf_plan *plan = relays_plan(&r, &job);
    cr_assert_eq(plan->expert_count, 2);
    for (int i = 0; i < 2; i++) cr_expect_eq(plan->expert[i].conds, 2, "a prompt and a negative");
    rf_plan_destroy(plan);
    stage[0].prompt = "[a|b]";
    plan = relays_plan(&r, &job); /* calls: a a b a */
    cr_expect_eq(plan->expert[0].conds, 2);
    cr_expect_eq(plan->expert[1].conds, 3);
    rf_plan_destroy(plan);
    job.compat = "a1111"; /* there every variant is encoded, for the mean of all: a b a b */
    plan = relays_plan(&r, &job);
    cr_expect_eq(plan->expert[0].groups, 2);
    cr_expect_eq(plan->expert[0].conds, STEPS + 1);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* A1111 3.5: only a negative prompt that is "" in every variant is zeros. */
Test(a1111_3_5, empty_negative, .timeout = 120)
{
    static const struct {
        const char *negative;
        int         zero;
    } rows[] = {{"", 1}, {" ", 0}, {"x", 0}};
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_job job = relay_of(stage, &r, "");
        stage[0].negative = rows[i].negative;
        rf_plan *plan = relays_plan(&r, &job);
        cr_expect_eq(plan->expert[0].cond[0].zero, 0, "an empty positive one is encoded");
        cr_expect_eq(plan->expert[0].cond[1].zero, rows[i].zero, "\"%s\"", rows[i].negative);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

Test(relay_prompts, emphasis_modes_differ, .timeout = 240)
{
    static const char *const mode[] = {"Original", "No norm", "Ignore", "None"};
    relays                   r;
    pictures                 p[4];
    rf_stage                 stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "(red:1.5) house");
    for (int i = 0; i < 4; i++) {
        job.emphasis = mode[i];
        relays_render(&r, &job, &p[i]);
        for (int j = 0; j < i; j++)
            cr_expect_gt(difference(&p[j], &p[i]), 0, "%s and %s", mode[j], mode[i]);
    }
    pictures plain;
    stage[0].prompt = "red house";
    relays_render(&r, &job, &plain);
    pictures_expect_equal(&p[2], &plain, "Ignore", 0);
    job.emphasis = "Original"; /* weights of 1 change no bit */
    stage[0].prompt = "(red:1.0) house";
    pictures_free(&plain);
    stage[0].prompt = "(red house:1)";
    relays_render(&r, &job, &plain);
    pictures_expect_equal(&p[2], &plain, "weight 1", 0);
    for (int i = 0; i < 4; i++) pictures_free(&p[i]);
    pictures_free(&plain);
    relays_close(&r);
}

Test(a1111_3_3, clip_skip, .timeout = 240)
{
    relays   r;
    pictures p[4];
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "x");
    for (int i = 0; i < 4; i++) { /* off 1, off 2, on 1, on 2 */
        job.clip_l_skip = i / 2;
        job.clip_skip = i % 2 + 1;
        relays_render(&r, &job, &p[i]);
    }
    pictures_expect_equal(&p[0], &p[1], "SDXL ignores clip skip", 0);
    pictures_expect_equal(&p[0], &p[3], "2 is the penultimate state", 0);
    cr_expect_gt(difference(&p[0], &p[2]), 1e-5);
    for (int i = 0; i < 4; i++) pictures_free(&p[i]);
    relays_close(&r);
}

Test(a1111_3_5, sizes_and_crops, .timeout = 240)
{
    relays   r;
    pictures plain, told, cropped;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, "x");
    relays_render(&r, &job, &plain);
    job.original_width = job.original_height = job.target_width = job.target_height = 64;
    relays_render(&r, &job, &told);
    pictures_expect_equal(&plain, &told, "the picture's own size", 0);
    job.crop_top = 300;
    relays_render(&r, &job, &cropped);
    cr_expect_gt(difference(&plain, &cropped), 1e-6);
    pictures_free(&plain), pictures_free(&told), pictures_free(&cropped);
    relays_close(&r);
}
