/* See lora_verdict.h. */
#include "engine/files/lora_verdict.h"

#include <string.h>

#include "engine/files/lora_shapes.h"

rf_lora_tally rf_lora_fit_tally(const rf_lora_fit *fit)
{
    const rf_lora *lora = fit->lora;
    if (lora->count[RF_PART_UNET])
        return (rf_lora_tally){"UNet modules", fit->matched[RF_PART_UNET],
                               lora->count[RF_PART_UNET]};
    if (lora->count[RF_PART_CLIP_L] && !fit->matched[RF_PART_CLIP_L])
        return (rf_lora_tally){"CLIP-L modules", 0, lora->count[RF_PART_CLIP_L]};
    return (rf_lora_tally){"modules", fit->matches, lora->modules};
}

int rf_lora_is_foreign(const rf_lora_tally *tally)
{
    return 2 * tally->matched < tally->modules;
}

rf_status rf_lora_fit_check(const rf_lora_fit *fit, const char *expert, int partial, rf_error *err)
{
    const rf_lora_tally t = rf_lora_fit_tally(fit);
    const char         *path = fit->lora->tensors->path, *first = fit->first.message;
    const char         *made_for = rf_lora_made_for(fit->lora);
    if (fit->matches == fit->lora->modules || (partial && fit->matches > 0)) return RF_OK;
    if (rf_lora_is_foreign(&t))
        return rf_fail(err, RF_E_MODEL,
                       "%s is for another architecture%s%s%s than %s: %d of %d %s fit, and %s",
                       path, made_for ? " (" : "", made_for ? made_for : "", made_for ? ")" : "",
                       expert, t.matched, t.modules, t.of, first);
    return rf_fail(err, RF_E_MODEL,
                   "%s: %d of %d modules fit %s (--lora-partial does without the others): %s", path,
                   fit->matches, fit->lora->modules, expert, first);
}

/* Names of layers that one architecture alone has. */
static const struct {
    const char *part, *made_for;
} names[] = {{"double_blocks", "Flux"},
             {"single_transformer_blocks", "Flux"},
             {"joint_blocks", "Stable Diffusion 3"}};

/* The width of the text that a UNet's cross-attention reads (Podell et al. 2023, table 1; the
 * refiner reads OpenCLIP bigG alone). */
static const struct {
    int64_t     width;
    const char *made_for;
} widths[] = {{768, "Stable Diffusion 1.x"},
              {1024, "Stable Diffusion 2.x"},
              {1280, "Stability's SDXL refiner"},
              {2048, "SDXL"}};

const char *rf_lora_made_for(const rf_lora *lora)
{
    for (int i = 0; i < lora->modules; i++) {
        const rf_lora_module *m = &lora->module[i];
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strstr(m->name, names[n].part)) return names[n].made_for;
        const char *attention = strstr(m->name, "attn2");
        if (m->part != RF_PART_UNET || !attention || !strstr(attention, "to_k")) continue;
        if (m->kind == RF_LORA_DIFF && !m->tensor[RF_LORA_WEIGHT]) continue; /* a bias alone */
        const rf_lora_size size = rf_lora_size_of(m);
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            if (size.in == widths[w].width) return widths[w].made_for;
    }
    return NULL;
}
