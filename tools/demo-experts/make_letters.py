"""The letters of the contact sheet as C:  python make_letters.py > tools/measure/letters_data.c

Printable ASCII of Aileron Regular (Sora Sagano, CC0: public domain), which Pillow carries, drawn
once so that the program needs no font: 16 shades a pixel, one hexadecimal digit each.
"""
from PIL import Image, ImageDraw, ImageFont

SIZE, HEIGHT = 15, 19


def glyph(font, letter):
    width = max(1, round(font.getlength(letter)))
    image = Image.new("L", (width, HEIGHT))
    ImageDraw.Draw(image).text((0, 0), letter, fill=255, font=font)
    return width, "".join(f"{round(v / 17):x}" for v in image.getdata())


def main():
    font = ImageFont.load_default(SIZE)
    print("/* Aileron Regular by Sora Sagano (CC0), by tools/demo-experts/make_letters.py. */")
    print('#include "tools/measure/letters.h"\n')
    print("const rf_letter rf_letters[RF_LETTERS] = {")
    for code in range(32, 127):
        width, rows = glyph(font, chr(code))
        lines = [rows[i:i + 80] for i in range(0, len(rows), 80)]
        print(f"    {{{width},")
        print("\n".join(f'     "{line}"' for line in lines) + "},")
    print("};")


if __name__ == "__main__":
    main()
