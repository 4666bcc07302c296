/* See start.h. */
#include "tools/start.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEP = 8, LEAST = 64, MOST = 8192 }; /* pixels of a job's sides */
enum { LARGE = 1 << 22 };                   /* pixels, four times what SDXL was trained on */

double rf_start_denoise(const rf_request *request, double otherwise)
{
    return isnan(request->start.denoise) ? otherwise : request->start.denoise;
}

int rf_start_refines_picture(const rf_request *request)
{
    return strcmp(request->start.refine_by, "img2img") == 0;
}

/* Options that speak of something that is not there. */
static void warn_of_idle(const rf_invocation *in, const rf_request           *q,
                         void (*warn)(void *user, const char *message), void *user)
{
    const int again = q->start.passes > 1 || rf_start_refines_picture(q);
    const struct {
        const char *flag, *needs;
        int         has;
    } options[] = {
        {"denoise", "--init, --passes or --refine-by img2img",
         q->start.init || again || q->files_optional},
        {"exact-steps", "--init, --passes or --refine-by img2img",
         q->start.init || again || q->files_optional},
        {"resize-mode", "--init", q->start.init != NULL},
        {"mask-blur", "--mask", q->start.mask != NULL},
        {"invert-mask", "--mask", q->start.mask != NULL},
        {"save-passes", "--passes or --refine-by img2img", again},
    };
    char text[160];
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].has || !rf_request_given(in, options[i].flag)) continue;
        snprintf(text, sizeof text, "--%s has no effect without %s", options[i].flag,
                 options[i].needs);
        warn(user, text);
    }
}

/* ---- size --------------------------------------------------------------------------------- */

static int down(int64_t pixels)
{
    return (int)(pixels / STEP * STEP);
}

/* The picture's own size; of a side that is given, the other keeps the shape. */
static rf_status take_size(rf_invocation *in, rf_request *q, const rf_pixels *p,
                           void (*warn)(void *user, const char *message), void *user)
{
    char text[600];
    int  width = down(p->width), height = down(p->height);
    if (q->width) width = q->width, height = down((int64_t)p->height * q->width / p->width);
    if (q->height) width = down((int64_t)p->width * q->height / p->height), height = q->height;
    if (width < LEAST || height < LEAST || width > MOST || height > MOST) {
        rf_trouble_hint(&in->trouble, "--size 1024x1024 resizes it");
        return rf_fail(&in->trouble.error, RF_E_ARG,
                       "--init %.400s has %dx%d pixels: pictures have from %d to %d a side",
                       q->start.init, p->width, p->height, LEAST, MOST);
    }
    q->job.width = width, q->job.height = height;
    if (width * height > LARGE) {
        snprintf(
            text, sizeof text,
            "--init %.400s makes a picture of %dx%d: SDXL was trained on a million pixels, and "
            "--size asks for less",
            q->start.init, width, height);
        warn(user, text);
    }
    if (q->width || q->height || (width == p->width && height == p->height)) return RF_OK;
    snprintf(text, sizeof text,
             "--init %.400s has %dx%d pixels: the picture gets %dx%d, multiples of %d",
             q->start.init, p->width, p->height, width, height, STEP);
    warn(user, text);
    return RF_OK;
}

/* A shape that differs by more than a fiftieth. */
static void warn_of_stretching(const rf_request *q, const rf_pixels                *p,
                               void (*warn)(void *user, const char *message), void *user)
{
    char         text[600];
    const double shape = (double)p->width / p->height;
    const double wanted = (double)q->job.width / q->job.height;
    if (strcmp(q->start.resize_mode, "resize") != 0 || fabs(log(shape / wanted)) < 0.02) return;
    snprintf(text, sizeof text,
             "--init %.400s is stretched from %dx%d to %dx%d; --resize-mode crop and fill keep its "
             "shape",
             q->start.init, p->width, p->height, q->job.width, q->job.height);
    warn(user, text);
}

/* ---- files -------------------------------------------------------------------------------- */

static int resize_mode(const char *name)
{
    return strcmp(name, "crop") == 0   ? RF_FIT_CROP
           : strcmp(name, "fill") == 0 ? RF_FIT_FILL
                                       : RF_FIT_RESIZE;
}

static rf_status read_files(rf_start *s, rf_invocation *in, rf_request *q,
                            void (*warn)(void *user, const char *message), void *user)
{
    rf_status st = RF_OK;
    rf_error *err = &in->trouble.error;
    const int sized = rf_request_given(in, "size") || (q->width && q->height);
    RF_TRY(rf_init_files_open(&s->files, q->start.init, err));
    if (sized)
        warn_of_stretching(q, &s->files.picture, warn, user);
    else
        RF_TRY(take_size(in, q, &s->files.picture, warn, user));
    s->init.path = q->start.init;
    s->init.mask_path = q->start.mask;
    s->init.resize_mode = resize_mode(q->start.resize_mode);
    if (q->start.mask) {
        s->init.mask_blur = q->start.mask_blur;
        s->init.mask_inverted = q->start.invert_mask;
    }
    RF_TRY(rf_init_files_fit(&s->files, &s->init, q->job.width, q->job.height, "--mask", err));
done:
    return st;
}

rf_status rf_start_settle(rf_start *start, rf_invocation *in, rf_request *q,
                          void (*warn)(void *user, const char *message), void *user)
{
    rf_status st = RF_OK;
    warn_of_idle(in, q, warn, user);
    *start = (rf_start){.init = {.denoise = rf_start_denoise(q, RF_DENOISE_INIT),
                                 .exact_steps = q->start.exact_steps}};
    if (q->start.mask && !q->start.init) {
        st = rf_fail(&in->trouble.error, RF_E_ARG,
                     "--mask needs --init: it tells which part of that picture is painted anew");
        goto done;
    }
    if (q->start.init) RF_TRY(read_files(start, in, q, warn, user));
    /* explain can do without the picture: a strength is all that it needs */
    if (q->start.init || (q->files_optional && !isnan(q->start.denoise)))
        q->job.init = &start->init;
done:
    return st;
}

void rf_start_release(rf_start *start)
{
    rf_init_files_release(&start->files);
}
