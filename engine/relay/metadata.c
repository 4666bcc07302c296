/* What a picture's metadata says: A1111's keys where A1111 has one, behind them what only a relay
 * has, and the whole job as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"
#include "engine/relay/job_json.h"
#include "engine/relay/metadata_stages.h"
#include "engine/relay/plan.h"

enum { EXTRA_MAX = 20 + RF_STAGE_PAIRS, AUTOV3_DIGITS = 12 };

/* The extra pairs of one picture, with room for numbers printed on the way. */
typedef struct extras {
    rf_infotext_pair pair[EXTRA_MAX];
    size_t           count;
    char             number[RF_NUMBER_BYTES];
    char             switch_step[24];
    char             choice_table[24]; /* "sm90 0123456789" */
    char             mask_blur[12];
    char            *loras;      /* to be freed ... */
    char            *inversions; /* ... and this */
    rf_stage_pairs   stages;
} extras;

static void add(extras *x, const char *key, const char *value)
{
    if (x->count < EXTRA_MAX) x->pair[x->count++] = (rf_infotext_pair){.key = key, .value = value};
}

const char *rf_metadata_hash(const rf_engine *engine, rf_file_hash *hash, const char *name)
{
    rf_error err = {0};
    if (rf_file_hash_wait(hash, NULL, NULL, &err) == RF_OK) return hash->hex;
    if (!hash->told)
        rf_warn(engine, "the metadata will not have the hash of %s: %s", name, err.message);
    hash->told = 1;
    return NULL;
}

static const char *hash_of(rf_expert *e)
{
    return rf_metadata_hash(e->engine, e->hash, e->name);
}

/* The job of one picture with the first stage's numbers, but for those that its sampler does not
 * read: A1111 shows none of them. */
static rf_job shown_job(const rf_plan_job *j, int index)
{
    rf_job                 job = rf_job_of_picture(&j->job, index);
    const rf_job           usual = rf_job_default();
    const rf_course_stage *first = &j->course.stage[j->active[0]];
    const unsigned         flags = first->sampler->flags;
    if (first->clip_skip) job.clip_skip = first->clip_skip;
    job.eta = first->settings.eta;
    job.s_churn = first->settings.s_churn;
    job.s_tmin = first->settings.s_tmin;
    job.s_tmax = first->settings.s_tmax;
    job.s_noise = first->settings.s_noise;
    if (!(flags & RF_SAMPLER_ANCESTRAL)) job.eta = usual.eta;
    if (!(flags & RF_SAMPLER_CHURN)) {
        job.s_churn = usual.s_churn;
        job.s_tmin = usual.s_tmin;
        job.s_tmax = usual.s_tmax;
    }
    if (!(flags & RF_SAMPLER_ENSD) || job.eta == 0) job.ensd = 0;
    return job;
}

const char *rf_metadata_negative(const rf_plan_job *j, int stage)
{
    const rf_course *c = &j->course;
    return j->negative_weighs[stage] ? c->set[c->stage[stage].set].text[RF_NEGATIVE] : "";
}

/* What a refiner without CFG of its own goes on with. */
static float cfg_at_end(const rf_course_stage *s)
{
    const float end = s->cfg + s->cfg_ramp;
    return s->cfg_ramp == 0 || end > 0 ? end : 0;
}

static void add_refiner(const rf_plan_job *j, extras *x, rf_infotext *info, int base, int refiner)
{
    const rf_course       *c = &j->course;
    const rf_course_stage *from = &c->stage[base], *to = &c->stage[refiner];
    rf_expert             *expert = j->job.stages[refiner].expert;
    info->refiner = expert->name;
    info->refiner_hash = hash_of(expert);
    info->refiner_switch_at = c->until[refiner - 1];
    info->switch_by_steps = c->rule == RF_SWITCH_STEPS;
    if (!c->adaptive) {
        snprintf(x->switch_step, sizeof x->switch_step, "%d", to->first_step + 1); /* from 1 */
        add(x, "Refiner from step", x->switch_step);
    }
    if (c->rule != RF_SWITCH_STEPS && c->rule != RF_SWITCH_NOISE)
        add(x, "Refiner switch by", rf_switch_rule_name(c->rule));
    if (strcmp(c->set[to->set].text[RF_POSITIVE], c->set[from->set].text[RF_POSITIVE]) != 0)
        add(x, "Refiner prompt", c->set[to->set].text[RF_POSITIVE]);
    if (*rf_metadata_negative(j, base) && *rf_metadata_negative(j, refiner) &&
        strcmp(rf_metadata_negative(j, refiner), rf_metadata_negative(j, base)) != 0)
        add(x, "Refiner negative prompt", rf_metadata_negative(j, refiner));
    if (to->cfg != cfg_at_end(from))
        add(x, "Refiner CFG scale", rf_number_text(x->number, (double)to->cfg, 1));
    if (to->sampler != from->sampler) add(x, "Refiner sampler", to->sampler->id.name);
}

/* A1111 shows the schedule that was used, but "Automatic" where that is the sampler's own uniform
 * one. */
static const char *schedule_shown(const rf_plan_job *j)
{
    const char *name = rf_schedule_name(j->course.schedule);
    const int   automatic = strcasecmp(j->job.schedule, "automatic") == 0;
    return automatic && strcmp(name, "Uniform") == 0 ? "Automatic" : name;
}

/* ---- LoRAs -------------------------------------------------------------------------------- */

static int loras_of(const rf_plan_job *j)
{
    int count = 0;
    for (int i = 0; i < j->course.stages; i++) count += j->job.stages[i].lora_count;
    return count;
}

/* Whether one before it is the same file, which every expert opens for itself. */
static int is_told(const rf_plan_job *j, int lora)
{
    const rf_opened_lora *b = j->lora[lora].file;
    for (int i = 0; i < lora; i++) {
        const rf_opened_lora *a = j->lora[i].file;
        if (a && a->info.st_dev == b->info.st_dev && a->info.st_ino == b->info.st_ino) return 1;
    }
    return 0;
}

/* Without what would end it in an infotext. */
static size_t put_name(char *to, const char *name)
{
    size_t bytes = 0;
    for (; *name; name++)
        if (*name != ',' && *name != ':') to[bytes++] = *name;
    return bytes;
}

/* "a: 0123456789ab, b: 0123456789ab" in A1111's spelling, which has no commas and colons in names.
 */
static rf_status add_loras(const rf_plan *p, const rf_plan_job *j, extras *x, rf_error *err)
{
    const int count = loras_of(j);
    size_t    bytes = 1, at = 0;
    for (int i = 0; i < count; i++)
        if (j->lora[i].file) bytes += strlen(j->lora[i].file->name) + AUTOV3_DIGITS + 4;
    if (bytes == 1) return RF_OK;
    x->loras = malloc(bytes);
    if (!x->loras) return rf_fail(err, RF_E_NOMEM, "metadata: out of memory");
    for (int i = 0; i < count; i++) {
        rf_opened_lora *l = j->lora[i].file;
        const char     *hex =
            l && !is_told(j, i) ? rf_metadata_hash(p->engine, &l->body, l->name) : NULL;
        if (!hex) continue;
        if (at) x->loras[at++] = ',', x->loras[at++] = ' ';
        at += put_name(x->loras + at, l->name);
        at += (size_t)snprintf(x->loras + at, bytes - at, ": %.*s", AUTOV3_DIGITS, hex);
    }
    x->loras[at] = '\0';
    if (at) add(x, "Lora hashes", x->loras);
    return RF_OK;
}

/* "a: 0123456789ab", likewise, of the job's embeddings. */
static rf_status add_inversions(const rf_plan *p, const rf_plan_job *j, extras *x, rf_error *err)
{
    size_t bytes = 1, at = 0;
    for (int i = 0; i < j->job.embedding_count; i++) {
        const rf_embedding_use *use = &j->job.embeddings[i];
        bytes += strlen(use->name ? use->name : use->path) + AUTOV3_DIGITS + 4;
    }
    if (bytes == 1) return RF_OK;
    x->inversions = malloc(bytes);
    if (!x->inversions) return rf_fail(err, RF_E_NOMEM, "metadata: out of memory");
    for (int i = 0; i < j->job.embedding_count; i++) {
        const rf_embedding_use    *use = &j->job.embeddings[i];
        const rf_inversion_source *source = rf_inversions_find(&p->inversions, use->path);
        if (at) x->inversions[at++] = ',', x->inversions[at++] = ' ';
        at += put_name(x->inversions + at, use->name ? use->name : source->stem);
        at += (size_t)snprintf(x->inversions + at, bytes - at, ": %.*s", AUTOV3_DIGITS,
                               source->sha256);
    }
    add(x, "TI hashes", x->inversions);
    return RF_OK;
}

/* Of all embeddings; NULL: there is none. */
static rf_status list_inversions(const rf_plan *p, const rf_plan_job *j, rf_file_ref **out,
                                 rf_error *err)
{
    const int count = j->job.embedding_count;
    *out = NULL;
    if (count == 0) return RF_OK;
    rf_file_ref *file = calloc((size_t)count, sizeof *file);
    if (!file) return rf_fail(err, RF_E_NOMEM, "metadata: out of memory");
    for (int i = 0; i < count; i++) {
        const rf_inversion_source *s =
            rf_inversions_find(&p->inversions, j->job.embeddings[i].path);
        file[i] = (rf_file_ref){.name = s->stem, .path = s->path, .sha256 = s->sha256};
    }
    *out = file;
    return RF_OK;
}

/* Of all stages; NULL: none has any. */
static rf_status list_loras(const rf_plan *p, const rf_plan_job *j, rf_file_ref **out,
                            rf_error *err)
{
    const int count = loras_of(j);
    *out = NULL;
    if (count == 0) return RF_OK;
    rf_file_ref *file = calloc((size_t)count, sizeof *file);
    if (!file) return rf_fail(err, RF_E_NOMEM, "metadata: out of memory");
    for (int i = 0; i < count; i++) {
        rf_opened_lora *l = j->lora[i].file;
        if (l)
            file[i] = (rf_file_ref){.name = l->name,
                                    .path = l->path,
                                    .sha256 = rf_metadata_hash(p->engine, &l->hash, l->name),
                                    .autov3 = rf_metadata_hash(p->engine, &l->body, l->name)};
    }
    *out = file;
    return RF_OK;
}

/* A1111's words.  Only a mask that is known to be a file's tells of them. */
static void add_mask(const rf_job *job, extras *x)
{
    const rf_init *init = job->init;
    if (!init || !init->mask) return;
    snprintf(x->mask_blur, sizeof x->mask_blur, "%d", init->mask_blur);
    if (init->mask_blur) add(x, "Mask blur", x->mask_blur);
    if (init->mask_inverted) add(x, "Mask mode", "Inpaint not masked");
}

/* ---- a picture ---------------------------------------------------------------------------- */

rf_status rf_plan_infotext(rf_plan *p, rf_picture picture, char **out, rf_error *err)
{
    const rf_plan_job     *j = &p->job[picture.job];
    const rf_plan_vae     *vae = &p->vae[j->vae];
    const int              base = j->active[0], last = j->active[j->active_count - 1];
    const rf_course_stage *first = &j->course.stage[base];
    const rf_job           job = shown_job(j, picture.index);
    extras                 x = {.count = 0};
    rf_infotext            info = {
                   .job = &job,
                   .prompt = j->course.set[first->set].text[RF_POSITIVE],
                   .negative = rf_metadata_negative(j, base),
                   .sampler = first->sampler->id.name,
                   .schedule = schedule_shown(j),
                   .cfg_scale = first->cfg,
                   .model = j->job.stages[base].expert->name,
                   .model_hash = hash_of(j->job.stages[base].expert),
                   .rng = rf_noise_source_name(j->noise),
                   .emphasis = rf_emphasis_name(j->course.emphasis),
                   .timestep_sampler = (first->sampler->flags & RF_SAMPLER_TIMESTEPS) != 0,
                   .version = "refinery " RF_VERSION,
    };
    if (job.init) info.denoise = job.init->denoise;
    add_mask(&job, &x);
    if (vae->separate) {
        info.vae = vae->expert->name;
        info.vae_hash = hash_of(vae->expert);
    }
    if (last != base) add_refiner(j, &x, &info, base, last);
    rf_status st = RF_OK;
    RF_TRY(rf_stage_pairs_write(&x.stages, j, err));
    for (int i = 0; i < x.stages.count; i++) add(&x, x.stages.key[i], x.stages.value[i]);
    RF_TRY(add_loras(p, j, &x, err));
    RF_TRY(add_inversions(p, j, &x, err));
    if (j->job.clip_l_skip) add(&x, "CLIP-L skip", "True"); /* "Clip skip" is heeded */
    if (j->job.compat) add(&x, "Compatibility", j->job.compat);
    if (j->job.sigmas) add(&x, "Sigmas", j->job.sigmas);
    add(&x, "VAE from", vae->expert->name);
    add(&x, "Precision", rf_dtype_name(p->engine->dtype));
    if (p->engine->device.choices_hash) { /* a GPU: the JSON has all digits */
        snprintf(x.choice_table, sizeof x.choice_table, "%s %.10s",
                 p->engine->device.choices->device_class, p->engine->device.choices_hash);
        add(&x, "Choice table", x.choice_table);
    }
    info.extra = x.pair;
    info.extra_count = x.count;
    st = rf_infotext_build(out, &info, err);
done:
    rf_stage_pairs_free(&x.stages);
    free(x.loras);
    free(x.inversions);
    return st;
}

rf_status rf_plan_job_json(rf_plan *p, rf_picture picture, char **out, rf_error *err)
{
    const rf_plan_job *j = &p->job[picture.job];
    const rf_plan_vae *vae = &p->vae[j->vae];
    rf_file_ref       *file = calloc((size_t)j->course.stages, sizeof *file);
    if (!file) return rf_fail(err, RF_E_NOMEM, "metadata: out of memory");
    rf_job_files files = {.stage = file,
                          .dtype = rf_dtype_name(p->engine->dtype),
                          .choice_table = p->engine->device.choices_hash};
    rf_file_ref *lora = NULL;
    rf_file_ref *inversion = NULL;
    rf_status    st = list_loras(p, j, &lora, err);
    if (st == RF_OK) st = list_inversions(p, j, &inversion, err);
    files.lora = lora;
    files.embedding = inversion;
    for (int i = 0; i < j->course.stages; i++) {
        const rf_expert *e = j->job.stages[i].expert;
        file[i] = (rf_file_ref){
            .name = e->name, .path = e->path, .prediction = rf_expert_told_prediction(e)};
    }
    for (int i = 0; i < j->active_count; i++) /* of the others nobody asked for a hash */
        file[j->active[i]].sha256 = hash_of(j->job.stages[j->active[i]].expert);
    if (vae->separate)
        files.vae = (rf_file_ref){.name = vae->expert->name,
                                  /* of a vae folder the file in it, which is what the hash is of */
                                  .path = rf_model_file_list(vae->expert->file)->path,
                                  .sha256 = hash_of(vae->expert)};
    if (st == RF_OK) st = rf_job_json(out, &j->job, picture.index, &files, err);
    free(inversion);
    free(lora);
    free(file);
    return st;
}
