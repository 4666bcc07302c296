/* Everything is allocated before the first step, in the sizes that the plan announced; experts of
 * one architecture have one program. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/files/synth.h"
#include "kernels/host.h"
#include "tests/files/fixture.h"
#include "tests/relay/relays.h"
#include "tests/relay/scarcity.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

static void two_stages(const relays *r, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 6};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 1};
}

/* ---- nothing is allocated ----------------------------------------------------------------- */

typedef struct counters {
    const rf_device *device;
    const rf_plan   *plan;
    size_t           allocations, primitives, held;
    long             system; /* allocations through the C library, by our code */
    int              started, steps, decodes;
} counters;

static int watch(void *user, const rf_progress *progress)
{
    counters *c = user;
    if (progress->phase == RF_PHASE_DENOISE && !c->started) {
        c->started = 1;
        c->allocations = c->device->allocations;
        c->primitives = rf_host_primitives(c->device->stream);
        c->held = c->device->bytes_held;
    }
    if (!c->started) return 0;
    cr_expect_eq(c->device->allocations, c->allocations);
    cr_expect_eq(c->device->bytes_held, c->held);
    cr_expect_eq(rf_host_primitives(c->device->stream), c->primitives);
    if (progress->phase == RF_PHASE_DENOISE && progress->step == 0)
        c->system = scarcity_allocations();
    else if (progress->image % 2 == 0) /* the second decode of a batch follows some metadata */
        cr_expect_eq(scarcity_allocations(), c->system, "step %d allocates", progress->step);
    c->steps += progress->phase == RF_PHASE_DENOISE;
    c->decodes += progress->phase == RF_PHASE_DECODE;
    return 0;
}

static rf_status take(void *user, const rf_image *image, rf_error *err)
{
    (void)image, (void)err;
    const counters *c = user;
    cr_expect_eq(c->device->allocations, c->allocations);
    cr_expect_eq(rf_host_primitives(c->device->stream), c->primitives);
    return RF_OK;
}

/* A picture to start from, and a mask over its upper half. */
static rf_init some_picture(uint8_t rgb[64 * 64 * 3], uint8_t mask[64 * 64])
{
    for (int i = 0; i < 64 * 64 * 3; i++) rgb[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 64 * 64; i++) mask[i] = i < 64 * 32 ? 0 : 255;
    return (rf_init){.rgb = rgb, .mask = mask, .denoise = 0.99};
}

static void expect_no_allocations(const rf_options *options, const char *prompt,
                                  const rf_init *init)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, options);
    relays_hash(&r);
    two_stages(&r, stage);
    stage[0].prompt = prompt;
    rf_job job = relays_job(stage, 2, 4);
    job.sampler = "Euler a";
    job.init = init;
    job.count = 3; /* a whole batch and a ragged one */
    job.batch = 2;
    rf_plan           *plan = relays_plan(&r, &job);
    counters           c = {.device = &r.engine->device, .plan = plan};
    const rf_callbacks callbacks = {.progress = watch, .image = take, .user = &c};
    const size_t       before = r.engine->device.allocations;
    cr_expect_eq(before, 0u, "planning allocates nothing large");
    for (int run = 0; run < 2; run++) {
        must(rf_plan_run(plan, &callbacks, &err), &err);
        cr_expect_eq(r.engine->device.allocations, c.allocations);
        cr_expect_eq(rf_host_primitives(r.engine->device.stream), c.primitives);
        c.started = run; /* the second run allocates nothing at all */
    }
    cr_expect_eq(c.steps, 16);
    cr_expect_eq(c.decodes, 6);
    rf_plan_destroy(plan);
    relays_close(&r);
}

Test(relay_memory, steps_allocate_nothing, .timeout = 120)
{
    expect_no_allocations(&bf16, "a", NULL);
}

Test(relay_memory, runs_from_a_picture_allocate_nothing, .timeout = 120)
{
    static uint8_t rgb[64 * 64 * 3], mask[64 * 64];
    const rf_init  init = some_picture(rgb, mask);
    expect_no_allocations(&bf16, "a", &init);
}

/* Keys and values of every call are computed anew, before it and not sooner. */
Test(relay_memory, a_small_pool_allocates_nothing, .timeout = 120)
{
    expect_no_allocations(&(rf_options){.dtype = "bf16", .threads = 1, .kv_pool = 1}, "[a|c] cat",
                          NULL);
}

/* ---- sizes -------------------------------------------------------------------------------- */

static int compare_sizes(void *user, const rf_progress *progress)
{
    const counters *c = user;
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    rf_plan_info info;
    size_t       weights = 0;
    rf_plan_get_info(c->plan, &info);
    for (int i = 0; i < info.stage_count; i++) {
        rf_stage_info stage;
        cr_assert_eq(rf_plan_get_stage(c->plan, i, &stage), RF_OK);
        weights += stage.weights_bytes;
    }
    cr_expect_eq(c->device->bytes_held,
                 info.slab_bytes + info.kv_bytes + info.state_bytes + weights + info.vae_bytes);
    cr_expect_eq(c->device->bytes_peak, info.peak_bytes);
    return 0;
}

Test(relay_memory, announced_sizes_are_allocated_sizes, .timeout = 120)
{
    relays         r;
    rf_stage       stage[3];
    rf_error       err = {0};
    static uint8_t rgb[64 * 64 * 3], mask[64 * 64];
    const rf_init  init = some_picture(rgb, mask);
    relays_open(&r, &bf16);
    for (int i = 0; i < 6; i++) {
        const int count = i % 3 + 1;
        two_stages(&r, stage);
        stage[2] = (rf_stage){.expert = r.expert[0], .until = 1, .cfg_scale = 2};
        stage[count - 1].until = 1;
        if (count == 3) stage[1].until = 0.75;
        rf_job job = relays_job(stage, count, 4);
        if (i >= 3) job.init = &init;
        rf_plan *plan = relays_plan(&r, &job);
        counters c = {.device = &r.engine->device, .plan = plan};
        must(rf_plan_run(plan, &(rf_callbacks){.progress = compare_sizes, .user = &c}, &err), &err);
        rf_plan_destroy(plan);
        relays_stop(&r);
        relays_start(&r, &bf16); /* nothing loaded, no peak yet */
    }
    relays_close(&r);
}

static size_t slab_of(relays *r, const rf_stage *stages, int count)
{
    rf_plan_info info;
    rf_job       job = relays_job(stages, count, 4);
    job.count = job.batch = 64; /* so that the UNets need more than the decoder */
    rf_plan *plan = relays_plan(r, &job);
    rf_plan_get_info(plan, &info);
    rf_plan_destroy(plan);
    return info.slab_bytes;
}

/* A wider expert of zeros, for planning alone. */
static rf_expert *open_wider(const relays *r)
{
    rf_sdxl_arch arch;
    rf_error     err = {0};
    fixture      f = {0};
    rf_expert   *expert = NULL;
    must(rf_synth_arch(&arch, "tiny", &err), &err);
    arch.unet.width *= 8;
    arch.unet.time *= 8;
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, fixture_path("wider.safetensors"));
    must(rf_expert_open(&expert, r->engine, fixture_path("wider.safetensors"), &err), &err);
    return expert;
}

Test(relay_memory, experts_share_one_slab, .timeout = 120)
{
    relays r;
    relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .level = "ref"});
    rf_expert     *wider = open_wider(&r);
    const rf_stage a = {.expert = r.expert[0], .until = 1, .cfg_scale = 6};
    rf_stage       ab[2] = {a, a}, aw[2] = {a, a}, w = a;
    ab[0].until = aw[0].until = 0.5;
    ab[1].expert = r.expert[1];
    aw[1].expert = w.expert = wider;
    const size_t one = slab_of(&r, &a, 1), wide = slab_of(&r, &w, 1);
    cr_expect_eq(slab_of(&r, ab, 2), one, "two experts of one architecture");
    cr_expect_gt(wide, one);
    cr_expect_eq(slab_of(&r, aw, 2), wide, "the largest, not the sum");
    rf_expert_close(wider);
    relays_close(&r);
    fixture_cleanup();
}

/* ---- prompts ------------------------------------------------------------------------------ */

static int count_encodings(void *user, const rf_progress *progress)
{
    int *encodings = user;
    *encodings += progress->phase == RF_PHASE_ENCODE;
    return 0;
}

/* A, B, A with `last` as the last stage's prompt: how often is something encoded? */
static int encodings_of(relays *r, const char *last, size_t *kv_bytes)
{
    const rf_stage stage[] = {
        {.expert = r->expert[0], .until = 0.25, .prompt = "x", .negative = "n", .cfg_scale = 6},
        {.expert = r->expert[1], .until = 0.5, .cfg_scale = 6},
        {.expert = r->expert[0], .until = 1, .prompt = last, .cfg_scale = 6}};
    int          encodings = 0;
    rf_error     err = {0};
    rf_plan_info info;
    const rf_job job = relays_job(stage, 3, 4);
    rf_plan     *plan = relays_plan(r, &job);
    must(rf_plan_run(plan, &(rf_callbacks){.progress = count_encodings, .user = &encodings}, &err),
         &err);
    rf_plan_get_info(plan, &info);
    *kv_bytes = info.kv_bytes;
    rf_plan_destroy(plan);
    return encodings;
}

Test(relay_memory, a_prompt_is_encoded_once_per_expert, .timeout = 120)
{
    relays r;
    size_t shared = 0, more = 0;
    relays_open(&r, &bf16);
    /* two encoders; A: x, n; B: x, n */
    cr_expect_eq(encodings_of(&r, NULL, &shared), 2 * (2 + 2));
    /* the negative prompt is still the same */
    cr_expect_eq(encodings_of(&r, "y", &more), 2 * (3 + 2));
    cr_expect_gt(more, shared);
    relays_close(&r);
}

/* ---- one program -------------------------------------------------------------------------- */

/* Addresses of a call that lie in the slab or in tables: all but weights and embedding tables. */
static void addresses_of(const rf_op_call *call, const void *out[6])
{
    switch (call->kind) {
    case RF_OP_GEMM: {
        const rf_gemm_args *a = &call->args.gemm;
        out[0] = a->y, out[1] = a->x, out[2] = a->x2, out[3] = a->residual, out[4] = a->workspace;
        break;
    }
    case RF_OP_CONV: {
        const rf_conv_args *a = &call->args.conv;
        out[0] = a->y, out[1] = a->x, out[2] = a->residual, out[3] = a->temb_row;
        out[4] = a->workspace;
        break;
    }
    case RF_OP_ATTENTION: {
        const rf_attention_args *a = &call->args.attention;
        out[0] = a->o, out[1] = a->q, out[2] = a->k, out[3] = a->v, out[4] = a->table;
        out[5] = a->workspace;
        break;
    }
    case RF_OP_GROUPNORM: {
        const rf_groupnorm_args *a = &call->args.groupnorm;
        out[0] = a->y, out[1] = a->x, out[2] = a->x2, out[3] = a->workspace;
        break;
    }
    case RF_OP_LAYERNORM: out[0] = call->args.layernorm.y, out[1] = call->args.layernorm.x; break;
    default: cr_assert_fail("%s: a UNet has no %s", call->label, rf_op_name(call->kind));
    }
}

static const void *weight_of(const rf_op_call *call)
{
    return call->kind == RF_OP_GEMM   ? call->args.gemm.w
           : call->kind == RF_OP_CONV ? call->args.conv.wt
                                      : NULL;
}

Test(relay_memory, experts_share_one_program, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, &bf16);
    two_stages(&r, stage);
    stage[1].cfg_scale = 6;
    const rf_job job = relays_job(stage, 2, 3); /* two calls, then one */
    rf_plan     *plan = relays_plan(&r, &job);
    must(rf_plan_run(plan, NULL, &err), &err);
    const rf_program *a = &plan->program[0].forward[1];
    const rf_program *b = &plan->program[1].forward[1];
    cr_assert_eq(plan->programs, 2);
    cr_assert_eq(a->count, b->count);
    cr_expect_gt(a->count, 100u);
    const ptrdiff_t apart =
        r.expert[1]->weights[RF_NET_UNET].base - r.expert[0]->weights[RF_NET_UNET].base;
    for (size_t i = 0; i < a->count; i++) {
        const void *x[6] = {NULL}, *y[6] = {NULL};
        cr_assert_eq(a->call[i].kind, b->call[i].kind);
        cr_assert_str_eq(a->call[i].label, b->call[i].label);
        addresses_of(&a->call[i], x);
        addresses_of(&b->call[i], y);
        for (int j = 0; j < 6; j++)
            cr_expect_eq(x[j], y[j], "%s: address %d differs", a->call[i].label, j);
        const char *w = weight_of(&a->call[i]);
        if (w) cr_expect_eq((const void *)(w + apart), weight_of(&b->call[i]));
    }
    rf_plan_destroy(plan);
    relays_close(&r);
}
