/* Jobs to JSON and back; see job_json.h.  Tables of a file, a LoRA, a stage and a job drive both
 * directions. */
#include "engine/relay/job_json.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/files/utf8.h"
#include "engine/relay/init_json.h"
#include "engine/relay/saved_job.h"

enum {
    SCHEMA = 1,
    STAGES_MAX = 64,
    LORAS_MAX = 256,
    JSON_BYTES_MAX = 1 << 25, /* twice what the texts of a picture may hold */
};

typedef enum kind {
    TEXT,
    TEXT_OR_NULL,
    INT,
    INT64,
    UINT64,
    DOUBLE,
    DOUBLE_OR_NAN,
    FLOAT,
    FLAG
} kind;

typedef struct field {
    const char *name;
    kind        kind;
    size_t      offset;
} field;

static const field file_fields[] = {
    {"name", TEXT_OR_NULL, offsetof(rf_file_ref, name)},
    {"path", TEXT_OR_NULL, offsetof(rf_file_ref, path)},
    {"sha256", TEXT_OR_NULL, offsetof(rf_file_ref, sha256)},
    {"autov3", TEXT_OR_NULL, offsetof(rf_file_ref, autov3)}, /* of LoRAs alone */
};

static const field lora_fields[] = {
    {"unet", DOUBLE, offsetof(rf_lora_use, unet)},
    {"text", DOUBLE, offsetof(rf_lora_use, text)},
    {"partial", FLAG, offsetof(rf_lora_use, partial)},
};

static const field stage_fields[] = {
    {"until", DOUBLE, offsetof(rf_stage, until)},
    {"prompt", TEXT_OR_NULL, offsetof(rf_stage, prompt)},
    {"negative", TEXT_OR_NULL, offsetof(rf_stage, negative)},
    {"cfg_scale", FLOAT, offsetof(rf_stage, cfg_scale)},
    {"sampler", TEXT_OR_NULL, offsetof(rf_stage, sampler)},
};

/* All of rf_job but its stages and vae, which are files, and count and batch, which are 1. */
static const field job_fields[] = {
    {"switch_by", TEXT, offsetof(rf_job, switch_by)},
    {"compat", TEXT_OR_NULL, offsetof(rf_job, compat)},
    {"sampler", TEXT, offsetof(rf_job, sampler)},
    {"schedule", TEXT, offsetof(rf_job, schedule)},
    {"sigmas", TEXT_OR_NULL, offsetof(rf_job, sigmas)},
    {"rng", TEXT, offsetof(rf_job, rng)},
    {"emphasis", TEXT, offsetof(rf_job, emphasis)},
    {"steps", INT, offsetof(rf_job, steps)},
    {"width", INT, offsetof(rf_job, width)},
    {"height", INT, offsetof(rf_job, height)},
    {"seed", UINT64, offsetof(rf_job, seed)},
    {"sigma_min", DOUBLE, offsetof(rf_job, sigma_min)},
    {"sigma_max", DOUBLE, offsetof(rf_job, sigma_max)},
    {"rho", DOUBLE, offsetof(rf_job, rho)},
    {"discard_penultimate", FLAG, offsetof(rf_job, discard_penultimate)},
    {"eta", DOUBLE_OR_NAN, offsetof(rf_job, eta)},
    {"s_churn", DOUBLE, offsetof(rf_job, s_churn)},
    {"s_tmin", DOUBLE, offsetof(rf_job, s_tmin)},
    {"s_tmax", DOUBLE, offsetof(rf_job, s_tmax)},
    {"s_noise", DOUBLE, offsetof(rf_job, s_noise)},
    {"ensd", INT64, offsetof(rf_job, ensd)},
    {"skip_early_cfg", DOUBLE, offsetof(rf_job, skip_early_cfg)},
    {"s_min_uncond", DOUBLE, offsetof(rf_job, s_min_uncond)},
    {"s_min_uncond_all", FLAG, offsetof(rf_job, s_min_uncond_all)},
    {"variation_seed", UINT64, offsetof(rf_job, variation_seed)},
    {"variation", DOUBLE, offsetof(rf_job, variation)},
    {"seed_width", INT, offsetof(rf_job, seed_width)},
    {"seed_height", INT, offsetof(rf_job, seed_height)},
    {"clip_skip", INT, offsetof(rf_job, clip_skip)},
    {"clip_l_skip", FLAG, offsetof(rf_job, clip_l_skip)},
    {"old_edits", FLAG, offsetof(rf_job, old_edits)},
    {"original_width", INT, offsetof(rf_job, original_width)},
    {"original_height", INT, offsetof(rf_job, original_height)},
    {"target_width", INT, offsetof(rf_job, target_width)},
    {"target_height", INT, offsetof(rf_job, target_height)},
    {"crop_left", INT, offsetof(rf_job, crop_left)},
    {"crop_top", INT, offsetof(rf_job, crop_top)},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MODEL_FIELDS = COUNT(file_fields) - 1, LORA_FIELDS = COUNT(file_fields) };

rf_job rf_job_of_picture(const rf_job *job, int index)
{
    rf_job one = *job;
    if (job->variation > 0) /* as in A1111 */
        one.variation_seed += (uint64_t)index;
    else
        one.seed += (uint64_t)index;
    one.count = 1;
    one.batch = 1;
    return one;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* NULL for what JSON cannot hold, or if memory ends. */
static json_t *field_value(const field *f, const void *base)
{
    const char *at = (const char *)base + f->offset;
    char        digits[24];
    double      x = 0;
    switch (f->kind) {
    case TEXT:
    case TEXT_OR_NULL: {
        const char *text = *(const char *const *)at;
        if (text) return json_string(text);
        return f->kind == TEXT ? NULL : json_null();
    }
    case INT: return json_integer(*(const int *)at);
    case INT64: return json_integer(*(const int64_t *)at);
    case FLAG: return json_boolean(*(const int *)at);
    case UINT64:
        snprintf(digits, sizeof digits, "%" PRIu64, *(const uint64_t *)at);
        return json_string(digits);
    case DOUBLE:
    case DOUBLE_OR_NAN: x = *(const double *)at; break;
    case FLOAT: x = (double)*(const float *)at; break;
    }
    return f->kind == DOUBLE_OR_NAN && isnan(x) ? json_null() : json_real(x);
}

/* Whether JSON can hold the field; if not, it is the caller's mistake, else memory ended. */
static int storable(const field *f, const void *base)
{
    const char *at = (const char *)base + f->offset, *text;
    switch (f->kind) {
    case TEXT:
    case TEXT_OR_NULL:
        text = *(const char *const *)at;
        return text ? rf_utf8_valid(text, strlen(text)) : f->kind == TEXT_OR_NULL;
    case DOUBLE: return isfinite(*(const double *)at) != 0;
    case DOUBLE_OR_NAN: return !isinf(*(const double *)at);
    case FLOAT: return isfinite(*(const float *)at) != 0;
    default: return 1;
    }
}

static rf_status write_fields(json_t *object, const field *f, size_t count, const void *base,
                              rf_error *err)
{
    for (; count > 0; f++, count--) {
        if (!storable(f, base))
            return rf_fail(err, RF_E_ARG, "the job cannot be saved: its %s is not %s", f->name,
                           f->kind == TEXT || f->kind == TEXT_OR_NULL ? "UTF-8 text"
                                                                      : "a finite number");
        if (json_object_set_new(object, f->name, field_value(f, base)) != 0)
            return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
    }
    return RF_OK;
}

/* Sets `key` of `object` to a new empty object or array, which `object` owns. */
static json_t *add_container(json_t *object, const char *key, json_t *made)
{
    return json_object_set_new(object, key, made) == 0 ? made : NULL;
}

/* The first `fields` of a file's. */
static rf_status write_file(json_t *object, const char *key, const rf_file_ref *file, size_t fields,
                            rf_error *err)
{
    json_t *made = add_container(object, key, json_object());
    if (!made) return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
    return write_fields(made, file_fields, fields, file, err);
}

static rf_status write_lora(json_t *stage, const rf_lora_use *use, const rf_file_ref *file,
                            rf_error *err)
{
    json_t   *array = json_object_get(stage, "loras");
    json_t   *lora = json_object();
    rf_status st = RF_OK;
    if (!array) array = add_container(stage, "loras", json_array());
    if (json_array_append_new(array, lora) != 0)
        return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
    RF_TRY(write_file(lora, "file", file, LORA_FIELDS, err));
    RF_TRY(write_fields(lora, lora_fields, COUNT(lora_fields), use, err));
done:
    return st;
}

static rf_status write_stage(json_t *object, const rf_stage *stage, const rf_file_ref *file,
                             const rf_file_ref *lora, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(write_file(object, "file", file, MODEL_FIELDS, err));
    RF_TRY(write_fields(object, stage_fields, COUNT(stage_fields), stage, err));
    for (int i = 0; lora && i < stage->lora_count; i++)
        if (lora[i].name) RF_TRY(write_lora(object, &stage->loras[i], &lora[i], err));
done:
    return st;
}

static rf_status write_stages(json_t *object, const rf_job *job, const rf_job_files *files,
                              rf_error *err)
{
    json_t            *array = add_container(object, "stages", json_array());
    const rf_file_ref *lora = files->lora;
    rf_status          st = RF_OK;
    for (int i = 0; i < job->stage_count && st == RF_OK; i++) {
        json_t *stage = json_object();
        if (json_array_append_new(array, stage) != 0)
            return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
        st = write_stage(stage, &job->stages[i], &files->stage[i], lora, err);
        if (lora) lora += job->stages[i].lora_count;
    }
    return st;
}

/* Into memory of ours: what is handed out is freed by free(), whatever jansson allocates with. */
static rf_status dump(char **out, const json_t *root, rf_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17);
    const size_t bytes = json_dumpb(root, NULL, 0, flags);
    char        *text = bytes ? malloc(bytes + 1) : NULL;
    if (!text) return rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
    if (json_dumpb(root, text, bytes, flags) != bytes) {
        free(text);
        return rf_fail(err, RF_E_BUG, "the JSON of a job changed its size");
    }
    text[bytes] = '\0';
    *out = text;
    return RF_OK;
}

rf_status rf_job_json(char **out, const rf_job *job, int index, const rf_job_files *files,
                      rf_error *err)
{
    rf_status    st = RF_OK;
    const rf_job one = rf_job_of_picture(job, index);
    json_t      *root = json_object();
    *out = NULL;
    if (json_object_set_new(root, "schema", json_integer(SCHEMA)) != 0 ||
        json_object_set_new(root, "refinery", json_string(RF_VERSION)) != 0 ||
        json_object_set_new(root, "dtype",
                            files->dtype ? json_string(files->dtype) : json_null()) != 0 ||
        (files->choice_table &&
         json_object_set_new(root, "choice_table", json_string(files->choice_table)) != 0)) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the JSON of a job");
        goto done;
    }
    RF_TRY(write_file(root, "vae", &files->vae, MODEL_FIELDS, err));
    RF_TRY(write_fields(root, job_fields, COUNT(job_fields), &one, err));
    if (one.init) RF_TRY(rf_init_write_json(root, one.init, err));
    RF_TRY(write_stages(root, &one, files, err));
    RF_TRY(dump(out, root, err));
done:
    json_decref(root);
    return st;
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

/* Where the field of that name would stand in messages: "stages[1].prompt". */
typedef struct place {
    const char *container; /* "" for the job itself */
    int         index;     /* -1: not an array */
} place;

static rf_status wrong(const place *p, const char *name, const char *want, rf_error *err)
{
    if (p->index >= 0)
        return rf_fail(err, RF_E_FORMAT, "a saved job's %s[%d].%s is not %s", p->container,
                       p->index, name, want);
    return rf_fail(err, RF_E_FORMAT, "a saved job's %s%s%s is not %s", p->container,
                   *p->container ? "." : "", name, want);
}

static rf_status read_number(const field *f, void *at, const json_t *v, const place *p,
                             rf_error *err)
{
    if (f->kind == DOUBLE_OR_NAN && json_is_null(v)) {
        *(double *)at = NAN;
        return RF_OK;
    }
    if (!json_is_number(v)) return wrong(p, f->name, "a number", err);
    const double x = json_number_value(v);
    if (f->kind != FLOAT) {
        *(double *)at = x;
        return RF_OK;
    }
    if (!isfinite((float)x)) return wrong(p, f->name, "a number that a float holds", err);
    *(float *)at = (float)x;
    return RF_OK;
}

static rf_status read_field(rf_saved_job *saved, const field *f, void *base, const json_t *v,
                            const place *p, rf_error *err)
{
    char      *at = (char *)base + f->offset;
    json_int_t n;
    switch (f->kind) {
    case TEXT_OR_NULL:
        if (json_is_null(v)) {
            *(const char **)at = NULL;
            return RF_OK;
        }
        /* fall through */
    case TEXT:
        if (!json_is_string(v)) return wrong(p, f->name, "text", err);
        return rf_saved_job_keep(saved, (const char **)at, json_string_value(v), err);
    case INT:
        n = json_is_integer(v) ? json_integer_value(v) : (json_int_t)INT_MAX + 1;
        if (n < INT_MIN || n > INT_MAX) return wrong(p, f->name, "a whole number", err);
        *(int *)at = (int)n;
        return RF_OK;
    case INT64:
        if (!json_is_integer(v)) return wrong(p, f->name, "a whole number", err);
        *(int64_t *)at = json_integer_value(v);
        return RF_OK;
    case UINT64:
        if (!json_is_string(v) || !digits_value((uint64_t *)at, json_string_value(v)))
            return wrong(p, f->name, "a string of digits, at most 2^64 - 1", err);
        return RF_OK;
    case FLAG:
        if (!json_is_boolean(v)) return wrong(p, f->name, "true or false", err);
        *(int *)at = json_is_true(v);
        return RF_OK;
    case DOUBLE:
    case DOUBLE_OR_NAN:
    case FLOAT: break;
    }
    return read_number(f, at, v, p, err);
}

/* Reads what `object` has of the fields; what it has besides becomes a note, unless it is one of
 * the names in `others`, a list that NULL ends. */
static rf_status read_fields(rf_saved_job *saved, const json_t *object, const field *fields,
                             size_t count, void *base, const char *const *others, const place *p,
                             rf_error *err)
{
    rf_status   st = RF_OK;
    const char *key;
    json_t     *value;
    /* jansson's iterators want a pointer to non-const; nothing is changed */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const field *f = fields;
        while (f < fields + count && strcmp(f->name, key) != 0) f++;
        if (f < fields + count) {
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

static rf_status read_file(rf_saved_job *saved, rf_file_ref *out, const json_t *v, const place *p,
                           rf_error *err)
{
    static const char *const none[] = {NULL};
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_object(v)) return wrong(p, "file", "an object", err);
    return read_fields(saved, v, file_fields, COUNT(file_fields), out, none, p, err);
}

static rf_status read_lora(rf_saved_job *saved, rf_saved_loras *l, int i, const json_t *v,
                           rf_error *err)
{
    static const char *const others[] = {"file", NULL};
    const place              p = {"loras", i};
    if (!json_is_object(v))
        return rf_fail(err, RF_E_FORMAT, "a saved job's loras[%d] is not an object", i);
    rf_status st = RF_OK;
    RF_TRY(read_file(saved, &l->file[i], json_object_get(v, "file"), &p, err));
    RF_TRY(read_fields(saved, v, lora_fields, COUNT(lora_fields), &l->use[i], others, &p, err));
    l->use[i].path = l->file[i].path;
done:
    return st;
}

static rf_status read_loras(rf_saved_job *saved, int stage, const json_t *v, const place *p,
                            rf_error *err)
{
    const size_t count = json_array_size(v);
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_array(v) || count > LORAS_MAX)
        return wrong(p, "loras", "an array of at most 256", err);
    if (count == 0) return RF_OK;
    rf_status st = RF_OK;
    RF_TRY(rf_saved_job_add_loras(saved, stage, (int)count, err));
    for (size_t i = 0; i < count; i++)
        RF_TRY(read_lora(saved, &saved->loras[stage], (int)i, json_array_get(v, i), err));
done:
    return st;
}

static rf_status read_stage(rf_saved_job *saved, int i, const json_t *v, rf_error *err)
{
    static const char *const others[] = {"file", "loras", NULL};
    const place              p = {"stages", i};
    if (!json_is_object(v))
        return rf_fail(err, RF_E_FORMAT, "a saved job's stages[%d] is not an object", i);
    rf_status st = RF_OK;
    RF_TRY(read_file(saved, &saved->file[i], json_object_get(v, "file"), &p, err));
    RF_TRY(read_fields(saved, v, stage_fields, COUNT(stage_fields), &saved->stage[i], others, &p,
                       err));
    RF_TRY(read_loras(saved, i, json_object_get(v, "loras"), &p, err));
done:
    return st;
}

static rf_status read_dtype(rf_saved_job *saved, const json_t *v, const place *p, rf_error *err)
{
    if (!v || json_is_null(v)) return RF_OK;
    if (!json_is_string(v)) return wrong(p, "dtype", "text", err);
    return rf_saved_job_keep(saved, &saved->dtype, json_string_value(v), err);
}

static rf_status read_job(rf_saved_job **out, const json_t *root, rf_error *err)
{
    static const char *const others[] = {"schema", "refinery", "dtype", "choice_table",
                                         "vae",    "stages",   "init",  NULL};
    static const place       top = {"", -1}, vae = {"vae", -1};
    rf_status                st = RF_OK;
    rf_saved_job            *saved = NULL;
    const json_t            *schema = json_object_get(root, "schema");
    const json_t            *stages = json_object_get(root, "stages");
    const size_t             count = json_array_size(stages);
    if (!json_is_integer(schema)) return wrong(&top, "schema", "a whole number", err);
    if (json_integer_value(schema) != SCHEMA)
        return rf_fail(err, RF_E_FORMAT,
                       "a saved job of schema %" JSON_INTEGER_FORMAT "; refinery " RF_VERSION
                       " reads schema %d",
                       json_integer_value(schema), SCHEMA);
    if (count < 1 || count > STAGES_MAX) return wrong(&top, "stages", "an array of 1 to 64", err);
    RF_TRY(rf_saved_job_create(&saved, (int)count, err));
    RF_TRY(read_dtype(saved, json_object_get(root, "dtype"), &top, err));
    RF_TRY(read_file(saved, &saved->vae, json_object_get(root, "vae"), &vae, err));
    RF_TRY(read_fields(saved, root, job_fields, COUNT(job_fields), &saved->job, others, &top, err));
    for (size_t i = 0; i < count; i++)
        RF_TRY(read_stage(saved, (int)i, json_array_get(stages, i), err));
    RF_TRY(rf_init_read_json(saved, json_object_get(root, "init"), err));
    saved->job.vae = saved->vae.path;
    *out = saved;
    saved = NULL;
done:
    rf_saved_job_free(saved);
    return st;
}

rf_status rf_saved_job_from_json(rf_saved_job **out, const char *json, rf_error *err)
{
    json_error_t why;
    rf_status    st;
    *out = NULL;
    const size_t bytes = strlen(json);
    if (bytes > JSON_BYTES_MAX)
        return rf_fail(err, RF_E_FORMAT, "a saved job of %zu bytes; at most %d are read", bytes,
                       JSON_BYTES_MAX);
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return rf_fail(err, RF_E_FORMAT, "a saved job is not JSON: line %d: %.200s", why.line,
                       why.text);
    st = json_is_object(root) ? read_job(out, root, err)
                              : rf_fail(err, RF_E_FORMAT, "a saved job is not a JSON object");
    json_decref(root);
    return st;
}
