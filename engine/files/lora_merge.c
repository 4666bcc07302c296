/* Merging into a whole tensor; see lora_fit.h.
 *
 *   LoRA, LoCon, LoHa, LoKr, diff   W + s d            d as in lora_delta.h
 *   set_weight                      W + s (d - W)
 *   DoRA                            W + s (m (W + d) / (norm(W + d) + eps) - W)
 *   biases                          b + s d
 *
 * norm is taken over each output, or over each input where the magnitudes m are per input; of the
 * merged weight, as LyCORIS takes it (Liu et al. 2024, equation 5), with its eps of f32. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/lora_delta.h"
#include "engine/files/lora_fit.h"
#include "engine/files/lora_product.h"
#include "engine/files/lora_shapes.h"

typedef struct merge {
    const rf_lora_match *match;
    const rf_lora_delta *delta;
    rf_lora_matrix       magnitude; /* DoRA; else nothing */
    float               *norm;      /* [inputs] of the merged weight, where m is per input */
    size_t               kernel;    /* height times width: elements per input */
    float                strength;
    float               *w;      /* where the layer's first element lies */
    size_t               stride; /* elements from one output to the next */
    size_t               step;   /* from one input to the next: 1 unless transposed */
    atomic_int          *failed; /* without memory */
} merge;

static float *at(const merge *m, size_t row, size_t column)
{
    return m->w + row * m->stride + column * m->step;
}

/* ---- one row ------------------------------------------------------------------------------ */

/* w[x] += s * what the row says. */
static inline void add_elements(float *restrict w, size_t step, const float *restrict row,
                                size_t columns, float strength)
{
    for (size_t x = 0; x < columns; x++) w[x * step] += strength * row[x];
}

static void add_row(const merge *m, size_t r, float *row)
{
    const size_t columns = m->delta->columns;
    if (m->delta->kind == RF_LORA_SET)
        for (size_t x = 0; x < columns; x++) row[x] -= *at(m, r, x);
    if (m->step == 1)
        add_elements(at(m, r, 0), 1, row, columns, m->strength);
    else
        add_elements(at(m, r, 0), m->step, row, columns, m->strength);
}

/* row = W + d. */
static void complete_row(const merge *m, size_t r, float *row)
{
    for (size_t x = 0; x < m->delta->columns; x++) row[x] += *at(m, r, x);
}

static float norm_of(const float *row, size_t columns)
{
    double sum = 0;
    for (size_t x = 0; x < columns; x++) sum += (double)row[x] * (double)row[x];
    return (float)sqrt(sum);
}

/* The row, complete, becomes the decomposed one's difference to W. */
static void decompose_row(const merge *m, size_t r, float *row)
{
    const int   per_input = m->norm != NULL;
    const float whole =
        per_input ? 0 : m->magnitude.value[r] / (norm_of(row, m->delta->columns) + FLT_EPSILON);
    for (size_t x = 0; x < m->delta->columns; x++) {
        const size_t i = x / m->kernel;
        const float factor = per_input ? m->magnitude.value[i] / (m->norm[i] + FLT_EPSILON) : whole;
        row[x] = row[x] * factor - *at(m, r, x);
    }
}

static void merge_rows(const merge *m, int threads)
{
#pragma omp parallel num_threads(threads)
    {
        float *row = malloc(2 * m->delta->columns * sizeof *row);
        if (!row) atomic_store(m->failed, 1);
#pragma omp for schedule(static)
        for (size_t r = 0; r < m->delta->rows; r++) {
            if (!row) continue;
            rf_lora_delta_row(m->delta, r, row, row + m->delta->columns);
            if (m->magnitude.value) {
                complete_row(m, r, row);
                decompose_row(m, r, row);
            }
            add_row(m, r, row);
        }
        free(row);
    }
}

/* A plain LoRA, whose rows need not be made before they are added. */
static void merge_product(const merge *m, int threads)
{
    const size_t          rows = m->delta->rows, step = RF_LORA_PRODUCT_ROWS;
    const size_t          blocks = (rows + step - 1) / step;
    const rf_lora_product p = {
        .a = &m->delta->a, .b = &m->delta->b, .scale = m->delta->scale, .strength = m->strength};
#pragma omp parallel num_threads(threads)
    {
        float *scaled = malloc(rf_lora_product_scratch(&p) * sizeof *scaled);
        if (!scaled) atomic_store(m->failed, 1);
#pragma omp for schedule(static)
        for (size_t i = 0; i < blocks; i++) {
            const size_t r = i * step;
            if (scaled) rf_lora_product_add(&p, m->w, r, rows - r < step ? rows - r : step, scaled);
        }
        free(scaled);
    }
}

/* ---- magnitudes --------------------------------------------------------------------------- */

/* Norms of the merged weight over each input, in the order of the rows. */
static rf_status sum_inputs(merge *m, const char *path, rf_error *err)
{
    const size_t columns = m->delta->columns, inputs = columns / m->kernel;
    double      *sum = calloc(inputs, sizeof *sum);
    float       *row = malloc(2 * columns * sizeof *row);
    m->norm = malloc(inputs * sizeof *m->norm);
    const int enough = sum && row && m->norm;
    for (size_t r = 0; enough && r < m->delta->rows; r++) {
        rf_lora_delta_row(m->delta, r, row, row + columns);
        complete_row(m, r, row);
        for (size_t x = 0; x < columns; x++) sum[x / m->kernel] += (double)row[x] * (double)row[x];
    }
    for (size_t i = 0; enough && i < inputs; i++) m->norm[i] = (float)sqrt(sum[i]);
    free(sum);
    free(row);
    return enough ? RF_OK : rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
}

static rf_status read_magnitudes(merge *m, const rf_lora *lora, rf_error *err)
{
    const rf_tensor *t = m->match->module->tensor[RF_LORA_DORA];
    if (!t) return RF_OK;
    const rf_status st = rf_lora_read(&m->magnitude, lora->tensors, t, err);
    if (st != RF_OK || rf_lora_columns(t) == 1) return st;
    return sum_inputs(m, lora->tensors->path, err);
}

/* ---- a layer ------------------------------------------------------------------------------ */

static rf_status merge_weight(const rf_lora *lora, const rf_lora_match *match, float strength,
                              float *w, int threads, rf_error *err)
{
    const rf_lora_layer *layer = match->layer;
    rf_lora_delta        delta = {0};
    atomic_int           failed = 0;
    merge     m = {.match = match, .delta = &delta, .strength = strength, .failed = &failed};
    rf_status st = RF_OK;
    RF_TRY(rf_lora_delta_read(&delta, lora, match->module, err));
    m.kernel = layer->ndim > 1 ? delta.columns / (size_t)layer->dim[1] : 1;
    m.stride = layer->transposed ? 1 : delta.columns;
    m.step = layer->transposed ? delta.rows : 1;
    m.w = w + (size_t)layer->row_part * delta.rows * delta.columns;
    RF_TRY(read_magnitudes(&m, lora, err));
    if (delta.kind == RF_LORA_LOW_RANK && m.step == 1 && !m.magnitude.value)
        merge_product(&m, threads);
    else
        merge_rows(&m, threads);
    if (failed) st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", lora->tensors->path);
done:
    free(m.magnitude.value);
    free(m.norm);
    rf_lora_delta_free(&delta);
    return st;
}

static rf_status merge_bias(const rf_lora *lora, const rf_lora_match *match, float strength,
                            float *w, rf_error *err)
{
    rf_lora_matrix  d = {0};
    const rf_status st = rf_lora_read(&d, lora->tensors, match->module->tensor[RF_LORA_BIAS], err);
    if (st != RF_OK) return st;
    const size_t count = d.rows * d.columns;
    float       *b = w + (size_t)match->layer->row_part * count;
    for (size_t i = 0; i < count; i++) b[i] += strength * d.value[i];
    free(d.value);
    return RF_OK;
}

rf_status rf_lora_merge(const rf_lora_fit *fit, const rf_tensor *tensor, float strength, float *w,
                        int threads, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < fit->matches; i++) {
        const rf_lora_match  *match = &fit->match[i];
        const rf_lora_module *m = match->module;
        const int             weight = m->kind != RF_LORA_DIFF || m->tensor[RF_LORA_WEIGHT];
        if (weight && strcmp(match->layer->weight, tensor->name) == 0)
            RF_TRY(merge_weight(fit->lora, match, strength, w, threads, err));
        if (m->tensor[RF_LORA_BIAS] && strcmp(match->layer->bias, tensor->name) == 0)
            RF_TRY(merge_bias(fit->lora, match, strength, w, err));
    }
done:
    return st;
}
