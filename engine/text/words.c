/* The splitting pattern of the CLIP tokenizers, by hand; see words.h. */
#include "engine/text/words.h"

#include "engine/core/tokens.h"

/* What ignoring case adds to the pattern, found by trying every character on Python's regex module:
 * a long s matches the s of a special or contraction, and the combining iota, a mark whose capital
 * is a letter, matches nothing, so that it parts words as a space does. */
enum { LONG_S = 0x17F, COMBINING_IOTA = 0x345 };

/* The length of `name` at text->at[at], or 0.  *exact is false if a long s stands for an s. */
static size_t match(const rf_codes *text, size_t at, const char *name, bool *exact)
{
    size_t n = 0;
    *exact = true;
    for (; name[n]; n++) {
        if (at + n >= text->length) return 0;
        const int32_t code = text->at[at + n];
        if (code == LONG_S && name[n] == 's')
            *exact = false;
        else if (code != name[n])
            return 0;
    }
    return n;
}

static bool match_special(const rf_codes *text, const rf_special_names *names, size_t at,
                          rf_word *word)
{
    bool exact;
    *word = (rf_word){.start = at, .special = RF_TOKEN_START};
    word->length = match(text, at, names->start, &exact);
    if (word->length == 0) {
        word->special = RF_TOKEN_END;
        word->length = match(text, at, names->end, &exact);
    }
    /* Spelled with a long s it is a word of its own all the same, but no special. */
    if (!exact) word->special = -1;
    return word->length > 0;
}

bool rf_word_is_special(const rf_codes *text, const rf_special_names *names, size_t at,
                        rf_word *word)
{
    return match_special(text, names, at, word) && word->special >= 0;
}

static size_t match_contraction(const rf_codes *text, size_t at)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        bool         exact;
        const size_t length = match(text, at, endings[i], &exact);
        if (length) return length;
    }
    return 0;
}

static bool is_gap(int32_t code)
{
    return rf_code_is_space(code) || code == COMBINING_IOTA;
}

static bool is_other(int32_t code)
{
    return !is_gap(code) && !rf_code_is_letter(code) && !rf_code_is_number(code);
}

static size_t run(const rf_codes *text, size_t at, bool (*belongs)(int32_t code))
{
    size_t end = at;
    while (end < text->length && belongs(text->at[end])) end++;
    return end - at;
}

bool rf_word_next(const rf_codes *text, const rf_special_names *names, size_t *at, rf_word *word)
{
    while (*at < text->length && is_gap(text->at[*at])) ++*at;
    if (*at == text->length) return false;
    if (!match_special(text, names, *at, word)) {
        *word = (rf_word){.start = *at, .special = -1};
        word->length = match_contraction(text, *at);
        if (word->length == 0) word->length = run(text, *at, rf_code_is_letter);
        if (word->length == 0) word->length = rf_code_is_number(text->at[*at]);
        if (word->length == 0) word->length = run(text, *at, is_other);
    }
    *at += word->length;
    return true;
}
