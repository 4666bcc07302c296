/* Named relays: files NAME.json in $XDG_CONFIG_HOME/refinery/relays (or ~/.config/...). */
#ifndef RF_RELAY_FOLDER_H
#define RF_RELAY_FOLDER_H

#include "tools/console.h"

char *rf_relay_folder(void); /* its path, to be free()d; NULL: there is no home.  Makes nothing */

/* Names in it, sorted; free() each and the list, which NULL ends.  An empty list if there is no
 * such folder.  RF_E_NOMEM, RF_E_PERMISSION. */
rf_status rf_relay_names(char ***out, rf_trouble *trouble);

/* *path, to be free()d = FOLDER/NAME.json, whether there is such a file or not.  RF_E_NOMEM;
 * RF_E_NOT_FOUND: there is no home. */
rf_status rf_relay_path(char **path, const char *name, rf_trouble *trouble);

/* *path, to be free()d = the file that `--relay NAME` means: a file of that name (whatever has a
 * slash or ends in .json is one), else a named relay.  RF_E_NOT_FOUND with the nearest name. */
rf_status rf_relay_locate(char **path, const char *name, rf_trouble *trouble);

/* *path, to be free()d = where a relay is saved under that name; makes the folders.  RF_E_ARG: it
 * is no name of letters, digits, '-', '_', '+' and '.'; RF_E_CREATE. */
rf_status rf_relay_new_path(char **path, const char *name, rf_trouble *trouble);

#endif
