/* Inside of a plan: the active stages, where everything lies, and what has been done so far. */
#ifndef RF_RELAY_PLAN_H
#define RF_RELAY_PLAN_H

#include "engine/core/tokens.h"
#include "engine/relay/engine.h"
#include "engine/sample/noise.h"
#include "engine/sample/sampler.h"
#include "engine/sample/switch.h"

enum { RF_POSITIVE = 0, RF_NEGATIVE, RF_POLARITIES };
enum { RF_ENCODER_L = 0, RF_ENCODER_G, RF_ENCODERS };
enum { RF_WHOLE_BATCH = 0, RF_LAST_BATCH, RF_BATCH_KINDS }; /* the last may be smaller */

/* One text for one expert, on its way to keys and values. */
typedef struct rf_prompt {
    char *text;
    /* The first prompt of the plan with this expert and text: it is encoded, and its context,
     * pooled and kv are this one's too.  NULL if this is it. */
    const struct rf_prompt *same;

    rf_tokens tokens[RF_ENCODERS]; /* equal chunk counts */
    int       zero;                /* an empty negative prompt: all conditioning is zero */
    void     *context;             /* [77 chunks, context] */
    void     *pooled;              /* [projection] */
    void     *kv;                  /* the K/V pool block */
} rf_prompt;

/* A stage that makes calls. */
typedef struct rf_active_stage {
    rf_expert *expert;
    int        index; /* in the job */
    int        first_step, calls;
    int        polarities; /* 1 with cfg 1, else 2 */
    float      cfg;
    rf_prompt  prompt[RF_POLARITIES];
    float     *timestep; /* [rows], rows = calls * polarities: row call * polarities + polarity */
    void      *vector;   /* [rows, arch.unet.vector] */
    void      *temb;     /* embedding table of those rows */
    rf_program forward[RF_BATCH_KINDS];
} rf_active_stage;

typedef struct rf_plan_step {
    rf_sampler_step sampler;
    int             stage; /* active stage */
    float           timestep;
} rf_plan_step;

struct rf_plan {
    rf_engine *engine;

    /* the job, copied */
    rf_job                 job; /* pointers in it are not used */
    int                    stage_count;
    rf_stage_info         *info; /* [stage_count] */
    double                *until;
    rf_active_stage       *active; /* [active_count] */
    int                    active_count;
    rf_expert             *vae;
    int                    vae_is_separate;
    const rf_sampler      *sampler;
    const rf_schedule     *schedule;
    const rf_noise_source *noise;
    double                *sigmas; /* [steps + 1] */
    rf_plan_step          *step;   /* [steps] */
    int                    h, w;   /* latent */
    int                    batch, last_batch;

    /* sizes, from counting */
    size_t slab_bytes, kv_bytes, state_bytes, staging_bytes, text_bytes, vae_bytes, peak_bytes;

    /* memory, from the first run on */
    void *slab, *kv, *state;

    /* inside `state` */
    float           *latent, *draw;        /* [batch, h, w, 4] */
    float           *decode_latent;        /* [h, w, 4] */
    void            *x, *eps;              /* [2 batch, h, w, 4] */
    float           *coef;                 /* [batch, RF_LINCOMB_TERMS] */
    float           *unscale;              /* [1] */
    int32_t         *temb_row;             /* [2 batch] */
    rf_attention_kv *kv_table;             /* [2 batch] */
    int32_t         *token_ids;            /* [chunks, 77] of the longest prompt */
    float           *sizes;                /* the six numbers of the vector conditioning */
    void            *hidden, *pooled_rows; /* text encoder outputs */
    uint8_t         *pixels;               /* [H, W, 3] */
    rf_pixels_stats *stats;                /* [1] */
    rf_program       decode, scratch;      /* scratch: programs that run once */

    int64_t    load_done, load_total; /* bytes of files, in the run at work */
    int        encoded, ready; /* prompts are in `context`; embeddings, K/V and programs stand */
    rf_timings timings;
    double *gaps; /* [2 steps]: seconds between a call's end and the next one's start; then room to
                     sort */
};

/* plan_memory.c: sizes everything (the memory pointers stay NULL), then takes and places it. */
rf_status rf_plan_size(rf_plan *plan, rf_error *err);
rf_status rf_plan_allocate(rf_plan *plan, rf_error *err);
void      rf_plan_release(rf_plan *plan); /* gives the memory back, if it was taken */

/* A stage's forward pass over `batch` pictures: what is counted and what is recorded. */
rf_unet_forward_args rf_stage_forward_args(const rf_plan *plan, const rf_active_stage *stage,
                                           int batch);

/* encode.c: runs the text encoders over all prompts; fills context and pooled. */
rf_status rf_plan_encode(rf_plan *plan, void *staging, const rf_callbacks *callbacks,
                         rf_error *err);

/* prepare.c: loads UNets and VAE, fills K/V and embeddings, records the programs. */
rf_status rf_plan_prepare(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err);
rf_status rf_load_reporting(rf_plan *plan, rf_expert *expert, rf_network network, int stage,
                            void *staging, const rf_callbacks *callbacks, rf_error *err);

/* infotext of picture `index`, for PNG metadata; free() it.  NULL: out of memory. */
rf_status rf_plan_infotext(rf_plan *plan, int index, char **out, rf_error *err);

/* Calls progress if there is one; RF_E_CANCELLED if it asks to stop. */
rf_status rf_report(const rf_callbacks *callbacks, const rf_progress *progress, rf_error *err);

double rf_now(void); /* seconds, monotonic */

#endif
