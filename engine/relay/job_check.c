/* The numbers of a job, each against its range; what is looked up by name is checked there. */
#include <math.h>
#include <stdio.h>

#include "engine/relay/course.h"

enum {
    LORAS_MAX = 256,       /* of a stage: far more than anybody merges */
    EMBEDDINGS_MAX = 1024, /* of a job */
};

static rf_status check_int(const char *field, long long value, long long least, long long greatest,
                           rf_error *err)
{
    if (value >= least && value <= greatest) return RF_OK;
    return rf_fail(err, RF_E_ARG, "%s is %lld; it can be %lld to %lld", field, value, least,
                   greatest);
}

static rf_status check_real(const char *field, double value, double least, double greatest,
                            rf_error *err)
{
    if (value >= least && value <= greatest) return RF_OK; /* NaN is neither */
    return rf_fail(err, RF_E_ARG, "%s is %g; it can be %g to %g", field, value, least, greatest);
}

static rf_status check_size(const char *field, int value, rf_error *err)
{
    rf_status st = check_int(field, value, 64, 8192, err);
    if (st == RF_OK && value % 8)
        st = rf_fail(err, RF_E_ARG, "%s is %d; it must be a multiple of 8, such as %d", field,
                     value, (value + 4) / 8 * 8);
    return st;
}

static rf_status check_names(const rf_job *job, rf_error *err)
{
    const char *missing = !job->stages      ? "stages"
                          : !job->sampler   ? "sampler"
                          : !job->schedule  ? "schedule"
                          : !job->rng       ? "rng"
                          : !job->switch_by ? "switch_by"
                          : !job->emphasis  ? "emphasis"
                                            : NULL;
    if (!missing) return RF_OK;
    return rf_fail(err, RF_E_ARG, "the job has no %s; start from rf_job_default()", missing);
}

/* Numbers of samplers; `stage` 0: the job's. */
static rf_status check_numbers(const rf_stage_sampling *s, int stage, rf_error *err)
{
    const struct {
        const char *name;
        double      value, greatest;
    } rows[] = {{"s_churn", s->s_churn, 1e6},
                {"s_tmin", s->s_tmin, 1e6},
                {"s_tmax", s->s_tmax, INFINITY},
                {"s_noise", s->s_noise, 100},
                {"eta", isnan(s->eta) ? 0 : s->eta, 100}};
    rf_status st = RF_OK;
    char      field[40];
    for (size_t i = 0; i < sizeof rows / sizeof *rows && st == RF_OK; i++) {
        snprintf(field, sizeof field, "%s", rows[i].name);
        if (stage) snprintf(field, sizeof field, "stage %d: %s", stage, rows[i].name);
        st = check_real(field, rows[i].value, 0, rows[i].greatest, err);
    }
    return st;
}

static rf_status check_sampling(const rf_job *job, rf_error *err)
{
    const double            largest = 1e6;
    const rf_stage_sampling numbers = {.eta = job->eta,
                                       .s_churn = job->s_churn,
                                       .s_tmin = job->s_tmin,
                                       .s_tmax = job->s_tmax,
                                       .s_noise = job->s_noise};
    rf_status               st = RF_OK;
    RF_TRY(check_real("sigma_min", job->sigma_min, 0, largest, err));
    RF_TRY(check_real("sigma_max", job->sigma_max, 0, largest, err));
    RF_TRY(check_real("rho", job->rho, 0, 1000, err));
    RF_TRY(check_numbers(&numbers, 0, err));
    RF_TRY(check_real("skip_early_cfg", job->skip_early_cfg, 0, 1, err));
    RF_TRY(check_real("s_min_uncond", job->s_min_uncond, 0, largest, err));
    RF_TRY(check_real("variation", job->variation, 0, 1, err));
done:
    return st;
}

/* Zero or a picture's size, which need not be a multiple of anything. */
static rf_status check_conditioning(const rf_job *job, rf_error *err)
{
    const struct {
        const char *field;
        int         value;
    } sizes[] = {
        {"original_width", job->original_width}, {"original_height", job->original_height},
        {"target_width", job->target_width},     {"target_height", job->target_height},
        {"crop_left", job->crop_left},           {"crop_top", job->crop_top},
    };
    rf_status st = RF_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        RF_TRY(check_int(sizes[i].field, sizes[i].value, 0, 65504, err)); /* f16's largest */
    RF_TRY(check_real("aesthetic", job->aesthetic, 0, 100, err));
    RF_TRY(check_real("aesthetic_negative", job->aesthetic_negative, 0, 100, err));
    RF_TRY(check_int("clip_skip", job->clip_skip, 1, 12, err));
    if ((job->seed_width == 0) != (job->seed_height == 0))
        return rf_fail(err, RF_E_ARG, "seed_width is %d and seed_height %d; give both or neither",
                       job->seed_width, job->seed_height);
    if (job->seed_width) {
        RF_TRY(check_int("seed_width", job->seed_width, 8, 8192, err));
        RF_TRY(check_int("seed_height", job->seed_height, 8, 8192, err));
    }
done:
    return st;
}

static rf_status check_loras(const rf_stage *stage, int number, rf_error *err)
{
    rf_status st = RF_OK;
    char      field[64];
    snprintf(field, sizeof field, "stage %d: lora_count", number);
    RF_TRY(check_int(field, stage->lora_count, 0, LORAS_MAX, err));
    for (int i = 0; i < stage->lora_count; i++) {
        const rf_lora_use *use = &stage->loras[i];
        if (!use->path)
            return rf_fail(err, RF_E_ARG, "stage %d: LoRA %d has no path", number, i + 1);
        snprintf(field, sizeof field, "stage %d: LoRA %d: unet", number, i + 1);
        RF_TRY(check_real(field, use->unet, -100, 100, err));
        snprintf(field, sizeof field, "stage %d: LoRA %d: text", number, i + 1);
        RF_TRY(check_real(field, use->text, -100, 100, err));
    }
done:
    return st;
}

static rf_status check_stage(const rf_stage *stage, int number, rf_error *err)
{
    rf_status st = RF_OK;
    char      field[40];
    if (isnan(stage->cfg_scale) || stage->cfg_scale > 1000)
        return rf_fail(err, RF_E_ARG, "stage %d: cfg_scale is %g; it can be 0 to 1000", number,
                       (double)stage->cfg_scale);
    snprintf(field, sizeof field, "stage %d: cfg_ramp", number);
    RF_TRY(check_real(field, (double)stage->cfg_ramp, -1000, 1000, err));
    snprintf(field, sizeof field, "stage %d: clip_skip", number);
    RF_TRY(check_int(field, stage->clip_skip, 0, 12, err));
    if (stage->sampling) RF_TRY(check_numbers(stage->sampling, number, err));
    RF_TRY(check_loras(stage, number, err));
done:
    return st;
}

static rf_status check_embeddings(const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(check_int("embedding_count", job->embedding_count, 0, EMBEDDINGS_MAX, err));
    for (int i = 0; i < job->embedding_count; i++)
        if (!job->embeddings[i].path)
            return rf_fail(err, RF_E_ARG, "embedding %d has no path", i + 1);
done:
    return st;
}

static rf_status check_init(const rf_init *init, rf_error *err)
{
    return init ? check_real("init: denoise", init->denoise, 0, 1, err) : RF_OK;
}

rf_status rf_job_check(const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(check_int("stage_count", job->stage_count, 1, 64, err));
    RF_TRY(check_names(job, err));
    RF_TRY(check_int("steps", job->steps, 1, RF_STEPS_MAX, err));
    RF_TRY(check_size("width", job->width, err));
    RF_TRY(check_size("height", job->height, err));
    RF_TRY(check_int("count", job->count, 1, 1000000, err));
    RF_TRY(check_int("batch", job->batch, 1, 64, err));
    RF_TRY(check_int("preview_every", job->preview_every, 0, RF_STEPS_MAX, err));
    RF_TRY(check_sampling(job, err));
    RF_TRY(check_conditioning(job, err));
    RF_TRY(check_init(job->init, err));
    RF_TRY(check_embeddings(job, err));
    for (int i = 0; i < job->stage_count; i++) RF_TRY(check_stage(&job->stages[i], i + 1, err));
done:
    return st;
}
