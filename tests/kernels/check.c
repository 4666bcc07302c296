/* check: the comparison harness.  A case is a short list of guarded buffers; nothing is clever. */
#include "tests/kernels/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GUARD_BYTES = 256,
    GUARD_PATTERN = 0xC3,
    BUFFERS = 40,
    AXES = 6,
};

/* A plain reference does about 1 GFLOP/s; a row runs once or twice per fill. */
#ifdef RF_SANITIZE
#define FLOP_LIMIT 3e6
#else
#define FLOP_LIMIT 4e7
#endif

typedef enum buffer_kind { INPUT, OUTPUT, SCRATCH } buffer_kind;

typedef struct buffer {
    buffer_kind    kind;
    rf_dtype       dtype;
    size_t         rows, cols, stride; /* elements */
    size_t         bytes;              /* between the guards */
    unsigned char *base;               /* guard, data, guard */
    unsigned char *copy;               /* of an input, as handed out */
} buffer;

struct check {
    const char   *op, *row;
    check_fill    fill;
    uint64_t      seed, state;
    buffer        buffers[BUFFERS];
    int           buffers_used;
    check_verdict verdict;
};

static int rows_skipped;

static void fault(check *k, bool *flag, const char *format, ...)
{
    *flag = true;
    char        *text = k->verdict.text;
    const size_t size = sizeof k->verdict.text, used = strlen(text);
    const int head = snprintf(text + used, size - used, "%s/%s fill %d seed %llu: ", k->op, k->row,
                              (int)k->fill, (unsigned long long)k->seed);
    const size_t at = used + (size_t)head;
    if (at >= size) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text + at, size - at, format, args);
    va_end(args);
}

/* splitmix64 (Steele, Lea & Flood 2014). */
static uint64_t random_bits(check *k)
{
    uint64_t z = (k->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double random_unit(check *k)
{
    return ((double)(random_bits(k) >> 11) + 0.5) * 0x1p-53;
}

static double random_normal(check *k) /* Box & Muller 1958 */
{
    return sqrt(-2 * log(random_unit(k))) * cos(2 * 3.14159265358979323846 * random_unit(k));
}

check *check_begin(const char *op, const char *row, int fill, double flop)
{
    if (flop > FLOP_LIMIT) {
        rows_skipped++;
        return NULL;
    }
    check *k = calloc(1, sizeof *k);
    cr_assert_not_null(k);
    k->op = op, k->row = row, k->fill = (check_fill)fill;
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
    for (const char *s = op; *s; s++) hash = (hash ^ (unsigned char)*s) * 0x100000001B3u;
    for (const char *s = row; *s; s++) hash = (hash ^ (unsigned char)*s) * 0x100000001B3u;
    const char *extra = getenv("RF_CHECK_SEED");
    k->seed = (hash + (uint64_t)fill) % 1000000 + (extra ? strtoull(extra, NULL, 10) : 0);
    k->state = k->seed * 0xD1342543DE82EF95u;
    return k;
}

int check_skipped(void)
{
    return rows_skipped;
}

static unsigned char *data_of(const buffer *b)
{
    return b->base + GUARD_BYTES;
}

static buffer *new_buffer(check *k, buffer_kind kind, size_t bytes)
{
    cr_assert_lt(k->buffers_used, BUFFERS, "raise BUFFERS");
    buffer *b = &k->buffers[k->buffers_used++];
    *b = (buffer){.kind = kind, .bytes = bytes};
    const size_t whole = (bytes + 2 * GUARD_BYTES + 63) / 64 * 64;
    b->base = aligned_alloc(64, whole);
    cr_assert_not_null(b->base);
    memset(b->base, GUARD_PATTERN, whole);
    return b;
}

static float value_of(check *k, rf_dtype dtype, check_fill fill, size_t i, size_t hot)
{
    switch (fill) {
    case CHECK_ZEROS: return 0;
    case CHECK_LARGE:
        return (float)((random_bits(k) & 1 ? -0x1p14 : 0x1p14) * (1 - random_unit(k) / 2));
    case CHECK_ALTERNATING: return i % 2 ? -1 : 1;
    case CHECK_ONE_HOT: return i % 64 == hot ? 1 : 0;
    case CHECK_DENORMAL: return (float)((dtype == RF_F16 ? 0x1p-15 : 0x1p-127) * random_unit(k));
    case CHECK_FAR: return (float)(100 + 0.1 * random_normal(k));
    default: return (float)random_normal(k);
    }
}

static void remember(buffer *b)
{
    b->copy = malloc(b->bytes + 1);
    cr_assert_not_null(b->copy);
    memcpy(b->copy, data_of(b), b->bytes);
}

void *check_input_of(check *k, rf_dtype dtype, size_t elems, check_fill fill)
{
    buffer *b = new_buffer(k, INPUT, elems * rf_dtype_bytes(dtype));
    b->dtype = dtype, b->rows = 1, b->cols = b->stride = elems;
    const size_t hot = random_bits(k) % 64;
    for (size_t i = 0; i < elems; i++)
        rf_store(data_of(b), dtype, i, value_of(k, dtype, fill, i, hot));
    remember(b);
    return data_of(b);
}

void *check_input(check *k, rf_dtype dtype, size_t elems)
{
    return check_input_of(k, dtype, elems, k->fill);
}

void *check_input_bytes(check *k, const void *data, size_t bytes)
{
    buffer *b = new_buffer(k, INPUT, bytes);
    memcpy(data_of(b), data, bytes);
    remember(b);
    return data_of(b);
}

void *check_output(check *k, rf_dtype dtype, size_t rows, size_t cols, size_t stride)
{
    cr_assert(stride >= cols && rows > 0);
    const size_t size = rf_dtype_bytes(dtype);
    buffer      *b = new_buffer(k, OUTPUT, ((rows - 1) * stride + cols) * size);
    b->dtype = dtype, b->rows = rows, b->cols = cols, b->stride = stride;
    for (size_t r = 0; r < rows; r++) memset(data_of(b) + r * stride * size, 0xFF, cols * size);
    return data_of(b);
}

void *check_output_from(check *k, rf_dtype dtype, const void *input, size_t elems)
{
    void *out = check_output(k, dtype, 1, elems, elems);
    memcpy(out, input, elems * rf_dtype_bytes(dtype));
    return out;
}

void *check_output_bytes(check *k, size_t bytes)
{
    return data_of(new_buffer(k, OUTPUT, bytes));
}

float *check_floats(check *k, size_t elems)
{
    buffer *b = new_buffer(k, SCRATCH, elems * sizeof(float));
    memset(data_of(b), 0, b->bytes);
    b->dtype = RF_F32, b->rows = 1, b->cols = b->stride = elems;
    return (float *)(void *)data_of(b);
}

static buffer *find(check *k, const void *data)
{
    for (int i = 0; i < k->buffers_used; i++)
        if (data_of(&k->buffers[i]) == data) return &k->buffers[i];
    cr_assert_fail("not a buffer of this case");
    return NULL;
}

float *check_widened(check *k, const void *data, check_view view)
{
    if (!data) return NULL;
    const rf_dtype dtype = find(k, data)->dtype;
    const size_t   elems = find(k, data)->bytes / rf_dtype_bytes(dtype);
    float         *wide = check_floats(k, elems);
    for (size_t i = 0; i < elems; i++) {
        const float v = rf_load(data, dtype, i);
        wide[i] = view == CHECK_ABS ? fabsf(v) : v;
    }
    return wide;
}

double check_sum_error(double terms, double unit)
{
    return sqrt(terms) * unit;
}

/* Distance between neighbours of |x| in `dtype`. */
static double ulp_of(double x, rf_dtype dtype)
{
    const int bits = dtype == RF_F32 ? 24 : dtype == RF_BF16 ? 8 : 11;
    int       exponent;
    if (x == 0 || !isfinite(x)) return dtype == RF_F16 ? 0x1p-24 : 0x1p-116;
    frexp(x, &exponent);
    return fmax(ldexp(1, exponent - bits), dtype == RF_F16 ? 0x1p-24 : 0x1p-116);
}

/* Writes "n=1 hw=0 c=17" for element `at`. */
static void name_place(char *text, size_t size, const char *axes, const int *dim, int dims,
                       size_t at)
{
    int place[AXES];
    for (int i = dims; i-- > 0; at /= (size_t)dim[i]) place[i] = (int)(at % (size_t)dim[i]);
    size_t used = 0;
    for (int i = 0; i < dims && used < size; i++) {
        const int len = (int)strcspn(axes, " ");
        used += (size_t)snprintf(text + used, size - used, "%s%.*s=%d", i ? " " : "", len, axes,
                                 place[i]);
        axes += len + (axes[len] == ' ');
    }
}

/* Reads the sizes that follow `axes`; returns how many, after checking their product. */
static int read_axes(const buffer *b, const char *axes, va_list args, int *dim)
{
    int    dims = 0;
    size_t product = 1;
    for (const char *s = axes; *s; s += s[strcspn(s, " ")] ? strcspn(s, " ") + 1 : strlen(s)) {
        cr_assert_lt(dims, AXES);
        dim[dims] = va_arg(args, int);
        product *= (size_t)dim[dims++];
    }
    cr_assert_eq(product, b->rows * b->cols, "axes do not cover the output");
    return dims;
}

static bool same_infinity(double a, double b)
{
    return isinf(a) && isinf(b) && (a > 0) == (b > 0);
}

/* Rounds to infinity in this storage type. */
static bool overflows(double x, rf_dtype dtype)
{
    if (dtype == RF_F32) return isinf((float)x);
    uint16_t rounded;
    rf_store(&rounded, dtype, 0, (float)x);
    return isinf(rf_load(&rounded, dtype, 0));
}

void check_compare(check *k, const void *output, const check_bound *bound, const char *axes, ...)
{
    const buffer b = *find(k, output);
    int          dim[AXES];
    va_list      args;
    va_start(args, axes);
    const int dims = read_axes(&b, axes, args, dim);
    va_end(args);

    size_t bad = 0, first = 0;
    double worst = 0, worst_allowed = 0, squares = 0, first_allowed = 0;
    for (size_t i = 0; i < b.rows * b.cols; i++) {
        const double got = rf_load(output, b.dtype, i / b.cols * b.stride + i % b.cols);
        const double ref = bound->ref[i], error = fabs(got - ref);
        const double naive = (bound->magnitude ? bound->rel * bound->magnitude[i] : 0) + bound->add;
        const double allowed = 2 * naive + 2 * ulp_of(ref, b.dtype);
        if (same_infinity(got, ref) ||
            (isinf(got) && overflows(ref + copysign(allowed, ref), b.dtype)))
            continue;
        squares += error * error;
        if (error > worst) worst = error, worst_allowed = allowed;
        if (error <= allowed && isfinite(got)) continue; /* false for NaN */
        if (bad++ == 0) first = i, first_allowed = allowed;
    }
    if (!bad) return;

    char place[160];
    name_place(place, sizeof place, axes, dim, dims, first);
    const float got = rf_load(output, b.dtype, first / b.cols * b.stride + first % b.cols);
    const float ref = bound->ref[first];
    fault(k, &k->verdict.wrong_value,
          "%zu of %zu %s values wrong, max error %.3g (allowed there %.3g), RMS %.3g; first at %s: "
          "got %.9g (%a, 0x%08x), want %.9g (%a, 0x%08x), allowed %.3g\n",
          bad, b.rows * b.cols, rf_dtype_name(b.dtype), worst, worst_allowed,
          sqrt(squares / (double)(b.rows * b.cols)), place, (double)got, (double)got,
          (unsigned)rf_bits_from_f32(got), (double)ref, (double)ref,
          (unsigned)rf_bits_from_f32(ref), first_allowed);
}

void check_compare_bits(check *k, const void *output, const void *want, const char *axes, ...)
{
    const buffer b = *find(k, output);
    int          dim[AXES];
    va_list      args;
    va_start(args, axes);
    const int dims = read_axes(&b, axes, args, dim);
    va_end(args);

    const size_t size = rf_dtype_bytes(b.dtype);
    for (size_t i = 0; i < b.rows * b.cols; i++) {
        const size_t at = i / b.cols * b.stride + i % b.cols;
        if (!memcmp((const char *)output + at * size, (const char *)want + i * size, size))
            continue;
        char place[160];
        name_place(place, sizeof place, axes, dim, dims, i);
        const float got = rf_load(output, b.dtype, at), expected = rf_load(want, b.dtype, i);
        fault(k, &k->verdict.wrong_value,
              "bits differ first at %s: got %.9g (%a), want %.9g (%a)\n", place, (double)got,
              (double)got, (double)expected, (double)expected);
        return;
    }
}

/* Index of the first byte in [from, to) that is not the guard pattern, or `to`. */
static size_t first_written(const unsigned char *p, size_t from, size_t to)
{
    while (from < to && p[from] == GUARD_PATTERN) from++;
    return from;
}

static void check_guards(check *k, const buffer *b, int index)
{
    const unsigned char *after = data_of(b) + b->bytes;
    size_t               at = first_written(b->base, 0, GUARD_BYTES);
    if (at < GUARD_BYTES)
        fault(k, &k->verdict.guard_written, "buffer %d: written %zu bytes before its start\n",
              index, GUARD_BYTES - at);
    at = first_written(after, 0, GUARD_BYTES);
    if (at < GUARD_BYTES)
        fault(k, &k->verdict.guard_written, "buffer %d: written %zu bytes after its end\n", index,
              at);

    const size_t size = rf_dtype_bytes(b->dtype);
    for (size_t r = 0; r + 1 < b->rows; r++) {
        const size_t from = (r * b->stride + b->cols) * size, to = (r + 1) * b->stride * size;
        at = first_written(data_of(b), from, to);
        if (at == to) continue;
        fault(k, &k->verdict.guard_written, "buffer %d: padding of row %zu written at column %zu\n",
              index, r, (at - r * b->stride * size) / size);
        return;
    }
}

check_verdict check_end(check *k)
{
    for (int i = 0; i < k->buffers_used; i++) {
        buffer *b = &k->buffers[i];
        check_guards(k, b, i);
        if (b->copy && memcmp(b->copy, data_of(b), b->bytes)) {
            size_t at = 0;
            while (b->copy[at] == data_of(b)[at]) at++;
            fault(k, &k->verdict.input_written, "buffer %d: an input changed at byte %zu\n", i, at);
        }
        free(b->copy);
        free(b->base);
    }
    const check_verdict verdict = k->verdict;
    free(k);
    return verdict;
}
