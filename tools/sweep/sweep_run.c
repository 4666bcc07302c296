/* The work itself: group after group, cell after cell into the folder and the journal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/hash.h"
#include "tools/signals.h"
#include "tools/sweep/sweep.h"

/* ---- finished cells ------------------------------------------------------------------------- */

/* The picture first, then the row. */
static rf_status write_row(void *user, int cell, const rf_cell_record *record, rf_error *err)
{
    rf_status   st = RF_OK;
    rf_sweep   *s = user;
    rf_console *console = &s->in->console;
    char        path[PATH_MAX], text[RF_ERROR_BYTES + 200];
    RF_TRY(rf_journal_write(s->journal, cell, record, err));
    RF_TRY(rf_sweep_keep(s, cell, record, err));
    rf_meter_finished(&s->meter, s->done + s->failed);
    if (record->state == RF_CELL_FAILED) {
        snprintf(text, sizeof text, "cell %s: %s", s->cells.cell[cell].name, record->error);
        rf_console_warning(console, text);
    } else if (!console->json) {
        rf_sweep_cell_path(s, cell, path);
        rf_console_clear_line(console);
        puts(path);
        RF_TRY(rf_console_flush(err));
    }
done:
    return st;
}

/* Of a job of the plan that runs. */
static rf_status tell(rf_sweep *s, int job, rf_cell_record *record, rf_error *err)
{
    const int   cell = s->map[job];
    rf_job_info info;
    if (rf_plan_get_job(s->now, job, &info) == RF_OK) s->ranks.mine.calls_naive += info.calls_alone;
    record->seconds = rf_meter_clock() - s->began;
    return rf_ranks_tell(&s->ranks, cell, record, write_row, s, err);
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    rf_status             st = RF_OK;
    rf_sweep             *s = user;
    const int             cell = s->map[image->job_index];
    const int             replace = s->o->resume || s->o->request.overwrite;
    const double          begun = rf_meter_clock();
    const rf_picture_text texts[] = {{"parameters", image->parameters}, {"refinery", image->job}};
    char                  path[PATH_MAX], hex[RF_SHA256_HEX];
    rf_cell_record        record = {.state = RF_CELL_DONE, .sha256 = hex};
    rf_sweep_cell_path(s, cell, path);
    rf_signals_hold();
    st = rf_png_write(path, image->rgb, image->width, image->height, texts, 2, replace, err);
    rf_signals_release();
    if (st != RF_OK) goto done;
    RF_TRY(rf_file_sha256(hex, path, NULL, NULL, err));
    RF_TRY(tell(s, image->job_index, &record, err));
    s->ranks.mine.write_s += rf_meter_clock() - begun;
done:
    return st;
}

/* A callback that cannot fail stops the run at its next report. */
static void stop_late(rf_sweep *s, rf_status st, const rf_error *err)
{
    if (st == RF_OK || s->late != RF_OK) return;
    s->late = st;
    s->late_error = *err;
}

static void on_failed(void *user, int job_index, int index, rf_status status, const char *message)
{
    rf_sweep      *s = user;
    rf_error       err = {0};
    rf_cell_record record = {.state = RF_CELL_FAILED, .error = message};
    (void)index, (void)status;
    stop_late(s, tell(s, job_index, &record, &err), &err);
}

static int on_progress(void *user, const rf_progress *progress)
{
    rf_sweep *s = user;
    rf_error  err = {0};
    s->calls = progress->calls_done;
    rf_meter_update(&s->meter, progress, rf_meter_clock());
    stop_late(s, rf_ranks_serve(&s->ranks, s->groups, write_row, s, &err), &err);
    return s->late != RF_OK || rf_signals_caught();
}

/* ---- groups --------------------------------------------------------------------------------- */

/* Plans the cells of a group that are not done; none: s->now is NULL. */
static rf_status plan_group(rf_sweep *s, int group)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    int       n = 0;
    s->now = NULL;
    for (int i = 0; i < s->cells.count; i++)
        if (s->group[i] == group && s->record[i].state == RF_CELL_OPEN) s->map[n++] = i;
    if (n == 0) return RF_OK;
    if (n == s->cells.count) {
        s->now = s->whole;
        return RF_OK;
    }
    rf_plan_destroy(s->whole); /* its figures are known, and it will not run */
    s->whole = NULL;
    rf_job *jobs = calloc((size_t)n, sizeof *jobs);
    if (!jobs) return rf_fail(err, RF_E_NOMEM, "no memory for %d jobs", n);
    for (int i = 0; i < n; i++) jobs[i] = s->job[s->map[i]];
    st = rf_plan_create_many(&s->now, s->experts.engine, jobs, n, err);
    free(jobs);
    return st;
}

/* A plan that came to its end has made all of its calls. */
static void count_work(rf_sweep *s, int at_its_end)
{
    rf_ranks_work *mine = &s->ranks.mine;
    rf_timings     t = {0};
    rf_plan_info   info;
    rf_plan_get_timings(s->now, &t);
    rf_plan_get_info(s->now, &info);
    mine->calls += at_its_end ? info.calls_shared : s->calls;
    mine->launches += at_its_end ? info.launches : 0;
    mine->load_s += t.load;
    mine->encode_s += t.encode;
    mine->denoise_s += t.denoise;
    mine->decode_s += t.decode;
    s->flip_us = t.flip_us;
    s->call_gap_us = t.call_gap_us;
}

rf_ranks_work rf_sweep_work(const rf_sweep *s)
{
    const rf_ranks_work *a = &s->ranks.mine, *b = &s->ranks.others;
    return (rf_ranks_work){.calls_naive = a->calls_naive + b->calls_naive,
                           .calls = a->calls + b->calls,
                           .launches = a->launches + b->launches,
                           .load_s = a->load_s + b->load_s,
                           .encode_s = a->encode_s + b->encode_s,
                           .denoise_s = a->denoise_s + b->denoise_s,
                           .decode_s = a->decode_s + b->decode_s,
                           .write_s = a->write_s + b->write_s};
}

/* Calls of the groups that this process will take after `group`: its shard's, or its share. */
static int64_t calls_after(const rf_sweep *s, int group)
{
    int64_t sum = 0;
    for (int g = group + 1; g < s->groups; g++)
        if (s->shard.count < 2 || s->owner[g] == s->shard.index) sum += s->cost[g];
    return sum / s->ranks.size;
}

static rf_status run_group(rf_sweep *s, int group)
{
    rf_status          st = RF_OK;
    rf_error          *err = &s->in->trouble.error;
    const rf_callbacks callbacks = {
        .progress = on_progress, .image = on_image, .failed = on_failed, .user = s};
    RF_TRY(plan_group(s, group));
    if (!s->now) goto done;
    rf_meter_plan(&s->meter, calls_after(s, group));
    s->calls = 0;
    st = rf_plan_run(s->now, &callbacks, err);
    count_work(s, st == RF_OK);
    if (s->late != RF_OK) {
        st = s->late;
        *err = s->late_error;
    }
done:
    if (s->now != s->whole) rf_plan_destroy(s->now);
    s->now = NULL;
    return st;
}

static rf_status run_shard(rf_sweep *s)
{
    rf_status st = RF_OK;
    for (int g = 0; g < s->groups; g++)
        if (s->owner[g] == s->shard.index) RF_TRY(run_group(s, g));
done:
    return st;
}

static rf_status run_ranks(rf_sweep *s)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    for (int g = 0;;) {
        RF_TRY(rf_ranks_next(&s->ranks, s->groups, &g, err));
        if (g < 0) break;
        RF_TRY(run_group(s, g));
    }
    RF_TRY(rf_ranks_finish(&s->ranks, s->groups, write_row, s, err));
done:
    return st;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void tell_how_to_go_on(rf_sweep *s)
{
    char text[PATH_MAX + 160];
    if (s->ranks.rank > 0) return;
    snprintf(text, sizeof text,
             "%d of %d cells are done in %s; the same command with --resume goes on",
             s->done + s->failed, s->mine, s->o->folder);
    rf_console_note(&s->in->console, text);
}

rf_status rf_sweep_run(rf_sweep *s)
{
    rf_status           st = RF_OK;
    rf_console         *console = &s->in->console;
    const rf_meter_mode mode =
        s->ranks.rank > 0 ? RF_METER_NONE : rf_meter_mode_of(console, s->o->request.progress);
    rf_meter_begin_many(&s->meter, console, mode, s->mine, s->before, s->ranks.size,
                        rf_meter_clock());
    st = s->shard.count > 1 ? run_shard(s) : run_ranks(s);
    rf_meter_end(&s->meter);
    if (st == RF_E_CANCELLED && rf_signals_caught()) tell_how_to_go_on(s);
    return st;
}
