/* The two curves as SVG; see reports.h.
 *
 * Colours come from a style sheet inside the picture, so that it follows the reader's light or dark
 * page; blue and orange differ for every kind of colour vision, and the lines differ in dashes. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/figures.h"
#include "tools/measure/reports.h"

enum { WIDTH = 760, HEIGHT = 430, LEFT = 64, RIGHT = 660, TOP = 66, BOTTOM = 352 };

static const struct {
    int         figure;
    const char *name;
} CURVES[2] = {{RF_CONTENT, "content"}, {RF_STYLE, "style"}};

static const char HEAD[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\""
    " role=\"img\" aria-label=\"Content score and style score over the switch point\""
    " font-family=\"Helvetica, Arial, sans-serif\">\n"
    "<style>\n"
    ".page{fill:#ffffff} text{fill:#24292f;font-size:14px} .small{font-size:12px;fill:#57606a}\n"
    ".grid{stroke:#d8dee4;stroke-width:1} .axis{stroke:#8c959f;stroke-width:1.2}\n"
    ".content{stroke:#0b62d6} .style{stroke:#c2510c;stroke-dasharray:7 4}\n"
    ".line{fill:none;stroke-width:2.6;stroke-linejoin:round} .band{stroke:none;opacity:.16}\n"
    ".content.band,.content.dot,.content.name{fill:#0b62d6;stroke:none}\n"
    ".style.band,.style.dot,.style.name{fill:#c2510c;stroke:none} .name{font-weight:bold}\n"
    "@media (prefers-color-scheme:dark){\n"
    ".page{fill:#0d1117} text{fill:#e6edf3} .small{fill:#9da7b3}\n"
    ".grid{stroke:#262c36} .axis{stroke:#6e7681}\n"
    ".content{stroke:#6cb0ff} .style{stroke:#ff9d57} .band{opacity:.22}\n"
    ".content.band,.content.dot,.content.name{fill:#6cb0ff}\n"
    ".style.band,.style.dot,.style.name{fill:#ff9d57}}\n"
    "</style>\n"
    "<rect class=\"page\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n";

static double x_of(double point)
{
    return LEFT + (RIGHT - LEFT) * point;
}

static double y_of(double score)
{
    return BOTTOM - (BOTTOM - TOP) * fmin(fmax(score, 0), 1);
}

static void draw_axes(FILE *f, const rf_measurement *m)
{
    fprintf(f,
            "<text x=\"%d\" y=\"28\" font-weight=\"bold\">What was asked, and how it is drawn, "
            "by when the refiner takes over</text>\n",
            LEFT);
    fprintf(f,
            "<text class=\"small\" x=\"%d\" y=\"47\">%zu held-out prompts at each of %d switch "
            "points, %d steps; bands: 95 %% intervals over prompts</text>\n",
            LEFT, m->prompts, m->points, m->steps);
    for (int i = 0; i <= 5; i++) {
        const double y = y_of(i / 5.0);
        fprintf(f, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", LEFT, y,
                RIGHT, y);
        fprintf(f, "<text class=\"small\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n",
                LEFT - 10, y + 4, i / 5.0);
    }
    for (int i = 0; i <= 10; i++)
        fprintf(f,
                "<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                "<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f</text>\n",
                x_of(i / 10.0), BOTTOM, x_of(i / 10.0), BOTTOM + 5, x_of(i / 10.0), BOTTOM + 21,
                i / 10.0);
    fprintf(f, "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, BOTTOM,
            RIGHT, BOTTOM);
    fprintf(f,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">switch point: share of the steps "
            "made by the base</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 45);
    fprintf(f,
            "<text class=\"small\" x=\"%d\" y=\"%d\">refiner alone</text>"
            "<text class=\"small\" x=\"%d\" y=\"%d\" text-anchor=\"end\">base alone</text>\n",
            LEFT - 20, BOTTOM + 45, RIGHT + 20, BOTTOM + 45);
}

static rf_figure figure_at(const rf_measurement *m, int point, int figure)
{
    return rf_figure_of(m->outcome + (size_t)point * m->prompts, NULL, m->prompts, figure);
}

static void draw_curve(FILE *f, const rf_measurement *m, int curve)
{
    const char *name = CURVES[curve].name;
    const int   figure = CURVES[curve].figure, n = m->points;
    fprintf(f, "<polygon class=\"%s band\" points=\"", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "%.1f,%.1f ", x_of(m->point[i]), y_of(figure_at(m, i, figure).high));
    for (int i = n; i-- > 0;)
        fprintf(f, "%.1f,%.1f ", x_of(m->point[i]), y_of(figure_at(m, i, figure).low));
    fprintf(f, "\"/>\n<polyline class=\"%s line\" points=\"", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "%.1f,%.1f ", x_of(m->point[i]), y_of(figure_at(m, i, figure).mean));
    fprintf(f, "\"/>\n");
    for (int i = 0; i < n; i++) {
        const rf_figure p = figure_at(m, i, figure);
        fprintf(f,
                "<circle class=\"%s dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\"><title>%s %.3f (%.3f "
                "to %.3f) at %.2f</title></circle>\n",
                name, x_of(m->point[i]), y_of(p.mean), name, p.mean, p.low, p.high, m->point[i]);
    }
}

/* Each curve's name stands at its end, unless both end together. */
static void draw_names(FILE *f, const rf_measurement *m)
{
    const int last = m->points - 1;
    double    y[2];
    for (int i = 0; i < 2; i++) y[i] = y_of(figure_at(m, last, CURVES[i].figure).mean) + 5;
    const int lower = y[1] >= y[0]; /* which of the two */
    if (fabs(y[0] - y[1]) < 18) y[lower] = y[!lower] + 18;
    for (int i = 0; i < 2; i++)
        fprintf(f, "<text class=\"%s name\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", CURVES[i].name,
                x_of(m->point[last]) + 12, y[i], CURVES[i].name);
}

rf_status rf_curve_svg(const char *path, const rf_measurement *m, rf_error *err)
{
    FILE *f = fopen(path, "w");
    if (!f) return rf_fail(err, RF_E_CREATE, "%s: %s", path, strerror(errno));
    fprintf(f, HEAD, WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_axes(f, m);
    for (int i = 0; i < 2; i++) draw_curve(f, m, i);
    draw_names(f, m);
    fprintf(f, "</svg>\n");
    const int failed = ferror(f);
    if (fclose(f) != 0 || failed) return rf_fail(err, RF_E_IO, "%s: writing failed", path);
    return RF_OK;
}
