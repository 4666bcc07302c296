/* Engines: a device, a tokenizer, the noise table; see refinery.h. */
#include "engine/relay/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/kv_pool.h"
#include "engine/relay/ranges.h"

const char *rf_version(void)
{
    return RF_VERSION;
}

rf_status rf_engine_create(rf_engine **out, const rf_options *options, rf_error *err)
{
    const rf_options defaults = {0};
    const rf_options o = options ? *options : defaults;
    rf_status        st = RF_OK;
    rf_engine       *e = NULL;
    *out = NULL;

    if (o.threads < 0 || o.threads > 1024)
        return rf_fail(err, RF_E_ARG, "threads is %d; it can be 0 (one per core) to 1024",
                       o.threads);
    e = calloc(1, sizeof *e);
    if (!e) return rf_fail(err, RF_E_NOMEM, "engine: out of memory");
    pthread_mutex_init(&e->hash_turn, NULL);
    e->warn = o.warn;
    e->user = o.user;
    e->memory = o.memory;
    e->plan_only = o.plan_only;
    e->strict = o.strict;
    e->kv_pool = o.kv_pool ? o.kv_pool : (uint64_t)RF_KV_POOL_MIB << 20;
    RF_TRY(rf_engine_choose_device(e, &o, err));
    RF_TRY(rf_tokenizer_create(&e->tokenizer, err));
    rf_sigma_table_init(&e->table);
    if (o.hash_cache) {
        e->hash_cache = strdup(o.hash_cache);
        if (!e->hash_cache) {
            st = rf_fail(err, RF_E_NOMEM, "engine: out of memory");
            goto done;
        }
    }
    RF_TRY(rf_ranges_open(e, &o, err));
    *out = e;
    e = NULL;
done:
    rf_engine_destroy(e);
    return st;
}

void rf_engine_destroy(rf_engine *engine)
{
    if (!engine) return;
    rf_tokenizer_destroy(engine->tokenizer);
    rf_ranges_close(engine);
    rf_device_close(&engine->device);
    pthread_mutex_destroy(&engine->hash_turn);
    free(engine->hash_cache);
    free(engine);
}

const char *rf_engine_device(const rf_engine *engine)
{
    return engine->description;
}

int rf_engine_is_assumed(const rf_engine *engine)
{
    return rf_device_only_plans(&engine->device);
}

const char *rf_engine_dtype(const rf_engine *engine)
{
    return rf_dtype_name(engine->dtype);
}

void rf_warn(const rf_engine *engine, const char *format, ...)
{
    if (!engine->warn) return;
    char    message[RF_ERROR_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    rf_make_printable(message);
    engine->warn(engine->user, message);
}
