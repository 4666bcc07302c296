/* Edits: sections 2.3 and 2.4 of the specification of A1111. */
#include "tests/text/prompts.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

/* Rows of negative prompts, in which a number at the end is no weight. */
static void compare(int steps, const prompts_row *row, size_t rows)
{
    prompts *p = prompts_exact(steps);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    prompts_compare(p, prompts_schedule, row, rows);
    prompts_free(p);
}

#define COMPARE(steps, rows) compare(steps, rows, sizeof rows / sizeof *rows)

Test(a1111_2_3, forms, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a [cat:dog:3] b", "3:a cat b|4:a dog b"},
        {"[dog:3]", "3:|4:dog"},
        {"[cat::3]", "3:cat|4:"},
        {"[:3]", "3:|4:"},
        {"[::3]", "3:|4:"},
        {"[a|b]", "1:a|2:b|3:a|4:b"},
        {"[a|b|c]", "1:a|2:b|3:c|4:a"},
        {"[a|]", "1:a|2:|3:a|4:"},
        {"[|]", "1:|2:|3:|4:"},
        {"[||a]", "1:|2:|3:a|4:"},
        {"[a:[b:c:3]:2]", "2:a|3:b|4:c"},
        {"[[a:b:1]:c:2]", "1:a|2:b|4:c"},
        {"[a:b:2][c:d:3]", "2:ac|3:bc|4:bd"},
        {"[a|[b:c:2]]", "1:a|2:b|3:a|4:c"},
        {"[a|b:c:2]", "4:[a|b:c:2]"},
    };
    COMPARE(4, rows);
}

Test(a1111_2_3, a_point_makes_a_fraction, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:1]", "1:a|20:b"},      {"[a:b:1.0]", "20:a"},      {"[a:b:1.]", "20:a"},
        {"[a:b:.5]", "10:a|20:b"},    {"[a:b:0.5]", "10:a|20:b"}, {"[a:b:1e1]", "10:a|20:b"},
        {"[a:b:1E+1]", "10:a|20:b"},  {"[a:b:5e-1]", "20:b"},     {"[a:b:1.0e-1]", "2:a|20:b"},
        {"[a:b:10.0]", "20:a"},       {"[a:b:+7]", "7:a|20:b"},   {"[a:b:25]", "20:a"},
        {"[a:b:20]", "20:a"},         {"[a:b:0.04]", "20:b"},     {"[a:b:0.05]", "1:a|20:b"},
        {"[a:b:0.999]", "19:a|20:b"}, {"[a:b:1e999]", "20:a"},    {"[a:b:-1e999]", "20:b"},
    };
    COMPARE(20, rows);
    static const prompts_row hundred[] = {
        {"[a:b:0.29]", "28:a|100:b"}, /* float64: 28.999999999999996 */
        {"[a:b:0.57]", "56:a|100:b"},
    };
    COMPARE(100, hundred);
}

Test(a1111_2_3, zero_or_less_means_to_from_the_start, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:0]", "20:b"},
        {"[a:b:-3]", "20:b"},
        {"[a:b:-0.5]", "20:b"},
        {"[a::0]", "20:"},
    };
    COMPARE(20, rows);
}

Test(a1111_2_3, white_space_around_the_number, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b: 5 ]", "5:a|20:b"},
        {"[a:b:\n\t5\n]", "5:a|20:b"},
        {"[a:b:\xC2\xA0"
         "5\xE3\x80\x80]",
         "5:a|20:b"},
        {"[ a : b :5]", "5: a |20: b "},
        {"[a:b:5 5]", "20:[a:b:5 5]"},
        {"[a:b:- 5]", "20:[a:b:- 5]"},
    };
    COMPARE(20, rows);
}

Test(a1111_2_3, digits_are_ascii_here, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:\xEF\xBC\x95]", "20:[a:b:\xEF\xBC\x95]"},
        {"[a\xEF\xBC\x9A"
         "b:5]",
         "5:|20:a\xEF\xBC\x9A"
         "b"}, /* nor is a full-width colon one */
    };
    COMPARE(20, rows);
}

Test(a1111_2_3, the_clock_of_a_hires_pass, .timeout = 10)
{
    /* 20 steps, then 30: up to 20 or 1.0 is the first pass, up to 50 or 2.0 the second. */
    static const prompts_row rows[] = {
        {"[a:b:1.3]", "9:a|30:b"}, /* (1.3 - 1.0) * 30 in float64 */
        {"[a:b:0.5]", "30:b"},     {"[a:b:1.0]", "30:b"}, {"[a:b:1.5]", "15:a|30:b"},
        {"[a:b:2.0]", "30:a"},     {"[a:b:20]", "30:b"},  {"[a:b:25]", "5:a|30:b"},
        {"[a:b:50]", "30:a"},      {"[a:b:99]", "30:a"},
    };
    prompts *p = prompts_exact(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    p->options.clock.hires_nominal = 30;
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    p->options.clock.hires_nominal = 3;
    cr_expect_str_eq(prompts_schedule(p, "[a|b]"), "1:a|2:b|3:a");
    prompts_free(p);
}

Test(a1111_2_3, the_old_rule, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:0.5]", "10:a|20:b"}, {"[a:b:1]", "1:a|20:b"},    {"[a:b:1.0]", "1:a|20:b"},
        {"[a:b:5.7]", "5:a|20:b"},  {"[a:b:.99]", "19:a|20:b"}, {"[a:b:5e-1]", "10:a|20:b"},
        {"[a:b:-2]", "20:b"},       {"[a:b:30]", "20:a"},
    };
    prompts *p = prompts_exact(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    p->options.old_edits = 1;
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    p->options.clock.hires_nominal = 30; /* over the first pass's steps even so */
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(a1111_2_3, boundaries, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a", "6:a"},
        {"[a:a:2]", "2:a|6:a"},                     /* equal texts are not merged */
        {"[a:b:2][c:d:2]", "2:ac|6:bd"},            /* equal boundaries are one */
        {"[[x:y:3]:b:0]", "3:b|6:b"},               /* of a dead branch too */
        {"[[x|y]:b:0]", "1:b|2:b|3:b|4:b|5:b|6:b"}, /* also of an alternation */
        {"[a:b:9][c:d:1]", "1:ac|6:ad"},
    };
    COMPARE(6, rows);
}

Test(a1111_2_3, nested_alternation_locks_parity, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[[a|b]|c]", "1:a|2:c|3:a|4:c"}, /* b never */
        {"[[a|b|c]|d]", "1:a|2:d|3:c|4:d"},
    };
    COMPARE(4, rows);
}

Test(a1111_2_3, escapes_and_round_brackets_stay, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a\\:x:b\\]:2]", "2:a\\:x|4:b\\]"},
        {"[(a:1.2):(b):2]", "2:(a:1.2)|4:(b)"},
        {"\\[a:b:2]", "4:\\[a:b:2]"},
        {"[a\\|b:c:2]", "2:a\\|b|4:c"},
        {"([a:b:2]:1.2)", "2:(a:1.2)|4:(b:1.2)"},
        {"[[a]:b:2]", "2:[a]|4:b"},
        {"[a\\\xC3\xA9:b:2]", "2:a\\\xC3\xA9|4:b"},
    };
    COMPARE(4, rows);
}

Test(a1111_2_4, what_is_no_group_is_literal, .timeout = 10)
{
    static const char *const literal[] = {
        "[a:b:c:5]",   "[a|b:5]",
        "[a:b:5x]",    "[a:b:5.5.5]",
        "[a:b:5",      "[:]",
        "[]",          "[a]",
        "[[a]]",       "(a)",
        "(a:1.2)",     "(a:b:c)",
        "a:b",         ":",
        ")",           "]",
        "[a:b:]",      "[a:b)",
        "(a]",         "[(a:b:5]",
        "[a:(b:5]",    "[a:b]:5]",
        "[a:b:5e]",    "[a:b:.]",
        "[a:b:+]",     "[a:b:switch]",
        "[a:switch1]", "[a:b:\\5]",
        "[a:b\\:5]",
    };
    prompts *p = prompts_exact(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    for (size_t i = 0; i < sizeof literal / sizeof *literal; i++) {
        char want[64] = "20:";
        strcat(want, literal[i]);
        cr_expect_str_eq(prompts_schedule(p, literal[i]), want, "%s: %s", literal[i], p->line);
    }
    prompts_free(p);
}

Test(a1111_2_4, inner_groups_of_a_broken_group_work, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[[a:b:5]", "5:[a|20:[b"},
        {"(a [b:c:5]", "5:(a b|20:(a c"},
        {"[a:b:3]]", "3:a]|20:b]"},
        {"[a:b:5](c", "5:a(c|20:b(c"},
        {"[a:b:3]:x", "3:a:x|20:b:x"},
        {"[x:[a:b:5]:c:6]", "5:[x:a:c:6]|20:[x:b:c:6]"},
        {"(x:[a:b:5]:c)", "5:(x:a:c)|20:(x:b:c)"},
        {"[[[[a:b:5]", "5:[[[a|20:[[[b"},
        {"[x:y](z:[a:b:5]", "5:[x:y](z:a|20:[x:y](z:b"},
        {"[a:b:5x] [c:d:5]", "5:[a:b:5x] c|20:[a:b:5x] d"},
        {") [a:b:5] ] : (", "5:) a ] : (|20:) b ] : ("},
        {"[a:(b:5] [c:d:7]", "7:[a:(b:5] c|20:[a:(b:5] d"},
    };
    COMPARE(20, rows);
}

Test(a1111_2_4, a_stray_bar_disables_every_edit, .timeout = 10)
{
    static const char *const texts[] = {
        "a|b [c:d:5]",       "[c:d:5] |",         "(a|b) [c:d:5]", "[a|b:5] [c:d:5]",
        "[a|(b|c)] [c:d:5]", "[a:b|c:5] [c:d:5]", "[a|b",          "[[a|b]:c|d:5]",
    };
    prompts *p = prompts_exact(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char want[64] = "20:";
        strcat(want, texts[i]);
        cr_expect_str_eq(prompts_schedule(p, texts[i]), want, "%s", p->line);
        cr_expect_eq(p->warnings, 0, "A1111 says nothing");
    }
    prompts_free(p);
}

Test(a1111_2_4, a_last_backslash_disables_every_edit, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[c:d:5]\\", "20:[c:d:5]\\"},
        {"[c:d:5] a\\\nb", "20:[c:d:5] a\\\nb"},
        {"[c\\\n:d:5]", "20:[c\\\n:d:5]"},
        {"[c:d:5]\\\\", "5:c\\\\|20:d\\\\"},
        {"[c:d:5]\\\r\n", "5:c\\\r\n|20:d\\\r\n"},
    };
    COMPARE(20, rows);
}

Test(a1111_2_4, each_part_fails_alone, .timeout = 10)
{
    prompts *p = prompts_exact(20);
    cr_expect_str_eq(prompts_schedule(p, "a|b AND [c:d:5]"), "20:a|b & 5: c|20: d");
    prompts_free(p);
}
