/* bench-plan: how many calls a sweep makes, and what planning it costs.
 *
 *     refinery-bench-plan BASE REFINER [CELLS]
 *
 * Calls are compared with their formulas; exit code 1 if any differs.  Every sweep of CELLS
 * (10,000) cells is planned in a process of its own, because the most memory that a process ever
 * had only grows: processor time of rf_plan_create_many, and by how much that most grew. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/refinery.h"

enum { STEPS = 30, CELLS_MAX = 100000 };

/* Cells: points x refiner prompts x as many seeds as that leaves. */
typedef struct shape {
    const char *name;
    int         points, prompts; /* 0: as many as there are cells */
    int         of_both;         /* the prompts are the base's too */
} shape;

static const shape SHAPES[] = {
    {"20 switch points, seeds", 20, 1, 0},
    {"20 switch points, 20 refiner prompts, seeds", 20, 20, 0},
    {"1 switch point, seeds", 1, 1, 0},
    {"1 switch point, refiner prompts", 1, 0, 0},
    {"1 switch point, prompts of both", 1, 0, 1},
};

typedef struct bench {
    const char *path[2];
    rf_engine  *engine;
    rf_expert  *expert[2];
    rf_stage (*stage)[2];
    char (*prompt)[24];
    rf_job *job;
} bench;

static rf_error err;

static void must(rf_status st)
{
    if (st == RF_OK) return;
    fprintf(stderr, "refinery-bench-plan: %s: %s\n", rf_status_name(st), err.message);
    exit(1);
}

static void open_all(bench *b, int cells)
{
    must(rf_engine_create(&b->engine, &(rf_options){.threads = 1}, &err));
    for (int i = 0; i < 2; i++) must(rf_expert_open(&b->expert[i], b->engine, b->path[i], &err));
    b->stage = calloc((size_t)cells, sizeof *b->stage);
    b->prompt = calloc((size_t)cells, sizeof *b->prompt);
    b->job = calloc((size_t)cells, sizeof *b->job);
    if (!b->stage || !b->prompt || !b->job) exit(1);
}

static void close_all(bench *b)
{
    for (int i = 0; i < 2; i++) rf_expert_close(b->expert[i]);
    rf_engine_destroy(b->engine);
    free(b->stage);
    free(b->prompt);
    free(b->job);
}

/* Cell i with prompt number `prompt`: the refiner's, and the base's if of_both. */
static void make_cell(bench *b, int i, double until, int prompt, int of_both, uint64_t seed)
{
    rf_stage *stage = b->stage[i];
    snprintf(b->prompt[i], sizeof b->prompt[i], "words %d", prompt);
    stage[0] = (rf_stage){.expert = b->expert[0],
                          .until = until,
                          .prompt = of_both ? b->prompt[i] : "a castle on a hill",
                          .negative = "blurry",
                          .cfg_scale = 6};
    stage[1] =
        (rf_stage){.expert = b->expert[1], .until = 1, .prompt = b->prompt[i], .cfg_scale = -1};
    b->job[i] = rf_job_default();
    b->job[i].stages = stage;
    b->job[i].stage_count = 2;
    b->job[i].sampler = "DPM++ 2M SDE";
    b->job[i].steps = STEPS;
    b->job[i].width = b->job[i].height = 128;
    b->job[i].seed = seed;
    b->job[i].batch = 8;
}

static rf_plan_info plan(const bench *b, int cells)
{
    rf_plan     *p = NULL;
    rf_plan_info info;
    must(rf_plan_create_many(&p, b->engine, b->job, cells, &err));
    rf_plan_get_info(p, &info);
    rf_plan_destroy(p);
    return info;
}

/* ---- calls -------------------------------------------------------------------------------- */

static int print_calls(const bench *b, const char *what, int cells, int naive, int shared)
{
    const rf_plan_info info = plan(b, cells);
    const int          right = info.calls_naive == naive && info.calls_shared == shared;
    printf("  %-40s %4lld instead of %4lld (%.2fx)  %s\n", what, (long long)info.calls_shared,
           (long long)info.calls_naive, (double)info.calls_naive / (double)info.calls_shared,
           right ? "as the formula has it" : "WRONG");
    return !right;
}

static int count_calls(bench *b)
{
    int wrong = 0;
    open_all(b, STEPS + 1);
    printf("calls of %d steps\n", STEPS);
    for (int i = 0; i < 9; i++) make_cell(b, i, 0.1 * (i + 1), 0, 0, 1);
    wrong += print_calls(b, "9 switch points, 0.1, 0.2, ... 0.9", 9, 270, 162);
    for (int i = 0; i <= STEPS; i++) make_cell(b, i, (double)i / STEPS, 0, 0, 1);
    wrong += print_calls(b, "all 31 switch points", STEPS + 1, 930, 495);
    for (int i = 0; i < 8; i++) make_cell(b, i, 0.5, i, 0, 1);
    wrong += print_calls(b, "8 refiner prompts, switch at step 15", 8, 240, 135);
    close_all(b);
    return wrong;
}

/* ---- planning ----------------------------------------------------------------------------- */

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

static void plan_shape(bench *b, const shape *s, int cells)
{
    const int prompts = s->prompts ? s->prompts : cells;
    open_all(b, cells);
    for (int i = 0; i < cells; i++)
        make_cell(b, i, (1.0 + i % s->points) / (s->points + 1), i / s->points % prompts,
                  s->of_both, (uint64_t)(i / s->points / prompts));
    const double       megabytes = peak_megabytes(), began = processor_seconds();
    const rf_plan_info info = plan(b, cells);
    printf("  %-44s %7lld of %7lld calls  %5.3f s  %5.1f MB\n", s->name,
           (long long)info.calls_shared, (long long)info.calls_naive, processor_seconds() - began,
           peak_megabytes() - megabytes);
    close_all(b);
}

static int plan_apart(bench *b, const shape *s, int cells)
{
    int         status = 0;
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        plan_shape(b, s, cells);
        exit(fflush(stdout) != 0);
    }
    waitpid(child, &status, 0);
    return status != 0;
}

int main(int argc, char **argv)
{
    bench      b = {0};
    int        wrong = 0;
    const long cells = argc > 3 ? strtol(argv[3], NULL, 10) : 10000;
    if (argc < 3 || cells < 1 || cells > CELLS_MAX) {
        fprintf(stderr, "usage: refinery-bench-plan BASE REFINER [CELLS]\n");
        return 2;
    }
    b.path[0] = argv[1], b.path[1] = argv[2];
    printf("planning %ld cells: processor time, and growth of the most memory held\n", cells);
    fflush(stdout); /* or each child says it again */
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        wrong += plan_apart(&b, &SHAPES[i], (int)cells);
    wrong += count_calls(&b);
    return wrong != 0;
}
