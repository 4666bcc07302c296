/* The tree of runs: equal prefixes are one path.
 *
 * A node is the state of a run after one more call; its key is everything that can influence that
 * call, as bytes.  Runs that agree in their first keys share those nodes, whatever makes them
 * differ later.  The tree knows nothing of what the keys mean. */
#ifndef RF_TREE_H
#define RF_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

enum { RF_TREE_ROOT = 0 }; /* the node before every call of every run */

typedef struct rf_tree_node {
    int    parent;      /* -1: the root */
    int    first_child; /* -1: none; children in the order in which they were added */
    int    last_child, next_sibling;
    int    depth;      /* calls up to and including this node's; the root's is 0 */
    int    kind;       /* given when it was made: what may share a launch (launches.h) */
    size_t key, bytes; /* where its key lies */
} rf_tree_node;

typedef struct rf_tree {
    rf_tree_node *node; /* [nodes]; a child has a higher index than its parent */
    int           nodes, nodes_max;
    char         *keys;
    size_t        key_bytes, key_bytes_max;
    int          *slot; /* hash table of node indices, 0: empty */
    size_t        slots;
} rf_tree;

/* An empty tree: the root alone.  RF_E_NOMEM. */
rf_status rf_tree_start(rf_tree *tree, rf_error *err);
void      rf_tree_close(rf_tree *tree); /* gives back the keys and the table: no more steps */
void      rf_tree_free(rf_tree *tree);  /* {0} is fine */

/* *child = the child of `parent` with that key, made (with that kind) if there is none.  Keys are
 * compared whole, not by hash.  RF_E_NOMEM: the tree is as it was. */
rf_status rf_tree_step(rf_tree *tree, int parent, const void *key, size_t bytes, int kind,
                       int *child, rf_error *err);

static inline const void *rf_tree_key(const rf_tree *tree, int node)
{
    return tree->keys + tree->node[node].key;
}

#endif
