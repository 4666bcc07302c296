/* See golden.h. */
#include "tests/model/golden.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/safetensors.h"
#include "engine/files/synth.h"

char *make_tiny(unsigned seed)
{
    return make_expert("tiny", seed, RF_FILE_F32);
}

char *make_expert(const char *arch, unsigned seed, rf_filetype type)
{
    char                   folder[] = "/tmp/refinery-test-XXXXXX";
    char                  *path = NULL;
    rf_error               err = {0};
    const rf_synth_options options = {.arch = arch, .seed = seed, .type = type};
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_gt(asprintf(&path, "%s/%s%u.safetensors", folder, arch, seed), 0);
    cr_assert_eq(rf_synth_write(path, &options, &err), RF_OK, "%s", err.message);
    return path;
}

void remove_tiny(char *path)
{
    unlink(path);
    rmdir(dirname(path));
    free(path);
}

/* The file that records a tensor of that name. */
static const char *recorded_in(const char *name)
{
    return strncmp(name, "refiner.", 8) == 0 ? "tests/golden/refiner.safetensors"
                                             : "tests/golden/networks.safetensors";
}

static rf_safetensors *golden_file(const char *path)
{
    rf_safetensors *file = NULL;
    rf_error        err = {0};
    cr_assert_eq(rf_safetensors_open(&file, path, &err), RF_OK, "%s", err.message);
    return file;
}

int golden_has(const char *name)
{
    rf_safetensors *file = golden_file(recorded_in(name));
    const int       has = rf_tensors_find(rf_safetensors_list(file), name) != NULL;
    rf_safetensors_close(file);
    return has;
}

static void *read_golden(const char *path, const char *name, rf_filetype type, size_t *elems)
{
    rf_safetensors   *file = golden_file(path);
    const rf_tensors *list = rf_safetensors_list(file);
    const rf_tensor  *t = rf_tensors_find(list, name);
    rf_error          err = {0};
    cr_assert_not_null(t, "golden tensor %s is missing", name);
    cr_assert_eq(t->type, type, "golden tensor %s has another type", name);
    void *data = malloc(t->bytes);
    cr_assert_not_null(data);
    cr_assert_eq(list->read(list, t, 0, data, t->bytes, &err), RF_OK, "%s", err.message);
    if (elems) *elems = t->elems;
    rf_safetensors_close(file);
    return data;
}

float *conditioning_f32(const char *name, size_t *elems)
{
    return read_golden("tests/golden/conditioning.safetensors", name, RF_FILE_F32, elems);
}

float *encoder_f32(const char *name, size_t *elems)
{
    return read_golden("tests/golden/vae_encoder.safetensors", name, RF_FILE_F32, elems);
}

float *taesd_f32(const char *name, size_t *elems)
{
    return read_golden("tests/golden/taesd.safetensors", name, RF_FILE_F32, elems);
}

float *golden_f32(const char *name, size_t *elems)
{
    return read_golden(recorded_in(name), name, RF_FILE_F32, elems);
}

int32_t *golden_i32(const char *name, size_t *elems)
{
    return read_golden(recorded_in(name), name, RF_FILE_I32, elems);
}

double relative_error(const void *got, rf_dtype dtype, const float *want, size_t elems)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < elems; i++) {
        const double d = (double)rf_load(got, dtype, i) - (double)want[i];
        difference += d * d;
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / size); /* NaN, and so no pass, if anything is */
}

const void *call_result(const rf_op_call *call, size_t *elems)
{
    *elems = 0;
    switch (call->kind) {
    case RF_OP_GEMM: {
        const rf_gemm_args *a = &call->args.gemm;
        *elems = (size_t)a->m * (size_t)(a->act == RF_ACT_GEGLU ? a->n / 2 : a->n);
        return a->y;
    }
    case RF_OP_CONV: {
        const rf_conv_args *a = &call->args.conv;
        *elems = (size_t)a->n * (size_t)rf_conv_out(a->kind, a->h) *
                 (size_t)rf_conv_out(a->kind, a->w) * (size_t)a->cout;
        return a->y;
    }
    case RF_OP_RESIZE: {
        const rf_resize_args *a = &call->args.resize;
        *elems = (size_t)a->n * (size_t)a->ho * (size_t)a->wo * (size_t)a->c;
        return a->y;
    }
    default: return NULL;
    }
}

double parity_bound(rf_dtype dtype)
{
    return dtype == RF_F32 ? 1e-5 : 3e-2;
}
