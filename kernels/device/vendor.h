/* NVIDIA's libraries, opened by name when they are wanted: nothing links against them, and a
 * machine without them says so in one sentence.
 *
 * The vendor level's ops find one of these in their rf_gpu, and beside it the choice table that
 * pins their algorithms: an op without a row of its own there is RF_E_UNSUPPORTED, since an
 * algorithm that the library chose by itself could depend on the batch.  What an op could not do is
 * said by rf_vendor_why. */
#ifndef RF_VENDOR_H
#define RF_VENDOR_H

#include <stddef.h>

#include "kernels/attention/attention.h"
#include "kernels/choice/choice.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_vendor rf_vendor;

/* Without any library yet.  RF_E_NOMEM. */
rf_status rf_vendor_create(rf_vendor **out, rf_error *err);
void      rf_vendor_destroy(rf_vendor *vendor); /* NULL is fine */

/* Opens a library for the calling thread's GPU.  `file` NULL: under its usual names.
 * RF_E_UNSUPPORTED: it is not there, lacks a function or is too old; RF_E_DEVICE: it is, and does
 * not start. */
rf_status rf_vendor_open_cublaslt(rf_vendor *vendor, const char *file, rf_error *err);
rf_status rf_vendor_open_cudnn(rf_vendor *vendor, const char *file, rf_error *err);

/* cuDNN for a GPU that need not be here, in cuDNN's description of it (JSON): plans can be made and
 * not run. */
rf_status rf_vendor_open_cudnn_for(rf_vendor *vendor, const char *file, const char *gpu_json,
                                   rf_error *err);

/* Versions of what is open, as in a choice table; 0: not open. */
size_t rf_vendor_cublaslt_version(const rf_vendor *vendor);
size_t rf_vendor_cudnn_version(const rf_vendor *vendor);

/* Opens what the vendor rows of `choices` need; nothing if it has none.  RF_E_UNSUPPORTED also if
 * a library is of another version than they were checked with. */
rf_status rf_vendor_open_for(rf_vendor *vendor, const rf_choices *choices, rf_error *err);

/* Why the last call of an op failed, a sentence; "" if none did. */
const char *rf_vendor_why(const rf_vendor *vendor);

/* ---- for bench ---------------------------------------------------------------------------- */

/* Algorithms for a call, the library's favourite first: rows that name it by key, level and
 * configuration.  Only such as compute in a fixed order and in f32: none that split k, none that
 * are said to be nondeterministic.  At most `most`; *count is how many. */
rf_status rf_gemm_list_vendor(void *stream, const rf_gemm_args *a, rf_choice *out, int most,
                              int *count);
rf_status rf_conv_list_vendor(void *stream, const rf_conv_args *a, rf_choice *out, int most,
                              int *count);
rf_status rf_attention_list_vendor(void *stream, const rf_attention_args *a, rf_choice *out,
                                   int most, int *count);

#ifdef __cplusplus
}
#endif
#endif
