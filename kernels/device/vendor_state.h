/* What the files of the vendor level share: the open libraries of an rf_vendor. */
#ifndef RF_VENDOR_STATE_H
#define RF_VENDOR_STATE_H

#include "kernels/device/gpu.h"
#include "kernels/device/vendor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_VENDOR_WHY = 320 };

struct rf_vendor {
    char   why[RF_VENDOR_WHY];
    void  *cublaslt, *cudnn; /* of gemm/vendor.c and device/cudnn.c; NULL: not open */
    size_t cublaslt_version, cudnn_version;
    void (*close_cublaslt)(void *library);
    void (*close_cudnn)(void *library);
};

/* Writes down why an op failed and returns `status`.  NULL for the vendor is fine. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
rf_status
rf_vendor_fail(rf_vendor *vendor, rf_status status, const char *format, ...);

/* The vendor's row of a call in the table of `gpu`.  RF_E_UNSUPPORTED if there is none. */
rf_status rf_vendor_row(const rf_gpu *gpu, const rf_choice_key *key, const rf_choice **out);

/* A function of a library by name: where its address goes in the caller's table. */
typedef struct rf_symbol {
    const char *name;
    size_t      offset;
} rf_symbol;

/* Opens `file`, or the first of `usual` (ended by NULL) that is there, and fills `table`.  *out is
 * NULL on failure; close with rf_library_close. */
rf_status rf_library_open(void **out, const char *file, const char *const usual[],
                          const rf_symbol *symbols, size_t count, void *table, rf_error *err);
void      rf_library_close(void *library); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
