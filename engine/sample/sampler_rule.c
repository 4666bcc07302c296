/* The planner: how calls, noise and history are noted down. */
#include "engine/sample/sampler_rule.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_CALLS = 64 };

static int grow(rf_planner *p)
{
    const int room = p->room ? 2 * p->room : FIRST_CALLS; /* <= 2^16: RF_STEPS_MAX, two a step */
    rf_call  *larger = realloc(p->calls.call, (size_t)room * sizeof *larger);
    if (!larger) return 0;
    p->calls.call = larger;
    p->room = room;
    return 1;
}

rf_call *rf_plan_call(rf_planner *p, int step, double sigma)
{
    rf_call *call = &p->spare;
    if (p->calls.count < p->room || grow(p))
        call = &p->calls.call[p->calls.count++];
    else
        p->out_of_memory = 1;
    *call = (rf_call){.step = step,
                      .last = 1,
                      .sigma = sigma,
                      .timestep = NAN,
                      .before = p->before,
                      .before_noise = p->before_noise};
    p->before = 0;
    p->before_noise = (rf_noise_request){.kind = RF_NOISE_NONE};
    p->calls.steps = step + 1 - p->request->first;
    return call;
}

uint32_t rf_plan_draw(rf_planner *p)
{
    return p->calls.next_draw++;
}

void rf_plan_before(rf_planner *p, double amount)
{
    const uint32_t draw = rf_plan_draw(p);
    p->before = (float)amount;
    if (p->before != 0) p->before_noise = (rf_noise_request){.kind = RF_NOISE_DRAW, .draw = draw};
}

void rf_plan_noise(rf_planner *p, rf_call *call, double amount)
{
    const uint32_t draw = rf_plan_draw(p);
    call->next[RF_SOURCE_NOISE] = (float)amount;
    if (call->next[RF_SOURCE_NOISE] != 0)
        call->noise = (rf_noise_request){.kind = RF_NOISE_DRAW, .draw = draw};
}

void rf_plan_brownian(rf_call *call, double amount, double from, double to)
{
    call->next[RF_SOURCE_NOISE] = (float)amount;
    if (call->next[RF_SOURCE_NOISE] != 0)
        call->noise = (rf_noise_request){.kind = RF_NOISE_BROWNIAN, .from = from, .to = to};
}

void rf_plan_remember_x0(rf_planner *p, rf_call *call)
{
    double *level = p->calls.history;
    call->remembers = 1;
    call->memory[RF_SOURCE_D] = 1;
    level[2] = level[1];
    level[1] = level[0];
    level[0] = call->sigma;
    if (p->calls.history_count < 3) p->calls.history_count++;
}

void rf_plan_remember_eps(rf_call *call)
{
    double row[RF_SOURCES] = {0};
    rf_row_eps(row, 1, call->sigma);
    rf_row_round(call->memory, row);
    call->remembers = 1;
}

void rf_plan_anchor_here(rf_call *call)
{
    call->keeps_anchor = 1;
    call->anchor[RF_SOURCE_X] = 1;
}

void rf_row_eps(double *row, double weight, double sigma)
{
    row[RF_SOURCE_X] += weight / sigma;
    row[RF_SOURCE_D] -= weight / sigma;
}

void rf_row_round(float *out, const double *row)
{
    for (int i = 0; i < RF_SOURCES; i++) out[i] = (float)row[i];
}

void rf_plan_line(float *row, rf_source from, double sigma, double to)
{
    row[from] = (float)(to / sigma);
    row[RF_SOURCE_D] = (float)((sigma - to) / sigma);
}

rf_ancestral rf_ancestral_step(double sigma, double to, double eta)
{
    const double kept = to / sigma; /* < 1 */
    const double up = fmin(to, eta * to * sqrt((1 - kept) * (1 + kept)));
    return (rf_ancestral){.down = sqrt((to - up) * (to + up)), .up = up};
}

double rf_plan_churn(rf_planner *p, double sigma)
{
    const int    inside = p->set.s_tmin <= sigma && sigma <= p->set.s_tmax;
    const double most = sqrt(2) - 1; /* doubles the variance */
    const double gamma = inside ? fmin(p->set.s_churn / p->request->sigmas->steps, most) : 0;
    const double raised = sigma * (1 + gamma);
    rf_plan_before(p, p->set.s_noise * sqrt((raised - sigma) * (raised + sigma)));
    return raised;
}

/* Near 0 the recurrence cancels, so there it is the sum of z^j / (j + k)!. */
double rf_phi(int k, double z)
{
    const int terms = 20; /* 1 / 20! is below f64's last bit */
    double    factorial = 1;
    if (fabs(z) < 1) {
        double sum = 0, term = 1;
        for (int j = 2; j <= k; j++) term /= j;
        for (int j = 0; j < terms; j++) {
            sum += term;
            term *= z / (j + k + 1);
        }
        return sum;
    }
    double phi = exp(z);
    for (int j = 0; j < k; j++) {
        phi = (phi - 1 / factorial) / z;
        factorial *= j + 1;
    }
    return phi;
}
