/* `refinery convert IN OUT`: a checkpoint in another type or layout, or with LoRAs baked in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/json.h"
#include "tools/lora_spec.h"
#include "tools/signals.h"
#include "tools/verbs.h"

typedef struct convert_values {
    rf_common   common;
    const char *dtype, *layout, *vae;
    rf_texts    loras;
    int         lora_partial, overwrite, threads;
} convert_values;

static const char *const DTYPES[] = {"f16", "bf16", "f32", NULL};
static const char *const LAYOUTS[] = {"file", "diffusers", NULL};

#define AT(member) .offset = offsetof(convert_values, member)

static const rf_option ROWS[] = {
    {.name = "dtype",
     .kind = RF_OPTION_CHOICE,
     AT(dtype),
     .value = "TYPE",
     .help = "f16, bf16, f32; else tensors keep theirs, 8 bits end",
     .group = "Result",
     .aliases = "type precision",
     .choices = DTYPES},
    {.name = "layout",
     .kind = RF_OPTION_CHOICE,
     AT(layout),
     .value = "NAME",
     .help = "file (OUT.safetensors) or diffusers (a folder)",
     .group = "Result",
     .choices = LAYOUTS},
    {.name = "lora",
     .kind = RF_OPTION_TEXTS,
     AT(loras),
     .value = "FILE",
     .help = "a LoRA to bake in: FILE[:STRENGTH[:TEXT]]",
     .group = "Result",
     .aliases = "lyco"},
    {.name = "lora-partial",
     .kind = RF_OPTION_FLAG,
     AT(lora_partial),
     .help = "bake in LoRAs whose modules do not all fit",
     .group = "Result"},
    {.name = "vae",
     .kind = RF_OPTION_INPUT,
     AT(vae),
     .value = "FILE",
     .help = "a file whose VAE takes the place of IN's own",
     .group = "Result",
     .extension = "safetensors"},
    {.name = "overwrite",
     .kind = RF_OPTION_FLAG,
     AT(overwrite),
     .help = "replace an existing OUT; else that is an error",
     .group = "Result",
     .aliases = "force"},
    {.name = "threads",
     .kind = RF_OPTION_INT,
     .place = RF_PLACE_MORE,
     AT(threads),
     .value = "N",
     .fallback = "0",
     .help = "that merge LoRAs; 0: one per core",
     .group = "Result",
     .max = 1024},
    RF_COMMON_OPTIONS(convert_values, RF_PLACE_HELP),
};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

/* ---- LoRAs -------------------------------------------------------------------------------- */

typedef struct bake {
    rf_lora_use use[RF_TEXTS_MAX];
    char       *path[RF_TEXTS_MAX];
    int         count;
} bake;

static rf_status read_loras(bake *b, const convert_values *v, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    for (int i = 0; i < v->loras.count; i++) {
        rf_lora_spec spec;
        RF_TRY(rf_lora_spec_option(&spec, "--lora", v->loras.item[i], trouble));
        char *path = strndup(spec.name, spec.length);
        if (!path) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a file name");
        b->path[b->count] = path;
        b->use[b->count++] = (rf_lora_use){
            .path = path, .unet = spec.unet, .text = spec.text, .partial = v->lora_partial};
    }
done:
    return st;
}

/* ---- on the way --------------------------------------------------------------------------- */

typedef struct watch {
    rf_console *console;
    int         percent; /* last shown */
} watch;

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    watch    *w = user;
    char      line[80];
    const int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (w->console->terminal && !w->console->quiet && percent != w->percent && percent <= 100) {
        snprintf(line, sizeof line, "writing %.1f GB: %d %%", (double)total * 1e-9, percent);
        rf_console_line(w->console, line);
    }
    w->percent = percent;
    return rf_signals_caught();
}

static void on_warning(void *user, const char *message)
{
    const watch *w = user;
    rf_console_warning(w->console, message);
}

/* ---- the verb ----------------------------------------------------------------------------- */

static rf_status print_result(const rf_invocation *in, const rf_converted *result, rf_error *err)
{
    const convert_values *v = in->values;
    const char           *to = in->args.operands[1];
    if (v->common.json)
        return rf_json_print(json_pack("{s:i, s:o, s:s, s:o, s:i, s:i}", "schema", 1, "path",
                                       rf_json_text(to), "sha256", result->sha256, "bytes",
                                       rf_json_bytes(result->bytes), "tensors", result->tensors,
                                       "dropped", result->dropped),
                             err);
    puts(to);
    if (v->common.quiet) return RF_OK;
    printf("  %.3f GB, %d tensors", (double)result->bytes * 1e-9, result->tensors);
    if (result->dropped) printf(", %d of the input left out", result->dropped);
    printf("\n  SHA-256 %s (AutoV2 %.10s)\n", result->sha256, result->sha256);
    return RF_OK;
}

static rf_status run_convert(rf_invocation *in)
{
    rf_status             st = RF_OK;
    const convert_values *v = in->values;
    watch                 w = {.console = &in->console, .percent = -1};
    bake                  b = {.count = 0};
    rf_converted          result;
    RF_TRY(read_loras(&b, v, &in->trouble));
    const rf_convert_options options = {
        .dtype = v->dtype,
        .layout = v->layout,
        .loras = b.use,
        .lora_count = b.count,
        .vae = v->vae,
        .overwrite = v->overwrite,
        .threads = v->threads,
        .progress = on_progress,
        .warn = on_warning,
        .user = &w,
    };
    st = rf_convert_model(&result, in->args.operands[1], in->args.operands[0], &options,
                          &in->trouble.error);
    rf_console_clear_line(&in->console);
    if (st == RF_OK) st = print_result(in, &result, &in->trouble.error);
done:
    for (int i = 0; i < b.count; i++) free(b.path[i]);
    return st;
}

const rf_verb rf_verb_convert = {
    .name = "convert",
    .summary = "rewrites a checkpoint: type, layout, LoRAs baked in",
    .examples = "refinery convert pony-fp32.safetensors pony.safetensors --dtype f16\n"
                "refinery convert pony.safetensors pony-folder --lora detail.safetensors:0.8\n",
    .usage = "[options] IN OUT",
    .notes = "IN is a file or a diffusers folder; OUT is a folder unless it ends in\n"
             ".safetensors. Nothing half-written ever appears under OUT.\n",
    .options = OPTIONS,
    .operands_min = 2,
    .operands_max = 2,
    .values_bytes = sizeof(convert_values),
    .run = run_convert,
};
