/* Cells: the request's job, with one value of each axis put in; see cells.h.
 *
 * Inside, a cell has two stages and both tell their settings, so that "Base CFG" cannot move the
 * refiner's; what the refiner would inherit anyway is left out again at the end.  So a cell's job
 * is the one that `render` makes of the same values. */
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

static const char *file_or_none(const char *name)
{
    return strcasecmp(name, "none") == 0 ? NULL : name;
}

static rf_status find_files(rf_cell_maker *m)
{
    static const rf_axis_kind KINDS[] = {RF_VARY_BASE, RF_VARY_REFINER};
    rf_cells                 *cells = m->cells;
    const char *const         given[] = {m->request->base, m->request->refiner};
    size_t                    room = 0;
    for (int s = 0; s < RF_REQUEST_STAGES; s++) {
        m->file_axis[s] = -1;
        for (int a = 0; a < RF_AXES; a++)
            if (cells->axis[a].kind == KINDS[s]) m->file_axis[s] = a;
        room += m->file_axis[s] < 0 ? 1 : (size_t)cells->axis[m->file_axis[s]].count;
    }
    if (m->file_axis[0] < 0 && !given[0])
        return rf_fail(&m->trouble->error, RF_E_ARG,
                       "--base is missing: which checkpoint shall begin?");
    cells->file = rf_cells_take(cells, room, sizeof *cells->file);
    for (int s = 0; s < RF_REQUEST_STAGES; s++) {
        const rf_axis *axis = m->file_axis[s] < 0 ? NULL : &cells->axis[m->file_axis[s]];
        const int      count = axis ? axis->count : 1;
        m->file_of[s] = rf_cells_take(cells, (size_t)count, sizeof *m->file_of[s]);
        if (!cells->file || !m->file_of[s]) return no_memory(m);
        for (int i = 0; i < count; i++) {
            const char *name = axis ? axis->value[i].text : given[s];
            m->file_of[s][i] = number_file(cells, s && name ? file_or_none(name) : name);
            m->refines |= s > 0 && m->file_of[s][i] >= 0;
        }
    }
    return RF_OK;
}

/* ---- one cell ----------------------------------------------------------------------------- */

void rf_cell_begin(rf_cell *cell, const rf_request *request)
{
    const rf_stage *stage = request->stages;
    *cell = (rf_cell){.job = request->job};
    cell->job.count = 1;
    cell->job.stages = cell->stages;
    cell->job.stage_count = RF_REQUEST_STAGES;
    cell->stages[0] = (rf_stage){.until = request->switch_at, .cfg_scale = stage[0].cfg_scale};
    cell->stages[1] =
        (rf_stage){.until = 1,
                   .cfg_scale = stage[1].cfg_scale < 0 ? stage[0].cfg_scale : stage[1].cfg_scale,
                   .sampler = stage[1].sampler};
}

/* "None" and "Automatic": the checkpoint's own. */
static const char *vae_of(const char *name)
{
    return strcasecmp(name, "automatic") == 0 ? NULL : file_or_none(name);
}

/* "1024x768", as axes.c has checked and written it. */
static void set_size(rf_job *job, const char *text)
{
    char *cross = NULL;
    job->width = (int)strtol(text, &cross, 10);
    job->height = (int)strtol(cross + 1, NULL, 10);
}

void rf_cell_apply(rf_cell *cell, const rf_axis *axis, int value)
{
    const rf_axis_value *v = &axis->value[value];
    rf_job              *job = &cell->job;
    rf_stage            *stage = cell->stages;
    switch (axis->kind) {
    case RF_VARY_SWITCH:
        stage[0].until = v->number;
        job->idle_stages = 1; /* who varies it means its ends */
        break;
    case RF_VARY_VAE: job->vae = vae_of(v->text); break;
    /* a double does not hold all seeds */
    case RF_VARY_SEED: job->seed = strtoull(v->text, NULL, 10); break;
    case RF_VARY_VARIATION_SEED: job->variation_seed = strtoull(v->text, NULL, 10); break;
    case RF_VARY_VARIATION: job->variation = v->number; break;
    case RF_VARY_STEPS: job->steps = (int)v->number; break;
    case RF_VARY_CFG: stage[0].cfg_scale = stage[1].cfg_scale = (float)v->number; break;
    case RF_VARY_BASE_CFG: stage[0].cfg_scale = (float)v->number; break;
    case RF_VARY_REFINER_CFG: stage[1].cfg_scale = (float)v->number; break;
    case RF_VARY_SAMPLER:
        job->sampler = v->text;
        stage[1].sampler = NULL;
        break;
    case RF_VARY_REFINER_SAMPLER: stage[1].sampler = v->text; break;
    case RF_VARY_SCHEDULE: job->schedule = v->text; break;
    case RF_VARY_SIZE: set_size(job, v->text); break;
    case RF_VARY_CLIP_SKIP: job->clip_skip = (int)v->number; break;
    case RF_VARY_ETA: job->eta = v->number; break;
    case RF_VARY_SIGMA_MIN: job->sigma_min = v->number; break;
    case RF_VARY_SIGMA_MAX: job->sigma_max = v->number; break;
    case RF_VARY_RHO: job->rho = v->number; break;
    default: break; /* files and prompts */
    }
}

static void fill_cell(rf_cell *cell, const rf_cell_maker *m, const int at[RF_AXES])
{
    const rf_request *q = m->request;
    rf_cell_begin(cell, q);
    for (int a = 0; a < RF_AXES; a++) {
        cell->at[a] = at[a];
        rf_cell_apply(cell, &m->cells->axis[a], at[a]);
    }
    const rf_cell_texts *texts = &m->texts[rf_cell_choice(m->cells, at)];
    for (int s = 0; s < RF_REQUEST_STAGES; s++) {
        cell->stages[s].prompt = texts->of[s][0];
        cell->stages[s].negative = texts->of[s][1];
        cell->file[s] = m->file_of[s][m->file_axis[s] < 0 ? 0 : at[m->file_axis[s]]];
    }
    rf_stage *base = &cell->stages[0], *refiner = &cell->stages[1];
    if (q->stages[1].cfg_scale < 0 && refiner->cfg_scale == base->cfg_scale)
        refiner->cfg_scale = -1;
    if (cell->file[1] >= 0) return;
    cell->job.stage_count = 1;
    base->until = 1;
    *refiner = (rf_stage){0};
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
    *out = (rf_cells){0};
    for (int a = 0; a < RF_AXES; a++) {
        out->axis[a] = axis[a];
        axis[a] = (rf_axis){0};
    }
    RF_TRY(count_cells(&m));
    RF_TRY(find_files(&m));
    RF_TRY(rf_cell_texts_make(&m));
    RF_TRY(rf_cells_check(&m));
    RF_TRY(fill_cells(&m));
    rf_cells_warn(&m);
done:
    if (st != RF_OK) out->count = 0; /* there are none, the axes are there to be released */
    return st;
}
