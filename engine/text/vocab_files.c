/* See vocab_files.h.  A token is spelled with one printable character per byte; the order of the
 * 256 is that of CLIP's tokenizer: bytes that are printable in Latin-1 first, then the others,
 * which get the characters from U+0100 on (Radford et al. 2019, GPT-2's byte-level BPE). */
#include "engine/text/vocab_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/tokens.h"
#include "engine/text/vocab/vocab.h"

enum { BYTES = 256 };

static int is_printable(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static void put_spelling(FILE *to, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"' || text[i] == '\\') fputc('\\', to);
        fputc(text[i], to);
    }
}

/* A code below U+0800 as UTF-8. */
static size_t spell(char out[2], int code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
}

static void put_bytes(FILE *to, const char *end, int *id)
{
    char spelling[2];
    int  others = 0;
    for (int pass = 1; pass >= 0; pass--)
        for (int b = 0; b < BYTES; b++) {
            if (is_printable(b) != pass) continue;
            const size_t n = spell(spelling, pass ? b : BYTES + others++);
            fputs(*id ? ",\"" : "\"", to);
            put_spelling(to, spelling, n);
            fprintf(to, "%s\":%d", end, (*id)++);
        }
}

static rf_status finish(FILE *to, rf_error *err)
{
    if (to && fclose(to) == 0) return RF_OK;
    return rf_fail(err, RF_E_NOMEM, "tokenizer: no memory for its files");
}

rf_status rf_vocab_json(char **out, size_t *bytes, rf_error *err)
{
    int         id = 0;
    const char *at = (const char *)rf_vocab_merges, *end = at + rf_vocab_merges_bytes;
    FILE       *to = open_memstream(out, bytes);
    if (!to) return finish(to, err);
    fputc('{', to);
    put_bytes(to, "", &id);
    put_bytes(to, "</w>", &id);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        const char *space = memchr(at, ' ', (size_t)(stop - at));
        if (!space) space = stop;
        fputs(",\"", to);
        put_spelling(to, at, (size_t)(space - at));
        if (space < stop) put_spelling(to, space + 1, (size_t)(stop - space - 1));
        fprintf(to, "\":%d", id++);
        at = stop + 1;
    }
    fprintf(to, ",\"<|startoftext|>\":%d,\"<|endoftext|>\":%d}\n", RF_TOKEN_START, RF_TOKEN_END);
    return finish(to, err);
}

rf_status rf_vocab_merges_txt(char **out, size_t *bytes, rf_error *err)
{
    FILE *to = open_memstream(out, bytes);
    if (!to) return finish(to, err);
    fputs("#version: 0.2\n", to);
    fwrite(rf_vocab_merges, 1, rf_vocab_merges_bytes, to);
    return finish(to, err);
}
