/* Previews on a device that queues: the same latents, nothing taken, and no wait but where one is
 * due.  On the emulated one UNets predict zeros, so that x0 is the latent as the call found it; on
 * a real one (test_relay_cuda_gpu) they predict, and waits are not known. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/taesd_file.h"
#include "tests/relay/relay_cuda.h"

static const rf_options f16 = {.dtype = "f16"};

static const shooting shooting_quick = {.stop_at = -1,
                                        .poison_at = -1,
                                        .skip = {[RF_PHASE_LOAD] = EMU_SKIP_KERNELS,
                                                 [RF_PHASE_ENCODE] = EMU_SKIP_KERNELS,
                                                 [RF_PHASE_DENOISE] = EMU_SKIP_GRAPHS,
                                                 [RF_PHASE_DECODE] = EMU_SKIP_KERNELS}};

/* A shooting whose callbacks' user is found again behind it. */
typedef struct looking {
    shooting s;
    int      previews, different; /* from what the reference makes of the same x0 */
    int      colours;             /* with more than one */
    emu_done done;                /* when the run was over */
} looking;

/* What stands in the pool now is what was shown. */
static void compare(void *user, const rf_preview *preview)
{
    looking     *l = user;
    rf_plan     *p = l->s.plan;
    rf_error     err = {0};
    const float  scale = 1;
    uint8_t      want[LATENT / 4 * 3];
    const size_t row = (size_t)p->sample_row[RF_SOURCE_D] + (size_t)preview->index;
    float       *x0 = p->decode_latent.host; /* free until pictures are decoded */
    l->previews++;
    if (preview->width == SIDE) return; /* TAESDXL's */
    must(rf_device_copy(&p->engine->device, RF_STREAM_OPS, RF_COPY_DOWN, x0,
                        p->pool + row * p->elems, LATENT * sizeof *x0, &err),
         &err);
    must(rf_device_wait(&p->engine->device, &err), &err);
    const rf_latent_rgb_args args = {
        .y = want, .x = x0, .map = p->vae[0].map, .scale = &scale, .n = 1, .hw = LATENT / 4};
    cr_assert_eq(rf_latent_rgb_ref(NULL, &args), RF_OK);
    l->different += memcmp(want, preview->rgb, sizeof want) != 0;
    /* nobody ran the probe: from the second preview on, a map that shows something */
    for (int i = 0; i < RF_LATENT_MAP; i++) p->vae[0].map[i] = (float)(i * 7 % 5 - 2) / 8;
    l->colours += want[0] != want[3];
}

static void look(relays *r, const rf_job *job, looking *l)
{
    rf_error err = {0};
    *l = (looking){.s = shooting_quick};
    must(rf_plan_create(&l->s.plan, r->engine, job, &err), &err);
    rf_callbacks callbacks = shooting_callbacks(&l->s);
    callbacks.preview = compare;
    const emu_done before = emu_runtime_done();
    must(rf_plan_run(l->s.plan, &callbacks, &err), &err);
    l->done = emu_runtime_done();
    l->done.waits -= before.waits;
    l->done.graph_launches -= before.graph_launches;
    rf_plan_destroy(l->s.plan);
}

/* Two pictures together, six calls each, a switch after three: a look after the second and the
 * fourth. */
Test(previews_cuda, latents_and_launches_are_the_same, .timeout = 300)
{
    relays  r;
    looking none, never, linear, tiny;
    char   *file = taesd_write(8, TAESD_DIFFUSERS);
    gpu_open(&r, f16);
    const rf_stage stage[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    rf_job         job = small_job(stage, 2, 6);
    job.sampler = "Euler a";
    job.count = job.batch = 2;
    look(&r, &job, &none);
    job.preview_every = 2;
    look(&r, &job, &linear);
    cr_expect_eq(linear.previews, 4);
    cr_expect_eq(linear.different, 0);
    cr_expect_geq(linear.colours, 2);
    job.preview_every = 10;
    look(&r, &job, &never);
    cr_expect_eq(never.previews, 0);
    cr_expect_leq(never.done.waits, none.done.waits + 1, "the probe's, and none in the loop");
    job.preview_every = 2;
    job.preview_vae = file;
    look(&r, &job, &tiny);
    cr_expect_eq(tiny.previews, 4);
    if (emu_runtime_stands_in()) cr_expect_gt(linear.done.waits, never.done.waits);
    for (int i = 0; i < 2; i++) {
        cr_expect(same_latent(&none.s, i, &linear.s, i), "linear, picture %d", i);
        cr_expect(same_latent(&none.s, i, &tiny.s, i), "TAESDXL, picture %d", i);
    }
    cr_expect_eq(none.done.graph_launches, linear.done.graph_launches);
    cr_expect_eq(none.done.graph_launches, tiny.done.graph_launches);
    taesd_remove(file);
    gpu_close(&r);
}
