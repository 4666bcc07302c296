/* From "NAME: VALUES" to an axis; see axes.h.  However they came, texts are items of a list here:
 * of numbers an item may be a range, other items are values as they stand. */
#include "tools/sweep/axes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "tools/request.h"
#include "tools/sweep/axis_parts.h"
#include "tools/text_input.h"

void rf_axis_release(rf_axis *axis)
{
    free(axis->value);
    free(axis->block);
    free(axis->own_name);
    *axis = (rf_axis){0};
}

/* Room for `count` values and `bytes` of their texts. */
static rf_status allocate(rf_axis *axis, int count, size_t bytes, rf_trouble *trouble)
{
    axis->value = calloc((size_t)count, sizeof *axis->value);
    axis->block = malloc(bytes);
    axis->count = count;
    if (axis->value && axis->block) return RF_OK;
    return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for an axis of %d values", count);
}

/* ---- numbers ------------------------------------------------------------------------------ */

static int is_random(const char *item)
{
    return strcasecmp(item, "random") == 0 || strcmp(item, "-1") == 0;
}

/* 32 bits, as everywhere in refinery and A1111. */
static rf_status append_random(rf_axis_numbers *numbers, const char *where, rf_trouble *trouble)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return rf_fail(&trouble->error, RF_E_BUG, "the system gives no random numbers");
    return rf_axis_append(numbers, random, where, trouble);
}

static rf_status take_numbers(rf_axis *axis, const rf_axis_rule *rule, const char *where,
                              const char *const *texts, int count, rf_trouble *trouble)
{
    rf_status       st = RF_OK;
    rf_axis_numbers numbers = {0};
    char            at[200];
    for (int i = 0; i < count; i++) {
        snprintf(at, sizeof at, "%s, value %d", where, i + 1);
        const int random = rule->takes == RF_TAKES_SEEDS && is_random(texts[i]);
        axis->drawn |= random;
        if (random)
            RF_TRY(append_random(&numbers, at, trouble));
        else
            RF_TRY(rf_axis_expand(&numbers, rule, at, texts[i], trouble));
    }
    RF_TRY(allocate(axis, numbers.count, (size_t)numbers.count * RF_AXIS_NUMBER_BYTES, trouble));
    const double unit = rule->takes == RF_TAKES_NUMBERS ? RF_AXIS_MICRO : 1;
    for (int i = 0; i < numbers.count; i++) {
        char *text = axis->block + (size_t)i * RF_AXIS_NUMBER_BYTES;
        rf_axis_number_print(text, rule, numbers.at[i]);
        axis->value[i] = (rf_axis_value){.text = text, .number = (double)numbers.at[i] / unit};
    }
done:
    free(numbers.at);
    return st;
}

/* ---- texts -------------------------------------------------------------------------------- */

/* "1024 x 768" to "1024x768", under the rules of --size. */
static rf_status take_size(char *text, const char *where, rf_trouble *trouble)
{
    char *to = text;
    int   size[2];
    for (const char *c = text; *c; c++)
        if (*c != ' ') *to++ = *c == 'X' ? 'x' : *c;
    *to = '\0';
    return rf_option_convert(&rf_options_pictures[0], where, text, size, trouble);
}

static rf_status check_text(const rf_axis_rule *rule, char *text, int i, const char *where,
                            rf_trouble *trouble)
{
    char at[200];
    snprintf(at, sizeof at, "%s, value %d", where, i + 1);
    if (!*text && rule->takes == RF_TAKES_TEXTS && i == 0)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "%s is what is searched for in the prompt: it cannot be empty", at);
    if (!*text && rule->takes != RF_TAKES_TEXTS)
        return rf_fail(&trouble->error, RF_E_ARG, "%s is empty", at);
    return rule->takes == RF_TAKES_SIZES ? take_size(text, at, trouble) : RF_OK;
}

static rf_status take_texts(rf_axis *axis, const rf_axis_rule *rule, const char *where,
                            const char *const *texts, int count, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    size_t    bytes = 0;
    for (int i = 0; i < count; i++) bytes += strlen(texts[i]) + 1;
    RF_TRY(allocate(axis, count, bytes, trouble));
    char *to = axis->block;
    for (int i = 0; i < count; i++) {
        bytes = strlen(texts[i]) + 1;
        memcpy(to, texts[i], bytes);
        axis->value[i] = (rf_axis_value){.text = to, .number = (double)NAN};
        RF_TRY(check_text(rule, to, i, where, trouble));
        to += bytes;
    }
done:
    return st;
}

/* ---- whole axes --------------------------------------------------------------------------- */

/* An axis of that name, without values. */
static rf_status name_axis(rf_axis *axis, const rf_axis_rule **rule, const char *flag,
                           const char *name, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *axis = (rf_axis){0};
    RF_TRY(rf_text_check(name, flag, trouble));
    RF_TRY(rf_axis_name_read(axis, rule, flag, name, trouble));
done:
    if (st != RF_OK) rf_axis_release(axis);
    return st;
}

/* Takes `axis`, which has its name, over. */
static rf_status make(rf_axis *out, rf_axis axis, const char *flag, const rf_axis_rule *rule,
                      const char *const *texts, int count, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char      where[160];
    const int numbers = rule->takes >= RF_TAKES_SEEDS;
    snprintf(where, sizeof where, "%.100s %.50s", flag, axis.name);
    if (count < 1 || count > RF_AXIS_VALUES_MAX) {
        st = rf_fail(&trouble->error, RF_E_ARG, "%s has %d values; it can have 1 to %d", where,
                     count, RF_AXIS_VALUES_MAX);
        goto done;
    }
    for (int i = 0; i < count; i++) RF_TRY(rf_text_check(texts[i], where, trouble));
    RF_TRY(numbers ? take_numbers(&axis, rule, where, texts, count, trouble)
                   : take_texts(&axis, rule, where, texts, count, trouble));
    *out = axis;
    axis = (rf_axis){0};
done:
    rf_axis_release(&axis);
    return st;
}

rf_status rf_axis_make(rf_axis *out, const char *flag, const char *name, const char *const *texts,
                       int count, rf_trouble *trouble)
{
    rf_status           st = RF_OK;
    const rf_axis_rule *rule = NULL;
    rf_axis             axis = {0};
    *out = (rf_axis){0};
    RF_TRY(name_axis(&axis, &rule, flag, name, trouble));
    RF_TRY(make(out, axis, flag, rule, texts, count, trouble));
done:
    return st;
}

static rf_status make_nothing(rf_axis *out, rf_trouble *trouble)
{
    rf_axis         axis = {.kind = RF_VARY_NOTHING, .name = ""};
    const rf_status st = allocate(&axis, 1, 1, trouble);
    if (st != RF_OK) {
        rf_axis_release(&axis);
        return st;
    }
    axis.block[0] = '\0';
    axis.value[0] = (rf_axis_value){.text = axis.block, .number = (double)NAN};
    *out = axis;
    return RF_OK;
}

rf_status rf_axis_parse(rf_axis *out, const char *flag, const char *text, rf_trouble *trouble)
{
    rf_status           st = RF_OK;
    const rf_axis_rule *rule = NULL;
    rf_axis_list        list = {0};
    rf_axis             axis = {0};
    char                name[200], where[160];
    *out = (rf_axis){0};
    if (!text) return make_nothing(out, trouble);
    RF_TRY(rf_text_check(text, flag, trouble));
    const char *colon = strchr(text, ':');
    if (!colon) {
        rf_trouble_hint(trouble, "%s \"Refiner switch at: 0-1 [11]\"", flag);
        st = rf_fail(&trouble->error, RF_E_ARG,
                     "%s: '%.80s' has no ':' between the axis and its values", flag, text);
        goto done;
    }
    snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
    RF_TRY(name_axis(&axis, &rule, flag, name, trouble));
    snprintf(where, sizeof where, "%.100s %.50s", flag, axis.name);
    const char *values = rf_axis_skip_blanks(colon + 1);
    if (!*values) {
        st = rf_fail(&trouble->error, RF_E_ARG, "%s: there are no values after the ':'", where);
        goto done;
    }
    RF_TRY(rf_axis_list_split(&list, where, values, trouble));
    const rf_axis named = axis;
    axis = (rf_axis){0};
    RF_TRY(make(out, named, flag, rule, list.item, list.count, trouble));
done:
    rf_axis_release(&axis);
    rf_axis_list_release(&list);
    return st;
}
