/* The emulator itself: instructions do what the PTX manual says, and every planted fault is found
 * and named with its line of source. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/unit.h"

enum { WORDS = 256, SMALL = 128 }; /* SMALL: less than 64 threads times 16 bytes */

static const rf_gpu gpu = {.shared_bytes_max = 99 * 1024};

static void *device_copy(const void *host, size_t bytes)
{
    void *d = emu_alloc(bytes);
    cr_assert_not_null(d);
    emu_upload(d, host, bytes);
    return d;
}

static const char *all_reports(void)
{
    static char text[8192];
    size_t      used = 0;
    text[0] = '\0';
    for (int i = 0; i < emu_reports() && used < sizeof text; i++) {
        const emu_report r = emu_report_at(i);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s: %s\n", r.kind, r.text);
    }
    return text;
}

/* Runs a case that must be clean; `out` gets its words. */
static void run_right(unit_case c, int blocks, const uint32_t *in, uint32_t *out)
{
    uint32_t *d_in = device_copy(in, WORDS * 4), *d_out = emu_alloc(WORDS * 4);
    emu_clear();
    const unit_args a = {d_out, d_in, WORDS};
    cr_expect_eq(unit_launch(c, blocks, &gpu, &a), RF_OK);
    cr_expect_eq(emu_reports(), 0, "case %d: %s", (int)c, all_reports());
    emu_download(out, d_out, WORDS * 4);
    emu_free(d_in), emu_free(d_out);
}

static void fill(uint32_t *words, uint32_t seed)
{
    for (int i = 0; i < WORDS; i++) words[i] = seed = seed * 1664525u + 1013904223u;
}

static void for_seeds(void (*check)(void))
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        emu_configure(&(emu_settings){.seed = seed, .odd_base = seed % 2});
        check();
    }
}

/* ---- instructions ---------------------------------------------------------------------------- */

static void check_ldmatrix(void)
{
    uint32_t in[WORDS], out[WORDS];
    fill(in, 1);
    const uint16_t *element = (const uint16_t *)(const void *)in; /* [matrix][row][column] */
    for (int trans = 0; trans < 2; trans++) {
        run_right(trans ? UNIT_LDMATRIX_TRANS : UNIT_LDMATRIX, 1, in, out);
        for (int j = 0; j < 4; j++)
            for (int lane = 0; lane < 32; lane++) {
                const int      major = lane / 4, minor = lane % 4 * 2;
                const int      lo = trans ? 8 * minor + major : 8 * major + minor;
                const int      hi = trans ? lo + 8 : lo + 1;
                const uint32_t want = element[64 * j + lo] | (uint32_t)element[64 * j + hi] << 16;
                cr_expect_eq(out[32 * j + lane], want, "matrix %d lane %d", j, lane);
            }
        cr_expect_eq(emu_counts()->ldmatrix, 1);
        cr_expect_eq(emu_counts()->ldmatrix_conflicts, 0); /* 16 bytes apart: all different banks */
    }
}

Test(emulator, ldmatrix_gives_each_lane_its_elements)
{
    for_seeds(check_ldmatrix);
}

Test(emulator, rows_in_the_same_banks_are_counted)
{
    uint32_t in[WORDS], out[WORDS], want[WORDS];
    fill(in, 5);
    run_right(UNIT_LDMATRIX, 1, in, want);
    run_right(UNIT_LDMATRIX_CROWDED, 1, in, out);
    cr_expect_eq(memcmp(out, want, 4 * 32 * 4), 0);
    cr_expect_eq(emu_counts()->ldmatrix_conflicts,
                 4 * 7); /* eight passes for each matrix, not one */
}

static void check_mma(void)
{
    for (int type = RF_F16; type <= RF_BF16; type++) {
        uint32_t in[WORDS], out[WORDS];
        double   a[16][16], b[16][8];
        for (int i = 0; i < 16 * 16 + 16 * 8; i++) { /* whole numbers: exact in any order */
            const int value = i * 7 % 23 - 11;
            rf_store(in, (rf_dtype)type, (size_t)i, (float)value);
            if (i < 256)
                a[i / 16][i % 16] = value;
            else
                b[(i - 256) % 16][(i - 256) / 16] = value; /* columns of b lie together */
        }
        memset(in + 192, 0, sizeof in - 192 * 4);
        run_right(type == RF_F16 ? UNIT_MMA_F16 : UNIT_MMA_BF16, 1, in, out);
        for (int i = 0; i < 128; i++) {
            double sum = 0;
            for (int k = 0; k < 16; k++) sum += a[i / 8][k] * b[k][i % 8];
            cr_expect_eq(rf_f32_from_bits(out[i]), (float)sum, "element %d", i);
        }
    }
}

Test(emulator, mma_multiplies)
{
    for_seeds(check_mma);
}

static void check_small(void)
{
    uint32_t in[WORDS], out[WORDS];
    fill(in, 2);
    run_right(UNIT_COPY, 1, in, out);
    for (int i = 0; i < 32 * 16; i++) {
        const unsigned char *from = (const unsigned char *)in, *to = (const unsigned char *)out;
        cr_expect_eq(to[i], i % 16 < i / 16 % 17 ? from[i] : 0, "byte %d", i);
    }
    run_right(UNIT_REVERSE, 4, in, out);
    for (int i = 0; i < WORDS; i++) cr_expect_eq(out[i], in[i / 64 * 64 + 63 - i % 64]);
    for (int i = 0; i < WORDS; i++) in[i] = rf_bits_from_f32((float)i);
    run_right(UNIT_SHUFFLE, 1, in, out);
    for (int i = 0; i < 32; i++) cr_expect_eq(rf_f32_from_bits(out[i]), 496.f); /* 0 + ... + 31 */
}

Test(emulator, copies_shuffles_and_barriers)
{
    for_seeds(check_small);
}

static void check_votes(void)
{
    uint32_t in[WORDS], out[WORDS];
    fill(in, 6);
    for (int zero = 0; zero < 2; zero++) {
        if (zero) in[19] = 0;
        run_right(UNIT_ANY, 1, in, out);
        for (int i = 0; i < 32; i++) cr_expect_eq(out[i], (uint32_t)zero);
    }
}

Test(emulator, votes_reach_every_lane)
{
    for_seeds(check_votes);
}

Test(emulator, exp2_flushes_what_is_small)
{
    uint32_t in[WORDS] = {0}, out[WORDS];
    for (int i = 0; i < 32; i++) in[i] = rf_bits_from_f32(-5.25f * (float)i);
    in[31] = rf_bits_from_f32(-INFINITY);
    run_right(UNIT_EXP2, 1, in, out);
    for (int i = 0; i < 32; i++) {
        const float  x = rf_f32_from_bits(in[i]);
        const double want = x < -126 ? 0 : exp2((double)x);
        cr_expect_float_eq((double)rf_f32_from_bits(out[i]), want, want * 0x1p-22, "2^%g",
                           (double)x);
    }
}

/* ---- faults ---------------------------------------------------------------------------------- */

typedef struct fault {
    unit_case   c;
    const char *kind;     /* of the report */
    bool        anywhere; /* found without the compiler's hooks too */
} fault;

static const fault faults[] = {
    {UNIT_NO_BARRIER, "race", false},
    {UNIT_NO_BARRIER_BEFORE_REUSE, "race", false},
    {UNIT_NO_WARP_BARRIER, "race", false},
    {UNIT_COPY_NOT_WAITED, "race", false},
    {UNIT_COPY_NO_BARRIER, "race", false},
    {UNIT_COPY_INTO_USE, "race", false},
    {UNIT_COPY_ABANDONED, "exit", true},
    {UNIT_READ_BEYOND, "bounds", false},
    {UNIT_WRITE_BEYOND, "bounds", false},
    {UNIT_WIDE_BEYOND, "bounds", true},
    {UNIT_COPY_BEYOND, "bounds", true},
    {UNIT_SHARED_BEYOND, "bounds", false},
    {UNIT_FREED, "bounds", false},
    {UNIT_UNINITIALISED_SHARED, "uninitialised", false},
    {UNIT_UNINITIALISED_GLOBAL, "uninitialised", false},
    {UNIT_MISALIGNED, "alignment", true},
    {UNIT_LDMATRIX_MISALIGNED, "alignment", true},
    {UNIT_HOST_MEMORY, "host-memory", false},
    {UNIT_BLOCKS_COLLIDE, "race", false},
    {UNIT_DIVERGENT_BARRIER, "deadlock", true},
    {UNIT_DIVERGENT_SHUFFLE, "warp", true},
    {UNIT_LANES_ENDED, "warp", true},
    {UNIT_ENDLESS, "endless", false},
    {UNIT_ARRAY_INDEX, "undefined", false},
};

Test(emulator, every_planted_fault_is_found_and_placed, .timeout = 60)
{
    uint32_t host[WORDS];
    fill(host, 3);
    for (uint64_t seed = 0; seed < 4; seed++)
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            const fault *f = &faults[i];
            if (!emu_checked() && !f->anywhere) continue;
            emu_configure(&(emu_settings){.seed = seed, .step_limit = 100000});
            uint32_t *d_in = device_copy(host, SMALL * 4), *d_out = emu_alloc(SMALL * 4);
            unit_args a = {d_out, d_in, SMALL};
            if (f->c == UNIT_UNINITIALISED_GLOBAL) a.in = emu_alloc(SMALL * 4);
            if (f->c == UNIT_FREED) emu_free(d_in);
            if (f->c == UNIT_HOST_MEMORY) a.in = malloc(SMALL * 4);
            emu_clear();
            const int blocks = f->c == UNIT_BLOCKS_COLLIDE ? 2 : 1;
            cr_expect_eq(unit_launch(f->c, blocks, &gpu, &a), RF_E_DEVICE, "case %d", (int)f->c);
            cr_expect(emu_reported(f->kind), "case %d seed %d: no %s, but: %s", (int)f->c,
                      (int)seed, f->kind, all_reports());
            if (f->c != UNIT_COPY_ABANDONED) /* the end of a thread has no line */
                cr_expect(strstr(all_reports(), "unit.cu:"), "case %d: no line: %s", (int)f->c,
                          all_reports());
        }
}

/* After a fault the device works as before. */
Test(emulator, goes_on_after_a_fault)
{
    uint32_t in[WORDS], out[WORDS];
    fill(in, 4);
    uint32_t       *d = device_copy(in, WORDS * 4);
    const unit_args a = {d, d, 64};
    unit_launch(UNIT_DIVERGENT_BARRIER, 3, &gpu, &a);
    cr_expect_eq(emu_reports(), 1, "the grid ends with the block that cannot go on");
    run_right(UNIT_REVERSE, 4, in, out);
    for (int i = 0; i < WORDS; i++) cr_expect_eq(out[i], in[i / 64 * 64 + 63 - i % 64]);
}

Test(emulator, refuses_what_no_device_can)
{
    const rf_gpu    small = {.shared_bytes_max = 4095}, absurd = {.shared_bytes_max = 228 * 1024};
    const unit_args a = {0};
    cr_expect_eq(unit_launch(UNIT_REVERSE, 1, &small, &a), RF_E_DEVICE);
    cr_expect_eq(unit_launch(UNIT_REVERSE, 1, &absurd, &a), RF_E_DEVICE);
    cr_expect_eq(unit_launch(UNIT_REVERSE, 0, &gpu, &a), RF_E_DEVICE);
    cr_expect_eq(emu_reports(), 3);
}

Test(emulator, memory_of_the_host_side_is_guarded)
{
    char  host[16] = {0};
    char *d = emu_alloc(16);
    emu_upload(d, host, 17);
    cr_expect_eq(emu_reports(), 1);
    emu_clear();
    emu_download(host, d + 1, 16);
    cr_expect_eq(emu_reports(), 1);
    emu_free(d);
    emu_clear();
    emu_free(d);
    cr_expect_eq(emu_reports(), 1);
    cr_expect_null(emu_alloc((size_t)1 << 40));
}
