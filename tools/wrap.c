/* Text for people in columns; see wrap.h. */
#include "tools/wrap.h"

#include <string.h>

int rf_text_columns(const char *text)
{
    int n = 0;
    for (; *text; text++) n += (*text & 0xC0) != 0x80;
    return n;
}

void rf_text_put(FILE *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        const int           c1 = c == 0xC2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xA0;
        fputc(c < 0x20 || c == 0x7F || c1 ? '?' : c, out);
        i += c1;
    }
}

static int word_columns(const char *word, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < bytes; i++) n += (word[i] & 0xC0) != 0x80;
    return n;
}

void rf_text_wrap(FILE *out, const char *text, int indent, int column)
{
    int fresh = column != 0; /* nothing stands on this line that a blank must follow */
    if (column == 0) column = fprintf(out, "%*s", indent, ""), fresh = 1;
    while (*text) {
        const size_t blanks = strspn(text, " \t");
        text += blanks;
        const size_t bytes = strcspn(text, " \t\n");
        const int    width = word_columns(text, bytes);
        if (!fresh && bytes > 0 && column + 1 + width > RF_PAGE_COLUMNS) {
            fputc('\n', out);
            column = fprintf(out, "%*s", indent, "");
            fresh = 1;
        }
        if (!fresh && bytes > 0) column += fputc(' ', out) == ' ';
        rf_text_put(out, text, bytes);
        column += width;
        fresh = fresh && bytes == 0;
        text += bytes;
        if (*text != '\n') continue;
        text++;
        fputc('\n', out);
        column = *text ? fprintf(out, "%*s", indent, "") : 0;
        fresh = 1;
    }
    if (column) fputc('\n', out);
}
