/* Infotexts taken apart by A1111's rules, its own and hostile ones. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/files/infotext_read.h"

TestSuite(a1111_6_5, .timeout = 60);

/* The pairs as "key=value;". */
static void expect(const char *text, const char *prompt, const char *negative, const char *pairs)
{
    rf_infotext_parts parts;
    char              got[4096] = "";
    cr_assert_eq(rf_infotext_read(&parts, text, NULL), RF_OK);
    for (size_t i = 0, n = 0; i < parts.count; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s=%s;", parts.pair[i].key,
                              parts.pair[i].value);
    cr_expect_str_eq(parts.prompt, prompt, "%s: %s", text, parts.prompt);
    cr_expect_str_eq(parts.negative, negative, "%s: %s", text, parts.negative);
    cr_expect_str_eq(got, pairs, "%s: %s", text, got);
    rf_infotext_parts_free(&parts);
}

#define LAST "Steps: 20, Sampler: Euler a, Seed: 1"
#define GOT  "Steps=20;Sampler=Euler a;Seed=1;"

Test(a1111_6_5, prompt_and_negative)
{
    expect("1girl\n" LAST, "1girl", "", GOT);
    expect("1girl\nNegative prompt: bad\n" LAST, "1girl", "bad", GOT);
    expect("a\nb\n\nNegative prompt: c\nd\n" LAST, "a\nb\n", "c\nd", GOT);
    expect("  a \r\n b\r\nNegative prompt:c\r\n" LAST "\r\n", "a\nb", "c", GOT);
    expect("Negative prompt: c\n" LAST, "", "c", GOT);
    expect("a Negative prompt: c\n" LAST, "a Negative prompt: c", "", GOT);
    expect(LAST, "", "", GOT);
    expect("\n\n" LAST "\n\n", "", "", GOT);
}

/* Fewer than three pairs: the line belongs to the prompt. */
Test(a1111_6_5, last_line_with_fewer_than_three_pairs)
{
    expect("a\nSteps: 20, Sampler: x", "a\nSteps: 20, Sampler: x", "", "");
    expect("a\nNegative prompt: b\nSteps: 20, Sampler: x", "a", "b\nSteps: 20, Sampler: x", "");
    expect("", "", "", "");
    expect("a", "a", "", "");
    expect("one: 1, two: 2, three: 3", "", "", "one=1;two=2;three=3;");
}

/* A word character, then word characters, spaces, - or /. */
Test(a1111_6_5, keys)
{
    expect(LAST ", Clip skip: 2", "", "", GOT "Clip skip=2;");
    expect(LAST ", Refiner switch at: 0.8", "", "", GOT "Refiner switch at=0.8;");
    expect(LAST ", VAE Encoder/Decoder: Full", "", "", GOT "VAE Encoder/Decoder=Full;");
    expect(LAST ", ab-c: 2", "", "", GOT "ab-c=2;");
    expect(LAST ", x: 2, -yz: 3", "", "", GOT "yz=3;"); /* two characters at least */
    expect(LAST ", (ab): 2, a.bc: 3", "", "", GOT "bc=3;");
    expect(LAST ", Tiling, Version: x", "", "", GOT "Version=x;"); /* a key that stands alone */
    expect(LAST ", a_1: 2", "", "", GOT "a_1=2;");
    expect(LAST ", \xC3\xA9t\xC3\xA9: 2", "", "", GOT "\xC3\xA9t\xC3\xA9=2;");
}

Test(a1111_6_5, values)
{
    expect(LAST ", ab: c:d", "", "", GOT "ab=c:d;");
    expect(LAST ", ab:", "", "", GOT "ab=;");
    expect(LAST ", ab: \"c, d: e\", fg: h", "", "", GOT "ab=c, d: e;fg=h;");
    expect(LAST ", ab: \"c \\\"d\\\" \\n \\u00e9\"", "", "", GOT "ab=c \"d\" \n \xC3\xA9;");
    expect(LAST ", ab: \"\xC3\xA9\\\\\"", "", "", GOT "ab=\xC3\xA9\\;");
    expect(LAST ", ab: \"c\" d, ef: g", "", "", GOT "ab=\"c\" d;ef=g;"); /* no quotation */
    expect(LAST ", ab: \"c, ef: g", "", "", GOT "ab=\"c;ef=g;");         /* never closed */
    expect(LAST ", ab: \"\", ef: g", "", "", GOT "ab=;ef=g;");
    expect(LAST ", ab: \"\\q\", ef: g", "", "", GOT "ab=\"\\q\";ef=g;"); /* not JSON */
    expect(LAST ", ab: \"c\\", "", "", GOT "ab=\"c\\;");
}

/* Sizes become two keys. */
Test(a1111_6_5, sizes)
{
    expect(LAST ", Size: 512x768", "", "", GOT "Size-1=512;Size-2=768;");
    expect(LAST ", Seed resize from: 1x2, ab: 3", "", "",
           GOT "Seed resize from-1=1;Seed resize from-2=2;ab=3;");
    expect(LAST ", Size: 512x", "", "", GOT "Size=512x;");
    expect(LAST ", Size: x5", "", "", GOT "Size=x5;");
    expect(LAST ", Size: 5x5x5", "", "", GOT "Size=5x5x5;");
    expect(LAST ", Size: 5 x 5", "", "", GOT "Size=5 x 5;");
    expect(LAST ", ab: \"5x5\"", "", "", GOT "ab=5x5;");
}

Test(a1111_6_5, last_of_equal_keys)
{
    rf_infotext_parts parts;
    cr_assert_eq(rf_infotext_read(&parts, LAST ", Seed: 2", NULL), RF_OK);
    cr_expect_str_eq(rf_infotext_get(&parts, "Seed"), "2");
    cr_expect_str_eq(rf_infotext_get(&parts, "Steps"), "20");
    cr_expect_null(rf_infotext_get(&parts, "Step"));
    rf_infotext_parts_free(&parts);
}

/* The example of A1111. */
Test(a1111_6_2, example)
{
    expect("1girl\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1, "
           "Size: 1024x1024, Model hash: 67ab2fd8ec, Model: ponyDiffusionV6XL, Clip skip: 2, "
           "RNG: CPU, Refiner: animagine-xl-3.1 [e3c47aedb0], Refiner switch at: 0.8, "
           "Version: v1.10.1",
           "1girl", "",
           "Steps=28;Sampler=DPM++ 2M;Schedule type=Karras;CFG scale=7.0;Seed=1;Size-1=1024;"
           "Size-2=1024;Model hash=67ab2fd8ec;Model=ponyDiffusionV6XL;Clip skip=2;RNG=CPU;"
           "Refiner=animagine-xl-3.1 [e3c47aedb0];Refiner switch at=0.8;Version=v1.10.1;");
}

/* Any value that the writer quotes comes back, whatever is in it. */
Test(a1111_6_5, what_is_written_is_read)
{
    static const char *const values[] = {
        "plain", "a,b", "a:b",  "a\nb", "\"a\"",           " a ",      "a\\",
        "\t",    "\"",  "\\\"", "1x2,", "\xE7\x8C\xAB, x", "a \"b\" c"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const rf_job      job = {.steps = 1, .width = 8, .height = 8, .eta = NAN};
        const rf_infotext info = {.job = &job, .prompt = "p", .sampler = "s", .model = values[i]};
        rf_infotext_parts parts;
        char             *text;
        cr_assert_eq(rf_infotext_build(&text, &info, NULL), RF_OK);
        cr_assert_eq(rf_infotext_read(&parts, text, NULL), RF_OK);
        cr_assert_not_null(rf_infotext_get(&parts, "Model"), "%s", text);
        cr_expect_str_eq(rf_infotext_get(&parts, "Model"), values[i]);
        rf_infotext_parts_free(&parts);
        free(text);
    }
}

/* Texts that make A1111's regular expression backtrack: linear here. */
Test(a1111_6_5, hostile_texts_take_linear_time)
{
    static const char *const repeated[] = {
        "a",         "a ", "ab:\"", "ab:\"\\", "ab: \"x\\\",", "ab:\"x,",           "ab:1x1,", "\n",
        "ab:\"\\\\", " ",  ":",     ",",       "\"",           "Negative prompt:\n"};
    enum { BYTES = 4 << 20 };
    char *text = malloc(BYTES + 1);
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        const size_t      n = strlen(repeated[i]);
        rf_infotext_parts parts;
        for (size_t at = 0; at < BYTES; at++) text[at] = repeated[i][at % n];
        text[BYTES] = '\0';
        const clock_t begin = clock();
        cr_assert_eq(rf_infotext_read(&parts, text, NULL), RF_OK);
        const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        cr_expect_lt(seconds, 5, "%s: %g s", repeated[i], seconds);
        rf_infotext_parts_free(&parts);
    }
    free(text);
}
