/* The parts of working out a course, in the order in which course.c calls them; nobody else does.
 */
#ifndef RF_COURSE_PARTS_H
#define RF_COURSE_PARTS_H

#include "engine/relay/course.h"

/* A sampler that walks noise levels of its own plans whole runs only. */
static inline int rf_plans_whole_runs(const rf_sampler *sampler)
{
    return (sampler->flags & (RF_SAMPLER_TIMESTEPS | RF_SAMPLER_OWN_GRID | RF_SAMPLER_ADAPTIVE)) !=
           0;
}

/* init_steps.c: where a run that starts from a picture enters its schedule.  *steps: as asked; then
 * of the schedule, of which the first *skipped are not made.  RF_E_ARG. */
rf_status rf_init_steps(const rf_init *init, int *steps, int *skipped, rf_error *err);
/* Takes the first `skipped` steps away; a sampler that walks timesteps enters so much later. */
void rf_course_cut(rf_course *course, int skipped);

/* course_calls.c.  Samplers, sigmas, rule and `until` are set; fills call, calls, steps, start, the
 * stages' calls and the hand-overs. */
rf_status rf_course_plan_calls(rf_course *course, const rf_job *job, rf_error *err);

/* course_levels.c: the noise levels of a run whose experts may know different ones. */

/* Whose levels each stage knows; `table`: of stages without an expert.  The first stage's become
 * the course's. */
void rf_course_find_tables(rf_course *course, const rf_sigma_table *table, const rf_job *job);

/* Whether the calls, as planned, begin with a stage whose levels are not those that they were
 * planned by.  It becomes the course's first, and calls and sigmas are gone: plan again. */
int rf_course_begins_elsewhere(rf_course *course);

/* The timestep that a call's expert is given. */
double rf_course_timestep(const rf_course *course, const rf_course_call *call);

/* What is odd about levels and experts. */
void rf_course_warn_of_levels(const rf_course *course, const rf_job *job, rf_listener listener);

/* course_guidance.c.  Fills the stages' CFG, and every call's.  RF_E_ARG: a ramp whose calls cannot
 * be counted. */
rf_status rf_course_plan_guidance(rf_course *course, const rf_job *job, rf_error *err);

/* course_prompts.c.  Fills the sets, parsed on the clock of the calls, and every call's entries. */
rf_status rf_course_plan_prompts(rf_course *course, const rf_job *job, int hires_steps,
                                 rf_listener listener, rf_error *err);

#endif
