/* What the tests of every conv level share: the rows and the oracle's result. */
#ifndef RF_CONV_CASE_H
#define RF_CONV_CASE_H

#include "kernels/conv/conv.h"
#include "tests/kernels/check.h"

typedef struct conv_row {
    const char  *name;
    int          n, h, w, cin, cin1, cout;
    rf_conv_kind kind;
} conv_row;

extern const conv_row conv_rows[];
extern const int      conv_rows_count;

/* Elements of x, of x2 (0 if there is none), of the weights and of y. */
size_t conv_x_elems(const conv_row *r);
size_t conv_x2_elems(const conv_row *r);
size_t conv_weight_elems(const conv_row *r);
size_t conv_out_elems(const conv_row *r);

/* The sizes of a row, everything else 0. */
rf_conv_args conv_args_of(const conv_row *r);

/* The reference's result on f32 copies of this case's buffers, whose weights are in the file's
 * order; CHECK_ABS gives the sum of |terms|.  `residual` stands for a.residual, which may already
 * hold y. */
float *conv_reference(check *k, rf_conv_args a, const void *residual, check_view view);

#endif
