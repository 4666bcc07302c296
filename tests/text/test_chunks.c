/* Chunks of 77 tokens: section 3.2 of the specification of A1111, over both tokenizers. */
#include "engine/text/tokenize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

enum { WORD = 320, COMMA = 267 }; /* "a</w>", ",</w>" */

static rf_tokenizer *tokenizer; /* of this process: each test is one */

static rf_tokens tokenized(rf_tokenizer_flavour flavour, const char *text)
{
    const rf_prompt_options options = {.clock = {.nominal = 20, .calls = 20}};
    const rf_prompt        *prompt;
    rf_tokens               tokens;
    rf_error                err = {0};
    if (!tokenizer) cr_assert_eq(rf_tokenizer_create(&tokenizer, NULL), RF_OK);
    cr_assert_eq(rf_prompt_parse(&prompt, text, &options, &err), RF_OK, "%s", err.message);
    const rf_prompt_entry *entry = prompt->part->entry;
    cr_assert_eq(rf_tokenize(tokenizer, flavour, entry->piece, entry->pieces, NULL, &tokens, &err),
                 RF_OK, "%s", err.message);
    rf_prompt_free(prompt);
    return tokens;
}

/* The prompt tokens in each chunk, as "75 3". */
static const char *lengths(const char *text)
{
    static char line[256];
    rf_tokens   t = tokenized(RF_TOKENIZER_CLIP_L, text);
    char       *used = line;
    for (int c = 0; c < t.chunks; c++) {
        const int32_t *id = t.id + c * RF_TOKENS_PER_CHUNK + 1;
        int            length = 0;
        while (length < 75 && id[length] != RF_TOKEN_END) length++;
        used += sprintf(used, "%s%d", c ? " " : "", length);
    }
    rf_tokens_free(&t);
    return line;
}

/* `before` words, a comma, `after` words. */
static char *words_and_comma(int before, bool comma, int after)
{
    static char text[1024];
    char       *used = text;
    for (int i = 0; i < before; i++) used += sprintf(used, "a ");
    if (comma) used += sprintf(used, ", ");
    for (int i = 0; i < after; i++) used += sprintf(used, "a ");
    *used = '\0';
    return text;
}

Test(a1111_3_2, a_full_chunk_goes_back_to_a_near_comma, .timeout = 30)
{
    static const struct {
        int         before;
        bool        comma;
        int         after;
        const char *want;
    } rows[] = {
        {0, false, 0, "0"},        {75, false, 0, "75"},
        {76, false, 0, "75 1"},    {60, true, 14, "75"},
        {60, true, 15, "61 15"}, /* the comma stays with what is before */
        {55, true, 19, "75"},      {55, true, 20, "56 20"}, /* 75 - 55 = 20: near enough */
        {54, true, 21, "75 1"},                             /* 21: not */
        {74, true, 0, "75"},       {74, true, 1, "75 1"},
        {75, true, 0, "75 1"},     /* a comma at a full chunk opens the next */
        {75, true, 75, "75 75 1"}, /* and is not remembered there */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = words_and_comma(rows[i].before, rows[i].comma, rows[i].after);
        cr_expect_str_eq(lengths(text), rows[i].want, "row %zu: %s", i, lengths(text));
    }
    char *text = strdup(words_and_comma(60, true, 14)); /* a comma right at a full chunk */
    char  both[2048];
    snprintf(both, sizeof both, "%s, a", text);
    cr_expect_str_eq(lengths(both), "75 2");
    free(text);
    rf_tokenizer_destroy(tokenizer);
}

Test(a1111_3_2, break_closes_the_chunk, .timeout = 30)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a BREAK a a", "1 2"},
        {"BREAK a", "0 1"},
        {"a BREAK", "1"},
        {"BREAK", "0"},
        {"a BREAK BREAK a", "1 0 1"},
        {"(a BREAK a)", "1 1"},
        {"a, BREAK a", "2 1"},
        {"", "0"},
        {"aBREAK", "2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(lengths(rows[i].text), rows[i].want, "%s: %s", rows[i].text,
                         lengths(rows[i].text));
    char text[2048]; /* a comma before a BREAK is forgotten */
    snprintf(text, sizeof text, "a, BREAK %s", words_and_comma(76, false, 0));
    cr_expect_str_eq(lengths(text), "2 75 1");
    rf_tokenizer_destroy(tokenizer);
}

Test(a1111_3_2, tokens_carry_the_weight_of_their_piece, .timeout = 30)
{
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_tokens t = tokenized(flavour, "a (a, a:1.5) [a] BREAK (a:-2)");
        cr_assert_eq(t.chunks, 2);
        cr_expect_eq(t.length, 6);
        static const float want[] = {1, 1, 1.5F, 1.5F, 1.5F, (float)(1 / 1.1), 1, 1};
        static const int   ids[] = {RF_TOKEN_START, WORD, WORD, COMMA, WORD, WORD, RF_TOKEN_END};
        for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++) {
            cr_expect_eq(t.weight[i], i < 8 ? want[i] : 1, "%d: %g", i, (double)t.weight[i]);
            if (i < 7) cr_expect_eq(t.id[i], ids[i], "%d: %d", i, t.id[i]);
        }
        for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++)
            cr_expect_eq(t.weight[RF_TOKENS_PER_CHUNK + i], i == 1 ? -2 : 1);
        rf_tokens_free(&t);
        cr_expect(!t.id && !t.weight && t.chunks == 0);
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(a1111_3_2, weights_move_with_their_tokens, .timeout = 30)
{
    char text[2048];
    snprintf(text, sizeof text, "%s(a a a:2)", words_and_comma(60, true, 12));
    rf_tokens t = tokenized(RF_TOKENIZER_CLIP_L, text);
    cr_assert_eq(t.chunks, 2); /* 61, then 12 + 3 of which the last did not fit */
    for (int i = 0; i < RF_TOKENS_PER_CHUNK; i++) {
        cr_expect_eq(t.weight[i], 1);
        cr_expect_eq(t.weight[RF_TOKENS_PER_CHUNK + i], i >= 13 && i < 16 ? 2 : 1, "%d", i);
    }
    rf_tokens_free(&t);
    rf_tokenizer_destroy(tokenizer);
}

Test(a1111_3_2, pieces_are_tokenized_apart, .timeout = 30)
{
    rf_tokens t = tokenized(RF_TOKENIZER_CLIP_L, "cat(s)"); /* not "cats" */
    cr_expect_eq(t.length, 2);
    rf_tokens_free(&t);
    rf_tokenizer_destroy(tokenizer);
}

Test(a1111_3_2, padding, .timeout = 30)
{
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        const int32_t pad = flavour == RF_TOKENIZER_CLIP_G ? 0 : RF_TOKEN_END;
        rf_tokens     t = tokenized(flavour, "(a:3)");
        cr_assert_eq(rf_tokens_pad(&t, flavour, 2, NULL), RF_OK);
        cr_expect_eq(t.chunks, 2);
        for (int c = 0; c < 2; c++)
            for (int i = 2 - c; i < RF_TOKENS_PER_CHUNK; i++) {
                const int at = c * RF_TOKENS_PER_CHUNK + i;
                cr_expect_eq(t.id[at], i == 2 - c ? RF_TOKEN_END : pad);
                cr_expect_eq(t.weight[at], 1);
            }
        cr_expect_eq(t.weight[RF_TOKENS_PER_CHUNK], 1);
        rf_tokens_free(&t);
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(chunks, there_is_a_limit, .timeout = 30)
{
    static const int extra[] = {0, 1};
    for (size_t i = 0; i < 2; i++) {
        const int count = RF_CHUNKS_MAX * 75 + extra[i];
        int32_t  *id = malloc((size_t)count * sizeof *id);
        cr_assert(id);
        for (int k = 0; k < count; k++) id[k] = WORD;
        rf_chunker chunker;
        rf_tokens  tokens = {0};
        rf_error   err = {0};
        cr_assert_eq(rf_chunker_start(&chunker, NULL), RF_OK);
        cr_assert_eq(rf_chunker_add(&chunker, id, (size_t)count, 1, NULL), RF_OK);
        const rf_status st = rf_chunker_finish(&chunker, RF_TOKENIZER_CLIP_L, &tokens, &err);
        cr_expect_eq(st, extra[i] ? RF_E_ARG : RF_OK);
        cr_expect(!extra[i] || strstr(err.message, "more than 256 chunks"), "%s", err.message);
        cr_expect_eq(tokens.chunks, extra[i] ? 0 : RF_CHUNKS_MAX);
        rf_tokens_free(&tokens);
        rf_chunker_free(&chunker);
        free(id);
    }
}

Test(chunks, breaks_count_too, .timeout = 30)
{
    rf_chunker chunker;
    rf_error   err = {0};
    cr_assert_eq(rf_chunker_start(&chunker, NULL), RF_OK);
    for (int i = 0; i < RF_CHUNKS_MAX; i++) cr_assert_eq(rf_chunker_break(&chunker, NULL), RF_OK);
    cr_expect_eq(rf_chunker_break(&chunker, &err), RF_E_ARG);
    cr_expect(err.message[0]);
    rf_chunker_free(&chunker);
}
