/* Which prompts a smaller sweep takes, and its plan; see prompt_plan.h. */
#include "tools/measure/prompt_plan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ASPECTS = 5, VALUES_MAX = 8 };

/* ---- order -------------------------------------------------------------------------------- */

/* How often each value of each aspect of a scene has been asked for. */
typedef struct tally {
    int of[ASPECTS][VALUES_MAX];
} tally;

static void aspects(int out[ASPECTS], const rf_scene *s)
{
    out[0] = s->kind, out[1] = s->colour, out[2] = s->accessory, out[3] = s->place;
    out[4] = s->background;
}

static void add(tally *t, const rf_scene *scene)
{
    int value[ASPECTS];
    aspects(value, scene);
    for (int a = 0; a < ASPECTS; a++) t->of[a][value[a]]++;
}

/* The share of each of its values that is taken, summed: 0 if nothing of it is, 5 if all is. */
static double taken_share(const tally *taken, const tally *all, const rf_scene *scene)
{
    int    value[ASPECTS];
    double sum = 0;
    aspects(value, scene);
    for (int a = 0; a < ASPECTS; a++) sum += (double)taken->of[a][value[a]] / all->of[a][value[a]];
    return sum;
}

rf_status rf_prompts_order(size_t *order, const rf_asked *asked, size_t count, rf_error *err)
{
    tally taken = {0}, all = {0};
    char *is_taken = calloc(count, 1);
    if (!is_taken) return rf_fail(err, RF_E_NOMEM, "no memory for %zu prompts", count);
    for (size_t i = 0; i < count; i++) add(&all, &asked[i].scene);
    for (size_t n = 0; n < count; n++) {
        double rarest = ASPECTS + 1;
        for (size_t i = 0; i < count; i++) {
            const double share = taken_share(&taken, &all, &asked[i].scene);
            if (is_taken[i] || share >= rarest) continue;
            rarest = share;
            order[n] = i;
        }
        is_taken[order[n]] = 1;
        add(&taken, &asked[order[n]].scene);
    }
    free(is_taken);
    return RF_OK;
}

/* ---- plan --------------------------------------------------------------------------------- */

static json_t *axis(const char *name, json_t *values)
{
    return json_pack("{s:s, s:o}", "axis", name, "values", values);
}

/* "0, 0.5, 1" as ["0", "0.5", "1"]: an item of a plan is one value, or one range. */
static json_t *items(const char *list)
{
    json_t *out = json_array();
    while (*list) {
        const char *item = list + strspn(list, " ,");
        list = item + strcspn(item, ",");
        if (list > item) json_array_append_new(out, json_stringn(item, (size_t)(list - item)));
    }
    return out;
}

rf_status rf_prompt_plan_print(FILE *out, const rf_asked *asked, size_t count, size_t wanted,
                               const char *points, const char *seeds, rf_error *err)
{
    rf_status st = RF_OK;
    json_t   *plan = json_object(), *prompts = json_array();
    size_t   *order = calloc(count, sizeof *order);
    if (!plan || !prompts || !order) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for a plan of %zu prompts", wanted);
        goto done;
    }
    RF_TRY(rf_prompts_order(order, asked, count, err));
    for (size_t i = 0; i < wanted; i++)
        json_array_append_new(prompts, json_string(asked[order[i]].prompt));
    json_object_set_new(plan, "x", axis("Refiner switch at", items(points)));
    json_object_set_new(plan, "y", axis("Prompt S/R", json_incref(prompts)));
    if (seeds) json_object_set_new(plan, "z", axis("Seed", items(seeds)));
    if (json_dumpf(plan, out, JSON_INDENT(1)) != 0 || fputc('\n', out) == EOF)
        st = rf_fail(err, RF_E_IO, "the plan cannot be written");
done:
    json_decref(plan);
    json_decref(prompts);
    free(order);
    return st;
}
