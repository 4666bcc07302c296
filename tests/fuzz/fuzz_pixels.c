/* Any bytes as a picture to begin from: its pixels, or a sentence.
 *
 * CRCs are made to fit, so that the fuzzer gets behind them, and sizes are cut to a byte a side:
 * large pictures would only cost it time (how they are refused is test_read_picture's matter). */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_file.h"
#include "tools/pictures/read_picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES = 4096, PNG_HEAD = 8, CHUNK = 12, JPEG_SOF_BYTES = 9 };

/* ISO 3309, as PNG has it. */
static uint32_t crc(const uint8_t *data, size_t bytes)
{
    uint32_t c = 0xFFFFFFFFu;
    for (size_t i = 0; i < bytes; i++) {
        c ^= data[i];
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (0xEDB88320u & (0u - (c & 1)));
    }
    return ~c;
}

static void mend_png(uint8_t *file, size_t bytes)
{
    for (size_t at = PNG_HEAD; at + CHUNK <= bytes;) {
        const uint32_t n = (uint32_t)file[at] << 24 | (uint32_t)file[at + 1] << 16 |
                           (uint32_t)file[at + 2] << 8 | file[at + 3];
        if (n > bytes - at - CHUNK) return;
        if (memcmp(file + at + 4, "IHDR", 4) == 0 && n >= 8) {
            memset(file + at + 8, 0, 3);
            memset(file + at + 12, 0, 3);
        }
        const uint32_t sum = crc(file + at + 4, n + 4);
        for (int i = 0; i < 4; i++) file[at + 8 + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += CHUNK + n;
    }
}

/* Frames of every kind: ITU T.81, table B.1; of those numbers three are something else. */
static int is_frame(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static void mend_jpeg(uint8_t *file, size_t bytes)
{
    for (size_t at = 2; at + JPEG_SOF_BYTES <= bytes; at++)
        if (file[at] == 0xFF && is_frame(file[at + 1]))
            file[at + 5] = file[at + 7] = 0; /* high bytes of lines and samples a line */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[FILE_BYTES];
    rf_pixels      p = {0};
    rf_error       err = {0};
    char           hex[RF_PICTURE_HEX];
    if (size < 2 || size > sizeof file) return -1;
    memcpy(file, data, size);
    if (file[0] == 0x89) mend_png(file, size);
    if (file[0] == 0xFF) mend_jpeg(file, size);
    const char     *path = fuzz_file(file, size, NULL, 0, NULL, 0);
    const rf_status st = rf_picture_read(&p, hex, path, file[size - 1], &err);
    if (st != RF_OK) {
        fuzz_require(st == RF_E_FORMAT && !p.rgb && err.message[0] != '\0');
        return 0;
    }
    fuzz_require(p.rgb && p.width >= 1 && p.height >= 1 && p.width < 256 && p.height < 256);
    unsigned sum = 0; /* every byte is there */
    for (size_t i = 0; i < (size_t)p.width * (size_t)p.height * 3; i++) sum += p.rgb[i];
    fuzz_require(sum <= 255u * 3 * (unsigned)p.width * (unsigned)p.height);
    free(p.rgb);
    return 0;
}
