/* Rewriting a checkpoint; see refinery.h.  Everything that can be wrong is found before the first
 * byte is written: the files and how they fit, the output's name, the room on its disk. */
#include "engine/relay/convert.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/files/file_stem.h"
#include "engine/files/lora_verdict.h"
#include "engine/files/model_use.h"
#include "engine/files/os_error.h"
#include "engine/files/outfile.h"

static const char EXTENSION[] = ".safetensors";

static void warn(const rf_conversion *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(const rf_conversion *c, const char *format, ...)
{
    char    text[RF_ERROR_BYTES];
    va_list args;
    if (!c->options->warn) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rf_make_printable(text);
    c->options->warn(c->options->user, text);
}

/* ---- options ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *torch;
    rf_filetype type;
} dtypes[] = {{"f16", "float16", RF_FILE_F16},
              {"bf16", "bfloat16", RF_FILE_BF16},
              {"f32", "float32", RF_FILE_F32}};

enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static rf_status choose_type(const rf_conversion *c, rf_filetype *type, const char **torch)
{
    *type = RF_FILETYPES;
    *torch = NULL;
    if (!c->options->dtype) return RF_OK;
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(c->options->dtype, dtypes[i].name) == 0) {
            *type = dtypes[i].type;
            *torch = dtypes[i].torch;
            return RF_OK;
        }
    return rf_fail(c->err, RF_E_ARG, "convert: no type is named %.40s; there are f16, bf16 and f32",
                   c->options->dtype);
}

static int is_file_name(const char *path)
{
    const size_t n = strlen(path), end = sizeof EXTENSION - 1;
    return n > end && strcasecmp(path + n - end, EXTENSION) == 0;
}

static rf_status choose_layout(rf_conversion *c)
{
    const char *layout = c->options->layout;
    c->layout = is_file_name(c->to) ? RF_CONVERT_FILE : RF_CONVERT_DIFFUSERS;
    if (!layout) return RF_OK;
    if (strcmp(layout, "diffusers") == 0)
        c->layout = RF_CONVERT_DIFFUSERS;
    else if (strcmp(layout, "file") == 0)
        c->layout = RF_CONVERT_FILE;
    else
        return rf_fail(c->err, RF_E_ARG,
                       "convert: no layout is named %.40s; there are file and diffusers", layout);
    if (c->layout == RF_CONVERT_FILE && !is_file_name(c->to))
        return rf_fail(c->err, RF_E_ARG, "%s does not end in %s, and a single file must", c->to,
                       EXTENSION);
    return RF_OK;
}

static void folder_of(char folder[PATH_MAX], const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n > 0 && path[n - 1] != '/') n--;
    snprintf(folder, PATH_MAX, "%.*s", n ? (int)n : 1, n ? path : ".");
}

/* Whether what is written as `path` would be a part of the folder `input`. */
static int lies_in(const char *path, const char *input)
{
    char   folder[PATH_MAX];
    char  *in = realpath(input, NULL);
    size_t n = in ? strlen(in) : 0;
    folder_of(folder, path);
    char     *at = realpath(folder, NULL);
    const int inside = in && at && strncmp(at, in, n) == 0 && (at[n] == '/' || at[n] == '\0');
    free(at);
    free(in);
    return inside;
}

static int is_same(const char *path, const char *other)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The model may be replaced by its own new form.  Nothing else that is read may: with --overwrite a
 * checkpoint would take the place of a LoRA, or of one file of the folder that it was made from. */
static rf_status check_apart(const rf_conversion *c)
{
    if (lies_in(c->to, c->from))
        return rf_fail(c->err, RF_E_CREATE, "%s: lies inside %s, which is what is read", c->to,
                       c->from);
    for (int i = 0; i <= c->options->lora_count; i++) {
        const int   last = i == c->options->lora_count;
        const char *input = last ? c->options->vae : c->options->loras[i].path;
        if (input && is_same(c->to, input))
            return rf_fail(c->err, RF_E_CREATE, "%s: is the %s that is read, and is not replaced",
                           c->to, last ? "VAE" : "LoRA");
    }
    return RF_OK;
}

static rf_status check_output(const rf_conversion *c)
{
    const rf_status st = check_apart(c);
    if (st != RF_OK) return st;
    return c->layout == RF_CONVERT_FILE ? rf_outfile_check(c->to, c->options->overwrite, c->err)
                                        : rf_convert_folder_check(c);
}

/* ---- inputs ------------------------------------------------------------------------------- */

static rf_status open_model(rf_conversion *c)
{
    rf_status     st = RF_OK;
    rf_checkpoint checkpoint;
    RF_TRY(rf_model_file_open(&c->model, c->from, c->err));
    RF_TRY(rf_checkpoint_check(&checkpoint, rf_model_file_list(c->model), c->err));
    c->arch = checkpoint.arch;
    RF_TRY(rf_prediction_find(&c->prediction, rf_model_file_list(c->model),
                              rf_model_file_header(c->model), c->from, c->err));
    if (*c->prediction.doubt) warn(c, "%s: %s", c->from, c->prediction.doubt);
    if (checkpoint.unknown_count)
        warn(c, "%s: %zu tensors are not part of an SDXL checkpoint and are dropped, such as %s",
             c->from, checkpoint.unknown_count, checkpoint.unknown[0]);
    if (!c->options->vae) goto done;
    RF_TRY(rf_model_file_open(&c->vae, c->options->vae, c->err));
    RF_TRY(rf_model_use_check_vae(&c->arch.vae, &c->vae_view, rf_model_file_list(c->vae), c->err));
    c->arch.has_vae = 1;
done:
    return st;
}

static rf_status open_lora(rf_conversion *c, const rf_lora_use *use, const char *expert)
{
    rf_status        st = RF_OK;
    rf_convert_lora *l = &c->lora[c->job.loras];
    RF_TRY(rf_lora_open(&l->lora, use->path, c->err));
    c->job.loras++; /* from here on it is closed with the others */
    RF_TRY(rf_lora_fit_create(&l->fit, l->lora, c->names, c->err));
    RF_TRY(rf_lora_fit_check(&l->fit, expert, use->partial, c->err));
    if (l->fit.matches < l->lora->modules)
        warn(c, "%s: %d of %d modules fit %s, the others are left out: %s", use->path,
             l->fit.matches, l->lora->modules, expert, l->fit.first.message);
    if (l->lora->embeddings)
        warn(c, "%s brings %d embeddings, such as %s, which cannot be baked into a checkpoint",
             use->path, l->lora->embeddings, l->lora->embedding[0]);
    l->unet = (float)use->unet;
    l->text = (float)use->text;
done:
    return st;
}

static rf_status tell_loras(rf_conversion *c)
{
    size_t bytes = 0;
    FILE  *to = open_memstream(&c->loras_text, &bytes);
    for (int i = 0; to && i < c->options->lora_count; i++) {
        const rf_lora_use *use = &c->options->loras[i];
        char              *stem = rf_file_stem(use->path);
        fprintf(to, "%s%s:%g:%g", i ? ", " : "", stem ? stem : "", use->unet, use->text);
        free(stem);
    }
    if (to && fclose(to) == 0) return RF_OK;
    return rf_fail(c->err, RF_E_NOMEM, "%s: out of memory", c->from);
}

static rf_status open_loras(rf_conversion *c)
{
    rf_status st = RF_OK;
    const int count = c->options->lora_count;
    char     *expert = rf_file_stem(c->from);
    if (count == 0) goto done;
    c->lora = calloc((size_t)count, sizeof *c->lora);
    if (!c->lora || !expert) {
        st = rf_fail(c->err, RF_E_NOMEM, "%s: out of memory", c->from);
        goto done;
    }
    RF_TRY(rf_lora_names_create(&c->names, &c->arch, c->err));
    for (int i = 0; i < count; i++) RF_TRY(open_lora(c, &c->options->loras[i], expert));
    RF_TRY(tell_loras(c));
done:
    free(expert);
    return st;
}

static rf_status tell(rf_conversion *c, const char *torch)
{
    char                  *from = rf_file_stem(c->from);
    char                  *vae = c->options->vae ? rf_file_stem(c->options->vae) : NULL;
    const rf_convert_story story = {
        .from = from, .loras = c->loras_text, .vae = vae, .dtype = torch, .v = c->prediction.is.v};
    const rf_status st =
        rf_convert_metadata(&c->metadata, rf_model_file_told(c->model), &story, c->err);
    free(from);
    free(vae);
    return st;
}

/* ---- room --------------------------------------------------------------------------------- */

static rf_status check_room(const rf_conversion *c)
{
    struct statvfs info;
    char           folder[PATH_MAX];
    folder_of(folder, c->to);
    if (statvfs(folder, &info) != 0) return RF_OK; /* writing will tell */
    const uint64_t room = (uint64_t)info.f_bavail * info.f_frsize;
    if (room > c->list.bytes) return RF_OK;
    return rf_fail(c->err, RF_E_NO_SPACE, "%s: it will have %.2f GB, and its disk has %.2f GB free",
                   c->to, (double)c->list.bytes * 1e-9, (double)room * 1e-9);
}

/* ---- all ---------------------------------------------------------------------------------- */

static rf_status prepare(rf_conversion *c)
{
    rf_status   st = RF_OK;
    rf_filetype type;
    const char *torch;
    RF_TRY(choose_type(c, &type, &torch));
    RF_TRY(choose_layout(c));
    RF_TRY(check_output(c));
    RF_TRY(open_model(c));
    RF_TRY(open_loras(c));
    const rf_convert_source source = {.arch = &c->arch,
                                      .list = rf_model_file_list(c->model),
                                      .vae = c->vae ? rf_vae_view_list(c->vae_view) : NULL,
                                      .layout = c->layout,
                                      .type = type};
    RF_TRY(rf_convert_list_make(&c->list, &source, c->err));
    if (c->layout == RF_CONVERT_FILE)
        RF_TRY(rf_convert_list_mark(&c->list, &source, &c->prediction.is, c->err));
    else if (c->arch.unet.middle_depth != c->arch.unet.depth[c->arch.unet.levels - 1] &&
             c->arch.unet.depth[c->arch.unet.levels - 1] > 0)
        warn(c,
             "%s: its middle block has another depth than the last level, which diffusers cannot "
             "be told: refinery will read the folder, diffusers will not",
             c->from);
    RF_TRY(tell(c, torch));
    RF_TRY(check_room(c));
    c->job.lora = c->lora;
    c->job.threads =
        c->options->threads > 0 ? c->options->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (c->job.threads < 1) c->job.threads = 1;
    c->job.overwrite = c->options->overwrite;
    c->job.total = c->list.bytes;
    c->job.progress = c->options->progress;
    c->job.user = c->options->user;
done:
    return st;
}

static void release(rf_conversion *c)
{
    for (int i = 0; i < c->job.loras; i++) {
        rf_lora_fit_free(&c->lora[i].fit);
        rf_lora_close(c->lora[i].lora);
    }
    free(c->lora);
    free(c->loras_text);
    free(c->metadata);
    rf_lora_names_destroy(c->names);
    rf_convert_list_free(&c->list);
    rf_vae_view_close(c->vae_view);
    rf_model_file_close(c->vae);
    rf_model_file_close(c->model);
}

rf_status rf_convert_model(rf_converted *out, const char *to, const char *from,
                           const rf_convert_options *options, rf_error *err)
{
    rf_status     st = RF_OK;
    rf_conversion c = {.from = from, .to = to, .options = options, .err = err};
    *out = (rf_converted){.sha256 = ""};
    RF_TRY(prepare(&c));
    if (c.layout == RF_CONVERT_FILE)
        RF_TRY(rf_convert_write(to, to, &c.list, RF_PARTS, c.metadata, &c.job, out->sha256, err));
    else
        RF_TRY(rf_convert_folder_write(&c, out));
    out->bytes = c.job.done;
    out->tensors = (int)c.list.count;
    out->dropped = (int)c.list.dropped;
done:
    release(&c);
    return st;
}
