/* See pass_jobs.h. */
#include "tools/pass_jobs.h"

#include <stdlib.h>
#include <string.h>

int rf_pass_continues(const rf_pass_spec *pass)
{
    return pass->job.init == &pass->init;
}

/* Picture `i` of all, as rf_job.count counts. */
static rf_job one_picture(const rf_pass_spec *pass, int i)
{
    rf_job job = pass->job;
    if (job.variation > 0)
        job.variation_seed += (uint64_t)i;
    else
        job.seed += (uint64_t)i;
    return job;
}

rf_status rf_pass_jobs_make(rf_pass_jobs *out, const rf_pass_spec *pass, int first, int pictures,
                            const rf_pass_picture *before, rf_error *err)
{
    const int    each = rf_pass_continues(pass);
    const size_t count = each ? (size_t)pictures : 1;
    *out = (rf_pass_jobs){.job = calloc(count, sizeof *out->job),
                          .init = calloc(count, sizeof *out->init),
                          .count = (int)count,
                          .pictures = pictures};
    if (!out->job || !out->init) {
        rf_pass_jobs_release(out);
        return rf_fail(err, RF_E_NOMEM, "no memory for the jobs of a pass");
    }
    for (size_t i = 0; i < count; i++) {
        out->job[i] = one_picture(pass, first + (int)i);
        out->job[i].count = each ? 1 : pictures;
        if (!each) continue;
        out->init[i] = pass->init;
        out->init[i].rgb = before[i].rgb;
        out->init[i].job = before[i].job;
        out->job[i].init = &out->init[i];
    }
    return RF_OK;
}

void rf_pass_jobs_release(rf_pass_jobs *jobs)
{
    free(jobs->job);
    free(jobs->init);
    *jobs = (rf_pass_jobs){.count = 0};
}

rf_status rf_pass_picture_keep(rf_pass_picture *out, const rf_image *image, rf_error *err)
{
    const size_t bytes = (size_t)image->width * (size_t)image->height * 3;
    uint8_t     *rgb = malloc(bytes);
    char        *job = strdup(image->job);
    free(out->rgb);
    free(out->job);
    *out = (rf_pass_picture){rgb, job};
    if (!rgb || !job)
        return rf_fail(err, RF_E_NOMEM, "no memory to keep a picture for the next pass");
    memcpy(rgb, image->rgb, bytes);
    return RF_OK;
}

void rf_pass_pictures_free(rf_pass_picture *pictures, int count)
{
    for (int i = 0; pictures && i < count; i++) {
        free(pictures[i].rgb);
        free(pictures[i].job);
    }
    free(pictures);
}
