/* Cells: the request's job, with one value of each axis put in; see cells.h.
 *
 * Inside, a cell has all stages and each tells its settings, so that "Base CFG" cannot move the
 * refiner's; what a stage would inherit anyway is left out again at the end.  So a cell's job is
 * the one that `render` makes of the same values. */
#include "tools/sweep/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/sweep/cell_parts.h"

/* ---- memory ------------------------------------------------------------------------------- */

typedef struct block {
    struct block *next;
    max_align_t   data[];
} block;

void *rf_cells_take(rf_cells *cells, size_t count, size_t size)
{
    block *b = NULL;
    if (count < SIZE_MAX / 2 / (size + 1)) b = calloc(1, sizeof *b + count * size + 1);
    if (!b) return NULL;
    b->next = cells->blocks;
    cells->blocks = b;
    return b->data;
}

void rf_cells_release(rf_cells *cells)
{
    for (block *b = cells->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    for (int a = 0; a < RF_AXES; a++) rf_axis_release(&cells->axis[a]);
    *cells = (rf_cells){0};
}

static rf_status no_memory(const rf_cell_maker *m)
{
    return rf_fail(&m->trouble->error, RF_E_NOMEM, "no memory for the cells of the sweep");
}

/* ---- axes that fit ------------------------------------------------------------------------ */

/* Of a relay of three, nobody knows who the refiner is. */
static int means_a_pair(const rf_axis *axis)
{
    switch (axis->kind) {
    case RF_VARY_SWITCH:
    case RF_VARY_REFINER:
    case RF_VARY_REFINER_CFG:
    case RF_VARY_REFINER_SAMPLER:
    case RF_VARY_REFINER_PROMPT: return axis->stage == 0;
    default: return 0;
    }
}

static rf_status check_axis(const rf_cell_maker *m, int a)
{
    const rf_axis       *axis = &m->cells->axis[a];
    const rf_cell_target t = rf_cell_target_of(axis);
    const int            stages = m->cells->stages;
    rf_error            *err = &m->trouble->error;
    if (m->relay && stages != 2 && means_a_pair(axis)) {
        rf_trouble_hint(m->trouble, "--%c \"Stage 2 CFG Scale: 4-7\", for example", 'x' + a);
        return rf_fail(err, RF_E_ARG,
                       "axis %c (%s): of %d stages it does not say which one it means", 'x' + a,
                       axis->name, stages);
    }
    if (t.stage >= stages)
        return rf_fail(err, RF_E_ARG, "axis %c (%s): there %s %d stage%s", 'x' + a, axis->name,
                       stages == 1 ? "is" : "are", stages, stages == 1 ? "" : "s");
    if (t.kind == RF_VARY_SIZE && m->request->job.init)
        return rf_fail(err, RF_E_ARG, "axis %c (%s): with --init all cells have one size", 'x' + a,
                       axis->name);
    if (t.kind == RF_VARY_SWITCH && axis->stage && t.stage + 1 == stages)
        return rf_fail(err, RF_E_ARG, "axis %c (%s): the last stage makes all steps that are left",
                       'x' + a, axis->name);
    return RF_OK;
}

/* ---- the request's stages ----------------------------------------------------------------- */

/* Each with its CFG; of base and refiner as they were asked for, both. */
static rf_status settle_plain(rf_cell_maker *m)
{
    rf_status         st = RF_OK;
    const rf_request *q = m->request;
    const int         stages = m->relay ? q->job.stage_count : RF_REQUEST_STAGES;
    const rf_stage   *from = m->relay ? q->job.stages : q->stages;
    m->cells->stages = stages;
    m->plain = rf_cells_take(m->cells, (size_t)stages, sizeof *m->plain);
    m->inherits = rf_cells_take(m->cells, (size_t)stages, 1);
    m->file_axis = rf_cells_take(m->cells, (size_t)stages, sizeof *m->file_axis);
    m->file_of = rf_cells_take(m->cells, (size_t)stages, sizeof *m->file_of);
    if (!m->plain || !m->inherits || !m->file_axis || !m->file_of) return no_memory(m);
    for (int s = 0; s < stages; s++) {
        m->plain[s] = from[s];
        m->plain[s].sampling = NULL;
        m->inherits[s] = s > 0 && from[s].cfg_scale < 0;
        if (m->inherits[s]) m->plain[s].cfg_scale = rf_cell_end_cfg(&m->plain[s - 1]);
    }
    if (!m->relay) m->plain[0].until = q->switch_at;
    for (int a = 0; a < RF_AXES; a++) RF_TRY(check_axis(m, a));
done:
    return st;
}

/* ---- files -------------------------------------------------------------------------------- */

/* The number of `path`; -1 for none. */
static int number_file(rf_cells *cells, const char *path)
{
    if (!path) return -1;
    for (int i = 0; i < cells->files; i++)
        if (strcmp(cells->file[i], path) == 0) return i;
    cells->file[cells->files] = path;
    return cells->files++;
}

static const char *given_file(const rf_cell_maker *m, int stage)
{
    if (m->relay) return m->request->files[stage];
    return stage ? m->request->refiner : m->request->base;
}

/* Of a stage: which axis tells it, and what of each value. */
static rf_status number_files(rf_cell_maker *m, int stage)
{
    rf_cells      *cells = m->cells;
    const rf_axis *axis = m->file_axis[stage] < 0 ? NULL : &cells->axis[m->file_axis[stage]];
    const int      count = axis ? axis->count : 1, may_lack = stage > 0 && !m->relay;
    m->file_of[stage] = rf_cells_take(cells, (size_t)count, sizeof *m->file_of[stage]);
    if (!m->file_of[stage]) return no_memory(m);
    for (int i = 0; i < count; i++) {
        const char *name = axis ? axis->value[i].text : given_file(m, stage);
        m->file_of[stage][i] =
            number_file(cells, may_lack && name ? rf_cell_file_or_none(name) : name);
        m->refines |= stage > 0 && (m->relay || m->file_of[stage][i] >= 0);
    }
    return RF_OK;
}

static rf_status find_files(rf_cell_maker *m)
{
    rf_status st = RF_OK;
    rf_cells *cells = m->cells;
    size_t    room = 0;
    for (int s = 0; s < cells->stages; s++) {
        m->file_axis[s] = -1;
        for (int a = 0; a < RF_AXES; a++) {
            const rf_cell_target t = rf_cell_target_of(&cells->axis[a]);
            if (t.kind == RF_VARY_BASE && t.stage == s) m->file_axis[s] = a;
        }
        room += m->file_axis[s] < 0 ? 1 : (size_t)cells->axis[m->file_axis[s]].count;
    }
    if (!m->relay && m->file_axis[0] < 0 && !given_file(m, 0))
        return rf_fail(&m->trouble->error, RF_E_ARG,
                       "--base is missing: which checkpoint shall begin?");
    cells->file = rf_cells_take(cells, room, sizeof *cells->file);
    if (!cells->file) return no_memory(m);
    for (int s = 0; s < cells->stages; s++) RF_TRY(number_files(m, s));
done:
    return st;
}

/* ---- one cell ----------------------------------------------------------------------------- */

/* Whether some stage may have numbers of its own for its sampler. */
static int has_numbers(const rf_cell_maker *m)
{
    int own = 0;
    for (int s = 0; m->relay && s < m->cells->stages; s++) own |= m->request->relay.given[s] != 0;
    for (int a = 0; a < RF_AXES; a++) own |= m->cells->axis[a].stage > 0;
    return own;
}

static int has_strength(const rf_cell_maker *m)
{
    for (int a = 0; a < RF_AXES; a++)
        if (m->cells->axis[a].kind == RF_VARY_DENOISE) return m->request->job.init != NULL;
    return 0;
}

rf_status rf_cell_room(rf_cell_maker *m, rf_cell *cell)
{
    const size_t stages = (size_t)m->cells->stages;
    const int    numbers = has_numbers(m);
    cell->stages = rf_cells_take(m->cells, stages, sizeof *cell->stages);
    cell->file = rf_cells_take(m->cells, stages, sizeof *cell->file);
    if (numbers) cell->sampling = rf_cells_take(m->cells, stages, sizeof *cell->sampling);
    if (has_strength(m)) cell->init = rf_cells_take(m->cells, 1, sizeof *cell->init);
    if (has_strength(m) && !cell->init) return no_memory(m);
    return cell->stages && cell->file && (cell->sampling || !numbers) ? RF_OK : no_memory(m);
}

void rf_cell_begin(rf_cell_maker *m, rf_cell *cell)
{
    const rf_relay *relay = &m->request->relay;
    cell->job = m->request->job;
    cell->job.count = 1;
    cell->job.stages = cell->stages;
    cell->job.stage_count = m->cells->stages;
    if (cell->init) {
        *cell->init = *cell->job.init;
        cell->job.init = cell->init;
    }
    for (int s = 0; s < m->cells->stages; s++) {
        cell->stages[s] = m->plain[s];
        cell->stages[s].prompt = cell->stages[s].negative = NULL;
        m->given[s] = m->relay ? relay->given[s] : 0;
        if (m->relay) m->own[s] = relay->sampling[s];
    }
}

static void fill_cell(rf_cell *cell, rf_cell_maker *m, const int at[RF_AXES])
{
    const int stages = m->cells->stages;
    rf_cell_begin(m, cell);
    for (int a = 0; a < RF_AXES; a++) {
        cell->at[a] = at[a];
        rf_cell_apply(m, cell, &m->cells->axis[a], at[a]);
    }
    rf_cell_finish(m, cell);
    const char **text =
        m->texts + (size_t)rf_cell_choice(m->cells, at) * (size_t)stages * RF_CELL_SIDES;
    for (int s = 0; s < stages; s++) {
        cell->stages[s].prompt = *text++;
        cell->stages[s].negative = *text++;
        cell->file[s] = m->file_of[s][m->file_axis[s] < 0 ? 0 : at[m->file_axis[s]]];
    }
    if (m->relay || cell->file[1] >= 0) return;
    cell->job.stage_count = 1;
    cell->stages[0].until = 1;
    cell->stages[1] = (rf_stage){0};
}

/* ---- all cells ---------------------------------------------------------------------------- */

static rf_status count_cells(rf_cell_maker *m)
{
    int64_t count = 1; /* each factor is at most 10,000 */
    for (int a = 0; a < RF_AXES; a++) count *= m->cells->axis[a].count;
    if (count <= RF_CELLS_MAX) {
        m->cells->count = (int)count;
        return RF_OK;
    }
    return rf_fail(&m->trouble->error, RF_E_ARG,
                   "the axes make %lld cells (%d x %d x %d); a sweep can have %d", (long long)count,
                   m->cells->axis[0].count, m->cells->axis[1].count, m->cells->axis[2].count,
                   RF_CELLS_MAX);
}

static int digits_of(int count)
{
    int digits = 2;
    for (int most = count - 1; most > 99; most /= 10) digits++;
    return digits;
}

static rf_status fill_cells(rf_cell_maker *m)
{
    enum { NAME_BYTES = 20 }; /* "x9999-y9999-z9999" */
    rf_cells *cells = m->cells;
    int       digits[RF_AXES];
    cells->cell = rf_cells_take(cells, (size_t)cells->count, sizeof *cells->cell);
    char *names = rf_cells_take(cells, (size_t)cells->count, NAME_BYTES);
    if (!cells->cell || !names) return no_memory(m);
    for (int a = 0; a < RF_AXES; a++) digits[a] = digits_of(cells->axis[a].count);
    for (int i = 0; i < cells->count; i++) {
        int at[RF_AXES], left = i;
        for (int a = 0; a < RF_AXES; left /= cells->axis[a++].count)
            at[a] = left % cells->axis[a].count;
        const rf_status st = rf_cell_room(m, &cells->cell[i]);
        if (st != RF_OK) return st;
        char *name = names + (size_t)i * NAME_BYTES;
        snprintf(name, NAME_BYTES, "x%0*d-y%0*d-z%0*d", digits[0], at[0], digits[1], at[1],
                 digits[2], at[2]);
        fill_cell(&cells->cell[i], m, at);
        cells->cell[i].name = name;
    }
    return RF_OK;
}

rf_status rf_cells_make(rf_cells *out, const rf_request *request, rf_axis axis[RF_AXES],
                        void (*warn)(void *user, const char *message), void *user,
                        rf_trouble *trouble)
{
    rf_status     st = RF_OK;
    rf_cell_maker m = {
        .cells = out, .request = request, .warn = warn, .user = user, .trouble = trouble};
    m.relay = rf_request_has_relay(request);
    *out = (rf_cells){0};
    for (int a = 0; a < RF_AXES; a++) {
        out->axis[a] = axis[a];
        axis[a] = (rf_axis){0};
    }
    RF_TRY(count_cells(&m));
    RF_TRY(settle_plain(&m));
    RF_TRY(find_files(&m));
    RF_TRY(rf_cell_texts_make(&m));
    RF_TRY(rf_cells_check(&m));
    RF_TRY(fill_cells(&m));
    rf_cells_warn(&m);
done:
    if (st != RF_OK) out->count = 0; /* there are none, the axes are there to be released */
    return st;
}
