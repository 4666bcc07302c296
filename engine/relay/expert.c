/* Experts: an opened checkpoint and the packed weights of its networks; see refinery.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/file_stem.h"
#include "engine/files/model_use.h"
#include "engine/model/clip.h"
#include "engine/model/vae.h"
#include "engine/relay/engine.h"
#include "engine/relay/variants.h"

/* An expert of any file that has tensors; what they are is still to be found out. */
static rf_status open_file(rf_expert **out, rf_engine *engine, const char *path, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_expert *e = calloc(1, sizeof *e);
    *out = e;
    if (!e) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    e->engine = engine;
    e->next = engine->opened;
    engine->opened = e;
    e->path = strdup(path);
    e->name = rf_file_stem(path);
    if (!e->path || !e->name) {
        st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
        goto done;
    }
    e->hash = &e->own_hash;
    e->own_hash.path = e->path;
    e->own_hash.cache = engine->hash_cache;
    e->own_hash.turn = &engine->hash_turn;
    RF_TRY(rf_model_file_open(&e->file, path, err));
done:
    return st;
}

/* Told once, however many there are. */
static rf_status judge_unknown(const rf_expert *e, const rf_checkpoint *c, rf_error *err)
{
    char   examples[400] = "";
    size_t used = 0;
    if (c->unknown_count == 0) return RF_OK;
    for (size_t i = 0; i < c->unknown_count && i < RF_UNKNOWN_EXAMPLES; i++) {
        snprintf(examples + used, sizeof examples - used, "%s%.120s", i ? ", " : "", c->unknown[i]);
        used += strlen(examples + used);
    }
    if (e->engine->strict)
        return rf_fail(err, RF_E_MODEL,
                       "%s: --strict: tensors that no SDXL checkpoint has: %zu, such as %s",
                       e->path, c->unknown_count, examples);
    rf_warn(e->engine, "%s: tensors that no SDXL checkpoint has are ignored: %zu, such as %s",
            e->path, c->unknown_count, examples);
    return RF_OK;
}

static rf_status check_expert(rf_expert *e, rf_error *err)
{
    rf_checkpoint   checkpoint;
    const rf_status st = rf_checkpoint_check(&checkpoint, rf_model_file_list(e->file), err);
    if (st != RF_OK) return st;
    e->arch = checkpoint.arch;
    if (rf_unet_list_blocks(&e->arch.unet, &e->blocks) != 0)
        return rf_fail(err, RF_E_MODEL, "%s: the UNet has more blocks than refinery supports",
                       e->path);
    return judge_unknown(e, &checkpoint, err);
}

rf_status rf_expert_open(rf_expert **out, rf_engine *engine, const char *path, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_expert *e = NULL;
    *out = NULL;
    RF_TRY(open_file(&e, engine, path, err));
    RF_TRY(check_expert(e, err));
    RF_TRY(rf_expert_find_prediction(e, err));
    *out = e;
    e = NULL;
done:
    rf_expert_close(e);
    return st;
}

/* The VAE of Stable Diffusion 1 and 2 has SDXL's tensors in SDXL's shapes, and latents of another
 * scale; nothing in the file says so.  What is left is what people call the widely shared ones. */
static int has_name_of_sd1(const char *path)
{
    static const char *const names[] = {"840000",    "560000",     "kl-f8",
                                        "orangemix", "anything-v", "blessed"};
    int                      found = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        found |= strcasestr(path, names[i]) != NULL;
    return found;
}

static rf_status check_vae(rf_expert *e, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_model_use_check_vae(&e->arch.vae, &e->vae_view, rf_model_file_list(e->file), err));
    e->arch.has_vae = 1;
    if (has_name_of_sd1(e->name))
        rf_warn(e->engine,
                "%s: by its name this is a VAE of Stable Diffusion 1, whose colours are wrong for "
                "SDXL; the file itself does not tell",
                e->path);
done:
    return st;
}

rf_status rf_expert_open_vae(rf_expert **out, rf_engine *engine, const char *path, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_expert *e = NULL;
    *out = NULL;
    RF_TRY(open_file(&e, engine, path, err));
    RF_TRY(check_vae(e, err));
    *out = e;
    e = NULL;
done:
    rf_expert_close(e);
    return st;
}

static void strike_from_list(const rf_expert *expert)
{
    rf_expert **at = &expert->engine->opened;
    while (*at != expert) at = &(*at)->next;
    *at = expert->next;
}

void rf_expert_close(rf_expert *expert)
{
    if (!expert) return;
    strike_from_list(expert);
    rf_family_free(expert);
    rf_file_hash_stop(&expert->own_hash);
    for (int i = 0; i < RF_NETWORKS; i++)
        rf_weights_free(&expert->weights[i], &expert->engine->device);
    rf_vae_view_close(expert->vae_view);
    rf_model_file_close(expert->file);
    free(expert->path);
    free(expert->name);
    free(expert);
}

const char *rf_expert_name(const rf_expert *expert)
{
    return expert->name;
}

const char *rf_expert_path(const rf_expert *expert)
{
    return expert->path;
}

rf_status rf_expert_sha256(rf_expert *expert, char *hex, int (*stop)(void *user), void *user,
                           rf_error *err)
{
    const rf_status st = rf_file_hash_wait(expert->hash, stop, user, err);
    if (st == RF_OK) memcpy(hex, expert->hash->hex, sizeof expert->hash->hex);
    return st;
}

static rf_status list_clip(rf_expert *e, rf_weights *w, const rf_clip_arch *arch, rf_error *err)
{
    /* CLIP-L's last layer is read by clip skip 1 alone: listed all the same, so that the list does
     * not depend on the job */
    const int          depth = arch->projection ? arch->layers - 1 : arch->layers;
    const rf_clip_args args = {.arch = arch, .chunks = 1, .prompts = 1, .depth = depth};
    return rf_record_list(&e->engine->device, w, rf_clip_forward, &args, err);
}

static rf_status list_vae(rf_expert *e, rf_weights *w, rf_error *err)
{
    const rf_vae_decode_args args = {.arch = &e->arch.vae, .n = 1, .h = 8, .w = 8};
    return rf_record_list(&e->engine->device, w, rf_vae_decode, &args, err);
}

static rf_status list_encoder(rf_expert *e, rf_weights *w, rf_error *err)
{
    const rf_vae_encode_args args = {.arch = &e->arch.vae, .n = 1, .h = 8, .w = 8};
    return rf_record_list(&e->engine->device, w, rf_vae_encode, &args, err);
}

rf_status rf_expert_list(rf_expert *e, rf_network network, rf_error *err)
{
    const char *const prefix[RF_NETWORKS] = {
        [RF_NET_CLIP_L] = RF_PREFIX_CLIP_L,
        [RF_NET_CLIP_G] = rf_part_prefix(&e->arch, RF_PART_CLIP_G),
        [RF_NET_UNET] = RF_PREFIX_UNET,
        [RF_NET_VAE] = RF_PREFIX_VAE,
        [RF_NET_VAE_ENCODER] = RF_PREFIX_VAE,
    };
    const int   vae = network == RF_NET_VAE || network == RF_NET_VAE_ENCODER;
    rf_weights *w = &e->weights[network];
    if (w->count) return RF_OK;
    *w = (rf_weights){.file =
                          e->vae_view ? rf_vae_view_list(e->vae_view) : rf_model_file_list(e->file),
                      .prefix = prefix[network],
                      .dtype = vae ? e->engine->vae_dtype : e->engine->dtype,
                      .patch = e->patch[network].touches ? &e->patch[network] : NULL};
    rf_status st = RF_E_BUG;
    switch (network) {
    case RF_NET_CLIP_L: st = list_clip(e, w, &e->arch.clip_l, err); break;
    case RF_NET_CLIP_G: st = list_clip(e, w, &e->arch.clip_g, err); break;
    case RF_NET_VAE: st = list_vae(e, w, err); break;
    case RF_NET_VAE_ENCODER: st = list_encoder(e, w, err); break;
    case RF_NET_UNET:
        st = rf_unet_list_weights(&e->engine->device, w, &e->arch.unet, &e->blocks, &e->unet, err);
        break;
    case RF_NETWORKS: break;
    }
    if (st != RF_OK) rf_weights_free(w, &e->engine->device);
    return st;
}

rf_status rf_expert_load(rf_expert *e, rf_network network, rf_expert *over, void *staging,
                         const rf_load_progress *progress, rf_error *err)
{
    rf_weights *w = &e->weights[network];
    rf_device  *device = &e->engine->device;
    if (w->base) return RF_OK;
    if (!over) over = rf_expert_idle_relative(e, network);
    const rf_status st =
        over ? rf_weights_load_over(w, &over->weights[network], device, staging, progress, err)
             : rf_weights_load(w, device, staging, progress, err);
    if (st == RF_OK && network == RF_NET_UNET) e->unet_loads++;
    return st;
}

void rf_expert_unload(rf_expert *e, rf_network network)
{
    rf_weights_unload(&e->weights[network], &e->engine->device);
}
