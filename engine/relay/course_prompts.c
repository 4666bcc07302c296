/* The prompts of a run on the clock of its calls, and the entries every call uses. */
#include "engine/relay/course_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

static rf_status add_set(rf_course *c, const char *positive, const char *negative, rf_error *err)
{
    rf_course_set *set = &c->set[c->sets++];
    set->text[RF_POSITIVE] = strdup(positive);
    set->text[RF_NEGATIVE] = strdup(negative);
    return set->text[RF_POSITIVE] && set->text[RF_NEGATIVE] ? RF_OK : no_memory(err);
}

/* What a stage leaves open is the stage before's, also of one that makes no call. */
static rf_status share_texts(rf_course *c, const rf_job *job, rf_error *err)
{
    rf_status   st = RF_OK;
    const char *positive = "", *negative = "";
    for (int i = 0; i < c->stages; i++) {
        const rf_stage *s = &job->stages[i];
        if (s->prompt) positive = s->prompt;
        if (s->negative) negative = s->negative;
        /* DPM adaptive: where the hand-over falls is known in each stage, but not when */
        if (i == 0 || s->prompt || s->negative || c->adaptive)
            RF_TRY(add_set(c, positive, negative, err));
        c->stage[i].set = c->sets - 1;
    }
done:
    return st;
}

/* A prompt has room for 100,000 tags; whoever listens may look each warning up among the others. */
enum { TAGS_TOLD = 16 };

/* Tags of LoRAs are for whoever makes the job, who gives them with the stages; where no stage has
 * any, that was forgotten. */
static int is_heeded(const rf_prompt_tag *tag, const rf_job *job)
{
    int loras = 0;
    for (int i = 0; i < job->stage_count; i++) loras += job->stages[i].lora_count;
    return loras > 0 && (strcmp(tag->kind, "lora") == 0 || strcmp(tag->kind, "lyco") == 0);
}

static void warn_of_tags(const rf_prompt *prompt, const rf_job *job, rf_listener listener)
{
    char message[256];
    int  idle = 0;
    if (!listener.warn) return;
    for (int i = 0; i < prompt->tags; i++) {
        const rf_prompt_tag *tag = &prompt->tag[i];
        if (is_heeded(tag, job) || ++idle > TAGS_TOLD) continue;
        snprintf(message, sizeof message, "<%.32s:%.128s> is not applied: no LoRA is at work",
                 tag->kind, tag->arguments ? tag->argument[0] : "");
        if (strcmp(tag->kind, "lora") != 0 && strcmp(tag->kind, "lyco") != 0)
            snprintf(message, sizeof message, "<%.32s:%.128s> is not applied: only LoRAs are",
                     tag->kind, tag->arguments ? tag->argument[0] : "");
        listener.warn(listener.user, message);
    }
    if (idle <= TAGS_TOLD) return;
    snprintf(message, sizeof message, "%d further tags such as <lora:name> are not applied",
             idle - TAGS_TOLD);
    listener.warn(listener.user, message);
}

/* A call has a row per part, so that more of them ask for gigabytes; and every part of every call
 * is looked for in a list. */
enum { PARTS_MAX = 256 };

static rf_status parse_set(rf_course *c, const rf_job *job, int index, const int *handover,
                           int hires, rf_listener listener, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_course_set    *set = &c->set[index];
    const int         first_pass = hires ? job->steps : c->nominal / c->calls_per_step;
    rf_prompt_options options = {.emphasis = c->emphasis,
                                 .clock = {.nominal = first_pass * c->calls_per_step,
                                           .calls = c->calls,
                                           .hires_nominal = hires ? c->nominal : 0,
                                           .handover = handover,
                                           .handovers = c->stages - 1,
                                           .aligned = c->aligned,
                                           .aligned_is_count = c->rule == RF_SWITCH_STEP},
                                 .exact_a1111 = c->exact_a1111,
                                 .old_edits = job->old_edits,
                                 .may_stay = job->idle_stages,
                                 .warn = listener.warn,
                                 .user = listener.user};
    for (int p = 0; p < RF_POLARITIES; p++) {
        options.polarity = p == RF_POSITIVE ? RF_PROMPT_POSITIVE : RF_PROMPT_NEGATIVE;
        RF_TRY(rf_prompt_parse(&set->prompt[p], set->text[p], &options, err));
        if (set->prompt[p]->parts > PARTS_MAX)
            return rf_fail(err, RF_E_ARG, "a prompt has %d parts joined by AND; %d is the most",
                           set->prompt[p]->parts, PARTS_MAX);
    }
    warn_of_tags(set->prompt[RF_POSITIVE], job, listener);
done:
    return st;
}

static void align(rf_course *c)
{
    for (int i = 0; i + 1 < c->stages; i++)
        c->aligned[i] = c->rule == RF_SWITCH_SIGMA ? NAN : c->until[i];
}

static int same_texts(const rf_course_set *a, const rf_course_set *b)
{
    return strcmp(a->text[RF_POSITIVE], b->text[RF_POSITIVE]) == 0 &&
           strcmp(a->text[RF_NEGATIVE], b->text[RF_NEGATIVE]) == 0;
}

static rf_status parse_sets(rf_course *c, const rf_job *job, int hires, rf_listener listener,
                            rf_error *err)
{
    rf_status st = RF_OK;
    align(c);
    for (int i = 0; i < c->sets; i++) {
        rf_listener hears = listener;
        if (c->adaptive) { /* set i is stage i's: the hand-overs before it have been, no other */
            for (int k = 0; k + 1 < c->stages; k++) c->handover[k] = k < i ? 0 : -1;
            if (i + 1 < c->sets && same_texts(&c->set[i], &c->set[i + 1])) hears.warn = NULL;
        }
        RF_TRY(parse_set(c, job, i, c->handover, hires, hears, err));
    }
done:
    return st;
}

static rf_status place_entries(rf_course *c, rf_error *err)
{
    size_t room = 1;
    for (int i = 0; i < c->sets; i++) /* DPM adaptive looks entries up on the way */
        if (room < (size_t)c->set[i].prompt[RF_POSITIVE]->parts)
            room = (size_t)c->set[i].prompt[RF_POSITIVE]->parts;
    for (int k = 0; k < c->calls; k++)
        room += (size_t)c->set[c->stage[c->call[k].stage].set].prompt[RF_POSITIVE]->parts;
    c->entries = calloc(room, sizeof *c->entries);
    if (!c->entries) return no_memory(err);
    int *at = c->entries;
    for (int k = 0; k < c->calls; k++) {
        rf_course_call      *call = &c->call[k];
        const rf_course_set *set = &c->set[c->stage[call->stage].set];
        call->positive = at;
        for (int i = 0; i < set->prompt[RF_POSITIVE]->parts; i++)
            *at++ = rf_prompt_entry_at(&set->prompt[RF_POSITIVE]->part[i], k, c->exact_a1111);
        call->negative = rf_prompt_entry_at(&set->prompt[RF_NEGATIVE]->part[0], k, c->exact_a1111);
    }
    return RF_OK;
}

rf_status rf_course_plan_prompts(rf_course *c, const rf_job *job, int hires_steps,
                                 rf_listener listener, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(share_texts(c, job, err));
    RF_TRY(parse_sets(c, job, hires_steps, listener, err));
    RF_TRY(place_entries(c, err));
done:
    return st;
}
