/* The axes there are, their names and their numbers' limits; see axis_parts.h.
 *
 * Limits are those that hold whatever the rest of the job is.  The engine knows the others (which
 * samplers there are, how far a switch point may go): cells.c asks it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tools/suggest.h"
#include "tools/sweep/axis_parts.h"

/* clang-format off */
static const rf_axis_rule RULES[] = {
    {"Refiner switch at", RF_VARY_SWITCH, RF_TAKES_NUMBERS, -1000000000, 1000000000,
     {"refinerswitchat", "switchat", "switch", "switchpoint", "refinerswitch", "until"}},
    {"Checkpoint name", RF_VARY_BASE, RF_TAKES_NAMES, 0, 0,
     {"checkpointname", "base", "checkpoint", "basecheckpoint", "model", "expert"}},
    {"Refiner checkpoint", RF_VARY_REFINER, RF_TAKES_NAMES, 0, 0,
     {"refinercheckpoint", "refiner", "refinermodel"}},
    {"VAE", RF_VARY_VAE, RF_TAKES_NAMES, 0, 0, {"vae", "sdvae"}},
    {"Seed", RF_VARY_SEED, RF_TAKES_SEEDS, 0, INT64_MAX, {"seed"}},
    {"Var. seed", RF_VARY_VARIATION_SEED, RF_TAKES_SEEDS, 0, INT64_MAX,
     {"varseed", "variationseed", "subseed"}},
    {"Var. strength", RF_VARY_VARIATION, RF_TAKES_NUMBERS, 0, 1,
     {"varstrength", "variationstrength", "variationseedstrength", "subseedstrength", "variation"}},
    {"Steps", RF_VARY_STEPS, RF_TAKES_WHOLE_NUMBERS, 1, 10000, {"steps", "samplingsteps"}},
    {"CFG Scale", RF_VARY_CFG, RF_TAKES_NUMBERS, 0, 1000, {"cfgscale", "cfg", "guidancescale"}},
    {"Base CFG", RF_VARY_BASE_CFG, RF_TAKES_NUMBERS, 0, 1000, {"basecfg", "basecfgscale"}},
    {"Refiner CFG", RF_VARY_REFINER_CFG, RF_TAKES_NUMBERS, 0, 1000,
     {"refinercfg", "refinercfgscale"}},
    {"Sampler", RF_VARY_SAMPLER, RF_TAKES_NAMES, 0, 0,
     {"sampler", "samplername", "samplingmethod"}},
    {"Refiner sampler", RF_VARY_REFINER_SAMPLER, RF_TAKES_NAMES, 0, 0, {"refinersampler"}},
    {"Schedule type", RF_VARY_SCHEDULE, RF_TAKES_NAMES, 0, 0,
     {"scheduletype", "schedule", "scheduler"}},
    {"Prompt S/R", RF_VARY_PROMPT, RF_TAKES_TEXTS, 0, 0, {"promptsr", "promptsearchreplace"}},
    {"Base prompt S/R", RF_VARY_BASE_PROMPT, RF_TAKES_TEXTS, 0, 0, {"basepromptsr"}},
    {"Refiner prompt S/R", RF_VARY_REFINER_PROMPT, RF_TAKES_TEXTS, 0, 0, {"refinerpromptsr"}},
    {"Size", RF_VARY_SIZE, RF_TAKES_SIZES, 0, 0, {"size"}},
    {"Clip skip", RF_VARY_CLIP_SKIP, RF_TAKES_WHOLE_NUMBERS, 1, 12, {"clipskip"}},
    {"Eta", RF_VARY_ETA, RF_TAKES_NUMBERS, 0, 100, {"eta"}},
    {"Schedule min sigma", RF_VARY_SIGMA_MIN, RF_TAKES_NUMBERS, 0, 1000000,
     {"scheduleminsigma", "minsigma", "sigmamin"}},
    {"Schedule max sigma", RF_VARY_SIGMA_MAX, RF_TAKES_NUMBERS, 0, 1000000,
     {"schedulemaxsigma", "maxsigma", "sigmamax"}},
    {"Schedule rho", RF_VARY_RHO, RF_TAKES_NUMBERS, 0, 1000, {"schedulerho", "rho"}},
    {"CFG end", RF_VARY_CFG_END, RF_TAKES_NUMBERS, 0, 1000, {"cfgend"}},
    {"Sigma churn", RF_VARY_S_CHURN, RF_TAKES_NUMBERS, 0, 1000000, {"sigmachurn", "schurn"}},
    {"Sigma tmin", RF_VARY_S_TMIN, RF_TAKES_NUMBERS, 0, 1000000, {"sigmatmin", "stmin"}},
    {"Sigma tmax", RF_VARY_S_TMAX, RF_TAKES_NUMBERS, 0, 1000000, {"sigmatmax", "stmax"}},
    {"Sigma noise", RF_VARY_S_NOISE, RF_TAKES_NUMBERS, 0, 100, {"sigmanoise", "snoise"}},
    {"Denoising", RF_VARY_DENOISE, RF_TAKES_NUMBERS, 0, 1,
     {"denoising", "denoisingstrength", "denoise", "strength"}},
    {"LoRA", RF_VARY_LORA, RF_TAKES_NUMBERS, -100, 100, {"lora"}},
};

const char *const rf_axis_names[] = {
    "Refiner switch at", "Checkpoint name", "Refiner checkpoint", "VAE", "Seed", "Var. seed",
    "Var. strength", "Steps", "CFG Scale", "Base CFG", "Refiner CFG", "Sampler", "Refiner sampler",
    "Schedule type", "Prompt S/R", "Base prompt S/R", "Refiner prompt S/R", "Size", "Clip skip",
    "Eta", "Schedule min sigma", "Schedule max sigma", "Schedule rho", "CFG end", "Sigma churn",
    "Sigma tmin", "Sigma tmax", "Sigma noise", "Denoising", "LoRA", NULL};
/* clang-format on */

enum { RULE_COUNT = sizeof RULES / sizeof *RULES, TYPED_MAX = 64 };

_Static_assert(RULE_COUNT == RF_VARY_KINDS - 1, "a row for each kind but RF_VARY_NOTHING");
_Static_assert(sizeof rf_axis_names / sizeof *rf_axis_names == RULE_COUNT + 1, "and its name");

/* Small letters and digits of `name`; what is longer than any name of ours is cut. */
static void simplify(char out[TYPED_MAX], const char *name)
{
    size_t used = 0;
    for (; *name && used < TYPED_MAX - 1; name++)
        if (isalnum((unsigned char)*name)) out[used++] = (char)tolower((unsigned char)*name);
    out[used] = '\0';
}

rf_status rf_axis_rule_find(const rf_axis_rule **out, const char *flag, const char *name,
                            rf_trouble *trouble)
{
    char typed[TYPED_MAX];
    simplify(typed, name);
    rf_suggest  suggest = rf_suggest_begin(typed);
    const char *nearest = NULL;
    *out = NULL;
    for (int i = 0; i < RULE_COUNT; i++)
        for (const char *const *s = RULES[i].spelling; *s; s++) {
            if (strcmp(*s, typed) == 0) {
                *out = &RULES[i];
                return RF_OK;
            }
            rf_suggest_offer(&suggest, *s);
            if (suggest.best == *s) nearest = RULES[i].name;
        }
    if (nearest)
        rf_trouble_hint(trouble, "did you mean '%s'?", nearest);
    else
        rf_trouble_hint(trouble, "axes are Refiner switch at, Refiner checkpoint, Seed, Steps, CFG "
                                 "Scale, Sampler, Schedule type, Prompt S/R, Size, LoRA NAME, "
                                 "Stage 2 CFG Scale and others");
    return rf_fail(&trouble->error, RF_E_ARG, "%s: there is no axis called '%.80s'", flag, name);
}
