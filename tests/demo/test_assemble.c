/* Assembled experts: the right parts, rows where they belong, the others from the seed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/safetensors.h"
#include "tests/files/fixture.h"
#include "tools/assemble/assemble.h"

TestSuite(assemble, .timeout = 60, .fini = fixture_cleanup);

/* A parts file: rows 1 and 3 of a table [5, 2], one tensor of both, one of each. */
static const char HEADER[] =
    "{\"both/z\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[32,36]},"
    "\"base/a\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[36,40]},"
    "\"refiner/a\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[40,44]},"
    "\"both/m\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[44,52]},"
    "\"seeded/m\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
    "\"rows\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[16,32]}}       ";

typedef struct parts {
    int64_t  seeded[2], rows[2];
    uint16_t z[2], base[2], refiner[2], m[4];
} parts;

static const parts GOOD = {.seeded = {7, 5},
                           .rows = {1, 3},
                           .z = {1, 2},
                           .base = {3, 4},
                           .refiner = {5, 6},
                           .m = {7, 8, 9, 10}};

static const char *write_parts(const parts *p)
{
    static unsigned char file[2048];
    const size_t         text = (sizeof HEADER - 1) / 8 * 8, bytes = 52;
    const char          *path = fixture_path("parts.safetensors");
    memset(file, 0, sizeof file);
    file[0] = (unsigned char)text, file[1] = (unsigned char)(text >> 8);
    memcpy(file + 8, HEADER, text);
    memcpy(file + 8 + text, p, bytes);
    fixture_raw(path, file, 8 + text + bytes);
    return path;
}

static void read_tensor(const rf_tensors *list, const char *name, uint16_t *out, size_t elems)
{
    const rf_tensor *t = rf_tensors_find(list, name);
    cr_assert_not_null(t, "%s", name);
    cr_assert_eq(t->elems, elems);
    cr_assert_eq(list->read(list, t, 0, out, elems * 2, NULL), RF_OK);
}

Test(assemble, makes_each_expert)
{
    /* expert.seeded_rows(7, 5, 2) of tools/demo-experts, as bits */
    static const uint16_t SEEDED[10] = {0x256c, 0x8de8, 0x249d, 0x23db, 0xa4be,
                                        0x2730, 0x222b, 0xa61a, 0x17ab, 0x26da};
    for (int refiner = 0; refiner < 2; refiner++) {
        rf_error        err = {0};
        rf_safetensors *file = NULL;
        uint16_t        a[2], z[2], m[10];
        const char     *in = write_parts(&GOOD), *out = fixture_path("out.safetensors");
        cr_assert_eq(rf_assemble(out, in, refiner ? "refiner" : "base", &err), RF_OK, "%s",
                     err.message);
        cr_assert_eq(rf_safetensors_open(&file, out, &err), RF_OK, "%s", err.message);
        const rf_tensors *list = rf_safetensors_list(file);
        cr_expect_eq(list->count, 3);
        read_tensor(list, "a", a, 2);
        read_tensor(list, "z", z, 2);
        read_tensor(list, "m", m, 10);
        cr_expect_eq(a[0], refiner ? 5 : 3);
        cr_expect_eq(z[1], 2);
        for (int i = 0; i < 10; i++) {
            const int row = i / 2, kept = row == 1 ? 7 + i % 2 : row == 3 ? 9 + i % 2 : SEEDED[i];
            cr_expect_eq(m[i], kept, "element %d: %04x", i, m[i]);
        }
        rf_safetensors_close(file);
    }
}

static rf_status outcome(const parts *p, const char *who)
{
    rf_error err = {0};
    return rf_assemble(fixture_path("out.safetensors"), write_parts(p), who, &err);
}

Test(assemble, refuses_what_contradicts_itself)
{
    parts p = GOOD;
    cr_expect_eq(outcome(&p, "base"), RF_OK);
    p.rows[1] = 5; /* past the table */
    cr_expect_eq(outcome(&p, "base"), RF_E_MODEL);
    p.rows[1] = 1; /* twice */
    cr_expect_eq(outcome(&p, "base"), RF_E_MODEL);
    p = GOOD, p.rows[0] = -1;
    cr_expect_eq(outcome(&p, "base"), RF_E_MODEL);
    p = GOOD, p.seeded[1] = INT64_MAX;
    cr_expect_eq(outcome(&p, "base"), RF_E_MODEL);
    rf_error err = {0};
    cr_expect_eq(rf_assemble(fixture_path("out.safetensors"), "tests/golden/networks.safetensors",
                             "base", &err),
                 RF_E_MODEL);
}
