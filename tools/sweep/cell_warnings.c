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

/* What an axis sets, as bits; those of all stages set what those of one stage do. */
static unsigned things_of(rf_axis_kind kind)
{
    switch (kind) {
    case RF_VARY_NOTHING:
    case RF_VARY_PROMPT: /* replacements add up */
    case RF_VARY_BASE_PROMPT:
    case RF_VARY_REFINER_PROMPT: return 0;
    case RF_VARY_CFG: return 1u << RF_VARY_BASE_CFG | 1u << RF_VARY_REFINER_CFG;
    case RF_VARY_SAMPLER: return 1u << RF_VARY_SAMPLER | 1u << RF_VARY_REFINER_SAMPLER;
    default: return 1u << kind;
    }
}

_Static_assert(RF_VARY_KINDS <= 32, "a bit for each kind");

static void warn_of_twins(const rf_cell_maker *m, int first, int second)
{
    const rf_axis *a = &m->cells->axis[first], *b = &m->cells->axis[second];
    const unsigned both = things_of(a->kind) & things_of(b->kind);
    if (!both) return;
    if (both == things_of(a->kind))
        tell(m, "axis %c (%s) makes no difference: axis %c (%s) sets the same after it",
             'x' + first, a->name, 'x' + second, b->name);
    else
        tell(m, "axis %c (%s) makes no difference to the %s: axis %c (%s) sets the same after it",
             'x' + first, a->name, both & 1u << RF_VARY_BASE_CFG ? "base" : "refiner", 'x' + second,
             b->name);
}

static int is_replacement(const rf_axis *axis)
{
    return axis->kind != RF_VARY_NOTHING && things_of(axis->kind) == 0;
}

static void warn_of_shared_search(const rf_cell_maker *m, int first, int second)
{
    const rf_axis *a = &m->cells->axis[first], *b = &m->cells->axis[second];
    if (!is_replacement(a) || !is_replacement(b)) return;
    const char *x = a->value[0].text, *y = b->value[0].text;
    const int apart = a->kind != b->kind && a->kind != RF_VARY_PROMPT && b->kind != RF_VARY_PROMPT;
    if (apart || (!strstr(x, y) && !strstr(y, x))) return;
    tell(m, "axis %c searches for '%.80s' in what axis %c has made of '%.80s'", 'x' + second, y,
         'x' + first, x);
}

/* ---- axes without effect ------------------------------------------------------------------ */

static const char *why_in_vain(const rf_cell_maker *m, rf_axis_kind kind)
{
    const rf_job *job = &m->request->job;
    int           varied = 0;
    for (int a = 0; a < RF_AXES; a++) varied |= m->cells->axis[a].kind == RF_VARY_VARIATION;
    switch (kind) {
    case RF_VARY_SWITCH:
    case RF_VARY_REFINER_CFG:
    case RF_VARY_REFINER_SAMPLER:
    case RF_VARY_REFINER_PROMPT:
        return m->refines ? NULL : "without a refiner: the base does all steps";
    case RF_VARY_VARIATION_SEED:
        return varied || job->variation > 0 ? NULL : "without --variation-strength";
    case RF_VARY_CLIP_SKIP:
        return job->clip_l_skip ? NULL : "without --clip-l-skip: SDXL ignores it";
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
    const char       *why = why_in_vain(m, axis->kind);
    if (why) tell(m, "axis %c (%s) has no effect %s", 'x' + a, axis->name, why);
    if (axis->kind == RF_VARY_CFG && q->refiner_cfg_scale >= 0 && m->refines)
        tell(m,
             "axis %c (CFG Scale) sets the refiner's too, and --refiner-cfg-scale has no effect: "
             "Base CFG varies the base's alone",
             'x' + a);
    if (axis->kind == RF_VARY_SAMPLER && q->refiner_sampler && m->refines)
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

/* The engine takes a number that is the switch point as given for the word `switch`. */
static int is_aligned(const rf_request *q, const when *w)
{
    const int    counts = strcmp(q->job.switch_by, "step") == 0;
    const double off = strtod(w->text, NULL) - q->switch_at;
    if (q->job.compat || w->is_fraction == counts) return 0;
    return off > -1e-9 && off < 1e-9;
}

/* Whether the axis moves the switch away from what the number says. */
static int leaves_behind(const rf_request *q, rf_axis_kind kind, const when *w)
{
    const char *by = q->job.switch_by;
    const int   by_step = strcmp(by, "step") == 0;
    const int   by_noise = strcmp(by, "noise") == 0 || strcmp(by, "sigma") == 0;
    const int   by_time = strcmp(by, "timesteps") == 0;
    switch (kind) {
    case RF_VARY_SWITCH: return 1;
    case RF_VARY_STEPS: /* a fraction moves along with a fraction, a count with none */
        return !is_aligned(q, w) && (by_noise || w->is_fraction == by_step);
    case RF_VARY_SAMPLER:
    case RF_VARY_SCHEDULE:
    case RF_VARY_SIGMA_MIN:
    case RF_VARY_SIGMA_MAX:
    case RF_VARY_RHO: return !is_aligned(q, w) && (by_noise || by_time);
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
        if (!leaves_behind(m->request, axis->kind, &w)) continue;
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
    for (int i = 0; i < m->choices; i++)
        for (int s = 0; s < RF_REQUEST_STAGES; s++)
            for (int side = 0; side < RF_CELL_SIDES; side++)
                if (warn_of_text(m, a, m->texts[i].of[s][side])) return;
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
