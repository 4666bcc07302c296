/* Size and masks; see fit.h. */
#include "tools/pictures/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pictures/resample.h"

typedef struct area {
    int x, y, width, height;
} area;

/* Rounded a * b / c, at least 1; sides are small enough. */
static int share(int a, int b, int c)
{
    const int64_t value = ((int64_t)a * b + c / 2) / c;
    return value < 1 ? 1 : (int)value;
}

/* The largest area of the shape a : b in the middle of width x height. */
static area middle(int width, int height, int a, int b)
{
    area out = {.width = width, .height = height};
    if ((int64_t)width * b > (int64_t)height * a)
        out.width = share(height, a, b);
    else
        out.height = share(width, b, a);
    if (out.width > width) out.width = width;
    if (out.height > height) out.height = height;
    out.x = (width - out.width) / 2, out.y = (height - out.height) / 2;
    return out;
}

/* Keeps the area alone. */
static void cut(rf_pixels *p, area keep)
{
    const size_t row = (size_t)keep.width * 3;
    for (int y = 0; y < keep.height; y++)
        memmove(p->rgb + (size_t)y * row,
                p->rgb + ((size_t)(y + keep.y) * (size_t)p->width + (size_t)keep.x) * 3, row);
    p->width = keep.width, p->height = keep.height;
}

static rf_status resize(rf_pixels *p, int width, int height, rf_error *err)
{
    rf_status st = RF_OK;
    rf_taps   x = {0}, y = {0};
    uint8_t  *rgb = NULL;
    if (p->width == width && p->height == height) return RF_OK;
    RF_TRY(rf_taps_lanczos(&x, p->width, width, err));
    RF_TRY(rf_taps_lanczos(&y, p->height, height, err));
    rgb = malloc((size_t)width * (size_t)height * 3);
    if (!rgb) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for a picture of %dx%d pixels", width, height);
        goto done;
    }
    RF_TRY(rf_resample(rgb, p->rgb, p->width, p->height, 3, &x, &y, err));
    free(p->rgb);
    *p = (rf_pixels){.rgb = rgb, .width = width, .height = height};
    rgb = NULL;
done:
    free(rgb);
    rf_taps_release(&x);
    rf_taps_release(&y);
    return st;
}

static int clamp(int value, int high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* Puts the picture at `at` of a larger one; what lies around it repeats the nearest edge. */
static rf_status surround(rf_pixels *p, area at, int width, int height, rf_error *err)
{
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3), *to = rgb;
    if (!rgb)
        return rf_fail(err, RF_E_NOMEM, "no memory for a picture of %dx%d pixels", width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += 3) {
            const int sx = clamp(x - at.x, p->width - 1), sy = clamp(y - at.y, p->height - 1);
            memcpy(to, p->rgb + ((size_t)sy * (size_t)p->width + (size_t)sx) * 3, 3);
        }
    free(p->rgb);
    *p = (rf_pixels){.rgb = rgb, .width = width, .height = height};
    return RF_OK;
}

rf_status rf_picture_fit(rf_pixels *picture, int width, int height, rf_fit fit, rf_error *err)
{
    rf_status st = RF_OK;
    if (picture->width == width && picture->height == height) return RF_OK;
    if (fit == RF_FIT_FILL) {
        const area at = middle(width, height, picture->width, picture->height);
        RF_TRY(resize(picture, at.width, at.height, err));
        RF_TRY(surround(picture, at, width, height, err));
        goto done;
    }
    if (fit == RF_FIT_CROP) cut(picture, middle(picture->width, picture->height, width, height));
    RF_TRY(resize(picture, width, height, err));
done:
    return st;
}

/* ---- masks -------------------------------------------------------------------------------- */

/* Where a place beyond an edge is mirrored to; the edge itself is not repeated. */
static int mirrored(int at, int count)
{
    const int period = count > 1 ? 2 * (count - 1) : 1;
    at = ((at % period) + period) % period;
    return at < count ? at : period - at;
}

/* Blurs `count` values `stride` apart; `line` has room for them. */
static void blur_line(uint8_t *value, int count, size_t stride, const int32_t *weight, int reach,
                      uint8_t *line)
{
    for (int i = 0; i < count; i++) line[i] = value[(size_t)i * stride];
    for (int i = 0; i < count; i++) {
        int64_t sum = RF_WEIGHT_ONE / 2;
        for (int k = -reach; k <= reach; k++)
            sum += (int64_t)weight[k + reach] * line[mirrored(i + k, count)];
        value[(size_t)i * stride] = (uint8_t)(sum / RF_WEIGHT_ONE);
    }
}

/* [2 * reach + 1] weights that add up to one exactly: white stays white. */
static void fill_gaussian(int32_t *weight, int reach, int blur)
{
    double  sum = 0;
    int32_t rest = RF_WEIGHT_ONE;
    for (int k = -reach; k <= reach; k++) sum += exp(-0.5 * k * k / ((double)blur * blur));
    for (int k = -reach; k <= reach; k++) {
        const double w = exp(-0.5 * k * k / ((double)blur * blur)) / sum;
        weight[k + reach] = (int32_t)floor(RF_WEIGHT_ONE * w);
        rest -= weight[k + reach];
    }
    weight[reach] += rest;
}

static rf_status blur_mask(uint8_t *mask, int width, int height, int blur, rf_error *err)
{
    int32_t   weight[2 * (5 * RF_MASK_BLUR_MAX / 2 + 1) + 1];
    const int reach = (5 * blur + 1) / 2;
    uint8_t  *line = malloc((size_t)(width > height ? width : height));
    if (!line) return rf_fail(err, RF_E_NOMEM, "no memory to blur a mask");
    fill_gaussian(weight, reach, blur);
    for (int y = 0; y < height; y++)
        blur_line(mask + (size_t)y * (size_t)width, width, 1, weight, reach, line);
    for (int x = 0; x < width; x++) blur_line(mask + x, height, (size_t)width, weight, reach, line);
    free(line);
    return RF_OK;
}

rf_status rf_mask_make(uint8_t **out, const rf_pixels *picture, int invert, int blur, rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t     *mask = malloc(pixels);
    *out = NULL;
    if (!mask) return rf_fail(err, RF_E_NOMEM, "no memory for a mask");
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *p = picture->rgb + 3 * i;
        const int      grey = (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;
        mask[i] = (uint8_t)(invert ? 255 - grey : grey);
    }
    if (blur > 0) RF_TRY(blur_mask(mask, picture->width, picture->height, blur, err));
    *out = mask;
    mask = NULL;
done:
    free(mask);
    return st;
}
