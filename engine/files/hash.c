/* Streaming SHA-256 and its cache; see hash.h.
 *
 * The cache is lines of `hex size mtime-ns inode path`, the path absolute and last, since it may
 * hold spaces.  It is read whole, trusted line by line, and replaced by rename: a reader never
 * sees half a file, and of two writers at the same moment one loses a line, not the file. */
#include "engine/files/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/header.h"
#include "engine/files/os_error.h"
#include "engine/files/outfile.h"
#include "engine/files/sha256.h"

enum {
    CHUNK_BYTES = 1 << 20,
    CACHE_BYTES_MAX = 1 << 22, /* some 30,000 files; a larger cache is started anew */
    LINE_BYTES = PATH_MAX + 160,
};

/* What a line must agree with: "size mtime-ns inode path"; of a body, "body:" before the path. */
static int make_key(char *key, size_t bytes, const char *path, const struct stat *info, int body)
{
    char absolute[PATH_MAX];
    if (!realpath(path, absolute) || strchr(absolute, '\n')) return 0;
    const int64_t ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
    const int     n =
        snprintf(key, bytes, "%" PRId64 " %" PRId64 " %" PRIu64 " %s%s", (int64_t)info->st_size, ns,
                 (uint64_t)info->st_ino, body ? "body:" : "", absolute);
    return n > 0 && (size_t)n < bytes;
}

/* The whole cache as a string to free(), or NULL. */
static char *read_cache(const char *cache)
{
    struct stat info;
    char       *text = NULL;
    const int   fd = open(cache, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= CACHE_BYTES_MAX)
        text = malloc((size_t)info.st_size + 1);
    if (text) {
        const ssize_t got = read(fd, text, (size_t)info.st_size);
        text[got > 0 ? got : 0] = '\0';
    }
    close(fd);
    return text;
}

/* 1 if `line` is 64 hex digits, a space and something. */
static int is_sound(const char *line, size_t length)
{
    if (length < RF_SHA256_HEX + 1 || length >= LINE_BYTES || line[RF_SHA256_HEX - 1] != ' ')
        return 0;
    return strspn(line, "0123456789abcdef") == RF_SHA256_HEX - 1;
}

/* The digest that the cache has for `key`; the last line wins. */
static int look_up(const char *cache, const char *key, char *hex)
{
    char *text = read_cache(cache);
    int   found = 0;
    for (const char *line = text; line && *line;) {
        const size_t length = strcspn(line, "\n");
        if (is_sound(line, length) && length - RF_SHA256_HEX == strlen(key) &&
            memcmp(line + RF_SHA256_HEX, key, strlen(key)) == 0) {
            memcpy(hex, line, RF_SHA256_HEX - 1);
            hex[RF_SHA256_HEX - 1] = '\0';
            found = 1;
        }
        line += length + (line[length] == '\n');
    }
    free(text);
    return found;
}

/* The path at the end of a sound line: behind the third space after the digest. */
static const char *path_in(const char *rest)
{
    for (int i = 0; i < 3 && rest; i++) rest = (rest = strchr(rest, ' ')) ? rest + 1 : NULL;
    return rest;
}

/* Rewrites the cache with a new line for `key`, dropping damage and older lines of its path. */
static void remember(const char *cache, const char *key, const char *hex)
{
    rf_outfile   file = {0};
    rf_status    st = rf_outfile_create(&file, cache, 1, NULL);
    char        *text = read_cache(cache); /* as late as possible: others write too */
    char         line[LINE_BYTES];
    const char  *path = path_in(key);
    const size_t path_length = path ? strlen(path) : 0;
    for (const char *at = text; st == RF_OK && at && *at;) {
        const size_t length = strcspn(at, "\n");
        if (is_sound(at, length)) {
            memcpy(line, at, length);
            line[length] = '\0';
            const char *other = path_in(line + RF_SHA256_HEX);
            line[length] = '\n';
            const size_t left = other ? length - (size_t)(other - line) : 0;
            if (other && (left != path_length || memcmp(other, path, left) != 0))
                st = rf_outfile_write(&file, line, length + 1, NULL);
        }
        at += length + (at[length] == '\n');
    }
    const int n = snprintf(line, sizeof line, "%s %s\n", hex, key);
    if (st == RF_OK && n > 0 && (size_t)n < sizeof line) {
        st = rf_outfile_write(&file, line, (size_t)n, NULL);
        if (st == RF_OK) rf_outfile_commit(&file, NULL);
    }
    rf_outfile_discard(&file);
    free(text);
}

/* Where the bytes behind a safetensors header begin. */
static rf_status find_body(off_t *at, int fd, const struct stat *info, const char *path,
                           rf_error *err)
{
    unsigned char  head[8];
    const uint64_t bytes = (uint64_t)info->st_size;
    if (pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head) {
        const uint64_t length = rf_header_length(head);
        *at = length < bytes ? (off_t)(length + sizeof head) : 0;
        if (*at && (uint64_t)*at <= bytes) return RF_OK;
    }
    return rf_fail(err, RF_E_FORMAT, "%s: not a safetensors file", path);
}

static rf_status digest_file(unsigned char *digest, int fd, off_t at, const char *path,
                             const atomic_int *cancel, rf_error *err)
{
    rf_status      st = RF_OK;
    rf_sha256     *hash = rf_sha256_begin();
    unsigned char *chunk = malloc(CHUNK_BYTES);
    if (!hash || !chunk) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to hash it", path);
        goto done;
    }
    for (;;) {
        if (cancel && atomic_load(cancel)) {
            st = rf_fail(err, RF_E_CANCELLED, "%s: hashing was cancelled", path);
            goto done;
        }
        const ssize_t got = pread(fd, chunk, CHUNK_BYTES, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            st = rf_fail(err, rf_read_status(errno), "%s: cannot be read: %s", path,
                         rf_errno_text(errno));
            goto done;
        }
        if (got == 0) break;
        rf_sha256_add(hash, chunk, (size_t)got);
        at += got;
    }
    rf_sha256_end(hash, digest);
done:
    free(chunk);
    rf_sha256_free(hash);
    return st;
}

static void write_hex(char hex[RF_SHA256_HEX], const unsigned char digest[RF_SHA256_BYTES])
{
    for (int i = 0; i < RF_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

rf_status rf_bytes_sha256(char hex[RF_SHA256_HEX], const void *data, size_t bytes, rf_error *err)
{
    unsigned char digest[RF_SHA256_BYTES];
    rf_sha256    *hash = rf_sha256_begin();
    hex[0] = '\0';
    if (!hash) return rf_fail(err, RF_E_NOMEM, "no memory to hash %zu bytes", bytes);
    rf_sha256_add(hash, data, bytes);
    rf_sha256_end(hash, digest);
    rf_sha256_free(hash);
    write_hex(hex, digest);
    return RF_OK;
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static rf_status hash_file(char hex[RF_SHA256_HEX], const char *path, int body, const char *cache,
                           const atomic_int *cancel, rf_error *err)
{
    rf_status     st = RF_OK;
    off_t         from = 0;
    unsigned char digest[RF_SHA256_BYTES];
    char          key[LINE_BYTES];
    struct stat   before, after;
    const int     fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    hex[0] = '\0';
    if (fd < 0 || fstat(fd, &before) != 0) {
        st = rf_fail(err, rf_read_status(errno), "%s: cannot be opened: %s", path,
                     rf_errno_text(errno));
        goto done;
    }
    if (!S_ISREG(before.st_mode)) {
        st = rf_fail(err, RF_E_IO, "%s: not a file that can be hashed", path);
        goto done;
    }
    const int keyed = cache && make_key(key, sizeof key, path, &before, body);
    if (keyed && look_up(cache, key, hex)) goto done;
    if (body) RF_TRY(find_body(&from, fd, &before, path, err));
    RF_TRY(digest_file(digest, fd, from, path, cancel, err));
    if (fstat(fd, &after) != 0 || !same_file(&before, &after)) {
        st = rf_fail(err, RF_E_IO, "%s: the file was changed while it was hashed", path);
        goto done;
    }
    write_hex(hex, digest);
    if (keyed) remember(cache, key, hex);
done:
    if (fd >= 0) close(fd);
    return st;
}

rf_status rf_file_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                         const atomic_int *cancel, rf_error *err)
{
    return hash_file(hex, path, 0, cache, cancel, err);
}

rf_status rf_file_body_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                              const atomic_int *cancel, rf_error *err)
{
    return hash_file(hex, path, 1, cache, cancel, err);
}
