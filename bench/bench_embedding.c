/* embedding.  bytes: one table row and one position row read, one row written. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/embedding/embedding.h"

#define ROW(name, m, c, vocab, extras, seq, why) {#name, m, c, vocab, extras, seq},
static const struct {
    const char *name;
    int         m, c, vocab, extras, seq;
} rows[] = {RF_EMBEDDING_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_embedding_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_embedding_args *got = args;
    rf_embedding_args        a = *got;
    const size_t             elems = (size_t)a.m * a.c;
    a.y = bench_output(b, elems * sizeof(float));
    a.dtype = RF_F32;
    if (rf_embedding_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(got->y, got->dtype, a.y, elems);
}

void bench_embedding(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "embedding", rows[i].name)) continue;
        rf_embedding_args a = {.m = rows[i].m,
                               .c = rows[i].c,
                               .vocab = rows[i].vocab,
                               .seq = rows[i].seq,
                               .dtype = RF_BF16,
                               .wdtype = RF_BF16};
        int32_t          *id = bench_output(b, (size_t)a.m * sizeof *id);
        for (int r = 0; r < a.m; r++) id[r] = (int)((unsigned)r * 40503u % (unsigned)a.vocab);
        a.id = id;
        a.table = bench_input(b, RF_BF16, (size_t)a.vocab * a.c);
        a.position = bench_input(b, RF_BF16, (size_t)a.seq * a.c);
        a.y = bench_output(b, (size_t)a.m * a.c * 2);
        bench_run(b, &(bench_case){.op = "embedding",
                                   .row = rows[i].name,
                                   .dtype = RF_BF16,
                                   .bytes = 3.0 * 2 * (double)a.m * a.c,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
