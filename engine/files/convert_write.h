/* Writing converted tensors: a safetensors file at a time, tensor by tensor, a megabyte at a time;
 * only what a LoRA changes or what is turned is ever held whole. */
#ifndef RF_CONVERT_WRITE_H
#define RF_CONVERT_WRITE_H

#include "engine/files/convert_list.h"
#include "engine/files/hash.h"
#include "engine/files/lora_fit.h"

/* A LoRA to be baked in. */
typedef struct rf_convert_lora {
    rf_lora    *lora;
    rf_lora_fit fit;
    float       unet, text; /* strengths */
} rf_convert_lora;

typedef struct rf_convert_job {
    const rf_convert_lora *lora; /* [loras], merged in this order */
    int                    loras;
    int                    threads;
    int                    overwrite;
    uint64_t               done, total;                         /* bytes of all files */
    int (*progress)(void *user, uint64_t done, uint64_t total); /* non-zero stops; NULL is fine */
    void *user;
} rf_convert_job;

/* Writes the tensors of `part` (RF_PARTS: all of them) to a file, atomically, with these metadata
 * (JSON text of an object of strings).  `shown` names it in messages.  hex = SHA-256 of it.
 * Errors of rf_outfile_*, of reading; RF_E_MODEL: a value that the type cannot hold;
 * RF_E_CANCELLED.
 */
rf_status rf_convert_write(const char *path, const char *shown, const rf_convert_list *list,
                           rf_part part, const char *metadata, rf_convert_job *job,
                           char hex[RF_SHA256_HEX], rf_error *err);

#endif
