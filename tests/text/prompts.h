/* Prompts parsed and shown as one line, so that a test is a table of texts and lines. */
#ifndef TESTS_TEXT_PROMPTS_H
#define TESTS_TEXT_PROMPTS_H

#include "engine/text/prompt.h"

enum { PROMPTS_LINE = 1 << 16 };

typedef struct prompts {
    rf_prompt_options options;
    int               warnings;
    char              warning[PROMPTS_LINE]; /* all of them, one per line */
    char              line[PROMPTS_LINE];    /* what the functions below return */
    rf_error          error;
} prompts;

/* A positive prompt over `steps` calls; no hand-over. */
prompts *prompts_exact(int steps);
prompts *prompts_default(int steps);
void     prompts_free(prompts *p);

/* "10:cat|20:dog" per part, parts as "1.5*10:cat|20:dog & ..." where the weight is not 1;
 * "error: ..." if the text is refused. */
const char *prompts_schedule(prompts *p, const char *text);

/* "<weight>text<weight>text" of the first entry of the first part; a break is "<-1!>BREAK". */
const char *prompts_attention(prompts *p, const char *text);

/* The text of each of `calls` calls of the first part, with commas between. */
const char *prompts_calls(prompts *p, const char *text, int calls);

/* "kind(argument,argument)..." */
const char *prompts_tags(prompts *p, const char *text);

/* Compares line by line, so that all faults of a table are seen. */
typedef struct prompts_row {
    const char *text, *want;
} prompts_row;

void prompts_compare(prompts           *p, const char *(*shown)(prompts *, const char *),
                     const prompts_row *row, size_t rows);

#define PROMPTS_COMPARE(p, shown, rows) prompts_compare(p, shown, rows, sizeof rows / sizeof *rows)

#endif
