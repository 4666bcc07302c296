/* Weights in 8 bits: every value, both spellings of scales, and what may not be ignored. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/files/fp8.h"
#include "kernels/half.h"

enum { TENSORS = 8, DATA = 4096 };

/* A list in memory. */
typedef struct memory {
    rf_tensor     item[TENSORS];
    unsigned char data[DATA];
    rf_tensors    list;
} memory;

static rf_status read_memory(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                             size_t bytes, rf_error *err)
{
    (void)err;
    const memory *m = self->impl;
    cr_assert(from + bytes <= t->bytes);
    memcpy(dst, m->data + t->offset + from, bytes);
    return RF_OK;
}

/* Names must come in ascending order. */
static void put(memory *m, const char *name, rf_filetype type, uint64_t elems, const void *data)
{
    const size_t at =
        m->list.count ? m->item[m->list.count - 1].offset + m->item[m->list.count - 1].bytes : 0;
    rf_tensor t = {.name = name,
                   .type = type,
                   .ndim = 1,
                   .dim = {(int64_t)elems},
                   .elems = elems,
                   .bytes = elems * rf_filetype_bytes(type),
                   .offset = at};
    cr_assert(m->list.count < TENSORS && at + t.bytes <= DATA);
    memcpy(m->data + at, data, (size_t)t.bytes);
    m->item[m->list.count++] = t;
    m->list.item = m->item;
    m->list.path = "memory";
    m->list.read = read_memory;
    m->list.impl = m;
}

static void all_bytes(uint8_t out[256])
{
    for (int i = 0; i < 256; i++) out[i] = (uint8_t)i;
}

Test(fp8, every_value_is_as_the_format_says)
{
    cr_expect(isnan(rf_f32_from_e4m3(0x7F)) && isnan(rf_f32_from_e4m3(0xFF)));
    cr_expect(rf_f32_from_e4m3(0x7E) == 448.0f && rf_f32_from_e4m3(0x01) == 0x1p-9f);
    cr_expect(rf_f32_from_e4m3(0x08) == 0x1p-6f && rf_f32_from_e4m3(0x38) == 1.0f);
    cr_expect(rf_f32_from_e5m2(0x7B) == 57344.0f && rf_f32_from_e5m2(0x01) == 0x1p-16f);
    cr_expect(isinf(rf_f32_from_e5m2(0x7C)) && isnan(rf_f32_from_e5m2(0x7D)));
    for (int i = 1; i < 0x7F; i++)
        cr_expect(rf_f32_from_e4m3((uint8_t)i) > rf_f32_from_e4m3((uint8_t)(i - 1)) &&
                      rf_f32_from_e4m3((uint8_t)(i | 0x80)) == -rf_f32_from_e4m3((uint8_t)i),
                  "%02x", (unsigned)i);
}

Test(fp8, plain_weights_become_f16_exactly)
{
    uint8_t      bytes[256];
    uint16_t     got[256];
    memory       m = {.list.count = 0};
    rf_fp8_view *v = NULL;
    const float  bias[2] = {1, 2};
    all_bytes(bytes);
    put(&m, "a.bias", RF_FILE_F32, 2, bias);
    put(&m, "a.weight", RF_FILE_F8_E4M3, 256, bytes);
    put(&m, "b.weight", RF_FILE_F8_E5M2, 256, bytes);
    cr_assert_eq(rf_fp8_view_open(&v, &m.list, NULL), RF_OK);
    const rf_tensors *list = rf_fp8_view_list(v);
    cr_assert_eq(list->count, 3);
    const rf_tensor *a = rf_tensors_find(list, "a.weight"), *b = rf_tensors_find(list, "b.weight");
    cr_assert(a->type == RF_FILE_F16 && a->bytes == 512 && b->type == RF_FILE_F16);
    cr_assert_eq(list->read(list, a, 0, got, sizeof got, NULL), RF_OK);
    for (int i = 0; i < 256; i++)
        if ((i & 0x7F) != 0x7F)
            cr_expect(rf_f32_from_f16(got[i]) == rf_f32_from_e4m3((uint8_t)i), "%02x", (unsigned)i);
    cr_assert_eq(list->read(list, b, 100, got, 8, NULL), RF_OK);
    for (int i = 0; i < 4; i++)
        cr_expect(rf_f32_from_f16(got[i]) == rf_f32_from_e5m2((uint8_t)(50 + i)));
    float same[2];
    cr_assert_eq(list->read(list, rf_tensors_find(list, "a.bias"), 0, same, sizeof same, NULL),
                 RF_OK);
    cr_expect(same[0] == 1 && same[1] == 2);
    cr_expect_eq(list->read(list, a, 511, got, 2, NULL), RF_E_BUG);
    rf_fp8_view_close(v);
}

static void scaled_by(const char *scale, const char *input)
{
    const uint8_t bytes[4] = {0x38, 0xB8, 0x40, 0x00}; /* 1, -1, 2, 0 */
    const float   third = 1.0f / 3;
    float         got[4];
    memory        m = {.list.count = 0};
    rf_fp8_view  *v = NULL;
    put(&m, input, RF_FILE_F32, 1, &third);
    put(&m, scale, RF_FILE_F32, 1, &third);
    put(&m, "x.weight", RF_FILE_F8_E4M3, 4, bytes);
    /* by name: "x.weight" < "x.weight_scale" */
    if (strcmp(m.item[1].name, m.item[2].name) > 0) {
        const rf_tensor t = m.item[1];
        m.item[1] = m.item[2];
        m.item[2] = t;
    }
    cr_assert_eq(rf_fp8_view_open(&v, &m.list, NULL), RF_OK);
    const rf_tensors *list = rf_fp8_view_list(v);
    cr_assert_eq(list->count, 1, "scales are no part of the model");
    cr_assert_eq(list->item[0].type, RF_FILE_F32);
    cr_assert_eq(list->read(list, &list->item[0], 0, got, sizeof got, NULL), RF_OK);
    cr_expect(got[0] == third && got[1] == -third && got[2] == 2 * third && got[3] == 0);
    rf_fp8_view_close(v);
}

Test(fp8, scales_count_in_both_spellings)
{
    scaled_by("x.scale_weight", "x.scale_input");
    scaled_by("x.weight_scale", "x.input_scale");
}

Test(fp8, a_file_without_8_bits_needs_no_view)
{
    memory       m = {.list.count = 0};
    rf_fp8_view *v = (rf_fp8_view *)&m;
    const float  x = 1;
    put(&m, "a.logit_scale", RF_FILE_F32, 1, &x);
    cr_expect_eq(rf_fp8_view_open(&v, &m.list, NULL), RF_OK);
    cr_expect_null(v);
}

/* What stands beside an 8-bit weight, and why it is refused. */
static const struct {
    const char *name, *said;
    rf_filetype type;
    uint64_t    elems;
    float       value[2];
} refused[] = {
    {"x.weight_scale_inv", "not known", RF_FILE_F32, 1, {1}},
    {"x.weight_scale_2", "not known", RF_FILE_F32, 1, {1}},
    {"x.weight_zero_point", "not known", RF_FILE_F32, 1, {1}},
    {"x.weight_scale", "one number", RF_FILE_F32, 2, {1, 1}},
    {"x.weight_scale", "one number", RF_FILE_I32, 1, {1}},
    {"x.weight_scale", "is nan", RF_FILE_F32, 1, {NAN}},
    {"x.weight_scale", "is inf", RF_FILE_F32, 1, {INFINITY}},
    {"x.weight_scale", "is 0", RF_FILE_F32, 1, {0}},
};

Test(fp8, scales_that_are_not_understood_are_errors)
{
    const uint8_t bytes[2] = {0x38, 0x38};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        memory       m = {.list.count = 0};
        rf_fp8_view *v = NULL;
        rf_error     err = {0};
        put(&m, "x.weight", RF_FILE_F8_E4M3, 2, bytes);
        put(&m, refused[i].name, refused[i].type, refused[i].elems, refused[i].value);
        cr_expect_eq(rf_fp8_view_open(&v, &m.list, &err), RF_E_MODEL, "%s", refused[i].name);
        cr_expect_not_null(strstr(err.message, refused[i].said), "%s: %s", refused[i].name,
                           err.message);
        cr_expect_not_null(strstr(err.message, refused[i].name), "%s", err.message);
    }
}
