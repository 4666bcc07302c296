/* What cells.c is made of: what axes mean, prompts, questions to the engine, warnings.  For
 * tools/sweep/ alone. */
#ifndef RF_SWEEP_CELL_PARTS_H
#define RF_SWEEP_CELL_PARTS_H

#include <strings.h>

#include "tools/sweep/cells.h"

enum { RF_CELL_SIDES = 2 }; /* prompt, negative */

/* What an axis sets: of one stage, or of all (stage -1).  Axes of the base and the refiner are
 * those of the first and the second stage: kind is never RF_VARY_REFINER and the like. */
typedef struct rf_cell_target {
    rf_axis_kind kind;
    int          stage;
    const char  *lora; /* of RF_VARY_LORA */
} rf_cell_target;

rf_cell_target rf_cell_target_of(const rf_axis *axis);

/* Whether it reaches that stage. */
static inline int rf_cell_reaches(rf_cell_target target, int stage)
{
    return target.stage < 0 || target.stage == stage;
}

typedef struct rf_cell_maker {
    rf_cells         *cells;
    const rf_request *request;
    int               relay;     /* stages were told one by one: no cell has fewer */
    int               refines;   /* some cell has a second stage */
    rf_stage         *plain;     /* [cells' stages]: the request's, each with its CFG */
    char             *inherits;  /* likewise: its CFG is where the stage before it ends */
    int              *file_axis; /* likewise: that tells the file; -1: the request does */
    int             **file_of;   /* likewise: of each of its values, or what the request has */
    const char      **texts;     /* [choices][stages][RF_CELL_SIDES], NULL as in rf_stage */
    int               choices;
    unsigned          given[RF_RELAY_STAGES]; /* of the cell at hand, as rf_relay's */
    rf_stage_sampling own[RF_RELAY_STAGES];   /* likewise */
    void (*warn)(void *user, const char *message);
    void       *user;
    rf_trouble *trouble;
} rf_cell_maker;

/* The CFG of a stage's last call. */
static inline float rf_cell_end_cfg(const rf_stage *stage)
{
    const float end = stage->cfg_scale + stage->cfg_ramp;
    return stage->cfg_ramp == 0 || end > 0 ? end : 0;
}

/* "None": no file. */
static inline const char *rf_cell_file_or_none(const char *name)
{
    return strcasecmp(name, "none") == 0 ? NULL : name;
}

/* count * size zeroed bytes that live as long as the cells; NULL without memory. */
void *rf_cells_take(rf_cells *cells, size_t count, size_t size);

/* Which of `texts` a cell has. */
int rf_cell_choice(const rf_cells *cells, const int at[RF_AXES]);

/* Fills `texts` (cell_prompts.c).  RF_E_ARG: nothing to replace, or too long. */
rf_status rf_cell_texts_make(rf_cell_maker *maker);

/* Room for a cell's stages; RF_E_NOMEM. */
rf_status rf_cell_room(rf_cell_maker *maker, rf_cell *cell);

/* The request's job, with all stages and without prompts; then one value of an axis in it, but for
 * files, prompts and LoRAs, which are settled apart; then what depends on all of them. */
void rf_cell_begin(rf_cell_maker *maker, rf_cell *cell);
void rf_cell_apply(rf_cell_maker *maker, rf_cell *cell, const rf_axis *axis, int value);
void rf_cell_finish(rf_cell_maker *maker, rf_cell *cell);

/* Asks the engine about values that it alone can judge (cell_check.c).  RF_E_ARG names them. */
rf_status rf_cells_check(rf_cell_maker *maker);

/* Tells of axes that do less than one would think (cell_warnings.c). */
void rf_cells_warn(const rf_cell_maker *maker);

#endif
