/* Help that teaches: two examples first, then the options people need, in at most 40 lines of 80
 * columns; `refinery help VERB all` shows every option. */
#include "tools/help.h"

#include <string.h>

enum { LEFT_COLUMNS = 30 };

/* Prints each line of `text` behind two blanks. */
static void print_lines(FILE *out, const char *text)
{
    while (text && *text) {
        const int len = (int)strcspn(text, "\n");
        fprintf(out, "  %.*s\n", len, text);
        text += len + (text[len] == '\n');
    }
}

static void print_option(FILE *out, const rf_option *o)
{
    char      left[80];
    const int flag = o->kind == RF_OPTION_FLAG;
    char      letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, flag ? "" : " ",
             flag ? "" : o->value);
    fprintf(out, "  %-*s %s", LEFT_COLUMNS - 3, left, o->help);
    if (o->fallback && *o->fallback) fprintf(out, " [%s]", o->fallback);
    fputc('\n', out);
}

/* Whether `help VERB all` alone speaks of it. */
static int is_more(const rf_verb *verb, const rf_option *o)
{
    return o->place == RF_PLACE_MORE ||
           (o->place == RF_PLACE_HELP && rf_option_has_alias(verb->more, o->name));
}

static int is_shown(const rf_verb *verb, const rf_option *o, int all)
{
    return o->place != RF_PLACE_HIDDEN && (all || !is_more(verb, o));
}

/* How many options the short page leaves out. */
static void print_more(FILE *out, const rf_verb *verb)
{
    const rf_option *o = NULL;
    int              more = 0;
    for (int i = 0; (o = rf_option_at(verb, i)); i++) more += is_more(verb, o);
    if (more) fprintf(out, "%d more: refinery help %s all\n", more, verb->name);
}

void rf_help_verb(FILE *out, const rf_verb *verb, int all)
{
    const rf_option *o = NULL;
    const char      *group = "";
    fprintf(out, "refinery %s: %s\n", verb->name, verb->summary);
    print_lines(out, verb->examples);
    fprintf(out, "\nUsage: refinery %s %s\n", verb->name, verb->usage);
    print_lines(out, verb->notes);
    fputc('\n', out);
    for (int i = 0; (o = rf_option_at(verb, i)); i++) {
        if (!is_shown(verb, o, all)) continue;
        if (strcmp(group, o->group) != 0) fprintf(out, "%s\n", o->group);
        group = o->group;
        print_option(out, o);
    }
    if (!all) print_more(out, verb);
}

void rf_help_overview(FILE *out)
{
    fputs("refinery: SDXL pictures by two experts, a base and a refiner, in one denoising\n"
          "  refinery render -m pony.safetensors -r anime.safetensors -p \"1girl, forest\"\n"
          "  refinery explain -x 0.5 -p \"[score_9:masterpiece:switch], 1girl\"\n"
          "\n"
          "Usage: refinery VERB [options]\n"
          "\n",
          out);
    for (int i = 0; rf_verbs[i]; i++)
        fprintf(out, "  %-12s %s\n", rf_verbs[i]->name, rf_verbs[i]->summary);
    fputs("\n"
          "refinery VERB --help explains a verb.\n"
          "\n"
          "Exit codes: 0 fine, 1 no usable picture, 2 wrong command line, 3 some cells of\n"
          "a sweep failed, 65 wrong or damaged file, 66 no such file, 69 not possible\n"
          "here, 70 a bug, 71 system error, 73 output exists or cannot be created,\n"
          "74 input/output error or disk full, 75 out of memory or the GPU broke,\n"
          "77 no permission, 129 hung up, 130 interrupted, 143 terminated.\n",
          out);
}

/* ---- the verb ----------------------------------------------------------------------------- */

typedef struct help_values {
    rf_common common;
} help_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(help_values, RF_PLACE_HIDDEN)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static rf_status run_help(rf_invocation *in)
{
    char **word = in->args.operands;
    if (in->args.operand_count == 0) {
        rf_help_overview(stdout);
        return RF_OK;
    }
    const char    *near = NULL;
    const rf_verb *verb = rf_verb_find(word[0], &near);
    if (!verb) {
        if (near) rf_trouble_hint(&in->trouble, "did you mean '%s'?", near);
        return rf_fail(&in->trouble.error, RF_E_ARG, "there is no verb '%.80s'", word[0]);
    }
    const int more = in->args.operand_count > 1;
    if (more && strcmp(word[1], "all") != 0)
        return rf_fail(&in->trouble.error, RF_E_ARG,
                       "help: after the verb only 'all' may follow, not '%.80s'", word[1]);
    rf_help_verb(stdout, verb, more);
    return RF_OK;
}

const rf_verb rf_verb_help = {
    .name = "help",
    .summary = "explains a verb",
    .examples = "refinery help render\n"
                "refinery help render all\n",
    .usage = "[VERB [all]]",
    .options = OPTIONS,
    .operands_max = 2,
    .values_bytes = sizeof(help_values),
    .run = run_help,
};
