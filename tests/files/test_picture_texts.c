/* Texts come out of pictures of every kind that has them, and damage is told. */
#include <criterion/criterion.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/picture_texts.h"
#include "tests/files/fixture.h"

TestSuite(a1111_6_4, .timeout = 60, .fini = fixture_cleanup);

/* A PNG of one pixel with these texts; free() it. */
static unsigned char *make_png(struct spng_text *texts, uint32_t count, size_t *bytes)
{
    struct spng_ihdr ihdr = {.width = 1, .height = 1, .bit_depth = 8};
    int              code = 0;
    spng_ctx        *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    cr_assert_eq(spng_set_ihdr(ctx, &ihdr), 0);
    if (count) cr_assert_eq(spng_set_text(ctx, texts, count), 0);
    cr_assert_eq(spng_encode_image(ctx, "\x7F", 1, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    unsigned char *png = spng_get_png_buffer(ctx, bytes, &code);
    cr_assert_not_null(png);
    spng_ctx_free(ctx);
    return png;
}

static struct spng_text make_text(int type, int compressed, const char *key, char *text)
{
    static char      empty[] = "";
    struct spng_text t = {.type = type,
                          .text = text,
                          .length = strlen(text),
                          .compression_flag = (uint8_t)compressed,
                          .language_tag = empty,
                          .translated_keyword = empty};
    strcpy(t.keyword, key);
    return t;
}

static void expect(const unsigned char *data, size_t bytes, const char *key, const char *want)
{
    rf_picture_texts *texts = NULL;
    rf_error          err = {0};
    unsigned char    *copy = malloc(bytes ? bytes : 1); /* so that a sanitizer sees its end */
    memcpy(copy, data, bytes);
    cr_assert_eq(rf_picture_texts_parse(&texts, copy, bytes, "p", &err), RF_OK, "%s", err.message);
    free(copy);
    const char *got = rf_picture_texts_get(texts, key);
    if (want) {
        cr_assert_not_null(got);
        cr_expect_str_eq(got, want);
    } else {
        cr_expect_null(got);
    }
    rf_picture_texts_free(texts);
}

static void expect_damaged(const unsigned char *data, size_t bytes, const char *why)
{
    rf_picture_texts *texts = NULL;
    rf_error          err = {0};
    cr_expect_eq(rf_picture_texts_parse(&texts, data, bytes, "p", &err), RF_E_FORMAT, "%s", why);
    cr_expect_null(texts);
    cr_expect(strstr(err.message, why) != NULL, "%s, not %s", err.message, why);
}

Test(a1111_6_4, png_texts)
{
    static char utf8[] = "\xE7\x8C\xAB", latin1[] = "caf\xE9", plain[] = "(a:1.2), b";
    size_t      bytes;
    const struct {
        struct spng_text text;
        const char      *want;
    } rows[] = {{make_text(SPNG_TEXT, 0, "parameters", plain), plain},
                {make_text(SPNG_TEXT, 0, "parameters", latin1), "caf\xC3\xA9"},
                {make_text(SPNG_ZTXT, 1, "parameters", latin1), "caf\xC3\xA9"},
                {make_text(SPNG_ITXT, 0, "parameters", utf8), utf8},
                {make_text(SPNG_ITXT, 1, "parameters", utf8), utf8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spng_text text = rows[i].text;
        unsigned char   *png = make_png(&text, 1, &bytes);
        expect(png, bytes, "parameters", rows[i].want);
        expect(png, bytes, "refinery", NULL);
        free(png);
    }
    struct spng_text both[] = {rows[0].text, make_text(SPNG_ITXT, 0, "refinery", utf8),
                               make_text(SPNG_TEXT, 0, "parameters", latin1)};
    unsigned char   *png = make_png(both, 3, &bytes);
    expect(png, bytes, "parameters", "caf\xC3\xA9"); /* of equal keys the last */
    expect(png, bytes, "refinery", utf8);
    free(png);
    png = make_png(NULL, 0, &bytes);
    expect(png, bytes, "parameters", NULL);
    free(png);
}

/* What rf_png_write writes, in a file. */
Test(a1111_6_4, png_write_and_read)
{
    const rf_picture_text texts[] = {{"parameters", "\xE7\x8C\xAB\nSteps: 1"},
                                     {"left out", NULL},
                                     {"refinery", "{\"schema\":1}"}};
    rf_picture_texts     *got = NULL;
    const char           *path = fixture_path("a.png");
    cr_assert_eq(rf_png_write(path, (const uint8_t *)"\1\2\3", 1, 1, texts, 3, 0, NULL), RF_OK);
    cr_assert_eq(rf_picture_texts_read(&got, path, NULL), RF_OK);
    cr_expect_str_eq(rf_picture_texts_get(got, "parameters"), texts[0].text);
    cr_expect_str_eq(rf_picture_texts_get(got, "refinery"), texts[2].text);
    cr_expect_null(rf_picture_texts_get(got, "left out"));
    rf_picture_texts_free(got);
    cr_expect_eq(rf_picture_texts_read(&got, fixture_path("b.png"), NULL), RF_E_NOT_FOUND);
}

Test(a1111_6_4, damaged_png)
{
    static char          utf8[] = "\xE7\x8C\xAB", bad[] = "\xFF";
    size_t               bytes;
    struct spng_text     text = make_text(SPNG_ITXT, 1, "parameters", utf8);
    unsigned char       *png = make_png(&text, 1, &bytes);
    const unsigned char *idat = memmem(png, bytes, "IDAT", 4); /* from there on nothing is needed */
    const size_t         needed = (size_t)(idat - png) + 4;
    for (size_t cut = 8; cut < bytes; cut++) {
        rf_picture_texts *texts = NULL;
        unsigned char    *copy = malloc(cut);
        memcpy(copy, png, cut);
        const rf_status st = rf_picture_texts_parse(&texts, copy, cut, "p", NULL);
        cr_expect_eq(st, cut < needed ? RF_E_FORMAT : RF_OK, "%zu: %s", cut, rf_status_name(st));
        rf_picture_texts_free(texts);
        free(copy);
    }
    png[33 + 10] ^= 1; /* in the text chunk, behind its CRC's back */
    expect_damaged(png, bytes, "damaged PNG");
    free(png);
    text = make_text(SPNG_ITXT, 0, "parameters", bad);
    png = make_png(&text, 1, &bytes);
    expect_damaged(png, bytes, "is not UTF-8");
    free(png);
    expect_damaged((const unsigned char *)"GIF89a", 6, "not a PNG, JPEG or WebP");
    expect_damaged((const unsigned char *)"", 0, "not a PNG, JPEG or WebP");
}

/* A chunk of some kB that inflates to more than is read. */
Test(a1111_6_4, inflation_is_bounded)
{
    enum { BYTES = 40 << 20 };
    char  *long_text = malloc(BYTES + 1);
    size_t bytes;
    memset(long_text, 'a', BYTES);
    long_text[BYTES] = '\0';
    struct spng_text  text = make_text(SPNG_ZTXT, 1, "parameters", long_text);
    unsigned char    *png = make_png(&text, 1, &bytes);
    rf_picture_texts *texts = NULL;
    rf_error          err = {0};
    cr_expect_lt(bytes, 1 << 20);
    cr_expect_neq(rf_picture_texts_parse(&texts, png, bytes, "p", &err), RF_OK);
    cr_expect_null(texts);
    cr_expect(strstr(err.message, "16 MB"), "%s", err.message);
    free(png);
    free(long_text);
}

/* ---- EXIF --------------------------------------------------------------------------------- */

enum { IN_JPEG, IN_WEBP, IN_BARE_WEBP, CONTAINERS };

static void put(unsigned char *out, const void *bytes, size_t count)
{
    memcpy(out, bytes, count);
}

/* A TIFF structure whose Exif IFD has this comment. */
static size_t make_tiff(unsigned char *out, int big, const void *comment, size_t bytes)
{
    static const unsigned char head_be[] = {'M',  'M', 0, 42, 0, 0, 0,    8,    0, 1, 0x87,
                                            0x69, 0,   4, 0,  0, 0, 1,    0,    0, 0, 26,
                                            0,    0,   0, 0,  0, 1, 0x92, 0x86, 0, 7};
    static const unsigned char head_le[] = {'I',  'I', 42, 0, 8, 0, 0,    0,    1, 0, 0x69,
                                            0x87, 4,   0,  1, 0, 0, 0,    26,   0, 0, 0,
                                            0,    0,   0,  0, 1, 0, 0x86, 0x92, 7, 0};
    memcpy(out, big ? head_be : head_le, 32);
    for (int i = 0; i < 4; i++) {
        const int at = big ? 3 - i : i;
        out[32 + at] = (unsigned char)(bytes >> 8 * i);
        out[36 + at] = (unsigned char)(44u >> 8 * i);
    }
    memset(out + 40, 0, 4);
    memcpy(out + 44, comment, bytes);
    return 44 + bytes;
}

static size_t make_picture(unsigned char *out, int container, const unsigned char *tiff, size_t n)
{
    if (container == IN_JPEG) {
        put(out, "\xFF\xD8\xFF\xE0\0\4ab\xFF\xFF\xE1\0\0Exif\0\0", 19);
        out[11] = (unsigned char)((n + 8) >> 8), out[12] = (unsigned char)(n + 8);
        memcpy(out + 19, tiff, n);
        put(out + 19 + n, "\xFF\xDA\0\2rest", 8);
        return 19 + n + 8;
    }
    const size_t mark = container == IN_WEBP ? 6 : 0;
    put(out, "RIFF\0\0\0\0WEBPVP8 \3\0\0\0abc\0EXIF\0\0\0\0Exif\0", 38);
    out[28] = (unsigned char)(n + mark), out[29] = (unsigned char)((n + mark) >> 8);
    put(out + 32, "Exif\0\0", mark);
    memcpy(out + 32 + mark, tiff, n);
    return 32 + mark + n;
}

Test(a1111_6_4, exif_comments)
{
    static const struct {
        const char *raw;
        size_t      bytes;
        const char *want;
    } rows[] = {{"UNICODE\0\0a\0,\x73\x2B", 14, "a,\xE7\x8C\xAB"},
                {"UNICODE\0\xD8\x3D\xDC\x31\0b", 14,
                 "\xF0\x9F\x90\xB1"
                 "b"},
                {"UNICODE\0\xD8\x3D\0b", 12,
                 "\xEF\xBF\xBD"
                 "b"}, /* half a pair */
                {"UNICODE\0\xDC\x3D\xD8\x00", 12, "\xEF\xBF\xBD\xEF\xBF\xBD"},
                {"UNICODE\0\xFF\xFE"
                 "a\0b\0",
                 14, "ab"}, /* a mark says little-endian */
                {"UNICODE\0\xFE\xFF\0a", 12, "a"},
                {"UNICODE\0\0a\0\0\0b", 14, "a"},
                {"UNICODE\0\0a\0", 11, "a"}, /* half a unit at the end */
                {"UNICODE\0", 8, ""},
                {"ASCII\0\0\0plain", 13, "plain"},
                {"\0\0\0\0\0\0\0\0plain\0x", 15, "plain"}};
    unsigned char tiff[256], picture[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int big = 0; big < 2; big++)
            for (int container = 0; container < CONTAINERS; container++) {
                const size_t n = make_tiff(tiff, big, rows[i].raw, rows[i].bytes);
                expect(picture, make_picture(picture, container, tiff, n), "parameters",
                       rows[i].want);
            }
}

/* Pillow calls the comment bytes; in a PNG, EXIF wins over the text: A1111. */
Test(a1111_6_4, exif_of_other_writers)
{
    static char      plain[] = "of the text";
    unsigned char    tiff[256], picture[512];
    size_t           n = make_tiff(tiff, 1, "UNICODE\0\0a", 10), bytes;
    struct spng_text text = make_text(SPNG_TEXT, 0, "parameters", plain);
    unsigned char   *png = make_png(&text, 1, &bytes);
    tiff[31] = 1; /* BYTE */
    expect(picture, make_picture(picture, IN_JPEG, tiff, n), "parameters", "a");
    tiff[31] = 5; /* RATIONAL */
    expect_damaged(picture, make_picture(picture, IN_JPEG, tiff, n), "comment is damaged");

    n = make_tiff(tiff, 0, "UNICODE\0\0a", 10);
    uint32_t crc = 0xFFFFFFFF; /* PNG, annex D */
    put(picture, "\0\0\0\66eXIf", 8);
    memcpy(picture + 8, tiff, n);
    cr_assert_eq(n, 0x36);
    for (size_t i = 4; i < 8 + n; i++) {
        crc ^= picture[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xEDB88320 ^ crc >> 1 : crc >> 1;
    }
    for (int i = 0; i < 4; i++) picture[8 + n + i] = (unsigned char)(~crc >> (24 - 8 * i));
    unsigned char *with = malloc(bytes + n + 12);
    memcpy(with, png, 33); /* signature and IHDR */
    put(with + 33, picture, n + 12);
    memcpy(with + 33 + n + 12, png + 33, bytes - 33);
    expect(with, bytes + n + 12, "parameters", "a");
    free(with);
    free(png);
}

Test(a1111_6_4, pictures_without_a_comment)
{
    unsigned char tiff[256], picture[512];
    make_tiff(tiff, 1, "UNICODE\0", 8);
    tiff[29] = 0x87; /* another tag */
    expect(picture, make_picture(picture, IN_JPEG, tiff, 52), "parameters", NULL);
    make_tiff(tiff, 1, "UNICODE\0", 8);
    tiff[10] = 0x88; /* no Exif IFD */
    expect(picture, make_picture(picture, IN_WEBP, tiff, 52), "parameters", NULL);
    expect((const unsigned char *)"\xFF\xD8\xFF\xDA\0\2", 6, "parameters", NULL);
    expect((const unsigned char *)"RIFF\0\0\0\0WEBP", 12, "parameters", NULL);
}

/* Every prefix and every changed byte: an answer or RF_E_FORMAT, and no byte too many is read. */
Test(a1111_6_4, damaged_exif)
{
    unsigned char tiff[256], picture[512];
    int           refused = 0;
    const size_t  n = make_tiff(tiff, 1, "UNICODE\0\0a\0b", 12);
    for (int container = 0; container < CONTAINERS; container++) {
        const size_t bytes = make_picture(picture, container, tiff, n);
        for (size_t at = 0; at < bytes; at++)
            for (int how = 0; how < 3; how++) {
                const size_t      left = how == 0 ? at : bytes;
                unsigned char    *copy = malloc(left ? left : 1);
                rf_picture_texts *texts = NULL;
                memcpy(copy, picture, left);
                if (how > 0) copy[at] = how == 1 ? 0xFF : (unsigned char)(copy[at] ^ 1);
                const rf_status st = rf_picture_texts_parse(&texts, copy, left, "p", NULL);
                cr_expect(st == RF_OK || st == RF_E_FORMAT);
                refused += st == RF_E_FORMAT;
                rf_picture_texts_free(texts);
                free(copy);
            }
    }
    cr_expect_gt(refused, 100);
    make_tiff(tiff, 1, "JIS\0\0\0\0\0abc", 11);
    expect_damaged(picture, make_picture(picture, IN_JPEG, tiff, 55), "neither UNICODE nor ASCII");
    make_tiff(tiff, 1, "ASCII\0\0\0\xFF", 9);
    expect_damaged(picture, make_picture(picture, IN_JPEG, tiff, 53), "neither UNICODE nor ASCII");
    make_tiff(tiff, 1, "UNICODE\0", 8);
    tiff[0] = 'X';
    expect_damaged(picture, make_picture(picture, IN_JPEG, tiff, 52), "no TIFF header");
    make_tiff(tiff, 1, "UNICODE\0", 8);
    tiff[34] = 1; /* a comment of 256 bytes */
    expect_damaged(picture, make_picture(picture, IN_JPEG, tiff, 52), "comment is damaged");
}
