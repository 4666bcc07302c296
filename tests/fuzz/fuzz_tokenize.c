/* Any bytes as a prompt, for both tokenizers: no sanitizer may object, and what comes out has the
 * shape of chunks.  Text that is not UTF-8 is refused, all other text is not. */
#include "engine/text/tokenize.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) abort(); /* libFuzzer keeps the input */
}

static bool is_utf8(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    int32_t        code;
    for (utf8proc_ssize_t took; *p; p += took)
        if ((took = utf8proc_iterate(p, -1, &code)) <= 0) return false;
    return true;
}

static void check_chunks(const rf_tokens *t, rf_tokenizer_flavour flavour)
{
    require(t->chunks >= 1 && t->length <= t->chunks * (RF_TOKENS_PER_CHUNK - 2));
    for (int c = 0; c < t->chunks; c++) {
        const int32_t *id = t->id + (size_t)c * RF_TOKENS_PER_CHUNK;
        bool           ended = false;
        require(id[0] == RF_TOKEN_START);
        for (int i = 1; i < RF_TOKENS_PER_CHUNK; i++) {
            require(id[i] >= 0 && id[i] <= RF_TOKEN_END);
            require(!(ended && flavour == RF_TOKENIZER_CLIP_G) || id[i] == 0);
            ended = ended || id[i] == RF_TOKEN_END;
        }
        require(ended);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rf_tokenizer *tokenizer; /* made once: it is read-only */
    if (!tokenizer) require(rf_tokenizer_create(&tokenizer, NULL) == RF_OK);

    char *text = malloc(size + 1); /* exactly as long as the input, for AddressSanitizer's sake */
    require(text != NULL);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_tokens       tokens;
        rf_error        err = {0};
        const rf_piece  piece = {.text = text, .weight = 1};
        const rf_status st = rf_tokenize(tokenizer, flavour, &piece, 1, NULL, &tokens, &err);
        require(is_utf8(text) ? st == RF_OK : st == RF_E_ARG && err.message[0]);
        if (st == RF_OK) check_chunks(&tokens, flavour);
        rf_tokens_free(&tokens);
    }
    free(text);
    return 0;
}
