/* SHA-256 of whole files, remembered between runs: hashing 6.9 GB takes seconds, and a file that
 * has the same path, size, modification time and inode is taken to be the same file. */
#ifndef RF_HASH_H
#define RF_HASH_H

#include <stdatomic.h>
#include <stddef.h>

#include "kernels/status.h"

enum { RF_SHA256_HEX = 65 }; /* 64 digits and NUL */

/* Writes 64 hex digits to `hex`.  `cache`: a text file to look in and to add to, NULL for none;
 * trouble with it costs time and is no error.  Another thread may set *cancel (NULL is fine) to
 * end the work early.  RF_E_NOT_FOUND, RF_E_PERMISSION, RF_E_IO (also if the file changes
 * meanwhile), RF_E_NOMEM, RF_E_CANCELLED. */
rf_status rf_file_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                         const atomic_int *cancel, rf_error *err);

/* The same of what follows the header of a safetensors file, which is what LoRAs are known by
 * (AutoV3 is its first 12 digits).  RF_E_FORMAT also: there is no such header. */
rf_status rf_file_body_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                              const atomic_int *cancel, rf_error *err);

/* The same of bytes in memory.  RF_E_NOMEM. */
rf_status rf_bytes_sha256(char hex[RF_SHA256_HEX], const void *data, size_t bytes, rf_error *err);

#endif
