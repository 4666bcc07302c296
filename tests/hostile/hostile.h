/* The malformed files: what they are, and how they are written.
 *
 * Families S01 to S17 are the ways in which a model file can be wrong, from a file of no bytes to
 * a rank of a million; family C is what broke other programs.  A family is a function that writes
 * its files one after the other and hands each to whoever asked: the tests open it and remove it,
 * `./dev hostile DIR` keeps it.  Nothing here knows how a file is judged. */
#ifndef RF_HOSTILE_H
#define RF_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/arch.h"
#include "kernels/status.h"

typedef enum hostile_slot {
    HOSTILE_CHECKPOINT,
    HOSTILE_VAE,
    HOSTILE_LORA,
    HOSTILE_FOLDER, /* a diffusers folder in a checkpoint's place */
    HOSTILE_EMBEDDING,
} hostile_slot;

typedef struct hostile_case {
    char         id[16]; /* "S08.3" */
    hostile_slot slot;   /* where it claims to belong */
    const char  *what;
    rf_status    want;
    const char  *said; /* a piece of the sentence that refuses it */
} hostile_case;

typedef struct hostile {
    const char *folder; /* that files are written to */
    /* `path` is the file, or the folder, of the case */
    void (*made)(void *user, const hostile_case *c, const char *path);
    void *user;
    /* the case in the making */
    hostile_case now;
    const char  *family;
    int          number;
    char         path[1024];
} hostile;

/* ---- families ----------------------------------------------------------------------------- */

typedef void hostile_family(hostile *h);

/* All of them, in order; NULL past the last. */
hostile_family *hostile_family_at(int i);

hostile_family hostile_s01, hostile_s02, hostile_s03, hostile_s04, hostile_s05, hostile_s06,
    hostile_s07, hostile_s08, hostile_s09, hostile_s10, hostile_s11, hostile_s12, hostile_s14,
    hostile_s15, hostile_s16, hostile_s17, hostile_c, hostile_loras, hostile_lora_shapes,
    hostile_vaes, hostile_folders, hostile_embeddings, hostile_levels;

/* ---- cases -------------------------------------------------------------------------------- */

/* Cases that follow are FAMILY.1, FAMILY.2 ... */
void hostile_begin(hostile *h, const char *family, hostile_slot slot);

/* What the next file is, and what must be said of it; returns the path to write to. */
const char *hostile_next(hostile *h, const char *what, rf_status want, const char *said);

/* It is written. */
void hostile_made(hostile *h);

/* A file of these bytes. */
void hostile_raw(hostile *h, const char *what, const void *bytes, size_t count, rf_status want,
                 const char *said);

/* A safetensors file: the header's text (`bytes` 0: up to its NUL) and so much data, zeros. */
void hostile_header(hostile *h, const char *what, const char *text, size_t bytes, uint64_t data,
                    rf_status want, const char *said);

/* The same around a tensor "t" whose description is given. */
void hostile_tensor(hostile *h, const char *value, uint64_t data, rf_status want, const char *said);

/* As much as a header may hold: metadata, and `count` tensors of one element whose names have a
 * number between `front` and `end`. */
void hostile_largest(hostile *h, const char *what, const char *front, const char *end,
                     const char *dtype, int count, rf_status want, const char *said);

/* Many headers of the same fault; their text is what they are. */
void hostile_headers(hostile *h, const char *const *text, size_t count, uint64_t data,
                     rf_status want, const char *said);

#define HOSTILE_COUNT(array) (sizeof(array) / sizeof *(array))

/* The description of a tensor of four bytes. */
#define HOSTILE_GOOD "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

/* ---- files of many tensors ---------------------------------------------------------------- */

/* A header under construction: tensors lie one behind the other. */
typedef struct hostile_tensors {
    char    *text;
    size_t   bytes, room;
    uint64_t data;
    int      count;
    struct {
        uint64_t      at;
        unsigned char bytes[8];
    } value[32]; /* what is not zero */
    int values;
} hostile_tensors;

/* `shape`: "320,4,3,3", or "" for a scalar. */
void hostile_add(hostile_tensors *t, const char *name, const char *dtype, const char *shape);
/* A scalar or a few elements whose first bytes are these. */
void hostile_add_value(hostile_tensors *t, const char *name, const char *dtype, const char *shape,
                       const void *value, size_t bytes);
/* Writes a file; frees. */
void hostile_write(hostile_tensors *t, const char *path);
/* The next case is this file. */
void hostile_file(hostile *h, hostile_tensors *t, const char *what, rf_status want,
                  const char *said);

/* One change of a layout: of the tensor of that name (or all whose name begins with `name`, where
 * it ends in '*'). */
typedef struct hostile_edit {
    const char *name;
    const char *rename; /* NULL: stays; "": is left out; with '*' a new front */
    const char *dtype;  /* NULL: F16 */
    const char *shape;  /* NULL: as it should be */
} hostile_edit;

/* All tensors of an architecture, with up to two changes (NULL: none). */
void hostile_layout(hostile_tensors *t, const rf_sdxl_arch *arch, const hostile_edit *edit,
                    int edits);

/* The tiny architecture of `refinery synth`. */
const rf_sdxl_arch *hostile_tiny(void);

/* ---- plain files -------------------------------------------------------------------------- */

void hostile_bytes(const char *path, const void *bytes, size_t count);
void hostile_remove(const char *path); /* a file, or a folder and what is in it */

#endif
