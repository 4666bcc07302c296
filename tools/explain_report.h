/* What `refinery explain` prints. */
#ifndef RF_EXPLAIN_REPORT_H
#define RF_EXPLAIN_REPORT_H

#include "engine/refinery.h"

enum { RF_LANDINGS_MAX = 3 };

typedef struct rf_landing { /* where the same hand-over would be under another rule */
    const char *rule;
    int         call, step; /* -1: never */
    double      sigma;
} rf_landing;

typedef struct rf_explained {
    const rf_job         *job;
    const rf_explanation *explanation;
    int                   hires_steps;
    int                   verbose;
    rf_landing            landing[RF_LANDINGS_MAX];
    int                   landings;
} rf_explained;

void rf_explain_print_json(const rf_explained *explained);
void rf_explain_print_text(const rf_explained *explained);

#endif
