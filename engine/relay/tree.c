/* An open-addressing table finds a child by its parent and key; nodes and keys only ever grow. */
#include "engine/relay/tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a over parent and key: collisions cost a comparison, never a wrong answer. */
static uint64_t hash_of(int parent, const void *key, size_t bytes)
{
    const unsigned char *p = key;
    uint64_t             h = (14695981039346656037u ^ (uint64_t)parent) * 1099511628211u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "sweep: out of memory");
}

rf_status rf_tree_start(rf_tree *tree, rf_error *err)
{
    enum { FIRST = 1024 };
    *tree = (rf_tree){.nodes = 1, .nodes_max = FIRST, .slots = 2 * FIRST};
    tree->node = malloc(FIRST * sizeof *tree->node);
    tree->slot = calloc(tree->slots, sizeof *tree->slot);
    if (!tree->node || !tree->slot) {
        rf_tree_free(tree);
        return no_memory(err);
    }
    tree->node[RF_TREE_ROOT] =
        (rf_tree_node){.parent = -1, .first_child = -1, .last_child = -1, .next_sibling = -1};
    return RF_OK;
}

void rf_tree_close(rf_tree *tree)
{
    free(tree->keys);
    free(tree->slot);
    tree->keys = NULL;
    tree->slot = NULL;
}

void rf_tree_free(rf_tree *tree)
{
    rf_tree_close(tree);
    free(tree->node);
    *tree = (rf_tree){0};
}

static int same(const rf_tree *t, int node, int parent, const void *key, size_t bytes)
{
    const rf_tree_node *n = &t->node[node];
    return n->parent == parent && n->bytes == bytes && memcmp(t->keys + n->key, key, bytes) == 0;
}

/* Where the node is, or where it would go. */
static size_t find(const rf_tree *t, int parent, const void *key, size_t bytes)
{
    size_t at = hash_of(parent, key, bytes) & (t->slots - 1);
    while (t->slot[at] && !same(t, t->slot[at], parent, key, bytes)) at = (at + 1) & (t->slots - 1);
    return at;
}

/* Room for one more node: twice as many, and a table twice as large as that. */
static rf_status grow_nodes(rf_tree *t, rf_error *err)
{
    if (t->nodes < t->nodes_max) return RF_OK;
    if (t->nodes_max > INT_MAX / 4) return rf_fail(err, RF_E_ARG, "sweep: too many calls");
    const size_t  nodes = 2 * (size_t)t->nodes_max;
    rf_tree_node *grown = realloc(t->node, nodes * sizeof *grown);
    if (!grown) return no_memory(err);
    t->node = grown;
    int *slot = calloc(2 * nodes, sizeof *slot);
    if (!slot) return no_memory(err);
    free(t->slot);
    t->slot = slot;
    t->slots = 2 * nodes;
    t->nodes_max = (int)nodes;
    for (int i = 1; i < t->nodes; i++) {
        const rf_tree_node *n = &t->node[i];
        t->slot[find(t, n->parent, t->keys + n->key, n->bytes)] = i;
    }
    return RF_OK;
}

static rf_status grow_keys(rf_tree *t, size_t bytes, rf_error *err)
{
    if (bytes <= t->key_bytes_max - t->key_bytes) return RF_OK;
    if (bytes > SIZE_MAX / 4 - t->key_bytes) return no_memory(err);
    const size_t room = 2 * (t->key_bytes + bytes);
    char        *grown = realloc(t->keys, room);
    if (!grown) return no_memory(err);
    t->keys = grown;
    t->key_bytes_max = room;
    return RF_OK;
}

static void link_child(rf_tree *t, int parent, int child)
{
    rf_tree_node *p = &t->node[parent];
    if (p->first_child < 0)
        p->first_child = child;
    else
        t->node[p->last_child].next_sibling = child;
    p->last_child = child;
}

rf_status rf_tree_step(rf_tree *t, int parent, const void *key, size_t bytes, int kind, int *child,
                       rf_error *err)
{
    rf_status st = RF_OK;
    *child = t->slot[find(t, parent, key, bytes)];
    if (*child) return RF_OK;
    RF_TRY(grow_nodes(t, err));
    RF_TRY(grow_keys(t, bytes, err));
    *child = t->nodes++;
    t->node[*child] = (rf_tree_node){.parent = parent,
                                     .first_child = -1,
                                     .last_child = -1,
                                     .next_sibling = -1,
                                     .depth = t->node[parent].depth + 1,
                                     .kind = kind,
                                     .key = t->key_bytes,
                                     .bytes = bytes};
    memcpy(t->keys + t->key_bytes, key, bytes);
    const size_t at = find(t, parent, key, bytes);
    t->key_bytes += bytes;
    t->slot[at] = *child;
    link_child(t, parent, *child);
done:
    return st;
}
