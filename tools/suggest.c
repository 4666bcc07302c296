/* Optimal string alignment distance (Damerau 1964: insert, delete, replace, swap neighbours), case
 * ignored.  A word that begins with what was typed costs one, so "--switch" finds "--switch-at". */
#include "tools/suggest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 40 }; /* longer than any word of ours; longer input gets no suggestion */

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static int alignment_distance(const char *a, const char *b)
{
    const int len_a = (int)strlen(a), len_b = (int)strlen(b);
    int       rows[3][WORD_MAX + 1]; /* i % 3: this row and the two before it */
    for (int j = 0; j <= len_b; j++) rows[0][j] = j;
    for (int i = 1; i <= len_a; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= len_b; j++) {
            const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            now[j] = min_int(before[j - 1] + (x != y), min_int(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                now[j] = min_int(now[j], older[j - 2] + 1);
        }
    }
    return rows[len_a % 3][len_b];
}

rf_suggest rf_suggest_begin(const char *typed)
{
    const size_t len = strlen(typed);
    /* A third of the letters may be wrong; more and the guess is noise. */
    return (rf_suggest){.typed = typed, .distance = len > WORD_MAX ? 0 : (int)(len + 2) / 3 + 1};
}

void rf_suggest_offer(rf_suggest *s, const char *word)
{
    const size_t len = strlen(s->typed);
    if (len == 0 || len > WORD_MAX || strlen(word) > WORD_MAX) return;
    int distance = alignment_distance(s->typed, word);
    if (len >= 3 && strncasecmp(s->typed, word, len) == 0) distance = min_int(distance, 1);
    const int shorter = s->best && strlen(s->best) > strlen(word);
    if (distance < s->distance || (distance == s->distance && shorter)) {
        s->distance = distance;
        s->best = word;
    }
}
