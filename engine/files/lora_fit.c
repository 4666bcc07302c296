/* Looking modules up; see lora_fit.h. */
#include "engine/files/lora_fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/lora_shapes.h"

static int64_t inner_of(const rf_lora_layer *layer)
{
    int64_t inner = 1;
    for (int i = 2; i < layer->ndim; i++) inner *= layer->dim[i];
    return inner;
}

/* Inputs and kernel agree, or their product where the factors tell no more. */
static int size_fits(const rf_lora_size *s, const rf_lora_layer *layer)
{
    const int64_t in = layer->ndim > 1 ? layer->dim[1] : 1, kernel = inner_of(layer);
    if (s->out != layer->dim[0]) return 0;
    return s->joined ? s->in == in * kernel : s->in == in && s->kernel == kernel;
}

/* Of either form: one number per output, or one per input. */
static int magnitudes_fit(const rf_tensor *t, const rf_lora_layer *layer)
{
    const int64_t rows = rf_lora_rows(t), columns = rf_lora_columns(t);
    if (columns == 1) return rows == layer->dim[0];
    return rows == 1 && t->ndim > 1 && layer->ndim > 1 && columns == layer->dim[1];
}

static int fits(const rf_lora_module *m, const rf_lora_layer *layer)
{
    const rf_tensor   *bias = m->tensor[RF_LORA_BIAS], *dora = m->tensor[RF_LORA_DORA];
    const rf_lora_size s = rf_lora_size_of(m);
    const int          weight = m->kind != RF_LORA_DIFF || m->tensor[RF_LORA_WEIGHT];
    if (weight && !size_fits(&s, layer)) return 0;
    if (bias && (!layer->bias || (int64_t)bias->elems != layer->dim[0])) return 0;
    return !dora || magnitudes_fit(dora, layer);
}

static void layer_text(const rf_lora_layer *layer, char *out, size_t bytes)
{
    rf_tensor shape = {.ndim = layer->ndim};
    memcpy(shape.dim, layer->dim, sizeof layer->dim);
    rf_tensor_shape_text(&shape, out, bytes);
}

static void note_misfit(rf_lora_fit *f, const rf_lora_module *m, const rf_lora_layer *layer)
{
    char               expected[96];
    const rf_lora_size s = rf_lora_size_of(m);
    const int64_t      inputs = rf_lora_times(s.in, s.kernel);
    f->misfits++;
    if (f->first.status != RF_OK) return;
    layer_text(layer, expected, sizeof expected);
    rf_fail(&f->first, RF_E_MODEL, "module %s makes %lld outputs of %lld inputs, but %s is %s",
            m->name, (long long)s.out, (long long)inputs, layer->weight, expected);
}

static void note_unknown(rf_lora_fit *f, const rf_lora_module *m)
{
    f->unknown++;
    if (f->first.status == RF_OK)
        rf_fail(&f->first, RF_E_MODEL, "module %s means no layer of this expert", m->name);
}

static int by_tensor(const void *a, const void *b)
{
    const rf_lora_match *x = a, *y = b;
    const int            order = strcmp(x->layer->weight, y->layer->weight);
    return order ? order : x->layer->row_part - y->layer->row_part;
}

static rf_status refuse_twins(const rf_lora_fit *f, rf_error *err)
{
    for (int i = 1; i < f->matches; i++)
        if (by_tensor(&f->match[i - 1], &f->match[i]) == 0)
            return rf_fail(err, RF_E_MODEL, "%s: modules %s and %s mean the same layer",
                           f->lora->tensors->path, f->match[i - 1].module->name,
                           f->match[i].module->name);
    return RF_OK;
}

rf_status rf_lora_fit_create(rf_lora_fit *out, const rf_lora *lora, const rf_lora_names *names,
                             rf_error *err)
{
    *out = (rf_lora_fit){.lora = lora};
    out->match = calloc((size_t)lora->modules, sizeof *out->match);
    if (!out->match) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", lora->tensors->path);
    for (int i = 0; i < lora->modules; i++) {
        const rf_lora_module *m = &lora->module[i];
        const rf_lora_layer  *layer = rf_lora_names_find(names, m->name);
        if (!layer) {
            note_unknown(out, m);
        } else if (!fits(m, layer)) {
            note_misfit(out, m, layer);
        } else {
            out->match[out->matches++] = (rf_lora_match){.module = m, .layer = layer};
            out->matched[m->part]++;
            out->biases += m->tensor[RF_LORA_BIAS] != NULL;
        }
    }
    qsort(out->match, (size_t)out->matches, sizeof *out->match, by_tensor);
    const rf_status st = refuse_twins(out, err);
    if (st != RF_OK) rf_lora_fit_free(out);
    return st;
}

void rf_lora_fit_free(rf_lora_fit *fit)
{
    free(fit->match);
    *fit = (rf_lora_fit){0};
}

/* The first match whose weight is not before `tensor`. */
static int first_at(const rf_lora_fit *fit, const char *tensor)
{
    int from = 0, to = fit->matches;
    while (from < to) {
        const int middle = from + (to - from) / 2;
        if (strcmp(fit->match[middle].layer->weight, tensor) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

int rf_lora_touches(const rf_lora_fit *fit, const char *tensor)
{
    for (int i = first_at(fit, tensor); i < fit->matches; i++) {
        const rf_lora_module *m = fit->match[i].module;
        if (strcmp(fit->match[i].layer->weight, tensor) != 0) break;
        if (m->kind != RF_LORA_DIFF || m->tensor[RF_LORA_WEIGHT]) return 1;
    }
    for (int i = 0; i < fit->matches && fit->biases; i++)
        if (fit->match[i].module->tensor[RF_LORA_BIAS] &&
            strcmp(fit->match[i].layer->bias, tensor) == 0)
            return 1;
    return 0;
}
