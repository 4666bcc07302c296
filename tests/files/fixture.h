/* Safetensors files made on the spot: headers from text, sparse data, in a folder of their own. */
#ifndef RF_FIXTURE_H
#define RF_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/arch.h"
#include "engine/core/tensors.h"

/* A fresh folder under the current temporary one; removed with fixture_cleanup.  Static. */
const char *fixture_folder(void);
void        fixture_cleanup(void);

/* "<folder>/<name>", valid until the next call but three. */
const char *fixture_path(const char *name);

/* Writes `bytes` bytes as they are. */
void fixture_raw(const char *path, const void *data, size_t bytes);

/* Header text and `data_bytes` of zeros (a hole, so gigabytes are cheap). */
void fixture_file(const char *path, const char *header, size_t header_bytes, uint64_t data_bytes);

/* A header under construction: tensors are laid out one after the other. */
typedef struct fixture {
    char    *text;
    size_t   bytes, room;
    uint64_t data;
    int      count;
} fixture;

void fixture_add(fixture *f, const char *name, const char *dtype, int ndim, const int64_t *dim,
                 size_t elem_bytes);
void fixture_write(fixture *f, const char *path); /* closes the header, writes, frees */

/* All tensors of an architecture's layout.  Names listed in `skip` (NULL-terminated, may be NULL)
 * are left out; `dtype` is "F16" or the like. */
void fixture_layout(fixture *f, const rf_sdxl_arch *arch, const char *dtype, size_t elem_bytes,
                    const char *const *skip);

#endif
