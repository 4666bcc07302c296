/* attention with mma.sync: flash attention, 16-bit storage, f32 scores, softmax and accumulation.
 *
 *   sm80_attention_tiles.h   which tile
 *   sm80_softmax.cuh         what the kernels share: tiles, online softmax
 *   sm80_narrow.cuh          heads of up to 64: UNet, text encoders
 *   sm80_wide.cuh            heads of up to 512: the VAE
 *
 * A block has some queries of one head of one sample and walks all of its keys, 64 at a time, in
 * order: nothing is split over keys, and a row's bytes depend neither on the batch nor on the tile.
 * Lengths that are no multiple of a tile are filled with zeros on the way in and masked. */
#include "kernels/attention/attention.h"

#include "kernels/attention/sm80_attention_tiles.h"
#include "kernels/attention/sm80_narrow.cuh"
#include "kernels/attention/sm80_wide.cuh"
#include "kernels/choice/choice_keys.h"

typedef wide_shape<1, 3> wide_tile;
typedef wide_shape<2, 4> deep_tile;

static dim3 grid_of(const rf_attention_args *a, int rows)
{
    return dim3((unsigned)((a->sq + rows - 1) / rows), (unsigned)a->heads, (unsigned)a->n);
}

template <class T, int M>
static rf_status launch_narrow(const rf_gpu *gpu, const rf_attention_args *a)
{
    typedef narrow_shape<M> S;
    return rf_launch(attention_narrow_kernel<T, M>, grid_of(a, S::ROWS), NARROW_THREADS,
                     S::SHARED_BYTES, gpu, *a);
}

template <class T, class S>
static rf_status launch_wide(const rf_gpu *gpu, const rf_attention_args *a)
{
    return rf_launch(attention_wide_kernel<T, S>, grid_of(a, WIDE_ROWS), WIDE_THREADS,
                     S::SHARED_BYTES, gpu, *a);
}

/* The table's tile where it names one that fits, or the rule's: the bytes are the same. */
static int tile_of(const rf_gpu *gpu, const rf_attention_args *a)
{
    const rf_choice_key key = rf_attention_choice_key(a);
    const int           rule = rf_attention_tile_sm80(a->sq, a->d, gpu->shared_bytes_max);
    const int           tile = rf_choose_tile(gpu->choices, &key, RF_ATTENTION_TILES, rule);
    return rf_attention_tile_fits(tile, a->d, gpu->shared_bytes_max) ? tile : rule;
}

template <class T> static rf_status launch_type(const rf_gpu *gpu, const rf_attention_args *a)
{
    switch (tile_of(gpu, a)) {
    case RF_ATTENTION_SMALL: return launch_narrow<T, 1>(gpu, a);
    case RF_ATTENTION_TALL: return launch_narrow<T, 2>(gpu, a);
    case RF_ATTENTION_WIDE: return launch_wide<T, wide_tile>(gpu, a);
    default: return launch_wide<T, deep_tile>(gpu, a);
    }
}

extern "C" rf_status rf_attention_sm80(void *stream, const rf_attention_args *a)
{
    const rf_gpu   *gpu = (const rf_gpu *)stream;
    size_t          unused;
    const rf_status st = rf_attention_prepare_sm80(stream, a, &unused);
    if (st != RF_OK) return st;
    const int keys_aligned =
        a->table ? rf_aligned_16(a->table) : rf_aligned_16(a->k) && rf_aligned_16(a->v);
    if (!keys_aligned || !rf_aligned_16(a->q) || !rf_aligned_16(a->o)) return RF_E_SHAPE;
    return a->dtype == RF_F16 ? launch_type<f16>(gpu, a) : launch_type<bf16>(gpu, a);
}
