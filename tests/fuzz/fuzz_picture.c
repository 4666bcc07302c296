/* Any bytes as a picture: its texts, or a sentence. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/picture_texts.h"
#include "engine/files/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_picture_texts *texts = NULL;
    rf_error          err = {0};
    const rf_status   st = rf_picture_texts_parse(&texts, data, size, "fuzz", &err);
    if (st != RF_OK) {
        require(!texts && err.message[0] != '\0' && (st == RF_E_FORMAT || st == RF_E_NOMEM));
        return 0;
    }
    const char *text = rf_picture_texts_get(texts, "parameters");
    require(!text || rf_utf8_valid(text, strlen(text)));
    rf_picture_texts_free(texts);
    return 0;
}
