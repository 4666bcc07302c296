/* Opening experts; see experts.h.  Files are told apart by what they are (device and inode), not by
 * how they are called. */
#include "tools/experts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cache_path.h"

rf_status rf_experts_begin(rf_experts *x, const rf_request *request, const char *dtype,
                           void (*warn)(void *user, const char *message),
                           void (*trace)(void *user, const char *text, size_t bytes), void *user,
                           rf_trouble *trouble)
{
    const char *device = request->device, *wanted = request->dtype;
    *x = (rf_experts){.count = 0};
    x->hash_cache = rf_cache_path_sha256();
    const rf_options options = {
        .device = device && strcmp(device, "auto") != 0 ? device : NULL,
        .dtype = wanted && strcmp(wanted, "auto") != 0 ? wanted : dtype,
        .plan_only = request->dry_run,
        .strict = request->strict,
        .threads = request->threads,
        .memory = request->memory,
        .kv_pool = request->kv_pool,
        .hash_cache = x->hash_cache,
        .warn = warn,
        .trace = trace,
        .user = user,
        .profile_first = request->profile_steps[0],
        .profile_last = request->profile_steps[1],
    };
    return rf_engine_create(&x->engine, &options, &trouble->error);
}

void rf_experts_say_device(const rf_experts *x, const rf_request *request, rf_console *console)
{
    char        message[256];
    const char *device = request->device, *progress = request->progress;
    if (request->dry_run || (device && strcmp(device, "auto") != 0)) return;
    if (progress && strcmp(progress, "json") == 0) return; /* machines read stderr */
    snprintf(message, sizeof message, "on %s, %s", rf_engine_device(x->engine),
             rf_engine_dtype(x->engine));
    rf_console_note(console, message);
}

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static rf_status make_room(rf_experts *x, rf_error *err)
{
    if (x->count < x->room) return RF_OK;
    const int   room = x->room ? 2 * x->room : 8;
    rf_expert **more = realloc(x->expert, (size_t)room * sizeof(rf_expert *));
    if (more) x->expert = more;
    const char **asked = realloc(x->prediction, (size_t)room * sizeof(const char *));
    if (asked) x->prediction = asked;
    if (!more || !asked) return rf_fail(err, RF_E_NOMEM, "no memory for %d experts", room);
    x->room = room;
    return RF_OK;
}

static int same_prediction(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

rf_status rf_experts_open(rf_experts *x, const char *path, const char *prediction, rf_expert **out,
                          rf_error *err)
{
    rf_status st = RF_OK;
    *out = NULL;
    for (int i = 0; i < x->count; i++)
        if (same_prediction(x->prediction[i], prediction) &&
            same_file(rf_expert_path(x->expert[i]), path)) {
            *out = x->expert[i];
            return RF_OK;
        }
    RF_TRY(make_room(x, err));
    RF_TRY(rf_expert_open(out, x->engine, path, err));
    x->prediction[x->count] = prediction;
    x->expert[x->count++] = *out;
    if (prediction) RF_TRY(rf_expert_set_prediction(*out, prediction, err));
done:
    return st;
}

void rf_experts_end(rf_experts *x)
{
    while (x->count > 0) rf_expert_close(x->expert[--x->count]);
    free(x->expert);
    free(x->prediction);
    rf_engine_destroy(x->engine);
    free(x->hash_cache);
    *x = (rf_experts){.count = 0};
}
