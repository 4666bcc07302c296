/* bench-sweep: a switch-point sweep as one plan against the same pictures as plans of their own, in
 * one process.
 *
 *     refinery-bench-sweep BASE REFINER [--size 256] [--steps 30] [--points 9] [--batch 1]
 *                          [--threads 0] [--dtype auto] [--sampler "DPM++ 2M SDE"] [--repeat 3]
 *
 * Only sampling is compared, load and decode stand apart; every picture's latent is compared with
 * that of its own plan, to the bit.  Rounds alternate; the ratio is the median of theirs, for what
 * else the machine does drifts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"

enum { POINTS_MAX = 64, REPEATS_MAX = 64 };

typedef struct setting {
    const char *path[2], *dtype, *sampler;
    int         size, steps, points, batch, threads, repeat;
} setting;

typedef struct bench {
    setting    s;
    rf_engine *engine;
    rf_expert *expert[2];
    rf_stage   stage[POINTS_MAX][2];
    rf_job     job[POINTS_MAX];
    rf_plan   *alone[POINTS_MAX], *together;
    float     *latent[POINTS_MAX]; /* of its own plan */
    int        cell, differ;
} bench;

static rf_error err;

static void must(rf_status st)
{
    if (st == RF_OK) return;
    fprintf(stderr, "refinery-bench-sweep: %s: %s\n", rf_status_name(st), err.message);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

/* ---- pictures ----------------------------------------------------------------------------- */

static size_t latent_bytes(const rf_image *image)
{
    return (size_t)image->width * (size_t)image->height / 64 * 4 * sizeof(float);
}

static rf_status keep(void *user, const rf_image *image, rf_error *e)
{
    bench *b = user;
    (void)e;
    memcpy(b->latent[b->cell], image->latent, latent_bytes(image));
    return RF_OK;
}

static rf_status compare(void *user, const rf_image *image, rf_error *e)
{
    bench *b = user;
    (void)e;
    b->differ += memcmp(b->latent[image->job_index], image->latent, latent_bytes(image)) != 0;
    return RF_OK;
}

/* ---- plans -------------------------------------------------------------------------------- */

static void plan_all(bench *b)
{
    const setting *s = &b->s;
    must(rf_engine_create(&b->engine, &(rf_options){.threads = s->threads, .dtype = s->dtype},
                          &err));
    for (int i = 0; i < 2; i++) must(rf_expert_open(&b->expert[i], b->engine, s->path[i], &err));
    for (int i = 0; i < s->points; i++) {
        b->stage[i][0] = (rf_stage){.expert = b->expert[0],
                                    .until = (double)(i + 1) / (s->points + 1),
                                    .prompt = "a castle on a hill",
                                    .negative = "blurry",
                                    .cfg_scale = 6};
        b->stage[i][1] = (rf_stage){.expert = b->expert[1], .until = 1, .cfg_scale = -1};
        b->job[i] = rf_job_default();
        b->job[i].stages = b->stage[i];
        b->job[i].stage_count = 2;
        b->job[i].sampler = s->sampler;
        b->job[i].steps = s->steps;
        b->job[i].width = b->job[i].height = s->size;
        b->job[i].seed = 1;
        must(rf_plan_create(&b->alone[i], b->engine, &b->job[i], &err));
        b->job[i].batch = s->batch;
        b->latent[i] = malloc((size_t)s->size * (size_t)s->size / 64 * 4 * sizeof(float));
        if (!b->latent[i]) exit(1);
    }
    must(rf_plan_create_many(&b->together, b->engine, b->job, s->points, &err));
}

static void close_all(bench *b)
{
    rf_plan_destroy(b->together);
    for (int i = 0; i < b->s.points; i++) {
        rf_plan_destroy(b->alone[i]);
        free(b->latent[i]);
    }
    for (int i = 0; i < 2; i++) rf_expert_close(b->expert[i]);
    rf_engine_destroy(b->engine);
}

/* Seconds of sampling; the first run of a plan also loads and records. */
static double run_alone(bench *b)
{
    const rf_callbacks callbacks = {.image = keep, .user = b};
    double             seconds = 0;
    for (b->cell = 0; b->cell < b->s.points; b->cell++) {
        rf_timings t;
        must(rf_plan_run(b->alone[b->cell], &callbacks, &err));
        rf_plan_get_timings(b->alone[b->cell], &t);
        seconds += t.denoise;
    }
    return seconds;
}

static rf_timings run_together(bench *b)
{
    const rf_callbacks callbacks = {.image = compare, .user = b};
    rf_timings         t;
    must(rf_plan_run(b->together, &callbacks, &err));
    rf_plan_get_timings(b->together, &t);
    return t;
}

static void measure(bench *b)
{
    double       alone[REPEATS_MAX], together[REPEATS_MAX], ratio[REPEATS_MAX];
    rf_plan_info info;
    rf_timings   t;
    rf_plan_get_info(b->together, &info);
    printf("%s, %s; %d switch points over %d steps, %s, %d x %d, batch %d\n",
           rf_engine_device(b->engine), rf_engine_dtype(b->engine), b->s.points, b->s.steps,
           b->s.sampler, b->s.size, b->s.size, info.batch);
    printf("  calls %lld of %lld in %lld launches, %d states\n", (long long)info.calls_shared,
           (long long)info.calls_naive, (long long)info.launches, info.states);
    run_alone(b);
    t = run_together(b);
    printf("  first run of the sweep: load %.2f s, encode and record %.2f s\n", t.load, t.encode);
    for (int i = 0; i < b->s.repeat; i++) {
        alone[i] = run_alone(b);
        t = run_together(b);
        together[i] = t.denoise;
        ratio[i] = together[i] / alone[i];
    }
    const double one = median(together, b->s.repeat), many = median(alone, b->s.repeat);
    printf("  sampling: sweep %.3f s (%.3f .. %.3f), %d loops %.3f s (%.3f .. %.3f), ratio %.3f; "
           "n = %d; decode %.3f s\n",
           one, together[0], together[b->s.repeat - 1], b->s.points, many, alone[0],
           alone[b->s.repeat - 1], median(ratio, b->s.repeat), b->s.repeat, t.decode);
    printf("  pictures that differ from their own plan's: %d\n", b->differ);
}

static setting parse(int argc, char **argv)
{
    setting s = {.dtype = "auto",
                 .sampler = "DPM++ 2M SDE",
                 .size = 256,
                 .steps = 30,
                 .points = 9,
                 .batch = 1,
                 .repeat = 3};
    for (int i = 1, paths = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        const int   number = (int)strtol(value, NULL, 10);
        if (argv[i][0] != '-') {
            if (paths < 2) s.path[paths++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--size") == 0) s.size = number / 8 * 8;
        if (strcmp(argv[i], "--steps") == 0) s.steps = number;
        if (strcmp(argv[i], "--points") == 0) s.points = number;
        if (strcmp(argv[i], "--batch") == 0) s.batch = number;
        if (strcmp(argv[i], "--threads") == 0) s.threads = number;
        if (strcmp(argv[i], "--repeat") == 0) s.repeat = number;
        if (strcmp(argv[i], "--dtype") == 0) s.dtype = value;
        if (strcmp(argv[i], "--sampler") == 0) s.sampler = value;
        i++;
    }
    if (!s.path[1] || s.points < 1 || s.points > POINTS_MAX || s.repeat < 1 ||
        s.repeat > REPEATS_MAX) {
        fprintf(stderr, "usage: refinery-bench-sweep BASE REFINER [--size 256] [--steps 30] "
                        "[--points 9] [--batch 1] [--threads 0] [--dtype auto|bf16|f32] "
                        "[--sampler NAME] [--repeat 3]\n");
        exit(2);
    }
    return s;
}

int main(int argc, char **argv)
{
    static bench b;
    b.s = parse(argc, argv);
    plan_all(&b);
    measure(&b);
    close_all(&b);
    return b.differ ? 1 : 0;
}
