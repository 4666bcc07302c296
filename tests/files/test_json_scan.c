/* The JSON cursor thinks the same of a text whether it has it whole or in pieces, and keeps of a
 * long string no more than it says. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/json_scan.h"

TestSuite(json_scan, .timeout = 60);

/* A source that gives `size` bytes at a time. */
typedef struct drops {
    const char *at;
    size_t      left, size;
} drops;

static size_t next_drop(void *user, char *to, size_t room)
{
    drops       *d = user;
    const size_t wanted = d->size < room ? d->size : room;
    const size_t now = d->left < wanted ? d->left : wanted;
    memcpy(to, d->at, now);
    d->at += now;
    d->left -= now;
    return now;
}

static rf_json in_drops(drops *d, char *window)
{
    return (rf_json){.at = window,
                     .end = window,
                     .window = window,
                     .room = RF_JSON_WINDOW,
                     .source = next_drop,
                     .user = d};
}

static const char *const texts[] = {
    "{\"a\":[1,-2.5e+10,true,false,null,\"\\u00e9\\ud83d\\ude00\\n\"],\"\":{}} ",
    "\"\xC3\xA9\xE4\xB8\x80\xF0\x9F\x98\x80 plain text of some length, so that eight fit\"",
    "\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ud83d\"",
    "\"\\ud83",
    "\"half \xE4\xB8\"",
    "\"half \xE4\xB8",
    "[1,2,",
    "[tru]",
    "[true",
    "1234567890.25e",
    "0123",
    "\"no end",
    "{\"a\" 1}",
    "",
    "   ",
    "[[[[[[[[]]]]]]]]",
    "\"control \x01\"",
};

Test(json_scan, pieces_mean_what_the_whole_means)
{
    char *window = malloc(RF_JSON_WINDOW);
    cr_assert_not_null(window);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const size_t bytes = strlen(texts[i]);
        for (size_t size = 1; size <= bytes + 1; size++) {
            char     *copy = strdup(texts[i]);
            drops     d = {.at = texts[i], .left = bytes, .size = size};
            rf_json   whole = {.at = copy, .end = copy + bytes}, parts = in_drops(&d, window);
            const int a = rf_json_skip(&whole), b = rf_json_skip(&parts);
            cr_expect_eq(a, b, "%s by %zu", texts[i], size);
            cr_expect_eq((size_t)(whole.at - copy), rf_json_offset(&parts), "%s by %zu", texts[i],
                         size);
            if (!a) cr_expect_str_eq(whole.error, parts.error, "%s by %zu", texts[i], size);
            free(copy);
        }
    }
    free(window);
}

Test(json_scan, strings_are_the_same_in_pieces)
{
    static const char text[] = "\"a\\u00e9\xE4\xB8\x80\\\\\\ud83d\\ude00z\"",
                      want[] = "a\xC3\xA9\xE4\xB8\x80\\\xF0\x9F\x98\x80z";
    char *window = malloc(RF_JSON_WINDOW);
    cr_assert_not_null(window);
    for (size_t size = 1; size < sizeof text; size++) {
        char   *got;
        size_t  bytes = 0;
        drops   d = {.at = text, .left = sizeof text - 1, .size = size};
        rf_json j = in_drops(&d, window);
        cr_assert(rf_json_string(&j, &got, &bytes), "%s", j.error);
        cr_expect_str_eq(got, want);
        cr_expect_eq(bytes, sizeof want - 1);
        cr_expect(rf_json_is_over(&j));
    }
    free(window);
}

/* Strings about as long as the window keeps, at several places of the window. */
Test(json_scan, long_strings_are_counted_and_not_kept)
{
    enum { MOST = RF_JSON_STRING_MAX };
    static const size_t lengths[] = {MOST - 1,
                                     MOST,
                                     MOST + 1,
                                     RF_JSON_WINDOW - 2,
                                     RF_JSON_WINDOW,
                                     2 * RF_JSON_WINDOW,
                                     3 * RF_JSON_WINDOW + 7};
    char               *window = malloc(RF_JSON_WINDOW);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t front = 0; front < 70000; front += 23333) {
            char  *got;
            size_t bytes = 0, n = front;
            char  *text = malloc(front + lengths[i] + 8);
            cr_assert(window && text);
            memset(text, ' ', front);
            text[n++] = '"';
            for (size_t k = 0; k < lengths[i]; k++) text[n++] = (char)('a' + k % 26);
            text[n] = '"', text[n + 1] = ',', text[n + 2] = '7';
            drops   d = {.at = text, .left = n + 3, .size = (size_t)1 << 20};
            rf_json j = in_drops(&d, window);
            int64_t seven = 0;
            cr_assert(rf_json_string(&j, &got, &bytes), "%s", j.error);
            cr_expect_eq(bytes, lengths[i]);
            cr_expect_eq(strlen(got), bytes > MOST ? 0 : bytes);
            if (*got) cr_expect_eq(memcmp(got, text + front + 1, bytes), 0);
            cr_expect(rf_json_take(&j, ',') && rf_json_integer(&j, &seven) && seven == 7);
            cr_expect(rf_json_is_over(&j) && rf_json_offset(&j) == n + 3);
            free(text);
        }
    free(window);
}
