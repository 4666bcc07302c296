/* NVTX, by which NVIDIA's profilers learn of ranges.
 *
 * The linker decides, as about CUDA: trace_nvtx.c where the build found NVTX's headers,
 * trace_no_nvtx.c elsewhere.  NVTX asks the environment for a profiler's library, once per process,
 * and keeps its functions in variables of its own: the engine's only ones, in that one object. */
#ifndef RF_TRACE_NVTX_H
#define RF_TRACE_NVTX_H

/* The domain "refinery", whose categories are called names[0 .. count-1] and numbered from 1.
 * NULL: no profiler listens. */
void *rf_nvtx_open(const char *const *names, int count);
void  rf_nvtx_close(void *domain); /* NULL is fine */

/* Ranges of the calling thread; `category` counts from 0 here.  The name is copied. */
void rf_nvtx_push(void *domain, int category, const char *name);
void rf_nvtx_pop(void *domain);

#endif
