/* S13: files that change while they are in use.  Nothing is mapped, so what is gone is an error
 * and never a signal; what was put in another's place is not looked at. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/lora.h"
#include "engine/files/model_file.h"
#include "engine/files/safetensors.h"
#include "tests/hostile/hostile.h"

static char folder[64];

static void set_up(void)
{
    strcpy(folder, "/tmp/refinery-hostile-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void tear_down(void)
{
    hostile_remove(folder);
}

TestSuite(hostile_changes, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int  turn;
    char       *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* Three tensors of 40,000 bytes; `eight_bits`: the last one is widened while it is read. */
static const char *write_model(const char *name, int eight_bits)
{
    hostile_tensors t = {0};
    const char     *path = in_folder(name);
    hostile_add(&t, "a", "F16", "100,200");
    hostile_add(&t, "b", "F32", "100,100");
    hostile_add(&t, "c.weight", eight_bits ? "F8_E4M3" : "F16", eight_bits ? "200,200" : "100,200");
    hostile_write(&t, path);
    return path;
}

/* Reads every tensor whole; what the first that fails says. */
static rf_status read_all(const rf_tensors *list, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < list->count && st == RF_OK; i++) {
        const rf_tensor *t = &list->item[i];
        void            *data = malloc((size_t)t->bytes);
        cr_assert_not_null(data);
        st = list->read(list, t, 0, data, (size_t)t->bytes, err);
        free(data);
    }
    return st;
}

/* The file at `path` in use, changed by `change`, must read as `want`. */
static void change_in_use(const char *path, void (*change)(const char *path, int how), int how,
                          rf_status want)
{
    rf_model_file *model = NULL;
    rf_error       err = {0};
    cr_assert_eq(rf_model_file_open(&model, path, &err), RF_OK, "%s", err.message);
    change(path, how);
    cr_expect_eq(read_all(rf_model_file_list(model), &err), want, "%d: %s", how, err.message);
    if (want != RF_OK)
        cr_expect(strstr(err.message, path) && strstr(err.message, "changed or truncated"), "%s",
                  err.message);
    rf_model_file_close(model);
}

static void cut(const char *path, int kept)
{
    cr_assert_eq(truncate(path, kept), 0);
}

Test(hostile_changes, what_is_cut_off_is_an_error)
{
    const int kept[] = {0, 1, 8, 100, 300, 40000, 80000, 120000};
    for (int eight_bits = 0; eight_bits < 2; eight_bits++)
        for (size_t i = 0; i < HOSTILE_COUNT(kept); i++)
            change_in_use(write_model("m.safetensors", eight_bits), cut, kept[i], RF_E_IO);
}

/* By one byte only. */
static void cut_one(const char *path, int by)
{
    struct stat info;
    cr_assert(stat(path, &info) == 0 && truncate(path, info.st_size - by) == 0);
}

Test(hostile_changes, the_last_byte_counts)
{
    for (int by = 1; by < 5; by++)
        change_in_use(write_model("m.safetensors", by % 2), cut_one, by, RF_E_IO);
}

static void grow(const char *path, int by)
{
    struct stat info;
    cr_assert(stat(path, &info) == 0 && truncate(path, info.st_size + by) == 0);
}

static void take_away(const char *path, int how)
{
    (void)how;
    cr_assert_eq(unlink(path), 0);
}

/* As a download or a build does it: another file under the same name. */
static void put_in_place(const char *path, int how)
{
    const char *other = in_folder("other");
    hostile_bytes(other, "short", how ? 5 : 0);
    cr_assert_eq(rename(other, path), 0);
}

/* The file that was opened is still there, whatever its name means now. */
Test(hostile_changes, what_grows_or_goes_is_read_as_it_was)
{
    change_in_use(write_model("m.safetensors", 0), grow, 1, RF_OK);
    change_in_use(write_model("m.safetensors", 1), grow, 1 << 20, RF_OK);
    change_in_use(write_model("m.safetensors", 0), take_away, 0, RF_OK);
    change_in_use(write_model("m.safetensors", 0), put_in_place, 0, RF_OK);
    change_in_use(write_model("m.safetensors", 1), put_in_place, 1, RF_OK);
}

/* Rewritten where it lies, shorter: another header, which nobody reads again. */
static void rewrite(const char *path, int how)
{
    hostile_bytes(path, "\2\0\0\0\0\0\0\0{}", how ? 10 : 4);
}

Test(hostile_changes, what_is_rewritten_shorter_is_an_error)
{
    for (int how = 0; how < 2; how++)
        for (int eight_bits = 0; eight_bits < 2; eight_bits++)
            change_in_use(write_model("m.safetensors", eight_bits), rewrite, how, RF_E_IO);
}

/* Between opening and opening again, which is when a header is judged. */
Test(hostile_changes, the_next_opening_judges_anew)
{
    rf_safetensors *file = NULL;
    rf_error        err = {0};
    const char     *path = write_model("m.safetensors", 0);
    for (int how = 0; how < 4; how++) {
        write_model("m.safetensors", 0);
        if (how == 0) cut(path, 100);
        if (how == 1) cut_one(path, 1);
        if (how == 2) grow(path, 1);
        if (how == 3) put_in_place(path, 0);
        cr_expect_eq(rf_safetensors_open(&file, path, &err), RF_E_FORMAT, "%s", err.message);
        cr_expect_null(file);
    }
}

/* ---- while the header is read ------------------------------------------------------------- */

typedef struct shrinking {
    const char *text;
    uint64_t    left; /* bytes that can still be read */
} shrinking;

static rf_status read_shrinking(void *user, uint64_t at, void *dst, size_t bytes, rf_error *err)
{
    shrinking *s = user;
    if (bytes > s->left) return rf_fail(err, RF_E_IO, "fuzz: the file was changed or truncated");
    s->left -= bytes;
    memcpy(dst, s->text + at, bytes);
    return RF_OK;
}

/* A header longer than the window, whose end is gone when it is asked for. */
Test(hostile_changes, a_header_that_ends_while_it_is_read)
{
    enum { BYTES = 1 << 20 };
    static const char front[] = "{\"__metadata__\":{\"a\":\"";
    static const char end[] = "\"},\"t\":" HOSTILE_GOOD "}";
    char             *text = malloc(BYTES);
    rf_header         header;
    cr_assert_not_null(text);
    memset(text, 'x', BYTES);
    memcpy(text, front, sizeof front - 1);
    memcpy(text + BYTES - sizeof end + 1, end, sizeof end - 1);
    for (uint64_t left = 0; left <= BYTES; left += BYTES / 8) {
        shrinking       s = {.text = text, .left = left};
        rf_error        err = {0};
        const rf_status st =
            rf_header_parse(&header, read_shrinking, &s, BYTES, 8 + BYTES + 4, "fuzz", &err);
        cr_expect_eq(st, left < BYTES ? RF_E_IO : RF_OK, "%s", err.message);
        if (st == RF_OK) cr_expect_eq(header.meta[0].bytes, BYTES - sizeof front - sizeof end + 2);
        rf_header_free(&header);
    }
    free(text);
}

/* ---- LoRAs -------------------------------------------------------------------------------- */

Test(hostile_changes, a_lora_that_is_cut_while_it_is_opened_or_used)
{
    rf_lora        *lora = NULL;
    rf_error        err = {0};
    hostile_tensors t = {0};
    const char     *path = in_folder("l.safetensors");
    const float     alpha = 4;
    hostile_add(&t, "lora_unet_x.lora_up.weight", "F16", "64,4");
    hostile_add(&t, "lora_unet_x.lora_down.weight", "F16", "4,64");
    hostile_add_value(&t, "lora_unet_x.alpha", "F32", "", &alpha, 4);
    hostile_write(&t, path);
    cr_assert_eq(rf_lora_open(&lora, path, &err), RF_OK, "%s", err.message);
    cr_assert_eq(truncate(path, 300), 0);
    cr_expect_eq(read_all(lora->tensors, &err), RF_E_IO, "%s", err.message);
    rf_lora_close(lora);
    cr_expect_eq(rf_lora_open(&lora, path, &err), RF_E_FORMAT, "%s", err.message);
}
