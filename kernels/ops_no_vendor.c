/* Stands in for the vendor level in builds without CUDA, or without the headers of cuBLASLt and
 * cuDNN. */
#include "kernels/device/vendor.h"
#include "kernels/ops.h"

const rf_ops *rf_ops_vendor(void)
{
    return NULL;
}

rf_status rf_vendor_create(rf_vendor **out, rf_error *err)
{
    *out = NULL;
    return rf_fail(err, RF_E_UNSUPPORTED,
                   "this build has no vendor level: it was made without CUDA, or without the "
                   "headers of cuBLASLt and cuDNN");
}

void rf_vendor_destroy(rf_vendor *vendor)
{
    (void)vendor; /* there are none */
}

rf_status rf_vendor_open_for(rf_vendor *vendor, const rf_choices *choices, rf_error *err)
{
    (void)choices;
    return rf_vendor_create(&vendor, err);
}

rf_status rf_vendor_open_cublaslt(rf_vendor *vendor, const char *file, rf_error *err)
{
    (void)file;
    return rf_vendor_create(&vendor, err);
}

rf_status rf_vendor_open_cudnn(rf_vendor *vendor, const char *file, rf_error *err)
{
    (void)file;
    return rf_vendor_create(&vendor, err);
}

size_t rf_vendor_cublaslt_version(const rf_vendor *vendor)
{
    (void)vendor;
    return 0;
}

size_t rf_vendor_cudnn_version(const rf_vendor *vendor)
{
    (void)vendor;
    return 0;
}

const char *rf_vendor_why(const rf_vendor *vendor)
{
    (void)vendor;
    return "";
}

rf_status rf_gemm_list_vendor(void *stream, const rf_gemm_args *a, rf_choice *out, int most,
                              int *count)
{
    (void)stream, (void)a, (void)out, (void)most;
    *count = 0;
    return RF_E_UNSUPPORTED;
}

rf_status rf_conv_list_vendor(void *stream, const rf_conv_args *a, rf_choice *out, int most,
                              int *count)
{
    (void)stream, (void)a, (void)out, (void)most;
    *count = 0;
    return RF_E_UNSUPPORTED;
}

rf_status rf_attention_list_vendor(void *stream, const rf_attention_args *a, rf_choice *out,
                                   int most, int *count)
{
    (void)stream, (void)a, (void)out, (void)most;
    *count = 0;
    return RF_E_UNSUPPORTED;
}
