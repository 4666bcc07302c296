/* The JSON inside report.html; see report_parts.h.  What all cells have in common stands there
 * once. */
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/cell_facts.h"
#include "tools/sweep/report_parts.h"

void rf_report_cut(char out[RF_REPORT_TEXT_BYTES + 4], const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n <= RF_REPORT_TEXT_BYTES) {
        memcpy(out, n ? text : "", n);
        out[n] = '\0';
        return;
    }
    n = RF_REPORT_TEXT_BYTES;
    while (n > 0 && (text[n] & 0xC0) == 0x80) n--; /* not inside a character */
    memcpy(out, text, n);
    strcpy(out + n, "\xE2\x80\xA6");
}

static void put_cut(rf_json_writer *w, const char *key, const char *text)
{
    char cut[RF_REPORT_TEXT_BYTES + 4];
    rf_report_cut(cut, text);
    rf_json_put_text(w, key, cut);
}

static int same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Which facts are those of the first cell everywhere. */
static void find_common(int common[RF_FACTS], const rf_cells *cells)
{
    rf_fact first[RF_FACTS], fact[RF_FACTS];
    rf_cell_facts(first, cells, &cells->cell[0]);
    for (int k = 0; k < RF_FACTS; k++) common[k] = 1;
    for (int i = 1; i < cells->count; i++) {
        rf_cell_facts(fact, cells, &cells->cell[i]);
        for (int k = 0; k < RF_FACTS; k++) common[k] &= same_text(first[k].text, fact[k].text);
    }
}

/* Those facts of a cell for which common[] is `which`, as pairs. */
static void put_facts(rf_json_writer *w, const char *key, const rf_cells *cells,
                      const rf_cell *cell, const int common[RF_FACTS], int which)
{
    rf_fact fact[RF_FACTS];
    rf_cell_facts(fact, cells, cell);
    rf_json_open(w, key, '[');
    for (int k = 0; k < RF_FACTS; k++) {
        if (!fact[k].text || common[k] != which) continue;
        rf_json_open(w, NULL, '[');
        rf_json_put_text(w, NULL, fact[k].name);
        put_cut(w, NULL, fact[k].text);
        rf_json_close(w, ']');
    }
    rf_json_close(w, ']');
}

static void put_axes(rf_json_writer *w, const rf_cells *cells)
{
    int slide = -1;
    rf_json_open(w, "axes", '[');
    for (int i = 0; i < RF_AXES; i++) {
        const rf_axis *axis = &cells->axis[i];
        if (axis->kind == RF_VARY_SWITCH && axis->count > 1) slide = i;
        rf_json_open(w, NULL, '{');
        put_cut(w, "name", axis->name);
        rf_json_put_bool(w, "used", axis->kind != RF_VARY_NOTHING);
        rf_json_open(w, "values", '[');
        for (int k = 0; k < axis->count; k++) put_cut(w, NULL, axis->value[k].text);
        rf_json_close(w, ']');
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
    rf_json_put_int(w, "slide", slide);
}

static void put_cells(rf_json_writer *w, const rf_sweep_story *story, char *const *why,
                      const int common[RF_FACTS])
{
    rf_json_open(w, "cells", '[');
    for (int i = 0; i < story->cells->count; i++) {
        const rf_cell *cell = &story->cells->cell[i];
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "name", cell->name);
        rf_json_open(w, "at", '[');
        for (int a = 0; a < RF_AXES; a++) rf_json_put_int(w, NULL, cell->at[a]);
        rf_json_close(w, ']');
        rf_json_put_text(w, "why", why[i]);
        if (story->record[i].state == RF_CELL_OPEN)
            rf_json_put_null(w, "seconds");
        else
            rf_json_put_real(w, "seconds", story->record[i].seconds);
        put_facts(w, "facts", story->cells, cell, common, 0);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
}

/* A script ends at the first "</script", and "<!--" changes how it is read, whatever JSON says:
 * no "<" is left, and for good measure no ">" and "&".  They occur in JSON's strings only. */
static void put_escaped(FILE *out, const char *json, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (json[i] == '<' || json[i] == '>' || json[i] == '&')
            fprintf(out, "\\u%04x", (unsigned)json[i]);
        else
            fputc(json[i], out);
}

rf_status rf_report_data_write(FILE *out, const rf_sweep_story *story, char *const *why,
                               rf_error *err)
{
    const rf_cells *cells = story->cells;
    int             common[RF_FACTS];
    char           *json = NULL;
    size_t          bytes = 0;
    rf_json_writer  w = {.out = open_memstream(&json, &bytes)};
    if (!w.out) return rf_fail(err, RF_E_NOMEM, "no memory for the report's data");
    find_common(common, cells);
    rf_json_open(&w, NULL, '{');
    put_axes(&w, cells);
    put_facts(&w, "common", cells, &cells->cell[0], common, 1);
    put_cells(&w, story, why, common);
    rf_json_close(&w, '}');
    const int failed = ferror(w.out);
    if (fclose(w.out) != 0 || failed) {
        free(json);
        return rf_fail(err, RF_E_NOMEM, "no memory for the report's data");
    }
    put_escaped(out, json, bytes);
    free(json);
    return RF_OK;
}
