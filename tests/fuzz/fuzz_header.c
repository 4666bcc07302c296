/* Any bytes as a safetensors header: refused with a sentence, or every promise of the reader holds.
 *
 * An input that begins with a brace is a JSON header; the file size it is judged against is taken
 * from the input's last four bytes, so that the fuzzer can reach both sides of every size rule.
 * All other inputs choose pieces of headers: tensors that follow each other as they should, now and
 * then one that does not; their file is as long as they say, or nearly.  The cursor beneath reads
 * every text twice, whole and in small pieces, and must think the same of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/header.h"
#include "engine/files/json_scan.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_promises(const rf_header *h, uint64_t data_begin, uint64_t file_bytes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < h->tensor_count; i++) {
        const rf_tensor *t = &h->tensor[i];
        uint64_t         elems = 1;
        fuzz_require(t->ndim >= 0 && t->ndim <= RF_TENSOR_DIMS && t->type < RF_FILETYPES);
        for (int d = 0; d < t->ndim; d++) elems *= (uint64_t)t->dim[d];
        fuzz_require(t->elems == elems && t->bytes == elems * rf_filetype_bytes(t->type));
        fuzz_require(t->offset >= data_begin && t->offset <= file_bytes);
        fuzz_require(t->bytes <= file_bytes - t->offset);
        fuzz_require(i == 0 || strcmp(h->tensor[i - 1].name, t->name) < 0);
        total += t->bytes;
    }
    fuzz_require(total == file_bytes - data_begin); /* nothing shared, nothing left over */
}

/* The header's bytes, copied exactly: AddressSanitizer sees a read behind them. */
typedef struct source {
    char  *text;
    size_t bytes;
} source;

static rf_status read_source(void *user, uint64_t at, void *dst, size_t bytes, rf_error *err)
{
    const source *s = user;
    (void)err;
    fuzz_require(at <= s->bytes && bytes <= s->bytes - at);
    memcpy(dst, s->text + at, bytes);
    return RF_OK;
}

static void judge(const char *text, size_t bytes, uint64_t payload)
{
    source         s = {.text = malloc(bytes + 1), .bytes = bytes}; /* malloc(0) may be NULL */
    rf_header      header = {0};
    rf_error       err = {0};
    const uint64_t data_begin = 8 + (uint64_t)bytes, file_bytes = data_begin + payload;
    if (!s.text) return;
    memcpy(s.text, text, bytes);
    if (rf_header_parse(&header, read_source, &s, bytes, file_bytes, "fuzz", &err) == RF_OK)
        check_promises(&header, data_begin, file_bytes);
    else
        fuzz_require(err.status != RF_OK && err.message[0] != '\0');
    rf_header_free(&header);
    free(s.text);
}

/* ---- the cursor --------------------------------------------------------------------------- */

typedef struct drops {
    const char *at;
    size_t      left, size;
} drops;

static size_t next_drop(void *user, char *to, size_t room)
{
    drops       *d = user;
    const size_t wanted = d->size < room ? d->size : room;
    const size_t now = d->left < wanted ? d->left : wanted;
    memcpy(to, d->at, now);
    d->at += now;
    d->left -= now;
    return now;
}

static void check_cursor(const char *text, size_t bytes)
{
    static char window[RF_JSON_WINDOW];
    char       *copy = malloc(bytes + 1);
    if (!copy) return;
    memcpy(copy, text, bytes);
    drops     d = {.at = text, .left = bytes, .size = 1 + bytes % 7};
    rf_json   whole = {.at = copy, .end = copy + bytes};
    rf_json   parts = {.at = window,
                       .end = window,
                       .window = window,
                       .room = sizeof window,
                       .source = next_drop,
                       .user = &d};
    const int a = rf_json_skip(&whole), b = rf_json_skip(&parts);
    fuzz_require(a == b && (uint64_t)(whole.at - copy) == rf_json_offset(&parts));
    fuzz_require(a ? !whole.error && !parts.error : strcmp(whole.error, parts.error) == 0);
    free(copy);
}

/* ---- headers from pieces ------------------------------------------------------------------ */

typedef struct made {
    char     text[FUZZ_TEXT];
    size_t   bytes;
    uint64_t data;
} made;

static void add_text(made *m, const char *s)
{
    const size_t n = strlen(s);
    if (m->bytes + n > sizeof m->text) return;
    memcpy(m->text + m->bytes, s, n);
    m->bytes += n;
}

static const char *const odd_pieces[] = {
    "\"__metadata__\":{\"format\":\"pt\"}",
    "\"__metadata__\":{\"a\":\"\\u00e9\",\"b\":\"\"}",
    "\"t\":{\"dtype\":\"F32\"",
    ",\"shape\":[",
    ",\"data_offsets\":[",
    "]}",
    ",\"x\":[1,{\"y\":null},-1.5e+3]",
    "1e3",
    "-0",
    "9223372036854775807",
    "9223372036854775808",
    "4294967296,4294967296",
    "\"\\u0074\":",
    "\\ud800",
    "\xC3\xA9",
    "\xFF",
    " ",
    "\"",
    ",",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\"dtype\":\"F8_E8M0\"",
    "\"\":",
};

/* A tensor behind the last one; `flaw` 0: as it should be. */
static void add_tensor(made *m, fuzz_bytes *b, int first)
{
    static const char *const types[] = {"F32", "F16", "BF16", "F8_E4M3",
                                        "I64", "U8",  "F64",  "BOOL"};
    static const uint64_t    sizes[] = {4, 2, 2, 1, 8, 1, 8, 1};
    char                     entry[256];
    const uint8_t            name = fuzz_byte(b), how = fuzz_byte(b), flaw = fuzz_byte(b);
    const uint64_t           dim = how >> 3 & 7, rows = 1 + (how >> 6);
    uint64_t                 begin = m->data, end = begin + dim * rows * sizes[how & 7];
    m->data = end;
    switch (flaw & 0x1F) {
    case 1: begin++; break;
    case 2: end++; break;
    case 3: begin = 0; break;
    case 4: end = begin ? begin - 1 : 1; break;
    case 5: begin += UINT64_C(1) << 62, end += UINT64_C(1) << 62; break;
    case 6: m->data++; break; /* a hole behind it */
    default: break;
    }
    snprintf(entry, sizeof entry,
             "%s\"t%d\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[%llu,%llu]}",
             first ? "" : ",", name % 32, types[how & 7], (int)rows, (int)dim,
             (unsigned long long)begin, (unsigned long long)end);
    add_text(m, entry);
}

static void judge_pieces(fuzz_bytes *b)
{
    static made m;
    m.bytes = 0;
    m.data = 0;
    fuzz_byte(b); /* which is no brace */
    const uint8_t end = fuzz_byte(b);
    add_text(&m, "{");
    for (int first = 1; b->left > 0; first = 0) {
        const uint8_t op = fuzz_byte(b);
        if (op < 0xC0)
            add_tensor(&m, b, first);
        else
            add_text(&m, odd_pieces[op % (sizeof odd_pieces / sizeof *odd_pieces)]);
    }
    if (end & 1 || end & 2) add_text(&m, "}");
    check_cursor(m.text, m.bytes);
    judge(m.text, m.bytes, m.data + (end == 7) - (end == 11 && m.data > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = {.at = data, .left = size};
    uint32_t   payload = 0;
    if (size < sizeof payload) return 0;
    if (data[0] != '{') {
        judge_pieces(&b);
        return 0;
    }
    const size_t bytes = size - sizeof payload;
    memcpy(&payload, data + bytes, sizeof payload);
    check_cursor((const char *)data, bytes);
    judge((const char *)data, bytes, payload);
    return 0;
}
