/* Gathering the embeddings of jobs; see pick_embeddings.h. */
#include "tools/pick_embeddings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EMBEDDINGS_MAX = 1024 }; /* of a job */

typedef union block {
    union block *next;
    max_align_t  aligned;
} block;

/* Memory that lives as long as `e`. */
static void *keep(rf_embeddings *e, size_t bytes, rf_trouble *trouble)
{
    block *b = malloc(sizeof *b + bytes);
    if (!b) {
        rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a list of embeddings");
        return NULL;
    }
    b->next = e->blocks;
    e->blocks = b;
    return b + 1;
}

/* ---- what is named ------------------------------------------------------------------------ */

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* "FILE", or "NAME=FILE" unless there is a file of that name. */
static rf_status read_option(rf_embeddings *e, const char *text, rf_embedding_use *out,
                             rf_trouble *trouble)
{
    const char *equals = strchr(text, '=');
    *out = (rf_embedding_use){.path = text};
    if (!equals || is_file(text)) return RF_OK;
    if (equals == text)
        return rf_fail(&trouble->error, RF_E_ARG,
                       "--embedding %.200s: there is no name before the =", text);
    char *name = keep(e, (size_t)(equals - text) + 1, trouble);
    if (!name) return RF_E_NOMEM;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    *out = (rf_embedding_use){.path = equals + 1, .name = name};
    return RF_OK;
}

rf_status rf_embeddings_begin(rf_embeddings *out, const rf_request *request, rf_trouble *trouble)
{
    const rf_texts *options = &request->embeddings;
    rf_status       st = RF_OK;
    *out = (rf_embeddings){.request = request, .named_count = options->count};
    RF_TRY(rf_lora_files_scan(&out->files, &request->embedding_folders, "--embedding-dir", NULL,
                              trouble));
    out->named = keep(out, (size_t)options->count * sizeof *out->named, trouble);
    if (!out->named) {
        st = RF_E_NOMEM;
        goto done;
    }
    for (int i = 0; i < options->count; i++)
        RF_TRY(read_option(out, options->item[i], &out->named[i], trouble));
done:
    if (st != RF_OK) rf_embeddings_end(out);
    return st;
}

void rf_embeddings_end(rf_embeddings *e)
{
    for (block *b = e->blocks; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    rf_lora_files_free(&e->files);
    *e = (rf_embeddings){.blocks = NULL};
}

/* ---- what prompts say --------------------------------------------------------------------- */

/* Whether a prompt of the job has this text, in any case. */
static int is_said(const rf_job *job, const char *name)
{
    for (int s = 0; s < job->stage_count; s++) {
        const char *const texts[] = {job->stages[s].prompt, job->stages[s].negative};
        for (int i = 0; i < 2; i++)
            if (texts[i] && strcasestr(texts[i], name)) return 1;
    }
    return 0;
}

/* The name that prompts say, into `out`; 0: the file may have names of its own. */
static int name_of(const rf_embedding_use *use, char *out, size_t bytes)
{
    static const char EXTENSION[] = ".safetensors";
    const char       *slash = strrchr(use->path, '/');
    const char       *name = use->name ? use->name : slash ? slash + 1 : use->path;
    const size_t      length = strlen(name), end = sizeof EXTENSION - 1;
    const int has = !use->name && length > end && strcmp(name + length - end, EXTENSION) == 0;
    snprintf(out, bytes, "%.*s", (int)(has ? length - end : length), name);
    return strlen(out) > 0;
}

static void warn_of_unsaid(const rf_embeddings *e, const rf_job                *job,
                           void (*warn)(void *user, const char *message), void *user)
{
    for (int i = 0; i < e->named_count; i++) {
        char name[200], text[400];
        if (!name_of(&e->named[i], name, sizeof name) || is_said(job, name)) continue;
        snprintf(text, sizeof text,
                 "--embedding %s: no prompt says this name (names of its own, which a LoRA's "
                 "embeddings have, are not looked for)",
                 name);
        rf_make_printable(text);
        warn(user, text);
    }
}

rf_status rf_embeddings_settle(rf_embeddings *e, rf_job                            *job,
                               void (*warn)(void *user, const char *message), void *user,
                               rf_trouble *trouble)
{
    const size_t      room = (size_t)e->named_count + (size_t)e->files.count;
    int               count = 0;
    rf_embedding_use *list = NULL;
    if (room == 0) return RF_OK;
    list = keep(e, room * sizeof *list, trouble);
    if (!list) return RF_E_NOMEM;
    for (int i = 0; i < e->named_count; i++) list[count++] = e->named[i];
    for (int i = 0; i < e->files.count; i++)
        if (is_said(job, e->files.item[i].stem))
            list[count++] = (rf_embedding_use){.path = e->files.item[i].path};
    if (count > EMBEDDINGS_MAX)
        return rf_fail(&trouble->error, RF_E_ARG, "a picture has more than %d embeddings",
                       EMBEDDINGS_MAX);
    if (warn) warn_of_unsaid(e, job, warn, user);
    job->embeddings = list;
    job->embedding_count = count;
    return RF_OK;
}
