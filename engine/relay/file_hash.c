/* Hashing in the background; see file_hash.h. */
#include "engine/relay/file_hash.h"

static void compute(rf_file_hash *h)
{
    pthread_mutex_lock(h->turn);
    h->st = rf_file_sha256(h->hex, h->path, h->cache, &h->cancel, &h->error);
    pthread_mutex_unlock(h->turn);
}

static void *work(void *arg)
{
    compute(arg);
    return NULL;
}

void rf_file_hash_start(rf_file_hash *h)
{
    if (h->known || h->running) return;
    atomic_store(&h->cancel, 0);
    h->running = pthread_create(&h->thread, NULL, work, h) == 0;
}

rf_status rf_file_hash_wait(rf_file_hash *h, rf_error *err)
{
    if (h->running) {
        pthread_join(h->thread, NULL);
        h->running = 0;
        h->known = 1;
    }
    if (!h->known) {
        compute(h);
        h->known = 1;
    }
    if (h->st != RF_OK && err) *err = h->error;
    return h->st;
}

void rf_file_hash_stop(rf_file_hash *h)
{
    if (!h->running) return;
    atomic_store(&h->cancel, 1);
    pthread_join(h->thread, NULL);
    h->running = 0;
}
