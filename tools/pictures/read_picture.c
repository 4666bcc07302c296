/* See read_picture.h.  The file is read once, in one piece: what is hashed is what is decoded. */
#include "tools/pictures/read_picture.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/hash.h"
#include "engine/files/whole_file.h"

enum { FILE_MAX = 1 << 28 }; /* bytes; a PNG of 8192x8192 noisy pixels is 201 MB */

rf_status rf_picture_check_size(size_t *bytes, uint32_t width, uint32_t height, int channels,
                                const char *path, rf_error *err)
{
    *bytes = 0;
    if (width < 1 || height < 1) return rf_fail(err, RF_E_FORMAT, "%s: it has no pixels", path);
    if (width > RF_PICTURE_SIDE_MAX || height > RF_PICTURE_SIDE_MAX ||
        (uint64_t)width * height > RF_PICTURE_PIXELS_MAX)
        return rf_fail(err, RF_E_FORMAT,
                       "%s: it has %ux%u pixels; at most %d a side and %d million in all are read",
                       path, width, height, RF_PICTURE_SIDE_MAX, RF_PICTURE_PIXELS_MAX / 1000000);
    *bytes = (size_t)width * height * (size_t)channels;
    return RF_OK;
}

static rf_status decode(rf_pixels *out, int *orientation, const rf_picture_bytes *file,
                        rf_error *err)
{
    static const unsigned char PNG[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const unsigned char JPEG[] = {0xFF, 0xD8, 0xFF};
    if (file->bytes >= sizeof PNG && memcmp(file->data, PNG, sizeof PNG) == 0)
        return rf_picture_decode_png(out, orientation, file, err);
    if (file->bytes >= sizeof JPEG && memcmp(file->data, JPEG, sizeof JPEG) == 0)
        return rf_picture_decode_jpeg(out, orientation, file, err);
    if (file->bytes >= 12 && memcmp(file->data, "RIFF", 4) == 0 &&
        memcmp(file->data + 8, "WEBP", 4) == 0)
        return rf_fail(err, RF_E_FORMAT, "%s is a WebP picture: save it as PNG or JPEG",
                       file->path);
    return rf_fail(err, RF_E_FORMAT, "%s is neither a PNG nor a JPEG picture", file->path);
}

rf_status rf_picture_read(rf_pixels *out, char hex[RF_PICTURE_HEX], const char *path, uint8_t paper,
                          rf_error *err)
{
    rf_status        st = RF_OK;
    char            *data = NULL;
    int              orientation = 1;
    rf_picture_bytes file = {.path = path, .paper = paper};
    _Static_assert((int)RF_PICTURE_HEX == (int)RF_SHA256_HEX, "one kind of digits");
    *out = (rf_pixels){0};
    RF_TRY(rf_whole_file_read(&data, &file.bytes, path, FILE_MAX, err));
    file.data = (const unsigned char *)data;
    if (hex) RF_TRY(rf_bytes_sha256(hex, data, file.bytes, err));
    RF_TRY(decode(out, &orientation, &file, err));
    RF_TRY(rf_picture_turn(out, orientation, err));
done:
    free(data);
    if (st != RF_OK) {
        free(out->rgb);
        *out = (rf_pixels){0};
    }
    return st;
}
