/* refinery: SDXL pictures by an ensemble of expert denoisers.
 *
 * One SDXL checkpoint (the base) does the first part of the denoising, another (the refiner, any
 * SDXL checkpoint) does the rest: same latent, same noise, no decoding in between.  This header,
 * with what it includes, is the whole public interface.  Four objects, created in this order and
 * destroyed in reverse:
 *
 *   rf_engine   a device (CPU threads or a GPU) and what is compiled for it
 *   rf_expert   an opened checkpoint file; nothing but its header is read until it is needed
 *   rf_plan     a validated job: who denoises which steps, how many bytes, how many calls
 *   rf_image    a finished picture, handed to your callback while the plan runs
 *
 *     rf_engine_create(&engine, &(rf_options){0}, &err);
 *     rf_expert_open(&pony, engine, "pony.safetensors", &err);
 *     rf_expert_open(&animagine, engine, "animagine.safetensors", &err);
 *     rf_stage stages[] = {
 *         {.expert = pony, .until = 0.5, .cfg_scale = 6, .prompt = "score_9, 1girl"},
 *         {.expert = animagine, .cfg_scale = 6, .prompt = "masterpiece, 1girl"}};
 *     rf_job job = rf_job_default();
 *     job.stages = stages, job.stage_count = 2, job.seed = 1;
 *     rf_plan_create(&plan, engine, &job, &err);
 *     rf_plan_run(plan, &(rf_callbacks){.image = save}, &err);
 *
 * Errors: every function that can fail returns rf_status and fills *err (may be NULL) with one
 * sentence: what happened, in which file or field, what was expected.  *out is NULL on failure.
 * Strings are UTF-8.  Strings and structs passed in are copied unless said otherwise; pointers
 * handed out live as long as the object that handed them out.
 * Threads: an engine and everything opened on it belong to one thread at a time; two engines may
 * work at once.  The library keeps no global state, reads no environment and prints nothing; one
 * exception is NVTX, which looks there once for a profiler to tell of ranges.
 * Reproducibility: the same job on the same device gives the same bytes, whatever the batch and
 * the number of threads. */
#ifndef REFINERY_H
#define REFINERY_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RF_VERSION "0.1.0"

const char *rf_version(void); /* of the library linked, e.g. "0.1.0" */

/* ---- engine ------------------------------------------------------------------------------- */

typedef struct rf_engine rf_engine;

typedef struct rf_options {
    const char *device; /* "cpu", "cuda" or "cuda:N" (a GPU, counted from 0), or NULL or "auto" for
                           the first GPU that can be used, else the CPU (for f32 or a level the
                           CPU at once); tests have "emulated", a GPU's kernels on the CPU */
    const char *dtype;  /* activations: "f16" or "bf16" on a GPU, "bf16" or "f32" on the CPU; NULL
                           or "auto" for the device's fastest */
    int plan_only; /* plans are made to be looked at: where no CUDA GPU can be used, `device` cuda
                      is one that is assumed, with a warning that says why */
    int strict;    /* a checkpoint with tensors that nobody knows is an error (RF_E_MODEL) and not a
                      warning */
    int      threads;  /* CPU threads, 1..1024; 0 for one per core */
    uint64_t memory;   /* bytes of UNet weights that may stay loaded between stages; 0: no limit.
                          Where a plan's experts need more it finishes one expert's calls before
                          it loads the next (rf_plan_info.loads), and what former plans have left
                           loaded goes first.  One alone may be larger.  Without a limit, more than
                          four sets of LoRAs of one expert take turns in the room of one */
    uint64_t kv_pool;  /* bytes for keys and values of prompts, 0: 512 MiB; never less than one
                          launch reads.  Never changes a picture */
    const char *level; /* "ref" forces the reference kernels (slow, for tests); NULL otherwise */
    const char
        *hash_cache; /* file that remembers SHA-256 by path, size, mtime, inode; NULL: none */
    void (*warn)(void *user, const char *message); /* one sentence; NULL: warnings are dropped */
    /* Gets a trace of all runs as JSON, piece by piece: Chrome's trace event format, which Perfetto
     * opens (docs/profiling.md).  The last piece comes from rf_engine_destroy.  NULL: none is made
     */
    void (*trace)(void *user, const char *text, size_t bytes);
    void *user; /* of both */
    /* Steps to look at, counted from 1, both included; 0: all.  On a GPU its profiler runs during
     * them (cudaProfilerStart and Stop); ops are in the trace for them alone.  Runs of DPM adaptive
     * have no steps to count */
    int profile_first, profile_last;
} rf_options;

rf_status rf_engine_create(rf_engine **out, const rf_options *options, rf_error *err);
void      rf_engine_destroy(rf_engine *engine); /* after its plans and experts; NULL is fine */
const char *
rf_engine_device(const rf_engine *engine); /* "cpu: AMD EPYC (AVX-512, BF16), 2 threads" */
/* Of the activations: "f16", "bf16" or "f32".  Where it is f16 a VAE computes in bf16. */
const char *rf_engine_dtype(const rf_engine *engine);

/* Whether its GPU is assumed (rf_options.plan_only): what would use it is RF_E_DEVICE. */
int rf_engine_is_assumed(const rf_engine *engine);

/* A CUDA GPU of this machine. */
typedef struct rf_gpu_info {
    char     name[128]; /* "NVIDIA H100 80GB HBM3" */
    int      major, minor;
    uint64_t memory_bytes;
    char     refused[RF_ERROR_BYTES]; /* "", or why this build cannot use it */
} rf_gpu_info;

/* GPU number `ordinal` (what "cuda:N" counts) of *count.  RF_E_DEVICE: *count is 0, and why; or
 * there is none of that number. */
rf_status rf_gpu_get_info(int ordinal, rf_gpu_info *out, int *count, rf_error *err);

/* ---- experts ------------------------------------------------------------------------------ */

typedef struct rf_expert rf_expert;

/* Opens a single-file SDXL checkpoint (.safetensors) and checks every name and shape in its header
 * (milliseconds).  Weights are read when a plan first needs them, and the file must not change
 * meanwhile.  RF_E_NOT_FOUND, RF_E_PERMISSION, RF_E_IO; RF_E_FORMAT if the file is damaged;
 * RF_E_MODEL if it is something else than an SDXL checkpoint, naming what it is. */
rf_status rf_expert_open(rf_expert **out, rf_engine *engine, const char *path, rf_error *err);
void      rf_expert_close(rf_expert *expert); /* after the plans that use it; NULL is fine */

const char *rf_expert_name(const rf_expert *expert); /* file name without folder and extension */
const char *rf_expert_path(const rf_expert *expert); /* as given */

/* SHA-256 of the whole file as 64 hex digits.  Takes seconds for a large file unless the engine's
 * hash cache knows it; a running plan computes it in the background.  `hex` holds 65 bytes.  Until
 * then `stop` (NULL is fine) is asked some twenty times a second; non-zero: RF_E_CANCELLED, and a
 * later call begins anew. */
rf_status rf_expert_sha256(rf_expert *expert, char *hex, int (*stop)(void *user), void *user,
                           rf_error *err);

/* What the network predicts, on which noise levels, and how this is known. */
typedef struct rf_prediction_info {
    const char *prediction; /* "epsilon" or "v" */
    int         ztsnr;      /* zero-terminal-SNR: its noise levels reach sigma_max of about 4519 */
    int         continuous; /* EDM: any level between the ends (CosXL) */
    int         by_user;    /* rf_expert_set_prediction */
    double      sigma_min, sigma_max;
    const char *reason; /* "tensor v_pred", "scheduler_config.json", "nothing says otherwise" ...;
                           lives until the prediction is set anew */
} rf_prediction_info;

/* Known by, in this order: rf_expert_set_prediction, marker tensors, the folder's scheduler
 * configuration, the file's metadata, a side-car FILE.yaml; else epsilon. */
void rf_expert_get_prediction(const rf_expert *expert, rf_prediction_info *out);

/* "epsilon", "v" or "v-ztsnr", whatever the file says; while no plan uses the expert.  NULL: what
 * the file says.  RF_E_ARG lists the names. */
rf_status rf_expert_set_prediction(rf_expert *expert, const char *prediction, rf_error *err);

/* ---- jobs and plans ----------------------------------------------------------------------- */

/* A file of the LoRA family at work in a stage: LoRA, LoCon, LoHa, LoKr, DoRA, differences.  It is
 * merged in f32 while the expert's weights are read.  A stage with LoRAs has weights of its own,
 * which stages and jobs with the same set share; those that no plan needs any more make room for
 * the next set of that expert, and of these only the tensors that either set touches are read
 * again. Errors while planning: those of rf_expert_open; RF_E_MODEL: a kind that is not supported,
 * or modules that fit no layer, with their number. */
typedef struct rf_lora_use {
    const char *path;       /* .safetensors */
    double      unet, text; /* strengths, -100..100; 0 leaves that network as it is */
    int everywhere; /* 1: it is meant for all stages, and one of another architecture is passed
                       over with a warning; 0: for this stage, and not to fit is an error */
    int partial;    /* 1: modules without a layer are left out with a warning, not refused */
} rf_lora_use;

/* Numbers of a sampler (rf_job has the same, for all stages; same ranges).  Samplers that walk
 * levels of their own (rf_job.sigmas lists them) have one set of what they read for the whole run:
 * RF_E_ARG. */
typedef struct rf_stage_sampling {
    double eta;
    double s_churn, s_tmin, s_tmax, s_noise;
} rf_stage_sampling;

/* A stretch of the denoising done by one expert. */
typedef struct rf_stage {
    rf_expert *expert;    /* rf_explain can do without: NULL is an SDXL epsilon expert there.
                             Experts may differ in what they predict: the first one at work
                             gives the run its noise levels, and each is asked in its own way */
    double until;         /* when the next stage takes over, in the unit of the job's switch_by; not
                             read for the last stage */
    const char *prompt;   /* NULL: the previous stage's (first stage: empty) */
    const char *negative; /* likewise */
    float       cfg_scale; /* classifier-free guidance (Ho & Salimans 2022), 0..1000; negative: that
                              with which the previous stage ends (first stage: 6).  1 skips the
                              negative prompt */
    float cfg_ramp; /* -1000..1000: CFG moves by so much, evenly over the stage's calls: its last
                       call has cfg_scale + cfg_ramp, an only one cfg_scale.  0: it stays.  At no
                       call below 0.  Not for DPM adaptive, whose calls nobody knows */
    const char              *sampler;   /* NULL: the job's */
    const rf_stage_sampling *sampling;  /* NULL: the job's */
    int                      clip_skip; /* 1..12; 0: the job's.  Like that, read where the job
                                           has clip_l_skip */
    const rf_lora_use
        *loras; /* [lora_count: at most 256], merged into the expert's weights in this order */
    int  lora_count;
} rf_stage;

/* The picture that a run starts from instead of pure noise (img2img), and where it may paint
 * (inpainting with an ordinary checkpoint); docs/img2img.md.  It has the job's size: scaling and
 * cropping come before.  The job's VAE encodes it, or that of the first stage that makes calls (as
 * in A1111); the latent is the mean of what the encoder says, so that it is the same every time.
 * Pixels are copied while planning, once for all jobs that have equal ones.  rf_explain needs none.
 * UniPC cannot begin so (RF_E_ARG). */
typedef struct rf_init {
    const uint8_t *rgb;  /* [height, width, 3] */
    const uint8_t *mask; /* [height, width]: 255 is painted anew, 0 stays as it is; NULL: all is
                            painted anew.  Between the two, pixels are blended; the latent's cells
                            of 8x8 pixels are painted from 128 on (A1111).  RF_E_ARG if none is */
    double denoise;      /* strength, 0..1: of the schedule of `steps` steps the last
                            int(min(denoise, 0.999) * steps) + 1 are made (A1111) */
    int exact_steps; /* 1: instead the last `steps` of a schedule of int(steps / denoise), unless
                        denoise is 0 */
    /* For the metadata, by which a replay finds the picture again; NULL: not known. */
    const char *path, *sha256;           /* of the file with the picture */
    const char *mask_path, *mask_sha256; /* of the file with the mask */
    const char *job; /* JSON of the job whose result it is (rf_image.job).  RF_E_ARG: it is none */
    int resize_mode; /* how the files came to the job's size: A1111's 0 stretched, 1 cropped, 2
                        filled */
    int mask_blur;   /* standard deviation in pixels of the Gaussian that is in the mask */
    int mask_inverted; /* 1: the file's black is painted anew */
} rf_init;

/* Textual inversion for SDXL (Gal et al. 2022): vectors that stand in a prompt wherever its name
 * does, in the stages whose text encoders it fits; elsewhere the name is plain text, with a
 * warning. What the LoRAs of a stage bring along is known to the prompts of that stage without
 * being listed. Errors while planning: RF_E_MODEL if it fits no stage or is none, RF_E_ARG if two
 * have one name. */
typedef struct rf_embedding_use {
    const char *path; /* .safetensors with clip_l and clip_g, or a LoRA with bundled embeddings */
    const char *name; /* its trigger; NULL: the file's name without extension, or the bundled ones'
                         own names.  Case does not matter */
} rf_embedding_use;

/* Prompts are A1111's language (docs/prompts.md); an edit's `when` may be the word `switch`, the
 * call at which the relay hands over. */
typedef struct rf_job {
    const rf_stage *stages;
    int             stage_count; /* 1..64 */
    /* "steps" (fraction of the steps, good to six decimals: the next stage's first step is
     * ceil((until - 5e-7) * steps - 1e-6)),
     * "noise" (fraction of the noise, A1111 >= 1.9), "step" (a number of steps), "sigma",
     * "timesteps" (diffusers' denoising_end). */
    const char *switch_by;
    const char *compat;   /* NULL, or "a1111": its quirks too, for old pictures */
    const char *sampler;  /* "Euler a"; any of A1111's names, case does not matter */
    const char *schedule; /* "automatic", "karras", ...: A1111's names */
    const char *sigmas;   /* explicit noise levels, "14.6, 8, 3, 0"; NULL: the schedule's.
                             Not for samplers that walk levels of their own: DPM fast, DPM
                             adaptive, Restart, DDIM, DDIM CFG++, PLMS, UniPC */
    const char *rng;      /* "nv" (Philox) or "cpu" (torch's MT19937) */
    const char *emphasis; /* "original", "no norm", "ignore" or "none" */
    const char *vae;   /* checkpoint, or VAE alone, that decodes; NULL: the last active stage's */
    int         steps; /* 1..10000 */
    int         width, height; /* pixels, multiples of 8, 64..8192 */
    uint64_t    seed;          /* picture i uses seed + i (with variation, the same seed) */
    int         count;         /* pictures, 1..1000000 */
    int         batch;         /* pictures denoised together, 1..64; never changes a picture */

    /* schedule */
    double sigma_min, sigma_max; /* 0: the model's */
    double rho;                  /* Karras, Polyexponential; 0: 7 and 1 */
    int    discard_penultimate;  /* always drop the next to last noise level */
    /* sampler */
    double  eta;                              /* share of fresh noise; NaN: the sampler's own */
    double  s_churn, s_tmin, s_tmax, s_noise; /* Karras et al. 2022; s_tmax 0: no end */
    int64_t ensd;                             /* eta noise seed delta; 0: off */
    double  skip_early_cfg;                   /* no negative prompt in this fraction of the calls */
    double  s_min_uncond;     /* nor in every other call below this noise level; 0: off */
    int     s_min_uncond_all; /* in every call below it */
    /* noise */
    uint64_t variation_seed;          /* picture i uses variation_seed + i */
    double   variation;               /* strength, 0..1 */
    int      seed_width, seed_height; /* "seed resize from", pixels; 0: off */
    /* conditioning */
    int    clip_skip; /* A1111's, 1..12; SDXL ignores it unless clip_l_skip.  Default 1 */
    int    clip_l_skip;
    int    old_edits;                       /* A1111's "Old prompt editing timelines" */
    int    original_width, original_height; /* size conditioning; 0: the picture's */
    int    target_width, target_height;     /* likewise */
    int    crop_left, crop_top;
    double aesthetic,
        aesthetic_negative;             /* scores that Stability's refiner is told; 0: 6 and 2.5 */
    const rf_embedding_use *embeddings; /* [embedding_count: at most 1024] */
    int                     embedding_count;

    const rf_init *init; /* NULL: from noise.  Prompt edits count by `steps` (A1111); switches by
                            steps and skip_early_cfg by the steps that are made */

    /* Neither changes a picture nor is saved with it. */
    int         preview_every; /* calls between previews of a picture, 0: none */
    const char *preview_vae;   /* TAESDXL decoder for them (.safetensors); NULL: a linear map.  The
                                  jobs of a plan that show previews have one for all of them */
    int idle_stages; /* 1: a stage without calls is meant, as at the ends of a sweep over switch
                        points: no warning */
} rf_job;

/* 30 steps, Euler a, automatic schedule, 1024x1024, seed 0, one picture; no stages yet.  Start from
 * here: zero is not every field's default. */
rf_job rf_job_default(void);

/* ---- explaining --------------------------------------------------------------------------- */

/* What a job means: its prompts as parsed, its calls, where it switches.  All pointers belong to
 * the explanation. */
typedef struct rf_piece_info { /* text of one weight, escapes resolved */
    const char *text;          /* "BREAK" where is_break */
    double      weight;
    int         is_break;
} rf_piece_info;

typedef struct rf_entry_info { /* what is conditioned on up to and including call `until` */
    int                  until;
    const char          *text;
    const rf_piece_info *piece;
    int                  pieces;
    int                  tokens, chunks; /* CLIP-L's prompt tokens; chunks of 77 */
} rf_entry_info;

typedef struct rf_part_info {  /* one side of an AND */
    const char          *text; /* as written, without <tags> and its weight */
    double               weight;
    const rf_entry_info *entry;
    int                  entries;
} rf_part_info;

typedef struct rf_prompt_info {
    const char         *text;
    const rf_part_info *part;
    int                 parts;
} rf_prompt_info;

typedef struct rf_prompt_set { /* of a stage with a prompt of its own; set 0: the first stage's.
                                  DPM adaptive: one per stage */
    rf_prompt_info prompt, negative;
} rf_prompt_set;

typedef struct rf_call_info {
    int        step, stage, prompt_set;
    double     sigma, timestep; /* as the model is given them */
    const int *prompt_entry;    /* [parts of the set's prompt] */
    int        negative_entry;
    int        negative_skipped; /* no negative prompt is evaluated */
    double     cfg_scale;        /* guidance at this call, where one is evaluated */
} rf_call_info;

typedef struct rf_switch_info {
    int    stage;        /* that takes over, 1.. */
    int    call, step;   /* -1: never */
    double sigma, ratio; /* ratio: A1111's (999 - t) / 1000, t the nearest table entry */
} rf_switch_info;

typedef struct rf_explanation {
    const rf_prompt_set  *set;
    int                   sets;
    const double         *sigmas; /* [sigma_count] */
    int                   sigma_count;
    const double         *timesteps; /* [timestep_count], of all sigmas but a final 0 */
    int                   timestep_count;
    const rf_call_info   *call; /* none for DPM adaptive, whose steps depend on the picture */
    int                   calls;
    const rf_switch_info *handover; /* [handovers], between the job's stages */
    int                   handovers;
    const char           *sampler, *schedule, *switch_by;
    const char *const    *warning;
    int                   warnings;
} rf_explanation;

/* Explains `job` without reading any weights.  Stages may lack an expert.  hires_steps > 0: the
 * calls and prompts of a hires pass of so many steps, after a first pass of job->steps. */
rf_status rf_explain(const rf_explanation **out, rf_engine *engine, const rf_job *job,
                     int hires_steps, rf_error *err);
void      rf_explanation_free(const rf_explanation *explanation); /* NULL is fine */

/* Token ids of a plain text (no emphasis, no edits), without start, end and padding: encoder "l"
 * (CLIP-L) or "g" (OpenCLIP bigG).  free() *ids. */
rf_status rf_tokens_of(int32_t **ids, int *count, rf_engine *engine, const char *encoder,
                       const char *text, rf_error *err);

/* out [c, h, w] = draw number `draw` of the noise source for a seed. */
rf_status rf_noise_of(const char *rng, uint64_t seed, int draw, int c, int h, int w, float *out,
                      rf_error *err);

/* ---- plans -------------------------------------------------------------------------------- */

typedef struct rf_plan rf_plan;

/* Validates the job, drops stages that would make no call (with a warning), tokenizes the prompts
 * and sizes every buffer.  Reads no weights and allocates nothing large.  RF_E_ARG names the field
 * that is wrong; RF_E_MODEL, if experts do not fit together, says why; RF_E_NOMEM: a GPU has less
 * memory free than the plan's peak (the CPU, and with plan_only every device, gets a warning). */
rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err);

/* One plan of many jobs, whose order is theirs in the callbacks.  Calls that would compute the same
 * thing are made once, whatever the jobs have in common: a prefix up to a switch point, a seed, an
 * expert that several refiners follow.  A picture's bytes are those that its job gives alone.
 * batch: the largest of the jobs'.  Errors name the job (from 1, where it is not the first). */
rf_status rf_plan_create_many(rf_plan **out, rf_engine *engine, const rf_job *jobs, int job_count,
                              rf_error *err);
void      rf_plan_destroy(rf_plan *plan); /* NULL is fine */

/* What a plan will do: per stage of the first job, in the job's order. */
typedef struct rf_stage_info {
    const char *expert;     /* rf_expert_name */
    int         first_step; /* 0-based; equals the next stage's first step if calls is 0 */
    int         calls;      /* UNet calls per picture; of DPM adaptive 0, not known yet */
    int         takes_part; /* 0: the stage was dropped */
    double      sigma;      /* noise level at its first step; of DPM adaptive not known yet */
    size_t weights_bytes; /* its UNet, packed; 0 if a former stage has the same expert and LoRAs */
} rf_stage_info;

/* What a plan makes of the LoRA number `lora` of a stage of the first job.  Modules are the file's
 * own, by what they are meant for; all that are meant for anything must fit. */
enum { RF_LORA_UNET, RF_LORA_TE1, RF_LORA_TE2, RF_LORA_ELSEWHERE, RF_LORA_TARGETS };

typedef struct rf_lora_info {
    const char *path;                     /* as given */
    int         modules[RF_LORA_TARGETS]; /* in the file ... */
    int         matched[RF_LORA_TARGETS]; /* ... and with a layer in the stage's expert */
    int used; /* 0: passed over, or nobody opened it: both strengths are 0, or the stage makes no
                 call */
} rf_lora_info;

typedef struct rf_plan_info {
    int    stage_count;
    int    batch;      /* as planned: at most all pictures */
    size_t slab_bytes; /* activations, shared by all experts: the largest of the next two, the text
                          encoders', the VAE encoder's and TAESDXL's */
    size_t unet_slab_bytes, vae_slab_bytes; /* of a launch of `batch` pictures, of decoding one */
    size_t kv_bytes;      /* the pool of prompt keys and values, and time embeddings */
    size_t kv_pool_bytes; /* the pool alone ... */
    size_t kv_all_bytes;  /* ... and what all prompts take: if it is more, some are computed again
                             when they are read, for less than 1 % of a call of 1024x1024 */
    size_t state_bytes;   /* latents and sampler state */
    size_t staging_bytes; /* fixed buffers through which files are read */
    size_t text_bytes;    /* largest text encoders, released once the prompts are encoded */
    size_t unet_bytes;    /* UNet weights of all experts, packed */
    size_t vae_bytes;     /* decoder weights, TAESDXL's included; an encoder's are released before
                             the first step */
    size_t peak_bytes;    /* most that is held at once */
    size_t host_bytes;    /* beside a GPU: of the host's memory, pinned tables, encoded prompts, and
                             the largest tensor that a LoRA is merged into */
    /* of the first job */
    const char   *vae;                /* name of the file whose VAE decodes */
    const char   *sampler, *schedule; /* as resolved */
    int           steps, calls; /* that each picture makes; calls 0: DPM adaptive, not known yet */
    const double *sigmas;       /* [steps + 1] */
    /* of all jobs; a run of DPM adaptive counts as one call */
    int     jobs;
    int64_t runs;         /* pictures */
    int64_t calls_naive;  /* that they would make one by one */
    int64_t calls_shared; /* that are made */
    int64_t launches;     /* in which they are made, up to `batch` at a time */
    int     states;       /* latents with their samplers' memories, held at once */
    int     loads;        /* UNets read from their files: as many as there are experts, once each,
                             or more where `memory` holds only some and stages take turns (DPM
                             adaptive: every picture goes through all of its stages) */
    int resident;         /* all experts stay loaded: depth first, pictures early */
} rf_plan_info;

/* One job of a plan. */
typedef struct rf_job_info {
    int     calls; /* that each of its pictures makes; 0: DPM adaptive */
    int     pictures;
    int64_t calls_alone;  /* that its pictures would make one by one; of DPM adaptive one each */
    int64_t calls_of_own; /* those that no other job shares */
} rf_job_info;

void      rf_plan_get_info(const rf_plan *plan, rf_plan_info *out);
rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out); /* RF_E_ARG */
rf_status rf_plan_get_lora(const rf_plan *plan, int stage, int lora,
                           rf_lora_info *out);                             /* RF_E_ARG */
rf_status rf_plan_get_job(const rf_plan *plan, int job, rf_job_info *out); /* RF_E_ARG */

/* Divides the plan's jobs among `workers` that share nothing, so that prefixes stay shared: whole
 * subtrees, and parts of one only where that ends the work earlier than making its prefix once.
 * group[i] = the group of job i, 0 .. *groups-1, groups of the largest cost first; cost (may be
 * NULL, room for as many as there are jobs) = UNet calls of each, a smaller latent's weighing less
 * (in calls of the plan's largest latent, rounded up) and a run of DPM adaptive as much as its
 * `steps`.  There may be several groups per worker, to be handed out in order to whoever is free.
 * A pure function of the plan and `workers`.  RF_E_ARG: workers is below 1; RF_E_NOMEM. */
rf_status rf_plan_divide(const rf_plan *plan, int workers, int *group, int64_t *cost, int *groups,
                         rf_error *err);

/* ---- running ------------------------------------------------------------------------------ */

typedef enum rf_phase {
    RF_PHASE_LOAD,
    RF_PHASE_ENCODE,
    RF_PHASE_DENOISE,
    RF_PHASE_DECODE
} rf_phase;

typedef struct rf_progress {
    rf_phase    phase;
    int         stage;             /* index into the job's stages; the expert at work */
    const char *expert;            /* its name */
    int64_t     done, total;       /* LOAD: bytes of all files; then launches, or pictures */
    int         image, images;     /* first picture of the batch at work, and how many it holds */
    int         step, steps;       /* DENOISE: steps finished and all steps of this picture */
    int         job_index;         /* of that first picture */
    int64_t     calls_done, calls; /* of rf_plan_info's calls_shared */
    int64_t     pictures_done, pictures; /* likewise of `runs` */
} rf_progress;

typedef struct rf_image {
    int            job_index; /* which of the plan's jobs; 0 where there is one */
    int            index;     /* 0 .. count-1 of that job */
    uint64_t       seed;
    int            width, height;
    const uint8_t *rgb;        /* [height, width, 3] */
    const float   *latent;     /* [height/8, width/8, 4], as the last step left it */
    const char    *parameters; /* A1111 infotext */
    const char    *job;        /* the whole job as JSON: rf_saved_job_from_json reads it */
} rf_image;

/* A look at a picture on its way: what the expert takes the finished one to be (x0, guided).  A
 * call that several pictures share is shown once, for the first of them. */
typedef struct rf_preview {
    int            job_index, index;
    int            call, calls;   /* made, and of this picture in all (0: not known) */
    int            width, height; /* an eighth of the picture's, or with TAESDXL the picture's */
    const uint8_t *rgb;           /* [height, width, 3] */
} rf_preview;

typedef struct rf_timings { /* seconds, summed over the run */
    double load, encode, denoise, decode;
    double flip_us, call_gap_us; /* median gap at a switch, and between two calls of one expert */
} rf_timings;

typedef struct rf_callbacks {
    /* Called often from the running thread; return non-zero to stop after the current call. */
    int (*progress)(void *user, const rf_progress *progress);
    /* Called once per picture: in order for one job, for many as they are finished.  Everything in
     * `image` lives until it returns.  An error it returns ends the run and is returned by
     * rf_plan_run. */
    rf_status (*image)(void *user, const rf_image *image, rf_error *err);
    /* Called instead for a picture that went wrong (RF_E_NAN); the others go on, and rf_plan_run
     * returns RF_OK.  NULL: the first such picture ends the run. */
    void (*failed)(void *user, int job_index, int index, rf_status status, const char *message);
    /* Called after every rf_job.preview_every calls of a picture but the last one, which the
     * picture itself follows; NULL: no previews.  It waits for the GPU; nothing else of the run
     * changes. */
    void (*preview)(void *user, const rf_preview *preview);
    void *user;
} rf_callbacks;

/* Runs the plan; may be called again.  RF_E_CANCELLED if a callback asked to stop; RF_E_NAN names
 * the step, or the picture, that went wrong; RF_E_LOST: the GPU broke, and all that this engine is
 * good for is to be destroyed. */
rf_status rf_plan_run(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err);
void      rf_plan_get_timings(const rf_plan *plan, rf_timings *out);

#ifdef __cplusplus
}
#endif

#include "engine/refinery_files.h" /* pictures, saved jobs, conversion and styles, on disk */

#endif
