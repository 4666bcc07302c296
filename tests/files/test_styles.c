/* styles.csv: what A1111 writes and what people edit by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/styles.h"
#include "tests/files/fixture.h"

TestSuite(styles, .timeout = 60, .fini = fixture_cleanup);

static rf_styles *parse(const char *text)
{
    rf_styles *styles = NULL;
    rf_error   err = {0};
    cr_assert_eq(rf_styles_parse(&styles, text, strlen(text), "styles.csv", &err), RF_OK, "%s: %s",
                 text, err.message);
    return styles;
}

static void expect_applied(const char *csv, const char *name, const char *prompt,
                           const char *want_prompt, const char *want_negative)
{
    rf_styles *styles = parse(csv);
    char      *p = strdup(prompt), *n = strdup("3d");
    rf_error   err = {0};
    cr_assert_eq(rf_styles_apply(styles, name, &p, &n, &err), RF_OK, "%s", err.message);
    cr_expect_str_eq(p, want_prompt, "%s: %s", csv, p);
    cr_expect_str_eq(n, want_negative, "%s: %s", csv, n);
    free(p);
    free(n);
    rf_styles_free(styles);
}

#define HEAD "name,prompt,negative_prompt\n"

Test(styles, merging)
{
    expect_applied(HEAD "x,oil,bad\n", "x", "cat", "cat, oil", "3d, bad");
    expect_applied(HEAD "x,oil,\n", "x", "cat", "cat, oil", "3d");
    expect_applied(HEAD "x,,bad\n", "x", "cat", "cat", "3d, bad");
    expect_applied(HEAD "x,oil,bad\n", "x", "", "oil", "3d, bad");
    expect_applied(HEAD "x,\" oil \",\n", "x", " cat\n", "cat, oil", "3d");
    expect_applied(HEAD "x,a {prompt} b,\n", "x", "cat", "a cat b", "3d");
    expect_applied(HEAD "x,\" {prompt}, {prompt}\",{prompt}!\n", "x", " cat", "  cat,  cat", "3d!");
    expect_applied(HEAD "x,{prompt},\n", "x", "", "", "3d");
    expect_applied(HEAD "x,{prompt,\n", "x", "cat", "cat, {prompt", "3d");
    expect_applied(HEAD "x,{prompt},\n", "x", "{prompt}", "{prompt}", "3d"); /* not again */
}

Test(styles, csv)
{
    expect_applied("\xEF\xBB\xBF" HEAD "x,oil,bad\n", "x", "a", "a, oil", "3d, bad");
    expect_applied("name,prompt,negative_prompt\r\nx,oil,bad\r\n", "x", "a", "a, oil", "3d, bad");
    expect_applied("name,prompt,negative_prompt\rx,oil,bad\r", "x", "a", "a, oil", "3d, bad");
    expect_applied(HEAD "x,oil,bad", "x", "a", "a, oil", "3d, bad");
    expect_applied(HEAD "x,\"oil, \"\"red\"\"\",bad", "x", "a", "a, oil, \"red\"", "3d, bad");
    expect_applied(HEAD "x,\"oil\nred\",bad", "x", "a", "a, oil\nred", "3d, bad");
    expect_applied(HEAD "\"x, y\",oil,bad", "x, y", "a", "a, oil", "3d, bad");
    expect_applied(HEAD "x,oil", "x", "a", "a, oil", "3d");                      /* a short row */
    expect_applied(HEAD "x,oil,bad,more", "x", "a", "a, oil", "3d, bad");        /* a long one */
    expect_applied(HEAD "x,\"oil\" red,bad", "x", "a", "a, oil red", "3d, bad"); /* as Python */
    expect_applied(HEAD "x,5\" oil,bad", "x", "a", "a, 5\" oil", "3d, bad");
    expect_applied("negative_prompt,id,prompt,name\nbad,7,oil,x", "x", "a", "a, oil", "3d, bad");
    expect_applied("name,text\nx,oil", "x", "a", "a, oil", "3d"); /* A1111's first format */
    expect_applied(HEAD "x,old,\nx,oil,bad", "x", "a", "a, oil", "3d, bad"); /* the last one wins */
}

Test(styles, names)
{
    rf_styles *styles = parse(HEAD "one,a,\n\n#comment,b,\n,c,\n\"two\",d,\n");
    cr_expect_str_eq(rf_styles_name(styles, 0), "one");
    cr_expect_str_eq(rf_styles_name(styles, 1), "two");
    cr_expect_null(rf_styles_name(styles, 2));
    cr_expect_null(rf_styles_name(styles, -1));
    rf_styles_free(styles);
    styles = parse(HEAD);
    cr_expect_null(rf_styles_name(styles, 0));
    rf_styles_free(styles);
}

Test(styles, unknown_name)
{
    rf_styles *styles = parse(HEAD "Oil painting,a,\nPhoto,b,\n");
    char      *p = strdup("p"), *n = NULL;
    rf_error   err = {0};
    cr_expect_eq(rf_styles_apply(styles, "oil paintign", &p, &n, &err), RF_E_NOT_FOUND);
    cr_expect_str_eq(err.message,
                     "no style is named \"oil paintign\": did you mean \"Oil painting\"?");
    cr_expect_eq(rf_styles_apply(styles, "xyz", &p, &n, &err), RF_E_NOT_FOUND);
    cr_expect_str_eq(err.message, "no style is named \"xyz\" (the file has 2)");
    cr_expect_str_eq(p, "p");                                            /* nothing has changed */
    cr_expect_eq(rf_styles_apply(styles, "Photo", &p, &n, &err), RF_OK); /* NULL is empty */
    cr_expect_str_eq(p, "p, b");
    cr_expect_str_eq(n, "");
    free(p);
    free(n);
    rf_styles_free(styles);
}

Test(styles, errors_name_the_line)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "s: line 1: the first line must name the columns name and prompt"},
        {"a,b\nc,d\n", "s: line 1: the first line must name the columns name and prompt"},
        {"name,negative_prompt\n",
         "s: line 1: the first line must name the columns name and prompt"},
        {HEAD "x,a,b\ny,\"c,d\nz,e,f\n", "s: line 3: a quotation begins that never ends"},
        {HEAD "x,\"a\nb\r\nc\",d\ny,\"", "s: line 5: a quotation begins that never ends"},
        {HEAD "x,a,\xFF\n", "s: line 2 is not UTF-8 text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_styles *styles = NULL;
        rf_error   err = {0};
        cr_expect_eq(rf_styles_parse(&styles, rows[i].text, strlen(rows[i].text), "s", &err),
                     RF_E_FORMAT);
        cr_expect_str_eq(err.message, rows[i].message, "%zu: %s", i, err.message);
        cr_expect_null(styles);
    }
    rf_styles *styles;
    cr_expect_eq(rf_styles_parse(&styles, "name,prompt\na\0b,c", 17, "s", NULL), RF_E_FORMAT);
}

/* A style may repeat the prompt, but not without end. */
Test(styles, results_are_bounded)
{
    enum { MARKS = 1000 };
    char *csv = malloc(100 + 8 * MARKS), *p = malloc(100001), *n = strdup("");
    strcpy(csv, "name,prompt\nx,");
    for (int i = 0; i < MARKS; i++) memcpy(csv + 14 + 8 * i, "{prompt}", 9);
    memset(p, 'a', 100000);
    p[100000] = '\0';
    rf_styles *styles = parse(csv);
    cr_expect_eq(rf_styles_apply(styles, "x", &p, &n, NULL), RF_E_ARG);
    cr_expect_eq(strlen(p), 100000);
    free(csv);
    free(p);
    free(n);
    rf_styles_free(styles);
}

Test(styles, from_a_file)
{
    rf_styles *styles = NULL;
    rf_error   err = {0};
    fixture_raw(fixture_path("styles.csv"), HEAD "x,a,b\n", strlen(HEAD "x,a,b\n"));
    cr_assert_eq(rf_styles_read(&styles, fixture_path("styles.csv"), &err), RF_OK);
    cr_expect_str_eq(rf_styles_name(styles, 0), "x");
    rf_styles_free(styles);
    cr_expect_eq(rf_styles_read(&styles, fixture_path("none.csv"), &err), RF_E_NOT_FOUND);
    cr_expect_null(styles);
    cr_expect_eq(rf_styles_read(&styles, fixture_folder(), &err), RF_E_IO);
    cr_expect(strstr(err.message, "not a regular file"));
}
