/* See variants.h. */
#include "engine/relay/variants.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/file_stem.h"

struct rf_family {
    rf_lora_names   *names;
    rf_opened_lora **file; /* [files] */
    int              files;
    rf_expert      **variant; /* [variants] */
    int              variants;
};

static rf_status no_memory(const char *path, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
}

static rf_status found_family(rf_expert *e, rf_error *err)
{
    rf_status st = RF_OK;
    if (e->family) return RF_OK;
    e->family = calloc(1, sizeof *e->family);
    if (!e->family) return no_memory(e->path, err);
    st = rf_lora_names_create(&e->family->names, &e->arch, err);
    if (st != RF_OK) {
        free(e->family);
        e->family = NULL;
    }
    return st;
}

/* Room for one more at the end of a list of pointers. */
static int grow(void *list, int count)
{
    void **at = list, *grown = realloc(*at, ((size_t)count + 1) * sizeof(void *));
    if (grown) *at = grown;
    return grown != NULL;
}

/* ---- LoRAs -------------------------------------------------------------------------------- */

static void close_file(rf_opened_lora *f)
{
    if (!f) return;
    rf_file_hash_stop(&f->hash);
    rf_file_hash_stop(&f->body);
    rf_lora_fit_free(&f->fit);
    rf_lora_close(f->lora);
    free(f->path);
    free(f->name);
    free(f);
}

static int is_unchanged(const rf_opened_lora *f, const char *path, const struct stat *info)
{
    return strcmp(f->path, path) == 0 && f->info.st_dev == info->st_dev &&
           f->info.st_ino == info->st_ino && f->info.st_size == info->st_size &&
           f->info.st_mtim.tv_sec == info->st_mtim.tv_sec &&
           f->info.st_mtim.tv_nsec == info->st_mtim.tv_nsec;
}

static rf_opened_lora *find_file(const rf_family *family, const char *path, const struct stat *info)
{
    for (int i = 0; i < family->files; i++)
        if (is_unchanged(family->file[i], path, info)) return family->file[i];
    return NULL;
}

static rf_status open_file(rf_opened_lora **out, rf_expert *e, const char *path,
                           const struct stat *info, rf_error *err)
{
    rf_engine      *engine = e->engine;
    rf_status       st = RF_OK;
    rf_opened_lora *f = calloc(1, sizeof *f);
    if (!f) return no_memory(path, err);
    f->info = *info;
    f->path = strdup(path);
    f->name = rf_file_stem(path);
    if (!f->path || !f->name) {
        st = no_memory(path, err);
        goto done;
    }
    f->hash =
        (rf_file_hash){.path = f->path, .cache = engine->hash_cache, .turn = &engine->hash_turn};
    f->body = (rf_file_hash){
        .path = f->path, .body = 1, .cache = engine->hash_cache, .turn = &engine->hash_turn};
    RF_TRY(rf_lora_open(&f->lora, path, err));
    RF_TRY(rf_lora_fit_create(&f->fit, f->lora, e->family->names, err));
    *out = f;
    f = NULL;
done:
    close_file(f);
    return st;
}

rf_status rf_expert_open_lora(rf_opened_lora **out, rf_expert *expert, const char *path,
                              rf_error *err)
{
    rf_expert  *e = rf_expert_parent(expert);
    rf_status   st = RF_OK;
    struct stat info = {0};
    RF_TRY(found_family(e, err));
    if (stat(path, &info) == 0) { /* where it does not, opening says why */
        *out = find_file(e->family, path, &info);
        if (*out) return RF_OK;
    }
    if (!grow(&e->family->file, e->family->files)) return no_memory(path, err);
    RF_TRY(open_file(out, e, path, &info, err));
    e->family->file[e->family->files++] = *out;
done:
    return st;
}

/* ---- variants ----------------------------------------------------------------------------- */

/* What the readers of weights ask: one strength for the UNet, another one for the texts. */
static float strength_of(const rf_merge *m, int text)
{
    return text ? m->text : m->unet;
}

static int touches(const rf_expert *e, const char *tensor, int text)
{
    for (int i = 0; i < e->merges; i++)
        if (strength_of(&e->merge[i], text) != 0 && rf_lora_touches(&e->merge[i].file->fit, tensor))
            return 1;
    return 0;
}

static rf_status merge(const rf_expert *e, const rf_tensor *tensor, float *whole, int threads,
                       int text, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < e->merges && st == RF_OK; i++) {
        const float strength = strength_of(&e->merge[i], text);
        if (strength != 0)
            st = rf_lora_merge(&e->merge[i].file->fit, tensor, strength, whole, threads, err);
    }
    return st;
}

static int touches_unet(const void *user, const char *tensor)
{
    return touches(user, tensor, 0);
}

static int touches_text(const void *user, const char *tensor)
{
    return touches(user, tensor, 1);
}

static rf_status merge_unet(const void *user, const rf_tensor *tensor, float *whole, int threads,
                            rf_error *err)
{
    return merge(user, tensor, whole, threads, 0, err);
}

static rf_status merge_text(const void *user, const rf_tensor *tensor, float *whole, int threads,
                            rf_error *err)
{
    return merge(user, tensor, whole, threads, 1, err);
}

static void free_variant(rf_expert *v)
{
    if (!v) return;
    for (int i = 0; i < RF_NETWORKS; i++) rf_weights_free(&v->weights[i], &v->engine->device);
    free(v->merge);
    free(v);
}

/* Shares all that the parent has opened or worked out. */
static rf_expert *make_variant(rf_expert *parent, const rf_merge *merge, int merges)
{
    rf_expert *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->merge = malloc((size_t)merges * sizeof *merge);
    if (!v->merge) {
        free(v);
        return NULL;
    }
    memcpy(v->merge, merge, (size_t)merges * sizeof *merge);
    v->merges = merges;
    v->engine = parent->engine;
    v->parent = parent;
    v->path = parent->path;
    v->name = parent->name;
    v->file = parent->file;
    v->arch = parent->arch;
    v->blocks = parent->blocks;
    v->hash = parent->hash;
    v->patch[RF_NET_UNET] =
        (rf_weights_patch){.touches = touches_unet, .apply = merge_unet, .user = v};
    v->patch[RF_NET_CLIP_L] = v->patch[RF_NET_CLIP_G] =
        (rf_weights_patch){.touches = touches_text, .apply = merge_text, .user = v};
    return v;
}

static int has_set(const rf_expert *v, const rf_merge *merge, int merges)
{
    if (v->merges != merges) return 0;
    for (int i = 0; i < merges; i++)
        if (v->merge[i].file != merge[i].file || v->merge[i].unet != merge[i].unet ||
            v->merge[i].text != merge[i].text)
            return 0;
    return 1;
}

rf_status rf_expert_variant(rf_expert **out, rf_expert *expert, const rf_merge *merge, int merges,
                            rf_error *err)
{
    rf_expert *e = rf_expert_parent(expert);
    rf_status  st = RF_OK;
    *out = e;
    if (merges == 0) return RF_OK;
    RF_TRY(found_family(e, err));
    for (int i = 0; i < e->family->variants; i++) {
        *out = e->family->variant[i];
        if (has_set(*out, merge, merges)) return RF_OK;
    }
    *out = NULL;
    if (!grow(&e->family->variant, e->family->variants)) return no_memory(e->path, err);
    *out = make_variant(e, merge, merges);
    if (!*out) return no_memory(e->path, err);
    e->family->variant[e->family->variants++] = *out;
done:
    return st;
}

/* ---- who is still needed ------------------------------------------------------------------ */

int rf_expert_is_used(const rf_expert *parent)
{
    int used = parent->users > 0;
    for (int i = 0; parent->family && i < parent->family->variants; i++)
        used |= parent->family->variant[i]->users > 0;
    return used;
}

static int is_idle(const rf_expert *e, const rf_expert *but, rf_network network)
{
    return e != but && e->users == 0 && e->weights[network].base;
}

rf_expert *rf_expert_idle_relative(const rf_expert *expert, rf_network network)
{
    rf_expert       *parent = expert->parent;
    const rf_family *family = parent ? parent->family : expert->family;
    for (int i = 0; family && i < family->variants; i++)
        if (is_idle(family->variant[i], expert, network)) return family->variant[i];
    return parent && is_idle(parent, expert, network) ? parent : NULL;
}

static int is_loaded(const rf_expert *e)
{
    int loaded = 0;
    for (int i = 0; i < RF_NETWORKS; i++) loaded |= e->weights[i].base != NULL;
    return loaded;
}

static int is_merged(const rf_family *family, const rf_opened_lora *file)
{
    for (int i = 0; i < family->variants; i++)
        for (int k = 0; k < family->variant[i]->merges; k++)
            if (family->variant[i]->merge[k].file == file) return 1;
    return 0;
}

void rf_expert_tidy(rf_expert *expert, int loaded)
{
    rf_family *family = rf_expert_parent(expert)->family;
    int        kept = 0;
    if (!family) return;
    for (int i = 0; i < family->variants; i++) {
        rf_expert *v = family->variant[i];
        if (v->users > 0 || (is_loaded(v) && !loaded))
            family->variant[kept++] = v;
        else
            free_variant(v);
    }
    family->variants = kept;
    kept = 0;
    for (int i = 0; i < family->files; i++)
        if (is_merged(family, family->file[i]))
            family->file[kept++] = family->file[i];
        else
            close_file(family->file[i]);
    family->files = kept;
}

void rf_family_free(rf_expert *parent)
{
    if (!parent->family) return;
    rf_expert_tidy(parent, 1);
    rf_lora_names_destroy(parent->family->names);
    free(parent->family->file);
    free(parent->family->variant);
    free(parent->family);
    parent->family = NULL;
}
