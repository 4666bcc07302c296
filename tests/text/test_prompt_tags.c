/* Tags and AND: sections 2.1 and 2.2 of the specification of A1111. */
#include "tests/text/prompts.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

Test(a1111_2_1, tags_are_read, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a <lora:style:0.8> b", "lora(style,0.8)"},
        {"<lora:a:1:0.5><lyco:b:te=1:unet=0.2>", "lora(a,1,0.5)lyco(b,te=1,unet=0.2)"},
        {"<hypernet:h:1>", "hypernet(h,1)"},
        {"<unknown:x>", "unknown(x)"},
        {"<lora:a::1>", "lora(a,,1)"},
        {"<lora:two words, one \n line>", "lora(two words, one \n line)"},
        {"<lora:a<b:c>", "lora(a<b,c)"},
        {"<l_\xC3\xB6r9:a>", "l_\xC3\xB6r9(a)"},
        {"<<lora:a>>", "lora(a)"},
        {"<lora>", ""},
        {"<lora:>", ""},
        {"<:a>", ""},
        {"<lo ra:a>", ""},
        {"<lora:a", ""},
        {"a < b > c", ""},
        {"<a <lora:b>", "lora(b)"},
    };
    prompts *p = prompts_exact(20);
    PROMPTS_COMPARE(p, prompts_tags, rows);
    p->options.exact_a1111 = 0;
    PROMPTS_COMPARE(p, prompts_tags, rows);
    prompts_free(p);
}

Test(a1111_2_1, tags_are_removed_before_edits_are_parsed, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[<lora:a:1>:b:5]", "5:|20:b"},   {"a <lora:style:0.8> b", "20:a  b"},
        {"<unknown:x>a", "20:a"},          {"a <lora:x:1> AND <lora:y:1>b", "20:a & 20: b"},
        {"a AND<lora:y:1>b", "20:a ANDb"}, {"A<lora:x>ND b", "20: & 20: b"},
        {"[a:b:<lora:x:1>5]", "5:a|20:b"}, {"a<lora:>b", "20:a<lora:>b"},
    };
    prompts *p = prompts_exact(20);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(a1111_2_1, a_negative_prompt_has_no_tags, .timeout = 10)
{
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = exact ? prompts_exact(20) : prompts_default(20);
        p->options.polarity = RF_PROMPT_NEGATIVE;
        cr_expect_str_eq(prompts_tags(p, "<lora:x:1>"), "");
        cr_expect_str_eq(prompts_schedule(p, "a <lora:x:1> <lora:y:1>"),
                         exact ? "20:a <lora:x:1> <lora:y:1>" : "19:a <lora:x:1> <lora:y:1>");
        cr_expect_eq(p->warnings, exact ? 0 : 1, "%s", p->warning);
        cr_expect(exact || strstr(p->warning, "negative prompt: a tag"), "%s", p->warning);
        cr_expect_str_eq(prompts_schedule(p, "a < b:c >"), exact ? "20:a < b:c >" : "19:a < b:c >");
        cr_expect_eq(p->warnings, 0, "%s", p->warning);
        prompts_free(p);
    }
}

Test(a1111_2_2, the_word_splits, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a AND b", "20:a & 20: b"},
        {"a AND_b", "20:a AND_b"},
        {"aANDb", "20:aANDb"},
        {"a and b", "20:a and b"},
        {"\xC3\xA9"
         "AND b",
         "20:\xC3\xA9"
         "AND b"}, /* a letter before it */
        {"a AND\xC3\xA9", "20:a AND\xC3\xA9"},
        {"a1AND b", "20:a1AND b"},
        {"a-AND-b", "20:a- & 20:-b"},
        {"a\nAND\nb", "20:a & 20:\nb"},
        {"(a AND b:1.2)", "20:(a & 20: b:1.2)"}, /* brackets do not protect */
        {"[a AND b:c:5]", "20:[a & 20: b:c:5]"},
        {"AND", "20: & 20:"}, /* empty parts stay */
        {"a AND AND b", "20:a & 20: & 20: b"},
        {"AND a", "20: & 20: a"},
        {"", "20:"},
    };
    prompts *p = prompts_exact(20);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    p->options.clock.nominal = 2;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:1] AND [c|d]:2"), "1:a|2:b & 2*1: c|2: d");
    prompts_free(p);
}

Test(a1111_2_2, each_part_may_end_in_a_weight, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a:1.5 AND b:-2", "1.5*20:a & -2*20: b"},
        {"a:1. AND b:.5", "20:a & 0.5*20: b"},
        {"a : 2 AND b :\t3 \n", "2*20:a & 3*20: b"},
        {"  a  :+2 AND  b", "2*20:  a & 20:  b"},
        {"a:0 AND b", "0*20:a & 20: b"},
        {"a:1e2 AND b:1.2.3", "20:a:1e2 & 20: b:1.2.3"}, /* no exponent, one point */
        {"a:. AND b:-", "20:a:. & 20: b:-"},
        {"a:2:3 AND b", "3*20:a:2 & 20: b"},
        {":2 AND b", "2*20: & 20: b"},
        {"a:2x AND b", "20:a:2x & 20: b"},
        {"(a:2) AND b", "20:(a:2) & 20: b"},
        {"a:1.AND b", "20:a & 20: b"}, /* a point ends no word */
        {"a:1AND b", "20:a:1AND b"},
        {"a:\xEF\xBC\x91.\xEF\xBC\x95 AND b", "1.5*20:a & 20: b"}, /* full-width digits */
        {"a:\xF0\x9D\x9F\x9B AND b", "3*20:a & 20: b"},            /* a mathematical bold digit */
        {"a\xC2\xA0:\xE3\x80\x80"
         "2 AND b",
         "2*20:a & 20: b"}, /* Unicode spaces */
    };
    prompts *p = prompts_exact(20);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(a1111_2_2, a_weight_needs_no_and, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"masterpiece, 1girl:1.3", "1.3*20:masterpiece, 1girl"},
        {"the time is 12:30", "30*20:the time is 12"},
    };
    prompts *p = prompts_exact(20);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(a1111_2_2, a_negative_prompt_has_no_parts, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a AND b:2 ", "20:a AND b:2 "},
        {" 12:30", "20: 12:30"},
    };
    prompts *p = prompts_exact(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(repairs, a_number_at_the_end_is_text_without_and, .timeout = 10)
{
    prompts *p = prompts_default(20);
    cr_expect_str_eq(prompts_schedule(p, "the time is 12:30 "), "19:the time is 12:30");
    cr_expect_eq(p->warnings, 1);
    cr_expect(strstr(p->warning, "AND"), "%s", p->warning);
    cr_expect_str_eq(prompts_schedule(p, "the time:2 AND it is 12:30"),
                     "2*19:the time & 30*19: it is 12");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    cr_expect_str_eq(prompts_schedule(p, "12:3o"), "19:12:3o");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);
}
