/* See previews.h. */
#include "tools/previews.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/signals.h"

void rf_previews_settle(const rf_request *request, rf_job                   *job,
                        void (*warn)(void *user, const char *message), void *user)
{
    job->preview_every = request->job.preview_every;
    job->preview_vae = request->job.preview_vae;
    if (job->preview_vae && job->preview_every == 0) job->preview_every = RF_PREVIEW_EVERY;
    if (request->keep_previews && job->preview_every == 0)
        warn(user, "--keep-previews has no effect without --preview");
}

rf_status rf_previews_begin(rf_previews *p, rf_console *console, rf_meter *meter,
                            const rf_outputs *outputs, int keep, rf_error *err)
{
    *p = (rf_previews){.console = console, .meter = meter, .outputs = outputs, .keep = keep};
    p->there = calloc((size_t)outputs->count, 1);
    if (p->there) return RF_OK;
    return rf_fail(err, RF_E_NOMEM, "no memory for the previews of %d pictures", outputs->count);
}

static void remove_preview(const rf_previews *p, int index)
{
    char *path = NULL;
    if (p->there[index] && !p->keep && rf_preview_path(&path, p->outputs->paths[index]) == RF_OK)
        (void)unlink(path); /* whoever has removed it already is welcome */
    p->there[index] = 0;
    free(path);
}

void rf_previews_show(rf_previews *p, const rf_preview *preview)
{
    char     *path = NULL;
    rf_error  err = {0};
    rf_status st = RF_OK;
    if (p->broken) return;
    rf_signals_hold();
    st = rf_preview_path(&path, p->outputs->paths[preview->index]);
    if (st == RF_OK)
        st = rf_png_write(path, preview->rgb, preview->width, preview->height, NULL, 0, 1, &err);
    if (st == RF_OK) p->there[preview->index] = 1;
    rf_signals_release();
    if (st == RF_OK) {
        rf_meter_preview(p->meter, path, preview);
    } else {
        char text[RF_ERROR_BYTES + 40];
        p->broken = 1;
        snprintf(text, sizeof text, "no more previews: %s", err.message);
        rf_console_warning(p->console, text);
    }
    free(path);
}

void rf_previews_drop(rf_previews *p, int index)
{
    if (p->there) remove_preview(p, index);
}

void rf_previews_end(rf_previews *p)
{
    for (int i = 0; p->there && i < p->outputs->count; i++) remove_preview(p, i);
    free(p->there);
    p->there = NULL;
}
