/* The public interface in a few lines, for tests of the command: pictures are noise made from the
 * seed, an expert is any file that begins with "SDXL", and a prompt can order a mishap:
 *
 *   !nan !nomem !bug   the run fails at its second step
 *   !slow              every step takes 50 ms
 *   !stubborn          the same, and asking it to stop is in vain
 *   !warn              the plan warns
 *
 * Only what the command can see is imitated: stages, calls, phases, errors, cancelling. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/refinery.h"

struct rf_engine {
    rf_options options;
};

struct rf_expert {
    char name[256], path[1024];
};

struct rf_plan {
    rf_engine *engine;
    rf_job     job;
    rf_stage   stages[2];
    int        first[3]; /* first step of each stage, and the end */
    double     sigmas[10001];
};

const char *rf_version(void)
{
    return RF_VERSION;
}

rf_status rf_engine_create(rf_engine **out, const rf_options *options, rf_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return rf_fail(err, RF_E_NOMEM, "no memory");
    (*out)->options = *options;
    return RF_OK;
}

void rf_engine_destroy(rf_engine *engine)
{
    free(engine);
}

const char *rf_engine_device(const rf_engine *engine)
{
    (void)engine;
    return "cpu: none at all, 1 thread";
}

const char *rf_engine_dtype(const rf_engine *engine)
{
    (void)engine;
    return "f32";
}

rf_status rf_expert_open(rf_expert **out, rf_engine *engine, const char *path, rf_error *err)
{
    char        head[5] = "";
    const char *slash = strrchr(path, '/');
    (void)engine;
    *out = NULL;
    const int fd = open(path, O_RDONLY);
    if (fd < 0)
        return rf_fail(err, errno == ENOENT ? RF_E_NOT_FOUND : RF_E_PERMISSION, "%s: %s", path,
                       strerror(errno));
    const ssize_t got = read(fd, head, 4);
    close(fd);
    if (got < 4) return rf_fail(err, RF_E_FORMAT, "%s: the file is cut off", path);
    if (strcmp(head, "SDXL") != 0)
        return rf_fail(err, RF_E_MODEL, "%s is no SDXL checkpoint: it is a LoRA", path);
    *out = calloc(1, sizeof **out);
    if (!*out) return rf_fail(err, RF_E_NOMEM, "no memory");
    snprintf((*out)->path, sizeof(*out)->path, "%s", path);
    snprintf((*out)->name, sizeof(*out)->name, "%s", slash ? slash + 1 : path);
    (*out)->name[strcspn((*out)->name, ".")] = '\0';
    return RF_OK;
}

void rf_expert_close(rf_expert *expert)
{
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

rf_status rf_expert_sha256(rf_expert *expert, char *hex, rf_error *err)
{
    (void)err;
    for (int i = 0; i < 64; i++) hex[i] = "0123456789abcdef"[(expert->name[0] + i) % 16];
    hex[64] = '\0';
    return RF_OK;
}

rf_job rf_job_default(void)
{
    return (rf_job){.sampler = "Euler a",
                    .schedule = "automatic",
                    .rng = "nv",
                    .steps = 30,
                    .width = 1024,
                    .height = 1024,
                    .count = 1,
                    .batch = 1};
}

static int has(const rf_plan *plan, const char *order)
{
    return plan->stages[0].prompt && strstr(plan->stages[0].prompt, order);
}

rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err)
{
    rf_plan *p = *out = calloc(1, sizeof **out);
    if (!p) return rf_fail(err, RF_E_NOMEM, "no memory");
    p->engine = engine;
    p->job = *job;
    memcpy(p->stages, job->stages, (size_t)job->stage_count * sizeof *job->stages);
    for (int i = 0; i < job->stage_count; i++) {
        p->first[i + 1] = (int)ceil(job->stages[i].until * job->steps - 1e-6);
        if (p->first[i + 1] == p->first[i] && engine->options.warn)
            engine->options.warn(engine->options.user, "a stage makes no call and is dropped");
    }
    for (int i = 0; i < job->steps; i++) p->sigmas[i] = 14.6 * (1 - (double)i / job->steps);
    if (has(p, "!warn") && engine->options.warn)
        engine->options.warn(engine->options.user, "as ordered");
    return RF_OK;
}

void rf_plan_destroy(rf_plan *plan)
{
    free(plan);
}

void rf_plan_get_info(const rf_plan *plan, rf_plan_info *out)
{
    const rf_job *job = &plan->job;
    const size_t  pixels = (size_t)job->width * (size_t)job->height;
    *out = (rf_plan_info){
        .stage_count = job->stage_count,
        .batch = job->batch < job->count ? job->batch : job->count,
        .slab_bytes = 100 * pixels,
        .kv_bytes = 2000,
        .state_bytes = pixels,
        .staging_bytes = 1 << 20,
        .text_bytes = 3000,
        .vae_bytes = 4000,
        .peak_bytes = 200 * pixels,
        .vae = plan->job.vae ? plan->job.vae : plan->stages[job->stage_count - 1].expert->name,
        .sampler = job->sampler,
        .schedule = strcmp(job->schedule, "automatic") == 0 ? "normal" : job->schedule,
        .sigmas = plan->sigmas,
    };
}

rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out)
{
    if (stage < 0 || stage >= plan->job.stage_count) return RF_E_ARG;
    const int same = stage == 1 && plan->stages[0].expert == plan->stages[1].expert;
    *out = (rf_stage_info){
        .expert = plan->stages[stage].expert->name,
        .first_step = plan->first[stage],
        .calls = plan->first[stage + 1] - plan->first[stage],
        .sigma = plan->sigmas[plan->first[stage]],
        .weights_bytes = same ? 0 : 5000,
    };
    return RF_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct fake_run {
    const rf_plan      *plan;
    const rf_callbacks *callbacks;
    rf_progress         at;
} fake_run;

static rf_status tell(fake_run *run, rf_error *err)
{
    run->at.expert = run->plan->stages[run->at.stage].expert->name;
    const int stop =
        run->callbacks->progress && run->callbacks->progress(run->callbacks->user, &run->at);
    if (stop && !has(run->plan, "!stubborn")) return rf_fail(err, RF_E_CANCELLED, "stopped");
    return RF_OK;
}

static rf_status mishap(const rf_plan *plan, int step, rf_error *err)
{
    if (step != 1) return RF_OK;
    if (has(plan, "!nan")) return rf_fail(err, RF_E_NAN, "step 2 produced NaN");
    if (has(plan, "!nomem")) return rf_fail(err, RF_E_NOMEM, "no memory for 1 byte");
    if (has(plan, "!bug")) return rf_fail(err, RF_E_BUG, "one is two");
    return RF_OK;
}

static rf_status denoise(fake_run *run, rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &run->plan->job;
    run->at.phase = RF_PHASE_DENOISE;
    for (int step = 0; step < job->steps; step++) {
        run->at.stage = job->stage_count == 2 && step >= run->plan->first[1];
        run->at.done = run->at.step = step;
        run->at.total = job->steps;
        RF_TRY(tell(run, err));
        if (has(run->plan, "!slow") || has(run->plan, "!stubborn"))
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        RF_TRY(mishap(run->plan, step, err));
    }
done:
    return st;
}

static rf_status decode(fake_run *run, int index, rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &run->plan->job;
    uint64_t      state = job->seed + (uint64_t)index;
    const size_t  bytes = 3 * (size_t)job->width * (size_t)job->height;
    uint8_t      *rgb = malloc(bytes);
    if (!rgb) return rf_fail(err, RF_E_NOMEM, "no memory");
    for (size_t i = 0; i < bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        rgb[i] = (uint8_t)(state >> 56);
    }
    const rf_image image = {.index = index,
                            .seed = job->seed + (uint64_t)index,
                            .width = job->width,
                            .height = job->height,
                            .rgb = rgb,
                            .parameters = "a prompt\nSteps: 1, Sampler: Euler a, Seed: 1"};
    run->at.phase = RF_PHASE_DECODE;
    run->at.done = run->at.image = index;
    run->at.total = job->count;
    run->at.images = 1;
    RF_TRY(tell(run, err));
    RF_TRY(run->callbacks->image(run->callbacks->user, &image, err));
done:
    free(rgb);
    return st;
}

rf_status rf_plan_run(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &plan->job;
    fake_run      run = {.plan = plan, .callbacks = callbacks, .at = {.steps = job->steps}};
    for (int i = 0; i < job->stage_count; i++) {
        run.at.stage = i;
        run.at.phase = RF_PHASE_LOAD;
        run.at.done = run.at.total = 5000;
        RF_TRY(tell(&run, err));
        run.at.phase = RF_PHASE_ENCODE;
        RF_TRY(tell(&run, err));
    }
    for (int first = 0; first < job->count; first += job->batch) {
        run.at.image = first;
        run.at.images = job->count - first < job->batch ? job->count - first : job->batch;
        RF_TRY(denoise(&run, err));
        const int end = first + run.at.images;
        for (int i = first; i < end; i++) RF_TRY(decode(&run, i, err));
    }
done:
    return st;
}

void rf_plan_get_timings(const rf_plan *plan, rf_timings *out)
{
    *out = (rf_timings){.load = 0.25, .denoise = 0.1 * plan->job.steps};
}
