/* See story.h. */
#include "tests/tools/story.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tools/pictures/thumbnail.h"

static rf_axis *begin_axis(story *s, int axis, rf_axis_kind kind, const char *name, int count)
{
    rf_axis *a = &s->cells.axis[axis];
    *a = (rf_axis){.kind = kind, .name = name, .value = s->value[axis], .count = count};
    return a;
}

void story_numbers(story *s, int axis, rf_axis_kind kind, const char *name, int count)
{
    begin_axis(s, axis, kind, name, count);
    for (int i = 0; i < count; i++) {
        const double v = kind == RF_VARY_SWITCH ? i / 10.0 : i + 1;
        snprintf(s->number[axis][i], sizeof s->number[axis][i], "%g", v);
        s->value[axis][i] = (rf_axis_value){.text = s->number[axis][i], .number = v};
    }
}

void story_texts(story *s, int axis, rf_axis_kind kind, const char *name, const char *const *text,
                 int count)
{
    begin_axis(s, axis, kind, name, count);
    for (int i = 0; i < count; i++)
        s->value[axis][i] = (rf_axis_value){.text = text[i], .number = NAN};
}

void story_colour(const story *s, int cell, uint8_t rgb[3])
{
    const int *at = s->cells.cell[cell].at;
    rgb[0] = (uint8_t)(30 + at[0] * 18 % 200);
    rgb[1] = (uint8_t)(40 + at[1] * 36 % 200);
    rgb[2] = (uint8_t)(120 + at[2] * 60 % 130);
}

void story_picture(const story *s, int cell, int width, int height)
{
    char         path[512];
    uint8_t      colour[3];
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t     *rgb = malloc(pixels * 3);
    story_colour(s, cell, colour);
    for (size_t i = 0; i < pixels * 3; i++) rgb[i] = colour[i % 3];
    snprintf(path, sizeof path, "%s/cells/%s.png", s->sweep.folder, s->name[cell]);
    /* Not rf_png_write, which waits for the disk: a thousand times would take a minute. */
    rf_thumbnail    file;
    const rf_pixels picture = {.rgb = rgb, .width = width, .height = height};
    cr_assert_eq(rf_thumbnail_make(&file, &picture, width + height, NULL), RF_OK);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fwrite(file.png, 1, file.bytes, f), file.bytes);
    cr_assert_eq(fclose(f), 0);
    free(file.png);
    free(rgb);
}

static void make_cell(story *s, int i, int width, int height)
{
    const rf_axis *axis = s->cells.axis;
    rf_cell       *cell = &s->cell[i];
    const int      at[RF_AXES] = {i % axis[0].count, i / axis[0].count % axis[1].count,
                                  i / axis[0].count / axis[1].count};
    s->stage[i][0] = (rf_stage){.until = 0.5,
                                .prompt = "score_9, 1girl, silver hair",
                                .negative = "lowres",
                                .cfg_scale = 6};
    s->stage[i][1] = (rf_stage){.prompt = "1girl, masterpiece", .cfg_scale = -1};
    s->of[i][0] = 0, s->of[i][1] = 1;
    *cell = (rf_cell){.job = rf_job_default(), .file = s->of[i], .name = s->name[i]};
    for (int a = 0; a < RF_AXES; a++) {
        cell->at[a] = at[a];
        const double v = axis[a].value[at[a]].number;
        if (axis[a].kind == RF_VARY_SEED) cell->job.seed = (uint64_t)v;
        if (axis[a].kind == RF_VARY_SWITCH) s->stage[i][0].until = v;
    }
    cell->job.stages = s->stage[i], cell->job.stage_count = 2;
    cell->job.width = width, cell->job.height = height;
    snprintf(s->name[i], sizeof s->name[i], "x%02d-y%02d-z%02d", at[0], at[1], at[2]);
    s->record[i] = (rf_cell_record){
        .state = RF_CELL_DONE,
        .sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        .seconds = 1.5 * (i + 1)};
}

void story_make(story *s, const char *folder, int width, int height)
{
    char path[512];
    for (int a = 0; a < RF_AXES; a++)
        if (s->cells.axis[a].count == 0) {
            begin_axis(s, a, RF_VARY_NOTHING, "", 1);
            s->value[a][0] = (rf_axis_value){.text = "", .number = NAN};
        }
    const rf_axis *axis = s->cells.axis;
    s->file[0] = "models/pony.safetensors", s->file[1] = "models/animagine.safetensors";
    s->cells.cell = s->cell, s->cells.file = s->file, s->cells.files = 2;
    s->cells.count = axis[0].count * axis[1].count * axis[2].count;
    cr_assert_leq(s->cells.count, STORY_CELLS);
    s->sweep = (rf_sweep_story){.cells = &s->cells,
                                .record = s->record,
                                .folder = folder,
                                .title = "score_9, 1girl, silver hair, reading under a cherry tree",
                                .device = "cpu: none at all, 1 thread",
                                .calls_naive = 270,
                                .calls_shared = 162,
                                .calls_made = 54,
                                .ranks = 1,
                                .load_s = 1.25,
                                .encode_s = 0.5,
                                .denoise_s = 40,
                                .decode_s = 6,
                                .write_s = 0.75,
                                .wall_s = 50};
    snprintf(path, sizeof path, "%s/cells", folder);
    mkdir(path, 0777);
    for (int i = 0; i < s->cells.count; i++) {
        make_cell(s, i, width, height);
        story_picture(s, i, width, height);
    }
}
