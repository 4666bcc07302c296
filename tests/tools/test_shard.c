/* Shards: what --shard takes, who does what, and whose journals lie there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/sweep/shard.h"

Test(shard, parses, .timeout = 20)
{
    static const struct {
        const char *text;
        int         index, count;
    } good[] = {{"1/1", 1, 1}, {"3/8", 3, 8}, {"8/8", 8, 8}, {"4096/4096", 4096, 4096}};
    static const char *const bad[] = {"",
                                      "1",
                                      "/",
                                      "1/",
                                      "/8",
                                      "0/8",
                                      "9/8",
                                      "-1/8",
                                      "+1/8",
                                      " 1/8",
                                      "1/8 ",
                                      "1/8/9",
                                      "01/8",
                                      "1/08",
                                      "1/4097",
                                      "1/0",
                                      "a/b",
                                      "1.0/8",
                                      "1 of 8",
                                      "1/99999999999",
                                      "4097/1",
                                      "0x1/8",
                                      "1//8",
                                      "1/8\n",
                                      "\xff/8",
                                      "1/-8",
                                      "99999999999999999999/2"};
    rf_shard                 shard;
    rf_trouble               trouble;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(rf_shard_parse(&shard, good[i].text, &trouble), RF_OK, "%s", good[i].text);
        cr_expect(shard.index == good[i].index && shard.count == good[i].count);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&trouble, 0, sizeof trouble);
        shard = (rf_shard){7, 7};
        cr_expect_eq(rf_shard_parse(&shard, bad[i], &trouble), RF_E_ARG, "'%s'", bad[i]);
        cr_expect(shard.index == 0 && shard.count == 0);
        cr_expect(strstr(trouble.error.message, "i from 1 to n"), "%s", trouble.error.message);
        cr_expect(strstr(trouble.hint, "--shard 1/4"));
    }
}

static int64_t makespan(const int *owner, const int64_t *cost, int groups, int shards)
{
    int64_t load[RF_SHARDS_MAX + 1] = {0}, end = 0;
    for (int g = 0; g < groups; g++) {
        cr_assert(owner[g] >= 1 && owner[g] <= shards);
        load[owner[g]] += cost[g];
        if (load[owner[g]] > end) end = load[owner[g]];
    }
    return end;
}

Test(shard, the_least_loaded_takes_the_next, .timeout = 20)
{
    const int64_t cost[7] = {70, 50, 40, 40, 30, 10, 0};
    const int     expected[7] = {1, 2, 3, 3, 2, 1, 1};
    int           owner[7];
    rf_shard_assign(owner, cost, 7, 3);
    for (int g = 0; g < 7; g++) cr_expect_eq(owner[g], expected[g], "group %d: %d", g, owner[g]);
    cr_expect_eq(makespan(owner, cost, 7, 3), 80);
    rf_shard_assign(owner, cost, 7, 1);
    for (int g = 0; g < 7; g++) cr_expect_eq(owner[g], 1);
    rf_shard_assign(owner, cost, 7, RF_SHARDS_MAX); /* more shards than groups */
    for (int g = 0; g < 7; g++) cr_expect_eq(owner[g], g + 1);
    rf_shard_assign(owner, cost, 0, 3);
}

/* Never worse than 4/3 of what is needed at least. */
Test(shard, the_load_is_even, .timeout = 20)
{
    enum { GROUPS = 500 };
    static int64_t cost[GROUPS];
    static int     owner[GROUPS], again[GROUPS];
    int64_t        sum = 0;
    for (int g = 0; g < GROUPS; g++) sum += cost[g] = 1000 - g;
    for (int shards = 1; shards <= RF_SHARDS_MAX; shards *= 4) {
        rf_shard_assign(owner, cost, GROUPS, shards);
        rf_shard_assign(again, cost, GROUPS, shards);
        for (int g = 0; g < GROUPS; g++) cr_assert_eq(owner[g], again[g]);
        const int64_t fair = sum / shards > cost[0] ? sum / shards : cost[0];
        cr_expect_leq(3 * makespan(owner, cost, GROUPS, shards), 4 * fair + 3, "%d shards", shards);
    }
}

Test(shard, journals_have_names, .timeout = 20)
{
    char name[RF_JOURNAL_NAME_BYTES];
    rf_shard_journal(name, (rf_shard){0});
    cr_expect_str_eq(name, "journal.sqlite");
    rf_shard_journal(name, (rf_shard){3, 8});
    cr_expect_str_eq(name, "journal-3-of-8.sqlite");
    rf_shard_journal(name, (rf_shard){RF_SHARDS_MAX, RF_SHARDS_MAX});
    cr_expect_str_eq(name, "journal-4096-of-4096.sqlite");
}

Test(shard, journals_are_found, .timeout = 20)
{
    static const char *const files[] = {"journal-10-of-12.sqlite",   "journal-2-of-12.sqlite",
                                        "journal-1-of-2.sqlite",     "journal.sqlite",
                                        "journal-1-of-2.sqlite-wal", "journal-3-of-2.sqlite",
                                        "journal-0-of-2.sqlite",     "journal-01-of-2.sqlite",
                                        "journal-1-of-4097.sqlite",  "journal--1-of-2.sqlite",
                                        "journal-1-of-.sqlite",      "xjournal-1-of-2.sqlite",
                                        "journal-1-of-2.sqlite.png", "journal-1-of-2"};
    char                     folder[] = "/tmp/refinery-test-XXXXXX", path[200];
    rf_shard                *list = NULL;
    int                      count = -1;
    rf_error                 err = {0};
    cr_assert_not_null(mkdtemp(folder));
    cr_expect_eq(rf_shard_find(&list, &count, folder, &err), RF_OK);
    cr_expect(count == 0 && list == NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        fclose(file);
    }
    cr_expect_eq(rf_shard_find(&list, &count, folder, &err), RF_OK, "%s", err.message);
    cr_assert_eq(count, 3, "%d", count);
    cr_expect(list[0].index == 1 && list[0].count == 2);
    cr_expect(list[1].index == 2 && list[1].count == 12);
    cr_expect(list[2].index == 10 && list[2].count == 12);
    free(list);
    snprintf(path, sizeof path, "%s/%s", folder, files[0]);
    cr_expect_eq(rf_shard_find(&list, &count, path, &err), RF_E_IO); /* a file is no folder */
    cr_expect(count == 0 && list == NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        cr_expect_eq(unlink(path), 0);
    }
    cr_expect_eq(rmdir(folder), 0);
    cr_expect_eq(rf_shard_find(&list, &count, folder, &err), RF_OK); /* not there: none */
    cr_expect_eq(count, 0);
}
