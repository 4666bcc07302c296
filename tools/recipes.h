/* Recipes: prompts and settings that belong to a pair of checkpoints, made from a user's tags. */
#ifndef RF_RECIPES_H
#define RF_RECIPES_H

#include "tools/console.h"

typedef struct rf_recipe {
    const char *name, *summary;
    const char *sampler;
    int         steps;
    double      cfg_scale, switch_at;
    /* With {base}, {refiner}, {common} and {switch}; what stands for an empty list of tags goes
     * away, together with the comma before it. */
    const char *prompt, *negative;
} rf_recipe;

typedef struct rf_recipe_tags { /* NULL: none */
    const char *base, *refiner, *common;
    const char *base_flag, *refiner_flag; /* where they come from, for messages */
    const char *when;                     /* what {switch} becomes: "switch", or a number */
} rf_recipe_tags;

extern const rf_recipe   rf_recipes[];      /* ended by a row without a name */
extern const char *const rf_recipe_names[]; /* the same, for the option; ended by NULL */

const rf_recipe *rf_recipe_find(const char *name); /* one of rf_recipe_names */

/* Fills a recipe's `prompt` or `negative`; *out is to be free()d.  Tags of the base and the refiner
 * stand inside an edit: a `:` or `|` that would end it is escaped, weights such as (tag:1.2) and
 * complete edits stay.  RF_E_ARG for what cannot be meant: a bracket without its partner, AND, a
 * backslash that escapes nothing. */
rf_status rf_recipe_text(char **out, const char *pattern, const rf_recipe_tags *tags,
                         rf_trouble *trouble);

#endif
