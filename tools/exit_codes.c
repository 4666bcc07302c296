/* The one mapping from status to exit code; no default case, so the compiler finds a new status. */
#include "tools/exit_codes.h"

int rf_exit_code(rf_status status)
{
    switch (status) {
    case RF_OK: return RF_EXIT_OK;
    case RF_E_ARG: return RF_EXIT_USAGE;
    case RF_E_NOT_FOUND: return RF_EXIT_NO_INPUT;
    case RF_E_FORMAT:
    case RF_E_MODEL: return RF_EXIT_DATA;
    case RF_E_UNSUPPORTED:
    case RF_E_DEVICE: return RF_EXIT_UNAVAILABLE;
    case RF_E_EXISTS:
    case RF_E_CREATE: return RF_EXIT_CREATE;
    case RF_E_IO:
    case RF_E_NO_SPACE: return RF_EXIT_IO;
    case RF_E_LOST: /* another process, or another GPU, may fare better */
    case RF_E_NOMEM: return RF_EXIT_TEMPORARY;
    case RF_E_PERMISSION: return RF_EXIT_PERMISSION;
    case RF_E_NAN: return RF_EXIT_FAILED;
    case RF_E_CANCELLED: return RF_EXIT_INTERRUPTED;
    case RF_E_SHAPE: /* an op was called against its contract: never the user's fault */
    case RF_E_BUG: return RF_EXIT_BUG;
    }
    return RF_EXIT_BUG;
}
