/* attention on the CPU: online softmax over blocks of keys (Dao et al. 2022, algorithm 1).
 *
 *   step      parallel over                   what
 *   1 pack    (sample, head, key block)       K transposed, V by columns, into the tile's layout
 *   2 attend  (sample, head, query block)     for every key block: scores, softmax, o += p v
 *
 * A thread holds one query block: q, s, p and o stay in L2 (144 KiB at d = 64, 336 KiB at 512), and
 * the packed keys stream through it, each key serving QUERIES queries.  Workspace: the packed K and
 * V, and one scratch per thread; nothing of sq x skv.  Blocks have fixed sizes and are walked in
 * order, so a row's bits depend neither on the threads nor on the batch.  Bound by arithmetic. */
#include "kernels/attention/attention.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>

#include "kernels/attention/tile.h"
#include "kernels/cpu_rows.h"
#include "kernels/host.h"

enum {
    QUERIES = 64,  /* rows per query block */
    GROUP = 16,    /* keys are padded to whole vectors */
    D_MOST = 512,  /* the contract's largest head */
    ALIGNMENT = 64 /* of every part of the workspace: a cache line, an AVX-512 register */
};

typedef struct plan {
    const rf_tile *tile;
    int            dp;                                 /* d rounded up to RF_TILE_COLUMNS */
    size_t         elem_bytes;                         /* of the tile's type */
    size_t         k_bytes, v_bytes;                   /* packed, per (sample, head) */
    size_t         q_bytes, s_bytes, p_bytes, o_bytes; /* scratch parts, per thread */
    size_t         packs_bytes, scratch_bytes;         /* all packs; one thread's scratch */
    size_t         workspace_bytes;
} plan;

/* Keys and values of one sample. */
typedef struct sample {
    const void *k, *v;
    int         skv;
} sample;

static size_t round_up(size_t value, size_t to)
{
    return (value + to - 1) / to * to;
}

static plan plan_of(const rf_attention_args *a, int threads)
{
    const rf_tile *bf16 = a->dtype == RF_BF16 ? rf_tile_bf16() : NULL;
    plan           p = {.tile = bf16 ? bf16 : rf_tile_f32()};
    const size_t   keys = round_up((size_t)a->skv, GROUP);
    p.dp = (int)round_up((size_t)a->d, RF_TILE_COLUMNS);
    p.elem_bytes = rf_dtype_bytes(p.tile->dtype);
    p.k_bytes = round_up(keys * (size_t)a->d * p.elem_bytes, ALIGNMENT);
    p.v_bytes = round_up(keys * (size_t)p.dp * p.elem_bytes, ALIGNMENT);
    p.q_bytes = round_up(QUERIES * (size_t)a->d * p.elem_bytes, ALIGNMENT);
    p.s_bytes = (size_t)QUERIES * RF_TILE_KEYS * sizeof(float);
    p.p_bytes = (size_t)QUERIES * RF_TILE_KEYS * p.elem_bytes;
    p.o_bytes = (size_t)QUERIES * p.dp * sizeof(float);
    p.packs_bytes = (size_t)a->n * a->heads * (p.k_bytes + p.v_bytes);
    p.scratch_bytes = p.q_bytes + p.s_bytes + p.p_bytes + p.o_bytes;
    p.workspace_bytes = ALIGNMENT + p.packs_bytes + (size_t)threads * p.scratch_bytes;
    return p;
}

rf_status rf_attention_prepare_cpu(void *stream, const rf_attention_args *a,
                                   size_t *workspace_bytes)
{
    *workspace_bytes = 0;
    if (rf_attention_check(a) != RF_OK) return RF_E_SHAPE;
    *workspace_bytes = plan_of(a, rf_host_threads(stream)).workspace_bytes;
    return RF_OK;
}

static sample sample_of(const rf_attention_args *a, int b, int h)
{
    const size_t head = (size_t)h * a->d;
    if (!a->table) {
        const size_t at = (size_t)b * a->skv * a->kv_stride + head;
        return (sample){rf_at(a->k, a->dtype, at), rf_at(a->v, a->dtype, at), a->skv};
    }
    const int    skv = a->table[b].skv;
    const size_t at = a->kv_off * (size_t)skv + head, width = (size_t)a->heads * a->d;
    return (sample){rf_at(a->table[b].base, a->dtype, at),
                    rf_at(a->table[b].base, a->dtype, at + width), skv};
}

/* bf16: pairs of neighbouring d of 16 keys; pairs of neighbouring keys of 64 columns.  Keys from
 * s->skv on are zero.  `k` and `v` are the whole packs of this (sample, head). */
static void pack_bf16(const rf_attention_args *a, const sample *s, int dp, uint16_t *k, uint16_t *v,
                      int key_first, int key_end)
{
    const size_t keys = round_up((size_t)s->skv, GROUP);
    for (int j = key_first; j < key_end; j++) {
        const size_t    at = (size_t)j * a->kv_stride;
        const bool      real = j < s->skv;
        const uint16_t *k_row = (const uint16_t *)s->k + at, *v_row = (const uint16_t *)s->v + at;
        uint16_t       *dst = k + (size_t)(j / GROUP) * GROUP * a->d + 2 * (j % GROUP);
        for (int i = 0; i < a->d; i += 2, dst += 2 * GROUP) {
            dst[0] = real ? k_row[i] : 0;
            dst[1] = real ? k_row[i + 1] : 0;
        }
        for (int c = 0; c < dp; c++)
            v[((size_t)(c / RF_TILE_COLUMNS) * keys + (size_t)(j & ~1)) * RF_TILE_COLUMNS +
              2 * (size_t)(c % RF_TILE_COLUMNS) + (j & 1)] = real && c < a->d ? v_row[c] : 0;
    }
}

static void pack_f32(const rf_attention_args *a, const sample *s, int dp, float *k, float *v,
                     int key_first, int key_end)
{
    const size_t keys = round_up((size_t)s->skv, GROUP);
    float        row[D_MOST] = {0};
    for (int j = key_first; j < key_end; j++) {
        const size_t at = (size_t)j * a->kv_stride;
        const bool   real = j < s->skv;
        float       *dst = k + (size_t)(j / GROUP) * GROUP * a->d + j % GROUP;
        if (real) rf_widen_row(row, rf_at(s->k, a->dtype, at), a->dtype, (size_t)a->d);
        for (int i = 0; i < a->d; i++) dst[(size_t)i * GROUP] = real ? row[i] : 0;
        if (real) rf_widen_row(row, rf_at(s->v, a->dtype, at), a->dtype, (size_t)a->d);
        for (int c = 0; c < dp; c++)
            v[((size_t)(c / RF_TILE_COLUMNS) * keys + (size_t)j) * RF_TILE_COLUMNS +
              c % RF_TILE_COLUMNS] = real && c < a->d ? row[c] : 0;
    }
}

/* Copies the block's query rows into the tile's type; rows past the last are zero. */
RF_INLINE void load_queries_body(const rf_attention_args *a, rf_dtype to, void *q, size_t at,
                                 int rows)
{
    for (int r = 0; r < QUERIES; r++) {
        void       *dst = rf_at_mut(q, to, (size_t)r * a->d);
        const void *src = rf_at(a->q, a->dtype, at + (size_t)r * a->q_stride);
        if (r >= rows)
            memset(dst, 0, (size_t)a->d * rf_dtype_bytes(to));
        else if (to == a->dtype)
            memcpy(dst, src, (size_t)a->d * rf_dtype_bytes(to));
        else
            rf_widen_row(dst, src, a->dtype, (size_t)a->d);
    }
}

RF_INLINE void store_output_body(const rf_attention_args *a, const float *o, const float *sum,
                                 size_t at, int rows, int dp)
{
    float row[D_MOST];
    for (int r = 0; r < rows; r++) {
        const float inverse = 1 / sum[r];
        for (int i = 0; i < a->d; i++) row[i] = o[(size_t)r * dp + i] * inverse;
        rf_narrow_row(rf_at_mut(a->o, a->dtype, at + (size_t)r * a->o_stride), row, a->dtype,
                      (size_t)a->d);
    }
}

RF_MULTIVERSION(load_queries,
                (const rf_attention_args *a, rf_dtype to, void *q, size_t at, int rows),
                (a, to, q, at, rows))
RF_MULTIVERSION(store_output,
                (const rf_attention_args *a, const float *o, const float *sum, size_t at, int rows,
                 int dp),
                (a, o, sum, at, rows, dp))

/* Scores of `keys` keys from key `first` on; those that row r must not see become -infinity. */
static void block_scores(const rf_attention_args *a, const plan *p, const sample *kv, float *s,
                         const void *q, const void *k, int row, int rows, int first, int keys)
{
    const float log2e = 1.44269504088896341f;
    for (int r = 0; r < rows; r += RF_TILE_ROWS)
        p->tile->scores(s + (size_t)r * RF_TILE_KEYS, rf_at(q, p->tile->dtype, (size_t)r * a->d), k,
                        keys, a->d, a->scale * log2e);
    const int end = (int)round_up((size_t)keys, 32);
    for (int r = 0; r < rows; r++) {
        const int seen = a->causal && row + r < kv->skv ? row + r + 1 : kv->skv;
        for (int j = seen > first ? seen - first : 0; j < end; j++)
            s[(size_t)r * RF_TILE_KEYS + j] = -INFINITY;
    }
}

/* One query block of one head: rows row .. row + rows - 1 of sample b. */
static void attend(const rf_attention_args *a, const plan *p, char *scratch, const char *packs,
                   int b, int h, int row)
{
    const rf_tile *tile = p->tile;
    const sample   kv = sample_of(a, b, h);
    const int      rows = a->sq - row < QUERIES ? a->sq - row : QUERIES;
    const int      padded = (int)round_up((size_t)rows, RF_TILE_ROWS);
    const int      keys_all = (int)round_up((size_t)kv.skv, GROUP);
    const char    *k = packs + ((size_t)b * a->heads + h) * (p->k_bytes + p->v_bytes);
    const char    *v = k + p->k_bytes;
    void          *q = scratch, *weights = scratch + p->q_bytes + p->s_bytes;
    float         *s = (float *)(void *)(scratch + p->q_bytes);
    float         *o = (float *)(void *)(scratch + p->q_bytes + p->s_bytes + p->p_bytes);
    float          max[QUERIES], sum[QUERIES] = {0}, shrink[QUERIES];

    load_queries(a, tile->dtype, q, ((size_t)b * a->sq + row) * a->q_stride + (size_t)h * a->d,
                 rows);
    memset(o, 0, p->o_bytes);
    for (int r = 0; r < QUERIES; r++) max[r] = -FLT_MAX;

    for (int first = 0; first < keys_all; first += RF_TILE_KEYS) {
        if (a->causal && first >= row + rows) break; /* nobody here sees these keys */
        const int keys = keys_all - first < RF_TILE_KEYS ? keys_all - first : RF_TILE_KEYS;
        block_scores(a, p, &kv, s, q, k + (size_t)first * a->d * p->elem_bytes, row, padded, first,
                     keys);
        for (int r = 0; r < padded; r++)
            shrink[r] = tile->softmax(rf_at_mut(weights, tile->dtype, (size_t)r * RF_TILE_KEYS),
                                      s + (size_t)r * RF_TILE_KEYS, &max[r], &sum[r], keys);
        for (int c = 0; c < p->dp; c += RF_TILE_COLUMNS) {
            const size_t v_at = (size_t)c * keys_all + (size_t)first * RF_TILE_COLUMNS;
            for (int r = 0; r < padded; r += RF_TILE_ROWS)
                tile->values(o + (size_t)r * p->dp + c,
                             rf_at(weights, tile->dtype, (size_t)r * RF_TILE_KEYS),
                             rf_at(v, tile->dtype, v_at), shrink + r, keys, p->dp);
        }
    }
    store_output(a, o, sum, ((size_t)b * a->sq + row) * a->o_stride + (size_t)h * a->d, rows,
                 p->dp);
}

static void pack(const rf_attention_args *a, const plan *p, char *packs, int b, int h, int first)
{
    const sample kv = sample_of(a, b, h);
    const int    keys_all = (int)round_up((size_t)kv.skv, GROUP);
    const int    end = keys_all - first < RF_TILE_KEYS ? keys_all : first + RF_TILE_KEYS;
    char        *k = packs + ((size_t)b * a->heads + h) * (p->k_bytes + p->v_bytes);
    void        *v = k + p->k_bytes;
    if (p->tile->dtype == RF_BF16)
        pack_bf16(a, &kv, p->dp, (uint16_t *)(void *)k, v, first, end);
    else
        pack_f32(a, &kv, p->dp, (float *)(void *)k, v, first, end);
}

rf_status rf_attention_cpu(void *stream, const rf_attention_args *a)
{
    if (rf_attention_check(a) != RF_OK) return RF_E_SHAPE;
    for (int b = 0; a->table && b < a->n; b++)
        if (a->table[b].skv < 1 || a->table[b].skv > a->skv) return RF_E_SHAPE;

    const int  threads = rf_host_threads(stream);
    const plan p = plan_of(a, threads);
    char      *packs = (char *)round_up((uintptr_t)a->workspace, ALIGNMENT);
    char      *scratch = packs + p.packs_bytes;
    const int  key_blocks = (a->skv + RF_TILE_KEYS - 1) / RF_TILE_KEYS;
    const int  query_blocks = (a->sq + QUERIES - 1) / QUERIES;
    const long heads = (long)a->n * a->heads;

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (long i = 0; i < heads * key_blocks; i++) {
            const long bh = i / key_blocks;
            pack(a, &p, packs, (int)(bh / a->heads), (int)(bh % a->heads),
                 (int)(i % key_blocks) * RF_TILE_KEYS);
        }
        /* the packs are written above, read below: the implicit barrier orders them */
#pragma omp for schedule(dynamic)
        for (long i = 0; i < heads * query_blocks; i++) {
            const long bh = i / query_blocks;
            attend(a, &p, scratch + (size_t)omp_get_thread_num() * p.scratch_bytes, packs,
                   (int)(bh / a->heads), (int)(bh % a->heads), (int)(i % query_blocks) * QUERIES);
        }
    }
    return RF_OK;
}
