/* Relays in files: `--relay FILE`.
 *
 *   {"summary": "Pony for the content, Animagine for the style",
 *    "switch_by": "steps", "sampler": "Euler a", "schedule": "karras", "steps": 30,
 *    "stages": [
 *      {"expert": "pony.safetensors", "until": 0.5, "cfg": "7..5", "lora": ["pose:0.8"],
 *       "prompt": "score_9, {prompt}"},
 *      {"expert": "animagine.safetensors", "prompt": "masterpiece, {prompt}"}]}
 *
 * Only "stages" must be there; its objects have the keys of --stage.  A value is a string as there,
 * or a number; "lora" may be a list of them.  Files are relative to the relay's own folder.  It is
 * read strictly: what is not understood is refused, because a typing mistake would be a picture. */
#ifndef RF_RELAY_FILE_H
#define RF_RELAY_FILE_H

#include "tools/relay_keys.h"

/* RF_E_FORMAT names file, stage and key (or line) and what was expected; what reading files gives.
 * A file may have 1 MiB. */
rf_status rf_relay_read_file(rf_relay *out, const char *path, rf_trouble *trouble);

/* The same of a text in memory, which the errors call `path`. */
rf_status rf_relay_read_text(rf_relay *out, const char *path, const char *text,
                             rf_trouble *trouble);

/* Puts --prompt and --negative (NULL: not given) where the texts of stages have {prompt}, in the
 * negative ones too as A1111's styles do; where no prompt has it they take the place of the first
 * stage's.  RF_E_NOMEM. */
rf_status rf_relay_insert(rf_relay *relay, const char *prompt, const char *negative,
                          rf_trouble *trouble);

#endif
