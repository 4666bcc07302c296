/* Names of ranges, and starting and stopping a profiler; see ranges.h. */
#include "engine/relay/ranges.h"

/* ---- engine ------------------------------------------------------------------------------- */

rf_status rf_ranges_open(rf_engine *e, const rf_options *o, rf_error *err)
{
    const int              on_host = rf_device_on_host(&e->device);
    const rf_trace_options options = {
        .write = o->trace,
        .user = o->user,
        .device = e->description,
        .times = on_host ? "host" : "host (the device works later: see docs/profiling.md)",
    };
    const int bracket = o->profile_first || o->profile_last;
    if (bracket && (o->profile_first < 1 || o->profile_last < o->profile_first))
        return rf_fail(err, RF_E_ARG,
                       "profiled steps are %d to %d; they count from 1, the first not after the "
                       "last",
                       o->profile_first, o->profile_last);
    const rf_status st = rf_trace_create(&e->device.trace, &options, err);
    if (st != RF_OK) return st;
    e->profile_first = o->profile_first;
    e->profile_last = o->profile_last;
    if (bracket && on_host && !e->device.trace)
        rf_warn(e, "profiled steps have no effect on a CPU without a trace");
    if (bracket) rf_trace_want_ops(e->device.trace, 0);
    return RF_OK;
}

void rf_ranges_close(rf_engine *e)
{
    rf_trace_destroy(e->device.trace);
    e->device.trace = NULL;
}

/* ---- profiler ----------------------------------------------------------------------------- */

static rf_status profile(rf_engine *e, int on, rf_error *err)
{
    if (on == e->profiling) return RF_OK;
    e->profiling = on;
    rf_trace_want_ops(e->device.trace, on);
    return rf_device_profile(&e->device, on, err);
}

rf_status rf_range_no_step(rf_plan *p, rf_error *err)
{
    return profile(p->engine, 0, err);
}

/* ---- ranges ------------------------------------------------------------------------------- */

void rf_range_request(rf_plan *p)
{
    rf_trace_begin(p->engine->device.trace, RF_TRACE_REQUEST, "request");
}

rf_status rf_range_request_end(rf_plan *p, rf_status st, rf_error *err)
{
    const rf_status stopped = rf_range_no_step(p, st == RF_OK ? err : NULL);
    rf_trace_end(p->engine->device.trace, RF_TRACE_REQUEST);
    return st == RF_OK ? stopped : st;
}

void rf_range_part(rf_plan *p, const char *phase, const char *stage, const char *part)
{
    rf_trace *trace = p->engine->device.trace;
    if (!trace) return;
    rf_trace_turn(trace, RF_TRACE_PHASE, phase);
    if (stage)
        rf_trace_turn(trace, RF_TRACE_STAGE, stage);
    else
        rf_trace_end(trace, RF_TRACE_STAGE);
    rf_trace_begin(trace, RF_TRACE_PART, "%s", part);
}

void rf_range_network(rf_plan *p, const char *phase, const rf_expert *expert, rf_network network)
{
    static const char *const names[RF_NETWORKS] = {
        [RF_NET_CLIP_L] = "clip_l", [RF_NET_CLIP_G] = "clip_g",           [RF_NET_UNET] = "unet",
        [RF_NET_VAE] = "vae",       [RF_NET_VAE_ENCODER] = "vae encoder",
    };
    rf_range_part(p, phase, expert->name, names[network]);
}

rf_status rf_range_step(rf_plan *p, const rf_progress *progress, rf_error *err)
{
    rf_engine *e = p->engine;
    rf_trace  *trace = e->device.trace;
    const int  step = progress->step + 1;
    if (e->profile_first) {
        const rf_status st = profile(e, step >= e->profile_first && step <= e->profile_last, err);
        if (st != RF_OK) return st;
    }
    if (!trace) return RF_OK;
    rf_trace_turn(trace, RF_TRACE_PHASE, "denoise");
    rf_trace_turn(trace, RF_TRACE_STAGE, progress->expert);
    rf_trace_begin(trace, RF_TRACE_STEP, "step %d of %d batch %d", step, progress->steps,
                   progress->images);
    return RF_OK;
}

void rf_range_call(rf_plan *p, const char *expert, double sigma)
{
    rf_trace *trace = p->engine->device.trace;
    rf_trace_turn(trace, RF_TRACE_PHASE, "denoise");
    rf_trace_turn(trace, RF_TRACE_STAGE, expert);
    rf_trace_begin(trace, RF_TRACE_STEP, "call at sigma %.6g", sigma);
}
