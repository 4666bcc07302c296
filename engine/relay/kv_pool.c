/* See kv_pool.h.  Blocks lie first fit: prompts have few lengths, experts few sizes, and where what
 * is left between blocks will not do for a launch, the pool is emptied for it. */
#include "engine/relay/kv_pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

enum { ALIGN = 256 };

static size_t bytes_of(const rf_plan *p, const rf_plan_expert *x, const rf_conditioning *cond)
{
    const size_t bytes =
        x->expert->blocks.kv_elems * (size_t)cond->rows * rf_dtype_bytes(p->engine->dtype);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t context_bytes_of(const rf_plan *p, const rf_plan_expert *x,
                               const rf_conditioning *cond)
{
    return (size_t)cond->rows * (size_t)x->expert->arch.unet.context *
           rf_dtype_bytes(p->engine->dtype);
}

/* The conditioning of row r of a call. */
static rf_conditioning *cond_of(const rf_plan *p, const rf_plan_expert *x,
                                const rf_relay_call *call, int r)
{
    return &x->cond[p->row[call->row_at + r].cond];
}

/* ---- how large ---------------------------------------------------------------------------- */

/* What a launch reads; each conditioning once. */
static size_t read_by(rf_plan *p, const rf_plan_tree *t, const rf_launch *l)
{
    const rf_plan_expert *x = &p->expert[p->program[l->kind].expert];
    size_t                bytes = 0;
    p->kv_pool.reads++;
    for (int i = l->first; i < l->first + l->count; i++) {
        const int call = t->call[t->launches.item[i].node];
        for (int r = 0; call >= 0 && r < p->call[call].rows; r++) {
            rf_conditioning *cond = cond_of(p, x, &p->call[call], r);
            if (cond->kv_read != p->kv_pool.reads) bytes += bytes_of(p, x, cond);
            cond->kv_read = p->kv_pool.reads;
        }
    }
    return bytes;
}

/* Which ones a call of DPM adaptive will read is not known: as many of the largest as it has rows.
 */
static size_t most_read(rf_plan *p, size_t largest)
{
    size_t most = p->adaptive ? largest * (size_t)p->rows : 0;
    for (int k = 0; k < RF_ROUND_KINDS; k++)
        for (int i = 0; i < p->tree[k].launches.launches; i++) {
            const size_t bytes = read_by(p, &p->tree[k], &p->tree[k].launches.launch[i]);
            if (bytes > most) most = bytes;
        }
    return most;
}

rf_status rf_kv_size(rf_plan *p, rf_error *err)
{
    rf_kv_pool *pool = &p->kv_pool;
    size_t      conds = 0, largest = 0;
    for (int i = 0; i < p->expert_count; i++) {
        const rf_plan_expert *x = &p->expert[i];
        conds += (size_t)x->conds;
        for (int c = 0; c < x->conds; c++) {
            const size_t bytes = bytes_of(p, x, &x->cond[c]);
            const size_t context = context_bytes_of(p, x, &x->cond[c]);
            pool->all_bytes += bytes;
            if (bytes > largest) largest = bytes;
            if (context > pool->context_bytes) pool->context_bytes = context;
        }
    }
    const size_t least = most_read(p, largest);
    const size_t wanted = p->engine->kv_pool / ALIGN * ALIGN;
    pool->bytes = wanted > least ? wanted : least;
    if (pool->bytes > pool->all_bytes) pool->bytes = pool->all_bytes;
    pool->reads = 0;
    for (int i = 0; i < p->expert_count; i++)
        for (int c = 0; c < p->expert[i].conds; c++) p->expert[i].cond[c].kv_read = 0;
    pool->block = calloc(conds + 1, sizeof *pool->block);
    return pool->block ? RF_OK : rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

void rf_kv_free(rf_plan *p)
{
    free(p->kv_pool.block);
    p->kv_pool.block = NULL;
}

/* ---- places ------------------------------------------------------------------------------- */

/* A hole in the pool, and which place its block will have in the list. */
typedef struct hole {
    size_t from;
    int    at;
} hole;

/* The first one of that size; 0: there is none. */
static int find_hole(const rf_kv_pool *pool, size_t bytes, hole *out)
{
    *out = (hole){0};
    for (; out->at < pool->blocks; out->at++) {
        const rf_kv_block *b = &pool->block[out->at];
        if (b->at - out->from >= bytes) return 1;
        out->from = b->at + b->bytes;
    }
    return pool->bytes - out->from >= bytes;
}

static void insert(rf_kv_pool *pool, const hole *h, size_t bytes, rf_conditioning *cond)
{
    rf_kv_block *b = &pool->block[h->at];
    memmove(b + 1, b, (size_t)(pool->blocks - h->at) * sizeof *b);
    *b = (rf_kv_block){.at = h->from, .bytes = bytes, .cond = cond};
    pool->blocks++;
    cond->kv = pool->base + h->from;
}

static void evict(rf_kv_pool *pool, int at)
{
    rf_kv_block *b = &pool->block[at];
    b->cond->kv = NULL;
    pool->blocks--;
    memmove(b, b + 1, (size_t)(pool->blocks - at) * sizeof *b);
}

static void evict_all(rf_kv_pool *pool)
{
    while (pool->blocks) evict(pool, pool->blocks - 1);
}

/* The block read longest ago, but none of the launch at hand; -1: there is no other.  Those that
 * were computed ahead and never read count as oldest, the last ones first. */
static int oldest(const rf_kv_pool *pool)
{
    int found = -1;
    for (int i = 0; i < pool->blocks; i++) {
        const int64_t read = pool->block[i].cond->kv_read;
        if (read > pool->before) continue;
        if (found < 0 || read <= pool->block[found].cond->kv_read) found = i;
    }
    return found;
}

/* 0: the launch at hand itself is in the way. */
static int make_room(rf_kv_pool *pool, size_t bytes, hole *out)
{
    while (!find_hole(pool, bytes, out)) {
        const int at = oldest(pool);
        if (at < 0) return 0;
        evict(pool, at);
    }
    return 1;
}

/* ---- computing ---------------------------------------------------------------------------- */

/* The context where ops read it. */
static rf_status bring_context(rf_plan *p, const rf_plan_expert *x, const rf_conditioning *cond,
                               const void **out, rf_error *err)
{
    rf_kv_pool *pool = &p->kv_pool;
    rf_device  *device = &p->engine->device;
    rf_status   st = RF_OK;
    *out = cond->context;
    if (rf_device_on_host(device)) return RF_OK;
    char        *from = pool->from + (size_t)pool->next * pool->context_bytes;
    rf_event    *copied = pool->copied[pool->next];
    const size_t bytes = context_bytes_of(p, x, cond);
    RF_TRY(rf_event_wait(device, copied, err));
    memcpy(from, cond->context, bytes);
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, pool->context, from, bytes, err));
    RF_TRY(rf_event_record(device, copied, RF_STREAM_OPS, err));
    pool->next = (pool->next + 1) % RF_KV_UPLOADS;
    *out = pool->context;
done:
    return st;
}

static rf_status record(rf_plan *p, const rf_plan_expert *x, const rf_unet_kv_args *args,
                        rf_error *err)
{
    rf_expert *e = x->expert;
    return rf_record_place(&p->engine->device, &e->weights[RF_NET_UNET], e->unet.kv, rf_unet_kv,
                           args, p->slab, p->slab_bytes, &p->scratch_program, err);
}

static rf_status compute(rf_plan *p, const rf_plan_expert *x, rf_conditioning *cond, const hole *h,
                         rf_error *err)
{
    rf_kv_pool     *pool = &p->kv_pool;
    rf_unet_kv_args args = {.list = &x->expert->blocks,
                            .arch = &x->expert->arch.unet,
                            .pool = pool->base + h->from,
                            .tokens = cond->rows};
    rf_status       st = RF_OK;
    RF_TRY(bring_context(p, x, cond, &args.context, err));
    RF_TRY(record(p, x, &args, err));
    RF_TRY(rf_program_run(&p->scratch_program, &p->engine->device, err));
    insert(pool, h, bytes_of(p, x, cond), cond);
    pool->computed++;
done:
    return st;
}

rf_status rf_kv_fill(rf_plan *p, int expert, rf_error *err)
{
    const rf_plan_expert *x = &p->expert[expert];
    const rf_unet_kv_args any = {
        .list = &x->expert->blocks, .arch = &x->expert->arch.unet, .tokens = x->cond[0].rows};
    rf_status st = RF_OK;
    hole      h;
    RF_TRY(record(p, x, &any, err)); /* so that the program has its room before the loop */
    for (int c = 0; c < x->conds; c++) {
        rf_conditioning *cond = &x->cond[c];
        if (cond->kv || !find_hole(&p->kv_pool, bytes_of(p, x, cond), &h)) continue;
        RF_TRY(compute(p, x, cond, &h, err));
    }
done:
    return st;
}

/* ---- for a launch ------------------------------------------------------------------------- */

/* *crowded: the launch's own blocks lie so that another one has no room. */
static rf_status bring_missing(rf_plan *p, const rf_pass *pass, int *crowded, rf_error *err)
{
    const rf_plan_expert *x = &p->expert[pass->program->expert];
    rf_status             st = RF_OK;
    hole                  h;
    *crowded = 0;
    for (int i = 0; i < pass->count; i++)
        for (int r = 0; r < pass->sample[i].call->rows; r++) {
            rf_conditioning *cond = cond_of(p, x, pass->sample[i].call, r);
            if (cond->kv) continue;
            *crowded = !make_room(&p->kv_pool, bytes_of(p, x, cond), &h);
            if (*crowded) goto done;
            RF_TRY(compute(p, x, cond, &h, err));
        }
done:
    return st;
}

rf_status rf_kv_bring(rf_plan *p, const rf_pass *pass, rf_error *err)
{
    const rf_plan_expert *x = &p->expert[pass->program->expert];
    rf_kv_pool           *pool = &p->kv_pool;
    rf_status             st = RF_OK;
    int                   crowded = 0;
    pool->before = pool->reads;
    for (int i = 0; i < pass->count; i++)
        for (int r = 0; r < pass->sample[i].call->rows; r++)
            cond_of(p, x, pass->sample[i].call, r)->kv_read = ++pool->reads;
    RF_TRY(bring_missing(p, pass, &crowded, err));
    if (!crowded) goto done;
    evict_all(pool);
    RF_TRY(bring_missing(p, pass, &crowded, err));
    if (crowded) st = rf_fail(err, RF_E_BUG, "keys and values of a launch exceed their pool");
done:
    return st;
}

/* ---- memory ------------------------------------------------------------------------------- */

rf_status rf_kv_open(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    if (rf_device_on_host(&p->engine->device)) return RF_OK;
    for (int i = 0; i < RF_KV_UPLOADS; i++)
        RF_TRY(rf_event_create(&p->engine->device, &p->kv_pool.copied[i], err));
done:
    return st;
}

void rf_kv_close(rf_plan *p)
{
    rf_kv_pool *pool = &p->kv_pool;
    if (pool->base) evict_all(pool);
    for (int i = 0; i < RF_KV_UPLOADS; i++) {
        rf_event_destroy(&p->engine->device, pool->copied[i]);
        pool->copied[i] = NULL;
    }
    pool->base = NULL;
}
