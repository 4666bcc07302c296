/* Any bytes as a styles.csv: styles that can be applied by their names, or a sentence. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/styles.h"
#include "engine/files/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { APPLIED = 8 }; /* the first styles, one after the other */
    rf_styles      *styles = NULL;
    rf_error        err = {0};
    const rf_status st = rf_styles_parse(&styles, (const char *)data, size, "fuzz", &err);
    if (st != RF_OK) {
        require(!styles && st == RF_E_FORMAT && err.message[0] != '\0');
        return 0;
    }
    char *prompt = strdup("a cat "), *negative = NULL;
    for (int i = 0; i < APPLIED && rf_styles_name(styles, i); i++) {
        const rf_status applied =
            rf_styles_apply(styles, rf_styles_name(styles, i), &prompt, &negative, &err);
        require(applied == RF_OK || applied == RF_E_ARG); /* too long a text */
        require(!prompt || rf_utf8_valid(prompt, strlen(prompt)));
    }
    free(prompt);
    free(negative);
    rf_styles_free(styles);
    return 0;
}
