/* What an error code of the CUDA runtime means for the process: nothing here calls CUDA, so it can
 * be tested anywhere.  Codes are those of CUDA 13.0's driver_types.h; they do not change. */
#ifndef RF_DEVICE_FAULT_H
#define RF_DEVICE_FAULT_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_fault {
    RF_FAULT_START,    /* the GPU cannot be used; something outside must change first */
    RF_FAULT_MEMORY,   /* no memory left for this call; the GPU is as before */
    RF_FAULT_CALL,     /* this call was wrong; the GPU is as before */
    RF_FAULT_SOFTWARE, /* sticky: a kernel broke, all memory on the GPU is lost to this process */
    RF_FAULT_HARDWARE, /* sticky, and other processes will fare no better */
} rf_fault;

/* The class of a code that is not success.  Codes that are not known count as sticky: going on
 * after one that was would give wrong pictures. */
rf_fault rf_fault_of(int code);

/* What happened, as a part of a sentence ("a kernel read or wrote outside its memory"), or NULL if
 * the runtime's own words must do. */
const char *rf_fault_cause(int code);

/* What the user can do, as a part of a sentence. */
const char *rf_fault_remedy(int code);

#ifdef __cplusplus
}
#endif
#endif
