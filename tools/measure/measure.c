/* The measurement; see measure.h. */
#include "tools/measure/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/refinery.h"
#include "tools/recipes.h"

/* Prompts of one plan: enough to fill its batches. */
enum { TOGETHER = 4 };

typedef struct work {
    const rf_measure_options *o;
    rf_measurement           *m;
    rf_engine                *engine;
    rf_expert                *expert[2];
    rf_judge                 *judge;
    const rf_recipe          *recipe;
    rf_error                 *err;
    size_t                    first, done; /* prompt of the plan at work; jobs finished before it */
} work;

/* ---- one picture -------------------------------------------------------------------------- */

static void add_reading(const work *w, rf_outcome *outcome, const rf_asked *asked,
                        const rf_reading *reading)
{
    int          right[RF_ATTRIBUTES], exact = 1;
    const double share = 1.0 / w->o->seeds;
    rf_scene_grade(right, &asked->scene, reading);
    if (!asked->scene.accessory) right[RF_ACCESSORY] = -1;
    for (int i = 0; i < RF_ATTRIBUTES; i++) {
        exact &= right[i] != 0;
        outcome->right[i] += right[i] >= 0 ? right[i] * share : (double)NAN;
    }
    outcome->content += rf_content_score(right) * share;
    outcome->exact += exact * share;
    outcome->style += reading->style * share;
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    work        *w = user;
    rf_reading   reading;
    const size_t points = (size_t)w->o->points;
    const size_t prompt = w->first + (size_t)image->job_index / points;
    const size_t point = (size_t)image->job_index % points;
    (void)err;
    rf_judge_read(w->judge, image->rgb, &reading);
    add_reading(w, &w->m->outcome[point * w->o->prompts + prompt], &w->o->asked[prompt], &reading);
    if (prompt < (size_t)w->o->shown && image->index == 0)
        memcpy(w->m->pictures + (prompt * points + point) * RF_SIDE * RF_SIDE * 3, image->rgb,
               (size_t)RF_SIDE * RF_SIDE * 3);
    return RF_OK;
}

/* ---- some prompts at all points ----------------------------------------------------------- */

static rf_status recipe_texts(const work *w, const rf_asked *asked, char *texts[2])
{
    rf_status            st = RF_OK;
    rf_trouble           trouble = {0};
    const rf_recipe_tags tags = {.common = asked->prompt, .when = "switch"};
    const rf_recipe_tags none = {.when = "switch"};
    RF_TRY(rf_recipe_text(&texts[0], w->recipe->prompt, &tags, &trouble));
    RF_TRY(rf_recipe_text(&texts[1], w->recipe->negative, &none, &trouble));
done:
    if (st != RF_OK) (void)rf_fail(w->err, st, "%s", trouble.error.message);
    return st;
}

static void make_job(const work *w, rf_job *job, rf_stage stages[2], double point, uint64_t seed,
                     char *const texts[2])
{
    stages[0] = (rf_stage){.expert = w->expert[0],
                           .until = point,
                           .prompt = texts[0],
                           .negative = texts[1],
                           .cfg_scale = (float)w->recipe->cfg_scale};
    stages[1] = (rf_stage){.expert = w->expert[1], .until = 1, .cfg_scale = -1};
    *job = rf_job_default();
    job->stages = stages, job->stage_count = 2;
    job->sampler = w->recipe->sampler;
    job->steps = w->m->steps;
    job->width = job->height = RF_SIDE;
    job->seed = seed;
    job->count = w->o->seeds;
    job->batch = TOGETHER;
}

static int on_progress(void *user, const rf_progress *progress)
{
    const work  *w = user;
    const size_t seeds = (size_t)w->o->seeds;
    return w->o->progress &&
           w->o->progress(w->o->user, w->done + (size_t)progress->pictures_done / seeds,
                          w->o->prompts * (size_t)w->o->points);
}

/* One plan: what the points have in common, which is the base's part, is rendered once. */
static rf_status run_some(work *w, size_t prompts)
{
    rf_status    st = RF_OK;
    rf_plan     *plan = NULL;
    char        *texts[TOGETHER][2] = {{NULL}};
    rf_job       job[TOGETHER * RF_POINTS_MAX];
    rf_stage     stages[TOGETHER * RF_POINTS_MAX][2];
    const size_t points = (size_t)w->o->points;
    for (size_t i = 0; i < prompts; i++) {
        RF_TRY(recipe_texts(w, &w->o->asked[w->first + i], texts[i]));
        for (size_t k = 0; k < points; k++)
            make_job(w, &job[i * points + k], stages[i * points + k], w->o->point[k],
                     1 + (w->first + i) * (uint64_t)w->o->seeds, texts[i]);
    }
    RF_TRY(rf_plan_create_many(&plan, w->engine, job, (int)(prompts * points), w->err));
    const rf_callbacks callbacks = {.progress = on_progress, .image = on_image, .user = w};
    RF_TRY(rf_plan_run(plan, &callbacks, w->err));
done:
    rf_plan_destroy(plan);
    for (size_t i = 0; i < prompts; i++) {
        free(texts[i][0]);
        free(texts[i][1]);
    }
    return st;
}

static rf_status run_all(work *w)
{
    rf_status    st = RF_OK;
    const size_t prompts = w->o->prompts, points = (size_t)w->o->points;
    for (w->first = 0; w->first < prompts; w->first += TOGETHER) {
        const size_t left = prompts - w->first;
        RF_TRY(run_some(w, left < TOGETHER ? left : TOGETHER));
        w->done = (left < TOGETHER ? prompts : w->first + TOGETHER) * points;
        if (w->o->progress && w->o->progress(w->o->user, w->done, prompts * points))
            return rf_fail(w->err, RF_E_CANCELLED, "stopped after %zu jobs", w->done);
    }
done:
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static rf_status open_all(work *w)
{
    rf_status         st = RF_OK;
    rf_measurement   *m = w->m;
    const char *const paths[2] = {w->o->base, w->o->refiner};
    const rf_options  options = {
         .threads = w->o->threads, .dtype = w->o->dtype, .level = w->o->level};
    RF_TRY(rf_judge_open(&w->judge, w->o->judge, w->err));
    RF_TRY(rf_engine_create(&w->engine, &options, w->err));
    snprintf(m->device, sizeof m->device, "%s", rf_engine_device(w->engine));
    snprintf(m->dtype, sizeof m->dtype, "%s", rf_engine_dtype(w->engine));
    for (int i = 0; i < 2; i++) {
        RF_TRY(rf_expert_open(&w->expert[i], w->engine, paths[i], w->err));
        RF_TRY(rf_expert_sha256(w->expert[i], m->sha256[i], NULL, NULL, w->err));
        snprintf(m->name[i], sizeof m->name[i], "%s", rf_expert_name(w->expert[i]));
    }
done:
    return st;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static rf_status prepare(work *w)
{
    const rf_measure_options *o = w->o;
    const size_t              points = (size_t)o->points;
    if (o->points < 1 || o->points > RF_POINTS_MAX || !o->prompts || o->seeds < 1 ||
        o->seeds > 64 || o->shown < 0 || (size_t)o->shown > o->prompts)
        return rf_fail(w->err, RF_E_ARG,
                       "points are 1 to %d, prompts at least 1, seeds 1 to 64, rows at most the "
                       "prompts",
                       RF_POINTS_MAX);
    w->recipe = rf_recipe_find("pony-animagine");
    w->m->recipe = w->recipe->name, w->m->sampler = w->recipe->sampler;
    w->m->cfg_scale = w->recipe->cfg_scale;
    w->m->steps = o->steps ? o->steps : w->recipe->steps;
    w->m->outcome = calloc(o->prompts * points, sizeof *w->m->outcome);
    w->m->pictures = calloc((size_t)o->shown * points + 1, (size_t)RF_SIDE * RF_SIDE * 3);
    if (!w->m->outcome || !w->m->pictures)
        return rf_fail(w->err, RF_E_NOMEM, "no memory for %zu prompts", o->prompts);
    return RF_OK;
}

rf_status rf_measure(rf_measurement *out, const rf_measure_options *options, rf_error *err)
{
    rf_status    st = RF_OK;
    work         w = {.o = options, .m = out, .err = err};
    const double began = now();
    *out = (rf_measurement){0};
    RF_TRY(prepare(&w));
    RF_TRY(open_all(&w));
    RF_TRY(run_all(&w));
    out->seconds = now() - began;
done:
    for (int i = 2; i-- > 0;) rf_expert_close(w.expert[i]);
    rf_engine_destroy(w.engine);
    rf_judge_close(w.judge);
    return st;
}

void rf_measurement_release(rf_measurement *m)
{
    free(m->outcome);
    free(m->pictures);
    *m = (rf_measurement){0};
}
