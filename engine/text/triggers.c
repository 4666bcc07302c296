/* Names among tokens; see triggers.h. */
#include "engine/text/triggers.h"

#include <string.h>

const rf_trigger *rf_trigger_at(const rf_triggers *triggers, rf_tokenizer_flavour flavour,
                                const int32_t *id, size_t count)
{
    const rf_trigger *longest = NULL;
    for (int i = 0; i < triggers->count; i++) {
        const rf_trigger *t = triggers->item[i];
        const rf_ids     *name = &t->id[flavour];
        if (name->length == 0 || name->length > count) continue;
        if (longest && longest->id[flavour].length >= name->length) continue;
        if (memcmp(name->at, id, name->length * sizeof *id) == 0) longest = t;
    }
    return longest;
}
