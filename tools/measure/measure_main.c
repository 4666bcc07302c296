/* refinery-measure: content and style over the switch point, for two demo experts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/figures.h"
#include "tools/measure/reports.h"

static const char HELP[] =
    "usage: refinery-measure --base FILE --refiner FILE [options]\n"
    "\n"
    "Renders held-out prompts at every switch point by the recipe, has the judge read the\n"
    "pictures, and writes switch-curve.json, switch-curve.svg and contact-sheet.png.\n"
    "\n"
    "  --out FOLDER      where to [docs/demo]\n"
    "  --prompts FILE    what to ask for [docs/demo/prompts.txt]\n"
    "  --count N         only the first N prompts [all]\n"
    "  --points LIST     share of the steps made by the base [0,0.1,0.2,...,1]\n"
    "  --seeds N         pictures per prompt and point [1]\n"
    "  --steps N         [the recipe's]\n"
    "  --rows N          prompts on the contact sheet [6]\n"
    "  --judge FILE      [tools/judge/judge.safetensors]\n"
    "  --dtype TYPE      f32 or bf16 [the device's]\n"
    "  --threads N       [one per core]\n";

typedef struct settings {
    rf_measure_options o;
    const char        *out, *prompts;
    long               count;
    size_t             told;
} settings;

enum { OUT, PROMPTS, COUNT, POINTS, SEEDS, STEPS, ROWS, JUDGE, DTYPE, THREADS, BASE, REFINER };

static const struct option OPTIONS[] = {{"out", 1, NULL, OUT},     {"prompts", 1, NULL, PROMPTS},
                                        {"count", 1, NULL, COUNT}, {"points", 1, NULL, POINTS},
                                        {"seeds", 1, NULL, SEEDS}, {"steps", 1, NULL, STEPS},
                                        {"rows", 1, NULL, ROWS},   {"judge", 1, NULL, JUDGE},
                                        {"dtype", 1, NULL, DTYPE}, {"threads", 1, NULL, THREADS},
                                        {"base", 1, NULL, BASE},   {"refiner", 1, NULL, REFINER},
                                        {NULL, 0, NULL, 0}};

/* Ascending shares between 0 and 1; 0 if it is no such list. */
static int parse_points(rf_measure_options *o, const char *text)
{
    for (o->points = 0; o->points < RF_POINTS_MAX; text++) {
        char        *end;
        const double x = strtod(text, &end);
        if (end == text || !(x >= 0 && x <= 1)) return 0;
        if (o->points && x <= o->point[o->points - 1]) return 0;
        o->point[o->points++] = x;
        if (!*end) return 1;
        if (*end != ',') return 0;
        text = end;
    }
    return 0;
}

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
    case DTYPE: s->o.dtype = value; return 1;
    case BASE: s->o.base = value; return 1;
    case REFINER: s->o.refiner = value; return 1;
    case POINTS: return parse_points(&s->o, value);
    case COUNT: return parse_number(&s->count, value, 1, 1000000);
    case SEEDS: return parse_number(&n, value, 1, 64) && (s->o.seeds = (int)n);
    case STEPS: return parse_number(&n, value, 1, 1000) && (s->o.steps = (int)n);
    case ROWS: return parse_number(&n, value, 1, 64) && (s->o.shown = (int)n);
    case THREADS: return parse_number(&n, value, 1, 1024) && (s->o.threads = (int)n);
    default: return 0;
    }
}

static int parse(settings *s, int argc, char **argv)
{
    int option;
    *s = (settings){.out = "docs/demo", .prompts = "docs/demo/prompts.txt"};
    s->o = (rf_measure_options){
        .judge = "tools/judge/judge.safetensors", .seeds = 1, .shown = 6, .points = 11};
    for (int i = 0; i < 11; i++) s->o.point[i] = i / 10.0;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) >= 0)
        if (!set(s, option, optarg)) return 0;
    return optind == argc && s->o.base && s->o.refiner;
}

static int show_progress(void *user, size_t done, size_t total)
{
    settings *s = user;
    if (done != s->told)
        fprintf(stderr, "\r%zu of %zu jobs%s", done, total, done == total ? "\n" : "");
    s->told = done;
    return 0;
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

static void print_points(const rf_report_input *in)
{
    printf("switch at  content  style  exact\n");
    for (int i = 0; i < in->o->points; i++) {
        const rf_outcome *o = in->m->outcome + (size_t)i * in->o->prompts;
        printf("%9.2f  %7.3f  %5.3f  %5.3f\n", in->o->point[i],
               rf_figure_of(o, NULL, in->o->prompts, RF_CONTENT).mean,
               rf_figure_of(o, NULL, in->o->prompts, RF_STYLE).mean,
               rf_figure_of(o, NULL, in->o->prompts, RF_EXACT).mean);
    }
    printf("%.0f s\n", in->m->seconds);
}

static rf_status write_reports(const settings *s, const rf_report_input *in, rf_error *err)
{
    rf_status   st = RF_OK;
    char        path[1024];
    const char *folder = s->out;
    snprintf(path, sizeof path, "%s/switch-curve.json", folder);
    RF_TRY(rf_curve_json(path, in, err));
    snprintf(path, sizeof path, "%s/switch-curve.svg", folder);
    RF_TRY(rf_curve_svg(path, in, err));
    snprintf(path, sizeof path, "%s/contact-sheet.png", folder);
    RF_TRY(rf_contact_sheet(path, in, err));
done:
    return st;
}

int main(int argc, char **argv)
{
    rf_status       st = RF_OK;
    rf_error        err = {0};
    settings        s;
    char            command[1024];
    rf_measurement  m = {0};
    rf_asked       *asked = NULL;
    size_t          count = 0;
    rf_report_input in = {.m = &m, .o = &s.o, .command = command};
    if (!parse(&s, argc, argv)) {
        fputs(HELP, stderr);
        return 2;
    }
    command_text(command, sizeof command, argc, argv);
    RF_TRY(rf_asked_read(&asked, &count, s.prompts, &err));
    s.o.asked = asked;
    s.o.prompts = s.count && (size_t)s.count < count ? (size_t)s.count : count;
    if ((size_t)s.o.shown > s.o.prompts) s.o.shown = (int)s.o.prompts;
    s.o.progress = show_progress, s.o.user = &s;
    RF_TRY(rf_measure(&m, &s.o, &err));
    RF_TRY(write_reports(&s, &in, &err));
    print_points(&in);
done:
    rf_measurement_release(&m);
    rf_asked_free(asked, count);
    if (st != RF_OK) fprintf(stderr, "refinery-measure: %s\n", err.message);
    return st != RF_OK || fflush(stdout) != 0;
}
