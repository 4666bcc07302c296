/* The texts of a request: from options, files, standard input, recipes and styles. */
#ifndef RF_REQUEST_TEXTS_H
#define RF_REQUEST_TEXTS_H

#include "tools/recipes.h"
#include "tools/request.h"

/* Replaces what was given by what it means; texts that are made belong to the request. */
rf_status rf_request_texts(rf_invocation *in, rf_request *request, const rf_recipe *recipe);

#endif
