/* A file's SHA-256, computed on a thread of its own while the picture is being made. */
#ifndef RF_FILE_HASH_H
#define RF_FILE_HASH_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/files/model_file.h"
#include "kernels/status.h"

typedef struct rf_file_hash {
    const char *path, *cache; /* not owned; cache may be NULL */
    int         body;         /* of a safetensors file: rf_file_body_sha256 */
    /* Held while a file is read: two at once would only push each other out of the page cache. */
    pthread_mutex_t *turn;
    char             hex[RF_SHA256_HEX];
    rf_status        st;
    rf_error         error;
    int              known;            /* hex (or st and error) are final */
    int              running;          /* a thread must be joined */
    int              told;             /* the user knows that st is an error */
    atomic_int       cancel, finished; /* finished: wait will not wait */
    pthread_t        thread;
} rf_file_hash;

/* Starts computing unless it is known or running; without a thread, wait computes it. */
void rf_file_hash_start(rf_file_hash *hash);
/* 1 while a wait would take time. */
int rf_file_hash_pending(rf_file_hash *hash);
/* Waits, and returns what came out; hash->hex is valid after RF_OK.  Meanwhile `stop` (NULL is
 * fine) is asked again and again: non-zero cancels it, RF_E_CANCELLED. */
rf_status rf_file_hash_wait(rf_file_hash *hash, int (*stop)(void *user), void *user, rf_error *err);
void      rf_file_hash_stop(rf_file_hash *hash); /* cancels and joins */

#endif
