/* The files of a job that was read back from a picture: found, and put into a copy of the job. */
#ifndef RF_REPLAY_FILES_H
#define RF_REPLAY_FILES_H

#include "tools/find_model.h"
#include "tools/init_files.h"
#include "tools/rendering.h"

/* How they are searched; what is `given` names them on the command line. */
typedef struct rf_replay_search {
    const rf_request *given;
    const char       *image; /* the picture that is replayed: pictures may lie beside it */
    rf_model_search   models, loras, embeddings;
} rf_replay_search;

typedef struct rf_replay_files {            /* owned by it: what the job and its stages point to */
    char             *paths[RF_STAGES_MAX]; /* of the stages' experts */
    char             *vae, *init_path, *mask_path;
    rf_lora_use      *loras[RF_STAGES_MAX];
    int               lora_count[RF_STAGES_MAX];
    rf_embedding_use *embeddings;
    int               embedding_count;
    rf_init           init;
    rf_init_files     pictures;
} rf_replay_files;

/* `job` and its `stages` are copies of those of `saved`.  A picture that is the result of another
 * job is not searched, but its mask is.  What rf_model_find and reading pictures give. */
rf_status rf_replay_files_find(rf_replay_files *files, const rf_saved_job *saved, rf_job *job,
                               rf_stage *stages, const rf_replay_search *search);
void      rf_replay_files_release(rf_replay_files *files); /* {0} is fine */

#endif
