/* Errors carry their message intact and safe; half conversions are exact. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/status.h"

Test(status, message_is_formatted_and_returned)
{
    rf_error err;
    cr_assert_eq(rf_fail(&err, RF_E_ARG, "steps is %d", 0), RF_E_ARG);
    cr_assert_str_eq(err.message, "steps is 0");
    cr_assert_eq(rf_fail(NULL, RF_E_IO, "x"), RF_E_IO);
}

Test(status, long_messages_are_cut_between_characters)
{
    char name[3 * RF_ERROR_BYTES + 1];
    for (size_t i = 0; i + 3 <= sizeof name - 1; i += 3) memcpy(name + i, "\xE2\x82\xAC", 3);
    name[sizeof name - 1] = '\0';
    for (int pad = 0; pad < 3; pad++) {
        rf_error err;
        rf_fail(&err, RF_E_ARG, "%.*s%s", pad, "xx", name);
        const size_t len = strlen(err.message);
        cr_assert_lt(len, sizeof err.message);
        cr_assert_eq((len - (size_t)pad) % 3, 0u);
    }
}

Test(status, control_characters_never_reach_the_terminal)
{
    rf_error err;
    rf_fail(&err, RF_E_FORMAT, "tensor %s", "a\x1b[2J\nb\x7f");
    cr_assert_str_eq(err.message, "tensor a?[2J?b?");
    rf_fail(&err, RF_E_FORMAT, "%s",
            "\xC2\x9B"
            "31m \xC2\xA0\xC3\x9B\xC2");
    cr_assert_str_eq(err.message, "?31m \xC2\xA0\xC3\x9B\xC2");
}

Test(half, every_f16_survives_a_round_trip)
{
    for (uint32_t h = 0; h < 0x10000u; h++) {
        const float x = rf_f32_from_f16((uint16_t)h);
        if (isnan(x))
            cr_assert(isnan(rf_f32_from_f16(rf_f16_from_f32(x))));
        else
            cr_assert_eq(rf_f16_from_f32(x), h, "0x%04x", h);
    }
}

Test(half, every_bf16_survives_a_round_trip)
{
    for (uint32_t h = 0; h < 0x10000u; h++) {
        const float x = rf_f32_from_bf16((uint16_t)h);
        if (isnan(x))
            cr_assert(isnan(rf_f32_from_bf16(rf_bf16_from_f32(x))));
        else
            cr_assert_eq(rf_bf16_from_f32(x), h, "0x%04x", h);
    }
}

/* Halfway between each pair of neighbours, and just beside it. */
Test(half, f16_rounds_to_nearest_even)
{
    for (uint32_t h = 0; h < 0x7BFFu; h++) {
        const float a = rf_f32_from_f16((uint16_t)h), b = rf_f32_from_f16((uint16_t)(h + 1));
        const float mid = (a + b) / 2; /* exact in f32 */
        cr_assert_eq(rf_f16_from_f32(mid), h + (h & 1u), "0x%04x", h);
        cr_assert_eq(rf_f16_from_f32(nextafterf(mid, a)), h, "0x%04x", h);
        cr_assert_eq(rf_f16_from_f32(nextafterf(mid, b)), h + 1, "0x%04x", h);
    }
    cr_assert_eq(rf_f16_from_f32(65520.0f), 0x7C00);
    cr_assert_eq(rf_f16_from_f32(nextafterf(65520.0f, 0)), 0x7BFF);
}
