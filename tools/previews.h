/* `--preview`: a small PNG beside each picture that is on its way, which an image viewer reloads.
 *
 * OUTPUT.png has its preview in OUTPUT.preview.png: replaced in one step each time, gone when the
 * picture is there (or the run is over), unless it is to be kept.  That a preview cannot be written
 * is told once and harms nothing. */
#ifndef RF_PREVIEWS_H
#define RF_PREVIEWS_H

#include "tools/progress.h"
#include "tools/render_outputs.h"
#include "tools/request.h"

enum { RF_PREVIEW_EVERY = 5 }; /* calls, where only --preview-vae is given */

typedef struct rf_previews {
    rf_console       *console;
    rf_meter         *meter;
    const rf_outputs *outputs;
    char             *there; /* [outputs->count]: its preview is in its folder */
    int               keep, broken;
} rf_previews;

/* What the request asks for, into the job.  `warn` gets what has no effect. */
void rf_previews_settle(const rf_request *request, rf_job                   *job,
                        void (*warn)(void *user, const char *message), void *user);

/* `outputs` must outlive them.  RF_E_NOMEM. */
rf_status rf_previews_begin(rf_previews *previews, rf_console *console, rf_meter *meter,
                            const rf_outputs *outputs, int keep, rf_error *err);
void      rf_previews_show(rf_previews *previews, const rf_preview *preview);
/* The picture itself is there. */
void rf_previews_drop(rf_previews *previews, int index);
/* All that are left; {0} is fine. */
void rf_previews_end(rf_previews *previews);

#endif
