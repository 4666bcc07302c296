/* Finding the model files that a picture names.
 *
 * In this order: the file given on the command line, the recorded path, a file of that name in the
 * folders to search, any file of that SHA-256 there.  Where the picture tells a hash, a file counts
 * only if it has it: "the same picture" needs the same file. */
#ifndef RF_FIND_MODEL_H
#define RF_FIND_MODEL_H

#include "engine/refinery.h"
#include "tools/options.h"

typedef struct rf_model_search {
    const rf_texts *folders;    /* searched with their subfolders, */
    const rf_texts *more;       /* and then these; NULL: none */
    const char     *hash_cache; /* NULL: none */
    int             any_model;  /* another hash is a warning */
    void (*warn)(void *user, const char *message);
    void       *user;
    rf_trouble *trouble;
} rf_model_search;

/* Where the picture tells what follows a LoRA's header (rf_file_ref.autov3), that is compared:
 * other metadata do not make it another file. */
typedef struct rf_model_wanted {
    const char *role;  /* "base", for messages */
    const char *flag;  /* "--base"; NULL if none names this file */
    const char *given; /* with that flag; NULL: not given */
    rf_file_ref ref;
    int         is_picture; /* PNG or JPEG; else .safetensors */
} rf_model_wanted;

/* *path is to be free()d.  RF_E_NOT_FOUND; RF_E_MODEL if only files with another hash are there;
 * RF_E_CANCELLED; what hashing gives. */
rf_status rf_model_find(char **path, const rf_model_search *search, const rf_model_wanted *wanted);

#endif
