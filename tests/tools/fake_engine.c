/* The public interface in a few lines, for tests of the command: pictures are noise made from the
 * seed, an expert is any file that begins with "SDXL", and a prompt can order a mishap:
 *
 *   !nan !nomem !bug   the run fails at its second step
 *   !slow              every step takes 50 ms
 *   !stubborn          the same, and asking it to stop is in vain
 *   !warn              the plan warns
 *   !loras             the plan tells which LoRAs it was given, as warnings
 *
 * A picture to start from shows through by what the strength leaves of it, and where a mask is
 * black wholly.
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

#include "engine/files/hash.h"
#include "engine/refinery.h"
#include "tests/tools/fake_engine.h"

struct rf_engine {
    rf_options options;
};

struct rf_expert {
    char        name[256], path[1024];
    const char *prediction;
};

struct rf_plan {
    rf_engine *engine;
    rf_job     job;   /* its stages are the plan's; its steps those that are made */
    int        asked; /* steps of the job */
    rf_stage   stages[64];
    int        first[65]; /* first step of each stage, and the end */
    double     sigmas[10001];
    rf_plan  **each; /* of many jobs: a plan for each, which share nothing; else NULL */
    int        jobs;
};

const char *rf_version(void)
{
    return RF_VERSION;
}

rf_status rf_engine_create(rf_engine **out, const rf_options *options, rf_error *err)
{
    *out = NULL;
    if (options->device && strcmp(options->device, "cpu") != 0)
        return rf_fail(err, RF_E_DEVICE, "there is no %s: use --device cpu", options->device);
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

int rf_engine_is_assumed(const rf_engine *engine)
{
    (void)engine;
    return 0;
}

rf_status rf_gpu_get_info(int ordinal, rf_gpu_info *out, int *count, rf_error *err)
{
    (void)ordinal;
    *out = (rf_gpu_info){.name = ""};
    *count = 0;
    return rf_fail(err, RF_E_DEVICE, "there is none in a test double");
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

void rf_expert_get_prediction(const rf_expert *expert, rf_prediction_info *out)
{
    const char *told = expert->prediction;
    *out = (rf_prediction_info){.prediction = told && *told == 'v' ? "v" : "epsilon",
                                .ztsnr = told && strcmp(told, "v-ztsnr") == 0,
                                .by_user = told != NULL,
                                .sigma_min = 0.03,
                                .sigma_max = 14.6,
                                .reason = told ? "asked for" : "nothing says otherwise"};
}

rf_status rf_expert_set_prediction(rf_expert *expert, const char *prediction, rf_error *err)
{
    (void)err;
    expert->prediction = prediction;
    return RF_OK;
}

/* Of a file called "slow" it takes ten seconds. */
rf_status rf_expert_sha256(rf_expert *expert, char *hex, int (*stop)(void *user), void *user,
                           rf_error *err)
{
    for (int i = 0; i < 200 && strcmp(expert->name, "slow") == 0; i++) {
        if (stop && stop(user)) return rf_fail(err, RF_E_CANCELLED, "hashing was cancelled");
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return rf_file_sha256(hex, expert->path, NULL, NULL, err);
}

rf_job rf_job_default(void)
{
    return (rf_job){.switch_by = "steps",
                    .sampler = "Euler a",
                    .schedule = "automatic",
                    .rng = "nv",
                    .emphasis = "original",
                    .steps = 30,
                    .width = 1024,
                    .height = 1024,
                    .count = 1,
                    .batch = 1,
                    .eta = NAN,
                    .s_noise = 1,
                    .clip_skip = 1};
}

static rf_status check_name(const char *what, const char *name, const char *const *known,
                            rf_error *err)
{
    for (; *known; known++)
        if (strcmp(*known, name) == 0) return RF_OK;
    return rf_fail(err, RF_E_ARG, "unknown %s \"%s\": did you mean something else?", what, name);
}

rf_status fake_job_check(const rf_job *job, rf_error *err)
{
    static const char *const SAMPLERS[] = {"Euler a", "Euler", "DPM++ 2M", "DPM adaptive", NULL};
    static const char *const SCHEDULES[] = {"automatic", "karras", "normal", "beta", NULL};
    static const char *const RULES[] = {"steps", "noise", "step", "sigma", "timesteps", NULL};
    static const char *const SOURCES[] = {"nv", "cpu", NULL};
    rf_status                st = RF_OK;
    RF_TRY(check_name("sampler", job->sampler, SAMPLERS, err));
    RF_TRY(check_name("schedule", job->schedule, SCHEDULES, err));
    RF_TRY(check_name("switch rule", job->switch_by, RULES, err));
    RF_TRY(check_name("noise source", job->rng, SOURCES, err));
    const double until = job->stages[0].until;
    const int    fraction = strcmp(job->switch_by, "step") && strcmp(job->switch_by, "sigma");
    if (job->stage_count > 1 && (until < 0 || (fraction && until > 1)))
        st = rf_fail(err, RF_E_ARG, "switch at %g: must be from 0 to 1", until);
done:
    return st;
}

/* Every rule is the one by steps, moved by a call, so that tests can tell them apart. */
int fake_first_step(const rf_job *job, int stage)
{
    const double until = job->stages[stage].until;
    const double x = strcmp(job->switch_by, "step") == 0 ? until : until * job->steps;
    const int    moved = strcmp(job->switch_by, "noise") == 0 ? 1 : 0;
    const int    step = (int)ceil(x - 1e-6) + moved;
    return step < 0 ? 0 : step > job->steps ? job->steps : step;
}

/* Counts its calls only while it runs. */
static int adaptive(const rf_job *job)
{
    return strcmp(job->sampler, "DPM adaptive") == 0;
}

static int has(const rf_plan *plan, const char *order)
{
    return plan->stages[0].prompt && strstr(plan->stages[0].prompt, order);
}

static void tell_loras(const rf_plan *p)
{
    char text[400];
    for (int i = 0; i < p->job.stage_count && p->engine->options.warn; i++)
        for (int k = 0; k < p->stages[i].lora_count; k++) {
            const rf_lora_use *use = &p->stages[i].loras[k];
            snprintf(text, sizeof text, "stage %d: %s %g %g%s%s", i, use->path, use->unet,
                     use->text, use->everywhere ? " everywhere" : "",
                     use->partial ? " partial" : "");
            p->engine->options.warn(p->engine->options.user, text);
        }
}

rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err)
{
    rf_plan *p = *out = calloc(1, sizeof **out);
    if (!p) return rf_fail(err, RF_E_NOMEM, "no memory");
    const rf_status st = fake_job_check(job, err);
    if (st != RF_OK) {
        *out = NULL;
        free(p);
        return st;
    }
    p->engine = engine;
    p->job = *job;
    p->asked = job->steps;
    if (job->init && !job->init->exact_steps) {
        const int t = (int)(job->init->denoise * job->steps);
        p->job.steps = (t < job->steps - 1 ? t : job->steps - 1) + 1;
    }
    job = &p->job;
    memcpy(p->stages, job->stages, (size_t)job->stage_count * sizeof *job->stages);
    p->job.stages = p->stages;
    for (int i = 0; i < job->stage_count; i++) {
        p->first[i + 1] = i + 1 < job->stage_count ? fake_first_step(job, i) : job->steps;
        if (p->first[i + 1] == p->first[i] && !job->idle_stages && engine->options.warn)
            engine->options.warn(engine->options.user, "a stage makes no call and is dropped");
    }
    for (int i = 0; i < job->steps; i++) p->sigmas[i] = 14.6 * (1 - (double)i / job->steps);
    if (has(p, "!loras")) tell_loras(p);
    if (has(p, "!warn") && engine->options.warn)
        for (int i = 0; i < 2; i++) engine->options.warn(engine->options.user, "as ordered");
    return RF_OK;
}

rf_status rf_plan_create_many(rf_plan **out, rf_engine *engine, const rf_job *jobs, int job_count,
                              rf_error *err)
{
    rf_status st = RF_OK;
    rf_plan  *many = NULL;
    RF_TRY(rf_plan_create(&many, engine, &jobs[0], err));
    many->each = calloc((size_t)job_count, sizeof(rf_plan *));
    if (!many->each) {
        st = rf_fail(err, RF_E_NOMEM, "no memory");
        goto done;
    }
    for (; many->jobs < job_count; many->jobs++)
        RF_TRY(rf_plan_create(&many->each[many->jobs], engine, &jobs[many->jobs], err));
    *out = many;
    many = NULL;
done:
    rf_plan_destroy(many);
    return st;
}

void rf_plan_destroy(rf_plan *plan)
{
    if (!plan) return;
    for (int i = 0; i < plan->jobs; i++) free(plan->each[i]);
    free(plan->each);
    free(plan);
}

rf_status rf_plan_get_job(const rf_plan *plan, int job, rf_job_info *out)
{
    const int calls = plan->each[job]->job.steps;
    *out =
        (rf_job_info){.calls = calls, .pictures = 1, .calls_alone = calls, .calls_of_own = calls};
    return RF_OK;
}

/* A group for each job. */
rf_status rf_plan_divide(const rf_plan *plan, int workers, int *group, int64_t *cost, int *groups,
                         rf_error *err)
{
    (void)workers, (void)err;
    for (int i = 0; i < plan->jobs; i++) {
        group[i] = i;
        cost[i] = plan->each[i]->job.steps;
    }
    *groups = plan->jobs;
    return RF_OK;
}

void rf_plan_get_info(const rf_plan *plan, rf_plan_info *out)
{
    const rf_job *job = &plan->job;
    const size_t  pixels = (size_t)job->width * (size_t)job->height;
    int64_t       calls = plan->jobs ? 0 : job->steps;
    for (int i = 0; i < plan->jobs; i++) calls += plan->each[i]->job.steps;
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
        .steps = job->steps,
        .calls = adaptive(job) ? 0 : job->steps,
        .sigmas = plan->sigmas,
        .jobs = plan->jobs ? plan->jobs : 1,
        .calls_naive = calls,
        .calls_shared = calls,
        .launches = calls,
        .loads = 2,
        .resident = 1,
    };
}

rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out)
{
    if (stage < 0 || stage >= plan->job.stage_count) return RF_E_ARG;
    int same = 0;
    for (int i = 0; i < stage; i++) same |= plan->stages[i].expert == plan->stages[stage].expert;
    *out = (rf_stage_info){
        .expert = plan->stages[stage].expert->name,
        .first_step = plan->first[stage],
        .calls = adaptive(&plan->job) ? 0 : plan->first[stage + 1] - plan->first[stage],
        .takes_part = plan->first[stage + 1] > plan->first[stage],
        .sigma = plan->sigmas[plan->first[stage]],
        .weights_bytes = same ? 0 : 5000,
    };
    return RF_OK;
}

/* Every LoRA is a whole one for SDXL; the file "half" fits by half. */
rf_status rf_plan_get_lora(const rf_plan *plan, int stage, int lora, rf_lora_info *out)
{
    if (stage >= plan->job.stage_count || lora >= plan->stages[stage].lora_count) return RF_E_ARG;
    const rf_lora_use *use = &plan->stages[stage].loras[lora];
    const int          half = strstr(use->path, "half") != NULL;
    *out = (rf_lora_info){.path = use->path,
                          .modules = {722, 72, 192},
                          .matched = {half ? 361 : 722, 72, 192},
                          .used = 1};
    return RF_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct fake_run {
    const rf_plan      *plan;
    const rf_callbacks *callbacks;
    rf_progress         at;
    int                 job_index;
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

/* Of every picture of the batch, after `calls` calls: eight by eight pixels of one colour. */
static void show_previews(const fake_run *run, int calls)
{
    enum { SIDE = 8 };
    const rf_job *job = &run->plan->job;
    uint8_t       rgb[SIDE * SIDE * 3];
    memset(rgb, calls, sizeof rgb);
    if (!run->callbacks->preview || job->preview_every == 0) return;
    if (calls % job->preview_every || calls == job->steps) return;
    for (int i = 0; i < run->at.images; i++)
        run->callbacks->preview(run->callbacks->user, &(rf_preview){.job_index = run->job_index,
                                                                    .index = run->at.image + i,
                                                                    .call = calls,
                                                                    .calls = job->steps,
                                                                    .width = SIDE,
                                                                    .height = SIDE,
                                                                    .rgb = rgb});
}

static rf_status denoise(fake_run *run, rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &run->plan->job;
    run->at.phase = RF_PHASE_DENOISE;
    for (int step = 0; step < job->steps; step++) {
        for (int s = 0; s < job->stage_count; s++)
            if (step >= run->plan->first[s]) run->at.stage = s;
        run->at.done = run->at.step = step;
        run->at.calls_done = step;
        run->at.total = job->steps;
        RF_TRY(tell(run, err));
        if (has(run->plan, "!slow") || has(run->plan, "!stubborn"))
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        RF_TRY(mishap(run->plan, step, err));
        show_previews(run, step + 1);
    }
done:
    return st;
}

static uint8_t mix(const rf_init *init, size_t i, uint8_t painted)
{
    if (!init) return painted;
    const size_t pixel = i / 3;
    const double x = init->mask ? init->denoise * init->mask[pixel] / 255 : init->denoise;
    return (uint8_t)(x * painted + (1 - x) * init->rgb[i] + 0.5);
}

static rf_status decode(fake_run *run, int index, rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &run->plan->job;
    uint64_t      state = job->seed + (uint64_t)index;
    const size_t  bytes = 3 * (size_t)job->width * (size_t)job->height;
    uint8_t      *rgb = malloc(bytes);
    rf_job        as_asked = *job;
    as_asked.steps = run->plan->asked;
    char *const saved = fake_job_to_json(&as_asked, job->seed + (uint64_t)index);
    if (!rgb || !saved) {
        st = rf_fail(err, RF_E_NOMEM, "no memory");
        goto done;
    }
    for (size_t i = 0; i < bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        rgb[i] = mix(job->init, i, (uint8_t)(state >> 56));
    }
    const rf_image image = {.job_index = run->job_index,
                            .index = index,
                            .seed = job->seed + (uint64_t)index,
                            .width = job->width,
                            .height = job->height,
                            .rgb = rgb,
                            .parameters = "a prompt\nNegative prompt: bad\nSteps: 1, Sampler: "
                                          "Euler a, Seed: 1, Size: 64x64",
                            .job = saved};
    run->at.phase = RF_PHASE_DECODE;
    run->at.done = run->at.image = index;
    run->at.total = job->count;
    run->at.images = 1;
    RF_TRY(tell(run, err));
    RF_TRY(run->callbacks->image(run->callbacks->user, &image, err));
done:
    free(saved);
    free(rgb);
    return st;
}

static rf_status run_one(const rf_plan *plan, int job_index, const rf_callbacks *callbacks,
                         rf_error *err)
{
    rf_status     st = RF_OK;
    const rf_job *job = &plan->job;
    fake_run      run = {.plan = plan,
                         .callbacks = callbacks,
                         .at = {.steps = job->steps, .calls = job->steps, .job_index = job_index},
                         .job_index = job_index};
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

rf_status rf_plan_run(rf_plan *plan, const rf_callbacks *callbacks, rf_error *err)
{
    rf_status st = RF_OK;
    rf_error  why = {0};
    if (!plan->each) return run_one(plan, 0, callbacks, err);
    for (int i = 0; i < plan->jobs && st == RF_OK; i++) {
        st = run_one(plan->each[i], i, callbacks, &why);
        if (st != RF_E_NAN || !callbacks->failed) continue;
        callbacks->failed(callbacks->user, i, 0, st, why.message);
        st = RF_OK;
    }
    return st == RF_OK ? st : rf_fail(err, st, "%s", why.message);
}

void rf_plan_get_timings(const rf_plan *plan, rf_timings *out)
{
    *out = (rf_timings){.load = 0.25, .denoise = 0.1 * plan->job.steps};
}

/* ---- small questions ----------------------------------------------------------------------- */

rf_status rf_tokens_of(int32_t **ids, int *count, rf_engine *engine, const char *encoder,
                       const char *text, rf_error *err)
{
    (void)engine;
    *count = (int)strlen(text);
    *ids = calloc((size_t)*count + 1, sizeof **ids);
    if (!*ids) return rf_fail(err, RF_E_NOMEM, "no memory");
    for (int i = 0; i < *count; i++)
        (*ids)[i] = (unsigned char)text[i] + (strcmp(encoder, "g") == 0 ? 1000 : 0);
    return RF_OK;
}

/* Awkward floats: a third of something, from every argument. */
rf_status rf_noise_of(const char *rng, uint64_t seed, int draw, int c, int h, int w, float *out,
                      rf_error *err)
{
    if (strcmp(rng, "nv") != 0 && strcmp(rng, "cpu") != 0)
        return rf_fail(err, RF_E_ARG, "unknown noise source \"%s\"", rng);
    for (int i = 0; i < c * h * w; i++)
        out[i] = (float)(seed % 100 + 10 * (uint64_t)draw + (uint64_t)i + (*rng == 'c')) / 3;
    return RF_OK;
}
