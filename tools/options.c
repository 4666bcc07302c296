/* The parser of command lines; what a value may look like is in option_values.c. */
#include "tools/options.h"

#include <stdio.h>
#include <string.h>

#include "tools/suggest.h"
#include "tools/verbs.h"

const char *const rf_color_choices[] = {"auto", "always", "never", NULL};

enum { FLAG_BYTES = 96 };

const rf_option *rf_option_at(const rf_verb *verb, int i)
{
    for (const rf_option *const *table = verb->options; *table; table++)
        for (const rf_option *o = *table; o->name; o++)
            if (i-- == 0) return o;
    return NULL;
}

/* Equality of option names in which '_' is '-'. */
static int same_option(const char *a, size_t len, const char *b)
{
    if (strlen(b) != len) return 0;
    for (size_t i = 0; i < len; i++)
        if ((a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i])) return 0;
    return 1;
}

int rf_option_has_alias(const char *list, const char *word)
{
    while (list && *list) {
        const size_t len = strcspn(list, " ");
        if (same_option(list, len, word)) return 1;
        list += len + (list[len] == ' ');
    }
    return 0;
}

/* The number of the option called `name`, or -1 and *near the nearest name or NULL. */
static int find_long(const rf_verb *verb, const char *name, const char **near)
{
    const rf_option *o = NULL;
    rf_suggest       suggest = rf_suggest_begin(name);
    for (int i = 0; (o = rf_option_at(verb, i)); i++) {
        if (same_option(o->name, strlen(o->name), name)) return i;
        if (rf_option_has_alias(o->aliases, name)) return i;
        if (o->place != RF_PLACE_HIDDEN) rf_suggest_offer(&suggest, o->name);
    }
    *near = suggest.best;
    return -1;
}

static int find_short(const rf_verb *verb, char letter)
{
    const rf_option *o = NULL;
    for (int i = 0; (o = rf_option_at(verb, i)); i++)
        if (o->letter == letter) return i;
    return -1;
}

/* The words after the verb, and where the parser stands in them. */
typedef struct cursor {
    const rf_verb *verb;
    int            argc, at;
    char         **argv;
    void          *values;
    rf_args       *args;
    rf_trouble    *trouble;
} cursor;

/* The value of an option: what was attached to it, else the next word.  A next word that is itself
 * one of the verb's long options is a forgotten value, not a value. */
static rf_status take_value(cursor *c, const rf_option *o, const char *flag, const char *attached,
                            const char **value)
{
    const char *near = NULL;
    *value = attached;
    if (o->kind == RF_OPTION_FLAG) {
        if (!attached) return RF_OK;
        return rf_fail(&c->trouble->error, RF_E_ARG, "%s takes no value", flag);
    }
    if (attached) return RF_OK;
    const char *next = c->at + 1 < c->argc ? c->argv[c->at + 1] : NULL;
    if (!next) return rf_fail(&c->trouble->error, RF_E_ARG, "%s needs a value: %s", flag, o->value);
    if (strncmp(next, "--", 2) == 0 && find_long(c->verb, next + 2, &near) >= 0) {
        rf_trouble_hint(c->trouble, "%s=%s, if that is what you mean", flag, next);
        return rf_fail(&c->trouble->error, RF_E_ARG, "%s needs a value, but %s follows", flag,
                       next);
    }
    c->at++;
    *value = next;
    return RF_OK;
}

static rf_status store(cursor *c, int number, const char *flag, const char *attached)
{
    rf_status              st = RF_OK;
    const char            *value = NULL;
    const rf_option *const o = rf_option_at(c->verb, number);
    RF_TRY(take_value(c, o, flag, attached, &value));
    RF_TRY(rf_option_convert(o, flag, value, (char *)c->values + o->offset, c->trouble));
    c->args->given[number] = 1;
done:
    return st;
}

static rf_status parse_long(cursor *c, const char *word)
{
    char         flag[FLAG_BYTES], *name = flag + 2;
    const char  *near = NULL;
    const size_t len = strcspn(word, "=");
    snprintf(flag, sizeof flag, "%.*s", (int)(len < FLAG_BYTES ? len : FLAG_BYTES - 1), word);
    const int number = find_long(c->verb, name, &near);
    if (number >= 0) return store(c, number, flag, word[len] ? word + len + 1 : NULL);
    if (near)
        rf_trouble_hint(c->trouble, "did you mean --%s?", near);
    else
        rf_trouble_hint(c->trouble, "refinery help %s all lists the options", c->verb->name);
    return rf_fail(&c->trouble->error, RF_E_ARG, "refinery %s has no option %s", c->verb->name,
                   flag);
}

/* "-x0.5", "-x 0.5", "-qv". */
static rf_status parse_short(cursor *c, const char *word)
{
    for (const char *p = word + 1; *p; p++) {
        const char flag[] = {'-', *p, '\0'};
        const int  number = find_short(c->verb, *p);
        if (number < 0) {
            rf_trouble_hint(c->trouble, "refinery help %s lists the options", c->verb->name);
            return rf_fail(&c->trouble->error, RF_E_ARG, "refinery %s has no option %s",
                           c->verb->name, flag);
        }
        const int       alone = rf_option_at(c->verb, number)->kind == RF_OPTION_FLAG;
        const rf_status st = store(c, number, flag, !alone && p[1] ? p + 1 : NULL);
        if (st != RF_OK || !alone) return st;
    }
    return RF_OK;
}

static rf_status set_defaults(cursor *c)
{
    const rf_option *o = NULL;
    for (int i = 0; (o = rf_option_at(c->verb, i)); i++) {
        if (!o->fallback) continue;
        const rf_status st =
            rf_option_convert(o, o->name, o->fallback, (char *)c->values + o->offset, c->trouble);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* --help wins over everything, mistakes included: who asks for help gets it. */
static int wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return 1;
    return 0;
}

static rf_status check_operands(const rf_verb *verb, const rf_args *args, rf_trouble *trouble)
{
    const int n = args->operand_count, files = verb->operands_min > 0 && !verb->operand_choices;
    for (int i = 0; i < n && files; i++)
        if (!*args->operands[i])
            return rf_fail(&trouble->error, RF_E_ARG, "refinery %s: the file name is empty",
                           verb->name);
    if (n >= verb->operands_min && n <= verb->operands_max) return RF_OK;
    rf_trouble_hint(trouble, "usage: refinery %s %s", verb->name, verb->usage);
    if (n < verb->operands_min)
        return rf_fail(&trouble->error, RF_E_ARG, "refinery %s: nothing was named to work on",
                       verb->name);
    return rf_fail(&trouble->error, RF_E_ARG, "refinery %s: '%.200s' is one word too many",
                   verb->name, args->operands[verb->operands_max]);
}

rf_status rf_options_parse(const rf_verb *verb, int argc, char **argv, void *values, rf_args *args,
                           rf_trouble *trouble)
{
    rf_status st = RF_OK;
    cursor    c = {verb, argc, 0, argv, values, args, trouble};
    int       only_operands = 0;
    *args = (rf_args){.operands = argv};

    RF_TRY(set_defaults(&c));
    args->help = wants_help(argc, argv);
    if (args->help) goto done;
    for (c.at = 0; c.at < argc; c.at++) {
        char *word = argv[c.at];
        if (only_operands || word[0] != '-' || !word[1])
            argv[args->operand_count++] = word;
        else if (strcmp(word, "--") == 0)
            only_operands = 1;
        else if (word[1] == '-')
            RF_TRY(parse_long(&c, word));
        else
            RF_TRY(parse_short(&c, word));
    }
    RF_TRY(check_operands(verb, args, trouble));
done:
    return st;
}

int rf_args_given(const rf_verb *verb, const rf_args *args, const char *name)
{
    const rf_option *o = NULL;
    for (int i = 0; (o = rf_option_at(verb, i)); i++)
        if (strcmp(o->name, name) == 0) return args->given[i];
    return 0;
}
