/* The judge against the truth; see accuracy.h. */
#include "tools/judge/accuracy.h"

#include <math.h>
#include <string.h>

void rf_sheet_cell(uint8_t *rgb, const rf_pixels *sheet, int index)
{
    const int      columns = sheet->width / RF_SIDE;
    const int      y = index / columns * RF_SIDE, x = index % columns * RF_SIDE;
    const uint8_t *from = sheet->rgb + ((size_t)y * (size_t)sheet->width + (size_t)x) * 3;
    for (int row = 0; row < RF_SIDE; row++)
        memcpy(rgb + row * RF_SIDE * 3, from + (size_t)row * (size_t)sheet->width * 3,
               (size_t)RF_SIDE * 3);
}

rf_status rf_accuracy_measure(rf_accuracy *out, const rf_judge *judge, const rf_asked *list,
                              size_t count, const rf_pixels *sheet, int style, rf_error *err)
{
    uint8_t      rgb[RF_SIDE * RF_SIDE * 3];
    rf_reading   reading;
    int          right[RF_ATTRIBUTES];
    const size_t room = (size_t)(sheet->width / RF_SIDE) * (size_t)(sheet->height / RF_SIDE);
    double       worst = 0, sum = 0;
    *out = (rf_accuracy){.drawings = (int)count};
    if (count > room)
        return rf_fail(err, RF_E_FORMAT, "the sheet has room for %zu drawings, the list names %zu",
                       room, count);
    for (size_t i = 0; i < count; i++) {
        rf_sheet_cell(rgb, sheet, (int)i);
        rf_judge_read(judge, rgb, &reading);
        rf_scene_grade(right, &list[i].scene, &reading);
        for (int a = 0; a < RF_ATTRIBUTES; a++) {
            out->told[a] += right[a] >= 0;
            out->right[a] += right[a] == 1;
        }
        out->style_right += (reading.style >= 0.5) == style;
        sum += reading.style;
        worst = fmax(worst, fabs(reading.style - style));
    }
    out->style_mean = sum / (double)count;
    out->style_worst = fabs(style - worst);
    return RF_OK;
}
