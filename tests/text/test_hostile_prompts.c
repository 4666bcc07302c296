/* Prompts that nobody means: a mebibyte of whatever is worst for some step, and text that is not
 * UTF-8.  No step may be quadratic (the timeouts would tell) or read out of bounds (the sanitizers
 * would). */
#include "engine/text/tokenize.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

enum { MEBIBYTE = 1 << 20 };

static rf_tokenizer *make_tokenizer(void)
{
    rf_tokenizer *t;
    cr_assert_eq(rf_tokenizer_create(&t, NULL), RF_OK);
    return t;
}

/* head, then unit as often as fits into `bytes`. */
static char *filled(const char *head, const char *unit, size_t bytes)
{
    const size_t start = strlen(head), step = strlen(unit);
    char        *text = malloc(start + bytes + 1);
    cr_assert(text);
    memcpy(text, head, start);
    size_t used = start;
    for (; used + step <= start + bytes; used += step) memcpy(text + used, unit, step);
    text[used] = '\0';
    return text;
}

/* What holds for the chunks of any text. */
static void check_layout(const rf_tokens *t, rf_tokenizer_flavour flavour)
{
    cr_assert_geq(t->chunks, 1);
    cr_assert_leq(t->length, t->chunks * (RF_TOKENS_PER_CHUNK - 2));
    for (int c = 0; c < t->chunks; c++) {
        const int32_t *id = t->id + (size_t)c * RF_TOKENS_PER_CHUNK;
        bool           ended = false;
        cr_assert_eq(id[0], RF_TOKEN_START);
        for (int i = 1; i < RF_TOKENS_PER_CHUNK; i++) {
            cr_assert(id[i] >= 0 && id[i] <= RF_TOKEN_END);
            if (ended && flavour == RF_TOKENIZER_CLIP_G) cr_assert_eq(id[i], 0);
            ended = ended || id[i] == RF_TOKEN_END;
        }
        cr_assert(ended);
    }
}

static rf_status tokenize(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                          const char *text, rf_tokens *tokens, rf_error *err)
{
    const rf_piece piece = {.text = text, .weight = 1};
    return rf_tokenize(tokenizer, flavour, &piece, 1, NULL, tokens, err);
}

/* The tokens of the text; its chunks are checked too, or refused if they are too many. */
static int tokenized_length(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                            const char *text)
{
    rf_tokens tokens;
    rf_ids    ids = {0};
    rf_error  err = {0};
    cr_assert_eq(rf_tokenizer_encode(tokenizer, flavour, text, &ids, &err), RF_OK, "%s",
                 err.message);
    const int       length = (int)ids.length;
    const rf_status st = tokenize(tokenizer, flavour, text, &tokens, &err);
    if (length <= RF_CHUNKS_MAX * (RF_TOKENS_PER_CHUNK - 2)) { /* no row has commas at the edge */
        cr_assert_eq(st, RF_OK, "%s", err.message);
        cr_assert_eq(tokens.length, length);
        check_layout(&tokens, flavour);
    } else {
        cr_assert_eq(st, RF_E_ARG);
        cr_assert(strstr(err.message, "chunks"), "%s", err.message);
    }
    rf_tokens_free(&tokens);
    rf_ids_free(&ids);
    return length;
}

Test(hostile_prompts, a_mebibyte_takes_no_quadratic_step, .timeout = 120)
{
    static const struct {
        const char *head, *unit, *why;
    } rows[] = {
        {"", "a", "one word: merging"},
        {"", "ab!c", "many words"},
        {"", "\xF0\x9F\x90\xB1", "one word of emoji"},
        {"", "\xCC\x81\xCC\xA3", "marks in the wrong order: canonical ordering"},
        {"e", "\xCC\x81", "marks on one letter: composition"},
        {"", "\xCE\xA3.", "sigmas: their context"},
        {"\xCE\xA3", ".", "a sigma before a mebibyte of ignorable characters"},
        {"&", "amp;", "entities nested a quarter of a million deep"},
        {"", "&aaaaaaaa", "references that are none"},
        {"", "&#9999999999", "numbers that overflow"},
        {"\x1B[", "1;", "a terminal escape without an end"},
        {"", "\x1B[", "terminal escapes that never end"},
        {"", "<|", "the start of a special token"},
        {"", "a<|endoftext|>", "special tokens"},
        {"", "\n", "lines without text"},
        {"", ",", "commas"},
        {"", "\xEF\xAC\x83", "ligatures that triple"},
        {"", "\xC4\xB0", "capitals that become two characters"},
        {"", "\xE1\xBE\x82", "characters of four parts"},
        {"", "\xEA\xB0\x81", "Hangul"},
    };
    rf_tokenizer *tokenizer = make_tokenizer();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char     *text = filled(rows[i].head, rows[i].unit, MEBIBYTE);
        const int l = tokenized_length(tokenizer, RF_TOKENIZER_CLIP_L, text);
        const int g = tokenized_length(tokenizer, RF_TOKENIZER_CLIP_G, text);
        cr_expect(strcmp(rows[i].unit, "\n") == 0 ? l == 0 && g == 0 : l > 0 && g > 0,
                  "%s: %d and %d tokens", rows[i].why, l, g);
        free(text);
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(hostile_prompts, hundred_thousand_parentheses, .timeout = 30)
{
    rf_tokenizer *tokenizer = make_tokenizer();
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        char *text = filled("", "(", 100000);
        cr_expect_gt(tokenized_length(tokenizer, flavour, text), 0);
        free(text);
        text = filled("", "( ", 200000); /* apart, each is a token */
        cr_expect_eq(tokenized_length(tokenizer, flavour, text), 100000);
        free(text);
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(hostile_prompts, invalid_utf8_is_refused_by_its_offset, .timeout = 30)
{
    static const struct {
        const char *text, *place;
    } rows[] = {
        {"\xFF", "byte 0 is 0xFF"},
        {"cat\x80", "byte 3 is 0x80"},
        {"caf\xE9 au lait", "byte 3 is 0xE9"},        /* Latin-1 */
        {"\xC3\xA9\xC3", "byte 2 is 0xC3"},           /* cut short */
        {"ab\xE2\x82", "byte 2 is 0xE2"},             /* cut short */
        {"\xC0\xAF", "byte 0 is 0xC0"},               /* overlong */
        {"\xE0\x80\xAF", "byte 0 is 0xE0"},           /* overlong */
        {"x\xED\xA0\x80", "byte 1 is 0xED"},          /* a surrogate */
        {"\xF4\x90\x80\x80", "byte 0 is 0xF4"},       /* past U+10FFFF */
        {"\xF8\x88\x80\x80\x80", "byte 0 is 0xF8"},   /* five bytes */
        {"ok <|endoftext|> \xFE", "byte 17 is 0xFE"}, /* after a special */
    };
    rf_tokenizer *tokenizer = make_tokenizer();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
            rf_tokens tokens = {.chunks = 1};
            rf_error  err = {0};
            cr_expect_eq(tokenize(tokenizer, flavour, rows[i].text, &tokens, &err), RF_E_ARG);
            cr_expect(strstr(err.message, rows[i].place), "row %zu: %s", i, err.message);
            cr_expect(!tokens.id && tokens.chunks == 0);
        }
    rf_tokenizer_destroy(tokenizer);
}

Test(hostile_prompts, a_prompt_over_the_limit_is_refused, .timeout = 30)
{
    rf_tokenizer *tokenizer = make_tokenizer();
    char         *text = filled("", " ", RF_PROMPT_MAX_BYTES + 1);
    rf_tokens     tokens;
    rf_error      err = {0};
    cr_expect_eq(tokenize(tokenizer, RF_TOKENIZER_CLIP_L, text, &tokens, &err), RF_E_ARG);
    cr_expect(strstr(err.message, "16777217 bytes"), "%s", err.message);
    text[RF_PROMPT_MAX_BYTES] = '\0';
    cr_expect_eq(tokenized_length(tokenizer, RF_TOKENIZER_CLIP_L, text), 0);
    free(text);
    rf_tokenizer_destroy(tokenizer);
}

Test(hostile_prompts, an_empty_text_is_one_empty_chunk, .timeout = 30)
{
    rf_tokenizer *tokenizer = make_tokenizer();
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_tokens tokens;
        cr_assert_eq(tokenize(tokenizer, flavour, "", &tokens, NULL), RF_OK);
        cr_expect_eq(tokens.chunks, 1);
        cr_expect_eq(tokens.length, 0);
        cr_expect_eq(tokens.id[1], RF_TOKEN_END);
        cr_expect_eq(tokens.id[2], flavour == RF_TOKENIZER_CLIP_L ? RF_TOKEN_END : 0);
        rf_tokens_free(&tokens);
    }
    rf_tokenizer_destroy(tokenizer);
}

Test(hostile_prompts, padding_appends_empty_chunks, .timeout = 30)
{
    rf_tokenizer *tokenizer = make_tokenizer();
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_tokens cat, empty;
        cr_assert_eq(tokenize(tokenizer, flavour, "cat", &cat, NULL), RF_OK);
        cr_assert_eq(tokenize(tokenizer, flavour, "", &empty, NULL), RF_OK);
        cr_assert_eq(rf_tokens_pad(&cat, flavour, 3, NULL), RF_OK);
        cr_expect_eq(cat.chunks, 3);
        cr_expect_eq(cat.length, 1);
        check_layout(&cat, flavour);
        for (int c = 1; c < 3; c++) {
            cr_expect_arr_eq(cat.id + c * RF_TOKENS_PER_CHUNK, empty.id,
                             RF_TOKENS_PER_CHUNK * sizeof *empty.id);
            cr_expect_arr_eq(cat.weight + c * RF_TOKENS_PER_CHUNK, empty.weight,
                             RF_TOKENS_PER_CHUNK * sizeof *empty.weight);
        }
        cr_assert_eq(rf_tokens_pad(&cat, flavour, 2, NULL), RF_OK);
        cr_expect_eq(cat.chunks, 3, "never shorter");
        rf_tokens_free(&cat);
        rf_tokens_free(&empty);
    }
    rf_tokenizer_destroy(tokenizer);
}
