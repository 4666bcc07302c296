/* Lines of results.jsonl; see cell_lines.h. */
#include "tools/measure/cell_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 100000 }; /* cells of a sweep */

typedef struct reader {
    const char *path;
    FILE       *file;
    int         number; /* of the line at hand */
    rf_error   *err;
} reader;

static rf_status damaged(const reader *r, const char *what)
{
    return rf_fail(r->err, RF_E_FORMAT, "%s:%d: %s", r->path, r->number, what);
}

/* ---- one cell ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Names are put into paths: nothing but what sweeps call their cells. */
static rf_status read_name(const reader *r, rf_cell_line *out, const json_t *line)
{
    const char *name = text_of(line, "name");
    if (!name || !*name || strlen(name) >= sizeof out->name || name[strspn(name, "xyz-0123456789")])
        return damaged(r, "\"name\" is no cell's");
    strcpy(out->name, name);
    return RF_OK;
}

static rf_status read_state(const reader *r, rf_cell_line *out, const json_t *line)
{
    const char *state = text_of(line, "state"), *sha256 = text_of(line, "sha256");
    if (!state) return damaged(r, "\"state\" is missing");
    if (strcmp(state, "done") != 0)
        return rf_fail(r->err, RF_E_ARG,
                       "%s: cell %s is %.20s, and figures are of all cells (the sweep's command "
                       "with --resume makes those that are open)",
                       r->path, out->name, state);
    if (!sha256 || strlen(sha256) != RF_SHA256_HEX - 1) return damaged(r, "\"sha256\" is missing");
    strcpy(out->sha256, sha256);
    return RF_OK;
}

static rf_status read_axis(const reader *r, rf_cell_line *out, const json_t *axis)
{
    const char *name = text_of(axis, "axis");
    if (!name) return damaged(r, "an axis has no name");
    if (strcmp(name, "Refiner switch at") == 0 || strcmp(name, "Seed") == 0) return RF_OK;
    if (strcmp(name, "Prompt S/R") != 0 || out->prompt)
        return rf_fail(r->err, RF_E_ARG,
                       "%s: the axis \"%.60s\" has no place in figures over the switch point: they "
                       "take Refiner switch at, one Prompt S/R, and Seed",
                       r->path, name);
    const char *prompt = text_of(axis, "value");
    if (!prompt) return damaged(r, "a prompt is no text");
    out->prompt = strdup(prompt);
    return out->prompt ? RF_OK : rf_fail(r->err, RF_E_NOMEM, "%s: no memory for it", r->path);
}

static rf_status read_axes(const reader *r, rf_cell_line *out, const json_t *line)
{
    static const char *const KEYS[] = {"x", "y", "z"};
    rf_status                st = RF_OK;
    for (int i = 0; i < 3; i++) {
        const json_t *axis = json_object_get(line, KEYS[i]);
        if (axis) RF_TRY(read_axis(r, out, axis));
    }
    if (!out->prompt)
        st = rf_fail(r->err, RF_E_ARG,
                     "%s: the sweep has no axis Prompt S/R, whose values say what was asked",
                     r->path);
done:
    return st;
}

static rf_status read_point(const reader *r, rf_cell_line *out, const json_t *line)
{
    const json_t *job = json_object_get(line, "job");
    const json_t *stages = json_object_get(job, "stages");
    const char   *by = text_of(job, "switch_by");
    const json_t *until = json_object_get(json_array_get(stages, 0), "until");
    if (!json_is_array(stages) || !by) return damaged(r, "\"job\" is no sweep's");
    out->point = json_number_value(until);
    if (json_array_size(stages) == 2 && strcmp(by, "steps") == 0 && json_is_number(until) &&
        out->point >= 0 && out->point <= 1)
        return RF_OK;
    return rf_fail(r->err, RF_E_ARG,
                   "%s: cell %s does not switch after a share of the steps: figures need a base, a "
                   "refiner and --switch-by steps",
                   r->path, out->name);
}

static rf_status read_cell(const reader *r, rf_cell_line *out, const json_t *line)
{
    rf_status st = RF_OK;
    *out = (rf_cell_line){0};
    RF_TRY(read_name(r, out, line));
    RF_TRY(read_state(r, out, line));
    RF_TRY(read_axes(r, out, line));
    RF_TRY(read_point(r, out, line));
done:
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static int at_end(FILE *file)
{
    int c = getc(file);
    while (c == '\n' || c == '\r' || c == ' ') c = getc(file);
    if (c != EOF) ungetc(c, file);
    return c == EOF;
}

static rf_status append(reader *r, rf_cell_line **list, size_t *count)
{
    json_error_t where;
    json_t      *line = NULL;
    if (*count == LINES_MAX) return damaged(r, "more cells than a sweep can have");
    if ((*count & (*count - 1)) == 0) { /* full at every power of two */
        rf_cell_line *more = realloc(*list, (*count ? 2 * *count : 1) * sizeof **list);
        if (!more) return rf_fail(r->err, RF_E_NOMEM, "%s: no memory to read it", r->path);
        *list = more;
    }
    line = json_loadf(r->file, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &where);
    if (!line) return damaged(r, "this is not JSON");
    const rf_status st = read_cell(r, *list + *count, line);
    ++*count; /* also a cell that was read in part: its prompt is to be freed */
    json_decref(line);
    return st;
}

/* NULL: errno says why.  Nothing but a file: a pipe would be waited for. */
static FILE *open_file(const char *path)
{
    struct stat info;
    const int   fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int   fits = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    FILE       *file = fits ? fdopen(fd, "r") : NULL;
    if (fd >= 0 && !fits) errno = EINVAL;
    if (fd >= 0 && !file) close(fd);
    return file;
}

rf_status rf_cell_lines_read(rf_cell_line **out, size_t *count, const char *folder, rf_error *err)
{
    rf_status     st = RF_OK;
    char          path[PATH_MAX];
    rf_cell_line *list = NULL;
    size_t        found = 0;
    reader        r = {.path = path, .err = err};
    *out = NULL, *count = 0;
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    r.file = open_file(path);
    if (!r.file)
        return rf_fail(err, errno == ENOENT ? RF_E_NOT_FOUND : RF_E_IO,
                       "%s: %s (a finished sweep has this file)", path, strerror(errno));
    while (!at_end(r.file)) {
        r.number++;
        RF_TRY(append(&r, &list, &found));
    }
    if (ferror(r.file))
        st = rf_fail(err, RF_E_IO, "%s: reading failed", path);
    else if (!found)
        st = rf_fail(err, RF_E_FORMAT, "%s: no cells in it", path);
    if (st != RF_OK) goto done;
    *out = list, *count = found;
    list = NULL;
done:
    fclose(r.file);
    rf_cell_lines_free(list, found);
    return st;
}

void rf_cell_lines_free(rf_cell_line *lines, size_t count)
{
    for (size_t i = 0; lines && i < count; i++) free(lines[i].prompt);
    free(lines);
}
