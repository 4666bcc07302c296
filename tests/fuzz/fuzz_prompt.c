/* Any bytes as a prompt of any kind: parsing answers or refuses, every call finds an entry, and the
 * pieces of every entry can be tokenized.  The first byte says what kind of prompt it is. */
#include "engine/text/tokenize.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 12, CALLS = 14 }; /* more calls than edits count */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) abort(); /* libFuzzer keeps the input */
}

static void on_warning(void *user, const char *message)
{
    require(message[0] && ++*(int *)user < 16); /* once per kind */
}

static void check_entry(const rf_tokenizer *tokenizer, const rf_prompt_entry *entry)
{
    require(entry->text && entry->pieces >= 1);
    for (int flavour = RF_TOKENIZER_CLIP_L; flavour <= RF_TOKENIZER_CLIP_G; flavour++) {
        rf_tokens       tokens;
        rf_error        err = {0};
        const rf_status st =
            rf_tokenize(tokenizer, flavour, entry->piece, entry->pieces, NULL, &tokens, &err);
        require(st == RF_OK || (st == RF_E_ARG && err.message[0])); /* too many chunks */
        rf_tokens_free(&tokens);
    }
}

static void check_prompt(const rf_tokenizer *tokenizer, const rf_prompt *prompt, int exact)
{
    require(prompt->parts >= 1);
    for (int i = 0; i < prompt->parts; i++) {
        const rf_prompt_part *part = &prompt->part[i];
        require(part->entries >= 1 && part->text);
        for (int e = 1; e < part->entries; e++)
            require(part->entry[e].until > part->entry[e - 1].until);
        for (int k = 0; k < CALLS; k++) {
            const int e = rf_prompt_entry_at(part, k, exact);
            require(e >= 0 && e < part->entries);
        }
        check_entry(tokenizer, &part->entry[0]);
        check_entry(tokenizer, &part->entry[part->entries - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rf_tokenizer *tokenizer; /* made once: it is read-only */
    static const int     handover[] = {6, 9};
    static const double  aligned[] = {0.5, 0.75};
    if (!tokenizer) require(rf_tokenizer_create(&tokenizer, NULL) == RF_OK);
    if (size == 0) return 0;

    char *text = malloc(size); /* exactly as long as the input, for AddressSanitizer's sake */
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    int               warnings = 0;
    rf_prompt_options options = {.polarity = data[0] & 1 ? RF_PROMPT_NEGATIVE : RF_PROMPT_POSITIVE,
                                 .exact_a1111 = data[0] >> 1 & 1,
                                 .old_edits = data[0] >> 2 & 1,
                                 .emphasis = (rf_emphasis)(data[0] >> 3 & 3),
                                 .clock = {.nominal = STEPS,
                                           .calls = data[0] & 0x40 ? CALLS : 0,
                                           .hires_nominal = data[0] & 0x20 ? STEPS : 0,
                                           .handover = handover,
                                           .handovers = 2,
                                           .aligned = data[0] & 0x80 ? aligned : NULL},
                                 .warn = on_warning,
                                 .user = &warnings};
    const rf_prompt  *prompt;
    char             *shown;
    rf_error          err = {0};
    const rf_status   st = rf_prompt_parse(&prompt, text, &options, &err);
    require(st == RF_OK || (st == RF_E_ARG && err.message[0] && !prompt));
    if (st == RF_OK) check_prompt(tokenizer, prompt, options.exact_a1111);
    rf_prompt_free(prompt);

    if (rf_prompt_with_switch(&shown, text, &options, 3, &err) == RF_OK) free(shown);
    free(text);
    return 0;
}
