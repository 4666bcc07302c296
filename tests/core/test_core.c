/* The arena never overlaps and repeats itself exactly; conversions equal the scalar ones. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/arena.h"
#include "engine/core/tensors.h"
#include "engine/core/widen.h"

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

enum { LIVE = 40, ROUNDS = 20000 };

/* Takes and gives at random; returns a fingerprint of every offset handed out. */
static uint64_t exercise(rf_arena *arena, uintptr_t base, uint64_t seed)
{
    struct {
        char  *p;
        size_t bytes;
    } live[LIVE] = {{0}};
    uint64_t hash = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t i = next_random(&seed) % LIVE;
        if (live[i].p) {
            cr_assert_eq(rf_arena_give(arena, live[i].p), 0);
            live[i].p = NULL;
            continue;
        }
        live[i].bytes = next_random(&seed) % 5000;
        live[i].p = rf_arena_take(arena, live[i].bytes);
        cr_assert_not_null(live[i].p);
        const uintptr_t at = (uintptr_t)live[i].p - base;
        cr_assert_eq(at % RF_ARENA_ALIGN, 0u);
        cr_assert_leq(at + live[i].bytes, arena->peak);
        hash = hash * 31 + at;
        for (size_t j = 0; j < LIVE; j++)
            if (j != i && live[j].p)
                cr_assert(live[i].p + live[i].bytes <= live[j].p ||
                              live[j].p + live[j].bytes <= live[i].p,
                          "blocks overlap in round %d", round);
    }
    return hash;
}

Test(arena, places_what_it_counted)
{
    rf_arena       counting = {0}, probe = {0};
    const uint64_t counted = exercise(&counting, (uintptr_t)rf_arena_take(&probe, 1), 12345);
    char          *memory = aligned_alloc(RF_ARENA_ALIGN, counting.peak);
    cr_assert_not_null(memory);
    rf_arena placing = {.base = memory};
    cr_assert_eq(exercise(&placing, (uintptr_t)memory, 12345), counted);
    cr_assert_eq(placing.peak, counting.peak);
    free(memory);
}

Test(arena, reuses_what_was_given_back)
{
    rf_arena a = {0};
    void    *x = rf_arena_take(&a, 1000), *y = rf_arena_take(&a, 1000);
    cr_assert_eq(rf_arena_give(&a, x), 0);
    cr_assert_eq(rf_arena_take(&a, 900), x);
    cr_assert_eq(a.peak, 2048u);
    cr_assert_eq(rf_arena_give(&a, y), 0);
    cr_assert_eq(rf_arena_give(&a, y), -1, "giving back twice is noticed");
    cr_assert_eq(rf_arena_give(&a, NULL), 0);
}

Test(arena, refuses_more_blocks_than_it_tracks)
{
    rf_arena a = {0};
    for (int i = 0; i < RF_ARENA_BLOCKS; i++) cr_assert_not_null(rf_arena_take(&a, 1));
    cr_assert_null(rf_arena_take(&a, 1));
    rf_arena b = {0};
    cr_assert_null(rf_arena_take(&b, SIZE_MAX - 8));
}

/* Every f16 and many f32, NaN included, through the vector code and its scalar tail. */
Test(widen, equals_the_scalar_conversion)
{
    enum { N = 0x10000 + 7 };
    uint16_t *half = malloc(N * sizeof *half), *out = malloc(N * sizeof *out);
    float    *single = malloc(N * sizeof *single), *wide = malloc(N * sizeof *wide);
    uint64_t  seed = 1;
    for (int i = 0; i < N; i++) {
        half[i] = (uint16_t)i;
        single[i] = rf_f32_from_bits((uint32_t)next_random(&seed));
    }
    single[3] = INFINITY;
    single[4] = rf_f32_from_bits(0x7F7FFFFFu); /* rounds up to infinity */
    single[5] = rf_f32_from_bits(0x7FFFFFFFu); /* a NaN that must not wrap to zero */
    for (int from = 0; from < RF_DTYPES; from++)
        for (int to = 0; to < RF_DTYPES; to++) {
            const void *src = from == RF_F32 ? (const void *)single : half;
            void       *dst = to == RF_F32 ? (void *)wide : out;
            rf_convert(dst, (rf_dtype)to, src, (rf_dtype)from, N);
            for (int i = 0; i < N; i++) {
                const float want = rf_load(src, (rf_dtype)from, (size_t)i);
                const float got = rf_load(dst, (rf_dtype)to, (size_t)i);
                float       rounded = 0;
                rf_store(&rounded, (rf_dtype)to, 0, want);
                rounded = rf_load(&rounded, (rf_dtype)to, 0);
                cr_assert(isnan(want) ? isnan(got)
                                      : rf_bits_from_f32(got) == rf_bits_from_f32(rounded),
                          "%s to %s, element %d: %a became %a", rf_dtype_name((rf_dtype)from),
                          rf_dtype_name((rf_dtype)to), i, (double)want, (double)got);
            }
        }
    free(half), free(out), free(single), free(wide);
}

Test(tensors, shapes_are_written_as_people_write_them)
{
    char            text[64];
    const rf_tensor scalar = {.ndim = 0}, weight = {.ndim = 4, .dim = {320, 4, 3, 3}};
    cr_assert_str_eq(rf_tensor_shape_text(&scalar, text, sizeof text), "[]");
    cr_assert_str_eq(rf_tensor_shape_text(&weight, text, sizeof text), "[320, 4, 3, 3]");
    rf_tensor_shape_text(&weight, text, 6);
    cr_assert_str_eq(text, "[320,");
}

Test(tensors, lookup_finds_every_name_and_no_other)
{
    const rf_tensor  item[] = {{.name = "a"}, {.name = "ab"}, {.name = "b.c"}, {.name = "z"}};
    const rf_tensors list = {.item = item, .count = 4};
    for (size_t i = 0; i < list.count; i++)
        cr_assert_eq(rf_tensors_find(&list, item[i].name), &item[i]);
    cr_assert_null(rf_tensors_find(&list, ""));
    cr_assert_null(rf_tensors_find(&list, "b"));
    cr_assert_null(rf_tensors_find(&list, "zz"));
    cr_assert_null(rf_tensors_find(&(rf_tensors){0}, "a"));
}
