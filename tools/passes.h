/* Several denoisings one after the other, each of which begins from the picture of the one before:
 * `--passes N`, `--refine-by img2img`, and the replay of what these made. */
#ifndef RF_PASSES_H
#define RF_PASSES_H

#include "tools/request.h"

/* Each pass of --passes may be two: the base's and the refiner's. */
enum { RF_PASSES_LINKS = 2 * RF_PASSES_MAX };

typedef struct rf_pass_spec {
    rf_job job;       /* of all pictures.  Its init, if it is below and not the job's own, lacks
                         its pixels and its job: those are each picture's */
    rf_stage *stages; /* the job's */
    rf_init   init;
    int       steps; /* that its plan has; 0 until it is planned */
} rf_pass_spec;

typedef struct rf_passes {
    rf_pass_spec *pass; /* [count] of RF_PASSES_LINKS */
    int           count;
} rf_passes;

/* Appends a job that begins as it says (the first one), or from the picture of the pass before it,
 * with what `init` says otherwise (NULL: the first one).  Stages and structs are copied, what they
 * point to must outlive `passes`.  RF_E_NOMEM; RF_E_FORMAT beyond RF_PASSES_LINKS. */
rf_status rf_passes_add(rf_passes *passes, const rf_job *job, const rf_init *init, rf_error *err);

/* What the request `q` asks to be made of `job`, whose stages are complete.  A pass's seeds are one
 * above those of the pass before: the same noise again would burn in.  The refiner of --refine-by
 * img2img gets the strength at which it makes the steps that it would make in a relay, and says so,
 * unless --denoise can only mean it.  `warn` hears of a refiner without steps.  RF_E_ARG, and what
 * rf_explain gives. */
rf_status rf_passes_make(rf_passes *out, rf_invocation *in, rf_engine *engine, const rf_request *q,
                         const rf_job *job, void (*warn)(void *user, const char *message),
                         void         *user);
void      rf_passes_release(rf_passes *passes); /* {0} is fine */

/* The strength, of as few decimals as will do, at which img2img of `steps` steps makes `wanted`
 * (1..steps) of them: int(strength * steps) + 1, at most `steps`. */
double rf_denoise_for(int wanted, int steps);

/* How many files a picture has, and how many passes there will be, before anything is opened. */
int rf_passes_expected(const rf_request *request);

#endif
