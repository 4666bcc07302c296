/* choice: the tables that are built in, looking up, and tables that are not as they should be. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/choice/choice.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"

#define HEAD "refinery-choices 1\nclass sm90\ncublaslt 130002\ncudnn 91900\n"

static rf_status read_text(rf_choices *out, const char *text, rf_error *err)
{
    return rf_choices_read(out, text, strlen(text), "table", err);
}

Test(choice, built_in_tables_parse_and_say_their_class)
{
    cr_expect_gt(rf_choice_files_count, 5);
    for (size_t i = 0; i < rf_choice_files_count; i++) {
        const rf_choice_file *f = &rf_choice_files[i];
        rf_choices            c;
        rf_error              err = {0};
        cr_assert_eq(rf_choices_read(&c, (const char *)f->text, f->bytes, f->device_class, &err),
                     RF_OK, "%s", err.message);
        cr_expect_str_eq(c.device_class, f->device_class);
        cr_expect_eq(strlen(f->sha256), 64);
        rf_choices_free(&c);
    }
}

Test(choice, the_class_of_a_gpu)
{
    const struct {
        int         major, minor;
        const char *name;
    } gpus[] = {{8, 0, "sm80"}, {8, 6, "sm86"},   {8, 7, "sm86"},   {8, 9, "sm89"},
                {9, 0, "sm90"}, {10, 0, "sm100"}, {10, 3, "sm100"}, {12, 0, "sm120"}};
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
        const rf_choice_file *f = rf_choice_file_of(gpus[i].major, gpus[i].minor);
        cr_assert_not_null(f);
        cr_expect_str_eq(f->device_class, gpus[i].name);
    }
    cr_expect_null(rf_choice_file_of(7, 5));
}

Test(choice, rows_are_found_by_their_whole_key)
{
    const char *text = HEAD "# a comment\n\nconv bf16 up2 640 1280 32 64 sm80 4\n"
                            "gemm f16 none 1280 1280 0 0 vendor 66 20 10 1 0 0 0 0 0\n"
                            "attention f16 all 10 64 4096 4096 sm80 1\n"
                            "gemm f16 geglu 1280 1280 0 0 sm80 3\n";
    rf_choices  c;
    rf_error    err = {0};
    cr_assert_eq(read_text(&c, text, &err), RF_OK, "%s", err.message);
    cr_expect_eq(c.count, 4);
    cr_expect(c.cublaslt == 130002 && c.cudnn == 91900);
    rf_choice_key    key = {.op = RF_CHOICE_GEMM, .dtype = RF_F16, .n = 1280, .k = 1280};
    const rf_choice *row = rf_choose(&c, &key);
    cr_assert_not_null(row);
    cr_expect(row->level == RF_LEVEL_VENDOR && row->count == 9 && row->number[2] == 10);
    cr_expect_eq(rf_choose_tile(&c, &key, 4, 1), 1, "a vendor row names no tile");
    key.variant = RF_ACT_GEGLU;
    cr_expect_eq(rf_choose_tile(&c, &key, 4, 1), 3);
    cr_expect_eq(rf_choose_tile(&c, &key, 3, 1), 1, "there is no such tile");
    cr_expect_eq(rf_choose_tile(NULL, &key, 4, 2), 2);
    key.k = 1281;
    cr_expect_null(rf_choose(&c, &key));
    key = (rf_choice_key){RF_CHOICE_CONV, RF_BF16, RF_CONV_UP2, 640, 1280, 32, 64};
    cr_assert_not_null(rf_choose(&c, &key));
    key.w = 32;
    cr_expect_null(rf_choose(&c, &key));
    rf_choices_free(&c);
}

Test(choice, what_is_printed_is_read_back)
{
    rf_choice row = {.key = {RF_CHOICE_ATTENTION, RF_BF16, 1, 20, 64, 77, 77},
                     .level = RF_LEVEL_VENDOR,
                     .count = RF_CHOICE_NUMBERS};
    for (int i = 0; i < RF_CHOICE_NUMBERS; i++) row.number[i] = (1 << 30) - i;
    char line[RF_CHOICE_LINE], text[2 * RF_CHOICE_LINE];
    cr_assert_lt(rf_choice_print(line, sizeof line, &row), (int)sizeof line);
    snprintf(text, sizeof text, HEAD "%s", line);
    rf_choices c;
    rf_error   err = {0};
    cr_assert_eq(read_text(&c, text, &err), RF_OK, "%s", err.message);
    for (int i = 0; i < RF_CHOICE_NUMBERS; i++) cr_expect_eq(c.row[0].number[i], row.number[i]);
    cr_expect_eq(c.row[0].key.variant, 1);
    rf_choices_free(&c);
    for (size_t bytes = 0; bytes < 200; bytes++) { /* cut, and never beyond */
        char small[200];
        memset(small, 'x', sizeof small);
        rf_choice_print(small, bytes, &row);
        for (size_t i = bytes; i < sizeof small; i++) cr_assert_eq(small[i], 'x');
    }
}

Test(choice, hostile_tables)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "empty"},
        {"refinery-choices 2\nclass sm90\n", "begins with"},
        {"refinery-choices 1\n", "no class"},
        {"refinery-choices 1\nclass sm90", "has no end"},
        {"refinery-choices 1\nclass sm90 sm80\n", "one class"},
        {"refinery-choices 1\nclass gfx90\n", "one class"},
        {"refinery-choices 1\nclass sm9000000\n", "one class"},
        {HEAD "class sm80\n", "one class"},
        {HEAD "cudnn 91900\n", "one version"},
        {HEAD "gemm\n", "type"},
        {HEAD "gemm f32 none 1 1 0 0 sm80 0\n", "type"},
        {HEAD "gemm f16 down 1 1 0 0 sm80 0\n", "no such variant"},
        {HEAD "gemm f16  none 1 1 0 0 sm80 0\n", "no such variant"},
        {HEAD "gemm f16 none 0 1 0 0 sm80 0\n", "size"},
        {HEAD "gemm f16 none 1 01 0 0 sm80 0\n", "size"},
        {HEAD "gemm f16 none 1 -1 0 0 sm80 0\n", "size"},
        {HEAD "gemm f16 none 1 99999999999 0 0 sm80 0\n", "size"},
        {HEAD "gemm f16 none 1 1 0 0 cpu 0\n", "neither sm80 nor vendor"},
        {HEAD "gemm f16 none 1 1 0 0 sm80\n", "no tile"},
        {HEAD "gemm f16 none 1 1 0 0 sm80 \n", "neither sm80 nor vendor"},
        {HEAD "gemm f16 none 1 1 0 0 sm80 1 2\n", "one number"},
        {HEAD "gemm f16 none 1 1 0 0 vendor 1 x\n", "number was expected"},
        {HEAD "gemm f16 none 1 1 0 0 vendor 1\t2\n", "number was expected"},
        {HEAD "gemm f16 none 1 1 0 0 sm80 1\ngemm f16 none 1 1 0 0 sm80 2\n", "comes twice"},
        {HEAD "lincomb f16 none 1 1 0 0 sm80 1\n", "no word that is known"},
        {"refinery-choices 1\nclass sm90\ngemm f16 none 1 1 0 0 vendor 66\n", "version"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_choices c = {.count = 7};
        rf_error   err = {0};
        cr_expect_eq(read_text(&c, cases[i].text, &err), RF_E_FORMAT, "case %zu", i);
        cr_expect_not_null(strstr(err.message, cases[i].says), "case %zu: %s", i, err.message);
        cr_expect(c.count == 0 && !c.row);
    }
}

/* Too many numbers, rows and bytes; and every byte of a good table replaced. */
Test(choice, limits_and_damage)
{
    char       text[4096] = HEAD "gemm f16 none 1 1 0 0 vendor";
    rf_choices c;
    for (int i = 0; i <= RF_CHOICE_NUMBERS; i++) strcat(text, " 1");
    strcat(text, "\n");
    cr_expect_eq(read_text(&c, text, NULL), RF_E_FORMAT);

    const size_t most = (1 << 20) + 1;
    char        *large = malloc(most);
    memset(large, '\n', most);
    for (size_t i = 0; HEAD[i]; i++) large[i] = HEAD[i];
    cr_expect_eq(rf_choices_read(&c, large, most, "table", NULL), RF_E_FORMAT);
    cr_expect_eq(rf_choices_read(&c, large, most - 1, "table", NULL), RF_OK);
    rf_choices_free(&c);
    size_t used = strlen(HEAD);
    for (int i = 1; i <= 8193; i++)
        used += (size_t)snprintf(large + used, most - used, "gemm f16 none %d 1 0 0 sm80 1\n", i);
    cr_expect_eq(rf_choices_read(&c, large, used, "table", NULL), RF_E_FORMAT);
    free(large);

    const char *good = HEAD "gemm f16 none 1280 64 0 0 vendor 66 20 10\n";
    for (size_t at = 0; at < strlen(good); at++)
        for (int byte = 0; byte < 256; byte++) {
            snprintf(text, sizeof text, "%s", good);
            text[at] = (char)byte;
            if (rf_choices_read(&c, text, strlen(good), "table", NULL) == RF_OK)
                rf_choices_free(&c);
        }
}
