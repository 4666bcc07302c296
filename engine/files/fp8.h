/* A file whose weights are stored in 8-bit floats, as a list without them: they are widened while
 * they are read, by their scales where they have some.
 *
 * Plain F8_E4M3 and F8_E5M2 become F16, which holds every value of either; scaled ones become F32.
 * Scales in both spellings in use: LAYER.scale_weight and LAYER.weight_scale; those of inputs
 * (scale_input, input_scale), the marker scaled_fp8 and comfy_quant mean nothing to whoever
 * computes in more bits and are left out.  A sibling that might be a scale and is none of these is
 * an error: weights without their scales would be noise. */
#ifndef RF_FP8_H
#define RF_FP8_H

#include "engine/core/tensors.h"

typedef struct rf_fp8_view rf_fp8_view;

/* *out = NULL and RF_OK if nothing in `list` is stored in 8 bits.  `list` must outlive the view.
 * RF_E_MODEL names the tensor: a scale that is unknown, alone, not finite, or not one number. */
rf_status rf_fp8_view_open(rf_fp8_view **out, const rf_tensors *list, rf_error *err);
void      rf_fp8_view_close(rf_fp8_view *view); /* NULL is fine */

const rf_tensors *rf_fp8_view_list(const rf_fp8_view *view);

/* OCP 8-bit floating point (2023): E4M3 has no infinity and one NaN, E5M2 is binary16's upper half.
 */
float rf_f32_from_e4m3(uint8_t b);
float rf_f32_from_e5m2(uint8_t b);

#endif
