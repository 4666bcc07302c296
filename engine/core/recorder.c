/* List, count, place; see recorder.h. */
#include "engine/core/recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the three readings ------------------------------------------------------------------- */

rf_status rf_record_list(rf_device *device, rf_weights *w, rf_forward_fn *forward, const void *arg,
                         rf_error *err)
{
    rf_recorder r = {
        .mode = RF_RECORD_LIST, .device = device, .dtype = w->dtype, .weights = w, .err = err};
    forward(&r, arg);
    rf_arena_free(&r.arena);
    return r.st;
}

/* Reads `forward` once and finds its buffers' places. */
static void arrange(rf_recorder *r, rf_forward_fn *forward, const void *arg)
{
    const size_t first_slot = r->next_slot;
    forward(r, arg);
    r->next_slot = first_slot;
    if (r->st == RF_OK && rf_arena_settle(&r->arena) != RF_OK)
        r->st = rf_fail(r->err, RF_E_NOMEM, "no memory to arrange a network's buffers");
}

rf_status rf_record_count(rf_device *device, rf_weights *w, size_t first_slot,
                          rf_forward_fn *forward, const void *arg, size_t *slab_bytes,
                          rf_error *err)
{
    rf_recorder r = {.mode = RF_RECORD_COUNT,
                     .device = device,
                     .dtype = w->dtype,
                     .weights = w,
                     .next_slot = first_slot,
                     .err = err};
    arrange(&r, forward, arg);
    *slab_bytes = r.arena.peak + r.workspace_bytes;
    rf_arena_free(&r.arena);
    return r.st;
}

/* The second reading of placing, after the one that arranged the buffers. */
static void place(rf_recorder *r, rf_forward_fn *forward, const void *arg, void *slab,
                  size_t slab_bytes)
{
    rf_program *program = r->program;
    r->mode = RF_RECORD_PLACE;
    rf_arena_place(&r->arena, slab);
    forward(r, arg);
    if (r->st != RF_OK) return;
    if (r->arena.peak + r->workspace_bytes > slab_bytes) {
        r->st = rf_fail(r->err, RF_E_BUG, "a network needs %zu bytes of slab, %zu were counted",
                        r->arena.peak + r->workspace_bytes, slab_bytes);
        return;
    }
    for (size_t i = 0; r->workspace_bytes && i < program->count; i++)
        rf_call_set_workspace(&program->call[i], (char *)slab + r->arena.peak);
}

rf_status rf_record_place(rf_device *device, rf_weights *w, size_t first_slot,
                          rf_forward_fn *forward, const void *arg, void *slab, size_t slab_bytes,
                          rf_program *program, rf_error *err)
{
    rf_recorder r = {.mode = RF_RECORD_ARRANGE,
                     .device = device,
                     .dtype = w->dtype,
                     .weights = w,
                     .next_slot = first_slot,
                     .program = program,
                     .err = err};
    program->count = 0;
    arrange(&r, forward, arg);
    if (r.st == RF_OK) place(&r, forward, arg, slab, slab_bytes);
    rf_arena_free(&r.arena);
    return r.st;
}

/* ---- buffers and scopes ------------------------------------------------------------------- */

void *rf_take(rf_recorder *r, size_t elems)
{
    if (r->st != RF_OK) return NULL;
    if (elems > SIZE_MAX / 8) {
        r->st = rf_fail(r->err, RF_E_BUG, "%s: no buffer has so many elements", r->path);
        return NULL;
    }
    void *p = rf_arena_take(&r->arena, elems * rf_dtype_bytes(r->dtype));
    if (!p) r->st = rf_fail(r->err, RF_E_NOMEM, "%s: no memory to plan a buffer", r->path);
    return p;
}

void rf_give(rf_recorder *r, const void *buffer)
{
    if (r->st != RF_OK) return;
    if (rf_arena_give(&r->arena, buffer) != 0)
        r->st = rf_fail(r->err, RF_E_BUG, "%s: a buffer was given back twice", r->path);
}

void *rf_offset(const rf_recorder *r, const void *buffer, size_t elems)
{
    return buffer ? (char *)buffer + elems * rf_dtype_bytes(r->dtype) : NULL;
}

size_t rf_enter(rf_recorder *r, const char *format, ...)
{
    const size_t mark = r->path_len, room = sizeof r->path - mark;
    va_list      args;
    va_start(args, format);
    const int wrote = vsnprintf(r->path + mark, room, format, args);
    va_end(args);
    if (r->st == RF_OK && (wrote < 0 || (size_t)wrote + 1 >= room))
        r->st = rf_fail(r->err, RF_E_BUG, "%s: the scope is too long", r->path);
    if (r->st != RF_OK) return mark;
    r->path_len = mark + (size_t)wrote;
    r->path[r->path_len++] = '.';
    r->path[r->path_len] = '\0';
    return mark;
}

void rf_leave(rf_recorder *r, size_t mark)
{
    r->path_len = mark;
    r->path[mark] = '\0';
}

/* ---- weights ------------------------------------------------------------------------------ */

enum { NAME_BYTES = 128 }; /* longer than any label plus the longest tensor suffix */

/* The slot of one weight: listed on the first reading, found again in order afterwards. */
static const rf_slot *slot_of(rf_recorder *r, const rf_slot *wanted,
                              const char *const names[RF_SLOT_PARTS])
{
    if (r->st != RF_OK) return NULL;
    if (r->mode == RF_RECORD_LIST) {
        char        full[RF_SLOT_PARTS][NAME_BYTES];
        const char *list[RF_SLOT_PARTS] = {NULL};
        for (int i = 0; i < RF_SLOT_PARTS && names[i]; i++) {
            snprintf(full[i], sizeof full[i], "%s%s", r->path, names[i]);
            list[i] = full[i];
        }
        r->st = rf_weights_add(r->weights, r->device, *wanted, list, r->err);
        return r->st == RF_OK ? &r->weights->slot[r->weights->count - 1] : NULL;
    }
    if (r->next_slot >= r->weights->count) {
        r->st = rf_fail(r->err, RF_E_BUG, "%s%s: asked for more weights than were listed", r->path,
                        names[0]);
        return NULL;
    }
    return &r->weights->slot[r->next_slot++];
}

static const void *address_of(const rf_recorder *r, const rf_slot *slot)
{
    return slot ? rf_weights_at(r->weights, (size_t)(slot - r->weights->slot)) : NULL;
}

static const float *vector(rf_recorder *r, int n, const char *const names[RF_SLOT_PARTS])
{
    return address_of(r, slot_of(r, &(rf_slot){.kind = RF_SLOT_VECTOR, .n = n, .k = 1}, names));
}

/* `name` with a suffix, as a one-part list. */
typedef struct one_name {
    char        text[NAME_BYTES];
    const char *list[RF_SLOT_PARTS];
} one_name;

static const char *const *suffixed(one_name *out, const char *name, const char *suffix)
{
    snprintf(out->text, sizeof out->text, "%s%s", name, suffix);
    *out->list = out->text;
    for (int i = 1; i < RF_SLOT_PARTS; i++) out->list[i] = NULL;
    return out->list;
}

/* ---- ops ---------------------------------------------------------------------------------- */

static void state(rf_recorder *r, rf_op_call *call, const char *name)
{
    if (r->st != RF_OK || r->mode == RF_RECORD_LIST || r->mode == RF_RECORD_ARRANGE) return;
    snprintf(call->label, sizeof call->label, "%.*s%s", (int)(sizeof call->label / 2 + 20), r->path,
             name);
    size_t workspace = 0;
    call->by_vendor = rf_call_by_vendor(r->device, call);
    r->st = rf_call_prepare(r->device, call, &workspace, r->err);
    if (r->st != RF_OK) return;
    if (workspace > r->workspace_bytes) r->workspace_bytes = workspace;
    if (r->mode == RF_RECORD_PLACE) r->st = rf_program_add(r->program, call, r->err);
}

void rf_do_gemm(rf_recorder *r, rf_gemm_args args, const rf_gemm_layer *layer)
{
    const rf_slot *slot = slot_of(r,
                                  &(rf_slot){.kind = RF_SLOT_GEMM,
                                             .n = args.n,
                                             .k = args.k,
                                             .transpose = layer->transpose,
                                             .act = args.act},
                                  layer->weight);
    if (!slot) return;
    args.dtype = r->dtype;
    args.wdtype = slot->wdtype;
    args.w = address_of(r, slot);
    if (layer->bias[0]) args.bias = vector(r, args.n, layer->bias);
    /* Counting has no loaded weights, but prepare must see that there is a bias. */
    if (layer->bias[0] && !args.bias) args.bias = (const float *)r->path;
    state(r, &(rf_op_call){.kind = RF_OP_GEMM, .args.gemm = args}, layer->weight[0]);
}

void rf_do_linear(rf_recorder *r, rf_gemm_args args, const char *name)
{
    one_name weight, bias;
    suffixed(&weight, name, ".weight");
    suffixed(&bias, name, ".bias");
    rf_do_gemm(r, args, &(rf_gemm_layer){.weight = {weight.text}, .bias = {bias.text}});
}

static void conv(rf_recorder *r, rf_conv_args args, const char *name, int biased)
{
    one_name       n;
    const rf_slot *slot = slot_of(
        r, &(rf_slot){.kind = RF_SLOT_CONV, .n = args.cout, .k = args.cin, .conv_kind = args.kind},
        suffixed(&n, name, ".weight"));
    if (!slot) return;
    args.dtype = r->dtype;
    args.wdtype = slot->wdtype;
    args.wt = address_of(r, slot);
    if (biased) args.bias = vector(r, args.cout, suffixed(&n, name, ".bias"));
    if (biased && !args.bias) args.bias = (const float *)r->path; /* as in rf_do_gemm */
    state(r, &(rf_op_call){.kind = RF_OP_CONV, .args.conv = args}, name);
}

void rf_do_conv(rf_recorder *r, rf_conv_args args, const char *name)
{
    conv(r, args, name, 1);
}

void rf_do_conv_bare(rf_recorder *r, rf_conv_args args, const char *name)
{
    conv(r, args, name, 0);
}

void rf_do_groupnorm(rf_recorder *r, rf_groupnorm_args args, const char *name)
{
    one_name n;
    args.dtype = r->dtype;
    args.gamma = vector(r, args.c, suffixed(&n, name, ".weight"));
    args.beta = vector(r, args.c, suffixed(&n, name, ".bias"));
    state(r, &(rf_op_call){.kind = RF_OP_GROUPNORM, .args.groupnorm = args}, name);
}

void rf_do_layernorm(rf_recorder *r, rf_layernorm_args args, const char *name)
{
    one_name n;
    args.dtype = r->dtype;
    args.gamma = vector(r, args.c, suffixed(&n, name, ".weight"));
    args.beta = vector(r, args.c, suffixed(&n, name, ".bias"));
    state(r, &(rf_op_call){.kind = RF_OP_LAYERNORM, .args.layernorm = args}, name);
}

void rf_do_attention(rf_recorder *r, rf_attention_args args, const char *name)
{
    args.dtype = r->dtype;
    state(r, &(rf_op_call){.kind = RF_OP_ATTENTION, .args.attention = args}, name);
}

void rf_do_embedding(rf_recorder *r, rf_embedding_args args, const char *table,
                     const char *position)
{
    const char *const table_name[RF_SLOT_PARTS] = {table};
    const char *const position_name[RF_SLOT_PARTS] = {position};
    const rf_slot    *t =
        slot_of(r, &(rf_slot){.kind = RF_SLOT_TABLE, .n = args.vocab, .k = args.c}, table_name);
    if (!t) return;
    args.wdtype = t->wdtype;
    args.table = address_of(r, t); /* before listing the next slot moves this one */
    args.position = address_of(
        r, slot_of(r, &(rf_slot){.kind = RF_SLOT_TABLE, .n = args.seq, .k = args.c, .wide = 1},
                   position_name));
    args.dtype = r->dtype;
    state(r, &(rf_op_call){.kind = RF_OP_EMBEDDING, .args.embedding = args}, "embedding");
}

void rf_do_timestep(rf_recorder *r, rf_timestep_args args, const char *name)
{
    args.dtype = r->dtype;
    state(r, &(rf_op_call){.kind = RF_OP_TIMESTEP, .args.timestep = args}, name);
}

void rf_do_resize(rf_recorder *r, rf_resize_args args, const char *name)
{
    args.dtype = r->dtype;
    state(r, &(rf_op_call){.kind = RF_OP_RESIZE, .args.resize = args}, name);
}

void rf_do_lincomb(rf_recorder *r, rf_lincomb_args args, const char *name)
{
    state(r, &(rf_op_call){.kind = RF_OP_LINCOMB, .args.lincomb = args}, name);
}

void rf_do_pixels(rf_recorder *r, rf_pixels_args args, const char *name)
{
    args.dtype = r->dtype;
    state(r, &(rf_op_call){.kind = RF_OP_PIXELS, .args.pixels = args}, name);
}
