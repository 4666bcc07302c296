/* Memory runs out at the n-th allocation, for every n: the tokenizer says so and leaks nothing.
 *
 * The linker sends this program's malloc, calloc, realloc and free through the wrappers here. */
#include "engine/text/tokenize.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void  __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void  __wrap_free(void *p);

static long until_failure; /* allocations that still succeed; negative: all do */
static long live;          /* blocks not freed */

static bool fails(void)
{
    if (until_failure == 0) return true;
    if (until_failure > 0) until_failure--;
    return false;
}

void *__wrap_malloc(size_t bytes)
{
    void *p = fails() ? NULL : __real_malloc(bytes);
    live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    void *p = fails() ? NULL : __real_calloc(count, bytes);
    live += p != NULL;
    return p;
}

void *__wrap_realloc(void *p, size_t bytes)
{
    void *q = fails() ? NULL : __real_realloc(p, bytes);
    live += !p && q;
    return q;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

Test(text_memory, creation_survives_each_failure, .timeout = 60)
{
    rf_status st = RF_E_NOMEM;
    for (long n = 0; st != RF_OK; n++) {
        rf_tokenizer *tokenizer = NULL;
        rf_error      err = {0};
        until_failure = n;
        live = 0;
        st = rf_tokenizer_create(&tokenizer, &err);
        until_failure = -1;
        cr_assert(st == RF_OK || (st == RF_E_NOMEM && err.message[0] && !tokenizer), "n = %ld", n);
        rf_tokenizer_destroy(tokenizer);
        cr_assert_eq(live, 0, "n = %ld: %ld blocks leak", n, live);
        cr_assert_lt(n, 100);
    }
}

Test(text_memory, tokenizing_survives_each_failure, .timeout = 60)
{
    /* Every step allocates: entities, ligatures, marks, capitals, long words, several chunks. */
    static const char start[] = "&amp;amp; \xEF\xAC\x83 e\xCC\x81 \xC4\xB0 <|endoftext|>\n";
    char              text[2000];
    rf_tokenizer     *tokenizer;
    until_failure = -1;
    cr_assert_eq(rf_tokenizer_create(&tokenizer, NULL), RF_OK);
    memset(text, '1', sizeof text - 1);
    memset(text + 500, 'a', 300);
    memcpy(text, start, sizeof start - 1);
    text[sizeof text - 1] = '\0';

    const rf_piece piece[] = {{text, 1, 0}, {"BREAK", -1, 1}, {"cat", 1.2, 0}};
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_status st = RF_E_NOMEM;
        for (long n = 0; st != RF_OK; n++) {
            rf_tokens tokens;
            rf_error  err = {0};
            until_failure = n;
            live = 0;
            st = rf_tokenize(tokenizer, flavour, piece, 3, NULL, &tokens, &err);
            until_failure = -1;
            cr_assert(st == RF_OK || (st == RF_E_NOMEM && err.message[0] && !tokens.id), "n = %ld",
                      n);
            rf_tokens_free(&tokens);
            cr_assert_eq(live, 0, "n = %ld: %ld blocks leak", n, live);
            cr_assert_lt(n, 1000);
        }
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(text_memory, parsing_survives_each_failure, .timeout = 60)
{
    /* Tags, AND, edits, alternations, emphasis, a break, a long number, and all of it rewritten. */
    static const char text[] =
        "<lora:a:1:2><lora:b> (a [b:c:5] BREAK \\( [d|e|[f]]:1.2) AND [g:[h:i:switch]:0.5] "
        "(j:1.0000000000000000000000000000000000000000000000000000000000000000000000000) AND "
        "[[[[[[[[[[[[[[[[((((((((((((((((((((((k";
    const int               handover = 7;
    const rf_prompt_options options = {
        .clock = {.nominal = 20, .calls = 20, .handover = &handover, .handovers = 1}};
    rf_status st = RF_E_NOMEM;
    for (long n = 0; st != RF_OK; n++) {
        const rf_prompt *prompt = NULL;
        char            *shown = NULL;
        rf_error         err = {0};
        until_failure = n;
        live = 0;
        st = rf_prompt_parse(&prompt, text, &options, &err);
        if (st == RF_OK) st = rf_prompt_with_switch(&shown, text, &options, 5, &err);
        until_failure = -1;
        cr_assert(st == RF_OK || (st == RF_E_NOMEM && err.message[0] && !shown), "n = %ld: %s", n,
                  err.message);
        rf_prompt_free(prompt);
        free(shown);
        cr_assert_eq(live, 0, "n = %ld: %ld blocks leak", n, live);
        cr_assert_lt(n, 1000);
    }
}
