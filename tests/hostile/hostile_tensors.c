/* S07 to S12 and S17: types, dims, offsets and sizes that are wrong, alone and together. */
#include "tests/hostile/hostile.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/core/tensors.h"

void hostile_s07(hostile *h)
{
    static const char *const unknown[] = {"f32",     "F31",      "",     "FLOAT", "F32 ",
                                          "float32", "F8",       "I128", "BF",    "\\u0046\\u0033",
                                          "BOOLEAN", "f\xC3\xB1"};
    static const char *const other[] = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
                                        "F4",      "F6_E2M3",     "F6_E3M2"};
    static const char *const wrong[] = {"1", "null", "{}", "true", "[\"F32\"]", "\"[1]\"", "1.5"};
    static const char *const all[] = {"\"dtype\":\"F32\"", "\"shape\":[1]",
                                      "\"data_offsets\":[0,4]"};
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    char                     value[256];
    hostile_begin(h, "S07", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(unknown); i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,4]}",
                 unknown[i]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "unknown type");
    }
    for (size_t i = 0; i < HOSTILE_COUNT(other); i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,1]}",
                 other[i]);
        hostile_tensor(h, value, 1, RF_E_MODEL, "which this version does not read");
    }
    for (int missing = 0; missing < 3; missing++) {
        snprintf(value, sizeof value, "{%s,%s}", all[(missing + 1) % 3], all[(missing + 2) % 3]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "has no");
        snprintf(value, sizeof value, "{%s}", all[missing]);
        hostile_tensor(h, value, 4, RF_E_FORMAT, "has no");
        for (size_t i = 0; i < HOSTILE_COUNT(wrong); i++) {
            snprintf(value, sizeof value, "{\"%s\":%s,%s,%s}", keys[missing], wrong[i],
                     all[(missing + 1) % 3], all[(missing + 2) % 3]);
            hostile_tensor(h, value, 4, RF_E_FORMAT, missing == 0 && i == 5 ? "type" : "holds");
        }
    }
}

void hostile_s08(hostile *h)
{
    static const struct {
        const char *shape;
        int         bytes;
        const char *said;
    } rows[] = {
        {"4294967296,4294967296", 0, "overflow"},
        {"4294967296,4294967296,0", 0, "overflow"},
        {"0,4294967296,4294967296", 0, "overflow"},
        {"4294967296,0,4294967296", 4, "overflow"},
        {"9223372036854775807,2", 0, "overflow"},
        {"9223372036854775807", 4, "overflow"},
        {"3037000500,3037000500", 4, "overflow"},
        {"2147483648,2147483648,2147483648", 0, "overflow"},
        {"65536,65536,65536,65536", 0, "overflow"},
        {"4611686018427387904,4", 0, "overflow"},
        {"4611686018427387904", 4, "overflow"},
        {"6148914691236517205,3", 4, "overflow"},
        {"2305843009213693952", 4, "overflow"},
        {"256,256,256,256,256,256,256,256", 0, "overflow"},
        {"1,1,1,1,1,1,1,1,1", 4, "more than 8 dims"},
        {"0,0,0,0,0,0,0,0,0", 0, "more than 8 dims"},
        {"9223372036854775808", 4, "above 2^63-1"},
        {"18446744073709551615", 4, "above 2^63-1"},
        {"99999999999999999999999", 4, "above 2^63-1"},
        {"-1", 4, "negative"},
        {"-9223372036854775808", 4, "negative"},
        {"-0", 4, "negative"},
        {"0.5", 4, "not written as an integer"},
        {"1.0", 4, "not written as an integer"},
        {"1e0", 4, "not written as an integer"},
        {"2", 4, "takes 8 bytes"},
        {"0", 4, "takes 0 bytes"},
        {"1,0", 4, "takes 0 bytes"},
        {"1,2", 4, "takes 8 bytes"},
        {"1", 0, "takes 4 bytes"},
        {"", 0, "takes 4 bytes"},
    };
    char value[256];
    hostile_begin(h, "S08", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,%d]}",
                 rows[i].shape, rows[i].bytes);
        hostile_tensor(h, value, (uint64_t)rows[i].bytes, RF_E_FORMAT, rows[i].said);
    }
}

void hostile_s09(hostile *h)
{
    static const struct {
        const char *offsets, *said;
    } rows[] = {
        {"4,0", "ends before it begins"},
        {"9223372036854775807,0", "ends before it begins"},
        {"0,8", "takes 4 bytes but has 8"},
        {"0,3", "takes 4 bytes but has 3"},
        {"0,5", "takes 4 bytes but has 5"},
        {"0,0", "takes 4 bytes but has 0"},
        {"1,5", "leaves a hole"},
        {"4,8", "leaves a hole"},
        {"1099511627776,1099511627780", "leaves a hole"},
        {"9223372036854775803,9223372036854775807", "leaves a hole"},
        {"0,9223372036854775807", "takes 4 bytes"},
        {"0,9223372036854775808", "above 2^63-1"},
        {"9223372036854775804,9223372036854775808", "above 2^63-1"},
        {"18446744073709551612,18446744073709551616", "above 2^63-1"},
        {"18446744073709551615,3", "above 2^63-1"},
        {"-4,0", "negative"},
        {"0,-4", "negative"},
        {"0.0,4.0", "not written as an integer"},
        {"0,4e0", "not written as an integer"},
        {"\"0\",\"4\"", "a number must stand"},
        {"null,4", "a number must stand"},
        {"[0],4", "a number must stand"},
        {"0", "not a pair"},
        {"", "a number must stand"},
        {"0,4,8", "not a pair"},
        {"00,4", "leading zero"},
    };
    char value[256];
    hostile_begin(h, "S09", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++) {
        snprintf(value, sizeof value, "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%s]}",
                 rows[i].offsets);
        hostile_tensor(h, value, 4, RF_E_FORMAT, rows[i].said);
    }
}

/* ---- tilings ------------------------------------------------------------------------------ */

/* Two tensors of bytes, `a` and `b` of them from two offsets on. */
static void pair(hostile *h, const char *what, uint64_t from_a, uint64_t a, uint64_t from_b,
                 uint64_t b, uint64_t data, const char *said)
{
    char header[512];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[%" PRIu64 "],\"data_offsets\":[%" PRIu64
             ",%" PRIu64 "]},\"b\":{\"dtype\":\"U8\",\"shape\":[%" PRIu64
             "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}}",
             a, from_a, from_a + a, b, from_b, from_b + b);
    hostile_header(h, what, header, 0, data, RF_E_FORMAT, said);
}

void hostile_s10(hostile *h)
{
    const uint64_t tera = UINT64_C(1) << 40;
    char           header[8192] = "{";
    size_t         n = 1;
    hostile_begin(h, "S10", HOSTILE_CHECKPOINT);
    pair(h, "the same bytes twice", 0, 4, 0, 4, 4, "shares bytes");
    pair(h, "the same bytes twice, and as many more", 0, 4, 0, 4, 8, "shares bytes");
    pair(h, "one byte in common", 0, 4, 3, 4, 7, "shares bytes");
    pair(h, "one byte in common, the other order", 3, 4, 0, 4, 7, "shares bytes");
    pair(h, "one inside the other", 0, 8, 2, 4, 8, "shares bytes");
    pair(h, "one inside the other, to its end", 0, 8, 4, 4, 8, "shares bytes");
    pair(h, "one inside the other, from its start", 0, 8, 0, 4, 8, "shares bytes");
    pair(h, "a terabyte twice", 0, tera, 0, tera, 1024, "shares bytes");
    pair(h, "nothing in the middle of something", 2, 0, 0, 4, 4, "");
    pair(h, "in common at the end of 2^63", 0, INT64_MAX - 1, 1, INT64_MAX - 1, 64, "shares bytes");
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(header + n, sizeof header - n,
                              "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[1048576],"
                              "\"data_offsets\":[0,1048576]}",
                              i ? "," : "", i);
    snprintf(header + n, sizeof header - n, "}");
    hostile_header(h, "one megabyte a hundred times", header, 0, 1 << 20, RF_E_FORMAT,
                   "shares bytes");
    hostile_header(h, "a hundred, and a hundred megabytes", header, 0, 100 << 20, RF_E_FORMAT,
                   "shares bytes");
}

void hostile_s11(hostile *h)
{
    hostile_begin(h, "S11", HOSTILE_CHECKPOINT);
    pair(h, "a hole of one byte", 0, 4, 5, 4, 9, "leaves a hole");
    pair(h, "a hole before the first", 1, 4, 5, 4, 9, "leaves a hole");
    pair(h, "a hole of a terabyte", 0, 4, UINT64_C(1) << 40, 4, 8, "leaves a hole");
    pair(h, "a hole, the other order", 8, 4, 0, 4, 12, "leaves a hole");
    for (uint64_t data = 0; data < 8; data++)
        pair(h, "a cut download", 0, 4, 4, 4, data, "the download was cut");
    for (uint64_t more = 1; more <= 8; more++)
        pair(h, "bytes behind the last tensor", 0, 4, 4, 4, 8 + more, "was appended");
    pair(h, "a zip archive's worth behind the last tensor", 0, 4, 4, 4, 1 << 20, "was appended");
    pair(h, "data, and tensors of nothing", 0, 0, 0, 0, 4, "was appended");
}

void hostile_s12(hostile *h)
{
    char value[256];
    hostile_begin(h, "S12", HOSTILE_CHECKPOINT);
    for (int type = 0; type < RF_FILETYPES; type++)
        for (int wrong = -1; wrong <= 1; wrong += 2) {
            const int bytes = 2 * (int)rf_filetype_bytes((rf_filetype)type) + wrong;
            snprintf(value, sizeof value,
                     "{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%d]}",
                     rf_filetype_name((rf_filetype)type), bytes);
            hostile_tensor(h, value, (uint64_t)bytes, RF_E_FORMAT, "bytes but has");
        }
}

/* Odd places are legal; what is refused must be refused from there, too. */
void hostile_s17(hostile *h)
{
    char header[512];
    hostile_begin(h, "S17", HOSTILE_CHECKPOINT);
    for (int pad = 0; pad < 8; pad++) {
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}%*s",
                 pad, "");
        hostile_header(h, "data at an odd place, one byte short", header, 0, 4, RF_E_FORMAT,
                       "the download was cut");
        hostile_header(h, "tensors at odd places that are no model", header, 0, 5, RF_E_MODEL,
                       "no model that is known");
    }
    for (int from = 0; from < 4; from++) {
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[%d,8]},"
                 "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,12]}}",
                 from, from + 9);
        hostile_header(h, "numbers cut by a byte", header, 0, 12, RF_E_FORMAT, "bytes but has");
    }
}
