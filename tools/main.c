/* The refinery command: finds the verb, parses its options, runs it, and reports what went wrong.
 *
 * One way through for every verb: results on stdout, messages on stderr, stdout checked at the end
 * (a full disk or a closed reader is an error), exit code from the one mapping in exit_codes.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/exit_codes.h"
#include "tools/help.h"
#include "tools/signals.h"
#include "tools/verbs.h"

/* A closed standard descriptor would be taken by the first file opened, and a picture overwritten
 * by a message.  Fill the holes with what fails on use: stdin write-only, the others read-only. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
                _exit(RF_EXIT_OS);
}

/* Errors on the command line itself must be JSON too if --json stands anywhere on it. */
static int wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0) return 1;
    return 0;
}

static rf_status run_verb(rf_invocation *in, int argc, char **argv)
{
    rf_status st = RF_OK;
    in->values = calloc(1, in->verb->values_bytes);
    if (!in->values) return rf_fail(&in->trouble.error, RF_E_NOMEM, "no memory to start");
    if (in->verb->prepare) in->verb->prepare(in->values);
    RF_TRY(rf_options_parse(in->verb, argc, argv, in->values, &in->args, &in->trouble));
    const rf_common *common = in->values;
    if (in->args.help || common->help) {
        rf_help_verb(stdout, in->verb, 0);
        goto done;
    }
    in->console.json = common->json;
    in->console.quiet = common->quiet;
    in->console.verbose = common->verbose;
    rf_console_init(&in->console, common->color);
    st = in->verb->run(in);
done:
    free(in->values);
    return st;
}

/* The verb's own outcome, unless what it printed did not arrive. */
static int finish(rf_invocation *in, rf_status st)
{
    rf_trouble flush = {0};
    int        code = st != RF_OK ? rf_console_error(&in->console, st, &in->trouble) : RF_EXIT_OK;
    if (in->exit_code)
        code = in->exit_code;
    else if (code == RF_EXIT_OK)
        code = rf_signals_caught(); /* too late to stop anything */
    const rf_status flushed = rf_console_flush(&flush.error);
    if (flushed == RF_OK || code != RF_EXIT_OK) return code;
    return rf_console_error(&in->console, flushed, &flush);
}

int main(int argc, char **argv)
{
    rf_invocation in = {0};
    fill_standard_descriptors();
    in.console.json = wants_json(argc, argv);
    rf_console_init(&in.console, "auto");
    if (rf_signals_install(&in.trouble.error) != RF_OK) {
        in.exit_code = RF_EXIT_OS;
        return finish(&in, RF_E_BUG);
    }

    const char *word = argc > 1 ? argv[1] : NULL, *near = NULL;
    if (!word) {
        rf_help_overview(stderr);
        return RF_EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) word = "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) word = "version";
    in.verb = rf_verb_find(word, &near);
    if (in.verb) return finish(&in, run_verb(&in, argc - 2, argv + 2));

    if (near)
        rf_trouble_hint(&in.trouble, "did you mean 'refinery %s'?", near);
    else
        rf_trouble_hint(&in.trouble, "refinery --help lists the verbs");
    return finish(&in, rf_fail(&in.trouble.error, RF_E_ARG, "there is no verb '%.80s'", word));
}
