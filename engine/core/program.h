/* A program: the recorded list of op calls of one network at one shape, with every address filled
 * in.  The recorder (recorder.h) writes it, run walks it. */
#ifndef RF_PROGRAM_H
#define RF_PROGRAM_H

#include <stddef.h>

#include "engine/core/device.h"

typedef enum rf_op_kind {
    RF_OP_GEMM,
    RF_OP_CONV,
    RF_OP_ATTENTION,
    RF_OP_GROUPNORM,
    RF_OP_LAYERNORM,
    RF_OP_EMBEDDING,
    RF_OP_TIMESTEP,
    RF_OP_RESIZE,
    RF_OP_LINCOMB,
    RF_OP_PIXELS,
    RF_OP_LATENT_RGB,
    RF_OP_KINDS,
} rf_op_kind;

const char *rf_op_name(rf_op_kind kind); /* "gemm" */

enum { RF_CALL_LABEL = 72 }; /* "output_blocks.0.1.transformer_blocks.9.attn1" and room */

typedef struct rf_op_call {
    rf_op_kind kind;
    char       label[RF_CALL_LABEL]; /* where in the network: for errors, traces and tests */
    int        by_vendor;            /* its device's choice table gives it to the vendor level */
    union {
        rf_gemm_args       gemm;
        rf_conv_args       conv;
        rf_attention_args  attention;
        rf_groupnorm_args  groupnorm;
        rf_layernorm_args  layernorm;
        rf_embedding_args  embedding;
        rf_timestep_args   timestep;
        rf_resize_args     resize;
        rf_lincomb_args    lincomb;
        rf_pixels_args     pixels;
        rf_latent_rgb_args latent_rgb;
    } args;
} rf_op_call;

typedef struct rf_program {
    rf_op_call *call; /* [count]; owned */
    size_t      count, cap;
} rf_program;

/* Appends a copy of `call`.  RF_E_NOMEM. */
rf_status rf_program_add(rf_program *program, const rf_op_call *call, rf_error *err);
void      rf_program_free(rf_program *program); /* {0} is fine */

/* Whether the device's choice table gives this call to the vendor level: what by_vendor becomes. */
int rf_call_by_vendor(const rf_device *device, const rf_op_call *call);

/* Workspace of a call: 0 bytes for ops that need none.  RF_E_SHAPE names the call; RF_E_UNSUPPORTED
 * if the device's level lacks the op: no other level takes its place. */
rf_status rf_call_prepare(rf_device *device, const rf_op_call *call, size_t *workspace_bytes,
                          rf_error *err);
void      rf_call_set_workspace(rf_op_call *call, void *workspace);

/* Runs calls first .. last-1 in order; on a GPU, queues them. */
rf_status rf_program_run_range(const rf_program *program, size_t first, size_t last,
                               rf_device *device, rf_error *err);
rf_status rf_program_run(const rf_program *program, rf_device *device, rf_error *err);

/* The program as a graph (device.h), every address of it included.  RF_E_UNSUPPORTED on a host. */
rf_status rf_program_capture(const rf_program *program, rf_device *device, rf_graph **out,
                             rf_error *err);

#endif
