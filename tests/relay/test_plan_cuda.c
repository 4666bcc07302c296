/* Plans for a GPU, made where there is none: the figures of SDXL at full size (budget C.4), of
 * files that have all names and shapes and a hole for data. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/files/synth.h"
#include "engine/relay/engine.h"
#include "tests/files/fixture.h"

enum { MIB = 1 << 20 };

static rf_error err;

static void must(rf_status st)
{
    cr_assert_eq(st, RF_OK, "%s: %s", rf_status_name(st), err.message);
}

/* What a machine without a GPU says of the one it plans for; a machine with one says nothing. */
static char warning[RF_ERROR_BYTES];

static void keep(void *user, const char *message)
{
    (void)user;
    snprintf(warning, sizeof warning, "%s", message);
}

static rf_engine *open_engine(const char *device)
{
    rf_engine *engine = NULL;
    must(rf_engine_create(
        &engine, &(rf_options){.device = device, .plan_only = 1, .threads = 1, .warn = keep},
        &err));
    return engine;
}

static rf_expert *open_full(rf_engine *engine, const char *name)
{
    rf_sdxl_arch arch;
    fixture      f = {0};
    rf_expert   *expert = NULL;
    const char  *path = fixture_path(name);
    must(rf_synth_arch(&arch, "sdxl", &err));
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, path);
    must(rf_expert_open(&expert, engine, path, &err));
    return expert;
}

static rf_plan_info plan_of(rf_engine *engine, rf_expert *base, rf_expert *refiner, int batch)
{
    const rf_stage stages[] = {{.expert = base, .until = 0.5, .prompt = "a fox", .cfg_scale = 6},
                               {.expert = refiner, .until = 1, .cfg_scale = 6}};
    rf_job         job = rf_job_default();
    rf_plan       *plan = NULL;
    rf_plan_info   info;
    job.stages = stages;
    job.stage_count = refiner ? 2 : 1;
    job.count = job.batch = batch;
    must(rf_plan_create(&plan, engine, &job, &err));
    rf_plan_get_info(plan, &info);
    rf_plan_destroy(plan);
    return info;
}

/* Budget C.4: 180 MiB for a picture with CFG, 1024 for decoding it. */
Test(plan_cuda, sdxl_stays_in_its_budget, .timeout = 60)
{
    rf_engine         *engine = open_engine("cuda");
    rf_expert         *base = open_full(engine, "base.safetensors");
    rf_expert         *refiner = open_full(engine, "refiner.safetensors");
    const rf_plan_info one = plan_of(engine, base, NULL, 1);
    const rf_plan_info two = plan_of(engine, base, refiner, 1);
    const rf_plan_info eight = plan_of(engine, base, NULL, 8);
    cr_expect_str_eq(rf_engine_dtype(engine), "f16");
    cr_expect_leq(one.unet_slab_bytes, (size_t)200 * MIB, "%zu", one.unet_slab_bytes);
    cr_expect_leq(one.vae_slab_bytes, (size_t)1126 * MIB, "%zu: 1.1 GiB", one.vae_slab_bytes);
    cr_expect_eq(one.slab_bytes, one.vae_slab_bytes);
    cr_expect_leq(eight.unet_slab_bytes, (size_t)8 * 200 * MIB, "%zu", eight.unet_slab_bytes);

    cr_expect_eq(two.slab_bytes, one.slab_bytes, "experts share the slab");
    cr_expect_eq(two.unet_slab_bytes, one.unet_slab_bytes);
    cr_expect_eq(two.unet_bytes, 2 * one.unet_bytes);
    cr_expect_eq(two.vae_bytes, one.vae_bytes);
    cr_expect_eq(two.text_bytes, one.text_bytes);
    cr_expect_eq(two.staging_bytes, one.staging_bytes);
    const size_t prompts = two.kv_bytes - one.kv_bytes + two.state_bytes - one.state_bytes;
    cr_expect_eq(two.peak_bytes - one.peak_bytes, one.unet_bytes + prompts);
    /* 2.567 billion parameters: what packing and alignment add is little. */
    cr_expect(one.unet_bytes > (size_t)5134900000 && one.unet_bytes < (size_t)5145000000, "%zu",
              one.unet_bytes);
    rf_expert_close(refiner);
    rf_expert_close(base);
    rf_engine_destroy(engine);
    fixture_cleanup();
}

Test(plan_cuda, says_that_it_assumed_a_gpu_and_renders_nothing, .timeout = 60)
{
    rf_engine  *engine = open_engine("cuda:3"); /* nobody who tests this has four */
    rf_expert  *base = open_full(engine, "base.safetensors");
    rf_job      job = rf_job_default();
    rf_plan    *plan = NULL;
    const char *says = rf_engine_device(engine);
    cr_expect(strstr(says, "not here, assumed for this plan"), "%s", says);
    cr_expect(strstr(warning, "planned for a CUDA GPU that cannot be used here: "), "%s", warning);
    job.stages = &(rf_stage){.expert = base, .until = 1, .prompt = "a fox", .cfg_scale = 6};
    job.stage_count = 1;
    must(rf_plan_create(&plan, engine, &job, &err));
    cr_expect_eq(rf_plan_run(plan, &(rf_callbacks){0}, &err), RF_E_DEVICE);
    cr_expect(strstr(err.message, "nothing can be rendered"), "%s", err.message);
    rf_plan_destroy(plan);
    rf_expert_close(base);
    rf_engine_destroy(engine);
    fixture_cleanup();
}

/* Without plan_only the same is an error; f32 is one even so. */
Test(plan_cuda, assumes_only_where_it_is_asked_to)
{
    const rf_options real = {.device = "cuda:3"};
    const rf_options wide = {.device = "cuda:3", .dtype = "f32", .plan_only = 1};
    rf_engine       *engine = NULL;
    cr_expect_eq(rf_engine_create(&engine, &real, &err), RF_E_DEVICE);
    cr_expect_null(engine);
    cr_expect_eq(rf_engine_create(&engine, &wide, &err), RF_E_UNSUPPORTED);
    cr_expect(strstr(err.message, "a GPU cannot compute in f32"), "%s", err.message);
    cr_expect_null(engine);
}

/* In the builds of this test that are linked with the emulator. */
Test(plan_cuda, figures_are_those_of_a_gpu_that_is_there, .timeout = 60)
{
    rf_engine *there = NULL;
    if (rf_engine_create(&there, &(rf_options){.device = "emulated"}, &err) != RF_OK)
        cr_skip_test("this build has no GPU to compare with");
    rf_engine         *assumed = open_engine("cuda:3");
    rf_expert         *a = open_full(there, "base.safetensors");
    rf_expert         *b = open_full(assumed, "base.safetensors");
    const rf_plan_info x = plan_of(there, a, NULL, 2), y = plan_of(assumed, b, NULL, 2);
    cr_expect_eq(x.slab_bytes, y.slab_bytes);
    cr_expect_eq(x.unet_slab_bytes, y.unet_slab_bytes);
    cr_expect_eq(x.vae_slab_bytes, y.vae_slab_bytes);
    cr_expect_eq(x.unet_bytes, y.unet_bytes);
    cr_expect_eq(x.vae_bytes, y.vae_bytes);
    cr_expect_eq(x.text_bytes, y.text_bytes);
    cr_expect_eq(x.kv_bytes, y.kv_bytes);
    cr_expect_eq(x.state_bytes, y.state_bytes);
    cr_expect_eq(x.staging_bytes, y.staging_bytes);
    cr_expect_eq(x.peak_bytes, y.peak_bytes);
    rf_expert_close(b);
    rf_expert_close(a);
    rf_engine_destroy(assumed);
    rf_engine_destroy(there);
    fixture_cleanup();
}
