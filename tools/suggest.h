/* "Did you mean": the nearest known word to a mistyped one. */
#ifndef RF_SUGGEST_H
#define RF_SUGGEST_H

typedef struct rf_suggest {
    const char *typed; /* what the user wrote, without dashes */
    const char *best;  /* nearest word offered so far; NULL if none is near enough */
    int         distance;
} rf_suggest;

rf_suggest rf_suggest_begin(const char *typed);
void       rf_suggest_offer(rf_suggest *s, const char *word); /* `word` must outlive `s` */

#endif
