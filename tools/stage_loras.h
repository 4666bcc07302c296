/* The LoRAs of a job: from options and from the tags of its prompts to rf_stage.loras.
 *
 * --lora means every stage, --base-lora and --refiner-lora the stage of that name.  A tag means the
 * stages in whose prompt it stands: all that share the prompt or, inside an edit, those that see it
 * at their first call (with --compat a1111 all that share it, as there).  Of one file named several
 * times for a stage the last naming counts: first --lora, then the stage's own options, then tags.
 * Axes of a sweep come behind all of them. */
#ifndef RF_STAGE_LORAS_H
#define RF_STAGE_LORAS_H

#include "tools/lora_files.h"
#include "tools/request.h"

enum { RF_LORAS_MAX = 64 }; /* of a stage, and tags of a prompt */

/* A strength that an axis of a sweep varies: of the LoRA in that stage, or (-1) in every stage that
 * has it; one that nobody has is merged there, or into all. */
typedef struct rf_axis_lora {
    int         stage;
    const char *name; /* a name or a file */
    double      strength;
} rf_axis_lora;

typedef struct rf_loras {
    const rf_request   *request;
    const rf_axis_lora *of_axes; /* of the next settling */
    int                 of_axes_count;
    rf_lora_files       files;
    char               *hash_cache;
    void               *blocks; /* what stages point to */
} rf_loras;

/* Scans the folders.  `request` must outlive *out. */
rf_status rf_loras_begin(rf_loras *out, const rf_request *request, rf_trouble *trouble);

/* Fills loras and lora_count of `stages`, which are the job's and have their prompts; the lists
 * live as long as `loras`.  `warn` hears of a file named twice, and where files are optional of
 * names that cannot be looked up.  RF_E_ARG, RF_E_NOT_FOUND; what rf_explain gives for the job. */
rf_status rf_loras_settle(rf_loras *loras, rf_engine *engine, const rf_job *job, rf_stage *stages,
                          void (*warn)(void *user, const char *message), void *user,
                          rf_trouble *trouble);
void      rf_loras_end(rf_loras *loras); /* {0} is fine */

#endif
