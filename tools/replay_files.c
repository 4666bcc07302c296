/* See replay_files.h. */
#include "tools/replay_files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A search under way. */
typedef struct finding {
    rf_replay_files        *f;
    const rf_saved_job     *saved;
    rf_job                 *job;
    rf_stage               *stages;
    const rf_replay_search *s;
} finding;

static rf_status no_memory(const finding *x)
{
    return rf_fail(&x->s->models.trouble->error, RF_E_NOMEM, "no memory for a file name");
}

/* ---- models ------------------------------------------------------------------------------- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int same_ref(rf_file_ref a, rf_file_ref b)
{
    return same_text(a.name, b.name) && same_text(a.path, b.path) &&
           same_text(a.sha256, b.sha256) && same_text(a.autov3, b.autov3);
}

static rf_status find_stage(finding *x, int stage)
{
    static const struct {
        const char *role, *flag;
    } ROLES[] = {{"base", "--base"}, {"refiner", "--refiner"}, {"expert", NULL}};
    const int             role = stage < 2 ? stage : 2;
    const rf_model_wanted wanted = {
        .role = ROLES[role].role,
        .flag = ROLES[role].flag,
        .given = stage == 0   ? x->s->given->base
                 : stage == 1 ? x->s->given->refiner
                              : NULL,
        .ref = rf_saved_job_file(x->saved, stage),
    };
    for (int i = 0; i < stage && !wanted.given; i++) {
        if (!same_ref(wanted.ref, rf_saved_job_file(x->saved, i))) continue;
        x->f->paths[stage] = strdup(x->f->paths[i]);
        return x->f->paths[stage] ? RF_OK : no_memory(x);
    }
    return rf_model_find(&x->f->paths[stage], &x->s->models, &wanted);
}

/* A file that an earlier stage has, found already; NULL: none has it. */
static const char *known_lora(const finding *x, int stage, int lora)
{
    const rf_file_ref wanted = rf_saved_job_lora(x->saved, stage, lora);
    for (int s = 0; s <= stage; s++)
        for (int i = 0; i < (s < stage ? x->stages[s].lora_count : lora); i++)
            if (same_ref(wanted, rf_saved_job_lora(x->saved, s, i))) return x->f->loras[s][i].path;
    return NULL;
}

/* What a stage's LoRAs were is told by the job; where they are now is searched. */
static rf_status find_loras(finding *x, int stage)
{
    rf_status st = RF_OK;
    rf_stage *s = &x->stages[stage];
    if (s->lora_count == 0) return RF_OK;
    rf_lora_use *uses = x->f->loras[stage] = calloc((size_t)s->lora_count, sizeof *uses);
    if (!uses) return no_memory(x);
    x->f->lora_count[stage] = s->lora_count;
    for (int i = 0; i < s->lora_count; i++) {
        const rf_model_wanted wanted = {.role = "LoRA",
                                        .ref = rf_saved_job_lora(x->saved, stage, i)};
        const char           *known = known_lora(x, stage, i);
        char                 *path = known ? strdup(known) : NULL;
        if (known && !path)
            st = no_memory(x);
        else if (!known)
            st = rf_model_find(&path, &x->s->loras, &wanted);
        RF_TRY(st);
        uses[i] = s->loras[i];
        uses[i].path = path;
    }
    s->loras = uses;
done:
    return st;
}

static rf_status find_vae(finding *x)
{
    rf_status             st = RF_OK;
    const rf_model_wanted wanted = {.role = "VAE",
                                    .flag = "--vae",
                                    .given = x->s->given->job.vae,
                                    .ref = rf_saved_job_file(x->saved, -1)};
    if (!wanted.ref.name && !wanted.ref.path && !wanted.given) return RF_OK;
    RF_TRY(rf_model_find(&x->f->vae, &x->s->models, &wanted));
    x->job->vae = x->f->vae;
done:
    return st;
}

static rf_status find_embeddings(finding *x)
{
    rf_status st = RF_OK;
    rf_job   *job = x->job;
    if (job->embedding_count == 0) return RF_OK;
    rf_embedding_use *uses = calloc((size_t)job->embedding_count, sizeof *uses);
    if (!uses) return no_memory(x);
    x->f->embeddings = uses;
    x->f->embedding_count = job->embedding_count;
    for (int i = 0; i < job->embedding_count; i++) {
        char                 *path = NULL;
        const rf_model_wanted wanted = {.role = "embedding",
                                        .ref = rf_saved_job_embedding(x->saved, i)};
        RF_TRY(rf_model_find(&path, &x->s->embeddings, &wanted));
        uses[i] = job->embeddings[i];
        uses[i].path = path;
    }
    job->embeddings = uses;
done:
    return st;
}

/* ---- pictures ----------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Where the picture was or, if it is gone from there, beside the one that is replayed. */
static const char *likely_place(const finding *x, const char *was, char beside[PATH_MAX])
{
    const char *image = x->s->image;
    if (!was || access(was, F_OK) == 0) return was;
    const int len = snprintf(beside, PATH_MAX, "%.*s%s", (int)(base_name(image) - image), image,
                             base_name(was));
    return len < PATH_MAX && access(beside, F_OK) == 0 ? beside : was;
}

static rf_status find_picture(finding *x, char **out, const char *role, const char *flag,
                              const char *given, const char *was, const char *sha256)
{
    char            beside[PATH_MAX], name[NAME_MAX + 1] = "";
    rf_model_wanted wanted = {.role = role, .flag = flag, .given = given, .is_picture = 1};
    if (!was && !sha256 && !given) {
        rf_trouble_hint(x->s->models.trouble, "%s FILE names it", flag);
        return rf_fail(&x->s->models.trouble->error, RF_E_NOT_FOUND,
                       "the picture does not say which file its %s was", role);
    }
    if (was) {
        snprintf(name, sizeof name, "%s", base_name(was));
        char *dot = strrchr(name, '.');
        if (dot) *dot = '\0';
    }
    wanted.ref = (rf_file_ref){
        .name = was ? name : NULL, .path = likely_place(x, was, beside), .sha256 = sha256};
    return rf_model_find(out, &x->s->models, &wanted);
}

static rf_status check_start(const rf_init *init, rf_error *err)
{
    if (init->resize_mode >= RF_FIT_RESIZE && init->resize_mode <= RF_FIT_FILL &&
        init->mask_blur >= 0 && init->mask_blur <= RF_MASK_BLUR_MAX)
        return RF_OK;
    return rf_fail(err, RF_E_FORMAT,
                   "the picture's job says that its init was resized in way %d, and the mask "
                   "blurred by %d: there are ways 0 to 2, and blurs up to %d",
                   init->resize_mode, init->mask_blur, RF_MASK_BLUR_MAX);
}

static rf_status find_start(finding *x)
{
    rf_status         st = RF_OK;
    rf_replay_files  *f = x->f;
    const rf_request *given = x->s->given;
    rf_error         *err = &x->s->models.trouble->error;
    if (!x->job->init) return RF_OK;
    f->init = *x->job->init;
    x->job->init = &f->init;
    RF_TRY(check_start(&f->init, err));
    if (!f->init.job) {
        RF_TRY(find_picture(x, &f->init_path, "init picture", "--init", given->start.init,
                            f->init.path, f->init.sha256));
        RF_TRY(rf_init_files_open(&f->pictures, f->init_path, err));
        f->init.path = f->init_path;
    }
    if (f->init.mask_path || f->init.mask_sha256) {
        RF_TRY(find_picture(x, &f->mask_path, "mask", "--mask", given->start.mask,
                            f->init.mask_path, f->init.mask_sha256));
        f->init.mask_path = f->mask_path;
    }
    RF_TRY(
        rf_init_files_fit(&f->pictures, &f->init, x->job->width, x->job->height, "the mask", err));
done:
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

rf_status rf_replay_files_find(rf_replay_files *files, const rf_saved_job *saved, rf_job *job,
                               rf_stage *stages, const rf_replay_search *search)
{
    rf_status st = RF_OK;
    finding   x = {files, saved, job, stages, search};
    for (int i = 0; i < job->stage_count; i++) RF_TRY(find_stage(&x, i));
    for (int i = 0; i < job->stage_count; i++) RF_TRY(find_loras(&x, i));
    RF_TRY(find_embeddings(&x));
    RF_TRY(find_vae(&x));
    RF_TRY(find_start(&x));
done:
    return st;
}

void rf_replay_files_release(rf_replay_files *f)
{
    for (int s = 0; s < RF_STAGES_MAX; s++) {
        for (int i = 0; i < f->lora_count[s]; i++) free((char *)f->loras[s][i].path);
        free(f->loras[s]);
        free(f->paths[s]);
    }
    for (int i = 0; i < f->embedding_count; i++) free((char *)f->embeddings[i].path);
    free(f->embeddings);
    free(f->vae);
    free(f->init_path);
    free(f->mask_path);
    rf_init_files_release(&f->pictures);
    *f = (rf_replay_files){.vae = NULL};
}
