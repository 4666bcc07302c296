/* `refinery recipes`: the built-in recipes and the prompts they make. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/json_writer.h"
#include "tools/recipes.h"
#include "tools/verbs.h"
#include "tools/wrap.h"

typedef struct recipes_values {
    rf_common common;
} recipes_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(recipes_values, RF_PLACE_HELP)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

/* Names of the tags stand where the tags will. */
static const rf_recipe_tags PROMPT_TAGS = {.base = "<base tags>",
                                           .refiner = "<refiner tags>",
                                           .common = "<common tags>",
                                           .when = "switch"};
static const rf_recipe_tags NEGATIVE_TAGS = {
    .base = "<base negative>", .refiner = "<refiner negative>", .when = "switch"};

static void print_json(rf_json_writer *w, const rf_recipe *r, const char *prompt,
                       const char *negative)
{
    rf_json_open(w, NULL, '{');
    rf_json_put_text(w, "name", r->name);
    rf_json_put_text(w, "summary", r->summary);
    rf_json_put_text(w, "sampler", r->sampler);
    rf_json_put_int(w, "steps", r->steps);
    rf_json_put_real(w, "cfg", r->cfg_scale);
    rf_json_put_real(w, "switch_at", r->switch_at);
    rf_json_put_text(w, "prompt", prompt);
    rf_json_put_text(w, "negative", negative);
    rf_json_close(w, '}');
}

static void print_text(const rf_recipe *r, const char *prompt, const char *negative)
{
    printf("%s: %s\n", r->name, r->summary);
    printf("  %s, %d steps, CFG %g, switch at %g of the steps\n", r->sampler, r->steps,
           r->cfg_scale, r->switch_at);
    printf("  prompt\n");
    rf_text_wrap(stdout, prompt, 6, 0);
    printf("  negative\n");
    rf_text_wrap(stdout, negative, 6, 0);
}

static rf_status run_recipes(rf_invocation *in)
{
    rf_status      st = RF_OK;
    char          *prompt = NULL, *negative = NULL;
    rf_json_writer w = {.out = stdout};
    if (in->console.json) {
        rf_json_open(&w, NULL, '{');
        rf_json_put_int(&w, "schema", 1);
        rf_json_open(&w, "recipes", '[');
    }
    for (const rf_recipe *r = rf_recipes; r->name; r++) {
        free(prompt);
        free(negative);
        negative = NULL;
        RF_TRY(rf_recipe_text(&prompt, r->prompt, &PROMPT_TAGS, &in->trouble));
        RF_TRY(rf_recipe_text(&negative, r->negative, &NEGATIVE_TAGS, &in->trouble));
        if (in->console.json)
            print_json(&w, r, prompt, negative);
        else
            print_text(r, prompt, negative);
    }
    if (in->console.json) {
        rf_json_close(&w, ']');
        rf_json_close(&w, '}');
        putchar('\n');
    }
done:
    free(prompt);
    free(negative);
    return st;
}

const rf_verb rf_verb_recipes = {
    .name = "recipes",
    .summary = "lists the recipes and the prompts they make",
    .examples = "refinery recipes\n"
                "refinery render -m pony.safetensors -r animagine.safetensors \\\n"
                "    --recipe pony-animagine --base-tags source_anime \"1girl, forest\"\n",
    .usage = "[--json]",
    .options = OPTIONS,
    .values_bytes = sizeof(recipes_values),
    .run = run_recipes,
};
