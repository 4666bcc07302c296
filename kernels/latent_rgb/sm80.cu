/* latent_rgb: a thread per pixel, a block per 256 of a picture.
 *
 * Bandwidth bound, and small: a latent is 256 KiB.  Three bytes a thread would be stored one by
 * one: pixels meet in shared memory, a word each, and leave 16 bytes at a time.  The map, the
 * sample's scale and its row lie there too, read once a block.  Products and sums are rounded one
 * by one, as the contract says: the bytes are the reference's. */
#include "kernels/latent_rgb/latent_rgb.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    NEIGHBOUR_SCALE, /* that of the next sample, wrapping */
    ROW_LOST,        /* xrow is ignored where it leaves nothing out */
    LEFT_OUT_DRAWN,  /* a sample that the table leaves out is drawn from row 0 */
    STRIDE_LOST,     /* rows lie without a gap */
    TRUNCATED,       /* to the byte below */
    FUSED,           /* products are not rounded */
    BIAS_LAST,       /* added to the channels' sum */
    TAIL_WRITTEN,    /* bytes beyond the picture */
    NO_BARRIER,      /* before bytes are stored */
};

enum { THREADS = 256 };

typedef struct latent_rgb_call {
    rf_latent_rgb_args a;
    int                xwide, ywide; /* 16 bytes at a time everywhere */
} latent_rgb_call;

typedef struct block_share {
    uint32_t pixel[THREADS]; /* red lowest */
    float    map[5 * 3], scale;
    int32_t  row;
} block_share;

RF_DEVICE uint8_t byte_of(const float *map_s, const float (&x)[4], int k)
{
    const float bias = map_s[4 * 3 + k];
    float       sum = RF_DEFECT(BIAS_LAST) ? 0 : bias;
    RF_UNROLL
    for (int c = 0; c < 4; c++)
        sum = RF_DEFECT(FUSED) ? fmaf(map_s[c * 3 + k], x[c], sum)
                               : add_rounded(sum, multiply_rounded(map_s[c * 3 + k], x[c]));
    if (RF_DEFECT(BIAS_LAST)) sum = add_rounded(sum, bias);
    const float v = multiply_rounded(255, sum);
    const float bounded = v > 255 ? 255 : v > 0 ? v : 0; /* NaN compares false: 0 */
    return (uint8_t)(RF_DEFECT(TRUNCATED) ? bounded : rintf(bounded));
}

RF_DEVICE void load_pixel(float (&x)[4], const float *from_g, int wide)
{
    if (wide) {
        const chunk16 c = global_load_16(from_g);
        memcpy(x, &c, sizeof c);
    } else {
        RF_UNROLL
        for (int c = 0; c < 4; c++) x[c] = from_g[c];
    }
}

/* Word w of a block's bytes: four pixels are three words, and word q of three begins within pixel
 * q, of which the words before it have q bytes. */
RF_DEVICE uint32_t word_of(const uint32_t *pixel_s, int w)
{
    const int q = w % 3, first = w / 3 * 4 + q;
    return pixel_s[first] >> 8 * q | pixel_s[first + 1] << (24 - 8 * q);
}

RF_KERNEL(THREADS) latent_rgb_kernel(const __grid_constant__ latent_rgb_call c)
{
    RF_SHARED(raw_s);
    block_share *s = (block_share *)raw_s;
    const int    t = (int)threadIdx.x, b = (int)blockIdx.y;
    const size_t hw = (size_t)c.a.hw, first = (size_t)blockIdx.x * THREADS, left = hw - first;
    const int    count = left < THREADS ? (int)left : THREADS;
    if (t < 5 * 3) s->map[t] = c.a.map[t];
    if (t == 5 * 3) s->scale = c.a.scale[RF_DEFECT(NEIGHBOUR_SCALE) ? (b + 1) % c.a.n : b];
    if (t == 5 * 3 + 1) s->row = c.a.xrow ? c.a.xrow[b] : b;
    __syncthreads();
    if (s->row < 0 && !RF_DEFECT(LEFT_OUT_DRAWN)) return; /* the whole block */
    if (t < count) {
        const int    row = RF_DEFECT(ROW_LOST) ? b : s->row < 0 ? 0 : s->row;
        const size_t stride = c.a.xstride && !RF_DEFECT(STRIDE_LOST) ? c.a.xstride : hw * 4;
        uint32_t     pixel = 0;
        float        x[4];
        load_pixel(x, c.a.x + (size_t)row * stride + (first + (size_t)t) * 4, c.xwide);
        RF_UNROLL
        for (int i = 0; i < 4; i++) x[i] = multiply_rounded(x[i], s->scale);
        RF_UNROLL
        for (int k = 0; k < 3; k++) pixel |= (uint32_t)byte_of(s->map, x, k) << 8 * k;
        s->pixel[t] = pixel;
    }
    if (!RF_DEFECT(NO_BARRIER)) __syncthreads(); /* other threads store what this one computed */
    uint8_t  *y = c.a.y + ((size_t)b * hw + first) * 3;
    const int bytes = 3 * count + (RF_DEFECT(TAIL_WRITTEN) && b == c.a.n - 1 ? 1 : 0);
    if (c.ywide) {
        chunk16 chunk;
        if (16 * t >= bytes) return;
        RF_UNROLL
        for (int i = 0; i < 4; i++) chunk.word[i] = word_of(s->pixel, 4 * t + i);
        global_store_16(y + 16 * t, chunk);
    } else {
        for (int i = t; i < bytes; i += THREADS) y[i] = (uint8_t)(s->pixel[i / 3] >> 8 * (i % 3));
    }
}

extern "C" rf_status rf_latent_rgb_sm80(void *stream, const rf_latent_rgb_args *a)
{
    if (rf_latent_rgb_check(a) != RF_OK) return RF_E_SHAPE;
    latent_rgb_call c = {};
    c.a = *a;
    c.xwide = a->xstride % 4 == 0 && rf_aligned_16(a->x);
    c.ywide = a->hw % 16 == 0 && rf_aligned_16(a->y); /* 48 bytes: each picture, and each tail */
    const unsigned blocks = ((unsigned)a->hw + THREADS - 1) / THREADS;
    const dim3     grid(blocks, (unsigned)a->n);
    return rf_launch(latent_rgb_kernel, grid, THREADS, (int)sizeof(block_share),
                     (const rf_gpu *)stream, c);
}
