/* From jobs to a plan; see refinery.h. */
#include "engine/relay/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- lists of distinct contents ------------------------------------------------------------ */

/* A tree of depth one is a dictionary; a node's class is the index it stands for. */
rf_status rf_plan_know(rf_plan *p, const void *key, size_t bytes, int next, int *index,
                       rf_error *err)
{
    int             node = 0;
    const rf_status st = rf_tree_step(&p->known, RF_TREE_ROOT, key, bytes, next, &node, err);
    if (st == RF_OK) *index = p->known.node[node].kind;
    return st;
}

static void close_lists(rf_plan *p)
{
    rf_tree_free(&p->known);
    rf_lookup_free(&p->known_calls);
    for (int i = 0; i < p->expert_count; i++)
        for (int t = 0; t < RF_TABLES; t++) rf_lookup_free(&p->expert[i].table[t].known);
}

void *rf_plan_grown(void *list, int count, size_t size)
{
    if (count & (count - 1)) return list;
    return realloc(list, (count ? 2 * (size_t)count : 1) * size);
}

/* ---- create and destroy ------------------------------------------------------------------- */

/* Bytes that rf_options.memory could be so that the plan fits; 0: taking turns would not do. */
static size_t memory_that_fits(const rf_plan *p, size_t have)
{
    const size_t unets = rf_residency_foresee(p, p->held).peak_bytes;
    size_t       largest = 0;
    for (int i = 0; i < p->expert_count; i++) {
        const size_t bytes = p->expert[i].expert->weights[RF_NET_UNET].bytes;
        if (bytes > largest) largest = bytes;
    }
    if (unets <= largest || p->peak_bytes - unets + largest > have) return 0;
    return have - (p->peak_bytes - unets);
}

/* A host's kernel promises memory that it does not have and kills who uses it, and may have swap:
 * say so before.  A GPU has what it has: better refused now than when half is loaded. */
static rf_status check_memory(const rf_plan *p, rf_error *err)
{
    enum { MIB = 1 << 20 };
    const rf_engine *e = p->engine;
    const size_t     have = rf_device_memory_bytes(&e->device);
    const int        host = rf_device_on_host(&e->device);
    if (!have || p->peak_bytes <= have) return RF_OK;
    const size_t turns = memory_that_fits(p, have);
    char         help[96] = "", message[RF_ERROR_BYTES];
    if (turns)
        snprintf(help, sizeof help, ", and so does --memory %zuM, which loads experts in turn",
                 turns / MIB);
    snprintf(message, sizeof message,
             "this needs %zu MiB of memory at once and %s has %zu MiB%s: a smaller size or batch "
             "needs less%s",
             p->peak_bytes / MIB + 1, host ? "the machine" : e->device.name, have / MIB,
             host ? "" : " free", help);
    if (!host && !e->plan_only) return rf_fail(err, RF_E_NOMEM, "%s", message);
    rf_warn(e, "%s", message);
    return RF_OK;
}

rf_status rf_plan_create_many(rf_plan **out, rf_engine *engine, const rf_job *jobs, int job_count,
                              rf_error *err)
{
    rf_status st = RF_OK;
    rf_plan  *p = NULL;
    *out = NULL;

    if (job_count < 1) return rf_fail(err, RF_E_ARG, "there are no jobs");
    p = calloc(1, sizeof *p);
    if (!p) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    p->engine = engine;
    p->job = calloc((size_t)job_count, sizeof *p->job);
    if (!p->job) {
        st = rf_fail(err, RF_E_NOMEM, "plan: out of memory");
        goto done;
    }
    RF_TRY(rf_tree_start(&p->known, err));
    for (int i = 0; i < job_count; i++) RF_TRY(rf_plan_add_job(p, &jobs[i], err));
    rf_plan_pad_parts(p);
    close_lists(p);
    RF_TRY(rf_residency_settle(p, err));
    RF_TRY(rf_plan_grow(p, err));
    RF_TRY(rf_plan_size(p, err));
    RF_TRY(check_memory(p, err));
    *out = p;
    p = NULL;
done:
    rf_plan_destroy(p);
    return st;
}

rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err)
{
    return rf_plan_create_many(out, engine, job, 1, err);
}

/* Variants may go with that: their parents stay. */
static void dismiss_experts(rf_plan *p)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_expert *e = p->expert[i].expert;
        e->users--;
        p->expert[i].expert = rf_expert_parent(e);
    }
    rf_plan_tidy(p, 0);
}

void rf_plan_destroy(rf_plan *p)
{
    if (!p) return;
    close_lists(p);
    rf_plan_release(p);
    rf_kv_free(p);
    rf_plan_forget_prompts(p);
    rf_plan_fell(p);
    for (int i = 0; i < p->programs; i++)
        for (int n = 0; n <= RF_BATCH_MAX; n++) {
            rf_graph_destroy(&p->engine->device, p->program[i].graph[n]);
            rf_program_free(&p->program[i].forward[n]);
        }
    for (int i = 0; i < p->decoders; i++)
        for (int n = 0; n <= RF_BATCH_MAX; n++) rf_program_free(&p->decoder[i].program[n]);
    rf_program_free(&p->scratch_program);
    rf_preview_free(p);
    for (int i = 0; i < p->vaes; i++)
        if (p->vae[i].separate) rf_expert_close(p->vae[i].expert);
    for (int i = 0; i < p->jobs; i++) rf_plan_free_job(&p->job[i]);
    dismiss_experts(p);
    free(p->job);
    free(p->expert);
    free(p->vae);
    free(p->decoder);
    free(p->sizing);
    rf_plan_free_inits(p);
    rf_inversions_free(&p->inversions);
    free(p->program);
    free(p->update);
    free(p->call);
    free(p->row);
    free(p->gaps);
    free(p->held);
    free(p);
}

/* ---- telling ------------------------------------------------------------------------------ */

void rf_plan_get_info(const rf_plan *p, rf_plan_info *out)
{
    const rf_plan_job *job = &p->job[0];
    const rf_course   *course = &job->course;
    *out = (rf_plan_info){.stage_count = course->stages,
                          .batch = p->batch,
                          .slab_bytes = p->slab_bytes,
                          .unet_slab_bytes = p->network_slab[RF_NET_UNET],
                          .vae_slab_bytes = p->network_slab[RF_NET_VAE],
                          .kv_bytes = p->kv_bytes,
                          .kv_pool_bytes = p->kv_pool.bytes,
                          .kv_all_bytes = p->kv_pool.all_bytes,
                          .state_bytes = p->state_bytes,
                          .staging_bytes = p->staging_bytes,
                          .text_bytes = p->text_bytes,
                          .unet_bytes = p->unet_bytes,
                          .vae_bytes = p->vae_bytes,
                          .peak_bytes = p->peak_bytes,
                          .host_bytes = p->desk_bytes + p->shelf_bytes + p->merge_bytes,
                          .vae = p->vae[job->vae].expert->name,
                          .sampler = course->stage[0].sampler->id.name,
                          .schedule =
                              job->job.sigmas ? "explicit" : rf_schedule_name(course->schedule),
                          .steps = course->steps,
                          .calls = course->calls,
                          .sigmas = course->sigmas.sigma,
                          .jobs = p->jobs,
                          .runs = p->pictures,
                          .calls_naive = p->calls_naive,
                          .calls_shared = p->calls_shared,
                          .launches = p->launches,
                          .states = p->slots,
                          .loads = p->loads,
                          .resident = p->resident};
}

rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out)
{
    if (stage < 0 || stage >= plan->job[0].course.stages) return RF_E_ARG;
    *out = plan->job[0].info[stage];
    return RF_OK;
}

rf_status rf_plan_get_lora(const rf_plan *plan, int stage, int lora, rf_lora_info *out)
{
    const rf_plan_job *j = &plan->job[0];
    if (stage < 0 || stage >= j->course.stages) return RF_E_ARG;
    if (lora < 0 || lora >= j->job.stages[stage].lora_count) return RF_E_ARG;
    *out = rf_plan_loras_of(j, stage)[lora].info;
    out->path = j->job.stages[stage].loras[lora].path;
    return RF_OK;
}

rf_status rf_plan_get_job(const rf_plan *p, int job, rf_job_info *out)
{
    if (job < 0 || job >= p->jobs) return RF_E_ARG;
    const rf_plan_job *j = &p->job[job];
    const int          calls = j->course.adaptive ? 0 : j->course.calls;
    const int64_t      pictures = j->job.count;
    *out = (rf_job_info){.calls = calls,
                         .pictures = j->job.count,
                         .calls_alone = pictures * (calls ? calls : 1),
                         .calls_of_own = p->jobs > 1 ? j->calls_of_own : p->calls_shared};
    return RF_OK;
}

void rf_plan_get_timings(const rf_plan *plan, rf_timings *out)
{
    *out = plan->timings;
}
