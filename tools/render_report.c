/* Results of a render; see render_report.h.  A stage that makes no call does not exist: `base` is
 * the first stage at work, `refiner` the one after it, or null; `experts` has all of them. */
#include "tools/render_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lora_report.h"
#include "tools/prediction_report.h"

enum { STAGES = 64 }; /* most of a job */

int rf_report_warn(rf_report *report, const char *message)
{
    for (int i = 0; i < report->warning_count; i++)
        if (strcmp(report->warnings[i], message) == 0) return 0;
    if (report->warning_count == RF_REPORT_WARNINGS) return 1;
    if (!report->warnings) report->warnings = calloc(RF_REPORT_WARNINGS, sizeof(char *));
    char *copy = report->warnings ? strdup(message) : NULL;
    if (copy) report->warnings[report->warning_count++] = copy;
    return 1;
}

void rf_report_release(rf_report *report)
{
    for (int i = 0; i < report->warning_count; i++) free(report->warnings[i]);
    free(report->warnings);
    report->warnings = NULL;
    report->warning_count = 0;
}

json_t *rf_report_warnings(const rf_report *report)
{
    json_t *list = json_array();
    for (int i = 0; i < report->warning_count; i++)
        json_array_append_new(list, rf_json_text(report->warnings[i]));
    return list;
}

static rf_status plan_facts(const rf_report *r, rf_plan_info *info, rf_stage_info *stages,
                            rf_error *err)
{
    rf_plan_get_info(r->plan, info);
    for (int i = 0; i < r->job->stage_count && i < STAGES; i++)
        if (rf_plan_get_stage(r->plan, i, &stages[i]) != RF_OK)
            return rf_fail(err, RF_E_BUG, "the plan does not describe stage %d", i);
    return RF_OK;
}

/* What the pictures begin from, and which pass this is; NULL: noise, and it is the only one. */
static json_t *start_json(const rf_report *r)
{
    const rf_init *init = r->job->init;
    if (!init && r->passes < 2) return NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i}", "init",
                     init && init->path ? rf_json_text(init->path) : json_null(), "mask",
                     init && init->mask_path ? rf_json_text(init->mask_path) : json_null(),
                     "denoise", init ? rf_json_real(init->denoise) : json_null(), "exact_steps",
                     json_boolean(init && init->exact_steps), "pass", r->pass + 1, "passes",
                     r->passes > 1 ? r->passes : 1);
}

static void start_table(const rf_report *r)
{
    const rf_init *init = r->job->init;
    if (r->passes > 1) printf("pass %d of %d\n", r->pass + 1, r->passes);
    if (!init) return;
    printf("begins from %s, strength %.4g",
           init->path ? init->path : "the picture of the last pass", init->denoise);
    printf("%s%s\n", init->mask_path ? ", inside " : "", init->mask_path ? init->mask_path : "");
}

/* ---- the plan ----------------------------------------------------------------------------- */

static rf_status plan_json(const rf_report *r, const rf_plan_info *info,
                           const rf_stage_info *stages, rf_error *err)
{
    json_t *weights = json_array(), *calls = json_array(), *experts = json_array();
    json_t *first_steps = json_array(), *switches = json_array(), *sigmas = json_array();
    for (int i = 0; i < r->job->stage_count; i++) {
        json_array_append_new(weights, rf_json_bytes(stages[i].weights_bytes));
        json_array_append_new(calls, json_integer(stages[i].calls));
        json_array_append_new(experts, rf_json_text(stages[i].expert));
        json_array_append_new(first_steps, json_integer(stages[i].first_step));
        json_array_append_new(switches, rf_json_real(stages[i].sigma));
    }
    for (int i = 0; i <= info->steps; i++)
        json_array_append_new(sigmas, rf_json_real(info->sigmas[i]));
    json_t *object = json_pack(
        "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}",
        "schema", 1, "device", rf_json_text(r->device), "slab_bytes",
        rf_json_bytes(info->slab_bytes), "unet_slab_bytes", rf_json_bytes(info->unet_slab_bytes),
        "vae_slab_bytes", rf_json_bytes(info->vae_slab_bytes), "weights_bytes", weights, "kv_bytes",
        rf_json_bytes(info->kv_bytes), "kv_pool_bytes", rf_json_bytes(info->kv_pool_bytes),
        "kv_all_bytes", rf_json_bytes(info->kv_all_bytes), "host_bytes",
        rf_json_bytes(info->host_bytes), "staging_bytes", rf_json_bytes(info->staging_bytes),
        "calls", calls, "state_bytes", rf_json_bytes(info->state_bytes), "text_bytes",
        rf_json_bytes(info->text_bytes), "vae_bytes", rf_json_bytes(info->vae_bytes), "peak_bytes",
        rf_json_bytes(info->peak_bytes), "experts", experts, "first_steps", first_steps,
        "stage_sigmas", switches, "steps", info->steps, "count", r->job->count, "batch",
        info->batch, "vae", rf_json_text(info->vae), "sampler", rf_json_text(info->sampler),
        "schedule", rf_json_text(info->schedule), "sigmas", sigmas, "warnings",
        rf_report_warnings(r));
    if (object) json_object_set_new(object, "loras", rf_lora_report_json(r->plan, r->job));
    json_t *start = start_json(r);
    if (object && start) json_object_set_new(object, "img2img", start);
    return rf_json_print(object, err);
}

void rf_report_bytes(const char *what, size_t bytes)
{
    const int mega = bytes >= 1 << 20;
    printf("  %-28s %9.1f %s\n", what, (double)bytes / (mega ? 1 << 20 : 1 << 10),
           mega ? "MiB" : "KiB");
}

void rf_report_pool(const rf_plan_info *info)
{
    const double mib = 1.0 / (1 << 20);
    if (info->kv_all_bytes > info->kv_pool_bytes)
        printf(
            "  keys and values of all prompts are %.1f MiB, and %.1f MiB are kept: the others are "
            "computed again when they are read\n",
            (double)info->kv_all_bytes * mib, (double)info->kv_pool_bytes * mib);
}

static void plan_table(const rf_report *r, const rf_plan_info *info, const rf_stage_info *stages)
{
    const rf_job *job = r->job;
    char          text[RF_PREDICTION_BYTES];
    if (r->pass == 0) printf("%s\n", r->device);
    start_table(r);
    printf("%d picture%s of %dx%d, %d at a time; %d steps, %s, %s\n", job->count,
           job->count == 1 ? "" : "s", job->width, job->height, info->batch, info->steps,
           info->sampler, info->schedule);
    for (int i = 0; i < job->stage_count; i++) {
        if (!stages[i].takes_part)
            printf("  %-28s no calls\n", stages[i].expert);
        else if (info->calls == 0)
            printf("  %-28s as many steps as the picture needs\n", stages[i].expert);
        else
            printf("  %-28s steps %d to %d, from sigma %.4g\n", stages[i].expert,
                   stages[i].first_step + 1, stages[i].first_step + stages[i].calls,
                   stages[i].sigma);
    }
    for (int i = 0; i < job->stage_count; i++)
        if (stages[i].takes_part && job->stages[i].expert)
            printf("  %-28s %s\n", stages[i].expert,
                   rf_prediction_text(job->stages[i].expert, text));
    printf("  %-28s VAE of %s\n", "decoding", info->vae);
    printf("memory\n");
    rf_report_bytes("activations (slab)", info->slab_bytes);
    rf_report_bytes("  of the UNet", info->unet_slab_bytes);
    rf_report_bytes("  of the VAE decoder", info->vae_slab_bytes);
    for (int i = 0; i < job->stage_count; i++)
        if (stages[i].weights_bytes) rf_report_bytes(stages[i].expert, stages[i].weights_bytes);
    rf_report_bytes("prompt keys and values", info->kv_bytes);
    rf_report_bytes("latents and sampler state", info->state_bytes);
    rf_report_bytes("staging", info->staging_bytes);
    rf_report_bytes("text encoders, for a while", info->text_bytes);
    rf_report_bytes("VAE decoder", info->vae_bytes);
    rf_report_bytes("most at once", info->peak_bytes);
    if (info->host_bytes) rf_report_bytes("of the host's memory", info->host_bytes);
    rf_report_pool(info);
}

rf_status rf_report_plan(const rf_report *r, int json, rf_error *err)
{
    rf_status     st = RF_OK;
    rf_plan_info  info;
    rf_stage_info stages[STAGES] = {{0}};
    RF_TRY(plan_facts(r, &info, stages, err));
    if (json)
        RF_TRY(plan_json(r, &info, stages, err));
    else
        plan_table(r, &info, stages);
done:
    return st;
}

/* ---- a picture ---------------------------------------------------------------------------- */

/* Guidance of a stage's first call: its own, or that with which the stage before it ends. */
static float stage_cfg(const rf_report *r, int stage)
{
    const rf_stage *s = r->job->stages;
    int             from = stage;
    while (from > 0 && s[from].cfg_scale < 0) from--;
    float cfg = s[from].cfg_scale < 0 ? 6 : s[from].cfg_scale; /* rf_stage's default */
    for (; from < stage; from++)
        if (s[from].cfg_ramp != 0) cfg = fmaxf(0, cfg + s[from].cfg_ramp);
    return cfg;
}

static json_t *expert_json(const rf_report *r, int stage)
{
    char       hex[65];
    rf_expert *expert = r->job->stages[stage].expert;
    /* The picture is there: a hash that failed (the engine has warned) is no reason to fail. */
    const char *known = rf_expert_sha256(expert, hex, NULL, NULL, NULL) == RF_OK ? hex : NULL;
    return json_pack("{s:o, s:s?, s:o, s:o}", "name", rf_json_text(rf_expert_name(expert)),
                     "sha256", known, "cfg", rf_json_single(stage_cfg(r, stage)), "predicts",
                     rf_prediction_json(expert));
}

/* Where a stage takes over; step and sigma are null if only the picture tells (DPM adaptive). */
static json_t *hand_over_json(const rf_report *r, const rf_plan_info *info,
                              const rf_stage_info *stage, double until)
{
    const int known = info->calls > 0;
    return json_pack("{s:s, s:f, s:o, s:o}", "kind", r->job->switch_by, "value", until, "step",
                     known ? json_integer(stage->first_step) : json_null(), "sigma",
                     known ? rf_json_real(stage->sigma) : json_null());
}

static json_t *timings_json(const rf_report *r)
{
    rf_timings t = {0};
    rf_plan_get_timings(r->plan, &t);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "load", rf_json_seconds(t.load), "encode",
                     rf_json_seconds(t.encode), "denoise", rf_json_seconds(t.denoise), "decode",
                     rf_json_seconds(t.decode), "write", rf_json_seconds(r->write_s));
}

/* Every stage at work, in order; a file that comes again is hashed once. */
static json_t *experts_json(const rf_report *r, const rf_plan_info *info,
                            const rf_stage_info *stages)
{
    json_t *list = json_array();
    for (int i = 0; i < r->job->stage_count; i++) {
        if (!stages[i].takes_part) continue;
        const int known = info->calls > 0;
        json_t   *expert = expert_json(r, i);
        json_object_set_new(expert, "first_step",
                            known ? json_integer(stages[i].first_step) : json_null());
        json_object_set_new(expert, "calls", known ? json_integer(stages[i].calls) : json_null());
        json_array_append_new(list, expert);
    }
    return list;
}

static rf_status picture_json(const rf_report *r, const char *path, const rf_image *image,
                              rf_error *err)
{
    rf_status     st = RF_OK;
    rf_plan_info  info;
    rf_stage_info stages[STAGES] = {{0}};
    json_t       *experts[2] = {NULL}, *hand_over = NULL;
    int           active = 0, before = 0;
    float         cfg = 0;
    RF_TRY(plan_facts(r, &info, stages, err));
    for (int i = 0; i < r->job->stage_count && active < 2; i++) {
        if (!stages[i].takes_part) continue;
        experts[active++] = expert_json(r, i);
        if (active == 1) cfg = stage_cfg(r, i);
        if (active == 2)
            hand_over = hand_over_json(r, &info, &stages[i], r->job->stages[before].until);
        before = i;
    }
    json_t *object = json_pack(
        "{s:i, s:o, s:I, s:i, s:i, s:o?, s:o?, s:o?, s:o, s:o, s:o, s:i, s:o, s:o, s:o}", "schema",
        1, "path", rf_json_text(path), "seed", (json_int_t)image->seed, "width", image->width,
        "height", image->height, "base", experts[0], "refiner", experts[1], "switch", hand_over,
        "vae", rf_json_text(info.vae), "sampler", rf_json_text(info.sampler), "schedule",
        rf_json_text(info.schedule), "steps", info.steps, "cfg", rf_json_single(cfg), "timings_s",
        timings_json(r), "warnings", rf_report_warnings(r));
    experts[0] = experts[1] = hand_over = NULL; /* the object's, or gone with it */
    if (object) {
        json_t *start = start_json(r);
        json_object_set_new(object, "experts", experts_json(r, &info, stages));
        json_object_set_new(object, "loras", rf_lora_report_json(r->plan, r->job));
        if (start) json_object_set_new(object, "img2img", start);
    }
    st = rf_json_print(object, err);
done:
    for (int i = 0; i < 2; i++) json_decref(experts[i]);
    json_decref(hand_over);
    return st;
}

rf_status rf_report_picture(const rf_report *report, int json, const char *path,
                            const rf_image *image, rf_error *err)
{
    if (json) return picture_json(report, path, image, err);
    puts(path);
    return RF_OK;
}
