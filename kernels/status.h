/* The one way to fail: a status code, and a message that a user can act on.
 *
 * Every function that can fail returns rf_status and takes an rf_error (NULL is fine).  Inside,
 * RF_TRY leaves through the function's single `done:` label; owning pointers are NULL at the top
 * and destroyed there. */
#ifndef RF_STATUS_H
#define RF_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_status {
    RF_OK = 0,
    RF_E_ARG,         /* a request value is out of range or contradicts another */
    RF_E_SHAPE,       /* an op was given sizes that its contract forbids */
    RF_E_NOMEM,       /* host or device memory is exhausted */
    RF_E_NOT_FOUND,   /* an input file does not exist */
    RF_E_IO,          /* reading or writing failed */
    RF_E_NO_SPACE,    /* the disk is full, or a quota or size limit is reached */
    RF_E_PERMISSION,  /* the operating system refused access */
    RF_E_EXISTS,      /* the output exists and overwriting was not asked for */
    RF_E_CREATE,      /* an output cannot be created */
    RF_E_FORMAT,      /* a file is malformed */
    RF_E_MODEL,       /* a well-formed file that is not a model this slot can use */
    RF_E_UNSUPPORTED, /* legal, but this build, device or version cannot do it */
    RF_E_DEVICE,      /* no usable device, or a device call failed */
    RF_E_LOST,        /* the device broke while it worked: all it held is lost to this process */
    RF_E_NAN,         /* the computation produced NaN, infinity or a constant picture */
    RF_E_CANCELLED,   /* the caller asked to stop */
    RF_E_BUG,         /* refinery contradicted itself: please report it */
} rf_status;

enum { RF_ERROR_BYTES = 640 }; /* two 255-byte file names and a sentence */

typedef struct rf_error {
    rf_status status;
    char      message[RF_ERROR_BYTES]; /* one sentence, UTF-8, no final newline */
} rf_error;

/* Fills *err (if not NULL) and returns `status`, so that a check is one line:
 *     if (k <= 0) return rf_fail(err, RF_E_SHAPE, "gemm: k is %d", k);
 * A message that does not fit is cut at a UTF-8 boundary; control bytes become '?'. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
rf_status
rf_fail(rf_error *err, rf_status status, const char *format, ...);

/* Makes text safe to show: names come from hostile files, and control characters (C0, DEL, and C1
 * as UTF-8) can drive a terminal.  Each becomes '?', in place. */
void rf_make_printable(char *text);

/* A short constant name such as "RF_E_SHAPE", for logs and JSON; never NULL. */
const char *rf_status_name(rf_status status);

/* Run a call returning rf_status into the local `st`; on failure leave through `done:`. */
#define RF_TRY(call)                                                                               \
    do {                                                                                           \
        if ((st = (call)) != RF_OK) goto done;                                                     \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
