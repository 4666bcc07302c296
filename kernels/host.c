/* The host stream: a thread count, the CPU's name and oneDNN's state. */
#include "kernels/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid.h>

#include "kernels/onednn.h"

struct rf_host {
    int     threads;
    char    cpu_name[96];
    rf_dnn *dnn;
};

static int cores_available(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

static void find_cpu_name(char *name, size_t size)
{
    unsigned brand[12] = {0}; /* 48 bytes, zero-terminated by the CPU unless all are used */
    char     text[sizeof brand + 1] = "";
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2],
                    &brand[4 * i + 3]);
    memcpy(text, brand, sizeof brand);

    char  *start = text + strspn(text, " ");
    size_t length = strlen(start);
    while (length > 0 && start[length - 1] == ' ') start[--length] = '\0';

    const char *vectors = __builtin_cpu_supports("avx512f") ? "AVX-512"
                          : __builtin_cpu_supports("avx2")  ? "AVX2"
                                                            : "SSE";
    snprintf(name, size, "%s (%s%s)", length ? start : "unknown CPU", vectors,
             rf_dnn_has_bf16() ? ", BF16" : "");
}

rf_status rf_host_create(rf_host **out, int threads, rf_error *err)
{
    rf_status st = RF_OK;
    rf_host  *host = NULL;
    *out = NULL;

    if (threads < 0 || threads > 1024) {
        st = rf_fail(err, RF_E_ARG, "threads is %d, must be 1 to 1024, or 0 for all", threads);
        goto done;
    }
    host = calloc(1, sizeof *host);
    if (!host) {
        st = rf_fail(err, RF_E_NOMEM, "host: %zu bytes", sizeof *host);
        goto done;
    }
    host->threads = threads ? threads : cores_available();
    find_cpu_name(host->cpu_name, sizeof host->cpu_name);
    RF_TRY(rf_dnn_create(&host->dnn, host->threads, err));
    *out = host;
    host = NULL;
done:
    rf_host_destroy(host);
    return st;
}

void rf_host_destroy(rf_host *host)
{
    if (!host) return;
    rf_dnn_destroy(host->dnn);
    free(host);
}

int rf_host_threads(const rf_host *host)
{
    return host->threads;
}

size_t rf_host_primitives(const rf_host *host)
{
    return rf_dnn_count(host->dnn);
}

rf_dnn *rf_host_dnn(rf_host *host)
{
    return host->dnn;
}

rf_dtype rf_host_native_dtype(void)
{
    return rf_dnn_has_bf16() ? RF_BF16 : RF_F32;
}

int rf_host_has_products(void)
{
    return rf_dnn_present();
}

const char *rf_host_cpu_name(const rf_host *host)
{
    return host->cpu_name;
}
