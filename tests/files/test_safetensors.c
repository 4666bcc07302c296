/* Malformed safetensors files of every family are refused, quickly and with the right code.
 *
 * Families follow the rules of the format: S01 length field, S02 length too large, S03 encoding,
 * S04 grammar, S05 duplicates, S06 metadata, S07 fields and types, S08 dims, S09 offsets,
 * S10 overlap, S11 holes and ends, S12 sizes, S17 alignment.  S13 and S15 have tests of their own.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/files/safetensors.h"
#include "tests/files/fixture.h"

/* Sanitizers slow everything down several times. */
#ifndef __has_feature /* clang's way to ask */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SLOWNESS 10
#else
#define SLOWNESS 1
#endif

static int cases; /* in this test */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may use the machine too */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The file at `path` opens (want == RF_OK) or is refused with `want` and a sentence. */
static void expect(const char *path, rf_status want, const char *what)
{
    rf_error        err = {.message = ""};
    rf_safetensors *file = NULL;
    const double    start = now();
    const rf_status st = rf_safetensors_open(&file, path, &err);
    const double    seconds = now() - start;
    cases++;
    cr_expect_eq(st, want, "%s: %s (%s)", what, rf_status_name(st), err.message);
    cr_expect_lt(seconds, 0.05 * SLOWNESS, "%s took %.3f s", what, seconds);
    if (want != RF_OK) {
        cr_expect_null(file);
        cr_expect_gt(strlen(err.message), strlen(path), "%s has no message", what);
        cr_expect_eq(strncmp(err.message, path, strlen(path)), 0, "%s", err.message);
    }
    rf_safetensors_close(file);
}

static void expect_header(const char *header, size_t bytes, uint64_t data, rf_status want)
{
    char        shown[160];
    const char *path = fixture_path("case.safetensors");
    snprintf(shown, sizeof shown, "%.*s", bytes > 150 ? 150 : (int)bytes, header);
    fixture_file(path, header, bytes, data);
    expect(path, want, shown);
}

/* A header as text and the bytes of data behind it. */
static void expect_text(const char *header, uint64_t data, rf_status want)
{
    expect_header(header, strlen(header), data, want);
}

/* One tensor "t" of 4 bytes whose value is given. */
static void expect_tensor(const char *value, uint64_t data, rf_status want)
{
    char header[2048];
    snprintf(header, sizeof header, "{\"t\":%s}", value);
    expect_text(header, data, want);
}

#define GOOD "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

TestSuite(safetensors, .timeout = 60, .fini = fixture_cleanup);

Test(safetensors, good_files_open)
{
    expect_tensor(GOOD, 4, RF_OK);
    expect_text("{\"t\":" GOOD "}   ", 4, RF_OK);
    expect_text("{ \"t\" :\t" GOOD "\n}", 4, RF_OK);
    expect_text("{\"__metadata__\":{\"a\":\"b\\n\\u20ac\\ud83d\\ude00\"},\"t\":" GOOD "}", 4,
                RF_OK);
    expect_text("{\"__metadata__\":{},\"t\":" GOOD "}", 4, RF_OK);
    expect_tensor("{\"shape\":[],\"data_offsets\":[0,4],\"dtype\":\"F32\"}", 4, RF_OK);
    expect_tensor("{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}", 0, RF_OK);
    expect_tensor("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],"
                  "\"x\":[1,{\"y\":[null,true,-1.5e+3]},\"z\",{},[]]}",
                  4, RF_OK);
    expect_tensor("{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}", 4,
                  RF_OK);
    expect_text("{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                "\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[1,3]}}",
                3, RF_OK); /* S17: unaligned is legal */
}

Test(safetensors, contents_are_reported)
{
    rf_safetensors *file;
    const char     *path = fixture_path("x.safetensors");
    const char      header[] = "{\"__metadata__\":{\"k\":\"v\\\"\\u00e9\"},"
                               "\"b\":{\"dtype\":\"U8\",\"shape\":[3],"
                               "\"data_offsets\":[0,3],\"n\":1},"
                               "\"\\u0061\":{\"dtype\":\"F16\",\"shape\":[1,2],"
                               "\"data_offsets\":[3,7]}}";
    unsigned char   bytes[4] = {0};
    fixture_file(path, header, sizeof header - 1, 7);
    FILE *f = fopen(path, "r+b");
    fseek(f, -4, SEEK_END);
    fwrite("\1\2\3\4", 1, 4, f);
    fclose(f);
    cr_assert_eq(rf_safetensors_open(&file, path, NULL), RF_OK);
    const rf_tensors *list = rf_safetensors_list(file);
    const rf_header  *h = rf_safetensors_header(file);
    cr_assert_eq(list->count, 2);
    cr_assert_str_eq(list->item[0].name, "a");
    cr_assert_str_eq(list->item[1].name, "b");
    cr_assert_eq(list->item[0].elems, 2);
    cr_assert_eq(list->item[0].offset, 8 + sizeof header - 1 + 3);
    cr_assert_eq(h->meta_count, 1);
    cr_assert_str_eq(h->meta[0].value, "v\"\xC3\xA9");
    cr_assert_eq(h->unknown_fields, 1);
    cr_assert_eq(rf_safetensors_bytes(file), 8 + sizeof header - 1 + 7);
    cr_assert_eq(list->read(list, &list->item[0], 1, bytes, 3, NULL), RF_OK);
    cr_assert_eq(memcmp(bytes, "\2\3\4", 3), 0);
    cr_assert_eq(list->read(list, &list->item[0], 2, bytes, 3, NULL), RF_E_BUG);
    cr_assert_eq(list->read(list, &list->item[0], 5, bytes, 0, NULL), RF_E_BUG);
    rf_safetensors_close(file);
}

Test(safetensors, s01_s02_header_length)
{
    const char    *path = fixture_path("x.safetensors");
    const uint64_t lengths[] = {UINT64_MAX,
                                UINT64_MAX - 7,
                                1ull << 63,
                                (1ull << 63) - 8,
                                1ull << 32,
                                100000001,
                                100000000,
                                1000,
                                93,
                                92,
                                UINT32_MAX,
                                0x8000000000000005u,
                                UINT64_MAX - 8,
                                1ull << 40};
    unsigned char  file[100] = "????????{";
    for (size_t n = 0; n < 8; n++) { /* too short, in zeros and in something that is no text */
        fixture_raw(path, "\0\0\0\0\0\0\0\0", n);
        expect(path, RF_E_FORMAT, "short file of zeros");
        fixture_raw(path, "\2\0\0\0\0\0\0\0", n);
        expect(path, RF_E_FORMAT, "short file");
    }
    for (uint64_t n = 0; n < 2; n++) {
        for (size_t size = 8; size < 12; size++) {
            memset(file, 0, sizeof file);
            file[0] = (unsigned char)n;
            file[8] = '{';
            fixture_raw(path, file, size);
            expect(path, RF_E_FORMAT, "header of 0 or 1 bytes");
        }
    }
    expect_text("{}", 0, RF_E_MODEL);
    expect_text("{}", 5, RF_E_MODEL);
    expect_text("{\"__metadata__\":{\"a\":\"b\"}}", 0, RF_E_MODEL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(file, ' ', sizeof file);
        for (int b = 0; b < 8; b++) file[b] = (unsigned char)(lengths[i] >> 8 * b);
        file[8] = '{';
        fixture_raw(path, file, sizeof file);
        expect(path, RF_E_FORMAT, "header length");
    }
    cr_expect_geq(cases, 38, "%d", cases);
}

Test(safetensors, s03_encoding)
{
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC3",
                                      "\xE0\x80\x80",
                                      "\xE0\x9F\xBF",
                                      "\xE2\x82",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x80\x80\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "\xFE\xFF",
                                      "\xC3(",
                                      "\\ud800",
                                      "\\udc00",
                                      "\\ud800\\u0041",
                                      "\\ud800x",
                                      "\\udfff\\ud800",
                                      "\\u0000",
                                      "\\u00zz",
                                      "\\u12",
                                      "\\x41",
                                      "\\",
                                      "\\u+123",
                                      "\x01",
                                      "\n",
                                      "\t",
                                      "\x1f",
                                      "\\u0007",
                                      "\\n",
                                      "\\u007f",
                                      "\\u009b",
                                      "\xC2\x9B",
                                      "\x7f"};
    char                     header[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(header, sizeof header, "{\"a%s\":" GOOD "}", bad[i]);
        expect_text(header, 4, RF_E_FORMAT);
    }
    expect_header("{\"a\0\":" GOOD "}", sizeof "{\"a\0\":" GOOD "}" - 1, 4, RF_E_FORMAT);
    expect_header("{\"a\":" GOOD "}\0", sizeof "{\"a\":" GOOD "}\0" - 1, 4, RF_E_FORMAT);
    expect_text("\xEF\xBB\xBF{\"t\":" GOOD "}", 4, RF_E_FORMAT);
    expect_text(" {\"t\":" GOOD "}", 4, RF_E_FORMAT);
    expect_text("\n{\"t\":" GOOD "}", 4, RF_E_FORMAT);
    expect_text("[{\"t\":" GOOD "}]", 4, RF_E_FORMAT);
    cr_expect_geq(cases, 44, "%d", cases);
}

Test(safetensors, s04_grammar)
{
    static const char *const headers[] = {"{",
                                          "{\"",
                                          "{\"t",
                                          "{\"t\"",
                                          "{\"t\":",
                                          "{\"t\":{",
                                          "{\"t\":" GOOD,
                                          "{\"t\":" GOOD ",}",
                                          "{,\"t\":" GOOD "}",
                                          "{\"t\":" GOOD ",,\"u\":" GOOD "}",
                                          "{\"t\":" GOOD "}}",
                                          "{\"t\":" GOOD "}x",
                                          "{\"t\" " GOOD "}",
                                          "{\"t\"=" GOOD "}",
                                          "{t:" GOOD "}",
                                          "{'t':" GOOD "}",
                                          "{\"t\":" GOOD "} // c",
                                          "{/* c */\"t\":" GOOD "}",
                                          "{\"t\":" GOOD ";}",
                                          "{\"t\":" GOOD "\"u\":" GOOD "}",
                                          "{\"t\":1}",
                                          "{\"t\":null}",
                                          "{\"t\":[]}",
                                          "{\"t\":\"x\"}",
                                          "{\"t\":{}}",
                                          "{1:" GOOD "}",
                                          "{null:" GOOD "}"};
    static const char *const dims[] = {"1e0",
                                       "1e3",
                                       "-0",
                                       "-1",
                                       "01",
                                       "00",
                                       "0x1",
                                       "1.0",
                                       "1.",
                                       ".5",
                                       "NaN",
                                       "Infinity",
                                       "+1",
                                       "\"1\"",
                                       "null",
                                       "true",
                                       "[1]",
                                       "{}",
                                       "1 1",
                                       "1,",
                                       ",1",
                                       "1,,1",
                                       "1_0",
                                       "\xD9\xA1",
                                       "9223372036854775808",
                                       "18446744073709551616",
                                       "340282366920938463463374607431768211456",
                                       "1 //",
                                       "-"};
    static const char *const values[] = {"nul",   "tru",   "True", "[1,]",    "{\"a\":}", "{\"a\"}",
                                         "1.",    "1e",    "1e+",  "--1",     "[",        "{",
                                         "[1 2]", "{a:1}", "01",   "\"\\q\"", "[}",       "{]",
                                         "\"",    "nan",   "-",    "[1}",     "{\"a\":1]"};
    char                     value[256];
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        expect_text(headers[i], 4, RF_E_FORMAT);
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,4]}",
                 dims[i]);
        expect_tensor(value, 4, RF_E_FORMAT);
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(value, sizeof value,
                 "{\"x\":%s,\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", values[i]);
        expect_tensor(value, 4, RF_E_FORMAT);
    }
    cr_expect_geq(cases, 78, "%d", cases);
}

/* Depth bombs and long strings. */
Test(safetensors, s04_size)
{
    static const char open[] = "[{", *const heads[] = {
                                         "{\"t\":{\"x\":", "{\"t\":", "{\"x\":{\"y\":"};
    const size_t bytes = 1 << 20;
    char        *header = malloc(bytes);
    for (size_t h = 0; h < 3; h++)
        for (int kind = 0; kind < 2; kind++) {
            memset(header, open[kind], bytes);
            for (size_t i = 0; heads[h][i]; i++) header[i] = heads[h][i];
            expect_header(header, bytes, 0, RF_E_FORMAT);
        }
    memset(header, 'n', bytes); /* a name of a megabyte */
    header[0] = '{', header[1] = '"';
    memcpy(header + bytes - 64, "\":" GOOD "}    ", sizeof GOOD + 5);
    memset(header + bytes - 64 + sizeof GOOD + 3, ' ', 64 - sizeof GOOD - 3);
    expect_header(header, bytes, 4, RF_E_FORMAT);
    for (size_t name = 511; name < 515; name++) {
        header[0] = '{', header[1] = '"';
        memset(header + 2, 'n', name);
        const int n = snprintf(header + 2 + name, 128, "\":" GOOD "}");
        expect_header(header, 2 + name + (size_t)n, 4, name > 512 ? RF_E_FORMAT : RF_OK);
    }
    free(header);
}

/* One entry too many. */
Test(safetensors, s04_too_many_entries)
{
    char           *header = malloc((size_t)RF_ENTRIES_MAX * 80 + 160);
    size_t          n = 1;
    rf_error        err;
    rf_safetensors *file;
    const char     *path = fixture_path("many.safetensors");
    header[0] = '{';
    for (int i = 0; i <= RF_ENTRIES_MAX; i++)
        n += (size_t)sprintf(header + n,
                             "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                             i ? "," : "", i);
    header[n++] = '}';
    fixture_file(path, header, n, 0);
    free(header);
    const double start = now();
    cr_expect_eq(rf_safetensors_open(&file, path, &err), RF_E_FORMAT);
    cr_expect_not_null(strstr(err.message, "more than"), "%s", err.message);
    cr_expect_lt(now() - start, 0.05 * SLOWNESS);
}

Test(safetensors, s05_duplicates)
{
    static const char *const twins[] = {"t", "\\u0074", "\\u0074\\u0065", "te"};
    char                     header[512];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            snprintf(header, sizeof header, "{\"%s\":" GOOD ",\"%s\":" GOOD "}", twins[i],
                     twins[j]);
            expect_text(header, 4, RF_E_FORMAT);
            snprintf(header, sizeof header,
                     "{\"%s\":" GOOD ",\"m\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":"
                     "[4,8]},\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
                     twins[2 + i], twins[2 + j]);
            expect_text(header, 12, RF_E_FORMAT);
        }
    static const char *const fields[] = {"\"dtype\":\"F32\"", "\"shape\":[1]",
                                         "\"data_offsets\":[0,4]", "\"d\\u0074ype\":\"F32\""};
    for (int i = 0; i < 4; i++) {
        snprintf(header, sizeof header,
                 "{%s,\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", fields[i]);
        expect_tensor(header, 4, RF_E_FORMAT);
    }
    expect_text("{\"__metadata__\":{},\"t\":" GOOD ",\"__metadata__\":{}}", 4, RF_E_FORMAT);
    expect_text("{\"__metadata__\":{},\"__met\\u0061data__\":{},\"t\":" GOOD "}", 4, RF_E_FORMAT);
    expect_text("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"t\":" GOOD "}", 4, RF_E_FORMAT);
    expect_text("{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"1\"},\"t\":" GOOD "}", 4,
                RF_E_FORMAT);
    expect_text("{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"a\":\"1\"},\"t\":" GOOD "}", 4,
                RF_E_FORMAT);
}

Test(safetensors, s06_metadata)
{
    static const char *const values[] = {
        "1",    "null",        "true",     "[]",  "{}", "{\"a\":\"b\"}", "[\"a\"]",
        "-1.5", "\"\\u0000\"", "\"\xFF\"", "\"a", "",   "\"\\ud800\""};
    static const char *const metas[] = {"[]",        "\"\"",
                                        "null",      "1",
                                        "{\"a\"}",   "{\"a\":\"b\",}",
                                        "{,}",       "{\"a\":\"b\" \"c\":\"d\"}",
                                        "{a:\"b\"}", "{"};
    char                     header[512];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":{\"a\":%s},\"t\":" GOOD "}", values[i]);
        expect_text(header, 4, RF_E_FORMAT);
    }
    for (size_t i = 0; i < sizeof metas / sizeof *metas; i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":%s,\"t\":" GOOD "}", metas[i]);
        expect_text(header, 4, RF_E_FORMAT);
    }
    const size_t bytes = 8u << 20; /* a thumbnail of 8 MB is no fault */
    char        *large = malloc(bytes + 256);
    const int    n = sprintf(large, "{\"__metadata__\":{\"modelspec.thumbnail\":\"");
    memset(large + n, 'A', bytes);
    const size_t tail = (size_t)sprintf(large + (size_t)n + bytes, "\"},\"t\":" GOOD "}");
    expect_header(large, (size_t)n + bytes + tail, 4, RF_OK);
    free(large);
    rf_safetensors *file; /* what is in it is not kept */
    cr_assert_eq(rf_safetensors_open(&file, fixture_path("case.safetensors"), NULL), RF_OK);
    const rf_header *h = rf_safetensors_header(file);
    cr_expect(h->meta_count == 1 && h->meta[0].bytes == bytes);
    cr_expect_str_eq(h->meta[0].value, "");
    rf_safetensors_close(file);
}

Test(safetensors, s07_fields)
{
    static const char *const unknown[] = {"f32",       "F31",    "",     "FLOAT", "F32 ",
                                          "float32",   "F8",     "I128", "BF",    "\\u0046\\u0033",
                                          "f\xC3\xB1", "BOOLEAN"};
    static const char *const other[] = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
                                        "F4",      "F6_E2M3",     "F6_E3M2"};
    static const char *const wrong[] = {"1",         "null",    "[]",  "{}",       "true",
                                        "[\"F32\"]", "\"[1]\"", "1.5", "{\"a\":1}"};
    static const char *const all[] = {"\"dtype\":\"F32\"", "\"shape\":[1]",
                                      "\"data_offsets\":[0,4]"};
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    char                     value[256];
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,4]}",
                 unknown[i]);
        expect_tensor(value, 4, RF_E_FORMAT);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,1]}",
                 other[i]);
        expect_tensor(value, 1, RF_E_MODEL);
    }
    for (int missing = 0; missing < 3; missing++) {
        snprintf(value, sizeof value, "{%s,%s}", all[(missing + 1) % 3], all[(missing + 2) % 3]);
        expect_tensor(value, 4, RF_E_FORMAT);
        snprintf(value, sizeof value, "{%s}", all[missing]);
        expect_tensor(value, 4, RF_E_FORMAT);
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            snprintf(value, sizeof value, "{\"%s\":%s,%s,%s}", keys[missing], wrong[i],
                     all[(missing + 1) % 3], all[(missing + 2) % 3]);
            /* an empty shape is a scalar: as good as [1] */
            expect_tensor(value, 4, missing == 1 && i == 2 ? RF_OK : RF_E_FORMAT);
        }
    }
}

Test(safetensors, s08_dims)
{
    static const char *const shapes[] = {"4294967296,4294967296",
                                         "4294967296,4294967296,0",
                                         "0,4294967296,4294967296",
                                         "9223372036854775807,2",
                                         "3037000500,3037000500",
                                         "2147483648,2147483648,2147483648",
                                         "65536,65536,65536,65536",
                                         "9223372036854775807",
                                         "4611686018427387904,4",
                                         "1,1,1,1,1,1,1,1,1",
                                         "0,0,0,0,0,0,0,0,0",
                                         "2",
                                         "0",
                                         "1,0",
                                         "1,2",
                                         "6148914691236517205,3"};
    char                     value[256];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int bytes = 0; bytes <= 4; bytes += 4) {
            const int fits = bytes == 0 && (i == 12 || i == 13);
            snprintf(value, sizeof value,
                     "{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,%d]}", shapes[i],
                     bytes);
            expect_tensor(value, (uint64_t)bytes, fits ? RF_OK : RF_E_FORMAT);
        }
}

Test(safetensors, s09_offsets)
{
    static const char *const offsets[] = {"4,0",
                                          "0,8",
                                          "1,5",
                                          "4,8",
                                          "0,3",
                                          "0,5",
                                          "0,9223372036854775807",
                                          "0,9223372036854775808",
                                          "9223372036854775804,9223372036854775808",
                                          "-4,0",
                                          "0,-4",
                                          "0.0,4.0",
                                          "\"0\",\"4\"",
                                          "0",
                                          "",
                                          "0,4,8",
                                          "null,4",
                                          "[0],4",
                                          "0,4e0",
                                          "00,4",
                                          "18446744073709551612,18446744073709551616",
                                          "9223372036854775803,9223372036854775807"};
    char                     value[256];
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%s]}",
                 offsets[i]);
        expect_tensor(value, 4, RF_E_FORMAT);
    }
}

/* Two tensors of `a` and `b` bytes at their offsets in a file with `data` bytes of data. */
static void expect_pair(uint64_t from_a, uint64_t a, uint64_t from_b, uint64_t b, uint64_t data)
{
    char header[512];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[%" PRIu64 "],\"data_offsets\":[%" PRIu64
             ",%" PRIu64 "]},\"b\":{\"dtype\":\"U8\",\"shape\":[%" PRIu64
             "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}}",
             a, from_a, from_a + a, b, from_b, from_b + b);
    const int good = (from_a == 0 && from_b == a && data == a + b) ||
                     (from_b == 0 && from_a == b && data == a + b);
    expect_text(header, data, good ? RF_OK : RF_E_FORMAT);
}

Test(safetensors, s10_s11_overlaps_holes_and_ends)
{
    for (uint64_t a = 0; a < 4; a++)
        for (uint64_t b = 0; b < 3; b++)
            for (uint64_t from = 0; from < 5; from++) {
                expect_pair(0, a, from, b, a + b);
                expect_pair(from, b, 0, a, a + b);
            }
    for (uint64_t data = 0; data < 20; data++) expect_pair(0, 4, 4, 4, data);
    expect_pair(1, 4, 5, 4, 9); /* a hole before the first */
    expect_pair(0, UINT64_C(1) << 40, 0, UINT64_C(1) << 40, 1024);
    cr_expect_geq(cases, 120);
}

Test(safetensors, s12_sizes)
{
    char value[256];
    for (int type = 0; type < RF_FILETYPES; type++)
        for (int wrong = -1; wrong <= 1; wrong++) {
            const int bytes = 2 * (int)rf_filetype_bytes((rf_filetype)type) + wrong;
            snprintf(value, sizeof value,
                     "{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%d]}",
                     rf_filetype_name((rf_filetype)type), bytes);
            expect_tensor(value, (uint64_t)bytes, wrong ? RF_E_FORMAT : RF_OK);
        }
}

/* The data starts at every offset modulo 8, tensors at odd ones: all legal, all read rightly. */
Test(safetensors, s17_alignment)
{
    char header[512];
    for (int pad = 0; pad < 8; pad++) {
        unsigned char   got[4] = {0};
        rf_safetensors *file;
        const char     *path = fixture_path("odd.safetensors");
        const int       n = snprintf(header, sizeof header,
                                     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
                                           "\"data_offsets\":[0,1]},"
                                           "\"t\":{\"dtype\":\"F32\",\"shape\":[1],"
                                           "\"data_offsets\":[1,5]}}"
                                           "%*s",
                                     pad, "");
        fixture_file(path, header, (size_t)n, 5);
        FILE *f = fopen(path, "r+b");
        fseek(f, -4, SEEK_END);
        fwrite("wxyz", 1, 4, f);
        fclose(f);
        cr_assert_eq(rf_safetensors_open(&file, path, NULL), RF_OK);
        const rf_tensors *list = rf_safetensors_list(file);
        cr_expect_eq(list->read(list, rf_tensors_find(list, "t"), 0, got, 4, NULL), RF_OK);
        cr_expect_eq(memcmp(got, "wxyz", 4), 0);
        rf_safetensors_close(file);
    }
}
