/* refinery-judge: what pictures of the demo's world show, or how well the judge knows drawings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/judge/accuracy.h"

static const char HELP[] =
    "usage: refinery-judge WEIGHTS PICTURE.png...\n"
    "       refinery-judge WEIGHTS --truth LIST.txt A.png B.png\n"
    "\n"
    "Says what each picture (128x128) shows, as one line of JSON.  --truth: how often the judge "
    "is\n"
    "right on two sheets of drawings, in style a and in style b, whose scenes the list names.\n";

static void print_belief(const char *name, rf_belief b, const char *const *names)
{
    printf(", \"%s\": \"%s\", \"%s_sure\": %.4f", name, names[b.what], name, b.sure);
}

static void print_reading(const char *path, const rf_reading *r)
{
    printf("{\"picture\": \"%s\", \"style\": %.4f", path, r->style);
    print_belief("background", r->background, rf_backgrounds);
    printf(", \"places\": {");
    for (int i = 0; i < RF_PLACES; i++) {
        printf("%s\"%s\": {\"there\": %.4f", i ? ", " : "", rf_places[i], r->place[i].there);
        print_belief("creature", r->place[i].kind, rf_kinds);
        print_belief("colour", r->place[i].colour, rf_colours);
        print_belief("accessory", r->place[i].accessory, rf_accessories);
        printf("}");
    }
    printf("}}\n");
}

static rf_status read_picture(const rf_judge *judge, const char *path, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_pixels  pixels = {0};
    rf_reading reading;
    RF_TRY(rf_png_read(&pixels, path, err));
    if (pixels.width != RF_SIDE || pixels.height != RF_SIDE) {
        st = rf_fail(err, RF_E_ARG, "%s: %dx%d pixels; the judge reads %dx%d", path, pixels.width,
                     pixels.height, RF_SIDE, RF_SIDE);
        goto done;
    }
    rf_judge_read(judge, pixels.rgb, &reading);
    print_reading(path, &reading);
done:
    free(pixels.rgb);
    return st;
}

static void print_accuracy(const rf_accuracy *a, int style)
{
    printf("style %c, %d drawings:", "ab"[style], a -> drawings);
    for (int i = 0; i < RF_ATTRIBUTES; i++)
        printf(" %s %.2f %%,", rf_attributes[i], 100.0 * a->right[i] / a->told[i]);
    printf(" style %.2f %% (mean %.3f, worst %.3f)\n", 100.0 * a->style_right / a->drawings,
           a->style_mean, a->style_worst);
}

static rf_status print_truth(const rf_judge *judge, char **paths, rf_error *err)
{
    rf_status   st = RF_OK;
    rf_asked   *list = NULL;
    size_t      count = 0;
    rf_pixels   sheet = {0};
    rf_accuracy accuracy;
    RF_TRY(rf_asked_read(&list, &count, paths[0], err));
    for (int style = 0; style < 2; style++) {
        free(sheet.rgb);
        RF_TRY(rf_png_read(&sheet, paths[1 + style], err));
        RF_TRY(rf_accuracy_measure(&accuracy, judge, list, count, &sheet, style, err));
        print_accuracy(&accuracy, style);
    }
done:
    free(sheet.rgb);
    rf_asked_free(list, count);
    return st;
}

int main(int argc, char **argv)
{
    rf_status st = RF_OK;
    rf_error  err = {0};
    rf_judge *judge = NULL;
    const int truth = argc > 2 && strcmp(argv[2], "--truth") == 0;
    if (argc < 3 || (truth && argc != 6)) {
        fputs(HELP, stderr);
        return 2;
    }
    RF_TRY(rf_judge_open(&judge, argv[1], &err));
    if (truth)
        RF_TRY(print_truth(judge, argv + 3, &err));
    else
        for (int i = 2; i < argc; i++) RF_TRY(read_picture(judge, argv[i], &err));
done:
    rf_judge_close(judge);
    if (st != RF_OK) fprintf(stderr, "refinery-judge: %s\n", err.message);
    return st != RF_OK || fflush(stdout) != 0;
}
