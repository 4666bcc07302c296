/* Checkpoints in every spelling that is about draw, bit for bit, what the plain one draws; what
 * nobody knows is told once, or refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/diffusers_names.h"
#include "engine/files/synth.h"
#include "tests/files/rewrite.h"
#include "tests/model/golden.h"
#include "tests/relay/relays.h"

#define CLIP_L "conditioner.embedders.0.transformer."

/* ---- ways to spell a checkpoint ----------------------------------------------------------- */

static const char *after(const char *name, const char *front)
{
    return strncmp(name, front, strlen(front)) == 0 ? name + strlen(front) : NULL;
}

/* [n, k] as [k, n]; elements of four or two bytes. */
static void *turned(const rf_tensor *t, const void *data)
{
    const size_t n = (size_t)t->dim[0], k = (size_t)t->dim[1], size = rf_filetype_bytes(t->type);
    char        *out = malloc((size_t)t->bytes);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            memcpy(out + (j * n + i) * size, (const char *)data + (i * k + j) * size, size);
    return out;
}

static void put_turned(rewriter *w, const char *name, const rf_tensor *t, const void *data)
{
    void         *other = turned(t, data);
    const int64_t dim[] = {t->dim[1], t->dim[0]};
    rewrite_put(w, name, t->type, 2, dim, other);
    free(other);
}

/* What Hugging Face calls each of bigG's tensors. */
typedef struct hugging {
    const char         *arch, *front;
    rf_sdxl_arch        sizes;
    const char         *name; /* looked for */
    int                 parts;
    rf_diffusers_tensor part[RF_DIFFUSERS_PARTS];
} hugging;

static rf_status look_up(void *user, const rf_layout_tensor *t)
{
    hugging *h = user;
    if (strcmp(t->name, h->name) == 0) h->parts = rf_diffusers_names(&h->sizes, t, h->part);
    return RF_OK;
}

static void split_clip_g(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    hugging *h = user;
    char     name[200];
    if (!t) return;
    cr_assert_eq(rf_synth_arch(&h->sizes, h->arch, NULL), RF_OK);
    h->name = t->name;
    h->parts = 0;
    if (after(t->name, rf_part_prefix(&h->sizes, RF_PART_CLIP_G)))
        rf_sdxl_layout_part(&h->sizes, RF_PART_CLIP_G, look_up, h);
    if (h->parts == 0) { /* another part, or what Hugging Face does not have */
        rewrite_keep(w, t, data);
        return;
    }
    rf_tensor part = *t;
    part.dim[0] /= h->parts;
    for (int i = 0; i < h->parts; i++) {
        snprintf(name, sizeof name, "%s%s", h->front, h->part[i].name);
        const char *from = (const char *)data + (size_t)i * (size_t)t->bytes / (size_t)h->parts;
        if (h->part[i].transposed)
            put_turned(w, name, t, data);
        else
            rewrite_as(w, name, &part, from);
    }
}

static void turn_projection(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (t && strcmp(t->name, RF_PREFIX_CLIP_G "text_projection") == 0)
        put_turned(w, RF_PREFIX_CLIP_G "text_projection.weight", t, data);
    else if (t)
        rewrite_keep(w, t, data);
}

/* Square, so its name alone says which way round it lies: this is another model. */
static void rename_projection(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (t && strcmp(t->name, RF_PREFIX_CLIP_G "text_projection") == 0)
        rewrite_as(w, RF_PREFIX_CLIP_G "text_projection.weight", t, data);
    else if (t)
        rewrite_keep(w, t, data);
}

static void drop_level(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    char        name[200];
    const char *inner = t ? after(t->name, RF_PREFIX_CLIP_L) : NULL;
    snprintf(name, sizeof name, CLIP_L "%s", inner ? inner : "");
    if (t) rewrite_as(w, inner ? name : t->name, t, data);
}

static void drop_position_ids(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (t && !strstr(t->name, "position_ids")) rewrite_keep(w, t, data);
}

static void float_position_ids(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    const float ids[77] = {0};
    if (t && strstr(t->name, "position_ids"))
        rewrite_put(w, t->name, RF_FILE_F32, t->ndim, t->dim, ids);
    else if (t)
        rewrite_keep(w, t, data);
}

/* Linear layers as 1x1 convolutions in the UNet, and the other way round in the VAE. */
static void bend_projections(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (!t) return;
    rf_tensor bent = *t;
    const int unet = strstr(t->name, ".proj_in.weight") || strstr(t->name, ".proj_out.weight");
    const int vae = strstr(t->name, ".attn_1.") && t->ndim == 4;
    if (vae) bent.ndim = 2;
    if (unet && !vae) bent.ndim = 4, bent.dim[2] = bent.dim[3] = 1;
    rewrite_keep(w, &bent, data);
}

/* What training and other programs leave behind. */
static void add_extras(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    static const char *const names[] = {
        "model_ema.decay",
        "model_ema.num_updates",
        "model_ema.diffusion_modelinput_blocks00weight",
        "denoiser.sigmas",
        "alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "loss.perceptual_loss.lin0.model.1.weight",
        "first_stage_model.loss.logvar",
        "embedding_manager.string_to_token",
        CLIP_L "text_projection.weight",
        CLIP_L "text_model.text_projection.weight",
        CLIP_L "logit_scale",
        "conditioner.embedders.1.model.transformer.text_model.embeddings.position_ids",
    };
    static const int64_t dim[] = {2, 2};
    static const float   value[4] = {1, 2, 3, 4};
    (void)user;
    if (t) rewrite_keep(w, t, data);
    for (size_t i = 0; !t && i < sizeof names / sizeof *names; i++)
        rewrite_put(w, names[i], RF_FILE_F32, 2, dim, value);
}

static void drop_vae(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (t && !after(t->name, RF_PREFIX_VAE)) rewrite_keep(w, t, data);
    if (!t) rewrite_put(w, "first_stage_model.loss.x", RF_FILE_F32, 0, NULL, &(float){1});
}

static void add_unknown(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    static const char *const names[] = {"a.b", "first_stage_model.x", "zz", "something.weight"};
    (void)user;
    if (t) rewrite_keep(w, t, data);
    for (int i = 0; !t && i < 4; i++) rewrite_put(w, names[i], RF_FILE_F32, 0, NULL, &(float){1});
}

/* ---- pictures ----------------------------------------------------------------------------- */

static char *respelled(const relays *r, int which, rewrite_fn *fn, void *user)
{
    char *path = NULL;
    cr_assert_gt(asprintf(&path, "%s.other.safetensors", r->path[which]), 0);
    rewrite_file(path, r->path[which], fn, user);
    return path;
}

static void draw(relays *r, rf_expert *expert, const char *vae, pictures *out)
{
    const rf_stage stage = {.expert = expert, .prompt = "a cat", .negative = "dog", .cfg_scale = 3};
    rf_job         job = relays_job(&stage, 1, 1);
    job.vae = vae;
    relays_render(r, &job, out);
}

/* Whether the file in another spelling draws what `plain` shows. */
static int draws_as(relays *r, int which, const pictures *plain, rewrite_fn *fn, void *user)
{
    pictures   other;
    rf_expert *expert = NULL;
    rf_error   err = {0};
    char      *path = respelled(r, which, fn, user);
    must(rf_expert_open(&expert, r->engine, path, &err), &err);
    draw(r, expert, NULL, &other);
    const int same = pictures_equal(plain, 0, &other, 0);
    cr_expect_eq(r->warnings, 0, "%s", r->warning[0]);
    pictures_free(&other);
    rf_expert_close(expert);
    unlink(path);
    free(path);
    return same;
}

static void expect_same(relays *r, int which, const pictures *plain, const char *what,
                        rewrite_fn *fn, void *user)
{
    cr_expect(draws_as(r, which, plain, fn, user), "%s", what);
}

Test(spellings, draw_the_same_picture, .timeout = 120)
{
    relays   r;
    pictures plain;
    hugging  model = {.arch = "tiny", .front = "conditioner.embedders.1.model."};
    hugging  transformer = {.arch = "tiny", .front = "conditioner.embedders.1.transformer."};
    hugging  both = {.arch = "tiny", .front = "conditioner.embedders.1.model.transformer."};
    relays_open(&r, NULL);
    draw(&r, r.expert[0], NULL, &plain);
    expect_same(&r, 0, &plain, "bigG split, model.", split_clip_g, &model);
    expect_same(&r, 0, &plain, "bigG split, transformer.", split_clip_g, &transformer);
    expect_same(&r, 0, &plain, "bigG split, model.transformer.", split_clip_g, &both);
    expect_same(&r, 0, &plain, "text_projection.weight", turn_projection, NULL);
    cr_expect_not(draws_as(&r, 0, &plain, rename_projection, NULL));
    expect_same(&r, 0, &plain, "no text_model.", drop_level, NULL);
    expect_same(&r, 0, &plain, "no position_ids", drop_position_ids, NULL);
    expect_same(&r, 0, &plain, "position_ids in F32", float_position_ids, NULL);
    expect_same(&r, 0, &plain, "1x1 convolutions", bend_projections, NULL);
    expect_same(&r, 0, &plain, "extras", add_extras, NULL);
    pictures_free(&plain);
    relays_close(&r);
}

Test(spellings, of_the_refiner, .timeout = 120)
{
    relays   r = {.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F16)}};
    pictures plain;
    hugging  split = {.arch = "tiny-refiner", .front = "conditioner.embedders.0.model."};
    relays_start(&r, NULL);
    draw(&r, r.expert[1], NULL, &plain);
    expect_same(&r, 1, &plain, "bigG split", split_clip_g, &split);
    expect_same(&r, 1, &plain, "1x1 convolutions", bend_projections, NULL);
    pictures_free(&plain);
    relays_close(&r);
}

Test(spellings, without_vae, .timeout = 60)
{
    relays     r;
    pictures   plain, other;
    rf_expert *expert = NULL;
    rf_plan   *plan = NULL;
    rf_error   err = {0};
    relays_open(&r, NULL);
    char          *path = respelled(&r, 0, drop_vae, NULL);
    const rf_stage stage = {.prompt = "a cat", .negative = "dog", .cfg_scale = 3};
    rf_stage       with = stage;
    rf_job         job = relays_job(&with, 1, 1);
    must(rf_expert_open(&expert, r.engine, path, &err), &err);
    with.expert = expert;
    cr_expect_eq(rf_plan_create(&plan, r.engine, &job, &err), RF_E_MODEL);
    cr_expect(strstr(err.message, "has no VAE") && strstr(err.message, "--vae"), "%s", err.message);
    draw(&r, r.expert[0], NULL, &plain);
    draw(&r, expert, r.path[0], &other);
    pictures_expect_equal(&plain, &other, "--vae", 0);
    pictures_free(&plain);
    pictures_free(&other);
    rf_expert_close(expert);
    unlink(path);
    free(path);
    relays_close(&r);
}

Test(spellings, what_nobody_knows, .timeout = 60)
{
    relays     r;
    rf_expert *expert = NULL;
    rf_error   err = {0};
    relays_open(&r, NULL);
    char *path = respelled(&r, 0, add_unknown, NULL);
    must(rf_expert_open(&expert, r.engine, path, &err), &err);
    cr_assert_eq(r.warnings, 1);
    cr_expect(strstr(r.warning[0], "are ignored: 4, ") &&
                  strstr(r.warning[0], "such as a.b, first_stage_model.x, something.weight"),
              "%s", r.warning[0]);
    rf_expert_close(expert);
    r.engine->strict = 1;
    cr_expect_eq(rf_expert_open(&expert, r.engine, path, &err), RF_E_MODEL);
    cr_expect(strstr(err.message, "--strict: tensors that no SDXL checkpoint has: 4, ") &&
                  strstr(err.message, "a.b"),
              "%s", err.message);
    rf_expert_close(expert);
    unlink(path);
    free(path);
    relays_close(&r);
}
