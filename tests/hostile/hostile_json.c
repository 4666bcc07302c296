/* S03 to S06: text that is not UTF-8, JSON that is none, names that stand twice, metadata that is
 * no strings; and all of them in sizes that ask for time and memory. */
#include "tests/hostile/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD HOSTILE_GOOD

void hostile_s03(hostile *h)
{
    static const char *const bytes[] = {"\x80",
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
                                        "\xC3("};
    static const char *const escapes[] = {
        "\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800x", "\\udfff\\ud800", "\\u0000", "\\u00zz",
        "\\u12",   "\\x41",   "\\u+123",        "\\",       "\x01",           "\n",      "\t",
        "\x1f"};
    static const char *const controls[] = {"\\u0007",  "\\n",  "\\u007f",   "\\u009b",
                                           "\xC2\x9B", "\x7f", "\\u001b[2J"};
    static const char *const starts[] = {"\xEF\xBB\xBF{\"t\":" GOOD "}", " {\"t\":" GOOD "}",
                                         "\n{\"t\":" GOOD "}", "[{\"t\":" GOOD "}]"};
    char                     header[256];
    hostile_begin(h, "S03", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(bytes); i++) {
        snprintf(header, sizeof header, "{\"a%s\":" GOOD "}", bytes[i]);
        hostile_header(h, "a name that is not UTF-8", header, 0, 4, RF_E_FORMAT, "not UTF-8");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(escapes); i++) {
        snprintf(header, sizeof header, "{\"a%s\":" GOOD "}", escapes[i]);
        hostile_header(h, "a name with a false escape", header, 0, 4, RF_E_FORMAT,
                       "damaged header");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(controls); i++) {
        snprintf(header, sizeof header, "{\"a%s\":" GOOD "}", controls[i]);
        hostile_header(h, "a name that drives terminals", header, 0, 4, RF_E_FORMAT,
                       "control characters");
    }
    hostile_headers(h, starts, HOSTILE_COUNT(starts), 4, RF_E_FORMAT, "");
    hostile_header(h, "NUL in a name", "{\"a\0\":" GOOD "}", sizeof "{\"a\0\":" GOOD "}" - 1, 4,
                   RF_E_FORMAT, "control character");
    hostile_header(h, "NUL at the end", "{\"a\":" GOOD "}\0", sizeof "{\"a\":" GOOD "}\0" - 1, 4,
                   RF_E_FORMAT, "after the closing brace");
}

/* ---- grammar ------------------------------------------------------------------------------ */

static FILE *begin_file(const char *path, uint64_t header_bytes)
{
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(&header_bytes, 8, 1, out) != 1) abort();
    return out;
}

/* A header of `bytes` bytes: a front, `fill` again and again, an end.  Written piece by piece: the
 * test that measures memory runs in this very process. */
static void long_header(hostile *h, const char *what, size_t bytes, const char *front,
                        const char *fill, const char *end, const char *said)
{
    char         piece[12 * 1024]; /* whole numbers of any fill */
    FILE        *out = begin_file(hostile_next(h, what, RF_E_FORMAT, said), bytes);
    const size_t f = strlen(fill);
    size_t       left = bytes - strlen(front) - strlen(end);
    for (size_t i = 0; i < sizeof piece; i++) piece[i] = fill[i % f];
    fputs(front, out);
    for (size_t now; left > 0; left -= now) {
        now = left < sizeof piece ? left : sizeof piece;
        if (fwrite(piece, 1, now, out) != now) abort();
    }
    if (fputs(end, out) < 0 || fclose(out) != 0) abort();
    hostile_made(h);
}

/* Tensors "0", "1" ... of nothing, each behind a comma. */
static void many_tensors(hostile *h, const char *what, int count, const char *said)
{
    const char *path = hostile_next(h, what, RF_E_FORMAT, said);
    FILE       *out = begin_file(path, 0);
    uint64_t    length = 0;
    for (int i = 0; i < count; i++)
        fprintf(out, "%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                i ? ',' : '{', i);
    fputc('}', out);
    length = (uint64_t)ftell(out) - 8;
    rewind(out);
    if (fwrite(&length, 8, 1, out) != 1 || fclose(out) != 0) abort();
    hostile_made(h);
}

void hostile_largest(hostile *h, const char *what, const char *front, const char *end,
                     const char *dtype, int count, rf_status want, const char *said)
{
    enum { VALUE = 250000, NAME = 80 };
    FILE     *out = begin_file(hostile_next(h, what, want, said), 0);
    const int bytes = strcmp(dtype, "F16") == 0 ? 2 : 1;
    const int fill = NAME - (int)(strlen(front) + strlen(end)) - 5;
    fputs("{\"__metadata__\":{", out);
    for (int i = 0; i < 3; i++) {
        fprintf(out, "%s\"%d\":\"", i ? "," : "", i);
        for (int k = 0; k < VALUE; k++) fputc('m', out);
        fputc('"', out);
    }
    fputc('}', out);
    for (int i = 0; i < count; i++)
        fprintf(out, ",\"%s%05d%*s%s\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                front, i, fill, "", end, dtype, i * bytes, (i + 1) * bytes);
    fputc('}', out);
    const long     all = ftell(out);
    const uint64_t length = (uint64_t)all - 8;
    rewind(out);
    if (fwrite(&length, 8, 1, out) != 1 || fflush(out) != 0 ||
        ftruncate(fileno(out), all + count * bytes) != 0 || fclose(out) != 0)
        abort();
    hostile_made(h);
}

static void large_headers(hostile *h)
{
    enum { MEGABYTE = 1 << 20, MOST = 16 * MEGABYTE };
    static const struct {
        const char *what;
        size_t      bytes;
        const char *front, *fill, *end, *said;
    } rows[] = {
        {"a million brackets in a tensor", MEGABYTE, "{\"t\":{\"x\":", "[", "", "too deeply"},
        {"a million braces in a tensor", MEGABYTE, "{\"t\":{\"x\":", "{", "",
         "where a string must stand"},
        {"a million objects in a tensor", MEGABYTE, "{\"t\":{\"x\":", "{\"\":", "", "too deeply"},
        {"a million brackets for a tensor", MEGABYTE, "{\"t\":", "[", "", "object for a tensor"},
        {"a million braces for a tensor", MEGABYTE, "{\"t\":", "{", "", "string must stand"},
        {"a million brackets in a field", MEGABYTE, "{\"x\":{\"y\":", "[", "", "too deeply"},
        {"a name of 16 MB", MOST, "{\"", "n", "\":" GOOD "}", "bytes long"},
        {"a name of 16 MB without an end", MOST, "{\"", "n", "", "without an end"},
        {"a name of 16 MB of escapes", MOST, "{\"", "\\u00e9", "", "without"},
        {"a name of 16 MB of newlines", MOST, "{\"", "\\n", "", "without"},
        {"a name of 16 MB of two-byte letters", MOST, "{\"", "\xC3\xA9", "", "without"},
        {"a name of 16 MB of three-byte letters", MOST, "{\"", "\xE4\xB8\x80", "", "not UTF-8"},
        {"a name of 50 MB", 50 * MEGABYTE, "{\"", "n", "\":" GOOD "}", "where at most"},
        {"16 MB of spaces", MOST, "{", " ", "", "string must stand"},
        {"16 MB of spaces behind the end", MOST, "{\"t\":" GOOD "}", " ", "x",
         "after the closing brace"},
        {"16 MB of a field's numbers", MOST, "{\"t\":{\"x\":[", "1,", "", "mean nothing"},
        {"16 MB of a field's empty lists", MOST, "{\"t\":{\"x\":[", "[],", "", "mean nothing"},
        {"16 MB of fields", MOST, "{\"t\":{", "\"\":10,", "", "mean nothing"},
        {"a dim of 16 MB", MOST, "{\"t\":{\"shape\":[", "1", "", "too many digits"},
        {"a field's number of 16 MB", MOST, "{\"t\":{\"x\":0.", "1", "", "too many digits"},
        {"a million dims", 2 * MEGABYTE, "{\"t\":{\"shape\":[", "1,", "", "more than 8 dims"},
        {"a tensor of 100,000 shapes", 2 * MEGABYTE, "{\"t\":{", "\"shape\":[ ],", "", "twice"},
    };
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++)
        long_header(h, rows[i].what, rows[i].bytes, rows[i].front, rows[i].fill, rows[i].end,
                    rows[i].said);
    hostile_largest(h, "as much as is read", "", "", "F16", 12000, RF_E_MODEL,
                    "no model that is known");
    hostile_largest(h, "as much as is read, in 8 bits", "", ".weight", "F8_E4M3", 12000, RF_E_MODEL,
                    "no model that is known");
    hostile_largest(h, "as much as is read, and one more", "", "", "F16", 12001, RF_E_FORMAT,
                    "more than 12000 tensors");
    many_tensors(h, "12,001 tensors", 12001, "more than 12000 tensors");
    many_tensors(h, "250,000 tensors", 250000, "more than 12000 tensors");
    many_tensors(h, "a million tensors", 1000000, "where at most");
}

void hostile_s04(hostile *h)
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
                                       "1 //",
                                       "-"};
    static const char *const values[] = {
        "nul", "tru",   "True",  "[1,]", "{\"a\":}", "{\"a\"}", "1.", "1e", "1e+", "--1", "[",
        "{",   "[1 2]", "{a:1}", "01",   "\"\\q\"",  "[}",      "{]", "\"", "nan", "-",   "[1}"};
    char value[256];
    hostile_begin(h, "S04", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(headers); i++)
        hostile_header(h, headers[i], headers[i], i < 2 ? i + 1 : 0, 4, RF_E_FORMAT, "");
    for (size_t i = 0; i < HOSTILE_COUNT(dims); i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,4]}",
                 dims[i]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "damaged header");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(values); i++) {
        snprintf(value, sizeof value,
                 "{\"x\":%s,\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", values[i]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "damaged header");
    }
    large_headers(h);
}

/* ---- twins -------------------------------------------------------------------------------- */

#define AT(from, to) "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" #from "," #to "]}"

void hostile_s05(hostile *h)
{
    static const char *const fields[] = {"\"dtype\":\"F32\"", "\"shape\":[1]",
                                         "\"data_offsets\":[0,4]", "\"d\\u0074ype\":\"F32\"",
                                         "\"\\u0073hape\":[1]"};
    static const struct {
        const char *text;
        uint64_t    data;
        const char *said;
    } rows[] = {
        {"{\"t\":" GOOD ",\"t\":" GOOD "}", 4, "two tensors are named t"},
        {"{\"t\":" GOOD ",\"\\u0074\":" GOOD "}", 4, "two tensors are named t"},
        {"{\"t\":" AT(0, 4) ",\"t\":" AT(4, 8) "}", 8, "two tensors are named t"},
        {"{\"te\":" AT(0, 4) ",\"m\":" AT(4, 8) ",\"t\\u0065\":" AT(8, 12) "}", 12,
         "two tensors are named te"},
        {"{\"\":" AT(0, 4) ",\"\":" AT(4, 8) "}", 8, "two tensors are named"},
        {"{\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
         0, "two tensors are named e"},
        {"{\"__metadata__\":{},\"t\":" GOOD ",\"__metadata__\":{}}", 4, "stands twice"},
        {"{\"__metadata__\":{},\"__met\\u0061data__\":{},\"t\":" GOOD "}", 4, "stands twice"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"t\":" GOOD "}", 4, "named a"},
        {"{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"1\"},\"t\":" GOOD "}", 4, "named a"},
        {"{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"a\":\"1\"},\"t\":" GOOD "}", 4, "named a"},
    };
    char value[256];
    hostile_begin(h, "S05", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(fields); i++) {
        snprintf(value, sizeof value, "{%s,\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}",
                 fields[i]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "twice");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++)
        hostile_header(h, rows[i].text, rows[i].text, 0, rows[i].data, RF_E_FORMAT, rows[i].said);
}

/* ---- metadata ----------------------------------------------------------------------------- */

void hostile_s06(hostile *h)
{
    enum { MOST = 16 << 20 };
    static const char *const values[] = {
        "1",    "null",        "true",     "[]",  "{}", "{\"a\":\"b\"}", "[\"a\"]",
        "-1.5", "\"\\u0000\"", "\"\xFF\"", "\"a", "",   "\"\\ud800\""};
    static const char *const metas[] = {"[]",        "\"\"",
                                        "null",      "1",
                                        "{\"a\"}",   "{\"a\":\"b\",}",
                                        "{,}",       "{\"a\":\"b\" \"c\":\"d\"}",
                                        "{a:\"b\"}", "{"};
    char                     header[512];
    hostile_begin(h, "S06", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(values); i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":{\"a\":%s},\"t\":" GOOD "}", values[i]);
        hostile_header(h, "a value that is no string", header, 0, 4, RF_E_FORMAT, "damaged header");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(metas); i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":%s,\"t\":" GOOD "}", metas[i]);
        hostile_header(h, "metadata that is no object", header, 0, 4, RF_E_FORMAT,
                       "damaged header");
    }
#define FRONT "{\"__metadata__\":{\"modelspec.thumbnail\":\""
    long_header(h, "a thumbnail of 16 MB without an end", MOST, FRONT, "A", "", "without an end");
    long_header(h, "a thumbnail of 16 MB, then a comma", MOST, FRONT, "A", "\",}}",
                "string must stand");
    long_header(h, "a thumbnail of 16 MB, the tensor twice", MOST, FRONT, "A",
                "\"},\"t\":" GOOD ",\"t\":" GOOD "}", "two tensors are named t");
    long_header(h, "a thumbnail of 90 MB", 90 << 20, FRONT, "A", "\"},\"t\":" GOOD "}",
                "where at most");
    long_header(h, "statistics of 16 MB in Chinese", MOST, FRONT, "\xE4\xB8\x80", "", "");
    long_header(h, "three million empty entries", MOST, "{\"__metadata__\":{", "\"\":\"\",", "",
                "more than 12000 metadata entries");
    long_header(h, "a key of 2 MB", 2 << 20, "{\"__metadata__\":{\"", "k", "\":\"\"}}",
                "names take more than");
}
