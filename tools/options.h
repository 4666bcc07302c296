/* The one description of a verb's command line.
 *
 * A verb has tables of options, which verbs may share; the parser, `--help`, "did you mean" and the
 * shells' completion all come from it.  A value goes to the option's offset in the verb's struct of
 * values, defaults included: they are parsed from the very text that the help shows.  Every struct
 * of values begins with rf_common. */
#ifndef RF_OPTIONS_H
#define RF_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "tools/console.h"

typedef enum rf_option_kind {
    RF_OPTION_FLAG,    /* int: 1 if given */
    RF_OPTION_TEXT,    /* const char * */
    RF_OPTION_INPUT,   /* const char *: a file to read */
    RF_OPTION_OUTPUT,  /* const char *: a file to write */
    RF_OPTION_CHOICE,  /* const char *: one of `choices`, in the table's spelling */
    RF_OPTION_NAME,    /* const char *: in the table's spelling if it is one of `choices`, which
                          are for completion; the engine knows all names and judges the others */
    RF_OPTION_TEXTS,   /* rf_texts: every value given, in order */
    RF_OPTION_FOLDERS, /* rf_texts, likewise */
    RF_OPTION_INT,     /* int in min..max */
    RF_OPTION_LONG,    /* int64_t in min..max */
    RF_OPTION_REAL,    /* double in min..max */
    RF_OPTION_BYTES,   /* uint64_t: "800M", "1.5G" (of 1024), or bytes */
    RF_OPTION_SEED,    /* int64_t; RF_SEED_RANDOM for "random" (or -1) */
    RF_OPTION_SIZE,    /* int[2]: "1024x768", each side in min..max and a multiple of 8 */
    RF_OPTION_PIXELS,  /* int[2], of any number */
    RF_OPTION_EVERY,   /* int in min..max: "every=5", or "5" */
    RF_OPTION_STRETCH, /* int[2]: "12:18", whole numbers in min..max, the first not the larger */
} rf_option_kind;

enum { RF_SEED_RANDOM = -1, RF_TEXTS_MAX = 64 };

typedef struct rf_texts {
    const char *item[RF_TEXTS_MAX];
    int         count;
} rf_texts;

typedef enum rf_option_place {
    RF_PLACE_HELP,   /* in --help */
    RF_PLACE_MORE,   /* in `refinery help VERB all` */
    RF_PLACE_HIDDEN, /* understood, never shown: other programs' ways */
} rf_option_place;

typedef struct rf_option {
    const char     *name;   /* without dashes */
    char            letter; /* short form, 0 for none */
    rf_option_kind  kind;   /* decides the type at `offset` */
    rf_option_place place;  /* where the help speaks of it */
    size_t          offset; /* in the verb's values */
    const char     *value;  /* what the help calls the value, e.g. "FILE" */
    const char *fallback;   /* the default as one would type it; NULL: `offset` is left as it is */
    const char *help;       /* one line */
    const char *group;      /* heading; options of a group stand together */
    const char *aliases;    /* other spellings, separated by blanks, never shown; NULL: none */
    const char *const *choices;   /* CHOICE, NAME: the names, ended by NULL */
    const char        *extension; /* INPUT: what completion looks for, e.g. "safetensors" */
    double             min, max;  /* INT, LONG, REAL, SIZE, PIXELS, EVERY, STRETCH */
} rf_option;

/* Options every verb has; the first member of every struct of values. */
typedef struct rf_common {
    int         help, json, quiet, verbose;
    const char *color;
} rf_common;

extern const char *const rf_color_choices[];

enum { RF_OPTIONS_MAX = 160 };

typedef struct rf_args {
    int           help;                  /* --help was given: nothing else was checked */
    unsigned char given[RF_OPTIONS_MAX]; /* rf_option_at's numbers */
    char        **operands;              /* point into argv; the array is argv's own */
    int           operand_count;
} rf_args;

struct rf_verb;

/* The verb's option number `i`, through all its tables; NULL past the last. */
const rf_option *rf_option_at(const struct rf_verb *verb, int i);

/* Fills `values` (zeroed by the caller, prepared by the verb) with defaults, then with
 * argv[0..argc), the words after the verb.  Long names also take '_' for '-' and "=value"; "--"
 * ends the options; a later value replaces an earlier one.  argv is reordered: operands come first.
 * RF_E_ARG. */
rf_status rf_options_parse(const struct rf_verb *verb, int argc, char **argv, void *values,
                           rf_args *args, rf_trouble *trouble);

/* 1 if the option of that name was on the command line, under whatever spelling. */
int rf_args_given(const struct rf_verb *verb, const rf_args *args, const char *name);

/* Turns `text` into the value of `option` at `at`.  `flag` is how the user wrote the option. */
rf_status rf_option_convert(const rf_option *option, const char *flag, const char *text, void *at,
                            rf_trouble *trouble);

/* 1 if `word` is one of the blank-separated words of `list` (NULL is an empty list); '_' and '-'
 * are one character. */
int rf_option_has_alias(const char *list, const char *word);

#endif
