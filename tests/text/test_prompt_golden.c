/* The exact mode against an independent restatement of A1111's grammar, line by line of
 * tests/golden/prompts.jsonl. */
#include "engine/text/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

enum { LINE_BYTES_MAX = 1 << 20, FAILURES_SHOWN = 10, PROMPTS_MIN = 900 };

static const char *const golden_path = "tests/golden/prompts.jsonl";

static json_t *attention_of(const rf_prompt_entry *entry)
{
    json_t *all = json_array();
    for (int i = 0; i < entry->pieces; i++)
        json_array_append_new(all,
                              json_pack("[s, f]", entry->piece[i].text, entry->piece[i].weight));
    return all;
}

static json_t *parts_of(const rf_prompt *prompt)
{
    json_t *parts = json_array();
    for (int i = 0; i < prompt->parts; i++) {
        json_t *schedule = json_array();
        for (int e = 0; e < prompt->part[i].entries; e++) {
            const rf_prompt_entry *entry = &prompt->part[i].entry[e];
            json_array_append_new(schedule,
                                  json_pack("{s:i, s:s, s:o}", "until", entry->until, "text",
                                            entry->text, "attention", attention_of(entry)));
        }
        json_array_append_new(
            parts, json_pack("{s:f, s:o}", "weight", prompt->part[i].weight, "schedule", schedule));
    }
    return parts;
}

/* Equal, numbers by value: 1 and 1.0 are written differently. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_array(a)) {
        bool equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = same(json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (!json_is_object(a)) return json_equal(a, b);
    static const char *const keys[] = {"weight", "schedule", "until", "text", "attention"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        if (x && y && !same(x, y)) return false;
    }
    return true;
}

static json_t *tags_of(const rf_prompt *prompt)
{
    json_t *tags = json_array();
    for (int i = 0; i < prompt->tags; i++) {
        json_t *tag = json_pack("[s]", prompt->tag[i].kind);
        for (int a = 0; a < prompt->tag[i].arguments; a++)
            json_array_append_new(tag, json_string(prompt->tag[i].argument[a]));
        json_array_append_new(tags, tag);
    }
    return tags;
}

static void show(const char *text, const char *name, const json_t *value)
{
    char *line = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    cr_log_error("\"%s\" %s %.400s", text, name, line ? line : "-");
    free(line);
}

/* Compares one line. */
static void check(const json_t *want, int *failures)
{
    const char             *text = json_string_value(json_object_get(want, "text"));
    const char             *polarity = json_string_value(json_object_get(want, "polarity"));
    const int               twice = json_is_true(json_object_get(want, "second_order")) ? 2 : 1;
    const int               steps = (int)json_integer_value(json_object_get(want, "steps"));
    const int               hires = (int)json_integer_value(json_object_get(want, "hires_steps"));
    const rf_prompt_options options = {
        .exact_a1111 = 1,
        .polarity = strcmp(polarity, "negative") == 0 ? RF_PROMPT_NEGATIVE : RF_PROMPT_POSITIVE,
        .clock = {.nominal = steps * twice, .hires_nominal = hires * twice}};
    const rf_prompt *prompt;
    rf_error         err = {0};
    const rf_status  st = rf_prompt_parse(&prompt, text, &options, &err);
    const bool       stops = json_is_true(json_object_get(want, "error"));
    json_t          *parts = st == RF_OK ? parts_of(prompt) : json_null();
    json_t          *tags = st == RF_OK ? tags_of(prompt) : json_null();
    const bool       right = stops ? st == RF_E_ARG
                                   : st == RF_OK && same(json_object_get(want, "parts"), parts) &&
                                   same(json_object_get(want, "tags"), tags);
    if (!right && ++*failures <= FAILURES_SHOWN) {
        show(text, "wanted", want);
        show(text, "found ", parts);
        show(text, "tags  ", tags);
    }
    json_decref(parts);
    json_decref(tags);
    rf_prompt_free(prompt);
}

Test(prompt_golden, exact_mode_equals_the_restatement, .timeout = 60)
{
    FILE *golden = fopen(golden_path, "r");
    char *line = malloc(LINE_BYTES_MAX);
    int   prompts = 0, failures = 0;
    cr_assert(golden && line, "%s cannot be read", golden_path);
    while (fgets(line, LINE_BYTES_MAX, golden)) {
        json_error_t at;
        json_t      *row = json_loads(line, 0, &at);
        cr_assert(row, "golden line %.60s: %s", line, at.text);
        if (json_object_get(row, "text")) { /* else provenance */
            check(row, &failures);
            prompts++;
        }
        json_decref(row);
    }
    cr_log_info("%d prompts compared", prompts);
    cr_expect_eq(failures, 0, "%d prompts differ", failures);
    cr_expect_geq(prompts, PROMPTS_MIN);
    fclose(golden);
    free(line);
}
