/* Text on pictures; see labels.h. */
#include "tools/pictures/labels.h"

#include <ft2build.h>
#include <stdlib.h>
#include <string.h>

#include FT_FREETYPE_H
#include FT_ADVANCES_H
#include FT_OUTLINE_H

#include "tools/pictures/font.h"
#include "tools/text_input.h"

enum {
    REPLACEMENT = 0xFFFD,
    ELLIPSIS = 0x2026,
    STEPS = 4, /* places a letter may have within a pixel: more cannot be told apart */
};

struct rf_labels {
    FT_Library library;
    FT_Face    face;
    int        size; /* that the face is set to */
};

rf_status rf_labels_open(rf_labels **out, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_labels *labels = calloc(1, sizeof *labels);
    *out = NULL;
    if (!labels || FT_Init_FreeType(&labels->library)) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for FreeType");
        goto done;
    }
    if (FT_New_Memory_Face(labels->library, rf_font, (FT_Long)rf_font_bytes, 0, &labels->face)) {
        st = rf_fail(err, RF_E_BUG, "FreeType cannot read the font in this program");
        goto done;
    }
    *out = labels;
    labels = NULL;
done:
    rf_labels_close(labels);
    return st;
}

void rf_labels_close(rf_labels *labels)
{
    if (!labels) return;
    if (labels->library) FT_Done_FreeType(labels->library); /* and the face */
    free(labels);
}

int rf_label_line_height(int size)
{
    return (size * 5 + 3) / 4; /* DejaVu's own is 1.16: looser, as lines of labels are short */
}

/* ---- characters --------------------------------------------------------------------------- */

static int is_invisible(uint32_t c) /* joiners, marks of direction, variation selectors */
{
    return (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || c == 0xAD;
}

/* The character at `text`, of which `left` >= 1 bytes may be read; *bytes: its length. */
static uint32_t character(const char *text, size_t left, int *bytes)
{
    static const unsigned char LEAD[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const size_t               n = rf_utf8_length(text, left);
    *bytes = n ? (int)n : 1;
    if (!n) return REPLACEMENT;
    uint32_t c = (unsigned char)text[0] & LEAD[n];
    for (size_t i = 1; i < n; i++) c = c << 6 | ((unsigned char)text[i] & 0x3F);
    if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029) return ' ';
    return c;
}

/* How far the pen moves, in design units. */
static int64_t advance(const rf_labels *labels, uint32_t c)
{
    FT_Fixed units = 0;
    if (is_invisible(c)) return 0;
    FT_Get_Advance(labels->face, FT_Get_Char_Index(labels->face, c), FT_LOAD_NO_SCALE, &units);
    return units;
}

/* ---- breaking into lines ------------------------------------------------------------------ */

static int to_pixels(const rf_labels *labels, int64_t units, int size)
{
    const int64_t em = labels->face->units_per_EM;
    return (int)((units * size + em - 1) / em);
}

/* A line as far as it goes: whole words, or all that fits of the first one. */
static rf_label_line take_line(const rf_labels *labels, const char *text, size_t left, int size,
                               int width)
{
    int64_t units = 0, inked = 0, kept = 0; /* of all; without final blanks; up to `good` */
    int     end = 0, good = 0, bytes = 0;   /* of what is inked; the last place to break */
    size_t  at = 0;
    for (; at < left; at += (size_t)bytes) {
        const uint32_t c = character(text + at, left - at, &bytes);
        const int64_t  next = units + advance(labels, c);
        if (c == ' ') good = end, kept = inked; /* the blank belongs to no line */
        if (c != ' ' && to_pixels(labels, next, size) > width && at > 0) break;
        units = next;
        if (c != ' ') end = (int)at + bytes, inked = units;
        if (c < 0x80 && strchr(",-/_|", (int)c)) good = end, kept = inked;
    }
    if (at == left || !good) good = end, kept = inked;
    return (rf_label_line){.text = text, .bytes = good, .width = to_pixels(labels, kept, size)};
}

/* Shortens a line, by characters, until an ellipsis fits behind it. */
static void cut_line(const rf_labels *labels, rf_label_line *line, size_t left, int size, int width)
{
    const int64_t dots = advance(labels, ELLIPSIS);
    int64_t       units = 0, kept = 0;
    int           end = 0, bytes = 0;
    for (int at = 0; (size_t)at < left; at += bytes) {
        const uint32_t c = character(line->text + at, left - (size_t)at, &bytes);
        units += advance(labels, c);
        if (to_pixels(labels, units + dots, size) > width) break;
        if (c != ' ') end = at + bytes, kept = units;
    }
    line->bytes = end;
    line->width = to_pixels(labels, kept + dots, size);
    line->cut = 1;
}

static size_t blanks(const char *text, size_t left)
{
    size_t at = 0;
    int    bytes = 0;
    while (at < left && character(text + at, left - at, &bytes) == ' ') at += (size_t)bytes;
    return at;
}

void rf_label_make(rf_labels *labels, rf_label *out, const rf_label_style *style, const char *text,
                   int width)
{
    if (!text) text = "";
    size_t left = strlen(text);
    *out = (rf_label){0};
    for (;;) {
        const size_t skip = blanks(text, left);
        text += skip, left -= skip;
        if (!left) break;
        rf_label_line *line = &out->line[out->lines++];
        *line = take_line(labels, text, left, style->size, width);
        const size_t after = (size_t)line->bytes;
        const int    more = after + blanks(text + after, left - after) < left;
        const int    last = out->lines == style->lines || out->lines == RF_LABEL_LINES;
        if (last && more) cut_line(labels, line, left, style->size, width);
        if (line->width > out->width) out->width = line->width;
        if (last) break;
        text += after, left -= after;
    }
    out->height = out->lines * rf_label_line_height(style->size);
}

/* ---- drawing ------------------------------------------------------------------------------ */

static uint8_t blend(uint8_t paper, uint8_t ink, unsigned cover)
{
    return (uint8_t)((paper * (255 - cover) + ink * cover + 127) / 255);
}

static void draw_bitmap(rf_canvas *canvas, const FT_Bitmap *bitmap, int x, int y, rf_colour ink)
{
    for (int row = 0; row < (int)bitmap->rows; row++)
        for (int column = 0; column < (int)bitmap->width; column++) {
            const int cx = x + column, cy = y + row;
            if (cx < 0 || cx >= canvas->width || cy < 0 || cy >= canvas->height) continue;
            const unsigned cover = bitmap->buffer[row * bitmap->pitch + column];
            uint8_t *pixel = canvas->rgb + ((size_t)cy * (size_t)canvas->width + (size_t)cx) * 3;
            pixel[0] = blend(pixel[0], ink.r, cover);
            pixel[1] = blend(pixel[1], ink.g, cover);
            pixel[2] = blend(pixel[2], ink.b, cover);
        }
}

/* A letter whose origin is at pen / STEPS pixels on the line `base`.  Hinted up and down only:
 * crisp where it matters to small letters, and free to stand anywhere. */
static void draw_character(rf_labels *labels, rf_canvas *canvas, uint32_t c, int64_t pen, int base,
                           rf_colour ink)
{
    const FT_Face face = labels->face;
    if (FT_Load_Glyph(face, FT_Get_Char_Index(face, c),
                      FT_LOAD_TARGET_LIGHT | FT_LOAD_FORCE_AUTOHINT | FT_LOAD_NO_BITMAP))
        return; /* a damaged glyph of a font that is ours: there is none */
    FT_Outline_Translate(&face->glyph->outline, (FT_Pos)(pen % STEPS) * (64 / STEPS), 0);
    if (FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL)) return;
    draw_bitmap(canvas, &face->glyph->bitmap, (int)(pen / STEPS) + face->glyph->bitmap_left,
                base - face->glyph->bitmap_top, ink);
}

static void draw_line(rf_labels *labels, rf_canvas *canvas, const rf_label_style *style,
                      const rf_label_line *line, int x, int base)
{
    const int64_t em = labels->face->units_per_EM;
    int64_t       units = 0;
    int           bytes = 0;
    for (int at = 0; at < line->bytes + line->cut; at += bytes) {
        uint32_t c = ELLIPSIS;
        if (at < line->bytes)
            c = character(line->text + at, (size_t)(line->bytes - at), &bytes);
        else
            bytes = 1; /* past the one that is ours */
        const int64_t pen = (int64_t)x * STEPS + units * style->size * STEPS / em;
        if (pen >= 0 && pen < (int64_t)canvas->width * STEPS && c != ' ' && !is_invisible(c))
            draw_character(labels, canvas, c, pen, base, style->ink);
        units += advance(labels, c);
    }
}

void rf_label_draw(rf_labels *labels, rf_canvas *canvas, const rf_label_style *style,
                   const rf_label *label, int x, int y, int width)
{
    const int height = rf_label_line_height(style->size);
    if (labels->size != style->size &&
        FT_Set_Pixel_Sizes(labels->face, 0, (FT_UInt)style->size) == 0)
        labels->size = style->size;
    for (int i = 0; i < label->lines; i++) {
        const rf_label_line *line = &label->line[i];
        const int            spare = width - line->width;
        const int            shift = style->align == RF_ALIGN_LEFT     ? 0
                                     : style->align == RF_ALIGN_CENTRE ? spare / 2
                                                                       : spare;
        /* Capitals of DejaVu are 0.73 em high: that leaves as much above them as below. */
        const int base = y + i * height + (height * 100 + style->size * 73) / 200;
        draw_line(labels, canvas, style, line, x + shift, base);
    }
}
