/* What people write to name a LoRA: NAME_OR_FILE:STRENGTH:TEXT_STRENGTH on a command line, and
 * A1111's <lora:name:te:unet> in a prompt. */
#ifndef RF_LORA_SPEC_H
#define RF_LORA_SPEC_H

#include <stddef.h>

#include "tools/console.h"

enum { RF_LORA_STRENGTH_MAX = 100 }; /* either sign, as rf_lora_use */

typedef struct rf_lora_spec {
    const char *name; /* [length], in the text that was read */
    size_t      length;
    double      unet, text;
} rf_lora_spec;

/* "NAME", "NAME:0.8" (both networks) or "NAME:0.8:0.5" (UNet, then text encoders); `flag` is named
 * in messages.  What stands before the last one or two numbers is the name, colons included; a file
 * whose name is all of `text` is that file.  RF_E_ARG. */
rf_status rf_lora_spec_option(rf_lora_spec *out, const char *flag, const char *text,
                              rf_trouble *trouble);

/* A tag of a positive prompt. */
typedef struct rf_lora_tag {
    size_t       begin, end; /* in the prompt, brackets included */
    rf_lora_spec spec;
} rf_lora_tag;

/* The next <lora:...> or <lyco:...> of `prompt` (UTF-8) from byte `from` on: 1, 0 if there is none,
 * or -1 and trouble (RF_E_ARG) if it says what no LoRA can do.  Arguments are name, strength for
 * the text encoders (1), strength for the UNet (the same); te= and unet= stand anywhere.  dyn= cuts
 * ranks off in A1111, and to ignore it would give another picture: refused. */
int rf_lora_tag_next(rf_lora_tag *out, const char *prompt, size_t from, rf_trouble *trouble);

#endif
