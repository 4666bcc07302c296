/* What the stages of parsing one prompt share: its memory, its limits, its warnings.
 *
 * A parsed prompt is many small arrays that live and die together, so they are cut from few large
 * blocks, and one limit on these blocks bounds everything that a hostile schedule can multiply. */
#ifndef RF_PROMPT_CONTEXT_H
#define RF_PROMPT_CONTEXT_H

#include "engine/text/prompt.h"

#include <stdbool.h>
#include <stddef.h>

/* The traps of which a user hears; at most once each per prompt. */
typedef enum rf_prompt_trap {
    RF_TRAP_TAG_IN_NEGATIVE,
    RF_TRAP_LONE_WEIGHT,
    RF_TRAP_STRAY_BAR,
    RF_TRAP_STRAY_BACKSLASH,
    RF_TRAP_BREAK_IN_EMPHASIS,
    RF_TRAP_BAD_WEIGHT,
    RF_TRAP_PAST_THE_END,
    RF_TRAP_NO_HANDOVER,
    RF_TRAP_NEAR_MISS,
} rf_prompt_trap;

/* A tenth of a second's work for the stages whose time is not linear in the text: multiplied
 * weights, and marks passed while rendering.  An ordinary prompt takes some thousands. */
enum { RF_PROMPT_MAX_WORK = 1 << 26 };

typedef struct rf_prompt_context {
    const rf_prompt_options *options;
    struct rf_prompt_block  *blocks; /* newest first */
    size_t                   bytes;  /* taken in all, <= RF_PROMPT_MAX_VARIANTS */
    size_t                   work;
    unsigned                 warned; /* bits by rf_prompt_trap */
} rf_prompt_context;

/* RF_E_ARG if the text is too long or not UTF-8. */
rf_status rf_prompt_check(const char *text, rf_error *err);

/* `count` elements of `size` bytes, zeroed, aligned for any type; they live until the context's
 * memory is freed.  RF_E_ARG beyond RF_PROMPT_MAX_VARIANTS. */
rf_status rf_prompt_take(rf_prompt_context *context, size_t count, size_t size, void *out,
                         rf_error *err);

/* A NUL-terminated copy of `length` bytes. */
rf_status rf_prompt_copy(rf_prompt_context *context, const char *text, size_t length,
                         const char **out, rf_error *err);

/* Gives back what take and copy gave out. */
void rf_prompt_release(struct rf_prompt_block *blocks);

/* Adds to the work done; RF_E_ARG beyond RF_PROMPT_MAX_WORK. */
rf_status rf_prompt_charge(rf_prompt_context *context, size_t work, rf_error *err);

/* Tells the user of a trap, the first time that it is met in a prompt that is being repaired. */
__attribute__((format(printf, 3, 4))) void
rf_prompt_warn(rf_prompt_context *context, rf_prompt_trap trap, const char *format, ...);

/* Makes room for `need` elements of `size` bytes in *array (free it), which had room for *capacity.
 */
rf_status rf_prompt_reserve(void *array, size_t *capacity, size_t need, size_t size, rf_error *err);

/* A stretch of text, and a list of such. */
typedef struct rf_span {
    size_t start, end;
} rf_span;

typedef struct rf_spans { /* {0} is empty */
    rf_span *at;          /* [length]; free it */
    size_t   length, capacity;
} rf_spans;

rf_status rf_spans_push(rf_spans *spans, size_t start, size_t end, rf_error *err);

#endif
