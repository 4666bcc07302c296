/* The progress line; see progress.h.  Speed is a running mean of step times (weight 0.3 for the
 * newest): steady on a quiet machine, and quick to follow when the other expert is faster. */
#include "tools/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/json.h"
#include "tools/text_input.h"

static const double REDRAW_S = 0.1, PLAIN_S = 10;

double rf_meter_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

rf_meter_mode rf_meter_mode_of(const rf_console *console, const char *how)
{
    if (strcmp(how, "bar") == 0) return RF_METER_BAR;
    if (strcmp(how, "plain") == 0) return RF_METER_PLAIN;
    if (strcmp(how, "json") == 0) return RF_METER_JSON;
    if (strcmp(how, "none") == 0 || console->quiet) return RF_METER_NONE;
    return console->terminal ? RF_METER_BAR : RF_METER_PLAIN;
}

/* Copies at most `columns` characters; control bytes and what is not UTF-8 become '?'. */
static void copy_safe(char *out, size_t bytes, const char *text, int columns)
{
    size_t       used = 0;
    const size_t len = strlen(text);
    for (size_t i = 0; i < len && columns > 0; columns--) {
        const size_t n = rf_utf8_length(text + i, len - i);
        const int    bad = n == 0 || (n == 1 && (text[i] < 0x20 || text[i] == 0x7F));
        if (used + (bad ? 1 : n) >= bytes) break;
        memcpy(out + used, bad ? "?" : text + i, bad ? 1 : n);
        used += bad ? 1 : n;
        i += n ? n : 1;
    }
    out[used] = '\0';
}

rf_status rf_meter_begin(rf_meter *meter, rf_console *console, rf_meter_mode mode,
                         const rf_plan *plan, const rf_job *job, double at, rf_error *err)
{
    enum { NAME_COLUMNS = 24 };
    *meter = (rf_meter){.console = console, .mode = mode, .started = at, .shown = at - PLAIN_S};
    meter->last = at;
    rf_plan_info plan_info;
    rf_plan_get_info(plan, &plan_info);
    meter->steps = plan_info.steps; /* not always the job's: explicit noise levels, DDIM */
    meter->count = job->count;
    meter->batch = job->batch < job->count ? job->batch : job->count;
    meter->stage_count = job->stage_count < RF_METER_STAGES ? job->stage_count : RF_METER_STAGES;
    for (int i = meter->stage_count - 1, next = meter->steps; i >= 0; i--) {
        rf_stage_info info;
        if (rf_plan_get_stage(plan, i, &info) != RF_OK)
            return rf_fail(err, RF_E_BUG, "the plan has no stage %d", i);
        copy_safe(meter->stages[i].name, RF_METER_NAME, info.expert, NAME_COLUMNS);
        meter->stages[i].first_step = info.first_step;
        meter->stages[i].steps = info.calls > 0 ? next - info.first_step : 0;
        next = info.first_step;
    }
    return RF_OK;
}

void rf_meter_begin_many(rf_meter *meter, rf_console *console, rf_meter_mode mode, int count,
                         int finished, int workers, double at)
{
    *meter = (rf_meter){.console = console,
                        .mode = mode,
                        .count = count,
                        .batch = 1,
                        .started = at,
                        .last = at,
                        .shown = at - PLAIN_S,
                        .many = 1,
                        .finished = finished,
                        .workers = workers};
}

void rf_meter_plan(rf_meter *meter, int64_t later)
{
    meter->later = later;
    meter->now = (rf_progress){.phase = RF_PHASE_LOAD};
}

void rf_meter_pass(rf_meter *meter, int pass, int passes, int64_t later)
{
    meter->pass = pass;
    meter->passes = passes;
    meter->later = later;
}

void rf_meter_finished(rf_meter *meter, int finished)
{
    meter->finished = finished;
}

/* ---- measuring ---------------------------------------------------------------------------- */

static void blend(double *mean, double sample)
{
    *mean = *mean > 0 ? 0.7 * *mean + 0.3 * sample : sample;
}

/* Steps that were completed between two reports, which come before each call. */
static int steps_between(const rf_meter *m, const rf_progress *p)
{
    if (m->now.phase != RF_PHASE_DENOISE) return 0;
    if (p->phase == RF_PHASE_DECODE) return m->steps - m->now.step;
    const int same_batch = p->phase == RF_PHASE_DENOISE && p->image == m->now.image;
    return same_batch ? p->step - m->now.step : 0; /* 0 also if an expert is read in between */
}

static int pictures_between(const rf_meter *m, const rf_progress *p)
{
    if (m->now.phase != RF_PHASE_DECODE) return 0;
    return p->phase == RF_PHASE_DECODE ? p->image - m->now.image : 1;
}

/* Calls and pictures; reports that wait for something else leave the clock running. */
static void measure_many(rf_meter *m, const rf_progress *p, double at)
{
    enum { NAME_COLUMNS = 24 };
    const int     working = p->phase >= RF_PHASE_DENOISE; /* else an expert is read in between */
    const int64_t calls =
        working && m->now.phase == RF_PHASE_DENOISE ? p->calls_done - m->now.calls_done : 0;
    const int64_t pictures =
        m->now.phase == RF_PHASE_DECODE ? p->pictures_done - m->now.pictures_done : 0;
    if (calls > 0) blend(&m->step_s, (at - m->last) / (double)calls);
    if (pictures > 0) blend(&m->picture_s, (at - m->last) / (double)pictures);
    if (calls > 0 || pictures > 0 || p->phase != m->now.phase) m->last = at;
    if (p->expert) copy_safe(m->expert, sizeof m->expert, p->expert, NAME_COLUMNS);
    m->now = *p;
    m->now.expert = NULL;
}

static void measure(rf_meter *m, const rf_progress *p, double at)
{
    const int steps = steps_between(m, p), pictures = pictures_between(m, p);
    /* A step of two calls is reported twice: its time runs on. */
    const int same = p->phase == RF_PHASE_DENOISE && m->now.phase == RF_PHASE_DENOISE &&
                     p->image == m->now.image && steps == 0;
    if (steps > 0) blend(&m->step_s, (at - m->last) / steps);
    if (pictures > 0) blend(&m->picture_s, (at - m->last) / pictures);
    if (!same) m->last = at;
    m->now = *p;
    m->now.expert = NULL;
}

double rf_meter_left(const rf_meter *m)
{
    if (m->step_s <= 0 || m->now.phase < RF_PHASE_DENOISE) return -1;
    if (m->many) {
        const double calls = (double)(m->now.calls - m->now.calls_done + m->later);
        return calls * m->step_s + (double)(m->count - m->finished) / m->workers * m->picture_s;
    }
    const int    batches = (m->count + m->batch - 1) / m->batch;
    const int    here = m->now.phase == RF_PHASE_DECODE ? 0 : m->steps - m->now.step;
    const int    after = batches - 1 - m->now.image / m->batch;
    const double steps = here + (double)m->steps * after + (double)m->later;
    return steps * m->step_s + (m->count - m->now.image) * m->picture_s;
}

/* ---- saying ------------------------------------------------------------------------------- */

static void append(char *out, size_t bytes, const char *text)
{
    const size_t used = strlen(out);
    if (used + 1 < bytes) snprintf(out + used, bytes - used, "%s", text);
}

static void append_duration(char *out, size_t bytes, double seconds)
{
    char       text[40];
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
    append(out, bytes, text);
}

static void append_speed(const rf_meter *m, char *out, size_t bytes)
{
    char              text[60];
    const char *const unit = m->many ? "call" : "step";
    if (m->step_s <= 0) return;
    if (m->step_s >= 1)
        snprintf(text, sizeof text, " | %.1f s/%s", m->step_s, unit);
    else
        snprintf(text, sizeof text, " | %.1f %ss/s", 1 / m->step_s, unit);
    append(out, bytes, text);
}

static void append_left(const rf_meter *m, char *out, size_t bytes)
{
    const double left = rf_meter_left(m);
    if (left < 0) return;
    append(out, bytes, " | ");
    append_duration(out, bytes, left);
    append(out, bytes, " left");
}

static const char *expert_name(const rf_meter *m)
{
    const int stage = m->now.stage;
    if (m->many) return *m->expert ? m->expert : "expert";
    return stage >= 0 && stage < m->stage_count ? m->stages[stage].name : "expert";
}

static void append_stages(const rf_meter *m, char *out, size_t bytes)
{
    int shown = 0;
    for (int i = 0; i < m->stage_count; i++) {
        char text[RF_METER_NAME + 40];
        int  done = m->now.step - m->stages[i].first_step;
        if (m->stages[i].steps == 0) continue;
        if (done < 0) done = 0;
        if (done > m->stages[i].steps) done = m->stages[i].steps;
        snprintf(text, sizeof text, "%s%s %d/%d", shown++ ? " | " : "", m->stages[i].name, done,
                 m->stages[i].steps);
        append(out, bytes, text);
    }
    if (shown) return;
    char text[RF_METER_NAME + 40]; /* DPM adaptive: nobody knows how many there will be */
    snprintf(text, sizeof text, "%s step %d", expert_name(m), m->now.step + 1);
    append(out, bytes, text);
}

static int percent(const rf_progress *p)
{
    return p->total > 0 ? (int)(100.0 * (double)p->done / (double)p->total) : 0;
}

static void append_pictures(const rf_meter *m, char *out, size_t bytes)
{
    char      text[60];
    const int first = m->now.image + 1, last = m->now.image + m->now.images;
    if (m->count == 1) return;
    if (m->now.images > 1)
        snprintf(text, sizeof text, "%d-%d/%d: ", first, last, m->count);
    else
        snprintf(text, sizeof text, "%d/%d: ", first, m->count);
    append(out, bytes, text);
}

static void append_jobs(const rf_meter *m, char *out, size_t bytes)
{
    char text[RF_METER_NAME + 120];
    snprintf(text, sizeof text, "cells %d/%d | ", m->finished, m->count);
    append(out, bytes, text);
    if (m->now.phase < RF_PHASE_DENOISE) return;
    snprintf(text, sizeof text, "%s | calls %lld/%lld", expert_name(m),
             (long long)m->now.calls_done, (long long)m->now.calls + (long long)m->later);
    append(out, bytes, text);
    append_speed(m, out, bytes);
}

void rf_meter_line(const rf_meter *m, char *out, size_t bytes, int columns)
{
    char line[1024] = "", text[RF_METER_NAME + 60] = "";
    if (m->many) append_jobs(m, line, sizeof line);
    if (m->passes > 1) {
        snprintf(text, sizeof text, "pass %d/%d | ", m->pass + 1, m->passes);
        append(line, sizeof line, text);
        *text = '\0';
    }
    switch (m->now.phase) {
    case RF_PHASE_LOAD:
        snprintf(text, sizeof text, "reading %s %d %%", expert_name(m), percent(&m->now));
        break;
    case RF_PHASE_ENCODE:
        snprintf(text, sizeof text, "encoding the prompts for %s", expert_name(m));
        break;
    case RF_PHASE_DENOISE:
        if (m->many) break;
        append_pictures(m, line, sizeof line);
        append_stages(m, line, sizeof line);
        append_speed(m, line, sizeof line);
        break;
    case RF_PHASE_DECODE:
        if (m->many) break;
        append_pictures(m, line, sizeof line);
        snprintf(text, sizeof text, "decoding");
        break;
    }
    append(line, sizeof line, text);
    if (m->now.phase >= RF_PHASE_DENOISE) append_left(m, line, sizeof line);
    copy_safe(out, bytes, line, columns);
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col - 1;
    return 79;
}

static void show_bar(rf_meter *m)
{
    char line[1024];
    rf_meter_line(m, line, sizeof line, terminal_columns());
    rf_console_line(m->console, line);
}

static void show_plain(rf_meter *m)
{
    char line[1024];
    rf_meter_line(m, line, sizeof line, 200);
    rf_console_note(m->console, line);
}

static void show_json(const rf_meter *m, double at)
{
    static const char *const PHASES[] = {"load", "encode", "denoise", "decode"};
    const rf_progress *const p = &m->now;
    const double             left = rf_meter_left(m);
    json_t                  *o = json_object();
    json_object_set_new(o, "phase", rf_json_text(PHASES[p->phase]));
    json_object_set_new(o, "stage", json_integer(p->stage));
    json_object_set_new(o, "expert", rf_json_text(expert_name(m)));
    json_object_set_new(o, "done", json_integer((json_int_t)p->done));
    json_object_set_new(o, "total", json_integer((json_int_t)p->total));
    if (m->many) {
        json_object_set_new(o, "cells_done", json_integer(m->finished));
        json_object_set_new(o, "cells", json_integer(m->count));
        json_object_set_new(o, "calls_done", json_integer((json_int_t)p->calls_done));
        json_object_set_new(o, "calls", json_integer((json_int_t)p->calls + (json_int_t)m->later));
    } else {
        json_object_set_new(o, "image", json_integer(p->image));
        json_object_set_new(o, "images", json_integer(p->images));
        json_object_set_new(o, "step", json_integer(p->step));
        json_object_set_new(o, "steps", json_integer(m->steps));
        if (m->passes > 1) {
            json_object_set_new(o, "pass", json_integer(m->pass + 1));
            json_object_set_new(o, "passes", json_integer(m->passes));
        }
    }
    json_object_set_new(o, "elapsed_s", rf_json_seconds(at - m->started));
    json_object_set_new(o, "left_s", left < 0 ? json_null() : rf_json_seconds(left));
    if (json_dumpf(o, stderr, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0) fputc('\n', stderr);
    json_decref(o);
}

/* What is told at once, however little time has passed.  On a terminal and for machines: another
 * expert or phase.  In a log: the start, the first switch, the end of all steps.  Many jobs go from
 * expert to expert all the time: the start, and the first call. */
static int is_news(const rf_meter *m)
{
    const int moved = m->now.stage != m->told_stage || m->now.phase != m->told_phase;
    const int batch = m->now.image / m->batch, last_batch = (m->count - 1) / m->batch;
    if (!m->told) return 1;
    if (m->many) return m->told_phase < RF_PHASE_DENOISE && m->now.phase >= RF_PHASE_DENOISE;
    if (m->mode != RF_METER_PLAIN) return moved;
    return moved && ((m->now.phase == RF_PHASE_DENOISE && batch == 0) ||
                     (m->now.phase == RF_PHASE_DECODE && batch == last_batch));
}

void rf_meter_update(rf_meter *m, const rf_progress *progress, double at)
{
    if (m->many)
        measure_many(m, progress, at);
    else
        measure(m, progress, at);
    const double pause = m->mode == RF_METER_PLAIN ? PLAIN_S : REDRAW_S;
    if (m->mode == RF_METER_NONE || (!is_news(m) && at - m->shown < pause)) return;
    if (m->mode == RF_METER_BAR)
        show_bar(m);
    else if (m->mode == RF_METER_PLAIN)
        show_plain(m);
    else
        show_json(m, at);
    m->told = 1;
    m->told_stage = m->now.stage;
    m->told_phase = m->now.phase;
    m->shown = at;
}

static void show_json_preview(const char *path, const rf_preview *preview)
{
    json_t *o = json_object();
    json_object_set_new(o, "phase", rf_json_text("preview"));
    json_object_set_new(o, "image", json_integer(preview->index));
    json_object_set_new(o, "call", json_integer(preview->call));
    json_object_set_new(o, "calls", preview->calls ? json_integer(preview->calls) : json_null());
    json_object_set_new(o, "width", json_integer(preview->width));
    json_object_set_new(o, "height", json_integer(preview->height));
    json_object_set_new(o, "path", rf_json_text(path));
    if (json_dumpf(o, stderr, JSON_COMPACT) == 0) fputc('\n', stderr);
    json_decref(o);
}

void rf_meter_preview(rf_meter *m, const char *path, const rf_preview *preview)
{
    char text[RF_ERROR_BYTES], name[400];
    if (m->mode == RF_METER_JSON) show_json_preview(path, preview);
    if (m->mode == RF_METER_JSON || m->mode == RF_METER_NONE || m->told_preview) return;
    m->told_preview = 1;
    snprintf(name, sizeof name, "%s", path);
    rf_make_printable(name);
    snprintf(text, sizeof text, "preview: %s%s", name,
             m->count > 1 ? ", and one beside each other picture" : "");
    rf_console_note(m->console, text);
}

void rf_meter_end(rf_meter *meter)
{
    rf_console_clear_line(meter->console);
}
