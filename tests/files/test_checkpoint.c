/* The layout has the counts of the real models; sizes come back from shapes; one wrong tensor is
 * found and named; other kinds of model are told apart. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/files/sdxl_derive.h"
#include "engine/files/synth.h"
#include "tests/files/fixture.h"

TestSuite(checkpoint, .timeout = 60, .fini = fixture_cleanup);

typedef struct tally {
    size_t   tensors[RF_PARTS];
    uint64_t elems[RF_PARTS];
} tally;

static rf_status count(void *user, const rf_layout_tensor *t)
{
    tally   *c = user;
    uint64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= (uint64_t)t->dim[i];
    c->tensors[t->part]++;
    if (t->role != RF_ROLE_POSITION_IDS) c->elems[t->part] += n;
    cr_expect_gt(t->inner, t->name);
    cr_expect_str_eq(t->inner, t->name + strlen(t->name) - strlen(t->inner));
    return RF_OK;
}

/* Reference counts: enumerated from the constructors of generative-models, and the sum of the
 * published fp16 file: 3,468,837,945 parameters in 2515 tensors. */
Test(checkpoint, layout_has_the_counts_of_sdxl)
{
    rf_sdxl_arch arch;
    tally        c = {0};
    cr_assert_eq(rf_synth_arch(&arch, "sdxl", NULL), RF_OK);
    cr_assert_eq(rf_sdxl_layout(&arch, count, &c), RF_OK);
    cr_expect_eq(c.tensors[RF_PART_UNET], 1680);
    cr_expect_eq(c.tensors[RF_PART_CLIP_L], 197);
    cr_expect_eq(c.tensors[RF_PART_CLIP_G], 390);
    cr_expect_eq(c.tensors[RF_PART_VAE], 248);
    cr_expect_eq(c.elems[RF_PART_UNET], 2567463684);
    cr_expect_eq(c.elems[RF_PART_CLIP_L], 123060480);
    cr_expect_eq(c.elems[RF_PART_CLIP_G], 694659841);
    cr_expect_eq(c.elems[RF_PART_VAE], 83653863);
    arch.has_vae = 0;
    c = (tally){0};
    cr_assert_eq(rf_sdxl_layout(&arch, count, &c), RF_OK);
    cr_expect_eq(c.tensors[RF_PART_VAE], 0);
}

/* 1858 tensors in the published file. */
Test(checkpoint, layout_has_the_counts_of_the_refiner)
{
    rf_sdxl_arch arch;
    tally        c = {0};
    cr_assert_eq(rf_synth_arch(&arch, "sdxl-refiner", NULL), RF_OK);
    cr_assert_eq(rf_sdxl_layout(&arch, count, &c), RF_OK);
    cr_expect_eq(c.tensors[RF_PART_UNET], 1220);
    cr_expect_eq(c.tensors[RF_PART_CLIP_L], 0);
    cr_expect_eq(c.tensors[RF_PART_CLIP_G], 390);
    cr_expect_eq(c.tensors[RF_PART_VAE], 248);
    cr_expect_eq(c.elems[RF_PART_UNET], 2259526660); /* and diffusers' UNet2DConditionModel */
    cr_expect_eq(c.elems[RF_PART_CLIP_G], 694659841);
}

static rf_status stop(void *user, const rf_layout_tensor *t)
{
    (void)t;
    return ++*(int *)user == 7 ? RF_E_CANCELLED : RF_OK;
}

Test(checkpoint, layout_stops_at_the_first_error)
{
    rf_sdxl_arch arch;
    int          calls = 0;
    cr_assert_eq(rf_synth_arch(&arch, "tiny", NULL), RF_OK);
    cr_expect_eq(rf_sdxl_layout(&arch, stop, &calls), RF_E_CANCELLED);
    cr_expect_eq(calls, 7);
}

/* Writes, opens and checks a fixture; the identity must agree with the check. */
static rf_status check_fixture(fixture *f, rf_checkpoint *out, rf_identity *identity, rf_error *err)
{
    rf_safetensors *file;
    const char     *path = fixture_path("model.safetensors");
    fixture_write(f, path);
    cr_assert_eq(rf_safetensors_open(&file, path, err), RF_OK, "%s", err->message);
    const rf_tensors *list = rf_safetensors_list(file);
    const rf_status   st = rf_checkpoint_check(out, list, err);
    rf_checkpoint_identify(identity, list, list);
    cr_expect_eq(identity->usable, st == RF_OK);
    cr_expect_eq(identity->problem.status, st == RF_OK ? RF_OK : err->status);
    rf_safetensors_close(file); /* names of unknown tensors die here */
    return st;
}

static rf_sdxl_arch arch_of(const char *name)
{
    rf_sdxl_arch arch;
    cr_assert_eq(rf_synth_arch(&arch, name, NULL), RF_OK);
    return arch;
}

static int same_arch(const rf_sdxl_arch *a, const rf_sdxl_arch *b)
{
    return memcmp(&a->unet, &b->unet, sizeof a->unet) == 0 &&
           memcmp(&a->clip_l, &b->clip_l, sizeof a->clip_l) == 0 &&
           memcmp(&a->clip_g, &b->clip_g, sizeof a->clip_g) == 0 &&
           memcmp(&a->vae, &b->vae, sizeof a->vae) == 0 && a->has_vae == b->has_vae &&
           a->has_clip_l == b->has_clip_l;
}

Test(checkpoint, sizes_come_back_from_shapes)
{
    rf_sdxl_arch arch[9];
    rf_identity  id;
    rf_error     err;
    arch[0] = arch_of("sdxl");
    arch[1] = arch_of("tiny");
    arch[2] = arch_of("tiny"); /* another tiny: four levels, attention everywhere but the first */
    arch[2].unet.levels = 4;
    arch[2].unet.mult[3] = 6, arch[2].unet.depth[3] = 3, arch[2].unet.middle_depth = 4;
    arch[2].unet.blocks = 3;
    arch[2].vae.blocks = 1;
    arch[3] = arch_of("tiny");
    arch[3].has_vae = 0;
    memset(&arch[3].vae, 0, sizeof arch[3].vae);
    arch[4] = arch_of("tiny");
    arch[4].clip_g.projection_is_linear = 1;
    arch[4].clip_g.projection = 96; /* not square */
    arch[4].unet.vector = 96 + 1536;
    arch[5] = arch_of("tiny");
    arch[5].clip_l.width = 192, arch[5].clip_l.heads = 3, arch[5].unet.context = 256;
    arch[5].vae.mult[1] = 3;
    arch[6] = arch_of("sdxl-refiner");
    arch[7] = arch_of("tiny-refiner");
    arch[8] = arch_of("tiny-refiner"); /* one level more, and other depths */
    arch[8].unet.levels = 5, arch[8].unet.mult[4] = 4;
    arch[8].unet.depth[2] = 3, arch[8].unet.middle_depth = 2;
    static const struct {
        const char *name;
        size_t      bytes;
    } types[] = {{"F16", 2}, {"BF16", 2}, {"F32", 4}};
    for (int i = 0; i < 9; i++)
        for (int type = 0; type < 3; type++) {
            rf_checkpoint got;
            fixture       f = {0};
            fixture_layout(&f, &arch[i], types[type].name, types[type].bytes, NULL);
            cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_OK, "%d: %s", i, err.message);
            cr_expect(same_arch(&got.arch, &arch[i]), "arch %d", i);
            cr_expect_eq(got.unknown_count, 0);
            cr_expect_eq(id.kind, i < 6 ? RF_MODEL_SDXL : RF_MODEL_SDXL_REFINER);
            cr_expect_eq(id.part[RF_PARTS].tensors, 0, "arch %d", i);
        }
}

Test(checkpoint, header_of_a_full_size_file_is_checked_in_a_tenth_of_a_second)
{
    const rf_sdxl_arch arch = arch_of("sdxl");
    fixture            f = {0};
    rf_safetensors    *file;
    rf_checkpoint      got;
    rf_error           err;
    struct timespec    from, to;
    const char        *path = fixture_path("full.safetensors");
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, path);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    cr_assert_eq(rf_safetensors_open(&file, path, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_checkpoint_check(&got, rf_safetensors_list(file), &err), RF_OK);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    const double seconds =
        (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
    cr_expect_eq(rf_safetensors_bytes(file) / 1000000, 6938);
    cr_expect_lt(seconds, 0.1);
    rf_safetensors_close(file);
}

Test(checkpoint, optional_tensors_may_be_absent)
{
    static const char *const skip[] = {RF_PREFIX_CLIP_L "embeddings.position_ids",
                                       RF_PREFIX_CLIP_G "logit_scale", NULL};
    const rf_sdxl_arch       arch = arch_of("tiny");
    rf_checkpoint            got;
    rf_identity              id;
    rf_error                 err;
    fixture                  f = {0};
    fixture_layout(&f, &arch, "F16", 2, skip);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_OK, "%s", err.message);
}

Test(checkpoint, extras_are_sorted_into_harmless_and_unknown)
{
    static const char *const harmless[] = {
        "model_ema.decay",
        "denoiser.sigmas",
        "alphas_cumprod",
        "betas",
        "conditioner.embedders.1.model.transformer.text_model.embeddings.position_ids",
        "conditioner.embedders.0.transformer.logit_scale",
        "loss.logvar",
        "conditioner.embedders.0.transformer.text_projection.weight",
        "first_stage_model.loss.x",
        "embedding_manager.x",
        "sqrt_alphas_cumprod"};
    static const char *const unknown[] = {"zz", "first_stage_model.x", "a.b", "something.weight"};
    const int64_t            dim[] = {3};
    const rf_sdxl_arch       arch = arch_of("tiny");
    rf_checkpoint            got;
    rf_identity              id;
    rf_error                 err;
    fixture                  f = {0};
    fixture_layout(&f, &arch, "F16", 2, NULL);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        fixture_add(&f, harmless[i], "I64", 1, dim, 8);
    for (size_t i = 0; i < 4; i++) fixture_add(&f, unknown[i], "I64", 1, dim, 8);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_OK, "%s", err.message);
    cr_expect_eq(got.unknown_count, 4);
    for (int i = 0; i < RF_UNKNOWN_EXAMPLES; i++) cr_expect_not_null(got.unknown[i]);
}

/* One tensor of the layout at a time is changed. */
typedef enum damage { DROP, GROW, SHRINK, ZERO, FLATTEN, TRANSPOSE, TYPE, DAMAGES } damage;

typedef struct damaged {
    fixture f;
    size_t  at, target;
    damage  how;
    char    name[256]; /* of the target */
    int     skip;      /* this damage changes nothing here */
} damaged;

static rf_status add_damaged(void *user, const rf_layout_tensor *t)
{
    damaged    *d = user;
    int64_t     dim[RF_LAYOUT_DIMS];
    int         ndim = t->ndim;
    size_t      size = 2;
    const char *type = "F16";
    memcpy(dim, t->dim, sizeof dim);
    if (d->at++ == d->target) {
        snprintf(d->name, sizeof d->name, "%s", t->name);
        d->skip = t->optional;
        switch (d->how) {
        case DROP: return RF_OK;
        case GROW: dim[ndim - 1 > 0]++; break;
        case SHRINK: dim[0]--; break;
        case ZERO: dim[0] = 0; break;
        case FLATTEN:
            d->skip |= ndim == 1;
            for (; ndim > 1; ndim--) dim[ndim - 2] *= dim[ndim - 1];
            break;
        case TRANSPOSE:
            d->skip |= ndim < 2 || dim[0] == dim[1];
            dim[0] = t->dim[1], dim[1] = t->dim[0];
            break;
        case TYPE: type = "F64", size = 8; break;
        case DAMAGES: break;
        }
        if (t->ndim == 0) d->skip = 1;
    }
    fixture_add(&d->f, t->name, type, ndim, dim, size);
    return RF_OK;
}

/* How many damaged files were tried. */
static int damage_some(const char *name, size_t tensors)
{
    const rf_sdxl_arch arch = arch_of(name);
    const char        *path = fixture_path("damaged.safetensors");
    int                tried = 0;
    for (int how = 0; how < DAMAGES; how++)
        for (size_t target = 0; target < tensors; target += 11) { /* all kinds */
            damaged         d = {.target = target + (size_t)how, .how = (damage)how};
            rf_safetensors *file;
            rf_checkpoint   got;
            rf_error        err = {.message = ""};
            cr_assert_eq(rf_sdxl_layout(&arch, add_damaged, &d), RF_OK);
            fixture_write(&d.f, path);
            if (d.skip || !d.name[0]) continue;
            cr_assert_eq(rf_safetensors_open(&file, path, &err), RF_OK, "%s", err.message);
            cr_expect_eq(rf_checkpoint_check(&got, rf_safetensors_list(file), &err), RF_E_MODEL,
                         "%s damaged by %d passes", d.name, how);
            cr_expect_gt(strlen(err.message), strlen(path));
            rf_safetensors_close(file);
            tried++;
        }
    return tried;
}

Test(checkpoint, every_damaged_tensor_is_noticed)
{
    cr_expect_gt(damage_some("tiny", 927), 400);
    cr_expect_gt(damage_some("tiny-refiner", 850), 350);
}

Test(checkpoint, messages_name_tensor_expected_and_found)
{
    const rf_sdxl_arch arch = arch_of("tiny");
    rf_checkpoint      got;
    rf_identity        id;
    rf_error           err;
    fixture            f = {0};
    const char *const  name = RF_PREFIX_UNET "input_blocks.4.1.proj_in.weight";
    const char *const  skip[] = {name, NULL};
    const int64_t      dim[] = {64, 63}, good[] = {64, 64, 1, 1};
    fixture_layout(&f, &arch, "F16", 2, skip);
    fixture_add(&f, name, "F16", 2, dim, 2);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_E_MODEL);
    cr_expect_not_null(strstr(err.message, name), "%s", err.message);
    cr_expect_not_null(strstr(err.message, "[64, 63]"), "%s", err.message);
    cr_expect_not_null(strstr(err.message, "[64, 64]"), "%s", err.message);
    fixture_layout(&f, &arch, "F16", 2, skip); /* a 1x1 convolution is the same thing */
    fixture_add(&f, name, "F16", 4, good, 2);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_OK, "%s", err.message);
    fixture_layout(&f, &arch, "F16", 2, skip);
    fixture_add(&f, name, "F8_E4M3", 2, good, 1);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_E_MODEL);
    cr_expect_not_null(strstr(err.message, "F8_E4M3"), "%s", err.message);
    cr_expect_not_null(strstr(err.message, "F16, BF16 or F32 is expected"), "%s", err.message);
    fixture_layout(&f, &arch, "F16", 2, skip);
    cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_E_MODEL);
    cr_expect_not_null(strstr(err.message, name), "%s", err.message);
}

/* Sizes that make no sense, or no sense together. */
Test(checkpoint, contradicting_sizes_are_refused)
{
    rf_sdxl_arch arch[11];
    rf_identity  id;
    for (int i = 0; i < 11; i++) arch[i] = arch_of(i < 9 ? "tiny" : "tiny-refiner");
    arch[0].unet.time = 96;
    arch[1].unet.context = 192;
    arch[2].unet.vector = 1601;
    arch[3].clip_l.vocab = 49409;
    arch[4].clip_g.positions = 78;
    arch[5].unet.out_channels = 3;
    arch[6].unet.width = 48, arch[6].unet.time = 192;
    arch[7].clip_l.layers = 1;
    arch[8].vae.levels = 3;
    arch[9].unet.vector += 256; /* six numbers, as the base has */
    arch[10].unet.context = 128;
    for (int i = 0; i < 11; i++) {
        rf_checkpoint got;
        rf_error      err;
        fixture       f = {0};
        fixture_layout(&f, &arch[i], "F16", 2, NULL);
        cr_expect_eq(check_fixture(&f, &got, &id, &err), RF_E_MODEL, "%d", i);
    }
}
