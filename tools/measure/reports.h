/* What a measurement is told as: figures, a curve and pictures to look at. */
#ifndef RF_REPORTS_H
#define RF_REPORTS_H

#include "tools/measure/measure.h"

/* Every figure of every point, as JSON.  `command`: what judged the sweep. */
rf_status rf_curve_json(const char *path, const rf_measurement *m, const char *command,
                        rf_error *err);

/* Content and style score over the switch point, with their intervals, as SVG for light and dark
 * pages. */
rf_status rf_curve_svg(const char *path, const rf_measurement *m, rf_error *err);

/* The pictures kept, a row per prompt, a column per switch point, as PNG. */
rf_status rf_contact_sheet(const char *path, const rf_measurement *m, rf_error *err);

#endif
