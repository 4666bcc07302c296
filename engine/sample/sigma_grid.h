/* Every stride-th entry of a noise table as a table of its own: the sampler LCM knows 50 of 1000.
 */
#ifndef RF_SIGMA_GRID_H
#define RF_SIGMA_GRID_H

#include "engine/sample/schedule.h"

typedef struct rf_sigma_grid {
    const rf_sigma_table *table;
    int                   first, stride, count; /* entry i is the table's first + i stride */
} rf_sigma_grid;

double rf_grid_sigma(const rf_sigma_grid *grid, int entry);

/* rf_t_from_sigma and rf_sigma_from_t in entries of the grid. */
double rf_grid_t_from_sigma(const rf_sigma_grid *grid, double sigma);
double rf_grid_sigma_from_t(const rf_sigma_grid *grid, double t);

#endif
