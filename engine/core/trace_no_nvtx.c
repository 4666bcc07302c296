/* Stands in for trace_nvtx.c in builds without NVTX's headers: nobody ever listens. */
#include "engine/core/trace_nvtx.h"

#include <stddef.h>

void *rf_nvtx_open(const char *const *names, int count)
{
    (void)names, (void)count;
    return NULL;
}

void rf_nvtx_close(void *domain)
{
    (void)domain;
}

void rf_nvtx_push(void *domain, int category, const char *name)
{
    (void)domain, (void)category, (void)name;
}

void rf_nvtx_pop(void *domain)
{
    (void)domain;
}
