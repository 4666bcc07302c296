/* The measurement; see measure.h. */
#include "tools/measure/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/refinery.h"
#include "tools/recipes.h"

typedef struct work {
    const rf_measure_options *o;
    rf_measurement           *m;
    rf_engine                *engine;
    rf_expert                *expert[2];
    rf_judge                 *judge;
    const rf_recipe          *recipe;
    rf_error                 *err;
    /* of the job at work */
    const rf_asked *asked;
    rf_outcome     *outcome;
    uint8_t        *keep; /* room for its first picture, or NULL */
} work;

/* ---- one picture -------------------------------------------------------------------------- */

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    work        *w = user;
    rf_reading   reading;
    int          right[RF_ATTRIBUTES], exact = 1;
    const double share = 1.0 / w->o->seeds;
    (void)err;
    rf_judge_read(w->judge, image->rgb, &reading);
    rf_scene_grade(right, &w->asked->scene, &reading);
    if (!w->asked->scene.accessory) right[RF_ACCESSORY] = -1;
    for (int i = 0; i < RF_ATTRIBUTES; i++) {
        exact &= right[i] != 0;
        w->outcome->right[i] += right[i] >= 0 ? right[i] * share : (double)NAN;
    }
    w->outcome->content += rf_content_score(right) * share;
    w->outcome->exact += exact * share;
    w->outcome->style += reading.style * share;
    if (w->keep && image->index == 0) memcpy(w->keep, image->rgb, (size_t)RF_SIDE * RF_SIDE * 3);
    return RF_OK;
}

/* ---- one job ------------------------------------------------------------------------------ */

static rf_status recipe_texts(work *w, char **prompt, char **negative)
{
    rf_status            st = RF_OK;
    rf_trouble           trouble = {0};
    const rf_recipe_tags tags = {.common = w->asked->prompt, .when = "switch"};
    const rf_recipe_tags none = {.when = "switch"};
    RF_TRY(rf_recipe_text(prompt, w->recipe->prompt, &tags, &trouble));
    RF_TRY(rf_recipe_text(negative, w->recipe->negative, &none, &trouble));
done:
    if (st != RF_OK) (void)rf_fail(w->err, st, "%s", trouble.error.message);
    return st;
}

static rf_status run_job(work *w, double point, uint64_t seed)
{
    rf_status st = RF_OK;
    rf_plan  *plan = NULL;
    char     *prompt = NULL, *negative = NULL;
    RF_TRY(recipe_texts(w, &prompt, &negative));
    const rf_stage stages[2] = {{.expert = w->expert[0],
                                 .until = point,
                                 .prompt = prompt,
                                 .negative = negative,
                                 .cfg_scale = (float)w->recipe->cfg_scale},
                                {.expert = w->expert[1], .until = 1, .cfg_scale = -1}};
    rf_job         job = rf_job_default();
    job.stages = stages, job.stage_count = 2;
    job.sampler = w->recipe->sampler;
    job.steps = w->m->steps;
    job.width = job.height = RF_SIDE;
    job.seed = seed;
    job.count = job.batch = w->o->seeds;
    RF_TRY(rf_plan_create(&plan, w->engine, &job, w->err));
    const rf_callbacks callbacks = {.image = on_image, .user = w};
    RF_TRY(rf_plan_run(plan, &callbacks, w->err));
done:
    rf_plan_destroy(plan);
    free(prompt);
    free(negative);
    return st;
}

/* Prompt by prompt, so that a run that is stopped early has measured every point alike. */
static rf_status run_all(work *w)
{
    rf_status    st = RF_OK;
    const size_t points = (size_t)w->o->points, total = w->o->prompts * points;
    size_t       done = 0;
    for (size_t prompt = 0; prompt < w->o->prompts; prompt++)
        for (size_t point = 0; point < points; point++) {
            w->asked = &w->o->asked[prompt];
            w->outcome = &w->m->outcome[point * w->o->prompts + prompt];
            w->keep = prompt < (size_t)w->o->shown
                          ? w->m->pictures + (prompt * points + point) * RF_SIDE * RF_SIDE * 3
                          : NULL;
            RF_TRY(run_job(w, w->o->point[point], 1 + prompt * (uint64_t)w->o->seeds));
            if (w->o->progress && w->o->progress(w->o->user, ++done, total))
                return rf_fail(w->err, RF_E_CANCELLED, "stopped after %zu of %zu jobs", done,
                               total);
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
    const rf_options  options = {.threads = w->o->threads, .dtype = w->o->dtype};
    RF_TRY(rf_judge_open(&w->judge, w->o->judge, w->err));
    RF_TRY(rf_engine_create(&w->engine, &options, w->err));
    snprintf(m->device, sizeof m->device, "%s", rf_engine_device(w->engine));
    snprintf(m->dtype, sizeof m->dtype, "%s", rf_engine_dtype(w->engine));
    for (int i = 0; i < 2; i++) {
        RF_TRY(rf_expert_open(&w->expert[i], w->engine, paths[i], w->err));
        RF_TRY(rf_expert_sha256(w->expert[i], m->sha256[i], w->err));
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
