/* `refinery explain` for people: what is shown when, call by call, and where it switches. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/explain_report.h"
#include "tools/prediction_report.h"
#include "tools/wrap.h"

enum {
    ENTRIES_SHOWN = 8, /* of a part, unless -v: alternation makes one per call */
    CALLS_SHOWN = 60,  /* one by one, unless -v; beyond, the ends of each range */
    NAME_COLUMNS = 20,
};

static const char *stage_name(const rf_explained *e, int stage)
{
    const rf_expert *expert = e->job->stages[stage].expert;
    if (expert) return rf_expert_name(expert);
    return stage == 0 ? "base" : e->job->stage_count == 2 ? "refiner" : "a further expert";
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

/* ---- the heading -------------------------------------------------------------------------- */

static void print_heading(const rf_explained *e)
{
    const rf_explanation *x = e->explanation;
    const int             steps = e->job->sigmas ? x->sigma_count - 1 : e->job->steps;
    printf("%s, schedule %s, %d step%s", x->sampler, x->schedule, steps, plural(steps));
    if (x->calls > 0)
        printf(", %d call%s; both count from 0\n", x->calls, plural(x->calls));
    else
        printf("; how many calls depends on the picture\n");
    if (e->job->init && x->calls > 0)
        printf("begins from %s, strength %.4g: at sigma %.4g\n",
               e->job->init->path ? e->job->init->path : "a picture", e->job->init->denoise,
               x->call[0].sigma);
    if (e->hires_steps > 0)
        printf("hires pass of %d steps, after a first pass of %d\n", e->hires_steps, e->job->steps);
    int assumed = 0;
    for (int i = 0; i < e->job->stage_count; i++) assumed += !e->job->stages[i].expert;
    if (assumed)
        printf("no file%s given for %s: SDXL epsilon is assumed\n", plural(assumed),
               e->job->stage_count > 2     ? "some stages"
               : assumed == 2              ? "base and refiner"
               : !e->job->stages[0].expert ? "the base"
                                           : "the refiner");
}

static void print_handover(const rf_explained *e, const rf_switch_info *at)
{
    const rf_explanation *x = e->explanation;
    const double          until = e->job->stages[at->stage - 1].until;
    const char           *from = stage_name(e, at->stage - 1), *to = stage_name(e, at->stage);
    if (x->calls == 0)
        printf("%s hands over to %s by %s at %g, wherever that is\n", from, to, x->switch_by,
               until);
    else if (at->call < 0)
        printf("%s never hands over to %s: by %s, %g is past the last call\n", from, to,
               x->switch_by, until);
    else
        printf("%s hands over to %s before call %d, step %d, sigma %.4g (by %s, %g)\n", from, to,
               at->call, at->step, at->sigma, x->switch_by, until);
}

static void print_predictions(const rf_explained *e)
{
    char text[RF_PREDICTION_BYTES];
    for (int i = 0; i < e->job->stage_count; i++) {
        const rf_expert *expert = e->job->stages[i].expert;
        int              told = !expert;
        for (int k = 0; k < i; k++) told |= e->job->stages[k].expert == expert;
        if (told) continue;
        rf_text_put(stdout, rf_expert_name(expert), strlen(rf_expert_name(expert)));
        printf(": %s\n", rf_prediction_text(expert, text));
    }
}

/* ", eta 0.5" where the stage's is not the job's; both NaN are one. */
static void print_number(const char *name, double own, double job)
{
    if (own != job && !(isnan(own) && isnan(job))) printf(", %s %.4g", name, own);
}

/* CFG by its calls, as they are made. */
static void print_ramp(const rf_explanation *x, int stage)
{
    int first = 0, last = 0;
    while (first < x->calls && x->call[first].stage != stage) first++;
    for (int k = first; k < x->calls && x->call[k].stage == stage; k++) last = k;
    if (first < x->calls)
        printf(", CFG from %.4g to %.4g", x->call[first].cfg_scale, x->call[last].cfg_scale);
}

static void print_own_numbers(const rf_explained *e)
{
    const rf_job *job = e->job;
    for (int i = 0; i < job->stage_count; i++) {
        const rf_stage          *s = &job->stages[i];
        const rf_stage_sampling *own = s->sampling;
        if (!own && s->cfg_ramp == 0 && s->clip_skip == 0) continue;
        printf("stage %d", i + 1);
        if (s->cfg_ramp != 0) print_ramp(e->explanation, i);
        if (own) {
            print_number("eta", own->eta, job->eta);
            print_number("s_churn", own->s_churn, job->s_churn);
            print_number("s_tmin", own->s_tmin, job->s_tmin);
            print_number("s_tmax", own->s_tmax, job->s_tmax);
            print_number("s_noise", own->s_noise, job->s_noise);
        }
        if (s->clip_skip) printf(", clip skip %d", s->clip_skip);
        putchar('\n');
    }
}

static void print_loras(const rf_explained *e)
{
    for (int i = 0; i < e->job->stage_count; i++) {
        const rf_stage *s = &e->job->stages[i];
        for (int k = 0; k < s->lora_count; k++) {
            const rf_lora_use *use = &s->loras[k];
            const char *slash = strrchr(use->path, '/'), *name = slash ? slash + 1 : use->path;
            printf("LoRA of %s", stage_name(e, i));
            if (e->job->stage_count > 2) printf(" (stage %d)", i + 1);
            fputs(": ", stdout);
            rf_text_put(stdout, name, strlen(name));
            if (use->unet == use->text)
                printf(", strength %.4g", use->unet);
            else
                printf(", strength %.4g, in the text encoders %.4g", use->unet, use->text);
            printf("%s\n", use->everywhere ? ", as for all stages" : "");
        }
    }
}

/* ---- prompts ------------------------------------------------------------------------------ */

/* The calls of a set that use an entry; 0 if there are none. */
static int entry_calls(const rf_explanation *x, int set, int part, int entry, int range[2])
{
    int count = 0;
    for (int k = 0; k < x->calls; k++) {
        const rf_call_info *call = &x->call[k];
        if (call->prompt_set != set) continue;
        const int used = part < 0 ? call->negative_entry : call->prompt_entry[part];
        if (used != entry || (part < 0 && call->negative_skipped)) continue;
        if (count++ == 0) range[0] = k;
        range[1] = k;
    }
    return count;
}

static void print_weights(const rf_entry_info *entry)
{
    int column = 0;
    for (int i = 0; i < entry->pieces; i++) {
        const rf_piece_info *piece = &entry->piece[i];
        if (piece->is_break || piece->weight == 1) continue;
        const int width = 12 + rf_text_columns(piece->text);
        if (column == 0) column = printf("      weights:");
        if (column > 14 && column + width > RF_PAGE_COLUMNS)
            column = printf("\n              ") - 1;
        column += printf(" %.4g \"", piece->weight);
        rf_text_put(stdout, piece->text, strlen(piece->text));
        column += printf("\"") + rf_text_columns(piece->text);
    }
    if (column) putchar('\n');
}

static void print_entry(const rf_explanation *x, int set, int part, const rf_part_info *info, int j)
{
    const rf_entry_info *entry = &info->entry[j];
    char                 calls[60];
    int                  range[2] = {0};
    const int            count = entry_calls(x, set, part, j, range);
    if (x->calls == 0)
        snprintf(calls, sizeof calls, "up to call %d", entry->until);
    else if (count == 0)
        snprintf(calls, sizeof calls, "no call");
    else if (count == 1)
        snprintf(calls, sizeof calls, "call %d", range[0]);
    else
        snprintf(calls, sizeof calls, "calls %d to %d", range[0], range[1]);
    printf("  [%d] %s: %d token%s in %d chunk%s\n", j, calls, entry->tokens, plural(entry->tokens),
           entry->chunks, plural(entry->chunks));
    if (*entry->text)
        rf_text_wrap(stdout, entry->text, 6, 0);
    else
        puts("      (empty)");
    print_weights(entry);
}

static void print_prompt(const rf_explained *e, int set, const rf_prompt_info *prompt, int negative)
{
    for (int p = 0; p < prompt->parts; p++) {
        const rf_part_info *part = &prompt->part[p];
        const int           all = e->verbose || part->entries <= ENTRIES_SHOWN;
        const int           shown = all ? part->entries : ENTRIES_SHOWN;
        printf("\n%s", negative ? "negative" : "prompt");
        if (e->explanation->sets > 1) printf(", set %d", set);
        if (prompt->parts > 1) printf(", part %d", p);
        if (part->weight != 1) printf(", weight %g", part->weight);
        putchar('\n');
        if (part->entries == 1 && !*part->entry->text) {
            puts("  (empty)");
            continue;
        }
        for (int j = 0; j < shown; j++)
            print_entry(e->explanation, set, negative ? -1 : p, part, j);
        if (!all) printf("  ... and %d more; -v shows them\n", part->entries - shown);
    }
}

/* ---- calls -------------------------------------------------------------------------------- */

static int same_inputs(const rf_explanation *x, int a, int b)
{
    const rf_call_info *p = &x->call[a], *q = &x->call[b];
    if (p->stage != q->stage || p->prompt_set != q->prompt_set ||
        p->negative_entry != q->negative_entry || p->negative_skipped != q->negative_skipped)
        return 0;
    for (int i = 0; i < x->set[p->prompt_set].prompt.parts; i++)
        if (p->prompt_entry[i] != q->prompt_entry[i]) return 0;
    return 1;
}

static void print_call(const rf_explained *e, int k)
{
    const rf_explanation *x = e->explanation;
    const rf_call_info   *call = &x->call[k];
    char                  set[16] = "";
    if (x->sets > 1) snprintf(set, sizeof set, "%d:", call->prompt_set);
    printf("%6d %5d  %-*.*s %9.4f %9.2f   %s", k, call->step, NAME_COLUMNS, NAME_COLUMNS,
           stage_name(e, call->stage), call->sigma, call->timestep, set);
    for (int i = 0; i < x->set[call->prompt_set].prompt.parts; i++)
        printf("%s%d", i ? "+" : "", call->prompt_entry[i]);
    if (call->negative_skipped)
        printf("  none\n");
    else
        printf("  %s%d\n", set, call->negative_entry);
}

static void print_calls(const rf_explained *e)
{
    const rf_explanation *x = e->explanation;
    const int             all = e->verbose || x->calls <= CALLS_SHOWN;
    int                   skipping = 0;
    if (x->calls == 0) return;
    printf("\n  call  step  %-*s     sigma  timestep   prompt, negative\n", NAME_COLUMNS, "stage");
    for (int k = 0; k < x->calls; k++) {
        const int first = k == 0 || !same_inputs(x, k - 1, k);
        const int last = k + 1 == x->calls || !same_inputs(x, k, k + 1);
        if (k > 0 && x->call[k].stage != x->call[k - 1].stage) printf("  ---- switch ----\n");
        if (all || first || last)
            print_call(e, k);
        else if (!skipping)
            printf("   ...\n");
        skipping = !all && !first && !last;
    }
}

/* ---- other rules -------------------------------------------------------------------------- */

static void print_landings(const rf_explained *e)
{
    if (e->landings == 0) return;
    printf("\nthe same switch point under each rule\n");
    for (int i = 0; i < e->landings; i++) {
        const rf_landing *at = &e->landing[i];
        if (at->call < 0)
            printf("  %-10s never\n", at->rule);
        else
            printf("  %-10s before call %d, step %d, sigma %.4g\n", at->rule, at->call, at->step,
                   at->sigma);
    }
}

void rf_explain_print_text(const rf_explained *e)
{
    const rf_explanation *x = e->explanation;
    print_heading(e);
    print_predictions(e);
    for (int i = 0; i < x->handovers; i++) print_handover(e, &x->handover[i]);
    print_own_numbers(e);
    print_loras(e);
    for (int i = 0; i < x->sets; i++) {
        print_prompt(e, i, &x->set[i].prompt, 0);
        print_prompt(e, i, &x->set[i].negative, 1);
    }
    print_calls(e);
    print_landings(e);
    if (x->warnings) printf("\nwarnings\n");
    for (int i = 0; i < x->warnings; i++) {
        printf("  - ");
        rf_text_wrap(stdout, x->warning[i], 4, 4);
    }
}
