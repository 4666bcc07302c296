/* Reading factors, folding cores, making rows; see lora_delta.h. */
#include "engine/files/lora_delta.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/widen.h"
#include "engine/files/lora_shapes.h"

/* ---- reading ------------------------------------------------------------------------------ */

static rf_dtype dtype_of(rf_filetype type)
{
    return type == RF_FILE_F16 ? RF_F16 : type == RF_FILE_BF16 ? RF_BF16 : RF_F32;
}

static rf_status no_memory(const rf_tensors *list, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", list->path);
}

rf_status rf_lora_read(rf_lora_matrix *out, const rf_tensors *list, const rf_tensor *t,
                       rf_error *err)
{
    rf_status st = RF_OK;
    void     *raw = malloc((size_t)t->bytes);
    *out = (rf_lora_matrix){.rows = (size_t)rf_lora_rows(t), .columns = (size_t)rf_lora_columns(t)};
    out->value = calloc((size_t)t->elems, sizeof(float));
    if (!raw || !out->value) {
        st = no_memory(list, err);
        goto done;
    }
    RF_TRY(list->read(list, t, 0, raw, (size_t)t->bytes, err));
    rf_convert(out->value, RF_F32, raw, dtype_of(t->type), (size_t)t->elems);
done:
    free(raw);
    if (st != RF_OK) {
        free(out->value);
        *out = (rf_lora_matrix){0};
    }
    return st;
}

/* ---- folding ------------------------------------------------------------------------------ */

static rf_status transpose(rf_lora_matrix *m, const rf_tensors *list, rf_error *err)
{
    float *turned = malloc(m->rows * m->columns * sizeof *turned);
    if (!turned) return no_memory(list, err);
    for (size_t i = 0; i < m->rows; i++)
        for (size_t j = 0; j < m->columns; j++)
            turned[j * m->rows + i] = m->value[i * m->columns + j];
    free(m->value);
    *m = (rf_lora_matrix){.value = turned, .rows = m->columns, .columns = m->rows};
    return RF_OK;
}

/* b [r, in] becomes [r, in * k]: b'[i, x, k] = sum over j of core[i, j, k] * b[j, x]. */
static rf_status fold_core(rf_lora_matrix *b, const rf_tensors *list, const rf_tensor *core,
                           rf_error *err)
{
    rf_lora_matrix  t = {0};
    const rf_status st = rf_lora_read(&t, list, core, err);
    if (st != RF_OK) return st;
    const size_t outer = t.rows, inner = b->rows, k = t.columns / inner, in = b->columns;
    float       *folded = calloc(outer * in * k, sizeof *folded);
    for (size_t i = 0; folded && i < outer; i++)
        for (size_t j = 0; j < inner; j++)
            for (size_t x = 0; x < in; x++)
                for (size_t e = 0; e < k; e++)
                    folded[(i * in + x) * k + e] +=
                        t.value[(i * inner + j) * k + e] * b->value[j * in + x];
    free(t.value);
    if (!folded) return no_memory(list, err);
    free(b->value);
    *b = (rf_lora_matrix){.value = folded, .rows = outer, .columns = in * k};
    return RF_OK;
}

/* *a = a b, and b is gone. */
static rf_status multiply(rf_lora_matrix *a, rf_lora_matrix *b, const rf_tensors *list,
                          rf_error *err)
{
    float *product = calloc(a->rows * b->columns, sizeof *product);
    if (!product) return no_memory(list, err);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->columns; j++)
            for (size_t x = 0; x < b->columns; x++)
                product[i * b->columns + x] +=
                    a->value[i * a->columns + j] * b->value[j * b->columns + x];
    free(a->value);
    free(b->value);
    *a = (rf_lora_matrix){.value = product, .rows = a->rows, .columns = b->columns};
    *b = (rf_lora_matrix){0};
    return RF_OK;
}

/* Tucker form, where `a` is stored with its rank first: a is turned, the core goes into b. */
static rf_status fold_turned(rf_lora_matrix *a, rf_lora_matrix *b, const rf_tensors *list,
                             const rf_tensor *core, rf_error *err)
{
    const rf_status st = transpose(a, list, err);
    return st == RF_OK ? fold_core(b, list, core, err) : st;
}

/* ---- the kinds ---------------------------------------------------------------------------- */

typedef struct source {
    const rf_tensors       *list;
    const rf_tensor *const *tensor; /* [RF_LORA_ROLES] */
} source;

static rf_status read_low_rank(rf_lora_delta *d, const source *s, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_lora_read(&d->a, s->list, s->tensor[RF_LORA_UP], err));
    RF_TRY(rf_lora_read(&d->b, s->list, s->tensor[RF_LORA_DOWN], err));
    if (s->tensor[RF_LORA_MID]) RF_TRY(fold_core(&d->b, s->list, s->tensor[RF_LORA_MID], err));
done:
    return st;
}

static rf_status read_hadamard(rf_lora_delta *d, const source *s, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_lora_read(&d->a, s->list, s->tensor[RF_LORA_W1_A], err));
    RF_TRY(rf_lora_read(&d->b, s->list, s->tensor[RF_LORA_W1_B], err));
    RF_TRY(rf_lora_read(&d->a2, s->list, s->tensor[RF_LORA_W2_A], err));
    RF_TRY(rf_lora_read(&d->b2, s->list, s->tensor[RF_LORA_W2_B], err));
    if (!s->tensor[RF_LORA_T1]) return RF_OK;
    RF_TRY(fold_turned(&d->a, &d->b, s->list, s->tensor[RF_LORA_T1], err));
    RF_TRY(fold_turned(&d->a2, &d->b2, s->list, s->tensor[RF_LORA_T2], err));
done:
    return st;
}

/* Whole, or the product of its two factors. */
static rf_status read_side(rf_lora_matrix *out, const source *s, rf_lora_role whole, rf_lora_role a,
                           rf_lora_role b, rf_error *err)
{
    rf_lora_matrix second = {0};
    rf_status      st = RF_OK;
    if (s->tensor[whole]) return rf_lora_read(out, s->list, s->tensor[whole], err);
    RF_TRY(rf_lora_read(out, s->list, s->tensor[a], err));
    RF_TRY(rf_lora_read(&second, s->list, s->tensor[b], err));
    if (whole == RF_LORA_K2 && s->tensor[RF_LORA_KT])
        RF_TRY(fold_turned(out, &second, s->list, s->tensor[RF_LORA_KT], err));
    RF_TRY(multiply(out, &second, s->list, err));
done:
    free(second.value);
    return st;
}

rf_status rf_lora_delta_read(rf_lora_delta *d, const rf_lora *lora, const rf_lora_module *m,
                             rf_error *err)
{
    const source s = {.list = lora->tensors, .tensor = m->tensor};
    rf_status    st = RF_OK;
    *d = (rf_lora_delta){.kind = m->kind, .scale = m->scale};
    switch (m->kind) {
    case RF_LORA_LOW_RANK: RF_TRY(read_low_rank(d, &s, err)); break;
    case RF_LORA_HADAMARD: RF_TRY(read_hadamard(d, &s, err)); break;
    case RF_LORA_KRONECKER:
        RF_TRY(read_side(&d->a, &s, RF_LORA_K1, RF_LORA_K1_A, RF_LORA_K1_B, err));
        RF_TRY(read_side(&d->b, &s, RF_LORA_K2, RF_LORA_K2_A, RF_LORA_K2_B, err));
        break;
    default: RF_TRY(rf_lora_read(&d->a, s.list, s.tensor[RF_LORA_WEIGHT], err)); break;
    }
    d->rows = d->a.rows * (m->kind == RF_LORA_KRONECKER ? d->b.rows : 1);
    d->columns = m->kind == RF_LORA_KRONECKER ? d->a.columns * d->b.columns
                 : d->b.value                 ? d->b.columns
                                              : d->a.columns;
done:
    if (st != RF_OK) rf_lora_delta_free(d);
    return st;
}

void rf_lora_delta_free(rf_lora_delta *d)
{
    free(d->a.value);
    free(d->b.value);
    free(d->a2.value);
    free(d->b2.value);
    *d = (rf_lora_delta){0};
}

/* ---- rows --------------------------------------------------------------------------------- */

/* row = scale * sum over j of a[r, j] * b[j, :] */
static void low_rank_row(const rf_lora_matrix *a, const rf_lora_matrix *b, size_t r, float scale,
                         float *restrict row)
{
    memset(row, 0, b->columns * sizeof *row);
    for (size_t j = 0; j < b->rows; j++) {
        const float weight = scale * a->value[r * a->columns + j];
        const float *restrict from = b->value + j * b->columns;
        for (size_t x = 0; x < b->columns; x++) row[x] += weight * from[x];
    }
}

void rf_lora_delta_row(const rf_lora_delta *d, size_t r, float *row, float *scratch)
{
    const rf_lora_matrix *a = &d->a, *b = &d->b;
    switch (d->kind) {
    case RF_LORA_LOW_RANK: low_rank_row(a, b, r, d->scale, row); break;
    case RF_LORA_HADAMARD:
        low_rank_row(a, b, r, d->scale, row);
        low_rank_row(&d->a2, &d->b2, r, 1, scratch);
        for (size_t x = 0; x < d->columns; x++) row[x] *= scratch[x];
        break;
    case RF_LORA_KRONECKER:
        for (size_t j = 0; j < a->columns; j++) {
            const float  weight = d->scale * a->value[r / b->rows * a->columns + j];
            const float *from = b->value + r % b->rows * b->columns;
            for (size_t x = 0; x < b->columns; x++) row[j * b->columns + x] = weight * from[x];
        }
        break;
    default:
        for (size_t x = 0; x < d->columns; x++) row[x] = d->scale * a->value[r * a->columns + x];
        break;
    }
}
