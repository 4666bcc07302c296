/* For parity tests: tiny experts made on the spot, recorded tensors to compare with, and a device
 * with memory that cleans up after itself at process end (each Criterion test is a process). */
#ifndef RF_TEST_GOLDEN_H
#define RF_TEST_GOLDEN_H

#include "engine/core/recorder.h"
#include "engine/core/tensors.h"

/* Writes the tiny checkpoint of `seed` (F32) into a fresh temporary folder; returns its path.  The
 * folder goes with remove_tiny. */
char *make_tiny(unsigned seed);
/* The same of any architecture and element type; "tiny-refiner" in F16. */
char *make_expert(const char *arch, unsigned seed, rf_filetype type);
void  remove_tiny(char *path); /* and frees it */

/* A recorded tensor of tests/golden/networks.safetensors, or of refiner.safetensors if its name
 * begins so, as f32; fails the test if it is missing.  `elems` may be NULL.  free() it. */
float   *golden_f32(const char *name, size_t *elems);
float   *conditioning_f32(const char *name, size_t *elems); /* of conditioning.safetensors */
float   *encoder_f32(const char *name, size_t *elems);      /* of vae_encoder.safetensors */
float   *taesd_f32(const char *name, size_t *elems);        /* of taesd.safetensors */
int32_t *golden_i32(const char *name, size_t *elems);
int      golden_has(const char *name);

/* |got - want| / |want| in the Euclidean norm, `got` in `dtype`. */
double relative_error(const void *got, rf_dtype dtype, const float *want, size_t elems);

/* Result of a call: address and number of elements. */
const void *call_result(const rf_op_call *call, size_t *elems);

/* Parity bounds.  f32: PyTorch's own f32 is within 1.2e-6 of the recorded f64, and 1e-4 would let a
 * prompt through that was encoded by the wrong expert; bf16: 3e-2, PyTorch's own being 1.5e-2. */
double parity_bound(rf_dtype dtype);

#endif
