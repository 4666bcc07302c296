/* Gathering the LoRAs of stages; see stage_loras.h. */
#include "tools/stage_loras.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cache_path.h"
#include "tools/lora_spec.h"
#include "tools/lora_tags.h"

enum { WHO_BYTES = 200, PLACE_BYTES = 640, TAG_SHOWN = 120 };

/* ---- memory ------------------------------------------------------------------------------- */

typedef union block {
    union block *next;
    max_align_t  aligned;
} block;

/* Memory that lives as long as `l`; `bytes` > 0. */
static void *keep(rf_loras *l, size_t bytes, rf_trouble *trouble)
{
    block *b = malloc(sizeof *b + bytes);
    if (!b) {
        rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a list of LoRAs");
        return NULL;
    }
    b->next = l->blocks;
    l->blocks = b;
    return b + 1;
}

rf_status rf_loras_begin(rf_loras *out, const rf_request *request, rf_trouble *trouble)
{
    *out = (rf_loras){.request = request, .hash_cache = rf_cache_path_sha256()};
    const rf_status st = rf_lora_files_scan(&out->files, &request->lora_folders, "--lora-dir",
                                            out->hash_cache, trouble);
    if (st != RF_OK) rf_loras_end(out);
    return st;
}

void rf_loras_end(rf_loras *l)
{
    for (block *b = l->blocks; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    rf_lora_files_free(&l->files);
    free(l->hash_cache);
    *l = (rf_loras){.blocks = NULL};
}

/* ---- one stage's list --------------------------------------------------------------------- */

typedef enum origin { FROM_ALL, FROM_STAGE, FROM_PROMPT, FROM_AXIS } origin;

typedef struct list {
    rf_lora_use use[RF_LORAS_MAX];
    origin      from[RF_LORAS_MAX];
    int         count;
} list;

typedef struct gathering {
    rf_loras *l;
    list     *stage; /* [stages] */
    int       stages;
    void (*warn)(void *user, const char *message);
    void       *user;
    rf_trouble *trouble;
} gathering;

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0) return 1;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static const char *stage_name(const gathering *g, int stage, char *text, size_t bytes)
{
    if (rf_request_has_relay(g->l->request))
        snprintf(text, bytes, "stage %d", stage + 1);
    else
        snprintf(text, bytes, "%s", stage ? "the refiner" : "the base");
    return text;
}

static void warn_of_twin(const gathering *g, int stage, const rf_lora_use *use)
{
    char        text[400], name[20];
    const char *slash = strrchr(use->path, '/');
    snprintf(text, sizeof text,
             "the LoRA %.200s is named more than once for %s: the last naming counts, with "
             "strength %.4g",
             slash ? slash + 1 : use->path, stage_name(g, stage, name, sizeof name), use->unet);
    rf_make_printable(text);
    g->warn(g->user, text);
}

/* A stage's own option is meant to overrule --lora; any other second naming may be a slip. */
static rf_status add_use(gathering *g, int stage, const rf_lora_use *use, origin from)
{
    list *s = &g->stage[stage];
    int   i = 0;
    while (i < s->count && !same_file(s->use[i].path, use->path)) i++;
    if (i == RF_LORAS_MAX)
        return rf_fail(&g->trouble->error, RF_E_ARG, "a stage has more than %d LoRAs",
                       RF_LORAS_MAX);
    if (i < s->count && (from == FROM_PROMPT || (from == s->from[i] && from != FROM_AXIS)))
        warn_of_twin(g, stage, use);
    s->use[i] = *use;
    s->from[i] = from;
    if (i == s->count) s->count++;
    return RF_OK;
}

/* ---- names -------------------------------------------------------------------------------- */

static int is_path(const char *name)
{
    struct stat info;
    return strchr(name, '/') || (stat(name, &info) == 0 && S_ISREG(info.st_mode));
}

/* The name of `spec`, kept, or NULL. */
static char *copy_name(gathering *g, const rf_lora_spec *spec)
{
    char *name = keep(g->l, spec->length + 1, g->trouble);
    if (!name) return NULL;
    memcpy(name, spec->name, spec->length);
    name[spec->length] = '\0';
    return name;
}

static rf_status add_option(gathering *g, const char *flag, const char *text, int stage)
{
    rf_status    st = RF_OK;
    char         who[PLACE_BYTES]; /* with the path of a relay's file */
    rf_lora_spec spec;
    RF_TRY(rf_lora_spec_option(&spec, flag, text, g->trouble));
    const char *path = copy_name(g, &spec);
    if (!path) return RF_E_NOMEM;
    snprintf(who, sizeof who, "%s %.*s", flag, TAG_SHOWN, path);
    if (!is_path(path)) RF_TRY(rf_lora_files_find(&g->l->files, path, who, &path, g->trouble));
    const rf_lora_use use = {.path = path,
                             .unet = spec.unet,
                             .text = spec.text,
                             .everywhere = stage < 0,
                             .partial = g->l->request->lora_partial};
    for (int s = 0; s < g->stages && st == RF_OK; s++)
        if (stage < 0 || stage == s) st = add_use(g, s, &use, stage < 0 ? FROM_ALL : FROM_STAGE);
done:
    return st;
}

static rf_status add_options(gathering *g)
{
    rf_status         st = RF_OK;
    const rf_request *q = g->l->request;
    const struct {
        const char     *flag;
        const rf_texts *texts;
        int             stage; /* -1: all */
    } options[] = {{"--lora", &q->loras, -1},
                   {"--base-lora", &q->base_loras, 0},
                   {"--refiner-lora", &q->refiner_loras, 1}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        for (int k = 0; k < options[i].texts->count && options[i].stage < g->stages; k++)
            RF_TRY(add_option(g, options[i].flag, options[i].texts->item[k], options[i].stage));
    for (int i = 0; i < q->relay.loras; i++) {
        const rf_relay_lora *l = &q->relay.lora[i];
        RF_TRY(add_option(g, l->where, l->text, l->stage));
    }
done:
    return st;
}

/* Whether a name that is not there may be passed over: where no folder was named, explain can still
 * tell the rest. */
static int may_lack(const gathering *g, rf_status st)
{
    const rf_request *q = g->l->request;
    return st == RF_E_NOT_FOUND && q->files_optional && q->lora_folders.count == 0;
}

/* A LoRA is merged before a stage begins, or not at all. */
static void warn_of_unseen(const gathering *g, const rf_stage_tag *tag, const char *who)
{
    char text[400];
    int  seen = 0;
    for (int s = 0; s < g->stages; s++) seen += tag->seen[s];
    if (seen) return;
    snprintf(text, sizeof text,
             "%s is not merged: an edit shows it to no stage at the stage's first call", who);
    rf_make_printable(text);
    g->warn(g->user, text);
}

static rf_status add_tag(gathering *g, const rf_stage_tag *tag)
{
    rf_status   st = RF_OK;
    char        who[WHO_BYTES];
    const char *path = copy_name(g, &tag->spec);
    if (!path) return RF_E_NOMEM;
    const int shown = tag->text_bytes < TAG_SHOWN ? (int)tag->text_bytes : TAG_SHOWN;
    snprintf(who, sizeof who, "%.*s in the prompt", shown, tag->text);
    st = rf_lora_files_find(&g->l->files, path, who, &path, g->trouble);
    if (may_lack(g, st)) {
        g->warn(g->user, g->trouble->error.message);
        *g->trouble = (rf_trouble){.hint = ""};
        return RF_OK;
    }
    const rf_lora_use use = {.path = path,
                             .unet = tag->spec.unet,
                             .text = tag->spec.text,
                             .everywhere = tag->everywhere,
                             .partial = g->l->request->lora_partial};
    warn_of_unseen(g, tag, who);
    for (int s = 0; s < g->stages && st == RF_OK; s++)
        if (tag->seen[s]) st = add_use(g, s, &use, FROM_PROMPT);
    return st;
}

/* ---- axes --------------------------------------------------------------------------------- */

static int has_file(const list *s, const char *path)
{
    int i = 0;
    while (i < s->count && !same_file(s->use[i].path, path)) i++;
    return i < s->count;
}

/* In the stages that have it; if no one that is meant has, in all that are meant. */
static rf_status add_axis(gathering *g, const rf_axis_lora *axis)
{
    rf_status   st = RF_OK;
    char        who[WHO_BYTES];
    const char *path = axis->name;
    int         users = 0;
    snprintf(who, sizeof who, "the axis LoRA %.*s", TAG_SHOWN, path);
    if (!is_path(path)) RF_TRY(rf_lora_files_find(&g->l->files, path, who, &path, g->trouble));
    for (int s = 0; s < g->stages; s++) users += has_file(&g->stage[s], path);
    for (int s = 0; s < g->stages && st == RF_OK; s++) {
        list *in = &g->stage[s];
        if (axis->stage >= 0 ? s != axis->stage : users && !has_file(in, path)) continue;
        rf_lora_use use = {.path = path,
                           .everywhere = axis->stage < 0 && !users,
                           .partial = g->l->request->lora_partial};
        for (int i = 0; i < in->count; i++)
            if (same_file(in->use[i].path, path)) use = in->use[i];
        use.unet = use.text = axis->strength;
        st = add_use(g, s, &use, FROM_AXIS);
    }
done:
    return st;
}

/* ---- all stages --------------------------------------------------------------------------- */

static rf_status hand_over(gathering *g, rf_stage *stages)
{
    for (int s = 0; s < g->stages; s++) {
        const list  *from = &g->stage[s];
        rf_lora_use *kept = NULL;
        int          count = 0;
        if (from->count) kept = keep(g->l, (size_t)from->count * sizeof *kept, g->trouble);
        if (from->count && !kept) return RF_E_NOMEM;
        for (int i = 0; i < from->count; i++) /* of no strength at all: it is as if not named */
            if (from->use[i].unet != 0 || from->use[i].text != 0) kept[count++] = from->use[i];
        stages[s].loras = count ? kept : NULL;
        stages[s].lora_count = count;
    }
    return RF_OK;
}

rf_status rf_loras_settle(rf_loras *l, rf_engine *engine, const rf_job *job, rf_stage *stages,
                          void (*warn)(void *user, const char *message), void *user,
                          rf_trouble *trouble)
{
    rf_status     st = RF_OK;
    rf_stage_tags tags = {.tag = NULL};
    gathering     g = {.l = l,
                       .stages = job->stage_count,
                       .stage = calloc((size_t)job->stage_count, sizeof *g.stage),
                       .warn = warn,
                       .user = user,
                       .trouble = trouble};
    if (!g.stage) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for lists of LoRAs");
    RF_TRY(add_options(&g));
    RF_TRY(rf_stage_tags_read(&tags, engine, job, l->request->hires_steps, RF_LORAS_MAX, trouble));
    for (int i = 0; i < tags.count; i++) RF_TRY(add_tag(&g, &tags.tag[i]));
    for (int i = 0; i < l->of_axes_count; i++) RF_TRY(add_axis(&g, &l->of_axes[i]));
    RF_TRY(hand_over(&g, stages));
done:
    rf_stage_tags_free(&tags);
    free(g.stage);
    return st;
}
