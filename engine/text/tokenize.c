/* From prompt to tokens; see tokenize.h. */
#include "engine/text/tokenize.h"

#include "engine/text/codes.h"
#include "engine/text/entities.h"
#include "engine/text/fix.h"
#include "engine/text/words.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

struct rf_tokenizer {
    rf_merges   *merges;
    rf_entities *entities;
};

static const rf_special_names special_names[] = {
    [RF_TOKENIZER_CLIP_L] = {"<|startoftext|>", "<|endoftext|>"},
    [RF_TOKENIZER_CLIP_G] = {"<start_of_text>", "<end_of_text>"},
};

rf_status rf_tokenizer_create(rf_tokenizer **out, rf_error *err)
{
    rf_status     st = RF_OK;
    rf_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    *out = NULL;
    if (!tokenizer) {
        st = rf_fail(err, RF_E_NOMEM, "tokenizer: %zu bytes", sizeof *tokenizer);
        goto done;
    }
    RF_TRY(rf_merges_create(&tokenizer->merges, err));
    RF_TRY(rf_entities_create(&tokenizer->entities, err));
    *out = tokenizer;
    tokenizer = NULL;
done:
    rf_tokenizer_destroy(tokenizer);
    return st;
}

void rf_tokenizer_destroy(rf_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    rf_entities_destroy(tokenizer->entities);
    rf_merges_destroy(tokenizer->merges);
    free(tokenizer);
}

/* Appends the tokens of cleaned text, word by word. */
static rf_status encode_words(const rf_tokenizer *tokenizer, const rf_special_names *names,
                              const rf_codes *text, rf_ids *ids, rf_error *err)
{
    rf_status      st = RF_OK;
    rf_bpe_work    work = {0};
    rf_word        word;
    unsigned char *utf8 = malloc(4 * text->length + 1); /* no word is longer than the text */
    if (!utf8) {
        st = rf_fail(err, RF_E_NOMEM, "text: %zu bytes", 4 * text->length + 1);
        goto done;
    }
    for (size_t at = 0; rf_word_next(text, names, &at, &word);) {
        if (word.special >= 0) {
            RF_TRY(rf_ids_push(ids, word.special, err));
            continue;
        }
        int32_t bytes = 0;
        for (size_t i = 0; i < word.length; i++)
            bytes += (int32_t)utf8proc_encode_char(text->at[word.start + i], utf8 + bytes);
        RF_TRY(rf_bpe_encode(tokenizer->merges, &work, utf8, bytes, ids, err));
    }
done:
    rf_bpe_work_free(&work);
    free(utf8);
    return st;
}

/* Cleans and encodes one stretch of text.  The originals also strip the text and collapse its white
 * space; that changes neither lower case nor words, so it is not done here. */
static rf_status encode_text(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                             const rf_codes *text, rf_ids *ids, rf_error *err)
{
    rf_status st = RF_OK;
    rf_codes  clean = {0}, next = {0};
    RF_TRY(rf_fix_text(tokenizer->entities, text, &clean, err));
    for (int times = 0; flavour == RF_TOKENIZER_CLIP_G && times < 2; times++) {
        next.length = 0;
        RF_TRY(rf_unescape_html(tokenizer->entities, &clean, &next, err));
        const rf_codes unescaped = next;
        next = clean;
        clean = unescaped;
    }
    next.length = 0;
    RF_TRY(rf_codes_lower(&clean, &next, err));
    rf_codes_free(&clean); /* a long text's memory, before the words take theirs */
    RF_TRY(encode_words(tokenizer, &special_names[flavour], &next, ids, err));
done:
    rf_codes_free(&clean);
    rf_codes_free(&next);
    return st;
}

/* Hugging Face looks for the exact spelling of the specials in the raw text, before any cleaning,
 * and treats what lies between them as separate texts. */
static rf_status encode_between_specials(const rf_tokenizer *tokenizer, const rf_codes *text,
                                         rf_ids *ids, rf_error *err)
{
    const rf_special_names *names = &special_names[RF_TOKENIZER_CLIP_L];
    rf_status               st = RF_OK;
    size_t                  start = 0;
    for (size_t at = 0; at <= text->length; at++) {
        rf_word    word = {.length = 1, .special = -1};
        const bool found = at < text->length && rf_word_is_special(text, names, at, &word);
        if (!found && at < text->length) continue;
        if (at > start) {
            const rf_codes part = {.at = text->at + start, .length = at - start};
            RF_TRY(encode_text(tokenizer, RF_TOKENIZER_CLIP_L, &part, ids, err));
        }
        if (found) RF_TRY(rf_ids_push(ids, word.special, err));
        start = at + word.length;
        at = start - 1;
    }
done:
    return st;
}

rf_status rf_tokenizer_encode(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                              const char *text, rf_ids *ids, rf_error *err)
{
    rf_status    st = RF_OK;
    rf_codes     codes = {0};
    const size_t bytes = strlen(text);
    if (bytes > RF_PROMPT_MAX_BYTES) {
        st = rf_fail(err, RF_E_ARG, "the prompt has %zu bytes; %d is the most", bytes,
                     RF_PROMPT_MAX_BYTES);
        goto done;
    }
    RF_TRY(rf_codes_decode(&codes, text, bytes, err));
    if (flavour == RF_TOKENIZER_CLIP_L)
        RF_TRY(encode_between_specials(tokenizer, &codes, ids, err));
    else
        RF_TRY(encode_text(tokenizer, flavour, &codes, ids, err));
done:
    rf_codes_free(&codes);
    return st;
}

/* A piece's tokens, names of textual inversions replaced. */
static rf_status add_tokens(rf_chunker *chunker, rf_tokenizer_flavour flavour,
                            const rf_triggers *triggers, const rf_ids *ids, float weight,
                            rf_error *err)
{
    rf_status st = RF_OK;
    if (!triggers || triggers->count == 0)
        return rf_chunker_add(chunker, ids->at, ids->length, weight, err);
    for (size_t i = 0; i < ids->length;) {
        const rf_trigger *t = rf_trigger_at(triggers, flavour, ids->at + i, ids->length - i);
        if (t)
            RF_TRY(rf_chunker_add_unit(chunker, t->first, t->vectors, weight, err));
        else
            RF_TRY(rf_chunker_add(chunker, ids->at + i, 1, weight, err));
        i += t ? t->id[flavour].length : 1;
    }
done:
    return st;
}

rf_status rf_tokenize(const rf_tokenizer *tokenizer, rf_tokenizer_flavour flavour,
                      const rf_piece *piece, int pieces, const rf_triggers *triggers,
                      rf_tokens *out, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_ids     ids = {0};
    rf_chunker chunker = {0};
    *out = (rf_tokens){0};
    RF_TRY(rf_chunker_start(&chunker, err));
    for (int i = 0; i < pieces; i++) {
        if (piece[i].is_break) {
            RF_TRY(rf_chunker_break(&chunker, err));
            continue;
        }
        ids.length = 0;
        RF_TRY(rf_tokenizer_encode(tokenizer, flavour, piece[i].text, &ids, err));
        RF_TRY(add_tokens(&chunker, flavour, triggers, &ids, (float)piece[i].weight, err));
    }
    RF_TRY(rf_chunker_finish(&chunker, flavour, out, err));
done:
    rf_chunker_free(&chunker);
    rf_ids_free(&ids);
    return st;
}
