/* The words that a LoRA was trained on, as kohya's scripts write them down: often its triggers. */
#ifndef RF_TRAINING_TAGS_H
#define RF_TRAINING_TAGS_H

#include <jansson.h>

/* `text`: "ss_tag_frequency" of a file's metadata, {"folder": {"tag": count, ...}, ...}, or NULL.
 * The `most` most frequent tags of all folders, each [tag, count], descending, ties by name.  What
 * is no such JSON gives an empty list; NULL: no memory. */
json_t *rf_training_tags(const char *text, int most);

#endif
