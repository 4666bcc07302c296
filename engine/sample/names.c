/* Names are the same, or near, by engine/core/near.h: no locale can change what a command means. */
#include "engine/sample/names.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/near.h"

enum {
    LIST_BYTES = 400,  /* of all known names; leaves room for the sentence in rf_error */
    SHOWN_BYTES = 100, /* of what the user typed */
};

/* Fewest edits to the row's name or one of its aliases, or SIZE_MAX if none is near. */
static size_t distance(const rf_name *id, const char *given)
{
    size_t best = (size_t)-1;
    for (int i = -1; i < 3; i++) {
        const char *name = i < 0 ? id->name : id->alias[i];
        if (!name) continue;
        const size_t n = rf_near(given, name);
        if (n < best) best = n;
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
