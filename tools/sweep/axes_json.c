/* The axes of a JSON plan; see cells.h.  A plan is read strictly: what is not understood is
 * refused, because a typing mistake would cost hours of rendering. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/sweep/cells.h"
#include "tools/text_input.h"

static const char *const AXES[RF_AXES] = {"x", "y", "z"};

/* 1 if every member of `object` is one of names[count]; else *stranger is one that is not. */
static int only_members(json_t *object, const char *const *names, int count, const char **stranger)
{
    json_t *value = NULL;
    json_object_foreach(object, *stranger, value)
    {
        int known = 0;
        for (int i = 0; i < count; i++) known |= strcmp(names[i], *stranger) == 0;
        if (!known) return 0;
    }
    return 1;
}

/* A JSON value as one would type it; NULL if it is neither number nor string.  `number` is where
 * numbers are written. */
static const char *text_of(const json_t *value, char number[32])
{
    if (json_is_string(value)) return json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return number;
    }
    if (!json_is_real(value)) return NULL;
    snprintf(number, 32, "%.15g", json_real_value(value));
    if (!strpbrk(number, ".e")) strcat(number, ".0"); /* 1.0 is no whole number here either */
    return number;
}

static rf_status read_values(rf_axis *out, const char *flag, const char *name, json_t *values,
                             rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    const size_t count = json_array_size(values);
    char(*numbers)[32] = NULL;
    const char **texts = NULL;
    if (count < 1 || count > RF_AXIS_VALUES_MAX)
        return rf_fail(&trouble->error, RF_E_FORMAT,
                       "%s: \"values\" has %zu values; it can have 1 to %d", flag, count,
                       RF_AXIS_VALUES_MAX);
    texts = calloc(count, sizeof *texts);
    numbers = calloc(count, sizeof *numbers);
    if (!texts || !numbers) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for an axis of %zu values", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = text_of(json_array_get(values, i), numbers[i]);
        if (texts[i]) continue;
        st = rf_fail(&trouble->error, RF_E_FORMAT,
                     "%s: value %zu of \"values\" is neither a number nor a string", flag, i + 1);
        goto done;
    }
    RF_TRY(rf_axis_make(out, flag, name, texts, (int)count, trouble));
done:
    free(numbers);
    free(texts);
    return st;
}

static rf_status read_axis(rf_axis *out, const char *flag, json_t *axis, rf_trouble *trouble)
{
    static const char *const MEMBERS[] = {"axis", "values"};
    const char              *stranger = NULL;
    rf_error                *err = &trouble->error;
    if (!json_is_object(axis)) {
        rf_trouble_hint(trouble, "{\"axis\": \"Seed\", \"values\": [1, 2, \"5-9\"]}");
        return rf_fail(err, RF_E_FORMAT, "%s is no object with \"axis\" and \"values\"", flag);
    }
    if (!only_members(axis, MEMBERS, 2, &stranger))
        return rf_fail(err, RF_E_FORMAT,
                       "%s: there is no member \"%.80s\"; expected \"axis\" and \"values\"", flag,
                       stranger);
    const char *name = json_string_value(json_object_get(axis, "axis"));
    json_t     *values = json_object_get(axis, "values");
    if (!name)
        return rf_fail(err, RF_E_FORMAT, "%s: \"axis\" must be the name of an axis, in quotes",
                       flag);
    if (!json_is_array(values))
        return rf_fail(err, RF_E_FORMAT, "%s: \"values\" must be an array of numbers and strings",
                       flag);
    return read_values(out, flag, name, values, trouble);
}

static rf_status read_plan(rf_axis out[RF_AXES], const char *path, json_t *plan,
                           rf_trouble *trouble)
{
    rf_status   st = RF_OK;
    const char *stranger = NULL;
    char        flag[80];
    if (!json_is_object(plan) || json_object_size(plan) == 0) {
        rf_trouble_hint(trouble, "{\"x\": {\"axis\": \"Seed\", \"values\": [1, 2]}}");
        return rf_fail(&trouble->error, RF_E_FORMAT,
                       "%s: expected an object with the axes \"x\", \"y\" and \"z\"", path);
    }
    if (!only_members(plan, AXES, RF_AXES, &stranger))
        return rf_fail(&trouble->error, RF_E_FORMAT,
                       "%s: there is no member \"%.80s\"; expected \"x\", \"y\" and \"z\"", path,
                       stranger);
    for (int i = 0; i < RF_AXES; i++) {
        json_t *axis = json_object_get(plan, AXES[i]);
        snprintf(flag, sizeof flag, "%.60s: \"%s\"", path, AXES[i]);
        if (axis)
            RF_TRY(read_axis(&out[i], flag, axis, trouble));
        else
            RF_TRY(rf_axis_parse(&out[i], flag, NULL, trouble));
    }
done:
    return st;
}

rf_status rf_axes_from_text(rf_axis out[RF_AXES], const char *path, const char *text,
                            rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    json_error_t where;
    json_t      *plan = NULL;
    memset(out, 0, RF_AXES * sizeof *out);
    plan = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!plan) {
        st = rf_fail(&trouble->error, RF_E_FORMAT, "%s: line %d: this is not JSON: %s", path,
                     where.line, where.text);
        goto done;
    }
    RF_TRY(read_plan(out, path, plan, trouble));
done:
    json_decref(plan);
    if (st == RF_OK) return RF_OK;
    for (int i = 0; i < RF_AXES; i++) rf_axis_release(&out[i]);
    if (st == RF_E_ARG) st = trouble->error.status = RF_E_FORMAT; /* the file's fault, no flag's */
    return st;
}

rf_status rf_axes_from_json(rf_axis out[RF_AXES], const char *path, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char     *text = NULL;
    memset(out, 0, RF_AXES * sizeof *out);
    st = rf_prompt_read(&text, path, "plan", 0, trouble);
    if (st == RF_E_ARG) st = trouble->error.status = RF_E_FORMAT;
    if (st == RF_OK) st = rf_axes_from_text(out, path, text, trouble);
    free(text);
    return st;
}
