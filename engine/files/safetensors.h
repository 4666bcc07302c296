/* Opening a safetensors file: the header is read and checked in full, the data stays on disk and
 * is read with pread when asked for.  Nothing is mapped, so a file that shrinks under us is an
 * error and never a signal. */
#ifndef RF_SAFETENSORS_H
#define RF_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/tensors.h"
#include "engine/files/header.h"
#include "kernels/status.h"

typedef struct rf_safetensors rf_safetensors;

/* Opens `path`.  Memory: names, short metadata and about 100 bytes per tensor, at most 5 MB by the
 * limits of header.h, whatever the file.  RF_E_NOT_FOUND, RF_E_PERMISSION, RF_E_IO, RF_E_NOMEM;
 * RF_E_FORMAT if it is damaged; RF_E_MODEL, naming what it is, if it is no safetensors file. */
rf_status rf_safetensors_open(rf_safetensors **out, const char *path, rf_error *err);
void      rf_safetensors_close(rf_safetensors *file); /* NULL is fine */

/* The tensors; lives as long as the file is open.  Reading fails with RF_E_IO if the file was
 * truncated meanwhile, RF_E_BUG if the range is not inside the tensor. */
const rf_tensors *rf_safetensors_list(const rf_safetensors *file);

/* Metadata and skipped fields. */
const rf_header *rf_safetensors_header(const rf_safetensors *file);
uint64_t         rf_safetensors_bytes(const rf_safetensors *file); /* of the whole file */

#endif
