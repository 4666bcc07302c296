/* Every kind and spelling of LoRA, merged, is what LyCORIS, peft and the plain formula make of it
 * (tools/golden/make_loras.py). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/lora_delta.h"
#include "engine/files/lora_fit.h"
#include "engine/files/lora_product.h"
#include "engine/files/safetensors.h"
#include "engine/files/synth.h"
#include "tests/model/golden.h"

enum { SAMPLES = 128 };

static const char *const files[] = {"lora_kinds", "lora_peft", "lora_old"};

typedef struct bench {
    char             *tiny;
    rf_safetensors   *base, *want;
    const rf_tensors *tensors, *wanted;
    rf_lora_names    *names;
} bench;

static bench set_up(void)
{
    rf_sdxl_arch arch;
    bench        b = {.tiny = make_tiny(7)};
    cr_assert_eq(rf_safetensors_open(&b.base, b.tiny, NULL), RF_OK);
    cr_assert_eq(rf_safetensors_open(&b.want, "tests/golden/lora_merges.safetensors", NULL), RF_OK);
    b.tensors = rf_safetensors_list(b.base);
    b.wanted = rf_safetensors_list(b.want);
    cr_assert_eq(rf_synth_arch(&arch, "tiny", NULL), RF_OK);
    cr_assert_eq(rf_lora_names_create(&b.names, &arch, NULL), RF_OK);
    return b;
}

static void tear_down(bench *b)
{
    rf_lora_names_destroy(b->names);
    rf_safetensors_close(b->base);
    rf_safetensors_close(b->want);
    remove_tiny(b->tiny);
}

static float *read_all(const rf_tensors *list, const rf_tensor *t)
{
    rf_lora_matrix m;
    cr_assert_eq(rf_lora_read(&m, list, t, NULL), RF_OK);
    return m.value;
}

static float *merged(const bench *b, const rf_lora_fit *fit, const rf_tensor *t, int threads)
{
    rf_error err = {0};
    float   *w = read_all(b->tensors, t);
    cr_assert_eq(rf_lora_merge(fit, t, 0.7f, w, threads, &err), RF_OK, "%s", err.message);
    return w;
}

/* |got - want| / |want| over the samples. */
static double error_of(const float *got, size_t elems, const float *want)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        const double d = (double)got[i * elems / SAMPLES] - (double)want[i];
        off += d * d;
        all += (double)want[i] * (double)want[i];
    }
    return sqrt(off / all);
}

static int same_bits(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x, y;
        memcpy(&x, &a[i], sizeof x);
        memcpy(&y, &b[i], sizeof y);
        if (x != y) return 0;
    }
    return 1;
}

static void check_tensor(const bench *b, const rf_lora_fit *fit, const rf_tensor *golden,
                         const char *name)
{
    const rf_tensor *t = rf_tensors_find(b->tensors, name);
    cr_assert_not_null(t, "%s", name);
    cr_expect(rf_lora_touches(fit, name), "%s", name);
    float       *plain = read_all(b->tensors, t), *want = read_all(b->wanted, golden);
    float       *one = merged(b, fit, t, 1), *three = merged(b, fit, t, 3);
    const double error = error_of(one, (size_t)t->elems, want);
    cr_expect_leq(error, 1e-6, "%s: %.3g", golden->name, error);
    cr_expect_gt(error_of(plain, (size_t)t->elems, want), 1e-3, "%s is not changed at all",
                 golden->name);
    cr_expect(same_bits(one, three, (size_t)t->elems), "%s: threads change bits", golden->name);
    free(plain);
    free(want);
    free(one);
    free(three);
}

/* Tensors that a file changes: how many of them the golden file has. */
static int check_file(const bench *b, const rf_lora_fit *fit, const char *file)
{
    const size_t front = strlen(file);
    int          checked = 0;
    for (size_t i = 0; i < b->wanted->count; i++) {
        const rf_tensor *golden = &b->wanted->item[i];
        if (strncmp(golden->name, file, front) != 0 || golden->name[front] != '/') continue;
        check_tensor(b, fit, golden, golden->name + front + 1);
        checked++;
    }
    return checked;
}

Test(lora_merge, equals_the_reference_implementations, .timeout = 120)
{
    bench b = set_up();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char        path[128];
        rf_error    err = {0};
        rf_lora    *lora = NULL;
        rf_lora_fit fit;
        int         touched = 0;
        snprintf(path, sizeof path, "tests/golden/%s.safetensors", files[i]);
        cr_assert_eq(rf_lora_open(&lora, path, &err), RF_OK, "%s", err.message);
        cr_assert_eq(rf_lora_fit_create(&fit, lora, b.names, &err), RF_OK, "%s", err.message);
        cr_expect_eq(fit.matches, lora->modules, "%s: %s", path, fit.first.message);
        for (size_t k = 0; k < b.tensors->count; k++)
            touched += rf_lora_touches(&fit, b.tensors->item[k].name);
        cr_expect_eq(check_file(&b, &fit, files[i]), touched, "%s", path);
        rf_lora_fit_free(&fit);
        rf_lora_close(lora);
    }
    tear_down(&b);
}

/* Blocks, tails and vectors of any width give each element the sum that the formula says, in its
 * order. */
Test(lora_merge, products_are_summed_in_order)
{
    enum { RANK = 5, MOST = 40 };
    float a[MOST * RANK], b[RANK * MOST], w[MOST * MOST], want[MOST * MOST], scaled[RANK * 8];
    for (int i = 0; i < MOST * RANK; i++) a[i] = b[i] = (float)sin(i * i) * 1.7f;
    for (size_t rows = 1; rows <= MOST; rows += 3)
        for (size_t columns = 1; columns <= MOST; columns += 5) {
            const rf_lora_matrix  left = {a, rows, RANK}, right = {b, RANK, columns};
            const rf_lora_product p = {.a = &left, .b = &right, .scale = 0.3f, .strength = 0.7f};
            cr_assert_leq(rf_lora_product_scratch(&p), sizeof scaled / sizeof *scaled);
            for (size_t i = 0; i < rows * columns; i++) {
                float sum = 0;
                w[i] = want[i] = 1.0f / (float)(i + 1);
                for (size_t j = 0; j < RANK; j++)
                    sum += p.scale * a[i / columns * RANK + j] * b[j * columns + i % columns];
                want[i] += p.strength * sum;
            }
            rf_lora_product_add(&p, w, 0, rows / 2, scaled);
            rf_lora_product_add(&p, w, rows / 2, rows - rows / 2, scaled);
            cr_assert(same_bits(w, want, rows * columns), "%zu rows, %zu columns", rows, columns);
        }
}

Test(lora_merge, a_file_says_what_it_holds)
{
    rf_lora *lora = NULL;
    cr_assert_eq(rf_lora_open(&lora, "tests/golden/lora_kinds.safetensors", NULL), RF_OK);
    cr_expect_eq(lora->count[RF_PART_UNET], 20);
    cr_expect_eq(lora->count[RF_PART_CLIP_G], 3);
    cr_expect_eq(lora->kinds[RF_LORA_LOW_RANK], 11);
    cr_expect_eq(lora->kinds[RF_LORA_HADAMARD], 3);
    cr_expect_eq(lora->kinds[RF_LORA_KRONECKER], 5);
    cr_expect_eq(lora->kinds[RF_LORA_DIFF], 3);
    cr_expect_eq(lora->kinds[RF_LORA_SET], 1);
    cr_expect_eq(lora->dora, 4);
    rf_lora_close(lora);
}
