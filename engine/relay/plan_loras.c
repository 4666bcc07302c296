/* The LoRAs of a stage, while planning: every module must find its layer before anything large is
 * read, or the file is for another kind of model and the stage does without it. */
#include "engine/relay/plan.h"

#include <stdlib.h>

#include "engine/files/lora_verdict.h"

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

static void pass_over(rf_plan *p, const rf_opened_lora *l, const rf_expert *e,
                      const rf_lora_tally *t)
{
    if (l->lora->count[RF_PART_UNET])
        rf_plan_warn(p, "%s on %s: %d of %d modules fit the %s UNet (%d channels): skipped",
                     l->name, e->name, t->matched, t->modules,
                     e->arch.has_clip_l ? "base" : "refiner", e->arch.unet.width);
    else
        rf_plan_warn(p, "%s on %s: %d of %d %s fit: skipped", l->name, e->name, t->matched,
                     t->modules, t->of);
}

/* Sets *used. */
static rf_status judge(rf_plan *p, const rf_lora_use *use, const rf_opened_lora *l,
                       const rf_expert *e, int *used, rf_error *err)
{
    const rf_lora_tally t = rf_lora_fit_tally(&l->fit);
    *used = 0;
    if (use->everywhere && rf_lora_is_foreign(&t)) {
        pass_over(p, l, e, &t);
        return RF_OK;
    }
    const rf_status st = rf_lora_fit_check(&l->fit, e->name, use->partial, err);
    if (st != RF_OK) return st;
    if (l->fit.matches < l->lora->modules)
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
