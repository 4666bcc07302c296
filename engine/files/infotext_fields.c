/* The keys of an infotext in the order of A1111 v1.10.1: first those it knows before a run, then
 * those that a run adds.  Names, order and conditions are facts about its output, observed. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "engine/files/infotext.h"

static int has_vae(const rf_infotext *info)
{
    return info->vae != NULL;
}

static int has_variation(const rf_infotext *info)
{
    return info->job->variation > 0;
}

static int has_init(const rf_infotext *info)
{
    return info->job->init != NULL;
}

static int has_refiner(const rf_infotext *info)
{
    return info->refiner != NULL;
}

static int sigma_sampler(const rf_infotext *info)
{
    return !info->timestep_sampler;
}

static int timestep_sampler(const rf_infotext *info)
{
    return info->timestep_sampler;
}

static int bracketed(const char *text)
{
    return text && strpbrk(text, "([") != NULL;
}

/* The mode is told where it could have made a difference: some text has a bracket. */
static int has_emphasis(const rf_infotext *info)
{
    if (!info->emphasis || strcasecmp(info->emphasis, "Original") == 0) return 0;
    int found = bracketed(info->prompt) || bracketed(info->negative);
    for (int i = 0; i < info->job->stage_count; i++)
        found |= bracketed(info->job->stages[i].prompt) || bracketed(info->job->stages[i].negative);
    return found;
}

/* Of the picture, of its job. */
#define OF(key, kind, member, usual, when)                                                         \
    {                                                                                              \
        key, RF_INFOTEXT_##kind, 0, offsetof(rf_infotext, member), usual, when                     \
    }
#define JOB(key, kind, member, usual, when)                                                        \
    {                                                                                              \
        key, RF_INFOTEXT_##kind, 1, offsetof(rf_job, member), usual, when                          \
    }

const rf_infotext_field rf_infotext_fields[] = {
    JOB("Steps", INT, steps, NAN, NULL),
    OF("Sampler", TEXT, sampler, NAN, NULL),
    OF("Schedule type", TEXT, schedule, NAN, NULL),
    OF("CFG scale", FLOAT, cfg_scale, NAN, NULL),
    JOB("Seed", UINT64, seed, NAN, NULL),
    JOB("Size", SIZE, width, NAN, NULL),
    OF("Model hash", HASH, model_hash, NAN, NULL),
    OF("Model", TEXT, model, NAN, NULL),
    OF("VAE hash", HASH, vae_hash, NAN, has_vae),
    OF("VAE", TEXT, vae, NAN, NULL),
    JOB("Variation seed", UINT64, variation_seed, NAN, has_variation),
    JOB("Variation seed strength", DOUBLE, variation, NAN, has_variation),
    JOB("Seed resize from", SIZE, seed_width, NAN, NULL),
    OF("Denoising strength", DOUBLE, denoise, NAN, has_init),
    JOB("Clip skip", INT, clip_skip, 1, NULL),
    JOB("ENSD", INT64, ensd, 0, NULL),
    OF("RNG", TEXT, rng, NAN, NULL),
    OF("Emphasis", TEXT, emphasis, NAN, has_emphasis),
    JOB("Schedule max sigma", DOUBLE, sigma_max, 0, NULL),
    JOB("Schedule min sigma", DOUBLE, sigma_min, 0, NULL),
    JOB("Schedule rho", DOUBLE, rho, 0, NULL),
    JOB("Discard penultimate sigma", FLAG, discard_penultimate, 0, NULL),
    OF("Refiner", TITLE, refiner, NAN, NULL),
    OF("Refiner switch at", DOUBLE, refiner_switch_at, NAN, has_refiner),
    OF("Refiner switch by sampling steps", FLAG, switch_by_steps, 0, has_refiner),
    JOB("Eta", DOUBLE, eta, 1, sigma_sampler),
    JOB("Eta DDIM", DOUBLE, eta, 0, timestep_sampler),
    JOB("Sigma churn", DOUBLE, s_churn, 0, NULL),
    JOB("Sigma tmin", DOUBLE, s_tmin, 0, NULL),
    JOB("Sigma tmax", DOUBLE, s_tmax, 0, NULL),
    JOB("Sigma noise", DOUBLE, s_noise, 1, NULL),
    JOB("NGMS", DOUBLE, s_min_uncond, 0, NULL),
    JOB("NGMS all steps", FLAG, s_min_uncond_all, 0, NULL),
    JOB("Skip Early CFG", DOUBLE, skip_early_cfg, 0, NULL),
    JOB("Old prompt editing timelines", FLAG, old_edits, 0, NULL),
};
const size_t rf_infotext_field_count = sizeof rf_infotext_fields / sizeof *rf_infotext_fields;
