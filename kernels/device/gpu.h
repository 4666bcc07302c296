/* What the CUDA levels take as their `stream`, as the cpu level takes an rf_host: where to run, and
 * the one limit of the device that their tile choices read.  Filled by whoever opened the device;
 * an op only reads it. */
#ifndef RF_GPU_H
#define RF_GPU_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_gpu {
    void *stream;           /* a cudaStream_t; NULL under emulation: launches are done at once */
    int   shared_bytes_max; /* that a block may opt in to: 99 KiB on sm_86, sm_89 and sm_120, 163 on
                             * sm_80, 227 on sm_90 and sm_100 (CUDA C++ Programming Guide, table
                             * "Technical Specifications per Compute Capability") */
    const struct rf_choices *choices; /* of its class (kernels/choice/choice.h); NULL: rules hold */
    struct rf_vendor        *vendor;  /* kernels/device/vendor.h; NULL: no vendor level */
} rf_gpu;

#ifdef __cplusplus
}
#endif
#endif
