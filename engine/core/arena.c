/* Noting lives, then the largest first; see arena.h. */
#include "engine/core/arena.h"

#include <stdint.h>
#include <stdlib.h>

/* Where counting pretends the allocation is: not NULL, so that aliasing looks as it will. */
static const uintptr_t counting_base = (uintptr_t)1 << 30;

static uintptr_t address_of(const rf_arena *arena, const rf_arena_block *block)
{
    return (arena->base ? (uintptr_t)arena->base : counting_base) + block->offset;
}

/* Counting: one more block, behind all others. */
static rf_arena_block *append(rf_arena *arena, size_t bytes)
{
    const rf_arena_block *last = arena->count ? &arena->block[arena->count - 1] : NULL;
    const size_t          offset = last ? last->offset + last->bytes : 0;
    if (offset > SIZE_MAX / 4) return NULL;
    if (arena->count == arena->cap) {
        const size_t    cap = arena->cap ? 2 * arena->cap : 128;
        rf_arena_block *grown = realloc(arena->block, cap * sizeof *grown);
        if (!grown) return NULL;
        arena->block = grown;
        arena->cap = cap;
    }
    rf_arena_block *block = &arena->block[arena->count++];
    *block = (rf_arena_block){.bytes = bytes, .offset = offset};
    return block;
}

void *rf_arena_take(rf_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 4) return NULL;
    bytes = ((bytes ? bytes : 1) + RF_ARENA_ALIGN - 1) / RF_ARENA_ALIGN * RF_ARENA_ALIGN;
    rf_arena_block *block = NULL;
    if (!arena->base)
        block = append(arena, bytes);
    else if (arena->taken < arena->count && arena->block[arena->taken].bytes == bytes)
        block = &arena->block[arena->taken++];
    if (!block) return NULL;
    block->born = arena->clock++;
    block->dies = SIZE_MAX;
    return (void *)address_of(arena, block);
}

int rf_arena_give(rf_arena *arena, const void *block)
{
    if (!block) return 0;
    /* The youngest first: most buffers are short-lived. */
    for (size_t i = arena->base ? arena->taken : arena->count; i-- > 0;) {
        rf_arena_block *b = &arena->block[i];
        if (b->dies != SIZE_MAX || address_of(arena, b) != (uintptr_t)block) continue;
        b->dies = arena->clock++;
        return 0;
    }
    return -1;
}

/* ---- finding places -------------------------------------------------------------------------- */

static int larger_first(const void *a, const void *b)
{
    const rf_arena_block *x = *(rf_arena_block *const *)a, *y = *(rf_arena_block *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->born < y->born ? -1 : 1;
}

static int meet(const rf_arena_block *a, const rf_arena_block *b)
{
    return a->born < b->dies && b->born < a->dies;
}

/* Gives `block` its offset, and its place in `placed` [count], which ascends by offset. */
static void settle_one(rf_arena_block **placed, size_t count, rf_arena_block *block)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (!meet(placed[i], block)) continue;
        if (placed[i]->offset >= offset + block->bytes) break;
        const size_t end = placed[i]->offset + placed[i]->bytes;
        if (end > offset) offset = end;
    }
    block->offset = offset;
    size_t at = count;
    for (; at > 0 && placed[at - 1]->offset > offset; at--) placed[at] = placed[at - 1];
    placed[at] = block;
}

rf_status rf_arena_settle(rf_arena *arena)
{
    const size_t     n = arena->count;
    rf_arena_block **order =
        malloc((2 * n + 1) * sizeof(rf_arena_block *)); /* + 1: malloc(0) may be NULL */
    if (!order) return RF_E_NOMEM;
    rf_arena_block **placed = order + n;
    for (size_t i = 0; i < n; i++) order[i] = &arena->block[i];
    qsort(order, n, sizeof(rf_arena_block *), larger_first);
    arena->peak = 0;
    for (size_t i = 0; i < n; i++) {
        settle_one(placed, i, order[i]);
        const size_t end = order[i]->offset + order[i]->bytes;
        if (end > arena->peak) arena->peak = end;
    }
    free(order);
    return RF_OK;
}

void rf_arena_place(rf_arena *arena, void *base)
{
    arena->base = base;
    arena->clock = arena->taken = 0;
}

void rf_arena_free(rf_arena *arena)
{
    free(arena->block);
    *arena = (rf_arena){0};
}
