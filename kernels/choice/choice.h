/* choice: which level, tile or vendor algorithm a call site gets on a class of devices.
 *
 * A table is a text file of the tree, kernels/choice/<class>.txt, written by `refinery-bench
 * choose` on a GPU of that class and never at run time.  Its rows override the rules of the
 * <op>_tiles.h headers; where it has none, the rule holds.  Nothing here reads the batch, so no row
 * can make a picture's bytes depend on it.
 *
 *     refinery-choices 1
 *     class sm90
 *     cublaslt 130002                          the version its vendor rows were checked with
 *     cudnn 91900
 *     # op dtype variant n k h w level numbers
 *     gemm f16 none 1280 1280 0 0 sm80 2        tile 2
 *     gemm f16 none 3840 1280 0 0 vendor 66 20 10 1 0 0 0 0 0
 *
 * Lines end with \n, words stand one blank apart, numbers are plain decimals.  `#` begins a line of
 * comment. */
#ifndef RF_CHOICE_H
#define RF_CHOICE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"
#include "kernels/level.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_choice_op {
    RF_CHOICE_GEMM,
    RF_CHOICE_CONV,
    RF_CHOICE_ATTENTION,
    RF_CHOICE_OPS,
} rf_choice_op;

/* What tells call sites apart.
 *              variant          n      k    h, w
 *   gemm       rf_act           n      k    0, 0: the op does not see the picture
 *   conv       rf_conv_kind     cout   cin  of one input map
 *   attention  0, 1 if causal   heads  d    sq, skv; with a table of prompts skv is 0 */
typedef struct rf_choice_key {
    rf_choice_op op;
    rf_dtype     dtype;
    int          variant, n, k, h, w;
} rf_choice_key;

enum { RF_CHOICE_NUMBERS = 40 }; /* an algorithm's id and its configuration */

typedef struct rf_choice {
    rf_choice_key key;
    rf_level      level;                     /* sm80 or vendor */
    int           count;                     /* of numbers */
    int32_t       number[RF_CHOICE_NUMBERS]; /* sm80: the tile.  vendor: see <op>/vendor.c */
} rf_choice;

enum { RF_CHOICE_CLASS = 8 };

typedef struct rf_choices {
    char       device_class[RF_CHOICE_CLASS]; /* "sm90" */
    size_t     cublaslt, cudnn;               /* versions; 0: no vendor row needs it */
    rf_choice *row;                           /* [count], ordered by key; owned */
    size_t     count;
} rf_choices;

/* Parses a table.  RF_E_FORMAT names `name` and the line: anything that is not exactly of the form
 * above, or a key that comes twice.  *out is zeroed on failure. */
rf_status rf_choices_read(rf_choices *out, const char *text, size_t bytes, const char *name,
                          rf_error *err);
void      rf_choices_free(rf_choices *choices); /* zeroed is fine */

/* The row of `key`, or NULL; NULL of a NULL table.  A pure function of its arguments. */
const rf_choice *rf_choose(const rf_choices *choices, const rf_choice_key *key);

/* The sm80 tile of `key`: what its row says, where that is one of `tiles`, else `rule`. */
int rf_choose_tile(const rf_choices *choices, const rf_choice_key *key, int tiles, int rule);

/* The row as a line of a table, with its end, and what it is about ("gemm f16 none 1280 1280 0 0").
 * Cut if `bytes` is too small: RF_CHOICE_LINE is enough. */
enum { RF_CHOICE_LINE = 640 };
int rf_choice_print(char *text, size_t bytes, const rf_choice *row);

const char *rf_choice_op_name(rf_choice_op op);
const char *rf_choice_variant_name(rf_choice_op op, int variant); /* NULL: there is none */

/* ---- the tables that are built in -------------------------------------------------------------
 */

typedef struct rf_choice_file {
    const char          *device_class;
    const char          *sha256; /* of the file, 64 hexadecimal digits */
    const unsigned char *text;
    size_t               bytes;
} rf_choice_file;

extern const rf_choice_file rf_choice_files[]; /* made by tools/embed_choices.cmake */
extern const size_t         rf_choice_files_count;

/* The table of GPUs of compute capability major.minor: of the newest class that is not newer than
 * they are, as with kernels.  NULL below 8.0. */
const rf_choice_file *rf_choice_file_of(int major, int minor);

#ifdef __cplusplus
}
#endif
#endif
