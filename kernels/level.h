/* Levels: the implementations an op can have, from the plainest to the fastest. */
#ifndef RF_LEVEL_H
#define RF_LEVEL_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_level {
    RF_LEVEL_REF = 0, /* plain C, double accumulation: the specification and oracle */
    RF_LEVEL_CPU,     /* oneDNN and threaded loops on host memory */
    RF_LEVEL_SM80,    /* CUDA kernels for compute capability 8.0 and newer */
    RF_LEVEL_VENDOR,  /* NVIDIA's libraries: gemm by cuBLASLt, conv and attention by cuDNN */
    RF_LEVELS,
} rf_level;

static inline const char *rf_level_name(rf_level level)
{
    switch (level) {
    case RF_LEVEL_REF: return "ref";
    case RF_LEVEL_CPU: return "cpu";
    case RF_LEVEL_SM80: return "sm80";
    default: return "vendor";
    }
}

#ifdef __cplusplus
}
#endif
#endif
