/* Fields of structs as members of JSON objects, and back; see job_fields.h. */
#include "engine/relay/job_fields.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/utf8.h"

/* ---- writing ------------------------------------------------------------------------------ */

/* The fewest digits that name the float, as a double: 3.3 where (double)3.3f has 3.2999999523. */
static double as_typed(float x)
{
    char digits[32]; /* in the locale's spelling, there and back */
    for (int n = 6; n <= 9; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, (double)x);
        const double typed = strtod(digits, NULL);
        if ((float)typed == x) return typed;
    }
    return (double)x;
}

/* NULL for what JSON cannot hold, or if memory ends. */
static json_t *value_of(const rf_field *f, const void *base)
{
    const char *at = (const char *)base + f->offset;
    char        digits[24];
    double      x = 0;
    switch (f->kind) {
    case RF_FIELD_TEXT:
    case RF_FIELD_TEXT_OR_NULL: {
        const char *text = *(const char *const *)at;
        if (text) return json_string(text);
        return f->kind == RF_FIELD_TEXT ? NULL : json_null();
    }
    case RF_FIELD_INT: return json_integer(*(const int *)at);
    case RF_FIELD_INT64: return json_integer(*(const int64_t *)at);
    case RF_FIELD_FLAG: return json_boolean(*(const int *)at);
    case RF_FIELD_UINT64:
        snprintf(digits, sizeof digits, "%" PRIu64, *(const uint64_t *)at);
        return json_string(digits);
    case RF_FIELD_DOUBLE:
    case RF_FIELD_DOUBLE_OR_NAN: x = *(const double *)at; break;
    case RF_FIELD_FLOAT: x = as_typed(*(const float *)at); break;
    }
    return f->kind == RF_FIELD_DOUBLE_OR_NAN && isnan(x) ? json_null() : json_real(x);
}

/* Whether JSON can hold the field; if not, it is the caller's mistake, else memory ended. */
static int storable(const rf_field *f, const void *base)
{
    const char *at = (const char *)base + f->offset, *text;
    switch (f->kind) {
    case RF_FIELD_TEXT:
    case RF_FIELD_TEXT_OR_NULL:
        text = *(const char *const *)at;
        return text ? rf_utf8_valid(text, strlen(text)) : f->kind == RF_FIELD_TEXT_OR_NULL;
    case RF_FIELD_DOUBLE: return isfinite(*(const double *)at) != 0;
    case RF_FIELD_DOUBLE_OR_NAN: return !isinf(*(const double *)at);
    case RF_FIELD_FLOAT: return isfinite(*(const float *)at) != 0;
    default: return 1;
    }
}

static int is_zero(const rf_field *f, const void *base)
{
    const char *at = (const char *)base + f->offset;
    switch (f->kind) {
    case RF_FIELD_TEXT:
    case RF_FIELD_TEXT_OR_NULL: return !*(const char *const *)at;
    case RF_FIELD_INT:
    case RF_FIELD_FLAG: return *(const int *)at == 0;
    case RF_FIELD_INT64:
    case RF_FIELD_UINT64: return *(const uint64_t *)at == 0;
    case RF_FIELD_DOUBLE:
    case RF_FIELD_DOUBLE_OR_NAN: return *(const double *)at == 0;
    case RF_FIELD_FLOAT: return *(const float *)at == 0;
    }
    return 0;
}

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
}

rf_status rf_fields_write(json_t *object, const rf_field *f, const void *base, rf_error *err)
{
    for (; f->name; f++) {
        const int text = f->kind == RF_FIELD_TEXT || f->kind == RF_FIELD_TEXT_OR_NULL;
        if (f->optional && is_zero(f, base)) continue;
        if (!storable(f, base))
            return rf_fail(err, RF_E_ARG, "the job cannot be saved: its %s is not %s", f->name,
                           text ? "UTF-8 text" : "a finite number");
        if (json_object_set_new(object, f->name, value_of(f, base)) != 0) return no_memory(err);
    }
    return RF_OK;
}

json_t *rf_json_add(json_t *object, const char *key, json_t *made)
{
    return json_object_set_new(object, key, made) == 0 ? made : NULL;
}

rf_status rf_file_write(json_t *object, const char *key, const rf_field *fields,
                        const rf_file_ref *file, rf_error *err)
{
    json_t *made = rf_json_add(object, key, json_object());
    return made ? rf_fields_write(made, fields, file, err) : no_memory(err);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int digits_value(uint64_t *out, const char *digits)
{
    uint64_t value = 0;
    if (!*digits) return 0;
    for (; *digits; digits++) {
        const unsigned digit = (unsigned)*digits - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return 1;
}

rf_status rf_json_wrong(const rf_json_place *p, const char *name, const char *want, rf_error *err)
{
    if (p->index >= 0)
        return rf_fail(err, RF_E_FORMAT, "a saved job's %s[%d].%s is not %s", p->container,
                       p->index, name, want);
    return rf_fail(err, RF_E_FORMAT, "a saved job's %s%s%s is not %s", p->container,
                   *p->container ? "." : "", name, want);
}

static rf_status read_number(const rf_field *f, void *at, const json_t *v, const rf_json_place *p,
                             rf_error *err)
{
    if (f->kind == RF_FIELD_DOUBLE_OR_NAN && json_is_null(v)) {
        *(double *)at = NAN;
        return RF_OK;
    }
    if (!json_is_number(v)) return rf_json_wrong(p, f->name, "a number", err);
    const double x = json_number_value(v);
    if (f->kind != RF_FIELD_FLOAT) {
        *(double *)at = x;
        return RF_OK;
    }
    if (!isfinite((float)x)) return rf_json_wrong(p, f->name, "a number that a float holds", err);
    *(float *)at = (float)x;
    return RF_OK;
}

static rf_status read_field(rf_saved_job *saved, const rf_field *f, void *base, const json_t *v,
                            const rf_json_place *p, rf_error *err)
{
    char      *at = (char *)base + f->offset;
    json_int_t n;
    switch (f->kind) {
    case RF_FIELD_TEXT_OR_NULL:
        if (json_is_null(v)) {
            *(const char **)at = NULL;
            return RF_OK;
        }
        /* fall through */
    case RF_FIELD_TEXT:
        if (!json_is_string(v)) return rf_json_wrong(p, f->name, "text", err);
        return rf_saved_job_keep(saved, (const char **)at, json_string_value(v), err);
    case RF_FIELD_INT:
        n = json_is_integer(v) ? json_integer_value(v) : (json_int_t)INT_MAX + 1;
        if (n < INT_MIN || n > INT_MAX) return rf_json_wrong(p, f->name, "a whole number", err);
        *(int *)at = (int)n;
        return RF_OK;
    case RF_FIELD_INT64:
        if (!json_is_integer(v)) return rf_json_wrong(p, f->name, "a whole number", err);
        *(int64_t *)at = json_integer_value(v);
        return RF_OK;
    case RF_FIELD_UINT64:
        if (!json_is_string(v) || !digits_value((uint64_t *)at, json_string_value(v)))
            return rf_json_wrong(p, f->name, "a string of digits, at most 2^64 - 1", err);
        return RF_OK;
    case RF_FIELD_FLAG:
        if (!json_is_boolean(v)) return rf_json_wrong(p, f->name, "true or false", err);
        *(int *)at = json_is_true(v);
        return RF_OK;
    case RF_FIELD_DOUBLE:
    case RF_FIELD_DOUBLE_OR_NAN:
    case RF_FIELD_FLOAT: break;
    }
    return read_number(f, at, v, p, err);
}

rf_status rf_fields_read(rf_saved_job *saved, const json_t *object, const rf_field *fields,
                         void *base, const char *const *others, const rf_json_place *p,
                         rf_error *err)
{
    rf_status   st = RF_OK;
    const char *key;
    json_t     *value;
    /* jansson's iterators want a pointer to non-const; nothing is changed */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const rf_field *f = fields;
        while (f->name && strcmp(f->name, key) != 0) f++;
        if (f->name) {
            RF_TRY(read_field(saved, f, base, value, p, err));
            continue;
        }
        const char *const *other = others;
        while (*other && strcmp(*other, key) != 0) other++;
        if (!*other)
            RF_TRY(rf_saved_job_add_note(
                saved, err,
                "the picture's job has a field %.100s, which refinery " RF_VERSION
                " does not know and leaves out",
                key));
    }
done:
    return st;
}

rf_status rf_file_read(rf_saved_job *saved, rf_file_ref *out, const json_t *v,
                       const rf_json_place *p, rf_error *err)
{
    static const char *const none[] = {NULL};
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return rf_json_wrong(p, "file", "an object", err);
    return rf_fields_read(saved, v, rf_lora_file_fields, out, none, p, err);
}
