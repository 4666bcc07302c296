/* A sweep that never was, on disk: cells of known pictures, for tests of what sweeps leave. */
#ifndef RF_TEST_STORY_H
#define RF_TEST_STORY_H

#include "tools/sweep/report.h"

enum { STORY_VALUES = 128, STORY_CELLS = 1024 };

typedef struct story {
    rf_sweep_story sweep;
    rf_cells       cells;
    rf_axis_value  value[RF_AXES][STORY_VALUES];
    rf_cell        cell[STORY_CELLS];
    rf_cell_record record[STORY_CELLS];
    rf_stage       stage[STORY_CELLS][RF_REQUEST_STAGES];
    int            of[STORY_CELLS][RF_REQUEST_STAGES]; /* files of stages */
    char           name[STORY_CELLS][32];
    char           number[RF_AXES][STORY_VALUES][32];
    const char    *file[2];
} story;

/* An axis of so many numbers, from 0 in tenths (RF_VARY_SWITCH) or from 1 in ones; or of texts. */
void story_numbers(story *s, int axis, rf_axis_kind kind, const char *name, int count);
void story_texts(story *s, int axis, rf_axis_kind kind, const char *name, const char *const *text,
                 int count);

/* Makes every product of the axes a finished cell of two stages with pictures of width x height,
 * and their files under FOLDER/cells.  Axes that were not told are not used. */
void story_make(story *s, const char *folder, int width, int height);

/* The colour of a cell's picture: one everywhere, different for every cell of a few hundred. */
void story_colour(const story *s, int cell, uint8_t rgb[3]);

/* Writes the picture of one cell again, of another size. */
void story_picture(const story *s, int cell, int width, int height);

#endif
