/* The table of samplers, the rules of a request, and what is common to every plan. */
#include "engine/sample/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/sampler_rule.h"

enum {
    SECOND = RF_SAMPLER_SECOND_ORDER,
    NOISE = RF_SAMPLER_S_NOISE,
    BROWNIAN = RF_SAMPLER_BROWNIAN | RF_SAMPLER_ANCESTRAL | NOISE,
    ETA = RF_SAMPLER_ANCESTRAL,
    ENSD = RF_SAMPLER_ENSD | RF_SAMPLER_ANCESTRAL | NOISE,
    DISCARD = RF_SAMPLER_DISCARD,
    WALK = RF_SAMPLER_TIMESTEPS,
    OWN = RF_SAMPLER_OWN_GRID,
    X0 = RF_SAMPLER_MULTISTEP_X0,
    CHURN = RF_SAMPLER_CHURN | NOISE,
};

static const rf_sampler SAMPLERS[] = {
#define ROW(label, alias1, alias2, schedule, bits, rule_)                                          \
    {                                                                                              \
        .id = {.name = label, .alias = {alias1, alias2}}, .automatic = schedule, .flags = bits,    \
        .eta = (bits)&RF_SAMPLER_TIMESTEPS ? 0 : 1,                                                \
        .cfg_divisor = (bits)&RF_SAMPLER_UNCOND ? 12.5 : 1, .rule = rule_                          \
    }
    /* A1111's order: the first is its default. */
    ROW("DPM++ 2M", "k_dpmpp_2m", NULL, "Karras", X0, &rf_rule_2m),
    ROW("DPM++ SDE", "k_dpmpp_sde", NULL, "Karras", SECOND | BROWNIAN, &rf_rule_sde),
    ROW("DPM++ 2M SDE", "k_dpmpp_2m_sde", NULL, "Exponential", BROWNIAN | X0, &rf_rule_2m_sde),
    ROW("DPM++ 2M SDE Heun", "k_dpmpp_2m_sde_heun", NULL, "Exponential", BROWNIAN | X0,
        &rf_rule_2m_sde_heun),
    ROW("DPM++ 2S a", "k_dpmpp_2s_a", NULL, "Karras", SECOND | ENSD, &rf_rule_2s_a),
    ROW("DPM++ 3M SDE", "k_dpmpp_3m_sde", NULL, "Exponential", BROWNIAN | X0 | DISCARD,
        &rf_rule_3m_sde),
    ROW("Euler a", "k_euler_a", "k_euler_ancestral", "Uniform", ENSD, &rf_rule_euler_a),
    ROW("Euler", "k_euler", NULL, "Uniform", CHURN, &rf_rule_euler),
    ROW("LMS", "k_lms", NULL, "Uniform", 0, &rf_rule_lms),
    ROW("Heun", "k_heun", NULL, "Uniform", SECOND | CHURN, &rf_rule_heun),
    ROW("DPM2", "k_dpm_2", NULL, "Karras", SECOND | DISCARD | CHURN, &rf_rule_dpm2),
    ROW("DPM2 a", "k_dpm_2_a", NULL, "Karras", SECOND | DISCARD | ENSD, &rf_rule_dpm2_a),
    ROW("DPM fast", "k_dpm_fast", NULL, "Uniform", OWN | ENSD, &rf_rule_fast),
    ROW("DPM adaptive", "k_dpm_ad", NULL, "Uniform", OWN | RF_SAMPLER_ADAPTIVE | ENSD, NULL),
    ROW("Restart", "restart", NULL, "Karras", SECOND | OWN | NOISE, &rf_rule_restart),
    ROW("DDIM", "ddim", NULL, "Uniform", WALK | ETA, &rf_rule_ddim),
    ROW("DDIM CFG++", "ddim_cfgpp", NULL, "Uniform", WALK | ETA | RF_SAMPLER_UNCOND,
        &rf_rule_ddim_cfgpp),
    ROW("PLMS", "plms", NULL, "Uniform", WALK, &rf_rule_plms),
    ROW("UniPC", "unipc", NULL, "Uniform", WALK, &rf_rule_unipc),
    ROW("LCM", "k_lcm", NULL, "Uniform", RF_SAMPLER_LCM, &rf_rule_lcm),
#undef ROW
};

static rf_status find_row(const rf_sampler **out, const char *name, rf_error *err)
{
    const rf_name_table table = {"sampler", SAMPLERS, sizeof *SAMPLERS,
                                 (int)(sizeof SAMPLERS / sizeof *SAMPLERS)};
    const void         *row = NULL;
    const rf_status     st = rf_name_find(&row, &table, name, err);
    *out = (const rf_sampler *)row;
    return st;
}

/* "SAMPLER SCHEDULE", cut at whichever space leaves two names. */
static const rf_sampler *split(const char **schedule, const char *name)
{
    char head[64]; /* no name is longer (names.h) */
    for (const char *space = strchr(name, ' '); space; space = strchr(space + 1, ' ')) {
        const size_t       length = (size_t)(space - name);
        const rf_sampler  *sampler = NULL;
        const rf_schedule *found = NULL;
        if (length >= sizeof head) break;
        memcpy(head, name, length);
        head[length] = '\0';
        if (find_row(&sampler, head, NULL) != RF_OK) continue;
        if (rf_schedule_find(&found, space + 1, sampler->automatic, NULL) != RF_OK) continue;
        *schedule = rf_schedule_name(found);
        if (strcmp(*schedule, sampler->automatic) == 0) *schedule = "Automatic"; /* A1111 */
        return sampler;
    }
    return NULL;
}

rf_status rf_sampler_find(const rf_sampler **out, const char **schedule, const char *name,
                          rf_error *err)
{
    if (schedule) *schedule = NULL;
    if (find_row(out, name, NULL) == RF_OK) return RF_OK;
    if (schedule && (*out = split(schedule, name)) != NULL) return RF_OK;
    return find_row(out, name, err);
}

rf_sampler_settings rf_sampler_settings_default(void)
{
    return (rf_sampler_settings){.eta = NAN, .s_noise = 1};
}

static double eta_of(const rf_sampler *s, const rf_sampler_settings *set)
{
    return isnan(set->eta) ? s->eta : set->eta;
}

int rf_sampler_same_settings(const rf_sampler *s, const rf_sampler_settings *a,
                             const rf_sampler_settings *b)
{
    if (s->flags & RF_SAMPLER_ANCESTRAL && eta_of(s, a) != eta_of(s, b)) return 0;
    if (s->flags & RF_SAMPLER_S_NOISE && a->s_noise != b->s_noise) return 0;
    return !(s->flags & RF_SAMPLER_CHURN) ||
           (a->s_churn == b->s_churn && a->s_tmin == b->s_tmin && a->s_tmax == b->s_tmax);
}

static rf_status check_settings(const rf_sampler_settings *set, rf_error *err)
{
    const struct {
        const char *name;
        double      value;
    } rows[] = {{"s_churn", set->s_churn},
                {"s_tmin", set->s_tmin},
                {"s_tmax", set->s_tmax},
                {"s_noise", set->s_noise},
                {"eta", isnan(set->eta) ? 0 : set->eta}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!isfinite((float)rows[i].value) || rows[i].value < 0)
            return rf_fail(err, RF_E_ARG, "%s is %g: it must be 0 or more", rows[i].name,
                           rows[i].value);
    return RF_OK;
}

static rf_status check_sigmas(const rf_sampler_request *r, rf_error *err)
{
    const double *sigma = r->sigmas->sigma;
    const int     steps = r->sigmas->steps;
    if (r->sampler->flags & RF_SAMPLER_TIMESTEPS) return RF_OK; /* not read */
    for (int i = 0; i <= steps; i++) {
        if (!(sigma[i] >= 0) || !isfinite((float)sigma[i]) || (i < steps && (float)sigma[i] == 0))
            return rf_fail(err, RF_E_ARG, "noise level %d of the schedule is %g", i, sigma[i]);
        if (i > 0 && !(sigma[i] < sigma[i - 1]))
            return rf_fail(err, RF_E_ARG, "noise levels must fall: a step from sigma %g to %g",
                           sigma[i - 1], sigma[i]);
    }
    if (r->sampler->rule == &rf_rule_fast && !(sigma[0] > r->table->sigma[0]))
        return rf_fail(err, RF_E_ARG, "%s goes down to sigma %g: a schedule from %g is below it",
                       r->sampler->id.name, r->table->sigma[0], sigma[0]);
    return RF_OK;
}

static rf_status check_stretch(const rf_sampler_request *r, rf_error *err)
{
    const char    *name = r->sampler->id.name;
    const unsigned flags = r->sampler->flags;
    const int      steps = r->sigmas->steps;
    if (flags & RF_SAMPLER_ADAPTIVE)
        return rf_fail(err, RF_E_ARG, "%s chooses its steps by the picture: it has no plan", name);
    if (steps < 1 || steps > RF_STEPS_MAX)
        return rf_fail(err, RF_E_ARG, "steps is %d: it must be 1 to %d", steps, RF_STEPS_MAX);
    if (r->first < 0 || r->end > steps || r->first >= r->end)
        return rf_fail(err, RF_E_ARG, "a stretch of steps %d to %d of %d", r->first, r->end - 1,
                       steps);
    if (r->enter && r->sampler->rule == &rf_rule_unipc)
        return rf_fail(err, RF_E_ARG,
                       "%s begins at pure noise alone: to start from a picture, choose another "
                       "sampler",
                       name);
    if (r->next_draw < 1)
        return rf_fail(err, RF_E_ARG, "noise draw 0 is the initial noise: a sampler begins at 1");
    if (flags & (RF_SAMPLER_TIMESTEPS | RF_SAMPLER_OWN_GRID) && r->end - r->first != steps)
        return rf_fail(err, RF_E_ARG,
                       "%s has steps of its own: it cannot share a run with another sampler", name);
    if (flags & RF_SAMPLER_TIMESTEPS && steps > RF_TRAIN_STEPS)
        return rf_fail(err, RF_E_ARG, "steps is %d: %s has at most %d", steps, name,
                       RF_TRAIN_STEPS);
    return RF_OK;
}

static rf_status check_history(const rf_sampler_request *r, rf_error *err)
{
    double below = (r->sampler->flags & RF_SAMPLER_MULTISTEP_X0) ? r->sigmas->sigma[r->first] : 0;
    if (r->history_count < 0 || r->history_count > 3)
        return rf_fail(err, RF_E_ARG, "a history of %d calls: H1 to H3 hold 3", r->history_count);
    for (int i = 0; i < r->history_count && below > 0; i++) {
        if (!(r->history[i] > below) || !isfinite(r->history[i]))
            return rf_fail(err, RF_E_ARG, "history %d is of sigma %g, followed by %g", i + 1,
                           r->history[i], below);
        below = r->history[i];
    }
    return RF_OK;
}

static rf_status check_coefficients(const rf_calls *calls, rf_error *err)
{
    for (int k = 0; k < calls->count; k++) {
        const rf_call *c = &calls->call[k];
        int            finite = isfinite(c->before);
        for (int i = 0; i < RF_SOURCES; i++)
            finite =
                finite && isfinite(c->next[i]) && isfinite(c->anchor[i]) && isfinite(c->memory[i]);
        if (!finite)
            return rf_fail(err, RF_E_ARG,
                           "call %d, at sigma %g: the settings or the step are out of f32's range",
                           k, c->sigma);
    }
    return RF_OK;
}

rf_status rf_sampler_plan(const rf_sampler_request *request, rf_calls *out, rf_error *err)
{
    rf_status         st = RF_OK;
    const rf_sampler *s = request->sampler;
    rf_planner        p = {.request = request, .set = request->settings};
    *out = (rf_calls){0};
    RF_TRY(check_settings(&request->settings, err));
    RF_TRY(check_stretch(request, err));
    RF_TRY(check_sigmas(request, err));
    RF_TRY(check_history(request, err));

    p.set.eta = eta_of(s, &p.set);
    if (p.set.s_tmax == 0) p.set.s_tmax = INFINITY;
    p.calls.next_draw = request->next_draw;
    if (s->flags & RF_SAMPLER_MULTISTEP_X0) {
        memcpy(p.calls.history, request->history, sizeof p.calls.history);
        p.calls.history_count = request->history_count;
    }
    if (!(s->flags & RF_SAMPLER_TIMESTEPS)) p.calls.start = request->sigmas->sigma[request->first];
    s->rule->plan(&p);

    if (p.out_of_memory) {
        st = rf_fail(err, RF_E_NOMEM, "a plan of %d calls", p.calls.count);
        goto done;
    }
    if (p.calls.count == 0) {
        st = rf_fail(err, RF_E_ARG, "%s needs at least 2 steps", s->id.name);
        goto done;
    }
    RF_TRY(check_coefficients(&p.calls, err));
    *out = p.calls;
    p.calls.call = NULL; /* handed over */
done:
    free(p.calls.call);
    return st;
}

void rf_calls_free(rf_calls *calls)
{
    free(calls->call);
    *calls = (rf_calls){0};
}
