/* An expert from a diffusers folder draws, bit for bit, what the same expert draws from one file.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/files/folder_fixture.h"
#include "tests/model/golden.h"
#include "tests/relay/relays.h"

static void render(relays *r, rf_expert *base, pictures *out)
{
    const rf_stage stages[] = {{.expert = base, .until = 0.5, .prompt = "a cat", .cfg_scale = 3},
                               {.expert = r->expert[1], .until = 1, .cfg_scale = -1}};
    const rf_job   job = relays_job(stages, 2, 2);
    relays_render(r, &job, out);
}

Test(folder_expert, draws_as_the_single_file_does, .timeout = 60)
{
    relays     r;
    pictures   from_file = {0}, from_folder = {0};
    rf_error   err = {0};
    rf_expert *folder = NULL;
    char       path[300], hex[65], again[65];
    relays_open(&r, NULL);
    snprintf(path, sizeof path, "%s.v2", r.path[0]);
    folder_make(path, r.path[0], "tiny", 2);
    cr_assert_eq(rf_expert_open(&folder, r.engine, path, &err), RF_OK, "%s", err.message);
    cr_expect_not_null(strstr(rf_expert_name(folder), ".v2"), "%s", rf_expert_name(folder));
    render(&r, r.expert[0], &from_file);
    render(&r, folder, &from_folder);
    pictures_expect_equal(&from_file, &from_folder, "folder", 0);
    cr_assert_eq(rf_expert_sha256(folder, hex, NULL, NULL, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_expert_sha256(r.expert[0], again, NULL, NULL, &err), RF_OK);
    cr_expect(strlen(hex) == 64 && strcmp(hex, again) != 0);
    cr_expect_not_null(strstr(from_folder.job[0], hex), "%s", from_folder.job[0]);
    pictures_free(&from_file);
    pictures_free(&from_folder);
    rf_expert_close(folder);
    folder_remove(path);
    relays_close(&r);
}

/* Stability's refiner: no text_encoder, another pipeline. */
Test(folder_expert, the_refiner_too, .timeout = 60)
{
    relays     r = {.path = {make_tiny(7), make_expert("tiny-refiner", 9, RF_FILE_F32)}};
    pictures   from_file = {0}, from_folder = {0};
    rf_error   err = {0};
    rf_expert *file = NULL, *folder = NULL;
    char       path[300];
    relays_start(&r, NULL);
    snprintf(path, sizeof path, "%s.folder", r.path[1]);
    folder_make(path, r.path[1], "tiny-refiner", 1);
    must(rf_expert_open(&folder, r.engine, path, &err), &err);
    file = r.expert[1];
    for (int i = 0; i < 2; i++) {
        r.expert[1] = i ? folder : file;
        render(&r, r.expert[0], i ? &from_folder : &from_file);
    }
    r.expert[1] = file;
    pictures_expect_equal(&from_file, &from_folder, "the refiner's folder", 0);
    cr_expect_eq(r.warnings, 0, "%s", r.warning[0]);
    pictures_free(&from_file);
    pictures_free(&from_folder);
    rf_expert_close(folder);
    folder_remove(path);
    relays_close(&r);
}
