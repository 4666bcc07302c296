/* The texts of a request; see request_texts.h.  In this order: standard input and files, the
 * recipe, the styles. */
#include "tools/request_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/text_input.h"

/* Hands `text` to the request, which will free it. */
static const char *own(rf_request *r, char *text)
{
    r->owned[r->owned_count++] = text;
    return text;
}

/* ---- where texts come from ---------------------------------------------------------------- */

typedef struct source {
    const char **text; /* NULL: not given.  "-": standard input, verbatim */
    const char  *flag;
    const char  *file; /* instead; NULL: not given */
    const char  *file_flag;
} source;

static rf_status read_source(rf_invocation *in, rf_request *r, const source *s,
                             const char **stdin_of)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &in->trouble;
    char       *text = NULL;
    const int   dash = *s->text && strcmp(*s->text, "-") == 0;
    const int   file_dash = s->file && strcmp(s->file, "-") == 0;
    if (*s->text && s->file) {
        st = rf_fail(&t->error, RF_E_ARG, "%s and %s exclude each other", s->flag, s->file_flag);
        goto done;
    }
    if (dash || file_dash) {
        const char *flag = dash ? s->flag : s->file_flag;
        if (*stdin_of) {
            st = rf_fail(&t->error, RF_E_ARG, "%s and %s cannot both read standard input",
                         *stdin_of, flag);
            goto done;
        }
        *stdin_of = flag;
    }
    if (dash)
        RF_TRY(rf_prompt_read(&text, "-", s->flag, 1, t));
    else if (s->file)
        RF_TRY(rf_prompt_read(&text, s->file, s->file_flag, 0, t));
    else
        RF_TRY(rf_text_check(*s->text, s->flag, t));
    if (text) *s->text = own(r, text);
done:
    return st;
}

static rf_status read_sources(rf_invocation *in, rf_request *r)
{
    rf_status    st = RF_OK;
    const char  *stdin_of = NULL;
    const source sources[] = {
        {&r->prompt, "--prompt", r->prompt_file, "--prompt-file"},
        {&r->negative, "--negative", r->negative_file, "--negative-file"},
        {&r->refiner_prompt, "--refiner-prompt", NULL, NULL},
        {&r->refiner_negative, "--refiner-negative", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        RF_TRY(read_source(in, r, &sources[i], &stdin_of));
    RF_TRY(rf_text_check(r->base_tags, "--base-tags", &in->trouble));
    RF_TRY(rf_text_check(r->refiner_tags, "--refiner-tags", &in->trouble));
    RF_TRY(rf_text_check(r->base_negative, "--base-negative", &in->trouble));
done:
    return st;
}

/* ---- recipes ------------------------------------------------------------------------------ */

/* What stands for {switch}: the word, or under A1111's rules, which do not know it, the number. */
static rf_status when_of(rf_invocation *in, const rf_request *r, char *out, size_t bytes)
{
    const char *by = r->job.switch_by;
    snprintf(out, bytes, "switch");
    if (!r->job.compat) return RF_OK;
    if (strcmp(by, "sigma") == 0)
        return rf_fail(&in->trouble.error, RF_E_ARG,
                       "--recipe with --compat a1111 writes a number into the prompt, and "
                       "--switch-by sigma has none that an edit understands");
    snprintf(out, bytes, "%.6g", r->switch_at);
    if (strcmp(by, "step") != 0 && !strchr(out, '.') && !strchr(out, 'e'))
        snprintf(out, bytes, "%.1f", r->switch_at); /* 1 would be a count, 1.0 is a fraction */
    return RF_OK;
}

/* An own prompt takes the place of the recipe's, which then has no use for tags. */
static rf_status check_own(rf_invocation *in, const char *own_flag, const char *tag_flag,
                           const char *tags)
{
    if (!tags) return RF_OK;
    rf_trouble_hint(&in->trouble, "%s replaces the recipe's text, tags go into it", own_flag);
    return rf_fail(&in->trouble.error, RF_E_ARG, "%s and %s exclude each other", own_flag,
                   tag_flag);
}

static rf_status recipe_texts(rf_invocation *in, rf_request *r, const rf_recipe *recipe)
{
    rf_status   st = RF_OK;
    char       *text = NULL, when[40];
    const char *common = in->args.operand_count ? in->args.operands[0] : NULL;
    RF_TRY(when_of(in, r, when, sizeof when));
    RF_TRY(rf_text_check(common, "the common tags", &in->trouble));
    if (r->prompt) {
        RF_TRY(check_own(in, "--prompt", "--base-tags", r->base_tags));
        RF_TRY(check_own(in, "--prompt", "--refiner-tags", r->refiner_tags));
        RF_TRY(check_own(in, "--prompt", "common tags", common));
    } else {
        const rf_recipe_tags tags = {r->base_tags,  r->refiner_tags,  common,
                                     "--base-tags", "--refiner-tags", when};
        RF_TRY(rf_recipe_text(&text, recipe->prompt, &tags, &in->trouble));
        r->prompt = own(r, text);
    }
    if (r->negative) {
        RF_TRY(check_own(in, "--negative", "--base-negative", r->base_negative));
    } else {
        const rf_recipe_tags tags = {r->base_negative,  r->refiner_negative,  NULL,
                                     "--base-negative", "--refiner-negative", when};
        RF_TRY(rf_recipe_text(&text, recipe->negative, &tags, &in->trouble));
        r->negative = own(r, text);
        r->refiner_negative = NULL; /* it was tags */
    }
done:
    return st;
}

static rf_status check_without_recipe(rf_invocation *in, const rf_request *r)
{
    const char *const flag = r->base_tags       ? "--base-tags"
                             : r->refiner_tags  ? "--refiner-tags"
                             : r->base_negative ? "--base-negative"
                                                : NULL;
    if (flag) {
        rf_trouble_hint(&in->trouble, "--recipe pony-animagine");
        return rf_fail(&in->trouble.error, RF_E_ARG, "%s: tags need a --recipe to go into", flag);
    }
    if (in->args.operand_count == 0) return RF_OK;
    rf_trouble_hint(&in->trouble, "a prompt is given with --prompt \"...\"");
    return rf_fail(&in->trouble.error, RF_E_ARG, "refinery %s: '%.200s' is one word too many",
                   in->verb->name, in->args.operands[0]);
}

/* ---- styles ------------------------------------------------------------------------------- */

static rf_status apply_styles(rf_invocation *in, rf_request *r)
{
    rf_status  st = RF_OK;
    rf_error  *err = &in->trouble.error;
    rf_styles *styles = NULL;
    char      *prompt = NULL, *negative = NULL;
    if (r->styles.count == 0) return RF_OK;
    RF_TRY(rf_styles_read(&styles, r->styles_file, err));
    prompt = strdup(r->prompt ? r->prompt : "");
    negative = strdup(r->negative ? r->negative : "");
    if (!prompt || !negative) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for styles");
        goto done;
    }
    for (int i = 0; i < r->styles.count; i++)
        RF_TRY(rf_styles_apply(styles, r->styles.item[i], &prompt, &negative, err));
    r->prompt = own(r, prompt);
    r->negative = own(r, negative);
    prompt = negative = NULL; /* handed over */
done:
    free(prompt);
    free(negative);
    rf_styles_free(styles);
    return st;
}

rf_status rf_request_texts(rf_invocation *in, rf_request *r, const rf_recipe *recipe)
{
    rf_status st = RF_OK;
    RF_TRY(read_sources(in, r));
    if (recipe)
        RF_TRY(recipe_texts(in, r, recipe));
    else
        RF_TRY(check_without_recipe(in, r));
    RF_TRY(apply_styles(in, r));
done:
    return st;
}
