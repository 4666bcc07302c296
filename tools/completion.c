/* `refinery completion SHELL`: completion scripts, made from the verbs' tables. */
#include <stdio.h>
#include <string.h>

#include "tools/verbs.h"

/* ---- bash --------------------------------------------------------------------------------- */

/* Names with blanks must reach the command line quoted: IFS splits the list at line breaks, and
 * printf %q quotes the one that was chosen. */
static const char BASH_HELPERS[] =
    "# bash completion of refinery; use it with: source <(refinery completion bash)\n"
    "_refinery_words() {\n"
    "    local IFS=$'\\n' word\n"
    "    COMPREPLY=()\n"
    "    for word in $(compgen -W \"$1\" -- \"$cur\"); do COMPREPLY+=(\"$(printf %q \"$word\")\"); "
    "done\n"
    "}\n"
    "_refinery_files() {\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"; compgen -f -X \"!*$1\" -- \"$cur\")\n"
    "}\n";

static int has_words(const rf_option *o)
{
    return o->kind == RF_OPTION_CHOICE || o->kind == RF_OPTION_NAME;
}

static int has_files(const rf_option *o)
{
    return o->kind == RF_OPTION_INPUT || o->kind == RF_OPTION_OUTPUT;
}

static void bash_option(const rf_option *o)
{
    printf("        ");
    if (o->letter) printf("-%c|", o->letter);
    printf("--%s) ", o->name);
    if (has_words(o)) {
        printf("_refinery_words $'");
        for (int i = 0; o->choices[i]; i++) printf("%s%s", i ? "\\n" : "", o->choices[i]);
        printf("'; return;;\n");
    } else if (has_files(o)) {
        printf("_refinery_files '%s%s'; return;;\n", o->extension ? "." : "",
               o->extension ? o->extension : "");
    } else if (o->kind == RF_OPTION_FOLDERS) {
        printf("compopt -o filenames 2>/dev/null; "
               "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return;;\n");
    } else {
        printf("COMPREPLY=(); return;;\n");
    }
}

static void bash_verb(const rf_verb *verb)
{
    const rf_option *o = NULL;
    printf("    %s)\n        case $prev in\n", verb->name);
    for (int i = 0; (o = rf_option_at(verb, i)); i++) {
        if (o->place != RF_PLACE_HIDDEN && o->kind != RF_OPTION_FLAG) bash_option(o);
    }
    printf("        esac\n        if [[ $cur == -* ]]; then _refinery_words $'");
    int n = 0;
    for (int j = 0; (o = rf_option_at(verb, j)); j++)
        if (o->place != RF_PLACE_HIDDEN) printf("%s--%s", n++ ? "\\n" : "", o->name);
    if (verb->operand_choices) {
        printf("'; else _refinery_words $'");
        for (int i = 0; verb->operand_choices[i]; i++)
            printf("%s%s", i ? "\\n" : "", verb->operand_choices[i]);
        printf("'; fi;;\n");
    } else {
        printf("'; else _refinery_files ''; fi;;\n");
    }
}

static void print_bash(void)
{
    fputs(BASH_HELPERS, stdout);
    printf("_refinery() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    if ((COMP_CWORD == 1)); then\n        _refinery_words $'");
    for (int i = 0; rf_verbs[i]; i++) printf("%s%s", i ? "\\n" : "", rf_verbs[i]->name);
    printf("'\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (int i = 0; rf_verbs[i]; i++) bash_verb(rf_verbs[i]);
    printf("    esac\n}\ncomplete -F _refinery refinery\n");
}

/* ---- zsh ---------------------------------------------------------------------------------- */

/* Text inside single quotes; `special` characters get a backslash for the shell's own mini
 * language. */
static void print_quoted(const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'') {
            printf("'\\''");
            continue;
        }
        if (strchr(special, *text)) putchar('\\');
        putchar(*text);
    }
}

static void zsh_action(const rf_option *o)
{
    if (o->kind == RF_OPTION_FLAG) return;
    printf(":%s:", o->value);
    if (has_words(o)) {
        putchar('(');
        for (int i = 0; o->choices[i]; i++) {
            if (i) putchar(' ');
            print_quoted(o->choices[i], " ()");
        }
        putchar(')');
    } else if (o->kind == RF_OPTION_INPUT && o->extension) {
        printf("_files -g \"*.%s\"", o->extension);
    } else if (has_files(o)) {
        printf("_files");
    } else if (o->kind == RF_OPTION_FOLDERS) {
        printf("_files -/");
    }
}

static void zsh_verb(const rf_verb *verb)
{
    const rf_option *o = NULL;
    printf("    %s)\n        _arguments -s", verb->name);
    for (int i = 0; (o = rf_option_at(verb, i)); i++) {
        if (o->place == RF_PLACE_HIDDEN) continue;
        printf(" \\\n            ");
        if (o->letter)
            printf("'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
        else
            printf("'--%s[", o->name);
        print_quoted(o->help, "[]:\\");
        putchar(']');
        zsh_action(o);
        putchar('\'');
    }
    printf(" \\\n            '*: :");
    if (verb->operand_choices) {
        putchar('(');
        for (int i = 0; verb->operand_choices[i]; i++)
            printf("%s%s", i ? " " : "", verb->operand_choices[i]);
        printf(")'\n        ;;\n");
    } else {
        printf("_files'\n        ;;\n");
    }
}

static void print_zsh(void)
{
    printf("#compdef refinery\n"
           "# zsh completion of refinery; save it as _refinery in a folder of $fpath\n"
           "_refinery() {\n    local -a verbs\n    verbs=(");
    for (int i = 0; rf_verbs[i]; i++) {
        printf("\n        '%s:", rf_verbs[i]->name);
        print_quoted(rf_verbs[i]->summary, ":\\");
        putchar('\'');
    }
    printf("\n    )\n    if (( CURRENT == 2 )); then\n        _describe verb verbs\n"
           "        return\n    fi\n    shift words\n    (( CURRENT-- ))\n    case $words[1] in\n");
    for (int i = 0; rf_verbs[i]; i++) zsh_verb(rf_verbs[i]);
    printf("    esac\n}\n_refinery \"$@\"\n");
}

/* ---- fish --------------------------------------------------------------------------------- */

static void fish_option(const rf_verb *verb, const rf_option *o)
{
    printf("complete -c refinery -n '__fish_seen_subcommand_from %s' -l %s", verb->name, o->name);
    if (o->letter) printf(" -s %c", o->letter);
    if (has_words(o)) {
        printf(" -x -a \"");
        for (int i = 0; o->choices[i]; i++) printf("%s'%s'", i ? " " : "", o->choices[i]);
        printf("\"");
    } else if (has_files(o)) {
        printf(" -r -F");
    } else if (o->kind == RF_OPTION_FOLDERS) {
        printf(" -x -a '(__fish_complete_directories)'");
    } else if (o->kind != RF_OPTION_FLAG) {
        printf(" -x");
    }
    printf(" -d '");
    print_quoted(o->help, "\\"); /* fish joins 'a'\''b' as sh does */
    printf("'\n");
}

static void print_fish(void)
{
    printf("# fish completion of refinery; save it as ~/.config/fish/completions/refinery.fish\n");
    for (int i = 0; rf_verbs[i]; i++) {
        const rf_verb   *verb = rf_verbs[i];
        const rf_option *o = NULL;
        printf("complete -c refinery -n __fish_use_subcommand -f -a %s -d '", verb->name);
        print_quoted(verb->summary, "\\");
        printf("'\n");
        for (int j = 0; (o = rf_option_at(verb, j)); j++)
            if (o->place != RF_PLACE_HIDDEN) fish_option(verb, o);
        for (int j = 0; verb->operand_choices && verb->operand_choices[j]; j++)
            printf("complete -c refinery -n '__fish_seen_subcommand_from %s' -f -a %s\n",
                   verb->name, verb->operand_choices[j]);
    }
}

/* ---- the verb ----------------------------------------------------------------------------- */

typedef struct completion_values {
    rf_common common;
} completion_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(completion_values, RF_PLACE_HIDDEN)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static const char *const SHELLS[] = {"bash", "zsh", "fish", NULL};

static rf_status run_completion(rf_invocation *in)
{
    static const rf_option SHELL = {.name = "SHELL", .kind = RF_OPTION_CHOICE, .choices = SHELLS};
    rf_status              st = RF_OK;
    const char            *shell = NULL;
    RF_TRY(rf_option_convert(&SHELL, "completion", in->args.operands[0], &shell, &in->trouble));
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else
        print_fish();
done:
    return st;
}

const rf_verb rf_verb_completion = {
    .name = "completion",
    .summary = "prints a shell's completion script",
    .examples = "source <(refinery completion bash)\n"
                "refinery completion fish > ~/.config/fish/completions/refinery.fish\n",
    .usage = "bash|zsh|fish",
    .options = OPTIONS,
    .operands_min = 1,
    .operands_max = 1,
    .operand_choices = SHELLS,
    .values_bytes = sizeof(completion_values),
    .run = run_completion,
};
