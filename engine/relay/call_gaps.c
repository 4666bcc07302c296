/* How long nobody calls the UNet: between two calls of one expert, and at a switch.
 *
 * On the host a clock tells.  A GPU's calls are marked by events, which are read once the later of
 * the two is known to be done: nothing waits for a time. */
#include <stdlib.h>

#include "engine/relay/plan.h"

static void add(rf_plan *p, int flip, double seconds)
{
    if (p->gap_count[flip] == p->gap_room) return; /* DPM adaptive makes calls that no tree has */
    p->gaps[flip * p->gap_room + p->gap_count[flip]++] = seconds;
}

/* Between the call of that side and the one before: the host has not written two launches since. */
rf_status rf_gap_read(rf_plan *p, const rf_ring_side *side, rf_error *err)
{
    const rf_ring_time *time = p->ring.time;
    const int           before = (side->time + RF_RING_TIMES - 1) % RF_RING_TIMES;
    float               ms = 0;
    if (side->gap == RF_NO_GAP || rf_device_on_host(&p->engine->device)) return RF_OK;
    const rf_status st =
        rf_event_between(&p->engine->device, time[before].end, time[side->time].start, &ms, err);
    if (st == RF_OK) add(p, side->gap, 1e-3 * (double)ms);
    return st;
}

rf_status rf_gap_close(rf_plan *p, int expert, rf_error *err)
{
    rf_device    *device = &p->engine->device;
    rf_ring_side *side = &p->ring.side[p->ring.turn];
    const int     flip = p->last_expert != expert, follows = p->last_end > 0;
    side->gap = follows ? flip : RF_NO_GAP;
    if (!rf_device_on_host(device)) {
        side->time = p->ring.calls;
        p->ring.calls = (p->ring.calls + 1) % RF_RING_TIMES;
        return rf_event_record(device, p->ring.time[side->time].start, RF_STREAM_OPS, err);
    }
    if (follows) add(p, flip, rf_now() - p->last_end);
    return RF_OK;
}

rf_status rf_gap_open(rf_plan *p, int expert, rf_error *err)
{
    rf_device *device = &p->engine->device;
    p->last_end = rf_now();
    p->last_expert = expert;
    if (rf_device_on_host(device)) return RF_OK;
    return rf_event_record(device, p->ring.time[p->ring.side[p->ring.turn].time].end, RF_STREAM_OPS,
                           err);
}

/* ---- of a round --------------------------------------------------------------------------- */

void rf_gap_forget(rf_plan *p)
{
    p->gap_count[0] = p->gap_count[1] = 0;
    p->last_end = 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(double *seconds, int count)
{
    if (count == 0) return 0;
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    return 1e6 * seconds[count / 2];
}

void rf_gap_summarise(rf_plan *p)
{
    p->timings.call_gap_us = median_us(p->gaps, p->gap_count[0]);
    p->timings.flip_us = median_us(p->gaps + p->gap_room, p->gap_count[1]);
}
