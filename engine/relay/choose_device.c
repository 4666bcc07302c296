/* Which device an engine works on, and in which types; see engine.h.
 *
 * Names are taken apart before anything is opened, so that a wrong one is told without a GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/engine.h"
#include "kernels/host.h"

typedef enum choice { AUTO, CPU, CUDA, EMULATED } choice;

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
    *out = (device_name){.choice = AUTO};
    if (!name || strcmp(name, "auto") == 0) return RF_OK;
    if (strcmp(name, "cpu") != 0 && strcmp(name, "emulated") != 0)
        return parse_cuda(out, name, err);
    out->choice = *name == 'c' ? CPU : EMULATED;
    return RF_OK;
}

/* Of the host: a GPU has one.  Who names a level means the host. */
static rf_status parse_level(rf_level *out, const char *name, device_name *device, rf_error *err)
{
    *out = RF_LEVEL_CPU;
    if (!name) return RF_OK;
    const int host = device->choice == AUTO || device->choice == CPU;
    if (!host || (strcmp(name, "cpu") != 0 && strcmp(name, "ref") != 0))
        return rf_fail(err, RF_E_ARG, "level is \"%s\"; it can be cpu or ref%s", name,
                       host ? "" : ", and only on the device cpu");
    if (strcmp(name, "ref") == 0) *out = RF_LEVEL_REF;
    device->choice = CPU;
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

/* A GPU that is there, or for plans alone one that is not. */
static rf_status open_cuda(rf_engine *e, int ordinal, const rf_options *o, rf_error *err)
{
    rf_error        why = {0};
    const rf_status st = rf_device_open_cuda(&e->device, ordinal, o->threads, &why);
    if (st == RF_OK || !o->plan_only) {
        if (st != RF_OK && err) *err = why;
        return st;
    }
    rf_warn(e, "planned for a CUDA GPU that cannot be used here: %s", why.message);
    return rf_device_open_plan(&e->device, err);
}

/* The first GPU that can be used, else the host.  Where there is none nobody need be told; where
 * one is of no use its owner wants to know why. */
static rf_status open_best(rf_engine *e, const rf_options *o, rf_error *err)
{
    rf_error why = {0};
    int      count = 1, noteworthy = 0;
    for (int i = 0; i < count; i++) {
        rf_device_gpu gpu;
        if (rf_device_find_cuda(&gpu, i, &count, &why) != RF_OK) {
            noteworthy = gpu.driver_fails || count > 0;
            break;
        }
        if (rf_device_open_cuda(&e->device, i, o->threads, &why) == RF_OK) return RF_OK;
        noteworthy = 1;
    }
    if (noteworthy) rf_warn(e, "the CPU renders, no GPU can be used: %s", why.message);
    return rf_device_open_host(&e->device, o->threads, RF_LEVEL_CPU, err);
}

static void describe(rf_engine *e, rf_level level)
{
    const int   threads = rf_device_threads(&e->device);
    const char *plural = threads == 1 ? "" : "s";
    if (rf_device_only_plans(&e->device))
        snprintf(e->description, sizeof e->description, "%s", e->device.name);
    else if (!rf_device_on_host(&e->device))
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
    if (name.choice == AUTO && dtype == RF_F32) name.choice = CPU; /* GPUs have no such kernels */
    switch (name.choice) {
    case AUTO: st = open_best(e, o, err); break;
    case CPU: st = rf_device_open_host(&e->device, o->threads, level, err); break;
    case CUDA: st = open_cuda(e, name.ordinal, o, err); break;
    case EMULATED: st = rf_device_open_emulated(&e->device, o->threads, err); break;
    }
    if (st != RF_OK) goto done;
    const int gpu = !rf_device_on_host(&e->device);
    e->dtype = dtype >= 0 ? (rf_dtype)dtype : gpu ? RF_F16 : rf_host_native_dtype();
    e->vae_dtype = e->dtype == RF_F16 ? RF_BF16 : e->dtype;
    RF_TRY(check_dtype(e, err));
    describe(e, level);
done:
    return st;
}

rf_status rf_gpu_get_info(int ordinal, rf_gpu_info *out, int *count, rf_error *err)
{
    rf_device_gpu   gpu;
    const rf_status st = rf_device_find_cuda(&gpu, ordinal, count, err);
    *out = (rf_gpu_info){
        .major = gpu.major, .minor = gpu.minor, .memory_bytes = (uint64_t)gpu.memory_bytes};
    snprintf(out->name, sizeof out->name, "%s", gpu.name);
    rf_make_printable(out->name);
    if (gpu.refused.status != RF_OK)
        snprintf(out->refused, sizeof out->refused, "%s", gpu.refused.message);
    return st;
}
