/* bench-lora: what merging a full-size LoRA of rank 32 adds to loading a full-size expert.
 *
 *     refinery-bench-lora FOLDER [THREADS] [RANK]
 *
 * Two sparse files in FOLDER, made on the spot, stand for a checkpoint and a LoRA of all 722 UNet,
 * 72 CLIP-L and 192 bigG modules: their headers and sizes are real, their elements are zeros, which
 * cost what any numbers cost.  Every tensor that the LoRA touches is read as loading reads it, and
 * again read whole, merged and converted; the difference is what merging adds.  Packing follows in
 * both cases and is in neither. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/weights_read.h"
#include "engine/files/lora_fit.h"
#include "engine/files/synth.h"

enum { HEADER_BYTES = 1 << 22, PATH_BYTES = 4096, RUNS = 2 };

static rf_error err;

static void must(rf_status st)
{
    if (st == RF_OK) return;
    fprintf(stderr, "refinery-bench-lora: %s: %s\n", rf_status_name(st), err.message);
    exit(1);
}

/* Of all threads: a machine that does something else besides must not count. */
static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- sparse files ------------------------------------------------------------------------- */

typedef struct sparse {
    char    *text; /* of the header */
    size_t   bytes;
    uint64_t data;
    int      rank;
} sparse;

static void add(sparse *s, const char *name, const char *end, int ndim, const int64_t *dim)
{
    uint64_t elems = 1;
    char    *to = s->text + s->bytes;
    size_t   left = HEADER_BYTES - s->bytes, n = 0;
    n += (size_t)snprintf(to, left, "%s\"%s%s\":{\"dtype\":\"F16\",\"shape\":[",
                          s->bytes > 1 ? "," : "", name, end);
    for (int i = 0; i < ndim; i++) {
        elems *= (uint64_t)dim[i];
        n += (size_t)snprintf(to + n, left - n, "%s%" PRId64, i ? "," : "", dim[i]);
    }
    n += (size_t)snprintf(to + n, left - n, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                          s->data, s->data + 2 * elems);
    s->bytes += n;
    s->data += 2 * elems;
    if (s->bytes > HEADER_BYTES - PATH_BYTES) exit(1);
}

static void write_sparse(sparse *s, const char *path)
{
    s->text[s->bytes++] = '}';
    const uint64_t length = s->bytes;
    const int      fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, &length, 8) != 8 || write(fd, s->text, s->bytes) != (ssize_t)s->bytes ||
        ftruncate(fd, (off_t)(8 + length + s->data)) != 0) {
        fprintf(stderr, "refinery-bench-lora: %s cannot be written\n", path);
        exit(1);
    }
    close(fd);
    free(s->text);
}

static sparse begin(int rank)
{
    sparse s = {.text = malloc(HEADER_BYTES), .bytes = 1, .rank = rank};
    if (!s.text) exit(1);
    s.text[0] = '{';
    return s;
}

static rf_status add_tensor(void *user, const rf_layout_tensor *t)
{
    if (t->part != RF_PART_VAE && t->role != RF_ROLE_POSITION_IDS)
        add(user, t->name, "", t->ndim, t->dim);
    return RF_OK;
}

/* What trainers train: attention, feed-forward and projections, by kohya's names. */
static void add_module(void *user, const char *name, const rf_lora_layer *layer)
{
    static const char *const kinds[] = {"_transformer_blocks_", "_proj_in", "_1_proj_out",
                                        "_self_attn_", "_mlp_fc"};
    static const char *const fronts[] = {"lora_unet_input_", "lora_unet_middle_",
                                         "lora_unet_output_", "lora_te1_", "lora_te2_"};
    sparse                  *s = user;
    int                      kind = 0, front = 0;
    for (size_t i = 0; i < 5; i++) {
        kind |= strstr(name, kinds[i]) != NULL;
        front |= strncmp(name, fronts[i], strlen(fronts[i])) == 0;
    }
    if (!kind || !front || layer->is_norm || layer->ndim < 2) return;
    const int64_t down[2] = {s->rank, layer->dim[1]}, up[2] = {layer->dim[0], s->rank};
    add(s, name, ".lora_down.weight", 2, down);
    add(s, name, ".lora_up.weight", 2, up);
}

/* ---- timing ------------------------------------------------------------------------------- */

static rf_status merge(const void *user, const rf_tensor *t, float *whole, int threads, rf_error *e)
{
    return rf_lora_merge(user, t, 0.8f, whole, threads, e);
}

typedef struct sums {
    double   plain, merged; /* seconds */
    uint64_t elems;
    int      tensors;
} sums;

static sums measure(const rf_tensors *list, const rf_lora_fit *fit, int threads)
{
    const rf_weights_patch patch = {.apply = merge, .user = fit};
    const rf_weights       w = {.file = list, .patch = &patch};
    sums                   s = {0};
    uint64_t               most = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->item[i].elems > most) most = list->item[i].elems;
    uint16_t *plain = malloc(most * sizeof *plain);
    float    *whole = malloc(most * sizeof *whole);
    if (!plain || !whole) exit(1);
    for (size_t i = 0; i < list->count; i++) {
        const rf_tensor *t = &list->item[i];
        if (!rf_lora_touches(fit, t->name)) continue;
        double start = processor_time();
        must(rf_part_read(&w, (rf_stretch){t, 0, t->elems}, plain, RF_BF16, threads, &err));
        s.plain += processor_time() - start;
        start = processor_time();
        must(rf_part_read_patched(&w, t, whole, threads, &err));
        rf_convert_all(plain, RF_BF16, whole, t->elems, threads);
        s.merged += processor_time() - start;
        s.elems += t->elems;
        s.tensors++;
    }
    free(plain), free(whole);
    return s;
}

int main(int argc, char **argv)
{
    const int       threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 2;
    const int       rank = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 32;
    char            checkpoint[PATH_BYTES], lora_path[PATH_BYTES];
    rf_sdxl_arch    arch;
    rf_lora_names  *names = NULL;
    rf_safetensors *file = NULL;
    rf_lora        *lora = NULL;
    rf_lora_fit     fit;
    if (argc < 2 || threads < 1 || rank < 1) {
        fprintf(stderr, "refinery-bench-lora FOLDER [THREADS] [RANK]\n");
        return 2;
    }
    snprintf(checkpoint, sizeof checkpoint, "%s/bench_checkpoint.safetensors", argv[1]);
    snprintf(lora_path, sizeof lora_path, "%s/bench_lora.safetensors", argv[1]);
    must(rf_synth_arch(&arch, "sdxl", &err));
    must(rf_lora_names_create(&names, &arch, &err));
    sparse s = begin(rank);
    must(rf_sdxl_layout(&arch, add_tensor, &s));
    write_sparse(&s, checkpoint);
    s = begin(rank);
    rf_lora_names_each(names, add_module, &s);
    write_sparse(&s, lora_path);
    must(rf_safetensors_open(&file, checkpoint, &err));
    must(rf_lora_open(&lora, lora_path, &err));
    must(rf_lora_fit_create(&fit, lora, names, &err));
    printf("rank %d, %d threads: %d of %d modules (%d UNet, %d te1, %d te2)\n", rank, threads,
           fit.matches, lora->modules, lora->count[RF_PART_UNET], lora->count[RF_PART_CLIP_L],
           lora->count[RF_PART_CLIP_G]);
    (void)measure(rf_safetensors_list(file), &fit, threads); /* into the page cache */
    for (int i = 0; i < RUNS; i++) {
        const sums t = measure(rf_safetensors_list(file), &fit, threads);
        printf("%d tensors, %.2f G elements, processor time: plain %.2f s, merged %.2f s; merging "
               "adds %.2f s, or %.2f s by %d threads at work all the time\n",
               t.tensors, 1e-9 * (double)t.elems, t.plain, t.merged, t.merged - t.plain,
               (t.merged - t.plain) / threads, threads);
    }
    rf_lora_fit_free(&fit);
    rf_lora_close(lora);
    rf_safetensors_close(file);
    rf_lora_names_destroy(names);
    unlink(checkpoint);
    unlink(lora_path);
    return 0;
}
