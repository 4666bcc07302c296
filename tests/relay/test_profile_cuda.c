/* The profiler on the stand-in of the CUDA runtime: started before the first of its steps and
 * stopped after the last, with all work of these steps, and nothing else, in between. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"
#include "tests/relay/relays.h"

enum { STEPS = 4, FIRST = 2, LAST = 3 }; /* the switch lies between these two */

static int reported; /* steps */

/* Comes when a step is about to be queued; decoding takes as long as three steps here. */
static int progress(void *user, const rf_progress *p)
{
    const emu_done done = emu_runtime_done();
    (void)user;
    if (p->phase == RF_PHASE_DECODE) return 1;
    if (p->phase != RF_PHASE_DENOISE) return 0;
    const int step = p->step + 1;
    cr_expect_eq(done.profile_starts, step >= FIRST, "before step %d", step);
    cr_expect_eq(done.profile_stops, step > LAST, "before step %d", step);
    reported++;
    return 0;
}

static char  *trace;
static size_t trace_bytes;

static void keep(void *user, const char *text, size_t bytes)
{
    (void)user;
    trace = realloc(trace, trace_bytes + bytes);
    cr_assert_not_null(trace);
    memcpy(trace + trace_bytes, text, bytes);
    trace_bytes += bytes;
}

/* Ranges of that category whose name begins so. */
static int count_of(const json_t *events, const char *category, const char *beginning)
{
    size_t  i = 0;
    int     count = 0;
    json_t *event = NULL;
    json_array_foreach(events, i, event)
    {
        const char *cat = json_string_value(json_object_get(event, "cat"));
        const char *name = json_string_value(json_object_get(event, "name"));
        count +=
            cat && strcmp(cat, category) == 0 && strncmp(name, beginning, strlen(beginning)) == 0;
    }
    return count;
}

Test(profile_cuda, a_relay_is_profiled_around_its_switch, .timeout = 300)
{
    const rf_options options = {.device = "emulated",
                                .dtype = "f16",
                                .threads = 1,
                                .trace = keep,
                                .profile_first = FIRST,
                                .profile_last = LAST};
    relays           r;
    emu_configure(&(emu_settings){.no_races = true}); /* each kernel's own tests look for them */
    emu_runtime_start(&emu_gpu_h100);
    relays_open(&r, &options);
    const rf_stage stages[] = {{.expert = r.expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 1},
                               {.expert = r.expert[1], .until = 1, .prompt = "b", .cfg_scale = 1}};
    const rf_job   job = relays_job(stages, 2, STEPS);
    rf_plan       *plan = relays_plan(&r, &job);
    cr_expect_eq(rf_plan_run(plan, &(rf_callbacks){.progress = progress}, NULL), RF_E_CANCELLED);
    const emu_done done = emu_runtime_done();
    cr_expect_eq(reported, STEPS);
    cr_expect(done.profile_starts == 1 && done.profile_stops == 1);
    cr_expect_eq(done.graph_launches, STEPS, "%zu", done.graph_launches);
    cr_expect_eq(done.profiled_launches, LAST - FIRST + 1, "%zu", done.profiled_launches);
    cr_expect_eq(emu_reports(), 0);
    rf_plan_destroy(plan);
    relays_close(&r);

    /* The ops of a graph are told where it is recorded, which is in no step. */
    json_error_t error;
    json_t      *o = json_loadb(trace, trace_bytes, 0, &error);
    cr_assert_not_null(o, "%s", error.text);
    const json_t *events = json_object_get(o, "traceEvents");
    cr_expect_eq(count_of(events, "step", "step "), STEPS);
    cr_expect_eq(count_of(events, "part", "unet"), STEPS + 2, "two are read");
    cr_expect_eq(count_of(events, "op", ""), 0);
    json_decref(o);
    free(trace);
}
