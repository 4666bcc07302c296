/* What a file is, by its first bytes: people put pickles, web pages and half downloads into a
 * model slot, and deserve to be told which. */
#ifndef RF_CONTAINER_H
#define RF_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

typedef enum rf_container {
    RF_CONTAINER_SAFETENSORS, /* looks like one; the header is not checked yet */
    RF_CONTAINER_EMPTY,
    RF_CONTAINER_ZIP, /* what torch.save writes: .ckpt, .pt, .bin */
    RF_CONTAINER_PICKLE,
    RF_CONTAINER_ARCHIVE, /* gzip, 7z, rar */
    RF_CONTAINER_GGUF,
    RF_CONTAINER_HTML,
    RF_CONTAINER_LFS, /* the stand-in that Git LFS leaves where the file was not fetched */
    RF_CONTAINER_IMAGE,
    RF_CONTAINER_TEXT,
    RF_CONTAINER_UNKNOWN,
} rf_container;

enum { RF_SNIFF_BYTES = 512 }; /* as many first bytes as a guess needs */

/* `head` holds the first `bytes` bytes (RF_SNIFF_BYTES of them if the file has as many). */
rf_container rf_container_sniff(const unsigned char *head, size_t bytes, uint64_t file_bytes);

/* Ends the sentence "FILE is ...", with advice where there is any; never NULL. */
const char *rf_container_text(rf_container kind);

#endif
