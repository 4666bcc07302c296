/* The judge's network; see judge.h.
 *
 * Four convolutions, channels last, the output channels innermost so that the compiler vectorises
 * them; then one small network for each place and one linear layer for the whole.  10 million
 * multiplications a picture: a few milliseconds, which needs no kernel. */
#include "tools/judge/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/safetensors.h"
#include "kernels/half.h"

enum {
    CONVS = 4,
    MAP = 16, /* side of the last map: 8 pixels each */
    CHANNELS = 40,
    NARROW = 16,
    FIRST_ROW = 2,
    ROWS = 12, /* of the map that a place sees: sky and ground have none */
    COLUMNS = 6,
    WINDOW = NARROW * ROWS * COLUMNS,
    HIDDEN = 32,
    SAID = 1 + RF_KINDS + RF_COLOURS + RF_ACCESSORIES,
    WHOLE = RF_BACKGROUNDS + 1,
    FLOATS = 64557, /* weights and biases in all */
};

static const int WIDTH[CONVS + 1] = {3, 12, 24, CHANNELS, CHANNELS};
static const int STRIDE[CONVS] = {2, 2, 2, 1};
static const int FIRST_COLUMN[RF_PLACES] = {0, 5, 10};

typedef struct layer {
    const float *weight, *bias; /* convolutions [3, 3, in, out], others [out, in] */
} layer;

struct rf_judge {
    layer conv[CONVS], narrow, hidden, place, whole;
    float data[FLOATS];
};

/* ---- reading the weights ------------------------------------------------------------------ */

/* [out, in, 3, 3], as PyTorch has it, to [3, 3, in, out]. */
static void transpose(float *to, const float *from, int inputs, int outputs)
{
    for (int o = 0; o < outputs; o++)
        for (int i = 0; i < inputs; i++)
            for (int tap = 0; tap < 9; tap++)
                to[(tap * inputs + i) * outputs + o] = from[(o * inputs + i) * 9 + tap];
}

typedef struct reader {
    const rf_tensors *list;
    float            *next; /* free room in the judge's data */
    rf_error         *err;
} reader;

static rf_status read_floats(reader *r, float *out, const char *name, int elems)
{
    rf_status        st = RF_OK;
    const rf_tensor *t = rf_tensors_find(r->list, name);
    uint16_t        *half = NULL;
    if (!t || t->type != RF_FILE_F16 || t->elems != (uint64_t)elems)
        return rf_fail(r->err, RF_E_MODEL, "%s: no judge: %s shall be %d numbers of F16",
                       r->list->path, name, elems);
    half = malloc((size_t)elems * sizeof *half);
    if (!half) return rf_fail(r->err, RF_E_NOMEM, "%s: no memory to read it", r->list->path);
    RF_TRY(r->list->read(r->list, t, 0, half, (size_t)elems * sizeof *half, r->err));
    for (int i = 0; i < elems; i++) out[i] = rf_f32_from_f16(half[i]);
done:
    free(half);
    return st;
}

static rf_status read_layer(reader *r, layer *out, const char *name, int inputs, int outputs,
                            int taps)
{
    rf_status st = RF_OK;
    char      text[32];
    const int elems = inputs * outputs * taps;
    float    *plain = NULL;
    out->weight = r->next;
    snprintf(text, sizeof text, "%s.weight", name);
    RF_TRY(read_floats(r, r->next, text, elems));
    if (taps == 9) {
        plain = malloc((size_t)elems * sizeof *plain);
        if (!plain) {
            st = rf_fail(r->err, RF_E_NOMEM, "%s: no memory to read it", r->list->path);
            goto done;
        }
        memcpy(plain, r->next, (size_t)elems * sizeof *plain);
        transpose(r->next, plain, inputs, outputs);
    }
    r->next += elems;
    out->bias = r->next;
    snprintf(text, sizeof text, "%s.bias", name);
    RF_TRY(read_floats(r, r->next, text, outputs));
    r->next += outputs;
done:
    free(plain);
    return st;
}

rf_status rf_judge_open(rf_judge **out, const char *path, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_safetensors *file = NULL;
    rf_judge       *judge = NULL;
    char            name[16];
    *out = NULL;
    RF_TRY(rf_safetensors_open(&file, path, err));
    judge = calloc(1, sizeof *judge);
    if (!judge) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory for the judge", path);
        goto done;
    }
    reader r = {.list = rf_safetensors_list(file), .next = judge->data, .err = err};
    for (int i = 0; i < CONVS; i++) {
        snprintf(name, sizeof name, "conv%d", i);
        RF_TRY(read_layer(&r, &judge->conv[i], name, WIDTH[i], WIDTH[i + 1], 9));
    }
    RF_TRY(read_layer(&r, &judge->narrow, "narrow", CHANNELS, NARROW, 1));
    RF_TRY(read_layer(&r, &judge->hidden, "hidden", WINDOW, HIDDEN, 1));
    RF_TRY(read_layer(&r, &judge->place, "place", HIDDEN, SAID, 1));
    RF_TRY(read_layer(&r, &judge->whole, "whole", 2 * CHANNELS, WHOLE, 1));
    *out = judge;
    judge = NULL;
done:
    rf_safetensors_close(file);
    free(judge);
    return st;
}

void rf_judge_close(rf_judge *judge)
{
    free(judge);
}

/* ---- layers ------------------------------------------------------------------------------- */

static float relu(float x)
{
    return x > 0 ? x : 0;
}

/* y [side / stride, side / stride, outputs] = relu(3x3 convolution of x [side, side, inputs]),
 * zeros around. */
static void convolve(float *restrict y, const float *restrict x, int side, int inputs, int outputs,
                     int stride, layer l)
{
    for (int oy = 0; oy < side / stride; oy++)
        for (int ox = 0; ox < side / stride; ox++, y += outputs) {
            memcpy(y, l.bias, (size_t)outputs * sizeof *y);
            for (int tap = 0; tap < 9; tap++) {
                const int iy = oy * stride + tap / 3 - 1, ix = ox * stride + tap % 3 - 1;
                if (iy < 0 || iy >= side || ix < 0 || ix >= side) continue;
                const float *in = x + (iy * side + ix) * inputs;
                const float *w = l.weight + tap * inputs * outputs;
                for (int i = 0; i < inputs; i++, w += outputs)
                    for (int o = 0; o < outputs; o++) y[o] += in[i] * w[o];
            }
            for (int o = 0; o < outputs; o++) y[o] = relu(y[o]);
        }
}

static void multiply(float *y, const float *x, int inputs, int outputs, layer l)
{
    for (int o = 0; o < outputs; o++) {
        float sum = l.bias[o];
        for (int i = 0; i < inputs; i++) sum += l.weight[o * inputs + i] * x[i];
        y[o] = sum;
    }
}

/* ---- what was seen ------------------------------------------------------------------------ */

/* The likeliest of `count` and its share of the softmax. */
static rf_belief likeliest(const float *logit, int count)
{
    rf_belief b = {0};
    double    sum = 0;
    for (int i = 1; i < count; i++)
        if (logit[i] > logit[b.what]) b.what = i;
    for (int i = 0; i < count; i++) sum += exp((double)logit[i] - (double)logit[b.what]);
    b.sure = 1 / sum;
    return b;
}

/* narrow [MAP, MAP, NARROW] */
static void read_place(const rf_judge *judge, const float *narrow, int place,
                       struct rf_place_reading *out)
{
    float window[WINDOW], hidden[HIDDEN], said[SAID], *next = window;
    for (int c = 0; c < NARROW; c++)
        for (int y = FIRST_ROW; y < FIRST_ROW + ROWS; y++)
            for (int x = 0; x < COLUMNS; x++)
                *next++ = narrow[(y * MAP + FIRST_COLUMN[place] + x) * NARROW + c];
    multiply(hidden, window, WINDOW, HIDDEN, judge->hidden);
    for (int i = 0; i < HIDDEN; i++) hidden[i] = relu(hidden[i]);
    multiply(said, hidden, HIDDEN, SAID, judge->place);
    const float *at = said + 1;
    out->there = 1 / (1 + exp(-(double)said[0]));
    out->kind = likeliest(at, RF_KINDS), at += RF_KINDS;
    out->colour = likeliest(at, RF_COLOURS), at += RF_COLOURS;
    out->accessory = likeliest(at, RF_ACCESSORIES);
}

/* map [MAP, MAP, CHANNELS] */
static void read_whole(const rf_judge *judge, const float *map, rf_reading *out)
{
    float pooled[2 * CHANNELS], said[WHOLE]; /* mean, then largest */
    for (int c = 0; c < CHANNELS; c++) {
        float sum = 0, most = 0; /* nothing is below 0 */
        for (int i = 0; i < MAP * MAP; i++) {
            sum += map[i * CHANNELS + c];
            if (map[i * CHANNELS + c] > most) most = map[i * CHANNELS + c];
        }
        pooled[c] = sum / (MAP * MAP);
        pooled[CHANNELS + c] = most;
    }
    multiply(said, pooled, 2 * CHANNELS, WHOLE, judge->whole);
    out->background = likeliest(said, RF_BACKGROUNDS);
    out->style = fmin(fmax((double)said[RF_BACKGROUNDS], 0), 1);
}

void rf_judge_read(const rf_judge *judge, const uint8_t *rgb, rf_reading *out)
{
    float a[RF_SIDE * RF_SIDE * 3], b[RF_SIDE / 2 * RF_SIDE / 2 * 12];
    float narrow[MAP * MAP * NARROW];
    int   side = RF_SIDE;
    for (int i = 0; i < RF_SIDE * RF_SIDE * 3; i++) a[i] = (float)rgb[i] / 127.5F - 1;
    for (int i = 0; i < CONVS; i++) { /* from a to b and back: no map is larger than the first */
        convolve(i % 2 ? a : b, i % 2 ? b : a, side, WIDTH[i], WIDTH[i + 1], STRIDE[i],
                 judge->conv[i]);
        side /= STRIDE[i];
    }
    for (int i = 0; i < MAP * MAP; i++) {
        multiply(narrow + i * NARROW, a + i * CHANNELS, CHANNELS, NARROW, judge->narrow);
        for (int c = 0; c < NARROW; c++) narrow[i * NARROW + c] = relu(narrow[i * NARROW + c]);
    }
    for (int place = 0; place < RF_PLACES; place++)
        read_place(judge, narrow, place, &out->place[place]);
    read_whole(judge, a, out);
}
