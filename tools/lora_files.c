/* Scanning folders of LoRAs, and finding one by name, alias or hash; see lora_files.h. */
#include "tools/lora_files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/files/hash.h"
#include "engine/files/safetensors.h"
#include "tools/signals.h"
#include "tools/suggest.h"

enum { DEPTH_MAX = 6, ENTRIES_MAX = 10000, AUTOV2_DIGITS = 10, AUTOV3_DIGITS = 12 };

static const char EXTENSION[] = ".safetensors";

static rf_status no_memory(rf_trouble *trouble)
{
    return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for the names of LoRAs");
}

/* ---- scanning ----------------------------------------------------------------------------- */

typedef struct place {
    dev_t dev;
    ino_t ino;
} place;

typedef struct scan {
    rf_lora_files *files;
    place         *seen; /* folders: a link to one of them leads nowhere */
    int            seen_count, seen_room;
    int            entries;
    const char    *flag;
    rf_trouble    *trouble;
} scan;

static size_t stem_length(const char *name)
{
    const size_t length = strlen(name), end = sizeof EXTENSION - 1;
    const int    has = length > end && strcasecmp(name + length - end, EXTENSION) == 0;
    return has ? length - end : 0;
}

static rf_status add_file(scan *s, const char *path, const char *name)
{
    rf_lora_files *f = s->files;
    if (f->count == f->room) {
        const int     room = f->room ? 2 * f->room : 64;
        rf_lora_file *more = realloc(f->item, (size_t)room * sizeof *more);
        if (!more) return no_memory(s->trouble);
        f->item = more;
        f->room = room;
    }
    rf_lora_file *file = &f->item[f->count];
    *file = (rf_lora_file){.path = strdup(path), .stem = strndup(name, stem_length(name))};
    f->count++;
    return file->path && file->stem ? RF_OK : no_memory(s->trouble);
}

/* *known = 1 if the folder was seen before. */
static rf_status remember(scan *s, const struct stat *info, int *known)
{
    *known = 0;
    for (int i = 0; i < s->seen_count && !*known; i++)
        *known = s->seen[i].dev == info->st_dev && s->seen[i].ino == info->st_ino;
    if (*known) return RF_OK;
    if (s->seen_count == s->seen_room) {
        const int room = s->seen_room ? 2 * s->seen_room : 16;
        place    *more = realloc(s->seen, (size_t)room * sizeof *more);
        if (!more) return no_memory(s->trouble);
        s->seen = more;
        s->seen_room = room;
    }
    s->seen[s->seen_count++] = (place){info->st_dev, info->st_ino};
    return RF_OK;
}

static rf_status scan_folder(scan *s, const char *folder, int depth);

static rf_status scan_entry(scan *s, const char *folder, const char *name, int depth)
{
    char        path[PATH_MAX];
    struct stat info;
    const int   length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (name[0] == '.' || length >= (int)sizeof path || stat(path, &info) != 0) return RF_OK;
    if (++s->entries > ENTRIES_MAX) {
        rf_trouble_hint(s->trouble, "name a folder that holds such files and little else");
        return rf_fail(&s->trouble->error, RF_E_ARG, "%s: more than %d files below %.400s", s->flag,
                       ENTRIES_MAX, folder);
    }
    if (S_ISDIR(info.st_mode)) return scan_folder(s, path, depth + 1);
    if (S_ISREG(info.st_mode) && stem_length(name) > 0) return add_file(s, path, name);
    return RF_OK;
}

/* What cannot be read below a folder is passed over. */
static rf_status scan_folder(scan *s, const char *folder, int depth)
{
    rf_status      st = RF_OK;
    struct stat    info;
    struct dirent *entry = NULL;
    int            known = 0;
    if (depth > DEPTH_MAX || stat(folder, &info) != 0) return RF_OK;
    st = remember(s, &info, &known);
    DIR *dir = st == RF_OK && !known ? opendir(folder) : NULL;
    if (!dir) return st;
    while (st == RF_OK && (entry = readdir(dir))) st = scan_entry(s, folder, entry->d_name, depth);
    closedir(dir);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const rf_lora_file *)a)->path, ((const rf_lora_file *)b)->path);
}

rf_status rf_lora_files_scan(rf_lora_files *out, const rf_texts *folders, const char *flag,
                             const char *hash_cache, rf_trouble *trouble)
{
    rf_status   st = RF_OK;
    struct stat info;
    *out = (rf_lora_files){.folders = folders, .hash_cache = hash_cache};
    scan s = {.files = out, .flag = flag, .trouble = trouble};
    for (int i = 0; i < folders->count; i++) {
        if (stat(folders->item[i], &info) != 0 || !S_ISDIR(info.st_mode)) {
            st = rf_fail(&trouble->error, RF_E_NOT_FOUND, "%s %.400s: no such folder", flag,
                         folders->item[i]);
            goto done;
        }
        RF_TRY(scan_folder(&s, folders->item[i], 0));
    }
    if (out->count > 1) qsort(out->item, (size_t)out->count, sizeof *out->item, by_path);
done:
    free(s.seen);
    if (st != RF_OK) rf_lora_files_free(out);
    return st;
}

void rf_lora_files_free(rf_lora_files *files)
{
    for (int i = 0; i < files->count; i++) {
        free(files->item[i].path);
        free(files->item[i].stem);
        free(files->item[i].alias);
        free(files->item[i].model_hash);
    }
    free(files->item);
    *files = (rf_lora_files){.item = NULL};
}

/* ---- what files say of themselves --------------------------------------------------------- */

static const char *metadata(const rf_header *header, const char *key)
{
    for (size_t i = 0; i < header->meta_count; i++)
        if (strcmp(header->meta[i].key, key) == 0) return header->meta[i].value;
    return NULL;
}

static rf_status copy_metadata(char **out, const rf_header *header, const char *key,
                               rf_trouble *trouble)
{
    const char *value = metadata(header, key);
    if (!value || !*value || strcmp(value, "None") == 0) return RF_OK;
    *out = strdup(value);
    return *out ? RF_OK : no_memory(trouble);
}

/* Damaged files say nothing; who asks for one by its file name hears what is wrong with it. */
static rf_status read_metadata(rf_lora_files *f, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    for (int i = 0; !f->metadata_read && i < f->count && st == RF_OK; i++) {
        rf_lora_file   *item = &f->item[i];
        rf_safetensors *file = NULL;
        if (rf_safetensors_open(&file, item->path, NULL) != RF_OK) continue;
        const rf_header *header = rf_safetensors_header(file);
        st = copy_metadata(&item->alias, header, "ss_output_name", trouble);
        if (st == RF_OK) st = copy_metadata(&item->model_hash, header, "sshs_model_hash", trouble);
        rf_safetensors_close(file);
    }
    f->metadata_read = 1;
    return st;
}

/* ---- finding ------------------------------------------------------------------------------ */

typedef struct hunt {
    rf_lora_files *files;
    const char    *name;
    size_t         length; /* of the name without extension */
    const char    *who;
    rf_trouble    *trouble;
    const char    *found; /* NULL: not yet */
} hunt;

static rf_status take(hunt *h, const char *path)
{
    if (!h->found) {
        h->found = path;
        return RF_OK;
    }
    rf_trouble_hint(h->trouble, "--lora FILE:STRENGTH names one by its path");
    return rf_fail(&h->trouble->error, RF_E_ARG, "%s: two LoRAs are called so, %.220s and %.220s",
                   h->who, h->found, path);
}

static int is_called(const hunt *h, const char *text)
{
    return text && strlen(text) == h->length && memcmp(text, h->name, h->length) == 0;
}

static rf_status find_by_name(hunt *h, int by_alias)
{
    rf_status st = RF_OK;
    for (int i = 0; i < h->files->count && st == RF_OK; i++) {
        const rf_lora_file *file = &h->files->item[i];
        if (is_called(h, by_alias ? file->alias : file->stem)) st = take(h, file->path);
    }
    return st;
}

static int begins(const char *hex, const char *wanted, size_t digits)
{
    return hex && strncasecmp(hex, wanted, digits) == 0;
}

/* Copies of one file are one LoRA: the first by path is taken. */
static rf_status find_by_hash(hunt *h)
{
    rf_status    st = RF_OK;
    char         hex[RF_SHA256_HEX];
    const size_t digits = strspn(h->name, "0123456789abcdefABCDEF");
    if (digits != strlen(h->name) || digits < AUTOV2_DIGITS || digits >= RF_SHA256_HEX)
        return RF_OK;
    for (int i = 0; i < h->files->count && !h->found; i++)
        if (begins(h->files->item[i].model_hash, h->name, digits))
            h->found = h->files->item[i].path;
    for (int body = 0; body <= (digits >= AUTOV3_DIGITS); body++)
        for (int i = 0; i < h->files->count && !h->found; i++) {
            const char *path = h->files->item[i].path, *cache = h->files->hash_cache;
            st = body ? rf_file_body_sha256(hex, path, cache, rf_signals_flag(), NULL)
                      : rf_file_sha256(hex, path, cache, rf_signals_flag(), NULL);
            if (st == RF_E_CANCELLED)
                return rf_fail(&h->trouble->error, st, "%s: hashing was cancelled", h->who);
            if (st == RF_OK && begins(hex, h->name, digits)) h->found = path;
        }
    return RF_OK;
}

static rf_status not_found(const hunt *h)
{
    rf_suggest suggest = rf_suggest_begin(h->name);
    for (int i = 0; i < h->files->count; i++) {
        rf_suggest_offer(&suggest, h->files->item[i].stem);
        if (h->files->item[i].alias) rf_suggest_offer(&suggest, h->files->item[i].alias);
    }
    if (h->files->folders->count == 0)
        rf_trouble_hint(h->trouble, "--lora-dir DIR names a folder of LoRAs to look in");
    else if (suggest.best)
        rf_trouble_hint(h->trouble, "did you mean '%.200s'?", suggest.best);
    return rf_fail(&h->trouble->error, RF_E_NOT_FOUND, "%s: there is no LoRA of that name%s",
                   h->who,
                   h->files->folders->count ? " in the folders of --lora-dir"
                                            : ", as no folder of LoRAs is known");
}

rf_status rf_lora_files_find(rf_lora_files *files, const char *name, const char *who,
                             const char **path, rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    const size_t stem = stem_length(name);
    hunt         h = {files, name, stem ? stem : strlen(name), who, trouble, NULL};
    *path = NULL;
    RF_TRY(find_by_name(&h, 0));
    if (!h.found) RF_TRY(read_metadata(files, trouble));
    if (!h.found) RF_TRY(find_by_name(&h, 1));
    if (!h.found) RF_TRY(find_by_hash(&h));
    if (!h.found) st = not_found(&h);
    *path = h.found;
done:
    return st;
}
