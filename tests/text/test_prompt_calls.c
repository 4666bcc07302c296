/* Which call uses which entry: section 2.5 of the specification of A1111, and what refinery adds:
 * the keyword `switch` and numbers aligned with the switch point. */
#include "tests/text/prompts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

/* "a*11,b*9" for runs of equal words. */
static const char *runs(prompts *p, const char *text, int calls)
{
    static char line[PROMPTS_LINE];
    char       *used = line;
    char       *rest = strdup(prompts_calls(p, text, calls)), *next = rest;
    cr_assert(rest);
    *used = '\0';
    for (char *word = strsep(&next, ","); word;) {
        int   count = 0;
        char *same = word;
        while (word && strcmp(word, same) == 0) {
            count++;
            word = strsep(&next, ",");
        }
        used += sprintf(used, "%s%s*%d", used == line ? "" : ",", same, count);
    }
    free(rest);
    return line;
}

Test(a1111_2_5, from_lasts_one_call_longer, .timeout = 10)
{
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = exact ? prompts_exact(20) : prompts_default(20);
        cr_expect_str_eq(runs(p, "[cat:dog:10]", 20), "cat*11,dog*9");
        cr_expect_str_eq(runs(p, "[cat:dog:0.5]", 20), "cat*11,dog*9");
        cr_expect_str_eq(runs(p, "[cat:dog:1]", 20), "cat*2,dog*18");
        cr_expect_str_eq(runs(p, "[cat:dog:0]", 20), "dog*20");
        cr_expect_str_eq(runs(p, "[cat:dog:19]", 20), "cat*20");
        prompts_free(p);
    }
}

Test(a1111_2_5, alternation, .timeout = 10)
{
    for (int exact = 0; exact < 2; exact++) {
        prompts *p = exact ? prompts_exact(6) : prompts_default(6);
        cr_expect_str_eq(prompts_calls(p, "[a|b]", 6), "a,a,b,a,b,a");
        prompts_free(p);
    }
    prompts *p = prompts_exact(6);
    cr_expect_str_eq(prompts_schedule(p, "[a|b]"), "1:a|2:b|3:a|4:b|5:a|6:b"); /* 6: never used */
    prompts_free(p);
}

Test(a1111_2_5, beyond_the_end_the_first_entry_comes_back, .timeout = 10)
{
    prompts *p = prompts_exact(20);
    cr_expect_str_eq(runs(p, "[a:b:10]", 22), "a*11,b*10,a*1");
    prompts_free(p);
    p = prompts_exact(60); /* DDIM: calls 0 to 61 */
    cr_expect_str_eq(runs(p, "[a:b:0.5]", 62), "a*31,b*30,a*1");
    prompts_free(p);
}

Test(repairs, beyond_the_end_the_last_entry_stays, .timeout = 10)
{
    prompts *p = prompts_default(60);
    p->options.clock.calls = 62;
    cr_expect_str_eq(runs(p, "[a:b:0.5]", 62), "a*31,b*31");
    cr_expect_eq(p->warnings, 1, "%s", p->warning);
    cr_expect(strstr(p->warning, "calls 61 to 61"), "%s", p->warning);
    cr_expect_str_eq(runs(p, "[a:b:1.0]", 62), "a*62");
    cr_expect_eq(p->warnings, 0, "one entry: %s", p->warning);
    cr_expect_str_eq(runs(p, "a", 62), "a*62");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    p->options.clock.calls = 61; /* one more than nominal is served by boundary N */
    cr_expect_str_eq(runs(p, "[a:b:0.5]", 61), "a*31,b*30");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);

    p = prompts_default(4);
    p->options.clock.calls = 8;
    cr_expect_str_eq(prompts_calls(p, "[a|b]", 8), "a,a,b,a,b,b,b,b");
    cr_expect_str_eq(prompts_schedule(p, "[a|b]"), "1:a|2:b|3:a|7:b");
    prompts_free(p);
}

Test(a1111_2_5, second_order_samplers_count_evaluations, .timeout = 10)
{
    prompts *p = prompts_exact(40); /* 20 steps of Heun */
    p->options.clock.calls = 39;
    cr_expect_str_eq(runs(p, "[a:b:10]", 39), "a*11,b*28");
    cr_expect_str_eq(runs(p, "[a:b:0.5]", 39), "a*21,b*18");
    prompts_free(p);
}

Test(a1111_2_5, img2img_counts_from_its_first_call_over_all_steps, .timeout = 10)
{
    for (int exact = 0; exact < 2; exact++) { /* 20 steps, denoise 0.4: 9 calls */
        prompts *p = exact ? prompts_exact(20) : prompts_default(20);
        p->options.clock.calls = 9;
        cr_expect_str_eq(runs(p, "[a:b:0.5]", 9), "a*9");
        cr_expect_str_eq(prompts_schedule(p, "[a:b:0.5]"), exact ? "10:a|20:b" : "8:a");
        prompts_free(p);
    }
}

Test(default_mode, entries_are_those_that_calls_use, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a", "5:a"},
        {"[a:b:2]", "2:a|5:b"},
        {"[a:b:4]", "4:a|5:b"},
        {"[a:b:5]", "5:a"}, /* call 6 would be the first with b */
        {"[a:b:6]", "5:a"},
        {"[a:b:0]", "5:b"},
        {"[a|b]", "1:a|2:b|3:a|4:b|5:a"},
        {"[[a|b]:c:2]", "1:a|2:b|3:c|4:c|5:c"},
    };
    prompts *p = prompts_default(6);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    p->options.clock.calls = 0; /* not known: as many as nominal */
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    p->options.clock.calls = 1;
    cr_expect_str_eq(prompts_schedule(p, "[a|b][c:d:1]"), "0:ac");
    prompts_free(p);
}

/* A run of `steps` calls that hands over at `handover` and, if it is not negative, at `second`. */
static prompts *relay(int steps, int handover, int second)
{
    static int handovers[2];
    handovers[0] = handover;
    handovers[1] = second;
    prompts *p = prompts_default(steps);
    p->options.clock.handover = handovers;
    p->options.clock.handovers = second < 0 ? 1 : 2;
    return p;
}

Test(keyword_switch, the_text_changes_at_the_hand_over, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:switch]", "9:a|19:b"},
        {"[a:b:switch1]", "9:a|19:b"},
        {"[b:switch]", "9:|19:b"},
        {"[a::switch]", "9:a|19:"},
        {"[a:b: switch ]", "9:a|19:b"},
        {"[a:b:\nswitch1\t]", "9:a|19:b"},
        {"[a:[b:c:15]:switch]", "9:a|15:b|19:c"},
    };
    prompts *p = relay(20, 10, -1);
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    cr_expect_str_eq(runs(p, "[a:b:switch]", 20), "a*10,b*10");
    p->options.polarity = RF_PROMPT_NEGATIVE;
    PROMPTS_COMPARE(p, prompts_schedule, rows);
    prompts_free(p);
}

Test(keyword_switch, other_spellings_are_text, .timeout = 10)
{
    static const char *const texts[] = {
        "[a:b:switch0]", "[a:b:switch01]",  "[a:b:switch+1]", "[a:b:switch 1]", "[a:b:Switch]",
        "[a:b:switchx]", "[a:b:switch1.0]", "[a:b:-switch]",  "[switch]",
    };
    prompts *p = relay(20, 10, -1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char want[64] = "19:";
        strcat(want, texts[i]);
        cr_expect_str_eq(prompts_schedule(p, texts[i]), want, "%s", p->line);
    }
    prompts_free(p);
}

Test(keyword_switch, first_and_last_calls, .timeout = 10)
{
    prompts *p = relay(20, 0, -1);
    cr_expect_str_eq(prompts_schedule(p, "[a:b:switch]"), "19:b");
    cr_expect_eq(p->warnings, 0);
    prompts_free(p);
    p = relay(20, 1, -1);
    cr_expect_str_eq(prompts_schedule(p, "[a:b:switch]"), "0:a|19:b");
    cr_expect_str_eq(prompts_calls(p, "[[a|b]:c:switch]", 3), "a,c,c");
    prompts_free(p);
    p = relay(20, 19, -1);
    cr_expect_str_eq(prompts_schedule(p, "[a:b:switch]"), "18:a|19:b");
    prompts_free(p);
    p = relay(20, 21, -1); /* a sampler of 22 calls */
    p->options.clock.calls = 22;
    cr_expect_str_eq(runs(p, "[a:b:switch]", 22), "a*21,b*1");
    p->options.clock.calls = 0;
    cr_expect_str_eq(runs(p, "[a:b:switch]", 22), "a*21,b*1");
    prompts_free(p);
}

Test(keyword_switch, later_hand_overs, .timeout = 10)
{
    prompts *p = relay(20, 5, 12);
    cr_expect_str_eq(prompts_schedule(p, "[a:[b:c:switch2]:switch]"), "4:a|11:b|19:c");
    cr_expect_eq(p->warnings, 0);
    prompts_free(p);
}

Test(keyword_switch, without_a_hand_over_from_stays, .timeout = 10)
{
    static const char *const texts[] = {"[a:b:switch2]", "[a:b:switch99999999999999999999]",
                                        "[a:b:switch3] [c:switch4]"};
    prompts                 *p = relay(20, 10, -1);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_str_eq(prompts_schedule(p, texts[i]), i < 2 ? "19:a" : "19:a ");
        cr_expect_eq(p->warnings, 1, "%s", p->warning);
        cr_expect(strstr(p->warning, "stays"), "%s", p->warning);
    }
    prompts_free(p);
    p = relay(20, -1, -1); /* a stage that gets no call */
    cr_expect_str_eq(prompts_schedule(p, "[a:b:switch]"), "19:a");
    cr_expect_eq(p->warnings, 1, "%s", p->warning);
    p->options.clock.handovers = 0;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:switch]"), "19:a");
    cr_expect_eq(p->warnings, 1, "%s", p->warning);
    prompts_free(p);
}

Test(keyword_switch, is_told, .timeout = 10)
{
    static const struct {
        const char *text;
        int         numeric, keyword;
    } rows[] = {
        {"a", 0, 0},
        {"[a|b]", 0, 0},
        {"[a:b:5]", 1, 0},
        {"[a:b:switch]", 0, 1},
        {"[a:switch][b:1]", 1, 1},
        {"a AND [b:5]", 1, 0},
        {"[a:b:5", 0, 0},
    };
    prompts *p = relay(20, 10, -1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_prompt *prompt;
        cr_assert_eq(rf_prompt_parse(&prompt, rows[i].text, &p->options, NULL), RF_OK);
        cr_expect_eq(prompt->has_numeric_when, rows[i].numeric, "%s", rows[i].text);
        cr_expect_eq(prompt->uses_switch, rows[i].keyword, "%s", rows[i].text);
        rf_prompt_free(prompt);
    }
    prompts_free(p);
}

Test(aligned_numbers, follow_the_model, .timeout = 10)
{
    const double fraction = 0.5, count = 10;
    prompts     *p = relay(20, 7, -1); /* by noise: half the noise is gone at call 7 */
    p->options.clock.aligned = &fraction;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:0.5]"), "6:a|19:b");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    cr_expect_str_eq(prompts_schedule(p, "[a:b:.50]"), "6:a|19:b");
    cr_expect_str_eq(prompts_schedule(p, "[a:b:5.0e-1]"), "6:a|19:b");
    cr_expect_str_eq(prompts_schedule(p, "[a:b:0.25]"), "5:a|19:b"); /* another moment */
    cr_expect_str_eq(prompts_schedule(p, "[a:b:5e-1]"), "19:b");     /* a count: none */
    p->options.clock.aligned = &count;
    p->options.clock.aligned_is_count = 1;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:10]"), "6:a|19:b");
    cr_expect_str_eq(prompts_schedule(p, "[a:b:1e1]"), "6:a|19:b");
    cr_expect_str_eq(prompts_schedule(p, "[a:b:10.0]"), "19:a");
    const double none = NAN;
    p->options.clock.aligned = &none;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:10]"), "10:a|19:b");
    p->options.exact_a1111 = 1;
    p->options.clock.aligned = &count;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:10]"), "10:a|20:b");
    prompts_free(p);
}

Test(aligned_numbers, need_a_hand_over, .timeout = 10)
{
    const double one = 0.9;
    prompts     *p = relay(20, -1, -1);
    p->options.clock.aligned = &one;
    cr_expect_str_eq(prompts_schedule(p, "[a:b:0.9]"), "18:a|19:b");
    prompts_free(p);
}

Test(near_misses, are_told, .timeout = 10)
{
    static const struct {
        const char *text, *want; /* NULL: no warning */
    } rows[] = {
        {"[a:b:10]", "changes the text at call 11, but the model changes at call 10"},
        {"[a:b:0.5]", "at call 11"},
        {"[a:b:8]", "at call 9"},
        {"[a:b:7]", "at call 8"},
        {"[a:b:11]", "at call 12"},
        {"[a:b:9]", NULL}, /* at call 10, as the model */
        {"[a:b:12]", NULL},
        {"[a:b:6]", NULL},
        {"[a:b:0]", NULL},
        {"[a:b:switch]", NULL},
        {"[a|b]", NULL},
    };
    prompts *p = relay(20, 10, -1); /* up to max(2, 20 / 10) calls away */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prompts_schedule(p, rows[i].text);
        cr_expect_eq(p->warnings, rows[i].want != NULL, "%s: %s", rows[i].text, p->warning);
        if (rows[i].want) cr_expect(strstr(p->warning, rows[i].want), "%s", p->warning);
        if (rows[i].want) cr_expect(strstr(p->warning, "switch"), "%s", p->warning);
    }
    prompts_schedule(p, "[a:b:10][c:d:8]");
    cr_expect_eq(p->warnings, 1, "once: %s", p->warning);
    prompts_free(p);
    p = relay(50, 20, 30);
    prompts_schedule(p, "[a:b:34]");
    cr_expect(strstr(p->warning, "write switch2"), "%s", p->warning);
    prompts_schedule(p, "[a:b:35]");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);
    p = relay(20, 18, -1);
    prompts_schedule(p, "[a:b:0.95]");
    cr_expect(strstr(p->warning, "at no call any more"), "%s", p->warning);
    prompts_free(p);
}

Test(with_switch, shows_the_prompt_to_write, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[a:b:0.5], c", "[a:b:switch], c"},
        {"[a:b: 10 ], [c|d]", "[a:b: switch ], [c|d]"},
        {"[a:b:2], [c:d:10], [c:d:11]", "[a:b:2], [c:d:switch], [c:d:11]"},
        {"[[a:b:9]:c:10]", "[[a:b:switch]:c:switch]"},
        {"[[a:b:15]:[c:17]:10]", "[[a:b:switch2]:[c:17]:switch]"},
        {"<lora:x:1>[a:<lora:y:1>b:0.<lora:z:1>5] AND [c:10]:2 <lora:w:1>",
         "<lora:x:1>[a:<lora:y:1>b:switch<lora:z:1>] AND [c:switch]:2 <lora:w:1>"},
        {"[a:b:switch]", "[a:b:switch]"},
        {"[a:b:10] | \\", "[a:b:switch] | \\"},
        {"[a:b:1.0]", "[a:b:1.0]"},
        {"", ""},
        {"\xC3\xA9 [a:b:10] \xC3\xA9", "\xC3\xA9 [a:b:switch] \xC3\xA9"},
    };
    prompts *p = relay(20, 10, 15);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *out;
        cr_assert_eq(rf_prompt_with_switch(&out, rows[i].text, &p->options, 1, NULL), RF_OK);
        cr_expect_str_eq(out, rows[i].want, "%s", out);
        free(out);
    }
    cr_expect_eq(p->warnings, 0, "it only shows: %s", p->warning);
    char    *out;
    rf_error err;
    cr_expect_eq(rf_prompt_with_switch(&out, "\xFF", &p->options, 1, &err), RF_E_ARG);
    cr_expect_null(out);
    prompts_free(p);
}
