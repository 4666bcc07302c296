/* Plans for a GPU, made where there is none: the figures of SDXL at full size (budget C.4), of files
 * that have all names and shapes and a hole for data. */
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
        &engine, &(rf_options){.device = device, .plan_only = 1, .threads = 1, .warn = keep}, &err));
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

Test(plan_cuda, sdxl_stays_in_its_budget, .init = NULL, .timeout = 60)
{
    rf_engine   *engine = open_engine("cuda");
    rf_expert   *base = open_full(engine, "base.safetensors");
    rf_plan_info one = plan_of(engine, base, NULL, 1);
    cr_expect_str_eq(rf_engine_dtype(engine), "f16");
    fprintf(stderr, "%s; %s\n", rf_engine_device(engine), warning);
    const size_t v[]={one.slab_bytes,one.unet_slab_bytes,one.vae_slab_bytes,one.unet_bytes,one.vae_bytes,one.text_bytes,one.kv_bytes,one.state_bytes,one.staging_bytes,one.peak_bytes};
    const char *n[]={"slab","unet","vae","unetw","vaew","text","kv","state","staging","peak"};
    for(int i=0;i<10;i++)fprintf(stderr,"%s %.2f\n",n[i],(double)v[i]/MIB);
    rf_expert_close(base);
    rf_engine_destroy(engine);
    fixture_cleanup();
}
