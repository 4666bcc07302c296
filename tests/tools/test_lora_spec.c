/* Names and strengths of LoRAs as people write them, and the folders they are looked up in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "tests/files/fixture.h"
#include "tools/lora_files.h"
#include "tools/lora_spec.h"

TestSuite(lora_spec, .timeout = 30, .fini = fixture_cleanup);
TestSuite(lora_tag, .timeout = 30);
TestSuite(lora_files, .timeout = 30, .fini = fixture_cleanup);

static rf_trouble trouble;

/* ---- on a command line -------------------------------------------------------------------- */

static void option_is(const char *text, const char *name, double unet, double te)
{
    rf_lora_spec spec;
    cr_assert_eq(rf_lora_spec_option(&spec, "--lora", text, &trouble), RF_OK, "%s: %s", text,
                 trouble.error.message);
    cr_expect(spec.length == strlen(name) && strncmp(spec.name, name, spec.length) == 0, "%s: %.*s",
              text, (int)spec.length, spec.name);
    cr_expect(spec.unet == unet && spec.text == te, "%s: %g %g", text, spec.unet, spec.text);
}

static void option_fails(const char *text, const char *said)
{
    rf_lora_spec spec;
    trouble = (rf_trouble){.hint = ""};
    cr_expect_eq(rf_lora_spec_option(&spec, "--lora", text, &trouble), RF_E_ARG, "%s", text);
    cr_expect(strstr(trouble.error.message, said), "%s: %s", text, trouble.error.message);
}

Test(lora_spec, a_name_has_up_to_two_strengths)
{
    option_is("detail", "detail", 1, 1);
    option_is("detail:0.8", "detail", 0.8, 0.8);
    option_is("detail:0.8:0.25", "detail", 0.8, 0.25);
    option_is("detail:-1:0", "detail", -1, 0);
    option_is("detail:1e1", "detail", 10, 10);
    option_is("dir/a file.safetensors:.5", "dir/a file.safetensors", 0.5, 0.5);
    option_is("a:b:0.5", "a:b", 0.5, 0.5);
    option_is("a:1:2:3", "a:1", 2, 3);
}

Test(lora_spec, a_file_that_is_all_of_the_text_is_that_file)
{
    char path[610], before[600];
    snprintf(before, sizeof before, "%s/v1", fixture_folder());
    snprintf(path, sizeof path, "%s:2", before);
    option_is(path, before, 2, 2);
    fixture_raw(path, "x", 1);
    option_is(path, path, 1, 1);
}

Test(lora_spec, what_is_no_strength_is_refused)
{
    static const char *const bad[] = {"a:nan",   "a:inf", "a:-inf", "a:1e9",   "a:100.1",
                                      "a:0x1p3", "a:1,5", "a:",     "a:0.5 x", "a:strong",
                                      "a:1e",    "a:--1", "a:0.5:", "a:1e9:1", "a:1:1e400"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) option_fails(bad[i], "is not a strength");
    option_is(":0.5", ":0.5", 1, 1); /* nothing stands before it: it is a name */
}

/* ---- in a prompt -------------------------------------------------------------------------- */

static void tag_is(const char *prompt, const char *name, double te, double unet)
{
    rf_lora_tag tag;
    cr_assert_eq(rf_lora_tag_next(&tag, prompt, 0, &trouble), 1, "%s: %s", prompt,
                 trouble.error.message);
    cr_expect(tag.spec.length == strlen(name) && strncmp(tag.spec.name, name, tag.spec.length) == 0,
              "%s: %.*s", prompt, (int)tag.spec.length, tag.spec.name);
    cr_expect(tag.spec.text == te && tag.spec.unet == unet, "%s: %g %g", prompt, tag.spec.text,
              tag.spec.unet);
    cr_expect(prompt[tag.begin] == '<' && prompt[tag.end - 1] == '>', "%s", prompt);
}

static void tag_fails(const char *prompt, const char *said)
{
    rf_lora_tag tag;
    trouble = (rf_trouble){.hint = ""};
    cr_expect_eq(rf_lora_tag_next(&tag, prompt, 0, &trouble), -1, "%s", prompt);
    cr_expect_eq(trouble.error.status, RF_E_ARG, "%s", prompt);
    cr_expect(strstr(trouble.error.message, said), "%s: %s", prompt, trouble.error.message);
}

Test(lora_tag, arguments_are_those_of_a1111)
{
    tag_is("a <lora:detail> b", "detail", 1, 1);
    tag_is("<lora:detail:0.8>", "detail", 0.8, 0.8);
    tag_is("<lyco:detail:0.8:0.5>", "detail", 0.8, 0.5);
    tag_is("<lora:detail:unet=0.5>", "detail", 1, 0.5);
    tag_is("<lora:detail:te=0.5>", "detail", 0.5, 0.5);
    tag_is("<lora:te=0.5:detail:unet=2>", "detail", 0.5, 2);
    tag_is("<lora:detail:0.1:0.2:te=0.3>", "detail", 0.3, 0.2);
    tag_is("<lora: my file : -0.5 >", "my file", -0.5, -0.5);
    tag_is("<lora:a=b=c:2>", "a=b=c", 2, 2);
    tag_is("<hypernet:x:1> <lora:y>", "y", 1, 1);
    tag_is("<lora:> <lora <lora:y>", "y", 1, 1);
    tag_is("<lora:caf\xC3\xA9>", "caf\xC3\xA9", 1, 1);
    tag_is("<lora:../../etc/passwd>", "../../etc/passwd", 1, 1); /* a name like any other */
}

Test(lora_tag, what_is_no_tag_is_left)
{
    static const char *const plain[] = {
        "",          "lora:a",  "<lora a>", "<lora:a", "<lora>",
        "< lora:a>", "<lora:>", "<Lora:a>", "a < b",   "<hypernet:<lora:a>"};
    rf_lora_tag tag;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        cr_expect_eq(rf_lora_tag_next(&tag, plain[i], 0, &trouble), 0, "%s", plain[i]);
}

Test(lora_tag, what_no_lora_can_do_is_refused)
{
    static const char *const bad[] = {"<lora:a:nan>",    "<lora:a:inf>", "<lora:a:1e9>",
                                      "<lora:a:-101>",   "<lora:a:>",    "<lora:a:te=>",
                                      "<lora:a:unet=x>", "<lora:a:1:2%>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) tag_fails(bad[i], "is not a strength");
    tag_fails("<lora:a:1:1:8>", "is one argument too many");
    tag_fails("<lora:a:dyn=8>", "'dyn=8' is not supported");
    tag_fails("<lora:a:lbw=1>", "only te= and unet= are");
    tag_fails("<lora:te=1>", "names no LoRA");
    tag_fails("<lora:  >", "names no LoRA");
}

Test(lora_tag, a_long_prompt_takes_linear_time)
{
    enum { BYTES = 1 << 20 };
    char       *text = malloc(BYTES + 1);
    rf_lora_tag tag = {.end = 0};
    cr_assert_not_null(text);
    for (int i = 0; i < BYTES; i += 4) memcpy(text + i, "<a:b", 4);
    text[BYTES] = '\0';
    cr_expect_eq(rf_lora_tag_next(&tag, text, 0, &trouble), 0);
    for (int i = 0; i < BYTES; i += 8) memcpy(text + i, "<lora:a>", 8);
    int count = 0;
    while (rf_lora_tag_next(&tag, text, tag.end, &trouble) == 1 && count < 1000) count++;
    cr_expect_eq(count, 1000);
    free(text);
}

/* ---- folders ------------------------------------------------------------------------------ */

/* A LoRA of one module whose header says `metadata`; `fill` zeros tell its contents apart. */
static void write_lora(const char *path, const char *metadata, int fill)
{
    char      header[1000];
    const int n = snprintf(header, sizeof header,
                           "{\"__metadata__\":{%s},\"x.lora_down.weight\":{\"dtype\":\"F32\","
                           "\"shape\":[%d],\"data_offsets\":[0,%d]}}",
                           metadata, fill, 4 * fill);
    fixture_file(path, header, (size_t)n, 4 * (uint64_t)fill);
}

static rf_lora_files files;
static rf_texts      folders;

static void scan(void)
{
    folders = (rf_texts){.item = {fixture_folder()}, .count = 1};
    cr_assert_eq(rf_lora_files_scan(&files, &folders, "--lora-dir", NULL, &trouble), RF_OK, "%s",
                 trouble.error.message);
}

/* The file that `name` finds, without the folder; or the message. */
static const char *found(const char *name)
{
    const char *path = NULL;
    trouble = (rf_trouble){.hint = ""};
    if (rf_lora_files_find(&files, name, "--lora", &path, &trouble) != RF_OK)
        return trouble.error.message;
    cr_assert_eq(strncmp(path, folders.item[0], strlen(folders.item[0])), 0);
    return path + strlen(folders.item[0]) + 1;
}

Test(lora_files, are_found_by_name_alias_and_hash)
{
    char whole[RF_SHA256_HEX], body[RF_SHA256_HEX];
    cr_assert_eq(mkdir(fixture_path("style"), 0700), 0);
    write_lora(fixture_path("detail.safetensors"), "\"ss_output_name\":\"Detail XL\"", 1);
    write_lora(fixture_path("style/oil.SafeTensors"), "\"ss_output_name\":\"None\"", 2);
    write_lora(fixture_path("style/ink.safetensors"), "\"sshs_model_hash\":\"ABCDEF0123456789\"",
               3);
    fixture_raw(fixture_path("style/notes.txt"), "x", 1);
    scan();
    cr_expect_eq(files.count, 3);
    cr_expect_str_eq(found("detail"), "detail.safetensors");
    cr_expect_str_eq(found("detail.safetensors"), "detail.safetensors");
    cr_expect_str_eq(found("Detail XL"), "detail.safetensors");
    cr_expect_str_eq(found("oil"), "style/oil.SafeTensors");
    cr_expect_str_eq(found("abcdef012345"), "style/ink.safetensors");
    cr_assert_eq(rf_file_sha256(whole, fixture_path("detail.safetensors"), NULL, NULL, NULL),
                 RF_OK);
    cr_assert_eq(rf_file_body_sha256(body, fixture_path("style/oil.SafeTensors"), NULL, NULL, NULL),
                 RF_OK);
    cr_expect_str_neq(whole, body);
    cr_expect_str_eq(found(whole), "detail.safetensors");
    whole[10] = '\0'; /* AutoV2 */
    cr_expect_str_eq(found(whole), "detail.safetensors");
    body[12] = '\0'; /* AutoV3 */
    cr_expect_str_eq(found(body), "style/oil.SafeTensors");
    whole[9] = '\0'; /* too short for a hash */
    cr_expect(strstr(found(whole), "no LoRA of that name"));
    rf_lora_files_free(&files);
}

Test(lora_files, names_are_never_paths)
{
    static const char *const names[] = {
        "../secret", "style/oil", "/etc/passwd", ".",        "..",   "",        "./detail",
        "*",         "detail/",   "None",        "detail\n", "%s%n", ".hidden", "None.safetensors"};
    cr_assert_eq(mkdir(fixture_path("a"), 0700), 0);
    write_lora(fixture_path("secret.safetensors"), "", 1);
    write_lora(fixture_path("a/detail.safetensors"), "\"ss_output_name\":\"None\"", 1);
    write_lora(fixture_path("a/.hidden.safetensors"), "", 1);
    char folder[600];
    snprintf(folder, sizeof folder, "%s", fixture_path("a"));
    folders = (rf_texts){.item = {folder}, .count = 1};
    cr_assert_eq(rf_lora_files_scan(&files, &folders, "--lora-dir", NULL, &trouble), RF_OK);
    cr_expect_eq(files.count, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = NULL;
        cr_expect_eq(rf_lora_files_find(&files, names[i], "--lora", &path, &trouble),
                     RF_E_NOT_FOUND, "%s", names[i]);
        cr_expect_null(path, "%s", names[i]);
    }
    rf_lora_files_free(&files);
}

Test(lora_files, two_of_one_name_are_refused)
{
    cr_assert_eq(mkdir(fixture_path("a"), 0700), 0);
    cr_assert_eq(mkdir(fixture_path("b"), 0700), 0);
    write_lora(fixture_path("a/detail.safetensors"), "\"ss_output_name\":\"x\"", 1);
    write_lora(fixture_path("b/detail.safetensors"), "\"ss_output_name\":\"x\"", 2);
    scan();
    cr_expect(strstr(found("detail"), "two LoRAs are called so"), "%s", trouble.error.message);
    cr_expect(strstr(found("x"), "two LoRAs are called so"), "%s", trouble.error.message);
    rf_lora_files_free(&files);
}

Test(lora_files, a_missing_name_suggests_the_nearest)
{
    write_lora(fixture_path("detail_tweaker.safetensors"), "\"ss_output_name\":\"sharpness\"", 1);
    scan();
    cr_expect(strstr(found("detail_tweeker"), "no LoRA of that name"));
    cr_expect(strstr(trouble.hint, "'detail_tweaker'"), "%s", trouble.hint);
    found("sharpnes");
    cr_expect(strstr(trouble.hint, "'sharpness'"), "%s", trouble.hint);
    rf_lora_files_free(&files);
}

Test(lora_files, damaged_files_loops_and_depth_do_no_harm)
{
    char deep[700];
    fixture_raw(fixture_path("cut.safetensors"), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{", 9);
    fixture_raw(fixture_path("empty.safetensors"), "", 0);
    fixture_raw(fixture_path("text.safetensors"), "not a model at all", 18);
    write_lora(fixture_path("good.safetensors"), "\"ss_output_name\":\"fine\"", 1);
    cr_assert_eq(symlink("nowhere", fixture_path("gone.safetensors")), 0);
    cr_assert_eq(mkfifo(fixture_path("pipe.safetensors"), 0600), 0);
    cr_assert_eq(symlink(fixture_folder(), fixture_path("loop")), 0);
    snprintf(deep, sizeof deep, "%s", fixture_folder());
    for (int i = 0; i < 10; i++) {
        strcat(deep, "/d");
        cr_assert_eq(mkdir(deep, 0700), 0);
    }
    strcat(deep, "/deep.safetensors");
    write_lora(deep, "", 1);
    scan();
    cr_expect_eq(files.count, 4);
    cr_expect_str_eq(found("cut"), "cut.safetensors"); /* the engine says what is wrong */
    cr_expect_str_eq(found("fine"), "good.safetensors");
    cr_expect(strstr(found("deep"), "no LoRA of that name"));
    cr_expect(strstr(found("0123456789abcdef"), "no LoRA of that name"));
    rf_lora_files_free(&files);
    folders.item[0] = "/nowhere/at/all";
    cr_expect_eq(rf_lora_files_scan(&files, &folders, "--lora-dir", NULL, &trouble),
                 RF_E_NOT_FOUND);
    folders.item[0] = fixture_path("good.safetensors");
    cr_expect_eq(rf_lora_files_scan(&files, &folders, "--lora-dir", NULL, &trouble),
                 RF_E_NOT_FOUND);
}
