/* S01, S02: the eight bytes in front of the header.  C: files of other programs, and the faults for
 * which readers of model files have CVE numbers. */
#include "tests/hostile/hostile.h"

#include <stdio.h>
#include <string.h>

/* A text, and how long it is. */
#define BYTES(text) text, sizeof(text) - 1

void hostile_s01(hostile *h)
{
    static const unsigned char zeros[8] = {0}, two[8] = {2};
    hostile_begin(h, "S01", HOSTILE_CHECKPOINT);
    hostile_raw(h, "no bytes", "", 0, RF_E_FORMAT, "empty");
    for (size_t n = 1; n < 8; n++) {
        hostile_raw(h, "a few zeros", zeros, n, RF_E_FORMAT, "too few");
        hostile_raw(h, "a few bytes of a length", two, n, RF_E_FORMAT, "too few");
    }
    hostile_raw(h, "a length alone, of 0", zeros, 8, RF_E_FORMAT, "cannot hold anything");
    hostile_raw(h, "a length alone, of 2", two, 8, RF_E_FORMAT, "cut");
    hostile_raw(h, "a header of 0 bytes, and data", "\0\0\0\0\0\0\0\0{}", 10, RF_E_FORMAT,
                "cannot hold anything");
    hostile_raw(h, "a header of one brace", "\1\0\0\0\0\0\0\0{", 9, RF_E_FORMAT,
                "cannot hold anything");
    hostile_header(h, "no tensors", "{}", 0, 0, RF_E_MODEL, "without any tensors");
    hostile_header(h, "no tensors, and data", "{}", 0, 5, RF_E_MODEL, "without any tensors");
    hostile_header(h, "metadata alone", "{\"__metadata__\":{\"a\":\"b\"}}", 0, 0, RF_E_MODEL,
                   "without any tensors");
    hostile_header(h, "spaces alone", "{        }   ", 0, 0, RF_E_MODEL, "without any tensors");
}

void hostile_s02(hostile *h)
{
    static const uint64_t lengths[] = {UINT64_MAX,
                                       UINT64_MAX - 7,
                                       UINT64_MAX - 8,
                                       UINT64_MAX - 15,
                                       UINT64_C(1) << 63,
                                       (UINT64_C(1) << 63) - 8,
                                       UINT64_C(0x8000000000000005),
                                       UINT64_C(1) << 62,
                                       UINT64_C(1) << 40,
                                       UINT64_C(1) << 32,
                                       (UINT64_C(1) << 32) + 2,
                                       UINT32_MAX,
                                       1u << 31,
                                       100000001,
                                       100000000,
                                       (16 << 20) + 1};
    unsigned char         file[100];
    hostile_begin(h, "S02", HOSTILE_CHECKPOINT);
    for (int tail = 0; tail < 6 + (int)HOSTILE_COUNT(lengths); tail++) {
        const uint64_t n = tail < 6 ? (uint64_t)(93 + tail) : lengths[tail - 6];
        memset(file, ' ', sizeof file);
        for (int b = 0; b < 8; b++) file[b] = (unsigned char)(n >> 8 * b);
        file[8] = '{';
        hostile_raw(h, "a header longer than its file", file, sizeof file, RF_E_FORMAT,
                    n > 16 << 20 ? "where at most" : "the download was cut");
    }
}

void hostile_c(hostile *h)
{
    static const struct {
        const char *what, *bytes;
        size_t      count;
        rf_status   want;
        const char *said;
    } rows[] = {
        {"a zip archive, as torch.save writes", BYTES("PK\3\4\24\0\0\0\10\10archive/data.pkl"),
         RF_E_MODEL, "pickle"},
        {"a pickle of protocol 2 that calls os.system (CVE-2025-32434)",
         BYTES("\x80\2cposix\nsystem\nX\2\0\0\0id\x85R."), RF_E_MODEL, "pickle"},
        {"a pickle of protocol 4", BYTES("\x80\4\x95\x10\0\0\0\0\0\0\0}"), RF_E_MODEL, "pickle"},
        {"an old torch file", BYTES("\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
         RF_E_MODEL, "pickle"},
        {"a GGUF file", BYTES("GGUF\3\0\0\0\0\0\0\0\0\0\0\0"), RF_E_MODEL, "GGUF"},
        {"a GGUF file of 2^64-1 tensors (CVE-2024-21802)",
         BYTES("GGUF\3\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
         RF_E_MODEL, "GGUF"},
        {"a web page", BYTES("<!DOCTYPE html><html>"), RF_E_MODEL, "web page"},
        {"a web page behind a byte order mark", BYTES("\xEF\xBB\xBF<html>"), RF_E_MODEL,
         "web page"},
        {"an error of a server", BYTES("{\"error\": \"not found\"}"), RF_E_MODEL, "text"},
        {"a refusal of a server", BYTES("Access to model is restricted."), RF_E_MODEL, "text"},
        {"what Git LFS leaves", BYTES("version https://git-lfs.github.com/spec/v1\n"), RF_E_MODEL,
         "LFS"},
        {"a PNG", BYTES("\x89PNG\r\n\x1a\n\0\0\0\0"), RF_E_MODEL, "picture"},
        {"a JPEG", BYTES("\xFF\xD8\xFF\xE0\0\0\0\0\0\0"), RF_E_MODEL, "picture"},
        {"a WebP", BYTES("RIFF\0\0\0\0WEBP"), RF_E_MODEL, "picture"},
        {"an ELF program",
         BYTES("\x7F"
               "ELF\2\1\1\0\0\0\0\0\0\0\0\0"),
         RF_E_FORMAT, "not a safetensors file"},
        {"noise", BYTES("\7\xF0\1\2\3\4\5\6\7\x80\x81"), RF_E_FORMAT, "not a safetensors file"},
    };
    /* declared larger than the file, and smaller (CVE-2026-7482; CVE-2025-53630 and its bypass) */
    static const struct {
        const char *value;
        uint64_t    data;
        const char *said;
    } sizes[] = {
        {"{\"dtype\":\"F32\",\"shape\":[1073741824],\"data_offsets\":[0,4294967296]}", 16, "cut"},
        {"{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}", 0,
         "overflow"},
        {"{\"dtype\":\"F16\",\"shape\":[4294967296,2147483648],\"data_offsets\":[0,0]}", 0,
         "overflow"},
        {"{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,1],\"data_offsets\":[0,0]}", 0,
         "overflow"},
        {"{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}", 4, "negative"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}", 4, "negative"},
    };
    hostile_begin(h, "C", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++)
        hostile_raw(h, rows[i].what, rows[i].bytes, rows[i].count, rows[i].want, rows[i].said);
    for (size_t i = 0; i < HOSTILE_COUNT(sizes); i++)
        hostile_tensor(h, sizes[i].value, sizes[i].data, RF_E_FORMAT, sizes[i].said);
}
