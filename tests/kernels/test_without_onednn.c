/* What a build without oneDNN does, with kernels/no_onednn.c linked in oneDNN's place: the CPU is
 * refused in a sentence, and what needs no oneDNN works. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/core/device.h"
#include "kernels/host.h"

Test(without_onednn, the_cpu_is_refused_in_a_sentence)
{
    rf_device device;
    rf_error  err = {0};
    cr_expect_eq(rf_device_open_host(&device, 1, RF_LEVEL_CPU, &err), RF_E_DEVICE);
    cr_expect(strstr(err.message, "without oneDNN: use --device cuda"), "%s", err.message);
    cr_expect_null(device.kind);
    rf_device_close(&device);
}

Test(without_onednn, products_are_unsupported_and_nothing_else)
{
    rf_host           *host = NULL;
    size_t             bytes;
    float              x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8], one[8] = {1}, zero[8] = {0};
    const rf_gemm_args gemm = {.m = 1, .n = 8, .k = 8, .dtype = RF_F32, .wdtype = RF_F32};
    cr_assert_eq(rf_host_create(&host, 1, NULL), RF_OK);
    cr_expect_eq(rf_host_has_products(), 0);
    cr_expect_eq(rf_host_primitives(host), 0);
    cr_expect_neq(rf_gemm_prepare_cpu(host, &gemm, &bytes), RF_OK);
    const rf_layernorm_args norm = {
        .y = y, .x = x, .gamma = one, .beta = zero, .m = 1, .c = 8, .eps = 1e-5f, .dtype = RF_F32};
    cr_expect_eq(rf_layernorm_cpu(host, &norm), RF_OK);
    cr_expect_lt(y[0], -1);
    rf_host_destroy(host);
}

Test(without_onednn, the_reference_works)
{
    rf_device device;
    cr_assert_eq(rf_device_open_host(&device, 1, RF_LEVEL_REF, NULL), RF_OK);
    rf_device_close(&device);
}
