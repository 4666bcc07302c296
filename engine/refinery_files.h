/* The rest of refinery.h, which includes it: what is kept on disk beside experts.  Pictures with
 * their texts, jobs read back from them, checkpoints rewritten, prompts by the name of a style. */
#ifndef REFINERY_FILES_H
#define REFINERY_FILES_H

#include "engine/refinery.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pictures on disk --------------------------------------------------------------------- */

/* A text chunk of a picture: "parameters" (A1111's infotext) and "refinery" (the job as JSON). */
typedef struct rf_picture_text {
    const char *key, *text; /* UTF-8 */
} rf_picture_text;

/* Writes an 8-bit RGB PNG atomically: a temporary file in the same folder, fsync, rename.  A text
 * that is NULL is left out.  RF_E_EXISTS unless `overwrite`; RF_E_CREATE, RF_E_PERMISSION,
 * RF_E_NO_SPACE, RF_E_IO.  Nothing half-written ever appears under `path`. */
rf_status rf_png_write(const char *path, const uint8_t *rgb, int width, int height,
                       const rf_picture_text *texts, int text_count, int overwrite, rf_error *err);

/* The texts of a picture: PNG (tEXt, zTXt, iTXt), and JPEG and WebP whose EXIF comment becomes
 * "parameters".  Reads no pixels.  RF_E_FORMAT: not such a picture, or damaged. */
typedef struct rf_picture_texts rf_picture_texts;
rf_status   rf_picture_texts_read(rf_picture_texts **out, const char *path, rf_error *err);
const char *rf_picture_texts_get(const rf_picture_texts *texts, const char *key); /* or NULL */
void        rf_picture_texts_free(rf_picture_texts *texts);                       /* NULL is fine */

/* ---- jobs on disk ------------------------------------------------------------------------- */

/* A job read back from a picture.  Its stages name files instead of experts: open those, put the
 * experts into a copy of the stages, and plan. */
typedef struct rf_saved_job rf_saved_job;

typedef struct rf_file_ref {
    const char *name;       /* without folder and extension; NULL: none */
    const char *path;       /* where it was; NULL if the picture does not say */
    const char *sha256;     /* hex, 64 digits or the first ten; NULL if unknown */
    const char *autov3;     /* of a LoRA, likewise behind the file's header: 64 digits or the first
                               twelve */
    const char *prediction; /* of an expert, for rf_expert_set_prediction: what its weights alone do
                               not say; NULL: they do */
} rf_file_ref;

/* From the JSON of rf_image.job.  RF_E_FORMAT names what is wrong. */
rf_status rf_saved_job_from_json(rf_saved_job **out, const char *json, rf_error *err);
/* From an infotext, A1111's or refinery's, by A1111's reading rules. */
rf_status rf_saved_job_from_infotext(rf_saved_job **out, const char *parameters, rf_error *err);
void      rf_saved_job_free(rf_saved_job *saved); /* NULL is fine */

/* Lives as long as `saved`; every stage's expert is NULL.  count is 1: the one picture.  Its init,
 * if it has one, names files and has no pixels: load them into a copy. */
const rf_job *rf_saved_job_get(const rf_saved_job *saved);
rf_file_ref   rf_saved_job_file(const rf_saved_job *saved, int stage); /* -1: the separate VAE */
/* The file of the job's embedding of that number; its rf_embedding_use.path may be NULL, too. */
rf_file_ref rf_saved_job_embedding(const rf_saved_job *saved, int embedding);
/* The file of the stage's LoRA of that number; its rf_lora_use.path, which may be NULL, is where it
 * was. */
rf_file_ref rf_saved_job_lora(const rf_saved_job *saved, int stage, int lora);
const char *rf_saved_job_dtype(const rf_saved_job *saved); /* "f16"; NULL if not told */
/* Fields that cannot be honoured, one sentence each; NULL past the last. */
const char *rf_saved_job_note(const rf_saved_job *saved, int i);

/* ---- converting --------------------------------------------------------------------------- */

typedef struct rf_convert_options {
    const char *dtype;  /* "f16", "bf16" or "f32"; NULL: every tensor keeps its own, and 8-bit ones
                           become F16, or F32 where they have scales */
    const char *layout; /* "file" or "diffusers"; NULL: file if the output ends in .safetensors */
    const rf_lora_use *loras; /* [lora_count], baked in, in this order; `everywhere` is not read */
    int                lora_count;
    const char        *vae;       /* file whose VAE takes the place of the input's; NULL: none */
    int                overwrite; /* 1: replace what has the output's name */
    int                threads;   /* that merge LoRAs; 0: one per core */
    /* Called often with bytes written and bytes in all; non-zero: RF_E_CANCELLED.  NULL is fine. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    void (*warn)(void *user, const char *message); /* one sentence; NULL is fine */
    void *user;
} rf_convert_options;

typedef struct rf_converted {
    char     sha256[65]; /* of the file, as sha256sum gives it; of a folder as rf_expert_sha256 */
    uint64_t bytes;
    int      tensors, dropped; /* written; of the input and not (EMA and other leftovers) */
} rf_converted;

/* Rewrites the checkpoint `from` (a file or diffusers folder that rf_expert_open takes) as `to`,
 * tensor by tensor: in memory are a few MB, and whole tensors only where a LoRA changes them.  What
 * a LoRA changes is merged in f32 as rf_expert's reading merges it, so that in f32 the result
 * renders the same bytes.  `to` appears complete or not at all.  Errors of rf_expert_open and, for
 * LoRAs, of planning; RF_E_MODEL also: a value that f16 cannot hold; RF_E_ARG names the option;
 * RF_E_EXISTS, RF_E_CREATE, RF_E_PERMISSION, RF_E_NO_SPACE (found out beforehand where the system
 * tells), RF_E_IO. */
rf_status rf_convert_model(rf_converted *out, const char *to, const char *from,
                           const rf_convert_options *options, rf_error *err);

/* ---- styles ------------------------------------------------------------------------------- */

/* A1111's styles.csv: name, prompt, negative_prompt.  Applying one puts its text in place of
 * `{prompt}`, or behind the prompt after a comma. */
typedef struct rf_styles rf_styles;
rf_status                rf_styles_read(rf_styles **out, const char *path, rf_error *err);
void                     rf_styles_free(rf_styles *styles); /* NULL is fine */
/* Applies the style of that name to both texts, which are replaced (free() them).  RF_E_NOT_FOUND
 * with the nearest name. */
rf_status rf_styles_apply(const rf_styles *styles, const char *name, char **prompt, char **negative,
                          rf_error *err);
const char *rf_styles_name(const rf_styles *styles, int i); /* NULL past the last */

/* Whether rf_png_write has a chance: the folder exists and is writable, and nothing is in the way.
 * Creates nothing; ask before a long rendering.  RF_E_EXISTS, RF_E_CREATE, RF_E_PERMISSION. */
rf_status rf_output_check(const char *path, int overwrite, rf_error *err);

#ifdef __cplusplus
}
#endif
#endif
