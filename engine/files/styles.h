/* styles.csv that is already in memory: what rf_styles_read of refinery.h does with a file. */
#ifndef RF_STYLES_H
#define RF_STYLES_H

#include <stddef.h>

#include "engine/refinery.h"

/* `name` is for messages.  RF_E_FORMAT names the line; RF_E_NOMEM. */
rf_status rf_styles_parse(rf_styles **out, const char *text, size_t bytes, const char *name,
                          rf_error *err);

#endif
