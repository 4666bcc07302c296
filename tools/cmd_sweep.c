/* `refinery sweep`: a grid of pictures over one to three axes, every distinct denoising state of
 * which is computed once.
 *
 * Its options are those of render, whose struct comes first in its own, and what says which cells
 * there are and where they go. */
#include "tools/exit_codes.h"
#include "tools/signals.h"
#include "tools/sweep/sweep.h"

#define AT(member) .offset = offsetof(rf_sweep_options, member)

static const rf_option SWEEP[] = {
    {.name = "x",
     .kind = RF_OPTION_NAME,
     AT(axis[RF_AXIS_X]),
     .value = "AXIS",
     .help = "columns, as \"Seed: 1-4\"; also 0-1 [11], 1-9 (+2)",
     .group = "Sweep",
     .choices = rf_axis_names},
    {.name = "y",
     .kind = RF_OPTION_NAME,
     AT(axis[RF_AXIS_Y]),
     .value = "AXIS",
     .help = "likewise, of the rows",
     .group = "Sweep",
     .choices = rf_axis_names},
    {.name = "z",
     .kind = RF_OPTION_NAME,
     AT(axis[RF_AXIS_Z]),
     .value = "AXIS",
     .help = "likewise, of several grids",
     .group = "Sweep",
     .choices = rf_axis_names},
    {.name = "plan",
     .kind = RF_OPTION_INPUT,
     AT(plan),
     .value = "FILE",
     .help = "reads the axes from a JSON file instead",
     .group = "Sweep",
     .extension = "json"},
    {.name = "output",
     .letter = 'o',
     .kind = RF_OPTION_OUTPUT,
     AT(folder),
     .value = "FOLDER",
     .fallback = "sweep",
     .help = "gets cells, grids, report.html",
     .group = "Sweep"},
    {.name = "resume",
     .kind = RF_OPTION_FLAG,
     AT(resume),
     .help = "go on with the sweep in FOLDER",
     .group = "Sweep"},
    {.name = "overwrite",
     .kind = RF_OPTION_FLAG,
     AT(request.overwrite),
     .help = "begin again in FOLDER",
     .group = "Sweep",
     .aliases = "force"},
    {.name = "shard",
     .kind = RF_OPTION_TEXT,
     .place = RF_PLACE_MORE,
     AT(shard),
     .value = "I/N",
     .help = "make only part I of N; --resume gathers them",
     .group = "Sweep"},
    {.name = "cell-pixels",
     .kind = RF_OPTION_INT,
     .place = RF_PLACE_MORE,
     AT(cell_pixels),
     .value = "N",
     .fallback = "0",
     .help = "longest side of a cell in grids; 0: as it is",
     .group = "Sweep",
     .max = 8192},
    {.name = "no-grid",
     .kind = RF_OPTION_FLAG,
     .place = RF_PLACE_MORE,
     AT(no_grid),
     .help = "write no grids",
     .group = "Sweep"},
    {.name = "no-report",
     .kind = RF_OPTION_FLAG,
     .place = RF_PLACE_MORE,
     AT(no_report),
     .help = "write no report.html",
     .group = "Sweep"},
    {.name = "seconds-per-call",
     .kind = RF_OPTION_REAL,
     .place = RF_PLACE_MORE,
     AT(seconds_per_call),
     .value = "S",
     .fallback = "0",
     .help = "for --dry-run's estimate; 0: two calls are measured",
     .group = "Sweep",
     .max = 1e6},
    {.name = NULL},
};

static const rf_option COMMON[] = {RF_COMMON_OPTIONS(rf_request, RF_PLACE_HELP)};

static const rf_option *const OPTIONS[] = {SWEEP,
                                           rf_options_experts,
                                           rf_options_loras,
                                           rf_options_stages,
                                           rf_options_recipe,
                                           rf_options_prompts,
                                           rf_options_sampling,
                                           rf_options_noise,
                                           rf_options_conditioning,
                                           rf_options_pictures,
                                           rf_options_init,
                                           rf_options_batch,
                                           rf_options_machine,
                                           COMMON,
                                           NULL};

/* Ranks wait for each other at their end, and main speaks only after it: so rank 0 says now what
 * went wrong, and the others have it said. */
static rf_status speak_first(rf_sweep *s, rf_status st)
{
    rf_trouble *t = &s->in->trouble;
    const int   by_signal = st == RF_E_CANCELLED && rf_signals_caught();
    if (st == RF_OK || s->ranks.size == 1) return st;
    if (s->ranks.rank > 0) {
        rf_ranks_give_up(&s->ranks, by_signal ? "it was interrupted" : t->error.message);
        return st;
    }
    s->in->exit_code = rf_console_error(&s->in->console, st, t);
    return RF_OK;
}

static rf_status run_sweep(rf_invocation *in)
{
    rf_status         st = RF_OK;
    rf_sweep_options *o = in->values;
    rf_sweep          s = {.in = in, .o = o};
    int               partial = 0;
    RF_TRY(rf_sweep_prepare(&s));
    if (o->request.dry_run) {
        RF_TRY(rf_sweep_say_plan(&s));
        goto done;
    }
    RF_TRY(rf_sweep_open_folder(&s));
    RF_TRY(rf_sweep_run(&s));
    RF_TRY(rf_sweep_finish(&s));
    partial = s.ranks.rank == 0 && s.done < s.mine;
done:
    st = speak_first(&s, st);
    rf_sweep_release(&s);
    if (partial && !rf_signals_caught())
        in->exit_code = RF_EXIT_PARTIAL; /* else main has its code */
    rf_request_release(&o->request);
    return st;
}

const rf_verb rf_verb_sweep = {
    .name = "sweep",
    .summary = "a grid over switch points, seeds, prompts, ...; shared work once",
    .examples = "refinery sweep -m pony.safetensors -r anime.safetensors \\\n"
                "    --x \"Refiner switch at: 0-1 [11]\" --y \"Seed: 1-4\" -p \"1girl, forest\"\n",
    .usage = "--base FILE --x AXIS [--y AXIS] --prompt TEXT [options]",
    .notes = "Axes are A1111's: Refiner switch at, Refiner checkpoint, Seed, Steps, CFG\n"
             "scale, Sampler, Prompt S/R, ...; --dry-run tells what a sweep will take.\n",
    .more = "denoise recipe base-tags refiner-tags switch-at refiner-negative",
    .options = OPTIONS,
    .operands_max = 1,
    .values_bytes = sizeof(rf_sweep_options),
    .prepare = rf_request_prepare,
    .run = run_sweep,
};
