/* `refinery explain`: what a command would do, without reading any weights.
 *
 * It takes render's options.  Files may be missing: two SDXL epsilon experts are assumed then, and
 * of those that are given only the headers are read. */
#include <stdio.h>
#include <string.h>

#include "tools/explain_report.h"
#include "tools/rendering.h"
#include "tools/start.h"

static const rf_option ROWS[] = {
    {.name = "hires-steps",
     .kind = RF_OPTION_INT,
     .offset = offsetof(rf_request, hires_steps),
     .value = "H",
     .help = "of a hires pass of H steps, after one of --steps",
     .group = "Pictures",
     .min = 1,
     .max = 10000},
    RF_COMMON_OPTIONS(rf_request, RF_PLACE_HELP),
};

static const rf_option *const OPTIONS[] = {rf_options_recipe,
                                           rf_options_experts,
                                           rf_options_loras,
                                           rf_options_stages,
                                           rf_options_prompts,
                                           rf_options_sampling,
                                           rf_options_conditioning,
                                           rf_options_noise,
                                           rf_options_pictures,
                                           rf_options_init,
                                           rf_options_count,
                                           rf_options_batch,
                                           ROWS,
                                           NULL};

/* What the command line itself gets wrong; the engine's warnings are in the explanation. */
static void warn(void *user, const char *message)
{
    rf_console_warning(&((rf_invocation *)user)->console, message);
}

/* ---- other rules -------------------------------------------------------------------------- */

/* The switch point as a fraction, which is what `steps`, `noise` and `timesteps` take; negative:
 * not one. */
static double switch_fraction(const rf_job *job)
{
    const char *by = job->switch_by;
    if (strcmp(by, "sigma") == 0) return -1;
    if (strcmp(by, "step") == 0) return job->stages[0].until / job->steps;
    return job->stages[0].until;
}

static void add_landing(rf_explained *e, const char *rule, const rf_explanation *x)
{
    if (x->handovers == 0 || x->calls == 0) return;
    const rf_switch_info *at = &x->handover[0];
    e->landing[e->landings++] = (rf_landing){rule, at->call, at->step, at->sigma};
}

/* A number beyond a rule's range is no error here: the rule is left out. */
static void find_landings(rf_explained *e, rf_engine *engine)
{
    static const char *const RULES[RF_LANDINGS_MAX] = {"steps", "noise", "timesteps"};
    const double             fraction = switch_fraction(e->job);
    if (e->job->stage_count != 2 || fraction < 0) return;
    for (int i = 0; i < RF_LANDINGS_MAX; i++) {
        const rf_explanation *x = NULL;
        rf_stage              stages[RF_REQUEST_STAGES] = {e->job->stages[0], e->job->stages[1]};
        rf_job                job = *e->job;
        stages[0].until = fraction;
        job.stages = stages;
        job.switch_by = RULES[i];
        if (strcmp(RULES[i], e->explanation->switch_by) == 0) {
            add_landing(e, RULES[i], e->explanation);
        } else if (rf_explain(&x, engine, &job, e->hires_steps, NULL) == RF_OK) {
            add_landing(e, RULES[i], x);
            rf_explanation_free(x);
        }
    }
}

static void warn_of_predictions(rf_invocation *in, const rf_request *q)
{
    char text[120];
    for (int i = 0; i < q->job.stage_count; i++) {
        if (q->files[i] || !q->predictions[i]) continue;
        snprintf(text, sizeof text, "prediction %s of stage %d has no effect without its file",
                 q->predictions[i], i + 1);
        warn(in, text);
    }
}

static rf_status run_explain(rf_invocation *in)
{
    rf_status             st = RF_OK;
    rf_request           *q = in->values;
    rf_rendering          r = {.in = in, .silent = 1};
    rf_start              start = {.init = {.rgb = NULL}};
    const rf_explanation *x = NULL;
    q->files_optional = 1;
    RF_TRY(rf_request_settle(in, q, warn, in));
    RF_TRY(rf_start_settle(&start, in, q, warn, in));
    warn_of_predictions(in, q);
    rf_rendering_begin(&r, in, q, &q->job);
    RF_TRY(rf_rendering_open(&r, q->files, q->predictions, NULL));
    RF_TRY(rf_rendering_add_loras(&r, warn, in));
    RF_TRY(rf_rendering_add_embeddings(&r, warn, in));
    RF_TRY(rf_explain(&x, r.experts.engine, &r.job, q->hires_steps, &in->trouble.error));
    rf_explained e = {.job = &r.job,
                      .explanation = x,
                      .hires_steps = q->hires_steps,
                      .verbose = in->console.verbose};
    find_landings(&e, r.experts.engine);
    if (in->console.json)
        rf_explain_print_json(&e);
    else
        rf_explain_print_text(&e);
done:
    rf_explanation_free(x);
    st = rf_rendering_release(&r, st);
    rf_start_release(&start);
    rf_request_release(q);
    return st;
}

const rf_verb rf_verb_explain = {
    .name = "explain",
    .summary = "shows what a render would do, call by call",
    .examples = "refinery explain -x 0.5 -p \"[score_9:masterpiece:switch], 1girl\"\n"
                "refinery explain --json --sampler \"DPM++ 2M\" --steps 20 -p \"a cat\"\n",
    .usage = "[--base FILE] [--refiner FILE] --prompt TEXT [options]",
    .notes = "Prompts as parsed, tokens, the noise level of every call, who makes it, and\n"
             "where the switch lands. Files are not needed, and only their headers read.\n",
    .options = OPTIONS,
    .operands_max = 1,
    .values_bytes = sizeof(rf_request),
    .prepare = rf_request_prepare,
    .run = run_explain,
};
