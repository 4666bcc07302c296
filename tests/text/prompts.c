/* Prompts as lines; see prompts.h. */
#include "tests/text/prompts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static void add(char *line, const char *format, ...)
{
    const size_t used = strlen(line);
    va_list      args;
    va_start(args, format);
    vsnprintf(line + used, PROMPTS_LINE - used, format, args);
    va_end(args);
}

static void on_warning(void *user, const char *message)
{
    prompts *p = user;
    p->warnings++;
    add(p->warning, "%s\n", message);
}

prompts *prompts_default(int steps)
{
    prompts *p = calloc(1, sizeof *p);
    cr_assert(p);
    p->options = (rf_prompt_options){
        .clock = {.nominal = steps, .calls = steps}, .warn = on_warning, .user = p};
    return p;
}

prompts *prompts_exact(int steps)
{
    prompts *p = prompts_default(steps);
    p->options.exact_a1111 = 1;
    return p;
}

void prompts_free(prompts *p)
{
    free(p);
}

/* The line says why if there is no prompt. */
static const rf_prompt *parse(prompts *p, const char *text)
{
    const rf_prompt *prompt;
    p->warnings = 0;
    p->warning[0] = p->line[0] = '\0';
    p->error = (rf_error){0};
    if (rf_prompt_parse(&prompt, text, &p->options, &p->error) != RF_OK) {
        cr_assert(!prompt && p->error.message[0]);
        add(p->line, "error: %s", p->error.message);
    }
    return prompt;
}

const char *prompts_schedule(prompts *p, const char *text)
{
    const rf_prompt *prompt = parse(p, text);
    for (int i = 0; prompt && i < prompt->parts; i++) {
        const rf_prompt_part *part = &prompt->part[i];
        if (i > 0) add(p->line, " & ");
        if (part->weight != 1) add(p->line, "%.17g*", part->weight);
        for (int e = 0; e < part->entries; e++)
            add(p->line, "%s%d:%s", e ? "|" : "", part->entry[e].until, part->entry[e].text);
    }
    rf_prompt_free(prompt);
    return p->line;
}

const char *prompts_attention(prompts *p, const char *text)
{
    const rf_prompt *prompt = parse(p, text);
    for (int i = 0; prompt && i < prompt->part->entry->pieces; i++) {
        const rf_piece *piece = &prompt->part->entry->piece[i];
        add(p->line, "<%.17g%s>%s", piece->weight, piece->is_break ? "!" : "", piece->text);
    }
    rf_prompt_free(prompt);
    return p->line;
}

const char *prompts_calls(prompts *p, const char *text, int calls)
{
    const rf_prompt *prompt = parse(p, text);
    for (int k = 0; prompt && k < calls; k++) {
        const int entry = rf_prompt_entry_at(prompt->part, k, p->options.exact_a1111);
        add(p->line, "%s%s", k ? "," : "", prompt->part->entry[entry].text);
    }
    rf_prompt_free(prompt);
    return p->line;
}

const char *prompts_tags(prompts *p, const char *text)
{
    const rf_prompt *prompt = parse(p, text);
    for (int i = 0; prompt && i < prompt->tags; i++) {
        add(p->line, "%s(", prompt->tag[i].kind);
        for (int a = 0; a < prompt->tag[i].arguments; a++)
            add(p->line, "%s%s", a ? "," : "", prompt->tag[i].argument[a]);
        add(p->line, ")");
    }
    rf_prompt_free(prompt);
    return p->line;
}

void prompts_compare(prompts           *p, const char *(*shown)(prompts *, const char *),
                     const prompts_row *row, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        const char *found = shown(p, row[i].text);
        cr_expect_str_eq(found, row[i].want, "of  %s\nwant %s\nhave %s", row[i].text, row[i].want,
                         found);
    }
}
