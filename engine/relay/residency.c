/* See residency.h.  Foreseeing and running ask the same function who has to leave. */
#include "engine/relay/residency.h"

#include <limits.h>
#include <stdlib.h>

#include "engine/relay/plan.h"
#include "engine/relay/variants.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

static size_t unet_bytes(const rf_plan *p, int expert)
{
    return p->expert[expert].expert->weights[RF_NET_UNET].bytes;
}

/* Experts of the plan that come from the same file. */
static int relatives(const rf_plan *p, int expert)
{
    rf_expert *parent = rf_expert_parent(p->expert[expert].expert);
    int        count = 0;
    for (int i = 0; i < p->expert_count; i++)
        count += rf_expert_parent(p->expert[i].expert) == parent;
    return count;
}

/* Without a limit of the engine's: none, but that a sweep over the strengths of a LoRA, each of
 * which is an expert of its own, needs no more than one of its cells does.  Relatives load over
 * each other, only what a LoRA touches is read again, and each is loaded once either way. */
static uint64_t own_limit(const rf_plan *p)
{
    uint64_t bytes = 0, all = 0;
    for (int i = 0; i < p->expert_count; i++) {
        const int count = relatives(p, i);
        all += unet_bytes(p, i);
        bytes += count > RF_RELATIVES_MAX ? unet_bytes(p, i) / (uint64_t)count : unet_bytes(p, i);
    }
    return bytes < all ? bytes + (uint64_t)p->expert_count : 0; /* rounded up */
}

rf_status rf_residency_settle(rf_plan *p, rf_error *err)
{
    for (int i = 0; i < p->expert_count; i++) {
        const rf_status st = rf_expert_list(p->expert[i].expert, RF_NET_UNET, err);
        if (st != RF_OK) return st;
        p->unet_bytes += unet_bytes(p, i);
    }
    p->memory = p->engine->memory ? p->engine->memory : own_limit(p);
    p->resident = p->expert_count == 1 || p->memory == 0 || p->unet_bytes <= p->memory;
    p->held = calloc((size_t)p->expert_count, 1);
    return p->held ? RF_OK : no_memory(err);
}

/* ---- turns -------------------------------------------------------------------------------- */

static rf_status add_turn(rf_plan_tree *t, int expert, rf_error *err)
{
    if (t->turns > 0 && t->turn[t->turns - 1] == expert) return RF_OK;
    int *list = rf_plan_grown(t->turn, t->turns, sizeof *list);
    if (!list) return no_memory(err);
    t->turn = list;
    t->turn[t->turns++] = expert;
    return RF_OK;
}

/* A run of DPM adaptive goes through all of its stages. */
static rf_status add_adaptive(const rf_plan *p, rf_plan_tree *t, int node, rf_error *err)
{
    const rf_plan_job *j = &p->job[t->picture[t->first[node]].job];
    rf_status          st = RF_OK;
    for (int i = 0; i < j->active_count; i++)
        RF_TRY(add_turn(t, rf_plan_expert_of(p, j, j->active[i]), err));
done:
    return st;
}

rf_status rf_residency_list_turns(const rf_plan *p, rf_plan_tree *t, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < t->launches.launches; i++) {
        const rf_launch *l = &t->launches.launch[i];
        for (int k = l->first; k < l->first + l->count; k++) {
            const int node = t->launches.item[k].node;
            if (t->call[node] < 0)
                RF_TRY(add_adaptive(p, t, node, err));
            else
                RF_TRY(add_turn(t, p->program[l->kind].expert, err));
        }
    }
done:
    return st;
}

static const rf_plan_tree *tree_of(const rf_plan *p, int round)
{
    const rf_plan_tree *last = &p->tree[RF_LAST_ROUND];
    return round == p->rounds - 1 && last->pictures ? last : &p->tree[RF_WHOLE_ROUND];
}

/* Turns until the expert's next one, behind `now`; INT_MAX: it has none. */
static int distance(const rf_plan *p, rf_turn now, int expert)
{
    int count = 0;
    for (int round = now.round, at = now.at + 1; round < p->rounds; round++, at = 0) {
        const rf_plan_tree *t = tree_of(p, round);
        for (; at < t->turns; at++, count++)
            if (t->turn[at] == expert) return count;
    }
    return INT_MAX;
}

/* ---- who leaves --------------------------------------------------------------------------- */

static size_t sum_held(const rf_plan *p, const char *held)
{
    size_t bytes = 0;
    for (int i = 0; i < p->expert_count; i++)
        if (held[i]) bytes += unet_bytes(p, i);
    return bytes;
}

/* Clears `held` of as many as it takes to load `expert`; one that is larger than the limit is
 * loaded alone. */
static void make_room(const rf_plan *p, rf_turn now, int expert, char *held)
{
    const uint64_t limit = p->memory;
    if (p->resident || held[expert]) return;
    while (sum_held(p, held) + unet_bytes(p, expert) > limit) {
        int leaves = -1, farthest = -1;
        for (int i = 0; i < p->expert_count; i++) {
            const int until = held[i] ? distance(p, now, i) : -1;
            if (until > farthest) {
                farthest = until;
                leaves = i;
            }
        }
        if (leaves < 0) return;
        held[leaves] = 0;
    }
}

static void take(const rf_plan *p, int expert, char *held, rf_residency *r)
{
    const rf_weights *w = &p->expert[expert].expert->weights[RF_NET_UNET];
    if (!held[expert]) {
        r->loads++;
        r->file_bytes += (int64_t)w->file_bytes;
        held[expert] = 1;
    }
    const size_t bytes = sum_held(p, held);
    if (bytes > r->peak_bytes) r->peak_bytes = bytes;
}

rf_residency rf_residency_foresee(const rf_plan *p, char *held)
{
    rf_residency r = {0};
    if (p->resident) {
        for (int i = 0; i < p->expert_count; i++) take(p, i, held, &r);
        return r;
    }
    for (rf_turn now = {0}; now.round < p->rounds; now.round++) {
        const rf_plan_tree *t = tree_of(p, now.round);
        for (now.at = 0; now.at < t->turns; now.at++) {
            make_room(p, now, t->turn[now.at], held);
            take(p, t->turn[now.at], held, &r);
        }
    }
    return r;
}

/* ---- running ------------------------------------------------------------------------------ */

void rf_residency_look(const rf_plan *p, char *held)
{
    for (int i = 0; i < p->expert_count; i++)
        held[i] = p->expert[i].expert->weights[RF_NET_UNET].base != NULL;
}

/* DPM adaptive may leave out a stage that it was expected to come to. */
static void move_cursor(rf_plan *p, int expert)
{
    const rf_plan_tree *t = tree_of(p, p->turn.round);
    for (int at = p->turn.at; at < t->turns; at++)
        if (t->turn[at] == expert) {
            p->turn.at = at;
            return;
        }
}

static int is_of_plan(const rf_plan *p, const rf_expert *e)
{
    for (int i = 0; i < p->expert_count; i++)
        if (p->expert[i].expert == e) return 1;
    return 0;
}

/* UNets that former plans have left behind: before any of the plan's own they go, as many as it
 * takes to load `expert`. */
static void send_away_strangers(const rf_plan *p, int expert)
{
    const rf_engine *engine = p->engine;
    size_t           bytes = unet_bytes(p, expert);
    if (engine->memory == 0 || p->expert[expert].expert->weights[RF_NET_UNET].base) return;
    for (const rf_expert *e = engine->opened; e; e = e->next)
        if (e->weights[RF_NET_UNET].base) bytes += e->weights[RF_NET_UNET].bytes;
    for (rf_expert *e = engine->opened; e && bytes > engine->memory; e = e->next) {
        if (!e->weights[RF_NET_UNET].base || is_of_plan(p, e)) continue;
        bytes -= e->weights[RF_NET_UNET].bytes;
        rf_expert_unload(e, RF_NET_UNET);
    }
}

rf_expert *rf_residency_make_room(rf_plan *p, int expert)
{
    rf_expert *parent = rf_expert_parent(p->expert[expert].expert), *over = NULL;
    send_away_strangers(p, expert);
    if (p->resident) return NULL;
    move_cursor(p, expert);
    rf_residency_look(p, p->held);
    make_room(p, p->turn, expert, p->held);
    for (int i = 0; i < p->expert_count; i++) {
        rf_expert *e = p->expert[i].expert;
        if (p->held[i] || !e->weights[RF_NET_UNET].base) continue;
        if (!over && rf_expert_parent(e) == parent)
            over = e;
        else
            rf_expert_unload(e, RF_NET_UNET);
    }
    return over;
}
