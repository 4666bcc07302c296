/* What this x86-64 can do, and functions compiled for it.  For kernels/<op>/cpu*.c only.
 *
 * A kernel is written once as an RF_INLINE body; wrappers with the target attributes below make
 * the compiler vectorise it for each level.  rf_cpu_isa() asks the CPU on every call (the answer
 * is a few loads), so there is no dispatch state to initialise. */
#ifndef RF_CPU_ISA_H
#define RF_CPU_ISA_H

typedef enum rf_isa {
    RF_ISA_ANY = 0,     /* what the compiler's default target has (SSE2) */
    RF_ISA_AVX2,        /* with FMA and F16C: Haswell, Zen, and newer */
    RF_ISA_AVX512,      /* F, BW, DQ, VL: Skylake-X, Zen 4 */
    RF_ISA_AVX512_BF16, /* vdpbf16ps: Cooper Lake, Sapphire Rapids, Zen 4 */
} rf_isa;

#define RF_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define RF_TARGET_AVX2   __attribute__((target("avx2,fma,f16c")))
#define RF_TARGET_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#define RF_TARGET_AVX512_BF16                                                                      \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#else
#define RF_TARGET_AVX2
#define RF_TARGET_AVX512
#endif

static inline rf_isa rf_cpu_isa(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return RF_ISA_ANY;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return RF_ISA_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? RF_ISA_AVX512_BF16 : RF_ISA_AVX512;
#else
    return RF_ISA_ANY;
#endif
}

/* Defines `static void name params`, which runs `name_body args` compiled for the best level. */
#define RF_MULTIVERSION(name, params, args)                                                        \
    RF_TARGET_AVX2 static void name##_avx2 params                                                  \
    {                                                                                              \
        name##_body args;                                                                          \
    }                                                                                              \
    RF_TARGET_AVX512 static void name##_avx512 params                                              \
    {                                                                                              \
        name##_body args;                                                                          \
    }                                                                                              \
    static void name params                                                                        \
    {                                                                                              \
        const rf_isa isa_ = rf_cpu_isa();                                                          \
        if (isa_ >= RF_ISA_AVX512)                                                                 \
            name##_avx512 args;                                                                    \
        else if (isa_ >= RF_ISA_AVX2)                                                              \
            name##_avx2 args;                                                                      \
        else                                                                                       \
            name##_body args;                                                                      \
    }

#endif
