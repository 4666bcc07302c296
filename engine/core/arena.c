/* First fit over a short sorted list; see arena.h. */
#include "engine/core/arena.h"

#include <stdint.h>
#include <string.h>

/* Where counting pretends the allocation is: not NULL, so that aliasing looks as it will. */
static const uintptr_t counting_base = (uintptr_t)1 << 30;

static uintptr_t base_of(const rf_arena *arena)
{
    return arena->base ? (uintptr_t)arena->base : counting_base;
}

void *rf_arena_take(rf_arena *arena, size_t bytes)
{
    if (arena->live_count == RF_ARENA_BLOCKS || bytes > SIZE_MAX / 4) return NULL;
    if (bytes == 0) bytes = 1;
    bytes = (bytes + RF_ARENA_ALIGN - 1) / RF_ARENA_ALIGN * RF_ARENA_ALIGN;

    size_t offset = 0;
    int    at = 0;
    for (; at < arena->live_count; at++) {
        if (arena->live[at].offset - offset >= bytes) break;
        offset = arena->live[at].offset + arena->live[at].bytes;
    }
    memmove(&arena->live[at + 1], &arena->live[at],
            (size_t)(arena->live_count - at) * sizeof arena->live[0]);
    arena->live[at] = (rf_arena_block){.offset = offset, .bytes = bytes};
    arena->live_count++;
    if (offset + bytes > arena->peak) arena->peak = offset + bytes;
    return (void *)(base_of(arena) + offset);
}

int rf_arena_give(rf_arena *arena, const void *block)
{
    if (!block) return 0;
    const size_t offset = (uintptr_t)block - base_of(arena);
    for (int i = 0; i < arena->live_count; i++) {
        if (arena->live[i].offset != offset) continue;
        arena->live_count--;
        memmove(&arena->live[i], &arena->live[i + 1],
                (size_t)(arena->live_count - i) * sizeof arena->live[0]);
        return 0;
    }
    return -1;
}
