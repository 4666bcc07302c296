/* How a picture is to be turned; see read_picture.h.  TIFF 6.0, section 2: a header of 8 bytes,
 * then a directory of 12-byte entries, of which only the first directory is looked at. */
#include <stdlib.h>
#include <string.h>

#include "tools/pictures/read_picture.h"

enum { ENTRY_BYTES = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };

typedef struct tiff {
    const unsigned char *data;
    size_t               bytes;
    int                  big; /* endian */
} tiff;

static uint32_t u16(const tiff *t, size_t at)
{
    const uint32_t a = t->data[at], b = t->data[at + 1];
    return t->big ? a << 8 | b : b << 8 | a;
}

static uint32_t u32(const tiff *t, size_t at)
{
    const uint32_t a = u16(t, at), b = u16(t, at + 2);
    return t->big ? a << 16 | b : b << 16 | a;
}

int rf_exif_orientation(const unsigned char *data, size_t bytes)
{
    if (bytes >= 6 && memcmp(data, "Exif\0\0", 6) == 0) data += 6, bytes -= 6;
    const tiff t = {data, bytes, bytes > 0 && *data == 'M'};
    if (bytes < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 1;
    const size_t at = u32(&t, 4);
    if (at + 2 > bytes) return 1;
    const size_t count = u16(&t, at);
    for (size_t i = 0; i < count; i++) {
        const size_t entry = at + 2 + i * ENTRY_BYTES;
        if (entry + ENTRY_BYTES > bytes) return 1;
        if (u16(&t, entry) != TAG_ORIENTATION || u16(&t, entry + 2) != TYPE_SHORT) continue;
        const uint32_t value = u16(&t, entry + 8);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* Where the pixel at x, y of the upright picture (of `width` x `height`) lies in the file's rows.
 */
static size_t source_of(int orientation, size_t x, size_t y, size_t width, size_t height)
{
    const size_t right = width - 1 - x, below = height - 1 - y;
    switch (orientation) {
    case 2: return y * width + right;
    case 3: return below * width + right;
    case 4: return below * width + x;
    case 5: return x * height + y; /* from here on the file's rows are our columns */
    case 6: return right * height + y;
    case 7: return right * height + below;
    case 8: return x * height + below;
    default: return y * width + x;
    }
}

rf_status rf_picture_turn(rf_pixels *picture, int orientation, rf_error *err)
{
    if (orientation <= 1 || orientation > 8) return RF_OK;
    const int    lies = orientation >= 5;
    const size_t width = (size_t)(lies ? picture->height : picture->width);
    const size_t height = (size_t)(lies ? picture->width : picture->height);
    uint8_t     *rgb = malloc(width * height * 3);
    if (!rgb) return rf_fail(err, RF_E_NOMEM, "no memory to turn a picture");
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            memcpy(rgb + (y * width + x) * 3,
                   picture->rgb + source_of(orientation, x, y, width, height) * 3, 3);
    free(picture->rgb);
    *picture = (rf_pixels){.rgb = rgb, .width = (int)width, .height = (int)height};
    return RF_OK;
}
