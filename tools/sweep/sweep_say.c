/* What a sweep says: its plan before, its results after. */
#include <stdio.h>
#include <string.h>

#include "tools/signals.h"
#include "tools/sweep/report.h"
#include "tools/sweep/sweep.h"

/* Shards leave grids, page and lines to the sweep that gathers them. */
static int is_shard(const rf_sweep *s)
{
    return s->shard.count > 1;
}

static double saving(int64_t naive, int64_t made)
{
    return made > 0 ? (double)naive / (double)made : 1;
}

/* Calls of this shard, or of all ranks: prefixes that are divided among them are made twice. */
static int64_t calls_divided(const rf_sweep *s)
{
    int64_t calls = 0;
    for (int g = 0; g < s->groups; g++)
        if (s->shard.count < 2 || s->owner[g] == s->shard.index) calls += s->cost[g];
    return calls;
}

static void duration(char *out, size_t bytes, double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (seconds < 10)
        snprintf(out, bytes, "%.1f s", seconds);
    else
        snprintf(out, bytes, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

/* ---- before --------------------------------------------------------------------------------- */

/* A value may be anybody's text, from a plan: cut short, and safe for terminals. */
static void print_value(const char *before, const rf_axis_value *value)
{
    char text[200];
    snprintf(text, sizeof text, "%s", value->text);
    rf_make_printable(text);
    printf("%s%s", before, text);
}

static void print_axes(const rf_sweep *s)
{
    static const char LETTERS[] = "xyz";
    for (int a = 0; a < RF_AXES; a++) {
        const rf_axis *axis = &s->cells.axis[a];
        if (axis->kind == RF_VARY_NOTHING) continue;
        printf("  %c: %-25s %d value%s", LETTERS[a], axis->name, axis->count,
               axis->count == 1 ? "" : "s");
        print_value(", ", &axis->value[0]);
        if (axis->count > 1) print_value(" to ", &axis->value[axis->count - 1]);
        putchar('\n');
    }
}

static void print_plan(const rf_sweep *s)
{
    const rf_plan_info *info = &s->info;
    printf("%s\n%d cells\n", rf_engine_device(s->experts.engine), s->cells.count);
    print_axes(s);
    printf("calls\n  %-28s %9lld\n", "one by one", (long long)info->calls_naive);
    printf("  %-28s %9lld  (%.2fx fewer)\n", "shared", (long long)info->calls_shared,
           saving(info->calls_naive, info->calls_shared));
    printf("  %-28s %9lld  (up to %d calls each)\n", "launches", (long long)info->launches,
           info->batch);
    printf("  %-28s %9d\n", "experts read from disk", info->loads);
    if (is_shard(s))
        printf("  %-28s %9lld\n", "of this shard", (long long)calls_divided(s));
    else if (s->ranks.size > 1)
        printf("  %-28s %9lld\n", "divided among all ranks", (long long)calls_divided(s));
    printf("memory\n");
    rf_report_bytes("activations (slab)", info->slab_bytes);
    rf_report_bytes("UNets", info->unet_bytes);
    rf_report_bytes("prompt keys and values", info->kv_bytes);
    rf_report_bytes("latents and sampler states", info->state_bytes);
    rf_report_bytes("staging", info->staging_bytes);
    rf_report_bytes("text encoders, for a while", info->text_bytes);
    rf_report_bytes("VAE decoders", info->vae_bytes);
    rf_report_bytes("most at once", info->peak_bytes);
    rf_report_pool(info);
}

static void print_estimate(const rf_sweep_estimate *e)
{
    char total[40];
    if (e->total_s < 0) {
        printf("time\n  not known for a GPU that is not here, without --seconds-per-call\n");
        return;
    }
    duration(total, sizeof total, e->total_s);
    printf("time\n  about %s", total);
    if (e->measured)
        printf(" (measured: %.3g s a call, %.3g s a picture, %.3g s an expert)\n", e->call_s,
               e->decode_s, e->load_s);
    else
        printf(" (at %.3g s a call, without reading and decoding)\n", e->call_s);
}

static json_t *axes_json(const rf_cells *cells)
{
    json_t *list = json_array();
    for (int a = 0; a < RF_AXES; a++) {
        const rf_axis *axis = &cells->axis[a];
        json_t        *values = json_array();
        for (int i = 0; i < axis->count; i++)
            json_array_append_new(values, rf_json_text(axis->value[i].text));
        if (axis->kind == RF_VARY_NOTHING)
            json_decref(values);
        else
            json_array_append_new(
                list, json_pack("{s:o, s:o}", "axis", rf_json_text(axis->name), "values", values));
    }
    return list;
}

/* null: nobody can tell. */
static json_t *estimate_json(const rf_sweep_estimate *e)
{
    if (e->total_s < 0) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "total", rf_json_seconds(e->total_s), "call",
                     rf_json_seconds(e->call_s), "decode", rf_json_seconds(e->decode_s), "load",
                     rf_json_seconds(e->load_s), "measured", e->measured);
}

static rf_status plan_json(const rf_sweep *s, const rf_sweep_estimate *e, rf_error *err)
{
    const rf_plan_info *i = &s->info;
    json_t *const       estimate = estimate_json(e);
    return rf_json_print(
        json_pack(
            "{s:i, s:o, s:i, s:o, s:I, s:I, s:o, s:I, s:I, s:i, s:i, s:i, s:b, s:o, s:o, s:o, "
            "s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
            "schema", 1, "device", rf_json_text(rf_engine_device(s->experts.engine)), "cells",
            s->cells.count, "axes", axes_json(&s->cells), "calls_naive", (json_int_t)i->calls_naive,
            "calls_shared", (json_int_t)i->calls_shared, "saving",
            rf_json_real(saving(i->calls_naive, i->calls_shared)), "calls_divided",
            (json_int_t)calls_divided(s), "launches", (json_int_t)i->launches, "batch", i->batch,
            "states", i->states, "loads", i->loads, "resident", i->resident, "slab_bytes",
            rf_json_bytes(i->slab_bytes), "unet_bytes", rf_json_bytes(i->unet_bytes), "kv_bytes",
            rf_json_bytes(i->kv_bytes), "state_bytes", rf_json_bytes(i->state_bytes),
            "staging_bytes", rf_json_bytes(i->staging_bytes), "text_bytes",
            rf_json_bytes(i->text_bytes), "vae_bytes", rf_json_bytes(i->vae_bytes), "peak_bytes",
            rf_json_bytes(i->peak_bytes), "estimate_s", estimate, "warnings",
            rf_report_warnings(&s->report)),
        err);
}

/* What is known at once is shown at once: the estimate may take some seconds. */
rf_status rf_sweep_say_plan(rf_sweep *s)
{
    rf_status         st = RF_OK;
    rf_sweep_estimate e;
    rf_error         *err = &s->in->trouble.error;
    const int         json = s->in->console.json;
    if (s->ranks.rank > 0) return RF_OK;
    if (!json) {
        print_plan(s);
        RF_TRY(rf_console_flush(err));
    }
    RF_TRY(rf_sweep_estimate_time(s, &e));
    if (json)
        RF_TRY(plan_json(s, &e, err));
    else
        print_estimate(&e);
done:
    return st;
}

/* ---- after ---------------------------------------------------------------------------------- */

static void grid_path(const rf_sweep *s, int z, char path[PATH_MAX])
{
    char name[NAME_MAX + 1];
    rf_sweep_grid_name(s, z, name);
    snprintf(path, PATH_MAX, "%s/%s", s->o->folder, name);
}

static rf_status write_outputs(rf_sweep *s)
{
    rf_status            st = RF_OK;
    rf_error            *err = &s->in->trouble.error;
    const rf_ranks_work  work = rf_sweep_work(s);
    const rf_sweep_story story = {
        .cells = &s->cells,
        .record = s->record,
        .folder = s->o->folder,
        .title = s->o->request.job.stages[0].prompt,
        .device = rf_engine_device(s->experts.engine),
        .calls_naive = s->info.calls_naive,
        .calls_shared = s->info.calls_shared,
        .calls_made = work.calls,
        .ranks = s->ranks.size,
        .load_s = work.load_s,
        .encode_s = work.encode_s,
        .denoise_s = work.denoise_s,
        .decode_s = work.decode_s,
        .write_s = work.write_s,
        .wall_s = rf_meter_clock() - s->began,
        .stop = rf_signals_caught,
    };
    RF_TRY(rf_results_write(&story, err));
    if (!s->o->no_report) RF_TRY(rf_report_html_write(&story, err));
    if (!s->o->no_grid) RF_TRY(rf_grids_write(&story, s->o->cell_pixels, err));
done:
    return st;
}

static json_t *path_json(const rf_sweep *s, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", s->o->folder, name);
    return rf_json_text(path);
}

static json_t *paths_json(const rf_sweep *s)
{
    json_t *grids = json_array();
    for (int z = 0; z < s->cells.axis[RF_AXIS_Z].count && !s->o->no_grid && !is_shard(s); z++) {
        char path[PATH_MAX];
        grid_path(s, z, path);
        json_array_append_new(grids, rf_json_text(path));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "cells", path_json(s, "cells"), "grids", grids,
                     "report",
                     is_shard(s) || s->o->no_report ? json_null() : path_json(s, "report.html"),
                     "results", is_shard(s) ? json_null() : path_json(s, "results.jsonl"),
                     "journal", rf_json_text(s->journal_path));
}

/* Of the whole sweep, as one process would make it at one go. */
static json_t *planned_json(const rf_sweep *s)
{
    const rf_plan_info *i = &s->info;
    return json_pack("{s:I, s:I, s:I}", "calls_naive", (json_int_t)i->calls_naive, "calls_shared",
                     (json_int_t)i->calls_shared, "launches", (json_int_t)i->launches);
}

static json_t *timings_json(const rf_sweep *s, const rf_ranks_work *w)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "load", rf_json_seconds(w->load_s), "encode",
                     rf_json_seconds(w->encode_s), "denoise", rf_json_seconds(w->denoise_s),
                     "decode", rf_json_seconds(w->decode_s), "write", rf_json_seconds(w->write_s),
                     "wall", rf_json_seconds(rf_meter_clock() - s->began));
}

static rf_status summary_json(const rf_sweep *s, rf_error *err)
{
    const rf_ranks_work w = rf_sweep_work(s);
    return rf_json_print(
        json_pack("{s:i, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:o, s:I, s:o, s:i, s:s?, s:o, s:o, "
                  "s:o, s:o}",
                  "schema", 1, "folder", rf_json_text(s->o->folder), "cells", s->mine, "done",
                  s->done, "failed", s->failed, "done_before", s->before, "calls_naive",
                  (json_int_t)w.calls_naive, "calls_shared", (json_int_t)w.calls, "saving",
                  rf_json_real(saving(w.calls_naive, w.calls)), "launches", (json_int_t)w.launches,
                  "planned", planned_json(s), "ranks", s->ranks.size, "shard",
                  is_shard(s) ? s->o->shard : NULL, "timings_s", timings_json(s, &w), "paths",
                  paths_json(s), "device", rf_json_text(rf_engine_device(s->experts.engine)),
                  "warnings", rf_report_warnings(&s->report)),
        err);
}

/* "162 calls instead of 270 (1.67x fewer)", and by whom, where one might take it for the whole. */
static void describe_calls(const rf_sweep *s, char *out, size_t bytes)
{
    const rf_ranks_work w = rf_sweep_work(s);
    char                who[40] = "";
    if (w.calls == 0) {
        snprintf(out, bytes, "no calls in this sitting");
        return;
    }
    if (s->ranks.size > 1) snprintf(who, sizeof who, " by %d ranks", s->ranks.size);
    if (is_shard(s)) snprintf(who, sizeof who, " by shard %d/%d", s->shard.index, s->shard.count);
    snprintf(out, bytes, "%lld calls%s%s instead of %lld (%.2fx fewer)", (long long)w.calls, who,
             s->before ? " in this sitting" : "", (long long)w.calls_naive,
             saving(w.calls_naive, w.calls));
}

static void print_details(const rf_sweep *s)
{
    char                text[300];
    const rf_ranks_work w = rf_sweep_work(s);
    snprintf(text, sizeof text,
             "reading %.2f s, encoding %.2f s, denoising %.2f s, decoding %.2f s, writing %.2f "
             "s%s; switch %.0f us, between calls %.0f us",
             w.load_s, w.encode_s, w.denoise_s, w.decode_s, w.write_s,
             s->ranks.size > 1 ? ", of all ranks together" : "", s->flip_us, s->call_gap_us);
    rf_console_note(&s->in->console, text);
}

static void print_summary(const rf_sweep *s)
{
    char path[PATH_MAX], text[400], calls[200], wall[40];
    for (int z = 0; z < s->cells.axis[RF_AXIS_Z].count && !s->o->no_grid && !is_shard(s); z++) {
        grid_path(s, z, path);
        puts(path);
    }
    if (!s->o->no_report && !is_shard(s)) printf("%s/report.html\n", s->o->folder);
    duration(wall, sizeof wall, rf_meter_clock() - s->began);
    describe_calls(s, calls, sizeof calls);
    snprintf(text, sizeof text, "%d of %d cells are done, %d failed; %s; %s", s->done, s->mine,
             s->failed, calls, wall);
    rf_console_note(&s->in->console, text);
    if (s->done + s->failed < s->mine)
        rf_console_note(&s->in->console, "a rank gave up: --resume makes what is open");
    if (is_shard(s))
        rf_console_note(&s->in->console,
                        "when all shards are done, the same command with --resume and without "
                        "--shard gathers them");
    if (s->in->console.verbose) print_details(s);
}

rf_status rf_sweep_finish(rf_sweep *s)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    if (s->ranks.rank > 0) return RF_OK;
    if (!is_shard(s)) st = write_outputs(s);
    if (st == RF_E_CANCELLED)
        rf_console_note(&s->in->console, "all pictures are made; the same command with --resume "
                                         "puts them together");
    if (st != RF_OK) goto done;
    if (s->in->console.json)
        RF_TRY(summary_json(s, err));
    else
        print_summary(s);
done:
    return st;
}
