/* The conformance kit on the emulated device: against what GPUs answered, file by file; the
 * wrappers that no GPU has confirmed are listed.  And the kit itself: it leaves out no wrapper, and
 * it tells a recording that agrees from one that does not. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "tests/emulator/conformance/kit.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

/* Tests run from the root of the tree. */
#define RECORDED "tests/emulator/conformance/recorded/"
#define HEADERS  "kernels/device/"

static uint32_t answers[KIT_OUT_MOST * KIT_MMA_CASES];

/* What the emulator answers, in `answers`. */
static void emulate(kit_id id, uint64_t seed)
{
    rf_device device;
    rf_error  err = {0};
    emu_runtime_start(&emu_gpu_h100);
    emu_configure(&(emu_settings){.seed = seed, .odd_base = seed % 2});
    emu_clear();
    cr_assert_eq(rf_device_open_cuda(&device, 0, 1, &err), RF_OK, "%s", err.message);
    cr_assert_eq(kit_run(id, &device, answers, &err), RF_OK, "%s: %s", kit_entries[id].name,
                 err.message);
    rf_device_close(&device);
    for (int i = 0; i < emu_reports(); i++)
        cr_expect_fail("%s: %s", kit_entries[id].name, emu_report_at(i).text);
}

static kit_verdict compare_text(kit_id id, const char *text, size_t bytes)
{
    FILE *f = fmemopen((void *)(uintptr_t)text, bytes, "r");
    cr_assert_not_null(f);
    const kit_verdict v = kit_compare(f, id, answers);
    fclose(f);
    return v;
}

/* ---- recordings -------------------------------------------------------------------------------
 */

/* Compares every recording of an entry; how many there are. */
static size_t replay(kit_id id)
{
    char   pattern[256];
    glob_t found;
    size_t files = 0;
    snprintf(pattern, sizeof pattern, RECORDED "*/%s.txt", kit_entries[id].name);
    if (glob(pattern, 0, NULL, &found) == 0) files = found.gl_pathc;
    for (size_t i = 0; i < files; i++) {
        FILE *f = fopen(found.gl_pathv[i], "r");
        cr_assert_not_null(f, "%s", found.gl_pathv[i]);
        const kit_verdict v = kit_compare(f, id, answers);
        cr_expect(v.agrees, "%s: %s", found.gl_pathv[i], v.text);
        fclose(f);
    }
    globfree(&found);
    return files;
}

Test(conformance, emulator_agrees_with_every_recording)
{
    char unconfirmed[2048] = "";
    int  count = 0;
    for (int id = 0; id < KIT_COUNT; id++) {
        emulate((kit_id)id, 0);
        if (replay((kit_id)id)) continue;
        const size_t used = strlen(unconfirmed);
        snprintf(unconfirmed + used, sizeof unconfirmed - used, " %s", kit_entries[id].name);
        count++;
    }
    if (count)
        fprintf(stderr, "%d of %d wrappers are not yet confirmed on a GPU:%s\n", count,
                (int)KIT_COUNT, unconfirmed);
}

/* A file that no entry reads would be thought confirmed. */
Test(conformance, every_recording_has_an_entry)
{
    glob_t found;
    if (glob(RECORDED "*/*", 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        char        expected[128];
        int         known = 0;
        for (int id = 0; id < KIT_COUNT; id++) {
            snprintf(expected, sizeof expected, "%s.txt", kit_entries[id].name);
            known |= !strcmp(name, expected);
        }
        cr_expect(known, "%s: the kit has no such entry", found.gl_pathv[i]);
    }
    globfree(&found);
}

/* ---- the kit itself ---------------------------------------------------------------------------
 */

/* Answers depend on no schedule, and every case writes something. */
Test(conformance, answers_are_the_same_under_every_schedule, .timeout = 60)
{
    static uint32_t first[KIT_OUT_MOST * KIT_MMA_CASES];
    for (int id = 0; id < KIT_COUNT; id++) {
        const kit_entry *e = &kit_entries[id];
        const size_t     words = (size_t)e->out_words * (size_t)e->cases;
        cr_assert(e->in_words <= KIT_IN_MOST && e->out_words <= KIT_OUT_MOST &&
                  e->cases <= KIT_MMA_CASES);
        emulate((kit_id)id, 0);
        memcpy(first, answers, words * 4);
        for (uint64_t seed = 1; seed < 4; seed++) {
            emulate((kit_id)id, seed);
            cr_expect_arr_eq(answers, first, words * 4, "%s", e->name);
        }
        for (int which = 0; which < e->cases; which++) {
            bool written = false;
            for (int i = 0; i < e->out_words; i++)
                written |= first[which * e->out_words + i] != 0x5A5A5A5A;
            cr_expect(written, "%s, case %d", e->name, which);
        }
    }
}

/* What a wrong wrapper would do to a recording: each word once, by one bit, and by much. */
static void spoil(kit_id id, char *text, size_t bytes)
{
    const kit_entry *e = &kit_entries[id];
    uint32_t         in[KIT_IN_MOST];
    char            *line = text;
    for (int i = 0; i < 4; i++) line = strchr(line, '\n') + 1; /* notes */
    for (int word = 0; word < e->out_words * e->cases; word += 8) {
        const int which = word / e->out_words, at = word % e->out_words;
        char     *digits = line + 7, kept[9] = "";
        memcpy(kept, digits, 8);
        kit_fill(id, which, in);
        const uint32_t answer = answers[word];
        const double   bound = kit_bound(id, which, in, at, answer);
        char           other[9];
        snprintf(other, sizeof other, "%08x", (unsigned)(answer ^ 1));
        memcpy(digits, other, 8);
        const bool nan =
            e->words == KIT_FLOAT && rf_f32_from_bits(answer) != rf_f32_from_bits(answer);
        if (e->words <= KIT_FLOAT && !nan)
            cr_expect_eq(compare_text(id, text, bytes).agrees, bound > 0, "%s, word %d", e->name,
                         word);
        snprintf(other, sizeof other, "%08x", (unsigned)(answer ^ 0x00810081));
        memcpy(digits, other, 8);
        if (!nan) cr_expect_not(compare_text(id, text, bytes).agrees, "%s, word %d", e->name, word);
        memcpy(digits, kept, 8);
        line = strchr(line, '\n') + 1;
    }
}

Test(conformance, a_recording_that_differs_is_told_from_one_that_agrees, .timeout = 60)
{
    for (int id = 0; id < KIT_COUNT; id++) {
        char  *text = NULL;
        size_t bytes = 0;
        FILE  *f = open_memstream(&text, &bytes);
        emulate((kit_id)id, 0);
        kit_write(f, (kit_id)id, answers, "a GPU", "2026-01-01");
        fclose(f);
        const kit_verdict right = compare_text((kit_id)id, text, bytes);
        cr_expect(right.agrees, "%s: %s", kit_entries[id].name, right.text);
        spoil((kit_id)id, text, bytes);
        cr_expect_not(compare_text((kit_id)id, text, bytes - 9).agrees, "cut off");
        cr_expect_not(compare_text((kit_id)((id + 1) % KIT_COUNT), text, bytes).agrees,
                      "another's");
        char *hash = strstr(text, "inputs: ") + 8;
        *hash = *hash == '0' ? '1' : '0';
        cr_expect(strstr(compare_text((kit_id)id, text, bytes).text, "other inputs"));
        free(text);
    }
}

/* ---- nothing is left out ----------------------------------------------------------------------
 */

static char *read_text(const char *path)
{
    char *text = calloc(1, 1 << 16);
    FILE *f = fopen(path, "r");
    cr_assert(f && text, "%s", path);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, f), (1u << 16) - 1, "%s is too long", path);
    fclose(f);
    return text;
}

static bool kit_has(const char *wrapper)
{
    for (int id = 0; id < KIT_COUNT; id++)
        if (!strcmp(kit_entries[id].wrapper, wrapper)) return true;
    return false;
}

/* Functions of a header that the kit lacks.  Wanted: all of it, or those with two halves, one of
 * which only a GPU runs. */
static int missing_of(const char *text, bool all, const char *header, bool tell)
{
    int missing = 0;
    for (const char *at = text; (at = strstr(at, "RF_DEVICE ")); at++) {
        const char *open = strchr(at, '('), *end = strstr(at, "\n}");
        if (!open || !end || open > end) continue; /* the macro itself */
        const char *name = open;
        while (isalnum((unsigned char)name[-1]) || name[-1] == '_') name--;
        char wrapper[64] = "";
        snprintf(wrapper, sizeof wrapper, "%.*s", (int)(open - name), name);
        const char *halves = strstr(at, "#if RF_EMULATED");
        if (!all && !(halves && halves < end)) continue;
        if (kit_has(wrapper)) continue;
        missing++;
        if (tell) cr_expect_fail("%s: %s has no entry in the conformance kit", header, wrapper);
    }
    return missing;
}

Test(conformance, every_wrapper_has_an_entry)
{
    glob_t found;
    int    functions = 0;
    cr_assert_eq(glob(HEADERS "*.cuh", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        char       *text = read_text(path);
        missing_of(text, strstr(path, "/ptx.cuh") || strstr(path, "/piece.cuh"), path, true);
        for (const char *at = text; (at = strstr(at, "\nRF_DEVICE ")); at++) functions++;
        free(text);
    }
    globfree(&found);
    cr_expect_gt(functions, 20, "the headers are not read as they are written");
    static const char added[] = "template <int N> RF_DEVICE void wgmma_wait()\n{\n#if RF_EMULATED\n"
                                "    emu::wait(N);\n#else\n#endif\n}\n"
                                "RF_DEVICE int twice(int x)\n{\n    return 2 * x;\n}\n";
    cr_expect_eq(missing_of(added, false, "", false), 1);
    cr_expect_eq(missing_of(added, true, "", false), 2);
}
