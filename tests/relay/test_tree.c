/* The tree of runs and the order in which it is computed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/relay/launches.h"
#include "engine/relay/tree.h"

/* A call's key: which expert makes it, and whatever else there is. */
typedef struct key {
    int expert, other;
} key;

static void must_be_ok(rf_status st)
{
    cr_assert_eq(st, RF_OK);
}

/* A run of `steps` calls: expert 0, then from `at` on expert 1 with prompt `prompt`; its leaf. */
static int add_run(rf_tree *t, int seed, int steps, int at, int prompt)
{
    int node = RF_TREE_ROOT;
    for (int k = 0; k < steps; k++) {
        const key now = k < at ? (key){0, seed} : (key){1, prompt * 1000 + seed};
        must_be_ok(rf_tree_step(t, node, &now, sizeof now, now.expert, &node, NULL));
        cr_assert_eq(t->node[node].depth, k + 1);
    }
    return node;
}

static int shared_calls(int steps, int first, int last, int prompts)
{
    rf_tree t;
    must_be_ok(rf_tree_start(&t, NULL));
    for (int at = first; at <= last; at++)
        for (int p = 0; p < prompts; p++) add_run(&t, 0, steps, at, p);
    const int calls = t.nodes - 1;
    rf_tree_free(&t);
    return calls;
}

Test(tree, shared_prefixes_are_computed_once)
{
    rf_tree t;
    must_be_ok(rf_tree_start(&t, NULL));
    for (int i = 1; i <= 9; i++) add_run(&t, 0, 30, 3 * i, 0); /* 0.1 ... 0.9 over 30 steps */
    cr_expect_eq(t.nodes - 1, 162);
    rf_tree_free(&t);
    cr_expect_eq(shared_calls(30, 0, 30, 1), 495);  /* all 31 points, instead of 930 */
    cr_expect_eq(shared_calls(30, 15, 15, 8), 135); /* 8 refiner prompts, instead of 240 */
    cr_expect_eq(shared_calls(30, 15, 15, 1), 30);
}

Test(tree, the_same_run_twice_is_one)
{
    rf_tree t;
    must_be_ok(rf_tree_start(&t, NULL));
    const int a = add_run(&t, 1, 20, 10, 0), b = add_run(&t, 1, 20, 10, 0);
    cr_expect_eq(a, b);
    cr_expect_neq(a, add_run(&t, 2, 20, 10, 0));
    cr_expect_eq(t.nodes - 1, 40);
    rf_tree_free(&t);
}

/* ---- launches ----------------------------------------------------------------------------- */

static unsigned next_random(unsigned *state)
{
    return *state = *state * 1664525u + 1013904223u, *state >> 8;
}

static void random_tree(rf_tree *t, unsigned seed, int runs)
{
    must_be_ok(rf_tree_start(t, NULL));
    for (int i = 0; i < runs; i++)
        add_run(t, (int)(next_random(&seed) % 3), 4 + (int)(next_random(&seed) % 12),
                (int)(next_random(&seed) % 10), (int)(next_random(&seed) % 4));
}

/* Walks the launches as an executor would, with the number of the node as its state. */
static void check(const rf_tree *t, const rf_launch_rules *rules, const rf_launches *l)
{
    int *state = calloc((size_t)l->slots + 1, sizeof *state);
    int *done = calloc((size_t)t->nodes, sizeof *done);
    int  items = 0, groups = 0, group = -1;
    cr_expect_eq(l->items, t->nodes - 1);
    for (int i = 0; i < l->launches; i++) {
        const rf_launch *now = &l->launch[i];
        cr_assert_eq(now->first, items, "launches follow each other");
        cr_assert(now->count >= 1 && now->count <= rules->batch);
        if (rules->group[now->kind] != group) groups++;
        group = rules->group[now->kind];
        for (int j = 0; j < now->count; j++) { /* begin: all copies, then the calls */
            const rf_launch_item *item = &l->item[items + j];
            const rf_tree_node   *node = &t->node[item->node];
            cr_assert_eq(node->kind, now->kind);
            cr_assert_eq(node->first_child < 0, item->leaf);
            cr_assert(item->slot >= 0 && item->slot < l->slots);
            if (node->parent == RF_TREE_ROOT) {
                cr_assert_eq(item->from, -1);
                continue;
            }
            cr_assert(done[node->parent]);
            cr_assert_eq(state[item->from], node->parent, "its parent's state is still there");
        }
        for (int j = 0; j < now->count; j++) {
            const rf_launch_item *item = &l->item[items + j];
            cr_assert_not(done[item->node]++);
            for (int other = 0; other < j; other++)
                cr_assert_neq(l->item[items + other].slot, item->slot, "two in one slot");
            state[item->slot] = item->node;
        }
        items += now->count;
    }
    if (rules->by_group) cr_expect_eq(groups, l->groups);
    free(state), free(done);
}

Test(launches, every_node_once_after_its_parent, .timeout = 60)
{
    const int group[2] = {0, 1};
    for (unsigned seed = 0; seed < 300; seed++) {
        rf_tree t;
        random_tree(&t, seed, 1 + (int)seed % 40);
        for (int batch = 1; batch <= 8; batch *= 2)
            for (int by_group = 0; by_group < 2; by_group++) {
                const rf_launch_rules rules = {.group = group,
                                               .kinds = 2,
                                               .batch = batch,
                                               .by_group = by_group,
                                               .slots_max = (int)seed % 3 ? 0 : 4};
                rf_launches           l;
                must_be_ok(rf_launches_plan(&l, &t, &rules, NULL));
                check(&t, &rules, &l);
                if (by_group) cr_expect_leq(l.groups, 2, "each expert is loaded once");
                rf_launches_free(&l);
            }
        rf_tree_free(&t);
    }
}

/* One at a time, the first run's picture is there after its own calls. */
Test(launches, the_first_picture_is_early)
{
    const int   group[2] = {0, 1};
    rf_tree     t;
    rf_launches l;
    must_be_ok(rf_tree_start(&t, NULL));
    for (int i = 1; i <= 9; i++) add_run(&t, 0, 30, 3 * i, 0);
    must_be_ok(
        rf_launches_plan(&l, &t, &(rf_launch_rules){.group = group, .kinds = 2, .batch = 1}, NULL));
    int first = 0;
    while (!l.item[first].leaf) first++;
    cr_expect_eq(first, 29);
    cr_expect_leq(l.slots, 2, "one state on its way, one where it forked");
    rf_launches_free(&l);
    must_be_ok(
        rf_launches_plan(&l, &t, &(rf_launch_rules){.group = group, .kinds = 2, .batch = 8}, NULL));
    cr_expect_lt(l.launches, 162 / 2, "batches grow: %d launches", l.launches);
    cr_expect_leq(l.slots, 10);
    rf_launches_free(&l);
    rf_tree_free(&t);
}

/* Where experts are not in memory together, every base call comes before the first refiner call. */
Test(launches, by_group_each_expert_has_one_turn)
{
    const int   group[2] = {0, 1};
    rf_tree     t;
    rf_launches l;
    must_be_ok(rf_tree_start(&t, NULL));
    for (int seed = 0; seed < 5; seed++)
        for (int i = 1; i <= 9; i++) add_run(&t, seed, 30, 3 * i, 0);
    must_be_ok(rf_launches_plan(
        &l, &t, &(rf_launch_rules){.group = group, .kinds = 2, .batch = 4, .by_group = 1}, NULL));
    cr_expect_eq(l.groups, 2);
    for (int i = 1; i < l.launches; i++) cr_expect_geq(l.launch[i].kind, l.launch[i - 1].kind);
    rf_launches_free(&l);
    rf_tree_free(&t);
}

Test(launches, ten_thousand_cells_in_a_second, .timeout = 30)
{
    const int   group[2] = {0, 1};
    rf_tree     t;
    rf_launches l;
    must_be_ok(rf_tree_start(&t, NULL));
    const clock_t start = clock();
    for (int seed = 0; seed < 1000; seed++)
        for (int at = 1; at <= 10; at++) add_run(&t, seed, 30, 3 * at, 0);
    must_be_ok(
        rf_launches_plan(&l, &t, &(rf_launch_rules){.group = group, .kinds = 2, .batch = 8}, NULL));
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
#ifndef RF_SANITIZE
    cr_expect_lt(seconds, 1.0);
#else
    (void)seconds;
#endif
    cr_expect_lt(l.slots, 100, "states held at once: %d", l.slots);
    rf_launches_free(&l);
    rf_tree_free(&t);
}
