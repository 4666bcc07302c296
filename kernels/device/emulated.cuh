/* What kernels see of CUDA when a host compiler reads them: keywords, built-in variables, vector
 * types, and the calls into the emulated device that ptx.cuh makes.
 *
 * Declarations only.  The machine behind them is tests/emulator/; nothing of it is in the library.
 * Included by gpu.cuh alone. */
#ifndef RF_EMULATED_CUH
#define RF_EMULATED_CUH

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

namespace emu
{
/* Constant as long as a thread lives, so the compiler may keep them in registers. */
uint3          thread_index() __attribute__((const));
uint3          block_index() __attribute__((const));
dim3           block_size() __attribute__((const));
dim3           grid_size() __attribute__((const));
unsigned char *shared_memory() __attribute__((const));
int            planted_defect() __attribute__((const)); /* emu_settings.defect */

void     barrier();
void     warp_barrier(uint32_t mask);
uint32_t shuffle(uint32_t mask, uint32_t value, int source_lane);
uint32_t ballot(uint32_t mask, int predicate);
int      lane() __attribute__((const));

uint32_t shared_address(const void *p);
void     ldmatrix(uint32_t *r, int matrices, bool transposed, uint32_t row_s);
enum class Operand { F16, BF16 };
void mma_m16n8k16(float *d, const uint32_t *a, const uint32_t *b, Operand type);
void cp_async(uint32_t dst_s, const void *src_g, int bytes, int valid_bytes);
void cp_async_commit();
void cp_async_wait(int groups_left);
void global_load_16(void *dst, const void *src_g);
void global_store_16(void *dst_g, const void *src);
void global_store_same(int32_t *dst_g, int32_t value);

struct Launch {
    void (*entry)(void *bound); /* runs one thread's share of the kernel */
    void  *bound;
    size_t bound_bytes; /* kernel parameters lie there: readable, not writable */
    dim3   grid;
    int    threads, shared_bytes, shared_limit;
    void  *stream; /* of the runtime's stand-in, done when somebody waits; NULL: done at once */
};
rf_status launch(const Launch &l);

template <class Args> struct Bound {
    void (*kernel)(Args);
    Args args;
};

/* Static: kernels of two files may name different structs alike, and a linker would keep one. */
template <class Args> static void enter(void *bound)
{
    auto *b = static_cast<Bound<Args> *>(bound);
    b->kernel(b->args);
}

template <class Args>
static rf_status launch(void (*kernel)(Args), dim3 grid, int threads, int shared_bytes,
                        int shared_limit, void *stream, const Args &args)
{
    Bound<Args> bound{kernel, args};
    return launch(Launch{enter<Args>, &bound, sizeof bound, grid, threads, shared_bytes,
                         shared_limit, stream});
}
} // namespace emu

#define threadIdx (::emu::thread_index())
#define blockIdx  (::emu::block_index())
#define blockDim  (::emu::block_size())
#define gridDim   (::emu::grid_size())

/* CUDA's functions that the host's library lacks. */
inline double cospi(double x)
{
    return cos(3.1415926535897932 * x);
}
inline double sinpi(double x)
{
    return sin(3.1415926535897932 * x);
}

inline __attribute__((always_inline)) void __syncthreads()
{
    emu::barrier();
}
inline __attribute__((always_inline)) void __syncwarp(unsigned mask = 0xFFFFFFFFu)
{
    emu::warp_barrier(mask);
}

#endif
