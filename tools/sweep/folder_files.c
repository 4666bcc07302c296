/* Files by their names; see folder_files.h.
 *
 * Nothing goes but what has the name of a file of a sweep, in a folder that has said to be one's.
 */
#include "tools/sweep/folder_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/os_error.h"
#include "tools/sweep/claim.h"

/* ---- names ---------------------------------------------------------------------------------- */

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* A journal that a killed process had not finished making: "journal.sqlite.1234.tmp". */
static int is_unborn_journal(const char *name)
{
    return strncmp(name, "journal", 7) == 0 && strstr(name, ".sqlite.") && ends_with(name, ".tmp");
}

/* The name that ".NAME.01234567.tmp" was to become; 0 if it is no such file. */
static int final_name(const char *temp, char name[NAME_MAX + 1])
{
    enum { TAIL = 13 }; /* ".01234567.tmp" */
    const size_t n = strlen(temp);
    if (temp[0] != '.' || n <= TAIL + 1 || n > NAME_MAX || !ends_with(temp, ".tmp")) return 0;
    const char *tail = temp + n - TAIL;
    if (*tail != '.' || strspn(tail + 1, "0123456789abcdef") != 8) return 0;
    snprintf(name, NAME_MAX + 1, "%.*s", (int)(n - TAIL - 1), temp + 1);
    return 1;
}

static int is_claim(const char *name)
{
    char to_be[NAME_MAX + 1];
    if (strcmp(name, RF_CLAIM_NAME) == 0) return 1;
    return final_name(name, to_be) && strcmp(to_be, RF_CLAIM_NAME) == 0;
}

/* "grid.png", "grid-z03.png" */
static int is_grid(const char *name)
{
    static const char BEFORE[] = "grid-z";
    if (strcmp(name, "grid.png") == 0) return 1;
    if (strncmp(name, BEFORE, sizeof BEFORE - 1) != 0) return 0;
    name += sizeof BEFORE - 1;
    const size_t digits = strspn(name, "0123456789");
    return digits > 0 && strcmp(name + digits, ".png") == 0;
}

static int is_output(const char *name)
{
    return strcmp(name, "report.html") == 0 || strcmp(name, "results.jsonl") == 0 || is_grid(name);
}

void rf_sweep_grid_name(const rf_sweep *s, int z, char name[NAME_MAX + 1])
{
    const rf_cells *c = &s->cells;
    const char     *cell = c->cell[z * c->axis[RF_AXIS_X].count * c->axis[RF_AXIS_Y].count].name;
    if (c->axis[RF_AXIS_Z].count == 1)
        snprintf(name, NAME_MAX + 1, "grid.png");
    else /* "x0-y0-z03" */
        snprintf(name, NAME_MAX + 1, "grid%s.png", strrchr(cell, '-'));
}

static int is_our_grid(const rf_sweep *s, const char *name)
{
    char       ours[NAME_MAX + 1];
    const int  count = s->cells.axis[RF_AXIS_Z].count;
    const long z = count > 1 && strlen(name) > 6 ? strtol(name + 6, NULL, 10) : 0; /* "grid-z" */
    if (z < 0 || z >= count) return 0;
    rf_sweep_grid_name(s, (int)z, ours);
    return strcmp(name, ours) == 0;
}

/* The cell whose picture has that name; -1: none of this sweep. */
static int cell_of(const rf_sweep *s, const char *name)
{
    const rf_axis *axis = s->cells.axis;
    const char    *at = name;
    long           cell = 0, step = 1;
    for (int a = 0; a < RF_AXES; a++) { /* "x03-y01-z00.png" */
        char *end;
        if (*at != "xyz"[a] || at[1] < '0' || at[1] > '9') return -1;
        const long i = strtol(at + 1, &end, 10);
        if (i >= axis[a].count) return -1;
        cell += i * step;
        step *= axis[a].count;
        at = *end == '-' ? end + 1 : end;
    }
    const char  *own = s->cells.cell[cell].name;
    const size_t n = strlen(own);
    return strncmp(own, name, n) == 0 && strcmp(name + n, ".png") == 0 ? (int)cell : -1;
}

/* Shards leave the common files to whoever writes them. */
static int is_orphan(const rf_sweep *s, const char *entry, int in_cells)
{
    char      name[NAME_MAX + 1];
    const int is_shard = s->shard.count > 1;
    if (!in_cells && !is_shard && is_unborn_journal(entry)) return 1;
    if (!final_name(entry, name)) return 0;
    const int cell = in_cells ? cell_of(s, name) : -1;
    if (in_cells) return cell >= 0 && rf_sweep_owns(s, cell);
    return !is_shard && (is_output(name) || is_claim(name));
}

/* ---- folders -------------------------------------------------------------------------------- */

rf_status rf_folder_is_empty(const char *folder, int *empty, rf_error *err)
{
    DIR *const dir = opendir(folder);
    *empty = 1;
    if (!dir && errno == ENOENT) return RF_OK;
    if (!dir && errno == ENOTDIR)
        return rf_fail(err, RF_E_EXISTS, "--output %s is not a folder", folder);
    if (!dir) return rf_fail(err, rf_read_status(errno), "%s: %s", folder, rf_errno_text(errno));
    for (const struct dirent *e = readdir(dir); e && *empty; e = readdir(dir))
        *empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                 is_unborn_journal(e->d_name) || is_claim(e->d_name);
    closedir(dir);
    return RF_OK;
}

void rf_folder_find_output(const char *folder, char name[NAME_MAX + 1])
{
    DIR *const dir = opendir(folder);
    *name = '\0';
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && !*name; e = readdir(dir))
        if (is_output(e->d_name)) snprintf(name, NAME_MAX + 1, "%s", e->d_name);
    if (dir) closedir(dir);
}

rf_status rf_folder_remove_outputs(const char *folder, rf_error *err)
{
    int        code = 0;
    DIR *const dir = opendir(folder);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && !code; e = readdir(dir))
        if (is_output(e->d_name) && unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
            code = errno;
    if (dir) closedir(dir);
    if (!code) return RF_OK;
    return rf_fail(err, rf_write_status(code), "%s: an older sweep's grids stay: %s", folder,
                   rf_errno_text(code));
}

void rf_folder_remove_orphans(const rf_sweep *s, const char *folder, int in_cells)
{
    DIR *const dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (is_orphan(s, e->d_name, in_cells)) unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}

void rf_folder_warn_of_cells(rf_sweep *s, const char *cells)
{
    char       text[PATH_MAX + 100];
    int        others = 0;
    DIR *const dir = opendir(cells);
    if (!dir) return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        others += e->d_name[0] != '.' && cell_of(s, e->d_name) < 0; /* other shards' are */
    closedir(dir);
    if (!others) return;
    snprintf(text, sizeof text, "%d older file%s in %s and not of this sweep", others,
             others == 1 ? " is" : "s are", cells);
    rf_sweep_warn(s, text);
}

void rf_folder_warn_of_grids(rf_sweep *s)
{
    char       text[PATH_MAX + NAME_MAX + 100], first[NAME_MAX + 1] = "", more[40] = "";
    int        others = 0;
    DIR *const dir = opendir(s->o->folder);
    if (!dir) return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!is_grid(e->d_name) || is_our_grid(s, e->d_name)) continue;
        if (!others++ || strcmp(e->d_name, first) < 0)
            snprintf(first, sizeof first, "%s", e->d_name);
    }
    closedir(dir);
    if (!others) return;
    if (others > 1) snprintf(more, sizeof more, " and %d more", others - 1);
    snprintf(text, sizeof text, "%s/%s%s %s not of this sweep", s->o->folder, first, more,
             others > 1 ? "are" : "is");
    rf_sweep_warn(s, text);
}
