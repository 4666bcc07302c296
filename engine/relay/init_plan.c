/* What runs start from, while planning: each content once; see init.h. */
#include <stdlib.h>
#include <string.h>

#include "engine/relay/init_json.h"
#include "engine/relay/plan.h"

enum { CHANNELS = 4 }; /* of a latent */

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

static size_t pixels_of(const rf_plan_init *init)
{
    return (size_t)init->h * (size_t)init->w * 64;
}

/* Every byte is `value`. */
static int is_all(const uint8_t *bytes, size_t count, int value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0;
}

int rf_init_is_flat(const rf_plan_init *init)
{
    return memcmp(init->rgb, init->rgb + 3, 3 * pixels_of(init) - 3) == 0;
}

/* ---- the list ----------------------------------------------------------------------------- */

/* As A1111: the first stage's, unless a file is named for it.  Where that one has none, whoever
 * decodes. */
static rf_expert *encoder_of(const rf_plan *p, const rf_plan_job *j)
{
    rf_expert *first = rf_expert_parent(j->job.stages[j->active[0]].expert);
    return j->job.vae || !first->arch.has_vae ? p->vae[j->vae].expert : first;
}

static int same_bytes(const uint8_t *a, const uint8_t *b, size_t count)
{
    if (!a || !b) return a == b;
    return memcmp(a, b, count) == 0;
}

static int is_same(const rf_plan_init *a, const rf_plan_init *b)
{
    return a->h == b->h && a->w == b->w && a->encoder == b->encoder &&
           same_bytes(a->rgb, b->rgb, 3 * pixels_of(a)) &&
           same_bytes(a->mask, b->mask, pixels_of(a));
}

static rf_status list_kept(rf_plan_init *init, rf_error *err)
{
    const int cells = init->h * init->w;
    rf_status st = RF_OK;
    uint8_t  *painted = malloc((size_t)cells);
    init->kept = malloc((size_t)cells * sizeof *init->kept);
    if (!painted || !init->kept) {
        st = no_memory(err);
        goto done;
    }
    RF_TRY(rf_mask_cells(init->mask, init->h, init->w, painted, err));
    for (int i = 0; i < cells; i++)
        if (!painted[i]) init->kept[init->kept_count++] = i;
    if (init->kept_count == cells)
        st = rf_fail(err, RF_E_ARG,
                     "init: the mask lets nothing be painted: 255 is painted anew, "
                     "and none of its parts fills one of the latent's cells of 8x8 "
                     "pixels");
done:
    free(painted);
    return st;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = bytes ? malloc(count) : NULL;
    return copy ? memcpy(copy, bytes, count) : NULL;
}

/* What `given` points to is the caller's; its copy goes to the end of the list. */
static rf_status keep(rf_plan *p, const rf_plan_init *given, rf_error *err)
{
    rf_plan_init *list = rf_plan_grown(p->init, p->inits, sizeof *list);
    if (!list) return no_memory(err);
    p->init = list;
    rf_plan_init *init = &p->init[p->inits++];
    *init = *given;
    init->rgb = copy_of(given->rgb, 3 * pixels_of(given));
    init->mask = copy_of(given->mask, pixels_of(given));
    if (!init->rgb || (given->mask && !init->mask)) return no_memory(err);
    return init->mask ? list_kept(init, err) : RF_OK;
}

rf_status rf_plan_add_init(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_init *init = (rf_init *)(uintptr_t)j->job.init; /* the copy, which is ours */
    if (!init) return RF_OK;
    if (!init->rgb)
        return rf_fail(err, RF_E_ARG, "init: there are no pixels to start from: load %s",
                       init->path ? init->path : "the picture");
    rf_status st = rf_init_json_check(init, err);
    if (st != RF_OK) return st;
    rf_plan_init given = {.h = j->h, .w = j->w, .encoder = encoder_of(p, j)};
    given.rgb = (uint8_t *)(uintptr_t)init->rgb; /* only read */
    if (init->mask && !is_all(init->mask, pixels_of(&given), 255))
        given.mask = (uint8_t *)(uintptr_t)init->mask;
    int at = 0;
    while (at < p->inits && !is_same(&p->init[at], &given)) at++;
    if (at == p->inits) st = keep(p, &given, err);
    if (st != RF_OK) return st;
    j->init = at + 1;
    init->rgb = p->init[at].rgb;
    init->mask = p->init[at].mask;
    return RF_OK;
}

void rf_plan_free_inits(rf_plan *p)
{
    for (int i = 0; i < p->inits; i++) {
        free(p->init[i].rgb);
        free(p->init[i].mask);
        free(p->init[i].kept);
    }
    free(p->init);
}

const rf_plan_init *rf_init_of(const rf_plan *p, int job)
{
    const int init = p->job[job].init;
    return init ? &p->init[init - 1] : NULL;
}

/* ---- what stays --------------------------------------------------------------------------- */

int rf_init_keeps(const rf_plan *p)
{
    int most = 0;
    for (int i = 0; i < p->inits; i++)
        if (p->init[i].kept_count > most) most = p->init[i].kept_count;
    return (most + RF_CELLS_AT_ONCE - 1) / RF_CELLS_AT_ONCE;
}

int rf_init_keep(const rf_plan *p, const rf_plan_init *init, float *row, rf_lincomb_args *out)
{
    const float *latent = p->pool + ((size_t)p->init_row + (size_t)(init - p->init)) * p->elems;
    int          ops = 0;
    for (int done = 0; done < init->kept_count; done += RF_CELLS_AT_ONCE) {
        const int      left = init->kept_count - done;
        const int32_t *cell = (const int32_t *)p->kept.device + init->kept_at + (size_t)done;
        out[ops++] = (rf_lincomb_args){.y = row,
                                       .x = {latent},
                                       .coef = p->ones.device,
                                       .xrow = cell,
                                       .yrow = cell,
                                       .xdtype = {RF_F32},
                                       .n = left < RF_CELLS_AT_ONCE ? left : RF_CELLS_AT_ONCE,
                                       .e = CHANNELS,
                                       .terms = 1,
                                       .ydtype = RF_F32};
    }
    return ops;
}
