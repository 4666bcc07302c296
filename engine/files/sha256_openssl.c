/* sha256.h by OpenSSL's libcrypto.  An rf_sha256 is its EVP_MD_CTX under a name of ours. */
#include <openssl/evp.h>

#include "engine/files/sha256.h"

static EVP_MD_CTX *context(rf_sha256 *h)
{
    return (EVP_MD_CTX *)(void *)h;
}

rf_sha256 *rf_sha256_begin(void)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL)) return (rf_sha256 *)(void *)md;
    EVP_MD_CTX_free(md);
    return NULL;
}

void rf_sha256_add(rf_sha256 *h, const void *data, size_t bytes)
{
    EVP_DigestUpdate(context(h), data, bytes);
}

void rf_sha256_end(rf_sha256 *h, unsigned char digest[RF_SHA256_BYTES])
{
    EVP_DigestFinal_ex(context(h), digest, NULL);
}

void rf_sha256_free(rf_sha256 *h)
{
    EVP_MD_CTX_free(context(h));
}
