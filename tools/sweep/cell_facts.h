/* What a cell's job is, in words: for pages.  results.jsonl has the same as numbers. */
#ifndef RF_CELL_FACTS_H
#define RF_CELL_FACTS_H

#include "tools/json_writer.h"
#include "tools/sweep/cells.h"

enum { RF_FACTS = 28 };

typedef struct rf_fact {
    const char *name;        /* "Refiner prompt" */
    const char *text;        /* NULL: does not apply, or is what it always is */
    char        number[400]; /* where `text` points to one */
} rf_fact;

/* In a fixed order: fact[i] of two cells are of the same thing.  Points into `cells`. */
void rf_cell_facts(rf_fact fact[RF_FACTS], const rf_cells *cells, const rf_cell *cell);

/* A stage's own, or what it takes over from the stage before it (rf_stage); never NULL. */
const char *rf_stage_prompt(const rf_job *job, int stage);
const char *rf_stage_negative(const rf_job *job, int stage);
const char *rf_stage_sampler(const rf_job *job, int stage);
float       rf_stage_cfg(const rf_job *job, int stage);
/* The file of a stage, as given; NULL if it has none. */
const char *rf_stage_file(const rf_cells *cells, const rf_cell *cell, int stage);

#endif
