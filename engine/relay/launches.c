/* One heap of ready nodes per kind, ordered by where their first run stands: every choice is made
 * among the heads. */
#include "engine/relay/launches.h"

#include <stdlib.h>

typedef struct heap {
    int *node; /* [room] */
    int  count, room;
} heap;

typedef struct planner {
    const rf_tree         *tree;
    const rf_launch_rules *rules;
    rf_launches            out;
    heap                  *ready;   /* [kinds] */
    int                   *rank;    /* [nodes]: place in depth-first order */
    int                   *runs;    /* [nodes]: leaves at or below */
    int                   *waiting; /* [nodes]: children that have not begun */
    int                   *slot;    /* [nodes]: of its state, -1 before */
    int                   *unused;  /* slots that are free again */
    int                   *blocked; /* [nodes]: see count_blocked */
    int                   *count;   /* [kinds]: of groups, which are no more */
    int                    unused_count, live, group;
} planner;

/* ---- heaps -------------------------------------------------------------------------------- */

static void swap(int *a, int *b)
{
    const int was = *a;
    *a = *b;
    *b = was;
}

static rf_status push(planner *p, heap *h, int node, rf_error *err)
{
    if (h->count == h->room) {
        const int room = h->room ? 2 * h->room : 16;
        int      *grown = realloc(h->node, (size_t)room * sizeof *grown);
        if (!grown) return rf_fail(err, RF_E_NOMEM, "sweep: out of memory");
        h->node = grown;
        h->room = room;
    }
    int at = h->count++;
    h->node[at] = node;
    while (at > 0 && p->rank[h->node[(at - 1) / 2]] > p->rank[h->node[at]]) {
        swap(&h->node[(at - 1) / 2], &h->node[at]);
        at = (at - 1) / 2;
    }
    return RF_OK;
}

static int pop(const planner *p, heap *h)
{
    const int first = h->node[0];
    h->node[0] = h->node[--h->count];
    for (int at = 0, least;; at = least) {
        least = at;
        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < h->count; child++)
            if (p->rank[h->node[child]] < p->rank[h->node[least]]) least = child;
        if (least == at) return first;
        swap(&h->node[least], &h->node[at]);
    }
}

/* ---- the tree, seen once ------------------------------------------------------------------ */

static void measure(planner *p)
{
    const rf_tree_node *node = p->tree->node;
    int                 rank = 0, at = RF_TREE_ROOT;
    while (at >= 0) { /* depth first without a stack */
        p->rank[at] = rank++;
        p->slot[at] = -1;
        if (node[at].first_child >= 0) {
            at = node[at].first_child;
            continue;
        }
        while (at >= 0 && node[at].next_sibling < 0) at = node[at].parent;
        if (at >= 0) at = node[at].next_sibling;
    }
    for (int i = p->tree->nodes - 1; i > 0; i--) { /* children stand behind their parents */
        if (node[i].first_child < 0) p->runs[i] = 1;
        p->runs[node[i].parent] += p->runs[i];
        p->waiting[node[i].parent]++;
    }
}

static rf_status ready_children(planner *p, int parent, rf_error *err)
{
    rf_status st = RF_OK;
    for (int c = p->tree->node[parent].first_child; c >= 0; c = p->tree->node[c].next_sibling)
        RF_TRY(push(p, &p->ready[p->tree->node[c].kind], c, err));
done:
    return st;
}

/* ---- choosing ----------------------------------------------------------------------------- */

static int group_of(const planner *p, int kind)
{
    return p->rules->group ? p->rules->group[kind] : 0;
}

static int allowed(const planner *p, int kind)
{
    return p->ready[kind].count > 0 && (!p->rules->by_group || group_of(p, kind) == p->group);
}

/* The head that comes first; `full`: of kinds that can fill a launch. */
static int first_kind(const planner *p, int full)
{
    int best = -1;
    for (int c = 0; c < p->rules->kinds; c++) {
        if (!allowed(p, c) || (full && p->ready[c].count < p->rules->batch)) continue;
        if (best < 0 || p->rank[p->ready[c].node[0]] < p->rank[p->ready[best].node[0]]) best = c;
    }
    return best;
}

static int widest_kind(const planner *p)
{
    int best = -1;
    for (int c = 0; c < p->rules->kinds; c++) {
        if (!allowed(p, c)) continue;
        const int runs = p->runs[p->ready[c].node[0]];
        if (best < 0 || runs > p->runs[p->ready[best].node[0]]) best = c;
    }
    return best;
}

/* -1: nothing is ready in this group. */
static int choose(const planner *p)
{
    const int full = first_kind(p, 1);
    if (full >= 0) return full;
    const int near = p->rules->slots_max && p->live + p->rules->batch > p->rules->slots_max;
    return near ? first_kind(p, 0) : widest_kind(p);
}

/* Nodes of every group that must wait for another group's turn, into count[group]. */
static void count_blocked(planner *p, int *count)
{
    for (int i = 1; i < p->tree->nodes; i++) {
        const rf_tree_node *node = &p->tree->node[i];
        const int           parent = node->parent;
        p->blocked[i] = parent != RF_TREE_ROOT && p->slot[parent] < 0 &&
                        (p->blocked[parent] ||
                         group_of(p, p->tree->node[parent].kind) != group_of(p, node->kind));
        count[group_of(p, node->kind)] += p->blocked[i];
    }
}

/* The group whose turn it is when the present one has nothing ready: the one that has least to come
 * back for, and among equals that of the first node. */
static int next_group(planner *p)
{
    int best = -1;
    for (int c = 0; c < p->rules->kinds; c++) p->count[group_of(p, c)] = 0;
    count_blocked(p, p->count);
    for (int c = 0; c < p->rules->kinds; c++) {
        if (p->ready[c].count == 0) continue;
        const int least = best < 0 ? 1 : p->count[group_of(p, c)] - p->count[group_of(p, best)];
        if (best < 0 || least < 0 ||
            (least == 0 && p->rank[p->ready[c].node[0]] < p->rank[p->ready[best].node[0]]))
            best = c;
    }
    if (best < 0) return 0;
    p->group = group_of(p, best);
    return 1;
}

/* ---- slots -------------------------------------------------------------------------------- */

static int take_slot(planner *p)
{
    p->live++;
    return p->unused_count ? p->unused[--p->unused_count] : p->out.slots++;
}

static void give_slot(planner *p, int slot)
{
    p->live--;
    p->unused[p->unused_count++] = slot;
}

/* The item of a node that begins now. */
static rf_launch_item begin(planner *p, int node)
{
    const int      parent = p->tree->node[node].parent;
    rf_launch_item item = {
        .node = node, .from = p->slot[parent], .leaf = p->tree->node[node].first_child < 0};
    p->waiting[parent]--;
    if (parent != RF_TREE_ROOT && p->waiting[parent] == 0)
        item.slot = item.from; /* nobody else needs what was there */
    else
        item.slot = take_slot(p);
    p->slot[node] = item.slot;
    return item;
}

/* ---- planning ----------------------------------------------------------------------------- */

/* Copies before take-overs: a slot that two items of one launch read is read before it is written.
 * Within a launch all copies are made first, so only the order of the list matters. */
static void launch(planner *p, int kind)
{
    heap     *h = &p->ready[kind];
    rf_launch made = {.kind = kind, .first = p->out.items};
    while (h->count > 0 && made.count < p->rules->batch) {
        p->out.item[p->out.items++] = begin(p, pop(p, h));
        made.count++;
    }
    p->out.launch[p->out.launches++] = made;
}

static rf_status finish(planner *p, const rf_launch *made, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = made->first; i < made->first + made->count; i++) {
        const rf_launch_item *item = &p->out.item[i];
        if (item->leaf)
            give_slot(p, item->slot);
        else
            RF_TRY(ready_children(p, item->node, err));
    }
done:
    return st;
}

static rf_status allocate(planner *p, rf_error *err)
{
    const size_t nodes = (size_t)p->tree->nodes;
    p->ready = calloc((size_t)p->rules->kinds + 1, sizeof *p->ready);
    p->rank = calloc(nodes, sizeof *p->rank);
    p->runs = calloc(nodes, sizeof *p->runs);
    p->waiting = calloc(nodes, sizeof *p->waiting);
    p->slot = calloc(nodes, sizeof *p->slot);
    p->unused = calloc(nodes, sizeof *p->unused);
    p->blocked = calloc(nodes, sizeof *p->blocked);
    p->count = calloc((size_t)p->rules->kinds + 1, sizeof *p->count);
    p->out.launch = calloc(nodes, sizeof *p->out.launch);
    p->out.item = calloc(nodes, sizeof *p->out.item);
    if (p->ready && p->rank && p->runs && p->waiting && p->slot && p->unused && p->blocked &&
        p->count && p->out.launch && p->out.item)
        return RF_OK;
    return rf_fail(err, RF_E_NOMEM, "sweep: out of memory");
}

rf_status rf_launches_plan(rf_launches *out, const rf_tree *tree, const rf_launch_rules *rules,
                           rf_error *err)
{
    rf_status st = RF_OK;
    planner   p = {.tree = tree, .rules = rules};
    RF_TRY(allocate(&p, err));
    measure(&p);
    RF_TRY(ready_children(&p, RF_TREE_ROOT, err));
    while (next_group(&p)) {
        p.out.groups++;
        for (int kind; (kind = choose(&p)) >= 0;) {
            launch(&p, kind);
            RF_TRY(finish(&p, &p.out.launch[p.out.launches - 1], err));
        }
    }
done:
    for (int c = 0; p.ready && c < rules->kinds; c++) free(p.ready[c].node);
    free(p.ready);
    free(p.rank);
    free(p.runs);
    free(p.waiting);
    free(p.slot);
    free(p.unused);
    free(p.blocked);
    free(p.count);
    *out = p.out;
    if (st != RF_OK) rf_launches_free(out);
    return st;
}

void rf_launches_free(rf_launches *launches)
{
    free(launches->launch);
    free(launches->item);
    *launches = (rf_launches){0};
}
