/* The LoRAs that names are looked up among: the files in the folders of --lora-dir.
 *
 * A name, which may come from a stranger's prompt, is compared with what a scan has found and is
 * never opened as a path. */
#ifndef RF_LORA_FILES_H
#define RF_LORA_FILES_H

#include "tools/options.h"

typedef struct rf_lora_file {
    char *path;       /* folder as given, and what stands below it */
    char *stem;       /* file name without extension */
    char *alias;      /* "ss_output_name" of its metadata; NULL: none, or not yet read */
    char *model_hash; /* "sshs_model_hash", likewise */
} rf_lora_file;

typedef struct rf_lora_files {
    rf_lora_file   *item; /* [count], ascending by path */
    int             count, room;
    int             metadata_read;
    const rf_texts *folders;
    const char     *hash_cache; /* not owned; NULL: none */
} rf_lora_files;

/* Finds all .safetensors files below `folders` (none is fine), the values of `flag` ("--lora-dir"):
 * six folders deep, each folder once, hidden ones not, at most 10,000 entries in all (RF_E_ARG).
 * Opens no file.  `folders` and `hash_cache` must outlive *out.  RF_E_NOT_FOUND: a folder is not
 * there. */
rf_status rf_lora_files_scan(rf_lora_files *out, const rf_texts *folders, const char *flag,
                             const char *hash_cache, rf_trouble *trouble);
void      rf_lora_files_free(rf_lora_files *files); /* {0} is fine */

/* *path = the file called `name`, which stays the files': by its stem (".safetensors" may follow),
 * else by its alias, else by a hash in hexadecimal: SHA-256 of the file (10 digits or more;
 * AutoV2), of what follows its header (12 or more; AutoV3), or `sshs_model_hash`.  Hashing takes a
 * while for files that the cache does not know.  `who` begins messages: "--lora x".  RF_E_NOT_FOUND
 * with the nearest name; RF_E_ARG: several files are called so. */
rf_status rf_lora_files_find(rf_lora_files *files, const char *name, const char *who,
                             const char **path, rf_trouble *trouble);

#endif
