/* Chunks of 77 tokens; see chunks.h. */
#include "engine/text/chunks.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FULL = RF_TOKENS_PER_CHUNK - 2, /* prompt tokens in a chunk */
    COMMA = 267,                    /* ",</w>" */
    BACKTRACK = 20,                 /* A1111's comma_padding_backtrack, its default */
    PAD_AFTER_END_G = 0,
};

/* The open chunk's prompt tokens. */
static int32_t *open_chunk(const rf_chunker *c)
{
    return c->tokens.id + (size_t)c->tokens.chunks * RF_TOKENS_PER_CHUNK + 1;
}

/* Makes room for the open chunk. */
static rf_status reserve(rf_chunker *c, rf_error *err)
{
    if (c->tokens.chunks < c->chunks_max) return RF_OK;
    const size_t chunk_bytes = RF_TOKENS_PER_CHUNK * sizeof *c->tokens.id;
    int32_t     *id = NULL;
    const size_t max = c->chunks_max ? 2 * (size_t)c->chunks_max : 1;
    if (max <= INT_MAX / RF_TOKENS_PER_CHUNK) id = realloc(c->tokens.id, max * chunk_bytes);
    if (!id) return rf_fail(err, RF_E_NOMEM, "text: %zu chunks of tokens", max);
    c->tokens.id = id;
    c->chunks_max = (int)max;
    return RF_OK;
}

rf_status rf_chunker_start(rf_chunker *chunker, rf_error *err)
{
    *chunker = (rf_chunker){.last_comma = -1};
    return reserve(chunker, err);
}

void rf_chunker_free(rf_chunker *chunker)
{
    free(chunker->tokens.id);
    *chunker = (rf_chunker){.last_comma = -1};
}

/* Ends the open chunk after its first `keep` prompt tokens; the rest opens the next chunk. */
static rf_status close_chunk(rf_chunker *c, int keep, rf_error *err)
{
    int32_t   rest[FULL];
    const int moved = c->filled - keep;
    int32_t  *id = open_chunk(c);
    memcpy(rest, id + keep, (size_t)moved * sizeof *rest);
    id[-1] = RF_TOKEN_START;
    for (int i = keep; i <= FULL; i++) id[i] = RF_TOKEN_END;
    c->tokens.chunks++;
    c->filled = moved;
    c->last_comma = -1;

    const rf_status st = reserve(c, err);
    if (st == RF_OK) memcpy(open_chunk(c), rest, (size_t)moved * sizeof *rest);
    return st;
}

rf_status rf_chunker_add(rf_chunker *c, const int32_t *id, size_t count, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < count; i++) {
        const bool comma = id[i] == COMMA;
        if (c->filled == FULL) {
            /* What to keep: up to a comma that is near enough, unless a comma comes next. */
            const bool near = c->last_comma >= 0 && FULL - c->last_comma <= BACKTRACK;
            RF_TRY(close_chunk(c, near && !comma ? c->last_comma + 1 : FULL, err));
        } else if (comma) {
            c->last_comma = c->filled;
        }
        open_chunk(c)[c->filled++] = id[i];
        c->tokens.length++;
    }
done:
    return st;
}

/* bigG's padding: zeros after each chunk's first end token. */
static void pad_with_zero(rf_tokens *tokens)
{
    for (int chunk = 0; chunk < tokens->chunks; chunk++) {
        int32_t *id = tokens->id + (size_t)chunk * RF_TOKENS_PER_CHUNK;
        int      end = 0;
        while (id[end] != RF_TOKEN_END) end++; /* the last one is, at the latest */
        for (int i = end + 1; i < RF_TOKENS_PER_CHUNK; i++) id[i] = PAD_AFTER_END_G;
    }
}

rf_status rf_chunker_finish(rf_chunker *chunker, rf_tokenizer_flavour flavour, rf_tokens *out,
                            rf_error *err)
{
    rf_status st = RF_OK;
    *out = (rf_tokens){0};
    if (chunker->filled > 0 || chunker->tokens.chunks == 0)
        RF_TRY(close_chunk(chunker, chunker->filled, err));
    if (flavour == RF_TOKENIZER_CLIP_G) pad_with_zero(&chunker->tokens);
    *out = chunker->tokens;
    *chunker = (rf_chunker){.last_comma = -1};
done:
    return st;
}

rf_status rf_tokens_pad(rf_tokens *tokens, rf_tokenizer_flavour flavour, int chunks, rf_error *err)
{
    if (chunks <= tokens->chunks) return RF_OK;
    int32_t *id = NULL;
    if (chunks <= INT_MAX / RF_TOKENS_PER_CHUNK)
        id = realloc(tokens->id, (size_t)chunks * RF_TOKENS_PER_CHUNK * sizeof *id);
    if (!id) return rf_fail(err, RF_E_NOMEM, "text: %d chunks of tokens", chunks);
    tokens->id = id;
    const int32_t pad = flavour == RF_TOKENIZER_CLIP_G ? PAD_AFTER_END_G : RF_TOKEN_END;
    for (; tokens->chunks < chunks; tokens->chunks++) {
        int32_t *empty = id + (size_t)tokens->chunks * RF_TOKENS_PER_CHUNK;
        for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++) empty[i] = pad;
        empty[0] = RF_TOKEN_START;
        empty[1] = RF_TOKEN_END;
    }
    return RF_OK;
}
