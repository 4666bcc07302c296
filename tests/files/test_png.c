/* Pictures come back as they were written, with their text in the chunk that readers expect. */
#include <criterion/criterion.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tests/files/fixture.h"

TestSuite(png, .timeout = 60, .fini = fixture_cleanup);

/* The whole file; free() it. */
static unsigned char *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*bytes);
    cr_assert_eq(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

/* Decodes `path`, compares pixels, returns the text type (0 for none). */
static int round_trip(const char *path, const uint8_t *rgb, int width, int height,
                      const char *parameters)
{
    size_t           bytes, size;
    uint32_t         texts = 1;
    struct spng_ihdr ihdr;
    struct spng_text text = {0};
    unsigned char   *data = slurp(path, &bytes);
    spng_ctx        *ctx = spng_ctx_new(0);
    cr_assert_eq(spng_set_png_buffer(ctx, data, bytes), 0);
    cr_assert_eq(spng_get_ihdr(ctx, &ihdr), 0);
    cr_expect_eq((int)ihdr.width, width);
    cr_expect_eq((int)ihdr.height, height);
    cr_expect_eq(ihdr.bit_depth, 8);
    cr_expect_eq(ihdr.color_type, SPNG_COLOR_TYPE_TRUECOLOR);
    cr_assert_eq(spng_decoded_image_size(ctx, SPNG_FMT_RGB8, &size), 0);
    cr_assert_eq(size, (size_t)width * (size_t)height * 3);
    uint8_t *got = malloc(size);
    cr_assert_eq(spng_decode_image(ctx, got, size, SPNG_FMT_RGB8, 0), 0);
    cr_expect_eq(memcmp(got, rgb, size), 0);
    if (spng_get_text(ctx, &text, &texts) != 0) texts = 0;
    cr_expect_eq(texts, parameters != NULL);
    if (texts) cr_expect_str_eq(text.keyword, "parameters");
    if (texts && text.type == SPNG_ITXT) cr_expect_str_eq(text.text, parameters);
    free(got);
    spng_ctx_free(ctx);
    free(data);
    return texts ? text.type : 0;
}

static rf_status write_text(const char *path, const uint8_t *rgb, int width, int height,
                            const char *parameters, rf_error *err)
{
    const rf_picture_text text = {"parameters", parameters};
    return rf_png_write(path, rgb, width, height, &text, 1, 1, err);
}

static void picture(uint8_t *rgb, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] = (uint8_t)(x * (c + 1) + y * y / 7 + (x * y) % 5);
}

Test(png, pixels_survive)
{
    static uint8_t rgb[200 * 200 * 3];
    const int      sizes[][2] = {{1, 1}, {1, 7}, {7, 1}, {64, 64}, {65, 130}, {200, 200}};
    const char    *path = fixture_path("a.png");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rf_error err;
        picture(rgb, sizes[i][0], sizes[i][1]);
        cr_assert_eq(rf_png_write(path, rgb, sizes[i][0], sizes[i][1], NULL, 0, 1, &err), RF_OK,
                     "%s", err.message);
        cr_expect_eq(round_trip(path, rgb, sizes[i][0], sizes[i][1], NULL), 0);
    }
    cr_expect_eq(rf_png_write(path, rgb, 1, 1, NULL, 0, 0, NULL), RF_E_EXISTS);
    cr_expect_eq(rf_png_write(path, rgb, 0, 1, NULL, 0, 1, NULL), RF_E_ARG);
    cr_expect_eq(rf_png_write(path, NULL, 1, 1, NULL, 0, 1, NULL), RF_E_ARG);
}

/* Latin-1 goes into tEXt, as Pillow does it; anything else into iTXt. */
Test(png, text_is_kept)
{
    static const struct {
        const char *text;
        int         type;
    } rows[] = {{"1girl, (smile:1.2)\nNegative prompt: bad\nSteps: 30", SPNG_TEXT},
                {"caf\xC3\xA9 \xC2\xBF\xC3\xBF", SPNG_TEXT},
                {"\xE7\x8C\xAB \xF0\x9F\x90\xB1", SPNG_ITXT},
                {"tab\there", SPNG_ITXT},
                {"\xC2\xA0no-break", SPNG_ITXT},
                {"\xC4\x80", SPNG_ITXT},
                {"x", SPNG_TEXT}};
    static uint8_t rgb[16 * 16 * 3];
    const char    *path = fixture_path("a.png");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_error err;
        cr_assert_eq(write_text(path, rgb, 16, 16, rows[i].text, &err), RF_OK, "%s: %s",
                     rows[i].text, err.message);
        cr_expect_eq(round_trip(path, rgb, 16, 16, rows[i].text), rows[i].type, "%s", rows[i].text);
    }
}

/* Latin-1 bytes as they stand in the file, right before IDAT. */
Test(png, text_chunk_is_latin1)
{
    static uint8_t rgb[16 * 16 * 3];
    size_t         bytes;
    const char    *path = fixture_path("a.png");
    cr_assert_eq(write_text(path, rgb, 16, 16, "caf\xC3\xA9", NULL), RF_OK);
    unsigned char *data = slurp(path, &bytes);
    cr_expect_eq(memcmp(data + 33, "\0\0\0\x0FtEXtparameters\0caf\xE9", 8 + 15), 0);
    free(data);
}

Test(png, same_pixels_same_bytes)
{
    static uint8_t rgb[100 * 80 * 3];
    size_t         a_bytes, b_bytes;
    picture(rgb, 100, 80);
    cr_assert_eq(write_text(fixture_path("a.png"), rgb, 100, 80, "p", NULL), RF_OK);
    cr_assert_eq(write_text(fixture_path("b.png"), rgb, 100, 80, "p", NULL), RF_OK);
    unsigned char *a = slurp(fixture_path("a.png"), &a_bytes);
    unsigned char *b = slurp(fixture_path("b.png"), &b_bytes);
    cr_expect_eq(a_bytes, b_bytes);
    cr_expect_eq(memcmp(a, b, a_bytes), 0);
    free(a);
    free(b);
}

/* Keys that PNG forbids, and too many texts; nothing is left of the file. */
Test(png, texts_that_do_not_fit)
{
    static const char *const keys[] = {
        "",   " a",
        "a ", "a  b",
        NULL, "12345678901234567890123456789012345678901234567890123456789012345678901234567890"};
    static uint8_t  rgb[16 * 16 * 3];
    rf_picture_text texts[9];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        texts[0] = (rf_picture_text){keys[i], "x"};
        rf_error err = {0};
        cr_expect_eq(rf_png_write(fixture_path("a.png"), rgb, 16, 16, texts, 1, 0, &err), RF_E_ARG,
                     "%s: %s", keys[i] ? keys[i] : "(none)", err.message);
    }
    for (int i = 0; i < 9; i++) texts[i] = (rf_picture_text){"a", "b"};
    cr_expect_eq(rf_png_write(fixture_path("a.png"), rgb, 16, 16, texts, 9, 0, NULL), RF_E_ARG);
    cr_expect_eq(rf_png_write(fixture_path("a.png"), rgb, 16, 16, texts, 8, 0, NULL), RF_OK);
}
