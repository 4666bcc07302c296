/* Help pages, made from the verbs' tables. */
#ifndef RF_HELP_H
#define RF_HELP_H

#include <stdio.h>

#include "tools/verbs.h"

void rf_help_overview(FILE *out);                           /* `refinery --help` */
void rf_help_verb(FILE *out, const rf_verb *verb, int all); /* `refinery VERB --help` */

#endif
