/* Guesses by magic numbers; see container.h.
 *
 * A safetensors file has no magic: it starts with a little-endian header length, whose bytes may
 * happen to be a pickle's.  So its own shape (a length that fits, then `{`) is asked first. */
#include "engine/files/container.h"

#include <ctype.h>
#include <string.h>

#include "engine/files/header.h"

static int starts(const unsigned char *head, size_t bytes, const char *magic)
{
    const size_t n = strlen(magic);
    return bytes >= n && memcmp(head, magic, n) == 0;
}

static int is_html(const unsigned char *head, size_t bytes)
{
    size_t at = starts(head, bytes, "\xEF\xBB\xBF") ? 3 : 0;
    while (at < bytes && isspace(head[at])) at++;
    return at + 1 < bytes && head[at] == '<' &&
           (head[at + 1] == '!' || head[at + 1] == '?' || isalpha(head[at + 1]));
}

static int is_text(const unsigned char *head, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (head[i] != '\t' && head[i] != '\n' && head[i] != '\r' &&
            (head[i] < 0x20 || head[i] > 0x7E))
            return 0;
    return bytes > 0;
}

rf_container rf_container_sniff(const unsigned char *head, size_t bytes, uint64_t file_bytes)
{
    if (file_bytes == 0 || bytes == 0) return RF_CONTAINER_EMPTY;
    if (bytes > 8 && head[8] == '{' && rf_header_length(head) <= RF_HEADER_MAX)
        return RF_CONTAINER_SAFETENSORS;
    if (starts(head, bytes, "PK\x03\x04")) return RF_CONTAINER_ZIP;
    if (starts(head, bytes, "GGUF")) return RF_CONTAINER_GGUF;
    if (starts(head, bytes, "7z\xBC\xAF") || starts(head, bytes, "Rar!") ||
        starts(head, bytes, "\x1F\x8B"))
        return RF_CONTAINER_ARCHIVE;
    if (starts(head, bytes, "\x89PNG") || starts(head, bytes, "\xFF\xD8\xFF") ||
        starts(head, bytes, "RIFF"))
        return RF_CONTAINER_IMAGE;
    /* PROTO opcode, protocol 2 to 5, then an opcode that a state dictionary starts with. */
    if (bytes > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && head[2] != 0)
        return RF_CONTAINER_PICKLE;
    if (starts(head, bytes, "version https://git-lfs")) return RF_CONTAINER_LFS;
    if (is_html(head, bytes)) return RF_CONTAINER_HTML;
    if (is_text(head, bytes)) return RF_CONTAINER_TEXT;
    return RF_CONTAINER_UNKNOWN;
}

const char *rf_container_text(rf_container kind)
{
    switch (kind) {
    case RF_CONTAINER_SAFETENSORS: return "a safetensors file";
    case RF_CONTAINER_EMPTY: return "empty: the download failed, fetch it again";
    case RF_CONTAINER_ZIP:
        return "a zip archive, probably a PyTorch pickle (.ckpt, .pt), which can run code when "
               "opened and is never read: get the .safetensors version, or convert it to one first";
    case RF_CONTAINER_PICKLE:
        return "a Python pickle, which can run code when opened and is never read: get the "
               ".safetensors version, or convert it to one first";
    case RF_CONTAINER_GGUF:
        return "a GGUF file, which this version does not read: get the .safetensors version";
    case RF_CONTAINER_HTML:
        return "a web page, not a model: the download led to a log-in or error page";
    case RF_CONTAINER_LFS:
        return "a Git LFS pointer, not the model itself: run `git lfs pull` where it was cloned";
    case RF_CONTAINER_IMAGE: return "a picture, not a model";
    case RF_CONTAINER_TEXT:
        return "a text file, not a model: the download may have saved an error message";
    case RF_CONTAINER_ARCHIVE: return "an archive, not a model: unpack it first";
    case RF_CONTAINER_UNKNOWN: break;
    }
    return "not a safetensors file";
}
