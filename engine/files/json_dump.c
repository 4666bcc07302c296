/* See json_dump.h.  jansson prints all numbers of a text with one precision: 17 digits, which any
 * double may need, make 0.29999999999999999 of 0.3. */
#include "engine/files/json_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"

typedef struct writer {
    char  *text; /* of malloc, whatever jansson allocates with */
    size_t bytes, room;
    int    indent, failed;
} writer;

static void write_value(writer *w, const json_t *v, int depth); /* arrays hold values */

/* A json_dump_callback_t. */
static int put(const char *piece, size_t bytes, void *to)
{
    writer *w = to;
    if (!w->failed && w->room - w->bytes <= bytes) { /* the NUL has room too */
        const size_t room = 2 * (w->bytes + bytes) + 256;
        char        *more = realloc(w->text, room);
        if (more) {
            w->text = more;
            w->room = room;
        }
        w->failed = !more;
    }
    if (w->failed) return -1;
    memcpy(w->text + w->bytes, piece, bytes);
    w->bytes += bytes;
    w->text[w->bytes] = '\0';
    return 0;
}

static void put_text(writer *w, const char *text)
{
    put(text, strlen(text), w);
}

/* A line of its own, for people. */
static void new_line(writer *w, int depth)
{
    if (!w->indent) return;
    put_text(w, "\n");
    for (int i = 0; i < w->indent * depth; i++) put_text(w, " ");
}

/* What no number is in. */
static void write_plain(writer *w, const json_t *v)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | (w->indent ? 0 : JSON_ENSURE_ASCII);
    if (!v || json_dump_callback(v, put, w, flags) != 0) w->failed = 1;
}

static void write_object(writer *w, const json_t *v, int depth)
{
    json_t *object = (json_t *)v; /* jansson's iterators are for writers too */
    int     first = 1;
    put_text(w, "{");
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        json_t *key = json_string(json_object_iter_key(at));
        if (!first) put_text(w, ",");
        new_line(w, depth + 1);
        write_plain(w, key);
        put_text(w, w->indent ? ": " : ":");
        write_value(w, json_object_iter_value(at), depth + 1);
        json_decref(key);
        first = 0;
    }
    if (!first) new_line(w, depth);
    put_text(w, "}");
}

static void write_array(writer *w, const json_t *v, int depth)
{
    const size_t count = json_array_size(v);
    put_text(w, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_text(w, ",");
        new_line(w, depth + 1);
        write_value(w, json_array_get(v, i), depth + 1);
    }
    if (count > 0) new_line(w, depth);
    put_text(w, "]");
}

static void write_value(writer *w, const json_t *v, int depth)
{
    char number[RF_NUMBER_BYTES];
    if (json_is_object(v))
        write_object(w, v, depth);
    else if (json_is_array(v))
        write_array(w, v, depth);
    else if (json_is_real(v))
        put_text(w, rf_number_text(number, json_real_value(v), 0));
    else
        write_plain(w, v);
}

char *rf_json_dump(const json_t *value, int indent)
{
    writer w = {.indent = indent};
    write_value(&w, value, 0);
    if (!w.failed) return w.text;
    free(w.text);
    return NULL;
}
