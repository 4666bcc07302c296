/* What a checkpoint predicts: each mark, the order of marks, and marks that make no sense. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/files/prediction.h"
#include "tests/files/fixture.h"

static void clean_up(void)
{
    remove(fixture_path("scheduler/scheduler_config.json"));
    remove(fixture_path("scheduler"));
    fixture_cleanup();
}

TestSuite(prediction, .timeout = 30, .fini = clean_up);

/* ---- a file that is not there ------------------------------------------------------------- */

enum { TENSORS = 4, BYTES = 8 };

/* Tensors of which nothing exists but the marks; added in the order of their names. */
typedef struct marks {
    rf_tensor  tensor[TENSORS];
    char       data[TENSORS][BYTES];
    rf_tensors list;
    rf_pair    pair;
    rf_header  header;
} marks;

static rf_status read_mark(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                           size_t bytes, rf_error *err)
{
    const marks *m = self->impl;
    (void)err;
    cr_assert(from + bytes <= BYTES, "%s is read beyond its number", t->name);
    memcpy(dst, m->data[t - m->tensor] + from, bytes);
    return RF_OK;
}

static void begin(marks *m)
{
    *m = (marks){.list = {.item = m->tensor, .read = read_mark, .path = "model", .impl = m}};
}

static void add(marks *m, const char *name, rf_filetype type, uint64_t elems, const void *data)
{
    const size_t size = rf_filetype_bytes(type);
    rf_tensor   *t = &m->tensor[m->list.count];
    *t = (rf_tensor){.name = name, .type = type, .elems = elems, .bytes = elems * size};
    t->ndim = elems != 1;
    t->dim[0] = (int64_t)elems;
    if (data) memcpy(m->data[m->list.count], data, size);
    m->list.count++;
}

static void say(marks *m, const char *value)
{
    m->pair = (rf_pair){.key = "modelspec.prediction_type", .value = value, .bytes = strlen(value)};
    m->header = (rf_header){.meta = &m->pair, .meta_count = 1};
}

static rf_prediction found(const marks *m, const char *path)
{
    rf_prediction p;
    rf_error      err = {0};
    cr_assert_eq(rf_prediction_find(&p, &m->list, &m->header, path, &err), RF_OK, "%s",
                 err.message);
    return p;
}

static void expect(const rf_prediction *p, int v, rf_noise_range range, const char *reason)
{
    cr_expect_eq(p->is.v, v, "%s", p->reason);
    cr_expect_eq(p->is.range, range, "%s", p->reason);
    cr_expect(strstr(p->reason, reason), "%s, not %s", p->reason, reason);
}

static const char *write_sidecar(const char *text, size_t bytes)
{
    const char *path = fixture_path("side.safetensors");
    fixture_raw(fixture_path("side.yaml"), text, bytes);
    return path;
}

/* ---- marks -------------------------------------------------------------------------------- */

Test(prediction, nothing_is_epsilon)
{
    marks m;
    begin(&m);
    const rf_prediction p = found(&m, "/nowhere/model.safetensors");
    expect(&p, 0, RF_RANGE_SDXL, "nothing says otherwise");
    cr_expect_str_eq(p.doubt, "");
    cr_expect_eq(p.source, RF_SAID_BY_NOBODY);
}

/* Of any shape and type, and never read. */
Test(prediction, v_pred_and_ztsnr)
{
    static const uint64_t elems[] = {0, 1, 7, UINT64_C(1) << 40};
    for (int i = 0; i < 4; i++)
        for (int type = 0; type < RF_FILETYPES; type++) {
            marks m;
            begin(&m);
            add(&m, "v_pred", (rf_filetype)type, elems[i], NULL);
            rf_prediction p = found(&m, "m.safetensors");
            expect(&p, 1, RF_RANGE_SDXL, "tensor v_pred");
            add(&m, "ztsnr", (rf_filetype)type, elems[i], NULL);
            p = found(&m, "m.safetensors");
            expect(&p, 1, RF_RANGE_ZTSNR, "v_pred and ztsnr");
        }
    marks alone;
    begin(&alone);
    add(&alone, "ztsnr", RF_FILE_F32, 0, NULL);
    const rf_prediction p = found(&alone, "m.safetensors");
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
}

Test(prediction, cosxl_in_every_type_of_number)
{
    const double   wide = 120, low = 0.002;
    const float    single = 120;
    const uint16_t half = 0x5780, bf16 = 0x42F0; /* 120 in either */
    const struct {
        rf_filetype type;
        const void *data;
    } rows[] = {
        {RF_FILE_F64, &wide}, {RF_FILE_F32, &single}, {RF_FILE_F16, &half}, {RF_FILE_BF16, &bf16}};
    for (int i = 0; i < 4; i++)
        for (int both = 0; both < 2; both++) {
            marks m;
            begin(&m);
            add(&m, "edm_vpred.sigma_max", rows[i].type, 1, rows[i].data);
            if (both) add(&m, "edm_vpred.sigma_min", RF_FILE_F64, 1, &low);
            add(&m, "v_pred", RF_FILE_F32, 0, NULL); /* the more special mark wins */
            const rf_prediction p = found(&m, "m.safetensors");
            expect(&p, 1, RF_RANGE_EDM, "edm_vpred.sigma_max");
            cr_expect_eq(p.is.sigma_max, 120.0);
            cr_expect_eq(p.is.sigma_min, 0.002);
        }
}

Test(prediction, numbers_that_make_no_sense)
{
    const double  bad[] = {NAN, INFINITY, -INFINITY, -120, 0, 0.002, 0.0021, 1e-310, 1e300, 1e7};
    rf_prediction p;
    rf_error      err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        marks m;
        begin(&m);
        add(&m, "edm_vpred.sigma_max", RF_FILE_F64, 1, &bad[i]);
        cr_expect_eq(rf_prediction_find(&p, &m.list, &m.header, "m", &err), RF_E_MODEL, "%g",
                     bad[i]);
    }
    const double good = 120;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        marks m;
        begin(&m);
        add(&m, "edm_vpred.sigma_max", RF_FILE_F64, 1, &good);
        add(&m, "edm_vpred.sigma_min", RF_FILE_F64, 1, &bad[i]);
        const int fine = bad[i] > 0 && bad[i] < 1 && bad[i] > 1e-6;
        cr_expect_eq(rf_prediction_find(&p, &m.list, &m.header, "m", &err),
                     fine ? RF_OK : RF_E_MODEL, "%g", bad[i]);
    }
}

Test(prediction, marks_of_a_wrong_shape_or_type)
{
    static const uint64_t elems[] = {0, 2, UINT64_C(1) << 60};
    const double          number = 120;
    rf_prediction         p;
    rf_error              err = {0};
    for (int i = 0; i < 3; i++) {
        marks m;
        begin(&m);
        add(&m, "edm_vpred.sigma_max", RF_FILE_F64, elems[i], NULL);
        cr_expect_eq(rf_prediction_find(&p, &m.list, &m.header, "m", &err), RF_E_MODEL);
        cr_expect(strstr(err.message, "edm_vpred.sigma_max is not one number"), "%s", err.message);
    }
    for (int type = 0; type < RF_FILETYPES; type++) {
        marks m;
        begin(&m);
        add(&m, "edm_vpred.sigma_max", (rf_filetype)type, 1, &number);
        const rf_status st = rf_prediction_find(&p, &m.list, &m.header, "m", &err);
        const int is_float = type == RF_FILE_F16 || type == RF_FILE_BF16 || type == RF_FILE_F32 ||
                             type == RF_FILE_F64;
        cr_expect(is_float || st == RF_E_MODEL, "%s", rf_filetype_name((rf_filetype)type));
    }
    marks m;
    begin(&m);
    add(&m, "edm_vpred.sigma_min", RF_FILE_F64, 1, &number);
    cr_expect_eq(rf_prediction_find(&p, &m.list, &m.header, "m", &err), RF_E_MODEL);
}

Test(prediction, metadata)
{
    static const struct {
        const char *value;
        int         v; /* -1: says nothing */
    } rows[] = {{"v", 1}, {"V_prediction", 1}, {"v-prediction", 1}, {"epsilon", 0}, {"Epsilon", 0},
                {"", -1}, {"velocity", -1},    {"vv", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        marks m;
        begin(&m);
        say(&m, rows[i].value);
        const rf_prediction p = found(&m, "/nowhere/m.safetensors");
        cr_expect_eq(p.is.v, rows[i].v > 0, "%s", rows[i].value);
        cr_expect_eq(p.source == RF_SAID_BY_METADATA, rows[i].v >= 0, "%s", rows[i].value);
        cr_expect_eq(*p.doubt != '\0', rows[i].v < 0, "%s", rows[i].value);
    }
}

Test(prediction, sidecar)
{
    static const struct {
        const char *text;
        int         v, doubt;
    } rows[] = {{"model:\n  params:\n    parameterization: \"v\"\n    beta: 1\n", 1, 0},
                {"parameterization: v", 1, 0},
                {"\tparameterization:'v' # as trained\r\n", 1, 0},
                {"parameterization: eps\n", 0, 0},
                {"# parameterization: \"v\"\n", 0, 1},
                {"not_parameterization: v\nparameterizations: v\n", 0, 1},
                {"parameterization:\n", 0, 1},
                {"parameterization", 0, 1},
                {"", 0, 0}};
    marks m;
    begin(&m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char         *path = write_sidecar(rows[i].text, strlen(rows[i].text));
        const rf_prediction p = found(&m, path);
        cr_expect_eq(p.is.v, rows[i].v, "%s", rows[i].text);
        if (rows[i].v) cr_expect_eq(p.source, RF_SAID_BY_SIDECAR);
        cr_expect_eq(*p.doubt != '\0', rows[i].doubt, "%s", rows[i].text);
    }
}

Test(prediction, hostile_sidecars)
{
    enum { MOST = 1 << 16 };
    static char       big[MOST + 1];
    static char       zeros[] = "\0\0\0parameterization: v\0\nparameterization\0: v";
    static const char flow[] = "model: {params: {parameterization: v}}\n";
    marks             m;
    begin(&m);
    memset(big, 'p', sizeof big);
    rf_prediction p = found(&m, write_sidecar(big, MOST));
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    cr_expect_str_eq(p.doubt, "");
    p = found(&m, write_sidecar(big, MOST + 1));
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    cr_expect(strstr(p.doubt, "at most 65536 bytes"), "%s", p.doubt);
    p = found(&m, write_sidecar(zeros, sizeof zeros));
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    cr_expect(strstr(p.doubt, "not understood"), "%s", p.doubt);
    p = found(&m, write_sidecar(flow, sizeof flow - 1));
    cr_expect(strstr(p.doubt, "not understood"), "%s", p.doubt);
    remove(fixture_path("side.yaml"));
    cr_assert_eq(mkfifo(fixture_path("side.yaml"), 0600), 0); /* nobody waits for it */
    p = found(&m, fixture_path("side.safetensors"));
    cr_expect(strstr(p.doubt, "not read"), "%s", p.doubt);
    /* names that leave no room for .yaml, or have no stem */
    static char name[5000];
    memset(name, 'n', sizeof name - 1);
    p = found(&m, name);
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    p = found(&m, "/.safetensors");
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    p = found(&m, "");
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
}

Test(prediction, a_name_is_a_doubt_and_no_more)
{
    marks m;
    begin(&m);
    rf_prediction p = found(&m, "/nowhere/noob-VPred-1.safetensors");
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    cr_expect(strstr(p.doubt, "v-prediction"), "%s", p.doubt);
    p = found(&m, "/vpred/model.safetensors");
    cr_expect_str_eq(p.doubt, "");
    say(&m, "epsilon"); /* who says something is believed */
    p = found(&m, "/nowhere/noob-vpred.safetensors");
    cr_expect_str_eq(p.doubt, "");
}

/* ---- a folder ----------------------------------------------------------------------------- */

static rf_status find_in_folder(rf_prediction *p, const char *config, rf_error *err)
{
    marks m;
    char  folder[512];
    begin(&m);
    snprintf(folder, sizeof folder, "%s/scheduler", fixture_folder());
    mkdir(folder, 0700);
    if (config)
        fixture_raw(fixture_path("scheduler/scheduler_config.json"), config, strlen(config));
    return rf_prediction_find(p, &m.list, NULL, fixture_folder(), err);
}

Test(prediction, scheduler_config)
{
    static const struct {
        const char    *config;
        int            v;
        rf_noise_range range;
    } rows[] = {
        {"{\"prediction_type\":\"epsilon\"}", 0, RF_RANGE_SDXL},
        {"{\"prediction_type\":\"v_prediction\"}", 1, RF_RANGE_SDXL},
        {"{\"prediction_type\":\"v_prediction\",\"rescale_betas_zero_snr\":true}", 1,
         RF_RANGE_ZTSNR},
        {"{\"prediction_type\":\"v_prediction\",\"rescale_betas_zero_snr\":false}", 1,
         RF_RANGE_SDXL},
        {"{\"prediction_type\":\"epsilon\",\"rescale_betas_zero_snr\":true}", 0, RF_RANGE_SDXL},
        {"{\"_class_name\":\"EDMEulerScheduler\",\"prediction_type\":\"v_prediction\","
         "\"sigma_data\":1.0,\"sigma_min\":0.002,\"sigma_max\":120.0}",
         1, RF_RANGE_EDM},
    };
    rf_prediction p;
    rf_error      err = {0};
    cr_assert_eq(find_in_folder(&p, NULL, &err), RF_OK, "%s", err.message);
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    cr_assert_eq(find_in_folder(&p, "{}", &err), RF_OK);
    expect(&p, 0, RF_RANGE_SDXL, "nothing");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(find_in_folder(&p, rows[i].config, &err), RF_OK, "%s", err.message);
        expect(&p, rows[i].v, rows[i].range, "scheduler_config.json");
        cr_expect_eq(p.source, RF_SAID_BY_SCHEDULER);
    }
    cr_expect_eq(p.is.sigma_max, 120.0);
}

Test(prediction, schedulers_that_are_refused)
{
    static const struct {
        const char *config, *said;
        rf_status   st;
    } rows[] = {
        {"{\"prediction_type\":\"sample\"}", "\"sample\"", RF_E_MODEL},
        {"{\"_class_name\":\"EDMDPMSolverMultistepScheduler\",\"prediction_type\":\"epsilon\","
         "\"sigma_data\":0.5}",
         "Playground", RF_E_MODEL},
        {"{\"_class_name\":\"EDMEulerScheduler\",\"prediction_type\":\"v_prediction\"}",
         "Playground", RF_E_MODEL},
        {"{\"_class_name\":\"EDMEulerScheduler\",\"prediction_type\":\"v_prediction\","
         "\"sigma_data\":1,\"sigma_max\":\"many\"}",
         "noise levels", RF_E_MODEL},
        {"{\"prediction_type\":\"v_prediction\"", "line 1", RF_E_FORMAT},
        {"[1, 2]", "not an object", RF_E_FORMAT},
        {"", "line", RF_E_FORMAT},
    };
    rf_prediction p;
    rf_error      err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(find_in_folder(&p, rows[i].config, &err), rows[i].st, "%s", rows[i].config);
        cr_expect(strstr(err.message, rows[i].said), "%s", err.message);
    }
}

/* ---- the order ---------------------------------------------------------------------------- */

Test(prediction, tensors_then_metadata_then_sidecar)
{
    static const char yaml[] = "parameterization: v\n";
    marks             m;
    begin(&m);
    const char   *path = write_sidecar(yaml, sizeof yaml - 1);
    rf_prediction p = found(&m, path);
    expect(&p, 1, RF_RANGE_SDXL, ".yaml");
    say(&m, "epsilon");
    p = found(&m, path);
    expect(&p, 0, RF_RANGE_SDXL, "metadata");
    add(&m, "v_pred", RF_FILE_F32, 0, NULL);
    p = found(&m, path);
    expect(&p, 1, RF_RANGE_SDXL, "tensor v_pred");
}

Test(prediction, names_of_users)
{
    static const struct {
        const char    *name;
        int            v;
        rf_noise_range range;
    } rows[] = {
        {"epsilon", 0, RF_RANGE_SDXL}, {"v", 1, RF_RANGE_SDXL}, {"V-ZTSNR", 1, RF_RANGE_ZTSNR}};
    rf_prediction p;
    rf_error      err = {0};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rf_prediction_named(&p, rows[i].name, &err), RF_OK);
        expect(&p, rows[i].v, rows[i].range, "asked for");
        cr_expect_eq(strcasecmp(rf_prediction_name(&p.is), rows[i].name), 0);
    }
    cr_expect_eq(rf_prediction_named(&p, "velocity", &err), RF_E_ARG);
    cr_expect(strstr(err.message, "epsilon, v or v-ztsnr"), "%s", err.message);
    cr_expect_null(rf_prediction_name(&(rf_parameterisation){.v = 1, .range = RF_RANGE_EDM}));
}
