/* The textual inversions of jobs: from --embedding and --embedding-dir to rf_job.embeddings.
 *
 * One that is named is the job's whatever its prompts say; of a folder's those whose name stands in
 * one of the job's prompts, so that a folder of hundreds costs nothing and a picture's metadata
 * tell of those that matter. */
#ifndef RF_PICK_EMBEDDINGS_H
#define RF_PICK_EMBEDDINGS_H

#include "tools/lora_files.h"
#include "tools/request.h"

typedef struct rf_embeddings {
    const rf_request *request;
    rf_lora_files     files; /* in the folders */
    rf_embedding_use *named; /* [named_count]: of --embedding; first bytes of `owned` are names */
    int               named_count;
    void             *blocks; /* what jobs point to */
} rf_embeddings;

/* Scans the folders.  `request` must outlive *out.  RF_E_NOT_FOUND, RF_E_ARG. */
rf_status rf_embeddings_begin(rf_embeddings *out, const rf_request *request, rf_trouble *trouble);

/* Fills embeddings and embedding_count of `job`, whose stages have their prompts; the list lives as
 * long as `embeddings`.  `warn` (NULL: nobody) hears of one that was named and stands in no prompt.
 * RF_E_NOMEM; RF_E_ARG: more than a job can have. */
rf_status rf_embeddings_settle(rf_embeddings *embeddings, rf_job                   *job,
                               void (*warn)(void *user, const char *message), void *user,
                               rf_trouble *trouble);
void      rf_embeddings_end(rf_embeddings *embeddings); /* {0} is fine */

#endif
