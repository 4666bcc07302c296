/* What refinery repairs of A1111's grammar, the recipe that it is for, and what it refuses. */
#include "tests/text/prompts.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

Test(repairs, a_stray_bar_is_a_character, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"a|b [c:d:5]", "5:a|b c|19:a|b d"},
        {"[c:d:5] |", "5:c ||19:d |"},
        {"(a|b) [c:d:5]", "5:(a|b) c|19:(a|b) d"},
        {"[a|b:7] [c:d:5]", "5:[a|b:7] c|19:[a|b:7] d"},
        {"[a|(b|c)] [c:d:5]", "5:[a|(b|c)] c|19:[a|(b|c)] d"},
    };
    prompts *p = prompts_default(20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_str_eq(prompts_schedule(p, rows[i].text), rows[i].want, "%s", p->line);
        cr_expect_eq(p->warnings, 1, "%s", p->warning);
        cr_expect(strstr(p->warning, "prompt: a '|'"), "%s", p->warning);
    }
    cr_expect_str_eq(prompts_schedule(p, "a|b"), "19:a|b");
    cr_expect_eq(p->warnings, 0, "no edit is disabled: %s", p->warning);
    prompts_free(p);
}

Test(repairs, a_last_backslash_is_a_character, .timeout = 10)
{
    static const prompts_row rows[] = {
        {"[c:d:5]\\", "5:c\\|19:d\\"},
        {"[c\\\n:d:5] \\\nx", "5:c\\\n \\\nx|19:d \\\nx"},
    };
    prompts *p = prompts_default(20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_str_eq(prompts_schedule(p, rows[i].text), rows[i].want, "%s", p->line);
        cr_expect_eq(p->warnings, 1, "%s", p->warning);
        cr_expect(strstr(p->warning, "backslash"), "%s", p->warning);
    }
    cr_expect_str_eq(prompts_schedule(p, "a\\"), "19:a\\");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);
}

Test(repairs, each_is_told_once_and_apart, .timeout = 10)
{
    prompts *p = prompts_default(20);
    prompts_schedule(p, "a|b|c [c:d:5] (x BREAK y) (z BREAK w) (a:1.2.3) (b:1..2) e|f\\\ng\\");
    cr_expect_eq(p->warnings, 4, "%s", p->warning);
    prompts_schedule(p, "(masterpiece:1.2), [cat:dog:5], a \\(b\\), [x|y], BREAK, <lora:z:1>");
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    p->options.warn = NULL;
    prompts_schedule(p, "a|b [c:d:5]");
    prompts_free(p);
}

Test(recipe, positive_and_negative_switch_with_the_model, .timeout = 10)
{
    static const prompts_row positive[] = {
        {"[score_9, <lora:x:1>1girl:very aesthetic, 1girl:switch], night",
         "11:score_9, 1girl, night|29:very aesthetic, 1girl, night"},
    };
    static const prompts_row negative[] = {
        {"[source_pony, e621_low:worst quality:switch], 3d",
         "11:source_pony, e621_low, 3d|29:worst quality, 3d"},
    };
    const int handover = 12;
    prompts  *p = prompts_default(30);
    p->options.clock.handover = &handover;
    p->options.clock.handovers = 1;
    PROMPTS_COMPARE(p, prompts_schedule, positive);
    p->options.polarity = RF_PROMPT_NEGATIVE;
    PROMPTS_COMPARE(p, prompts_schedule, negative);
    cr_expect_eq(p->warnings, 0, "%s", p->warning);
    prompts_free(p);
}

Test(refusals, text_that_is_not_utf8, .timeout = 10)
{
    prompts *p = prompts_default(20);
    prompts_schedule(p, "caf\xE9");
    cr_expect(strstr(p->error.message, "byte 3 is 0xE9"), "%s", p->error.message);
    prompts_free(p);
}

Test(refusals, text_that_is_too_long, .timeout = 30)
{
    prompts *p = prompts_default(20);
    char    *text = malloc(RF_PROMPT_MAX_BYTES + 2);
    cr_assert(text);
    memset(text, 'a', RF_PROMPT_MAX_BYTES + 1);
    text[RF_PROMPT_MAX_BYTES + 1] = '\0';
    prompts_schedule(p, text);
    cr_expect(strstr(p->error.message, "16777217 bytes"), "%s", p->error.message);
    free(text);
    prompts_free(p);
}

Test(refusals, a_clock_without_steps, .timeout = 10)
{
    prompts *p = prompts_default(0);
    prompts_schedule(p, "a");
    cr_expect_eq(p->error.status, RF_E_ARG);
    prompts_free(p);
}

Test(refusals, freeing_nothing, .timeout = 10)
{
    rf_prompt_free(NULL);
}
