/* PNG files of strangers; see read_picture.h.
 *
 * spng decodes to RGBA whatever the file holds (interlaced or not, 1 to 16 bits, grey, palette,
 * tRNS), and the pixels are laid on the paper in place. */
#include <spng.h>
#include <stdlib.h>

#include "tools/pictures/read_picture.h"

enum { CHUNK_MAX = 1 << 24 }; /* bytes of a chunk that is kept, and of all, inflated */

static rf_status failed(int code, const rf_picture_bytes *file, rf_error *err)
{
    if (code == SPNG_EMEM)
        return rf_fail(err, RF_E_NOMEM, "%s: no memory for its pixels", file->path);
    return rf_fail(err, RF_E_FORMAT, "%s: a damaged PNG: %s", file->path, spng_strerror(code));
}

/* [pixels, 4] becomes [pixels, 3]. */
static void lay_on_paper(uint8_t *rgba, size_t pixels, unsigned paper)
{
    for (size_t i = 0; i < pixels; i++) {
        const unsigned alpha = rgba[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            rgba[3 * i + c] =
                (uint8_t)((rgba[4 * i + c] * alpha + paper * (255 - alpha) + 127) / 255);
    }
}

static rf_status decode(rf_pixels *out, spng_ctx *ctx, const rf_picture_bytes *file, rf_error *err)
{
    rf_status        st = RF_OK;
    struct spng_ihdr ihdr;
    size_t           bytes = 0;
    int              code = spng_get_ihdr(ctx, &ihdr);
    if (code) return failed(code, file, err);
    RF_TRY(rf_picture_check_size(&bytes, ihdr.width, ihdr.height, 4, file->path, err));
    out->rgb = malloc(bytes);
    if (!out->rgb) return failed(SPNG_EMEM, file, err);
    code = spng_decode_image(ctx, out->rgb, bytes, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (code) return failed(code, file, err);
    lay_on_paper(out->rgb, bytes / 4, file->paper);
    out->width = (int)ihdr.width, out->height = (int)ihdr.height;
done:
    return st;
}

rf_status rf_picture_decode_png(rf_pixels *out, int *orientation, const rf_picture_bytes *file,
                                rf_error *err)
{
    rf_status        st = RF_OK;
    struct spng_exif exif;
    spng_ctx        *ctx = spng_ctx_new(0);
    if (!ctx || spng_set_chunk_limits(ctx, CHUNK_MAX, CHUNK_MAX) ||
        spng_set_png_buffer(ctx, file->data, file->bytes)) {
        st = failed(SPNG_EMEM, file, err);
        goto done;
    }
    RF_TRY(decode(out, ctx, file, err));
    if (spng_get_exif(ctx, &exif) == 0)
        *orientation = rf_exif_orientation((const unsigned char *)exif.data, exif.length);
done:
    spng_ctx_free(ctx);
    return st;
}
