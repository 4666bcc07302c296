/* Experts with LoRAs.
 *
 * An opened expert and a set of LoRAs, in their order and with their strengths, is a variant: an
 * expert of its own to plans, which shares the file, the sizes, the hash and the VAE with the one
 * it comes from (its parent) and has its own weights of UNet and text encoders.  The parent keeps
 * its variants: equal sets are the same expert, so that runs share prefixes and weights.
 *
 * Only as many UNets stay in memory as plans need.  One that no plan uses any more is overwritten
 * by the next relative that is loaded: of the packed weights only those that either set touches are
 * read again, from the file.  Nothing is ever subtracted, so that the weights are those of a fresh
 * merge after any number of changes. */
#ifndef RF_RELAY_VARIANTS_H
#define RF_RELAY_VARIANTS_H

#include <sys/stat.h>

#include "engine/files/lora_fit.h"
#include "engine/relay/engine.h"

/* An opened file of the LoRA family against an expert. */
typedef struct rf_opened_lora {
    char        *path, *name;
    struct stat  info; /* as it was opened: another size, time or inode is another file */
    rf_lora     *lora;
    rf_lora_fit  fit;
    rf_file_hash hash; /* of the whole file ... */
    rf_file_hash body; /* ... and behind its header: what A1111 calls AutoV3 */
} rf_opened_lora;

typedef struct rf_merge {
    rf_opened_lora *file;
    float           unet, text; /* strengths */
} rf_merge;

/* The LoRA at `path` against `expert`, which keeps it until no variant has it.  Errors of
 * rf_lora_open, and RF_E_MODEL for two modules of one layer; that modules do not fit is no error.
 */
rf_status rf_expert_open_lora(rf_opened_lora **out, rf_expert *expert, const char *path,
                              rf_error *err);

/* The variant of `expert` with these merged; `expert` itself if there are none. */
rf_status rf_expert_variant(rf_expert **out, rf_expert *expert, const rf_merge *merge, int merges,
                            rf_error *err);

static inline rf_expert *rf_expert_parent(rf_expert *expert)
{
    return expert->parent ? expert->parent : expert;
}

/* Whether any plan makes calls with the expert or a variant of it. */
int rf_expert_is_used(const rf_expert *parent);

/* A relative whose weights of that network are loaded though no plan uses it; NULL: there is none.
 */
rf_expert *rf_expert_idle_relative(const rf_expert *expert, rf_network network);

/* Gives back the variants of an expert's parent that no plan uses, and LoRAs that no variant has;
 * `loaded`: those with loaded weights too. */
void rf_expert_tidy(rf_expert *expert, int loaded);

/* With the parent: all variants, which nobody uses any more. */
void rf_family_free(rf_expert *parent);

#endif
