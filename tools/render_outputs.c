/* Output names.  Everything about them is known before the first step, so everything that can be
 * wrong with them is said before the first step. */
#include "tools/render_outputs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/refinery.h"

rf_status rf_pattern_expand(char **out, const char *pattern, int64_t seed, int index,
                            rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char     *text = NULL;
    size_t    bytes = 0;
    FILE     *stream = open_memstream(&text, &bytes);
    *out = NULL;
    if (!stream) {
        (void)rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a file name");
        return RF_E_NOMEM; /* spelled out for the analyser, which cannot see into rf_fail */
    }
    for (const char *p = pattern; *p && st == RF_OK; p++) {
        if (strncmp(p, "{seed}", 6) == 0)
            p += fprintf(stream, "%lld", (long long)seed) ? 5 : 0;
        else if (strncmp(p, "{index}", 7) == 0)
            p += fprintf(stream, "%d", index) ? 6 : 0;
        else if (strchr("{}", *p))
            st = rf_fail(&trouble->error, RF_E_ARG,
                         "--output %.300s: only {seed} and {index} may stand in braces", pattern);
        else
            fputc(*p, stream);
    }
    const int broken = fclose(stream);
    if (st == RF_OK && (broken || !text))
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a file name");
    if (st == RF_OK)
        *out = text;
    else
        free(text);
    return st;
}

static rf_status check_pattern(const char *pattern, int count, rf_trouble *trouble)
{
    const size_t len = strlen(pattern);
    if (len < 4 || strcasecmp(pattern + len - 4, ".png") != 0) {
        rf_trouble_hint(trouble, "pictures are PNG files: give a name that ends in .png");
        return rf_fail(&trouble->error, RF_E_ARG, "--output %.400s does not end in .png", pattern);
    }
    if (count == 1 || strstr(pattern, "{seed}") || strstr(pattern, "{index}")) return RF_OK;
    rf_trouble_hint(trouble, "--output '%.*s-{index}.png'", len < 200 ? (int)len - 4 : 200,
                    pattern);
    return rf_fail(&trouble->error, RF_E_ARG,
                   "--output %.400s: %d pictures need {index} or {seed} in the name", pattern,
                   count);
}

/* ---- which names are one file ------------------------------------------------------------- */

typedef struct place { /* a file's folder, by identity, and its name there */
    dev_t       device;
    ino_t       folder;
    const char *name;
    int         index;
} place;

static int by_place(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    if (x->folder != y->folder) return x->folder < y->folder ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Writing is by rename, so links are replaced, not followed: the folder and the name decide. */
static void find_place(place *out, const char *path, int index)
{
    struct stat info = {0};
    char        folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const int   len = slash ? (int)(slash - path) + 1 : 0;
    snprintf(folder, sizeof folder, "%.*s", len, path);
    (void)stat(len ? folder : ".", &info); /* a folder that is missing was already reported */
    *out = (place){info.st_dev, info.st_ino, slash ? slash + 1 : path, index};
}

static rf_status check_distinct(const rf_outputs *o, const char *trace, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    place     other = {.index = 0}, *places = calloc((size_t)o->count, sizeof *places);
    if (!places) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for %d names", o->count);
    if (trace) find_place(&other, trace, 0);
    for (int i = 0; i < o->count; i++) find_place(&places[i], o->paths[i], i);
    for (int i = 0; i < o->count && trace && st == RF_OK; i++)
        if (by_place(&places[i], &other) == 0)
            st = rf_fail(&trouble->error, RF_E_ARG, "--trace %.400s: picture %d has that name",
                         trace, i);
    qsort(places, (size_t)o->count, sizeof *places, by_place);
    for (int i = 1; i < o->count && st == RF_OK; i++)
        if (by_place(&places[i - 1], &places[i]) == 0)
            st = rf_fail(&trouble->error, RF_E_ARG, "pictures %d and %d would be one file: %.400s",
                         places[i - 1].index, places[i].index, o->paths[places[i].index]);
    free(places);
    return st;
}

static rf_status check_not_input(const char *path, const char *option, const rf_input *input,
                                 rf_trouble *trouble)
{
    struct stat a, b;
    if (!input->path || stat(path, &a) || stat(input->path, &b)) return RF_OK;
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino) return RF_OK;
    return rf_fail(&trouble->error, RF_E_ARG, "%s %.300s is the file given with %s", option, path,
                   input->flag);
}

rf_status rf_preview_path(char **out, const char *path)
{
    const int stem = (int)(strlen(path) - strlen(".png"));
    if (asprintf(out, "%.*s.preview%s", stem, path, path + stem) >= 0) return RF_OK;
    *out = NULL;
    return RF_E_NOMEM;
}

static rf_status check_path(const char *path, const char *option, const rf_output_request *q,
                            rf_trouble *trouble)
{
    rf_status st = RF_OK;
    for (const rf_input *i = q->inputs; i->flag; i++)
        RF_TRY(check_not_input(path, option, i, trouble));
    RF_TRY(rf_output_check(path, q->overwrite, &trouble->error));
done:
    return st;
}

/* One that a killed run has left is ours: it is replaced. */
static rf_status check_preview(const char *output, const rf_output_request *request,
                               rf_trouble *trouble)
{
    rf_output_request q = *request;
    char             *path = NULL;
    rf_status         st = rf_preview_path(&path, output);
    place             own, trace;
    if (st != RF_OK) return rf_fail(&trouble->error, st, "no memory for a file name");
    q.overwrite = 1;
    RF_TRY(check_path(path, "--preview", &q, trouble));
    if (!request->trace) goto done;
    find_place(&own, path, 0);
    find_place(&trace, request->trace, 0);
    if (by_place(&own, &trace) == 0)
        st = rf_fail(&trouble->error, RF_E_ARG, "--trace %.400s: a preview has that name",
                     request->trace);
done:
    free(path);
    return st;
}

/* NAME.png becomes NAME-pass3.png. */
static char *path_of_pass(const char *path, int pass)
{
    const size_t bytes = strlen(path) + 24, stem = strlen(path) - 4;
    char        *out = malloc(bytes);
    if (out) snprintf(out, bytes, "%.*s-pass%d%s", (int)stem, path, pass + 1, path + stem);
    return out;
}

static rf_status make_path(rf_outputs *o, const rf_output_request *q, rf_trouble *trouble)
{
    rf_status     st = RF_OK;
    const int     i = o->count % q->count, pass = o->count / q->count - 1;
    const int64_t seed = q->same_seed ? q->seed : q->seed + i;
    char        **out = &o->paths[o->count];
    if (pass >= 0)
        *out = path_of_pass(o->paths[i], pass);
    else if (q->literal)
        *out = strdup(q->pattern);
    else
        RF_TRY(rf_pattern_expand(out, q->pattern, seed, i, trouble));
    if (!*out) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a file name");
        goto done;
    }
    o->count++;
    RF_TRY(check_path(*out, "--output", q, trouble));
    if (q->previews && pass < 0) RF_TRY(check_preview(*out, q, trouble));
done:
    return st;
}

rf_status rf_outputs_prepare(rf_outputs *out, const rf_output_request *request, rf_trouble *trouble)
{
    rf_status  st = RF_OK;
    rf_outputs o = {.pictures = request->count};
    const int  all = request->count * (request->passes > 1 ? request->passes : 1);
    *out = (rf_outputs){.count = 0};

    RF_TRY(check_pattern(request->pattern, request->count, trouble));
    o.paths = calloc((size_t)all, sizeof *o.paths);
    if (!o.paths) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for %d names", all);
        goto done;
    }
    while (o.count < all) RF_TRY(make_path(&o, request, trouble));
    if (request->trace) RF_TRY(check_path(request->trace, "--trace", request, trouble));
    RF_TRY(check_distinct(&o, request->trace, trouble));
    *out = o;
    o = (rf_outputs){.count = 0}; /* handed over */
done:
    rf_outputs_release(&o);
    return st;
}

const char *rf_outputs_path(const rf_outputs *outputs, int i, int pass, int passes)
{
    return outputs->paths[pass == passes - 1 ? i : (pass + 1) * outputs->pictures + i];
}

void rf_outputs_release(rf_outputs *outputs)
{
    for (int i = 0; i < outputs->count; i++) free(outputs->paths[i]);
    free(outputs->paths);
    *outputs = (rf_outputs){.count = 0};
}
