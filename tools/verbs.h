/* The verbs of the refinery command. */
#ifndef RF_VERBS_H
#define RF_VERBS_H

#include "tools/options.h"

typedef struct rf_invocation {
    const struct rf_verb *verb;
    rf_args               args;
    void                 *values; /* the verb's own struct, begins with rf_common */
    rf_console            console;
    rf_trouble            trouble;
    int                   exit_code; /* set by verbs that fail in part: replaces the status's own */
} rf_invocation;

typedef struct rf_verb {
    const char             *name;
    const char             *summary;  /* one line */
    const char             *examples; /* two command lines, each ended by '\n' */
    const char             *usage;    /* what follows the verb's name */
    const char             *notes;    /* what one must know, lines ended by '\n'; NULL: nothing */
    const char             *more;     /* options that the short help leaves out here; NULL: none */
    const rf_option *const *options;  /* tables, ended by NULL; each by a row without a name */
    int                     operands_min, operands_max;
    const char *const      *operand_choices; /* for completion, ended by NULL; NULL: files */
    size_t                  values_bytes;
    void (*prepare)(void *values);       /* before the defaults are set; NULL: zeroed is fine */
    rf_status (*run)(rf_invocation *in); /* fills in->trouble on failure */
} rf_verb;

extern const rf_verb *const rf_verbs[]; /* ends with NULL */

extern const rf_verb rf_verb_render, rf_verb_sweep, rf_verb_explain, rf_verb_replay, rf_verb_meta,
    rf_verb_recipes, rf_verb_relays, rf_verb_tokens, rf_verb_noise, rf_verb_inspect,
    rf_verb_convert, rf_verb_synth, rf_verb_devices, rf_verb_completion, rf_verb_version,
    rf_verb_help;

/* The verb called `name`; if there is none, NULL and *near is the nearest name or NULL. */
const rf_verb *rf_verb_find(const char *name, const char **near);

/* Rows that the last table of every verb ends with, and its end; `type` is the verb's struct of
 * values. */
#define RF_COMMON_OPTIONS(type, place_of_json)                                                     \
    {.name = "json",                                                                               \
     .kind = RF_OPTION_FLAG,                                                                       \
     .place = place_of_json,                                                                       \
     .offset = offsetof(type, common.json),                                                        \
     .help = "results and errors as JSON objects, one per line",                                   \
     .group = "Messages"},                                                                         \
        {.name = "quiet",                                                                          \
         .letter = 'q',                                                                            \
         .kind = RF_OPTION_FLAG,                                                                   \
         .offset = offsetof(type, common.quiet),                                                   \
         .help = "errors only, no progress",                                                       \
         .group = "Messages"},                                                                     \
        {.name = "verbose",                                                                        \
         .letter = 'v',                                                                            \
         .kind = RF_OPTION_FLAG,                                                                   \
         .offset = offsetof(type, common.verbose),                                                 \
         .help = "tell more: plan, timings",                                                       \
         .group = "Messages"},                                                                     \
        {.name = "color",                                                                          \
         .kind = RF_OPTION_CHOICE,                                                                 \
         .place = RF_PLACE_MORE,                                                                   \
         .offset = offsetof(type, common.color),                                                   \
         .value = "WHEN",                                                                          \
         .fallback = "auto",                                                                       \
         .help = "coloured messages: auto, always, never",                                         \
         .group = "Messages",                                                                      \
         .choices = rf_color_choices},                                                             \
        {.name = "help",                                                                           \
         .letter = 'h',                                                                            \
         .kind = RF_OPTION_FLAG,                                                                   \
         .offset = offsetof(type, common.help),                                                    \
         .help = "this page",                                                                      \
         .group = "Messages"},                                                                     \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#endif
