/* SHA-256 in plain C (engine/files/sha256_plain.c, linked in OpenSSL's place): the values of FIPS
 * 180-4's examples, and every length around a block. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/hash.h"
#include "engine/files/sha256.h"

static void expect_digest(const void *data, size_t bytes, size_t piece, const char *want)
{
    unsigned char digest[RF_SHA256_BYTES];
    char          hex[2 * RF_SHA256_BYTES + 1];
    rf_sha256    *h = rf_sha256_begin();
    cr_assert_not_null(h);
    for (size_t at = 0; at < bytes; at += piece)
        rf_sha256_add(h, (const char *)data + at, bytes - at < piece ? bytes - at : piece);
    rf_sha256_end(h, digest);
    rf_sha256_free(h);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    cr_expect_str_eq(hex, want, "%zu bytes in pieces of %zu", bytes, piece);
}

Test(sha256, examples_of_the_standard)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    expect_digest("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest("abc", 3, 2, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest(two, strlen(two), 64,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    cr_assert_not_null(million);
    memset(million, 'a', 1000000);
    for (size_t piece = 1; piece < 1000000; piece = 3 * piece + 1)
        expect_digest(million, 1000000, piece,
                      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* Where padding needs another block, and where it does not: one digest of the digests of the first
 * 0 .. 199 bytes (by Python's hashlib). */
Test(sha256, every_length_around_a_block)
{
    unsigned char data[200];
    char          all[200 * (RF_SHA256_HEX - 1) + 1], *hex = all;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7 + 1);
    for (size_t bytes = 0; bytes < sizeof data; bytes++, hex += RF_SHA256_HEX - 1)
        cr_assert_eq(rf_bytes_sha256(hex, data, bytes, NULL), RF_OK);
    expect_digest(all, sizeof all - 1, 1000,
                  "e5af9aca6b5ef5468c7a3ba960ef378f82fcf9b5d924a6063b71693ddc0bbcb9");
}
