/* Grammar and rules of the header; see header.h. */
#include "engine/files/header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/json_scan.h"

/* Texts live in blocks that never move. */
struct rf_header_text {
    rf_header_text *next;
    size_t          used, room;
    char            text[];
};

typedef struct reader {
    rf_json           json;
    rf_header         out;
    size_t            tensor_room, meta_room;
    size_t            names, values; /* bytes kept of either */
    uint64_t          data_start, file_bytes;
    int               has_meta;
    rf_header_source *source;
    void             *user;
    uint64_t          at, bytes; /* read so far, and of the whole header */
    rf_status         source_status;
    const char       *path;
    rf_error         *err;
} reader;

/* Types of the format that no SDXL file needs, in order of its README. */
static const char *const other_types[] = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
                                          "F4",      "F6_E2M3",     "F6_E3M2"};

uint64_t rf_header_length(const unsigned char *head)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    return n;
}

static size_t next_piece(void *user, char *to, size_t room)
{
    reader      *r = user;
    const size_t left = (size_t)(r->bytes - r->at), now = left < room ? left : room;
    if (now == 0 || r->source_status != RF_OK) return 0;
    r->source_status = r->source(r->user, r->at, to, now, r->err);
    r->at += now;
    return r->source_status == RF_OK ? now : 0;
}

/* The source's own error is why the text seemed to end. */
static rf_status json_failed(const reader *r)
{
    if (r->source_status != RF_OK) return r->source_status;
    return rf_fail(r->err, RF_E_FORMAT, "%s: damaged header: byte %" PRIu64 " holds %s", r->path,
                   rf_json_offset(&r->json), r->json.error ? r->json.error : "a fault");
}

static rf_status no_memory(const reader *r)
{
    return rf_fail(r->err, RF_E_NOMEM, "%s: no memory for its header", r->path);
}

/* Makes room for one more element; growth is paid for by bytes already read. */
static void *grown(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room) return array;
    const size_t want = *room ? *room * 2 : 64;
    void        *bigger = realloc(array, want * size);
    if (bigger) *room = want;
    return bigger;
}

/* A copy of `text` that lives as long as the header; NULL: no memory. */
static char *keep(reader *r, const char *text, size_t bytes)
{
    enum { BLOCK = 1 << 16 };
    rf_header_text *block = r->out.text;
    if (!block || block->room - block->used < bytes + 1) {
        const size_t usual = r->bytes < BLOCK ? (size_t)r->bytes : BLOCK;
        const size_t room = bytes + 1 > usual ? bytes + 1 : usual;
        block = malloc(sizeof *block + room);
        if (!block) return NULL;
        *block = (rf_header_text){.next = r->out.text, .room = room};
        r->out.text = block;
    }
    char *copy = block->text + block->used;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    block->used += bytes + 1;
    return copy;
}

/* ---- metadata ----------------------------------------------------------------------------- */

static rf_status keep_key(reader *r, const char *text, size_t bytes, const char **out)
{
    if (bytes > RF_NAMES_MAX || (r->names += bytes + 1) > RF_NAMES_MAX)
        return rf_fail(r->err, RF_E_FORMAT, "%s: its names take more than %d bytes", r->path,
                       RF_NAMES_MAX);
    *out = keep(r, text, bytes);
    return *out ? RF_OK : no_memory(r);
}

/* Thumbnails and statistics of a training may be large, and nothing reads them. */
static rf_status keep_value(reader *r, const char *text, rf_pair *pair)
{
    const int kept = pair->bytes <= RF_META_MAX && r->values + pair->bytes <= RF_META_ALL_MAX;
    if (kept) r->values += pair->bytes;
    pair->value = kept ? keep(r, text, pair->bytes) : "";
    return pair->value ? RF_OK : no_memory(r);
}

static rf_status read_pair(reader *r)
{
    rf_json  *j = &r->json;
    rf_status st = RF_OK;
    char     *text;
    size_t    bytes;
    if (r->out.meta_count == RF_ENTRIES_MAX)
        return rf_fail(r->err, RF_E_FORMAT, "%s: more than %d metadata entries", r->path,
                       RF_ENTRIES_MAX);
    rf_pair *bigger = grown(r->out.meta, r->out.meta_count, &r->meta_room, sizeof *bigger);
    if (!bigger) return no_memory(r);
    r->out.meta = bigger;
    rf_pair *pair = &bigger[r->out.meta_count++];
    *pair = (rf_pair){.key = "", .value = ""};
    if (!rf_json_string(j, &text, &bytes)) return json_failed(r);
    RF_TRY(keep_key(r, text, bytes, &pair->key));
    if (!rf_json_expect(j, ':', "a key without a colon") || !rf_json_string(j, &text, &pair->bytes))
        return json_failed(r);
    st = keep_value(r, text, pair);
done:
    return st;
}

static rf_status read_meta(reader *r)
{
    rf_status st = RF_OK;
    rf_json  *j = &r->json;
    if (r->has_meta++)
        return rf_fail(r->err, RF_E_FORMAT, "%s: damaged header: __metadata__ stands twice",
                       r->path);
    if (!rf_json_expect(j, '{', "something else than an object of metadata")) return json_failed(r);
    if (rf_json_take(j, '}')) return RF_OK;
    do {
        RF_TRY(read_pair(r));
    } while (rf_json_take(j, ','));
    if (!rf_json_expect(j, '}', "metadata without a comma or an end")) st = json_failed(r);
done:
    return st;
}

/* ---- tensors ------------------------------------------------------------------------------ */

static rf_status read_type(reader *r, rf_tensor *t)
{
    char  *text;
    size_t bytes;
    if (!rf_json_string(&r->json, &text, &bytes)) return json_failed(r);
    for (int i = 0; i < RF_FILETYPES; i++)
        if (strcmp(text, rf_filetype_name((rf_filetype)i)) == 0) {
            t->type = (rf_filetype)i;
            return RF_OK;
        }
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (strcmp(text, other_types[i]) == 0)
            return rf_fail(r->err, RF_E_MODEL,
                           "%s: tensor %s is of type %s, which this version does not read", r->path,
                           t->name, text);
    return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s has the unknown type \"%.32s\"", r->path,
                   t->name, text);
}

static rf_status read_shape(reader *r, rf_tensor *t)
{
    rf_json *j = &r->json;
    if (!rf_json_expect(j, '[', "something else than a list of dims")) return json_failed(r);
    t->ndim = 0;
    if (rf_json_take(j, ']')) return RF_OK;
    do {
        int64_t dim;
        if (!rf_json_integer(j, &dim)) return json_failed(r);
        if (t->ndim == RF_TENSOR_DIMS)
            return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s has more than %d dims", r->path,
                           t->name, RF_TENSOR_DIMS);
        t->dim[t->ndim++] = dim;
    } while (rf_json_take(j, ','));
    return rf_json_expect(j, ']', "dims without a comma or an end") ? RF_OK : json_failed(r);
}

static rf_status read_offsets(reader *r, rf_tensor *t)
{
    rf_json *j = &r->json;
    int64_t  begin, end;
    if (!rf_json_expect(j, '[', "something else than a pair of offsets") ||
        !rf_json_integer(j, &begin) || !rf_json_expect(j, ',', "offsets that are not a pair") ||
        !rf_json_integer(j, &end) || !rf_json_expect(j, ']', "offsets that are not a pair"))
        return json_failed(r);
    if (begin > end)
        return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s ends before it begins", r->path,
                       t->name);
    t->offset = (uint64_t)begin; /* from the start of the data until check_tiling */
    t->bytes = (uint64_t)(end - begin);
    return RF_OK;
}

/* elems and bytes from the dims, each product checked, zeros or not. */
static rf_status check_size(reader *r, rf_tensor *t)
{
    uint64_t product = rf_filetype_bytes(t->type);
    int      empty = 0;
    for (int i = 0; i < t->ndim; i++) {
        const uint64_t dim = (uint64_t)t->dim[i];
        if (dim == 0) {
            empty = 1;
            continue;
        }
        if (product > (uint64_t)INT64_MAX / dim)
            return rf_fail(r->err, RF_E_FORMAT, "%s: the dims of tensor %s overflow", r->path,
                           t->name);
        product *= dim;
    }
    if (empty) product = 0;
    t->elems = product / rf_filetype_bytes(t->type);
    if (product == t->bytes) return RF_OK;
    char shape[128];
    return rf_fail(r->err, RF_E_FORMAT,
                   "%s: tensor %s, %s %s, takes %" PRIu64 " bytes but has %" PRIu64, r->path,
                   t->name, rf_filetype_name(t->type), rf_tensor_shape_text(t, shape, sizeof shape),
                   product, t->bytes);
}

/* The fields of one tensor; `t->name` is set. */
static rf_status read_tensor(reader *r, rf_tensor *t)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    rf_status                st = RF_OK;
    rf_json                 *j = &r->json;
    int                      seen[3] = {0};
    if (!rf_json_expect(j, '{', "something else than an object for a tensor"))
        return json_failed(r);
    do {
        char  *key;
        size_t bytes;
        int    field = 0;
        if (!rf_json_string(j, &key, &bytes)) return json_failed(r);
        while (field < 3 && strcmp(key, fields[field]) != 0) field++;
        if (field < 3 && seen[field]++)
            return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s has %s twice", r->path, t->name,
                           key);
        if (!rf_json_expect(j, ':', "a key without a colon")) return json_failed(r);
        switch (field) {
        case 0: RF_TRY(read_type(r, t)); break;
        case 1: RF_TRY(read_shape(r, t)); break;
        case 2: RF_TRY(read_offsets(r, t)); break;
        default:
            if (!rf_json_skip(j)) return json_failed(r);
            r->out.unknown_fields++;
        }
    } while (rf_json_take(j, ','));
    if (!rf_json_expect(j, '}', "fields without a comma or an end")) return json_failed(r);
    for (int i = 0; i < 3; i++)
        if (!seen[i])
            return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s has no %s", r->path, t->name,
                           fields[i]);
    st = check_size(r, t);
done:
    return st;
}

/* Names reach messages, logs and terminals: no C0, DEL or C1 controls. */
static int is_clean(const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0)) return 0;
    return 1;
}

static rf_status check_name(const reader *r, const char *name, size_t bytes)
{
    if (bytes > RF_NAME_MAX)
        return rf_fail(r->err, RF_E_FORMAT, "%s: a tensor's name is %zu bytes long", r->path,
                       bytes);
    if (!is_clean(name))
        return rf_fail(r->err, RF_E_FORMAT, "%s: control characters in the tensor name %s", r->path,
                       name);
    if (r->out.tensor_count == RF_ENTRIES_MAX)
        return rf_fail(r->err, RF_E_FORMAT, "%s: more than %d tensors", r->path, RF_ENTRIES_MAX);
    return RF_OK;
}

static rf_status read_entry(reader *r)
{
    rf_status st = RF_OK;
    char     *text;
    size_t    bytes;
    if (!rf_json_string(&r->json, &text, &bytes)) return json_failed(r);
    const int is_meta = strcmp(text, "__metadata__") == 0;
    rf_tensor t = {.name = ""};
    if (!is_meta) {
        RF_TRY(check_name(r, text, bytes));
        RF_TRY(keep_key(r, text, bytes, &t.name));
    }
    if (!rf_json_expect(&r->json, ':', "a key without a colon")) return json_failed(r);
    if (is_meta) return read_meta(r);
    RF_TRY(read_tensor(r, &t));
    rf_tensor *bigger = grown(r->out.tensor, r->out.tensor_count, &r->tensor_room, sizeof *bigger);
    if (!bigger) return no_memory(r);
    r->out.tensor = bigger;
    bigger[r->out.tensor_count++] = t;
done:
    return st;
}

static rf_status read_entries(reader *r)
{
    rf_status st = RF_OK;
    rf_json  *j = &r->json;
    if (rf_json_is_over(j) || *j->at != '{') {
        j->error = "something else than the opening brace";
        return json_failed(r);
    }
    j->at++;
    if (!rf_json_take(j, '}')) {
        do {
            RF_TRY(read_entry(r));
        } while (rf_json_take(j, ','));
        if (!rf_json_expect(j, '}', "entries without a comma or an end")) return json_failed(r);
    }
    rf_json_space(j); /* the format pads with spaces */
    if (!rf_json_is_over(j)) {
        j->error = "something after the closing brace";
        st = json_failed(r);
    }
done:
    return st;
}

static int by_offset(const void *a, const void *b)
{
    const rf_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty ones first */
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rf_tensor *)a)->name, ((const rf_tensor *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const rf_pair *)a)->key, ((const rf_pair *)b)->key);
}

/* Tensors cover the data exactly; then offsets count from the start of the file. */
static rf_status check_tiling(reader *r)
{
    uint64_t at = 0; /* offset and bytes are at most 2^63-1 each: no sum below wraps */
    qsort(r->out.tensor, r->out.tensor_count, sizeof *r->out.tensor, by_offset);
    for (size_t i = 0; i < r->out.tensor_count; i++) {
        rf_tensor *t = &r->out.tensor[i];
        if (t->offset != at)
            return rf_fail(r->err, RF_E_FORMAT, "%s: tensor %s %s", r->path, t->name,
                           t->offset < at ? "shares bytes with the one before it"
                                          : "leaves a hole before it");
        at += t->bytes;
        t->offset += r->data_start;
    }
    const uint64_t want = at + r->data_start;
    if (want > r->file_bytes)
        return rf_fail(r->err, RF_E_FORMAT,
                       "%s: the file is %" PRIu64 " bytes, its header says %" PRIu64
                       ": the download was cut, fetch it again",
                       r->path, r->file_bytes, want);
    if (want < r->file_bytes)
        return rf_fail(r->err, RF_E_FORMAT,
                       "%s: the file is %" PRIu64 " bytes, its header says %" PRIu64
                       ": something was appended to it",
                       r->path, r->file_bytes, want);
    return RF_OK;
}

static rf_status check_unique(reader *r)
{
    qsort(r->out.tensor, r->out.tensor_count, sizeof *r->out.tensor, by_name);
    for (size_t i = 1; i < r->out.tensor_count; i++)
        if (by_name(&r->out.tensor[i - 1], &r->out.tensor[i]) == 0)
            return rf_fail(r->err, RF_E_FORMAT, "%s: two tensors are named %s", r->path,
                           r->out.tensor[i].name);
    if (r->out.meta_count == 0) return RF_OK; /* qsort must not see NULL */
    qsort(r->out.meta, r->out.meta_count, sizeof *r->out.meta, by_key);
    for (size_t i = 1; i < r->out.meta_count; i++)
        if (by_key(&r->out.meta[i - 1], &r->out.meta[i]) == 0)
            return rf_fail(r->err, RF_E_FORMAT, "%s: two metadata entries are named %.100s",
                           r->path, r->out.meta[i].key);
    return RF_OK;
}

rf_status rf_header_parse(rf_header *out, rf_header_source *source, void *user, size_t bytes,
                          uint64_t file_bytes, const char *path, rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t room = bytes < RF_JSON_WINDOW ? bytes + RF_JSON_MORE : RF_JSON_WINDOW;
    char        *window = malloc(room);
    reader       r = {.data_start = 8 + (uint64_t)bytes,
                      .file_bytes = file_bytes,
                      .source = source,
                      .user = user,
                      .bytes = bytes,
                      .path = path,
                      .err = err};
    *out = (rf_header){0};
    if (!window) return no_memory(&r);
    r.json = (rf_json){.at = window,
                       .end = window,
                       .window = window,
                       .room = room,
                       .source = next_piece,
                       .user = &r};
    RF_TRY(read_entries(&r));
    if ((st = r.source_status) != RF_OK) goto done;
    if (r.out.tensor_count == 0) {
        st = rf_fail(err, RF_E_MODEL, "%s: a safetensors file without any tensors", path);
        goto done;
    }
    RF_TRY(check_unique(&r));
    RF_TRY(check_tiling(&r));
    qsort(r.out.tensor, r.out.tensor_count, sizeof *r.out.tensor, by_name);
    *out = r.out;
    r.out = (rf_header){0}; /* handed over */
done:
    free(window);
    rf_header_free(&r.out);
    return st;
}

void rf_header_free(rf_header *header)
{
    while (header->text) {
        rf_header_text *next = header->text->next;
        free(header->text);
        header->text = next;
    }
    free(header->tensor);
    free(header->meta);
    *header = (rf_header){0};
}
