/* `refinery render`: one picture, or a few, by a base and a refiner.
 *
 * Everything that can be wrong is found before the first weight is read: the request, the output
 * files, the experts' headers, the plan.  Only then the work begins. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "engine/refinery.h"
#include "tools/cache_path.h"
#include "tools/exit_codes.h"
#include "tools/progress.h"
#include "tools/render_options.h"
#include "tools/render_outputs.h"
#include "tools/render_report.h"
#include "tools/signals.h"
#include "tools/text_input.h"
#include "tools/verbs.h"

typedef struct render {
    rf_invocation    *in;
    rf_render_values *v;
    char             *prompt_file_text;
    rf_outputs        outputs;
    char             *hash_cache;
    rf_engine        *engine;
    rf_expert        *base, *refiner; /* the same object if they are one file */
    rf_stage          stages[2];
    rf_job            job;
    rf_plan          *plan;
    rf_report         report;
    rf_meter          meter;
} render;

static void warn(void *user, const char *message)
{
    render *r = user;
    rf_console_warning(&r->in->console, message);
    rf_report_warn(&r->report, message);
}

/* ---- the request -------------------------------------------------------------------------- */

static rf_status read_prompts(render *r)
{
    rf_status         st = RF_OK;
    rf_render_values *v = r->v;
    rf_trouble       *t = &r->in->trouble;
    if (v->prompt && v->prompt_file) {
        st = rf_fail(&t->error, RF_E_ARG, "--prompt and --prompt-file exclude each other");
        goto done;
    }
    RF_TRY(rf_prompt_check(v->prompt, "--prompt", t));
    RF_TRY(rf_prompt_check(v->negative, "--negative", t));
    RF_TRY(rf_prompt_check(v->refiner_prompt, "--refiner-prompt", t));
    RF_TRY(rf_prompt_check(v->refiner_negative, "--refiner-negative", t));
    if (v->prompt_file) RF_TRY(rf_prompt_read(&r->prompt_file_text, v->prompt_file, t));
    if (v->prompt_file) v->prompt = r->prompt_file_text;
done:
    return st;
}

/* --width and --height replace --size's; both are held to its rules. */
static rf_status settle_size(render *r)
{
    rf_render_values *v = r->v;
    char              text[40];
    if (!v->width && !v->height) return RF_OK;
    snprintf(text, sizeof text, "%dx%d", v->width ? v->width : v->size.width,
             v->height ? v->height : v->size.height);
    for (const rf_option *o = rf_render_options; o->name; o++)
        if (o->kind == RF_OPTION_SIZE)
            return rf_option_convert(o, "--size", text, &v->size, &r->in->trouble);
    return rf_fail(&r->in->trouble.error, RF_E_BUG, "render has no --size");
}

/* A random seed has 32 bits, as A1111's, so that it fits whatever reads the metadata. */
static rf_status settle_seed(render *r)
{
    uint32_t random = 0;
    if (r->v->seed == RF_SEED_RANDOM) {
        if (getrandom(&random, sizeof random, 0) != sizeof random) {
            r->in->exit_code = RF_EXIT_OS;
            return rf_fail(&r->in->trouble.error, RF_E_BUG, "the system gives no random numbers");
        }
        r->v->seed = random;
    }
    if (r->v->seed > INT64_MAX - (r->v->count - 1))
        return rf_fail(&r->in->trouble.error, RF_E_ARG,
                       "--seed %lld: counting up for %d pictures goes beyond %lld",
                       (long long)r->v->seed, r->v->count, (long long)INT64_MAX);
    return RF_OK;
}

/* Flags that only a refiner could heed, given without one. */
static void warn_without_refiner(render *r)
{
    static const char *const FLAGS[] = {"switch-at", "refiner-prompt", "refiner-negative",
                                        "refiner-cfg-scale"};
    char                     text[160];
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++) {
        if (!rf_args_given(r->in->verb, &r->in->args, FLAGS[i])) continue;
        snprintf(text, sizeof text, "--%s has no effect without --refiner: the base does all steps",
                 FLAGS[i]);
        warn(r, text);
    }
}

static rf_status check_request(render *r)
{
    rf_status         st = RF_OK;
    rf_render_values *v = r->v;
    rf_trouble       *t = &r->in->trouble;
    if (!v->base) {
        rf_trouble_hint(t, "refinery render --base pony.safetensors --prompt \"1girl, forest\"");
        st = rf_fail(&t->error, RF_E_ARG, "--base is missing: which checkpoint shall render?");
        goto done;
    }
    if (strcmp(v->device, "cuda") == 0) {
        rf_trouble_hint(t, "--device cpu works here");
        st = rf_fail(&t->error, RF_E_DEVICE, "--device cuda: this build computes on the CPU only");
        goto done;
    }
    if (v->refiner && strcmp(v->refiner, "none") == 0) v->refiner = NULL;
    RF_TRY(read_prompts(r));
    RF_TRY(settle_size(r));
    RF_TRY(settle_seed(r));
    if (!v->refiner) warn_without_refiner(r);
done:
    return st;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static rf_status open_experts(render *r)
{
    rf_status               st = RF_OK;
    const rf_render_values *v = r->v;
    rf_error               *err = &r->in->trouble.error;
    r->hash_cache = rf_cache_path_sha256();
    const rf_options options = {
        .device = strcmp(v->device, "auto") == 0 ? NULL : v->device,
        .dtype = v->dtype,
        .threads = v->threads,
        .hash_cache = r->hash_cache,
        .warn = warn,
        .user = r,
    };
    RF_TRY(rf_engine_create(&r->engine, &options, err));
    RF_TRY(rf_expert_open(&r->base, r->engine, v->base, err));
    if (v->refiner && same_file(v->base, v->refiner))
        r->refiner = r->base;
    else if (v->refiner)
        RF_TRY(rf_expert_open(&r->refiner, r->engine, v->refiner, err));
done:
    return st;
}

static rf_status make_plan(render *r)
{
    const rf_render_values *v = r->v;
    r->stages[0] = (rf_stage){
        .expert = r->base,
        .until = r->refiner ? v->switch_at : 1,
        .prompt = v->prompt ? v->prompt : "",
        .negative = v->negative ? v->negative : "",
        .cfg_scale = (float)v->cfg_scale,
    };
    r->stages[1] = (rf_stage){
        .expert = r->refiner,
        .until = 1,
        .prompt = v->refiner_prompt,
        .negative = v->refiner_negative,
        .cfg_scale = (float)v->refiner_cfg_scale,
    };
    r->job = rf_job_default();
    r->job.stages = r->stages;
    r->job.stage_count = r->refiner ? 2 : 1;
    r->job.sampler = v->sampler;
    r->job.schedule = v->schedule;
    r->job.rng = v->rng;
    r->job.vae = v->vae;
    r->job.steps = v->steps;
    r->job.width = v->size.width;
    r->job.height = v->size.height;
    r->job.seed = (uint64_t)v->seed;
    r->job.count = v->count;
    r->job.batch = v->batch;
    return rf_plan_create(&r->plan, r->engine, &r->job, &r->in->trouble.error);
}

/* ---- the work ----------------------------------------------------------------------------- */

static int on_progress(void *user, const rf_progress *progress)
{
    render *r = user;
    rf_meter_update(&r->meter, progress, rf_meter_clock());
    return rf_signals_caught();
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    rf_status               st = RF_OK;
    render                 *r = user;
    const rf_render_values *v = r->v;
    const char             *path = r->outputs.paths[image->index];
    const double            begun = rf_meter_clock();
    rf_signals_hold();
    st = rf_png_write(path, image->rgb, image->width, image->height,
                      v->no_metadata ? NULL : image->parameters, v->overwrite, err);
    rf_signals_release();
    if (st != RF_OK) goto done;
    r->report.write_s += rf_meter_clock() - begun;
    rf_console_clear_line(&r->in->console);
    RF_TRY(rf_report_picture(&r->report, v->common.json, path, image, err));
    RF_TRY(rf_console_flush(err));
done:
    return st;
}

static void tell_timings(const render *r)
{
    char       text[300];
    rf_timings t = {0};
    rf_plan_get_timings(r->plan, &t);
    snprintf(text, sizeof text,
             "reading %.2f s, encoding %.2f s, denoising %.2f s, decoding %.2f s, writing %.2f s; "
             "switch %.0f us, between calls %.0f us",
             t.load, t.encode, t.denoise, t.decode, r->report.write_s, t.flip_us, t.call_gap_us);
    rf_console_note(&r->in->console, text);
}

static rf_status run_plan(render *r)
{
    rf_status          st = RF_OK;
    rf_console        *console = &r->in->console;
    rf_error          *err = &r->in->trouble.error;
    const rf_callbacks callbacks = {.progress = on_progress, .image = on_image, .user = r};
    RF_TRY(rf_meter_begin(&r->meter, console, rf_meter_mode_of(console, r->v->progress), r->plan,
                          &r->job, rf_meter_clock(), err));
    st = rf_plan_run(r->plan, &callbacks, err);
    rf_meter_end(&r->meter);
    if (st == RF_OK && console->verbose) tell_timings(r);
done:
    return st;
}

static void release(render *r)
{
    rf_plan_destroy(r->plan);
    if (r->refiner != r->base) rf_expert_close(r->refiner);
    rf_expert_close(r->base);
    rf_engine_destroy(r->engine);
    rf_report_release(&r->report);
    rf_outputs_release(&r->outputs);
    free(r->hash_cache);
    free(r->prompt_file_text);
}

static rf_status run_render(rf_invocation *in)
{
    rf_status st = RF_OK;
    render    r = {.in = in, .v = in->values};
    if (!rf_args_given(in->verb, &in->args, "refiner-cfg-scale")) r.v->refiner_cfg_scale = -1;

    RF_TRY(check_request(&r));
    RF_TRY(rf_outputs_prepare(&r.outputs, r.v, &in->trouble));
    RF_TRY(open_experts(&r));
    RF_TRY(make_plan(&r));
    r.report.values = r.v;
    r.report.device = rf_engine_device(r.engine);
    r.report.job = &r.job;
    r.report.plan = r.plan;
    if (r.v->dry_run)
        RF_TRY(rf_report_plan(&r.report, r.v->common.json, &in->trouble.error));
    else
        RF_TRY(run_plan(&r));
done:
    release(&r);
    return st;
}

const rf_verb rf_verb_render = {
    .name = "render",
    .summary = "pictures by a base and a refiner, in one denoising",
    .examples = "refinery render -m pony.safetensors -r anime.safetensors -x 0.5 -p \"1girl\"\n"
                "refinery render -m pony.safetensors -p \"a fox\" --count 4 -o fox-{seed}.png\n",
    .usage = "--base FILE [--refiner FILE] --prompt TEXT [options]",
    .notes = "The base does the first part of the steps, the refiner the rest, in the same\n"
             "latent picture. --switch-at 0.5 hands over halfway; 1 = base only,\n"
             "0 = refiner only. Values in [brackets] are the defaults.\n",
    .options = rf_render_options,
    .values_bytes = sizeof(rf_render_values),
    .run = run_render,
};
