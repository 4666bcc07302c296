/* Whole renders by two tiny experts: on the emulated GPU (logic verified under emulation), and as
 * test_relay_cuda_gpu on a real one.  The same latents as the CPU's within the type's error, the
 * same bytes whatever they were batched or shared with, and memory as planned. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/host.h"
#include "tests/model/golden.h"
#include "tests/relay/relay_cuda.h"

static const rf_options  f16 = {.dtype = "f16"};
static const rf_lora_use lora = {
    .path = "tests/golden/lora_kinds.safetensors", .unet = 1, .text = 0.5};

/* ---- against the CPU ---------------------------------------------------------------------- */

/* The latent and picture of a job on the CPU; in a GPU bundle, which has no oneDNN, by the
 * reference kernels. */
static void render_on_cpu(const relays *gpu, const char *dtype, rf_job job, pictures *out)
{
    relays      r = {.path = {gpu->path[0], gpu->path[1]}};
    rf_stage    stage[2] = {job.stages[0], job.stages[1]};
    const char *level = rf_host_has_products() ? NULL : "ref";
    relays_start(&r, &(rf_options){.dtype = dtype, .threads = 1, .level = level});
    for (int i = 0; i < 2; i++) {
        rf_error    err = {0};
        const char *told = rf_expert_told_prediction(job.stages[i].expert);
        must(rf_expert_set_prediction(r.expert[i], told, &err), &err);
        stage[i].expert = r.expert[i];
    }
    job.stages = stage;
    relays_render(&r, &job, out);
    relays_stop(&r);
}

static double pixel_error(const uint8_t *got, const uint8_t *want)
{
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE * 3; i++) sum += fabs((double)got[i] - want[i]);
    return sum / (SIDE * SIDE * 3);
}

/* Four steps, a switch in the middle, guidance, emphasis, a LoRA.  What is allowed is computed: the
 * CPU's own bf16 is so far from its f32, f16 has an eighth of bf16's roundoff, and both may be
 * wrong in opposite ways. */
Test(relay_cuda, four_steps_with_a_switch, .timeout = 300)
{
    relays   r;
    pictures want, naive;
    shooting s = shooting_whole;
    gpu_open(&r, f16);
    const rf_stage stage[] = {{.expert = r.expert[0],
                               .until = 0.5,
                               .prompt = "a (cat:1.2)",
                               .negative = "n",
                               .cfg_scale = 3},
                              {.expert = r.expert[1],
                               .until = 1,
                               .prompt = "b",
                               .cfg_scale = 2,
                               .loras = &lora,
                               .lora_count = 1}};
    const rf_job   job = small_job(stage, 2, 4);
    must_shoot(&r, &job, 1, &s);
    render_on_cpu(&r, "f32", job, &want);
    render_on_cpu(&r, "bf16", job, &naive);
    const double bf16 = relative_error(naive.latent[0], RF_F32, want.latent[0], LATENT);
    const double error = relative_error(s.latent[0], RF_F32, want.latent[0], LATENT);
    cr_expect_gt(bf16, 0.0);
    cr_expect(error <= 2 * bf16 / 8, "relative error %.3g, bf16's is %.3g", error, bf16);
    const double pixels = pixel_error(s.rgb[0], want.rgb[0]); /* bf16 here as there */
    const double allowed = 2 * pixel_error(naive.rgb[0], want.rgb[0]) + 1;
    cr_expect(pixels <= allowed, "pixels are off by %.3g, allowed %.3g", pixels, allowed);
    pictures_free(&want);
    pictures_free(&naive);
    gpu_close(&r);
}

/* ---- from a picture ----------------------------------------------------------------------- */

static uint8_t rgb[SIDE * SIDE * 3], mask[SIDE * SIDE];

/* Of which the left half stays. */
static rf_init some_picture(void)
{
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        rgb[i] = (uint8_t)(3 * (i / 3 % SIDE) + 50 * (i % 3) + i / 3 / SIDE * 2);
    for (int i = 0; i < SIDE * SIDE; i++) mask[i] = i % SIDE < SIDE / 2 ? 0 : 255;
    return (rf_init){.rgb = rgb, .mask = mask, .denoise = 0.5};
}

/* The encoder's latent, the noise on it, what is kept on the way, and the blend of pixels: within
 * what the types allow of the CPU's, and the kept bytes as they were given. */
Test(relay_cuda, a_picture_is_painted_over_inside_a_mask, .timeout = 300)
{
    relays   r;
    pictures want, naive;
    shooting s = shooting_whole;
    fast_alone();
    gpu_open(&r, f16);
    const rf_init  init = some_picture();
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    rf_job         job = small_job(stage, 2, 2);
    job.init = &init;
    must_shoot(&r, &job, 1, &s);
    cr_expect_eq(s.launches, 2);
    render_on_cpu(&r, "f32", job, &want);
    render_on_cpu(&r, "bf16", job, &naive);
    const double bf16 = relative_error(naive.latent[0], RF_F32, want.latent[0], LATENT);
    const double error = relative_error(s.latent[0], RF_F32, want.latent[0], LATENT);
    cr_expect_gt(bf16, 0.0);
    cr_expect(error <= 2 * bf16, "relative error %.3g, bf16's is %.3g", error, bf16);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        if (mask[i / 3] == 0) cr_assert_eq(s.rgb[0][i], rgb[i], "byte %d", i);
    pictures_free(&want);
    pictures_free(&naive);
    gpu_close(&r);
}

/* Two seeds of a base alone and of a base with a refiner, which share the base's call; and one of
 * them by itself. */
Test(relay_cuda, pictures_from_one_share_its_latent, .timeout = 300)
{
    relays   r;
    shooting tree = shooting_latents, one = shooting_latents;
    fast_alone();
    gpu_open(&r, f16);
    const rf_init  init = some_picture();
    const rf_stage relay[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    rf_job         jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = small_job(relay, i == 0 ? 1 : 2, 2);
        jobs[i].sampler = "Euler a";
        jobs[i].init = &init;
        jobs[i].seed += i == 2;
        jobs[i].batch = 2;
    }
    must_shoot(&r, jobs, 3, &tree);
    cr_expect_eq(tree.launches, 3, "the first call is shared, and two are one launch twice");
    must_shoot(&r, &jobs[1], 1, &one);
    cr_expect(same_latent(&tree, 1, &one, 0), "with and without company");
    cr_expect_not(same_latent(&tree, 2, &one, 0), "another seed");
    gpu_close(&r);
}

/* A zero-terminal-SNR expert begins at sigma 4519, an epsilon one goes on: computed as on the CPU,
 * and the same bytes where another run shares the first call. */
Test(relay_cuda, experts_that_predict_different_things, .timeout = 300)
{
    relays   r;
    pictures want, naive;
    shooting one = shooting_latents, tree = shooting_latents;
    rf_error err = {0};
    fast_alone();
    gpu_open(&r, f16);
    must(rf_expert_set_prediction(r.expert[0], "v-ztsnr", &err), &err);
    const rf_stage relay[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    const rf_stage alone[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    const rf_job   job = small_job(relay, 2, 2);
    rf_job         jobs[] = {job, job};
    must_shoot(&r, &job, 1, &one);
    jobs[0].stages = alone;
    jobs[0].stage_count = 1;
    must_shoot(&r, jobs, 2, &tree);
    cr_expect_eq(tree.launches, 3, "the first call is shared");
    cr_expect(same_latent(&tree, 1, &one, 0), "with and without a shared prefix");
    render_on_cpu(&r, "f32", job, &want);
    render_on_cpu(&r, "bf16", job, &naive);
    const double bf16 = relative_error(naive.latent[0], RF_F32, want.latent[0], LATENT);
    const double error = relative_error(one.latent[0], RF_F32, want.latent[0], LATENT);
    cr_expect(error <= 2 * bf16 / 8, "relative error %.3g, bf16's is %.3g", error, bf16);
    pictures_free(&want);
    pictures_free(&naive);
    gpu_close(&r);
}

/* ---- the same bytes ----------------------------------------------------------------------- */

/* Four pictures one by one and as one launch; and of a base alone, a base with a refiner, which
 * share the base's first call. */
Test(relay_cuda, batches_and_shared_prefixes_change_nothing, .timeout = 300)
{
    relays   r;
    shooting batch = shooting_latents, one = shooting_latents, tree = shooting_latents;
    fast_alone();
    gpu_open(&r, f16);
    const rf_stage relay[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    const rf_stage alone[] = {{.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_job         job = small_job(relay, 2, 2);
    job.sampler = "Euler a"; /* with noise of each picture's own */
    job.count = job.batch = 4;
    must_shoot(&r, &job, 1, &batch);
    cr_expect_eq(batch.launches, 2);
    job.seed += 3;
    job.count = job.batch = 1;
    must_shoot(&r, &job, 1, &one);
    cr_expect(same_latent(&batch, 3, &one, 0), "batch 4 and batch 1");
    cr_expect_not(same_latent(&batch, 2, &one, 0), "another seed");

    rf_job jobs[] = {job, job};
    jobs[0].stages = alone;
    jobs[0].stage_count = 1;
    must_shoot(&r, jobs, 2, &tree);
    cr_expect_eq(tree.launches, 3, "the first call is shared");
    cr_expect(same_latent(&tree, 1, &one, 0), "with and without a shared prefix");
    gpu_close(&r);
}

/* Stability's refiner has the slab in its turn: other sizes, four levels, one text encoder. */
Test(relay_cuda, a_relay_to_the_refiner, .timeout = 300)
{
    relays   r = {.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F16)}};
    pictures want, naive;
    shooting two = shooting_latents, one = shooting_latents;
    fast_alone();
    gpu_start(&r, f16);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    rf_job         job = small_job(stage, 2, 2);
    job.count = job.batch = 2;
    must_shoot(&r, &job, 1, &two);
    cr_expect_eq(two.launches, 2);
    job.seed += 1;
    job.count = job.batch = 1;
    must_shoot(&r, &job, 1, &one);
    cr_expect(same_latent(&two, 1, &one, 0), "batch 2 and batch 1");
    render_on_cpu(&r, "f32", job, &want);
    render_on_cpu(&r, "bf16", job, &naive);
    const double bf16 = relative_error(naive.latent[0], RF_F32, want.latent[0], LATENT);
    const double error = relative_error(one.latent[0], RF_F32, want.latent[0], LATENT);
    cr_expect_gt(bf16, 0.0);
    cr_expect(error <= 2 * bf16 / 8, "relative error %.3g, bf16's is %.3g", error, bf16);
    pictures_free(&want);
    pictures_free(&naive);
    gpu_close(&r);
}

/* Experts in turns, and a pool of keys and values for one launch: a graph is made anew over every
 * place at which weights lie. */
Test(relay_cuda, turns_change_nothing, .timeout = 300)
{
    relays   r = {.path = {make_tiny(7), make_tiny(8)}};
    shooting s[2] = {shooting_latents, shooting_latents};
    fast_alone();
    for (int i = 0; i < 2; i++) {
        rf_error err = {0};
        gpu_start(&r, (rf_options){.dtype = "f16", .memory = (uint64_t)i, .kv_pool = (uint64_t)i});
        const rf_stage stage[] = {
            {.expert = r.expert[0], .until = 1.0 / 3, .prompt = "a", .cfg_scale = 1},
            {.expert = r.expert[1], .until = 2.0 / 3, .prompt = "b", .cfg_scale = 1},
            {.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
        const rf_job job = small_job(stage, 3, 3);
        must(rf_plan_create(&s[i].plan, r.engine, &job, &err), &err);
        cr_expect_eq(s[i].plan->resident, !i);
        const rf_callbacks callbacks = shooting_callbacks(&s[i]);
        must(rf_plan_run(s[i].plan, &callbacks, &err), &err);
        cr_expect_eq(r.expert[0]->unet_loads + r.expert[1]->unet_loads, i ? 3 : 2);
        cr_expect_eq(s[i].plan->kv_pool.computed, i ? 3 : 2, "a's are evicted, and computed again");
        cr_expect_eq(r.engine->device.bytes_peak, s[i].plan->peak_bytes);
        rf_plan_destroy(s[i].plan);
        gpu_stop(&r);
    }
    cr_expect(same_latent(&s[0], 0, &s[1], 0), "in turns");
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* An expert, and itself with a LoRA: side by side, and the second loaded over the first while what
 * the first did may still be queued. */
Test(relay_cuda, a_lora_takes_its_turn, .timeout = 300)
{
    relays   r = {.path = {make_tiny(7), make_tiny(8)}};
    shooting s[2] = {shooting_latents, shooting_latents};
    for (int i = 0; i < 2; i++) {
        rf_error err = {0};
        gpu_start(&r, (rf_options){.dtype = "f16", .memory = (uint64_t)i});
        const rf_stage stage[] = {
            {.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
            {.expert = r.expert[0],
             .until = 1,
             .prompt = "b",
             .cfg_scale = 1,
             .loras = &lora,
             .lora_count = 1}};
        const rf_job job = small_job(stage, 2, 2);
        must(rf_plan_create(&s[i].plan, r.engine, &job, &err), &err);
        cr_expect_eq(s[i].plan->resident, !i);
        cr_expect_gt(s[i].plan->merge_bytes, 0u);
        const rf_callbacks callbacks = shooting_callbacks(&s[i]);
        must(rf_plan_run(s[i].plan, &callbacks, &err), &err);
        cr_expect_eq(r.engine->device.bytes_peak, s[i].plan->peak_bytes);
        cr_expect_eq(r.expert[0]->weights[RF_NET_UNET].base != NULL, !i);
        rf_plan_destroy(s[i].plan);
        gpu_stop(&r);
    }
    cr_expect(same_latent(&s[0], 0, &s[1], 0), "loaded over");
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* ---- keys and values ---------------------------------------------------------------------- */

enum { PROMPTS = RF_KV_UPLOADS + 4, PERIOD = 5 };

/* Once the text encoders are gone: prompt i has the context of prompt i - PERIOD. */
static int replace_contexts(void *user, const rf_progress *progress)
{
    shooting *s = user;
    if (progress->phase == RF_PHASE_LOAD && s->plan->encoded) {
        const rf_plan_expert *x = &s->plan->expert[0];
        const int             columns = x->expert->arch.unet.context;
        for (int i = 0; i < x->conds; i++)
            for (int e = 0; e < x->cond[i].rows * columns; e++)
                ((uint16_t *)x->cond[i].context)[e] =
                    rf_f16_from_f32((float)((e * (i % PERIOD + 1)) % 7) / 8);
    }
    emu_runtime_skip(s->skip[progress->phase]);
    return progress->phase == RF_PHASE_DENOISE;
}

static void expect_periodic(const rf_plan *p)
{
    const rf_plan_expert *x = &p->expert[0];
    rf_device            *device = &p->engine->device;
    const size_t          bytes = x->expert->blocks.kv_elems * (size_t)x->cond[0].rows * 2;
    char                 *pinned = NULL;
    rf_error              err = {0};
    must(rf_device_alloc_staging(device, (void **)&pinned, PROMPTS * bytes, "test", &err), &err);
    for (size_t i = 0; i < PROMPTS; i++)
        must(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, pinned + i * bytes, x->cond[i].kv,
                            bytes, &err),
             &err);
    must(rf_device_wait(device, &err), &err);
    for (size_t i = 0; i < PROMPTS; i++)
        for (size_t j = 0; j < i; j++)
            cr_expect_eq(memcmp(pinned + i * bytes, pinned + j * bytes, bytes) == 0,
                         i % PERIOD == j % PERIOD, "prompts %zu and %zu", i, j);
    rf_device_free_staging(device, pinned, PROMPTS * bytes);
}

/* More prompts than buffers to bring them up: none is written over before it was read. */
Test(relay_cuda, contexts_come_up_one_after_the_other, .timeout = 120)
{
    relays   r;
    rf_error err = {0};
    rf_stage stage[PROMPTS];
    rf_job   job[PROMPTS];
    char     text[PROMPTS][2];
    shooting s = shooting_nothing;
    gpu_open(&r, f16);
    for (int i = 0; i < PROMPTS; i++) {
        text[i][0] = (char)('a' + i), text[i][1] = '\0';
        stage[i] = (rf_stage){.expert = r.expert[0], .until = 1, .prompt = text[i], .cfg_scale = 1};
        job[i] = small_job(&stage[i], 1, 1);
    }
    must(rf_plan_create_many(&s.plan, r.engine, job, PROMPTS, &err), &err);
    s.skip[RF_PHASE_LOAD] = EMU_SKIP_NOTHING;
    rf_callbacks callbacks = shooting_callbacks(&s);
    callbacks.progress = replace_contexts;
    s.skip[RF_PHASE_DENOISE] = EMU_SKIP_NOTHING;
    cr_expect_eq(rf_plan_run(s.plan, &callbacks, &err), RF_E_CANCELLED, "%s", err.message);
    cr_expect_eq(s.plan->kv_pool.computed, PROMPTS);
    expect_periodic(s.plan);
    rf_plan_destroy(s.plan);
    gpu_close(&r);
}

/* ---- memory ------------------------------------------------------------------------------- */

static rf_plan_info info_of(relays *r, const rf_stage *stages, int count)
{
    const rf_job job = small_job(stages, count, 4);
    rf_plan_info info;
    rf_plan     *plan = relays_plan(r, &job);
    rf_plan_get_info(plan, &info);
    rf_plan_destroy(plan);
    return info;
}

/* Tables of their own are each aligned. */
enum { PADDING = 4096 };

Test(relay_cuda, two_experts_add_only_their_weights, .timeout = 60)
{
    relays r;
    fast_alone();
    gpu_open(&r, f16);
    rf_stage aa[2] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                      {.expert = r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 1}};
    rf_stage ab[2] = {aa[0], aa[1]};
    ab[1].expert = r.expert[1];
    const rf_plan_info one = info_of(&r, aa, 2), two = info_of(&r, ab, 2);
    cr_expect_eq(one.slab_bytes, two.slab_bytes, "exactly the slab of one");
    cr_expect_eq(2 * one.kv_pool_bytes, two.kv_pool_bytes, "a prompt for each");
    cr_expect_eq(one.vae_bytes, two.vae_bytes);
    cr_expect_eq(2 * one.unet_bytes, two.unet_bytes);
    const size_t before = one.kv_bytes + one.state_bytes + one.kv_pool_bytes;
    const size_t more = two.kv_bytes + two.state_bytes - before;
    cr_expect_lt(more, PADDING, "%zu bytes besides weights and a prompt", more);
    cr_expect_eq(r.engine->device.allocations, 0u, "planning takes nothing");
    gpu_close(&r);
}

enum { FILLING = 4 };

/* Pictures of one plan, one by one; and plan after plan.  No kernel is run. */
Test(relay_cuda, memory_is_flat_over_1000_renders, .timeout = 300)
{
    relays   r;
    shooting s = shooting_nothing;
    fast_alone();
    gpu_open(&r, f16);
    relays_hash(&r);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    rf_job         job = small_job(stage, 2, 2);
    job.count = 10;
    must_shoot(&r, &job, 1, &s);
    const size_t held = r.engine->device.bytes_held, pinned = r.engine->device.staging_held;
    job.count = 1000;
    /* malloc keeps some freed pieces of every size, and counts them as used: until it has them */
    for (int i = 0; i < FILLING; i++) {
        s = shooting_nothing;
        must_shoot(&r, &job, 1, &s);
    }
    const size_t host = mallinfo2().uordblks;
    s = shooting_nothing;
    must_shoot(&r, &job, 1, &s);
    cr_expect_eq(s.pictures, 1000);
    cr_expect_eq(s.launches, 2000);
    if (emu_runtime_stands_in())
        cr_expect_eq(emu_runtime_done().graph_launches, 20u + (FILLING + 1) * 2000u);
    cr_expect_eq(r.engine->device.bytes_held, held, "weights alone stay");
    cr_expect_eq(r.engine->device.staging_held, pinned);
    if (emu_runtime_stands_in()) /* a driver has memory of its own */
        cr_expect_lt(mallinfo2().uordblks, host + (1 << 15), "%zu bytes more",
                     (size_t)mallinfo2().uordblks - host);
    gpu_close(&r);
}
