/* Area averaging in linear light; see shrink.h.
 *
 * Along each axis a source pixel is as long as the output has pixels and an output pixel as long as
 * the source has: every overlap is a whole number, and a row's or column's weights add up to the
 * source's size.  Rows are shrunk first, one at a time, and added to those output rows that they
 * reach into. */
#include "tools/pictures/shrink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 1 << 14 }; /* 16 bits of light * 14 + 14 bits of weight fit 64 with room */

/* IEC 61966-2-1, eq. 5 to 7: sRGB to light, in 65535ths. */
static void make_light(uint16_t light[256])
{
    for (int i = 0; i < 256; i++) {
        const double v = i / 255.0;
        light[i] =
            (uint16_t)lround(65535 * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4)));
    }
}

/* The nearest step of sRGB. */
static uint8_t to_srgb(const uint16_t light[256], uint64_t value)
{
    int low = 0, high = 255; /* the answer lies between them */
    while (low < high) {
        const int middle = (low + high) / 2;
        if (2 * value > (uint64_t)light[middle] + light[middle + 1])
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

typedef struct work {
    const rf_pixels *in;
    rf_pixels       *out;
    uint16_t         light[256];
    uint32_t        *row; /* [out->width, 3]: one source row, shrunk */
    uint64_t        *sum; /* [out->width, 3]: the output row under construction */
} work;

static void shrink_row(const work *w, int y)
{
    const int      from = w->in->width, to = w->out->width;
    const uint8_t *rgb = w->in->rgb + (size_t)y * (size_t)from * 3;
    int            x = 0, left = to; /* the source pixel at work, and what is left of it */
    for (int i = 0; i < to; i++) {
        uint32_t sum[3] = {0};
        for (int need = from; need > 0;) {
            const int part = left < need ? left : need;
            for (int c = 0; c < 3; c++)
                sum[c] += (uint32_t)part * w->light[rgb[(size_t)x * 3 + (size_t)c]];
            need -= part;
            left -= part;
            if (left == 0) x++, left = to;
        }
        memcpy(w->row + (size_t)i * 3, sum, sizeof sum);
    }
}

static void finish_row(const work *w, int y)
{
    const size_t   values = (size_t)w->out->width * 3;
    const uint64_t area = (uint64_t)w->in->width * (uint64_t)w->in->height;
    for (size_t i = 0; i < values; i++)
        w->out->rgb[(size_t)y * values + i] = to_srgb(w->light, (w->sum[i] + area / 2) / area);
    memset(w->sum, 0, values * sizeof *w->sum);
}

static void shrink_all(const work *w)
{
    const int    from = w->in->height, to = w->out->height;
    const size_t values = (size_t)w->out->width * 3;
    int          y = 0, need = from; /* of the output row at work */
    for (int source = 0; source < from; source++) {
        shrink_row(w, source);
        for (int left = to; left > 0;) {
            const int part = left < need ? left : need;
            for (size_t i = 0; i < values; i++) w->sum[i] += (uint64_t)part * w->row[i];
            left -= part;
            need -= part;
            if (need == 0) finish_row(w, y++), need = from;
        }
    }
}

rf_status rf_shrink(rf_pixels *out, const rf_pixels *in, int width, int height, rf_error *err)
{
    rf_status st = RF_OK;
    work      w = {.in = in, .out = out};
    *out = (rf_pixels){0};
    if (width < 1 || height < 1 || width > in->width || height > in->height ||
        in->width > SIDE_MAX || in->height > SIDE_MAX)
        return rf_fail(err, RF_E_ARG, "%dx%d pixels cannot be shrunk to %dx%d", in->width,
                       in->height, width, height);
    out->rgb = malloc((size_t)width * (size_t)height * 3);
    w.row = malloc((size_t)width * 3 * sizeof *w.row);
    w.sum = calloc((size_t)width * 3, sizeof *w.sum);
    if (!out->rgb || !w.row || !w.sum) {
        st = rf_fail(err, RF_E_NOMEM, "no memory to shrink a picture");
        goto done;
    }
    out->width = width, out->height = height;
    if (width == in->width && height == in->height) {
        memcpy(out->rgb, in->rgb, (size_t)width * (size_t)height * 3);
        goto done;
    }
    make_light(w.light);
    shrink_all(&w);
done:
    free(w.row);
    free(w.sum);
    if (st != RF_OK) {
        free(out->rgb);
        *out = (rf_pixels){0};
    }
    return st;
}
