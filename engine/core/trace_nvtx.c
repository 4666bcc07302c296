/* Ranges for NVIDIA's profilers; see trace_nvtx.h.  A domain that nobody wants to hear of is NULL:
 * that is how a listener is known. */
#include "engine/core/trace_nvtx.h"

/* A profiler linked into the program is not foreseen; without it NVTX exports no symbol. */
#define NVTX_SUPPORT_STATIC_INJECTION_LIBRARY 0
#include <nvtx3/nvToolsExt.h>

void *rf_nvtx_open(const char *const *names, int count)
{
    nvtxDomainHandle_t domain = nvtxDomainCreateA("refinery");
    if (!domain) return NULL;
    for (int i = 0; i < count; i++) nvtxDomainNameCategoryA(domain, (uint32_t)(i + 1), names[i]);
    return domain;
}

void rf_nvtx_close(void *domain)
{
    if (domain) nvtxDomainDestroy(domain);
}

void rf_nvtx_push(void *domain, int category, const char *name)
{
    const nvtxEventAttributes_t range = {
        .version = NVTX_VERSION,
        .size = NVTX_EVENT_ATTRIB_STRUCT_SIZE,
        .category = (uint32_t)(category + 1),
        .messageType = NVTX_MESSAGE_TYPE_ASCII,
        .message.ascii = name,
    };
    nvtxDomainRangePushEx(domain, &range);
}

void rf_nvtx_pop(void *domain)
{
    nvtxDomainRangePop(domain);
}
