/* Hashing in the background; see file_hash.h. */
#include "engine/relay/file_hash.h"

#include <time.h>

/* Another file's turn takes as long as that file: who waits for it must still hear a cancel. */
static int take_turn(rf_file_hash *h)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    while (pthread_mutex_trylock(h->turn) != 0) {
        if (atomic_load(&h->cancel)) return 0;
        nanosleep(&pause, NULL);
    }
    return 1;
}

static void compute(rf_file_hash *h)
{
    if (!take_turn(h)) {
        h->st = rf_fail(&h->error, RF_E_CANCELLED, "%s: hashing was cancelled", h->path);
        return;
    }
    h->st = (h->body ? rf_file_body_sha256 : rf_model_file_sha256)(h->hex, h->path, h->cache,
                                                                   &h->cancel, &h->error);
    pthread_mutex_unlock(h->turn);
}

static void *work(void *arg)
{
    rf_file_hash *h = arg;
    compute(h);
    atomic_store(&h->finished, 1);
    return NULL;
}

void rf_file_hash_start(rf_file_hash *h)
{
    if (h->known || h->running) return;
    atomic_store(&h->cancel, 0);
    atomic_store(&h->finished, 0);
    h->running = pthread_create(&h->thread, NULL, work, h) == 0;
}

int rf_file_hash_pending(rf_file_hash *h)
{
    return h->running && !atomic_load(&h->finished);
}

/* Pauses that grow: a small file does not wait for the clock, nor a large one's thread for us. */
static rf_status ask_meanwhile(rf_file_hash *h, int (*stop)(void *user), void *user, rf_error *err)
{
    enum { LONGEST_NS = 50000000 };
    struct timespec pause = {.tv_nsec = 500000};
    rf_file_hash_start(h);
    while (rf_file_hash_pending(h)) {
        if (stop(user)) {
            rf_file_hash_stop(h);
            return rf_fail(err, RF_E_CANCELLED, "%s: hashing was cancelled", h->path);
        }
        nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec < LONGEST_NS / 2 ? 2 * pause.tv_nsec : LONGEST_NS;
    }
    return RF_OK;
}

rf_status rf_file_hash_wait(rf_file_hash *h, int (*stop)(void *user), void *user, rf_error *err)
{
    if (stop && ask_meanwhile(h, stop, user, err) != RF_OK) return RF_E_CANCELLED;
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
