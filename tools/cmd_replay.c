/* `refinery replay IMAGE`: renders a picture again from what it says about itself.
 *
 * The chunk `refinery` holds the whole job and wins; else A1111's infotext is read, and what it
 * cannot tell is said.  Model files are found by hash (find_model.h), so that "again" means the
 * same files: with them, on the same device, the bytes are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cache_path.h"
#include "tools/find_model.h"
#include "tools/rendering.h"

#define AT(member) .offset = offsetof(rf_request, member)

static const rf_option FILES[] = {
    {.name = "base",
     .letter = 'm',
     .kind = RF_OPTION_INPUT,
     AT(base),
     .value = "FILE",
     .help = "the first expert; else it is searched",
     .group = "Files",
     .aliases = "model ckpt checkpoint",
     .extension = "safetensors"},
    {.name = "refiner",
     .letter = 'r',
     .kind = RF_OPTION_INPUT,
     AT(refiner),
     .value = "FILE",
     .help = "the second expert; else it is searched",
     .group = "Files",
     .aliases = "refiner-checkpoint refiner-model",
     .extension = "safetensors"},
    {.name = "vae",
     .kind = RF_OPTION_INPUT,
     AT(job.vae),
     .value = "FILE",
     .help = "a VAE of its own; else it is searched",
     .group = "Files",
     .aliases = "sd-vae",
     .extension = "safetensors"},
    {.name = "models",
     .kind = RF_OPTION_FOLDERS,
     AT(models),
     .value = "DIR",
     .help = "searched for the files; may be given several times",
     .group = "Files",
     .aliases = "models-dir ckpt-dir"},
    {.name = "lora-dir",
     .kind = RF_OPTION_FOLDERS,
     AT(lora_folders),
     .value = "DIR",
     .help = "likewise for LoRAs, which --models finds too",
     .group = "Files",
     .aliases = "lora-model-dir lora-folder"},
    {.name = "embedding-dir",
     .kind = RF_OPTION_FOLDERS,
     AT(embedding_folders),
     .value = "DIR",
     .help = "likewise for embeddings",
     .group = "Files",
     .aliases = "embeddings-dir embd-dir"},
    {.name = "any-model",
     .kind = RF_OPTION_FLAG,
     AT(any_model),
     .help = "take files of another hash, with a warning",
     .group = "Files"},
    {.name = NULL},
};
static const rf_option COMMON[] = {RF_COMMON_OPTIONS(rf_request, RF_PLACE_HELP)};

static const rf_option *const OPTIONS[] = {
    FILES, rf_options_output, rf_options_preview, rf_options_machine, COMMON, rf_options_profile,
    NULL};

typedef struct replay {
    rf_rendering      r;
    rf_request       *q;
    const char       *image;
    rf_picture_texts *texts;
    rf_saved_job     *saved;
    int               from_infotext;
    char             *paths[RF_STAGES_MAX], *vae;
    rf_lora_use      *loras[RF_STAGES_MAX]; /* the stages' own, with paths to be freed */
    rf_embedding_use *embeddings;           /* the job's, likewise */
    char             *output;               /* the default name; NULL: --output */
    char             *hash_cache;
} replay;

/* ---- the job ------------------------------------------------------------------------------ */

static rf_status read_job(replay *p)
{
    rf_status st = RF_OK;
    rf_error *err = &p->r.in->trouble.error;
    RF_TRY(rf_picture_texts_read(&p->texts, p->image, err));
    const char *json = rf_picture_texts_get(p->texts, "refinery");
    const char *infotext = rf_picture_texts_get(p->texts, "parameters");
    if (json)
        RF_TRY(rf_saved_job_from_json(&p->saved, json, err));
    else if (infotext)
        RF_TRY(rf_saved_job_from_infotext(&p->saved, infotext, err));
    else
        st = rf_fail(err, RF_E_FORMAT,
                     "%.400s does not say how it was made: it has neither the "
                     "text 'refinery' nor 'parameters'",
                     p->image);
    RF_TRY(st);
    p->from_infotext = !json;
    if (rf_saved_job_get(p->saved)->stage_count > RF_STAGES_MAX)
        st = rf_fail(err, RF_E_FORMAT, "%.400s: a job of more than %d stages", p->image,
                     RF_STAGES_MAX);
done:
    return st;
}

/* An infotext tells of LoRAs by its tags alone. */
static int reads_tags(const replay *p)
{
    return p->from_infotext && p->q->lora_folders.count > 0;
}

static void tell_notes(replay *p)
{
    char        text[500];
    const char *note = NULL;
    for (int i = 0; (note = rf_saved_job_note(p->saved, i)); i++) {
        snprintf(text, sizeof text, "not honoured: %.400s", note);
        if (reads_tags(p) && strncmp(note, "Lora hashes", strlen("Lora hashes")) == 0)
            snprintf(text, sizeof text,
                     "LoRAs are taken by their names in the prompt: their "
                     "hashes are not compared");
        rf_rendering_warn(&p->r, text);
    }
}

/* ---- files -------------------------------------------------------------------------------- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int same_ref(rf_file_ref a, rf_file_ref b)
{
    return same_text(a.name, b.name) && same_text(a.path, b.path) &&
           same_text(a.sha256, b.sha256) && same_text(a.autov3, b.autov3);
}

static rf_status find_stage(replay *p, const rf_model_search *search, int stage)
{
    static const struct {
        const char *role, *flag;
    } ROLES[] = {{"base", "--base"}, {"refiner", "--refiner"}, {"expert", NULL}};
    const int             role = stage < 2 ? stage : 2;
    const rf_model_wanted wanted = {
        .role = ROLES[role].role,
        .flag = ROLES[role].flag,
        .given = stage == 0   ? p->q->base
                 : stage == 1 ? p->q->refiner
                              : NULL,
        .ref = rf_saved_job_file(p->saved, stage),
    };
    for (int i = 0; i < stage && !wanted.given; i++) {
        if (!same_ref(wanted.ref, rf_saved_job_file(p->saved, i))) continue;
        p->paths[stage] = strdup(p->paths[i]);
        if (p->paths[stage]) return RF_OK;
        return rf_fail(&search->trouble->error, RF_E_NOMEM, "no memory for a file name");
    }
    return rf_model_find(&p->paths[stage], search, &wanted);
}

/* A file that an earlier stage has, found already; NULL: none has it. */
static const char *known_lora(const replay *p, int stage, int lora)
{
    const rf_file_ref wanted = rf_saved_job_lora(p->saved, stage, lora);
    for (int s = 0; s <= stage; s++)
        for (int i = 0; i < (s < stage ? p->r.job.stages[s].lora_count : lora); i++)
            if (same_ref(wanted, rf_saved_job_lora(p->saved, s, i))) return p->loras[s][i].path;
    return NULL;
}

/* What a stage's LoRAs were is told by the job; where they are now is searched. */
static rf_status find_loras(replay *p, const rf_model_search *search, int stage)
{
    rf_status st = RF_OK;
    rf_stage *s = &p->r.stages[stage];
    if (s->lora_count == 0) return RF_OK;
    rf_lora_use *uses = p->loras[stage] = calloc((size_t)s->lora_count, sizeof *uses);
    if (!uses) return rf_fail(&search->trouble->error, RF_E_NOMEM, "no memory for LoRAs");
    for (int i = 0; i < s->lora_count; i++) {
        const rf_model_wanted wanted = {.role = "LoRA",
                                        .ref = rf_saved_job_lora(p->saved, stage, i)};
        const char           *known = known_lora(p, stage, i);
        char                 *path = known ? strdup(known) : NULL;
        if (known && !path)
            st = rf_fail(&search->trouble->error, RF_E_NOMEM, "no memory for a file name");
        else if (!known)
            st = rf_model_find(&path, search, &wanted);
        RF_TRY(st);
        uses[i] = s->loras[i];
        uses[i].path = path;
    }
    s->loras = uses;
done:
    return st;
}

static void free_loras(replay *p)
{
    for (int s = 0; s < RF_STAGES_MAX; s++) {
        for (int i = 0; p->loras[s] && i < p->r.stages[s].lora_count; i++)
            free((char *)p->loras[s][i].path);
        free(p->loras[s]);
    }
}

static rf_status find_embeddings(replay *p, const rf_model_search *search)
{
    rf_status st = RF_OK;
    rf_job   *job = &p->r.job;
    if (job->embedding_count == 0) return RF_OK;
    p->embeddings = calloc((size_t)job->embedding_count, sizeof *p->embeddings);
    if (!p->embeddings)
        return rf_fail(&search->trouble->error, RF_E_NOMEM, "no memory for embeddings");
    for (int i = 0; i < job->embedding_count; i++) {
        char                 *path = NULL;
        const rf_model_wanted wanted = {.role = "embedding",
                                        .ref = rf_saved_job_embedding(p->saved, i)};
        RF_TRY(rf_model_find(&path, search, &wanted));
        p->embeddings[i] = job->embeddings[i];
        p->embeddings[i].path = path;
    }
    job->embeddings = p->embeddings;
done:
    return st;
}

static void free_embeddings(replay *p)
{
    for (int i = 0; p->embeddings && i < p->r.job.embedding_count; i++)
        free((char *)p->embeddings[i].path);
    free(p->embeddings);
}

/* A folder that is not there is a mistyped one. */
static rf_status check_folders(const replay *p)
{
    const struct {
        const char     *flag;
        const rf_texts *texts;
    } options[] = {{"--models", &p->q->models},
                   {"--lora-dir", &p->q->lora_folders},
                   {"--embedding-dir", &p->q->embedding_folders}};
    struct stat info;
    for (size_t k = 0; k < sizeof options / sizeof *options; k++)
        for (int i = 0; i < options[k].texts->count; i++) {
            const char *folder = options[k].texts->item[i];
            if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) continue;
            return rf_fail(&p->r.in->trouble.error, RF_E_NOT_FOUND, "%s %.400s: no such folder",
                           options[k].flag, folder);
        }
    return RF_OK;
}

static rf_status find_files(replay *p)
{
    rf_status         st = RF_OK;
    const rf_file_ref vae = rf_saved_job_file(p->saved, -1);
    p->hash_cache = rf_cache_path_sha256();
    const rf_model_search search = {
        .folders = &p->q->models,
        .hash_cache = p->hash_cache,
        .any_model = p->q->any_model,
        .warn = rf_rendering_warn,
        .user = &p->r,
        .trouble = &p->r.in->trouble,
    };
    rf_model_search lora_search = search;
    lora_search.folders = &p->q->lora_folders;
    lora_search.more = &p->q->models;
    for (int i = 0; i < p->r.job.stage_count; i++) RF_TRY(find_stage(p, &search, i));
    for (int i = 0; i < p->r.job.stage_count; i++) RF_TRY(find_loras(p, &lora_search, i));
    lora_search.folders = &p->q->embedding_folders;
    RF_TRY(find_embeddings(p, &lora_search));
    if (p->q->refiner && p->r.job.stage_count < 2)
        rf_rendering_warn(&p->r, "--refiner has no effect: the picture was made by one expert");
    if (vae.name || vae.path || p->q->job.vae) {
        const rf_model_wanted wanted = {"VAE", "--vae", p->q->job.vae, vae};
        RF_TRY(rf_model_find(&p->vae, &search, &wanted));
        p->r.job.vae = p->vae;
    }
done:
    return st;
}

/* ---- output ------------------------------------------------------------------------------- */

/* picture.png -> picture-replay.png, whatever the picture's format. */
static rf_status default_output(replay *p)
{
    const char  *slash = strrchr(p->image, '/');
    const char  *dot = strrchr(slash ? slash : p->image, '.');
    const size_t stem = dot && dot != p->image ? (size_t)(dot - p->image) : strlen(p->image);
    const size_t bytes = stem + sizeof "-replay.png";
    p->output = malloc(bytes);
    if (!p->output)
        return rf_fail(&p->r.in->trouble.error, RF_E_NOMEM, "no memory for a file name");
    snprintf(p->output, bytes, "%.*s-replay.png", (int)stem, p->image);
    return RF_OK;
}

static rf_status prepare_output(replay *p)
{
    rf_status st = RF_OK;
    if (!p->q->output) RF_TRY(default_output(p));
    const rf_input          inputs[] = {{"IMAGE", p->image},
                                        {"--base", p->q->base},
                                        {"--refiner", p->q->refiner},
                                        {"--vae", p->q->job.vae},
                                        {NULL, NULL}};
    const rf_output_request outputs = {
        .pattern = p->q->output ? p->q->output : p->output,
        .literal = !p->q->output,
        .count = 1,
        .seed = (int64_t)p->r.job.seed,
        .overwrite = p->q->overwrite,
        .trace = p->q->trace,
        .previews = p->q->job.preview_every || p->q->job.preview_vae,
        .inputs = inputs,
    };
    RF_TRY(rf_outputs_prepare(&p->r.outputs, &outputs, &p->r.in->trouble));
done:
    return st;
}

static rf_status run_replay(rf_invocation *in)
{
    rf_status   st = RF_OK;
    const char *predictions[RF_STAGES_MAX] = {NULL};
    replay      p = {.r = {.in = in}, .q = in->values, .image = in->args.operands[0]};
    RF_TRY(check_folders(&p));
    RF_TRY(read_job(&p));
    rf_rendering_begin(&p.r, in, p.q, rf_saved_job_get(p.saved));
    tell_notes(&p);
    RF_TRY(prepare_output(&p));
    RF_TRY(find_files(&p));
    for (int i = 0; i < p.r.job.stage_count; i++)
        predictions[i] = rf_saved_job_file(p.saved, i).prediction;
    RF_TRY(rf_rendering_open(&p.r, (const char *const *)p.paths, predictions,
                             rf_saved_job_dtype(p.saved)));
    if (reads_tags(&p)) RF_TRY(rf_rendering_add_loras(&p.r, rf_rendering_warn, &p.r));
    if (p.from_infotext && p.q->embedding_folders.count)
        RF_TRY(rf_rendering_add_embeddings(&p.r, rf_rendering_warn, &p.r));
    RF_TRY(rf_rendering_run(&p.r));
done:
    free_loras(&p);
    st = rf_rendering_release(&p.r, st);
    for (int i = 0; i < RF_STAGES_MAX; i++) free(p.paths[i]);
    free(p.vae);
    free(p.output);
    free(p.hash_cache);
    rf_saved_job_free(p.saved);
    rf_picture_texts_free(p.texts);
    free_embeddings(&p);
    return st;
}

const rf_verb rf_verb_replay = {
    .name = "replay",
    .summary = "renders a picture again from its metadata",
    .examples = "refinery replay picture.png --models ~/models\n"
                "refinery replay picture.png -m pony.safetensors -o again.png\n",
    .usage = "IMAGE [options]",
    .notes = "Reads what refinery wrote into the picture, or else A1111's parameters. The\n"
             "same files on the same device give the same bytes. Fields that cannot be\n"
             "honoured are told. The output is IMAGE-replay.png.\n",
    .options = OPTIONS,
    .operands_min = 1,
    .operands_max = 1,
    .values_bytes = sizeof(rf_request),
    .prepare = rf_request_prepare,
    .run = run_replay,
};
