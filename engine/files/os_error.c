/* The errno tables; see os_error.h. */
#include "engine/files/os_error.h"

#include <errno.h>
#include <string.h>

rf_status rf_read_status(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: return RF_E_NOT_FOUND;
    case EACCES:
    case EPERM: return RF_E_PERMISSION;
    case ENOMEM: return RF_E_NOMEM;
    default: return RF_E_IO;
    }
}

rf_status rf_write_status(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return RF_E_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS: return RF_E_PERMISSION;
    case EEXIST: return RF_E_EXISTS;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case ELOOP:
    case EMFILE:
    case ENFILE: return RF_E_CREATE;
    case ENOMEM: return RF_E_NOMEM;
    default: return RF_E_IO;
    }
}

const char *rf_errno_text(int code)
{
    const char *text = strerrordesc_np(code);
    return text ? text : "unknown error";
}
