/* Python's str.lower(); see codes.h.
 *
 * utf8proc maps one code point to one, so the two rules of Unicode's SpecialCasing.txt that lower
 * case needs stand here: U+0130 becomes two code points, and a capital sigma at the end of a word
 * becomes the final sigma. */
#include "engine/text/codes.h"

#include <utf8proc.h>

enum {
    CAPITAL_I_DOT = 0x130,
    COMBINING_DOT_ABOVE = 0x307,
    CAPITAL_SIGMA = 0x3A3,
    SMALL_SIGMA = 0x3C3,
    FINAL_SIGMA = 0x3C2,
};

/* Unicode's Case_Ignorable: by category, and the characters inside words of UAX #29 (MidLetter,
 * MidNumLet, Single_Quote). */
static bool is_case_ignorable(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: break;
    }
    static const uint16_t inside_words[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                            0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                            0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    for (size_t i = 0; i < sizeof inside_words / sizeof *inside_words; i++)
        if (code == inside_words[i]) return true;
    return false;
}

/* Unicode's Cased, for characters that are not Case_Ignorable: the cased letters, and what
 * Other_Lowercase and Other_Uppercase add to them. */
static bool is_cased(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return true;
    default: break;
    }
    static const int32_t ranges[][2] = {
        {0xAA, 0xAA},       {0xBA, 0xBA},       /* ordinal indicators */
        {0x2160, 0x217F},                       /* Roman numerals */
        {0x24B6, 0x24E9},                       /* circled letters */
        {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, /* squared, negative circled letters */
        {0x1F170, 0x1F189},                     /* negative squared letters */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

/* Both walks stop at the next sigma, so a text is walked at most twice in all. */
static bool sigma_is_final(const rf_codes *in, size_t at)
{
    size_t i = at;
    while (i > 0 && is_case_ignorable(in->at[i - 1])) i--;
    if (i == 0 || !is_cased(in->at[i - 1])) return false;
    i = at + 1;
    while (i < in->length && is_case_ignorable(in->at[i])) i++;
    return i == in->length || !is_cased(in->at[i]);
}

rf_status rf_codes_lower(const rf_codes *in, rf_codes *out, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < in->length; i++) {
        int32_t code = in->at[i];
        if (code == CAPITAL_I_DOT) {
            RF_TRY(rf_codes_push(out, 'i', err));
            code = COMBINING_DOT_ABOVE;
        } else if (code == CAPITAL_SIGMA) {
            code = sigma_is_final(in, i) ? FINAL_SIGMA : SMALL_SIGMA;
        } else {
            code = utf8proc_tolower(code);
        }
        RF_TRY(rf_codes_push(out, code, err));
    }
done:
    return st;
}
