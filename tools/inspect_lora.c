/* A LoRA, for people and for machines; see inspect_lora.h.  What its metadata says is shown, and
 * never believed. */
#include "tools/inspect_lora.h"

#include <stdio.h>
#include <string.h>

#include "engine/files/lora_verdict.h"
#include "engine/files/model_file.h"
#include "tools/json.h"
#include "tools/training_tags.h"
#include "tools/wrap.h"

enum {
    SHOWN_BYTES = 200, /* of a text from a file */
    TAGS_SHOWN = 8,
    TAGS_LISTED = 50, /* for machines */
};

static const char *const PART_KEYS[RF_PARTS + 1] = {"unet", "te1", "te2", "vae", "unknown"};
static const char *const PART_NAMES[RF_PARTS + 1] = {"UNet", "te1", "te2", "VAE", "of no network"};

/* ---- reading ------------------------------------------------------------------------------ */

rf_status rf_against_open(rf_against *out, const char *path, rf_error *err)
{
    rf_status      st = RF_OK;
    rf_model_file *file = NULL;
    rf_checkpoint  checkpoint;
    const char    *slash = strrchr(path, '/');
    *out = (rf_against){.name = slash && slash[1] ? slash + 1 : path};
    const char *dot = strrchr(out->name, '.');
    snprintf(out->stem, sizeof out->stem, "%.*s",
             (int)(dot && dot > out->name ? (size_t)(dot - out->name) : strlen(out->name)),
             out->name);
    RF_TRY(rf_model_file_open(&file, path, err));
    RF_TRY(rf_checkpoint_check(&checkpoint, rf_model_file_list(file), err));
    RF_TRY(rf_lora_names_create(&out->names, &checkpoint.arch, err));
done:
    rf_model_file_close(file);
    return st;
}

void rf_against_close(rf_against *against)
{
    rf_lora_names_destroy(against->names);
    *against = (rf_against){.name = NULL};
}

static void find_ranks(rf_lora_inspection *x)
{
    for (int i = 0; i < x->lora->modules; i++) {
        const int rank = x->lora->module[i].rank;
        if (rank == 0) continue;
        if (x->rank_min == 0 || rank < x->rank_min) x->rank_min = rank;
        if (rank > x->rank_max) x->rank_max = rank;
    }
}

void rf_lora_inspect(rf_lora_inspection *out, const char *path, const rf_against *against)
{
    *out = (rf_lora_inspection){.against = against->name ? against : NULL};
    if (rf_lora_open(&out->lora, path, &out->problem) != RF_OK) return;
    find_ranks(out);
    for (size_t i = 0; i < out->lora->tensors->count; i++)
        out->types[out->lora->tensors->item[i].type]++;
    if (against->name) (void)rf_lora_fit_create(&out->fit, out->lora, against->names, &out->misfit);
}

void rf_lora_inspection_free(rf_lora_inspection *x)
{
    rf_lora_fit_free(&x->fit);
    rf_lora_close(x->lora);
    *x = (rf_lora_inspection){.lora = NULL};
}

rf_status rf_lora_inspection_check(const rf_lora_inspection *x, rf_error *err)
{
    if (!x->lora) return rf_fail(err, x->problem.status, "%s", x->problem.message);
    const char *made_for = rf_lora_made_for(x->lora);
    if (x->against && x->misfit.status != RF_OK)
        return rf_fail(err, x->misfit.status, "%s", x->misfit.message);
    if (x->against) return rf_lora_fit_check(&x->fit, x->against->stem, 0, err);
    if (!made_for || strstr(made_for, "SDXL")) return RF_OK;
    return rf_fail(err, RF_E_MODEL, "%s: a LoRA for %s, not for SDXL", x->lora->tensors->path,
                   made_for);
}

/* ---- what it is --------------------------------------------------------------------------- */

/* Modules of low rank with a mid factor, which LoCon alone has. */
static int with_mid(const rf_lora *l)
{
    int count = 0;
    for (int i = 0; i < l->modules; i++) count += l->module[i].tensor[RF_LORA_MID] != NULL;
    return count;
}

/* LoCon is LoRA for convolutions: some factor has a kernel larger than 1x1. */
static int with_kernel(const rf_lora *l)
{
    int count = 0;
    for (int i = 0; i < l->modules; i++) {
        const rf_tensor *down = l->module[i].tensor[RF_LORA_DOWN];
        count += l->module[i].kind == RF_LORA_LOW_RANK && down && down->ndim == 4 &&
                 (down->dim[2] > 1 || down->dim[3] > 1);
    }
    return count;
}

static const char *kind_name(const rf_lora *l, int kind)
{
    if (kind == RF_LORA_LOW_RANK && (with_mid(l) || with_kernel(l))) return "LoCon";
    return rf_lora_kind_name((rf_lora_kind)kind);
}

typedef struct fact {
    const char *key, *label;
} fact;

static const fact FACTS[] = {
    {"ss_output_name", "name"},
    {"modelspec.title", "title"},
    {"modelspec.architecture", "architecture"},
    {"ss_base_model_version", "trained for"},
    {"ss_sd_model_name", "trained on"},
    {"ss_network_module", "made by"},
    {"modelspec.trigger_phrase", "trigger words"},
    {"modelspec.usage_hint", "how to use it"},
    {"modelspec.author", "author"},
    {"modelspec.license", "license"},
};

static const char *metadata(const rf_lora *l, const char *key)
{
    const rf_header *h = rf_safetensors_header(l->file);
    for (size_t i = 0; i < h->meta_count; i++)
        if (strcmp(h->meta[i].key, key) == 0)
            return h->meta[i].value[0] && strcmp(h->meta[i].value, "None") != 0 ? h->meta[i].value
                                                                                : NULL;
    return NULL;
}

/* ---- for machines ------------------------------------------------------------------------- */

static json_t *counts_json(const int count[RF_PARTS + 1])
{
    json_t *o = json_object();
    for (int i = 0; i <= RF_PARTS; i++)
        if (count[i]) json_object_set_new(o, PART_KEYS[i], json_integer(count[i]));
    return o;
}

static json_t *fit_json(const rf_lora_inspection *x)
{
    if (!x->against) return json_null();
    const int whole = x->misfit.status == RF_OK;
    return json_pack("{s:o, s:o, s:b, s:o}", "expert", rf_json_text(x->against->name), "matched",
                     counts_json(x->fit.matched), "complete",
                     whole && x->fit.matches == x->lora->modules, "problem",
                     rf_json_text(!whole                ? x->misfit.message
                                  : x->fit.first.status ? x->fit.first.message
                                                        : NULL));
}

json_t *rf_lora_inspection_json(const rf_lora_inspection *x)
{
    const rf_lora *l = x->lora;
    json_t        *kinds = json_object(), *embeddings = json_array(), *says = json_object();
    if (!l) {
        json_decref(kinds);
        json_decref(embeddings);
        json_decref(says);
        return json_pack("{s:b, s:o}", "usable", 0, "problem", rf_json_text(x->problem.message));
    }
    for (int i = 0; i < RF_LORA_KINDS; i++)
        if (l->kinds[i]) json_object_set_new(kinds, kind_name(l, i), json_integer(l->kinds[i]));
    for (int i = 0; i < l->embeddings; i++)
        json_array_append_new(embeddings, rf_json_text(l->embedding[i]));
    for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS; i++)
        if (metadata(l, FACTS[i].key))
            json_object_set_new(says, FACTS[i].key, rf_json_text(metadata(l, FACTS[i].key)));
    return json_pack("{s:b, s:n, s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "usable", 1,
                     "problem", "made_for", rf_json_text(rf_lora_made_for(l)), "kinds", kinds,
                     "dora", l->dora, "rank_min", x->rank_min, "rank_max", x->rank_max, "modules",
                     counts_json(l->count), "fit", fit_json(x), "embeddings", embeddings, "says",
                     says, "training_tags",
                     rf_training_tags(metadata(l, "ss_tag_frequency"), TAGS_LISTED));
}

/* ---- for people --------------------------------------------------------------------------- */

static void put(const char *text)
{
    const size_t length = strlen(text);
    size_t       n = length < SHOWN_BYTES ? length : SHOWN_BYTES;
    while (n < length && n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    rf_text_put(stdout, text, n);
    if (n < length) fputs("...", stdout);
}

static void print_kinds(const rf_lora_inspection *x)
{
    const rf_lora *l = x->lora;
    int            n = 0;
    fputs("  ", stdout);
    for (int i = 0; i < RF_LORA_KINDS; i++)
        if (l->kinds[i])
            printf("%s%s in %d module%s", n++ ? ", " : "", kind_name(l, i), l->kinds[i],
                   l->kinds[i] == 1 ? "" : "s");
    if (l->dora) printf(", DoRA in %d of them", l->dora);
    if (x->rank_max && x->rank_min == x->rank_max) printf(", rank %d", x->rank_max);
    if (x->rank_min != x->rank_max) printf(", rank %d to %d", x->rank_min, x->rank_max);
    for (int i = 0; i < RF_FILETYPES; i++)
        if (x->types[i]) printf(", %s", rf_filetype_name((rf_filetype)i));
    putchar('\n');
}

static void print_modules(const rf_lora *l)
{
    int n = 0;
    fputs("  modules:", stdout);
    for (int i = 0; i <= RF_PARTS; i++)
        if (l->count[i]) printf("%s %d %s", n++ ? "," : "", l->count[i], PART_NAMES[i]);
    putchar('\n');
}

static void print_fit(const rf_lora_inspection *x)
{
    int n = 0;
    if (!x->against) return;
    if (x->misfit.status != RF_OK) {
        fputs("  cannot be merged: ", stdout);
        put(x->misfit.message);
        putchar('\n');
        return;
    }
    fputs("  fits", stdout);
    for (int i = 0; i <= RF_PARTS; i++)
        if (x->lora->count[i])
            printf("%s %d/%d %s", n++ ? "," : "", x->fit.matched[i], x->lora->count[i],
                   PART_NAMES[i]);
    fputs(" of ", stdout);
    put(x->against->name);
    putchar('\n');
    if (x->fit.first.status == RF_OK) return;
    fputs("  what does not fit: ", stdout);
    put(x->fit.first.message);
    putchar('\n');
}

static void print_tags(const rf_lora *l)
{
    json_t      *tags = rf_training_tags(metadata(l, "ss_tag_frequency"), TAGS_SHOWN);
    const size_t n = json_array_size(tags);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ", " : "  most frequent tags, as it says: ", stdout);
        put(json_string_value(json_array_get(json_array_get(tags, i), 0)));
        if (i + 1 == n) putchar('\n');
    }
    json_decref(tags);
}

void rf_lora_inspection_print(const rf_lora_inspection *x)
{
    const rf_lora *l = x->lora;
    if (!l) return;
    print_kinds(x);
    if (rf_lora_made_for(l)) printf("  made for %s, by its layers\n", rf_lora_made_for(l));
    print_modules(l);
    print_fit(x);
    for (int i = 0; i < l->embeddings; i++) {
        fputs(i ? ", " : "  embeddings in it: ", stdout);
        put(l->embedding[i]);
        if (i + 1 == l->embeddings) putchar('\n');
    }
    for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS; i++) {
        const char *value = metadata(l, FACTS[i].key);
        if (!value) continue;
        printf("  %s, as it says: ", FACTS[i].label);
        put(value);
        putchar('\n');
    }
    print_tags(l);
}
