/* Any bytes as the index of a sharded model: refused with a sentence, or a sorted list.  Bytes that
 * do not begin with a brace pick pieces of real indexes instead. */
#include <string.h>

#include "engine/files/header.h"
#include "engine/files/shard_index.h"
#include "engine/files/utf8.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {"{",
                                     "}",
                                     "\"weight_map\":",
                                     "\"metadata\":",
                                     "\"total_size\":",
                                     "{\"weight_map\":{",
                                     "}}",
                                     "\"a\":\"a.safetensors\"",
                                     "\"b\":\"a.safetensors\"",
                                     "\"a\":\"b.safetensors\"",
                                     "\"conv_in.weight\":\"m-00001-of-00002.safetensors\"",
                                     ",",
                                     ":",
                                     "\"",
                                     "\\u0061",
                                     "\\ud83d\\ude00",
                                     "\\u0000",
                                     "[",
                                     "]",
                                     "0",
                                     "18446744073709551615",
                                     "9223372036854775807",
                                     "4",
                                     "4.5",
                                     "-",
                                     "1e9",
                                     "null",
                                     "true",
                                     " ",
                                     "\n",
                                     "\"../x\"",
                                     "\xC3\xA9",
                                     "\xFF",
                                     "{\"weight_map\":{\"a\":\"a.safetensors\"}}"};

static const char *write_pieces(const uint8_t *data, size_t size)
{
    static char text[1 << 16];
    size_t      bytes = 0;
    for (size_t i = 0; i < size; i++) {
        const char  *piece = pieces[data[i] % (sizeof pieces / sizeof *pieces)];
        const size_t n = strlen(piece);
        if (bytes + n > sizeof text) break;
        memcpy(text + bytes, piece, n);
        bytes += n;
    }
    return fuzz_file(NULL, 0, text, bytes, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_shard_index index;
    rf_error       err = {0};
    const char    *path =
        size && data[0] != '{' ? write_pieces(data, size) : fuzz_file(NULL, 0, data, size, NULL, 0);
    const rf_status st = rf_shard_index_read(&index, path, &err);
    if (st != RF_OK) {
        fuzz_require(st == RF_E_FORMAT && err.message[0] && !index.entry && !index.text);
        return 0;
    }
    fuzz_require(index.count > 0 && index.count <= RF_ENTRIES_MAX && index.total_size >= -1);
    for (size_t i = 0; i < index.count; i++) {
        const rf_shard_entry *e = &index.entry[i];
        fuzz_require(rf_utf8_valid(e->tensor, strlen(e->tensor)));
        fuzz_require(rf_utf8_valid(e->file, strlen(e->file)));
        fuzz_require(i == 0 || strcmp(e[-1].tensor, e->tensor) < 0);
        fuzz_require(rf_shard_index_find(&index, e->tensor) == e->file);
    }
    rf_shard_index_free(&index);
    return 0;
}
