/* The canonical text of a sweep, and its hash; see fingerprint.h.
 *
 * Texts stand behind their length, so that no two sweeps have one text; numbers are exact (%a). */
#include "tools/sweep/fingerprint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/hash.h"
#include "tools/progress.h"
#include "tools/signals.h"

/* A field that is new in a job must be written below, or a sweep would go on as another.  Only
 * idle_stages and the previews are not: no picture depends on them.  What is rarely given is
 * written where it is given, so that sweeps from before it keep their fingerprints. */
_Static_assert(sizeof(rf_job) == 344, "rf_job has changed: write_job below must know");
_Static_assert(sizeof(rf_stage) == 80, "rf_stage has changed: write_stage below must know");

static void write_text(FILE *out, const char *text)
{
    if (text)
        fprintf(out, "%zu:%s ", strlen(text), text);
    else
        fputs("- ", out);
}

static void write_job(FILE *out, const rf_job *j, const char *vae)
{
    const char *const texts[] = {j->switch_by, j->compat, j->sampler,  j->schedule,
                                 j->sigmas,    j->rng,    j->emphasis, vae};
    const double      reals[] = {j->sigma_min, j->sigma_max,      j->rho,         j->eta,
                                 j->s_churn,   j->s_tmin,         j->s_tmax,      j->s_noise,
                                 j->variation, j->skip_early_cfg, j->s_min_uncond};
    const int         ints[] = {j->steps,
                                j->width,
                                j->height,
                                j->count,
                                j->discard_penultimate,
                                j->s_min_uncond_all,
                                j->seed_width,
                                j->seed_height,
                                j->clip_skip,
                                j->clip_l_skip,
                                j->old_edits,
                                j->original_width,
                                j->original_height,
                                j->target_width,
                                j->target_height,
                                j->crop_left,
                                j->crop_top};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) write_text(out, texts[i]);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) fprintf(out, "%a ", reals[i]);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) fprintf(out, "%d ", ints[i]);
    fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRId64 "\n", j->seed, j->variation_seed, j->ensd);
    if (j->aesthetic != 0 || j->aesthetic_negative != 0)
        fprintf(out, "aesthetic %a %a\n", j->aesthetic, j->aesthetic_negative);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Somebody waits for a file to be read: after a moment he is told why. */
typedef struct watch {
    rf_console *console;
    const char *path;
    double      told_at; /* seconds; once told it is never */
} watch;

/* Of files that have at least so many bytes. */
static void tell_of_hashing(rf_console *console, const char *path, int64_t least)
{
    char        text[600], name[400];
    struct stat info;
    if (stat(path, &info) != 0 || info.st_size < least) return;
    snprintf(name, sizeof name, "%s", path);
    rf_make_printable(name);
    snprintf(text, sizeof text, "reading %s (%.1f GB) for its SHA-256, by which --resume knows it",
             name, 1e-9 * (double)info.st_size);
    rf_console_note(console, text);
}

static int look_up(void *user)
{
    enum { PATIENCE_S = 1 };
    watch       *w = user;
    const double now = rf_meter_clock();
    if (w->told_at == 0) w->told_at = now + PATIENCE_S;
    if (now >= w->told_at) {
        tell_of_hashing(w->console, w->path, 0);
        w->told_at = HUGE_VAL;
    }
    return rf_signals_caught();
}

/* "name sha256", by which a file is the same wherever it lies; and what it predicts, which may
 * stand beside the file. */
static rf_status describe_expert(char **out, rf_expert *expert, rf_console *console, rf_error *err)
{
    rf_status st = RF_OK;
    char      hex[RF_SHA256_HEX];
    watch     w = {.console = console, .path = rf_expert_path(expert)};

    rf_prediction_info p;
    rf_expert_get_prediction(expert, &p);
    const char *kind = p.ztsnr                ? "v-ztsnr"
                       : p.continuous         ? "edm"
                       : *p.prediction == 'v' ? "v"
                                              : "epsilon";
    const char *how = p.by_user ? " " : *p.prediction == 'v' ? " is " : NULL;
    RF_TRY(rf_expert_sha256(expert, hex, look_up, &w, err));
    if (asprintf(out, "%s %s%s%s", rf_expert_name(expert), hex, how ? how : "", how ? kind : "") >=
        0)
        return RF_OK;
    *out = NULL;
    st = rf_fail(err, RF_E_NOMEM, "no memory to name a file");
done:
    return st;
}

/* Files that are no experts, VAEs, LoRAs and embeddings, each hashed once: most cells have the
 * same.  So it is with the picture that all begin from. */
typedef struct others {
    const char *path[RF_AXIS_VALUES_MAX];
    char       *text[RF_AXIS_VALUES_MAX];
    int         count;
    const void *pixels[2]; /* picture and mask */
    char        pixels_hex[2][RF_SHA256_HEX];
} others;

static rf_status describe_other(const char **out, others *v, const char *path, rf_console *console,
                                rf_error *err)
{
    enum { LARGE = 1000000000 }; /* bytes, about a second's */
    rf_status   st = RF_OK;
    char        hex[RF_SHA256_HEX];
    const char *slash = path ? strrchr(path, '/') : NULL;
    *out = NULL;
    if (!path) return RF_OK;
    for (int i = 0; i < v->count && !*out; i++)
        if (strcmp(v->path[i], path) == 0) *out = v->text[i];
    if (*out) return RF_OK;
    if (v->count == RF_AXIS_VALUES_MAX)
        return rf_fail(err, RF_E_ARG, "too many VAEs, LoRAs and embeddings");
    tell_of_hashing(console, path, LARGE);
    RF_TRY(rf_file_sha256(hex, path, NULL, rf_signals_flag(), err));
    v->path[v->count] = path;
    if (asprintf(&v->text[v->count], "%s %s", slash ? slash + 1 : path, hex) < 0)
        return rf_fail(err, RF_E_NOMEM, "no memory to name a file");
    *out = v->text[v->count++];
done:
    return st;
}

/* The device without what does not show in pictures: "cpu: Name, 2 threads" -> "cpu: Name", and of
 * "cuda:1 Name, 2 threads" neither which of several GPUs it was. */
static void write_device(FILE *out, const char *device)
{
    const char *threads = strstr(device, " thread"), *comma = threads;
    while (comma && comma > device && *comma != ',') comma--;
    fputs("device: ", out);
    if (strncmp(device, "cuda:", 5) == 0) {
        fputs("cuda", out);
        device += 5 + strspn(device + 5, "0123456789");
    }
    if (!comma || comma <= device) {
        fprintf(out, "%s\n", device);
        return;
    }
    threads += strlen(" thread");
    fprintf(out, "%.*s%s\n", (int)(comma - device), device, threads + (*threads == 's'));
}

/* ---- both texts -------------------------------------------------------------------------------
 */

static void write_head(FILE *out, const rf_cells *cells, char *const *file, const rf_engine *engine)
{
    static const char *const LETTERS[] = {"x", "y", "z"};
    fprintf(out, "version: %s\n", rf_version());
    write_device(out, rf_engine_device(engine));
    fprintf(out, "dtype: %s\n", rf_engine_dtype(engine));
    for (int i = 0; i < cells->files; i++) fprintf(out, "file: %s\n", file[i]);
    for (int a = 0; a < RF_AXES; a++) {
        const rf_axis *axis = &cells->axis[a];
        if (axis->kind == RF_VARY_NOTHING) continue;
        fprintf(out, "%s: %s:", LETTERS[a], axis->name);
        for (int i = 0; i < axis->count; i++)
            fprintf(out, "%s %s", i ? "," : "", axis->value[i].text);
        fputc('\n', out);
    }
}

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

/* What is rarely given, so that a difference in it can be named, too. */
static void write_more(FILE *out, const rf_job *j)
{
    const char *slash = j->vae ? strrchr(j->vae, '/') : NULL;
    fprintf(out, "compat: %s\nsigmas: %s\nrng: %s\nemphasis: %s\nvae: %s\n", or_none(j->compat),
            or_none(j->sigmas), or_none(j->rng), or_none(j->emphasis),
            slash ? slash + 1 : or_none(j->vae));
    if (isnan(j->eta))
        fputs("eta: the sampler's\n", out);
    else
        fprintf(out, "eta: %.9g\n", j->eta);
    fprintf(out, "sigma min, max, rho: %.9g, %.9g, %.9g; drop the next to last: %d\n", j->sigma_min,
            j->sigma_max, j->rho, j->discard_penultimate);
    fprintf(out, "churn, tmin, tmax, noise, ensd: %.9g, %.9g, %.9g, %.9g, %" PRId64 "\n",
            j->s_churn, j->s_tmin, j->s_tmax, j->s_noise, j->ensd);
    fprintf(out, "skip early cfg, min uncond: %.9g, %.9g, %d\n", j->skip_early_cfg, j->s_min_uncond,
            j->s_min_uncond_all);
    fprintf(out, "variation: %.9g of seed %" PRIu64 "; seed resize from %dx%d\n", j->variation,
            j->variation_seed, j->seed_width, j->seed_height);
    fprintf(out, "clip skip: %d, of CLIP-L: %d; old prompt edits: %d\n", j->clip_skip,
            j->clip_l_skip, j->old_edits);
    fprintf(out, "size conditioning: %dx%d, %dx%d, crop %d, %d\n", j->original_width,
            j->original_height, j->target_width, j->target_height, j->crop_left, j->crop_top);
}

/* What most often differs between two sweeps, of the first cell. */
static void write_settings(FILE *out, const rf_job *j)
{
    for (int i = 0; i < j->stage_count; i++) {
        const rf_stage *s = &j->stages[i];
        if (s->prompt) fprintf(out, "prompt of stage %d: %s\n", i + 1, s->prompt);
        if (s->negative) fprintf(out, "negative of stage %d: %s\n", i + 1, s->negative);
        fprintf(out, "cfg of stage %d: %.9g\n", i + 1, (double)s->cfg_scale);
        if (s->sampler) fprintf(out, "sampler of stage %d: %s\n", i + 1, s->sampler);
        if (i + 1 < j->stage_count) fprintf(out, "switch at: %.9g by %s\n", s->until, j->switch_by);
    }
    fprintf(out, "seed: %" PRIu64 "\nsteps: %d\nsize: %dx%d\nsampler: %s\nschedule: %s\n", j->seed,
            j->steps, j->width, j->height, j->sampler, j->schedule);
}

static rf_status write_pixels(FILE *out, others *v, int which, const void *pixels, size_t bytes,
                              rf_error *err)
{
    rf_status st = RF_OK;
    if (pixels && pixels != v->pixels[which]) {
        RF_TRY(rf_bytes_sha256(v->pixels_hex[which], pixels, bytes, err));
        v->pixels[which] = pixels;
    }
    write_text(out, pixels ? v->pixels_hex[which] : NULL);
done:
    return st;
}

static rf_status write_init(FILE *out, const rf_job *j, others *v, rf_error *err)
{
    rf_status      st = RF_OK;
    const rf_init *init = j->init;
    const size_t   pixels = (size_t)j->width * (size_t)j->height;
    if (!init) return RF_OK;
    fprintf(out, "init %a %d ", init->denoise, init->exact_steps);
    RF_TRY(write_pixels(out, v, 0, init->rgb, 3 * pixels, err));
    RF_TRY(write_pixels(out, v, 1, init->mask, pixels, err));
    const char *const texts[] = {init->path, init->sha256, init->mask_path, init->mask_sha256,
                                 init->job};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) write_text(out, texts[i]);
done:
    return st;
}

static rf_status write_embeddings(FILE *out, const rf_job *j, others *v, rf_console *console,
                                  rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < j->embedding_count; i++) {
        const char *file = NULL;
        RF_TRY(describe_other(&file, v, j->embeddings[i].path, console, err));
        fputs("embedding ", out);
        write_text(out, file);
        write_text(out, j->embeddings[i].name);
    }
done:
    return st;
}

static void write_stage_numbers(FILE *out, const rf_stage *s)
{
    const rf_stage_sampling *own = s->sampling;
    if (s->cfg_ramp != 0) fprintf(out, "ramp %a ", (double)s->cfg_ramp);
    if (s->clip_skip != 0) fprintf(out, "clip %d ", s->clip_skip);
    if (own)
        fprintf(out, "sampling %a %a %a %a %a ", own->eta, own->s_churn, own->s_tmin, own->s_tmax,
                own->s_noise);
}

static rf_status write_stage(FILE *out, const rf_stage *s, int file, others *v, rf_console *console,
                             rf_error *err)
{
    rf_status st = RF_OK;
    fprintf(out, "stage %d %a %a ", file, s->until, (double)s->cfg_scale);
    write_text(out, s->prompt);
    write_text(out, s->negative);
    write_text(out, s->sampler);
    write_stage_numbers(out, s);
    for (int i = 0; i < s->lora_count; i++) {
        const rf_lora_use *use = &s->loras[i];
        const char        *lora = NULL;
        RF_TRY(describe_other(&lora, v, use->path, console, err));
        fprintf(out, "lora %a %a %d %d ", use->unet, use->text, use->everywhere, use->partial);
        write_text(out, lora);
    }
done:
    return st;
}

static rf_status write_cells(FILE *out, const rf_cells *cells, rf_console *console, rf_error *err)
{
    rf_status st = RF_OK;
    others   *v = calloc(1, sizeof *v);
    if (!v) return rf_fail(err, RF_E_NOMEM, "no memory to name files");
    for (int i = 0; i < cells->count; i++) {
        const rf_cell *c = &cells->cell[i];
        const char    *vae = NULL;
        RF_TRY(describe_other(&vae, v, c->job.vae, console, err));
        fprintf(out, "cell %s ", c->name);
        for (int s = 0; s < c->job.stage_count; s++)
            RF_TRY(write_stage(out, &c->job.stages[s], c->file[s], v, console, err));
        write_job(out, &c->job, vae);
        RF_TRY(write_init(out, &c->job, v, err));
        RF_TRY(write_embeddings(out, &c->job, v, console, err));
    }
done:
    for (int i = 0; i < v->count; i++) free(v->text[i]);
    free(v);
    return st;
}

static rf_status close_text(FILE *stream, char **text, rf_error *err)
{
    if (fclose(stream) == 0 && *text) return RF_OK;
    return rf_fail(err, RF_E_NOMEM, "no memory to describe the sweep");
}

static rf_status write_summary(rf_identity *id, const rf_cells *cells, char *const *file,
                               const rf_engine *engine, rf_error *err)
{
    size_t bytes = 0;
    FILE  *out = open_memstream(&id->summary, &bytes);
    if (!out) return rf_fail(err, RF_E_NOMEM, "no memory to describe the sweep");
    write_head(out, cells, file, engine);
    write_settings(out, &cells->cell[0].job);
    write_more(out, &cells->cell[0].job);
    return close_text(out, &id->summary, err);
}

static rf_status hash_all(rf_identity *id, const rf_cells *cells, rf_console *console,
                          rf_error *err)
{
    rf_status st = RF_OK;
    char     *text = NULL;
    size_t    bytes = 0;
    FILE     *out = open_memstream(&text, &bytes);
    if (!out) return rf_fail(err, RF_E_NOMEM, "no memory to describe the sweep");
    write_text(out, id->summary);
    const rf_status written = write_cells(out, cells, console, err);
    RF_TRY(close_text(out, &text, err));
    st = written == RF_OK ? rf_bytes_sha256(id->fingerprint, text, bytes, err) : written;
done:
    free(text);
    return st;
}

rf_status rf_identify(rf_identity *out, const rf_cells *cells, rf_expert *const *expert,
                      const rf_engine *engine, rf_console *console, rf_error *err)
{
    rf_status st = RF_OK;
    char    **file = calloc((size_t)cells->files + 1, sizeof *file);
    *out = (rf_identity){.summary = NULL};
    if (!file) return rf_fail(err, RF_E_NOMEM, "no memory to name files");
    for (int i = 0; i < cells->files; i++)
        RF_TRY(describe_expert(&file[i], expert[i], console, err));
    RF_TRY(write_summary(out, cells, file, engine, err));
    RF_TRY(hash_all(out, cells, console, err));
done:
    for (int i = 0; i < cells->files; i++) free(file[i]);
    free(file);
    if (st != RF_OK) {
        free(out->summary);
        out->summary = NULL;
    }
    return st;
}
