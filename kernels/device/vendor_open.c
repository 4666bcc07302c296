/* The open libraries of the vendor level; see vendor.h. */
#include "kernels/device/vendor.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device/vendor_state.h"

/* ---- libraries by name -------------------------------------------------------------------- */

static void *open_first(const char *file, const char *const usual[], const char **name)
{
    void *library = NULL;
    if (file) {
        *name = file;
        return dlopen(file, RTLD_NOW | RTLD_LOCAL);
    }
    for (int i = 0; usual[i] && !library; i++)
        library = dlopen(*name = usual[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) *name = usual[0];
    return library;
}

rf_status rf_library_open(void **out, const char *file, const char *const usual[],
                          const rf_symbol *symbols, size_t count, void *table, rf_error *err)
{
    const char *name = NULL;
    *out = NULL;
    void *library = open_first(file, usual, &name);
    if (!library)
        return rf_fail(err, RF_E_UNSUPPORTED,
                       "the vendor level needs %s, which this machine does not have or cannot "
                       "load: install it, or put its folder in LD_LIBRARY_PATH",
                       name);
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address) {
            dlclose(library);
            return rf_fail(err, RF_E_UNSUPPORTED,
                           "%s has no %s: it is too old for the vendor level, install a newer one",
                           name, symbols[i].name);
        }
        memcpy((char *)table + symbols[i].offset, &address, sizeof address);
    }
    *out = library;
    return RF_OK;
}

void rf_library_close(void *library)
{
    if (library) dlclose(library);
}

/* ---- the vendor --------------------------------------------------------------------------- */

rf_status rf_vendor_create(rf_vendor **out, rf_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? RF_OK : rf_fail(err, RF_E_NOMEM, "vendor: out of memory");
}

void rf_vendor_destroy(rf_vendor *vendor)
{
    if (!vendor) return;
    if (vendor->cublaslt) vendor->close_cublaslt(vendor->cublaslt);
    if (vendor->cudnn) vendor->close_cudnn(vendor->cudnn);
    free(vendor);
}

size_t rf_vendor_cublaslt_version(const rf_vendor *vendor)
{
    return vendor->cublaslt_version;
}

size_t rf_vendor_cudnn_version(const rf_vendor *vendor)
{
    return vendor->cudnn_version;
}

static rf_status check_version(const char *library, size_t have, size_t want, rf_error *err)
{
    if (have == want) return RF_OK;
    return rf_fail(err, RF_E_UNSUPPORTED,
                   "%s is version %zu, and the choice table pins algorithms of version %zu: "
                   "install that one",
                   library, have, want);
}

rf_status rf_vendor_open_for(rf_vendor *vendor, const rf_choices *choices, rf_error *err)
{
    int       gemm = 0, dnn = 0;
    rf_status st = RF_OK;
    for (size_t i = 0; i < choices->count; i++)
        if (choices->row[i].level == RF_LEVEL_VENDOR)
            *(choices->row[i].key.op == RF_CHOICE_GEMM ? &gemm : &dnn) = 1;
    if (gemm) {
        if (!vendor->cublaslt) RF_TRY(rf_vendor_open_cublaslt(vendor, NULL, err));
        RF_TRY(check_version("cuBLASLt", vendor->cublaslt_version, choices->cublaslt, err));
    }
    if (dnn) {
        if (!vendor->cudnn) RF_TRY(rf_vendor_open_cudnn(vendor, NULL, err));
        RF_TRY(check_version("cuDNN", vendor->cudnn_version, choices->cudnn, err));
    }
done:
    return st;
}

const char *rf_vendor_why(const rf_vendor *vendor)
{
    return vendor->why;
}

rf_status rf_vendor_fail(rf_vendor *vendor, rf_status status, const char *format, ...)
{
    if (!vendor) return status;
    va_list args;
    va_start(args, format);
    vsnprintf(vendor->why, sizeof vendor->why, format, args);
    va_end(args);
    return status;
}

rf_status rf_vendor_row(const rf_gpu *gpu, const rf_choice_key *key, const rf_choice **out)
{
    const rf_choice *row = rf_choose(gpu->choices, key);
    *out = row;
    if (row && row->level == RF_LEVEL_VENDOR) return RF_OK;
    const char *variant = rf_choice_variant_name(key->op, key->variant);
    return rf_vendor_fail(gpu->vendor, RF_E_UNSUPPORTED,
                          "the choice table pins no vendor algorithm for %s %s %s %d %d %d %d",
                          rf_choice_op_name(key->op), rf_dtype_name(key->dtype),
                          variant ? variant : "?", key->n, key->k, key->h, key->w);
}
