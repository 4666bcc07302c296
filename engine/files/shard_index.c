/* Grammar and rules of the index; see shard_index.h. */
#include "engine/files/shard_index.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/header.h"
#include "engine/files/json_scan.h"
#include "engine/files/whole_file.h"

typedef struct reader {
    rf_json        json;
    rf_shard_index out;
    size_t         room;
    const char    *path;
    rf_error      *err;
} reader;

static rf_status failed(const reader *r)
{
    return rf_fail(r->err, RF_E_FORMAT, "%s: byte %td holds %s", r->path, r->json.at - r->out.text,
                   r->json.error ? r->json.error : "a fault");
}

static rf_status add_entry(reader *r, const char *tensor, const char *file)
{
    if (r->out.count == RF_ENTRIES_MAX)
        return rf_fail(r->err, RF_E_FORMAT, "%s: more than %d tensors", r->path, RF_ENTRIES_MAX);
    if (r->out.count == r->room) {
        const size_t    want = r->room ? 2 * r->room : 256;
        rf_shard_entry *bigger = realloc(r->out.entry, want * sizeof *bigger);
        if (!bigger) return rf_fail(r->err, RF_E_NOMEM, "%s: out of memory", r->path);
        r->out.entry = bigger;
        r->room = want;
    }
    r->out.entry[r->out.count++] = (rf_shard_entry){.tensor = tensor, .file = file};
    return RF_OK;
}

static rf_status read_map(reader *r)
{
    rf_status st = RF_OK;
    rf_json  *j = &r->json;
    if (!rf_json_expect(j, '{', "something else than an object as weight_map")) return failed(r);
    if (rf_json_take(j, '}')) return RF_OK;
    do {
        char  *tensor, *file;
        size_t bytes;
        if (!rf_json_string(j, &tensor, &bytes) || !rf_json_expect(j, ':', "no colon") ||
            !rf_json_string(j, &file, &bytes))
            return failed(r);
        RF_TRY(add_entry(r, tensor, file));
    } while (rf_json_take(j, ','));
    if (!rf_json_expect(j, '}', "entries without a comma or an end")) st = failed(r);
done:
    return st;
}

/* Some programs write it as a real number, which then says nothing. */
static int read_total(reader *r)
{
    rf_json *j = &r->json;
    rf_json_space(j);
    const rf_json before = *j;
    if (rf_json_is_over(j) || (*j->at >= '0' && *j->at <= '9')) {
        if (rf_json_integer(j, &r->out.total_size)) return 1;
        *j = before;
        r->out.total_size = -1;
        return rf_json_skip(j);
    }
    j->error = "a total_size that is no number of bytes";
    return 0;
}

static rf_status read_metadata(reader *r)
{
    rf_json *j = &r->json;
    if (!rf_json_expect(j, '{', "something else than an object as metadata")) return failed(r);
    if (rf_json_take(j, '}')) return RF_OK;
    do {
        char  *key;
        size_t bytes;
        if (!rf_json_string(j, &key, &bytes) || !rf_json_expect(j, ':', "no colon") ||
            !(strcmp(key, "total_size") == 0 ? read_total(r) : rf_json_skip(j)))
            return failed(r);
    } while (rf_json_take(j, ','));
    return rf_json_expect(j, '}', "metadata without a comma or an end") ? RF_OK : failed(r);
}

static rf_status read_entry(reader *r, int seen[2])
{
    char  *key;
    size_t bytes;
    if (!rf_json_string(&r->json, &key, &bytes) || !rf_json_expect(&r->json, ':', "no colon"))
        return failed(r);
    const int map = strcmp(key, "weight_map") == 0, metadata = strcmp(key, "metadata") == 0;
    if ((map && seen[0]++) || (metadata && seen[1]++))
        return rf_fail(r->err, RF_E_FORMAT, "%s: there are two of %s", r->path, key);
    if (map) return read_map(r);
    if (metadata) return read_metadata(r);
    return rf_json_skip(&r->json) ? RF_OK : failed(r);
}

static int by_tensor(const void *a, const void *b)
{
    return strcmp(((const rf_shard_entry *)a)->tensor, ((const rf_shard_entry *)b)->tensor);
}

static rf_status check_entries(const reader *r)
{
    if (r->out.count == 0)
        return rf_fail(r->err, RF_E_FORMAT, "%s: there is no weight_map in it", r->path);
    qsort(r->out.entry, r->out.count, sizeof *r->out.entry, by_tensor);
    for (size_t i = 1; i < r->out.count; i++)
        if (by_tensor(&r->out.entry[i - 1], &r->out.entry[i]) == 0)
            return rf_fail(r->err, RF_E_FORMAT, "%s: duplicate tensor %.200s", r->path,
                           r->out.entry[i].tensor);
    return RF_OK;
}

rf_status rf_shard_index_read(rf_shard_index *out, const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    bytes = 0;
    reader    r = {.out = {.total_size = -1}, .path = path, .err = err};
    int       seen[2] = {0};
    *out = (rf_shard_index){0};
    RF_TRY(rf_whole_file_read(&r.out.text, &bytes, path, RF_INDEX_BYTES_MAX, err));
    r.json.at = r.out.text;
    r.json.end = r.out.text + bytes;
    if (!rf_json_expect(&r.json, '{', "something else than an object")) {
        st = failed(&r);
        goto done;
    }
    if (!rf_json_take(&r.json, '}')) {
        do {
            RF_TRY(read_entry(&r, seen));
        } while (rf_json_take(&r.json, ','));
        if (!rf_json_expect(&r.json, '}', "entries without a comma or an end")) {
            st = failed(&r);
            goto done;
        }
    }
    rf_json_space(&r.json);
    if (!rf_json_is_over(&r.json)) {
        r.json.error = "something after the closing brace";
        st = failed(&r);
        goto done;
    }
    RF_TRY(check_entries(&r));
    *out = r.out;
    r.out = (rf_shard_index){0}; /* handed over */
done:
    rf_shard_index_free(&r.out);
    return st;
}

void rf_shard_index_free(rf_shard_index *index)
{
    free(index->entry);
    free(index->text);
    *index = (rf_shard_index){0};
}

const char *rf_shard_index_find(const rf_shard_index *index, const char *tensor)
{
    const rf_shard_entry  key = {.tensor = tensor};
    const rf_shard_entry *found =
        index->count ? bsearch(&key, index->entry, index->count, sizeof key, by_tensor) : NULL;
    return found ? found->file : NULL;
}
