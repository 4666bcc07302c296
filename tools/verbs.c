/* The list of verbs, in the order in which the help shows them. */
#include "tools/verbs.h"

#include <string.h>

#include "tools/suggest.h"

const rf_verb *const rf_verbs[] = {
    &rf_verb_render,
    &rf_verb_sweep,
    &rf_verb_explain,
    &rf_verb_replay,
    &rf_verb_meta,
    &rf_verb_recipes,
    &rf_verb_relays,
    &rf_verb_tokens,
    &rf_verb_noise,
    &rf_verb_inspect,
    &rf_verb_convert,
    &rf_verb_synth,
    &rf_verb_devices,
    &rf_verb_completion,
    &rf_verb_version,
    &rf_verb_help,
    NULL,
};

/* What other programs call our verbs. */
static const struct {
    const char *typed, *verb;
} OTHER_NAMES[] = {
    {"gen", "render"},     {"generate", "render"},      {"txt2img", "render"},
    {"img_gen", "render"}, {"run", "render"},           {"info", "inspect"},
    {"show", "inspect"},   {"list-devices", "devices"}, {"metadata", "meta"},
    {"pnginfo", "meta"},   {"png-info", "meta"},        {"tokenize", "tokens"},
    {"plan", "explain"},   {"repeat", "replay"},        {"rerun", "replay"},
    {"recipe", "recipes"}, {"relay", "relays"},         {"grid", "sweep"},
    {"xyz", "sweep"},      {"xyz-plot", "sweep"},       {"merge", "convert"},
    {"bake", "convert"},   {"quantize", "convert"},
};

const rf_verb *rf_verb_find(const char *name, const char **near)
{
    rf_suggest suggest = rf_suggest_begin(name);
    for (int i = 0; rf_verbs[i]; i++) {
        if (strcmp(rf_verbs[i]->name, name) == 0) return rf_verbs[i];
        rf_suggest_offer(&suggest, rf_verbs[i]->name);
    }
    *near = suggest.best;
    for (size_t i = 0; i < sizeof OTHER_NAMES / sizeof *OTHER_NAMES; i++)
        if (strcmp(OTHER_NAMES[i].typed, name) == 0) *near = OTHER_NAMES[i].verb;
    return NULL;
}
