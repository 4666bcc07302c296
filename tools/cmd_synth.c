/* `refinery synth`: a random checkpoint of the exact SDXL layout, for tests and benchmarks. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/files/synth.h"
#include "tools/json.h"
#include "tools/signals.h"
#include "tools/verbs.h"

typedef struct synth_values {
    rf_common   common;
    const char *arch, *dtype;
    int         seed;
    int         overwrite;
} synth_values;

static const char *const ARCHS[] = {"tiny", "sdxl", "tiny-refiner", "sdxl-refiner", NULL};
static const char *const DTYPES[] = {"f16", "bf16", "f32", NULL};

static const rf_option ROWS[] = {
    {.name = "arch",
     .kind = RF_OPTION_CHOICE,
     .offset = offsetof(synth_values, arch),
     .value = "NAME",
     .fallback = "tiny",
     .help = "tiny, sdxl (7 GB), tiny- or sdxl-refiner",
     .group = "Checkpoint",
     .choices = ARCHS},
    {.name = "seed",
     .letter = 's',
     .kind = RF_OPTION_INT,
     .offset = offsetof(synth_values, seed),
     .value = "N",
     .fallback = "1",
     .help = "the same seed gives the same file everywhere",
     .group = "Checkpoint",
     .max = 2147483647},
    {.name = "dtype",
     .kind = RF_OPTION_CHOICE,
     .offset = offsetof(synth_values, dtype),
     .value = "TYPE",
     .fallback = "f16",
     .help = "f16, bf16, f32",
     .group = "Checkpoint",
     .aliases = "type",
     .choices = DTYPES},
    {.name = "overwrite",
     .kind = RF_OPTION_FLAG,
     .offset = offsetof(synth_values, overwrite),
     .help = "replace an existing file; else that is an error",
     .group = "Checkpoint",
     .aliases = "force"},
    RF_COMMON_OPTIONS(synth_values, RF_PLACE_HELP),
};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static rf_filetype filetype_of(const char *name)
{
    if (strcmp(name, "bf16") == 0) return RF_FILE_BF16;
    return strcmp(name, "f32") == 0 ? RF_FILE_F32 : RF_FILE_F16;
}

static rf_status check_name(const char *path, rf_trouble *trouble)
{
    static const char END[] = ".safetensors";
    const size_t      len = strlen(path), end = sizeof END - 1;
    if (len > end && strcasecmp(path + len - end, END) == 0) return RF_OK;
    rf_trouble_hint(trouble, "%.300s.safetensors", path);
    return rf_fail(&trouble->error, RF_E_ARG, "%.400s does not end in .safetensors", path);
}

/* ---- progress ----------------------------------------------------------------------------- */

typedef struct watch {
    rf_console *console;
    int         percent; /* last shown */
} watch;

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    watch    *w = user;
    char      line[80];
    const int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (w->console->terminal && !w->console->quiet && percent != w->percent) {
        snprintf(line, sizeof line, "writing %.1f GB: %d %%", (double)total * 1e-9, percent);
        rf_console_line(w->console, line);
    }
    w->percent = percent;
    return rf_signals_caught();
}

static rf_status run_synth(rf_invocation *in)
{
    rf_status              st = RF_OK;
    const synth_values    *v = in->values;
    const char            *path = in->args.operands[0];
    watch                  w = {.console = &in->console, .percent = -1};
    const rf_synth_options options = {
        .arch = v->arch,
        .seed = (uint64_t)v->seed,
        .type = filetype_of(v->dtype),
        .overwrite = v->overwrite,
        .progress = on_progress,
        .user = &w,
    };
    RF_TRY(check_name(path, &in->trouble));
    st = rf_synth_write(path, &options, &in->trouble.error);
    rf_console_clear_line(&in->console);
    if (st != RF_OK) goto done;
    if (v->common.json)
        st = rf_json_print(json_pack("{s:i, s:o, s:s, s:i, s:s}", "schema", 1, "path",
                                     rf_json_text(path), "arch", v->arch, "seed", v->seed, "dtype",
                                     v->dtype),
                           &in->trouble.error);
    else
        puts(path);
done:
    return st;
}

const rf_verb rf_verb_synth = {
    .name = "synth",
    .summary = "writes a random checkpoint, for tests and benchmarks",
    .examples = "refinery synth tiny.safetensors\n"
                "refinery synth --arch sdxl --seed 2 full.safetensors\n"
                "refinery synth --arch tiny-refiner refiner.safetensors\n",
    .usage = "[options] OUT.safetensors",
    .notes = "The file has the exact layout of SDXL, or of Stability's refiner for it, and\n"
             "random weights of a sane scale: it renders, quickly or slowly, but shows\n"
             "nothing.\n",
    .options = OPTIONS,
    .operands_min = 1,
    .operands_max = 1,
    .values_bytes = sizeof(synth_values),
    .run = run_synth,
};
