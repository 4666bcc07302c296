/* A sweep under way: what the files of `refinery sweep` know of each other.
 *
 * One loop for all: a rank (or shard, or the only process there is) takes a group of cells, plans
 * those that are not done as one tree, and runs it; without others there is one group, all cells.
 */
#ifndef RF_SWEEP_H
#define RF_SWEEP_H

#include <limits.h>

#include "tools/experts.h"
#include "tools/pick_embeddings.h"
#include "tools/progress.h"
#include "tools/render_report.h"
#include "tools/stage_loras.h"
#include "tools/start.h"
#include "tools/sweep/cells.h"
#include "tools/sweep/fingerprint.h"
#include "tools/sweep/rank_gpu.h"
#include "tools/sweep/ranks.h"
#include "tools/sweep/shard.h"

typedef struct rf_sweep_options {
    rf_request  request; /* first: the tables of options write into it */
    const char *axis[RF_AXES];
    const char *plan;   /* a JSON plan; NULL: the axes above */
    const char *folder; /* of the output */
    const char *shard;  /* "i/n"; NULL: everything */
    int         resume, no_grid, no_report;
    int         cell_pixels;      /* of the grid; 0: as they are */
    double      seconds_per_call; /* for the estimate; 0: measured */
} rf_sweep_options;

typedef struct rf_sweep {
    rf_invocation    *in;
    rf_sweep_options *o;
    rf_shard          shard;
    rf_ranks          ranks;
    char              gpu[RF_RANK_DEVICE]; /* of this rank, where several share a machine */
    rf_experts        experts;
    rf_loras          loras;
    rf_embeddings     embeddings;
    rf_start          start; /* what all cells begin from */
    rf_cells          cells;
    rf_expert       **expert; /* [cells.files] */
    rf_job           *job;    /* [cells.count], complete */
    rf_stage         *stage;  /* [cells.count][cells.stages], of `job` */
    rf_plan          *whole;  /* of all cells */
    rf_plan_info      info;   /* its; texts and noise levels are not kept */
    int              *group;  /* [cells.count]: which group a cell is in */
    int              *owner;  /* [groups]: the shard that makes it */
    int64_t          *cost;   /* [groups]: calls */
    int               groups;
    rf_identity       identity;
    rf_report         report; /* its warnings are the sweep's */

    char            journal_path[PATH_MAX];
    rf_journal     *journal;      /* of rank 0 */
    rf_cell_record *record;       /* [cells.count]; owns its texts */
    int             mine;         /* cells that this process, or its ranks, are to make, */
    int             before;       /* of them those that had been made when this sitting began, */
    int             done, failed; /* and by now */

    int      *map; /* [jobs of the plan that runs]: their cells */
    rf_plan  *now; /* that plan; may be `whole` */
    rf_meter  meter;
    rf_status late; /* of a callback that cannot return one; the run is stopped */
    rf_error  late_error;
    int64_t   calls;                /* that it has made, as the last report had it */
    double    flip_us, call_gap_us; /* of the last plan */
    double    began;
} rf_sweep;

/* ---- sweep.c ---- */

/* For settling, cells and the engine: shows a warning and keeps it for the summary. */
void rf_sweep_warn(void *sweep, const char *message);

/* Axes, cells, engine, experts, the plan of everything, groups: all that can be wrong is found. */
rf_status rf_sweep_prepare(rf_sweep *s);
void      rf_sweep_release(rf_sweep *s);

/* Ranks divide what is open, once they know what is: groups that are done already would be handed
 * out for nothing, and what is left might be one rank's.  Shards keep their groups, which do not
 * depend on what is done; those without an open cell cost nothing any more. */
rf_status rf_sweep_divide_open(rf_sweep *s);

/* Whether this process is to make the cell: the sweep is not sharded, or its shard owns it. */
int rf_sweep_owns(const rf_sweep *s, int cell);

/* ---- sweep_folder.c ---- */

/* The folder, the journal, and what the journal knows; of all ranks. */
rf_status rf_sweep_open_folder(rf_sweep *s);

/* FOLDER/cells/NAME.png, and the name of a grid: "grid.png", or "grid-z03.png". */
void rf_sweep_cell_path(const rf_sweep *s, int cell, char path[PATH_MAX]);
void rf_sweep_grid_name(const rf_sweep *s, int z, char name[NAME_MAX + 1]);

/* Keeps a copy of `record`, and counts. */
rf_status rf_sweep_keep(rf_sweep *s, int cell, const rf_cell_record *record, rf_error *err);

/* ---- sweep_run.c ---- */

rf_status rf_sweep_run(rf_sweep *s);

/* What was done in this sitting: by this process, and on rank 0 by all ranks. */
rf_ranks_work rf_sweep_work(const rf_sweep *s);

/* ---- sweep_say.c ---- */

/* --dry-run: cells, calls, memory, time. */
rf_status rf_sweep_say_plan(rf_sweep *s);

/* Grids, page and lines of a finished sweep; then what it came to. */
rf_status rf_sweep_finish(rf_sweep *s);

/* ---- sweep_time.c ---- */

typedef struct rf_sweep_estimate {
    double call_s, decode_s, load_s; /* of one call, picture, expert */
    double total_s;                  /* negative: not known */
    int    measured;                 /* 0: from --seconds-per-call */
} rf_sweep_estimate;

/* How long this process would take for its part.  Without --seconds-per-call it renders the first
 * cell's base in two steps, and counts by the second; for a GPU that is assumed it cannot.  What
 * running a plan gives. */
rf_status rf_sweep_estimate_time(rf_sweep *s, rf_sweep_estimate *out);

#endif
