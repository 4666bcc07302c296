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

/* Takes and gives at random; buffers that live at once must not overlap. */
static void exercise(rf_arena *arena, uint64_t seed)
{
    struct {
        char  *p;
        size_t bytes;
    } live[LIVE] = {{0}};
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
        cr_assert_eq((uintptr_t)live[i].p % RF_ARENA_ALIGN, 0u);
        if (arena->base) {
            cr_assert_geq(live[i].p, arena->base);
            cr_assert_leq(live[i].p + live[i].bytes, arena->base + arena->peak);
        }
        for (size_t j = 0; j < LIVE; j++)
            if (j != i && live[j].p)
                cr_assert(live[i].p + live[i].bytes <= live[j].p ||
                              live[j].p + live[j].bytes <= live[i].p,
                          "blocks overlap in round %d", round);
    }
}

Test(arena, places_what_it_counted_again_and_again)
{
    rf_arena a = {0}, same = {0};
    exercise(&a, 12345);
    exercise(&same, 12345);
    cr_assert_eq(rf_arena_settle(&a), RF_OK);
    cr_assert_eq(rf_arena_settle(&same), RF_OK);
    cr_assert_eq(a.peak, same.peak);
    char *memory = aligned_alloc(RF_ARENA_ALIGN, a.peak);
    cr_assert_not_null(memory);
    for (int i = 0; i < 2; i++) {
        rf_arena_place(&a, memory);
        exercise(&a, 12345);
    }
    for (size_t i = 0; i < a.count; i++) cr_assert_eq(a.block[i].offset, same.block[i].offset);
    free(memory);
    rf_arena_free(&a);
    rf_arena_free(&same);
}

/* A small map that becomes a large one, which two of half its size follow: taken as they come, the
 * large one would stand behind the small one, and nothing fit before it. */
Test(arena, leaves_no_hole_where_sizes_double)
{
    enum { UNIT = 1024 };
    rf_arena    a = {0};
    const void *small = rf_arena_take(&a, UNIT), *large = rf_arena_take(&a, 4 * UNIT);
    cr_assert_eq(rf_arena_give(&a, small), 0);
    cr_assert_not_null(rf_arena_take(&a, 2 * UNIT));
    cr_assert_not_null(rf_arena_take(&a, 2 * UNIT - 1));
    cr_assert_eq(rf_arena_give(&a, large), 0);
    cr_assert_eq(rf_arena_give(&a, large), -1, "giving back twice is noticed");
    cr_assert_eq(rf_arena_give(&a, NULL), 0);
    cr_assert_eq(rf_arena_settle(&a), RF_OK);
    cr_assert_eq(a.peak, 8u * UNIT);
    rf_arena_free(&a);
}

Test(arena, refuses_what_was_not_counted)
{
    static char memory[1024];
    rf_arena    a = {0}, empty = {0};
    cr_assert_null(rf_arena_take(&a, SIZE_MAX - 8));
    cr_assert_not_null(rf_arena_take(&a, 1));
    cr_assert_eq(rf_arena_settle(&a), RF_OK);
    rf_arena_place(&a, memory);
    cr_assert_null(rf_arena_take(&a, 257), "another size");
    cr_assert_eq(rf_arena_take(&a, 256), (void *)memory);
    cr_assert_null(rf_arena_take(&a, 256), "one more");
    rf_arena_free(&a);
    cr_assert_eq(rf_arena_settle(&empty), RF_OK);
    cr_assert_eq(empty.peak, 0u);
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
