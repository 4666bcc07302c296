/* Adding up and sorting tags; see training_tags.h.  The text is a stranger's: anything in it that
 * is not as expected is passed over. */
#include "tools/training_tags.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 16 << 20 };

typedef struct tag {
    const char *name;
    json_int_t  count;
} tag;

static json_int_t count_of(const json_t *value)
{
    const json_int_t v = json_is_integer(value) ? json_integer_value(value) : 0;
    return v > 0 ? v : 0;
}

/* sums[tag] += count, for all folders. */
static void add_up(json_t *sums, json_t *folders)
{
    const char *folder = NULL, *name = NULL;
    json_t     *tags = NULL, *value = NULL;
    json_object_foreach(folders, folder, tags)
    {
        json_object_foreach(tags, name, value)
        {
            const json_int_t more = count_of(value);
            const json_int_t sum = count_of(json_object_get(sums, name));
            if (more && *name)
                json_object_set_new(sums, name,
                                    json_integer(sum > INT64_MAX - more ? INT64_MAX : sum + more));
        }
    }
}

static int by_count(const void *a, const void *b)
{
    const tag *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

static json_t *first_of(json_t *sums, int most)
{
    const size_t n = json_object_size(sums);
    size_t       i = 0;
    const char  *name = NULL;
    json_t      *value = NULL, *out = json_array();
    tag         *tags = n ? calloc(n, sizeof *tags) : NULL;
    if (!tags) return out;
    json_object_foreach(sums, name, value) tags[i++] = (tag){name, json_integer_value(value)};
    qsort(tags, n, sizeof *tags, by_count);
    for (i = 0; i < n && i < (size_t)most; i++)
        json_array_append_new(out, json_pack("[s, I]", tags[i].name, tags[i].count));
    free(tags);
    return out;
}

json_t *rf_training_tags(const char *text, int most)
{
    const int sound = text && strlen(text) <= TEXT_BYTES_MAX;
    json_t   *folders = sound ? json_loads(text, 0, NULL) : NULL, *sums = json_object();
    if (sums) add_up(sums, folders); /* what is no object has no members */
    json_t *out = sums ? first_of(sums, most) : NULL;
    json_decref(sums);
    json_decref(folders);
    return out;
}
