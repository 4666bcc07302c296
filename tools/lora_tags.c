/* Tags and stages; see lora_tags.h.
 *
 * Where an edit shows its sides is for the engine to say.  So each tag is replaced by a character
 * that no prompt has (of the private use area), the job is explained, and the text at a stage's
 * first call tells which tags it holds. */
#include "tools/lora_tags.h"

#include <stdlib.h>
#include <string.h>

#include "tools/text_input.h"

enum { MARK_FIRST = 0xF0000, MARK_BYTES = 4, STAGES_MAX = 64 };

static rf_status no_memory(rf_trouble *trouble)
{
    return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for the tags of a prompt");
}

/* ---- reading ------------------------------------------------------------------------------ */

static rf_status push(rf_stage_tags *t, const rf_lora_tag *tag, const char *prompt, int stage,
                      rf_trouble *trouble)
{
    rf_stage_tag *more = realloc(t->tag, ((size_t)t->count + 1) * sizeof *more);
    if (!more) return no_memory(trouble);
    t->tag = more;
    t->tag[t->count++] = (rf_stage_tag){.spec = tag->spec,
                                        .text = prompt + tag->begin,
                                        .text_bytes = tag->end - tag->begin,
                                        .stage = stage};
    return RF_OK;
}

static rf_status read_prompt(rf_stage_tags *t, const char *prompt, int stage, int most,
                             rf_trouble *trouble)
{
    rf_lora_tag     tag = {.end = 0};
    int             found = 0;
    const rf_status text = rf_text_check(prompt, "a prompt", trouble);
    if (text != RF_OK) return text;
    for (int n = 0; (found = rf_lora_tag_next(&tag, prompt, tag.end, trouble)) == 1; n++) {
        if (n == most)
            return rf_fail(&trouble->error, RF_E_ARG, "a prompt has more than %d tags of LoRAs",
                           most);
        const rf_status st = push(t, &tag, prompt, stage, trouble);
        if (st != RF_OK) return st;
    }
    return found == 0 ? RF_OK : trouble->error.status;
}

/* ---- marking ------------------------------------------------------------------------------ */

static void write_mark(char out[MARK_BYTES + 1], int tag)
{
    const unsigned code = MARK_FIRST + (unsigned)tag;
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    out[4] = '\0';
}

/* U+F0000 and beyond: such a character would be taken for a mark. */
static int is_mark(const char *s)
{
    return (unsigned char)s[0] > 0xF3 ||
           ((unsigned char)s[0] == 0xF3 && (unsigned char)s[1] >= 0xB0);
}

/* `prompt` of `stage` with marks for its tags, to be freed; NULL: no memory.  A tag is longer than
 * its mark. */
static char *mark_prompt(const rf_stage_tags *t, const char *prompt, int stage)
{
    char *out = malloc(strlen(prompt) + 1), *to = out;
    for (int i = 0; out && i <= t->count; i++) {
        if (i < t->count && t->tag[i].stage != stage) continue;
        const char *end = i < t->count ? t->tag[i].text : prompt + strlen(prompt);
        while (prompt < end) {
            const int skipped = is_mark(prompt) ? MARK_BYTES : 0;
            if (!skipped) *to++ = *prompt;
            prompt += skipped ? skipped : 1;
        }
        if (i == t->count) break;
        write_mark(to, i);
        to += MARK_BYTES;
        prompt += t->tag[i].text_bytes;
    }
    if (out) *to = '\0';
    return out;
}

/* ---- seeing ------------------------------------------------------------------------------- */

static int shows(const rf_explanation *x, int set, const int *entry, const char *mark)
{
    const rf_prompt_info *prompt = &x->set[set].prompt;
    for (int p = 0; p < prompt->parts; p++)
        if (strstr(prompt->part[p].entry[entry ? entry[p] : 0].text, mark)) return 1;
    return 0;
}

/* Whether tag `i` is in the text of the stage's first call; a stage without calls sees nothing.
 * The calls of DPM adaptive are not known: its sets are the stages'. */
static int sees(const rf_explanation *x, const rf_job *job, int stage, int i)
{
    char mark[MARK_BYTES + 1];
    write_mark(mark, i);
    if (x->calls == 0) return shows(x, x->sets == job->stage_count ? stage : 0, NULL, mark);
    for (int k = 0; k < x->calls; k++)
        if (x->call[k].stage == stage)
            return shows(x, x->call[k].prompt_set, x->call[k].prompt_entry, mark);
    return 0;
}

static int has_calls(const rf_explanation *x, int stage)
{
    for (int k = 0; k < x->calls; k++)
        if (x->call[k].stage == stage) return 1;
    return x->calls == 0;
}

/* The stage whose prompt `stage` has. */
static int owner(const rf_job *job, int stage)
{
    while (stage > 0 && !job->stages[stage].prompt) stage--;
    return stage;
}

/* `x` NULL: every stage sees the tags of its prompt. */
static void look(rf_stage_tags *t, const rf_job *job, const rf_explanation *x)
{
    for (int i = 0; i < t->count; i++) {
        rf_stage_tag *tag = &t->tag[i];
        tag->seen = t->seen + (size_t)i * (size_t)job->stage_count;
        tag->everywhere = 1;
        for (int s = 0; s < job->stage_count; s++) {
            const int own = owner(job, s) == tag->stage;
            tag->seen[s] = own && (!x || sees(x, job, s, i));
            if (!own || (!tag->seen[s] && has_calls(x, s))) tag->everywhere = 0;
        }
    }
}

static rf_status explain_marked(rf_stage_tags *t, rf_engine *engine, const rf_job *job,
                                int hires_steps, rf_trouble *trouble)
{
    rf_status             st = RF_OK;
    rf_stage              stages[STAGES_MAX];
    char                 *prompt[STAGES_MAX] = {NULL};
    rf_job                marked = *job;
    const rf_explanation *x = NULL;
    marked.stages = stages;
    for (int s = 0; s < job->stage_count; s++) {
        stages[s] = job->stages[s];
        stages[s].lora_count = 0;
        if (!stages[s].prompt) continue;
        stages[s].prompt = prompt[s] = mark_prompt(t, stages[s].prompt, s);
        if (!prompt[s]) st = no_memory(trouble);
    }
    RF_TRY(st);
    RF_TRY(rf_explain(&x, engine, &marked, hires_steps, &trouble->error));
    look(t, job, x);
done:
    rf_explanation_free(x);
    for (int s = 0; s < job->stage_count; s++) free(prompt[s]);
    return st;
}

rf_status rf_stage_tags_read(rf_stage_tags *out, rf_engine *engine, const rf_job *job,
                             int hires_steps, int most, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *out = (rf_stage_tags){.count = 0};
    if (job->stage_count > STAGES_MAX)
        return rf_fail(&trouble->error, RF_E_ARG, "a job has more than %d stages", STAGES_MAX);
    for (int s = 0; s < job->stage_count; s++)
        if (job->stages[s].prompt)
            RF_TRY(read_prompt(out, job->stages[s].prompt, s, most, trouble));
    if (out->count == 0) goto done;
    out->seen = calloc((size_t)out->count, (size_t)job->stage_count);
    if (!out->seen) st = no_memory(trouble);
    RF_TRY(st);
    if (job->compat)
        look(out, job, NULL);
    else
        RF_TRY(explain_marked(out, engine, job, hires_steps, trouble));
done:
    if (st != RF_OK) rf_stage_tags_free(out);
    return st;
}

void rf_stage_tags_free(rf_stage_tags *tags)
{
    free(tags->tag);
    free(tags->seen);
    *tags = (rf_stage_tags){.tag = NULL};
}
