/* See launch_ring.h. */
#include "engine/relay/launch_ring.h"

#include <string.h>

#include "engine/relay/plan.h"

/* ---- sizes -------------------------------------------------------------------------------- */

enum { ALIGN = 256 }; /* of every part: ops load 16 bytes at a time */

static size_t part(size_t *end, size_t count, size_t size)
{
    const size_t at = *end;
    *end = at + (count * size + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

/* Sums that one guided x0 takes: the latent and the rows of a call, some at a time (denoise.c). */
static int pieces_of(int rows)
{
    return (rows + RF_LINCOMB_TERMS - 2) / (RF_LINCOMB_TERMS - 1);
}

/* Noises of a sample in one launch: the one it begins with, and those of its call. */
static size_t noises_of(const rf_plan *p)
{
    int most = 0;
    for (int k = 0; k < p->updates; k++) {
        const rf_call *c = &p->update[k].sampler;
        const int      noises = (c->before != 0) + (c->noise.kind != RF_NOISE_NONE);
        if (noises > most) most = noises;
    }
    return 1 + (size_t)most;
}

void rf_ring_measure(rf_plan *p)
{
    enum { STATE_SUMS = 5 }; /* start, before, memory, anchor, next */
    rf_launch_ring *r = &p->ring;
    const size_t    batch = (size_t)p->batch, rows = (size_t)p->rows;
    const int       pieces = pieces_of(p->rows);
    /* A line has a coefficient and a row for every term, and a row to go to. */
    const size_t state = STATE_SUMS * (2 * RF_SOURCES + 1), input = 2 + 1, u = 2 * 2 + 1;
    const size_t guided = 2 * (rows + (size_t)pieces) + (size_t)pieces;
    r->lines_room = batch * (state + input + u + guided);
    r->sums_room = STATE_SUMS + p->rows + 1 + pieces + 2 * p->batch * rf_init_keeps(p);
    r->bytes = 0;
    r->kv_at = part(&r->bytes, batch * rows, sizeof(rf_attention_kv));
    r->bad_at = part(&r->bytes, batch, sizeof(int32_t));
    r->temb_at = part(&r->bytes, batch * rows, sizeof(int32_t));
    r->lines_at = part(&r->bytes, r->lines_room, sizeof(float));
    r->noise_at = part(&r->bytes, batch * noises_of(p) * p->elems, sizeof(float));
    r->sides = rf_device_on_host(&p->engine->device) ? 1 : RF_RING_SIDES;
}

size_t rf_ring_marks_room(const rf_plan *p)
{
    return (size_t)p->batch * (1 + RF_RING_SIDES);
}

/* ---- events ------------------------------------------------------------------------------- */

rf_status rf_ring_open(rf_plan *p, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = RF_OK;
    if (rf_device_on_host(device)) return RF_OK;
    for (int i = 0; i < RF_RING_SIDES; i++)
        RF_TRY(rf_event_create(device, &p->ring.side[i].done, err));
    for (int i = 0; i < RF_RING_TIMES; i++) {
        RF_TRY(rf_event_create(device, &p->ring.time[i].start, err));
        RF_TRY(rf_event_create(device, &p->ring.time[i].end, err));
    }
done:
    return st;
}

void rf_ring_close(rf_plan *p)
{
    rf_device *device = &p->engine->device;
    for (int i = 0; i < RF_RING_SIDES; i++) {
        rf_event_destroy(device, p->ring.side[i].done);
        p->ring.side[i].done = NULL;
    }
    for (int i = 0; i < RF_RING_TIMES; i++) {
        rf_event_destroy(device, p->ring.time[i].start);
        rf_event_destroy(device, p->ring.time[i].end);
        p->ring.time[i] = (rf_ring_time){0};
    }
}

/* ---- flags -------------------------------------------------------------------------------- */

static rf_ring_side *in_hand(rf_plan *p)
{
    return &p->ring.side[p->ring.turn];
}

void rf_ring_fail(rf_plan *p, const rf_ring_mark *mark, int expert)
{
    rf_run_state *state = &p->slot[mark->slot];
    if (state->failed >= 0) return;
    state->failed = mark->step;
    state->failed_expert = expert;
    if (p->ring.bad.slot < 0) p->ring.bad = *mark;
}

static void look(rf_plan *p, const rf_ring_side *side)
{
    const int32_t *bad = (const int32_t *)((const char *)side->block.host + p->ring.bad_at);
    for (int i = 0; i < side->marks; i++)
        if (bad[side->mark[i].sample]) rf_ring_fail(p, &side->mark[i], side->expert);
}

/* Until that launch is done. */
static rf_status settle(rf_plan *p, rf_ring_side *side, rf_error *err)
{
    rf_status st = RF_OK;
    if (!side->queued) return RF_OK;
    side->queued = 0;
    if (side->done) RF_TRY(rf_event_wait(&p->engine->device, side->done, err));
    look(p, side);
    rf_x0_check_end(p, (int)(side - p->ring.side));
    RF_TRY(rf_gap_read(p, side, err));
done:
    return st;
}

rf_status rf_denoise_settle(rf_plan *p, rf_error *err)
{
    const rf_launch_ring *r = &p->ring;
    rf_status             st = RF_OK;
    for (int i = 1; i <= r->sides; i++) /* the oldest first */
        RF_TRY(settle(p, &p->ring.side[(r->turn + i) % r->sides], err));
done:
    return st;
}

void rf_ring_forget(rf_plan *p)
{
    for (int i = 0; i < p->ring.sides; i++) p->ring.side[i].queued = 0;
    p->ring.bad.slot = -1;
    p->glance.pending = 0;
}

void rf_ring_mark_state(rf_plan *p, const rf_ring_mark *mark)
{
    rf_ring_side *side = in_hand(p);
    side->mark[side->marks++] = *mark;
}

/* What is known to have failed needs no flag: so a launch that is left out, since all of its runs
 * have, adds no marks, and there is room for those of the others. */
void rf_ring_fork(rf_plan *p, int from, int to)
{
    if (p->slot[from].failed >= 0) return;
    for (int i = 0; i < p->ring.sides; i++) {
        rf_ring_side *side = &p->ring.side[i];
        const int     marks = side->queued ? side->marks : 0;
        for (int k = 0; k < marks; k++) {
            if (side->mark[k].slot != from) continue;
            side->mark[side->marks] = side->mark[k];
            side->mark[side->marks++].slot = to;
        }
    }
}

/* ---- writing a launch --------------------------------------------------------------------- */

static void *host_at(const rf_plan *p, size_t offset)
{
    return (char *)p->ring.side[p->ring.turn].block.host + offset;
}

/* NULL: memory is not taken yet. */
static void *device_at(const rf_plan *p, size_t offset)
{
    return p->ring.device ? (char *)p->ring.device + offset : NULL;
}

rf_status rf_ring_next(rf_plan *p, rf_error *err)
{
    rf_launch_ring *r = &p->ring;
    const int       turn = (r->turn + 1) % r->sides;
    const rf_status st = settle(p, &r->side[turn], err);
    if (st != RF_OK) return st;
    r->turn = turn;
    r->sums = 0;
    r->lines = r->noise = 0;
    r->side[turn].marks = 0;
    r->side[turn].gap = RF_NO_GAP;
    memset(host_at(p, r->bad_at), 0, (size_t)p->batch * sizeof(int32_t));
    return RF_OK;
}

/* The next `count` words of the sums' tables: their place in the block. */
static size_t words(rf_launch_ring *r, size_t count)
{
    const size_t at = r->lines_at + r->lines * sizeof(float);
    r->lines += count;
    return at;
}

rf_lincomb_args *rf_ring_sum(rf_plan *p, int n, int terms, rf_sum_lines *lines)
{
    rf_launch_ring  *r = &p->ring;
    rf_lincomb_args *sum = &r->sum[r->sums++];
    const size_t     samples = (size_t)n, each = samples * (size_t)terms;
    const size_t     coef = words(r, each), xrow = words(r, each), yrow = words(r, samples);
    *lines = (rf_sum_lines){
        .coef = host_at(p, coef), .xrow = host_at(p, xrow), .yrow = host_at(p, yrow)};
    *sum = (rf_lincomb_args){.coef = device_at(p, coef),
                             .xrow = device_at(p, xrow),
                             .yrow = device_at(p, yrow),
                             .n = n,
                             .terms = terms};
    return sum;
}

float *rf_ring_noise(rf_plan *p, size_t elems, int *row)
{
    rf_launch_ring *r = &p->ring;
    float          *noise = (float *)host_at(p, r->noise_at) + r->noise;
    *row = (int)(r->noise / elems);
    r->noise += elems;
    return noise;
}

int32_t *rf_ring_temb(const rf_plan *p)
{
    return host_at(p, p->ring.temb_at);
}

rf_attention_kv *rf_ring_kv(const rf_plan *p)
{
    return host_at(p, p->ring.kv_at);
}

int32_t *rf_ring_device_temb(const rf_plan *p)
{
    return device_at(p, p->ring.temb_at);
}

rf_attention_kv *rf_ring_device_kv(const rf_plan *p)
{
    return device_at(p, p->ring.kv_at);
}

float *rf_ring_device_noise(const rf_plan *p)
{
    return device_at(p, p->ring.noise_at);
}

int32_t *rf_ring_device_bad(const rf_plan *p)
{
    return device_at(p, p->ring.bad_at);
}

/* ---- doing it ----------------------------------------------------------------------------- */

rf_status rf_ring_send(rf_plan *p, rf_error *err)
{
    const rf_launch_ring *r = &p->ring;
    const size_t          lines = r->lines_at + r->lines * sizeof(float);
    const size_t          noise = r->noise_at + r->noise * sizeof(float);
    return rf_twin_up(&p->engine->device, &in_hand(p)->block, 0, r->noise ? noise : lines, err);
}

rf_status rf_ring_run(rf_plan *p, int first, int last, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = rf_device_bind(device, err); /* the caller's progress callback came before */
    if (first < last) rf_device_note(device, "sums of the sampler");
    for (int i = first; st == RF_OK && i < last; i++) {
        st = device->ops->lincomb(device->stream, &p->ring.sum[i]);
        if (st == RF_OK) continue;
        const rf_status cause = rf_device_check(device, err);
        return cause != RF_OK ? cause : rf_fail(err, st, "sampler: the lincomb op failed");
    }
    return st;
}

rf_status rf_ring_end(rf_plan *p, rf_error *err)
{
    rf_device    *device = &p->engine->device;
    rf_ring_side *side = in_hand(p);
    rf_status     st = RF_OK;
    side->queued = 1;
    if (rf_device_on_host(device)) return settle(p, side, err);
    if (side->marks)
        RF_TRY(rf_twin_down(device, &side->block, p->ring.bad_at,
                            (size_t)p->batch * sizeof(int32_t), err));
    RF_TRY(rf_event_record(device, side->done, RF_STREAM_OPS, err));
done:
    return st;
}
