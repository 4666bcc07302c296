/* Memory that ends anywhere while texts, styles and jobs are read: one sentence, nothing half-made,
 * nothing left behind. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/infotext.h"
#include "engine/files/picture_texts.h"
#include "engine/files/styles.h"
#include "engine/refinery.h"
#include "tests/relay/scarcity.h"

TestSuite(saved_failures, .timeout = 60);

/* Each does one thing and undoes it; `made` says whether there was something to undo. */
typedef rf_status attempt(int *made, rf_error *err);

static rf_status read_infotext(int *made, rf_error *err)
{
    rf_saved_job   *saved = NULL;
    const rf_status st = rf_saved_job_from_infotext(
        &saved,
        "<lora:a:1> [b:c:1]\nNegative prompt: d\nSteps: 20, Sampler: PLMS, Seed: 1, Model: m, "
        "Model hash: 7460a6fa, VAE: v.pt, VAE hash: 63aeecb90f, Refiner: \"r, s [e3c47aedb0]\", "
        "Hires steps: 3, What: 5, Clip skip: x, Emphasis: None, Version: v1.5.0",
        err);
    *made = saved != NULL;
    rf_saved_job_free(saved);
    return st;
}

static rf_status read_json(int *made, rf_error *err)
{
    rf_saved_job   *saved = NULL;
    const rf_status st = rf_saved_job_from_json(
        &saved,
        "{\"schema\":1,\"dtype\":\"f32\",\"later\":1,\"sampler\":\"LMS\",\"vae\":{\"name\":\"v\"},"
        "\"stages\":[{\"prompt\":\"p\",\"file\":{\"path\":\"/p\",\"x\":2}},{\"negative\":\"n\"}]}",
        err);
    *made = saved != NULL;
    rf_saved_job_free(saved);
    return st;
}

static rf_status build_infotext(int *made, rf_error *err)
{
    const rf_job      job = {.steps = 1, .width = 8, .height = 8, .eta = NAN};
    const rf_infotext info = {.job = &job, .prompt = "p", .sampler = "a, b", .refiner = "r"};
    char             *text = NULL;
    const rf_status   st = rf_infotext_build(&text, &info, err);
    *made = text != NULL;
    free(text);
    return st;
}

static rf_status read_picture(int *made, rf_error *err)
{
    static const unsigned char jpeg[] =
        "\xFF\xD8\xFF\xE1\0\x3EMM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x1A\0\0\0\0\0\1\x92"
        "\x86\0\7\0\0\0\x0A\0\0\0\x2C\0\0\0\0UNICODE\0\0a\xFF\xDA\0\2";
    unsigned char data[sizeof jpeg + 6]; /* with the mark that C's escapes would swallow */
    memcpy(data, jpeg, 6);
    memcpy(data + 6, "Exif\0", 6);
    memcpy(data + 12, jpeg + 6, sizeof jpeg - 6);
    rf_picture_texts *texts = NULL;
    const rf_status   st = rf_picture_texts_parse(&texts, data, sizeof data - 1, "p", err);
    *made = texts != NULL;
    if (texts) cr_expect_str_eq(rf_picture_texts_get(texts, "parameters"), "a");
    rf_picture_texts_free(texts);
    return st;
}

static rf_status apply_style(int *made, rf_error *err)
{
    static const char csv[] = "name,prompt,negative_prompt\nx,a {prompt},b\ny,c,d\n";
    rf_styles        *styles = NULL;
    char             *prompt = NULL, *negative = NULL;
    rf_status         st = rf_styles_parse(&styles, csv, sizeof csv - 1, "s", err);
    if (st == RF_OK) st = rf_styles_apply(styles, "x", &prompt, &negative, err);
    *made = prompt || negative;
    free(prompt);
    free(negative);
    rf_styles_free(styles);
    return st;
}

Test(saved_failures, memory_ends_at_the_nth_call)
{
    static const struct {
        const char *name;
        attempt    *run;
        int         least; /* calls that can fail */
    } rows[] = {{"infotext", read_infotext, 20},
                {"json", read_json, 8},
                {"writing", build_infotext, 2},
                {"picture", read_picture, 3},
                {"styles", apply_style, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long n = 0;
        for (int refused = 1; refused; n++) {
            rf_error   err = {0};
            int        made = 0;
            const long live = scarcity_live();
            scarcity_begin(SCARCE_MEMORY, n);
            const rf_status st = rows[i].run(&made, &err);
            refused = scarcity_end();
            cr_expect_eq(st, refused ? RF_E_NOMEM : RF_OK, "%s, call %ld: %s %s", rows[i].name, n,
                         rf_status_name(st), err.message);
            cr_expect_eq(made, !refused, "%s, call %ld", rows[i].name, n);
            cr_expect_eq(scarcity_live(), live, "%s, call %ld", rows[i].name, n);
            if (n > 1000) break;
        }
        cr_expect_gt(n, rows[i].least, "%s: %ld", rows[i].name, n);
    }
}
