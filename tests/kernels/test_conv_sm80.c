/* conv: the sm80 level against the reference, at the shared memory of three kinds of device; its
 * planted faults; what it refuses.  Bits and figures are in test_conv_sm80_bits.c. */
#include "kernels/conv/conv_tiles.h"
#include "tests/kernels/conv_sm80_case.h"

typedef enum added { NO_RESIDUAL, RESIDUAL, IN_PLACE, RESIDUALS } added;

static const int limits[] = {GPU_SHARED_SMALL, GPU_SHARED_A100, GPU_SHARED_H100};
enum { LIMITS = 3 };

/* The order of kernels/device/matmul.cuh, then of kernels/conv/sm80.cu. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,
    ONE_WAIT_TOO_FEW,
    NO_BARRIER_AT_END,
    WRONG_SWIZZLE,
    STALE_STAGE,
    NO_TAIL,
    NO_BARRIER_OF_TABLE,
    UNGUARDED_PIXELS,
    UNGUARDED_STORE,
    NO_ZERO_FILL,
    WRAPPED_HALO,
    LOST_STRIDE,
    TRANSPOSED_TAPS,
    EVEN_PIXELS,
    SECOND_SOURCE_LATE,
    WRONG_SAMPLE,
    RELU_BEFORE_RESIDUAL,
    DEFECTS,
};

/* Work of the emulated device: tiles, padding and all, of the usual large tile. */
static double padded_flop(const conv_row *r)
{
    const rf_conv_tile tile =
        rf_conv_tile_sm80(conv_out_pixels(r), r->cin, r->cout, GPU_SHARED_A100);
    const double m = conv_round_up(r->n * conv_out_pixels(r), tile == RF_CONV_SMALL ? 64 : 128);
    const double bn = tile == RF_CONV_THIN    ? 16
                      : tile == RF_CONV_SMALL ? 64
                      : tile == RF_CONV_WIDE  ? 160
                                              : 128;
    return 2 * m * conv_round_up(r->cout, bn) * conv_round_up(9 * conv_round_up(r->cin, 8), 64);
}

/* How a case is dressed: residual; bias and time embedding; elements between rows of the latter;
 * and whether what is negative is cut off. */
typedef struct dress {
    added mode;
    bool  biased, timed;
    int   temb_gap;
    bool  relu;
} dress;

/* One case; returns false if the row is above the flop limit. */
static bool compare(const conv_row *r, double flop, int fill, rf_dtype dtype, dress d,
                    gpu_settings settings, check_verdict *verdict)
{
    const size_t out = conv_out_elems(r);
    check       *k = check_begin("conv_sm80", r->name, fill, flop);
    if (!k) return false;

    const void  *residual = d.mode == NO_RESIDUAL ? NULL : check_input(k, dtype, out);
    rf_conv_args a = conv_args_of(r);
    a.dtype = a.wdtype = dtype;
    a.x = check_input(k, dtype, conv_x_elems(r));
    if (r->cin1) a.x2 = check_input(k, dtype, conv_x2_elems(r));
    a.wt = check_input(k, dtype, conv_weight_elems(r));
    if (d.biased) a.bias = check_input(k, RF_F32, (size_t)r->cout);
    if (d.timed) {
        a.temb_stride = r->cout + d.temb_gap, a.temb_row = conv_temb_row;
        a.temb = check_input(k, dtype, CONV_TEMB_ROWS * (size_t)a.temb_stride);
    }
    a.y = d.mode == IN_PLACE ? check_output_from(k, dtype, residual, out)
                             : check_output(k, dtype, 1, out, out);
    a.residual = d.mode == IN_PLACE ? a.y : residual;
    a.relu = d.relu;

    const check_bound bound = {
        .ref = conv_reference(k, a, residual, CHECK_EXACT),
        .magnitude = conv_reference(k, a, residual, CHECK_ABS),
        .rel = check_sum_error(9.0 * r->cin + 3, CHECK_UNIT_F32),
    };
    conv_run_sm80(settings, r, a, 0);
    check_compare(k, a.y, &bound, "n h w c", r->n, rf_conv_out(r->kind, r->h),
                  rf_conv_out(r->kind, r->w), r->cout);
    *verdict = check_end(k);
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void expect_right(const conv_row *r, double flop, int fill, rf_dtype dtype, dress d,
                         gpu_settings s)
{
    check_verdict v;
    if (!compare(r, flop, fill, dtype, d, s, &v)) return;
    cr_expect(!v.text[0], "%d bytes shared, schedule %d: %s", s.shared_bytes_max, (int)s.seed,
              v.text);
    cr_expect(!gpu_faults()[0], "%s, %d bytes shared, schedule %d: %s", r->name, s.shared_bytes_max,
              (int)s.seed, gpu_faults());
}

static dress dress_of(int i)
{
    return (dress){(added)(i % RESIDUALS), i % 4 != 3, i % 5 != 4, i % 2 ? 5 : 8, i % 3 != 1};
}

/* Every fill once, normal numbers on every device and under two schedules. */
static void check_reference(rf_dtype dtype)
{
    for (int i = 0; i < conv_rows_count; i++) {
        const conv_row *r = &conv_rows[i];
        const double    flop = padded_flop(r);
        for (int fill = 1; fill < CHECK_FILLS; fill++) {
            const gpu_settings s = {limits[(fill + i) % LIMITS], (uint64_t)fill % 2, 0};
            expect_right(r, flop, fill, dtype, dress_of(fill + i), s);
        }
        for (int j = 0; j < 2 * LIMITS; j++) {
            const gpu_settings s = {limits[j / 2], (uint64_t)(j % 2), 0};
            expect_right(r, flop, CHECK_NORMAL, dtype, dress_of(j), s);
        }
    }
    cr_log_info("%d cases above the flop limit", check_skipped());
}

Test(conv_sm80, matches_reference_f16, .timeout = 240)
{
    check_reference(RF_F16);
}

Test(conv_sm80, matches_reference_bf16, .timeout = 240)
{
    check_reference(RF_BF16);
}

static int scaled(int channels)
{
    if (channels <= 8) return channels;
    const int less = channels / 16;
    return less / 8 * 8 < 16 ? 16 : less / 8 * 8;
}

/* Every row that is too large, on a small map with fewer channels. */
Test(conv_sm80, real_rows_made_small, .timeout = 120)
{
    int few = 0;
    for (int i = 0; i < conv_rows_count; i++) {
        conv_row r = conv_rows[i];
        if (padded_flop(&r) < 4e7) continue;
        r.n = 2, r.h = 4 + i % 3, r.w = 5 - i % 2;
        r.cin = scaled(r.cin), r.cin1 = scaled(r.cin1);
        r.cout = r.cout % 160 ? r.cout <= 8 ? r.cout : 128 : 160;
        const gpu_settings s = {limits[i % LIMITS], (uint64_t)(i % 2), 0};
        expect_right(&r, 0, CHECK_NORMAL, i % 2 ? RF_F16 : RF_BF16, dress_of(i), s);
        few++;
    }
    cr_expect_geq(few, 30);
}

/* Every row of the budget has a launch on every device. */
Test(conv_sm80, every_row_is_planned)
{
    static const int bytes_of[] = {
        [RF_CONV_SMALL] = 4 * 128 * 128 + 64 * 8,   [RF_CONV_THIN] = 4 * 144 * 128 + 128 * 8,
        [RF_CONV_SQUARE] = 3 * 256 * 128 + 128 * 8, [RF_CONV_WIDE] = 4 * 288 * 128 + 128 * 8,
        [RF_CONV_TALL] = 4 * 416 * 128 + 256 * 8,
    };
    for (int i = 0; i < conv_rows_count; i++)
        for (int l = 0; l < LIMITS; l++) {
            const conv_row *r = &conv_rows[i];
            const rf_gpu   *gpu = gpu_use((gpu_settings){limits[l], 0, 0});
            rf_conv_args    a = conv_args_of(r);
            size_t          bytes;
            a.dtype = a.wdtype = RF_F16;
            for (a.n = 1; a.n <= 16; a.n *= 2)
                cr_expect_eq(rf_conv_prepare_sm80((void *)gpu, &a, &bytes), RF_OK, "%s", r->name);
            const rf_conv_tile tile =
                rf_conv_tile_sm80(conv_out_pixels(r), r->cin, r->cout, limits[l]);
            cr_expect_leq(bytes_of[tile], limits[l], "%s: tile %d", r->name, (int)tile);
        }
}

/* ---- planted defects ------------------------------------------------------------------------- */

/* A row on which the defect shows. */
static conv_row row_for(int defect)
{
    static const conv_row plain = {"defect", 2, 9, 9, 72, 40, 136, RF_CONV_SAME};
    static const conv_row store = {"defect_store", 1, 5, 7, 24, 0, 68, RF_CONV_SAME};
    static const conv_row down = {"defect_down", 1, 9, 10, 24, 0, 72, RF_CONV_DOWN};
    static const conv_row up = {"defect_up", 1, 5, 6, 24, 0, 72, RF_CONV_UP2};
    switch (defect) {
    case UNGUARDED_STORE: return store;
    case LOST_STRIDE: return down;
    case EVEN_PIXELS: return up;
    default: return plain;
    }
}

/* The report that must name it in a checked build; NULL if only values can show it. */
static const char *kind_of(int defect)
{
    switch (defect) {
    case NO_BARRIER:
    case ONE_WAIT_TOO_FEW:
    case NO_BARRIER_AT_END:
    case STALE_STAGE: return "race";
    case NO_BARRIER_OF_TABLE: return "uninitialised";
    case UNGUARDED_PIXELS:
    case UNGUARDED_STORE: return "bounds";
    default: return NULL;
    }
}

Test(conv_sm80, planted_defects_are_caught, .timeout = 120)
{
    GPU_EMULATED_ONLY();
    for (int defect = NO_DEFECT; defect < DEFECTS; defect++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            /* These two need every access to be looked at. */
            if (!gpu_checked() && (defect == NO_BARRIER_AT_END || defect == UNGUARDED_STORE))
                continue;
            const conv_row     r = row_for(defect);
            const gpu_settings s = {GPU_SHARED_SMALL, seed, defect};
            const bool         cut = defect == RELU_BEFORE_RESIDUAL;
            const dress        d = {cut ? RESIDUAL : NO_RESIDUAL, true, true, 8, cut};
            check_verdict      v;
            compare(&r, 0, CHECK_NORMAL, RF_BF16, d, s, &v);
            const char *faults = gpu_faults(), *kind = kind_of(defect);
            const bool  caught = v.text[0] || faults[0];
            cr_expect_eq(caught, defect != NO_DEFECT, "defect %d: %s%s", defect, v.text, faults);
            if (gpu_checked() && kind)
                cr_expect(strstr(faults, kind), "defect %d: no %s: %s", defect, kind, faults);
        }
}

/* ---- tiles ----------------------------------------------------------------------------------- */

Test(conv_sm80, tile_depends_on_the_device_the_map_and_the_channels)
{
    cr_expect_eq(rf_conv_tile_sm80(1 << 14, 4, 320, GPU_SHARED_H100), RF_CONV_SMALL);
    cr_expect_eq(rf_conv_tile_sm80(1 << 14, 320, 4, GPU_SHARED_SMALL), RF_CONV_THIN);
    cr_expect_eq(rf_conv_tile_sm80(1 << 20, 128, 128, GPU_SHARED_H100), RF_CONV_SQUARE);
    cr_expect_eq(rf_conv_tile_sm80(1 << 14, 320, 320, GPU_SHARED_SMALL), RF_CONV_SQUARE);
    cr_expect_eq(rf_conv_tile_sm80(1 << 14, 320, 320, GPU_SHARED_A100), RF_CONV_WIDE);
    cr_expect_eq(rf_conv_tile_sm80(1 << 14, 320, 320, GPU_SHARED_H100), RF_CONV_TALL);
    cr_expect_eq(rf_conv_tile_sm80(1 << 12, 640, 640, GPU_SHARED_H100), RF_CONV_TALL);
    cr_expect_eq(rf_conv_tile_sm80(1 << 12, 320, 320, GPU_SHARED_H100), RF_CONV_WIDE);
    cr_expect_eq(rf_conv_tile_sm80(1 << 10, 1280, 1280, GPU_SHARED_H100), RF_CONV_WIDE);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void expect_refused(const rf_gpu *gpu, rf_conv_args a, const char *why)
{
    size_t   bytes;
    uint16_t y = 0x1234;
    cr_expect_eq(rf_conv_prepare_sm80((void *)gpu, &a, &bytes), RF_E_SHAPE, "%s", why);
    a.y = &y;
    cr_expect_eq(rf_conv_sm80((void *)gpu, &a), RF_E_SHAPE, "run: %s", why);
    cr_expect_eq(y, 0x1234);
}

Test(conv_sm80, rejects_bad_sizes)
{
    const rf_gpu *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    rf_conv_args  good = {.n = 1, .h = 4, .w = 4, .cin = 4, .cout = 8};
    const float   temb = 0;
    size_t        bytes;
    good.dtype = good.wdtype = RF_BF16;
    rf_conv_args a = good;
    cr_expect_eq(rf_conv_prepare_sm80((void *)gpu, &a, &bytes), RF_OK);
    a.n = 0, expect_refused(gpu, a, "no image");
    a = good, a.h = 0, expect_refused(gpu, a, "no rows");
    a = good, a.w = -1, expect_refused(gpu, a, "negative width");
    a = good, a.h = (1 << 15) + 1, expect_refused(gpu, a, "more rows than a map may have");
    a = good, a.n = 1 << 20, a.h = a.w = 64, expect_refused(gpu, a, "more pixels than an int");
    a = good, a.n = 5, a.h = a.w = 1 << 13, a.kind = RF_CONV_UP2;
    expect_refused(gpu, a, "more enlarged pixels than an int");
    a = good, a.cin = 0, expect_refused(gpu, a, "no input channels");
    a = good, a.cin = (1 << 26) + 1, expect_refused(gpu, a, "k beyond an int");
    a = good, a.cout = 0, expect_refused(gpu, a, "no output channels");
    a = good, a.cout = (1 << 21) + 1, expect_refused(gpu, a, "more tiles than a grid has");
    a = good, a.cin1 = 5, expect_refused(gpu, a, "more channels from x than there are");
    a = good, a.cin1 = -1, expect_refused(gpu, a, "negative cin1");
    a = good, a.kind = (rf_conv_kind)4, expect_refused(gpu, a, "no such kind");
    a = good, a.kind = RF_CONV_DOWN_RB, a.w = 1, expect_refused(gpu, a, "no output column");
    a = good, a.temb = &temb, a.temb_stride = 7, expect_refused(gpu, a, "rows overlap");
    a = good, a.wdtype = RF_F16, expect_refused(gpu, a, "bf16 with f16 weights");
    a = good, a.dtype = a.wdtype = RF_F32, expect_refused(gpu, a, "f32");
    const rf_conv_weight_shape none = {0, 8, RF_CONV_SAME, RF_F16, RF_F16};
    const rf_conv_weight_shape wide = {8, 8, RF_CONV_SAME, RF_F32, RF_F32};
    cr_expect_eq(rf_conv_pack_bytes_sm80((void *)gpu, &none, &bytes), RF_E_SHAPE);
    cr_expect_eq(rf_conv_pack_sm80((void *)gpu, &wide, NULL, NULL), RF_E_SHAPE);
}
