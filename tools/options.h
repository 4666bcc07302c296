/* The one description of a verb's command line.
 *
 * A verb has a table of options; the parser, `--help`, "did you mean" and the shells' completion
 * all come from it.  A value goes to the option's offset in the verb's struct of values, defaults
 * included: they are parsed from the very text that the help shows.  Every struct of values begins
 * with rf_common. */
#ifndef RF_OPTIONS_H
#define RF_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "tools/console.h"

typedef enum rf_option_kind {
    RF_OPTION_FLAG,   /* int: 1 if given */
    RF_OPTION_TEXT,   /* const char * */
    RF_OPTION_INPUT,  /* const char *: a file to read */
    RF_OPTION_OUTPUT, /* const char *: a file to write */
    RF_OPTION_CHOICE, /* const char *: one of `choices`, in the table's spelling */
    RF_OPTION_INT,    /* int in min..max */
    RF_OPTION_REAL,   /* double in min..max */
    RF_OPTION_SEED,   /* int64_t; RF_SEED_RANDOM for "random" (or -1) */
    RF_OPTION_SIZE,   /* rf_size: "1024x768", each side in min..max and a multiple of 8 */
} rf_option_kind;

enum { RF_SEED_RANDOM = -1 };

typedef struct rf_size {
    int width, height;
} rf_size;

typedef enum rf_option_place {
    RF_PLACE_HELP,   /* in --help */
    RF_PLACE_MORE,   /* named in --help, explained by `refinery help VERB all` */
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
    const char *const *choices;   /* CHOICE: the names, ended by NULL */
    const char        *extension; /* INPUT: what completion looks for, e.g. "safetensors" */
    double             min, max;  /* INT, REAL, SIZE */
} rf_option;

/* Options every verb has; the first member of every struct of values. */
typedef struct rf_common {
    int         help, json, quiet, verbose;
    const char *color;
} rf_common;

extern const char *const rf_color_choices[];

enum { RF_OPTIONS_MAX = 128 };

typedef struct rf_args {
    int           help;                  /* --help was given: nothing else was checked */
    unsigned char given[RF_OPTIONS_MAX]; /* by index in the verb's table */
    char        **operands;              /* point into argv; the array is argv's own */
    int           operand_count;
} rf_args;

struct rf_verb;

/* Fills `values` (zeroed by the caller) with defaults, then with argv[0..argc), the words after the
 * verb.  Long names also take '_' for '-' and "=value"; "--" ends the options; a later value
 * replaces an earlier one.  argv is reordered: operands come first.  RF_E_ARG. */
rf_status rf_options_parse(const struct rf_verb *verb, int argc, char **argv, void *values,
                           rf_args *args, rf_trouble *trouble);

/* 1 if the option was on the command line. */
int rf_args_given(const struct rf_verb *verb, const rf_args *args, const char *name);

/* Turns `text` into the value of `option` at `at`.  `flag` is how the user wrote the option. */
rf_status rf_option_convert(const rf_option *option, const char *flag, const char *text, void *at,
                            rf_trouble *trouble);

/* 1 if `word` is one of the blank-separated words of `list` (NULL is an empty list); '_' and '-'
 * are one character. */
int rf_option_has_alias(const char *list, const char *word);

#endif
