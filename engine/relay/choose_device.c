/* Which device an engine works on, and in which types; see engine.h.
 *
 * Names are taken apart before anything is opened, so that a wrong one is told without a GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/engine.h"
#include "kernels/host.h"

typedef enum choice { CPU, CUDA, EMULATED } choice;

typedef struct device_name {
    choice choice;
    int    ordinal; /* of a CUDA device */
} device_name;

/* "cuda" or "cuda:1". */
static rf_status parse_cuda(device_name *out, const char *name, rf_error *err)
{
    char      *end = NULL;
    const int  numbered = strncmp(name, "cuda:", 5) == 0 && name[5] >= '0' && name[5] <= '9';
    const long ordinal = numbered ? strtol(name + 5, &end, 10) : 0;
    if (numbered ? *end || ordinal > 1023 : strcmp(name, "cuda") != 0)
        return rf_fail(err, RF_E_ARG, "device is \"%s\"; it can be auto, cpu, cuda or cuda:N",
                       name);
    *out = (device_name){.choice = CUDA, .ordinal = (int)ordinal};
    return RF_OK;
}

static rf_status parse_device(device_name *out, const char *name, rf_error *err)
{
    *out = (device_name){.choice = CPU};
    if (!name || strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0) return RF_OK;
    if (strcmp(name, "emulated") != 0) return parse_cuda(out, name, err);
    out->choice = EMULATED;
    return RF_OK;
}

static rf_status parse_level(rf_level *out, const char *name, const device_name *device,
                             rf_error *err)
{
    *out = device->choice == CPU ? RF_LEVEL_CPU : RF_LEVEL_SM80;
    if (!name || (strcmp(name, "cpu") == 0 && device->choice == CPU)) return RF_OK;
    if (strcmp(name, "ref") != 0 || device->choice != CPU)
        return rf_fail(err, RF_E_ARG, "level is \"%s\"; it can be cpu or ref%s", name,
                       device->choice == CPU ? "" : ", and only on the device cpu");
    *out = RF_LEVEL_REF;
    return RF_OK;
}

/* dtype < 0: the device's own choice. */
static rf_status parse_dtype(int *out, const char *name, rf_error *err)
{
    static const rf_dtype types[] = {RF_F16, RF_BF16, RF_F32};
    *out = -1;
    if (!name || strcmp(name, "auto") == 0) return RF_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, rf_dtype_name(types[i])) == 0) {
            *out = (int)types[i];
            return RF_OK;
        }
    return rf_fail(err, RF_E_ARG, "dtype is \"%s\"; it can be auto, f16, bf16 or f32", name);
}

/* A type may be asked for that the kernels cannot compute: find out now, not while loading. */
static rf_status check_dtype(const rf_engine *e, rf_error *err)
{
    const rf_gemm_weight_shape shape = {.n = 64, .k = 64, .dtype = e->dtype, .wdtype = e->dtype};
    const char                *name = rf_dtype_name(e->dtype);
    const int                  gpu = e->device.ops->level == RF_LEVEL_SM80;
    size_t                     bytes = 0;
    if ((gpu || e->dtype != RF_F16) && /* of the host's levels only ref could, for tests */
        e->device.ops->gemm_pack_bytes(e->device.stream, &shape, &bytes) == RF_OK)
        return RF_OK;
    if (gpu)
        return rf_fail(err, RF_E_UNSUPPORTED,
                       "a GPU cannot compute in %s: use dtype f16 or bf16, or device cpu", name);
    return rf_fail(err, RF_E_UNSUPPORTED, "this CPU cannot compute in %s; use dtype %s", name,
                   e->dtype == RF_F16 ? "f32 or bf16, or a GPU" : "f32");
}

static void describe(rf_engine *e, rf_level level)
{
    const int   threads = rf_device_threads(&e->device);
    const char *plural = threads == 1 ? "" : "s";
    if (level == RF_LEVEL_SM80)
        snprintf(e->description, sizeof e->description, "%.130s, %d thread%s", e->device.name,
                 threads, plural);
    else
        snprintf(e->description, sizeof e->description, "cpu: %s, %d thread%s%s",
                 rf_host_cpu_name(e->device.stream), threads, plural,
                 level == RF_LEVEL_REF ? ", reference kernels" : "");
}

rf_status rf_engine_choose_device(rf_engine *e, const rf_options *o, rf_error *err)
{
    rf_status   st = RF_OK;
    device_name name;
    rf_level    level = RF_LEVEL_CPU;
    int         dtype = -1;
    RF_TRY(parse_device(&name, o->device, err));
    RF_TRY(parse_dtype(&dtype, o->dtype, err));
    RF_TRY(parse_level(&level, o->level, &name, err));
    switch (name.choice) {
    case CPU: st = rf_device_open_host(&e->device, o->threads, level, err); break;
    case CUDA: st = rf_device_open_cuda(&e->device, name.ordinal, o->threads, err); break;
    case EMULATED: st = rf_device_open_emulated(&e->device, o->threads, err); break;
    }
    if (st != RF_OK) goto done;
    const int gpu = level == RF_LEVEL_SM80;
    e->dtype = dtype >= 0 ? (rf_dtype)dtype : gpu ? RF_F16 : rf_host_native_dtype();
    e->vae_dtype = e->dtype == RF_F16 ? RF_BF16 : e->dtype;
    RF_TRY(check_dtype(e, err));
    describe(e, level);
done:
    return st;
}
