/* Chunks of 77 tokens; see chunks.h. */
#include "engine/text/chunks.h"

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

/* Its weights. */
static float *open_weights(const rf_chunker *c)
{
    return c->tokens.weight + (size_t)c->tokens.chunks * RF_TOKENS_PER_CHUNK + 1;
}

static rf_status resize(rf_tokens *tokens, size_t chunks, rf_error *err)
{
    const size_t count = chunks * RF_TOKENS_PER_CHUNK;
    int32_t     *id = realloc(tokens->id, count * sizeof *id);
    if (id) tokens->id = id;
    float *weight = id ? realloc(tokens->weight, count * sizeof *weight) : NULL;
    if (weight) tokens->weight = weight;
    return weight ? RF_OK : rf_fail(err, RF_E_NOMEM, "text: %zu chunks of tokens", chunks);
}

/* Makes room for the open chunk; there is one more than may be closed. */
static rf_status reserve(rf_chunker *c, rf_error *err)
{
    if (c->tokens.chunks < c->chunks_max) return RF_OK;
    const int       max = c->chunks_max ? 2 * c->chunks_max : 1;
    const rf_status st = resize(&c->tokens, (size_t)max, err);
    if (st == RF_OK) c->chunks_max = max;
    return st;
}

rf_status rf_chunker_start(rf_chunker *chunker, rf_error *err)
{
    *chunker = (rf_chunker){.last_comma = -1};
    return reserve(chunker, err);
}

void rf_tokens_free(rf_tokens *tokens)
{
    free(tokens->id);
    free(tokens->weight);
    *tokens = (rf_tokens){0};
}

void rf_chunker_free(rf_chunker *chunker)
{
    rf_tokens_free(&chunker->tokens);
    *chunker = (rf_chunker){.last_comma = -1};
}

/* Ends the open chunk after its first `keep` prompt tokens; the rest opens the next chunk. */
static rf_status close_chunk(rf_chunker *c, int keep, rf_error *err)
{
    int32_t      rest[FULL];
    float        rest_weight[FULL];
    const size_t moved = (size_t)(c->filled - keep);
    int32_t     *id = open_chunk(c);
    float       *weight = open_weights(c);
    if (c->tokens.chunks == RF_CHUNKS_MAX)
        return rf_fail(err, RF_E_ARG, "the prompt has more than %d chunks of %d tokens",
                       RF_CHUNKS_MAX, FULL);
    memcpy(rest, id + keep, moved * sizeof *rest);
    memcpy(rest_weight, weight + keep, moved * sizeof *rest_weight);
    id[-1] = RF_TOKEN_START;
    weight[-1] = 1;
    for (int i = keep; i <= FULL; i++) {
        id[i] = RF_TOKEN_END;
        weight[i] = 1;
    }
    c->tokens.chunks++;
    c->filled = (int)moved;
    c->last_comma = -1;

    const rf_status st = reserve(c, err);
    if (st != RF_OK) return st;
    memcpy(open_chunk(c), rest, moved * sizeof *rest);
    memcpy(open_weights(c), rest_weight, moved * sizeof *rest_weight);
    return RF_OK;
}

/* Closes a full chunk before what comes next: after a comma that is near enough, unless a comma
 * comes next. */
static rf_status make_room(rf_chunker *c, bool comma, rf_error *err)
{
    const bool near = c->last_comma >= 0 && FULL - c->last_comma <= BACKTRACK;
    if (c->filled < FULL) return RF_OK;
    return close_chunk(c, near && !comma ? c->last_comma + 1 : FULL, err);
}

static void put(rf_chunker *c, int32_t id, float weight)
{
    open_chunk(c)[c->filled] = id;
    open_weights(c)[c->filled++] = weight;
    c->tokens.length++;
}

rf_status rf_chunker_add(rf_chunker *c, const int32_t *id, size_t count, float weight,
                         rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < count; i++) {
        const bool comma = id[i] == COMMA, full = c->filled == FULL;
        RF_TRY(make_room(c, comma, err));
        if (comma && !full) c->last_comma = c->filled;
        put(c, id[i], weight);
    }
done:
    return st;
}

rf_status rf_chunker_add_unit(rf_chunker *c, int32_t first, int vectors, float weight,
                              rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(make_room(c, false, err));
    if (c->filled + vectors > FULL) RF_TRY(close_chunk(c, c->filled, err));
    for (int i = 0; i < vectors; i++) put(c, first + i, weight);
done:
    return st;
}

rf_status rf_chunker_break(rf_chunker *chunker, rf_error *err)
{
    return close_chunk(chunker, chunker->filled, err);
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
    const rf_status st = resize(tokens, (size_t)chunks, err);
    if (st != RF_OK) return st;
    const int32_t pad = flavour == RF_TOKENIZER_CLIP_G ? PAD_AFTER_END_G : RF_TOKEN_END;
    for (; tokens->chunks < chunks; tokens->chunks++) {
        const size_t start = (size_t)tokens->chunks * RF_TOKENS_PER_CHUNK;
        int32_t     *empty = tokens->id + start;
        for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++) {
            empty[i] = pad;
            tokens->weight[start + (size_t)i] = 1;
        }
        empty[0] = RF_TOKEN_START;
        empty[1] = RF_TOKEN_END;
    }
    return RF_OK;
}
