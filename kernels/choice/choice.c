/* Looking rows up, and writing them; choice_read.c parses. */
#include "kernels/choice/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/choice/choice_order.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"

const char *rf_choice_op_name(rf_choice_op op)
{
    static const char *const names[RF_CHOICE_OPS] = {"gemm", "conv", "attention"};
    return (unsigned)op < RF_CHOICE_OPS ? names[op] : "unknown";
}

const char *rf_choice_variant_name(rf_choice_op op, int variant)
{
    enum { MOST = 5 };
    static const char *const names[RF_CHOICE_OPS][MOST] = {
        [RF_CHOICE_GEMM] = {[RF_ACT_NONE] = "none",
                            [RF_ACT_SILU] = "silu",
                            [RF_ACT_GELU] = "gelu",
                            [RF_ACT_QUICK_GELU] = "quick_gelu",
                            [RF_ACT_GEGLU] = "geglu"},
        [RF_CHOICE_CONV] = {[RF_CONV_SAME] = "same",
                            [RF_CONV_DOWN] = "down",
                            [RF_CONV_DOWN_RB] = "down_rb",
                            [RF_CONV_UP2] = "up2"},
        [RF_CHOICE_ATTENTION] = {"all", "causal"},
    };
    return (unsigned)op < RF_CHOICE_OPS && (unsigned)variant < MOST ? names[op][variant] : NULL;
}

static int by_number(int a, int b)
{
    return (a > b) - (a < b);
}

int rf_choice_order(const void *first, const void *second)
{
    const rf_choice_key *a = &((const rf_choice *)first)->key,
                        *b = &((const rf_choice *)second)->key;
    const int orders[] = {by_number((int)a->op, (int)b->op),
                          by_number((int)a->dtype, (int)b->dtype),
                          by_number(a->variant, b->variant),
                          by_number(a->n, b->n),
                          by_number(a->k, b->k),
                          by_number(a->h, b->h),
                          by_number(a->w, b->w)};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (orders[i]) return orders[i];
    return 0;
}

const rf_choice *rf_choose(const rf_choices *choices, const rf_choice_key *key)
{
    if (!choices || !choices->count) return NULL;
    const rf_choice wanted = {.key = *key};
    return bsearch(&wanted, choices->row, choices->count, sizeof wanted, rf_choice_order);
}

int rf_choose_tile(const rf_choices *choices, const rf_choice_key *key, int tiles, int rule)
{
    const rf_choice *row = rf_choose(choices, key);
    const int        named = row && row->level == RF_LEVEL_SM80 && row->count == 1;
    return named && row->number[0] < tiles ? row->number[0] : rule;
}

int rf_choice_print(char *text, size_t bytes, const rf_choice *row)
{
    const rf_choice_key *k = &row->key;
    const char          *variant = rf_choice_variant_name(k->op, k->variant);
    int used = snprintf(text, bytes, "%s %s %s %d %d %d %d %s", rf_choice_op_name(k->op),
                        rf_dtype_name(k->dtype), variant ? variant : "?", k->n, k->k, k->h, k->w,
                        rf_level_name(row->level));
    for (int i = 0; i < row->count && used > 0 && (size_t)used < bytes; i++)
        used += snprintf(text + used, bytes - (size_t)used, " %d", row->number[i]);
    if (used > 0 && (size_t)used < bytes) used += snprintf(text + used, bytes - (size_t)used, "\n");
    return used;
}

void rf_choices_free(rf_choices *choices)
{
    free(choices->row);
    *choices = (rf_choices){.count = 0};
}

const rf_choice_file *rf_choice_file_of(int major, int minor)
{
    const rf_choice_file *best = NULL;
    int                   best_number = 0;
    for (size_t i = 0; i < rf_choice_files_count; i++) {
        const int number = (int)strtol(rf_choice_files[i].device_class + 2, NULL, 10);
        if (number > 10 * major + minor || number <= best_number) continue;
        best = &rf_choice_files[i];
        best_number = number;
    }
    return best;
}
