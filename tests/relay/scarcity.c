/* See scarcity.h. */
#include "tests/relay/scarcity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local scarce kind;
static _Thread_local long   left, refused, allocations;
static atomic_long          live;

void scarcity_begin(scarce what, long n)
{
    kind = what;
    left = n;
    refused = 0;
}

int scarcity_end(void)
{
    kind = SCARCE_NOTHING;
    return refused > 0;
}

long scarcity_allocations(void)
{
    return allocations;
}

long scarcity_live(void)
{
    return live;
}

static int refuses(scarce what, int error)
{
    if (kind != what || left-- != 0) return 0;
    refused++;
    errno = error;
    return 1;
}

static void *count(void *p)
{
    if (p) {
        allocations++;
        live++;
    }
    return p;
}

/* One wrapper: its prototypes, then its body. */
#define WRAP(type, name, parameters)                                                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters

WRAP(void *, malloc, (size_t bytes))
{
    return refuses(SCARCE_MEMORY, ENOMEM) ? NULL : count(__real_malloc(bytes));
}

WRAP(void *, calloc, (size_t n, size_t bytes))
{
    return refuses(SCARCE_MEMORY, ENOMEM) ? NULL : count(__real_calloc(n, bytes));
}

WRAP(void *, realloc, (void *p, size_t bytes))
{
    if (refuses(SCARCE_MEMORY, ENOMEM)) return NULL;
    void *q = __real_realloc(p, bytes);
    if (q) allocations++;
    live += !p && q;
    return q;
}

WRAP(char *, strdup, (const char *s))
{
    return refuses(SCARCE_MEMORY, ENOMEM) ? NULL : count(__real_strdup(s));
}

WRAP(char *, strndup, (const char *s, size_t n))
{
    return refuses(SCARCE_MEMORY, ENOMEM) ? NULL : count(__real_strndup(s, n));
}

WRAP(void, free, (void *p))
{
    live -= p != NULL;
    __real_free(p);
}

WRAP(void *, mmap, (void *at, size_t bytes, int protection, int flags, int fd, off_t offset))
{
    if (refuses(SCARCE_MEMORY, ENOMEM)) return MAP_FAILED;
    void *p = __real_mmap(at, bytes, protection, flags, fd, offset);
    if (p != MAP_FAILED) count(p);
    return p;
}

WRAP(int, munmap, (void *p, size_t bytes))
{
    live--;
    return __real_munmap(p, bytes);
}

WRAP(int, open, (const char *path, int flags, ...))
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (refuses(SCARCE_READING, EMFILE)) return -1;
    const int fd = __real_open(path, flags, mode);
    live += fd >= 0;
    return fd;
}

WRAP(int, close, (int fd))
{
    live--;
    return __real_close(fd);
}

WRAP(int, fstat, (int fd, struct stat *info))
{
    return refuses(SCARCE_READING, EIO) ? -1 : __real_fstat(fd, info);
}

WRAP(ssize_t, pread, (int fd, void *to, size_t bytes, off_t at))
{
    return refuses(SCARCE_READING, EIO) ? -1 : __real_pread(fd, to, bytes, at);
}

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg))
{
    return refuses(SCARCE_THREADS, EAGAIN) ? EAGAIN
                                           : __real_pthread_create(thread, attr, start, arg);
}
