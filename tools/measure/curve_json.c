/* The figures as JSON; see reports.h. */
#include <jansson.h>
#include <math.h>

#include "tools/measure/figures.h"
#include "tools/measure/reports.h"

/* Four digits: a thousandth of the narrowest interval. */
static json_t *rounded(double x)
{
    return isnan(x) ? json_null() : json_real(round(x * 1e4) / 1e4);
}

static json_t *figure(rf_figure f)
{
    return json_pack("{s:o, s:o, s:o, s:i}", "mean", rounded(f.mean), "low", rounded(f.low), "high",
                     rounded(f.high), "prompts", f.prompts);
}

static const rf_outcome *outcomes(const rf_measurement *m, int point)
{
    return m->outcome + (size_t)point * m->prompts;
}

static int point_at(const rf_measurement *m, double x)
{
    for (int i = 0; i < m->points; i++)
        if (m->point[i] == x) return i;
    return -1;
}

static json_t *point_json(const rf_measurement *m, int point)
{
    json_t      *out = json_object(), *attributes = json_object();
    const int    base = point_at(m, 1), refiner = point_at(m, 0);
    const size_t n = m->prompts;
    json_object_set_new(out, "switch_at", rounded(m->point[point]));
    for (int f = 0; f < RF_FIGURES; f++)
        json_object_set_new(f < RF_ATTRIBUTES ? attributes : out, rf_figure_names[f],
                            figure(rf_figure_of(outcomes(m, point), NULL, n, f)));
    json_object_set_new(out, "attributes", attributes);
    if (base >= 0)
        json_object_set_new(
            out, "content_beyond_base_alone",
            figure(rf_figure_of(outcomes(m, point), outcomes(m, base), n, RF_CONTENT)));
    if (refiner >= 0)
        json_object_set_new(
            out, "style_beyond_refiner_alone",
            figure(rf_figure_of(outcomes(m, point), outcomes(m, refiner), n, RF_STYLE)));
    return out;
}

static json_t *meanings(void)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s}", "switch_at",
        "share of the steps that the base makes: 0 is the refiner alone, 1 the base alone",
        "content",
        "share of creature, colour, place, count and background that is as the prompt asks, mean "
        "over the prompts; the place is asked of single creatures only",
        "exact", "share of the prompts of which everything is right, the accessory too", "style",
        "the judge's measure: drawings in style a give 0, in style b 1", "low, high",
        "95 % interval over the prompts: Wilson's for shares, normal for content, style and "
        "differences",
        "*_beyond_*", "mean difference, prompt by prompt, at the same seeds");
}

static json_t *expert(const rf_measurement *m, int i)
{
    return json_pack("{s:s, s:s}", "name", m->name[i], "sha256", m->sha256[i]);
}

rf_status rf_curve_json(const char *path, const rf_measurement *m, const char *command,
                        rf_error *err)
{
    rf_status st = RF_OK;
    json_t   *points = json_array();
    for (int i = 0; i < m->points; i++) json_array_append_new(points, point_json(m, i));
    json_t *all = json_pack("{s:s, s:o, s:o, s:o, s:{s:s, s:i, s:f, s:s}, s:{s:i, s:i, s:i}, s:o}",
                            "command", command, "meaning", meanings(), "base", expert(m, 0),
                            "refiner", expert(m, 1), "settings", "sampler", m->sampler, "steps",
                            m->steps, "cfg_scale", m->cfg_scale, "dtype", m->dtype, "counts",
                            "prompts", (int)m->prompts, "pictures_per_prompt_and_point", m->seeds,
                            "pictures", (int)m->prompts * m->seeds * m->points, "points", points);
    if (!all || json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0)
        st = rf_fail(err, RF_E_IO, "%s: cannot be written", path);
    json_decref(all);
    return st;
}
