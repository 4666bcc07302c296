/* `refinery tokens`: what the tokenizer makes of a plain text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/json_writer.h"
#include "tools/text_input.h"
#include "tools/verbs.h"

typedef struct tokens_values {
    rf_common   common;
    const char *prompt, *encoder;
} tokens_values;

static const char *const ENCODERS[] = {"l", "g", NULL};

static const rf_option ROWS[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = RF_OPTION_TEXT,
     .offset = offsetof(tokens_values, prompt),
     .value = "TEXT",
     .help = "plain text; - reads standard input",
     .group = "Text"},
    {.name = "encoder",
     .kind = RF_OPTION_CHOICE,
     .offset = offsetof(tokens_values, encoder),
     .value = "NAME",
     .fallback = "l",
     .help = "l (CLIP-L) or g (OpenCLIP bigG)",
     .group = "Text",
     .choices = ENCODERS},
    RF_COMMON_OPTIONS(tokens_values, RF_PLACE_HELP),
};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static void print_json(const int32_t *ids, int count)
{
    rf_json_writer w = {.out = stdout};
    rf_json_open(&w, NULL, '{');
    rf_json_put_int(&w, "schema", 1);
    rf_json_open(&w, "ids", '[');
    for (int i = 0; i < count; i++) rf_json_put_int(&w, NULL, ids[i]);
    rf_json_close(&w, ']');
    rf_json_close(&w, '}');
    putchar('\n');
}

static void print_text(const int32_t *ids, int count)
{
    for (int i = 0; i < count; i++) printf("%s%d", i ? " " : "", ids[i]);
    printf("%s%d token%s\n", count ? "\n" : "", count, count == 1 ? "" : "s");
}

static rf_status run_tokens(rf_invocation *in)
{
    rf_status      st = RF_OK;
    tokens_values *v = in->values;
    rf_error      *err = &in->trouble.error;
    rf_engine     *engine = NULL;
    char          *text = NULL;
    int32_t       *ids = NULL;
    int            count = 0;
    if (!v->prompt) {
        rf_trouble_hint(&in->trouble, "refinery tokens --prompt \"1girl, forest\"");
        st = rf_fail(err, RF_E_ARG, "--prompt is missing: which text?");
        goto done;
    }
    if (strcmp(v->prompt, "-") == 0)
        RF_TRY(rf_prompt_read(&text, "-", "--prompt", 1, &in->trouble));
    RF_TRY(rf_text_check(v->prompt, "--prompt", &in->trouble));
    RF_TRY(rf_engine_create(&engine, &(rf_options){.device = "cpu"}, err));
    RF_TRY(rf_tokens_of(&ids, &count, engine, v->encoder, text ? text : v->prompt, err));
    if (in->console.json)
        print_json(ids, count);
    else
        print_text(ids, count);
done:
    free(ids);
    free(text);
    rf_engine_destroy(engine);
    return st;
}

const rf_verb rf_verb_tokens = {
    .name = "tokens",
    .summary = "the token ids of a text",
    .examples = "refinery tokens --prompt \"1girl, forest\"\n"
                "refinery tokens --json --encoder g --prompt - < prompt.txt\n",
    .usage = "--prompt TEXT [--encoder l|g]",
    .notes = "The text is taken as it is: no emphasis, no edits; start, end and padding are\n"
             "left out.\n",
    .options = OPTIONS,
    .values_bytes = sizeof(tokens_values),
    .run = run_tokens,
};
