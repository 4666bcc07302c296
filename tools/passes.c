/* See passes.h. */
#include "tools/passes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/start.h"

rf_status rf_passes_add(rf_passes *p, const rf_job *job, const rf_init *init, rf_error *err)
{
    const size_t count = (size_t)job->stage_count;
    if (p->count == RF_PASSES_LINKS)
        return rf_fail(err, RF_E_FORMAT, "more than %d passes to one picture", RF_PASSES_LINKS);
    if (!p->pass) p->pass = calloc(RF_PASSES_LINKS, sizeof *p->pass);
    rf_stage *stages = p->pass ? malloc(count * sizeof *stages) : NULL;
    if (!stages) return rf_fail(err, RF_E_NOMEM, "no memory for a pass");
    rf_pass_spec *pass = &p->pass[p->count++];
    memcpy(stages, job->stages, count * sizeof *stages);
    *pass = (rf_pass_spec){.job = *job, .stages = stages};
    pass->job.stages = stages;
    if (!init) return RF_OK;
    pass->init = *init;
    pass->job.init = &pass->init; /* stays there: the array never grows */
    return RF_OK;
}

void rf_passes_release(rf_passes *passes)
{
    for (int i = 0; i < passes->count; i++) free(passes->pass[i].stages);
    free(passes->pass);
    *passes = (rf_passes){.count = 0};
}

int rf_passes_expected(const rf_request *request)
{
    return request->start.passes * (rf_start_refines_picture(request) ? 2 : 1);
}

/* ---- strengths ---------------------------------------------------------------------------- */

static int steps_at(double denoise, int steps)
{
    const int t = (int)(fmin(denoise, 0.999) * steps);
    return (t < steps - 1 ? t : steps - 1) + 1;
}

double rf_denoise_for(int wanted, int steps)
{
    const double middle = (wanted - 0.5) / steps; /* of the strengths that make so many */
    for (int ten = 100; ten <= 100000; ten *= 10) {
        const double rounded = round(middle * ten) / ten;
        if (steps_at(rounded, steps) == wanted) return rounded;
    }
    return middle;
}

/* Where the refiner would take over in a relay: its steps of all; -1: only the picture tells. */
static rf_status find_switch(rf_engine *engine, const rf_job *job, int *wanted, int *steps,
                             rf_error *err)
{
    rf_status             st = RF_OK;
    const rf_explanation *x = NULL;
    rf_job                relay = *job;
    relay.init = NULL; /* the refiner begins from a finished picture, whatever the base does */
    RF_TRY(rf_explain(&x, engine, &relay, 0, err));
    *steps = x->sigma_count - 1;
    *wanted = x->calls == 0 ? -1 : 0;
    if (x->calls > 0 && x->handovers > 0 && x->handover[0].call >= 0)
        *wanted = *steps - x->handover[0].step;
done:
    rf_explanation_free(x);
    return st;
}

static rf_status refiner_strength(rf_engine *engine, const rf_request *q, const rf_job *job,
                                  double *denoise, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    int       wanted = 0, steps = 0;
    const int alone = !q->start.init && q->start.passes == 1; /* --denoise can only mean this */
    *denoise = q->start.denoise;
    if (alone && !isnan(*denoise)) return RF_OK;
    RF_TRY(find_switch(engine, job, &wanted, &steps, &trouble->error));
    if (wanted < 0 &&
        (strcmp(job->switch_by, "sigma") == 0 || strcmp(job->switch_by, "step") == 0)) {
        rf_trouble_hint(trouble, "--denoise 0.5");
        st = rf_fail(&trouble->error, RF_E_ARG,
                     "--refine-by img2img: with %s nobody knows which strength the switch is",
                     job->sampler);
    } else if (wanted < 0) {
        *denoise = 1 - job->stages[0].until;
    } else if (q->start.exact_steps) {
        *denoise = (double)wanted / steps;
    } else {
        *denoise = wanted > 0 ? rf_denoise_for(wanted, steps) : 0;
    }
    if (wanted == 0) *denoise = NAN;
done:
    return st;
}

/* ---- what is asked for -------------------------------------------------------------------- */

typedef struct making {
    rf_passes        *out;
    const rf_request *q;
    rf_error         *err;
} making;

/* The next pass; the first of all begins as its job does. */
static rf_status add(const making *m, const rf_job *job, double denoise)
{
    rf_job         next = *job;
    const rf_init *first = m->q->job.init;
    rf_init        again = {.denoise = denoise, .exact_steps = m->q->start.exact_steps};
    if (m->out->count == 0) return rf_passes_add(m->out, job, NULL, m->err);
    if (first) { /* and stays inside the mask */
        again.mask = first->mask;
        again.mask_path = first->mask_path;
        again.mask_sha256 = first->mask_sha256;
        again.mask_blur = first->mask_blur;
        again.mask_inverted = first->mask_inverted;
        again.resize_mode = first->resize_mode;
    }
    next.seed += (uint64_t)m->out->count;
    return rf_passes_add(m->out, &next, &again, m->err);
}

/* The base alone, or the refiner alone, as the ends of the switch: so prompts that change at it are
 * what each of them has. */
static rf_status add_end(const making *m, const rf_job *job, double until, double denoise)
{
    rf_stage stages[2] = {job->stages[0], job->stages[1]};
    rf_job   end = *job;
    stages[0].until = until;
    end.stages = stages;
    end.switch_by = "steps";
    end.compat = NULL;
    end.idle_stages = 1;
    return add(m, &end, denoise);
}

static void tell_strength(rf_console *console, double strength)
{
    char text[120];
    snprintf(text, sizeof text, "the refiner makes an img2img of the base's picture, strength %.4g",
             strength);
    rf_console_note(console, text);
}

static rf_status check_refining(const rf_request *q, const rf_job *job, rf_trouble *trouble)
{
    if (!rf_start_refines_picture(q) || job->stage_count == 2) return RF_OK;
    return rf_fail(&trouble->error, RF_E_ARG,
                   "--refine-by img2img is about a base and a refiner, and there %s %d stage%s",
                   job->stage_count == 1 ? "is" : "are", job->stage_count,
                   job->stage_count == 1 ? "" : "s");
}

rf_status rf_passes_make(rf_passes *out, rf_invocation *in, rf_engine *engine, const rf_request *q,
                         const rf_job *job, void (*warn)(void *user, const char *message),
                         void         *user)
{
    rf_status    st = RF_OK;
    const making m = {out, q, &in->trouble.error};
    const double again = rf_start_denoise(q, RF_DENOISE_PASS);
    const int    refines = rf_start_refines_picture(q), last = rf_passes_expected(q) - 1;
    double       strength = 0;
    RF_TRY(check_refining(q, job, &in->trouble));
    if (job->seed > (uint64_t)INT64_MAX - (uint64_t)(job->count - 1) - (uint64_t)last) {
        st = rf_fail(m.err, RF_E_ARG, "--seed: counting up for %d passes goes beyond %lld",
                     last + 1, (long long)INT64_MAX);
        goto done;
    }
    if (refines) RF_TRY(refiner_strength(engine, q, job, &strength, &in->trouble));
    if (isnan(strength))
        warn(user, "--refine-by img2img: the switch leaves the refiner no step, and it makes none");
    else if (refines)
        tell_strength(&in->console, strength);
    for (int i = 0; i < q->start.passes; i++) {
        if (!refines) {
            RF_TRY(add(&m, job, again));
            continue;
        }
        RF_TRY(add_end(&m, job, 1, again));
        if (!isnan(strength)) RF_TRY(add_end(&m, job, 0, strength));
    }
done:
    return st;
}
