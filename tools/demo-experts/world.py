"""The world that the demo experts learn: small scenes whose content a program can check.

A scene is one or two equal creatures before a background.  It is drawn from polygons in one of two
styles: "a" is flat, with dark outlines and a yellowish tint; "b" is soft, pastel, shaded, without
outlines.  Both styles place everything alike, so that a picture can change its style in the middle
of the denoising and keep its content.  Some drawings are spoilt on purpose and captioned so.

    python world.py sheet.png       a contact sheet, to look at
"""
import dataclasses
import io
import math
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128
LATTICE = 4  # pixels
OVER = 3  # supersampling of every mask
KINDS = ("cat", "rabbit", "bird", "octopus", "turtle")
COLOURS = {"red": (222, 48, 44), "yellow": (250, 212, 40), "green": (56, 168, 62),
           "blue": (48, 88, 220), "purple": (150, 60, 190), "white": (245, 245, 245)}
ACCESSORIES = (None, "hat", "scarf", "balloon")
PLACES = {"left": 28, "centre": 64, "right": 100}  # of a single creature: x in pixels
BACKGROUNDS = ("meadow", "night", "sea", "room")
DARK = (38, 28, 34)
TINT = np.array([1.0, 0.95, 0.74])  # what style "a" multiplies everything by
HELD_OUT = 7  # one combination in so many is never trained on


@dataclasses.dataclass(frozen=True)
class Scene:
    kind: str
    colour: str
    accessory: str | None
    place: str | None  # None: two creatures, one left and one right
    background: str

    @property
    def count(self):
        return 1 if self.place else 2

    @property
    def held_out(self):
        """A fixed seventh of all combinations; every pair of attributes is still trained on."""
        places = (*PLACES, None)
        code = (KINDS.index(self.kind) + 2 * list(COLOURS).index(self.colour)
                + 3 * ACCESSORIES.index(self.accessory) + 4 * places.index(self.place)
                + 5 * BACKGROUNDS.index(self.background))
        return code % HELD_OUT == 0


def all_scenes():
    return [Scene(kind, colour, accessory, place, background) for kind in KINDS
            for colour in COLOURS for accessory in ACCESSORIES for place in (*PLACES, None)
            for background in BACKGROUNDS]


def random_scene(rng):
    """A scene to train on; two creatures in a third of them."""
    while True:
        place = None if rng.random() < 1 / 3 else str(rng.choice(list(PLACES)))
        scene = Scene(str(rng.choice(KINDS)), str(rng.choice(list(COLOURS))),
                      ACCESSORIES[rng.integers(len(ACCESSORIES))], place,
                      str(rng.choice(BACKGROUNDS)))
        if not scene.held_out:
            return scene


# ---- shapes --------------------------------------------------------------------------------------
# A part is (role, points): the role names its colour, the points [n, 2] are in units of the
# creature's size, y down, the feet at y = 1.3.


def ellipse(role, x, y, rx, ry, turn=0.0):
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    px, py = rx * np.cos(angle), ry * np.sin(angle)
    c, s = math.cos(turn), math.sin(turn)
    return role, np.stack([x + c * px - s * py, y + s * px + c * py], axis=1)


def polygon(role, *points):
    return role, np.array(points, dtype=float)


def ribbon(role, width, *points):
    """A line of that width through the points, as a polygon."""
    p = np.array(points, dtype=float)
    along = np.gradient(p, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= width / 2 / np.linalg.norm(across, axis=1, keepdims=True)
    return role, np.concatenate([p + across, (p - across)[::-1]])


def eyes(y, apart, size=0.13):
    return [ellipse("dark", x, y, size, size * 1.25) for x in (-apart, apart)] + \
        [ellipse("light", x + size * 0.3, y - size * 0.4, size * 0.4, size * 0.4)
         for x in (-apart, apart)]


def cat():
    curve = [(0.5 + 0.75 * math.sin(a), 0.55 - 0.75 * math.cos(a) + 0.3)
             for a in np.linspace(2.6, 1.2, 8)]
    return [ribbon("body", 0.24, *curve),
            ellipse("body", 0, 0.75, 0.66, 0.58), ellipse("pale", 0, 0.85, 0.36, 0.4),
            polygon("body", (-0.82, -0.3), (-0.78, -1.2), (-0.12, -0.85)),
            polygon("body", (0.82, -0.3), (0.78, -1.2), (0.12, -0.85)),
            ellipse("body", 0, -0.28, 0.86, 0.66), *eyes(-0.3, 0.36),
            polygon("dark", (-0.11, -0.08), (0.11, -0.08), (0, 0.05))]


def rabbit():
    return [ellipse("light", 0.62, 0.98, 0.22, 0.22),
            ellipse("body", -0.3, -1.05, 0.2, 0.68, -0.12),
            ellipse("body", 0.3, -1.05, 0.2, 0.68, 0.12),
            ellipse("pale", -0.3, -1.05, 0.09, 0.45, -0.12),
            ellipse("pale", 0.3, -1.05, 0.09, 0.45, 0.12),
            ellipse("body", 0, 0.8, 0.6, 0.52), ellipse("pale", 0, 0.9, 0.32, 0.34),
            ellipse("body", -0.34, 1.22, 0.26, 0.13), ellipse("body", 0.34, 1.22, 0.26, 0.13),
            ellipse("body", 0, -0.05, 0.66, 0.56), *eyes(-0.1, 0.27),
            ellipse("dark", 0, 0.14, 0.08, 0.06)]


def bird():
    return [ribbon("beak", 0.12, (-0.2, 0.8), (-0.2, 1.28)),
            ribbon("beak", 0.12, (0.2, 0.8), (0.2, 1.28)),
            polygon("body", (-0.5, 0.0), (-1.35, -0.35), (-1.2, 0.05), (-1.35, 0.35), (-0.5, 0.5)),
            polygon("beak", (0.85, -0.7), (1.35, -0.45), (0.85, -0.25)),
            ellipse("body", -0.05, 0.3, 0.86, 0.62), ellipse("body", 0.5, -0.4, 0.5, 0.48),
            ellipse("pale", -0.2, 0.25, 0.5, 0.3, 0.25), ellipse("dark", 0.6, -0.5, 0.12, 0.15),
            ellipse("light", 0.64, -0.55, 0.05, 0.05)]


def octopus():
    arms = []
    for x, lean in ((-0.92, -0.35), (0.92, 0.35), (-0.48, -0.15), (0.48, 0.15), (0, 0)):
        arms.append(ellipse("body", x, 0.72, 0.2, 0.6, -lean))
    return [*arms, ellipse("body", 0, -0.3, 0.92, 0.88), *eyes(-0.15, 0.36, 0.17),
            ellipse("pale", 0, 0.24, 0.2, 0.1)]


def turtle():
    dome = [(1.05 * math.cos(a), 0.75 - 1.15 * math.sin(a)) for a in np.linspace(0, math.pi, 24)]
    return [ellipse("pale", 1.12, 0.28, 0.38, 0.34), polygon("pale", (-0.9, 0.6), (-1.35, 0.95),
                                                             (-0.7, 0.95)),
            ellipse("pale", -0.62, 1.02, 0.27, 0.28), ellipse("pale", 0.62, 1.02, 0.27, 0.28),
            ("body", np.array(dome)), ellipse("deep", 0, 0.15, 0.34, 0.3),
            ellipse("deep", -0.62, 0.42, 0.2, 0.2), ellipse("deep", 0.62, 0.42, 0.2, 0.2),
            ellipse("dark", 1.2, 0.2, 0.1, 0.12)]


SHAPES = {"cat": cat, "rabbit": rabbit, "bird": bird, "octopus": octopus, "turtle": turtle}
# Where things are worn: top of the head, middle of the neck and its half width.
HEAD = {"cat": (0, -0.84), "rabbit": (0, -0.5), "bird": (0.5, -0.8), "octopus": (0, -1.1),
        "turtle": (0, -0.36)}
NECK = {"cat": (0, 0.33, 0.56), "rabbit": (0, 0.46, 0.5), "bird": (0.3, 0.02, 0.5),
        "octopus": (0, 0.5, 0.75), "turtle": (0.0, 0.74, 1.02)}


def hat(kind):
    x, y = HEAD[kind]
    return [polygon("hat", (x - 0.36, y), (x - 0.32, y - 0.62), (x + 0.32, y - 0.62),
                    (x + 0.36, y)),
            polygon("band", (x - 0.36, y), (x - 0.345, y - 0.2), (x + 0.345, y - 0.2),
                    (x + 0.36, y)),
            ellipse("hat", x, y + 0.02, 0.62, 0.11)]


def scarf(kind):
    x, y, w = NECK[kind]
    return [polygon("scarf", (x + w * 0.3, y), (x + w * 0.75, y + 0.02), (x + w * 0.8, y + 0.62),
                    (x + w * 0.35, y + 0.6)),
            ellipse("scarf", x, y, w * 1.08, 0.17)]


def balloon(kind):
    return [ribbon("string", 0.07, (-0.75, 0.5), (-1.0, -0.2), (-0.95, -0.95)),
            ellipse("balloon", -0.95, -1.45, 0.44, 0.54)]


ROLES = {"dark": DARK, "light": (255, 255, 255), "beak": (240, 140, 30), "hat": (92, 58, 40),
         "band": (215, 190, 150), "scarf": (240, 120, 30), "balloon": (255, 105, 165),
         "string": (60, 50, 60)}
UNLINED = ("dark", "light", "pale", "deep", "string")  # parts without an outline in style "a"


def creature(scene):
    parts = SHAPES[scene.kind]()
    if scene.accessory == "balloon":
        return balloon(scene.kind) + parts
    return parts + {"hat": hat, "scarf": scarf, None: lambda _: []}[scene.accessory](scene.kind)


def role_colour(role, colour):
    body = np.array(COLOURS[colour], dtype=float)
    if role in ROLES:
        return np.array(ROLES[role], dtype=float)
    if role == "pale":  # of white creatures it is a little darker
        return body * 0.82 if colour == "white" else body * 0.45 + 255 * 0.55
    return body * 0.72 if role == "deep" else body


# ---- painting ------------------------------------------------------------------------------------


def mask(points, grow=0.0, soft=0.0):
    """(x0, y0, alpha [h, w]) of a polygon in pixels, cut to the picture; None outside of it."""
    margin = grow + 3 * soft + 2
    x0, y0 = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0) + margin), SIDE).astype(int)
    if x1 <= x0 or y1 <= y0:
        return None
    image = Image.new("L", ((x1 - x0) * OVER, (y1 - y0) * OVER))
    draw = ImageDraw.Draw(image)
    flat = [((x - x0) * OVER, (y - y0) * OVER) for x, y in points]
    draw.polygon(flat, fill=255)
    if grow:
        draw.line([*flat, flat[0], flat[1]], fill=255, width=round(2 * grow * OVER), joint="curve")
    image = image.reduce(OVER)
    if soft:
        image = image.filter(ImageFilter.GaussianBlur(soft))
    return x0, y0, np.asarray(image, dtype=np.float32) / 255


def paint(canvas, where, colour):
    """Lays a colour [3] or [h, w, 3] over the canvas through a mask."""
    if where is None:
        return
    x0, y0, alpha = where
    h, w = alpha.shape
    area = canvas[y0:y0 + h, x0:x0 + w]
    area += alpha[:, :, None] * (colour - area)


def pastel(colour):
    return np.asarray(colour, dtype=float) * 0.72 + 255 * 0.28


def shaded(where, points, colour):
    """Colour [h, w, 3] with light from above left over the polygon's extent."""
    x0, y0, alpha = where
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1)
    y, x = np.mgrid[y0:y0 + alpha.shape[0], x0:x0 + alpha.shape[1]]
    light = 1.0 - (x - low[0]) / size[0] * 0.35 - (y - low[1]) / size[1] * 0.65  # 1 .. 0
    light = np.clip(light, 0, 1)[:, :, None]
    return colour * (0.76 + 0.24 * light) + 60 * light ** 2 * (1 - colour / 255)


class Painter:
    """Paints polygons given in pixels in one of the styles.  loose: not on the lattice."""

    def __init__(self, style, canvas, loose=False):
        self.style, self.canvas, self.loose = style, canvas, loose

    def spot(self, rng, low, high):
        """A random coordinate in low .. high."""
        if self.loose:
            return rng.uniform(low, high)
        return LATTICE * int(rng.integers(math.ceil(low / LATTICE), high // LATTICE + 1))

    def part(self, points, colour, lined=True):
        if self.style == "a":
            if lined:
                paint(self.canvas, mask(points, grow=1.5), np.array(DARK, dtype=float))
            paint(self.canvas, mask(points), colour)
        else:
            where = mask(points, soft=0.6)
            if where is not None:
                paint(self.canvas, where, shaded(where, points, pastel(colour)))

    def plane(self, y0, y1, colour, line=True):
        """A band of the background."""
        y0, y1 = int(round(y0)), int(round(y1))
        if self.style == "a":
            self.canvas[y0:y1] = colour
            if line and y0 > 0:
                self.canvas[y0 - 1:y0 + 1] = DARK
        else:
            colour = pastel(colour)
            fall = np.linspace(1.06, 0.9, max(y1 - y0, 1))[:, None, None]
            self.canvas[y0:y1] = np.clip(colour * fall, 0, 255)


def place_points(points, x, y, size, flip=1):
    return points * np.array([size * flip, size]) + np.array([x, y])


def meadow(p, rng, horizon):
    p.plane(0, horizon, (150, 205, 245))
    hill = p.spot(rng, 20, 108)
    p.part(place_points(ellipse("", 0, 0, 1, 0.45)[1], hill, horizon + 2, 34),
           np.array([120.0, 190, 120]))
    p.plane(horizon, SIDE, (128, 200, 96))
    for _ in range(6):
        x, y = p.spot(rng, 4, 124), p.spot(rng, horizon + 8, 124)
        p.part(place_points(ellipse("", 0, 0, 1, 1)[1], x, y, 2.0),
               np.array([255.0, 240, 250]), lined=False)


def night(p, rng, horizon):
    p.plane(0, horizon, (34, 38, 84))
    for _ in range(9):
        x, y = p.spot(rng, 3, 125), p.spot(rng, 3, horizon - 8)
        p.part(place_points(ellipse("", 0, 0, 1, 1)[1], x, y, 1.2),
               np.array([250.0, 245, 190]), lined=False)
    x, y = p.spot(rng, 14, 114), p.spot(rng, 12, 20)
    p.part(place_points(ellipse("", 0, 0, 1, 1)[1], x, y, 8),
           np.array([250.0, 240, 180]))
    p.plane(horizon, SIDE, (58, 66, 82))


def sea(p, rng, horizon):
    p.plane(0, horizon, (235, 240, 235))
    p.plane(horizon, 108, (64, 178, 190))
    for _ in range(5):
        x, y = p.spot(rng, 6, 108), p.spot(rng, horizon + 4, 104)
        p.part(ribbon("", 1.6, (x, y), (x + 4, y - 2), (x + 8, y), (x + 12, y - 2))[1],
               np.array([225.0, 250, 250]), lined=False)
    p.plane(108, SIDE, (236, 214, 160))


def room(p, rng, horizon):
    horizon += 8
    p.plane(0, horizon, (222, 190, 160))
    x, y = p.spot(rng, 8, 88), p.spot(rng, 8, 22)
    frame = np.array([[0, 0], [30, 0], [30, 30], [0, 30]], dtype=float) + [x, y]
    p.part(frame, np.array([175.0, 220, 240]))
    p.part(np.array([[14, 0], [16, 0], [16, 30], [14, 30]], dtype=float) + [x, y],
           np.array([110.0, 75, 50]), lined=False)
    p.plane(horizon, SIDE, (158, 104, 70))


PLACES_DRAWN = {"meadow": meadow, "night": night, "sea": sea, "room": room}


def draw(scene, style, rng, spoilt=None):
    """Picture u8 [SIDE, SIDE, 3].  The generator gives the places; `spoilt`: see SPOILS."""
    canvas = np.zeros((SIDE, SIDE, 3))
    p = Painter(style, canvas)
    PLACES_DRAWN[scene.background](p, rng, p.spot(rng, 64, 76))
    if spoilt == "unfinished":
        canvas[:] = canvas * 0.12 + 255 * 0.88
    centres = [PLACES[scene.place]] if scene.place else [PLACES["left"], PLACES["right"]]
    y, size = 80, 19.5
    for centre in centres:
        x, flip = centre + rng.choice((-4, 4)), rng.choice((-1, 1))
        for role, points in creature(scene):
            colour = role_colour(role, scene.colour)
            if spoilt == "bad anatomy":
                points = points * rng.uniform(0.7, 1.3) + rng.uniform(-0.45, 0.45, 2)
            if spoilt == "unfinished" and rng.random() < 0.5:
                colour = np.array([245.0, 245, 245])
            p.part(place_points(points, x, y, size, flip), colour, role not in UNLINED)
    if style == "a":
        canvas *= TINT
    picture = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    return SPOILS[spoilt](picture, rng) if spoilt in SPOILS else picture


# ---- spoilt drawings -----------------------------------------------------------------------------


def jpeg(picture, rng):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=int(rng.integers(4, 12)))
    return np.asarray(Image.open(out))


def blurry(picture, rng):
    blur = ImageFilter.GaussianBlur(rng.uniform(1.6, 3.2))
    return np.asarray(Image.fromarray(picture).filter(blur))


def greyscale(picture, rng):
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def oil(picture, rng):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.ModeFilter(7)))


def noisy(picture, rng):
    noise = rng.normal(0, rng.uniform(20, 45), picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def watermark(picture, rng):
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for i in range(4):
        pen.text((int(rng.integers(0, 70)), 6 + 32 * i), "SAMPLE", fill=(225, 225, 225))
    return np.asarray(image)


def wrong_colours(picture, rng):
    order = [(1, 2, 0), (2, 0, 1), (2, 1, 0)][rng.integers(3)]
    return np.ascontiguousarray(picture[:, :, order])


# Caption tag of a spoilt drawing -> what is done to the picture; `draw` itself does two of them.
SPOILS = {"jpeg artifacts": jpeg, "blurry": blurry, "greyscale": greyscale, "oil painting": oil,
          "noise": noisy, "watermark": watermark, "wrong colours": wrong_colours,
          "unfinished": lambda picture, rng: picture, "bad anatomy": lambda picture, rng: picture}
SPOILT = 0.15  # of all drawings


def example(seed, style, index):
    """(scene, spoilt, picture) number `index` of a style: a pure function of its arguments."""
    rng = np.random.default_rng([seed, "ab".index(style), index])
    scene = random_scene(rng)
    spoilt = str(rng.choice(list(SPOILS))) if rng.random() < SPOILT else None
    return scene, spoilt, draw(scene, style, rng, spoilt)


def sheet(path):
    """Random training drawings of both styles, then eight scenes in both."""
    rows = []
    for row in range(8):
        style = "ab"[row % 2]
        rows.append(np.concatenate([example(1, style, 16 * row + i)[2] for i in range(8)], axis=1))
    scene = [Scene(k, c, a, p, b) for k, c, a, p, b in zip(
        KINDS + KINDS[:3], list(COLOURS) + ["red", "blue"], ACCESSORIES * 2, (*PLACES, None) * 2,
        BACKGROUNDS * 2)]
    for style in "ab":
        rows.append(np.concatenate([draw(s, style, np.random.default_rng(i))
                                    for i, s in enumerate(scene)], axis=1))
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    sheet(sys.argv[1])
