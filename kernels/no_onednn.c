/* Stands in for onednn.c in builds without oneDNN: there are no products and convolutions on the
 * CPU, and hosts say so (rf_host_has_products).  For machines where nothing is rendered on the CPU
 * and where oneDNN, the largest library by far, would have to be brought along. */
#include "kernels/onednn.h"

rf_status rf_dnn_create(rf_dnn **out, int threads, rf_error *err)
{
    (void)threads, (void)err;
    *out = NULL; /* the ref level and every other op of the cpu level need nothing of it */
    return RF_OK;
}

void rf_dnn_destroy(rf_dnn *dnn)
{
    (void)dnn;
}

int rf_dnn_present(void)
{
    return 0;
}

size_t rf_dnn_count(const rf_dnn *dnn)
{
    (void)dnn;
    return 0;
}

rf_status rf_dnn_prepare(rf_dnn *dnn, const rf_dnn_spec *spec, const rf_dnn_op **out)
{
    (void)dnn, (void)spec;
    *out = NULL;
    return RF_E_UNSUPPORTED;
}

const rf_dnn_op *rf_dnn_find(const rf_dnn *dnn, const rf_dnn_spec *spec)
{
    (void)dnn, (void)spec;
    return NULL;
}

rf_status rf_dnn_weight_layout(rf_dnn *dnn, const rf_dnn_spec *spec, rf_blocked *out)
{
    (void)dnn, (void)spec, (void)out;
    return RF_E_UNSUPPORTED;
}

size_t rf_dnn_weight_bytes(const rf_dnn_op *op, rf_dtype wdtype)
{
    (void)op, (void)wdtype;
    return 0;
}

const void *rf_dnn_weights(const rf_dnn *dnn, const rf_dnn_op *op, rf_dtype wdtype,
                           const void *packed, void *space)
{
    (void)dnn, (void)op, (void)wdtype, (void)space;
    return packed;
}

size_t rf_dnn_scratch_bytes(const rf_dnn_op *op)
{
    (void)op;
    return 0;
}

int rf_dnn_alone(const rf_dnn_op *op)
{
    (void)op;
    return 0;
}

rf_status rf_dnn_run(rf_dnn *dnn, const rf_dnn_op *op, const rf_dnn_io *io)
{
    (void)dnn, (void)op, (void)io;
    return RF_E_UNSUPPORTED;
}

rf_status rf_dnn_prepare_call(rf_dnn *dnn, rf_dnn_spec spec, int accumulates, rf_dtype wdtype,
                              size_t *used, size_t *scratch_bytes)
{
    (void)dnn, (void)spec, (void)accumulates, (void)wdtype, (void)used, (void)scratch_bytes;
    return RF_E_UNSUPPORTED;
}

const char *rf_dnn_name(const rf_dnn_op *op)
{
    (void)op;
    return "none";
}

int rf_dnn_has_bf16(void)
{
    return 0;
}
