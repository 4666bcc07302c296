/* See json_dump.h.  jansson prints all numbers of a text with one precision: 17 digits, which any
 * double may need, make 0.29999999999999999 of 0.3. */
#include "engine/files/json_dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/files/infotext.h"

typedef struct writer {
    FILE *out;
    int   indent, failed;
} writer;

static void write_value(writer *w, const json_t *v, int depth); /* arrays hold values */

/* What no number is in. */
static void write_plain(writer *w, const json_t *v)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | (w->indent ? 0 : JSON_ENSURE_ASCII);
    if (!v || json_dumpf(v, w->out, flags) != 0) w->failed = 1;
}

static void begin_item(writer *w, int first, int depth)
{
    if (!first) fputc(',', w->out);
    if (w->indent) fprintf(w->out, "\n%*s", w->indent * depth, "");
}

static void close_items(writer *w, int empty, int depth, char bracket)
{
    if (w->indent && !empty) fprintf(w->out, "\n%*s", w->indent * depth, "");
    fputc(bracket, w->out);
}

static void write_object(writer *w, const json_t *v, int depth)
{
    json_t *object = (json_t *)v; /* jansson's iterators are for writers too */
    int     first = 1;
    fputc('{', w->out);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        json_t *key = json_string(json_object_iter_key(at));
        begin_item(w, first, depth + 1);
        write_plain(w, key);
        fputs(w->indent ? ": " : ":", w->out);
        write_value(w, json_object_iter_value(at), depth + 1);
        json_decref(key);
        first = 0;
    }
    close_items(w, first, depth, '}');
}

static void write_array(writer *w, const json_t *v, int depth)
{
    fputc('[', w->out);
    for (size_t i = 0; i < json_array_size(v); i++) {
        begin_item(w, i == 0, depth + 1);
        write_value(w, json_array_get(v, i), depth + 1);
    }
    close_items(w, json_array_size(v) == 0, depth, ']');
}

static void write_value(writer *w, const json_t *v, int depth)
{
    char number[RF_NUMBER_BYTES];
    if (json_is_object(v))
        write_object(w, v, depth);
    else if (json_is_array(v))
        write_array(w, v, depth);
    else if (json_is_real(v))
        fputs(rf_number_text(number, json_real_value(v), 0), w->out);
    else
        write_plain(w, v);
}

char *rf_json_dump(const json_t *value, int indent)
{
    char  *text = NULL;
    size_t bytes = 0;
    writer w = {.out = open_memstream(&text, &bytes), .indent = indent};
    if (!w.out) return NULL;
    write_value(&w, value, 0);
    const int failed = ferror(w.out) || w.failed;
    if (fclose(w.out) == 0 && !failed) return text;
    free(text);
    return NULL;
}
