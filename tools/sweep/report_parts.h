/* What report.html is put together from. */
#ifndef RF_REPORT_PARTS_H
#define RF_REPORT_PARTS_H

#include <stdio.h>

#include "tools/sweep/report.h"

/* report.html, report.css and report.js of this folder; tools/embed.cmake makes them. */
extern const unsigned char rf_report_template[], rf_report_style[], rf_report_script[];
extern const size_t        rf_report_template_bytes, rf_report_style_bytes, rf_report_script_bytes;

enum { RF_REPORT_TEXT_BYTES = 4000 }; /* of any one text in the page: the rest is in the files */

/* A copy of `text` (NULL: empty) that ends in an ellipsis where it is longer than that. */
void rf_report_cut(char out[RF_REPORT_TEXT_BYTES + 4], const char *text);

/* The cells as JSON that may stand inside <script>.  why[i]: why cell i has no picture, or NULL. */
rf_status rf_report_data_write(FILE *out, const rf_sweep_story *story, char *const *why,
                               rf_error *err);

#endif
