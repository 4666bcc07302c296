/* refinery-measure: content and style over the switch point, of a sweep of the demo's experts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/figures.h"
#include "tools/measure/prompt_plan.h"
#include "tools/measure/reports.h"

static const char HELP[] =
    "usage: refinery-measure FOLDER [options]\n"
    "       refinery-measure --plan N [options]\n"
    "\n"
    "Has the judge read every picture of a finished `refinery sweep` in FOLDER (axes Refiner "
    "switch\n"
    "at, Prompt S/R, Seed; 128x128), and writes switch-curve.json, switch-curve.svg and\n"
    "contact-sheet.png.\n"
    "\n"
    "  --out FOLDER      where to [docs/demo]\n"
    "  --prompts FILE    what the prompts ask for [docs/demo/prompts.txt]\n"
    "  --rows N          prompts on the contact sheet [6]\n"
    "  --judge FILE      [tools/judge/judge.safetensors]\n"
    "\n"
    "--plan N prints the plan of such a sweep over N prompts that ask for everything about "
    "equally\n"
    "often; its command names the first of them as its prompt.\n"
    "\n"
    "  --points VALUES   of the axis Refiner switch at [0-1 [11]]\n"
    "  --seeds VALUES    of the axis Seed [no such axis]\n";

typedef struct settings {
    rf_measure_options o;
    const char        *out, *prompts, *points, *seeds;
    long               plan; /* 0: none is asked for */
} settings;

enum { OUT, PROMPTS, ROWS, JUDGE, PLAN, POINTS, SEEDS };

static const struct option OPTIONS[] = {{"out", 1, NULL, OUT},     {"prompts", 1, NULL, PROMPTS},
                                        {"rows", 1, NULL, ROWS},   {"judge", 1, NULL, JUDGE},
                                        {"plan", 1, NULL, PLAN},   {"points", 1, NULL, POINTS},
                                        {"seeds", 1, NULL, SEEDS}, {NULL, 0, NULL, 0}};

static int parse_number(long *out, const char *text, long min, long max)
{
    char *end;
    *out = strtol(text, &end, 10);
    return *text && !*end && *out >= min && *out <= max;
}

static int set(settings *s, int option, const char *value)
{
    long n = 0;
    switch (option) {
    case OUT: s->out = value; return 1;
    case PROMPTS: s->prompts = value; return 1;
    case JUDGE: s->o.judge = value; return 1;
    case POINTS: s->points = value; return 1;
    case SEEDS: s->seeds = value; return 1;
    case PLAN: return parse_number(&s->plan, value, 1, 1000000);
    case ROWS: return parse_number(&n, value, 1, 64) && (s->o.shown = (int)n);
    default: return 0;
    }
}

static int parse(settings *s, int argc, char **argv)
{
    int option;
    *s = (settings){.out = "docs/demo", .prompts = "docs/demo/prompts.txt", .points = "0-1 [11]"};
    s->o = (rf_measure_options){.judge = "tools/judge/judge.safetensors", .shown = 6};
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) >= 0)
        if (!set(s, option, optarg)) return 0;
    s->o.folder = argv[optind];
    return optind + !s->plan == argc;
}

/* The command again, without the folders of absolute paths: they mean nothing elsewhere. */
static void command_text(char *out, size_t bytes, int argc, char **argv)
{
    size_t at = 0;
    for (int i = 0; i < argc && at < bytes; i++) {
        const char *word = argv[i], *slash = strrchr(word, '/');
        if (slash && (word[0] == '/' || i == 0)) word = slash + 1;
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", i ? " " : "build/", word);
    }
}

static void print_points(const rf_measurement *m)
{
    static const int COLUMNS[] = {RF_CONTENT, RF_STYLE, RF_EXACT};
    printf("%zu prompts, %d a prompt and point; with 95 %% intervals over prompts\n"
           "switch at  content               style                 exact\n",
           m->prompts, m->seeds);
    for (int i = 0; i < m->points; i++) {
        printf("%9.6g", m->point[i]);
        for (int c = 0; c < 3; c++) {
            const rf_figure f =
                rf_figure_of(m->outcome + (size_t)i * m->prompts, NULL, m->prompts, COLUMNS[c]);
            printf("  %.3f (%.3f..%.3f)", f.mean, f.low, f.high);
        }
        printf("\n");
    }
}

static rf_status write_reports(const char *folder, const rf_measurement *m, const char *command,
                               rf_error *err)
{
    rf_status st = RF_OK;
    char      path[1024];
    snprintf(path, sizeof path, "%s/switch-curve.json", folder);
    RF_TRY(rf_curve_json(path, m, command, err));
    snprintf(path, sizeof path, "%s/switch-curve.svg", folder);
    RF_TRY(rf_curve_svg(path, m, err));
    snprintf(path, sizeof path, "%s/contact-sheet.png", folder);
    RF_TRY(rf_contact_sheet(path, m, err));
done:
    return st;
}

static rf_status print_plan(const settings *s, rf_error *err)
{
    if ((size_t)s->plan > s->o.asked_count)
        return rf_fail(err, RF_E_ARG, "%s has %zu prompts, and --plan wants %ld", s->prompts,
                       s->o.asked_count, s->plan);
    return rf_prompt_plan_print(stdout, s->o.asked, s->o.asked_count, (size_t)s->plan, s->points,
                                s->seeds, err);
}

int main(int argc, char **argv)
{
    rf_status      st = RF_OK;
    rf_error       err = {0};
    settings       s;
    char           command[1024];
    rf_measurement m = {0};
    rf_asked      *asked = NULL;
    command_text(command, sizeof command, argc, argv); /* getopt moves the words about */
    if (!parse(&s, argc, argv)) {
        fputs(HELP, stderr);
        return 2;
    }
    RF_TRY(rf_asked_read(&asked, &s.o.asked_count, s.prompts, &err));
    s.o.asked = asked;
    if (s.plan) {
        st = print_plan(&s, &err);
        goto done;
    }
    RF_TRY(rf_measure(&m, &s.o, &err));
    RF_TRY(write_reports(s.out, &m, command, &err));
    print_points(&m);
done:
    rf_measurement_release(&m);
    rf_asked_free(asked, s.o.asked_count);
    if (st != RF_OK) fprintf(stderr, "refinery-measure: %s\n", err.message);
    return st != RF_OK || fflush(stdout) != 0;
}
