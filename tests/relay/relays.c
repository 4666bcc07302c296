/* See relays.h. */
#include "tests/relay/relays.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"

void must(rf_status st, const rf_error *err)
{
    cr_assert_eq(st, RF_OK, "%s: %s", rf_status_name(st), err->message);
}

static void keep_warning(void *user, const char *message)
{
    relays *r = user;
    cr_assert_lt(r->warnings, RELAYS_WARNINGS);
    snprintf(r->warning[r->warnings++], sizeof r->warning[0], "%s", message);
}

void relays_start(relays *r, const rf_options *options)
{
    rf_error   err = {0};
    rf_options o = options ? *options : (rf_options){.dtype = "f32", .threads = 1};
    if (!o.device) o.device = "cpu"; /* also where there is a GPU */
    o.warn = keep_warning;
    o.user = r;
    must(rf_engine_create(&r->engine, &o, &err), &err);
    for (int i = 0; i < 2; i++)
        must(rf_expert_open(&r->expert[i], r->engine, r->path[i], &err), &err);
}

void relays_stop(relays *r)
{
    for (int i = 0; i < 2; i++) rf_expert_close(r->expert[i]);
    cr_expect_eq(r->engine->device.bytes_held, 0u, "%zu bytes of device memory leak",
                 r->engine->device.bytes_held);
    rf_engine_destroy(r->engine);
    r->engine = NULL;
}

void relays_open(relays *r, const rf_options *options)
{
    *r = (relays){.path = {make_tiny(7), make_tiny(8)}};
    relays_start(r, options);
}

void relays_hash(relays *r)
{
    rf_error err = {0};
    char     hex[65];
    for (int i = 0; i < 2; i++) must(rf_expert_sha256(r->expert[i], hex, NULL, NULL, &err), &err);
}

void relays_close(relays *r)
{
    relays_stop(r);
    for (int i = 0; i < 2; i++) remove_tiny(r->path[i]);
}

rf_job relays_job(const rf_stage *stages, int count, int steps)
{
    rf_job job = rf_job_default();
    job.stages = stages;
    job.stage_count = count;
    job.sampler = "Euler";
    job.schedule = "karras";
    job.steps = steps;
    job.width = job.height = 64;
    job.seed = 5;
    return job;
}

static void *copy_of(const void *data, size_t bytes)
{
    void *copy = malloc(bytes);
    cr_assert_not_null(copy);
    return memcpy(copy, data, bytes);
}

static rf_status keep_picture(void *user, const rf_image *image, rf_error *err)
{
    (void)err;
    pictures    *p = user;
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    cr_assert_lt(p->count, RELAYS_PICTURES);
    cr_assert_eq(image->index, p->count, "pictures come in order");
    p->width = image->width;
    p->height = image->height;
    p->seed[p->count] = image->seed;
    p->rgb[p->count] = copy_of(image->rgb, pixels * 3);
    p->latent[p->count] = copy_of(image->latent, pixels / 64 * 4 * sizeof(float));
    p->parameters[p->count] = copy_of(image->parameters, strlen(image->parameters) + 1);
    p->job[p->count] = copy_of(image->job, strlen(image->job) + 1);
    p->count++;
    return RF_OK;
}

rf_callbacks pictures_into(pictures *out)
{
    *out = (pictures){0};
    return (rf_callbacks){.image = keep_picture, .user = out};
}

void pictures_free(pictures *p)
{
    for (int i = 0; i < p->count; i++) {
        free(p->rgb[i]);
        free(p->latent[i]);
        free(p->parameters[i]);
        free(p->job[i]);
    }
    *p = (pictures){0};
}

rf_plan *relays_plan(relays *r, const rf_job *job)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    must(rf_plan_create(&plan, r->engine, job, &err), &err);
    return plan;
}

void relays_render(relays *r, const rf_job *job, pictures *out)
{
    rf_error           err = {0};
    rf_plan           *plan = relays_plan(r, job);
    const rf_callbacks callbacks = pictures_into(out);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_assert_eq(out->count, job->count);
    rf_plan_destroy(plan);
}

int pictures_equal(const pictures *a, int i, const pictures *b, int j)
{
    const size_t pixels = (size_t)a->width * (size_t)a->height;
    return a->width == b->width && a->height == b->height && a->seed[i] == b->seed[j] &&
           memcmp(a->rgb[i], b->rgb[j], pixels * 3) == 0 &&
           memcmp(a->latent[i], b->latent[j], pixels / 64 * 4 * sizeof(float)) == 0;
}

void pictures_expect_equal(const pictures *a, const pictures *b, const char *what, int metadata)
{
    cr_assert_eq(a->count, b->count, "%s", what);
    for (int i = 0; i < a->count; i++) {
        cr_expect(pictures_equal(a, i, b, i), "%s: picture %d differs", what, i);
        if (metadata) cr_expect_str_eq(a->parameters[i], b->parameters[i], "%s", what);
    }
}
