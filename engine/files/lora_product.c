/* See lora_product.h.  A block of rows times 16 columns is summed in registers, so that b is read
 * once per block of rows.  The same C is compiled for three widths of vectors; no product is fused
 * with its sum (-ffp-contract=off), so that all of them round alike. */
#include "engine/files/lora_product.h"

#include <string.h>

enum { LANES = 16, ROWS = RF_LORA_PRODUCT_ROWS, ROWS_NARROW = 4 };

/* As many vectors of the machine as it takes. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

/* Rows of the same tile of 16 columns.  `a` [rank, ROWS], scaled. */
INLINE void add_tile(float *w, size_t stride, const float *a, const float *b, size_t rank,
                     size_t columns, float strength, int rows)
{
    lanes sum[ROWS] = {{0}};
    for (size_t j = 0; j < rank; j++) {
        lanes from;
        memcpy(&from, b + j * columns, sizeof from);
        for (int i = 0; i < rows; i++) sum[i] += a[j * ROWS + (size_t)i] * from;
    }
    for (int i = 0; i < rows; i++) {
        lanes to;
        memcpy(&to, w + (size_t)i * stride, sizeof to);
        to += strength * sum[i];
        memcpy(w + (size_t)i * stride, &to, sizeof to);
    }
}

/* What is left of a row. */
INLINE void add_element(float *w, const float *a, const float *b, size_t rank, size_t columns,
                        float strength)
{
    float sum = 0;
    for (size_t j = 0; j < rank; j++) sum += a[j * ROWS] * b[j * columns];
    *w += strength * sum;
}

INLINE void add_rows(const rf_lora_product *p, float *w, const float *a, size_t rows, int at_a_time)
{
    const size_t columns = p->b->columns, rank = p->b->rows, whole = columns / LANES * LANES;
    for (size_t x = 0; x < whole; x += LANES) {
        size_t r = 0;
        for (; r + (size_t)at_a_time <= rows; r += (size_t)at_a_time)
            add_tile(w + r * columns + x, columns, a + r, p->b->value + x, rank, columns,
                     p->strength, at_a_time);
        for (; r < rows; r++)
            add_tile(w + r * columns + x, columns, a + r, p->b->value + x, rank, columns,
                     p->strength, 1);
    }
    for (size_t x = whole; x < columns; x++)
        for (size_t r = 0; r < rows; r++)
            add_element(w + r * columns + x, a + r, p->b->value + x, rank, columns, p->strength);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void add_rows_avx512(const rf_lora_product *p, float *w,
                                                               const float *a, size_t rows)
{
    add_rows(p, w, a, rows, ROWS);
}

__attribute__((target("avx2"))) static void add_rows_avx2(const rf_lora_product *p, float *w,
                                                          const float *a, size_t rows)
{
    add_rows(p, w, a, rows, ROWS_NARROW);
}

static int add_rows_fast(const rf_lora_product *p, float *w, const float *a, size_t rows)
{
    if (__builtin_cpu_supports("avx512f"))
        add_rows_avx512(p, w, a, rows);
    else if (__builtin_cpu_supports("avx2"))
        add_rows_avx2(p, w, a, rows);
    else
        return 0;
    return 1;
}
#else
static int add_rows_fast(const rf_lora_product *p, float *w, const float *a, size_t rows)
{
    (void)p, (void)w, (void)a, (void)rows;
    return 0;
}
#endif

size_t rf_lora_product_scratch(const rf_lora_product *p)
{
    return p->b->rows * ROWS;
}

void rf_lora_product_add(const rf_lora_product *p, float *w, size_t first, size_t rows,
                         float *scaled)
{
    const size_t rank = p->b->rows, columns = p->b->columns;
    for (size_t r = first; r < first + rows; r += ROWS) {
        const size_t count = first + rows - r < ROWS ? first + rows - r : ROWS;
        for (size_t j = 0; j < rank; j++)
            for (size_t i = 0; i < count; i++)
                scaled[j * ROWS + i] = p->scale * p->a->value[(r + i) * rank + j];
        if (!add_rows_fast(p, w + r * columns, scaled, count))
            add_rows(p, w + r * columns, scaled, count, 1);
    }
}
