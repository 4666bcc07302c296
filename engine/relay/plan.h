/* Inside of a plan: the courses of its jobs, the tree of their calls, what the calls are
 * conditioned on, where everything lies, and what has been done so far.
 *
 * Nothing in a plan belongs to a job but what stands in rf_plan_job: experts, conditionings, table
 * rows, calls and programs are lists of distinct contents that all jobs point into by index. */
#ifndef RF_RELAY_PLAN_H
#define RF_RELAY_PLAN_H

#include "engine/core/tokens.h"
#include "engine/core/twin.h"
#include "engine/model/clip.h"
#include "engine/model/vae.h"
#include "engine/relay/course.h"
#include "engine/relay/engine.h"
#include "engine/relay/init.h"
#include "engine/relay/inversions.h"
#include "engine/relay/kv_pool.h"
#include "engine/relay/launch_ring.h"
#include "engine/relay/launches.h"
#include "engine/relay/lookup.h"
#include "engine/relay/preview.h"
#include "engine/relay/residency.h"
#include "engine/relay/variants.h"
#include "engine/relay/x0_check.h"
#include "engine/sample/brownian.h"
#include "engine/sample/noise.h"

enum { RF_ENCODER_L = 0, RF_ENCODER_G, RF_ENCODERS };
enum { RF_BATCH_MAX = 64, RF_HISTORY = 3 };
enum { RF_TEXT_BATCH_MAX = 16 }; /* 1,232 rows: weights are read for so many at once */

/* ---- what calls are conditioned on --------------------------------------------------------- */

/* One variant of a prompt for one expert, on its way to keys and values. */
struct rf_conditioning {
    int       group;
    int       zero;                /* an empty negative prompt: everything is zero */
    int       chunks;              /* of tokens, in either encoder */
    uint16_t *id[RF_ENCODERS];     /* [chunks, 77]; thousands of prompts have half the bytes so */
    float    *weight[RF_ENCODERS]; /* likewise; NULL: all 1, in the whole group */
    int       rows;                /* of context: 77 per chunk, and padding */
    void     *context;             /* [rows, context], on the shelf */
    void     *pooled;              /* [projection], likewise */
    void     *kv;                  /* its block in the pool, the device's; NULL: not there */
    int64_t   kv_read;             /* its last place among the pool's reads; 0: none yet */
};

/* Neighbours in the list whose emphasis is normalised together: in the default mode each variant
 * alone, for A1111 all variants of a prompt part. */
typedef struct rf_conditioning_group {
    int         first, count;
    rf_emphasis emphasis;
    int         clip_skip; /* of CLIP-L; 0: SDXL's own */
    int         prompt;    /* which one it is a part of: A1111 pads all parts to one length */
} rf_conditioning_group;

/* Conditionings whose passes through the text encoders have one shape. */
typedef struct rf_text_shape {
    int chunks, clip_skip;
    int conds;
    int at_a_time[RF_ENCODERS];
} rf_text_shape;

/* What an expert is told about the picture: h, w, crop top, crop left, and target h, target w, or
 * for Stability's refiner an aesthetic score and 0.  Each becomes RF_NUMBER_WAVES sinusoids
 * (generative-models, ConcatTimestepEmbedderND). */
enum { RF_SIZES = RF_VECTOR_NUMBERS, RF_SIZE_WAVES = RF_NUMBER_WAVES };

typedef struct rf_sizing {
    double value[RF_SIZES];
} rf_sizing;

/* Embeddings of (timestep, conditioning, sizing), one row each. */
typedef struct rf_plan_table {
    int        rows;
    int       *cond, *sizing; /* [rows] */
    float     *planned;       /* [rows]: their timesteps */
    rf_twin    timestep;      /* likewise, where ops read them */
    rf_twin    vector;        /* [rows, arch.unet.vector] */
    void      *temb;          /* the device's */
    rf_program embed;
    rf_lookup  known; /* while planning: its rows */
} rf_plan_table;

/* DPM adaptive has a table of its own, which is filled anew for every call. */
enum { RF_TABLE_PLANNED = 0, RF_TABLE_ADAPTIVE, RF_TABLES };

/* An expert that makes calls. */
typedef struct rf_plan_expert {
    rf_expert             *expert;
    int                    stage; /* the first that has it, of the first job that has it */
    rf_conditioning       *cond;
    int                    conds;
    rf_conditioning_group *group;
    int                    groups;
    rf_text_shape         *shape;
    int                    shapes;
    rf_kv_program         *kv; /* one per length of its conditionings */
    int                    kvs;
    rf_plan_table          table[RF_TABLES];
    int                    computed; /* embeddings stand, and what keys and values had room */
    int64_t recorded; /* which loading of the UNet its programs are for; 0: there are none */
} rf_plan_expert;

/* ---- calls -------------------------------------------------------------------------------- */

/* The forward pass of an expert over some rows per sample; calls that have the same one may share
 * a launch. */
typedef struct rf_plan_program {
    int        expert, table, rows, h, w;
    char       occurs[RF_BATCH_MAX + 1];  /* launches of that many samples */
    rf_program forward[RF_BATCH_MAX + 1]; /* those */
    rf_graph  *graph[RF_BATCH_MAX + 1];   /* likewise, on devices that have graphs */
} rf_plan_program;

/* One row of a call: a conditioning, and its part in the guided x0. */
typedef struct rf_relay_row {
    int    cond, table_row;
    double weight; /* all weights of a call add up to 1 */
} rf_relay_row;

/* What a call has from its place in the schedule alone. */
typedef struct rf_relay_update {
    rf_call sampler;
    double  timestep;
} rf_relay_update;

typedef struct rf_relay_call {
    int update, program;
    int row_at, rows; /* in the plan's list; the negative prompt, if it is there, is the last */
    int u_row;        /* whose x0 is RF_SOURCE_U: the negative prompt's, else the first */
} rf_relay_call;

/* ---- jobs --------------------------------------------------------------------------------- */

/* What became of a LoRA of a stage. */
typedef struct rf_plan_lora {
    rf_lora_info    info;
    rf_opened_lora *file; /* NULL: it is not at work */
} rf_plan_lora;

struct rf_plan_job {
    rf_job         job;      /* copied; experts of its stages are the variants with their LoRAs */
    void          *block;    /* its strings and stages */
    rf_plan_lora  *lora;     /* of all stages, one after the other */
    rf_triggers   *triggers; /* [stages]: names of textual inversions that its prompts know */
    rf_course      course;   /* once planned, DPM adaptive's alone has prompts, none has calls */
    rf_stage_info *info;     /* [stages] */
    int           *active;   /* [active_count]: stages that make calls */
    int            active_count;
    char          *negative_weighs; /* [stages]: in any of its calls */
    int           *entry_cond;      /* plan_prompts.c; NULL once nobody asks */
    int           *call;            /* [course.calls] of the plan's */
    const rf_noise_source *noise;
    int                    h, w;                           /* latent */
    int                    sizing, scoring[RF_POLARITIES]; /* the refiner's scoring; -1: none */
    int                    vae, decoder;
    int                    init;         /* of the plan's, from 1; 0: it starts from noise */
    int64_t                calls_of_own; /* that no other job shares */
};

/* Pictures that are planned together: a tree, and how it is walked.  Of one job alone nothing is
 * shared between batches, so that these have one tree, walked again for each; the last batch may
 * have another. */
struct rf_plan_tree {
    rf_picture *picture; /* [pictures]; index from that of the round */
    int         pictures;
    int        *next;   /* [pictures]: the next one with the same leaf, -1: none */
    int        *leaf;   /* [pictures] */
    int        *parent; /* [nodes], below the node itself; the root is node 0 */
    int        *call;   /* [nodes]; -1: a whole run of DPM adaptive */
    int        *depth;  /* [nodes]: calls up to and including it */
    int        *first;  /* [nodes]: the first picture at or below */
    int         nodes;  /* calls: without the root */
    rf_launches launches;
    int        *turn; /* [turns]: experts, where not all are resident */
    int         turns;
};

enum { RF_WHOLE_ROUND = 0, RF_LAST_ROUND, RF_ROUND_KINDS };

/* ---- files that decode -------------------------------------------------------------------- */

typedef struct rf_plan_vae {
    rf_expert *expert;
    int        separate;           /* opened by the plan */
    float      map[RF_LATENT_MAP]; /* of its previews, where they are made so */
} rf_plan_vae;

typedef struct rf_plan_decoder {
    int        vae, h, w;
    int        at_a_time;                  /* latents */
    char       finishes[RF_BATCH_MAX + 1]; /* launches with so many latents for it */
    char       occurs[RF_BATCH_MAX + 1];   /* decodings of so many */
    rf_program program[RF_BATCH_MAX + 1];  /* those */
    rf_program preview;                    /* of one, by TAESDXL */
} rf_plan_decoder;

/* ---- state -------------------------------------------------------------------------------- */

/* A slot holds the state of one run: X, the anchor and the next one, the history and the next entry
 * of it, as rows of the pool (denoise.c).  This says which is which. */
typedef struct rf_run_state {
    int           anchor;        /* 0 or 1 */
    int           history;       /* place of H1 in its ring */
    int           failed;        /* the step at which there was NaN or infinity; -1: none */
    int           failed_expert; /* who made that call */
    rf_noise_memo memo;
} rf_run_state;

/* What one launch does for one run. */
typedef struct rf_sample {
    const rf_relay_call *call;
    const rf_call       *sampler;
    int                  slot;
    int                  made;    /* calls of the run, this one included */
    rf_picture           picture; /* whose noise it is */
} rf_sample;

struct rf_pass {
    const rf_plan_program *program;
    const rf_sample       *sample;
    int                    count;
};

struct rf_plan {
    rf_engine *engine;

    rf_plan_job     *job;
    int              jobs;
    rf_plan_expert  *expert;
    int              expert_count;
    rf_plan_vae     *vae;
    int              vaes;
    rf_plan_decoder *decoder;
    int              decoders;
    rf_sizing       *sizing;
    int              sizings;
    rf_plan_init    *init;
    int              inits;
    rf_inversions    inversions;
    rf_plan_program *program;
    int              programs;
    rf_relay_update *update;
    int              updates;
    rf_relay_call   *call;
    int              calls;
    rf_relay_row    *row; /* of all calls; behind them room for one of DPM adaptive */
    int              rows_listed;
    size_t           rows_room;
    int              rows;        /* most of any call */
    rf_tree          known;       /* while planning: content to index, see rf_plan_know */
    rf_lookup        known_calls; /* likewise */
    int              prompts;

    rf_plan_tree tree[RF_ROUND_KINDS];
    int          rounds, pictures_per_round; /* pictures of a job in a round */
    int          batch, adaptive;            /* any job is */
    int          resident, loads;            /* rf_plan_info's */
    uint64_t     memory;                     /* of UNets that may stay loaded; 0: no limit */
    char        *held;                       /* [expert_count]: scratch of residency.c */
    rf_turn      turn;                       /* while running: whose it is */
    int          slots;
    size_t       elems;        /* of the largest latent */
    int          decodings;    /* most at a time */
    size_t       decode_elems; /* of the latents that are decoded at a time */
    int64_t      calls_naive, calls_shared, launches, pictures;

    /* sizes, from counting */
    size_t network_slab[RF_NETWORKS]; /* what each would need alone; slab_bytes: the largest */
    size_t slab_bytes, kv_bytes, state_bytes, staging_bytes, text_bytes, vae_bytes, unet_bytes,
        peak_bytes;
    size_t encoder_bytes; /* largest VAE encoder, released once all pictures are latents */
    size_t kept_cells;    /* of all masks: cells that stay */
    size_t merge_bytes;   /* of the host's memory, while LoRAs are merged beside a GPU */

    /* memory, from the first run on: desk and shelf are the host's, all other is the device's.
     * Copies go to and from the desk, which is pinned; the shelf is plain memory, zeroed, for the
     * encoded prompts, which may be many.  On a host device there is neither: what would lie there
     * lies in `state`. */
    void      *slab, *kv, *state, *desk, *shelf;
    size_t     desk_bytes, shelf_bytes;
    rf_kv_pool kv_pool; /* in `kv`, beside the embeddings */

    /* inside `state` */
    float *pool;      /* rows of `elems`: those of the slots, then those of the samples */
    int    slot_rows; /* of each slot */
    int    anchor_row, history_row; /* in it; 0: no sampler has any */
    int    sample_row[RF_SOURCES];  /* of sample 0; 0: not one of a sample */
    int    init_row;                /* of the latent of init 0 */
    void  *x, *eps;                 /* [rows * batch, h, w, 4] */

    /* on the desk */
    rf_run_state *slot;             /* [slots] */
    rf_sample    *sample;           /* [batch] */
    float        *scratch;          /* three tensors, of the seed's size if larger */
    float        *adaptive_scratch; /* rf_adaptive_scratch, or NULL */

    /* on both */
    rf_launch_ring ring;
    rf_x0_glance   glance;
    rf_twin        decode_latent;       /* float [at_a_time, h, w, 4] of a decoder */
    rf_twin        unscale;             /* float [decodings] */
    rf_twin        token_ids;           /* int32_t [chunks, 77] of the largest encoding */
    rf_twin        sizes;               /* float [sizings, RF_SIZES] */
    rf_twin        size_waves;          /* [sizings, RF_SIZES, RF_SIZE_WAVES] */
    rf_twin        hidden, pooled_rows; /* text encoder outputs */
    rf_twin        pixels;              /* uint8_t [at_a_time, H, W, 3] of a decoder */
    rf_twin        stats;               /* rf_pixels_stats [decodings] */
    rf_twin        init_pixels;         /* [H, W, 3] of the largest init, in the VAE's type */
    rf_twin        moments;             /* [h, w, 2 z] of it, likewise */
    rf_twin        kept;                /* int32_t [kept_cells]: of one init after the other */
    rf_twin        ones;                /* float: coefficients of keeping a latent's cells */

    rf_program scratch_program; /* programs that run once */

    rf_preview_kit preview;

    int64_t    load_done, load_total; /* bytes of files, in the run at work */
    int64_t    calls_done, pictures_done;
    int        encoded, ready; /* prompts are in `context`; decoders and their programs stand */
    rf_timings timings;
    double *gaps; /* [2][launches of the larger tree]: seconds before a call, not at switches and at
                     them */
    int    gap_room, gap_count[2];
    double last_end; /* of a call; 0: what comes next is no gap */
    int    last_expert;
};

/* plan.c: *index = `next` if this content is new, else what it was given then.  RF_E_NOMEM. */
rf_status rf_plan_know(rf_plan *plan, const void *key, size_t bytes, int next, int *index,
                       rf_error *err);
/* Room for one more in a list that doubles; NULL without memory. */
void *rf_plan_grown(void *list, int count, size_t size);

/* plan_job.c: course, stages, experts and VAE of the next job. */
rf_status rf_plan_add_job(rf_plan *plan, const rf_job *job, rf_error *err);
void      rf_plan_free_job(rf_plan_job *job);
int       rf_plan_stage_at(const rf_plan_job *job, int call); /* that makes call k */
int       rf_plan_expert_of(const rf_plan *plan, const rf_plan_job *job, int stage);
/* Of the plan's sizings the one that a prompt of that polarity has with the expert. */
int rf_plan_sizing_of(const rf_plan *plan, const rf_plan_job *job, int expert, int polarity);
rf_noise_spec rf_picture_noise(const rf_plan *plan, rf_picture picture);

/* plan_loras.c: opens what a stage names, judges whether it fits, and puts the variant in place of
 * the stage's expert. */
rf_status rf_plan_add_loras(rf_plan *plan, rf_plan_job *job, int stage, rf_error *err);
/* Those of a stage: [lora_count of the job's stage]. */
rf_plan_lora *rf_plan_loras_of(const rf_plan_job *job, int stage);
/* rf_expert_tidy, of all experts. */
void rf_plan_tidy(rf_plan *plan, int loaded);
/* One sentence for the user, told once however many jobs give it. */
void rf_plan_warn(rf_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* plan_prompts.c: conditionings of a job's calls. */
rf_status rf_plan_condition(rf_plan *plan, rf_plan_job *job, rf_error *err);
void      rf_plan_pad_parts(rf_plan *plan); /* once all jobs are there */
void      rf_plan_forget_prompts(rf_plan *plan);

/* Rows of one call at `stage`, with guidance `cfg`, into `out`, which has room for a part each and
 * one more; their number.  `positive` and `negative` are entries of the prompts of the stage's set,
 * whose conditionings are there. */
int rf_plan_rows(const rf_plan_job *job, int stage, double cfg, const int *positive, int negative,
                 int skips_negative, rf_relay_row *out);

/* Of row r of a call that has so many positive ones. */
static inline int rf_row_polarity(int r, int positive)
{
    return r < positive ? RF_POSITIVE : RF_NEGATIVE;
}

/* plan_calls.c: the job's calls, each once per content. */
rf_status rf_plan_list_calls(rf_plan *plan, rf_plan_job *job, rf_error *err);
int       rf_plan_find_program(const rf_plan *plan, int expert, int table, int rows, int h,
                               int w); /* plan->programs: there is none */
int       rf_plan_adaptive_row(const rf_plan_table *table, int cond, int sizing);

/* plan_tree.c: the trees and in which order they are computed. */
rf_status rf_plan_grow(rf_plan *plan, rf_error *err);
void      rf_plan_fell(rf_plan *plan);

/* plan_memory.c: sizes everything (the memory pointers stay NULL), then takes and places it. */
rf_status rf_plan_size(rf_plan *plan, rf_error *err);
rf_status rf_plan_allocate(rf_plan *plan, rf_error *err);
void      rf_plan_release(rf_plan *plan); /* gives the memory back, if it was taken */

/* An expert's passes: what is counted and what is recorded. */
rf_unet_forward_args rf_forward_args(const rf_plan *p, const rf_plan_program *program, int samples);
rf_unet_embed_args   rf_embed_args(const rf_plan_expert *x, const rf_plan_table *table);
rf_vae_decode_args   rf_decode_args(const rf_plan *p, const rf_plan_decoder *d, int latents);
rf_clip_args rf_clip_args_of(const rf_plan *p, const rf_plan_expert *x, const rf_text_shape *shape,
                             int encoder, int prompts);

/* plan_batches.c: how many prompts, and how many latents, go through their networks at a time. */
rf_status rf_plan_list_shapes(rf_plan_expert *x, rf_error *err);
rf_status rf_plan_count_decodings(rf_plan *plan, rf_error *err);
/* Once the slab has its size: as many as fit into it. */
rf_status rf_plan_batch_text(rf_plan *plan, rf_plan_expert *x, int encoder, rf_error *err);
rf_status rf_plan_batch_decodings(rf_plan *plan, rf_plan_decoder *d, rf_error *err);

/* Whether the expert has that text encoder. */
static inline int rf_plan_encodes(const rf_plan_expert *x, int encoder)
{
    return encoder == RF_ENCODER_G || x->expert->arch.has_clip_l;
}

/* encode.c: runs the text encoders over all prompts; fills context and pooled. */
rf_status rf_plan_encode(rf_plan *plan, void *staging, const rf_callbacks *callbacks,
                         rf_error *err);

/* prepare.c: memory, prompts and decoders; and the UNets, where all are resident. */
rf_status rf_plan_prepare(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err);
/* The expert's UNet, its keys, values and embeddings, and its programs, unless they are there. */
rf_status rf_plan_summon(rf_plan *plan, int expert, const rf_callbacks *callbacks, rf_error *err);
/* rf_expert_load, with progress. */
rf_status rf_load_reporting(rf_plan *plan, rf_expert *expert, rf_network network, rf_expert *over,
                            int stage, void *staging, const rf_callbacks *callbacks, rf_error *err);

/* denoise.c: a launch is written and then queued.  open: the first `beginners` samples begin their
 * runs, and have their latent; all that the launch reads is on its way.  call: the rest of it. */
float    *rf_slot_row(const rf_plan *plan, int slot, rf_source source); /* X, ANCHOR, H1..H3 */
rf_status rf_denoise_open(rf_plan *plan, const rf_pass *pass, int beginners, rf_error *err);
rf_status rf_denoise_call(rf_plan *plan, const rf_pass *pass, rf_error *err);
/* Parts of one, for DPM adaptive: the latent to begin with; the guided x0. */
rf_status rf_denoise_begin(rf_plan *plan, const rf_pass *pass, rf_error *err);
rf_status rf_denoise_predict(rf_plan *plan, const rf_pass *pass, rf_error *err);
/* launch_ring.c: waits for what is queued, and marks `failed` of the states that went bad, with the
 * step and the expert of the launch that it happened in. */
rf_status rf_denoise_settle(rf_plan *plan, rf_error *err);

/* call_gaps.c: around every call, and when its launch is known to be done; then of a round. */
rf_status rf_gap_close(rf_plan *plan, int expert, rf_error *err);
rf_status rf_gap_open(rf_plan *plan, int expert, rf_error *err);
rf_status rf_gap_read(rf_plan *plan, const rf_ring_side *side, rf_error *err);
void      rf_gap_forget(rf_plan *plan);
void      rf_gap_summarise(rf_plan *plan); /* into timings */

/* denoise_adaptive.c: a whole run, from noise.  `progress` is completed on the way. */
rf_status rf_denoise_adaptive(rf_plan *plan, rf_picture picture, int slot,
                              const rf_progress *progress, const rf_callbacks *callbacks,
                              rf_error *err);

/* infotext and job of a picture, for PNG metadata; free() them. */
rf_status rf_plan_infotext(rf_plan *plan, rf_picture picture, char **out, rf_error *err);
rf_status rf_plan_job_json(rf_plan *plan, rf_picture picture, char **out, rf_error *err);

/* Calls progress if there is one; RF_E_CANCELLED if it asks to stop. */
rf_status rf_report(const rf_callbacks *callbacks, const rf_progress *progress, rf_error *err);

double rf_now(void); /* seconds, monotonic */

#endif
