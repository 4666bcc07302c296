/* The refinery command on machines with a GPU in every state: refinery-emulated, which is told by
 * RF_EMULATED what it finds there and which call of the CUDA runtime fails. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/spawn.h"
#include "tools/pictures/read_png.h"

#define RENDER "render -m tiny.safetensors -p 'a fox' --steps 2 --size 64x64 -q "

static rf_spawned r;

static void enter(void)
{
    rf_spawn_enter_folder();
    setenv("OMP_NUM_THREADS", "1", 1);
    unsetenv("RF_EMULATED");
    rf_spawn_expect(&r, "synth --seed 7 tiny.safetensors -q", 0, "");
}

static void leave(void)
{
    rf_spawn_leave_folder();
}

TestSuite(emulated_cli, .init = enter, .fini = leave, .timeout = 120);

/* `machine` is what RF_EMULATED says. */
static void expect(const char *machine, const char *command, int code, const char *said)
{
    setenv("RF_EMULATED", machine, 1);
    rf_spawn_expect(&r, command, code, said);
    cr_expect_null(strstr(r.err, "emulator:"), "%s: %s", command, r.err);
}

Test(emulated_cli, each_machine_that_will_not_do_gets_its_sentence)
{
    static const struct {
        const char *machine, *said;
    } rows[] = {
        {"driver=0", "there is no NVIDIA driver on this machine: install it (CUDA 13 or newer)"},
        {"driver=12040",
         "the NVIDIA driver is too old: it supports CUDA 12.4 and this build needs"},
        {"devices=0", "there is no NVIDIA GPU that this process may use"},
        {"major=7 minor=5", "has compute capability 7.5, and this build has kernels for 8.0, 8.6"},
        {"used=7900", "has too little memory: 292 of its 8192 MiB are free"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(rows[i].machine, RENDER "--device cuda", 69, rows[i].said);
        cr_expect(strstr(r.err, "--device cpu"), "%s", r.err);
        cr_expect_eq(strchr(r.err, '\n')[1], '\0', "one sentence: %s", r.err);
        cr_expect(!rf_spawn_exists("out.png"));
        /* A plan is made all the same, and says why it is only that. */
        expect(rows[i].machine, RENDER "--device cuda --dry-run", 0, "");
        cr_expect(strstr(r.out, "a GPU that is not here, assumed"), "%s", r.out);
    }
    expect("", RENDER "--device cuda:1", 69, "there is no GPU 1: this machine has 1");
    expect("", RENDER "--device cuda --dtype f32", 69, "a GPU cannot compute in f32");
    expect("", RENDER "--device gpu", 2, "it can be auto, cpu, cuda or cuda:N");
}

Test(emulated_cli, sweeps_plan_for_a_gpu_that_is_not_here)
{
    static const char plan[] = "sweep -m tiny.safetensors -p 'a fox' --size 64x64 --steps 2 "
                               "--x 'Seed: 1, 2' --device cuda --dry-run ";
    expect("driver=0", plan, 0, "there is no NVIDIA driver");
    cr_expect(strstr(r.out, "not known for a GPU that is not here"), "%s", r.out);
    char command[256];
    snprintf(command, sizeof command, "%s --json", plan);
    expect("driver=0", command, 0, "");
    cr_expect(strstr(r.out, "\"estimate_s\":null"), "%s", r.out);
    snprintf(command, sizeof command, "%s --seconds-per-call 0.5", plan);
    expect("driver=0", command, 0, "");
    cr_expect(strstr(r.out, "at 0.5 s a call"), "%s", r.out);
}

/* Told before a byte of weights is read. */
Test(emulated_cli, a_plan_that_does_not_fit_is_refused_with_what_would_help)
{
    static const char big[] = "render -m tiny.safetensors --size 4096x4096 -q --device cuda ";
    expect("used=7000", big, 75, "MiB of memory at once and cuda:0 emulated GPU has 1192 MiB free");
    cr_expect(strstr(r.err, "a smaller size or batch needs less"), "%s", r.err);
    cr_expect_null(strstr(r.err, "--memory"), "one expert cannot take turns: %s", r.err);
    expect("used=7000", "render -m tiny.safetensors --size 4096x4096 --device cuda --dry-run", 0,
           "warning: this needs");
    cr_expect(strstr(r.out, "most at once"), "%s", r.out);
}

/* Both experts stay loaded unless somebody says otherwise; the advice is one that works. */
Test(emulated_cli, memory_is_advised_where_taking_turns_helps)
{
    enum { MIB = 1 << 20 };
    char        command[256], machine[64];
    json_int_t  peak = 0, unet = 0;
    const char *both = "render -m tiny.safetensors -r other.safetensors --size 2048x2048 "
                       "--batch 4 --count 4 -q --device cuda --dry-run --json";
    rf_spawn_expect(&r, "synth --seed 8 other.safetensors -q", 0, "");
    expect("", both, 0, "");
    json_t *o = json_loads(r.out, 0, NULL);
    cr_assert_eq(
        json_unpack(o, "{s:I, s:[I, I]}", "peak_bytes", &peak, "weights_bytes", &unet, &unet), 0);
    json_decref(o);
    /* 4 MiB less than needed, and more than no plan can do with. */
    const json_int_t have = peak / MIB - 4;
    cr_assert(unet > 8 * MIB && have > 1024, "peak %lld", (long long)peak);
    snprintf(machine, sizeof machine, "memory=8192 used=%lld", 8192 - (long long)have);
    expect(machine,
           "render -m tiny.safetensors -r other.safetensors --size 2048x2048 --batch 4 "
           "--count 4 -q --device cuda",
           75, "and so does --memory ");
    const char *advice = strstr(r.err, "--memory ");
    snprintf(command, sizeof command, "%s %.*s", both, (int)strcspn(advice + 9, ",") + 9, advice);
    expect(machine, command, 0, "");
    cr_expect_eq(strlen(r.err), 0, "it fits: %s", r.err);
}

Test(emulated_cli, auto_takes_a_gpu_that_can_be_used_and_says_which)
{
    static const char plan[] = "render -m tiny.safetensors -p x --size 64x64 --dry-run";
    expect("", plan, 0, "");
    cr_expect_eq(strncmp(r.out, "cuda:0 emulated GPU", 19), 0, "%s", r.out);
    expect("devices=0", plan, 0, "");
    cr_expect_eq(strncmp(r.out, "cpu: ", 5), 0, "%s", r.out);
    cr_expect_str_eq(r.err, "", "nobody who has no GPU need be told");
    expect("driver=12040", plan, 0,
           "the CPU renders, no GPU can be used: the NVIDIA driver is too");
    cr_expect_eq(strncmp(r.out, "cpu: ", 5), 0, "%s", r.out);
    expect("major=7 minor=5", plan, 0, "the CPU renders, no GPU can be used: GPU 0 (");
    expect("", "render -m tiny.safetensors -p x --size 64x64 --dry-run --dtype f32", 0, "");
    cr_expect_eq(strncmp(r.out, "cpu: ", 5), 0, "GPUs have no f32: %s", r.out);
    expect("devices=0", "render -m tiny.safetensors -p x --size 64x64 --steps 1", 0, "on cpu: ");
}

Test(emulated_cli, devices_lists_gpus_or_says_why_there_are_none)
{
    expect("devices=2", "devices", 0, "");
    cr_expect(strstr(r.out, "cuda:1: emulated GPU (8.9, 8.0 GiB), f16"), "%s", r.out);
    expect("major=7 minor=5", "devices", 0, "");
    cr_expect(strstr(r.out, "cuda:0: cannot be used: GPU 0 (emulated GPU) has"), "%s", r.out);
    expect("driver=0", "devices", 0, "");
    cr_expect(strstr(r.out, "no GPU: there is no NVIDIA driver"), "%s", r.out);
    expect("", "devices --json", 0, "");
    const char *device = NULL, *dtype = NULL;
    int         major = 0;
    json_t     *o = json_loads(r.out, 0, NULL);
    cr_expect_eq(json_unpack(o, "{s:[{}, {s:s, s:s, s:i, s:n}], s:n}", "devices", "device", &device,
                             "dtype", &dtype, "major", &major, "refused", "no_gpu"),
                 0, "%s", r.out);
    cr_expect(device && strcmp(device, "cuda:0") == 0 && strcmp(dtype, "f16") == 0 && major == 8);
    json_decref(o);
}

/* While weights are loaded, and later: the first cause is told, and what to do.  Out of memory and
 * a broken GPU are what a script may try again elsewhere. */
Test(emulated_cli, a_gpu_that_breaks_at_work_is_told_and_has_a_code)
{
    static const struct {
        int         error, code;
        const char *said;
    } rows[] = {
        {214, 75, "memory has an error that it cannot correct"},
        {220, 75, "do not use this GPU until it was reset"},
        {700, 75, "a kernel read or wrote outside its memory"},
        {719, 75, "restart refinery; if it happens again, please report it"},
        {2, 75, "the GPU has no memory left"},
        {46, 69, "the GPU is busy or closed to this user"},
    };
    static const int calls[] = {12, 40, 90};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof calls / sizeof *calls; j++) {
            char machine[64];
            snprintf(machine, sizeof machine, "fail=%d error=%d", calls[j], rows[i].error);
            expect(machine, RENDER "--device cuda", rows[i].code, rows[i].said);
            cr_expect(!rf_spawn_exists("out.png"));
        }
}

/* ---- a picture ------------------------------------------------------------------------------- */

/* Mean difference of two pictures' bytes. */
static double distance(const char *a, const char *b)
{
    rf_pixels p[2];
    rf_error  err = {0};
    double    sum = 0;
    cr_assert_eq(rf_png_read(&p[0], a, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_png_read(&p[1], b, &err), RF_OK, "%s", err.message);
    cr_assert(p[0].width == p[1].width && p[0].height == p[1].height);
    const int n = p[0].width * p[0].height * 3;
    for (int i = 0; i < n; i++) sum += abs(p[0].rgb[i] - p[1].rgb[i]);
    free(p[0].rgb), free(p[1].rgb);
    return sum / n;
}

/* The same command on the CPU and on the emulated GPU: nothing but roundoff between the two, which
 * is little beside what another seed changes.  (What roundoff may be, and switches of experts:
 * tests/relay/test_relay_cuda.c.) */
Test(emulated_cli, the_same_command_renders_on_cpu_and_gpu, .timeout = 300)
{
    static const struct {
        const char *file, *options;
    } runs[] = {{"cpu.png", "--device cpu --dtype f32"},
                {"gpu.png", "--device emulated"},
                {"other.png", "--device cpu --dtype f32 --seed 2"}};
    char command[256];
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        snprintf(command, sizeof command, RENDER "--steps 1 --cfg 1 %s -o %s", runs[i].options,
                 runs[i].file);
        expect("", command, 0, "");
    }
    const double gpu = distance("cpu.png", "gpu.png"), other = distance("cpu.png", "other.png");
    cr_expect_lt(8 * gpu, other, "mean differences are %g, and %g of another seed", gpu, other);
    rf_spawn_expect(&r, "meta gpu.png", 0, "");
    cr_expect(strstr(r.out, "Precision                        f16"), "%s", r.out);
}
