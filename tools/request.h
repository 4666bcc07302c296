/* What `render`, `sweep`, `explain` and `replay` may be asked for, in one struct, so that they
 * share their tables of options.
 *
 * Most options write straight into the job: its defaults are rf_job_default's, and what nobody
 * gives stays as it is.  What takes more than that (random seeds, prompts from files, styles,
 * recipes, stages) is settled afterwards by rf_request_settle. */
#ifndef RF_REQUEST_H
#define RF_REQUEST_H

#include "engine/refinery.h"
#include "tools/stage_option.h"
#include "tools/start_options.h"
#include "tools/verbs.h"

enum { RF_REQUEST_STAGES = 2 };

typedef struct rf_request {
    rf_common         common;
    rf_job            job; /* complete, but for the experts, after rf_request_settle */
    rf_stage          stages[RF_REQUEST_STAGES];
    rf_texts          stage_texts; /* --stage */
    const char       *relay_name;  /* --relay; with either, the job's stages are the relay's */
    char             *relay_path;  /* of its file, owned; NULL: stages came as options */
    rf_relay          relay;
    rf_stage_sampling sampling[RF_RELAY_STAGES]; /* what its stages point to */
    const char       *save_relay;                /* a name to save the relay under, or NULL */
    /* of each of the job's stages, after rf_request_settle; NULL: not given */
    const char *files[RF_RELAY_STAGES];
    const char *predictions[RF_RELAY_STAGES]; /* likewise, for rf_expert_set_prediction */

    const char *base, *refiner; /* files; NULL if not given */
    const char *base_prediction, *refiner_prediction;
    double      switch_at;
    double      cfg_scale, refiner_cfg_scale; /* the latter negative: the base's */
    const char *refiner_sampler;
    const char *compat;
    int64_t     seed, variation_seed; /* RF_SEED_RANDOM until they are drawn */
    int         width, height;        /* of --width and --height; 0 if not given */

    const char *prompt, *negative; /* NULL if not given: empty */
    const char *prompt_file, *negative_file;
    const char *refiner_prompt, *refiner_negative; /* NULL: the base's */
    const char *styles_file;
    rf_texts    styles;
    const char *recipe;
    const char *base_tags, *refiner_tags, *base_negative;

    rf_texts loras, base_loras, refiner_loras; /* as rf_lora_spec_option reads them */
    rf_texts lora_folders;
    int      lora_partial;
    rf_texts embeddings, embedding_folders; /* --embedding, --embedding-dir */

    rf_start_options start;

    int hires_steps;    /* explain */
    int files_optional; /* explain: a stage may lack its file */

    const char *output; /* pattern; NULL: the verb's own default */
    int         overwrite, no_metadata, dry_run, keep_previews;
    const char *dtype, *device;
    int         strict;  /* unknown tensors of a checkpoint are an error */
    int         threads; /* 0: one per core */
    uint64_t    memory;  /* for weights; 0: no limit */
    uint64_t    kv_pool; /* for prompts' keys and values; 0: the engine's default */
    const char *progress;
    const char *trace;            /* file; NULL: none */
    int         profile_steps[2]; /* first and last; 0: all */
    rf_texts    models;           /* replay: folders to search */
    int         any_model;

    char *owned[12]; /* texts made while settling: four read, two by a recipe, two by styles */
    int   owned_count;
} rf_request;

/* The tables, each ended by a row without a name. */
/* `text` as the option of that name ("sampler", "scheduler") would hold it: pictures tell the
 * spelling, and must not differ by where it was written.  A name that the option does not know
 * stays. */
const char *rf_sampling_spelling(const char *option, const char *text);

extern const rf_option rf_options_recipe[], rf_options_experts[], rf_options_prompts[];
extern const rf_option rf_options_loras[], rf_options_stages[];
extern const rf_option rf_options_sampling[], rf_options_noise[], rf_options_conditioning[];
extern const rf_option rf_options_pictures[], rf_options_count[], rf_options_batch[];
extern const rf_option rf_options_init[], rf_options_passes[];
extern const rf_option rf_options_output[], rf_options_machine[], rf_options_profile[];
extern const rf_option rf_options_preview[];

void rf_request_prepare(void *request); /* rf_verb.prepare */

/* Whether the option of that name was on the command line. */
int rf_request_given(const rf_invocation *in, const char *name);

/* Whether stages are told one by one, by --stage or --relay, and not as base and refiner. */
static inline int rf_request_has_relay(const rf_request *request)
{
    return request->stage_texts.count > 0 || request->relay_name;
}

/* Checks what was given, draws random seeds, makes prompts and stages: a job whose stages lack
 * their experts.  `warn` gets what has no effect.  RF_E_ARG, and what reading files gives. */
rf_status rf_request_settle(rf_invocation *in, rf_request                       *request,
                            void (*warn)(void *user, const char *message), void *user);
void      rf_request_release(rf_request *request);

#endif
