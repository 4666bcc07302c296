/* Prompt S/R: the prompts of all choices of its values, made before the cells so that cells share
 * them.  Texts that no replacement touches are the request's own. */
#include <stdio.h>
#include <string.h>

#include "tools/sweep/cell_parts.h"
#include "tools/text_input.h"

enum { ALL_BYTES_MAX = 64 << 20 }; /* of all texts that are made */

/* Whether the axis replaces in the texts of `stage`. */
static int addresses(const rf_axis *axis, int stage)
{
    const rf_cell_target t = rf_cell_target_of(axis);
    return t.kind == RF_VARY_PROMPT && rf_cell_reaches(t, stage);
}

static int replaces(const rf_axis *axis)
{
    return rf_cell_target_of(axis).kind == RF_VARY_PROMPT;
}

int rf_cell_choice(const rf_cells *cells, const int at[RF_AXES])
{
    int choice = 0;
    for (int a = 0; a < RF_AXES; a++)
        if (replaces(&cells->axis[a])) choice = choice * cells->axis[a].count + at[a];
    return choice;
}

static const char *own_text(const rf_cell_maker *m, int stage, int side)
{
    return side ? m->plain[stage].negative : m->plain[stage].prompt;
}

/* The request's text of a stage, what it inherits included. */
static const char *original(const rf_cell_maker *m, int stage, int side)
{
    for (int s = stage; s >= 0; s--)
        if (own_text(m, s, side)) return own_text(m, s, side);
    return "";
}

/* ---- searching ---------------------------------------------------------------------------- */

static rf_status check_found(const rf_cell_maker *m, int a)
{
    const rf_axis       *axis = &m->cells->axis[a];
    const rf_cell_target t = rf_cell_target_of(axis);
    const char          *search = axis->value[0].text;
    char                 of[24] = "";
    for (int s = 0; s < m->cells->stages; s++)
        for (int side = 0; side < RF_CELL_SIDES; side++)
            if (addresses(axis, s) && strstr(original(m, s, side), search)) return RF_OK;
    if (t.stage >= 0 && axis->stage) snprintf(of, sizeof of, " of stage %d", t.stage + 1);
    rf_trouble_hint(m->trouble, "the first value is searched for, letter by letter, and each value "
                                "takes its place");
    return rf_fail(&m->trouble->error, RF_E_ARG,
                   "axis %c (%s): '%.200s' is neither in the prompt nor in the negative prompt%s",
                   'x' + a, axis->name, search,
                   axis->stage                         ? of
                   : axis->kind == RF_VARY_PROMPT      ? ""
                   : axis->kind == RF_VARY_BASE_PROMPT ? " of the base"
                                                       : " of the refiner");
}

/* ---- replacing ---------------------------------------------------------------------------- */

typedef struct writer {
    rf_cell_maker *maker;
    size_t         bytes; /* made so far */
} writer;

/* *text with the search of axis `a` replaced by its value `i`. */
static rf_status replace(writer *w, const char **text, int a, int i)
{
    const rf_axis *axis = &w->maker->cells->axis[a];
    rf_error      *err = &w->maker->trouble->error;
    const char    *search = axis->value[0].text, *put = axis->value[i].text;
    const size_t   search_bytes = strlen(search), put_bytes = strlen(put);
    size_t         found = 0;
    if (strcmp(search, put) == 0) return RF_OK;
    for (const char *c = *text; (c = strstr(c, search)); c += search_bytes) found++;
    if (found == 0) return RF_OK;
    /* each factor is at most 2^20 */
    const size_t bytes = strlen(*text) - found * search_bytes + found * put_bytes + 1;
    if (bytes - 1 > RF_PROMPT_BYTES_MAX)
        return rf_fail(err, RF_E_ARG,
                       "axis %c (%s): with value %d the prompt has %zu bytes, at most 1 MiB fits",
                       'x' + a, axis->name, i + 1, bytes - 1);
    w->bytes += bytes;
    char *made = w->bytes <= ALL_BYTES_MAX ? rf_cells_take(w->maker->cells, bytes, 1) : NULL;
    if (w->bytes > ALL_BYTES_MAX)
        return rf_fail(err, RF_E_ARG,
                       "axis %c (%s): the prompts of all its values take more than %d MiB", 'x' + a,
                       axis->name, ALL_BYTES_MAX >> 20);
    if (!made) return rf_fail(err, RF_E_NOMEM, "no memory for the prompts of the cells");
    const char *from = *text, *hit = NULL;
    *text = made;
    while ((hit = strstr(from, search))) {
        made = (char *)mempcpy(mempcpy(made, from, (size_t)(hit - from)), put, put_bytes);
        from = hit + search_bytes;
    }
    strcpy(made, from);
    return RF_OK;
}

/* The texts of one choice: [stages][RF_CELL_SIDES].  A stage's that is the one before it stays told
 * by NULL, as in a job whose prompts were given like that. */
static rf_status make_texts(writer *w, const char **out, const int at[RF_AXES])
{
    rf_status            st = RF_OK;
    const rf_cell_maker *m = w->maker;
    const char          *before[RF_CELL_SIDES] = {"", ""};
    for (int s = 0; s < m->cells->stages; s++)
        for (int side = 0; side < RF_CELL_SIDES; side++) {
            const char *text = original(m, s, side);
            for (int a = 0; a < RF_AXES; a++)
                if (addresses(&m->cells->axis[a], s)) RF_TRY(replace(w, &text, a, at[a]));
            const int inherits = s && !own_text(m, s, side) && strcmp(text, before[side]) == 0;
            *out++ = inherits ? NULL : text;
            before[side] = text;
        }
done:
    return st;
}

rf_status rf_cell_texts_make(rf_cell_maker *m)
{
    rf_status st = RF_OK;
    writer    w = {.maker = m};
    m->choices = 1;
    for (int a = 0; a < RF_AXES; a++) {
        if (!replaces(&m->cells->axis[a])) continue;
        RF_TRY(check_found(m, a));
        m->choices *= m->cells->axis[a].count; /* at most as many as cells */
    }
    const size_t texts = (size_t)m->cells->stages * RF_CELL_SIDES;
    m->texts = rf_cells_take(m->cells, (size_t)m->choices * texts, sizeof *m->texts);
    if (!m->texts)
        return rf_fail(&m->trouble->error, RF_E_NOMEM, "no memory for the prompts of the cells");
    for (int i = 0; i < m->choices; i++) {
        int at[RF_AXES] = {0};
        for (int a = RF_AXES - 1, left = i; a >= 0; a--) {
            if (!replaces(&m->cells->axis[a])) continue;
            at[a] = left % m->cells->axis[a].count;
            left /= m->cells->axis[a].count;
        }
        RF_TRY(make_texts(&w, m->texts + (size_t)i * texts, at));
    }
done:
    return st;
}
