/* The LoRAs of a stage, while planning: every module must find its layer before anything large is
 * read, or the file is for another kind of model and the stage does without it. */
#include "engine/relay/plan.h"

#include <stdlib.h>

rf_plan_lora *rf_plan_loras_of(const rf_plan_job *j, int stage)
{
    rf_plan_lora *at = j->lora;
    for (int i = 0; i < stage; i++) at += j->job.stages[i].lora_count;
    return at;
}

void rf_plan_tidy(rf_plan *p, int loaded)
{
    for (int i = 0; i < p->expert_count; i++) rf_expert_tidy(p->expert[i].expert, loaded);
}

/* ---- does it fit? ------------------------------------------------------------------------- */

/* What a sentence counts: the UNet's modules say most about what a file is for. */
typedef struct tally {
    const char *of; /* "UNet modules" */
    int         matched, modules;
} tally;

static tally tally_of(const rf_lora_fit *fit)
{
    const rf_lora *lora = fit->lora;
    if (lora->count[RF_PART_UNET])
        return (tally){"UNet modules", fit->matched[RF_PART_UNET], lora->count[RF_PART_UNET]};
    return (tally){"modules", fit->matches, lora->modules};
}

/* Some of a foreign file's modules may fit by chance: SD 1.5 has a few layers of SDXL's sizes, and
 * Stability's refiner has the base's second text encoder. */
static int is_foreign(const tally *t)
{
    return 2 * t->matched < t->modules;
}

static rf_status refuse(const rf_opened_lora *l, const rf_expert *e, const tally *t, rf_error *err)
{
    const char *first = l->fit.first.message;
    if (is_foreign(t))
        return rf_fail(err, RF_E_MODEL,
                       "%s is for another architecture than %s: %d of %d %s fit, and %s", l->path,
                       e->name, t->matched, t->modules, t->of, first);
    return rf_fail(err, RF_E_MODEL,
                   "%s: %d of %d modules fit %s (--lora-partial does without the others): %s",
                   l->path, l->fit.matches, l->lora->modules, e->name, first);
}

/* Sets *used. */
static rf_status judge(rf_plan *p, const rf_lora_use *use, const rf_opened_lora *l,
                       const rf_expert *e, int *used, rf_error *err)
{
    const tally t = tally_of(&l->fit);
    *used = 0;
    if (use->everywhere && is_foreign(&t)) {
        rf_plan_warn(p, "%s is for another architecture: not used by %s (%d of %d %s fit)", l->name,
                     e->name, t.matched, t.modules, t.of);
        return RF_OK;
    }
    const int all = l->fit.matches == l->lora->modules;
    if (!all && (!use->partial || l->fit.matches == 0)) return refuse(l, e, &t, err);
    if (!all)
        rf_plan_warn(p, "%s: %d of %d modules fit %s, the others are left out: %s", l->name,
                     l->fit.matches, l->lora->modules, e->name, l->fit.first.message);
    *used = 1;
    return RF_OK;
}

static void tell(rf_lora_info *info, const rf_lora_fit *fit)
{
    static const int target[RF_PARTS + 1] = {[RF_PART_UNET] = RF_LORA_UNET,
                                             [RF_PART_CLIP_L] = RF_LORA_TE1,
                                             [RF_PART_CLIP_G] = RF_LORA_TE2,
                                             [RF_PART_VAE] = RF_LORA_ELSEWHERE,
                                             [RF_PARTS] = RF_LORA_ELSEWHERE};
    for (int i = 0; i <= RF_PARTS; i++) {
        info->modules[target[i]] += fit->lora->count[i];
        info->matched[target[i]] += fit->matched[i];
    }
}

/* ---- a stage ------------------------------------------------------------------------------ */

static rf_status add_lora(rf_plan *p, const rf_stage *s, const rf_lora_use *use, rf_plan_lora *out,
                          rf_error *err)
{
    rf_status       st = RF_OK;
    rf_opened_lora *l = NULL;
    if (use->unet == 0 && use->text == 0) return RF_OK;
    RF_TRY(rf_expert_open_lora(&l, s->expert, use->path, err));
    tell(&out->info, &l->fit);
    RF_TRY(judge(p, use, l, s->expert, &out->info.used, err));
    if (out->info.used) out->file = l;
done:
    return st;
}

rf_status rf_plan_add_loras(rf_plan *p, rf_plan_job *j, int stage, rf_error *err)
{
    rf_stage     *s = (rf_stage *)j->block + stage; /* ours, to be changed */
    rf_plan_lora *lora = rf_plan_loras_of(j, stage);
    rf_status     st = RF_OK;
    int           merges = 0;
    rf_merge     *merge = calloc((size_t)s->lora_count + 1, sizeof *merge);
    if (!merge) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (int i = 0; i < s->lora_count; i++) {
        const rf_lora_use *use = &s->loras[i];
        RF_TRY(add_lora(p, s, use, &lora[i], err));
        if (lora[i].file)
            merge[merges++] = (rf_merge){
                .file = lora[i].file, .unet = (float)use->unet, .text = (float)use->text};
    }
    RF_TRY(rf_expert_variant(&s->expert, s->expert, merge, merges, err));
done:
    if (st != RF_OK) rf_expert_tidy(s->expert, 0); /* what was opened for it */
    free(merge);
    return st;
}
