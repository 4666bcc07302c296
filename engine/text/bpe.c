/* Byte-pair encoding; see bpe.h.
 *
 * Each token's spelling is made by one merge only, from tokens made before it; hence a new pair
 * always ranks after the merge that made it, and taking (rank, position) off a heap gives what the
 * original gets by merging one pair all over the word and then searching again. */
#include "engine/text/bpe.h"

#include "engine/text/merges.h"

#include <stdlib.h>

void rf_ids_free(rf_ids *ids)
{
    free(ids->at);
    *ids = (rf_ids){0};
}

rf_status rf_ids_push(rf_ids *ids, int32_t id, rf_error *err)
{
    if (ids->length == ids->capacity) {
        const size_t capacity = ids->capacity ? 2 * ids->capacity : 128;
        int32_t     *at = NULL;
        if (capacity <= SIZE_MAX / sizeof *at) at = realloc(ids->at, capacity * sizeof *at);
        if (!at) return rf_fail(err, RF_E_NOMEM, "text: %zu tokens", capacity);
        ids->at = at;
        ids->capacity = capacity;
    }
    ids->at[ids->length++] = id;
    return RF_OK;
}

enum { NONE = -1 };

/* A piece of the word, in a list over the array of its bytes. */
typedef struct rf_bpe_symbol {
    int32_t id; /* NONE once merged into the symbol to its left */
    int32_t left, right;
} symbol;

void rf_bpe_work_free(rf_bpe_work *work)
{
    free(work->symbol);
    free(work->heap);
    *work = (rf_bpe_work){0};
}

/* ---- the heap: rank << 32 | position, least first -----------------------------------------------
 */

static rf_status heap_push(rf_bpe_work *work, uint64_t entry, rf_error *err)
{
    if (work->heap_length == work->heap_max) {
        const size_t max = work->heap_max ? work->heap_max + work->heap_max / 2 : 64;
        uint64_t    *heap = NULL;
        if (max <= SIZE_MAX / sizeof *heap) heap = realloc(work->heap, max * sizeof *heap);
        if (!heap) return rf_fail(err, RF_E_NOMEM, "text: a heap of %zu pairs", max);
        work->heap = heap;
        work->heap_max = max;
    }
    size_t at = work->heap_length++;
    for (; at > 0 && work->heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        work->heap[at] = work->heap[(at - 1) / 2];
    work->heap[at] = entry;
    return RF_OK;
}

static uint64_t heap_pop(rf_bpe_work *work)
{
    uint64_t      *heap = work->heap;
    const uint64_t least = heap[0];
    const size_t   length = --work->heap_length;
    const uint64_t moved = heap[length];
    size_t         at = 0;
    for (size_t child; (child = 2 * at + 1) < length; at = child) {
        if (child + 1 < length && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= moved) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
    return least;
}

/* ---- merging ------------------------------------------------------------------------------------
 */

/* The rank of the pair that starts at `at`, or RF_NO_RANK. */
static int32_t rank_at(const rf_merges *merges, const symbol *s, int32_t at)
{
    if (s[at].id == NONE || s[at].right == NONE) return RF_NO_RANK;
    return rf_merges_rank(merges, s[at].id, s[s[at].right].id);
}

static rf_status offer(const rf_merges *merges, rf_bpe_work *work, int32_t at, rf_error *err)
{
    const int32_t rank = at == NONE ? RF_NO_RANK : rank_at(merges, work->symbol, at);
    if (rank == RF_NO_RANK) return RF_OK;
    return heap_push(work, (uint64_t)rank << 32 | (uint32_t)at, err);
}

/* One symbol for each byte, in a list. */
static rf_status start_word(const rf_merges *merges, rf_bpe_work *work, const unsigned char *word,
                            int32_t bytes, rf_error *err)
{
    if ((size_t)bytes > work->symbols_max) {
        symbol *s = realloc(work->symbol, (size_t)bytes * sizeof *s);
        if (!s) return rf_fail(err, RF_E_NOMEM, "text: a word of %d bytes", bytes);
        work->symbol = s;
        work->symbols_max = (size_t)bytes;
    }
    for (int32_t i = 0; i < bytes; i++)
        work->symbol[i] = (symbol){.id = rf_merges_byte(merges, word[i], i == bytes - 1),
                                   .left = i - 1,
                                   .right = i + 1 < bytes ? i + 1 : NONE};
    return RF_OK;
}

rf_status rf_bpe_encode(const rf_merges *merges, rf_bpe_work *work, const unsigned char *word,
                        int32_t bytes, rf_ids *out, rf_error *err)
{
    rf_status st = RF_OK;
    work->heap_length = 0;
    RF_TRY(start_word(merges, work, word, bytes, err));
    symbol *s = work->symbol;
    for (int32_t i = 0; i < bytes; i++) RF_TRY(offer(merges, work, i, err));

    while (work->heap_length > 0) {
        const uint64_t entry = heap_pop(work);
        const int32_t  at = (int32_t)(entry & UINT32_MAX), rank = (int32_t)(entry >> 32);
        if (rank_at(merges, s, at) != rank) continue; /* a neighbour was merged meanwhile */
        const int32_t gone = s[at].right;
        s[at].id = rf_merges_token(rank);
        s[at].right = s[gone].right;
        if (s[gone].right != NONE) s[s[gone].right].left = at;
        s[gone].id = NONE;
        RF_TRY(offer(merges, work, s[at].left, err));
        RF_TRY(offer(merges, work, at, err));
    }
    for (int32_t i = 0; i != NONE; i = s[i].right) RF_TRY(rf_ids_push(out, s[i].id, err));
done:
    return st;
}
