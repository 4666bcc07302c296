/* What a sweep would show and its maker may not have meant: axes that undo each other, axes without
 * effect, and words that stay behind when the switch moves. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/cell_parts.h"

static void tell(const rf_cell_maker *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(const rf_cell_maker *m, const char *format, ...)
{
    char    message[400];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    rf_make_printable(message);
    if (m->warn) m->warn(m->user, message);
}

/* ---- axes that set the same --------------------------------------------------------------- */

/* A stage's own number wins over the job's, whichever axis comes later. */
static int is_jobs_default(rf_axis_kind kind)
{
    switch (kind) {
    case RF_VARY_CLIP_SKIP:
    case RF_VARY_ETA:
    case RF_VARY_S_CHURN:
    case RF_VARY_S_TMIN:
    case RF_VARY_S_TMAX:
    case RF_VARY_S_NOISE: return 1;
    default: return 0;
    }
}

/* Whether both set something of one stage; replacements add up. */
static int meet(rf_cell_target a, rf_cell_target b)
{
    if (a.kind != b.kind || a.kind == RF_VARY_NOTHING || a.kind == RF_VARY_PROMPT) return 0;
    if (a.kind == RF_VARY_LORA && strcmp(a.lora, b.lora) != 0) return 0;
    return a.stage < 0 || b.stage < 0 || a.stage == b.stage;
}

static void warn_of_twins(const rf_cell_maker *m, int first, int second)
{
    int            x = first, y = second;
    char           of[32];
    rf_cell_target a = rf_cell_target_of(&m->cells->axis[x]);
    rf_cell_target b = rf_cell_target_of(&m->cells->axis[y]);
    if (!meet(a, b)) return;
    if (is_jobs_default(a.kind) && a.stage >= 0 && b.stage < 0) {
        const rf_cell_target swapped = a;
        a = b, b = swapped;
        x = second, y = first;
    }
    const char *x_name = m->cells->axis[x].name, *y_name = m->cells->axis[y].name;
    snprintf(of, sizeof of, "%s", b.stage ? "refiner" : "base");
    if (m->relay) snprintf(of, sizeof of, "stage %d", b.stage + 1);
    if (a.stage < 0 && b.stage >= 0)
        tell(m, "axis %c (%s) makes no difference to %s%s: axis %c (%s) sets the same %s", 'x' + x,
             x_name, m->relay ? "" : "the ", of, 'x' + y, y_name,
             y > x ? "after it" : "for it alone");
    else
        tell(m, "axis %c (%s) makes no difference: axis %c (%s) sets the same after it", 'x' + x,
             x_name, 'x' + y, y_name);
}

static void warn_of_shared_search(const rf_cell_maker *m, int first, int second)
{
    const rf_axis       *a = &m->cells->axis[first], *b = &m->cells->axis[second];
    const rf_cell_target s = rf_cell_target_of(a), t = rf_cell_target_of(b);
    if (s.kind != RF_VARY_PROMPT || t.kind != RF_VARY_PROMPT) return;
    const char *x = a->value[0].text, *y = b->value[0].text;
    const int   apart = s.stage >= 0 && t.stage >= 0 && s.stage != t.stage;
    if (apart || (!strstr(x, y) && !strstr(y, x))) return;
    tell(m, "axis %c searches for '%.80s' in what axis %c has made of '%.80s'", 'x' + second, y,
         'x' + first, x);
}

/* ---- axes without effect ------------------------------------------------------------------ */

static const char *why_in_vain(const rf_cell_maker *m, const rf_axis *axis)
{
    const rf_job        *job = &m->request->job;
    const rf_cell_target t = rf_cell_target_of(axis);
    int                  varied = 0;
    if (!m->refines && t.stage == 1) return "without a refiner: the base does all steps";
    for (int a = 0; a < RF_AXES; a++) varied |= m->cells->axis[a].kind == RF_VARY_VARIATION;
    switch (axis->kind) {
    case RF_VARY_SWITCH: return m->refines ? NULL : "without a refiner: the base does all steps";
    case RF_VARY_VARIATION_SEED:
        return varied || job->variation > 0 ? NULL : "without --variation-strength";
    case RF_VARY_CLIP_SKIP:
        return job->clip_l_skip ? NULL : "without --clip-l-skip: SDXL ignores it";
    case RF_VARY_DENOISE: return job->init ? NULL : "without --init";
    case RF_VARY_STEPS:
    case RF_VARY_SCHEDULE:
    case RF_VARY_SIGMA_MIN:
    case RF_VARY_SIGMA_MAX:
    case RF_VARY_RHO: return job->sigmas ? "beside --sigmas, which tells all noise levels" : NULL;
    default: return NULL;
    }
}

static void warn_of_no_effect(const rf_cell_maker *m, int a)
{
    const rf_axis    *axis = &m->cells->axis[a];
    const rf_request *q = m->request;
    const char       *why = why_in_vain(m, axis);
    if (why) tell(m, "axis %c (%s) has no effect %s", 'x' + a, axis->name, why);
    if (axis->kind == RF_VARY_CFG && !axis->stage && q->refiner_cfg_scale >= 0 && m->refines)
        tell(m,
             "axis %c (CFG Scale) sets the refiner's too, and --refiner-cfg-scale has no effect: "
             "Base CFG varies the base's alone",
             'x' + a);
    if (axis->kind == RF_VARY_SAMPLER && !axis->stage && q->refiner_sampler && m->refines)
        tell(m, "axis %c (Sampler) sets the refiner's too, and --refiner-sampler has no effect",
             'x' + a);
}

/* ---- words that stay behind --------------------------------------------------------------- */

/* A number as the `when` of an edit. */
typedef struct when {
    const char *text;
    int         bytes;
    int         is_fraction; /* with a point; else it counts calls */
} when;

/* The next edit with a number behind *at, which moves on.  A quick look: docs/prompts.md has the
 * whole grammar, in which a bracket may turn out to be text. */
static int next_when(const char **at, int *open, when *out)
{
    for (const char *c = *at; *c; c++) {
        if (*c == '\\' && c[1]) {
            c++;
            continue;
        }
        *open += *c == '[';
        *open -= *c == ']' && *open > 0;
        if (*c != ':' || *open == 0) continue;
        const char  *number = c + 1 + strspn(c + 1, " \t\r\n");
        const size_t bytes = strspn(number, "0123456789.");
        const char  *end = number + bytes + strspn(number + bytes, " \t\r\n");
        if (bytes == 0 || *end != ']') continue;
        *out = (when){.text = number, .bytes = (int)bytes};
        out->is_fraction = memchr(number, '.', bytes) != NULL;
        *at = end;
        return 1;
    }
    return 0;
}

/* The engine takes a number that is a switch point as given for the word `switch`. */
static int is_aligned(const rf_cell_maker *m, const when *w)
{
    const rf_job *job = &m->request->job;
    const int     counts = strcmp(job->switch_by, "step") == 0;
    int           found = 0;
    if (job->compat || w->is_fraction == counts) return 0;
    for (int s = 0; s + 1 < m->cells->stages; s++) {
        const double off = strtod(w->text, NULL) - m->plain[s].until;
        found |= off > -1e-9 && off < 1e-9;
    }
    return found;
}

/* Whether the axis moves the switch away from what the number says. */
static int leaves_behind(const rf_cell_maker *m, rf_axis_kind kind, const when *w)
{
    const char *by = m->request->job.switch_by;
    const int   by_step = strcmp(by, "step") == 0;
    const int   by_noise = strcmp(by, "noise") == 0 || strcmp(by, "sigma") == 0;
    const int   by_time = strcmp(by, "timesteps") == 0;
    switch (kind) {
    case RF_VARY_SWITCH: return 1;
    case RF_VARY_STEPS: /* a fraction moves along with a fraction, a count with none */
        return !is_aligned(m, w) && (by_noise || w->is_fraction == by_step);
    case RF_VARY_SAMPLER:
    case RF_VARY_SCHEDULE:
    case RF_VARY_SIGMA_MIN:
    case RF_VARY_SIGMA_MAX:
    case RF_VARY_RHO: return !is_aligned(m, w) && (by_noise || by_time);
    default: return 0;
    }
}

static int warn_of_text(const rf_cell_maker *m, int a, const char *text)
{
    const rf_axis *axis = &m->cells->axis[a];
    const char    *at = text;
    int            open = 0;
    when           w;
    while (at && next_when(&at, &open, &w)) {
        if (!leaves_behind(m, axis->kind, &w)) continue;
        tell(m,
             "axis %c (%s) moves the switch, but a prompt edit stays at ':%.*s]': %swrite "
             "':switch]' and the words change with the model",
             'x' + a, axis->name, w.bytes < 40 ? w.bytes : 40, w.text,
             m->request->job.compat ? "without --compat a1111 " : "");
        return 1;
    }
    return 0;
}

static void warn_of_edits(const rf_cell_maker *m, int a)
{
    if (!m->refines || m->cells->axis[a].count < 2) return;
    const size_t texts = (size_t)m->choices * (size_t)m->cells->stages * RF_CELL_SIDES;
    for (size_t i = 0; i < texts; i++)
        if (warn_of_text(m, a, m->texts[i])) return;
}

void rf_cells_warn(const rf_cell_maker *m)
{
    for (int a = 0; a < RF_AXES; a++) {
        for (int b = a + 1; b < RF_AXES; b++) {
            warn_of_twins(m, a, b);
            warn_of_shared_search(m, a, b);
        }
        warn_of_no_effect(m, a);
        warn_of_edits(m, a);
    }
}
