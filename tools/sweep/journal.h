/* What a sweep has done so far, on disk: a SQLite file (WAL, synchronous=FULL) beside the
 * pictures.
 *
 * A cell is done when its row says so, and its row says so only after its picture stands under its
 * final name.  Killed in between, the picture is made and written once more: same bytes. */
#ifndef RF_SWEEP_JOURNAL_H
#define RF_SWEEP_JOURNAL_H

#include "tools/console.h"

typedef enum rf_cell_state { RF_CELL_OPEN = 0, RF_CELL_DONE, RF_CELL_FAILED } rf_cell_state;

typedef struct rf_cell_record {
    rf_cell_state state;
    const char   *error;   /* FAILED: the sentence; else NULL */
    const char   *sha256;  /* DONE: of the picture's file, 64 hex digits */
    double        seconds; /* since the sweep (this sitting) began */
} rf_cell_record;

typedef struct rf_journal rf_journal;

/* Creates the journal for a new sweep, or opens that of an old one (`resume`).  `fingerprint` is
 * 64 hex digits over everything that a picture of the sweep depends on (axes, jobs, files'
 * SHA-256, dtype, version); `summary` is what a person reads about it.  RF_E_EXISTS: there is one
 * and neither `resume` nor `overwrite` was asked for; RF_E_ARG: it belongs to another sweep, saying
 * what differs as far as the summaries tell; RF_E_NOT_FOUND: nothing to resume; RF_E_FORMAT:
 * damaged; RF_E_BUSY... another process has it open (lock): RF_E_IO with that sentence. */
rf_status rf_journal_open(rf_journal **out, const char *path, const char *fingerprint,
                          const char *summary, int cells, int resume, int overwrite,
                          rf_trouble *trouble);
void      rf_journal_close(rf_journal *journal); /* NULL is fine */

/* Whether the journal at `path` is of that sweep, also while another process, on whatever machine,
 * writes it: what a journal was made with never changes, and no lock is asked for.  RF_E_ARG and
 * RF_E_FORMAT as above. */
rf_status rf_journal_compare(const char *path, const char *fingerprint, const char *summary,
                             rf_trouble *trouble);

/* Whether the journal at `path` may go: there is none, or nobody is at work on it, as far as this
 * machine knows.  A damaged one may.  RF_E_IO: in use; RF_E_EXISTS: it is not a journal. */
rf_status rf_journal_check_idle(const char *path, rf_error *err);
/* Removes such a one, with what SQLite has put beside it. */
rf_status rf_journal_remove(const char *path, rf_error *err);

/* The strings of *out live until the next call.  A row that is not as it was written: RF_E_FORMAT.
 */
rf_status rf_journal_read(rf_journal *journal, int cell, rf_cell_record *out, rf_error *err);
/* Durable when it returns.  Strings are copied. */
rf_status rf_journal_write(rf_journal *journal, int cell, const rf_cell_record *record,
                           rf_error *err);

#endif
