/* From a job to pictures; see rendering.h. */
#include "tools/rendering.h"

#include <stdio.h>

#include "tools/lora_report.h"
#include "tools/prediction_report.h"
#include "tools/signals.h"
#include "tools/start.h"

void rf_rendering_begin(rf_rendering *r, rf_invocation *in, const rf_request *request,
                        const rf_job *job)
{
    r->in = in;
    r->request = request;
    r->job = *job;
    for (int i = 0; i < job->stage_count && i < RF_STAGES_MAX; i++) r->stages[i] = job->stages[i];
    r->job.stages = r->stages;
}

void rf_rendering_warn(void *rendering, const char *message)
{
    rf_rendering *r = rendering;
    if (r->silent) return;
    if (rf_report_warn(&r->report, message)) rf_console_warning(&r->in->console, message);
}

static void on_trace(void *rendering, const char *text, size_t bytes)
{
    rf_rendering *r = rendering;
    fwrite(text, 1, bytes, r->trace.out); /* failures are kept until the end */
}

rf_status rf_rendering_open(rf_rendering *r, const char *const *paths,
                            const char *const *predictions, const char *dtype)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &r->in->trouble;
    const int   traced = r->request->trace && !r->request->dry_run;
    if (traced) RF_TRY(rf_text_file_create(&r->trace, r->request->trace, &t->error));
    RF_TRY(rf_experts_begin(&r->experts, r->request, dtype, rf_rendering_warn,
                            traced ? on_trace : NULL, r, t));
    for (int i = 0; i < r->job.stage_count; i++)
        if (paths[i])
            RF_TRY(rf_experts_open(&r->experts, paths[i], predictions[i], &r->stages[i].expert,
                                   &t->error));
done:
    return st;
}

rf_status rf_rendering_add_loras(rf_rendering *r, void (*warn)(void *user, const char *message),
                                 void         *user)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &r->in->trouble;
    RF_TRY(rf_loras_begin(&r->loras, r->request, t));
    RF_TRY(rf_loras_settle(&r->loras, r->experts.engine, &r->job, r->stages, warn, user, t));
done:
    return st;
}

rf_status rf_rendering_add_embeddings(rf_rendering *r,
                                      void (*warn)(void *user, const char *message), void *user)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &r->in->trouble;
    RF_TRY(rf_embeddings_begin(&r->embeddings, r->request, t));
    RF_TRY(rf_embeddings_settle(&r->embeddings, &r->job, warn, user, t));
done:
    return st;
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* Of all pictures, where a plan has jobs of one picture each, or begins later than with the first.
 */
static int picture_number(const rf_rendering *r, int job_index, int index)
{
    return r->first + job_index + index;
}

static int on_progress(void *user, const rf_progress *progress)
{
    rf_rendering *r = user;
    rf_progress   at = *progress;
    at.image = picture_number(r, progress->job_index, progress->image);
    rf_meter_update(&r->meter, &at, rf_meter_clock());
    return rf_signals_caught();
}

/* preview: the number of the one that the picture replaces; -1: none. */
static rf_status write_picture(rf_rendering *r, const rf_image *image, const char *path,
                               int preview, rf_error *err)
{
    rf_status             st = RF_OK;
    const double          begun = rf_meter_clock();
    const rf_picture_text texts[] = {{"parameters", image->parameters}, {"refinery", image->job}};
    rf_signals_hold();
    st = rf_png_write(path, image->rgb, image->width, image->height, texts,
                      r->request->no_metadata ? 0 : 2, r->request->overwrite, err);
    rf_signals_release();
    if (st != RF_OK) goto done;
    r->report.write_s += rf_meter_clock() - begun;
    rf_console_clear_line(&r->in->console);
    if (preview >= 0) rf_previews_drop(&r->previews, preview);
    RF_TRY(rf_report_picture(&r->report, r->in->console.json, path, image, err));
    RF_TRY(rf_console_flush(err));
done:
    return st;
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    rf_status     st = RF_OK;
    rf_rendering *r = user;
    const int     number = picture_number(r, image->job_index, image->index);
    const int     passes = r->passes.count > 1 ? r->passes.count : 1, last = r->pass == passes - 1;
    if (!last) RF_TRY(rf_pass_picture_keep(&r->made[number - r->first], image, err));
    if (!last && !r->request->start.save_passes) goto done;
    RF_TRY(write_picture(r, image, rf_outputs_path(&r->outputs, number, r->pass, passes),
                         last ? number : -1, err));
done:
    return st;
}

static void on_preview(void *user, const rf_preview *preview)
{
    rf_rendering *r = user;
    rf_preview    at = *preview;
    at.index = picture_number(r, preview->job_index, preview->index);
    rf_previews_show(&r->previews, &at);
}

static void tell_timings(const rf_rendering *r)
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

rf_status rf_rendering_run_plan(rf_rendering *r)
{
    rf_status          st = RF_OK;
    rf_console        *console = &r->in->console;
    rf_error          *err = &r->in->trouble.error;
    const rf_callbacks callbacks = {
        .progress = on_progress, .image = on_image, .preview = on_preview, .user = r};
    if (!r->ran) rf_experts_say_device(&r->experts, r->request, console);
    rf_job shown = *r->report.job; /* one of many, perhaps: pictures are counted through all */
    shown.count = r->job.count;
    RF_TRY(rf_meter_begin(&r->meter, console, rf_meter_mode_of(console, r->request->progress),
                          r->plan, &shown, rf_meter_clock(), err));
    if (r->passes.count > 1)
        rf_meter_pass(&r->meter, r->pass, r->passes.count, rf_rendering_later_steps(r));
    RF_TRY(rf_previews_begin(&r->previews, console, &r->meter, &r->outputs,
                             r->request->keep_previews, err));
    r->ran = 1;
    st = rf_plan_run(r->plan, &callbacks, err);
    rf_meter_end(&r->meter);
    rf_previews_end(&r->previews);
    if (st == RF_OK && console->verbose) tell_timings(r);
done:
    return st;
}

static rf_status check_profiled_steps(rf_rendering *r)
{
    const int   *steps = r->request->profile_steps;
    rf_plan_info info;
    rf_plan_get_info(r->plan, &info);
    if (!steps[0]) return RF_OK;
    if (info.calls == 0)
        rf_rendering_warn(r, "--profile-steps has no effect: DPM adaptive has no steps to count");
    else if (steps[0] > info.steps)
        return rf_fail(&r->in->trouble.error, RF_E_ARG,
                       "--profile-steps %d:%d: the picture has %d steps", steps[0], steps[1],
                       info.steps);
    return RF_OK;
}

rf_status rf_rendering_tell_plan(rf_rendering *r, const rf_job *job)
{
    rf_status st = RF_OK;
    RF_TRY(check_profiled_steps(r));
    r->report.device = rf_engine_device(r->experts.engine);
    r->report.job = job;
    r->report.plan = r->plan;
    r->report.pass = r->pass;
    r->report.passes = r->passes.count;
    if (r->pass == 0) rf_prediction_tell(&r->in->console, &r->job);
    if (r->pass == 0 || (r->pass == 1 && rf_start_refines_picture(r->request))) /* not again */
        rf_lora_report_tell(&r->in->console, r->plan, job);
    if (r->request->dry_run)
        RF_TRY(rf_report_plan(&r->report, r->in->console.json, &r->in->trouble.error));
done:
    return st;
}

rf_status rf_rendering_run(rf_rendering *r)
{
    rf_status st = RF_OK;
    rf_previews_settle(r->request, &r->job, rf_rendering_warn, r);
    if (r->passes.count > 1) return rf_rendering_run_passes(r);
    RF_TRY(rf_plan_create(&r->plan, r->experts.engine, &r->job, &r->in->trouble.error));
    RF_TRY(rf_rendering_tell_plan(r, &r->job));
    if (!r->request->dry_run) RF_TRY(rf_rendering_run_plan(r));
done:
    return st;
}

/* The engine is gone: the trace is complete. */
static rf_status finish_trace(rf_rendering *r, rf_status st)
{
    rf_error *err = &r->in->trouble.error;
    rf_error  lost = {0};
    if (!r->trace.out || !r->ran) {
        rf_text_file_discard(&r->trace);
        return st;
    }
    rf_signals_hold();
    const rf_status written = rf_text_file_commit(&r->trace, st == RF_OK ? err : &lost);
    rf_signals_release();
    if (st == RF_OK) return written;
    if (written != RF_OK) rf_console_warning(&r->in->console, lost.message);
    return st;
}

rf_status rf_rendering_release(rf_rendering *r, rf_status st)
{
    rf_plan_destroy(r->plan);
    rf_pass_pictures_free(r->made, r->room);
    rf_pass_pictures_free(r->before, r->room);
    rf_passes_release(&r->passes);
    rf_loras_end(&r->loras);
    rf_embeddings_end(&r->embeddings);
    rf_experts_end(&r->experts);
    rf_report_release(&r->report);
    rf_outputs_release(&r->outputs);
    return finish_trace(r, st);
}
