/* A CSV list into its items; see axis_parts.h.  An item never gets longer by being read, so all of
 * them fit into a copy of the text. */
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/axis_parts.h"

static const char BLANKS[] = " \t\r\n";

const char *rf_axis_skip_blanks(const char *text)
{
    return text + strspn(text, BLANKS);
}

void rf_axis_list_release(rf_axis_list *list)
{
    free(list->item);
    free(list->block);
    *list = (rf_axis_list){0};
}

typedef struct reader {
    const char *at; /* what is left of the text */
    char       *to; /* where the next byte of an item goes */
    const char *where;
    int         number; /* of the item, from 1 */
    rf_trouble *trouble;
} reader;

/* The item in quotes that begins at r->at. */
static rf_status read_quoted(reader *r)
{
    for (r->at++; *r->at; r->at++) {
        if (*r->at == '"' && *++r->at != '"') {
            r->at = rf_axis_skip_blanks(r->at);
            if (!*r->at || *r->at == ',') return RF_OK;
            rf_trouble_hint(r->trouble, "a quote inside of quotes is written twice: \"\"");
            return rf_fail(&r->trouble->error, RF_E_ARG,
                           "%s: after the closing quote of value %d a comma is missing", r->where,
                           r->number);
        }
        *r->to++ = *r->at;
    }
    return rf_fail(&r->trouble->error, RF_E_ARG, "%s: the quote that begins value %d is not closed",
                   r->where, r->number);
}

static rf_status read_plain(reader *r)
{
    size_t bytes = strcspn(r->at, ",");
    r->at += bytes;
    while (bytes > 0 && strchr(BLANKS, r->at[-1])) bytes--, r->at--;
    if (bytes == 0)
        return rf_fail(&r->trouble->error, RF_E_ARG,
                       "%s: value %d is empty (a comma too many, or \"\" is meant)", r->where,
                       r->number);
    memcpy(r->to, r->at - bytes, bytes);
    r->to += bytes;
    r->at = rf_axis_skip_blanks(r->at);
    return RF_OK;
}

rf_status rf_axis_list_split(rf_axis_list *out, const char *where, const char *text,
                             rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    rf_axis_list list = {0};
    size_t       room = 1;
    *out = (rf_axis_list){0};
    for (const char *c = text; *c; c++) room += *c == ',';
    list.block = malloc(strlen(text) + room + 1); /* each item's NUL is new */
    list.item = calloc(room, sizeof *list.item);
    if (!list.block || !list.item) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a list of %zu values", room);
        goto done;
    }
    reader r = {.at = text, .to = list.block, .where = where, .trouble = trouble};
    for (;;) {
        r.number++;
        r.at = rf_axis_skip_blanks(r.at);
        list.item[list.count++] = r.to;
        RF_TRY(*r.at == '"' ? read_quoted(&r) : read_plain(&r));
        *r.to++ = '\0';
        if (!*r.at) break;
        r.at++; /* the comma */
    }
    *out = list;
    list = (rf_axis_list){0};
done:
    rf_axis_list_release(&list);
    return st;
}
