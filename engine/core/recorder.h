/* The recorder: one forward function, three readings of it.
 *
 *   list   which weights it uses: fills an rf_weights, checking names and shapes against the file
 *   count  how much activation memory it needs at a shape, and compiles what its calls will need
 *   place  writes the program, every address final, into a slab of the counted size; the buffers'
 *          places come from a reading of its own before (arrange)
 *
 * A network is a C function that asks for buffers and states ops; it never knows which of the three
 * is running.  Nothing about its layers is written twice.
 *
 * Errors are sticky: after the first, every call returns at once, and the function that started
 * the recording reports it.  Buffers are [.., channels] in the recorder's dtype. */
#ifndef RF_RECORDER_H
#define RF_RECORDER_H

#include <stddef.h>

#include "engine/core/arena.h"
#include "engine/core/program.h"
#include "engine/core/weights.h"

typedef enum rf_record_mode {
    RF_RECORD_LIST,
    RF_RECORD_COUNT,
    RF_RECORD_ARRANGE,
    RF_RECORD_PLACE,
} rf_record_mode;

typedef struct rf_recorder {
    rf_record_mode mode;
    rf_device     *device;
    rf_dtype       dtype;
    rf_weights    *weights;
    size_t         next_slot;
    rf_arena       arena;
    rf_program    *program; /* place only */
    size_t         workspace_bytes;
    char           path[RF_CALL_LABEL]; /* scope: "input_blocks.4.1." */
    size_t         path_len;
    rf_status      st;
    rf_error      *err;
} rf_recorder;

typedef void rf_forward_fn(rf_recorder *r, const void *arg);

/* Appends the weights of `forward` to `w` (whose file, prefix and dtype are set). */
rf_status rf_record_list(rf_device *device, rf_weights *w, rf_forward_fn *forward, const void *arg,
                         rf_error *err);
/* first_slot: w->count before `forward` was listed. */
rf_status rf_record_count(rf_device *device, rf_weights *w, size_t first_slot,
                          rf_forward_fn *forward, const void *arg, size_t *slab_bytes,
                          rf_error *err);
/* Empties `program` and fills it; weights must be loaded.  RF_E_BUG if the slab is too small. */
rf_status rf_record_place(rf_device *device, rf_weights *w, size_t first_slot,
                          rf_forward_fn *forward, const void *arg, void *slab, size_t slab_bytes,
                          rf_program *program, rf_error *err);

/* ---- for forward functions ---------------------------------------------------------------- */

/* A buffer of `elems` activations. */
void *rf_take(rf_recorder *r, size_t elems);
void  rf_give(rf_recorder *r, const void *buffer);

/* Element `elems` of a buffer.  NULL of NULL: an error has stuck, or the address is not known yet,
 * as that of what lies outside the slab is not in list and count mode. */
void *rf_offset(const rf_recorder *r, const void *buffer, size_t elems);

/* Scopes nest: names and labels inside are relative.  leave takes what enter returned. */
size_t rf_enter(rf_recorder *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void   rf_leave(rf_recorder *r, size_t mark);

/* Each states one op.  Sizes, addresses and epilogue come in the op's own args; weights, bias,
 * types and workspace are filled in here.  `name` is the layer ("proj_in": .weight and .bias). */
typedef struct rf_gemm_layer {
    const char *weight[RF_SLOT_PARTS]; /* whole tensor names; the parts are stacked */
    const char *bias[RF_SLOT_PARTS];   /* none: no bias */
    int         transpose;
} rf_gemm_layer;

void rf_do_gemm(rf_recorder *r, rf_gemm_args args, const rf_gemm_layer *layer);
void rf_do_linear(rf_recorder *r, rf_gemm_args args, const char *name); /* .weight and .bias */
void rf_do_conv(rf_recorder *r, rf_conv_args args, const char *name);
void rf_do_conv_bare(rf_recorder *r, rf_conv_args args, const char *name); /* without bias */
void rf_do_groupnorm(rf_recorder *r, rf_groupnorm_args args, const char *name);
void rf_do_layernorm(rf_recorder *r, rf_layernorm_args args, const char *name);
void rf_do_attention(rf_recorder *r, rf_attention_args args, const char *name);
void rf_do_embedding(rf_recorder *r, rf_embedding_args args, const char *table,
                     const char *position);
void rf_do_timestep(rf_recorder *r, rf_timestep_args args, const char *name);
void rf_do_resize(rf_recorder *r, rf_resize_args args, const char *name);
void rf_do_lincomb(rf_recorder *r, rf_lincomb_args args, const char *name);
void rf_do_pixels(rf_recorder *r, rf_pixels_args args, const char *name);

#endif
