/* `refinery relays`: the named relays, which `--relay NAME` renders with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json_writer.h"
#include "tools/relay_file.h"
#include "tools/relay_folder.h"
#include "tools/verbs.h"
#include "tools/wrap.h"

typedef struct relays_values {
    rf_common common;
} relays_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(relays_values, RF_PLACE_HELP)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static const char *file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "(any expert)";
}

static void print_json(rf_json_writer *w, const char *name, const char *path, const rf_relay *relay)
{
    rf_json_open(w, NULL, '{');
    rf_json_put_text(w, "name", name);
    rf_json_put_text(w, "path", path);
    rf_json_put_text(w, "summary", relay->summary);
    rf_json_open(w, "stages", '[');
    for (int i = 0; i < relay->stages; i++) {
        rf_json_open(w, NULL, '{');
        rf_json_put_text(w, "expert", relay->expert[i]);
        if (i + 1 < relay->stages) rf_json_put_real(w, "until", relay->stage[i].until);
        rf_json_close(w, '}');
    }
    rf_json_close(w, ']');
    rf_json_close(w, '}');
}

static void print_text(const char *name, const rf_relay *relay)
{
    const char *unit = relay->switch_by ? relay->switch_by : "steps";
    char        until[RF_REAL_BYTES];
    rf_text_put(stdout, name, strlen(name));
    if (relay->summary) {
        fputs(": ", stdout);
        rf_text_put(stdout, relay->summary, strlen(relay->summary));
    }
    fputs("\n  ", stdout);
    for (int i = 0; i < relay->stages; i++) {
        const char *file = file_name(relay->expert[i]);
        rf_text_put(stdout, file, strlen(file));
        if (i + 1 < relay->stages)
            printf(" to %s, ", rf_real_text(until, relay->stage[i].until));
        else
            printf(relay->stages > 1 ? " to the end (by %s)\n" : "\n", unit);
    }
}

/* One that cannot be read is told, and the others are listed. */
static rf_status list_one(rf_invocation *in, rf_json_writer *w, const char *name)
{
    rf_trouble trouble = {.hint = ""};
    rf_relay  *relay = calloc(1, sizeof *relay);
    char      *path = NULL;
    if (!relay) return rf_fail(&in->trouble.error, RF_E_NOMEM, "no memory for the relay %s", name);
    rf_status st = rf_relay_path(&path, name, &trouble);
    if (st == RF_OK) st = rf_relay_read_file(relay, path, &trouble);
    if (st != RF_OK)
        rf_console_warning(&in->console, trouble.error.message);
    else if (in->console.json)
        print_json(w, name, path, relay);
    else
        print_text(name, relay);
    rf_relay_free(relay);
    free(relay);
    free(path);
    return RF_OK;
}

static rf_status run_relays(rf_invocation *in)
{
    rf_status      st = RF_OK;
    char         **names = NULL, *folder = rf_relay_folder();
    rf_json_writer w = {.out = stdout};
    RF_TRY(rf_relay_names(&names, &in->trouble));
    if (in->console.json) {
        rf_json_open(&w, NULL, '{');
        rf_json_put_int(&w, "schema", 1);
        rf_json_put_text(&w, "folder", folder);
        rf_json_open(&w, "relays", '[');
    } else if (!names[0]) {
        printf("no relays in %s\n", folder ? folder : "~/.config/refinery/relays");
    }
    for (int i = 0; names[i]; i++) RF_TRY(list_one(in, &w, names[i]));
    if (in->console.json) {
        rf_json_close(&w, ']');
        rf_json_close(&w, '}');
        putchar('\n');
    }
done:
    for (int i = 0; names && names[i]; i++) free(names[i]);
    free(names);
    free(folder);
    return st;
}

const rf_verb rf_verb_relays = {
    .name = "relays",
    .summary = "lists the relays that have a name",
    .examples = "refinery relays\n"
                "refinery render --relay ponymix -p \"1girl, forest\"\n",
    .usage = "[--json]",
    .notes = "A relay is a JSON file in ~/.config/refinery/relays, or wherever\n"
             "XDG_CONFIG_HOME says; refinery render ... --save-relay NAME makes one. Stages,\n"
             "there and in render --stage 'KEY=VALUE;KEY=VALUE;...', have these keys:\n"
             "\n"
             "  expert=FILE       who denoises; a file that comes again is loaded once\n"
             "  until=X           where the next stage takes over, in --switch-by's unit\n"
             "  cfg=X, cfg=A..B   guidance, from A at the first call to B at the last\n"
             "  sampler=NAME      else --sampler\n"
             "  eta=X, s_churn=X, s_tmin=X, s_tmax=X, s_noise=X\n"
             "                    numbers of the sampler; else those of the options\n"
             "  clip_skip=N       with --clip-l-skip; else --clip-skip\n"
             "  lora=NAME:X:Y     a LoRA and its strengths; any number of them\n"
             "  prediction=KIND   epsilon, v or v-ztsnr, where the file does not say so\n"
             "  negative=TEXT     what to avoid; else the stage's before; @FILE reads it\n"
             "  prompt=TEXT       likewise; the last pair of --stage, to the end\n",
    .options = OPTIONS,
    .values_bytes = sizeof(relays_values),
    .run = run_relays,
};
