/* Every malformed file is refused: with the right status, one sentence that says what is wrong, in
 * 50 ms and 8 MB.  The memory is the process's own high-water mark, so that nothing escapes it. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/files/inversion.h"
#include "engine/files/lora_fit.h"
#include "engine/files/synth.h"
#include "engine/relay/engine.h"
#include "tests/hostile/hostile.h"

enum { KILOBYTES = 8 << 10 };

#ifdef RF_SANITIZE /* slow, and with a memory of its own */
static const double limit = 0.5;
#else
static const double limit = 0.05;
#endif

TestSuite(hostile, .timeout = 300);

typedef struct bench {
    hostile        h;
    char           folder[64];
    rf_engine     *engine;
    rf_lora_names *names;
    int            count;
    long           most_kilobytes;
    double         slowest;
    char           slowest_id[16];
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may use the machine too */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A row of /proc/self/status, in KB. */
static long status_of(const char *name)
{
    char  line[256];
    long  value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name), NULL, 10);
    if (f) fclose(f);
    return value;
}

/* What is held now, and from here on the high-water mark. */
static long begin_memory(void)
{
    malloc_trim(0);
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f); /* proc(5): the mark falls to what is held */
        fclose(f);
    }
    return status_of("VmRSS:");
}

/* As a plan does: a LoRA must be whole, and every module must find its layer. */
static rf_status open_lora(bench *b, const char *path, rf_error *err)
{
    rf_lora    *lora = NULL;
    rf_lora_fit fit = {0};
    rf_status   st = rf_lora_open(&lora, path, err);
    if (st == RF_OK) st = rf_lora_fit_create(&fit, lora, b->names, err);
    if (st == RF_OK && fit.matches < lora->modules)
        st = rf_fail(err, fit.first.status, "%s: %s", path, fit.first.message);
    rf_lora_fit_free(&fit);
    rf_lora_close(lora);
    return st;
}

static rf_status open_case(bench *b, hostile_slot slot, const char *path, rf_error *err)
{
    rf_expert        *expert = NULL;
    rf_embedding_file embedding = {0};
    rf_status         st = RF_OK;
    switch (slot) {
    case HOSTILE_LORA: return open_lora(b, path, err);
    case HOSTILE_EMBEDDING:
        st = rf_embedding_file_read(&embedding, path, err);
        rf_embedding_file_free(&embedding);
        return st;
    case HOSTILE_VAE: st = rf_expert_open_vae(&expert, b->engine, path, err); break;
    default: st = rf_expert_open(&expert, b->engine, path, err); break;
    }
    cr_expect((st == RF_OK) == (expert != NULL));
    rf_expert_close(expert);
    return st;
}

static void judge(void *user, const hostile_case *c, const char *path)
{
    bench          *b = user;
    rf_error        err = {.message = ""};
    const long      before = begin_memory();
    const double    start = now();
    const rf_status st = open_case(b, c->slot, path, &err);
    const double    seconds = now() - start;
    const long      more = status_of("VmHWM:") - before;
    b->count++;
    if (more > b->most_kilobytes) b->most_kilobytes = more;
    if (seconds > b->slowest) {
        b->slowest = seconds;
        snprintf(b->slowest_id, sizeof b->slowest_id, "%s", c->id);
    }
    cr_expect_eq(st, c->want, "%s, %s: %s (%s)", c->id, c->what, rf_status_name(st), err.message);
    cr_expect(err.status == st && strstr(err.message, c->said), "%s, %s: \"%s\" lacks \"%s\"",
              c->id, c->what, err.message, c->said);
    cr_expect(strncmp(err.message, b->folder, strlen(b->folder)) == 0 && !strchr(err.message, '\n'),
              "%s: %s", c->id, err.message);
    cr_expect_lt(seconds, limit, "%s, %s: %.3f s", c->id, c->what, seconds);
#ifndef RF_SANITIZE
    cr_expect_lt(more, KILOBYTES, "%s, %s: %ld KB more than before", c->id, c->what, more);
#endif
    hostile_remove(path);
}

static void set_up(bench *b)
{
    rf_error err = {0};
    *b = (bench){.folder = "/tmp/refinery-hostile-XXXXXX"};
    cr_assert_not_null(mkdtemp(b->folder));
    b->h = (hostile){.folder = b->folder, .made = judge, .user = b};
    cr_assert_eq(rf_engine_create(&b->engine, &(rf_options){.device = "cpu", .threads = 1}, &err),
                 RF_OK, "%s", err.message);
    cr_assert_eq(rf_lora_names_create(&b->names, hostile_tiny(), NULL), RF_OK);
}

static void tear_down(bench *b)
{
    rf_lora_names_destroy(b->names);
    rf_engine_destroy(b->engine);
    hostile_remove(b->folder);
}

/* A family, and at least so many files in it. */
static void run(hostile_family *family, int least)
{
    bench b;
    set_up(&b);
    family(&b.h);
    cr_expect_geq(b.count, least, "%d files", b.count);
    cr_log_info("%s: %d files, the slowest %s in %.1f ms, the most %ld KB", b.h.family, b.count,
                b.slowest_id, b.slowest * 1e3, b.most_kilobytes);
    tear_down(&b);
}

#define FAMILY(name, least)                                                                        \
    Test(hostile, name)                                                                            \
    {                                                                                              \
        run(hostile_##name, least);                                                                \
    }

FAMILY(s01, 20)
FAMILY(s02, 20)
FAMILY(s03, 40)
FAMILY(s04, 100)
FAMILY(s05, 15)
FAMILY(s06, 30)
FAMILY(s07, 40)
FAMILY(s08, 30)
FAMILY(s09, 25)
FAMILY(s10, 12)
FAMILY(s11, 20)
FAMILY(s12, 30)
FAMILY(s14, 50)
FAMILY(s15, 25)
FAMILY(s16, 50)
FAMILY(s17, 20)
FAMILY(c, 20)
FAMILY(loras, 50)
FAMILY(lora_shapes, 45)
FAMILY(vaes, 50)
FAMILY(folders, 20)
FAMILY(embeddings, 35)
FAMILY(levels, 12)

static void count(void *user, const hostile_case *c, const char *path)
{
    int *slots = user;
    slots[c->slot]++;
    hostile_remove(path);
}

/* The numbers that the set promises, over all families. */
Test(hostile, there_are_enough)
{
    char    folder[] = "/tmp/refinery-hostile-XXXXXX";
    int     slots[HOSTILE_EMBEDDING + 1] = {0};
    hostile h = {.folder = folder, .made = count, .user = slots};
    cr_assert_not_null(mkdtemp(folder));
    for (int i = 0; hostile_family_at(i); i++) hostile_family_at(i)(&h);
    hostile_remove(folder);
    cr_expect_geq(slots[HOSTILE_CHECKPOINT], 300, "%d", slots[HOSTILE_CHECKPOINT]);
    cr_expect_geq(slots[HOSTILE_LORA] + slots[HOSTILE_VAE] + slots[HOSTILE_FOLDER] +
                      slots[HOSTILE_EMBEDDING],
                  150);
    cr_log_info("%d checkpoints, %d VAEs, %d LoRAs, %d folders, %d embeddings",
                slots[HOSTILE_CHECKPOINT], slots[HOSTILE_VAE], slots[HOSTILE_LORA],
                slots[HOSTILE_FOLDER], slots[HOSTILE_EMBEDDING]);
}
