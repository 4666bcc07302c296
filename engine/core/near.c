/* See near.h. */
#include "engine/core/near.h"

#include <stdint.h>
#include <string.h>

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int same(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) a++, b++;
    return fold(*a) == fold(*b);
}

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits from a to b, both shorter than RF_NEAR_BYTES. */
static size_t edits(const char *a, const char *b)
{
    const size_t nb = strlen(b);
    size_t       row[RF_NEAR_BYTES]; /* row[j]: edits from the part of a read so far to b[0..j) */
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < nb; j++) {
            const size_t above = row[j + 1];
            const size_t replaced = diagonal + (fold(a[i]) != fold(b[j]));
            row[j + 1] = min3(replaced, above + 1, row[j] + 1);
            diagonal = above;
        }
    }
    return row[nb];
}

size_t rf_near(const char *given, const char *name)
{
    const size_t a = strlen(given), b = strlen(name);
    if (same(given, name)) return 0;
    const size_t longer = a > b ? a : b, apart = a > b ? a - b : b - a;
    if (longer >= RF_NEAR_BYTES || apart > longer / 3) return SIZE_MAX;
    const size_t n = edits(given, name);
    return n <= longer / 3 ? n : SIZE_MAX;
}
