/* Names of textual inversions among a prompt's tokens: A1111's rule, and how chunks take them. */
#include "engine/text/tokenize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static rf_tokenizer *tokenizer; /* of this process: each test is one */

static rf_trigger trigger_of(const char *name, int32_t first, int vectors)
{
    rf_trigger t = {.first = first, .vectors = vectors};
    if (!tokenizer) cr_assert_eq(rf_tokenizer_create(&tokenizer, NULL), RF_OK);
    for (int f = 0; f < 2; f++)
        cr_assert_eq(rf_tokenizer_encode(tokenizer, (rf_tokenizer_flavour)f, name, &t.id[f], NULL),
                     RF_OK);
    return t;
}

static void forget(rf_trigger *t)
{
    for (int f = 0; f < 2; f++) rf_ids_free(&t->id[f]);
}

/* Prompt tokens with the ids beyond the vocabulary as letters from A, all others as dots; "|"
 * between chunks. */
static const char *drawn(const char *text, const rf_triggers *triggers,
                         rf_tokenizer_flavour flavour)
{
    static char    line[1024];
    const rf_piece piece = {.text = text, .weight = 1.5};
    rf_tokens      tokens;
    char          *to = line;
    cr_assert_eq(rf_tokenize(tokenizer, flavour, &piece, 1, triggers, &tokens, NULL), RF_OK);
    for (int c = 0; c < tokens.chunks; c++) {
        if (c) *to++ = '|';
        for (int i = 1; i < RF_TOKENS_PER_CHUNK; i++) {
            const int at = c * RF_TOKENS_PER_CHUNK + i;
            if (tokens.id[at] == RF_TOKEN_END) break;
            *to++ = tokens.id[at] >= RF_TOKEN_EXTRA ? (char)('A' + tokens.id[at] - RF_TOKEN_EXTRA)
                                                    : '.';
            cr_expect_float_eq(tokens.weight[at], 1.5f, 0);
        }
    }
    *to = '\0';
    rf_tokens_free(&tokens);
    return line;
}

Test(triggers, names_become_vectors, .timeout = 30)
{
    rf_trigger        cat = trigger_of("cat", RF_TOKEN_EXTRA, 2);
    rf_trigger        red = trigger_of("red", RF_TOKEN_EXTRA + 2, 1);
    rf_trigger        both = trigger_of("red cat", RF_TOKEN_EXTRA + 3, 3);
    const rf_trigger *item[] = {&cat, &red, &both};
    const rf_triggers all = {item, 3};
    static const struct {
        const char *text, *drawn;
    } rows[] = {
        {"a cat", ".AB"},
        {"CAT", "AB"},
        {"a red dog", ".C."},
        {"a red cat", ".DEF"}, /* of two that begin there the longer */
        {"red red cat, cat", "CDEF.AB"},
        {"a dog", ".."},
        {"catalogue", "."}, /* another token */
        {"", ""},
    };
    for (int f = 0; f < 2; f++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            cr_expect_str_eq(drawn(rows[i].text, &all, (rf_tokenizer_flavour)f), rows[i].drawn,
                             "%s", rows[i].text);
    cr_expect_str_eq(drawn("a cat", NULL, RF_TOKENIZER_CLIP_L), "..");
    cr_expect_str_eq(drawn("a cat", &(rf_triggers){0}, RF_TOKENIZER_CLIP_L), "..");
    forget(&cat);
    forget(&red);
    forget(&both);
    rf_tokenizer_destroy(tokenizer);
}

/* `count` times "a ", and then the name. */
static const char *late(int count)
{
    static char text[1024];
    char       *to = text;
    for (int i = 0; i < count; i++) to += sprintf(to, "a ");
    strcpy(to, "cat");
    return text;
}

/* Vectors stay together: what does not fit opens the next chunk. */
Test(triggers, vectors_are_not_parted, .timeout = 30)
{
    rf_trigger        cat = trigger_of("cat", RF_TOKEN_EXTRA, 3);
    const rf_trigger *item[] = {&cat};
    const rf_triggers one = {item, 1};
    for (int before = 71; before <= 76; before++) {
        const char *line = drawn(late(before), &one, RF_TOKENIZER_CLIP_L);
        const char *bar = strchr(line, '|'), *name = strstr(line, "ABC");
        cr_assert_not_null(name, "%d: %s", before, line);
        cr_expect_eq(bar != NULL, before > 72, "%d: %s", before, line);
        if (bar) cr_expect_eq(bar - line, before < 75 ? before : 75, "%d: %s", before, line);
    }
    cat.vectors = 75;
    cr_expect_str_eq(drawn("a cat", &one, RF_TOKENIZER_CLIP_G) + 1,
                     "|ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
                     "\x7f\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b");
    forget(&cat);
    rf_tokenizer_destroy(tokenizer);
}
