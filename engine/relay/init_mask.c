/* Masks: reduced to the latent's cells, and blended in pixels.
 *
 * Reduced with the integer arithmetic of Pillow's ImagingResample for 8-bit pictures, which A1111
 * asks: the same cells are painted. */
#include <math.h>
#include <stdlib.h>

#include "engine/relay/init.h"

enum {
    CELL = 8,         /* pixels of a cell, in either direction */
    REACH = 2 * CELL, /* pixels that bicubic reads left and right of a cell's middle */
    TAPS = 2 * REACH,
    FRACTION = 32 - 8 - 2, /* bits of a weight behind the point */
};

/* Weights of pixels `first` .. first + count - 1. */
typedef struct taps {
    int     first, count;
    int32_t weight[TAPS + 1];
} taps;

/* Keys 1981, a = -0.5. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static taps taps_of(int cell, int size)
{
    const int middle = cell * CELL + CELL / 2;
    taps      t = {.first = middle > REACH ? middle - REACH : 0};
    double    weight[TAPS + 1], sum = 0;
    t.count = (middle + REACH < size ? middle + REACH : size) - t.first;
    for (int i = 0; i < t.count; i++) {
        weight[i] = bicubic((t.first + i - middle + 0.5) / CELL);
        sum += weight[i];
    }
    for (int i = 0; i < t.count; i++) {
        const double scaled = weight[i] / sum * (1 << FRACTION);
        t.weight[i] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    return t;
}

static uint8_t weigh(const taps *t, const uint8_t *from, size_t stride)
{
    int32_t sum = 1 << (FRACTION - 1);
    for (int i = 0; i < t->count; i++) sum += t->weight[i] * from[(size_t)(t->first + i) * stride];
    if (sum < 0) return 0;
    return sum >> FRACTION > 255 ? 255 : (uint8_t)(sum >> FRACTION);
}

rf_status rf_mask_cells(const uint8_t *mask, int h, int w, uint8_t *painted, rf_error *err)
{
    const size_t rows = (size_t)h * CELL, columns = (size_t)w * CELL;
    uint8_t     *narrow = malloc(rows * (size_t)w);
    if (!narrow) return rf_fail(err, RF_E_NOMEM, "mask: out of memory");
    for (int x = 0; x < w; x++) {
        const taps t = taps_of(x, w * CELL);
        for (size_t y = 0; y < rows; y++)
            narrow[y * (size_t)w + (size_t)x] = weigh(&t, mask + y * columns, 1);
    }
    for (int y = 0; y < h; y++) {
        const taps t = taps_of(y, h * CELL);
        for (int x = 0; x < w; x++) painted[y * w + x] = weigh(&t, narrow + x, (size_t)w) > 127;
    }
    free(narrow);
    return RF_OK;
}

void rf_mask_compose(const uint8_t *mask, const uint8_t *rgb, uint8_t *painted, size_t count)
{
    for (size_t i = 0; i < 3 * count; i++) {
        const unsigned m = mask[i / 3];
        painted[i] = (uint8_t)((m * painted[i] + (255 - m) * rgb[i] + 127) / 255);
    }
}
