/* The table of error codes; see device_fault.h. */
#include "engine/core/device_fault.h"

#include <stddef.h>

typedef struct fault_row {
    int         code;
    rf_fault    fault;
    const char *cause, *remedy; /* NULL: the usual one of its class */
} fault_row;

#define UPDATE "update the NVIDIA driver"

static const fault_row rows[] = {
    {1, RF_FAULT_CALL, NULL, NULL}, /* InvalidValue */
    {2, RF_FAULT_MEMORY, "the GPU has no memory left", NULL},
    {3, RF_FAULT_START, "CUDA did not start", "nvidia-smi should list the GPU; restart if not"},
    {9, RF_FAULT_CALL, NULL, NULL}, /* InvalidConfiguration */
    {35, RF_FAULT_START, "the NVIDIA driver is missing or too old", UPDATE},
    {36, RF_FAULT_START, "the NVIDIA driver lacks a function that this build calls", UPDATE},
    {46, RF_FAULT_START, "the GPU is busy or closed to this user",
     "see nvidia-smi for who has it and for its compute mode"},
    {98, RF_FAULT_CALL, NULL, NULL}, /* InvalidDeviceFunction */
    {100, RF_FAULT_START, "there is no NVIDIA GPU", "use --device cpu"},
    {101, RF_FAULT_START, "there is no such GPU", "nvidia-smi lists those there are"},
    {127, RF_FAULT_START, "CUDA did not start", "nvidia-smi should list the GPU; restart if not"},
    {200, RF_FAULT_START, "this build's kernels are damaged", "install refinery again"},
    {209, RF_FAULT_START, "this build has no kernels for this GPU",
     "use a build made for it, or --device cpu"},
    {214, RF_FAULT_HARDWARE, "the GPU's memory has an error that it cannot correct", NULL},
    {218, RF_FAULT_START, "the driver cannot compile this build's kernels", UPDATE},
    {220, RF_FAULT_HARDWARE, "the GPU's NVLink has an error that it cannot correct", NULL},
    {221, RF_FAULT_START, "the driver's kernel compiler is missing", "install the whole driver"},
    {222, RF_FAULT_START, "the NVIDIA driver is older than this build's kernels", UPDATE},
    {226, RF_FAULT_HARDWARE, "the GPU contained a memory error", NULL},
    {400, RF_FAULT_CALL, NULL, NULL}, /* InvalidResourceHandle */
    {401, RF_FAULT_CALL, NULL, NULL}, /* IllegalState */
    {700, RF_FAULT_SOFTWARE, "a kernel read or wrote outside its memory", NULL},
    {701, RF_FAULT_CALL, "a kernel wants more registers or shared memory than the GPU has", NULL},
    {702, RF_FAULT_SOFTWARE, "the system stopped a kernel that ran too long",
     "restart refinery, with a smaller size or batch, or on a GPU without a screen"},
    {710, RF_FAULT_SOFTWARE, "a kernel found itself in a state that cannot be", NULL},
    {714, RF_FAULT_HARDWARE, "the GPU's call stack is damaged", NULL},
    {715, RF_FAULT_SOFTWARE, "a kernel met an instruction that the GPU does not know", NULL},
    {716, RF_FAULT_SOFTWARE, "a kernel read or wrote at a misaligned address", NULL},
    {717, RF_FAULT_SOFTWARE, "a kernel took an address for one of another memory", NULL},
    {718, RF_FAULT_SOFTWARE, "a kernel jumped out of its program", NULL},
    {719, RF_FAULT_SOFTWARE, "a kernel failed", NULL},
    {721, RF_FAULT_SOFTWARE, "a kernel kept tensor memory to itself", NULL},
    {802, RF_FAULT_START, "the system is not ready for CUDA",
     "start the fabric manager (nvidia-fabricmanager), or wait until it is up"},
    {803, RF_FAULT_START, "the parts of the NVIDIA driver are of different versions",
     "restart the machine, which an update of the driver needs"},
    {804, RF_FAULT_START, "the CUDA compatibility package does not support this GPU",
     "take its folder out of LD_LIBRARY_PATH, or update the driver"},
    {911, RF_FAULT_HARDWARE, "an external device failed", NULL},
};

static const fault_row *row_of(int code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code) return &rows[i];
    return NULL;
}

rf_fault rf_fault_of(int code)
{
    const fault_row *row = row_of(code);
    if (row) return row->fault;
    return code >= 900 && code <= 910 ? RF_FAULT_CALL /* capture and graphs */ : RF_FAULT_SOFTWARE;
}

const char *rf_fault_cause(int code)
{
    const fault_row *row = row_of(code);
    return row ? row->cause : NULL;
}

const char *rf_fault_remedy(int code)
{
    const fault_row *row = row_of(code);
    if (row && row->remedy) return row->remedy;
    switch (rf_fault_of(code)) {
    case RF_FAULT_START: return "nvidia-smi should list the GPU";
    case RF_FAULT_MEMORY: return "a smaller size or batch needs less; other programs may hold some";
    case RF_FAULT_CALL: return "this is a fault of refinery: please report it";
    case RF_FAULT_SOFTWARE: return "restart refinery; if it happens again, please report it";
    case RF_FAULT_HARDWARE: break;
    }
    return "do not use this GPU until it was reset: the system's log has the Xid";
}
