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
    RF_LEVELS,
} rf_level;

static inline const char *rf_level_name(rf_level level)
{
    return level == RF_LEVEL_REF ? "ref" : level == RF_LEVEL_CPU ? "cpu" : "sm80";
}

#ifdef __cplusplus
}
#endif
#endif
