/* Names are compared with ASCII case folded by hand, so that no locale can change what a command
 * means.  "Near" is Levenshtein distance (1966), at most a third of the longer name. */
#include "engine/sample/names.h"

#include <stdio.h>
#include <string.h>

enum {
    NAME_BYTES = 64,   /* of a name with its end; longer input is near nothing */
    LIST_BYTES = 400,  /* of all known names; leaves room for the sentence in rf_error */
    SHOWN_BYTES = 100, /* of what the user typed */
};

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits (insert, delete, replace) from a to b, both shorter than NAME_BYTES; 0: the same name. */
static size_t edits(const char *a, const char *b)
{
    const size_t nb = strlen(b);
    size_t       row[NAME_BYTES]; /* row[j]: edits from the part of a read so far to b[0..j) */
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

/* Fewest edits to the row's name or one of its aliases, or SIZE_MAX if none is near. */
static size_t distance(const rf_name *id, const char *given)
{
    const size_t length = strlen(given);
    size_t       best = (size_t)-1;
    if (length >= NAME_BYTES) return best;
    for (int i = -1; i < 3; i++) {
        const char *name = i < 0 ? id->name : id->alias[i];
        if (!name) continue;
        const size_t longer = strlen(name) > length ? strlen(name) : length;
        const size_t n = edits(given, name);
        if (n <= longer / 3 && n < best) best = n;
    }
    return best;
}

static const rf_name *row_at(const rf_name_table *table, int i)
{
    return (const rf_name *)((const char *)table->row + (size_t)i * table->stride);
}

static void list_names(const rf_name_table *table, char *out, size_t bytes)
{
    size_t used = 0;
    for (int i = 0; i < table->count && used < bytes; i++) {
        const int n =
            snprintf(out + used, bytes - used, "%s%s", i > 0 ? ", " : "", row_at(table, i)->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Bytes of `text` to show: all, or as many whole UTF-8 characters as fit. */
static int shown(const char *text)
{
    size_t n = strlen(text);
    if (n > SHOWN_BYTES) {
        n = SHOWN_BYTES;
        while (n > 0 && ((unsigned char)text[n] & 0xC0u) == 0x80u) n--;
    }
    return (int)n;
}

rf_status rf_name_find(const void **out, const rf_name_table *table, const char *given,
                       rf_error *err)
{
    const rf_name *nearest = NULL;
    size_t         best = (size_t)-1;
    *out = NULL;
    for (int i = 0; i < table->count; i++) {
        const rf_name *id = row_at(table, i);
        const size_t   n = distance(id, given);
        if (n < best) {
            best = n;
            nearest = id;
        }
    }
    if (best == 0) {
        *out = nearest;
        return RF_OK;
    }
    char known[LIST_BYTES] = "";
    list_names(table, known, sizeof known);
    if (nearest)
        return rf_fail(err, RF_E_ARG, "unknown %s \"%.*s\": did you mean \"%s\"? Known: %s",
                       table->what, shown(given), given, nearest->name, known);
    return rf_fail(err, RF_E_ARG, "unknown %s \"%.*s\". Known: %s", table->what, shown(given),
                   given, known);
}
