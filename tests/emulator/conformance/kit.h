/* The conformance kit: every wrapper of an instruction (kernels/device/) on fixed inputs, by the
 * same source on a GPU and on the emulated device.
 *
 * Kernels agree with the emulator as far as the wrappers do, and only a GPU can say how far that
 * is: its answers, one text file for each entry, are kept in recorded/ and replayed by a test.
 * Inputs are such that a wrong lane, place, rounding or order changes an answer.
 *
 * An entry's answers are words of 32 bits.  They must be equal bit for bit, but for NaN (any is as
 * good as another) and where the entry has a bound. */
#ifndef RF_KIT_H
#define RF_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/core/device.h"
#include "kernels/device/gpu.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Entry and file, the wrapper that it is about, cases, words in and out of each, what a word is. */
#define KIT_ENTRIES(X)                                                                             \
    X(shared_address, shared_address, 1, 1, 32, BITS)                                              \
    X(ldmatrix_x4, ldmatrix_x4, 2, 128, 128, BITS)                                                 \
    X(ldmatrix_x4_trans, ldmatrix_x4_trans, 2, 128, 128, BITS)                                     \
    X(mma_m16n8k16_f16, mma_m16n8k16, KIT_MMA_CASES, KIT_MMA_WORDS, 128, FLOAT)                    \
    X(mma_m16n8k16_bf16, mma_m16n8k16, KIT_MMA_CASES, KIT_MMA_WORDS, 128, FLOAT)                   \
    X(cp_async_16, cp_async_16, 2, 128, 128, BITS)                                                 \
    X(cp_async_commit, cp_async_commit, 1, 256, 256, BITS)                                         \
    X(cp_async_wait, cp_async_wait, 1, 384, 384, BITS)                                             \
    X(global_load_16, global_load_16, 1, 128, 128, BITS)                                           \
    X(global_store_16, global_store_16, 1, 128, 128, BITS)                                         \
    X(global_store_same, global_store_same, 1, 8, 16, BITS)                                        \
    X(shuffle_xor, shuffle_xor, 1, 32, 256, BITS)                                                  \
    X(warp_any, warp_any, 1, 8, 256, BITS)                                                         \
    X(exp2_approx, exp2_approx, 1, 512, 512, FLOAT)                                                \
    X(pack_two_f16, pack_two, 1, 512, 256, HALVES)                                                 \
    X(pack_two_bf16, pack_two, 1, 512, 256, BRAINS)                                                \
    X(widen_f16, widen, 1, 512, 1024, FLOAT)                                                       \
    X(widen_bf16, widen, 1, 512, 1024, FLOAT)                                                      \
    X(unpack_two_f16, unpack_two, 1, 128, 256, FLOAT)                                              \
    X(unpack_two_bf16, unpack_two, 1, 128, 256, FLOAT)                                             \
    X(narrow_f16, narrow, 1, 512, 256, HALVES)                                                     \
    X(narrow_bf16, narrow, 1, 512, 256, BRAINS)                                                    \
    X(multiply_rounded, multiply_rounded, 1, 512, 256, FLOAT)                                      \
    X(add_rounded, add_rounded, 1, 512, 256, FLOAT)                                                \
    X(load_piece, load_piece, 3, 256, 256, FLOAT)                                                  \
    X(store_piece, store_piece, 3, 256, 256, BITS)                                                 \
    X(load_few, load_few, 3, 256, 256, FLOAT)                                                      \
    X(store_few, store_few, 3, 256, 256, BITS)                                                     \
    X(load_some, load_some, 3, 256, 256, FLOAT)                                                    \
    X(store_some, store_some, 3, 256, 256, BITS)                                                   \
    X(chunk_of_halves, chunk_of_halves, 1, 256, 128, BITS)

enum {
    KIT_MMA_CASES = 7,
    KIT_MMA_WORDS = 320, /* a [16][16] and b [8][16] of 16 bits, d [16][8] f32 */
    KIT_IN_MOST = 512,
    KIT_OUT_MOST = 1024,
    KIT_UNTOUCHED = 0x5A, /* every byte of the output before */
};

#define KIT_NAME(name, wrapper, cases, in, out, words) KIT_##name,
typedef enum kit_id { KIT_ENTRIES(KIT_NAME) KIT_COUNT } kit_id;
#undef KIT_NAME

typedef enum kit_words { KIT_BITS, KIT_FLOAT, KIT_HALVES, KIT_BRAINS } kit_words;

typedef struct kit_entry {
    const char *name, *wrapper;
    int         cases, in_words, out_words; /* words of a case */
    kit_words   words;
} kit_entry;

extern const kit_entry kit_entries[KIT_COUNT];

/* ---- kit.cu */

typedef struct kit_args {
    uint32_t       *out;
    const uint32_t *in;
    int             which; /* case */
} kit_args;

rf_status kit_launch(kit_id id, const rf_gpu *gpu, const kit_args *a);

/* ---- kit_inputs.c */

/* The inputs of a case, in[in_words]. */
void kit_fill(kit_id id, int which, uint32_t *in);
/* How far a GPU's word may be from the emulator's `answer`; 0: equal. */
double kit_bound(kit_id id, int which, const uint32_t *in, int word, uint32_t answer);

/* ---- kit_files.c */

/* All cases of an entry: out[cases * out_words]. */
rf_status kit_run(kit_id id, rf_device *device, uint32_t *out, rf_error *err);
/* Writes them as a recording of `device`, made on `date`. */
void kit_write(FILE *f, kit_id id, const uint32_t *out, const char *device, const char *date);

typedef struct kit_verdict {
    bool   agrees;
    double furthest;  /* of the words that have a bound: the largest share of it */
    char   text[256]; /* what differs first, or what is wrong with the file */
} kit_verdict;

/* Compares a recording with `out`, the emulator's answers. */
kit_verdict kit_compare(FILE *recording, kit_id id, const uint32_t *out);

#ifdef __cplusplus
}
#endif
#endif
