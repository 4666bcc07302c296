/* The pictures of a plan as paths of a tree (tree.h), and the order of its launches (launches.h).
 *
 * A key is the index of a call; the first one of a run also says which noise it begins with. */
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

enum { CALLS_MAX = 1 << 24 }; /* of one tree */

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

typedef struct first_key {
    uint64_t               seed, variation_seed;
    double                 variation, start;
    const rf_noise_source *source;
    int                    call, resize_h, resize_w, exact, job, index, init;
} first_key;

static void describe_first(const rf_plan *p, rf_picture picture, first_key *key)
{
    const rf_plan_job  *j = &p->job[picture.job];
    const rf_noise_spec spec = rf_picture_noise(p, picture);
    memset(key, 0, sizeof *key); /* padding too */
    key->seed = spec.seed;
    key->source = spec.source;
    key->start = j->course.start;
    key->resize_h = spec.resize_h;
    key->resize_w = spec.resize_w;
    key->init = j->init;
    if (spec.variation > 0) {
        key->variation = spec.variation;
        key->variation_seed = spec.variation_seed;
        key->exact = spec.exact_a1111;
    }
    key->call = -1;
    if (j->course.adaptive) { /* depends on everything in the job: nobody shares it */
        key->job = picture.job;
        key->index = picture.index;
    } else {
        key->call = j->call[0];
    }
}

/* A run of DPM adaptive is one node, of the class of its first stage's first program. */
static int kind_of_adaptive(const rf_plan *p, const rf_plan_job *j)
{
    const int stage = j->active[0];
    const int parts = j->course.set[j->course.stage[stage].set].prompt[RF_POSITIVE]->parts;
    return rf_plan_find_program(p, rf_plan_expert_of(p, j, stage), RF_TABLE_ADAPTIVE, parts, j->h,
                                j->w);
}

static rf_status add_picture(const rf_plan *p, rf_tree *tree, rf_picture picture, int *leaf,
                             rf_error *err)
{
    rf_status          st = RF_OK;
    const rf_plan_job *j = &p->job[picture.job];
    first_key          key;
    int                node = RF_TREE_ROOT;
    describe_first(p, picture, &key);
    const int kind = key.call < 0 ? kind_of_adaptive(p, j) : p->call[key.call].program;
    RF_TRY(rf_tree_step(tree, node, &key, sizeof key, kind, &node, err));
    for (int k = 1; k < j->course.calls; k++)
        RF_TRY(rf_tree_step(tree, node, &j->call[k], sizeof j->call[k], p->call[j->call[k]].program,
                            &node, err));
    *leaf = node;
done:
    return st;
}

/* ---- what is kept ------------------------------------------------------------------------- */

static int call_of(const rf_tree *tree, int node)
{
    int       call = 0;
    first_key first;
    if (tree->node[node].parent != RF_TREE_ROOT) {
        memcpy(&call, rf_tree_key(tree, node), sizeof call);
        return call;
    }
    memcpy(&first, rf_tree_key(tree, node), sizeof first);
    return first.call;
}

static rf_status note_nodes(rf_plan_tree *t, const rf_tree *tree, rf_error *err)
{
    const size_t nodes = (size_t)tree->nodes;
    t->nodes = tree->nodes - 1;
    t->parent = malloc(nodes * sizeof *t->parent);
    t->call = malloc(nodes * sizeof *t->call);
    t->first = malloc(nodes * sizeof *t->first);
    t->depth = malloc(nodes * sizeof *t->depth);
    t->next = malloc(((size_t)t->pictures + 1) * sizeof *t->next);
    if (!t->parent || !t->call || !t->first || !t->depth || !t->next) return no_memory(err);
    for (size_t i = 0; i < nodes; i++) t->first[i] = t->pictures;
    for (int i = t->pictures - 1; i >= 0; i--) { /* the first one stands first */
        t->next[i] = t->first[t->leaf[i]] < t->pictures ? t->first[t->leaf[i]] : -1;
        t->first[t->leaf[i]] = i;
    }
    for (int i = tree->nodes - 1; i > 0; i--) {
        const int parent = tree->node[i].parent;
        t->parent[i] = parent;
        t->call[i] = call_of(tree, i);
        t->depth[i] = tree->node[i].depth;
        if (t->first[i] < t->first[parent]) t->first[parent] = t->first[i];
    }
    return RF_OK;
}

/* A call is a job's own if all pictures at or below it are. */
static rf_status note_owners(rf_plan *p, const rf_plan_tree *t, rf_error *err)
{
    enum { NOBODY = -1, SEVERAL = -2 };
    int *owner = malloc(((size_t)t->nodes + 1) * sizeof *owner);
    if (!owner) return no_memory(err);
    for (int i = 0; i <= t->nodes; i++) owner[i] = NOBODY;
    for (int i = 0; i < t->pictures; i++) {
        int *at = &owner[t->leaf[i]];
        *at = *at == NOBODY || *at == t->picture[i].job ? t->picture[i].job : SEVERAL;
    }
    for (int i = t->nodes; i > 0; i--) {
        int *above = &owner[t->parent[i]];
        *above = *above == NOBODY || *above == owner[i] ? owner[i] : SEVERAL;
        if (owner[i] >= 0) p->job[owner[i]].calls_of_own++;
    }
    free(owner);
    return RF_OK;
}

static void note_programs(rf_plan *p, const rf_plan_tree *t)
{
    for (int i = 0; i < t->launches.launches; i++) {
        const rf_launch *l = &t->launches.launch[i];
        const int        adaptive = t->call[t->launches.item[l->first].node] < 0;
        p->program[l->kind].occurs[adaptive ? 1 : l->count] = 1;
    }
}

static rf_status order(rf_plan *p, rf_plan_tree *t, const rf_tree *tree, rf_error *err)
{
    rf_status st = RF_OK;
    int      *group = malloc(((size_t)p->programs + 1) * sizeof *group);
    if (!group) return no_memory(err);
    for (int i = 0; i < p->programs; i++) group[i] = p->program[i].expert;
    const rf_launch_rules rules = {
        .group = group, .kinds = p->programs, .batch = p->batch, .by_group = !p->resident};
    RF_TRY(rf_launches_plan(&t->launches, tree, &rules, err));
    if (t->launches.slots > p->slots) p->slots = t->launches.slots;
    note_programs(p, t);
    if (!p->resident) RF_TRY(rf_residency_list_turns(p, t, err));
done:
    free(group);
    return st;
}

/* The tree of the pictures 0 .. count - 1 of every job that has them. */
static rf_status grow(rf_plan *p, rf_plan_tree *t, int count, rf_error *err)
{
    rf_status st = RF_OK;
    rf_tree   tree = {0};
    int64_t   pictures = 0;
    for (int i = 0; i < p->jobs; i++)
        pictures += p->job[i].job.count < count ? p->job[i].job.count : count;
    RF_TRY(rf_tree_start(&tree, err));
    t->leaf = malloc((size_t)pictures * sizeof *t->leaf);
    t->picture = malloc((size_t)pictures * sizeof *t->picture);
    if (!t->leaf || !t->picture) {
        st = no_memory(err);
        goto done;
    }
    for (int i = 0; i < p->jobs; i++)
        for (int n = 0; n < count && n < p->job[i].job.count; n++) {
            t->picture[t->pictures] = (rf_picture){.job = i, .index = n};
            RF_TRY(add_picture(p, &tree, t->picture[t->pictures], &t->leaf[t->pictures], err));
            t->pictures++;
        }
    RF_TRY(note_nodes(t, &tree, err));
    rf_tree_close(&tree);
    if (p->jobs > 1) RF_TRY(note_owners(p, t, err));
    RF_TRY(order(p, t, &tree, err));
done:
    rf_tree_free(&tree);
    return st;
}

/* ---- together ----------------------------------------------------------------------------- */

static rf_status count_pictures(rf_plan *p, int *most, rf_error *err)
{
    for (int i = 0; i < p->jobs; i++) {
        const rf_plan_job *j = &p->job[i];
        const int          calls = j->course.adaptive ? 1 : j->course.calls;
        p->pictures += j->job.count;
        p->calls_naive += (int64_t)j->job.count * calls;
        if (j->job.count > *most) *most = j->job.count;
        if (j->job.batch > p->batch) p->batch = j->job.batch;
    }
    if (p->batch > p->pictures) p->batch = (int)p->pictures;
    if (p->jobs > 1 && p->calls_naive > CALLS_MAX)
        return rf_fail(err, RF_E_ARG, "the jobs ask for %lld calls; %d is the most at once",
                       (long long)p->calls_naive, CALLS_MAX);
    return RF_OK;
}

/* Pictures of a single job that are planned together: a batch, for they share nothing.  Where the
 * experts take turns, as many as make a load's seconds small against theirs, while their states and
 * their tree stay small. */
static int size_round(const rf_plan *p, int most)
{
    enum { PICTURES = 1024, CALLS = 1 << 20 };
    const int calls = p->job[0].course.calls;
    int       pictures = calls > CALLS / PICTURES ? CALLS / calls : PICTURES;
    if (p->jobs > 1) return most;
    if (p->resident || p->adaptive) return p->batch;
    if (pictures > most) return most;
    pictures -= pictures % p->batch;
    return pictures > p->batch ? pictures : p->batch;
}

static void add_up(rf_plan *p, const rf_plan_tree *t, int64_t rounds)
{
    p->calls_shared += rounds * t->nodes;
    p->launches += rounds * t->launches.launches;
}

rf_status rf_plan_grow(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    int       most = 0;
    RF_TRY(count_pictures(p, &most, err));
    if (p->jobs == 1 && p->adaptive) p->batch = 1;
    p->pictures_per_round = size_round(p, most);
    const int whole = most / p->pictures_per_round, last = most % p->pictures_per_round;
    p->rounds = whole + (last > 0);
    RF_TRY(grow(p, &p->tree[RF_WHOLE_ROUND], p->pictures_per_round, err));
    add_up(p, &p->tree[RF_WHOLE_ROUND], whole);
    if (last) RF_TRY(grow(p, &p->tree[RF_LAST_ROUND], last, err));
    add_up(p, &p->tree[RF_LAST_ROUND], 1);
    int launches = p->tree[RF_WHOLE_ROUND].launches.launches;
    if (p->tree[RF_LAST_ROUND].launches.launches > launches)
        launches = p->tree[RF_LAST_ROUND].launches.launches;
    p->gap_room = launches;
    p->gaps = malloc((2 * (size_t)launches + 1) * sizeof *p->gaps);
    if (!p->gaps) st = no_memory(err);
done:
    return st;
}

void rf_plan_fell(rf_plan *p)
{
    for (int i = 0; i < RF_ROUND_KINDS; i++) {
        rf_plan_tree *t = &p->tree[i];
        free(t->picture);
        free(t->next);
        free(t->leaf);
        free(t->parent);
        free(t->call);
        free(t->first);
        free(t->depth);
        free(t->turn);
        rf_launches_free(&t->launches);
    }
}
