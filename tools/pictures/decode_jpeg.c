/* JPEG files of strangers; see read_picture.h.
 *
 * libjpeg ends a hopeless case by calling error_exit, which must not return: everything that
 * outlives the jump lies in one struct.  It only warns of a file that is cut off and paints the
 * rest grey: here such a file is damaged. */
#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which needs it */
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "tools/pictures/read_picture.h"

enum {
    SCANS_MAX = 500, /* of a progressive file: more are an attack on time (libjpeg-turbo's own) */
    EXIF_MARKER = JPEG_APP0 + 1,
    MARKER_MAX = 65533, /* bytes of a marker: all of it */
};

typedef struct decoder {
    struct jpeg_decompress_struct j; /* its client_data is this struct */
    struct jpeg_error_mgr         errors;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       out;
    const rf_picture_bytes       *file;
    rf_pixels                    *pixels;
    rf_error                     *err;
    rf_status                     st; /* of what ended it; RF_OK: libjpeg */
} decoder;

static void give_up(j_common_ptr j)
{
    longjmp(((decoder *)j->client_data)->out, 1);
}

static void stop(decoder *d, rf_status st)
{
    d->st = st;
    longjmp(d->out, 1);
}

/* Warnings (level -1): those of data that are missing or wrong end the work. */
static void on_message(j_common_ptr j, int level)
{
    const int code = j->err->msg_code;
    if (level < 0 &&
        (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
        give_up(j);
}

static void on_progress(j_common_ptr j)
{
    decoder *d = j->client_data;
    if (d->j.input_scan_number > SCANS_MAX)
        stop(d, rf_fail(d->err, RF_E_FORMAT, "%s: a JPEG of more than %d scans", d->file->path,
                        SCANS_MAX));
}

static int find_orientation(const decoder *d)
{
    for (jpeg_saved_marker_ptr m = d->j.marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length > 6 && m->data[0] == 'E')
            return rf_exif_orientation(m->data, m->data_length);
    return 1;
}

static void read_header(decoder *d)
{
    size_t    bytes = 0;
    rf_status st = RF_OK;
    jpeg_create_decompress(&d->j);
    d->j.progress = &d->progress;
    jpeg_mem_src(&d->j, d->file->data, (unsigned long)d->file->bytes);
    jpeg_save_markers(&d->j, EXIF_MARKER, MARKER_MAX);
    jpeg_read_header(&d->j, TRUE);
    st = rf_picture_check_size(&bytes, d->j.image_width, d->j.image_height, 3, d->file->path,
                               d->err);
    if (st != RF_OK) stop(d, st);
    if (d->j.jpeg_color_space == JCS_CMYK || d->j.jpeg_color_space == JCS_YCCK)
        stop(d, rf_fail(d->err, RF_E_FORMAT,
                        "%s is a JPEG of printing colours (CMYK): save it "
                        "as RGB",
                        d->file->path));
    d->pixels->rgb = malloc(bytes);
    if (!d->pixels->rgb)
        stop(d, rf_fail(d->err, RF_E_NOMEM, "%s: no memory for its pixels", d->file->path));
    d->pixels->width = (int)d->j.image_width, d->pixels->height = (int)d->j.image_height;
}

static void read_pixels(decoder *d)
{
    d->j.out_color_space = JCS_RGB;
    d->j.dct_method = JDCT_ISLOW; /* exact whatever the CPU has */
    jpeg_start_decompress(&d->j);
    while (d->j.output_scanline < d->j.output_height) {
        JSAMPROW row = d->pixels->rgb + (size_t)d->j.output_scanline * d->j.output_width * 3;
        jpeg_read_scanlines(&d->j, &row, 1);
    }
}

rf_status rf_picture_decode_jpeg(rf_pixels *out, int *orientation, const rf_picture_bytes *file,
                                 rf_error *err)
{
    char     why[JMSG_LENGTH_MAX];
    decoder *d = calloc(1, sizeof *d);
    if (!d) return rf_fail(err, RF_E_NOMEM, "%s: no memory to read it", file->path);
    d->file = file, d->pixels = out, d->err = err;
    d->j.err = jpeg_std_error(&d->errors);
    d->j.client_data = d;
    d->errors.error_exit = give_up;
    d->errors.emit_message = on_message;
    d->progress.progress_monitor = on_progress;
    if (setjmp(d->out) == 0) {
        read_header(d);
        *orientation = find_orientation(d);
        read_pixels(d);
    } else if (d->st == RF_OK) {
        d->errors.format_message((j_common_ptr)&d->j, why);
        d->st = d->errors.msg_code == JERR_OUT_OF_MEMORY ? RF_E_NOMEM : RF_E_FORMAT;
        rf_fail(err, d->st, "%s: a damaged JPEG: %s", file->path, why);
    }
    const rf_status st = d->st;
    jpeg_destroy_decompress(&d->j);
    free(d);
    return st;
}
