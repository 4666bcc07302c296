/* FOLDER/sweep.identity; see claim.h.
 *
 *   refinery sweep 1
 *   <fingerprint, 64 hex digits>
 *   <the summary, lines "what: value">
 *
 * The fingerprint decides; the summary is there to say what differs. */
#include "tools/sweep/claim.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/outfile.h"
#include "engine/files/whole_file.h"

static const char MAGIC[] = "refinery sweep 1\n";

enum { MAGIC_BYTES = sizeof MAGIC - 1, DIGITS = RF_FINGERPRINT_BYTES - 1 };

/* A summary tells all values of three axes. */
enum { FILE_BYTES_MAX = 1 << 28 };

static rf_status path_of(char path[PATH_MAX], const char *folder, rf_error *err)
{
    if (snprintf(path, PATH_MAX, "%s/" RF_CLAIM_NAME, folder) < PATH_MAX) return RF_OK;
    return rf_fail(err, RF_E_ARG, "--output: the name of the folder is too long");
}

/* ---- saying what differs -------------------------------------------------------------------- */

/* The first line in which two summaries differ, as two pieces of text. */
static int find_difference(const char *a, const char *b, int length[2], const char *line[2])
{
    for (;;) {
        line[0] = a;
        line[1] = b;
        length[0] = (int)strcspn(a, "\n");
        length[1] = (int)strcspn(b, "\n");
        if (length[0] != length[1] || strncmp(a, b, (size_t)length[0]) != 0) return 1;
        if (!a[length[0]] && !b[length[1]]) return 0;
        a += length[0] + (a[length[0]] == '\n');
        b += length[1] + (b[length[1]] == '\n');
    }
}

rf_status rf_claim_refuse(const char *path, const char *theirs, const char *ours,
                          rf_trouble *trouble)
{
    enum { SHOWN = 150 };
    const char *line[2];
    int         length[2];
    rf_trouble_hint(trouble,
                    "--resume needs the command that began the sweep, with a random seed as the "
                    "number that it was; --output names another folder");
    if (!find_difference(theirs, ours, length, line))
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s belongs to another sweep: its settings differ from these", path);
    return rf_fail(&trouble->error, RF_E_ARG,
                   "%s belongs to another sweep: there '%.*s', here '%.*s'", path,
                   length[0] < SHOWN ? length[0] : SHOWN, line[0],
                   length[1] < SHOWN ? length[1] : SHOWN, line[1]);
}

/* ---- reading -------------------------------------------------------------------------------- */

static rf_status damaged(const char *path, rf_trouble *trouble)
{
    rf_trouble_hint(trouble, "without that file --resume compares with the journals");
    return rf_fail(&trouble->error, RF_E_FORMAT, "%s is damaged", path);
}

static rf_status judge(const char *path, char *text, size_t bytes, const rf_identity *ours,
                       rf_trouble *trouble)
{
    char *const digits = text + MAGIC_BYTES;
    if (bytes < MAGIC_BYTES || memcmp(text, MAGIC, MAGIC_BYTES) != 0) {
        rf_trouble_hint(trouble, "--output names another folder, or move that file away");
        return rf_fail(&trouble->error, RF_E_EXISTS,
                       "%s does not say which sweep it is of, and is left alone", path);
    }
    if (bytes <= MAGIC_BYTES + DIGITS || strspn(digits, "0123456789abcdef") != DIGITS ||
        digits[DIGITS] != '\n')
        return damaged(path, trouble);
    digits[DIGITS] = '\0';
    if (strcmp(digits, ours->fingerprint) == 0) return RF_OK;
    return rf_claim_refuse(path, digits + DIGITS + 1, ours->summary, trouble);
}

rf_status rf_claim_compare(const char *folder, const rf_identity *ours, int *there,
                           rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char      path[PATH_MAX], *text = NULL;
    size_t    bytes = 0;
    *there = 0;
    RF_TRY(path_of(path, folder, &trouble->error));
    st = rf_whole_file_read(&text, &bytes, path, FILE_BYTES_MAX, &trouble->error);
    *there = st != RF_E_NOT_FOUND;
    if (st == RF_E_NOT_FOUND) st = RF_OK;
    if (text) st = judge(path, text, bytes, ours, trouble);
done:
    free(text);
    return st;
}

/* ---- writing -------------------------------------------------------------------------------- */

static rf_status write_file(const char *path, const rf_identity *ours, int replace, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_outfile file = {.dir = -1, .fd = -1};
    RF_TRY(rf_outfile_create(&file, path, replace, err));
    RF_TRY(rf_outfile_write(&file, MAGIC, MAGIC_BYTES, err));
    RF_TRY(rf_outfile_write(&file, ours->fingerprint, DIGITS, err));
    RF_TRY(rf_outfile_write(&file, "\n", 1, err));
    RF_TRY(rf_outfile_write(&file, ours->summary, strlen(ours->summary), err));
    RF_TRY(rf_outfile_commit(&file, err));
done:
    rf_outfile_discard(&file);
    return st;
}

rf_status rf_claim_make(const char *folder, const rf_identity *ours, int replace,
                        rf_trouble *trouble)
{
    rf_status  st = RF_OK;
    char       path[PATH_MAX];
    rf_trouble theirs = {.hint = ""};
    int        there = 0;
    RF_TRY(path_of(path, folder, &trouble->error));
    st = write_file(path, ours, replace, &trouble->error);
    if (st == RF_OK || replace) return st;
    /* Another process was faster, and may even have taken our temporary file for a dead one's. */
    const rf_status verdict = rf_claim_compare(folder, ours, &there, &theirs);
    if (!there) return st;
    *trouble = theirs;
    st = verdict;
done:
    return st;
}
