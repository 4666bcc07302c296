/* The measurement; see measure.h. */
#include "tools/measure/measure.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/measure/cell_lines.h"
#include "tools/pictures/read_png.h"

typedef struct work {
    const rf_measure_options *o;
    rf_measurement           *m;
    rf_judge                 *judge;
    rf_cell_line             *line; /* [lines] */
    size_t                    lines;
    size_t                   *prompt_of; /* [lines] */
    int                      *point_of;  /* [lines] */
    int                      *seen;      /* [points, prompts]: pictures */
    rf_error                 *err;
} work;

static rf_status no_memory(const work *w)
{
    return rf_fail(w->err, RF_E_NOMEM, "%s: no memory for %zu cells", w->o->folder, w->lines);
}

/* ---- which cell is what ------------------------------------------------------------------- */

static rf_status number_prompt(work *w, size_t line)
{
    const char     *prompt = w->line[line].prompt;
    const rf_asked *asked = w->o->asked;
    size_t         *at = &w->prompt_of[line], known = 0;
    for (*at = 0; *at < w->m->prompts; ++*at)
        if (strcmp(w->m->asked[*at]->prompt, prompt) == 0) return RF_OK;
    while (known < w->o->asked_count && strcmp(asked[known].prompt, prompt) != 0) known++;
    if (known == w->o->asked_count)
        return rf_fail(w->err, RF_E_ARG,
                       "cell %s asks for \"%.200s\": the list of prompts does not say what scene "
                       "that is",
                       w->line[line].name, prompt);
    w->m->asked[w->m->prompts++] = &asked[known];
    return RF_OK;
}

/* Keeps the points ascending. */
static rf_status add_point(work *w, double point)
{
    rf_measurement *m = w->m;
    int             at = 0;
    while (at < m->points && m->point[at] < point) at++;
    if (at < m->points && m->point[at] <= point) return RF_OK;
    if (m->points == RF_POINTS_MAX)
        return rf_fail(w->err, RF_E_ARG, "%s has more than %d switch points", w->o->folder,
                       RF_POINTS_MAX);
    memmove(&m->point[at + 1], &m->point[at], (size_t)(m->points - at) * sizeof *m->point);
    m->point[at] = point;
    m->points++;
    return RF_OK;
}

static rf_status number_cells(work *w)
{
    rf_status       st = RF_OK;
    rf_measurement *m = w->m;
    m->asked = calloc(w->lines, sizeof(const rf_asked *));
    w->prompt_of = calloc(w->lines, sizeof *w->prompt_of);
    w->point_of = calloc(w->lines, sizeof *w->point_of);
    if (!m->asked || !w->prompt_of || !w->point_of) return no_memory(w);
    for (size_t i = 0; i < w->lines; i++) {
        RF_TRY(number_prompt(w, i));
        RF_TRY(add_point(w, w->line[i].point));
    }
    for (size_t i = 0; i < w->lines; i++)
        while (m->point[w->point_of[i]] < w->line[i].point) w->point_of[i]++;
done:
    return st;
}

/* Every prompt has as many pictures as any other at every point, or means would be of unlike. */
static rf_status count_seeds(work *w)
{
    rf_measurement *m = w->m;
    const size_t    outcomes = m->prompts * (size_t)m->points;
    m->shown = w->o->shown < 0 ? 0 : w->o->shown;
    if ((size_t)m->shown > m->prompts) m->shown = (int)m->prompts;
    m->outcome = calloc(outcomes, sizeof *m->outcome);
    w->seen = calloc(outcomes, sizeof *w->seen);
    m->pictures = calloc((size_t)m->shown * (size_t)m->points + 1, (size_t)RF_SIDE * RF_SIDE * 3);
    if (!m->outcome || !w->seen || !m->pictures) return no_memory(w);
    for (size_t i = 0; i < w->lines; i++)
        w->seen[(size_t)w->point_of[i] * m->prompts + w->prompt_of[i]]++;
    m->seeds = w->seen[0];
    for (size_t i = 0; i < outcomes; i++)
        if (w->seen[i] != m->seeds)
            return rf_fail(w->err, RF_E_FORMAT,
                           "%s/results.jsonl: not every prompt has %d pictures at every switch "
                           "point: cells are missing, or there twice",
                           w->o->folder, m->seeds);
    memset(w->seen, 0, outcomes * sizeof *w->seen);
    return RF_OK;
}

/* ---- one picture -------------------------------------------------------------------------- */

static void add_reading(const work *w, rf_outcome *outcome, const rf_asked *asked,
                        const rf_reading *reading)
{
    int          right[RF_ATTRIBUTES], exact = 1;
    const double share = 1.0 / w->m->seeds;
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

/* The pixels of the picture that the sweep has made, or an error. */
static rf_status read_picture(const work *w, const rf_cell_line *line, const char *path,
                              rf_pixels *out)
{
    rf_status st = RF_OK;
    char      hex[RF_SHA256_HEX];
    *out = (rf_pixels){0};
    RF_TRY(rf_file_sha256(hex, path, NULL, NULL, w->err));
    if (strcmp(hex, line->sha256) != 0)
        return rf_fail(w->err, RF_E_FORMAT,
                       "%s is not the picture that the sweep made (its SHA-256 differs)", path);
    RF_TRY(rf_png_read(out, path, w->err));
    if (out->width != RF_SIDE || out->height != RF_SIDE)
        st = rf_fail(w->err, RF_E_ARG, "%s: %dx%d pixels; the judge reads %dx%d", path, out->width,
                     out->height, RF_SIDE, RF_SIDE);
done:
    return st;
}

static rf_status judge_cell(work *w, size_t i)
{
    rf_status       st = RF_OK;
    rf_measurement *m = w->m;
    rf_pixels       pixels;
    rf_reading      reading;
    char            path[PATH_MAX];
    const size_t    prompt = w->prompt_of[i], point = (size_t)w->point_of[i];
    const size_t    at = point * m->prompts + prompt;
    snprintf(path, sizeof path, "%s/cells/%s.png", w->o->folder, w->line[i].name);
    RF_TRY(read_picture(w, &w->line[i], path, &pixels));
    rf_judge_read(w->judge, pixels.rgb, &reading);
    add_reading(w, &m->outcome[at], m->asked[prompt], &reading);
    if (w->seen[at]++ == 0 && prompt < (size_t)m->shown)
        memcpy(m->pictures + (prompt * (size_t)m->points + point) * RF_SIDE * RF_SIDE * 3,
               pixels.rgb, (size_t)RF_SIDE * RF_SIDE * 3);
done:
    free(pixels.rgb);
    return st;
}

/* ---- how it was made ---------------------------------------------------------------------- */

static void copy_text(char *out, size_t bytes, const char *text)
{
    snprintf(out, bytes, "%s", text ? text : "");
}

/* An expert that makes no step is not read, and has no SHA-256 in the picture. */
static void take_expert(rf_measurement *m, int i, const rf_saved_job *saved, int stage)
{
    const rf_file_ref file = rf_saved_job_file(saved, stage);
    if (!file.sha256) return;
    copy_text(m->name[i], sizeof m->name[i], file.name);
    copy_text(m->sha256[i], sizeof m->sha256[i], file.sha256);
}

static rf_status read_making(const work *w, int expert, const rf_cell_line *line)
{
    rf_status         st = RF_OK;
    rf_picture_texts *texts = NULL;
    rf_saved_job     *saved = NULL;
    char              path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cells/%s.png", w->o->folder, line->name);
    RF_TRY(rf_picture_texts_read(&texts, path, w->err));
    const char *json = rf_picture_texts_get(texts, "refinery");
    if (!json) {
        st =
            rf_fail(w->err, RF_E_FORMAT,
                    "%s does not tell how it was made (its text chunk \"refinery\" is gone)", path);
        goto done;
    }
    RF_TRY(rf_saved_job_from_json(&saved, json, w->err));
    const rf_job *job = rf_saved_job_get(saved);
    copy_text(w->m->sampler, sizeof w->m->sampler, job->sampler);
    copy_text(w->m->dtype, sizeof w->m->dtype, rf_saved_job_dtype(saved));
    w->m->steps = job->steps;
    w->m->cfg_scale = (double)job->stages[0].cfg_scale;
    take_expert(w->m, expert, saved, expert ? job->stage_count - 1 : 0);
done:
    rf_saved_job_free(saved);
    rf_picture_texts_free(texts);
    return st;
}

/* The base shows in a cell that switches late, the refiner in one that switches early. */
static rf_status read_makings(const work *w)
{
    rf_status st = RF_OK;
    for (int expert = 0; expert < 2; expert++) {
        const int point = expert ? 0 : w->m->points - 1;
        size_t    i = 0;
        while (w->point_of[i] != point) i++;
        RF_TRY(read_making(w, expert, &w->line[i]));
    }
done:
    return st;
}

rf_status rf_measure(rf_measurement *out, const rf_measure_options *options, rf_error *err)
{
    rf_status st = RF_OK;
    work      w = {.o = options, .m = out, .err = err};
    *out = (rf_measurement){0};
    RF_TRY(rf_judge_open(&w.judge, options->judge, err));
    RF_TRY(rf_cell_lines_read(&w.line, &w.lines, options->folder, err));
    RF_TRY(number_cells(&w));
    RF_TRY(count_seeds(&w));
    for (size_t i = 0; i < w.lines; i++) RF_TRY(judge_cell(&w, i));
    RF_TRY(read_makings(&w));
done:
    rf_cell_lines_free(w.line, w.lines);
    rf_judge_close(w.judge);
    free(w.prompt_of);
    free(w.point_of);
    free(w.seen);
    return st;
}

void rf_measurement_release(rf_measurement *m)
{
    free(m->asked);
    free(m->outcome);
    free(m->pictures);
    *m = (rf_measurement){0};
}
