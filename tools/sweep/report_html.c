/* report.html: the template of this folder with its {{places}} filled; see report.h.
 *
 * The grids are plain HTML with small pictures inside, so that they stand without the script; the
 * script adds what moves.  Every text of the user's goes through put_text or rf_report_data_write,
 * which leave nothing that could be markup. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pictures/thumbnail.h"
#include "tools/sweep/cell_picture.h"
#include "tools/sweep/report_parts.h"
#include "tools/text_file.h"
#include "tools/text_input.h"

enum {
    THUMB_MAX = 256,
    THUMB_MIN = 16,
    EASY = 128, /* pixels that a picture is seen well at */
    /* All thumbnails together, at worst: 3 bytes a pixel that do not compress, 4 as base64. */
    THUMBS_BYTES = 32 << 20,
    PIXEL_BYTES = 4,
};

typedef struct page {
    const rf_sweep_story *story;
    FILE                 *out;
    char                **why;     /* [cells]: why there is no picture; NULL where there is one */
    int                   longest; /* of all pictures, pixels */
    int                   side;    /* of a thumbnail of that one */
    int factor; /* by which the page enlarges it: very small pictures could not be seen */
} page;

/* ---- text --------------------------------------------------------------------------------- */

/* Text, or the value of an attribute in double quotes. */
static void put_text(FILE *out, const char *text)
{
    char cut[RF_REPORT_TEXT_BYTES + 4];
    rf_report_cut(cut, text);
    const size_t all = strlen(cut);
    for (size_t i = 0, n; i < all; i += n ? n : 1) {
        const unsigned char c = (unsigned char)cut[i];
        n = rf_utf8_length(cut + i, all - i);
        const int control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F ||
                            (n == 2 && c == 0xC2 && (unsigned char)cut[i + 1] < 0xA0);
        if (n == 0 || control)
            fputs("\xEF\xBF\xBD", out); /* U+FFFD */
        else if (n == 1 && strchr("&<>\"'", c))
            fprintf(out, "&#%d;", c);
        else
            fwrite(cut + i, 1, n, out);
    }
}

/* "Refiner switch at 0.3, Seed 2" */
static void put_place(const page *p, const rf_cell *cell)
{
    const rf_axis *axis = p->story->cells->axis;
    const char    *between = "";
    for (int i = 0; i < RF_AXES; i++) {
        if (axis[i].kind == RF_VARY_NOTHING) continue;
        fputs(between, p->out);
        put_text(p->out, axis[i].name);
        fputc(' ', p->out);
        put_text(p->out, axis[i].value[cell->at[i]].text);
        between = ", ";
    }
    if (!*between) put_text(p->out, cell->name);
}

static void put_seconds(FILE *out, double s)
{
    const long whole = lround(s);
    if (s < 100)
        fprintf(out, "%.1f s", s);
    else if (s < 3600)
        fprintf(out, "%ld min %ld s", whole / 60, whole % 60);
    else
        fprintf(out, "%ld h %ld min", whole / 3600, whole / 60 % 60);
}

/* ---- figures ------------------------------------------------------------------------------ */

static rf_status put_tiles(page *p, rf_error *err)
{
    const rf_sweep_story *s = p->story;
    int                   done = 0, failed = 0;
    (void)err;
    for (int i = 0; i < s->cells->count; i++) {
        done += s->record[i].state == RF_CELL_DONE;
        failed += s->record[i].state == RF_CELL_FAILED;
    }
    const int open = s->cells->count - done - failed;
    fprintf(p->out, "<li><b>%d of %d</b><span>cells", done, s->cells->count);
    if (failed) fprintf(p->out, ", %d failed", failed);
    if (open) fprintf(p->out, ", %d not made yet", open);
    fputs("</span></li>\n", p->out);
    if (s->calls_shared > 0) {
        const double times = (double)s->calls_naive / (double)s->calls_shared;
        fprintf(p->out, "<li><b>%lld</b><span>UNet calls planned instead of %lld</span></li>\n",
                (long long)s->calls_shared, (long long)s->calls_naive);
        fprintf(p->out, "<li><b>%.2fx</b><span>fewer: %.0f %% saved</span></li>\n", times,
                100 - 100 / times);
    }
    if (s->wall_s > 0) {
        fputs("<li><b>", p->out);
        put_seconds(p->out, s->wall_s);
        fprintf(p->out, "</b><span>in this sitting, for %lld calls", (long long)s->calls_made);
        if (s->ranks > 1) fprintf(p->out, " by %d ranks", s->ranks);
        fputs("</span></li>\n", p->out);
    }
    if (s->device) {
        fputs("<li><b>device</b><span>", p->out);
        put_text(p->out, s->device);
        fputs("</span></li>\n", p->out);
    }
    return RF_OK;
}

static rf_status put_timings(page *p, rf_error *err)
{
    static const char *const NAMES[] = {"load", "encode", "denoise", "decode", "write", "rest"};
    const rf_sweep_story    *s = p->story;
    double time[6] = {s->load_s, s->encode_s, s->denoise_s, s->decode_s, s->write_s, 0}, all = 0;
    (void)err;
    for (int i = 0; i < 5; i++) all += time[i];
    if (s->wall_s > all) time[5] = s->wall_s - all, all = s->wall_s;
    if (!(all > 0)) return RF_OK;
    fputs("<div class=\"times\" role=\"img\" aria-label=\"shares of the time, listed below\">",
          p->out);
    for (int i = 0; i < 6; i++)
        if (time[i] > 0)
            fprintf(p->out, "<i class=\"%s\" style=\"width:%.2f%%\"></i>", NAMES[i],
                    100 * time[i] / all);
    fputs("</div>\n<ul class=\"key\">", p->out);
    for (int i = 0; i < 6; i++) {
        if (!(time[i] > 0)) continue;
        fprintf(p->out, "<li><i class=\"%s\"></i>%s ", NAMES[i], NAMES[i]);
        put_seconds(p->out, time[i]);
        fputs("</li>", p->out);
    }
    if (s->ranks > 1) fprintf(p->out, "<li>of %d ranks together</li>", s->ranks);
    fputs("</ul>\n", p->out);
    return RF_OK;
}

/* ---- grids -------------------------------------------------------------------------------- */

static void put_base64(FILE *out, const uint8_t *data, size_t bytes)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        const size_t   n = bytes - i < 3 ? bytes - i : 3;
        const unsigned three = (unsigned)data[i] << 16 | (n > 1 ? (unsigned)data[i + 1] << 8 : 0) |
                               (n > 2 ? data[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            fputc(k <= n ? DIGITS[three >> (18 - 6 * k) & 63] : '=', out);
    }
}

/* All thumbnails are of one scale; what is larger than its job says is of the largest size. */
static void thumb_size(const page *p, int w, int h, int *width, int *height)
{
    const int longer = w > h ? w : h;
    rf_shrunk_size(width, height, w, h, p->side, longer > p->longest ? longer : p->longest);
}

static rf_status put_picture(page *p, int i, const rf_pixels *pixels, rf_error *err)
{
    rf_thumbnail   thumb;
    int            width, height;
    const rf_cell *cell = &p->story->cells->cell[i];
    thumb_size(p, pixels->width, pixels->height, &width, &height);
    rf_status st = rf_thumbnail_make(&thumb, pixels, width > height ? width : height, err);
    if (st != RF_OK) return st;
    fprintf(p->out, "<td><a data-cell=\"%d\" href=\"cells/", i);
    put_text(p->out, cell->name);
    fprintf(p->out, ".png\"><img %swidth=\"%d\" height=\"%d\" alt=\"",
            p->factor > 1 ? "class=\"pixels\" " : "", thumb.width * p->factor,
            thumb.height * p->factor);
    put_place(p, cell);
    fputs("\" src=\"data:image/png;base64,", p->out);
    put_base64(p->out, thumb.png, thumb.bytes);
    fputs("\"></a></td>\n", p->out);
    free(thumb.png);
    return RF_OK;
}

static rf_status put_cell(page *p, int i, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_cell_picture picture;
    const rf_cell  *cell = &p->story->cells->cell[i];
    int             width, height;
    if (p->story->stop && p->story->stop())
        return rf_fail(err, RF_E_CANCELLED, "interrupted while pictures were put together");
    rf_cell_picture_read(&picture, p->story, i);
    if (picture.pixels.rgb) {
        RF_TRY(put_picture(p, i, &picture.pixels, err));
        goto done;
    }
    p->why[i] = strdup(picture.why);
    if (!p->why[i]) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the report");
        goto done;
    }
    thumb_size(p, cell->job.width, cell->job.height, &width, &height);
    fprintf(p->out,
            "<td><div class=\"none\" style=\"width:%dpx;height:%dpx\" data-cell=\"%d\" "
            "role=\"button\" aria-label=\"",
            width * p->factor, height * p->factor, i);
    put_place(p, cell);
    fputs(": ", p->out);
    put_text(p->out, picture.why);
    fputs("\">", p->out);
    put_text(p->out, picture.why);
    fputs("</div></td>\n", p->out);
done:
    rf_cell_picture_release(&picture);
    return st;
}

static void put_heads(page *p, const rf_axis *x, const rf_axis *y)
{
    const int rows = y->kind != RF_VARY_NOTHING;
    if (x->kind == RF_VARY_NOTHING) return;
    fputs(rows ? "<thead><tr><td></td>" : "<thead><tr>", p->out);
    for (int i = 0; i < x->count; i++) {
        fputs("<th scope=\"col\">", p->out);
        put_text(p->out, x->value[i].text);
        fputs("</th>", p->out);
    }
    fputs("</tr></thead>\n", p->out);
}

static void put_caption(page *p, const rf_axis *x, const rf_axis *y)
{
    fputs("<caption>", p->out);
    if (x->kind != RF_VARY_NOTHING) {
        fputs("columns: ", p->out);
        put_text(p->out, x->name);
    }
    if (y->kind != RF_VARY_NOTHING) {
        fputs(x->kind != RF_VARY_NOTHING ? ", rows: " : "rows: ", p->out);
        put_text(p->out, y->name);
    }
    fputs("</caption>\n", p->out);
}

static rf_status put_grid(page *p, int z, rf_error *err)
{
    rf_status      st = RF_OK;
    const rf_axis *axis = p->story->cells->axis, *x = &axis[RF_AXIS_X], *y = &axis[RF_AXIS_Y];
    fprintf(p->out, "<section aria-labelledby=\"z%d\">\n<h2 id=\"z%d\">", z, z);
    if (axis[RF_AXIS_Z].kind == RF_VARY_NOTHING) {
        fputs("The grid", p->out);
    } else {
        put_text(p->out, axis[RF_AXIS_Z].name);
        fputs(": ", p->out);
        put_text(p->out, axis[RF_AXIS_Z].value[z].text);
    }
    fputs("</h2>\n<div class=\"scroll\"><table>\n", p->out);
    put_caption(p, x, y);
    put_heads(p, x, y);
    fputs("<tbody>\n", p->out);
    for (int row = 0; row < y->count; row++) {
        fputs("<tr>", p->out);
        if (y->kind != RF_VARY_NOTHING) {
            fputs("<th scope=\"row\">", p->out);
            put_text(p->out, y->value[row].text);
            fputs("</th>", p->out);
        }
        for (int column = 0; column < x->count; column++)
            RF_TRY(put_cell(p, column + x->count * (row + y->count * z), err));
        fputs("</tr>\n", p->out);
    }
    fputs("</tbody></table></div>\n</section>\n", p->out);
done:
    return st;
}

static rf_status put_grids(page *p, rf_error *err)
{
    rf_status      st = RF_OK;
    const rf_axis *z = &p->story->cells->axis[RF_AXIS_Z];
    if (z->count > 1) {
        fputs("<nav class=\"planes\" aria-label=\"grids\">", p->out);
        for (int i = 0; i < z->count; i++) {
            fprintf(p->out, "<a href=\"#z%d\">", i);
            put_text(p->out, z->value[i].text);
            fputs("</a>\n", p->out);
        }
        fputs("</nav>\n", p->out);
    }
    for (int i = 0; i < z->count; i++) RF_TRY(put_grid(p, i, err));
done:
    return st;
}

/* ---- the template ------------------------------------------------------------------------- */

static rf_status put_title(page *p, rf_error *err)
{
    const char *title = p->story->title;
    (void)err;
    put_text(p->out, title && *title ? title : "a sweep without a prompt");
    return RF_OK;
}

static rf_status put_version(page *p, rf_error *err)
{
    (void)err;
    put_text(p->out, rf_version());
    return RF_OK;
}

static rf_status put_side(page *p, rf_error *err)
{
    (void)err;
    fprintf(p->out, "%d", p->side * p->factor);
    return RF_OK;
}

static rf_status put_style(page *p, rf_error *err)
{
    (void)err;
    fwrite(rf_report_style, 1, rf_report_style_bytes, p->out);
    return RF_OK;
}

static rf_status put_script(page *p, rf_error *err)
{
    (void)err;
    fwrite(rf_report_script, 1, rf_report_script_bytes, p->out);
    return RF_OK;
}

static rf_status put_data(page *p, rf_error *err)
{
    return rf_report_data_write(p->out, p->story, p->why, err);
}

static const struct {
    const char *name;
    rf_status (*put)(page *p, rf_error *err);
} PLACES[] = {{"version", put_version}, {"title", put_title},     {"style", put_style},
              {"tiles", put_tiles},     {"timings", put_timings}, {"side", put_side},
              {"grids", put_grids},     {"data", put_data},       {"script", put_script}};

static rf_status fill(page *p, const char *name, size_t bytes, rf_error *err)
{
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (strlen(PLACES[i].name) == bytes && memcmp(PLACES[i].name, name, bytes) == 0)
            return PLACES[i].put(p, err);
    return rf_fail(err, RF_E_BUG, "report.html has a place that nothing fills: %.*s", (int)bytes,
                   name);
}

static rf_status fill_all(page *p, rf_error *err)
{
    rf_status   st = RF_OK;
    const char *at = (const char *)rf_report_template, *end = at + rf_report_template_bytes;
    while (at < end) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;
        fwrite(at, 1, (size_t)((close ? open : end) - at), p->out);
        if (!close) break;
        RF_TRY(fill(p, open + 2, (size_t)(close - open) - 2, err));
        at = close + 2;
    }
done:
    return st;
}

static void set_scale(page *p)
{
    const rf_cells *cells = p->story->cells;
    const int       side = (int)sqrt((double)THUMBS_BYTES / PIXEL_BYTES / cells->count);
    p->longest = 1;
    for (int i = 0; i < cells->count; i++) {
        const rf_job *job = &cells->cell[i].job;
        const int     longer = job->width > job->height ? job->width : job->height;
        if (longer > p->longest) p->longest = longer;
    }
    p->side = side > THUMB_MAX ? THUMB_MAX : side < THUMB_MIN ? THUMB_MIN : side;
    if (p->side > p->longest) p->side = p->longest;
    p->factor = p->side == p->longest && p->side <= EASY / 2 ? EASY / p->side : 1;
}

rf_status rf_report_html_write(const rf_sweep_story *story, rf_error *err)
{
    rf_status    st = RF_OK;
    rf_text_file file = {0};
    const size_t count = (size_t)story->cells->count;
    const size_t room = strlen(story->folder) + sizeof "/report.html";
    char        *path = malloc(room);
    page         p = {.story = story, .why = calloc(count, sizeof *p.why)};
    if (!path || !p.why) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for the report");
        goto done;
    }
    snprintf(path, room, "%s/report.html", story->folder);
    set_scale(&p);
    RF_TRY(rf_text_file_create(&file, path, err));
    p.out = file.out;
    RF_TRY(fill_all(&p, err));
    RF_TRY(rf_text_file_commit(&file, err));
done:
    rf_text_file_discard(&file);
    for (size_t i = 0; p.why && i < count; i++) free(p.why[i]);
    free(p.why);
    free(path);
    return st;
}
