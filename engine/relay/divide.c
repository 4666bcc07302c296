/* Dividing a plan's jobs among workers; see refinery.h.
 *
 * The jobs stand in a row, as a walk of the tree meets them, so that every subtree is a stretch of
 * it.  A part is a stretch too.  Its work is what its jobs make together: the whole path of the
 * first one, and of each further one what it does not share with its neighbour.  Work is counted in
 * calls times latent pixels.
 *
 * The rule:
 * 1. The least bound such that as many parts as there are workers, none with more work than that,
 *    hold all jobs.  Longer stretches never have less work, so that a part that ends as late as it
 *    can is always right, and the bound is found by bisection.
 * 2. Subtrees stay whole if that keeps the bound when they are dealt out, the largest first to
 *    whoever is free; several small ones are one part, up to 1/PIECES of the bound (or the bound,
 *    where memory does not hold all experts).
 * 3. Else the parts of 1, each ending where the cut makes the least work anew: between two
 *    subtrees, if one ends in reach, the latest of equal ones.  These are cut between subtrees once
 *    more, as in 2, if that keeps the bound.
 *
 * Jobs of several pictures (sweeps have none) are weighed as if they shared all their pictures'
 * calls as they share their first one's. */
#include <stdlib.h>

#include "engine/relay/plan.h"

/* Several parts for each worker, so that who is quick takes more of them: with four, a slow one
 * keeps the others waiting for a quarter of its share.  One, where every part loads all experts
 * anew. */
enum { PIECES = 4 };

/* A job in the row. */
typedef struct seat {
    int     job, leaf, place; /* place: of its leaf, depth first */
    int64_t work;             /* of its paths */
    int64_t kept;             /* in which its left neighbour has a share */
    int64_t sum;              /* of work - kept, up to and including this one */
} seat;

typedef struct part {
    int     first, end; /* seats first .. end - 1 */
    int64_t work;
} part;

typedef struct divider {
    const rf_plan *plan;
    int            workers, jobs;
    seat          *seat;         /* [jobs] */
    int           *reach;        /* [jobs]: end of the longest part that begins here */
    int           *need;         /* [jobs + 1]: parts that hold everything from here on */
    part          *part, *piece; /* [jobs] */
    int            parts, pieces;
    int64_t       *load;  /* [workers] */
    int64_t        bound; /* no part has more work, and no worker */
} divider;

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* ---- the row ------------------------------------------------------------------------------ */

static int64_t pixels_of(const rf_plan_job *j)
{
    return (int64_t)j->h * j->w;
}

/* above [nodes + 1]: work of every node's path; place [nodes + 1]: of every node, depth first;
 * next [nodes + 1]: scratch.  Parents stand before their children. */
static void measure(const rf_plan *p, const rf_plan_tree *t, int64_t *above, int *place, int *next)
{
    for (int i = 0; i <= t->nodes; i++) next[i] = 1;
    for (int i = t->nodes; i > 0; i--) next[t->parent[i]] += next[i]; /* nodes at or below */
    above[RF_TREE_ROOT] = 0;
    place[RF_TREE_ROOT] = 0;
    next[RF_TREE_ROOT] = 1;
    for (int i = 1; i <= t->nodes; i++) {
        const rf_plan_job *j = &p->job[t->picture[t->first[i]].job];
        const int          parent = t->parent[i];
        above[i] = above[parent] + pixels_of(j) * (t->call[i] < 0 ? j->job.steps : 1);
        place[i] = next[parent];
        next[parent] += next[i];
        next[i] = place[i] + 1;
    }
}

static int by_place(const void *left, const void *right)
{
    const seat *a = left, *b = right;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    return a->job < b->job ? -1 : 1;
}

/* The last node that both paths have. */
static int meeting(const rf_plan_tree *t, int a, int b)
{
    while (a != b) { /* the later one is no ancestor of the other */
        if (a > b)
            a = t->parent[a];
        else
            b = t->parent[b];
    }
    return a;
}

static void weigh(divider *d, const rf_plan_tree *t, const int64_t *above)
{
    const rf_plan_job *job = d->plan->job;
    int64_t            sum = 0;
    for (int i = 0; i < d->jobs; i++) {
        seat         *s = &d->seat[i];
        const int64_t count = job[s->job].job.count;
        s->work = above[s->leaf] * count;
        if (i) {
            const int64_t before = job[s[-1].job].job.count;
            s->kept = above[meeting(t, s[-1].leaf, s->leaf)] * (before < count ? before : count);
        }
        s->sum = sum += s->work - s->kept;
    }
}

static rf_status line_up(divider *d, rf_error *err)
{
    rf_status           st = RF_OK;
    const rf_plan_tree *t = &d->plan->tree[RF_WHOLE_ROUND];
    const size_t        nodes = (size_t)t->nodes + 1;
    int64_t            *above = malloc(nodes * sizeof *above);
    int                *place = malloc(nodes * sizeof *place);
    int                *next = malloc(nodes * sizeof *next);
    if (!above || !place || !next) {
        st = no_memory(err);
        goto done;
    }
    measure(d->plan, t, above, place, next);
    for (int i = 0; i < t->pictures; i++)
        if (t->picture[i].index == 0)
            d->seat[t->picture[i].job] =
                (seat){.job = t->picture[i].job, .leaf = t->leaf[i], .place = place[t->leaf[i]]};
    qsort(d->seat, (size_t)d->jobs, sizeof *d->seat, by_place);
    weigh(d, t, above);
done:
    free(above);
    free(place);
    free(next);
    return st;
}

/* ---- parts -------------------------------------------------------------------------------- */

static int64_t work_of(const divider *d, int first, int end)
{
    return d->seat[end - 1].sum - d->seat[first].sum + d->seat[first].work;
}

/* How many parts hold everything, none with more work than `bound`; fills reach and need. */
static int parts_within(divider *d, int64_t bound)
{
    for (int i = 0, end = 1; i < d->jobs; i++) {
        if (end <= i) end = i + 1;
        while (end < d->jobs && work_of(d, i, end + 1) <= bound) end++;
        d->reach[i] = end;
    }
    d->need[d->jobs] = 0;
    for (int i = d->jobs - 1; i >= 0; i--) d->need[i] = 1 + d->need[d->reach[i]];
    return d->need[0];
}

static void find_bound(divider *d)
{
    int64_t low = 0, high = work_of(d, 0, d->jobs);
    for (int i = 0; i < d->jobs; i++)
        if (d->seat[i].work > low) low = d->seat[i].work;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (parts_within(d, middle) <= d->workers)
            high = middle;
        else
            low = middle + 1;
    }
    d->bound = high;
    parts_within(d, high);
}

static void add_part(const divider *d, part *list, int *count, int first, int end)
{
    list[(*count)++] = (part){first, end, work_of(d, first, end)};
}

/* Needs reach and need. */
static void cut(divider *d)
{
    for (int first = 0, end; first < d->jobs; first = end) {
        int64_t   least = INT64_MAX;
        const int left = d->workers - d->parts - 1;
        end = d->reach[first];
        for (int at = end; at > first && d->need[at] <= left; at--) {
            const int64_t price = at < d->jobs ? d->seat[at].kept : 0;
            if (price < least) {
                least = price;
                end = at;
            }
        }
        add_part(d, d->part, &d->parts, first, end);
    }
}

/* ---- pieces ------------------------------------------------------------------------------- */

static int largest_first(const void *left, const void *right)
{
    const part *a = left, *b = right;
    if (a->work != b->work) return a->work > b->work ? -1 : 1;
    return a->first < b->first ? -1 : 1;
}

/* Cuts `whole` between subtrees; a piece has more than `most` only if it is one subtree's. */
static void chop(divider *d, const part *whole, int64_t most)
{
    int first = whole->first, end = first; /* of the piece; what follows up to `next` is one more */
    for (int next = first + 1; next <= whole->end; next++) {
        if (next < whole->end && d->seat[next].kept) continue;
        if (end > first && work_of(d, first, next) > most) {
            add_part(d, d->piece, &d->pieces, first, end);
            first = end;
        }
        end = next;
    }
    add_part(d, d->piece, &d->pieces, first, end);
}

/* When the last of the workers is done, who take parts in order. */
static int64_t end_of(divider *d, const part *list, int count)
{
    int64_t end = 0;
    for (int w = 0; w < d->workers; w++) d->load[w] = 0;
    for (int i = 0; i < count; i++) {
        int least = 0;
        for (int w = 1; w < d->workers; w++)
            if (d->load[w] < d->load[least]) least = w;
        d->load[least] += list[i].work;
        if (d->load[least] > end) end = d->load[least];
    }
    return end;
}

/* Chops the parts of a list; the pieces become the parts if that keeps the bound. */
static int refine(divider *d, const part *list, int count)
{
    const int64_t most = d->plan->resident ? d->bound / PIECES : d->bound;
    d->pieces = 0;
    for (int i = 0; i < count; i++) chop(d, &list[i], most);
    qsort(d->piece, (size_t)d->pieces, sizeof *d->piece, largest_first);
    if (end_of(d, d->piece, d->pieces) > d->bound) return 0;
    for (int i = 0; i < d->pieces; i++) d->part[i] = d->piece[i];
    d->parts = d->pieces;
    return 1;
}

static void divide(divider *d)
{
    const part all = {0, d->jobs, work_of(d, 0, d->jobs)};
    if (d->workers == 1) {
        d->part[d->parts++] = all;
        return;
    }
    find_bound(d);
    if (refine(d, &all, 1)) return;
    cut(d);
    qsort(d->part, (size_t)d->parts, sizeof *d->part, largest_first);
    refine(d, d->part, d->parts);
}

/* ---- together ----------------------------------------------------------------------------- */

static void tell(const divider *d, int *group, int64_t *cost)
{
    int64_t largest = 1;
    for (int i = 0; i < d->jobs; i++)
        if (pixels_of(&d->plan->job[i]) > largest) largest = pixels_of(&d->plan->job[i]);
    for (int g = 0; g < d->parts; g++) {
        for (int i = d->part[g].first; i < d->part[g].end; i++) group[d->seat[i].job] = g;
        if (cost) cost[g] = (d->part[g].work + largest - 1) / largest;
    }
}

static int divide_one(const rf_plan *p, int *group, int64_t *cost)
{
    const rf_plan_job *j = &p->job[0];
    group[0] = 0;
    if (cost) *cost = (int64_t)j->job.count * (j->course.adaptive ? j->job.steps : j->course.calls);
    return 1;
}

rf_status rf_plan_divide(const rf_plan *p, int workers, int *group, int64_t *cost, int *groups,
                         rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t jobs = (size_t)p->jobs;
    divider      d = {.plan = p, .jobs = p->jobs, .workers = workers};
    *groups = 0;
    if (workers < 1) return rf_fail(err, RF_E_ARG, "%d workers; there must be at least 1", workers);
    if (p->jobs == 1) { /* its tree may be that of one round only */
        *groups = divide_one(p, group, cost);
        return RF_OK;
    }
    if (d.workers > p->jobs) d.workers = p->jobs;
    d.seat = malloc(jobs * sizeof *d.seat);
    d.reach = malloc(jobs * sizeof *d.reach);
    d.need = malloc((jobs + 1) * sizeof *d.need);
    d.part = malloc(jobs * sizeof *d.part);
    d.piece = malloc(jobs * sizeof *d.piece);
    d.load = malloc((size_t)d.workers * sizeof *d.load);
    if (!d.seat || !d.reach || !d.need || !d.part || !d.piece || !d.load) {
        st = no_memory(err);
        goto done;
    }
    RF_TRY(line_up(&d, err));
    divide(&d);
    tell(&d, group, cost);
    *groups = d.parts;
done:
    free(d.seat);
    free(d.reach);
    free(d.need);
    free(d.part);
    free(d.piece);
    free(d.load);
    return st;
}
