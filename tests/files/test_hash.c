/* SHA-256 is right, remembered, and never wrong because of what the cache holds. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "tests/files/fixture.h"

/* FIPS 180-4, examples; the million a's too. */
static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TestSuite(hash, .timeout = 30, .fini = fixture_cleanup);

static char *cache_text(const char *cache)
{
    static char text[1 << 16];
    FILE       *f = fopen(cache, "rb");
    text[0] = '\0';
    if (!f) return text;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

Test(hash, known_digests)
{
    char  hex[RF_SHA256_HEX];
    char *as = malloc(1000000);
    memset(as, 'a', 1000000);
    fixture_raw(fixture_path("abc"), "abc", 3);
    fixture_raw(fixture_path("nothing"), "", 0);
    fixture_raw(fixture_path("million"), as, 1000000);
    free(as);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("abc"), NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, abc);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("nothing"), NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, nothing);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("million"), NULL, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, million);
}

/* AutoV3: what metadata an editor adds does not change it. */
Test(hash, the_body_of_a_file_has_a_digest_of_its_own)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    static const struct {
        const char *text;
        size_t      bytes;
    } bad[] = {{"", 0},
               {"\1\0\0\0\0\0\0", 7},
               {"\2\0\0\0\0\0\0\0{", 9},
               {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10},
               {"\xF8\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10},
               {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}", 10}};
    char     hex[RF_SHA256_HEX], again[RF_SHA256_HEX], whole[RF_SHA256_HEX];
    rf_error err;
    char    *cache = strdup(fixture_path("cache"));
    fixture_file(fixture_path("x"), header, sizeof header - 1, 0);
    cr_expect_eq(rf_file_body_sha256(hex, fixture_path("x"), cache, NULL, &err), RF_OK);
    cr_expect_str_eq(hex, nothing);
    cr_expect_eq(rf_file_sha256(whole, fixture_path("x"), cache, NULL, &err), RF_OK);
    cr_expect_str_neq(whole, nothing);
    cr_expect_eq(rf_file_body_sha256(again, fixture_path("x"), cache, NULL, &err), RF_OK);
    cr_expect_str_eq(again, nothing, "the cache tells both apart");
    cr_expect(strstr(cache_text(cache), " body:/"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_raw(fixture_path("bad"), bad[i].text, bad[i].bytes);
        cr_expect_eq(rf_file_body_sha256(hex, fixture_path("bad"), cache, NULL, &err), RF_E_FORMAT,
                     "%zu", i);
    }
    free(cache);
}

Test(hash, failures)
{
    char       hex[RF_SHA256_HEX];
    rf_error   err;
    atomic_int stop = 1;
    fixture_raw(fixture_path("abc"), "abc", 3);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("none"), NULL, NULL, &err), RF_E_NOT_FOUND);
    cr_expect_eq(rf_file_sha256(hex, fixture_folder(), NULL, NULL, &err), RF_E_IO);
    cr_expect_eq(rf_file_sha256(hex, "/dev/zero", NULL, NULL, &err), RF_E_IO);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("abc"), NULL, &stop, &err), RF_E_CANCELLED);
    cr_expect_str_eq(hex, "");
    /* a cache that cannot be is no trouble */
    cr_expect_eq(rf_file_sha256(hex, fixture_path("abc"), fixture_folder(), NULL, &err), RF_OK);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("abc"), "/no/such/folder", NULL, &err), RF_OK);
    cr_expect_eq(rf_file_sha256(hex, fixture_path("abc"), "/dev/null", NULL, &err), RF_OK);
    cr_expect_str_eq(hex, abc);
}

/* A planted digest is believed only while size, time, inode and path agree. */
Test(hash, cache_is_used_and_invalidated)
{
    char        hex[RF_SHA256_HEX], forged[RF_SHA256_HEX + 1];
    const char *file = fixture_path("with space"), *cache = fixture_path("cache");
    memset(forged, 'f', 64), forged[64] = '\0';
    fixture_raw(file, "abc", 3);
    cr_assert_eq(rf_file_sha256(hex, file, cache, NULL, NULL), RF_OK);
    char *text = strdup(cache_text(cache));
    cr_expect_eq(strncmp(text, abc, 64), 0, "%s", text);
    memcpy(text, forged, 64);
    fixture_raw(cache, text, strlen(text));
    cr_assert_eq(rf_file_sha256(hex, file, cache, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, forged); /* it was looked up */
    const struct timespec later[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    cr_assert_eq(utimensat(AT_FDCWD, file, later, 0), 0);
    cr_assert_eq(rf_file_sha256(hex, file, cache, NULL, NULL), RF_OK);
    cr_expect_str_eq(hex, abc);
    cr_expect_null(strchr(strchr(cache_text(cache), '\n') + 1, '\n'), "one line per path");
    fixture_raw(fixture_path("copy"), "abc", 3);
    cr_assert_eq(rf_file_sha256(hex, fixture_path("copy"), cache, NULL, NULL), RF_OK);
    cr_expect_not_null(strchr(strchr(cache_text(cache), '\n') + 1, '\n'), "two files, two lines");
    free(text);
}

Test(hash, damage_is_survived)
{
    static const char *const junk[] = {"",
                                       "\n\n\n",
                                       "garbage",
                                       "\0\0\0",
                                       "ff 1 2 3 /x\n",
                                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"
                                       "0015ad",
                                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"
                                       "0015ad \nxyz\n 1 2 3",
                                       "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F2"
                                       "0015AD 3 1 1 /x\n"};
    char                     hex[RF_SHA256_HEX];
    const char              *file = fixture_path("abc"), *cache = fixture_path("cache");
    fixture_raw(file, "abc", 3);
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        fixture_raw(cache, junk[i], i == 3 ? 3 : strlen(junk[i]));
        for (int twice = 0; twice < 2; twice++) {
            cr_expect_eq(rf_file_sha256(hex, file, cache, NULL, NULL), RF_OK);
            cr_expect_str_eq(hex, abc);
        }
        cr_expect_eq(strncmp(cache_text(cache), abc, 64), 0, "%zu: %s", i, cache_text(cache));
    }
}

static void *hammer(void *which)
{
    char hex[RF_SHA256_HEX], name[32], cache[400], file[400];
    snprintf(cache, sizeof cache, "%s/cache", (const char *)which);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "f%d", i % 8);
        snprintf(file, sizeof file, "%s/%s", (const char *)which, name);
        if (rf_file_sha256(hex, file, cache, NULL, NULL) != RF_OK) return which;
        if (strcmp(hex, abc) != 0) return which;
    }
    return NULL;
}

Test(hash, many_writers)
{
    pthread_t thread[4];
    char      name[32];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "f%d", i);
        fixture_raw(fixture_path(name), "abc", 3);
    }
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, hammer, (void *)fixture_folder()), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        cr_expect_null(failed);
    }
    for (const char *line = cache_text(fixture_path("cache")); *line; line = strchr(line, '\n') + 1)
        cr_expect_eq(strncmp(line, abc, 64), 0);
}

Test(hash, of_bytes_in_memory)
{
    char hex[RF_SHA256_HEX];
    cr_assert_eq(rf_bytes_sha256(hex, "abc", 3, NULL), RF_OK);
    cr_expect_str_eq(hex, abc);
}
