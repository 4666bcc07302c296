/* What a measurement is told as: figures, a curve and pictures to look at. */
#ifndef RF_REPORTS_H
#define RF_REPORTS_H

#include "tools/measure/measure.h"

typedef struct rf_report_input {
    const rf_measurement     *m;
    const rf_measure_options *o;
    const char               *command; /* that makes it again */
} rf_report_input;

/* Every figure of every point, as JSON. */
rf_status rf_curve_json(const char *path, const rf_report_input *in, rf_error *err);

/* Content and style score over the switch point, with their intervals, as SVG for light and dark
 * pages. */
rf_status rf_curve_svg(const char *path, const rf_report_input *in, rf_error *err);

/* The pictures kept, a row per prompt, a column per switch point, as PNG. */
rf_status rf_contact_sheet(const char *path, const rf_report_input *in, rf_error *err);

#endif
