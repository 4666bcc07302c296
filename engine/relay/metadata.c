/* What a picture's metadata says: A1111's keys where A1111 has one, and behind them what only a
 * relay has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"
#include "engine/relay/plan.h"

enum { EXTRA_MAX = 10 };

/* The extra pairs of one picture, with room for numbers printed on the way. */
typedef struct extras {
    rf_infotext_pair pair[EXTRA_MAX];
    size_t           count;
    char             number[RF_NUMBER_BYTES];
    char             switch_step[24];
} extras;

static void add(extras *x, const char *key, const char *value)
{
    if (x->count < EXTRA_MAX) x->pair[x->count++] = (rf_infotext_pair){.key = key, .value = value};
}

/* The hash of an expert, or NULL if it could not be computed: metadata does without it. */
static const char *hash_of(rf_expert *e)
{
    return rf_file_hash_wait(&e->hash, NULL) == RF_OK ? e->hash.hex : NULL;
}

rf_status rf_plan_infotext(rf_plan *p, int index, char **out, rf_error *err)
{
    const rf_active_stage *base = &p->active[0];
    const rf_active_stage *refiner = p->active_count > 1 ? &p->active[p->active_count - 1] : NULL;
    const char *const      negative = base->polarities == 2 ? base->prompt[RF_NEGATIVE].text : "";
    extras                 x = {.count = 0};
    rf_infotext            info = {.prompt = base->prompt[RF_POSITIVE].text,
                                   .negative = negative,
                                   .steps = p->job.steps,
                                   .sampler = p->sampler->id.name,
                                   .schedule = p->schedule->id.name,
                                   .cfg_scale = base->cfg,
                                   .seed = p->job.seed + (uint64_t)index,
                                   .width = p->job.width,
                                   .height = p->job.height,
                                   .model = base->expert->name,
                                   .model_hash = hash_of(base->expert),
                                   .rng = p->noise->id.name,
                                   .version = "refinery " RF_VERSION};
    if (p->vae_is_separate) {
        info.vae = p->vae->name;
        info.vae_hash = hash_of(p->vae);
    }
    if (refiner) {
        info.refiner = refiner->expert->name;
        info.refiner_hash = hash_of(refiner->expert);
        info.refiner_switch_at = p->until[refiner->index - 1];
        snprintf(x.switch_step, sizeof x.switch_step, "%d", refiner->first_step);
        add(&x, "Refiner first step", x.switch_step);
        if (strcmp(refiner->prompt[RF_POSITIVE].text, base->prompt[RF_POSITIVE].text) != 0)
            add(&x, "Refiner prompt", refiner->prompt[RF_POSITIVE].text);
        if (refiner->polarities == 2 && base->polarities == 2 &&
            strcmp(refiner->prompt[RF_NEGATIVE].text, base->prompt[RF_NEGATIVE].text) != 0)
            add(&x, "Refiner negative prompt", refiner->prompt[RF_NEGATIVE].text);
        if (refiner->cfg != base->cfg)
            add(&x, "Refiner CFG scale", rf_number_text(x.number, (double)refiner->cfg, 1));
    }
    add(&x, "VAE from", p->vae->name);
    add(&x, "Precision", rf_dtype_name(p->engine->dtype));
    info.extra = x.pair;
    info.extra_count = x.count;
    return rf_infotext_build(out, &info, err);
}
