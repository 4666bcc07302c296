/* Extra-network tags, <lora:name:te:unet>: found, and taken out of the text. */
#ifndef RF_PROMPT_TAGS_H
#define RF_PROMPT_TAGS_H

#include "engine/text/prompt_context.h"

/* Appends where the tags are: '<', word characters, ':', one or more characters, the next '>'.  A
 * negative prompt has none: what looks like one there is text. */
rf_status rf_tags_find(rf_prompt_context *context, const char *text, rf_spans *tags, rf_error *err);

/* What the tags say.  All is taken from `context`. */
rf_status rf_tags_read(rf_prompt_context *context, const char *text, const rf_spans *tags,
                       const rf_prompt_tag **out, rf_error *err);

/* `text` without its tags: itself if it has none, else taken from `context`. */
rf_status rf_tags_remove(rf_prompt_context *context, const char *text, const rf_spans *tags,
                         const char **out, rf_error *err);

#endif
