/* The real program, listened to: by a profiler in miniature (nvtx_probe.c) and by --trace.  What
 * docs/profiling.md says of the ranges is tested here, name by name. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth --arch tiny --seed 1 pony.safetensors", 0, "");
    rf_spawn_expect(&r, "synth --arch tiny --seed 2 anime.safetensors", 0, "");
}

TestSuite(profiling, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 300);

/* Two steps each: pony, then anime. */
#define RELAY                                                                                      \
    "render -m pony.safetensors -r anime.safetensors -p 'a fox' --size 64x64 --steps 4 "           \
    "-x 0.5 --threads 1 -q "

/* ---- ranges, from either source ---------------------------------------------------------- */

enum { RANGES = 4000, NAME = 200, DEPTH = 6 };

typedef struct range {
    char   category[16], name[NAME];
    int    depth;
    double start, end; /* of the JSON, microseconds */
} range;

typedef struct ranges {
    range at[RANGES]; /* in the order in which they begin */
    int   count;
} ranges;

static ranges traced;

static range *add(ranges *to, const char *category, const char *name, int depth)
{
    cr_assert_lt(to->count, RANGES);
    range *new = &to->at[to->count++];
    *new = (range){.depth = depth};
    snprintf(new->category, sizeof new->category, "%s", category);
    snprintf(new->name, sizeof new->name, "%s", name);
    return new;
}

static int by_start(const void *a, const void *b)
{
    const range *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->end < y->end) - (x->end > y->end); /* the outer first */
}

/* Each range ends before the one around it, or begins after its neighbour. */
static void nest(ranges *all)
{
    double end[DEPTH];
    int    open = 0;
    qsort(all->at, (size_t)all->count, sizeof all->at[0], by_start);
    for (int i = 0; i < all->count; i++) {
        range *x = &all->at[i];
        while (open && end[open - 1] <= x->start + 1e-4) open--;
        cr_assert(!open || x->end <= end[open - 1] + 1e-4, "%s reaches over its end", x->name);
        cr_assert_lt(open, DEPTH);
        x->depth = open;
        end[open++] = x->end;
    }
}

static void read_trace(const char *path)
{
    json_error_t error;
    json_t      *o = json_load_file(path, 0, &error), *event = NULL;
    size_t       i = 0;
    cr_assert_not_null(o, "%s: %s", path, error.text);
    traced.count = 0;
    json_array_foreach(json_object_get(o, "traceEvents"), i, event)
    {
        const char  *name = json_string_value(json_object_get(event, "name"));
        const char  *kind = json_string_value(json_object_get(event, "ph"));
        const double duration = json_number_value(json_object_get(event, "dur"));
        cr_assert(name && kind);
        cr_expect_eq(json_integer_value(json_object_get(event, "pid")), 1);
        cr_expect_eq(json_integer_value(json_object_get(event, "tid")), 1);
        if (strcmp(kind, "M") == 0) continue;
        cr_expect_str_eq(kind, "X");
        range *new = add(&traced, json_string_value(json_object_get(event, "cat")), name, 0);
        new->start = json_number_value(json_object_get(event, "ts"));
        new->end = new->start + duration;
        cr_expect(new->start >= 0 && duration >= 0, "%s", name);
    }
    json_decref(o);
    nest(&traced);
}

/* Numbers of ranges of that category, and of that beginning of a name (NULL: any). */
static int count_of(const ranges *all, const char *category, const char *beginning)
{
    int count = 0;
    for (int i = 0; i < all->count; i++)
        count += strcmp(all->at[i].category, category) == 0 &&
                 (!beginning || strncmp(all->at[i].name, beginning, strlen(beginning)) == 0);
    return count;
}

static int find(const ranges *all, const char *category, const char *name)
{
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->at[i].category, category) == 0 && strcmp(all->at[i].name, name) == 0)
            return i;
    cr_assert(0, "there is no %s %s", category, name);
    return -1;
}

/* Ops inside range i. */
static int ops_in(const ranges *all, int i)
{
    int ops = 0;
    for (int k = i + 1; k < all->count && all->at[k].depth > all->at[i].depth; k++)
        ops += strcmp(all->at[k].category, "op") == 0;
    return ops;
}

/* Range i and what is inside it but for ops, two blanks per level. */
static void expect_tree(const ranges *all, int i, const char *expected)
{
    char      text[4000] = "";
    size_t    n = 0;
    const int depth = all->at[i].depth;
    for (int k = i; k < all->count && (k == i || all->at[k].depth > depth); k++)
        if (strcmp(all->at[k].category, "op") != 0 && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, "%*s%s %s\n",
                                  2 * (all->at[k].depth - depth), "", all->at[k].category,
                                  all->at[k].name);
    cr_expect_str_eq(text, expected, "it is:\n%s", text);
}

static const char DENOISING[] = "phase denoise\n"
                                "  stage pony\n"
                                "    step step 1 of 4 batch 1\n"
                                "      part unet\n"
                                "    step step 2 of 4 batch 1\n"
                                "      part unet\n"
                                "  stage anime\n"
                                "    step step 3 of 4 batch 1\n"
                                "      part unet\n"
                                "    step step 4 of 4 batch 1\n"
                                "      part unet\n";

/* What the page says of any relay of two experts in four steps. */
static void expect_documented(const ranges *all)
{
    static const char *const kinds[] = {"gemm ",   "conv ",      "attention ", "groupnorm ",
                                        "pixels ", "embedding ", "timestep ",  "layernorm ",
                                        "resize ", "lincomb "};
    int                      ops = 0;
    cr_expect_eq(count_of(all, "request", "request"), 1);
    cr_expect_str_eq(all->at[0].name, "request");
    for (int i = 1; i < all->count; i++) cr_assert_geq(all->at[i].depth, 1, "outside the request");
    cr_expect_geq(count_of(all, "phase", "load"), 1);
    cr_expect_geq(count_of(all, "phase", "encode"), 1);
    cr_expect_eq(count_of(all, "phase", "denoise"), 1);
    cr_expect_eq(count_of(all, "phase", "decode"), 1);
    cr_expect_eq(count_of(all, "phase", "hand out"), 1);
    cr_expect_eq(count_of(all, "step", "step "), 4);
    expect_tree(all, find(all, "phase", "denoise"), DENOISING);
    expect_tree(all, find(all, "phase", "decode"), "phase decode\n  stage anime\n    part vae\n");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) ops += count_of(all, "op", kinds[i]);
    cr_expect_eq(ops, count_of(all, "op", NULL), "an op bears its kind and a label");
    const int first = ops_in(all, find(all, "step", "step 1 of 4 batch 1"));
    cr_expect_gt(first, 50);
    cr_expect_eq(first, ops_in(all, find(all, "step", "step 3 of 4 batch 1")), "the same program");
    cr_expect_gt(ops_in(all, find(all, "phase", "encode")), 0);
    cr_expect_gt(ops_in(all, find(all, "phase", "decode")), 0);
    cr_expect_eq(ops_in(all, find(all, "phase", "load")), 0);
}

/* ---- the trace ---------------------------------------------------------------------------- */

Test(profiling, the_trace_shows_request_phases_stages_steps_and_ops)
{
    rf_spawn_expect(&r, RELAY "--trace trace.json", 0, "");
    read_trace("trace.json");
    expect_documented(&traced);
    rf_spawn_expect(&r, "replay out.png --models . -q --threads 1 --trace replay.json", 0, "");
    read_trace("replay.json");
    expect_documented(&traced);
}

Test(profiling, ops_are_told_of_the_profiled_steps_alone)
{
    rf_spawn_expect(&r, RELAY "--trace trace.json --profile-steps 2:3", 0, "");
    read_trace("trace.json");
    expect_tree(&traced, find(&traced, "phase", "denoise"), DENOISING);
    const int second = ops_in(&traced, find(&traced, "step", "step 2 of 4 batch 1"));
    cr_expect_gt(second, 50);
    cr_expect_eq(count_of(&traced, "op", NULL), 2 * second);
    cr_expect_eq(ops_in(&traced, find(&traced, "step", "step 3 of 4 batch 1")), second);
}

Test(profiling, dpm_adaptive_has_calls_instead_of_steps)
{
    rf_spawn_expect(&r, RELAY "--sampler 'DPM adaptive' --trace trace.json --profile-steps 1:2", 0,
                    "");
    read_trace("trace.json");
    cr_expect_gt(count_of(&traced, "step", "call at sigma "), 4);
    cr_expect_eq(count_of(&traced, "step", "step"), 0);
    cr_expect_eq(count_of(&traced, "op", NULL), 0);
    cr_expect_eq(count_of(&traced, "stage", "pony") > 0, count_of(&traced, "stage", "anime") > 0);
    rf_spawn_expect(&r,
                    "render -m pony.safetensors -p 'a fox' --size 64x64 --threads 1 --overwrite "
                    "--sampler 'DPM adaptive' --profile-steps 1:2",
                    0, "DPM adaptive has no steps to count");
}

/* All weights become NaN: the run fails in its first step. */
static void spoil(const char *path)
{
    unsigned char length[8], ones[4096];
    struct stat   info;
    const int     fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &info) == 0 && read(fd, length, 8) == 8);
    off_t at = 8 + length[0] + 256 * length[1] + 65536 * length[2];
    memset(ones, 0xFF, sizeof ones);
    while (at < info.st_size) {
        const off_t  left = info.st_size - at;
        const size_t bytes = left < (off_t)sizeof ones ? (size_t)left : sizeof ones;
        cr_assert_eq(pwrite(fd, ones, bytes, at), (ssize_t)bytes);
        at += (off_t)bytes;
    }
    close(fd);
}

Test(profiling, a_run_that_fails_leaves_its_trace)
{
    spoil("pony.safetensors");
    rf_spawn_expect(&r, RELAY "--trace trace.json", 1, "NaN");
    read_trace("trace.json");
    cr_expect_eq(count_of(&traced, "step", "step "), 1);
    cr_expect_eq(count_of(&traced, "phase", "decode"), 0);
    cr_expect_str_eq(traced.at[0].name, "request");
}

Test(profiling, a_run_that_is_stopped_leaves_its_trace)
{
    static char *words[] = {"render",  "-m",      "pony.safetensors", "-p",         "a fox",
                            "--size",  "256x256", "--steps",          "5000",       "--threads",
                            "1",       "--trace", "trace.json",       "--progress", "json",
                            "--color", "never",   "--profile-steps",  "1:2",        NULL};
    const pid_t  pid = rf_spawn_start(words);
    cr_assert(rf_spawn_await("err", "denoise"), "it never began");
    cr_expect_not(rf_spawn_exists("trace.json"), "under its name only when it is complete");
    cr_assert_eq(kill(pid, SIGINT), 0);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 130, "%d: %s", r.code, r.err);
    read_trace("trace.json");
    cr_expect_eq(count_of(&traced, "request", "request"), 1);
    cr_expect_geq(count_of(&traced, "step", "step "), 1);
    cr_expect_not(rf_spawn_exists("out.png"));
}

/* Before any work; and where nothing ran, nothing is written. */
Test(profiling, a_trace_is_written_as_safely_as_a_picture)
{
    rf_spawn_write("trace.json", "mine");
    rf_spawn_expect(&r, RELAY "--trace trace.json", 73, "already exists");
    rf_spawn_expect(&r, RELAY "--trace out.png", 2, "picture 0 has that name");
    rf_spawn_expect(&r, RELAY "--trace ./anime.safetensors --overwrite", 2, "given with --refiner");
    rf_spawn_expect(&r, RELAY "--trace nowhere/trace.json", 73, "does not exist");
    rf_spawn_expect(&r, RELAY "--trace new.json --dry-run", 0, "");
    rf_spawn_expect(&r, RELAY "--trace new.json --profile-steps 5:6", 2, "the picture has 4 steps");
    rf_spawn_expect(&r, RELAY "--trace new.json --profile-steps 3-4", 2, "such as 12:18");
    rf_spawn_expect(&r, RELAY "--trace new.json --profile-steps 0:4", 2, "such as 12:18");
    rf_spawn_expect(&r, RELAY "--trace new.json --profile-steps 4:3", 2, "such as 12:18");
    rf_spawn_expect(&r, RELAY "--trace new.json --sampler nonesuch", 2, "");
    cr_expect_not(rf_spawn_exists("new.json"));
    rf_spawn_expect(&r, "version; test $(cat trace.json) = mine; ls -A | grep -c tmp", 1, "");
    rf_spawn_expect(&r, RELAY "--trace trace.json --overwrite", 0, "");
    read_trace("trace.json");
    rf_spawn_expect(&r, RELAY "--trace trace.json --dry-run --overwrite --profile-steps 1:2", 0,
                    "");
    read_trace("trace.json");
}

/* A limit that the picture stays below. */
Test(profiling, a_trace_that_does_not_fit_is_an_error)
{
    rf_spawn_expect(&r, "version; ulimit -f 100; " RF_COMMAND " " RELAY "--trace trace.json", 74,
                    "trace.json");
    cr_expect_not(rf_spawn_exists("trace.json"));
    cr_expect(rf_spawn_exists("out.png"));
}

/* ---- NVTX --------------------------------------------------------------------------------- */

#ifdef RF_NVTX_PROBE
static ranges heard;

/* What the probe wrote: every pop has its push, all are closed before the domain is. */
static void read_probe(const char *path)
{
    char  line[400], names[DEPTH + 1][16] = {"?"};
    int   open = 0, closed = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "NVTX loaded no probe");
    heard.count = 0;
    cr_assert(fgets(line, sizeof line, file) && strcmp(line, "domain refinery\n") == 0, "%s", line);
    while (fgets(line, sizeof line, file)) {
        const int named = strncmp(line, "category ", 9) == 0,
                  pushed = strncmp(line, "push ", 5) == 0;
        line[strcspn(line, "\n")] = '\0';
        cr_expect_not(closed, "%s after the domain was closed", line);
        if (named || pushed) {
            char      *text = NULL;
            const long category = strtol(strchr(line, ' '), &text, 10);
            cr_assert(category >= 1 && category <= DEPTH && *text++ == ' ', "%s", line);
            if (named)
                snprintf(names[category], sizeof names[0], "%s", text);
            else
                add(&heard, names[category], text, open++);
        } else if (strcmp(line, "pop") == 0) {
            cr_assert_gt(open--, 0, "a pop without push");
        } else {
            cr_expect_str_eq(line, "close");
            closed = 1;
        }
    }
    fclose(file);
    cr_expect_eq(open, 0, "%d ranges are left open", open);
    cr_expect(closed);
}

static void listen_to(const char *command)
{
    setenv("NVTX_INJECTION64_PATH", RF_NVTX_PROBE, 1);
    setenv("RF_NVTX_PROBE", "heard.txt", 1);
    rf_spawn_expect(&r, command, 0, "");
    unsetenv("NVTX_INJECTION64_PATH");
    read_probe("heard.txt");
}

Test(profiling, nvtx_has_the_documented_ranges)
{
    listen_to(RELAY);
    expect_documented(&heard);
}

Test(profiling, nvtx_and_the_trace_tell_the_same)
{
    listen_to(RELAY "--trace trace.json --count 3 --batch 2 -o {index}.png");
    read_trace("trace.json");
    cr_assert_eq(heard.count, traced.count);
    for (int i = 0; i < heard.count; i++) {
        cr_expect_str_eq(heard.at[i].name, traced.at[i].name);
        cr_expect_str_eq(heard.at[i].category, traced.at[i].category);
        cr_expect_eq(heard.at[i].depth, traced.at[i].depth, "%s", heard.at[i].name);
    }
    cr_expect_eq(count_of(&heard, "step", "step 4 of 4 batch 2"), 1);
    cr_expect_eq(count_of(&heard, "step", "step 4 of 4 batch 1"), 1);
    cr_expect_eq(count_of(&heard, "part", "picture"), 3);
}

/* A CPU has no profiler to start, but the ops that are told are chosen: so nothing is in vain. */
Test(profiling, nvtx_has_ops_of_the_profiled_steps_alone)
{
    listen_to("render -m pony.safetensors -p 'a fox' --size 64x64 --steps 4 --threads 1 "
              "--profile-steps 4:4");
    cr_expect_null(strstr(r.err, "no effect"), "%s", r.err);
    cr_expect_eq(count_of(&heard, "step", "step "), 4);
    cr_expect_eq(count_of(&heard, "op", NULL),
                 ops_in(&heard, find(&heard, "step", "step 4 of 4 batch 1")));
    cr_expect_gt(count_of(&heard, "op", NULL), 50);
}

/* Without a profiler, or with a library that is none, a render is what it always is. */
Test(profiling, a_library_that_is_no_profiler_does_no_harm)
{
    setenv("NVTX_INJECTION64_PATH", "/nonexistent.so", 1);
    rf_spawn_expect(&r, RELAY "-o one.png", 0, "");
    unsetenv("NVTX_INJECTION64_PATH");
    rf_spawn_expect(&r, RELAY "-o two.png", 0, "");
    rf_spawn_expect(&r, "version; cmp one.png two.png", 0, "");
    listen_to(RELAY "-o three.png --trace trace.json");
    rf_spawn_expect(&r, "version; cmp one.png three.png", 0, "");
}
#else
Test(profiling, nvtx_has_the_documented_ranges)
{
    cr_skip_test("this build has no NVTX");
}
#endif
