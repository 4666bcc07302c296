/* Lookups in a tensor list; see tensors.h. */
#include "engine/core/tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const rf_tensor *rf_tensors_find(const rf_tensors *list, const char *name)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int    order = strcmp(list->item[mid].name, name);
        if (order == 0) return &list->item[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct {
    const char *name;
    size_t      bytes;
} filetypes[RF_FILETYPES] = {
    [RF_FILE_F32] = {"F32", 4},         [RF_FILE_F16] = {"F16", 2},
    [RF_FILE_BF16] = {"BF16", 2},       [RF_FILE_F64] = {"F64", 8},
    [RF_FILE_F8_E4M3] = {"F8_E4M3", 1}, [RF_FILE_F8_E5M2] = {"F8_E5M2", 1},
    [RF_FILE_I64] = {"I64", 8},         [RF_FILE_I32] = {"I32", 4},
    [RF_FILE_I16] = {"I16", 2},         [RF_FILE_I8] = {"I8", 1},
    [RF_FILE_U64] = {"U64", 8},         [RF_FILE_U32] = {"U32", 4},
    [RF_FILE_U16] = {"U16", 2},         [RF_FILE_U8] = {"U8", 1},
    [RF_FILE_BOOL] = {"BOOL", 1},
};

size_t rf_filetype_bytes(rf_filetype type)
{
    return filetypes[type].bytes;
}

const char *rf_filetype_name(rf_filetype type)
{
    return filetypes[type].name;
}

char *rf_tensor_shape_text(const rf_tensor *t, char *out, size_t bytes)
{
    size_t used = 0;
    if (bytes == 0) return out;
    out[0] = '\0';
    for (int i = 0; i <= t->ndim && used < bytes; i++) {
        int wrote;
        if (i == t->ndim)
            wrote = snprintf(out + used, bytes - used, i ? "]" : "[]");
        else
            wrote = snprintf(out + used, bytes - used, "%s%" PRId64, i ? ", " : "[", t->dim[i]);
        if (wrote < 0) break;
        used += (size_t)wrote;
    }
    return out;
}
