/* See cell_picture.h. */
#include "tools/sweep/cell_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_BYTES = RF_ERROR_BYTES + 32 };

const char *rf_cell_absence(char *why, const rf_cell_record *record)
{
    if (record->state == RF_CELL_DONE) return NULL;
    if (record->state == RF_CELL_FAILED)
        snprintf(why, WHY_BYTES, "failed: %.*s", RF_ERROR_BYTES,
                 record->error ? record->error : "the journal does not say why");
    else
        snprintf(why, WHY_BYTES, "not made yet");
    rf_make_printable(why);
    return why;
}

/* The message of the reader without the path in front: the cell's place says which file it is. */
static const char *without_path(const char *message, const char *path)
{
    const size_t n = strlen(path);
    return strncmp(message, path, n) == 0 && message[n] == ':' ? message + n + 2 : message;
}

void rf_cell_picture_read(rf_cell_picture *out, const rf_sweep_story *story, int cell)
{
    rf_error     err = {0};
    const char  *name = story->cells->cell[cell].name;
    const size_t room = strlen(story->folder) + strlen(name) + sizeof "/cells/.png";
    *out = (rf_cell_picture){0};
    if (rf_cell_absence(out->why, &story->record[cell])) return;
    char *path = malloc(room);
    if (!path) {
        snprintf(out->why, sizeof out->why, "no memory to read it");
        return;
    }
    snprintf(path, room, "%s/cells/%s.png", story->folder, name);
    const rf_status st = rf_png_read(&out->pixels, path, &err);
    if (st == RF_E_NOT_FOUND)
        snprintf(out->why, sizeof out->why, "missing: cells/%.200s.png", name);
    else if (st != RF_OK)
        snprintf(out->why, sizeof out->why, "%s: %s", st == RF_E_FORMAT ? "damaged" : "unreadable",
                 without_path(err.message, path));
    free(path);
}

void rf_cell_picture_release(rf_cell_picture *picture)
{
    free(picture->pixels.rgb);
    *picture = (rf_cell_picture){0};
}
