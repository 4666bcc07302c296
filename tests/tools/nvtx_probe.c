/* A profiler in miniature: a library that NVTX loads (NVTX_INJECTION64_PATH), which writes what it
 * hears to the file named by RF_NVTX_PROBE, a line each:
 *
 *   domain NAME           created
 *   category N NAME
 *   push N NAME           a range of category N
 *   pop
 *   close                 the domain was given back
 */
#include <stdio.h>
#include <stdlib.h>

#define NVTX_NO_IMPL
#include <nvtx3/nvToolsExt.h>

static FILE *out;

static void flush_out(void)
{
    fclose(out);
}

static nvtxDomainHandle_t NVTX_API domain_create(const char *name)
{
    fprintf(out, "domain %s\n", name);
    return (nvtxDomainHandle_t)(void *)out; /* anything but NULL */
}

static void NVTX_API domain_destroy(nvtxDomainHandle_t domain)
{
    fprintf(out, domain ? "close\n" : "close of no domain\n");
}

static void NVTX_API name_category(nvtxDomainHandle_t domain, uint32_t category, const char *name)
{
    fprintf(out, domain ? "category %u %s\n" : "category %u %s of no domain\n", (unsigned)category,
            name);
}

static int NVTX_API push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *range)
{
    const int fine = domain && range->version == NVTX_VERSION &&
                     range->size == NVTX_EVENT_ATTRIB_STRUCT_SIZE &&
                     range->messageType == NVTX_MESSAGE_TYPE_ASCII;
    fprintf(out, "push %u %s\n", (unsigned)range->category, fine ? range->message.ascii : "?");
    return 0;
}

static int NVTX_API pop(nvtxDomainHandle_t domain)
{
    fprintf(out, domain ? "pop\n" : "pop of no domain\n");
    return 0;
}

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t tables);

/* What NVTX looks for in the library. */
int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t tables)
{
    const NvtxExportTableCallbacks *callbacks = tables(NVTX_ETID_CALLBACKS);
    NvtxFunctionTable               table = NULL;
    unsigned                        count = 0;
    const char                     *path = getenv("RF_NVTX_PROBE");
    out = path ? fopen(path, "w") : NULL;
    if (!out || !callbacks ||
        !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &count) ||
        count < NVTX_CBID_CORE2_SIZE)
        return 0;
    atexit(flush_out);
    *table[NVTX_CBID_CORE2_DomainCreateA] = (NvtxFunctionPointer)domain_create;
    *table[NVTX_CBID_CORE2_DomainDestroy] = (NvtxFunctionPointer)domain_destroy;
    *table[NVTX_CBID_CORE2_DomainNameCategoryA] = (NvtxFunctionPointer)name_category;
    *table[NVTX_CBID_CORE2_DomainRangePushEx] = (NvtxFunctionPointer)push;
    *table[NVTX_CBID_CORE2_DomainRangePop] = (NvtxFunctionPointer)pop;
    return 1;
}
