/* Pictures that somebody gives: what is read is what was meant, whatever the file's depth, and what
 * cannot be read is refused in one sentence and in no time. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "tests/files/fixture.h"
#include "tools/pictures/fit.h"
#include "tools/pictures/read_picture.h"

TestSuite(read_picture, .timeout = 60, .fini = fixture_cleanup);

enum { W = 13, H = 7, FILE_BYTES = 1 << 16 };

typedef struct bytes {
    unsigned char data[FILE_BYTES];
    size_t        count;
} bytes;

/* ---- files made on the spot ---------------------------------------------------------------- */

typedef struct png {
    int         type, depth, interlaced;
    const void *pixels; /* as the file has them, 13x7 */
    size_t      size;
    const void *exif;
    size_t      exif_bytes;
    int         transparent; /* palette entry; -1: none */
} png;

static void encode_png(bytes *out, const png *p)
{
    size_t           count = 0;
    int              code = 0;
    struct spng_ihdr ihdr = {.width = W,
                             .height = H,
                             .bit_depth = (uint8_t)p->depth,
                             .color_type = (uint8_t)p->type,
                             .interlace_method = (uint8_t)p->interlaced};
    struct spng_plte palette = {.n_entries = 3,
                                .entries = {{10, 20, 30, 0}, {200, 100, 50, 0}, {0, 0, 0, 0}}};
    struct spng_trns trns = {.n_type3_entries = 3, .type3_alpha = {255, 255, 255}};
    struct spng_exif exif = {.length = p->exif_bytes, .data = (char *)p->exif};
    spng_ctx        *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    cr_assert_eq(spng_set_ihdr(ctx, &ihdr), 0);
    if (p->type == SPNG_COLOR_TYPE_INDEXED) cr_assert_eq(spng_set_plte(ctx, &palette), 0);
    if (p->transparent >= 0) {
        trns.type3_alpha[p->transparent] = 0;
        cr_assert_eq(spng_set_trns(ctx, &trns), 0);
    }
    if (p->exif) cr_assert_eq(spng_set_exif(ctx, &exif), 0);
    cr_assert_eq(spng_encode_image(ctx, p->pixels, p->size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    void *file = spng_get_png_buffer(ctx, &count, &code);
    cr_assert(file && count <= FILE_BYTES);
    memcpy(out->data, file, count);
    out->count = count;
    free(file);
    spng_ctx_free(ctx);
}

static void encode_jpeg(bytes *out, const uint8_t *values, int channels, J_COLOR_SPACE space,
                        int progressive, const unsigned char *exif, unsigned exif_bytes)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr       errors;
    unsigned char              *file = NULL;
    unsigned long               count = 0;
    j.err = jpeg_std_error(&errors);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &file, &count);
    j.image_width = W, j.image_height = H, j.input_components = channels;
    j.in_color_space = space;
    jpeg_set_defaults(&j);
    jpeg_set_quality(&j, 100, TRUE);
    for (int i = 0; i < channels; i++) /* no subsampling */
        j.comp_info[i].h_samp_factor = j.comp_info[i].v_samp_factor = 1;
    if (progressive) jpeg_simple_progression(&j);
    jpeg_start_compress(&j, TRUE);
    if (exif) jpeg_write_marker(&j, JPEG_APP0 + 1, exif, exif_bytes);
    while (j.next_scanline < H) {
        JSAMPROW row = (JSAMPROW)values + (size_t)j.next_scanline * W * (size_t)channels;
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    cr_assert_leq(count, (unsigned long)FILE_BYTES);
    memcpy(out->data, file, count);
    out->count = count;
    free(file);
}

static rf_status read_bytes(rf_pixels *out, const void *data, size_t count, uint8_t paper,
                            rf_error *err)
{
    const char *path = fixture_path("picture");
    fixture_raw(path, data, count);
    return rf_picture_read(out, NULL, path, paper, err);
}

static void read_well(rf_pixels *out, const bytes *file)
{
    rf_error err = {0};
    cr_assert_eq(read_bytes(out, file->data, file->count, 255, &err), RF_OK, "%s", err.message);
}

static const uint8_t *pixel(const rf_pixels *p, int x, int y)
{
    return p->rgb + (y * p->width + x) * 3;
}

/* ---- what is read -------------------------------------------------------------------------- */

/* Every kind of PNG that has the colour 200, 100, 50 (or 200 grey) at 3, 2 on black. */
Test(read_picture, every_depth_and_colour_type_of_png)
{
    static bytes    file;
    static uint8_t  rgb[W * H * 3], rgba[W * H * 4], grey[W * H], ga[W * H * 2];
    static uint8_t  indexed[W * H];
    static uint16_t deep[W * H * 3], deep_grey[W * H]; /* spng takes the host's order */
    const size_t    at = 2 * W + 3;
    rf_pixels       p;
    static uint8_t  bit[2 * H];
    const png       kinds[] = {
              {2, 8, 0, rgb, sizeof rgb, NULL, 0, -1},
              {2, 8, 1, rgb, sizeof rgb, NULL, 0, -1},
              {6, 8, 0, rgba, sizeof rgba, NULL, 0, -1},
              {2, 16, 0, deep, sizeof deep, NULL, 0, -1},
              {3, 8, 0, indexed, sizeof indexed, NULL, 0, -1},
              {0, 8, 0, grey, sizeof grey, NULL, 0, -1},
              {0, 16, 0, deep_grey, sizeof deep_grey, NULL, 0, -1},
              {4, 8, 0, ga, sizeof ga, NULL, 0, -1},
              {0, 1, 0, bit, sizeof bit, NULL, 0, -1},
    };
    memcpy(rgb + 3 * at, (uint8_t[]){200, 100, 50}, 3);
    for (size_t i = 0; i < W * H; i++) rgba[4 * i + 3] = ga[2 * i + 1] = 255, indexed[i] = 2;
    memcpy(rgba + 4 * at, (uint8_t[]){200, 100, 50}, 3);
    memcpy(deep + 3 * at, (uint16_t[]){200 << 8 | 77, 100 << 8 | 1, 50 << 8 | 250}, 6);
    indexed[at] = 1;
    grey[at] = ga[2 * at] = 200;
    deep_grey[at] = 200 << 8 | 99;
    bit[2 * 2] = 0x10;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        encode_png(&file, &kinds[k]);
        read_well(&p, &file);
        cr_assert(p.width == W && p.height == H);
        const uint8_t *v = pixel(&p, 3, 2), *other = pixel(&p, 4, 2);
        const int      is_grey = kinds[k].type == 0 || kinds[k].type == 4;
        cr_expect_eq(v[0], kinds[k].depth == 1 ? 255 : 200, "kind %zu: %d", k, v[0]);
        cr_expect_eq(v[2], kinds[k].depth == 1 ? 255 : is_grey ? 200 : 50, "kind %zu", k);
        cr_expect(other[0] == 0 && other[1] == 0 && other[2] == 0, "kind %zu", k);
        free(p.rgb);
    }
}

Test(read_picture, what_is_transparent_shows_the_paper)
{
    static bytes   file;
    static uint8_t rgba[W * H * 4], indexed[W * H];
    rf_pixels      p;
    for (size_t i = 0; i < W * H; i++) memcpy(rgba + 4 * i, (uint8_t[]){100, 0, 200, 0}, 4);
    rgba[3] = 128;
    indexed[0] = 1;
    const png kinds[] = {{6, 8, 0, rgba, sizeof rgba, NULL, 0, -1},
                         {3, 8, 0, indexed, sizeof indexed, NULL, 0, 0}};
    for (int k = 0; k < 2; k++)
        for (int paper = 0; paper < 256; paper += 255) {
            encode_png(&file, &kinds[k]);
            cr_assert_eq(read_bytes(&p, file.data, file.count, (uint8_t)paper, NULL), RF_OK);
            cr_expect_eq(*pixel(&p, 5, 5), paper);
            const int half = (100 * 128 + paper * 127 + 127) / 255;
            cr_expect_eq(*pixel(&p, 0, 0), k ? 200 : half, "%d", *pixel(&p, 0, 0));
            free(p.rgb);
        }
}

Test(read_picture, jpegs_of_one_and_three_channels)
{
    static bytes   file;
    static uint8_t rgb[W * H * 3], grey[W * H];
    rf_pixels      p;
    for (size_t i = 0; i < W * H; i++) memcpy(rgb + 3 * i, (uint8_t[]){200, 100, 50}, 3);
    memset(grey, 77, sizeof grey);
    for (int progressive = 0; progressive < 2; progressive++) {
        encode_jpeg(&file, rgb, 3, JCS_RGB, progressive, NULL, 0);
        read_well(&p, &file);
        cr_assert(p.width == W && p.height == H);
        cr_expect_leq(abs(pixel(&p, 6, 3)[0] - 200), 2);
        cr_expect_leq(abs(pixel(&p, 6, 3)[2] - 50), 2);
        free(p.rgb);
        encode_jpeg(&file, grey, 1, JCS_GRAYSCALE, progressive, NULL, 0);
        read_well(&p, &file);
        cr_expect(pixel(&p, 6, 3)[0] == 77 && pixel(&p, 6, 3)[2] == 77);
        free(p.rgb);
    }
}

/* A picture with its first row's corner marked, and what Exif says of it: where the corner goes. */
Test(read_picture, pictures_are_turned_as_exif_says)
{
    static const int CORNER[9][2] = {{0, 0}, {0, 0},     {W - 1, 0},     {W - 1, H - 1}, {0, H - 1},
                                     {0, 0}, {H - 1, 0}, {H - 1, W - 1}, {0, W - 1}};
    static bytes     file;
    static uint8_t   rgb[W * H * 3], wide[W * H * 3];
    rf_pixels        p;
    rgb[0] = 255;
    for (int i = 0; i < W * H; i++) wide[3 * i] = i % W < 8 && i < 8 * W ? 250 : 0; /* a block */
    for (int o = 0; o <= 9; o++) {
        unsigned char exif[] = {
            'E', 'x', 'i', 'f', 0,    0, 'M', 'M', 0, 42, 0, 0, 0,
            8,   0,   1,   1,   0x12, 0, 3,   0,   0, 0,  1, 0, (unsigned char)o,
            0,   0,   0,   0,   0,    0};
        const png picture = {2, 8, 0, rgb, sizeof rgb, exif + 6, sizeof exif - 6, -1};
        const int turn = o >= 1 && o <= 8 ? o : 1;
        encode_png(&file, &picture);
        read_well(&p, &file);
        cr_expect_eq(p.width, turn >= 5 ? H : W);
        cr_expect_eq(*pixel(&p, CORNER[turn][0], CORNER[turn][1]), 255, "orientation %d", o);
        free(p.rgb);
        encode_jpeg(&file, wide, 3, JCS_RGB, 0, exif, sizeof exif);
        read_well(&p, &file);
        cr_expect_eq(p.height, turn >= 5 ? W : H);
        cr_expect_gt(*pixel(&p, CORNER[turn][0], CORNER[turn][1]), 200, "orientation %d", o);
        free(p.rgb);
    }
}

/* Directories that are cut off, or lie outside: the picture stays as it lies. */
Test(read_picture, damaged_exif_turns_nothing)
{
    unsigned char exif[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6};
    cr_expect_eq(rf_exif_orientation(exif, sizeof exif), 6);
    for (size_t n = 0; n < 22; n++) {
        unsigned char *copy = malloc(n ? n : 1); /* so that reading beyond it is seen */
        memcpy(copy, exif, n);
        const int turn = rf_exif_orientation(copy, n);
        cr_expect(turn == 1 || (n >= 20 && turn == 6), "%zu: %d", n, turn);
        free(copy);
    }
    for (int at = 0; at < 26; at++)
        for (int v = 0; v < 256; v += 5) {
            unsigned char broken[26];
            memcpy(broken, exif, sizeof exif);
            broken[at] = (unsigned char)v;
            const int turn = rf_exif_orientation(broken, sizeof broken);
            cr_expect(turn >= 1 && turn <= 8);
        }
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void refuse(const void *data, size_t count, const char *said)
{
    rf_error        err = {0};
    rf_pixels       p;
    const double    begun = (double)clock() / CLOCKS_PER_SEC;
    const rf_status st = read_bytes(&p, data, count, 255, &err);
    cr_expect_eq(st, RF_E_FORMAT, "%s: %s", said, err.message);
    cr_expect(strstr(err.message, said), "%s is not in: %s", said, err.message);
    cr_expect_null(p.rgb);
    cr_expect_lt((double)clock() / CLOCKS_PER_SEC - begun, 0.5);
}

Test(read_picture, what_is_no_picture_is_refused)
{
    rf_pixels p;
    refuse("", 0, "neither a PNG nor a JPEG");
    refuse("GIF89a..........", 16, "neither a PNG nor a JPEG");
    refuse("RIFF....WEBPVP8 ", 16, "WebP");
    refuse("\x89PNG\r\n\x1A\n", 8, "damaged PNG");
    refuse("\xFF\xD8\xFF\xE0", 4, "damaged JPEG");
    refuse("\xFF\xD8\xFF\xD9", 4, "damaged JPEG");
    cr_expect_eq(rf_picture_read(&p, NULL, fixture_path("none.png"), 255, NULL), RF_E_NOT_FOUND);
    cr_expect_eq(rf_picture_read(&p, NULL, fixture_folder(), 255, NULL), RF_E_IO);
}

static void put32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t crc_of(const unsigned char *data, size_t count) /* PNG, annex D */
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xEDB88320 ^ crc >> 1 : crc >> 1;
    }
    return ~crc;
}

static const png NOISE = {2, 8, 0, NULL, W *H * 3, NULL, 0, -1};

static void make_noise(uint8_t rgb[W * H * 3])
{
    for (int i = 0; i < W * H * 3; i++) rgb[i] = (uint8_t)(i * 97 + i * i * 31);
}

/* The size is looked at before memory is asked for. */
Test(read_picture, bombs_are_refused_by_their_size)
{
    static bytes   file;
    static uint8_t rgb[W * H * 3];
    png            picture = NOISE;
    const uint32_t sizes[][2] = {{60000, 60000}, {16385, 8}, {8, 20000}, {16384, 16384}};
    make_noise(rgb);
    picture.pixels = rgb;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        encode_png(&file, &picture);
        put32(file.data + 16, sizes[i][0]);
        put32(file.data + 20, sizes[i][1]);
        put32(file.data + 29, crc_of(file.data + 12, 17));
        refuse(file.data, file.count, "at most 16384 a side");
    }
    encode_png(&file, &picture); /* it has so many rows, it says */
    put32(file.data + 16, 8000), put32(file.data + 20, 8000);
    put32(file.data + 29, crc_of(file.data + 12, 17));
    refuse(file.data, file.count, "damaged PNG");

    encode_jpeg(&file, rgb, 3, JCS_RGB, 0, NULL, 0);
    for (size_t i = 0; i + 9 < file.count; i++) {
        if (file.data[i] != 0xFF || file.data[i + 1] != 0xC0) continue;
        memset(file.data + i + 5, 0xF0, 4);
        refuse(file.data, file.count, "at most 16384 a side");
        return;
    }
    cr_assert(0, "no SOF0");
}

static uint32_t scramble(uint32_t *state) /* xorshift (Marsaglia 2003) */
{
    *state ^= *state << 13, *state ^= *state >> 17, *state ^= *state << 5;
    return *state;
}

/* Cut anywhere before its end, a file is refused; damaged anywhere, it is read or refused. */
Test(read_picture, cut_and_damaged_files)
{
    static bytes   file, broken;
    static uint8_t rgb[W * H * 3];
    png            picture = NOISE;
    uint32_t       state = 7;
    make_noise(rgb);
    picture.pixels = rgb;
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            encode_png(&file, &picture);
        else
            encode_jpeg(&file, rgb, 3, JCS_RGB, kind == 2, NULL, 0);
        /* the end marker (2 bytes), or chunk (12) and CRC, may be missing: all pixels are there */
        for (size_t n = 0; n + 20 < file.count; n += 1 + n / 40) {
            rf_error  err = {0};
            rf_pixels p;
            cr_expect_eq(read_bytes(&p, file.data, n, 255, &err), RF_E_FORMAT, "%d: %zu of %zu",
                         kind, n, file.count);
        }
        for (int i = 0; i < 300; i++) {
            rf_error  err = {0};
            rf_pixels p;
            broken = file;
            for (uint32_t k = scramble(&state) % 4 + 1; k > 0; k--)
                broken.data[scramble(&state) % file.count] = (unsigned char)scramble(&state);
            const rf_status st = read_bytes(&p, broken.data, broken.count, 255, &err);
            cr_expect(st == RF_OK || st == RF_E_FORMAT, "%s", err.message);
            cr_expect_eq(p.rgb != NULL, st == RF_OK);
            free(p.rgb);
        }
    }
}

Test(read_picture, printing_colours_and_endless_scans_are_refused)
{
    static bytes   file, many;
    static uint8_t cmyk[W * H * 4], rgb[W * H * 3];
    encode_jpeg(&file, cmyk, 4, JCS_CMYK, 0, NULL, 0);
    refuse(file.data, file.count, "CMYK");
    /* A progressive file whose last scan comes again and again. */
    make_noise(rgb);
    encode_jpeg(&file, rgb, 3, JCS_RGB, 1, NULL, 0);
    size_t last = 0;
    for (size_t i = 0; i + 1 < file.count; i++)
        if (file.data[i] == 0xFF && file.data[i + 1] == 0xDA) last = i;
    const size_t scan = file.count - 2 - last;
    many = file;
    many.count -= 2;
    unsigned char *big = malloc(many.count + 700 * scan + 2);
    memcpy(big, many.data, many.count);
    for (size_t i = 0; i < 700; i++) memcpy(big + many.count + i * scan, file.data + last, scan);
    big[many.count + 700 * scan] = 0xFF;
    big[many.count + 700 * scan + 1] = JPEG_EOI;
    refuse(big, many.count + 700 * scan + 2, "scans");
    free(big);
}

/* ---- sizes --------------------------------------------------------------------------------- */

static rf_pixels make_picture(int width, int height)
{
    rf_pixels p = {.width = width, .height = height};
    p.rgb = malloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < width * height; i++) {
        const int x = i % width, y = i / width;
        memcpy(p.rgb + 3 * i,
               (uint8_t[]){(uint8_t)(255 * x / width), (uint8_t)(255 * y / height), 90}, 3);
    }
    return p;
}

/* A slope stays a slope, and what is everywhere the same stays the same. */
Test(read_picture, resizing_keeps_slopes_and_planes)
{
    static const int SIZES[][2] = {{64, 64}, {200, 100}, {33, 80}, {8, 8}, {100, 60}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        rf_pixels p = make_picture(100, 60);
        const int w = SIZES[i][0], h = SIZES[i][1];
        cr_assert_eq(rf_picture_fit(&p, w, h, RF_FIT_RESIZE, NULL), RF_OK);
        cr_assert(p.width == w && p.height == h);
        for (int y = h / 4; y < 3 * h / 4; y++)
            for (int x = w / 4; x < 3 * w / 4; x++) {
                const uint8_t *v = pixel(&p, x, y);
                cr_expect_leq(abs(v[0] - (int)(255 * ((x + 0.5) / w - 0.005))), 3);
                cr_expect_leq(abs(v[1] - (int)(255 * ((y + 0.5) / h - 0.008))), 4);
                cr_expect_leq(abs(v[2] - 90), 1);
            }
        free(p.rgb);
    }
}

Test(read_picture, shapes_are_cropped_or_filled)
{
    rf_pixels p = make_picture(200, 100); /* its middle square spans a quarter to three */
    cr_assert_eq(rf_picture_fit(&p, 64, 64, RF_FIT_CROP, NULL), RF_OK);
    cr_expect_leq(abs(pixel(&p, 0, 32)[0] - 64), 4);
    cr_expect_leq(abs(pixel(&p, 63, 32)[0] - 191), 4);
    free(p.rgb);
    p = make_picture(200, 100); /* the whole of it, 64x32, and its edges above and below */
    cr_assert_eq(rf_picture_fit(&p, 64, 64, RF_FIT_FILL, NULL), RF_OK);
    cr_expect(p.width == 64 && p.height == 64);
    for (int x = 0; x < 64; x += 7) {
        cr_expect_eq(pixel(&p, x, 0)[1], pixel(&p, x, 16)[1]);
        cr_expect_eq(pixel(&p, x, 63)[1], pixel(&p, x, 47)[1]);
        cr_expect_lt(pixel(&p, x, 16)[1] + 150, pixel(&p, x, 47)[1]);
    }
    free(p.rgb);
    for (rf_fit fit = RF_FIT_RESIZE; fit <= RF_FIT_FILL; fit++) { /* thin ones */
        p = make_picture(1, 500);
        cr_assert_eq(rf_picture_fit(&p, 128, 64, fit, NULL), RF_OK);
        cr_expect(p.width == 128 && p.height == 64);
        free(p.rgb);
    }
}

Test(read_picture, masks_are_blurred_inverted_and_keep_their_ends)
{
    uint8_t  *mask = NULL;
    rf_pixels p = {.width = 64, .height = 16, .rgb = calloc(64 * 16, 3)};
    for (int i = 0; i < 64 * 16; i++)
        if (i % 64 >= 32) memset(p.rgb + 3 * i, 255, 3);
    cr_assert_eq(rf_mask_make(&mask, &p, 0, 0, NULL), RF_OK);
    cr_expect(mask[31] == 0 && mask[32] == 255);
    free(mask);
    for (int invert = 0; invert < 2; invert++) {
        cr_assert_eq(rf_mask_make(&mask, &p, invert, 4, NULL), RF_OK);
        const int left = invert ? 255 : 0;
        cr_expect(mask[0] == left && mask[21] == left && mask[42] == 255 - left);
        cr_expect_eq(mask[31] + mask[32], 255);
        /* one standard deviation beyond the middle of the edge: 15.87 %, half a pixel off */
        cr_expect_leq(abs(mask[27] - (invert ? 221 : 34)), 4, "%d", mask[27]);
        for (int y = 1; y < 16; y++) cr_expect_arr_eq(mask, mask + (ptrdiff_t)64 * y, 64);
        free(mask);
    }
    cr_assert_eq(rf_mask_make(&mask, &p, 0, RF_MASK_BLUR_MAX, NULL), RF_OK); /* wider than it */
    cr_expect(mask[0] < mask[63]);
    free(mask);
    free(p.rgb);
}
