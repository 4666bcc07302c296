/* Experts that predict different things in one relay: each step is what a sampler of a few lines
 * in double precision makes of the very answers that the UNets gave, timesteps are those of each
 * expert's own table, and no byte depends on what a picture was batched or shared with. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/golden.h"
#include "tests/relay/marked.h"
#include "tests/relay/relays.h"
#include "tests/relay/sweeps.h"

static const char *const PREDICTIONS[] = {"epsilon", "v", "v-ztsnr", "cosxl"};
enum { KINDS = 4, SIDE = 64, ELEMS = SIDE / 8 * (SIDE / 8) * 4 };

/* Two tiny experts, and the first one again with CosXL's marks. */
typedef struct trio {
    relays     r;
    char      *marked;
    rf_expert *cosxl;
} trio;

static void trio_open(trio *t, const rf_options *options)
{
    const float levels[] = {120, 0.002f};
    rf_error    err = {0};
    relays_open(&t->r, options);
    t->marked = make_marked(t->r.path[0], "edm_vpred.sigma_max", &levels[0], "edm_vpred.sigma_min",
                            &levels[1]);
    must(rf_expert_open(&t->cosxl, t->r.engine, t->marked, &err), &err);
}

static void trio_close(trio *t)
{
    rf_expert_close(t->cosxl);
    relays_close(&t->r);
    unlink(t->marked);
    free(t->marked);
}

/* Expert 0 or 1 as one of that kind. */
static rf_expert *as(const trio *t, int expert, int kind)
{
    rf_error err = {0};
    if (kind == 3) return t->cosxl;
    must(rf_expert_set_prediction(t->r.expert[expert], PREDICTIONS[kind], &err), &err);
    return t->r.expert[expert];
}

/* ---- the reference ------------------------------------------------------------------------ */

/* x0 of one answer, written down from the papers. */
static double x0_of(int kind, double x, double answer, double sigma)
{
    if (kind == 0) return x - sigma * answer; /* Ho et al. 2020 */
    const double alpha = 1 / sqrt(1 + sigma * sigma), spread = sigma * alpha;
    return alpha * (alpha * x) - spread * answer; /* Salimans & Ho 2022, of x in variance 1 */
}

static double timestep_of(int kind, double sigma)
{
    double a = 1, first = 0, table[1000], last = 0;
    if (kind == 3) return log(sigma) / 4;
    for (int i = 0; i < 1000; i++) {
        const double low = sqrt(0.00085), high = sqrt(0.012);
        const double root = low + (high - low) * i / 999;
        a *= 1 - root * root;
        table[i] = sqrt(a);
    }
    first = table[0], last = table[999];
    for (int i = 0; i < 1000; i++) {
        if (kind == 2) table[i] = (table[i] - last) * first / (first - last);
        a = kind == 2 && i == 999 ? 4.8973451890853435e-08 : table[i] * table[i];
        table[i] = log(sqrt((1 - a) / a));
    }
    int at = 0;
    while (at < 998 && table[at + 1] <= log(sigma)) at++;
    const double part = (log(sigma) - table[at]) / (table[at + 1] - table[at]);
    return at + fmin(fmax(part, 0), 1);
}

/* ---- looking on --------------------------------------------------------------------------- */

typedef struct witness {
    const rf_plan *plan;
    int            kind[2], switch_step;
    double         cfg;
    float          before[ELEMS]; /* x at the last report */
    int            steps;
} witness;

/* The call between the last report and this one, one step of Euler. */
static void check_step(const witness *w, int step)
{
    const rf_plan *p = w->plan;
    const double  *sigma = p->job[0].course.sigmas.sigma;
    const int      kind = w->kind[step >= w->switch_step];
    const float   *input = p->x, *answer = p->eps, *x = rf_slot_row(p, 0, RF_SOURCE_X);
    const double   s = sigma[step], to = sigma[step + 1];
    double         error = 0, size = 0;
    for (int e = 0; e < ELEMS; e++) {
        const double from = (double)w->before[e];
        const double positive = x0_of(kind, from, (double)answer[e], s);
        const double negative = x0_of(kind, from, (double)answer[ELEMS + e], s);
        const double x0 = negative + w->cfg * (positive - negative);
        const double want = x0 + (from - x0) / s * to;
        error += ((double)x[e] - want) * ((double)x[e] - want);
        size += want * want;
        cr_assert_float_eq((double)input[e], from / sqrt(s * s + 1), 1e-6 * fabs(from) + 1e-9);
    }
    /* f32 sums of terms as large as cfg * sigma, and their coefficients' rounding. */
    const double allowed = 8 * 0x1p-24 * (1 + 2 * w->cfg);
    cr_expect(sqrt(error / size) <= allowed, "%s at sigma %g: relative error %.3g, allowed %.3g",
              PREDICTIONS[kind], s, sqrt(error / size), allowed);
    /* f16, as A1111 casts it, but for EDM */
    const double t = p->update[p->call[p->job[0].call[step]].update].timestep;
    const double wanted = timestep_of(kind, s), unit = fmax(wanted, 16) * 0x1p-10;
    cr_expect(fabs(t - wanted) <= (kind == 3 ? 1e-6 : unit), "%s at sigma %g: timestep %g, not %g",
              PREDICTIONS[kind], s, t, wanted);
}

static int look(void *user, const rf_progress *progress)
{
    witness *w = user;
    if (progress->phase == RF_PHASE_DECODE) {
        check_step(w, w->steps++);
        return 1;
    }
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (progress->step > 0) check_step(w, w->steps++);
    memcpy(w->before, rf_slot_row(w->plan, 0, RF_SOURCE_X), sizeof w->before);
    return 0;
}

/* Every kind before every kind. */
Test(relay_predictions, steps_are_those_of_a_plain_sampler, .timeout = 240)
{
    enum { STEPS = 4 };
    trio t;
    trio_open(&t, NULL);
    for (int pair = 0; pair < KINDS * KINDS; pair++) {
        const int       base = pair / KINDS, refiner = pair % KINDS;
        const rf_stage  stage[] = {{.expert = as(&t, 0, base),
                                    .until = 0.5,
                                    .prompt = "a cat",
                                    .negative = "blurry",
                                    .cfg_scale = 3},
                                   {.expert = as(&t, 1, refiner), .until = 1, .cfg_scale = -1}};
        const rf_job    job = relays_job(stage, 2, STEPS);
        rf_plan        *plan = relays_plan(&t.r, &job);
        witness         w = {.plan = plan, .kind = {base, refiner}, .switch_step = 2, .cfg = 3};
        rf_error        err = {0};
        const double    most[] = {14.614642, 14.614642, 4518.7637, 120};
        const rf_status st = rf_plan_run(plan, &(rf_callbacks){.progress = look, .user = &w}, &err);
        cr_expect_eq(st, RF_E_CANCELLED, "%s", err.message);
        cr_expect_eq(w.steps, STEPS);
        cr_expect_float_eq(plan->job[0].course.sigmas.sigma[0], most[base], 1e-4 * most[base],
                           "the first expert's levels");
        rf_plan_destroy(plan);
        t.r.warnings = 0;
    }
    trio_close(&t);
}

/* From 4519 down into a table that ends at 14.6: every sampler's sums stay finite. */
Test(relay_predictions, every_sampler_comes_down_from_zero_snr, .timeout = 240)
{
    static const char *const samplers[] = {
        "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
        "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
        "LMS",        "Heun",         "DPM2",         "DPM2 a",
        "DPM fast",   "DPM adaptive", "Restart",      "DDIM",
        "DDIM CFG++", "PLMS",         "UniPC",        "LCM"};
    trio t;
    trio_open(&t, NULL);
    const rf_stage stage[] = {
        {.expert = as(&t, 0, 2), .until = 0.5, .prompt = "a cat", .cfg_scale = 3},
        {.expert = as(&t, 1, 0), .until = 1, .cfg_scale = -1}};
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        rf_job   job = relays_job(stage, 2, 3);
        rf_plan *plan = NULL;
        rf_error err = {0};
        job.sampler = samplers[i];
        plan = relays_plan(&t.r, &job);
        cr_expect_eq(rf_plan_run(plan, NULL, &err), RF_OK, "%s: %s", samplers[i], err.message);
        rf_plan_destroy(plan);
    }
    trio_close(&t);
}

/* ---- the same bytes ----------------------------------------------------------------------- */

/* Switch points and refiners of other kinds, together and alone; batches of four and of one. */
Test(relay_predictions, batches_and_shared_prefixes_change_nothing, .timeout = 240)
{
    static const rf_options bf16 = {.dtype = "bf16", .threads = 1};
    enum { JOBS = 4 };
    trio     t;
    sweep    s;
    rf_stage stage[JOBS][2];
    rf_job   job[JOBS];
    rf_error err = {0};
    pictures four, one;
    trio_open(&t, &bf16);
    rf_expert *base = as(&t, 0, 2), *refiner = as(&t, 1, 1);
    for (int i = 0; i < JOBS; i++) {
        stage[i][0] = (rf_stage){
            .expert = base, .until = i < 2 ? 0.5 : 0.25 * i, .prompt = "a cat", .cfg_scale = 3};
        stage[i][1] = (rf_stage){.expert = i == 1 ? t.cosxl : refiner, .until = 1, .cfg_scale = -1};
        job[i] = relays_job(stage[i], 2, 4);
        job[i].batch = 3;
        job[i].sampler = "Euler a";
    }
    must(sweep_run(&t.r, job, JOBS, -1, 0, &s, &err), &err);
    sweep_expect_alone(&t.r, job, JOBS, &s, "v-ztsnr, v and CosXL");
    cr_expect_not(pictures_equal(&s.cell[0], 0, &s.cell[1], 0), "the refiner's kind matters");
    sweep_free(&s, JOBS);

    job[0].count = job[0].batch = 4;
    relays_render(&t.r, &job[0], &four);
    job[0].count = job[0].batch = 1;
    job[0].seed += 3;
    relays_render(&t.r, &job[0], &one);
    cr_expect(pictures_equal(&four, 3, &one, 0), "in a batch and alone");
    pictures_free(&four), pictures_free(&one);
    trio_close(&t);
}

/* What a file says, and the same said by the user, is the same picture; epsilon said is what nobody
 * said. */
Test(relay_predictions, a_mark_and_a_word_are_the_same, .timeout = 240)
{
    trio       t;
    pictures   plain, said, marked, other;
    rf_error   err = {0};
    rf_expert *v = NULL;
    trio_open(&t, NULL);
    char    *path = make_marked(t.r.path[0], "v_pred", NULL, "ztsnr", NULL);
    rf_stage stage = {.expert = t.r.expert[0], .until = 1, .prompt = "a", .cfg_scale = 2};
    rf_job   job = relays_job(&stage, 1, 3);
    must(rf_expert_open(&v, t.r.engine, path, &err), &err);
    relays_render(&t.r, &job, &plain);
    as(&t, 0, 0);
    relays_render(&t.r, &job, &other);
    pictures_expect_equal(&plain, &other, "epsilon", 1);
    as(&t, 0, 2);
    relays_render(&t.r, &job, &said);
    stage.expert = v;
    relays_render(&t.r, &job, &marked);
    cr_expect(pictures_equal(&said, 0, &marked, 0));
    cr_expect_not(pictures_equal(&said, 0, &plain, 0));
    cr_expect_null(strstr(marked.job[0], "prediction"), "a replay's file says it");
    cr_expect_null(strstr(plain.job[0], "prediction"));
    cr_expect(strstr(said.job[0], "\"prediction\":\"v-ztsnr\""), "%s", said.job[0]);
    rf_expert_close(v);
    unlink(path);
    free(path);
    pictures_free(&plain), pictures_free(&said), pictures_free(&marked), pictures_free(&other);
    trio_close(&t);
}

/* ---- replay ------------------------------------------------------------------------------- */

Test(relay_predictions, a_saved_job_gives_the_same_bytes, .timeout = 240)
{
    trio          t;
    pictures      first, again;
    rf_saved_job *saved = NULL;
    rf_error      err = {0};
    trio_open(&t, NULL);
    rf_stage stage[] = {
        {.expert = as(&t, 0, 2), .until = 0.5, .prompt = "a", .cfg_scale = 2},
        {.expert = as(&t, 1, 1), .until = 1, .cfg_scale = -1},
    };
    rf_job job = relays_job(stage, 2, 4);
    relays_render(&t.r, &job, &first);
    must(rf_saved_job_from_json(&saved, first.job[0], &err), &err);
    cr_expect_null(rf_saved_job_note(saved, 0));
    job = *rf_saved_job_get(saved);
    for (int i = 0; i < 2; i++) {
        must(rf_expert_set_prediction(t.r.expert[i], NULL, &err), &err);
        must(rf_expert_set_prediction(t.r.expert[i], rf_saved_job_file(saved, i).prediction, &err),
             &err);
        stage[i] = job.stages[i];
        stage[i].expert = t.r.expert[i];
    }
    job.stages = stage;
    relays_render(&t.r, &job, &again);
    pictures_expect_equal(&first, &again, "replayed", 1);
    rf_saved_job_free(saved);
    pictures_free(&first), pictures_free(&again);
    trio_close(&t);
}

/* ---- what is said ------------------------------------------------------------------------- */

Test(relay_predictions, what_an_expert_is, .timeout = 60)
{
    trio               t;
    rf_prediction_info p;
    rf_error           err = {0};
    trio_open(&t, NULL);
    rf_expert *e = t.r.expert[0];
    rf_expert_get_prediction(e, &p);
    cr_expect_str_eq(p.prediction, "epsilon");
    cr_expect_eq(p.by_user + p.ztsnr + p.continuous, 0);
    cr_expect_float_eq(p.sigma_max, 14.6146, 1e-4);
    rf_expert_get_prediction(t.cosxl, &p);
    cr_expect_str_eq(p.prediction, "v");
    cr_expect_eq(p.continuous, 1);
    cr_expect_float_eq(p.sigma_min, 0.002, 1e-8);
    cr_expect(strstr(p.reason, "edm_vpred.sigma_max"), "%s", p.reason);
    rf_expert_get_prediction(as(&t, 0, 2), &p);
    cr_expect_eq(p.ztsnr && p.by_user, 1);
    cr_expect_float_eq(p.sigma_max, 4518.76, 0.01);
    cr_expect_eq(rf_expert_set_prediction(e, "x0", &err), RF_E_ARG);
    rf_expert_get_prediction(e, &p);
    cr_expect_eq(p.ztsnr, 1, "a wrong word changes nothing");
    const rf_stage stage = {.expert = e, .until = 1, .prompt = "a", .cfg_scale = 1};
    const rf_job   job = relays_job(&stage, 1, 2);
    rf_plan       *plan = relays_plan(&t.r, &job);
    cr_expect_eq(rf_expert_set_prediction(e, "v", &err), RF_E_ARG);
    cr_expect(strstr(err.message, "a plan that uses it"), "%s", err.message);
    rf_plan_destroy(plan);
    must(rf_expert_set_prediction(e, NULL, &err), &err);
    rf_expert_get_prediction(e, &p);
    cr_expect_eq(p.by_user, 0);
    trio_close(&t);
}

static int warned(const relays *r, const char *what)
{
    int found = 0;
    for (int i = 0; i < r->warnings; i++) found += strstr(r->warning[i], what) != NULL;
    return found;
}

/* The stage that makes no call gives no levels, and a refiner that takes over above what it knows
 * is told of. */
Test(relay_predictions, whose_levels_a_run_has, .timeout = 60)
{
    trio t;
    trio_open(&t, NULL);
    rf_stage stage[] = {{.expert = as(&t, 0, 2), .until = 0, .prompt = "a", .cfg_scale = 1},
                        {.expert = as(&t, 1, 0), .until = 1, .cfg_scale = -1}};
    rf_job   job = relays_job(stage, 2, 4);
    const struct {
        const char *by;
        double      until, sigma;
        int         warns;
    } rows[] = {
        {"steps", 0, 14.6146, 0},      {"steps", 0.75, 4518.76, 0},  {"sigma", 5000, 14.6146, 0},
        {"sigma", 4000, 4518.76, 1},   {"sigma", 10, 4518.76, 0},    {"noise", 0, 14.6146, 0},
        {"noise", 0.0001, 4518.76, 1}, {"timesteps", 0, 14.6146, 0},
    };
    const char *const samplers[] = {"Euler", "DPM adaptive"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int s = 0; s < 2; s++) {
            t.r.warnings = 0;
            stage[0].until = rows[i].until;
            job.switch_by = rows[i].by;
            job.sampler = samplers[s];
            rf_plan         *plan = relays_plan(&t.r, &job);
            const rf_course *c = &plan->job[0].course;
            cr_expect_float_eq(c->sigma_max, rows[i].sigma, 1e-4 * rows[i].sigma, "%s %g, %s: %g",
                               rows[i].by, rows[i].until, samplers[s], c->sigma_max);
            cr_expect_eq(warned(&t.r, "knows noise levels up to 14.61"), rows[i].warns, "%s %g, %s",
                         rows[i].by, rows[i].until, samplers[s]);
            rf_plan_destroy(plan);
        }
    trio_close(&t);
}

/* What explain tells is what the calls are given. */
Test(relay_predictions, explain_tells_each_its_own_timesteps, .timeout = 60)
{
    static const char *const samplers[] = {"Euler", "Heun", "DDIM", "UniPC", "LCM"};
    trio                     t;
    trio_open(&t, NULL);
    for (int n = 0; n < 5; n++) {
        const rf_explanation *x = NULL;
        rf_error              err = {0};
        const rf_stage        stage[] = {
                   {.expert = as(&t, 0, 2), .until = 0.5, .prompt = "a", .cfg_scale = 1},
                   {.expert = t.cosxl, .until = 1, .cfg_scale = -1}};
        rf_job job = relays_job(stage, 2, 6);
        job.sampler = samplers[n];
        must(rf_explain(&x, t.r.engine, &job, 0, &err), &err);
        for (int k = 0; k < x->calls; k++) {
            const rf_call_info *call = &x->call[k];
            const double        edm = log(call->sigma) / 4;
            const int           own = fabs(call->timestep - edm) < 1e-6;
            cr_expect_eq(own, call->stage == 1, "%s, call %d: sigma %g, timestep %g", samplers[n],
                         k, call->sigma, call->timestep);
            if (n == 0) cr_expect_eq(x->timesteps[call->step], call->timestep);
        }
        rf_explanation_free(x);
    }
    trio_close(&t);
}

/* DPM adaptive finds its calls on the way: it goes through both kinds and ends with a picture. */
Test(relay_predictions, dpm_adaptive, .timeout = 240)
{
    trio     t;
    pictures a, b;
    trio_open(&t, NULL);
    const rf_stage stage[] = {{.expert = as(&t, 0, 1), .until = 0.5, .prompt = "a", .cfg_scale = 1},
                              {.expert = as(&t, 1, 0), .until = 1, .cfg_scale = -1}};
    rf_job         job = relays_job(stage, 2, 4);
    job.sampler = "DPM adaptive";
    relays_render(&t.r, &job, &a);
    relays_render(&t.r, &job, &b);
    pictures_expect_equal(&a, &b, "twice", 1);
    pictures_free(&b);
    as(&t, 0, 0);
    relays_render(&t.r, &job, &b);
    cr_expect_not(pictures_equal(&a, 0, &b, 0));
    pictures_free(&a), pictures_free(&b);
    trio_close(&t);
}
