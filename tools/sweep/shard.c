/* Numbers are read digit by digit: what strtol forgives ("+1", " 1") would name a shard twice. */
#include "tools/sweep/shard.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number without sign and leading zeros; moves *at behind it.  0: there is none up to `most`. */
static int read_number(const char **at, int most)
{
    int value = 0;
    if (**at == '0') return 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        value = 10 * value + (**at - '0');
        if (value > most) return 0;
    }
    return value;
}

rf_status rf_shard_parse(rf_shard *out, const char *text, rf_trouble *trouble)
{
    const char *at = text;
    *out = (rf_shard){0};
    const int index = read_number(&at, RF_SHARDS_MAX);
    const int slash = *at == '/';
    at += slash;
    const int count = slash ? read_number(&at, RF_SHARDS_MAX) : 0;
    if (!index || !count || *at || index > count) {
        rf_trouble_hint(trouble, "machine 1 of 4 takes --shard 1/4, the last one --shard 4/4");
        return rf_fail(&trouble->error, RF_E_ARG,
                       "--shard is '%s'; it is i/n with i from 1 to n, and n at most %d", text,
                       RF_SHARDS_MAX);
    }
    *out = (rf_shard){index, count};
    return RF_OK;
}

void rf_shard_assign(int *owner, const int64_t *cost, int groups, int shards)
{
    int64_t load[RF_SHARDS_MAX] = {0};
    for (int g = 0; g < groups; g++) {
        int least = 0;
        for (int s = 1; s < shards; s++)
            if (load[s] < load[least]) least = s;
        load[least] += cost[g];
        owner[g] = least + 1;
    }
}

void rf_shard_journal(char name[RF_JOURNAL_NAME_BYTES], rf_shard shard)
{
    if (shard.count)
        snprintf(name, RF_JOURNAL_NAME_BYTES, "journal-%d-of-%d.sqlite", shard.index, shard.count);
    else
        snprintf(name, RF_JOURNAL_NAME_BYTES, "journal.sqlite");
}

/* ---- what others have left ---------------------------------------------------------------- */

/* 1 if the file is a shard's journal. */
static int shard_of(const char *file, rf_shard *out)
{
    static const char before[] = "journal-", between[] = "-of-";
    const char       *at = file;
    if (strncmp(at, before, sizeof before - 1) != 0) return 0;
    at += sizeof before - 1;
    out->index = read_number(&at, RF_SHARDS_MAX);
    if (strncmp(at, between, sizeof between - 1) != 0) return 0;
    at += sizeof between - 1;
    out->count = read_number(&at, RF_SHARDS_MAX);
    return out->index && out->index <= out->count && strcmp(at, ".sqlite") == 0;
}

static int in_order(const void *left, const void *right)
{
    const rf_shard *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

rf_status rf_shard_find(rf_shard **out, int *count, const char *folder, rf_error *err)
{
    rf_status st = RF_OK;
    rf_shard *list = NULL;
    int       room = 0;
    *out = NULL;
    *count = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT) return RF_OK;
    if (!dir)
        return rf_fail(err, errno == EACCES ? RF_E_PERMISSION : RF_E_IO, "%s: %s", folder,
                       strerror(errno));
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(dir)); errno = 0) {
        rf_shard shard;
        if (!shard_of(entry->d_name, &shard)) continue;
        if (*count == room) {
            room = room ? 2 * room : 16;
            rf_shard *grown = realloc(list, (size_t)room * sizeof *grown);
            if (!grown) {
                st = rf_fail(err, RF_E_NOMEM, "%s: out of memory", folder);
                goto done;
            }
            list = grown;
        }
        list[(*count)++] = shard;
    }
    if (errno) {
        st = rf_fail(err, RF_E_IO, "%s: %s", folder, strerror(errno));
        goto done;
    }
    if (list) qsort(list, (size_t)*count, sizeof *list, in_order);
    *out = list;
    list = NULL;
done:
    if (st != RF_OK) *count = 0;
    free(list);
    closedir(dir);
    return st;
}
