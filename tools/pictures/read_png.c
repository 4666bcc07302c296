/* Pixels of a PNG file; see read_png.h. */
#include "tools/pictures/read_png.h"

#include <errno.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 16384 };

static rf_status decode(rf_pixels *out, spng_ctx *ctx, const char *path, rf_error *err)
{
    struct spng_ihdr ihdr;
    size_t           bytes = 0;
    int              code = spng_get_ihdr(ctx, &ihdr);
    if (!code) code = spng_decoded_image_size(ctx, SPNG_FMT_RGB8, &bytes);
    if (code) return rf_fail(err, RF_E_FORMAT, "%s: %s", path, spng_strerror(code));
    out->rgb = malloc(bytes);
    if (!out->rgb) return rf_fail(err, RF_E_NOMEM, "%s: no memory for its pixels", path);
    code = spng_decode_image(ctx, out->rgb, bytes, SPNG_FMT_RGB8, 0);
    if (code) return rf_fail(err, RF_E_FORMAT, "%s: %s", path, spng_strerror(code));
    out->width = (int)ihdr.width, out->height = (int)ihdr.height;
    return RF_OK;
}

rf_status rf_png_read(rf_pixels *out, const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    spng_ctx *ctx = NULL;
    FILE     *file = fopen(path, "rb");
    *out = (rf_pixels){0};
    if (!file)
        return rf_fail(err, errno == ENOENT ? RF_E_NOT_FOUND : RF_E_IO, "%s: %s", path,
                       strerror(errno));
    ctx = spng_ctx_new(0);
    if (!ctx || spng_set_png_file(ctx, file) || spng_set_image_limits(ctx, SIDE_MAX, SIDE_MAX)) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to read it", path);
        goto done;
    }
    RF_TRY(decode(out, ctx, path, err));
done:
    spng_ctx_free(ctx);
    fclose(file);
    if (st != RF_OK) {
        free(out->rgb);
        *out = (rf_pixels){0};
    }
    return st;
}
