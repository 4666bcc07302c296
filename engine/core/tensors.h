/* The tensors of an opened file: a plain list that `files` fills and `model` reads. */
#ifndef RF_TENSORS_H
#define RF_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/* Element types a safetensors file may hold (README of safetensors, 2026). */
typedef enum rf_filetype {
    RF_FILE_F32 = 0,
    RF_FILE_F16,
    RF_FILE_BF16,
    RF_FILE_F64,
    RF_FILE_F8_E4M3,
    RF_FILE_F8_E5M2,
    RF_FILE_I64,
    RF_FILE_I32,
    RF_FILE_I16,
    RF_FILE_I8,
    RF_FILE_U64,
    RF_FILE_U32,
    RF_FILE_U16,
    RF_FILE_U8,
    RF_FILE_BOOL,
    RF_FILETYPES,
} rf_filetype;

enum { RF_TENSOR_DIMS = 8 };

typedef struct rf_tensor {
    const char *name; /* UTF-8, without control characters */
    rf_filetype type;
    int         ndim; /* 0: a scalar */
    int64_t     dim[RF_TENSOR_DIMS];
    uint64_t    elems, bytes; /* checked: bytes == elems * element size */
    uint64_t    offset;       /* of the first byte, from the start of the file */
} rf_tensor;

typedef struct rf_tensors rf_tensors;
struct rf_tensors {
    const rf_tensor *item; /* [count], ascending by name (strcmp) */
    size_t           count;
    const char      *path; /* for messages */
    /* Reads `bytes` bytes from byte `from` of the tensor into `dst`.  Safe from several threads. */
    rf_status (*read)(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                      size_t bytes, rf_error *err);
    void *impl; /* the reader's own */
};

/* The tensor of that name, or NULL. */
const rf_tensor *rf_tensors_find(const rf_tensors *list, const char *name);

size_t      rf_filetype_bytes(rf_filetype type); /* of one element */
const char *rf_filetype_name(rf_filetype type);  /* "F16", as the file spells it */

/* "[320, 4, 3, 3]" into `out`; returns out. */
char *rf_tensor_shape_text(const rf_tensor *t, char *out, size_t bytes);

#endif
