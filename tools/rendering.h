/* A job on its way to pictures: what `render` and `replay` have in common once they know the job,
 * its files and its outputs. */
#ifndef RF_RENDERING_H
#define RF_RENDERING_H

#include "tools/experts.h"
#include "tools/pass_jobs.h"
#include "tools/pick_embeddings.h"
#include "tools/previews.h"
#include "tools/progress.h"
#include "tools/render_outputs.h"
#include "tools/render_report.h"
#include "tools/stage_loras.h"
#include "tools/text_file.h"

enum { RF_STAGES_MAX = 64 }; /* of a job */

typedef struct rf_rendering {
    rf_invocation    *in;
    const rf_request *request; /* how: dtype, device, progress, overwrite, metadata, dry run */
    rf_job            job;     /* its stages are those below */
    rf_stage          stages[RF_STAGES_MAX];
    rf_outputs        outputs;
    int               silent; /* what the engine warns of is told otherwise */

    rf_experts    experts;
    rf_loras      loras;
    rf_embeddings embeddings;

    rf_passes        passes;        /* none: the job is the only one */
    int              pass, first;   /* at work: which one, and from which picture on */
    rf_pass_picture *made, *before; /* [room] by it and by the one before it, from `first` on */
    int              room;

    rf_plan  *plan;
    rf_report report;
    rf_meter  meter;

    rf_previews previews;

    rf_text_file trace; /* --trace; out NULL: none */
    int          ran;   /* the plan was run, well or not: there is something in it */
} rf_rendering;

/* Copies job and stages; nothing is opened yet.  `request` and what `job` points to must outlive
 * the rendering. */
void rf_rendering_begin(rf_rendering *r, rf_invocation *in, const rf_request *request,
                        const rf_job *job);

/* For rf_request_settle and the engine: shows a warning and keeps it for the report. */
void rf_rendering_warn(void *rendering, const char *message);

/* Creates the engine and opens each stage's file; the path NULL leaves a stage without expert.
 * `predictions`, as for rf_expert_set_prediction, live as long as the rendering.  `dtype`: what
 * --dtype auto means; NULL: the engine's choice. */
rf_status rf_rendering_open(rf_rendering *r, const char *const *paths,
                            const char *const *predictions, const char *dtype);

/* Gives the stages the LoRAs that options and prompts name; after rf_rendering_open.  `warn` hears
 * what stage_loras.h says. */
rf_status rf_rendering_add_loras(rf_rendering *r, void (*warn)(void *user, const char *message),
                                 void         *user);

/* Likewise the job its embeddings (pick_embeddings.h). */
rf_status rf_rendering_add_embeddings(rf_rendering *r,
                                      void (*warn)(void *user, const char *message), void *user);

/* Plans all passes; then prints the plans (--dry-run), or makes the pictures. */
rf_status rf_rendering_run(rf_rendering *r);

/* ---- its parts ---------------------------------------------------------------------------- */

/* pass_run.c: the same where there are passes. */
rf_status rf_rendering_run_passes(rf_rendering *r);
int64_t   rf_rendering_later_steps(const rf_rendering *r); /* of batches, by all further passes */

/* Of the plan r->plan of `job`, which outlives it: checks what it alone can tell, tells of its
 * LoRAs, and prints it if it is not to be run. */
rf_status rf_rendering_tell_plan(rf_rendering *r, const rf_job *job);

/* Runs r->plan, and shows how it goes. */
rf_status rf_rendering_run_plan(rf_rendering *r);

/* Gives everything back and lets the trace, which ends with the engine, appear under its name: also
 * after a run that failed or was stopped.  `st` is how it went, and comes back unless that was well
 * and the trace cannot be written. */
rf_status rf_rendering_release(rf_rendering *r, rf_status st);

#endif
