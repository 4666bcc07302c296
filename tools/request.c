/* From what was typed to a job; see request.h.  Explicit options win over a recipe's. */
#include "tools/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/exit_codes.h"
#include "tools/relay_file.h"
#include "tools/relay_folder.h"
#include "tools/request_texts.h"

void rf_request_prepare(void *request)
{
    rf_request *r = request;
    r->job = rf_job_default();
    r->refiner_cfg_scale = -1;
    r->switch_at = 0.5;
    r->start = (rf_start_options){
        .resize_mode = "resize", .denoise = NAN, .passes = 1, .refine_by = "relay"};
}

void rf_request_release(rf_request *request)
{
    for (int i = 0; i < request->owned_count; i++) free(request->owned[i]);
    request->owned_count = 0;
    free(request->relay_path);
    request->relay_path = NULL;
    rf_relay_free(&request->relay);
}

int rf_request_given(const rf_invocation *in, const char *name)
{
    return rf_args_given(in->verb, &in->args, name);
}

/* --width and --height replace --size's; both are held to its rules. */
static rf_status settle_size(rf_invocation *in, rf_request *r)
{
    char text[40];
    if (!r->width && !r->height) return RF_OK;
    snprintf(text, sizeof text, "%dx%d", r->width ? r->width : r->job.width,
             r->height ? r->height : r->job.height);
    return rf_option_convert(&rf_options_pictures[0], "--size", text, &r->job.width, &in->trouble);
}

/* A random seed has 32 bits, as A1111's, so that it fits whatever reads the metadata. */
static rf_status draw_seed(rf_invocation *in, int64_t *seed)
{
    uint32_t random = 0;
    if (*seed != RF_SEED_RANDOM) return RF_OK;
    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        in->exit_code = RF_EXIT_OS;
        return rf_fail(&in->trouble.error, RF_E_BUG, "the system gives no random numbers");
    }
    *seed = random;
    return RF_OK;
}

static rf_status settle_seeds(rf_invocation *in, rf_request *r)
{
    rf_status st = RF_OK;
    RF_TRY(draw_seed(in, &r->seed));
    RF_TRY(draw_seed(in, &r->variation_seed));
    if (r->seed > INT64_MAX - (r->job.count - 1)) {
        st = rf_fail(&in->trouble.error, RF_E_ARG,
                     "--seed %lld: counting up for %d pictures goes beyond %lld",
                     (long long)r->seed, r->job.count, (long long)INT64_MAX);
        goto done;
    }
    r->job.seed = (uint64_t)r->seed;
    r->job.variation_seed = (uint64_t)r->variation_seed;
done:
    return st;
}

/* Options that only a refiner could heed, given without one. */
static void warn_without_refiner(const rf_invocation *in, const rf_request           *r,
                                 void (*warn)(void *user, const char *message), void *user)
{
    static const char *const FLAGS[] = {"switch-at",        "switch-by",         "refiner-prompt",
                                        "refiner-negative", "refiner-cfg-scale", "refiner-sampler",
                                        "refiner-lora",     "refiner-prediction"};
    char                     text[160];
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++) {
        if (!rf_request_given(in, FLAGS[i])) continue;
        if (r->recipe && strcmp(FLAGS[i], "refiner-negative") == 0) continue; /* tags */
        snprintf(text, sizeof text, "--%s has no effect without --refiner: the base does all steps",
                 FLAGS[i]);
        warn(user, text);
    }
}

/* Whether a hand-over takes place.  `explain` shows one for whatever speaks of it, because it can
 * do without the files. */
static int hands_over(const rf_invocation *in, const rf_request *r)
{
    if (r->refiner) return 1;
    return r->files_optional && (rf_request_given(in, "switch-at") || r->recipe ||
                                 r->refiner_prompt || r->refiner_loras.count > 0);
}

static void settle_stages(const rf_invocation *in, rf_request *r)
{
    const int two = hands_over(in, r);
    r->stages[0] = (rf_stage){
        .until = two ? r->switch_at : 1,
        .prompt = r->prompt ? r->prompt : "",
        .negative = r->negative ? r->negative : "",
        .cfg_scale = (float)r->cfg_scale,
    };
    r->stages[1] = (rf_stage){
        .until = 1,
        .prompt = r->refiner_prompt,
        .negative = r->refiner_negative,
        .cfg_scale = (float)r->refiner_cfg_scale,
        .sampler = r->refiner_sampler,
    };
    r->job.stages = r->stages;
    r->job.stage_count = two ? 2 : 1;
    r->files[0] = r->base;
    r->files[1] = r->refiner;
    r->predictions[0] = r->base_prediction;
    r->predictions[1] = r->refiner_prediction;
}

/* What stages say of themselves, or what is about two experts. */
static rf_status check_relay(rf_invocation *in, const rf_request *r)
{
    const char              *relay = r->relay_name ? "--relay" : "--stage";
    static const char *const FLAGS[] = {
        "base",           "refiner",          "switch-at",         "recipe",
        "refiner-prompt", "refiner-negative", "refiner-cfg-scale", "refiner-sampler",
        "base-lora",      "refiner-lora",     "base-prediction",   "refiner-prediction"};
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
        if (rf_request_given(in, FLAGS[i]))
            return rf_fail(&in->trouble.error, RF_E_ARG,
                           "%s and --%s exclude each other: a stage says all of that itself", relay,
                           FLAGS[i]);
    if (r->relay_name && r->stage_texts.count > 0)
        return rf_fail(&in->trouble.error, RF_E_ARG,
                       "--relay and --stage exclude each other: a relay has all of its stages");
    return RF_OK;
}

/* Settings of the file, where the command line has none. */
static void apply_relay(const rf_invocation *in, rf_request *r)
{
    const rf_relay *relay = &r->relay;
    if (relay->switch_by && !rf_request_given(in, "switch-by")) r->job.switch_by = relay->switch_by;
    if (relay->sampler && !rf_request_given(in, "sampler")) r->job.sampler = relay->sampler;
    if (relay->schedule && !rf_request_given(in, "schedule")) r->job.schedule = relay->schedule;
    if (relay->steps && !rf_request_given(in, "steps")) r->job.steps = relay->steps;
}

static rf_status read_relay(rf_invocation *in, rf_request *r)
{
    rf_status st = RF_OK;
    if (!r->relay_name) return rf_relay_read(&r->relay, &r->stage_texts, &in->trouble);
    RF_TRY(rf_relay_locate(&r->relay_path, r->relay_name, &in->trouble));
    RF_TRY(rf_relay_read_file(&r->relay, r->relay_path, &in->trouble));
    RF_TRY(rf_relay_insert(&r->relay, r->prompt, r->negative, &in->trouble));
    apply_relay(in, r);
done:
    return st;
}

static rf_status check_experts(rf_invocation *in, rf_request *r)
{
    for (int i = 0; i < r->relay.stages; i++) {
        r->files[i] = r->relay.expert[i];
        if (r->files[i] || r->files_optional) continue;
        rf_trouble_hint(&in->trouble, "--stage 'expert=pony.safetensors;until=0.5;...'");
        if (r->relay_name)
            return rf_fail(&in->trouble.error, RF_E_FORMAT, "%s: stage %d has no \"expert\"",
                           r->relay_path, i + 1);
        return rf_fail(&in->trouble.error, RF_E_ARG, "--stage (%d): expert= is missing", i + 1);
    }
    return RF_OK;
}

static void warn_of_relay(const rf_request *r, void (*warn)(void *user, const char *message),
                          void             *user)
{
    const unsigned given = r->relay.given[r->relay.stages - 1];
    int            skips = 0;
    for (int i = 0; i < r->relay.stages; i++) skips |= r->relay.stage[i].clip_skip != 0;
    if (given & 1u << RF_KEY_UNTIL)
        warn(user, r->relay_name
                       ? "\"until\" of a relay's last stage has no effect: it makes all steps that "
                         "are left"
                       : "until= of the last --stage has no effect: it makes all steps that are "
                         "left");
    if (skips && !r->job.clip_l_skip)
        warn(user, "clip_skip of a stage has no effect without --clip-l-skip: SDXL ignores it");
}

/* What the first stage leaves open is --prompt, --negative and --cfg-scale. */
static rf_status settle_relay(rf_invocation *in, rf_request                       *r,
                              void (*warn)(void *user, const char *message), void *user)
{
    rf_status st = RF_OK;
    rf_stage *first = r->relay.stage;
    RF_TRY(check_relay(in, r));
    RF_TRY(read_relay(in, r));
    if (!first->prompt) first->prompt = r->prompt ? r->prompt : "";
    if (!first->negative) first->negative = r->negative ? r->negative : "";
    if (first->cfg_scale < 0) first->cfg_scale = (float)r->cfg_scale;
    RF_TRY(check_experts(in, r));
    warn_of_relay(r, warn, user);
    for (int i = 0; i < r->relay.stages; i++) {
        r->predictions[i] = r->relay.prediction[i];
        rf_relay_settle_sampling(r->relay.given[i], &r->relay.sampling[i], &r->job,
                                 &r->relay.stage[i], &r->sampling[i]);
    }
    r->job.stages = r->relay.stage;
    r->job.stage_count = r->relay.stages;
done:
    return st;
}

static void apply_recipe(const rf_invocation *in, rf_request *r, const rf_recipe *recipe)
{
    if (!rf_request_given(in, "sampler")) r->job.sampler = recipe->sampler;
    if (!rf_request_given(in, "steps")) r->job.steps = recipe->steps;
    if (!rf_request_given(in, "cfg-scale")) r->cfg_scale = recipe->cfg_scale;
    if (!rf_request_given(in, "switch-at")) r->switch_at = recipe->switch_at;
}

rf_status rf_request_settle(rf_invocation *in, rf_request                       *r,
                            void (*warn)(void *user, const char *message), void *user)
{
    rf_status        st = RF_OK;
    const rf_recipe *recipe = r->recipe ? rf_recipe_find(r->recipe) : NULL;
    if (recipe) apply_recipe(in, r, recipe);
    if (strcmp(r->compat, "none") != 0) r->job.compat = r->compat;
    if (r->refiner && strcmp(r->refiner, "none") == 0) r->refiner = NULL;
    RF_TRY(rf_request_texts(in, r, recipe));
    RF_TRY(settle_size(in, r));
    RF_TRY(settle_seeds(in, r));
    settle_stages(in, r);
    if (rf_request_has_relay(r))
        RF_TRY(settle_relay(in, r, warn, user));
    else if (r->job.stage_count == 1)
        warn_without_refiner(in, r, warn, user);
    if (rf_request_given(in, "styles") && r->styles.count == 0)
        warn(user, "--styles has no effect without --style NAME");
done:
    return st;
}
