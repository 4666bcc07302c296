/* The prompt language: what AUTOMATIC1111's users write, parsed.
 *
 *   text --tags--> text without <lora:...>   --AND--> parts with weights
 *        --edits--> per part: which text up to which call  --attention--> pieces with weights
 *
 * Each arrow is a file of its own: prompt_tags, prompt_and, edits, prompt_attention.  Semantics are
 * A1111 v1.10.1's.  In the default mode its silent traps are repaired, and each repair says so when
 * it applies; docs/prompts.md lists them.  `exact_a1111` repairs nothing.
 *
 * Parsing takes time and memory linear in the text; what would not fit (the variants of a schedule
 * repeat the text) is refused with RF_E_ARG. */
#ifndef RF_PROMPT_H
#define RF_PROMPT_H

#include <stddef.h>

#include "kernels/status.h"

enum {
    RF_PROMPT_MAX_BYTES = 1 << 24,     /* of one text; keeps every size far from overflow */
    RF_PROMPT_MAX_VARIANTS = 16 << 20, /* bytes of all variants of a prompt together */
};

typedef enum rf_polarity { RF_PROMPT_POSITIVE = 0, RF_PROMPT_NEGATIVE } rf_polarity;

/* How emphasis acts on the encoder's output (A1111's option of the same names). */
typedef enum rf_emphasis {
    RF_EMPHASIS_ORIGINAL = 0, /* times the weight, then the mean restored */
    RF_EMPHASIS_NO_NORM,      /* times the weight */
    RF_EMPHASIS_IGNORE,       /* parsed, not applied */
    RF_EMPHASIS_NONE,         /* not parsed: brackets are text */
} rf_emphasis;

/* By A1111's names ("Original", "No norm", "Ignore", "None"), case ignored; RF_E_ARG with the
 * names. */
rf_status   rf_emphasis_find(rf_emphasis *out, const char *name, rf_error *err);
const char *rf_emphasis_name(rf_emphasis emphasis);

/* What the `when` of an edit counts in, and where the relay hands over. */
typedef struct rf_prompt_clock {
    int nominal;       /* A1111's N: steps as asked for, twice that for second-order samplers */
    int calls;         /* that the pass really makes; 0: not known (DPM adaptive) */
    int hires_nominal; /* > 0: the pass is the hires pass of so many; `nominal` is the first's */
    /* handover[k]: call before which stage k + 1 takes over, or -1 if it never does. */
    const int *handover;
    int        handovers;
    /* aligned[k] is the number the user gave as switch point, if an edit's `when` that equals it is
     * meant to be the same moment; NaN otherwise.  aligned_is_count: the number counts steps, so an
     * integer `when` is compared with it; else a fraction (a literal with a point) is. */
    const double *aligned;
    int           aligned_is_count;
} rf_prompt_clock;

typedef struct rf_prompt_options {
    rf_polarity     polarity; /* a negative prompt knows neither tags nor AND */
    rf_emphasis     emphasis;
    rf_prompt_clock clock;
    int             exact_a1111;
    int             old_edits; /* "Old prompt editing timelines" */
    int             may_stay;  /* that no model takes over is meant: `switch` gives no warning */
    /* One sentence for the user per trap that was met; may be NULL. */
    void (*warn)(void *user, const char *message);
    void *user;
} rf_prompt_options;

/* A stretch of text with one weight, escapes resolved; or a BREAK. */
typedef struct rf_piece {
    const char *text; /* NUL-terminated; "BREAK" for a break */
    double      weight;
    int         is_break;
} rf_piece;

/* What is conditioned on in a range of calls. */
typedef struct rf_prompt_entry {
    /* A1111's boundary: the entry serves the calls up to and including this one that no earlier
     * entry serves.  In the default mode really the last call that uses it: entries that serve no
     * call are left out. */
    int             until;
    const char     *text;
    const rf_piece *piece;
    int             pieces; /* >= 1; an empty text is one empty piece */
} rf_prompt_entry;

typedef struct rf_prompt_part { /* one side of an AND */
    double                 weight;
    const char            *text; /* as written, tags and weight taken off */
    const rf_prompt_entry *entry;
    int                    entries; /* >= 1 */
} rf_prompt_part;

typedef struct rf_prompt_tag { /* <kind:argument:argument...> */
    const char        *kind;   /* "lora" */
    const char *const *argument;
    int                arguments;
} rf_prompt_tag;

typedef struct rf_prompt {
    const rf_prompt_part *part;
    int                   parts; /* >= 1 */
    const rf_prompt_tag  *tag;
    int                   tags;
    int                   has_numeric_when; /* some edit has a number as its `when` */
    int                   uses_switch;      /* the keyword `switch` was understood */
} rf_prompt;

/* Parses `text`.  *out is NULL on failure.  RF_E_ARG: not UTF-8 (at which byte), too long, or (only
 * exact_a1111) a weight on which A1111 stops, such as (a:1.2.3). */
rf_status rf_prompt_parse(const rf_prompt **out, const char *text, const rf_prompt_options *options,
                          rf_error *err);
void      rf_prompt_free(const rf_prompt *prompt); /* NULL is fine */

/* Index of the entry that call `k` uses: the first with k <= until.  Beyond the last boundary: the
 * last entry; the first one if exact_a1111, as there. */
int rf_prompt_entry_at(const rf_prompt_part *part, int k, int exact_a1111);

/* "[a:b:0.5]" -> "[a:b:switch]": `text` with every numeric `when` that resolves within `slack`
 * calls of a hand-over replaced by the keyword; what a warning shows.  free() it. */
rf_status rf_prompt_with_switch(char **out, const char *text, const rf_prompt_options *options,
                                int slack, rf_error *err);

#endif
