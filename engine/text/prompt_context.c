/* Memory, limits and warnings of one prompt; see prompt_context.h. */
#include "engine/text/prompt_context.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum { BLOCK_BYTES = 1 << 14 }; /* one holds an ordinary prompt */

typedef struct rf_prompt_block {
    struct rf_prompt_block *older;
    size_t                  used, capacity;
    alignas(max_align_t) char bytes[];
} block;

rf_status rf_prompt_check(const char *text, rf_error *err)
{
    const size_t length = strlen(text);
    if (length > RF_PROMPT_MAX_BYTES)
        return rf_fail(err, RF_E_ARG, "the prompt has %zu bytes; %d is the most", length,
                       RF_PROMPT_MAX_BYTES);
    for (size_t at = 0; at < length;) {
        int32_t                code;
        const utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                       (utf8proc_ssize_t)(length - at), &code);
        if (took <= 0)
            return rf_fail(err, RF_E_ARG, "the prompt is not UTF-8: byte %zu is 0x%02X", at,
                           (unsigned)(unsigned char)text[at]);
        at += (size_t)took;
    }
    return RF_OK;
}

rf_status rf_prompt_take(rf_prompt_context *context, size_t count, size_t size, void *out,
                         rf_error *err)
{
    const size_t align = alignof(max_align_t);
    block       *b = context->blocks;
    if (count > RF_PROMPT_MAX_VARIANTS / size ||
        count * size > RF_PROMPT_MAX_VARIANTS - context->bytes)
        return rf_fail(err, RF_E_ARG,
                       "the %s and its variants need more than %d MiB: shorten it, or use fewer "
                       "edits",
                       context->options->polarity == RF_PROMPT_NEGATIVE ? "negative prompt"
                                                                        : "prompt",
                       RF_PROMPT_MAX_VARIANTS >> 20);
    const size_t bytes = count * size;
    size_t       at = b ? (b->used + align - 1) / align * align : 0;
    if (size == 1 && b) at = b->used; /* text packs tightly */
    if (!b || at > b->capacity || bytes > b->capacity - at) {
        const size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        b = malloc(sizeof *b + capacity);
        if (!b) return rf_fail(err, RF_E_NOMEM, "prompt: %zu bytes", capacity);
        *b = (block){.older = context->blocks, .capacity = capacity};
        context->blocks = b;
        at = 0;
    }
    void *taken = b->bytes + at;
    memset(taken, 0, bytes);
    memcpy(out, &taken, sizeof taken);
    b->used = at + bytes;
    context->bytes += bytes;
    return RF_OK;
}

rf_status rf_prompt_copy(rf_prompt_context *context, const char *text, size_t length,
                         const char **out, rf_error *err)
{
    char           *copy = NULL;
    const rf_status st = rf_prompt_take(context, length + 1, 1, &copy, err);
    if (st != RF_OK) return st;
    if (length) memcpy(copy, text, length);
    *out = copy;
    return RF_OK;
}

void rf_prompt_release(struct rf_prompt_block *blocks)
{
    while (blocks) {
        block *const older = blocks->older;
        free(blocks);
        blocks = older;
    }
}

rf_status rf_prompt_charge(rf_prompt_context *context, size_t work, rf_error *err)
{
    if (work > RF_PROMPT_MAX_WORK - context->work)
        return rf_fail(
            err, RF_E_ARG, "the %s nests too many brackets: remove those that are not meant",
            context->options->polarity == RF_PROMPT_NEGATIVE ? "negative prompt" : "prompt");
    context->work += work;
    return RF_OK;
}

void rf_prompt_warn(rf_prompt_context *context, rf_prompt_trap trap, const char *format, ...)
{
    const rf_prompt_options *const options = context->options;
    if (options->exact_a1111 || !options->warn || (context->warned & 1U << trap)) return;
    context->warned |= 1U << trap;

    char      message[512]; /* the longest sentence has some 300 bytes */
    const int start =
        snprintf(message, sizeof message,
                 options->polarity == RF_PROMPT_NEGATIVE ? "negative prompt: " : "prompt: ");
    va_list args;
    va_start(args, format);
    vsnprintf(message + start, sizeof message - (size_t)start, format, args);
    va_end(args);
    options->warn(options->user, message);
}

rf_status rf_prompt_reserve(void *array, size_t *capacity, size_t need, size_t size, rf_error *err)
{
    if (need <= *capacity) return RF_OK;
    void *old;
    memcpy(&old, array, sizeof old);
    /* No list is longer than some multiple of RF_PROMPT_MAX_BYTES: nothing overflows. */
    const size_t grown = *capacity + *capacity / 2, least = 16;
    size_t       room = need > grown ? need : grown;
    if (room < least) room = least;
    void *at = realloc(old, room * size);
    if (!at) return rf_fail(err, RF_E_NOMEM, "prompt: %zu bytes", room * size);
    memcpy(array, &at, sizeof at);
    *capacity = room;
    return RF_OK;
}

rf_status rf_spans_push(rf_spans *spans, size_t start, size_t end, rf_error *err)
{
    const rf_status st =
        rf_prompt_reserve(&spans->at, &spans->capacity, spans->length + 1, sizeof *spans->at, err);
    if (st != RF_OK) return st;
    spans->at[spans->length++] = (rf_span){start, end};
    return RF_OK;
}
