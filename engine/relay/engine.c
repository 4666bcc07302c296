/* Engines: a device, a tokenizer, the noise table; see refinery.h. */
#include "engine/relay/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/ranges.h"
#include "kernels/host.h"

const char *rf_version(void)
{
    return RF_VERSION;
}

static rf_status pick_dtype(rf_dtype *out, const char *name, rf_error *err)
{
    if (!name || strcmp(name, "auto") == 0)
        *out = rf_host_native_dtype();
    else if (strcmp(name, "bf16") == 0)
        *out = RF_BF16;
    else if (strcmp(name, "f32") == 0)
        *out = RF_F32;
    else
        return rf_fail(err, RF_E_ARG, "dtype is \"%s\"; it can be auto, bf16 or f32", name);
    return RF_OK;
}

static rf_status pick_level(rf_level *out, const char *name, rf_error *err)
{
    *out = RF_LEVEL_CPU;
    if (!name || strcmp(name, "cpu") == 0) return RF_OK;
    if (strcmp(name, "ref") != 0)
        return rf_fail(err, RF_E_ARG, "level is \"%s\"; it can be cpu or ref", name);
    *out = RF_LEVEL_REF;
    return RF_OK;
}

/* "cuda" or "cuda:1".  What keeps a GPU from starting is the user's to know already; what lies
 * above the device still reads and writes its memory as the host's, so no engine is made on one. */
static rf_status refuse_cuda(const char *name, rf_error *err)
{
    rf_device  device;
    char      *end = NULL;
    const int  numbered = strncmp(name, "cuda:", 5) == 0 && name[5] >= '0' && name[5] <= '9';
    const long ordinal = numbered ? strtol(name + 5, &end, 10) : 0;
    if (numbered ? *end || ordinal > 1023 : strcmp(name, "cuda") != 0)
        return rf_fail(err, RF_E_ARG, "device is \"%s\"; it can be auto, cpu, cuda or cuda:N",
                       name);
    const rf_status st = rf_device_open_cuda(&device, (int)ordinal, 0, err);
    if (st != RF_OK) return st;
    rf_fail(err, RF_E_UNSUPPORTED,
            "%s is ready, but this version of refinery renders on the CPU alone: use --device cpu",
            device.name);
    rf_device_close(&device);
    return RF_E_UNSUPPORTED;
}

/* bf16 may be asked for where the kernels cannot compute it: find out now, not while loading. */
static rf_status check_dtype(rf_engine *e, rf_error *err)
{
    const rf_gemm_weight_shape shape = {.n = 64, .k = 64, .dtype = e->dtype, .wdtype = e->dtype};
    size_t                     bytes = 0;
    if (e->device.ops->gemm_pack_bytes(e->device.stream, &shape, &bytes) == RF_OK) return RF_OK;
    return rf_fail(err, RF_E_UNSUPPORTED, "this CPU cannot compute in %s; use dtype f32",
                   rf_dtype_name(e->dtype));
}

rf_status rf_engine_create(rf_engine **out, const rf_options *options, rf_error *err)
{
    const rf_options defaults = {0};
    const rf_options o = options ? *options : defaults;
    rf_status        st = RF_OK;
    rf_level         level = RF_LEVEL_CPU;
    rf_engine       *e = NULL;
    *out = NULL;

    if (o.device && strcmp(o.device, "auto") != 0 && strcmp(o.device, "cpu") != 0)
        return refuse_cuda(o.device, err);
    if (o.threads < 0 || o.threads > 1024)
        return rf_fail(err, RF_E_ARG, "threads is %d; it can be 0 (one per core) to 1024",
                       o.threads);
    e = calloc(1, sizeof *e);
    if (!e) return rf_fail(err, RF_E_NOMEM, "engine: out of memory");
    pthread_mutex_init(&e->hash_turn, NULL);
    e->warn = o.warn;
    e->user = o.user;
    e->memory = o.memory;
    RF_TRY(pick_dtype(&e->dtype, o.dtype, err));
    RF_TRY(pick_level(&level, o.level, err));
    RF_TRY(rf_device_open_host(&e->device, o.threads, level, err));
    RF_TRY(check_dtype(e, err));
    RF_TRY(rf_tokenizer_create(&e->tokenizer, err));
    rf_sigma_table_init(&e->table);
    if (o.hash_cache) {
        e->hash_cache = strdup(o.hash_cache);
        if (!e->hash_cache) {
            st = rf_fail(err, RF_E_NOMEM, "engine: out of memory");
            goto done;
        }
    }
    snprintf(e->description, sizeof e->description, "cpu: %s, %d thread%s%s",
             rf_host_cpu_name(e->device.stream), rf_device_threads(&e->device),
             rf_device_threads(&e->device) == 1 ? "" : "s",
             level == RF_LEVEL_REF ? ", reference kernels" : "");
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
