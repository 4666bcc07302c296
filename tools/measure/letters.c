/* Text on a picture; see letters.h. */
#include "tools/measure/letters.h"

static const rf_letter *letter_of(char c)
{
    return &rf_letters[(c >= ' ' && c <= '~' ? c : '?') - ' '];
}

static int shade_of(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

static void draw_letter(rf_canvas *canvas, int x, int y, const rf_letter *letter)
{
    const char *digit = letter->shade;
    for (int row = y; row < y + RF_LETTER_HEIGHT; row++)
        for (int column = x; column < x + letter->width; column++, digit++) {
            if (row < 0 || row >= canvas->height || column < 0 || column >= canvas->width) continue;
            uint8_t *pixel = canvas->rgb + ((long)row * canvas->width + column) * 3;
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)(pixel[c] * (15 - shade_of(*digit)) / 15);
        }
}

void rf_letters_draw(rf_canvas *canvas, int x, int y, const char *text)
{
    for (; *text; text++) {
        draw_letter(canvas, x, y, letter_of(*text));
        x += letter_of(*text)->width;
    }
}

int rf_letters_width(const char *text, int bytes)
{
    int width = 0;
    for (int i = 0; i < bytes && text[i]; i++) width += letter_of(text[i])->width;
    return width;
}
