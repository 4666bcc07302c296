/* An inspected file, for people and for machines. */
#include "tools/inspect_report.h"

#include <stdio.h>
#include <string.h>

#include "tools/json.h"

/* ---- for machines ------------------------------------------------------------------------- */

static json_t *types_json(const rf_inventory *part)
{
    json_t *types = json_object();
    for (int i = 0; i < RF_FILETYPES; i++)
        if (part->types[i])
            json_object_set_new(types, rf_filetype_name((rf_filetype)i),
                                rf_json_bytes(part->types[i]));
    return types;
}

static json_t *parts_json(const rf_identity *identity)
{
    json_t *parts = json_array();
    for (int i = 0; i <= RF_PARTS; i++) {
        const rf_inventory *p = &identity->part[i];
        if (!p->tensors) continue;
        json_array_append_new(parts, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", p->name,
                                               "tensors", rf_json_bytes(p->tensors), "parameters",
                                               rf_json_bytes(p->elems), "bytes",
                                               rf_json_bytes(p->bytes), "dtypes", types_json(p)));
    }
    return parts;
}

static json_t *metadata_json(const rf_header *header)
{
    json_t *metadata = json_object();
    for (size_t i = 0; header && i < header->meta_count; i++) {
        const rf_pair *pair = &header->meta[i]; /* null: too long to be kept */
        json_object_set_new(metadata, pair->key,
                            rf_json_text(pair->bytes && !pair->value[0] ? NULL : pair->value));
    }
    return metadata;
}

/* null: the expert has no such encoder. */
static json_t *clip_json(const rf_clip_arch *a)
{
    if (a->layers == 0) return json_null();
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "width", a->width, "layers", a->layers, "heads",
                     a->heads, "vocabulary", a->vocab, "projection", a->projection);
}

static json_t *arch_json(const rf_sdxl_arch *a)
{
    json_t *mult = json_array(), *depth = json_array();
    for (int i = 0; i < a->unet.levels; i++) {
        json_array_append_new(mult, json_integer(a->unet.mult[i]));
        json_array_append_new(depth, json_integer(a->unet.depth[i]));
    }
    json_t *unet = json_pack("{s:i, s:i, s:o, s:o, s:i, s:i, s:i, s:i}", "in_channels",
                             a->unet.in_channels, "width", a->unet.width, "multipliers", mult,
                             "depths", depth, "middle_depth", a->unet.middle_depth, "context",
                             a->unet.context, "vector", a->unet.vector, "head", a->unet.head);
    json_t *vae = a->has_vae
                      ? json_pack("{s:i, s:i}", "width", a->vae.width, "levels", a->vae.levels)
                      : json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "unet", unet, "clip_l", clip_json(&a->clip_l),
                     "clip_g", clip_json(&a->clip_g), "vae", vae);
}

static json_t *prediction_json(const rf_prediction *p)
{
    return json_pack("{s:s, s:b, s:b, s:s}", "prediction", p->is.v ? "v" : "epsilon", "ztsnr",
                     p->is.range == RF_RANGE_ZTSNR, "continuous", p->is.range == RF_RANGE_EDM,
                     "reason", p->reason);
}

static json_t *unknown_json(const rf_identity *identity)
{
    json_t      *examples = json_array();
    const size_t count = identity->usable ? identity->checkpoint.unknown_count : 0;
    for (size_t i = 0; i < count && i < RF_UNKNOWN_EXAMPLES; i++)
        json_array_append_new(examples, rf_json_text(identity->checkpoint.unknown[i]));
    return json_pack("{s:o, s:o}", "count", rf_json_bytes(count), "examples", examples);
}

/* ---- what it is good for ------------------------------------------------------------------ */

/* The sentence without the path that it begins with: the report has named the file. */
static const char *reason_of(const rf_inspection *x, rf_model_use use)
{
    const char  *text = x->use[use].message;
    const size_t n = strlen(x->path);
    const int    named = strncmp(text, x->path, n) == 0 && strncmp(text + n, ": ", 2) == 0;
    return named ? text + n + 2 : text;
}

/* 1 if the file has the UNet of an SDXL checkpoint but not this part, which would complete it. */
static int lacks(const rf_identity *identity, int part)
{
    const int has_unet = identity->part[RF_PART_UNET].tensors > 0;
    switch (identity->kind) {
    case RF_MODEL_SDXL_REFINER:
        if (part == RF_PART_CLIP_L) return 0;
        break;
    case RF_MODEL_SDXL:
    case RF_MODEL_SDXL_VPRED:
    case RF_MODEL_SDXL_COSXL:
    case RF_MODEL_UNET: break;
    default: return 0;
    }
    return has_unet && identity->part[part].tensors == 0;
}

static json_t *uses_json(const rf_inspection *x)
{
    static const char *const keys[RF_USES] = {"base", "refiner", "lora", "vae"};
    json_t                  *uses = json_object();
    for (int i = 0; i < RF_USES; i++) {
        const int works = x->use[i].status == RF_OK;
        json_object_set_new(uses, keys[i],
                            json_pack("{s:b, s:o}", "works", works, "problem",
                                      rf_json_text(works ? NULL : x->use[i].message)));
    }
    return uses;
}

static json_t *missing_json(const rf_identity *identity)
{
    json_t *missing = json_array();
    for (int i = 0; i < RF_PARTS; i++)
        if (lacks(identity, i))
            json_array_append_new(missing, json_string(rf_part_name((rf_part)i)));
    return missing;
}

/* Neighbours with the same answer share a line. */
static void print_uses(const rf_inspection *x)
{
    for (int i = 0, n = 0; i < RF_USES; i += n) {
        const char *reason = reason_of(x, (rf_model_use)i);
        n = 1;
        while (i + n < RF_USES && x->use[i + n].status == x->use[i].status &&
               strcmp(reason_of(x, (rf_model_use)(i + n)), reason) == 0)
            n++;
        fputs("  as ", stdout);
        for (int k = 0; k < n; k++)
            printf("%s%s",
                   k == 0      ? ""
                   : k + 1 < n ? ", "
                               : " or ",
                   rf_model_use_name((rf_model_use)(i + k)));
        printf(": %s\n", x->use[i].status == RF_OK ? "works" : reason);
    }
}

static void print_missing(const rf_identity *identity)
{
    int n = 0;
    for (int i = 0; i < RF_PARTS; i++)
        if (lacks(identity, i))
            printf("%s%s", n++ ? ", " : "  missing: ", rf_part_name((rf_part)i));
    if (!n) return;
    puts(identity->usable ? " (--vae names a file that has one)" : "");
}

/* ---- all, for machines -------------------------------------------------------------------- */

static const char *container_name(rf_container kind)
{
    switch (kind) {
    case RF_CONTAINER_SAFETENSORS: return "safetensors";
    case RF_CONTAINER_EMPTY: return "empty";
    case RF_CONTAINER_ZIP: return "zip";
    case RF_CONTAINER_PICKLE: return "pickle";
    case RF_CONTAINER_ARCHIVE: return "archive";
    case RF_CONTAINER_GGUF: return "gguf";
    case RF_CONTAINER_HTML: return "html";
    case RF_CONTAINER_LFS: return "lfs pointer";
    case RF_CONTAINER_IMAGE: return "image";
    case RF_CONTAINER_TEXT: return "text";
    case RF_CONTAINER_UNKNOWN: return "unknown";
    }
    return "unknown";
}

rf_status rf_inspect_print_json(const rf_inspection *x, rf_error *err)
{
    const rf_identity *identity = &x->identity;
    json_t *o = json_pack("{s:i, s:o, s:o}", "schema", 1, "path", rf_json_text(x->path), "bytes",
                          rf_json_bytes(x->bytes));
    if (!o) return rf_json_print(NULL, err);
    const char *digest = *x->sha256 ? x->sha256 : NULL;
    json_object_set_new(o, "sha256", rf_json_text(digest));
    json_object_set_new(o, "uses", uses_json(x));
    if (x->container != RF_CONTAINER_SAFETENSORS) {
        json_object_set_new(o, "kind", rf_json_text(container_name(x->container)));
        json_object_set_new(o, "usable", json_false());
        json_object_set_new(o, "problem", rf_json_text(rf_container_text(x->container)));
        return rf_json_print(o, err);
    }
    json_object_set_new(o, "kind", rf_json_text(rf_model_kind_name(identity->kind)));
    json_object_set_new(o, "usable", json_boolean(identity->usable));
    json_object_set_new(o, "problem",
                        rf_json_text(identity->usable ? NULL : identity->problem.message));
    json_object_set_new(o, "tensors", rf_json_bytes(x->tensors->count));
    json_object_set_new(o, "parts", parts_json(identity));
    json_object_set_new(o, "architecture",
                        identity->usable ? arch_json(&identity->checkpoint.arch) : json_null());
    json_object_set_new(o, "predicts",
                        identity->usable ? prediction_json(&x->prediction) : json_null());
    json_object_set_new(o, "missing", missing_json(identity));
    json_object_set_new(o, "unknown", unknown_json(identity));
    if (x->is_lora) json_object_set_new(o, "lora", rf_lora_inspection_json(&x->lora));
    if (*x->body_sha256) json_object_set_new(o, "body_sha256", rf_json_text(x->body_sha256));
    json_object_set_new(o, "metadata", metadata_json(x->header));
    return rf_json_print(o, err);
}

/* ---- for people --------------------------------------------------------------------------- */

/* Prints text from a file: control bytes never reach the terminal, and `columns` are enough. */
static void print_safe(const char *text, int columns)
{
    int shown = 0;
    for (; *text && shown < columns; text++) {
        const unsigned char c = (unsigned char)*text;
        putchar(c < 0x20 || c == 0x7F ? ' ' : c);
        shown += (c & 0xC0) != 0x80; /* a UTF-8 sequence is one character */
        if ((c & 0xC0) == 0x80 || shown < columns) continue;
        while (((unsigned char)text[1] & 0xC0) == 0x80) putchar(*++text);
    }
    if (*text) fputs("...", stdout);
}

/* "1,234,567": parameter counts have ten digits. */
static void grouped(char *out, size_t bytes, uint64_t v)
{
    char   digits[24];
    int    len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < bytes; i++) {
        if (i > 0 && (len - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

static void print_part(const rf_inventory *p)
{
    char params[40], bytes[40];
    int  kinds = 0;
    grouped(params, sizeof params, p->elems);
    grouped(bytes, sizeof bytes, p->bytes);
    printf("  %-14s %5zu tensors  %14s parameters  %14s bytes  ", p->name, p->tensors, params,
           bytes);
    for (int i = 0; i < RF_FILETYPES; i++)
        if (p->types[i]) printf("%s%s", kinds++ ? "+" : "", rf_filetype_name((rf_filetype)i));
    putchar('\n');
}

static void print_arch(const rf_sdxl_arch *a)
{
    printf("  UNet width %d, context %d, vector %d, transformer depths", a->unet.width,
           a->unet.context, a->unet.vector);
    for (int i = 0; i < a->unet.levels; i++) printf(" %d", a->unet.depth[i]);
    printf(", middle %d\n", a->unet.middle_depth);
    if (a->has_clip_l) printf("  CLIP-L %d wide, %d layers;", a->clip_l.width, a->clip_l.layers);
    printf("%s bigG %d wide, %d layers; VAE %s\n", a->has_clip_l ? "" : " ", a->clip_g.width,
           a->clip_g.layers, a->has_vae ? "included" : "missing");
}

static void print_prediction(const rf_prediction *p)
{
    printf("  predicts %s%s", p->is.v ? "v" : "epsilon",
           p->is.range == RF_RANGE_ZTSNR ? ", zero terminal SNR" : "");
    if (p->is.range == RF_RANGE_EDM)
        printf(" on EDM noise levels, sigma %g to %g", p->is.sigma_min, p->is.sigma_max);
    printf(" (%s)\n", p->reason);
    if (*p->doubt) printf("  but %s\n", p->doubt);
}

static void print_metadata(const rf_header *header, int verbose)
{
    enum { COLUMNS = 70, ALL = 1 << 30 };
    for (size_t i = 0; header && i < header->meta_count; i++) {
        fputs("  ", stdout);
        print_safe(header->meta[i].key, COLUMNS);
        fputs(": ", stdout);
        if (header->meta[i].bytes > 0 && !header->meta[i].value[0])
            printf("(%zu bytes)", header->meta[i].bytes); /* too long to be kept */
        print_safe(header->meta[i].value, verbose ? ALL : COLUMNS);
        putchar('\n');
    }
}

void rf_inspect_print_text(const rf_inspection *x, int verbose)
{
    const rf_identity *identity = &x->identity;
    const int          opened = x->container == RF_CONTAINER_SAFETENSORS;
    char               bytes[40];
    grouped(bytes, sizeof bytes, x->bytes);
    print_safe(x->path, 1 << 30);
    printf(": %s%s\n",
           opened ? rf_model_kind_name(identity->kind) : rf_container_text(x->container),
           opened && !x->header ? ", as a diffusers folder" : "");
    printf("  %s bytes", bytes);
    if (opened) printf(", %zu tensors", x->tensors->count);
    putchar('\n');
    if (*x->sha256) printf("  SHA-256 %s (AutoV2 %.10s)\n", x->sha256, x->sha256);
    if (*x->body_sha256)
        printf("  SHA-256 behind the header %s (AutoV3 %.12s)\n", x->body_sha256, x->body_sha256);
    if (!opened) puts("  as base, refiner, LoRA or VAE: refused");
    if (!opened) return;
    if (x->is_lora) {
        print_uses(x);
        rf_lora_inspection_print(&x->lora);
        if (verbose) print_metadata(x->header, verbose);
        return;
    }
    for (int i = 0; i <= RF_PARTS; i++)
        if (identity->part[i].tensors) print_part(&identity->part[i]);
    if (identity->usable) {
        print_arch(&identity->checkpoint.arch);
        print_prediction(&x->prediction);
        if (identity->checkpoint.unknown_count)
            printf("  %zu tensors are not known and not read, such as %s\n",
                   identity->checkpoint.unknown_count, identity->checkpoint.unknown[0]);
    }
    print_missing(identity);
    print_uses(x);
    print_metadata(x->header, verbose);
}
