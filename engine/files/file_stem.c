/* See file_stem.h. */
#include "engine/files/file_stem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <utf8proc.h>

/* File names are any bytes; messages and metadata are UTF-8.  What is not becomes '?'. */
static void make_utf8(char *name)
{
    unsigned char *p = (unsigned char *)name;
    while (*p) {
        utf8proc_int32_t       code = 0;
        const utf8proc_ssize_t n = utf8proc_iterate(p, -1, &code);
        if (n < 1) *p = '?';
        p += n < 1 ? 1 : n;
    }
}

/* Where the last part of path[0..*end) begins; *end moves before slashes behind it. */
static size_t last_part(const char *path, size_t *end)
{
    while (*end > 1 && path[*end - 1] == '/') --*end;
    size_t base = *end;
    while (base > 0 && path[base - 1] != '/') base--;
    return base;
}

char *rf_file_stem(const char *path)
{
    static const char diffusers[] = "diffusion_pytorch_model";
    struct stat       info;
    const int         folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    size_t            end = strlen(path), base = last_part(path, &end);
    if (!folder && base > 1 && strncmp(path + base, diffusers, strlen(diffusers)) == 0) {
        end = base - 1;
        base = last_part(path, &end);
    } else if (!folder) {
        size_t dot = end;
        while (dot > base && path[dot] != '.') dot--;
        if (dot > base) end = dot;
    }
    char *stem = strndup(path + base, end - base);
    if (stem) make_utf8(stem);
    return stem;
}
