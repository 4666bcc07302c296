/* Inside of an engine and of an expert; the public side is refinery.h. */
#ifndef RF_RELAY_ENGINE_H
#define RF_RELAY_ENGINE_H

#include "engine/core/arch.h"
#include "engine/core/device.h"
#include "engine/core/weights.h"
#include "engine/files/checkpoint.h"
#include "engine/files/model_file.h"
#include "engine/files/prediction.h"
#include "engine/files/sdxl_derive.h"
#include "engine/files/vae_view.h"
#include "engine/model/unet.h"
#include "engine/refinery.h"
#include "engine/relay/file_hash.h"
#include "engine/sample/schedule.h"
#include "engine/text/tokenize.h"

struct rf_engine {
    rf_device       device;
    rf_dtype        dtype;     /* of activations, text encoders' included ... */
    rf_dtype        vae_dtype; /* ... and of the VAE's, which overflow f16: bf16 for it */
    char            description[160];
    uint64_t        memory;     /* rf_options.memory */
    int             plan_only;  /* rf_options.plan_only */
    int             strict;     /* rf_options.strict */
    uint64_t        kv_pool;    /* rf_options.kv_pool, or its default */
    char           *hash_cache; /* or NULL */
    pthread_mutex_t hash_turn;  /* one file is hashed at a time */
    rf_tokenizer   *tokenizer;
    rf_sigma_table  table;                       /* SDXL's noise levels: where there is no expert */
    rf_expert      *opened;                      /* all that are open, the latest first */
    int             profile_first, profile_last; /* of rf_options; the trace is the device's */
    int             profiling;                   /* the device's profiler was started */
    void (*warn)(void *user, const char *message);
    void *user;
};

/* One sentence for the user, through the engine's callback. */
void rf_warn(const rf_engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens the device that `options` ask for and sets everything of an engine that depends on it.
 * RF_E_ARG names the option; RF_E_UNSUPPORTED: the device cannot compute in that dtype; errors of
 * rf_device_open_*. */
rf_status rf_engine_choose_device(rf_engine *engine, const rf_options *options, rf_error *err);

/* The networks of an expert; the VAE is its decoder. */
typedef enum rf_network {
    RF_NET_CLIP_L,
    RF_NET_CLIP_G,
    RF_NET_UNET,
    RF_NET_VAE,
    RF_NET_VAE_ENCODER,
    RF_NETWORKS,
} rf_network;

typedef struct rf_family rf_family;
typedef struct rf_merge  rf_merge;

struct rf_expert {
    rf_engine     *engine;
    rf_expert     *next; /* in the engine's list */
    char          *path, *name;
    rf_model_file *file;
    rf_sdxl_arch   arch;
    rf_vae_view  *vae_view; /* opened for its VAE alone: that under a checkpoint's names; or NULL */
    rf_prediction found;    /* what its file says it predicts ... */
    rf_prediction prediction; /* ... and what is taken: expert_prediction.c.  A variant asks its
                                 parent for this and the next two */
    rf_sigma_table   table;   /* its noise levels */
    int              x0_seen; /* x0_check.c has looked at what it answers */
    rf_unet_list     blocks;
    rf_unet_sections unet;              /* where the UNet's three functions' weights begin */
    rf_weights    weights[RF_NETWORKS]; /* listed when a plan first asks; base NULL until loaded */
    int64_t       unet_loads;           /* so far: programs hold the addresses of one of them */
    rf_file_hash  own_hash;
    rf_file_hash *hash;  /* a variant's is its parent's */
    int           users; /* plans that make calls with it */

    /* variants.h */
    rf_family       *family; /* of a parent, once it has LoRAs */
    rf_expert       *parent; /* of a variant, which borrows path, name and file */
    rf_merge        *merge;  /* [merges], in order */
    int              merges;
    rf_weights_patch patch[RF_NETWORKS]; /* {0}: none */
};

/* Opens a file or folder for its VAE alone: a checkpoint, or a VAE by itself under any of the names
 * that VAEs have (vae_view.h).  Errors as rf_expert_open. */
rf_status rf_expert_open_vae(rf_expert **out, rf_engine *engine, const char *path, rf_error *err);

/* expert_prediction.c: finds out what an opened checkpoint predicts.  Errors of rf_prediction_find.
 */
rf_status             rf_expert_find_prediction(rf_expert *expert, rf_error *err);
const rf_prediction  *rf_expert_prediction(const rf_expert *expert);
const rf_sigma_table *rf_expert_table(const rf_expert *expert);
/* What a saved job has to tell of it, for rf_expert_set_prediction; NULL: its weights say it. */
const char *rf_expert_told_prediction(const rf_expert *expert);

/* Lists the weights of a network, checking them against the file, unless that was done before. */
rf_status rf_expert_list(rf_expert *expert, rf_network network, rf_error *err);

/* Loads a listed network unless it is loaded.  `staging` as in rf_weights_load.  `over`: a relative
 * (variants.h) that need not keep its weights of that network, and loses them; NULL: one that no
 * plan uses, if there is one. */
rf_status rf_expert_load(rf_expert *expert, rf_network network, rf_expert *over, void *staging,
                         const rf_load_progress *progress, rf_error *err);
void      rf_expert_unload(rf_expert *expert, rf_network network);

#endif
