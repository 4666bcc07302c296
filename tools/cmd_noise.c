/* `refinery noise`: what a noise source draws for a seed, exactly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/json_writer.h"
#include "tools/signals.h"
#include "tools/verbs.h"

/* A picture of 8192x8192 has four million numbers; sixteen make 200 MB of JSON. */
enum { NUMBERS_MAX = 1 << 24, SIDE_MAX = 1 << 20 };

typedef struct noise_values {
    rf_common   common;
    const char *rng, *shape;
    int64_t     seed;
    int         draws;
} noise_values;

static const char *const SOURCES[] = {"nv", "cpu", NULL};

static const rf_option ROWS[] = {
    {.name = "rng",
     .kind = RF_OPTION_NAME,
     .offset = offsetof(noise_values, rng),
     .value = "NAME",
     .fallback = "nv",
     .help = "source: nv (as on a GPU), cpu",
     .group = "Noise",
     .aliases = "randn-source",
     .choices = SOURCES},
    {.name = "seed",
     .letter = 's',
     .kind = RF_OPTION_LONG,
     .offset = offsetof(noise_values, seed),
     .value = "N",
     .fallback = "1",
     .help = "of the picture",
     .group = "Noise",
     .max = 9223372036854775807.0},
    {.name = "shape",
     .kind = RF_OPTION_TEXT,
     .offset = offsetof(noise_values, shape),
     .value = "C,H,W",
     .fallback = "4,128,128",
     .help = "channels, height, width of the latent",
     .group = "Noise"},
    {.name = "draws",
     .kind = RF_OPTION_INT,
     .offset = offsetof(noise_values, draws),
     .value = "K",
     .fallback = "1",
     .help = "how many, one after the other",
     .group = "Noise",
     .min = 1,
     .max = NUMBERS_MAX},
    RF_COMMON_OPTIONS(noise_values, RF_PLACE_HELP),
};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

/* "4,128,128", all of it; the numbers of all draws together must stay within reason. */
static rf_status read_shape(const noise_values *v, int shape[3], rf_error *err)
{
    static const rf_option SIDE = {
        .name = "side", .kind = RF_OPTION_INT, .min = 1, .max = SIDE_MAX};
    char        word[16];
    const char *p = v->shape;
    rf_trouble  ignored = {0};
    for (int i = 0; i < 3; i++) {
        const size_t len = strcspn(p, ",");
        const int    end = p[len] == (i < 2 ? ',' : '\0') && len < sizeof word;
        if (end) snprintf(word, sizeof word, "%.*s", (int)len, p);
        if (!end || rf_option_convert(&SIDE, "", word, &shape[i], &ignored) != RF_OK)
            return rf_fail(err, RF_E_ARG,
                           "--shape: '%.80s' is not three whole numbers from 1 to %d, such as "
                           "4,128,128",
                           v->shape, SIDE_MAX);
        p += len + 1;
    }
    const double all = (double)shape[0] * shape[1] * shape[2] * v->draws; /* < 2^84: exact enough */
    if (all <= NUMBERS_MAX) return RF_OK;
    return rf_fail(err, RF_E_ARG, "--shape %.80s, --draws %d: %.0f numbers, at most %d are printed",
                   v->shape, v->draws, all, NUMBERS_MAX);
}

static void print_text(int draw, const float *x, const int shape[3])
{
    size_t i = 0;
    printf("draw %d\n", draw);
    for (int c = 0; c < shape[0]; c++)
        for (int h = 0; h < shape[1]; h++)
            for (int w = 0; w < shape[2]; w++)
                printf("%.9g%c", (double)x[i++], w + 1 < shape[2] ? ' ' : '\n');
}

static rf_status run_noise(rf_invocation *in)
{
    rf_status           st = RF_OK;
    const noise_values *v = in->values;
    rf_error           *err = &in->trouble.error;
    int                 shape[3] = {0};
    float              *x = NULL;
    rf_json_writer      w = {.out = stdout};
    RF_TRY(read_shape(v, shape, err));
    const size_t count = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    x = calloc(count, sizeof *x);
    if (!x) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for %zu numbers", count);
        goto done;
    }
    for (int k = 0; k < v->draws; k++) {
        RF_TRY(rf_noise_of(v->rng, (uint64_t)v->seed, k, shape[0], shape[1], shape[2], x, err));
        if (rf_signals_caught()) {
            st = rf_fail(err, RF_E_CANCELLED, "interrupted");
            goto done;
        }
        if (!in->console.json) {
            print_text(k, x, shape);
            continue;
        }
        if (k == 0) { /* not before the first draw has worked: an error is an object of its own */
            rf_json_open(&w, NULL, '{');
            rf_json_put_int(&w, "schema", 1);
            rf_json_open(&w, "draws", '[');
        }
        rf_json_open(&w, NULL, '[');
        for (size_t i = 0; i < count; i++) rf_json_put_float(&w, NULL, x[i]);
        rf_json_close(&w, ']');
    }
    if (in->console.json) {
        rf_json_close(&w, ']');
        rf_json_close(&w, '}');
        putchar('\n');
    }
done:
    free(x);
    return st;
}

const rf_verb rf_verb_noise = {
    .name = "noise",
    .summary = "the noise that a seed means",
    .examples = "refinery noise --seed 42 --shape 4,128,128\n"
                "refinery noise --json --rng cpu --seed 42 --shape 4,8,8 --draws 2\n",
    .usage = "[options]",
    .notes = "Numbers read back exactly as f32, in the order channel, row, column. Draw 0 is\n"
             "the picture's initial noise.\n",
    .options = OPTIONS,
    .values_bytes = sizeof(noise_values),
    .run = run_noise,
};
