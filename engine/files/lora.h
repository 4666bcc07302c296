/* A file of the LoRA family, whatever program wrote it: a list of modules, each of one kind.
 *
 * Opening reads the header and the few scalars; factors stay in the file until something is merged.
 * Nothing here knows which expert it is for: lora_fit.h matches modules to layers. */
#ifndef RF_LORA_H
#define RF_LORA_H

#include "engine/core/tensors.h"
#include "engine/files/safetensors.h"
#include "engine/files/sdxl_layout.h"

typedef enum rf_lora_kind {
    RF_LORA_LOW_RANK,  /* up down (Hu et al. 2021); with mid: Tucker (LoCon) */
    RF_LORA_HADAMARD,  /* (w1a w1b) * (w2a w2b) (LoHa; Hyeon-Woo et al. 2022) */
    RF_LORA_KRONECKER, /* w1 (x) w2 (LoKr) */
    RF_LORA_DIFF,      /* the difference itself */
    RF_LORA_SET,       /* the new weight itself */
    RF_LORA_KINDS,
} rf_lora_kind;

const char *rf_lora_kind_name(rf_lora_kind kind); /* "LoRA", "LoHa", ... */

/* What a tensor is to its module. */
typedef enum rf_lora_role {
    RF_LORA_UP,   /* [out, r(, 1, 1)] */
    RF_LORA_DOWN, /* [r, in(, kh, kw)]; with mid [r, in(, 1, 1)] */
    RF_LORA_MID,  /* [r, r, kh, kw] */
    RF_LORA_W1_A, /* [out, r]; with t1 [r, out] */
    RF_LORA_W1_B, /* [r, in * kh * kw]; with t1 [r, in] */
    RF_LORA_W2_A,
    RF_LORA_W2_B,
    RF_LORA_T1, /* [r, r, kh, kw] */
    RF_LORA_T2,
    RF_LORA_K1, /* [a, b]; or K1_A [a, r] K1_B [r, b] */
    RF_LORA_K1_A,
    RF_LORA_K1_B,
    RF_LORA_K2, /* [c, d(, kh, kw)]; or K2_A [c, r] K2_B [r, d * kh * kw]; with KT [r, c], [r, d] */
    RF_LORA_K2_A,
    RF_LORA_K2_B,
    RF_LORA_KT,     /* [r, r, kh, kw] */
    RF_LORA_WEIGHT, /* of DIFF and SET: as the layer's own */
    RF_LORA_BIAS,   /* [out], added; may stand alone or beside any kind */
    RF_LORA_DORA,   /* magnitudes (Liu et al. 2024): [out(, 1 ...)] or [1, in(, 1, 1)] */
    RF_LORA_ALPHA,  /* a scalar */
    RF_LORA_ROLES,
} rf_lora_role;

typedef struct rf_lora_module {
    const char      *name; /* of the layer, as the file spells it */
    rf_part          part; /* RF_PARTS: unknown */
    rf_lora_kind     kind;
    const rf_tensor *tensor[RF_LORA_ROLES];
    float            scale; /* alpha / rank, or 1 */
    int              rank;  /* 0: DIFF, SET and LoKr of whole matrices have none */
} rf_lora_module;

typedef struct rf_lora {
    rf_safetensors   *file;
    const rf_tensors *tensors;
    rf_lora_module   *module; /* [modules], ascending by name */
    int               modules;
    int               count[RF_PARTS + 1];  /* modules of each part; the last: of none */
    int               kinds[RF_LORA_KINDS]; /* modules of each kind */
    int               dora;                 /* modules with magnitudes */
    char            **embedding;            /* [embeddings]: names of bundled textual inversions */
    int               embeddings;
    char             *text; /* what names point into */
} rf_lora;

/* Errors as rf_safetensors_open; RF_E_MODEL, naming the file and module: a kind that is not
 * supported (OFT, BOFT, GLoRA, IA3, by name), no LoRA at all (a checkpoint, by name), a module that
 * lacks a factor or whose factors do not fit each other, an alpha that is no sensible number. */
rf_status rf_lora_open(rf_lora **out, const char *path, rf_error *err);
void      rf_lora_close(rf_lora *lora); /* NULL is fine */

#endif
