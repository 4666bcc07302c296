/* The harness must report what it is there to find: each fault is planted once. */
#include <math.h>

#include "tests/kernels/check.h"

enum { ROWS = 3, COLS = 17, STRIDE = 24 };

/* A copy op: output row r = input row r.  Returns the verdict after `plant` spoiled something. */
static check_verdict copy_with(void (*plant)(float *out, float *in))
{
    check *k = check_begin("copy", "planted", CHECK_NORMAL, 0);
    float *in = check_input(k, RF_F32, ROWS * COLS);
    float *out = check_output(k, RF_F32, ROWS, COLS, STRIDE);
    float *ref = check_widened(k, in, CHECK_EXACT);
    for (int r = 0; r < ROWS; r++) memcpy(out + r * STRIDE, in + r * COLS, COLS * sizeof(float));
    if (plant) plant(out, in);
    check_compare(k, out, &(check_bound){.ref = ref}, "row col", ROWS, COLS);
    return check_end(k);
}

static void wrong_value(float *out, float *in)
{
    (void)in;
    out[STRIDE + 5] *= 1.001f;
}

static void not_a_number(float *out, float *in)
{
    out[0] = in[0] * NAN;
}

static void unwritten(float *out, float *in)
{
    (void)in;
    memset(&out[2 * STRIDE], 0xFF, sizeof(float));
}

static void guard_before(float *out, float *in)
{
    (void)in;
    float *volatile p = out;
    p[-1] = 0;
}

static void guard_after(float *out, float *in)
{
    (void)in;
    out[(ROWS - 1) * STRIDE + COLS] = 0;
}

static void padding(float *out, float *in)
{
    (void)in;
    out[COLS] = 0;
}

static void input(float *out, float *in)
{
    (void)out;
    in[7] += 1;
}

Test(check, passes_a_faultless_copy)
{
    const check_verdict v = copy_with(NULL);
    cr_assert(!v.wrong_value && !v.guard_written && !v.input_written && !v.text[0], "%s", v.text);
}

Test(check, reports_wrong_values_with_their_place)
{
    check_verdict v = copy_with(wrong_value);
    cr_assert(v.wrong_value && !v.guard_written && !v.input_written);
    cr_assert(strstr(v.text, "row=1 col=5"), "%s", v.text);
    v = copy_with(not_a_number);
    cr_assert(v.wrong_value && strstr(v.text, "row=0 col=0"), "%s", v.text);
    v = copy_with(unwritten);
    cr_assert(v.wrong_value && strstr(v.text, "row=2 col=0"), "%s", v.text);
}

Test(check, reports_writes_to_guards_and_padding)
{
    cr_assert(copy_with(guard_before).guard_written);
    cr_assert(copy_with(guard_after).guard_written);
    const check_verdict v = copy_with(padding);
    cr_assert(v.guard_written && strstr(v.text, "row 0 written at column 17"), "%s", v.text);
}

Test(check, reports_a_written_input)
{
    const check_verdict v = copy_with(input);
    cr_assert(v.input_written && !v.wrong_value && !v.guard_written);
}

/* NaN in both is still a fault; an infinity in both is not. */
Test(check, nan_never_passes_and_infinity_must_agree)
{
    check   *k = check_begin("special", "values", CHECK_NORMAL, 0);
    float   *out = check_output(k, RF_F32, 1, 1, 1), ref = NAN;
    uint16_t inf = 0x7C00, *half = check_output_from(k, RF_F16, &inf, 1);
    check_compare(k, half, &(check_bound){.ref = &(float){70000}}, "i", 1);
    cr_assert_not(check_end(k).wrong_value);

    k = check_begin("special", "values", CHECK_NORMAL, 0);
    out = check_output(k, RF_F32, 1, 1, 1);
    *out = NAN;
    check_compare(k, out, &(check_bound){.ref = &ref}, "i", 1);
    cr_assert(check_end(k).wrong_value);
}

Test(check, counts_rows_above_the_limit)
{
    cr_assert_null(check_begin("big", "row", CHECK_NORMAL, 1e15));
    cr_assert_eq(check_skipped(), 1);
}
