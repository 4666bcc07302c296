/* See thumbnail.h. */
#include "tools/pictures/thumbnail.h"

#include <spng.h>
#include <stdlib.h>

#include "tools/pictures/shrink.h"

static int scaled(int n, int side, int longest)
{
    const int64_t m = ((int64_t)n * side * 2 + longest) / ((int64_t)longest * 2);
    return m < 1 ? 1 : m > n ? n : (int)m;
}

void rf_shrunk_size(int *width, int *height, int w, int h, int side, int longest)
{
    *width = scaled(w, side, longest);
    *height = scaled(h, side, longest);
}

static rf_status encode(rf_thumbnail *out, const rf_pixels *small, rf_error *err)
{
    struct spng_ihdr ihdr = {.width = (uint32_t)small->width,
                             .height = (uint32_t)small->height,
                             .bit_depth = 8,
                             .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    const size_t     bytes = (size_t)small->width * (size_t)small->height * 3;
    spng_ctx        *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    int              code = ctx ? spng_set_ihdr(ctx, &ihdr) : SPNG_EMEM;
    if (!code) code = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code) code = spng_encode_image(ctx, small->rgb, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!code) out->png = spng_get_png_buffer(ctx, &out->bytes, &code);
    spng_ctx_free(ctx);
    return code ? rf_fail(err, RF_E_NOMEM, "thumbnail: %s", spng_strerror(code)) : RF_OK;
}

rf_status rf_thumbnail_make(rf_thumbnail *out, const rf_pixels *picture, int side, rf_error *err)
{
    rf_status st = RF_OK;
    rf_pixels small = {0};
    const int longest = picture->width > picture->height ? picture->width : picture->height;
    *out = (rf_thumbnail){0};
    rf_shrunk_size(&out->width, &out->height, picture->width, picture->height, side, longest);
    RF_TRY(rf_shrink(&small, picture, out->width, out->height, err));
    RF_TRY(encode(out, &small, err));
done:
    free(small.rgb);
    if (st != RF_OK) {
        free(out->png);
        *out = (rf_thumbnail){0};
    }
    return st;
}
