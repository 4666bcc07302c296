/* Attention: section 2.6 of the specification of A1111, and the emphasis modes of 3.4. */
#include "engine/text/prompt_attention.h"
#include "tests/text/prompts.h"

#include <string.h>

#include <criterion/criterion.h>

/* Without AND a number at the end would be a weight, so the texts are negative prompts. */
static prompts *negative(int exact)
{
    prompts *p = exact ? prompts_exact(20) : prompts_default(20);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    return p;
}

Test(a1111_2_6, brackets_weigh, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a", "<1>a"},
        {"", "<1>"},
        {"(a)", "<1.1000000000000001>a"},
        {"[a]", "<0.90909090909090906>a"},
        {"(a:1.2)", "<1.2>a"},
        {"((a:1.2):1.5)", "<1.7999999999999998>a"},
        {"((a))", "<1.2100000000000002>a"},
        {"([a])", "<1>a"}, /* 1/1.1 * 1.1, in closing order */
        {"x (a:1.2), y", "<1>x <1.2>a<1>, y"},
        {"(a (b:2) c)", "<1.1000000000000001>a <2.2000000000000002>b<1.1000000000000001> c"},
        {"[(a]:1.3)", "<1.1818181818181819>a"}, /* two independent stacks */
        {"(a:-1.5)", "<-1.5>a"},
        {"(a:0)", "<0>a"},
        {"(a:100000)", "<100000>a"},
        {"(a:1.)", "<1>a"},
        {"(a:.5)", "<0.5>a"},
        {"(a:+2)", "<2>a"},
        {"(a: \n 1.2 )", "<1.2>a"},
        {"(:1.2)b", "<1>b"},
        {"()b", "<1>b"},
        {"()", "<1>"},
        {"(\xEF\xBC\x91:\xEF\xBC\x91.\xEF\xBC\x95)", "<1.5>\xEF\xBC\x91"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

Test(a1111_2_6, what_is_no_weight_is_text, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[x:1.2 3]", "<0.90909090909090906>x:1.2 3"},
        {"a:1.2)", "<1>a:1.2)"},
        {"a:1.2.3)", "<1>a:1.2.3)"}, /* nothing is open: not even an error */
        {"(a:1e2)", "<1.1000000000000001>a:1e2"},
        {"(a:+)", "<1.1000000000000001>a:+"},
        {"(a:1.2", "<1.1000000000000001>a:1.2"},
        {"(a:1 2)", "<1.1000000000000001>a:1 2"},
        {"(a:b:1.2)", "<1.2>a:b"},
        {"::", "<1>::"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

/* As a prompt it is an edit, so only this stage can be asked. */
Test(a1111_2_6, square_brackets_take_no_weight, .timeout = 10)
{
    const rf_prompt_options options = {.exact_a1111 = 1};
    rf_prompt_context       context = {.options = &options};
    rf_attention            work = {0};
    const rf_piece         *piece;
    int                     pieces;
    cr_assert_eq(rf_attention_parse(&context, &work, "[x:1.2]", 7, &piece, &pieces, NULL), RF_OK);
    cr_assert_eq(pieces, 1);
    cr_expect_str_eq(piece->text, "x:1.2");
    cr_expect_eq(piece->weight, 1 / 1.1);
    rf_attention_free(&work);
    rf_prompt_release(context.blocks);
}

Test(a1111_2_6, brackets_that_do_not_match, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"(a", "<1.1000000000000001>a"},
        {"a (b", "<1>a <1.1000000000000001>b"},
        {"[a", "<0.90909090909090906>a"},
        {"[a (b", "<0.90909090909090906>a <1>b"}, /* 1 * 1.1 * 0.909...: round first */
        {"a)", "<1>a)"},
        {"a]b", "<1>a]b"},
        {"(a))b", "<1.1000000000000001>a<1>)b"},
        {"((((", "<1>"},
        {"[[[", "<1>"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

Test(a1111_2_6, a_backslash_hides_or_vanishes, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"\\(a\\)", "<1>(a)"},
        {"\\[a\\]", "<1>[a]"},
        {"back\\slash", "<1>backslash"},
        {"a\\\\b", "<1>a\\b"},
        {"a\\\\(b)", "<1>a\\<1.1000000000000001>b"},
        {"a\\:b", "<1>a:b"},
        {"(a\\:1.2)", "<1.2>a"}, /* the colon is not hidden */
        {"(a\\)b", "<1.1000000000000001>a)b"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

Test(a1111_2_6, break_is_a_mark, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a BREAK b", "<1>a<-1!>BREAK<1>b"},
        {"a\n BREAK\tb", "<1>a<-1!>BREAK<1>b"},
        {"BREAK b", "<1><-1!>BREAK<1>b"},
        {"a BREAK", "<1>a<-1!>BREAK<1>"},
        {"a BREAK BREAK b", "<1>a<-1!>BREAK<1><-1!>BREAK<1>b"},
        {"a BREAKb", "<1>a BREAKb"},
        {"aBREAK b", "<1>aBREAK b"},
        {"a break b", "<1>a break b"},
        {"a_BREAK b", "<1>a_BREAK b"},
        {"a,BREAK,b", "<1>a,<-1!>BREAK<1>,b"},
        {"a:BREAK", "<1>a:<-1!>BREAK<1>"},
        {"(a)BREAK", "<1.1000000000000001>a<1><-1!>BREAK<1>"},
        {"(a) BREAK (b)", "<1.1000000000000001>a<1><-1!>BREAK<1><1.1000000000000001>b"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

Test(a1111_2_6, a_break_in_emphasis_is_a_word, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"(a BREAK b)", "<1.1000000000000001>a<-1.1000000000000001>BREAK<1.1000000000000001>b"},
        {"[a BREAK b]", "<0.90909090909090906>a<-0.90909090909090906>BREAK<0.90909090909090906>b"},
        {"(a BREAK b:1.0)", "<1>a<-1!>BREAK<1>b"},
        {"(a BREAK b:0)", "<0>aBREAKb"}, /* -0 and 0 are equal weights */
    };
    prompts *p = negative(1);
    PROMPTS_COMPARE(p, prompts_attention, rows);
    prompts_free(p);
}

Test(repairs, a_break_in_emphasis_breaks, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"(a BREAK b)", "<1.1000000000000001>a<-1!>BREAK<1.1000000000000001>b"},
        {"[a BREAK b BREAK c",
         "<0.90909090909090906>a<-1!>BREAK<0.90909090909090906>b<-1!>BREAK<0.90909090909090906>c"},
        {"(a BREAK b:0)", "<0>a<-1!>BREAK<0>b"},
        {"(a:-1) BREAK b", "<-1>a<1><-1!>BREAK<1>b"},
    };
    prompts *p = negative(0);
    PROMPTS_COMPARE(p, prompts_attention, rows);
    prompts_attention(p, "[a BREAK b BREAK c");
    cr_expect_eq(p->warnings, 1, "once: %s", p->warning);
    cr_expect(strstr(p->warning, "BREAK inside brackets"), "%s", p->warning);
    prompts_attention(p, "(a BREAK b:1)(c) BREAK d");
    cr_expect_eq(p->warnings, 0, "nothing to repair: %s", p->warning);
    prompts_free(p);
}

Test(a1111_2_6, equal_neighbours_merge, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"(a)(b)", "<1.1000000000000001>ab"},         {"(a:1)b", "<1>ab"},
        {"(a:2)(b:2.0)(c:3)", "<2>ab<3>c"},           {"\\(a\\) b", "<1>(a) b"},
        {"(\\(a\\) b)", "<1.1000000000000001>(a) b"},
    };
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        PROMPTS_COMPARE(p, prompts_attention, rows);
        prompts_free(p);
    }
}

Test(a1111_2_6, a_weight_of_two_points_stops_a1111, .timeout = 10)
{
    static const char *const texts[] = {"(a:1.2.3)", "(a:.)", "(a:-.)", "x (a:..5 ) y"};
    prompts                 *p = negative(1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        prompts_attention(p, texts[i]);
        cr_expect_eq(p->error.status, RF_E_ARG);
        cr_expect(strstr(p->error.message, "is no weight"), "%s", p->error.message);
    }
    prompts_free(p);
}

Test(repairs, a_weight_of_two_points_is_text, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"(a:1.2.3)", "<1.1000000000000001>a:1.2.3"},
        {"(a:.)", "<1.1000000000000001>a:."},
        {"(a: -. )b", "<1.1000000000000001>a: -. <1>b"},
    };
    prompts *p = negative(0);
    PROMPTS_COMPARE(p, prompts_attention, rows);
    cr_expect_eq(p->warnings, 1, "%s", p->warning);
    cr_expect(strstr(p->warning, "plain text"), "%s", p->warning);
    prompts_attention(p, "a:1.2.3)");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);
}

Test(a1111_3_4, emphasis_modes_by_name, .timeout = 10)
{
    static const char *const names[] = {"Original", "No norm", "Ignore", "None"};
    rf_emphasis              found;
    rf_error                 err;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(rf_emphasis_find(&found, names[i], NULL), RF_OK);
        cr_expect_eq((int)found, i);
        cr_expect_str_eq(rf_emphasis_name(found), names[i]);
    }
    cr_expect_eq(rf_emphasis_find(&found, "no NORM", NULL), RF_OK);
    cr_expect_eq(found, RF_EMPHASIS_NO_NORM);
    cr_expect_eq(rf_emphasis_find(&found, "norm", &err), RF_E_ARG);
    cr_expect(strstr(err.message, "No norm"), "%s", err.message);
}

Test(a1111_3_4, without_emphasis_brackets_are_text, .timeout = 10)
{
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = negative(exact);
        p->options.emphasis = RF_EMPHASIS_NONE;
        cr_expect_str_eq(prompts_attention(p, "(a:1.2) BREAK \\(b"), "<1>(a:1.2) BREAK \\(b");
        p->options.emphasis = RF_EMPHASIS_IGNORE; /* parsed; what it weighs is not applied */
        cr_expect_str_eq(prompts_attention(p, "(a:1.2)"), "<1.2>a");
        prompts_free(p);
    }
}
