/* What `refinery render` and `refinery replay` print on stdout. */
#ifndef RF_RENDER_REPORT_H
#define RF_RENDER_REPORT_H

#include "engine/refinery.h"
#include "tools/json.h"

/* Everything that is told about one request. */
typedef struct rf_report {
    const char    *device; /* rf_engine_device */
    const rf_job  *job;
    const rf_plan *plan;
    int            pass, passes;  /* which one `job` and `plan` are, from 0; passes 0: as 1 */
    double         write_s;       /* spent writing pictures so far */
    char         **warnings;      /* owned; everything the engine and we warned about */
    int            warning_count; /* at most RF_REPORT_WARNINGS */
} rf_report;

enum { RF_REPORT_WARNINGS = 32 };

/* Keeps a copy; 0 if it is kept already, for several prompts of a relay may give one warning. */
int  rf_report_warn(rf_report *report, const char *message);
void rf_report_release(rf_report *report);

/* Its warnings as a JSON array. */
json_t *rf_report_warnings(const rf_report *report);

/* A line of a table: what takes how much. */
void rf_report_bytes(const char *what, size_t bytes);
/* The line below it, where the pool does not hold the keys and values of all prompts. */
void rf_report_pool(const rf_plan_info *info);

/* The plan: a JSON object, or a table for people. */
rf_status rf_report_plan(const rf_report *report, int json, rf_error *err);

/* One finished picture: its path, or a JSON object. */
rf_status rf_report_picture(const rf_report *report, int json, const char *path,
                            const rf_image *image, rf_error *err);

#endif
