/* What is no safetensors file is named in the refusal; a file that shrinks is an error. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/safetensors.h"
#include "tests/files/fixture.h"

TestSuite(container, .timeout = 60, .fini = fixture_cleanup);

/* The file at `path` is refused with `want` and a sentence. */
static void expect(const char *path, rf_status want, const char *what)
{
    rf_error        err = {.message = ""};
    rf_safetensors *file = NULL;
    cr_expect_eq(rf_safetensors_open(&file, path, &err), want, "%s: %s", what, err.message);
    cr_expect_null(file);
    cr_expect_gt(strlen(err.message), strlen(path), "%s has no message", what);
}

Test(container, s13_a_file_that_shrinks_is_an_error)
{
    rf_safetensors *file;
    rf_error        err;
    char           *buffer = malloc(1 << 20);
    const char     *path = fixture_path("x.safetensors");
    const char      header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[0,1048576]}}";
    for (int cut = 0; cut < 12; cut++) {
        fixture_file(path, header, sizeof header - 1, 1 << 20);
        cr_assert_eq(rf_safetensors_open(&file, path, NULL), RF_OK);
        const rf_tensors *list = rf_safetensors_list(file);
        cr_assert_eq(truncate(path, (off_t)cut * 90000), 0);
        cr_expect_eq(list->read(list, list->item, 0, buffer, 1 << 20, &err), RF_E_IO);
        cr_expect_not_null(strstr(err.message, "truncated"), "%s", err.message);
        rf_safetensors_close(file);
    }
    free(buffer);
}

Test(container, other_files_are_named)
{
    static const struct {
        const char *data;
        size_t      bytes;
        const char *said;
        rf_status   want;
    } rows[] = {
        {"", 0, "empty", RF_E_FORMAT},
        {"PK\3\4aaaaaaaaaaaa", 16, "pickle", RF_E_MODEL},
        {"\x80\2}q\0(X\1\0\0\0aK\1", 14, "pickle", RF_E_MODEL},
        {"\x80\4\x95\x10\0\0\0\0\0\0\0}", 12, "pickle", RF_E_MODEL},
        {"\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14, "pickle", RF_E_MODEL},
        {"GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16, "GGUF", RF_E_MODEL},
        {"<!DOCTYPE html><html>", 21, "web page", RF_E_MODEL},
        {"\n <html lang=en>", 16, "web page", RF_E_MODEL},
        {"\xEF\xBB\xBF<html>", 9, "web page", RF_E_MODEL},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "LFS", RF_E_MODEL},
        {"Access to model is restricted.", 30, "text", RF_E_MODEL},
        {"{\"error\": \"not found\"}", 22, "text", RF_E_MODEL},
        {"\x89PNG\r\n\x1a\n\0\0\0\0", 12, "picture", RF_E_MODEL},
        {"\xFF\xD8\xFF\xE0\0\0\0\0\0\0", 10, "picture", RF_E_MODEL},
        {"\7\xF0\1\2\3\4\5\6\7\x80\x81", 11, "not a safetensors file", RF_E_FORMAT},
    };
    const char *path = fixture_path("other");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_safetensors *file;
        rf_error        err;
        fixture_raw(path, rows[i].data, rows[i].bytes);
        expect(path, rows[i].want, rows[i].said);
        rf_safetensors_open(&file, path, &err);
        cr_expect_not_null(strstr(err.message, rows[i].said), "%s", err.message);
    }
}

Test(container, what_is_no_file_is_refused)
{
    rf_safetensors *file;
    rf_error        err;
    expect(fixture_path("absent"), RF_E_NOT_FOUND, "absent");
    expect(fixture_folder(), RF_E_MODEL, "folder");
    mkdir(fixture_path("diffusers"), 0755);
    fixture_raw(fixture_path("diffusers/model_index.json"), "{}", 2);
    cr_expect_eq(rf_safetensors_open(&file, fixture_path("diffusers"), &err), RF_E_MODEL);
    cr_expect_not_null(strstr(err.message, "diffusers"), "%s", err.message);
    cr_assert_eq(mkfifo(fixture_path("pipe"), 0600), 0);
    expect(fixture_path("pipe"), RF_E_IO, "pipe");
    expect("/dev/zero", RF_E_IO, "device");
    fixture_raw(fixture_path("x"), "x", 1);
    expect(fixture_path("x/y"), RF_E_NOT_FOUND, "below a file");
    chmod(fixture_path("x"), 0);
    if (geteuid() == 0) cr_assert_eq(seteuid(65534), 0);
    expect(fixture_path("x"), RF_E_PERMISSION, "unreadable");
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
}

Test(container, s11_a_cut_download_says_so)
{
    rf_safetensors   *file;
    rf_error          err;
    static const char header[] = "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const char       *path = fixture_path("cut.safetensors");
    for (int kept = 0; kept < 4; kept++) {
        fixture_file(path, header, sizeof header - 1, (uint64_t)kept);
        cr_expect_eq(rf_safetensors_open(&file, path, &err), RF_E_FORMAT);
        cr_expect_not_null(strstr(err.message, "the download was cut"), "%s", err.message);
    }
    cr_expect_eq(truncate(path, 20), 0);
    cr_expect_eq(rf_safetensors_open(&file, path, &err), RF_E_FORMAT);
    cr_expect_not_null(strstr(err.message, "the download was cut"), "%s", err.message);
}
