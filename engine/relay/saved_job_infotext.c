/* Jobs from infotexts: rf_saved_job_from_infotext of refinery.h, by the rules of A1111's reader.
 *
 * What an infotext leaves out was at its default when the picture was made, and some defaults
 * depend on who made it: A1111 changed its switch rule in 1.9.0, Forge never did, refinery says
 * what it used.  Whatever cannot be done again here becomes a note. */
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "engine/files/infotext.h"
#include "engine/files/infotext_read.h"
#include "engine/files/utf8.h"
#include "engine/relay/job_json.h"
#include "engine/relay/saved_job.h"

enum { STAGES_MAX = 64 };

typedef struct reading {
    rf_saved_job           *saved;
    const rf_infotext_parts parts;
    rf_error               *err;
} reading;

static const char *get(const reading *r, const char *key)
{
    return rf_infotext_get(&r->parts, key);
}

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- values ------------------------------------------------------------------------------- */

/* A finite number as Python prints it.  jansson reads it whatever the locale. */
static int number_value(double *out, const char *text)
{
    json_t   *v = json_loads(text, JSON_DECODE_ANY, NULL);
    const int ok = json_is_number(v);
    if (ok) *out = json_number_value(v);
    json_decref(v);
    return ok;
}

static int digits_value(uint64_t *out, const char *text)
{
    uint64_t value = 0;
    if (!*text) return 0;
    for (; *text; text++) {
        const unsigned digit = (unsigned)*text - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return 1;
}

static int signed_value(int64_t *out, const char *text)
{
    uint64_t  n;
    const int minus = *text == '-';
    if (!digits_value(&n, text + minus) || n > INT64_MAX) return 0;
    *out = minus ? -(int64_t)n : (int64_t)n;
    return 1;
}

static int integer_value(int *out, const char *text)
{
    int64_t n;
    if (!signed_value(&n, text) || n < INT_MIN || n > INT_MAX) return 0;
    *out = (int)n;
    return 1;
}

/* Puts `text` into the member that `field` describes; 0 if it is not such a value. */
static int set_value(char *at, rf_infotext_kind kind, const char *text)
{
    double x;
    switch (kind) {
    case RF_INFOTEXT_INT: return integer_value((int *)at, text);
    case RF_INFOTEXT_INT64: return signed_value((int64_t *)at, text);
    case RF_INFOTEXT_UINT64: return digits_value((uint64_t *)at, text);
    case RF_INFOTEXT_DOUBLE: return number_value((double *)at, text);
    case RF_INFOTEXT_FLOAT:
        if (!number_value(&x, text) || !isfinite((float)x)) return 0;
        *(float *)at = (float)x;
        return 1;
    case RF_INFOTEXT_FLAG:
        if (strcmp(text, "True") != 0 && strcmp(text, "False") != 0) return 0;
        *(int *)at = *text == 'T';
        return 1;
    default: return 0;
    }
}

/* The row of the table whose value a pair of this name is; sizes come as KEY-1 and KEY-2, and
 * *half is then 0 or 1. */
static const rf_infotext_field *find_field(const char *key, int *half)
{
    const size_t n = strlen(key);
    *half = 0;
    for (size_t i = 0; i < rf_infotext_field_count; i++) {
        const rf_infotext_field *f = &rf_infotext_fields[i];
        if (f->kind != RF_INFOTEXT_SIZE) {
            if (strcmp(f->key, key) == 0) return f;
        } else if (n == strlen(f->key) + 2 && begins(key, f->key) && key[n - 2] == '-' &&
                   (key[n - 1] == '1' || key[n - 1] == '2')) {
            *half = key[n - 1] - '1';
            return f;
        }
    }
    return NULL;
}

/* ---- who made it -------------------------------------------------------------------------- */

typedef enum maker { UNKNOWN, REFINERY, A1111, FORGE } maker;

typedef struct version {
    maker maker;
    long  number[4]; /* 1.7.0-225; only of A1111 */
} version;

/* "v1.10.1", "1.8.0-RC-12", "v1.7.0-225-gabcdef", "f2.0.1v1.10.1-previous", "refinery 0.1.0" */
static version read_version(const char *text)
{
    version v = {.maker = UNKNOWN};
    if (!text) return v;
    if (begins(text, "refinery")) v.maker = REFINERY;
    if (*text == 'f' && isdigit((unsigned char)text[1])) v.maker = FORGE;
    if (*text == 'v') text++;
    if (v.maker != UNKNOWN || !isdigit((unsigned char)*text)) return v;
    for (int i = 0; i < 4; i++) {
        char *end;
        v.number[i] = strtol(text, &end, 10);
        if (i == 1) v.maker = A1111; /* two numbers at least */
        if (*end != (i < 2 ? '.' : '-') || !isdigit((unsigned char)end[1])) break;
        text = end + 1;
    }
    return v;
}

static int older(const version *v, long major, long minor, long patch, long commits)
{
    const long than[4] = {major, minor, patch, commits};
    if (v->maker != A1111) return 0;
    for (int i = 0; i < 4; i++)
        if (v->number[i] != than[i]) return v->number[i] < than[i];
    return 0;
}

/* Who switched how: the real change was in 1.9.0, where A1111's own reader says 1.8.0. */
static const char *switch_rule(const reading *r, const version *v)
{
    const char *by_steps = get(r, "Refiner switch by sampling steps");
    if (by_steps && strcmp(by_steps, "True") == 0) return "steps";
    return v->maker == FORGE || older(v, 1, 9, 0, 0) ? "steps" : "noise";
}

/* ---- names and files ---------------------------------------------------------------------- */

static rf_status keep_text(reading *r, const char **out, const char *key)
{
    const char *text = get(r, key);
    return text ? rf_saved_job_keep(r->saved, out, text, r->err) : RF_OK;
}

static int is_hash(const char *hex)
{
    const size_t n = strspn(hex, "0123456789abcdefABCDEF");
    return hex[n] == '\0' && n >= 10 && n <= 64;
}

static rf_status keep_hash(reading *r, const char **out, const char *key)
{
    const char *hex = get(r, key);
    if (!hex) return RF_OK;
    if (is_hash(hex)) return rf_saved_job_keep(r->saved, out, hex, r->err);
    return rf_saved_job_add_note(r->saved, r->err,
                                 "%s: %.100s is not a SHA-256, so the file is known by name alone",
                                 key, hex);
}

/* "animagine-xl-3.1 [e3c47aedb0]" */
static rf_status keep_title(reading *r, rf_file_ref *out, const char *title)
{
    rf_status    st = RF_OK;
    const size_t n = strlen(title);
    const char  *bracket = strrchr(title, '[');
    char        *copy = strdup(title);
    if (!copy) return rf_fail(r->err, RF_E_NOMEM, "no memory for the texts of a saved job");
    if (bracket && bracket - title >= 2 && bracket[-1] == ' ' && title[n - 1] == ']') {
        const size_t at = (size_t)(bracket - title);
        copy[n - 1] = '\0';
        if (is_hash(copy + at + 1)) {
            RF_TRY(rf_saved_job_keep(r->saved, &out->sha256, copy + at + 1, r->err));
            copy[at - 1] = '\0';
        } else {
            copy[n - 1] = ']'; /* part of the name */
        }
    }
    RF_TRY(rf_saved_job_keep(r->saved, &out->name, copy, r->err));
done:
    free(copy);
    return st;
}

/* "sdxl_vae.safetensors" without its end. */
static rf_status keep_vae(reading *r)
{
    static const char *const ends[] = {".safetensors", ".ckpt", ".pt", ".vae"};
    const char              *file = get(r, "VAE");
    if (!file) return RF_OK;
    char *copy = strdup(file);
    if (!copy) return rf_fail(r->err, RF_E_NOMEM, "no memory for the texts of a saved job");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t n = strlen(copy), tail = strlen(ends[i]);
        if (n > tail && strcmp(copy + n - tail, ends[i]) == 0) copy[n - tail] = '\0';
    }
    const rf_status st = rf_saved_job_keep(r->saved, &r->saved->vae.name, copy, r->err);
    free(copy);
    return st == RF_OK ? keep_hash(r, &r->saved->vae.sha256, "VAE hash") : st;
}

/* A number that stands in a stage. */
static rf_status stage_number(reading *r, const char *key, rf_infotext_kind kind, void *out)
{
    const char *text = get(r, key);
    if (!text || set_value(out, kind, text)) return RF_OK;
    return rf_saved_job_add_note(r->saved, r->err, "%s: \"%.100s\" is not a number: left out", key,
                                 text);
}

static rf_status read_base(reading *r)
{
    rf_status st = RF_OK;
    rf_stage *base = &r->saved->stage[0];
    base->cfg_scale = 7; /* A1111's default; old files have it anyway */
    RF_TRY(rf_saved_job_keep(r->saved, &base->prompt, r->parts.prompt, r->err));
    RF_TRY(rf_saved_job_keep(r->saved, &base->negative, r->parts.negative, r->err));
    RF_TRY(stage_number(r, "CFG scale", RF_INFOTEXT_FLOAT, &base->cfg_scale));
    RF_TRY(keep_text(r, &r->saved->file[0].name, "Model"));
    RF_TRY(keep_hash(r, &r->saved->file[0].sha256, "Model hash"));
    RF_TRY(keep_vae(r));
done:
    return st;
}

static rf_status read_refiner(reading *r, const version *v)
{
    rf_status st = RF_OK;
    const int last = r->saved->job.stage_count - 1;
    rf_stage *before = &r->saved->stage[last - 1], *stage = before + 1;
    RF_TRY(keep_title(r, &r->saved->file[last], get(r, "Refiner")));
    before->until = 0; /* a refiner without a switch point takes over at once there */
    RF_TRY(stage_number(r, "Refiner switch at", RF_INFOTEXT_DOUBLE, &before->until));
    RF_TRY(keep_text(r, &stage->prompt, "Refiner prompt"));
    RF_TRY(keep_text(r, &stage->negative, "Refiner negative prompt"));
    RF_TRY(keep_text(r, &stage->sampler, "Refiner sampler"));
    RF_TRY(stage_number(r, "Refiner CFG scale", RF_INFOTEXT_FLOAT, &stage->cfg_scale));
    r->saved->job.switch_by = switch_rule(r, v);
    RF_TRY(
        keep_text(r, &r->saved->job.switch_by, "Refiner switch by")); /* refinery's other rules */
done:
    return st;
}

/* Pairs of ours, for what A1111's keys cannot say (metadata_stages.h): "Stage 2".  0: no such pair.
 */
static int stage_of_pair(const char *key)
{
    char      *end = NULL;
    const long stage =
        begins(key, "Stage ") && isdigit((unsigned char)key[6]) ? strtol(key + 6, &end, 10) : 0;
    return stage >= 1 && stage <= STAGES_MAX && *end == '\0' ? (int)stage : 0;
}

static int count_stages(const rf_infotext_parts *parts)
{
    int count = rf_infotext_get(parts, "Refiner") ? 2 : 1;
    for (size_t i = 0; count > 1 && i < parts->count; i++)
        if (stage_of_pair(parts->pair[i].key) > count) count = stage_of_pair(parts->pair[i].key);
    return count;
}

/* In any order; what is no stage is told and left out. */
static rf_status read_stages(reading *r)
{
    for (size_t i = 0; i < r->parts.count; i++) {
        const rf_infotext_pair *pair = &r->parts.pair[i];
        const int               stage = stage_of_pair(pair->key);
        rf_error                why = {0};
        rf_status               st = RF_OK;
        if (stage == 0) continue;
        st = stage > r->saved->job.stage_count
                 ? rf_fail(&why, RF_E_FORMAT, "there is no refiner")
                 : rf_stage_json_read(r->saved, stage - 1, pair->value, &why);
        if (st == RF_E_FORMAT)
            st = rf_saved_job_add_note(r->saved, r->err, "%s is left out: %.300s", pair->key,
                                       why.message);
        else if (st != RF_OK)
            return rf_fail(r->err, st, "%s", why.message);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* ---- settings ----------------------------------------------------------------------------- */

static rf_status read_rng(reading *r, const version *v)
{
    const char *rng = get(r, "RNG");
    rf_job     *job = &r->saved->job;
    if (rng && strcasecmp(rng, "CPU") == 0) {
        job->rng = "cpu";
        return RF_OK;
    }
    job->rng = "nv";
    if ((rng && strcasecmp(rng, "NV") == 0) || v->maker == REFINERY) return RF_OK;
    return rf_saved_job_add_note(
        r->saved, r->err,
        "the noise came from the %s of the machine that made the picture; nv is used, which equals "
        "that of NVIDIA cards with as many threads as the latent has values",
        rng ? rng : "GPU");
}

static rf_status apply_version(reading *r, const version *v)
{
    rf_status   st = RF_OK;
    rf_job     *job = &r->saved->job;
    const char *sampler = get(r, "Sampler");
    const int   timesteps = sampler && (begins(sampler, "DDIM") || begins(sampler, "PLMS"));
    if (v->maker != REFINERY)
        job->compat = "a1111";
    else
        RF_TRY(keep_text(r, &job->compat, "Compatibility"));
    if (older(v, 1, 6, 0, 0) && strchr(r->parts.prompt, '[')) job->old_edits = 1;
    if (older(v, 1, 6, 0, 0) && timesteps)
        RF_TRY(rf_saved_job_add_note(
            r->saved, r->err, "A1111 before 1.6.0 padded prompts otherwise for %s", sampler));
    if (older(v, 1, 7, 0, 225))
        RF_TRY(rf_saved_job_add_note(r->saved, r->err,
                                     "A1111 before 1.7.0-225 rounded its noise table to half "
                                     "precision, which is not done here"));
done:
    return st;
}

static rf_status read_settings(reading *r, const version *v)
{
    rf_status st = RF_OK;
    rf_job   *job = &r->saved->job;
    job->sampler = "Euler"; /* A1111's oldest default, where the text has none */
    job->schedule = "Automatic";
    RF_TRY(keep_text(r, &job->sampler, "Sampler"));
    RF_TRY(keep_text(r, &job->schedule, "Schedule type"));
    const char *clip_l = get(r, "CLIP-L skip");
    job->clip_l_skip = clip_l && strcmp(clip_l, "True") == 0;
    RF_TRY(keep_text(r, &job->emphasis, "Emphasis"));
    RF_TRY(keep_text(r, &job->sigmas, "Sigmas"));
    RF_TRY(keep_text(r, &r->saved->dtype, "Precision"));
    RF_TRY(read_rng(r, v));
done:
    return st;
}

/* ---- what cannot be done ------------------------------------------------------------------ */

/* Keys that the functions above read, and such as say nothing that matters for the picture. */
static const char *const silent[] = {"CLIP-L skip",
                                     "Refiner prompt",
                                     "Refiner negative prompt",
                                     "Refiner CFG scale",
                                     "Refiner sampler",
                                     "Refiner switch by",
                                     "Refiner from step",
                                     "Compatibility",
                                     "Sigmas",
                                     "VAE from",
                                     "Precision",
                                     "Choice table",
                                     "Version",
                                     "User",
                                     "Hashes",
                                     "Civitai resources"};

static const struct {
    const char *key; /* that it begins with */
    const char *why;
} impossible[] = {
    {"Hires", "there is no hires pass"},
    {"Denoising strength", "there is no hires pass and no picture to start from"},
    {"Init image hash", "there is no picture to start from"},
    {"Mask", "there is no picture to start from"},
    {"Conditional mask weight", "there is no picture to start from"},
    {"Image CFG scale", "there is no picture to start from"},
    {"Lora hashes", "an infotext does not say which LoRAs were at work in which stage"},
    {"TI hashes", "an infotext names no files; give them with --embedding"},
    {"Hypernet", "hypernetworks are not applied"},
    {"Face restoration", "faces are not restored"},
    {"Tiling", "tiling is not done"},
    {"ControlNet", "ControlNet is not done"},
    {"Token merging", "tokens are not merged"},
    {"FP8 weight", "weights are used as they are"},
    {"Noise Schedule", "the noise table is the model's"},
};

static rf_status note_pair(reading *r, const rf_infotext_pair *pair)
{
    if (stage_of_pair(pair->key)) return RF_OK; /* read_stages */
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(pair->key, silent[i]) == 0) return RF_OK;
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
        if (begins(pair->key, impossible[i].key))
            return rf_saved_job_add_note(r->saved, r->err, "%.60s: %.160s is left out: %s",
                                         pair->key, pair->value, impossible[i].why);
    return rf_saved_job_add_note(r->saved, r->err,
                                 "%.60s: %.160s is left out: it is not known here", pair->key,
                                 pair->value);
}

/* Every pair finds its place in the job, was read above, or gets a note. */
static rf_status read_pairs(reading *r)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < r->parts.count; i++) {
        const rf_infotext_pair  *pair = &r->parts.pair[i];
        int                      half;
        const rf_infotext_field *f = find_field(pair->key, &half);
        if (!f || strcmp(pair->key, "Denoising strength") == 0) { /* the picture is not told */
            RF_TRY(note_pair(r, pair));
            continue;
        }
        const rf_infotext_kind kind = f->kind == RF_INFOTEXT_SIZE ? RF_INFOTEXT_INT : f->kind;
        char                  *at = (char *)&r->saved->job + f->offset + (size_t)half * sizeof(int);
        if (f->in_job && !set_value(at, kind, pair->value))
            RF_TRY(rf_saved_job_add_note(r->saved, r->err,
                                         "%s: \"%.100s\" is not such a value: left out", pair->key,
                                         pair->value));
    }
done:
    return st;
}

/* Tags of LoRAs are for whoever opens files; a plan without any warns of them. */
static rf_status note_tags(reading *r)
{
    if (!strstr(r->parts.prompt, "<hypernet:")) return RF_OK;
    return rf_saved_job_add_note(r->saved, r->err,
                                 "the prompt has <hypernet:...> tags, which are not applied");
}

static rf_status read_all(reading *r)
{
    rf_status     st = RF_OK;
    const version v = read_version(get(r, "Version"));
    RF_TRY(read_base(r));
    if (get(r, "Refiner")) RF_TRY(read_refiner(r, &v));
    RF_TRY(read_stages(r));
    RF_TRY(read_settings(r, &v));
    RF_TRY(read_pairs(r));
    RF_TRY(apply_version(r, &v));
    RF_TRY(note_tags(r));
done:
    return st;
}

rf_status rf_saved_job_from_infotext(rf_saved_job **out, const char *parameters, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_infotext_parts parts = {0};
    rf_saved_job     *saved = NULL;
    *out = NULL;
    if (!rf_utf8_valid(parameters, strlen(parameters)))
        return rf_fail(err, RF_E_FORMAT, "the picture's parameters are not UTF-8 text");
    RF_TRY(rf_infotext_read(&parts, parameters, err));
    if (parts.count == 0) {
        st = rf_fail(err, RF_E_FORMAT,
                     "the picture's parameters end without a line of settings (Steps: ..., "
                     "Sampler: ..., ...)");
        goto done;
    }
    RF_TRY(rf_saved_job_create(&saved, count_stages(&parts), err));
    RF_TRY(read_all(&(reading){.saved = saved, .parts = parts, .err = err}));
    *out = saved;
    saved = NULL;
done:
    rf_saved_job_free(saved);
    rf_infotext_parts_free(&parts);
    return st;
}
