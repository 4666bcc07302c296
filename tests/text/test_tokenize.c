/* The tokenizers against the real ones: tests/golden/tokens.jsonl holds what transformers and
 * open_clip made of the same texts (see tools/golden/make_tokens.py for its lines). */
#include "engine/text/tokenize.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <utf8proc.h>

enum {
    LINE_BYTES_MAX = 1 << 17,
    FAILURES_SHOWN = 10,
    TEXTS_MIN = 2000, /* so that a truncated golden file cannot pass */
    SWEEPS_MIN = 500,
    CHUNKED_MIN = 30,
};

typedef struct tally {
    int texts, long_texts, sweeps, chunked, failures;
} tally;

static const char *const keys[] = {[RF_TOKENIZER_CLIP_L] = "l", [RF_TOKENIZER_CLIP_G] = "g"};
static const char *const chunk_keys[] = {"l_chunks", "g_chunks"};

static rf_tokenizer *make_tokenizer(void)
{
    rf_tokenizer *t;
    rf_error      err = {0};
    cr_assert_eq(rf_tokenizer_create(&t, &err), RF_OK, "%s", err.message);
    return t;
}

/* `text` in printable ASCII, cut short: a failure must be legible on any terminal. */
static const char *shown(const char *text, char *out, size_t bytes)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && used + 8 < bytes; p++)
        used += (size_t)snprintf(out + used, bytes - used,
                                 *p < 0x20 || *p > 0x7E ? "\\x%02x" : "%c", (unsigned)*p);
    return out;
}

static void show_ids(const char *name, const json_t *want, const rf_ids *got, size_t at)
{
    char   line[400];
    size_t used = 0;
    for (size_t i = at > 2 ? at - 2 : 0; i < at + 6; i++) {
        if (want && i < json_array_size(want))
            used += (size_t)snprintf(line + used, sizeof line - used, " %" JSON_INTEGER_FORMAT,
                                     json_integer_value(json_array_get(want, i)));
        if (got && i < got->length)
            used += (size_t)snprintf(line + used, sizeof line - used, " %" PRId32, got->at[i]);
    }
    line[used] = '\0';
    cr_log_error("    %s:%s", name, line);
}

static void compare_ids(tally *t, const char *text, const char *flavour, const json_t *want,
                        const rf_ids *got)
{
    size_t same = 0;
    while (same < got->length && same < json_array_size(want) &&
           json_integer_value(json_array_get(want, same)) == got->at[same])
        same++;
    if (same == got->length && same == json_array_size(want)) return;
    if (++t->failures > FAILURES_SHOWN) return;
    char out[300];
    cr_log_error("%s of \"%s\": differs at token %zu; %zu tokens, wanted %zu", flavour,
                 shown(text, out, sizeof out), same, got->length, json_array_size(want));
    show_ids("wanted", want, NULL, same);
    show_ids("found ", NULL, got, same);
}

/* `want` is [count, FNV-1a over ids]. */
static void compare_digest(tally *t, const char *text, const char *flavour, const json_t *want,
                           const rf_ids *got)
{
    uint64_t h = 0xCBF29CE484222325U;
    char     hex[17], out[60];
    for (size_t i = 0; i < got->length; i++) h = (h ^ (uint64_t)got->at[i]) * 0x100000001B3U;
    snprintf(hex, sizeof hex, "%016" PRIx64, h);
    const json_int_t  count = json_integer_value(json_array_get(want, 0));
    const char *const digest = json_string_value(json_array_get(want, 1));
    if (digest && count == (json_int_t)got->length && strcmp(hex, digest) == 0) return;
    if (++t->failures <= FAILURES_SHOWN)
        cr_log_error("%s of \"%s\": %zu tokens, digest %s; wanted %" JSON_INTEGER_FORMAT ", %s",
                     flavour, shown(text, out, sizeof out), got->length, hex, count,
                     digest ? digest : "none");
}

static char *repeated(const char *text, size_t times)
{
    const size_t bytes = strlen(text);
    char        *out = malloc(bytes * times + 1);
    cr_assert(out);
    for (size_t i = 0; i < times; i++) memcpy(out + i * bytes, text, bytes);
    out[bytes * times] = '\0';
    return out;
}

/* make_tokens.py's sweep_text(). */
static char *sweep_text(const json_t *ranges)
{
    char  *out = malloc(256 * 64);
    size_t used = 0;
    cr_assert(out);
    for (size_t r = 0; r < json_array_size(ranges); r++) {
        const json_t    *range = json_array_get(ranges, r);
        const json_int_t last = json_integer_value(json_array_get(range, 1));
        for (json_int_t code = json_integer_value(json_array_get(range, 0)); code <= last; code++) {
            unsigned char c[5] = {0};
            utf8proc_encode_char((utf8proc_int32_t)code, c);
            used += (size_t)snprintf(out + used, 64, "%s a%sa e%s A\u03a3%s A\u03a3%sa\n", c, c, c,
                                     c, c);
        }
    }
    return out;
}

static void check_tokens(tally *t, const rf_tokenizer *tokenizer, const json_t *row)
{
    const json_t *ranges = json_object_get(row, "ranges");
    const json_t *times = json_object_get(row, "times");
    const char   *text = json_string_value(json_object_get(row, "t"));
    char         *made =
        ranges ? sweep_text(ranges) : repeated(text, times ? (size_t)json_integer_value(times) : 1);
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        const json_t *want = json_object_get(row, keys[flavour]);
        rf_ids        ids = {0};
        rf_error      err = {0};
        if (!want) want = json_object_get(row, keys[RF_TOKENIZER_CLIP_L]);
        cr_assert_eq(rf_tokenizer_encode(tokenizer, flavour, made, &ids, &err), RF_OK, "%s",
                     err.message);
        if (ranges || times)
            compare_digest(t, made, keys[flavour], want, &ids);
        else
            compare_ids(t, made, keys[flavour], want, &ids);
        rf_ids_free(&ids);
    }
    free(made);
}

static void check_chunks(tally *t, const rf_tokenizer *tokenizer, const json_t *row)
{
    const char *text = json_string_value(json_object_get(row, "t"));
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        const json_t  *want = json_object_get(row, chunk_keys[flavour]);
        rf_tokens      tokens;
        rf_error       err = {0};
        const rf_piece piece = {.text = text, .weight = 1};
        cr_assert_eq(rf_tokenize(tokenizer, flavour, &piece, 1, NULL, &tokens, &err), RF_OK, "%s",
                     err.message);
        cr_expect_eq(tokens.chunks, (int)json_array_size(want), "%s: %d chunks of \"%.60s\"",
                     keys[flavour], tokens.chunks, text);
        for (int c = 0; c < tokens.chunks && c < (int)json_array_size(want); c++) {
            const rf_ids got = {.at = tokens.id + c * RF_TOKENS_PER_CHUNK,
                                .length = RF_TOKENS_PER_CHUNK};
            compare_ids(t, text, chunk_keys[flavour], json_array_get(want, (size_t)c), &got);
        }
        rf_tokens_free(&tokens);
    }
}

Test(a1111_3_1, matches_the_real_tokenizers, .timeout = 120)
{
    rf_tokenizer *tokenizer = make_tokenizer();
    FILE         *golden = fopen("tests/golden/tokens.jsonl", "r");
    char         *line = malloc(LINE_BYTES_MAX);
    tally         t = {0};
    cr_assert(golden && line, "tests/golden/tokens.jsonl cannot be read");
    cr_assert(fgets(line, LINE_BYTES_MAX, golden)); /* provenance */
    while (fgets(line, LINE_BYTES_MAX, golden)) {
        json_error_t at;
        json_t      *row = json_loads(line, 0, &at);
        cr_assert(row, "golden line %.60s: %s", line, at.text);
        if (json_object_get(row, "l_chunks")) {
            check_chunks(&t, tokenizer, row);
            t.chunked++;
        } else {
            check_tokens(&t, tokenizer, row);
            t.sweeps += json_object_get(row, "ranges") != NULL;
            t.long_texts += json_object_get(row, "times") != NULL;
            t.texts += !json_object_get(row, "ranges");
        }
        json_decref(row);
    }
    cr_log_info("%d texts (%d of 10 KB), %d blocks of characters, %d layouts compared", t.texts,
                t.long_texts, t.sweeps, t.chunked);
    cr_expect_eq(t.failures, 0, "%d comparisons failed", t.failures);
    cr_expect_geq(t.texts, TEXTS_MIN);
    cr_expect_geq(t.sweeps, SWEEPS_MIN);
    cr_expect_geq(t.chunked, CHUNKED_MIN);
    fclose(golden);
    free(line);
    rf_tokenizer_destroy(tokenizer);
}
