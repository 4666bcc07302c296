/* Our enumeration, renamed, is what diffusers builds: every name with its shape, and no other. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/diffusers_names.h"
#include "engine/files/synth.h"

enum { LINE = 200, LINES = 4096 };

typedef struct listing {
    rf_sdxl_arch arch;
    char (*line)[LINE]; /* [LINES] */
    int lines;
} listing;

/* One part of a tensor, as the golden file writes it. */
static void add(listing *l, const rf_layout_tensor *t, const rf_diffusers_tensor *d, int parts)
{
    int64_t dim[RF_LAYOUT_DIMS];
    int     ndim = t->ndim;
    memcpy(dim, t->dim, sizeof dim);
    dim[0] /= parts;
    /* a Linear there: the UNet's is one in our layout already */
    if (t->pointwise) ndim = 2;
    if (d->transposed) dim[0] = t->dim[1], dim[1] = t->dim[0];
    cr_assert_lt(l->lines, LINES);
    char *line = l->line[l->lines++];
    int   used = snprintf(line, LINE, "%s %s ", rf_diffusers_part(t->part), d->name);
    for (int i = 0; i < ndim; i++)
        used +=
            snprintf(line + used, LINE - (size_t)used, "%s%lld", i ? "x" : "", (long long)dim[i]);
    snprintf(line + used, LINE - (size_t)used, "\n");
}

static rf_status rename_one(void *user, const rf_layout_tensor *t)
{
    listing            *l = user;
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    const int           parts = rf_diffusers_names(&l->arch, t, d);
    cr_expect_eq(parts == 0, t->optional, "%s", t->name);
    for (int i = 0; i < parts; i++) add(l, t, &d[i], parts);
    return RF_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(a, b);
}

static listing list(const char *arch)
{
    listing l = {.line = calloc(LINES, LINE)};
    cr_assert_eq(rf_synth_arch(&l.arch, arch, NULL), RF_OK);
    cr_assert_eq(rf_sdxl_layout(&l.arch, rename_one, &l), RF_OK);
    qsort(l.line, (size_t)l.lines, LINE, by_bytes);
    return l;
}

static uint64_t fnv(const listing *l)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < l->lines; i++)
        for (const char *c = l->line[i]; *c; c++) h = (h ^ (unsigned char)*c) * 0x100000001b3u;
    return h;
}

/* The next line of the golden file: a name, the number of tensors, a hash of their lines. */
static void check_whole(FILE *golden, const char *name, const char *arch)
{
    char         line[LINE];
    char        *end = NULL;
    const size_t front = strlen(name);
    cr_assert(fgets(line, sizeof line, golden) && strncmp(line, name, front) == 0, "%s", line);
    const long               lines = strtol(line + front, &end, 10);
    const unsigned long long hash = strtoull(end, NULL, 16);
    listing                  whole = list(arch);
    cr_expect_eq(whole.lines, lines, "%s", arch);
    cr_expect_eq(fnv(&whole), hash, "%s", arch);
    free(whole.line);
}

Test(diffusers_names, are_those_that_diffusers_builds, .timeout = 60)
{
    FILE   *golden = fopen("tests/golden/diffusers_names.txt", "r");
    char    line[LINE];
    listing tiny = list("tiny");
    cr_assert_not_null(golden);
    check_whole(golden, "full ", "sdxl");
    check_whole(golden, "refiner ", "sdxl-refiner");
    for (int i = 0; i < tiny.lines; i++) {
        cr_assert_not_null(fgets(line, sizeof line, golden), "golden file ends before %s",
                           tiny.line[i]);
        cr_expect_str_eq(tiny.line[i], line);
    }
    cr_expect_null(fgets(line, sizeof line, golden), "%s is not listed", line);
    fclose(golden);
    free(tiny.line);
}
