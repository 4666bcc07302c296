/* SHA-256 of a stream (FIPS 180-4), by one of two files: sha256_openssl.c, which uses the CPU's
 * instructions for it, or sha256_plain.c in builds without OpenSSL (RF_OPENSSL=OFF). */
#ifndef RF_SHA256_H
#define RF_SHA256_H

#include <stddef.h>

enum { RF_SHA256_BYTES = 32 };

typedef struct rf_sha256 rf_sha256;

rf_sha256 *rf_sha256_begin(void); /* NULL: no memory */
void       rf_sha256_add(rf_sha256 *h, const void *data, size_t bytes);
/* Of all that was added; nothing may be added any more. */
void rf_sha256_end(rf_sha256 *h, unsigned char digest[RF_SHA256_BYTES]);
void rf_sha256_free(rf_sha256 *h); /* NULL is fine */

#endif
