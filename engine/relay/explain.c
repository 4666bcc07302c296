/* A course told through the public structs of refinery.h.
 *
 * Everything handed out hangs on one chain of blocks, so that freeing it needs no knowledge of the
 * tree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/course.h"
#include "engine/relay/engine.h"

typedef struct block {
    struct block *next;
    max_align_t   data[];
} block;

typedef struct teller {
    rf_explanation told; /* first: what the caller holds */
    rf_course      course;
    block         *blocks;
    rf_tokenizer  *tokenizer;
    const char   **warning; /* [room] */
    int            warnings, room;
    int            failed;
} teller;

/* count * size zeroed bytes that live as long as the explanation; NULL and `failed` without memory.
 */
static void *take(teller *t, size_t count, size_t size)
{
    block *b = NULL;
    if (count < SIZE_MAX / 2 / (size + 1)) b = calloc(1, sizeof *b + count * size + 1);
    if (!b) {
        t->failed = 1;
        return NULL;
    }
    b->next = t->blocks;
    t->blocks = b;
    return b->data;
}

/* Keeps a warning once, however many prompts give it. */
static void hear(void *user, const char *message)
{
    teller *t = user;
    for (int i = 0; i < t->warnings; i++)
        if (strcmp(t->warning[i], message) == 0) return;
    if (t->warnings == t->room) {
        const int    room = t->room ? 2 * t->room : 8;
        const char **grown = take(t, (size_t)room, sizeof *grown);
        if (!grown) return;
        if (t->warnings) memcpy(grown, t->warning, (size_t)t->warnings * sizeof *grown);
        t->warning = grown;
        t->room = room;
    }
    char *copy = take(t, strlen(message) + 1, 1);
    if (!copy) return;
    strcpy(copy, message);
    t->warning[t->warnings++] = copy;
}

/* ---- prompts ------------------------------------------------------------------------------ */

static rf_status tell_entry(teller *t, const rf_prompt_entry *e, rf_entry_info *out, rf_error *err)
{
    rf_tokens      tokens = {0};
    rf_piece_info *piece = take(t, (size_t)e->pieces, sizeof *piece);
    if (!piece) return rf_fail(err, RF_E_NOMEM, "explain: out of memory");
    for (int i = 0; i < e->pieces; i++)
        piece[i] = (rf_piece_info){.text = e->piece[i].text,
                                   .weight = e->piece[i].weight,
                                   .is_break = e->piece[i].is_break};
    const rf_status st =
        rf_tokenize(t->tokenizer, RF_TOKENIZER_CLIP_L, e->piece, e->pieces, NULL, &tokens, err);
    *out = (rf_entry_info){.until = e->until,
                           .text = e->text,
                           .piece = piece,
                           .pieces = e->pieces,
                           .tokens = tokens.length,
                           .chunks = tokens.chunks};
    rf_tokens_free(&tokens);
    return st;
}

/* Alternation comes back to the same few texts: each is told once.  entry[j] becomes a copy of a
 * near earlier one with that text, if there is one. */
static int repeats(rf_entry_info *entry, int j, const char *text)
{
    enum { NEAR = 16 };
    for (int i = j - 1; i >= 0 && i >= j - NEAR; i--)
        if (strcmp(entry[i].text, text) == 0) {
            entry[j] = entry[i];
            return 1;
        }
    return 0;
}

static rf_status tell_prompt(teller *t, const char *text, const rf_prompt *p, rf_prompt_info *out,
                             rf_error *err)
{
    rf_status     st = RF_OK;
    rf_part_info *part = take(t, (size_t)p->parts, sizeof *part);
    if (!part) return rf_fail(err, RF_E_NOMEM, "explain: out of memory");
    for (int i = 0; i < p->parts; i++) {
        rf_entry_info *entry = take(t, (size_t)p->part[i].entries, sizeof *entry);
        if (!entry) return rf_fail(err, RF_E_NOMEM, "explain: out of memory");
        for (int j = 0; j < p->part[i].entries; j++) {
            if (repeats(entry, j, p->part[i].entry[j].text)) continue;
            RF_TRY(tell_entry(t, &p->part[i].entry[j], &entry[j], err));
        }
        for (int j = 0; j < p->part[i].entries; j++) entry[j].until = p->part[i].entry[j].until;
        part[i] = (rf_part_info){.text = p->part[i].text,
                                 .weight = p->part[i].weight,
                                 .entry = entry,
                                 .entries = p->part[i].entries};
    }
    *out = (rf_prompt_info){.text = text, .part = part, .parts = p->parts};
done:
    return st;
}

static rf_status tell_sets(teller *t, rf_error *err)
{
    const rf_course *c = &t->course;
    rf_status        st = RF_OK;
    rf_prompt_set   *set = take(t, (size_t)c->sets, sizeof *set);
    if (!set) return rf_fail(err, RF_E_NOMEM, "explain: out of memory");
    for (int i = 0; i < c->sets; i++) {
        const rf_course_set *s = &c->set[i];
        RF_TRY(tell_prompt(t, s->text[RF_POSITIVE], s->prompt[RF_POSITIVE], &set[i].prompt, err));
        RF_TRY(tell_prompt(t, s->text[RF_NEGATIVE], s->prompt[RF_NEGATIVE], &set[i].negative, err));
    }
    t->told.set = set;
    t->told.sets = c->sets;
done:
    return st;
}

/* ---- calls -------------------------------------------------------------------------------- */

static void tell_sigmas(teller *t)
{
    const rf_course *c = &t->course;
    const double    *sigma = c->sigmas.sigma;
    const int        count = c->sigmas.steps + 1;
    const int        timesteps = sigma[count - 1] > 0 ? count : count - 1;
    double          *given = take(t, (size_t)count, sizeof *given);
    if (!given) return;
    for (int i = 0; i < timesteps; i++)
        given[i] = (double)rf_timestep_for_sigma(c->table, sigma[i]);
    for (int k = c->calls - 1; k >= 0; k--) {
        const rf_call        *call = &c->call[k].sampler;
        const rf_sigma_table *table = c->stage[c->call[k].stage].table;
        if (call->step >= timesteps) continue;
        if (!isnan(call->timestep)) /* timestep samplers do not go by sigma */
            given[call->step] = c->call[k].timestep;
        else if (table != c->table) /* another expert's step */
            given[call->step] = (double)rf_timestep_for_sigma(table, sigma[call->step]);
    }
    t->told.sigmas = sigma;
    t->told.sigma_count = count;
    t->told.timesteps = given;
    t->told.timestep_count = timesteps;
}

static void tell_calls(teller *t)
{
    const rf_course *c = &t->course;
    rf_call_info    *call = take(t, (size_t)c->calls, sizeof *call);
    if (!call) return;
    for (int k = 0; k < c->calls; k++) {
        const rf_course_call *from = &c->call[k];
        call[k] = (rf_call_info){.step = from->sampler.step,
                                 .stage = from->stage,
                                 .prompt_set = c->stage[from->stage].set,
                                 .sigma = from->sampler.sigma,
                                 .timestep = from->timestep,
                                 .prompt_entry = from->positive,
                                 .negative_entry = from->negative,
                                 .negative_skipped = from->skips_negative ||
                                                     !rf_course_negative(c, from->stage, from->cfg),
                                 .cfg_scale = from->cfg};
    }
    t->told.call = call;
    t->told.calls = c->calls;
}

static void tell_handovers(teller *t)
{
    const rf_course *c = &t->course;
    rf_switch_info  *handover = take(t, (size_t)c->stages, sizeof *handover);
    if (!handover) return;
    for (int i = 1; i < c->stages; i++) {
        const int       k = c->stage[i].first_call;
        rf_switch_info *out = &handover[i - 1];
        *out = (rf_switch_info){
            .stage = i, .call = -1, .step = -1, .sigma = c->sigmas.sigma[c->sigmas.steps]};
        if (k >= 0) {
            out->call = k;
            out->step = c->call[k].sampler.step;
            out->sigma = c->call[k].sampler.sigma;
        }
        out->ratio = (double)rf_switch_ratio(c->table, out->sigma);
    }
    t->told.handover = handover;
    t->told.handovers = c->stages - 1;
}

static void warn_of_dropped_stages(teller *t)
{
    const rf_course *c = &t->course;
    char             message[128];
    for (int i = 0; i < c->stages && !c->adaptive && c->stages > 1; i++) {
        if (c->stage[i].calls > 0) continue;
        snprintf(message, sizeof message, "stage %d would denoise 0 of %d steps and is left out",
                 i + 1, c->steps);
        hear(t, message);
    }
}

static void warn_of_adaptive(teller *t)
{
    if (t->course.adaptive)
        hear(t, "DPM adaptive chooses its steps while it looks at the picture: its calls cannot be "
                "listed");
}

rf_status rf_explain(const rf_explanation **out, rf_engine *engine, const rf_job *job,
                     int hires_steps, rf_error *err)
{
    rf_status st = RF_OK;
    teller   *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return rf_fail(err, RF_E_NOMEM, "explain: out of memory");
    t->tokenizer = engine->tokenizer;
    if (hires_steps < 0 || hires_steps > RF_STEPS_MAX) {
        st = rf_fail(err, RF_E_ARG, "hires_steps is %d; it can be 0 to %d", hires_steps,
                     RF_STEPS_MAX);
        goto done;
    }
    RF_TRY(rf_job_check(job, err));
    RF_TRY(rf_course_create(&t->course, &engine->table, job, hires_steps,
                            (rf_listener){.warn = hear, .user = t}, err));
    RF_TRY(tell_sets(t, err));
    tell_sigmas(t);
    tell_calls(t);
    tell_handovers(t);
    if (!job->idle_stages) warn_of_dropped_stages(t);
    warn_of_adaptive(t);
    t->told.sampler = t->course.stage[0].sampler->id.name;
    t->told.schedule = job->sigmas ? "explicit" : rf_schedule_name(t->course.schedule);
    t->told.switch_by = rf_switch_rule_name(t->course.rule);
    t->told.warning = t->warning;
    t->told.warnings = t->warnings;
    if (t->failed) {
        st = rf_fail(err, RF_E_NOMEM, "explain: out of memory");
        goto done;
    }
    *out = &t->told;
    t = NULL;
done:
    rf_explanation_free(t ? &t->told : NULL);
    return st;
}

void rf_explanation_free(const rf_explanation *explanation)
{
    teller *t = (teller *)(uintptr_t)explanation; /* its first member */
    if (!t) return;
    for (block *b = t->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    rf_course_free(&t->course);
    free(t);
}

/* ---- single questions --------------------------------------------------------------------- */

rf_status rf_tokens_of(int32_t **ids, int *count, rf_engine *engine, const char *encoder,
                       const char *text, rf_error *err)
{
    const int l = strcmp(encoder, "l") == 0;
    rf_ids    found = {0};
    *ids = NULL;
    *count = 0;
    if (!l && strcmp(encoder, "g") != 0)
        return rf_fail(err, RF_E_ARG, "encoder is \"%s\"; it can be l or g", encoder);
    const rf_status st = rf_tokenizer_encode(
        engine->tokenizer, l ? RF_TOKENIZER_CLIP_L : RF_TOKENIZER_CLIP_G, text, &found, err);
    if (st != RF_OK) {
        free(found.at);
        return st;
    }
    *ids = found.at;
    *count = (int)found.length;
    return RF_OK;
}

rf_status rf_noise_of(const char *rng, uint64_t seed, int draw, int c, int h, int w, float *out,
                      rf_error *err)
{
    rf_status              st = RF_OK;
    const rf_noise_source *source = NULL;
    const rf_noise_shape   shape = {.channels = c, .h = h, .w = w};
    const size_t           plane = (size_t)h * (size_t)w;
    float                 *last = NULL;
    if (c < 1 || h < 1 || w < 1 || draw < 0 || (double)c * h * w > 1 << 28)
        return rf_fail(err, RF_E_ARG, "noise of draw %d and shape %d,%d,%d is out of range", draw,
                       c, h, w);
    RF_TRY(rf_noise_source_find(&source, rng, err));
    last = malloc(plane * (size_t)c * sizeof *last);
    if (!last) return rf_fail(err, RF_E_NOMEM, "noise: out of memory");
    rf_noise_draw(source, seed, (uint32_t)draw, shape, NULL, last);
    for (size_t i = 0; i < plane; i++)
        for (size_t j = 0; j < (size_t)c; j++) out[j * plane + i] = last[i * (size_t)c + j];
done:
    free(last);
    return st;
}
