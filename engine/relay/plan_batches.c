/* How many prompts and how many latents go through their networks at a time.
 *
 * UNets and single decodings have settled how large the slab is; here it is only filled: as many
 * at a time as fit into it, and one always does. */
#include <stdlib.h>

#include "engine/relay/plan.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* A network's forward pass over `count` of something. */
typedef struct pass_args {
    const rf_plan         *plan;
    const rf_plan_expert  *x;
    const rf_text_shape   *shape;
    int                    encoder;
    const rf_plan_decoder *decoder;
} pass_args;

static rf_status bytes_of(const pass_args *a, int count, size_t *bytes, rf_error *err)
{
    rf_device *device = &a->plan->engine->device;
    if (a->decoder) {
        const rf_vae_decode_args args = rf_decode_args(a->plan, a->decoder, count);
        rf_expert               *e = a->plan->vae[a->decoder->vae].expert;
        return rf_record_count(device, &e->weights[RF_NET_VAE], 0, rf_vae_decode, &args, bytes,
                               err);
    }
    const rf_clip_args args = rf_clip_args_of(a->plan, a->x, a->shape, a->encoder, count);
    const rf_network   network = a->encoder == RF_ENCODER_G ? RF_NET_CLIP_G : RF_NET_CLIP_L;
    return rf_record_count(device, &a->x->expert->weights[network], 0, rf_clip_forward, &args,
                           bytes, err);
}

/* *count: at most `most`, and what one takes says how many may fit; counting has the last word. */
static rf_status fill_slab(const pass_args *a, int most, int *count, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    bytes = 0;
    *count = 1;
    if (most < 2) return RF_OK;
    RF_TRY(bytes_of(a, 1, &bytes, err));
    const size_t fit = bytes ? a->plan->slab_bytes / bytes : 1;
    for (int n = fit < (size_t)most ? (int)fit : most; n > 1; n--) {
        RF_TRY(bytes_of(a, n, &bytes, err));
        if (bytes > a->plan->slab_bytes) continue;
        *count = n;
        break;
    }
done:
    return st;
}

/* ---- prompts ------------------------------------------------------------------------------ */

rf_status rf_plan_list_shapes(rf_plan_expert *x, rf_error *err)
{
    for (int i = 0; i < x->conds; i++) {
        const rf_conditioning *c = &x->cond[i];
        const int              clip_skip = x->group[c->group].clip_skip;
        int                    at = 0;
        if (c->zero) continue;
        while (at < x->shapes &&
               (x->shape[at].chunks != c->chunks || x->shape[at].clip_skip != clip_skip))
            at++;
        if (at == x->shapes) {
            rf_text_shape *list = rf_plan_grown(x->shape, x->shapes, sizeof *list);
            if (!list) return no_memory(err);
            x->shape = list;
            x->shape[x->shapes++] =
                (rf_text_shape){.chunks = c->chunks, .clip_skip = clip_skip, .at_a_time = {1, 1}};
        }
        x->shape[at].conds++;
    }
    return RF_OK;
}

rf_status rf_plan_batch_text(rf_plan *p, rf_plan_expert *x, int encoder, rf_error *err)
{
    for (int i = 0; i < x->shapes && rf_plan_encodes(x, encoder); i++) {
        rf_text_shape  *s = &x->shape[i];
        const pass_args a = {.plan = p, .x = x, .shape = s, .encoder = encoder};
        const int       most = s->conds < RF_TEXT_BATCH_MAX ? s->conds : RF_TEXT_BATCH_MAX;
        const rf_status st = fill_slab(&a, most, &s->at_a_time[encoder], err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* ---- latents ------------------------------------------------------------------------------ */

/* How many latents of the launch at hand are each decoder's, and which item it saw last. */
typedef struct finished {
    int latents, item;
} finished;

static void count_launch(rf_plan *p, const rf_plan_tree *t, const rf_launch *l, finished *f)
{
    for (int i = l->first; i < l->first + l->count; i++) {
        const rf_launch_item *item = &t->launches.item[i];
        if (!item->leaf) continue;
        for (int n = t->first[item->node]; n >= 0; n = t->next[n]) {
            finished *of = &f[p->job[t->picture[n].job].decoder];
            of->latents += of->item != i + 1;
            of->item = i + 1;
        }
    }
    for (int d = 0; d < p->decoders; d++) {
        p->decoder[d].finishes[f[d].latents] = 1;
        f[d].latents = 0;
    }
}

rf_status rf_plan_count_decodings(rf_plan *p, rf_error *err)
{
    for (int i = 0; i < RF_ROUND_KINDS; i++) {
        const rf_plan_tree *t = &p->tree[i];
        finished           *f = calloc((size_t)p->decoders, sizeof *f);
        if (!f) return no_memory(err);
        for (int l = 0; l < t->launches.launches; l++)
            count_launch(p, t, &t->launches.launch[l], f);
        free(f);
    }
    return RF_OK;
}

rf_status rf_plan_batch_decodings(rf_plan *p, rf_plan_decoder *d, rf_error *err)
{
    const pass_args a = {.plan = p, .decoder = d};
    int             most = RF_BATCH_MAX;
    while (most > 1 && !d->finishes[most]) most--;
    const rf_status st = fill_slab(&a, most, &d->at_a_time, err);
    if (st != RF_OK) return st;
    for (int n = 1; n <= most; n++) {
        if (!d->finishes[n]) continue;
        if (n >= d->at_a_time) d->occurs[d->at_a_time] = 1;
        d->occurs[n % d->at_a_time] = 1; /* [0]: nothing is left over */
    }
    const size_t elems = (size_t)d->at_a_time * (size_t)d->h * (size_t)d->w * 4;
    if (elems > p->decode_elems) p->decode_elems = elems;
    if (d->at_a_time > p->decodings) p->decodings = d->at_a_time;
    return RF_OK;
}
