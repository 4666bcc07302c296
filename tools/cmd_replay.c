/* `refinery replay IMAGE`: renders a picture again from what it says about itself.
 *
 * A picture that was made of another one's result holds that one's job, too: all are read, and the
 * first is rendered first (passes.h).
 *
 * The chunk `refinery` holds the whole job and wins; else A1111's infotext is read, and what it
 * cannot tell is said.  Model files are found by hash (find_model.h), so that "again" means the
 * same files: with them, on the same device, the bytes are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cache_path.h"
#include "tools/replay_files.h"

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
    {.name = "init",
     .letter = 'i',
     .kind = RF_OPTION_INPUT,
     AT(start.init),
     .value = "FILE",
     .help = "the picture it began from; else it is searched",
     .group = "Files",
     .aliases = "init-img init-image",
     .extension = "png"},
    {.name = "mask",
     .kind = RF_OPTION_INPUT,
     .place = RF_PLACE_MORE,
     AT(start.mask),
     .value = "FILE",
     .help = "its mask; else it is searched",
     .group = "Files",
     .extension = "png"},
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

/* One of the jobs that lead to the picture. */
typedef struct saved_pass {
    rf_saved_job   *saved;
    rf_job          job; /* its stages are those below */
    rf_stage        stages[RF_STAGES_MAX];
    rf_replay_files files;
} saved_pass;

typedef struct replay {
    rf_rendering      r;
    rf_request       *q;
    const char       *image;
    rf_picture_texts *texts;
    saved_pass       *links[RF_PASSES_LINKS]; /* the picture's own, then what each began from */
    int               count;
    int               from_infotext;
    char             *output; /* the default name; NULL: --output */
    char             *hash_cache;
} replay;

/* ---- the job ------------------------------------------------------------------------------ */

/* Room for one more; what it replays begins from the one before it. */
static rf_status add_link(replay *p, saved_pass **out)
{
    rf_error *err = &p->r.in->trouble.error;
    if (p->count == RF_PASSES_LINKS)
        return rf_fail(err, RF_E_FORMAT, "%.400s: more than %d passes", p->image, RF_PASSES_LINKS);
    *out = calloc(1, sizeof **out);
    if (!*out) return rf_fail(err, RF_E_NOMEM, "no memory for a job");
    p->links[p->count++] = *out;
    return RF_OK;
}

static rf_status take_job(replay *p, saved_pass *l)
{
    const rf_job *job = rf_saved_job_get(l->saved);
    if (job->stage_count > RF_STAGES_MAX)
        return rf_fail(&p->r.in->trouble.error, RF_E_FORMAT, "%.400s: a job of more than %d stages",
                       p->image, RF_STAGES_MAX);
    l->job = *job;
    for (int i = 0; i < job->stage_count; i++) l->stages[i] = job->stages[i];
    l->job.stages = l->stages;
    return RF_OK;
}

static rf_status read_job(replay *p)
{
    enum { NESTED_MAX = 64000000 };
    rf_status   st = RF_OK;
    rf_error   *err = &p->r.in->trouble.error;
    saved_pass *l = NULL;
    size_t      kept = 0;
    RF_TRY(rf_picture_texts_read(&p->texts, p->image, err));
    const char *json = rf_picture_texts_get(p->texts, "refinery");
    const char *infotext = rf_picture_texts_get(p->texts, "parameters");
    p->from_infotext = !json;
    RF_TRY(add_link(p, &l));
    if (json)
        RF_TRY(rf_saved_job_from_json(&l->saved, json, err));
    else if (infotext)
        RF_TRY(rf_saved_job_from_infotext(&l->saved, infotext, err));
    else
        st = rf_fail(err, RF_E_FORMAT,
                     "%.400s does not say how it was made: it has neither the "
                     "text 'refinery' nor 'parameters'",
                     p->image);
    RF_TRY(st);
    RF_TRY(take_job(p, l));
    while (l->job.init && l->job.init->job) {
        json = l->job.init->job;
        kept += strlen(json); /* every job keeps those inside it as text */
        if (kept > NESTED_MAX)
            return rf_fail(err, RF_E_FORMAT,
                           "%.400s: its passes' jobs have more than %d MB of text", p->image,
                           NESTED_MAX / 1000000);
        RF_TRY(add_link(p, &l));
        RF_TRY(rf_saved_job_from_json(&l->saved, json, err));
        RF_TRY(take_job(p, l));
    }
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
    for (int i = 0; (note = rf_saved_job_note(p->links[0]->saved, i)); i++) {
        snprintf(text, sizeof text, "not honoured: %.400s", note);
        if (reads_tags(p) && strncmp(note, "Lora hashes", strlen("Lora hashes")) == 0)
            snprintf(text, sizeof text,
                     "LoRAs are taken by their names in the prompt: their "
                     "hashes are not compared");
        rf_rendering_warn(&p->r, text);
    }
}

/* ---- files -------------------------------------------------------------------------------- */

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

/* A file that is named is one stage's; which pass has that stage, nobody could tell. */
static rf_status check_given(const replay *p)
{
    static const char *const FLAGS[] = {"base", "refiner", "vae"};
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS && p->count > 1; i++)
        if (rf_request_given(p->r.in, FLAGS[i])) {
            rf_trouble_hint(&p->r.in->trouble, "--models DIR searches a folder");
            return rf_fail(&p->r.in->trouble.error, RF_E_ARG,
                           "--%s: the picture was made in %d passes, whose files are searched",
                           FLAGS[i], p->count);
        }
    return RF_OK;
}

static rf_status find_files(replay *p)
{
    rf_status st = RF_OK;
    p->hash_cache = rf_cache_path_sha256();
    rf_replay_search search = {.given = p->q,
                               .image = p->image,
                               .models = {.folders = &p->q->models,
                                          .hash_cache = p->hash_cache,
                                          .any_model = p->q->any_model,
                                          .warn = rf_rendering_warn,
                                          .user = &p->r,
                                          .trouble = &p->r.in->trouble}};
    search.loras = search.models;
    search.loras.folders = &p->q->lora_folders;
    search.loras.more = &p->q->models;
    search.embeddings = search.loras;
    search.embeddings.folders = &p->q->embedding_folders;
    RF_TRY(check_given(p));
    for (int i = 0; i < p->count; i++) {
        saved_pass *l = p->links[i];
        RF_TRY(rf_replay_files_find(&l->files, l->saved, &l->job, l->stages, &search));
    }
    const saved_pass *first = p->links[p->count - 1];
    if (p->q->refiner && first->job.stage_count < 2)
        rf_rendering_warn(&p->r, "--refiner has no effect: the picture was made by one expert");
    if (p->q->start.init && !first->job.init)
        rf_rendering_warn(&p->r, "--init has no effect: the picture was made from noise");
    if (p->q->start.mask && !p->links[0]->files.mask_path)
        rf_rendering_warn(&p->r, "--mask has no effect: the picture was made without one");
done:
    return st;
}

/* Opens what all passes need: the picture's own job is the rendering's. */
static rf_status open_all(replay *p)
{
    rf_status   st = RF_OK;
    saved_pass *own = p->links[0];
    const char *dtype = rf_saved_job_dtype(own->saved);
    rf_error   *err = &p->r.in->trouble.error;
    const char *predictions[RF_STAGES_MAX] = {NULL};
    for (int s = 0; s < own->job.stage_count; s++)
        predictions[s] = rf_saved_job_file(own->saved, s).prediction;
    rf_rendering_begin(&p->r, p->r.in, p->q, &own->job);
    RF_TRY(rf_rendering_open(&p->r, (const char *const *)own->files.paths, predictions, dtype));
    for (int i = 1; i < p->count; i++) {
        saved_pass *l = p->links[i];
        for (int s = 0; s < l->job.stage_count; s++)
            RF_TRY(rf_experts_open(&p->r.experts, l->files.paths[s],
                                   rf_saved_job_file(l->saved, s).prediction, &l->stages[s].expert,
                                   err));
    }
    if (reads_tags(p)) RF_TRY(rf_rendering_add_loras(&p->r, rf_rendering_warn, &p->r));
    if (p->from_infotext && p->q->embedding_folders.count)
        RF_TRY(rf_rendering_add_embeddings(&p->r, rf_rendering_warn, &p->r));
    for (int i = p->count - 1; i >= 0 && p->count > 1; i--) {
        const rf_job *job = i ? &p->links[i]->job : &p->r.job;
        RF_TRY(rf_passes_add(&p->r.passes, job, i == p->count - 1 ? NULL : job->init, err));
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
                                        {"--init", p->q->start.init},
                                        {"--mask", p->q->start.mask},
                                        {NULL, NULL}};
    const rf_output_request outputs = {
        .pattern = p->q->output ? p->q->output : p->output,
        .literal = !p->q->output,
        .count = 1,
        .seed = (int64_t)p->links[0]->job.seed,
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
    rf_status st = RF_OK;
    replay    p = {.r = {.in = in}, .q = in->values, .image = in->args.operands[0]};
    RF_TRY(check_folders(&p));
    RF_TRY(read_job(&p));
    rf_rendering_begin(&p.r, in, p.q, &p.links[0]->job);
    tell_notes(&p);
    RF_TRY(prepare_output(&p));
    RF_TRY(find_files(&p));
    RF_TRY(open_all(&p));
    RF_TRY(rf_rendering_run(&p.r));
done:
    st = rf_rendering_release(&p.r, st);
    for (int i = 0; i < p.count; i++) {
        rf_replay_files_release(&p.links[i]->files);
        rf_saved_job_free(p.links[i]->saved);
        free(p.links[i]);
    }
    free(p.output);
    free(p.hash_cache);
    rf_picture_texts_free(p.texts);
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
