/* Inside of a plan: the course of the run, what its calls are conditioned on, where everything
 * lies, and what has been done so far. */
#ifndef RF_RELAY_PLAN_H
#define RF_RELAY_PLAN_H

#include "engine/core/tokens.h"
#include "engine/model/clip.h"
#include "engine/relay/course.h"
#include "engine/relay/engine.h"
#include "engine/sample/brownian.h"
#include "engine/sample/noise.h"

enum { RF_ENCODER_L = 0, RF_ENCODER_G, RF_ENCODERS };
enum { RF_WHOLE_BATCH = 0, RF_LAST_BATCH, RF_BATCH_KINDS }; /* the last may be smaller */

/* One variant of a prompt for one expert, on its way to keys and values. */
typedef struct rf_conditioning {
    const rf_prompt_part *part; /* whose entry it is; belongs to the course */
    int                   entry;
    int                   zero;                /* an empty negative prompt: everything is zero */
    rf_tokens             tokens[RF_ENCODERS]; /* equal chunk counts */
    int                   rows;                /* of context: 77 per chunk, and padding */
    void                 *context;             /* [rows, context] */
    void                 *pooled;              /* [projection] */
    void                 *kv;                  /* the K/V pool block */
} rf_conditioning;

/* Neighbours in the list whose emphasis is normalised together: in the default mode each variant
 * alone, for A1111 all variants of a prompt part. */
typedef struct rf_conditioning_group {
    int first, count;
} rf_conditioning_group;

/* The forward pass over some rows per sample. */
typedef struct rf_plan_program {
    int        rows;
    rf_program forward[RF_BATCH_KINDS];
} rf_plan_program;

/* An expert that makes calls. */
typedef struct rf_plan_expert {
    rf_expert             *expert;
    int                    stage; /* the first of the job that has it */
    rf_conditioning       *cond;
    int                    conds;
    rf_conditioning_group *group;
    int                    groups;
    rf_plan_program       *program;
    int                    programs;
    int                    table_rows; /* of its embedding table: one per call and row */
    int                   *row_cond;   /* [table_rows] */
    float                 *timestep;   /* [table_rows] */
    void                  *vector;     /* [table_rows, arch.unet.vector] */
    void                  *temb;       /* embedding table of those rows */
    rf_program             embed;      /* DPM adaptive fills the table anew for every call */
} rf_plan_expert;

/* One row of a call: a conditioning, and its part in the guided x0. */
typedef struct rf_relay_row {
    int    cond;
    double weight; /* all weights of a call add up to 1 */
} rf_relay_row;

typedef struct rf_relay_call {
    rf_call             sampler;
    double              timestep;
    int                 stage;  /* of the job */
    int                 expert; /* of the plan */
    const rf_relay_row *row;    /* [rows]; the negative prompt, if it is there, is the last */
    int                 rows;
    int                 u_row; /* whose x0 is RF_SOURCE_U: the negative prompt's, else the first */
    int                 table_row; /* its first, in the expert's embedding table */
    int                 program;
} rf_relay_call;

struct rf_plan {
    rf_engine *engine;

    /* the job, copied */
    rf_job                 job;
    void                  *job_block; /* its strings and stages */
    rf_stage_info         *info;      /* [course.stages] */
    rf_course              course;
    int                   *active; /* [active_count]: stages that make calls */
    int                    active_count;
    rf_expert            **stage_expert; /* [course.stages] */
    rf_plan_expert        *expert;       /* [expert_count] */
    int                    expert_count;
    rf_relay_call         *call; /* [course.calls] */
    rf_relay_row          *row;  /* what the calls point into */
    int                    rows; /* most of any call */
    rf_expert             *vae;
    int                    vae_is_separate;
    const rf_noise_source *noise;
    int                    h, w; /* latent */
    int                    batch, last_batch;

    /* sizes, from counting */
    size_t slab_bytes, kv_bytes, state_bytes, staging_bytes, text_bytes, vae_bytes, peak_bytes;

    /* memory, from the first run on */
    void *slab, *kv, *state;

    /* inside `state` */
    float           *slot[RF_SOURCES];        /* [batch, h, w, 4] each; sampler.h */
    float           *spare[2];                /* likewise: the next memory and anchor */
    float           *scratch;                 /* [3, h, w, 4], or the seed's size if larger */
    float           *adaptive;                /* rf_adaptive_scratch, or NULL */
    rf_noise_memo   *memo;                    /* [batch] */
    float           *decode_latent;           /* [h, w, 4] */
    void            *x, *eps;                 /* [rows * batch, h, w, 4] */
    float           *coef;                    /* [batch, RF_LINCOMB_TERMS] */
    float           *unscale;                 /* [1] */
    int32_t         *temb_row;                /* [rows * batch] */
    rf_attention_kv *kv_table;                /* [rows * batch] */
    int32_t         *token_ids;               /* [chunks, 77] of the longest prompt */
    float           *sizes;                   /* the six numbers of the vector conditioning */
    void            *hidden, *pooled_rows;    /* text encoder outputs */
    uint8_t         *pixels;                  /* [H, W, 3] */
    rf_pixels_stats *stats;                   /* [1] */
    rf_program       decode, scratch_program; /* the latter: programs that run once */

    int64_t    load_done, load_total; /* bytes of files, in the run at work */
    int        encoded, ready; /* prompts are in `context`; embeddings, K/V and programs stand */
    rf_timings timings;
    double    *gaps; /* [2 calls]: seconds between a call's end and the next one's start; then room
                        to sort */
};

/* plan_prompts.c: which conditionings there are, and the rows of every call. */
rf_status rf_plan_condition(rf_plan *plan, rf_error *err);
void      rf_plan_forget_prompts(rf_plan *plan);

/* Rows of one call at `stage` into `out`, which has room for plan->rows; their number.  `positive`
 * and `negative` are entries of the prompts of the stage's set. */
int rf_plan_rows(const rf_plan *plan, int stage, const int *positive, int negative,
                 int skips_negative, rf_relay_row *out);

/* plan_memory.c: sizes everything (the memory pointers stay NULL), then takes and places it. */
rf_status rf_plan_size(rf_plan *plan, rf_error *err);
rf_status rf_plan_allocate(rf_plan *plan, rf_error *err);
void      rf_plan_release(rf_plan *plan); /* gives the memory back, if it was taken */

/* An expert's passes: what is counted and what is recorded. */
rf_unet_forward_args rf_expert_forward_args(const rf_plan *p, const rf_plan_expert *x, int rows,
                                            int batch);
rf_unet_embed_args   rf_expert_embed_args(const rf_plan_expert *x);
rf_clip_args rf_clip_args_of(const rf_plan *p, const rf_plan_expert *x, const rf_conditioning *cond,
                             int encoder);

/* encode.c: runs the text encoders over all prompts; fills context and pooled. */
rf_status rf_plan_encode(rf_plan *plan, void *staging, const rf_callbacks *callbacks,
                         rf_error *err);

/* prepare.c: loads UNets and VAE, fills K/V and embeddings, records the programs. */
rf_status rf_plan_prepare(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err);
rf_status rf_load_reporting(rf_plan *plan, rf_expert *expert, rf_network network, int stage,
                            void *staging, const rf_callbacks *callbacks, rf_error *err);

/* A batch on its way. */
typedef struct rf_batch {
    int first, count; /* pictures */
    int kind;         /* RF_WHOLE_BATCH or RF_LAST_BATCH */
} rf_batch;

/* denoise.c: from noise to latents, in the slot RF_SOURCE_X. */
rf_status rf_denoise(rf_plan *plan, const rf_batch *batch, const rf_callbacks *callbacks,
                     rf_error *err);
/* The pieces that DPM adaptive (denoise_adaptive.c) shares with it. */
rf_status rf_denoise_start(rf_plan *plan, const rf_batch *batch, rf_error *err);
rf_status rf_denoise_predict(rf_plan *plan, const rf_batch *batch, const rf_relay_call *call,
                             rf_error *err); /* slots D, and U where it is read */
rf_status rf_denoise_check(const rf_plan *plan, const rf_batch *batch, const rf_relay_call *call,
                           rf_error *err);
rf_noise_spec rf_picture_noise(const rf_plan *plan, int picture);
rf_status rf_denoise_adaptive(rf_plan *plan, const rf_batch *batch, const rf_callbacks *callbacks,
                              rf_error *err);

/* infotext and job of picture `index`, for PNG metadata; free() them. */
rf_status rf_plan_infotext(rf_plan *plan, int index, char **out, rf_error *err);
rf_status rf_plan_job_json(rf_plan *plan, int index, char **out, rf_error *err);

/* Calls progress if there is one; RF_E_CANCELLED if it asks to stop. */
rf_status rf_report(const rf_callbacks *callbacks, const rf_progress *progress, rf_error *err);

const char *rf_plan_advice(const rf_plan *plan); /* what might help against NaN */

double rf_now(void); /* seconds, monotonic */

#endif
