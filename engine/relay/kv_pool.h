/* Keys and values of prompts: a pool of fixed size on the device.
 *
 * Where all of them fit they are computed once, before the first step.  Where they do not, a launch
 * that misses some takes the room of those that were read longest ago and computes its own again.
 * Keys and values of 77 tokens cost 0.8 % of the forward pass that reads them (52.5 GFLOP of 6.76
 * TFLOP per row at 1024x1024, 3.3 % at 512x512), so a pool that always misses costs no more than
 * that: looking into the future, as residency.h does, would save next to nothing here.
 *
 * Which ones go follows from the launches alone, and keys and values are the same bytes whenever
 * they are computed.  One prompt at a time: in a pool block all tokens of a layer follow each
 * other, so that several prompts have no common output. */
#ifndef RF_KV_POOL_H
#define RF_KV_POOL_H

#include "engine/core/twin.h"
#include "engine/refinery.h"

typedef struct rf_conditioning rf_conditioning; /* plan.h */
typedef struct rf_pass         rf_pass;

enum { RF_KV_POOL_MIB = 512 }; /* unless rf_options.kv_pool says so: 20 prompts of 77 tokens */

/* Contexts on their way up: 2.5 MB of prompts of 77 tokens, enough for a launch of 4 pictures. */
enum { RF_KV_UPLOADS = 8 };

typedef struct rf_kv_block {
    size_t           at, bytes; /* in the pool */
    rf_conditioning *cond;
} rf_kv_block;

typedef struct rf_kv_pool {
    char        *base;             /* the device's; NULL until the plan's memory is taken */
    size_t       bytes, all_bytes; /* of the pool; and what all conditionings would take */
    rf_kv_block *block;            /* [blocks], what it holds, by address; room for everything */
    int          blocks;
    int64_t      reads;    /* rows of launches so far ... */
    int64_t      before;   /* ... before the one at hand */
    int64_t      computed; /* prompts so far */

    /* beside a GPU */
    char     *from;                  /* RF_KV_UPLOADS contexts on the desk */
    void     *context;               /* one of them, the device's */
    size_t    context_bytes;         /* the largest */
    rf_event *copied[RF_KV_UPLOADS]; /* it may be filled again */
    int       next;
} rf_kv_pool;

/* Once all launches are known: how large the pool is.  At least what any launch reads, at most what
 * there is. */
rf_status rf_kv_size(rf_plan *plan, rf_error *err);
void      rf_kv_free(rf_plan *plan);

/* Around the plan's memory: after it was taken, and before it is given back. */
rf_status rf_kv_open(rf_plan *plan, rf_error *err);
void      rf_kv_close(rf_plan *plan); /* nothing is in the pool from now on */

/* Ahead of the loop: those of an expert's conditionings for which there is still room.  The UNet is
 * loaded. */
rf_status rf_kv_fill(rf_plan *plan, int expert, rf_error *err);

/* Before a launch is queued: `kv` of all conditionings of its rows stands, and stays until the next
 * call; what is missing is queued on the ops' stream.  The UNet is loaded.  The host waits only if
 * more than RF_KV_UPLOADS contexts are under way. */
rf_status rf_kv_bring(rf_plan *plan, const rf_pass *pass, rf_error *err);

#endif
