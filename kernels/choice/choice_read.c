/* The parser of choice tables.  They are files of the tree, but bench also reads one that a user
 * names: so everything is checked, and nothing is guessed. */
#include <stdlib.h>
#include <string.h>

#include "kernels/choice/choice.h"
#include "kernels/choice/choice_order.h"

enum { TABLE_BYTES_MOST = 1 << 20, ROWS_MOST = 8192, NUMBER_MOST = 1 << 30, DIGITS_MOST = 10 };

typedef struct reader {
    const char *at, *end; /* what is left of the line */
    const char *name;
    int         line;
    rf_error   *err;
} reader;

static rf_status wrong(const reader *r, const char *what)
{
    return rf_fail(r->err, RF_E_FORMAT, "%s, line %d: %s", r->name, r->line, what);
}

/* The next word's length; 0 at the end of the line, or where blanks do not stand alone. */
static size_t word(reader *r, const char **out)
{
    const char *from = r->at;
    while (r->at<r->end && * r->at> ' ' && *r->at < 0x7F) r->at++;
    *out = from;
    const size_t length = (size_t)(r->at - from);
    if (r->at < r->end) {
        if (*r->at != ' ' || r->at + 1 == r->end) return 0;
        r->at++;
    }
    return length;
}

static int is(const char *text, size_t length, const char *wanted)
{
    return strlen(wanted) == length && memcmp(text, wanted, length) == 0;
}

/* A plain decimal up to NUMBER_MOST; -1 if the next word is none. */
static int number(reader *r)
{
    const char  *text;
    const size_t length = word(r, &text);
    long         value = 0;
    if (!length || length > DIGITS_MOST || (length > 1 && *text == '0')) return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value <= NUMBER_MOST ? (int)value : -1;
}

static rf_status read_numbers(reader *r, rf_choice *row)
{
    while (r->at < r->end) {
        const int value = number(r);
        if (value < 0) return wrong(r, "a number was expected");
        if (row->count == RF_CHOICE_NUMBERS) return wrong(r, "it has too many numbers");
        row->number[row->count++] = value;
    }
    if (!row->count) return wrong(r, "it says no tile and no algorithm");
    if (row->level == RF_LEVEL_SM80 && row->count != 1) return wrong(r, "a tile is one number");
    return RF_OK;
}

/* The first word of a row has been read: its op. */
static rf_status read_row(reader *r, rf_choice_op op, rf_choice *row)
{
    const char *text;
    *row = (rf_choice){.key = {.op = op}};
    size_t length = word(r, &text);
    if (!is(text, length, "f16") && !is(text, length, "bf16"))
        return wrong(r, "the type is neither f16 nor bf16");
    row->key.dtype = *text == 'b' ? RF_BF16 : RF_F16;
    length = word(r, &text);
    const char *variant;
    while ((variant = rf_choice_variant_name(op, row->key.variant)) != NULL &&
           !is(text, length, variant))
        row->key.variant++;
    if (!variant) return wrong(r, "the op has no such variant");
    int *const sizes[] = {&row->key.n, &row->key.k, &row->key.h, &row->key.w};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if ((*sizes[i] = number(r)) < (i < 2)) return wrong(r, "a size was expected");
    length = word(r, &text);
    if (!is(text, length, "sm80") && !is(text, length, "vendor"))
        return wrong(r, "the level is neither sm80 nor vendor");
    row->level = *text == 'v' ? RF_LEVEL_VENDOR : RF_LEVEL_SM80;
    return read_numbers(r, row);
}

static rf_status add(reader *r, rf_choices *out, size_t *room, const rf_choice *row)
{
    if (out->count == ROWS_MOST) return wrong(r, "the table has too many rows");
    if (out->count == *room) {
        const size_t more = *room ? 2 * *room : 64;
        rf_choice   *grown = realloc(out->row, more * sizeof *grown);
        if (!grown) return rf_fail(r->err, RF_E_NOMEM, "%s: out of memory", r->name);
        out->row = grown;
        *room = more;
    }
    out->row[out->count++] = *row;
    return RF_OK;
}

/* "class", "cublaslt", "cudnn" and rows, in any order. */
static rf_status read_line(reader *r, rf_choices *out, size_t *room)
{
    const char  *text;
    const size_t length = word(r, &text);
    for (int op = 0; op < RF_CHOICE_OPS; op++) {
        rf_choice row;
        if (!is(text, length, rf_choice_op_name((rf_choice_op)op))) continue;
        const rf_status st = read_row(r, (rf_choice_op)op, &row);
        return st == RF_OK ? add(r, out, room, &row) : st;
    }
    if (is(text, length, "class")) {
        const size_t size = word(r, &text);
        if (size < 4 || size >= RF_CHOICE_CLASS || memcmp(text, "sm", 2) != 0 || r->at < r->end ||
            out->device_class[0])
            return wrong(r, "one class such as sm90 was expected");
        memcpy(out->device_class, text, size);
        return RF_OK;
    }
    const int library = is(text, length, "cublaslt") ? 1 : is(text, length, "cudnn") ? 2 : 0;
    if (!library) return wrong(r, "it begins with no word that is known");
    const int version = number(r);
    size_t   *to = library == 1 ? &out->cublaslt : &out->cudnn;
    if (version < 1 || r->at < r->end || *to) return wrong(r, "one version was expected");
    *to = (size_t)version;
    return RF_OK;
}

static rf_status check_whole(const reader *r, const rf_choices *c)
{
    if (!c->device_class[0]) return rf_fail(r->err, RF_E_FORMAT, "%s: it has no class", r->name);
    for (size_t i = 0; i < c->count; i++) {
        const rf_choice *row = &c->row[i];
        if (i && rf_choice_order(row - 1, row) == 0)
            return rf_fail(r->err, RF_E_FORMAT, "%s: the row of %s %d %d comes twice", r->name,
                           rf_choice_op_name(row->key.op), row->key.n, row->key.k);
        if (row->level == RF_LEVEL_VENDOR &&
            !(row->key.op == RF_CHOICE_GEMM ? c->cublaslt : c->cudnn))
            return rf_fail(r->err, RF_E_FORMAT,
                           "%s: it has vendor rows and not the version of the vendor's library",
                           r->name);
    }
    return RF_OK;
}

static rf_status read_all(reader *r, const char *text, size_t bytes, rf_choices *out)
{
    static const char first[] = "refinery-choices 1";
    size_t            room = 0;
    const char       *at = text, *end = text + bytes;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        r->line++;
        if (!stop) return wrong(r, "the last line has no end");
        r->at = at;
        r->end = stop;
        at = stop + 1;
        if (r->line == 1) {
            if (!is(r->at, (size_t)(stop - r->at), first))
                return wrong(r, "a choice table begins with \"refinery-choices 1\"");
            continue;
        }
        if (r->at == stop || *r->at == '#') continue;
        const rf_status st = read_line(r, out, &room);
        if (st != RF_OK) return st;
    }
    if (!r->line) return wrong(r, "it is empty");
    if (out->count) qsort(out->row, out->count, sizeof *out->row, rf_choice_order);
    return check_whole(r, out);
}

rf_status rf_choices_read(rf_choices *out, const char *text, size_t bytes, const char *name,
                          rf_error *err)
{
    reader r = {.name = name, .err = err};
    *out = (rf_choices){.count = 0};
    if (bytes > TABLE_BYTES_MOST)
        return rf_fail(err, RF_E_FORMAT, "%s: a choice table has at most %d bytes", name,
                       TABLE_BYTES_MOST);
    const rf_status st = read_all(&r, text, bytes, out);
    if (st != RF_OK) rf_choices_free(out);
    return st;
}
