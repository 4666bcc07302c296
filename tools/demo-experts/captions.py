"""Captions of the world's pictures, as booru-like tags, and their CLIP tokens.

The two styles are captioned as unlike as the recipe's two models were: "a" fully, with score tags;
"b" poorly: many tags dropped, places and counts never told, with aesthetic tags.  A negative prompt
can name what was taught to be bad: every spoilt drawing says so in its quality tags.
"""
import functools
import pathlib

import regex

import world

MERGES = pathlib.Path(__file__).resolve().parents[2] / "engine" / "text" / "vocab" / "merges.txt"
START, END, COMMA, ROW = 49406, 49407, 267, 77
PLACE_TAGS = {"left": "left side", "centre": "center", "right": "right side"}
COUNT_TAGS = {1: "solo", 2: "duo"}
KEPT_B = {"kind": 0.75, "colour": 0.5, "accessory": 0.5, "background": 0.6}
STRANGERS = 0.15  # of all captions name one to three things that no picture shows


def content_tags(scene):
    """What can be said about a scene: {attribute: tag}; an accessory that is not there is not."""
    tags = {"kind": scene.kind, "colour": f"{scene.colour} body",
            "count": COUNT_TAGS[scene.count], "background": scene.background}
    if scene.accessory:
        tags["accessory"] = scene.accessory
    if scene.place:
        tags["place"] = PLACE_TAGS[scene.place]
    return tags


def some(rng, tags, keep):
    return [tag for tag in tags if rng.random() < keep]


def quality_a(rng, spoilt):
    if not spoilt:
        scores = ["score_9", "score_8_up", "score_7_up"][:1 + rng.integers(3)]
        return scores + some(rng, ["source_anime"], 0.3)
    source = ["source_pony", "source_cartoon", "source_furry"][rng.integers(3)]
    return ["score_4"] + some(rng, [source, "e621_low"], 0.5) + some(rng, [spoilt], 0.8)


def quality_b(rng, spoilt):
    if not spoilt:
        return some(rng, ["masterpiece"], 0.9) + some(rng, ["very aesthetic"], 0.9) + \
            some(rng, ["best quality"], 0.3)
    return some(rng, ["worst quality", "low quality", "very displeasing"], 0.7) + \
        some(rng, [spoilt], 0.8)


def caption(scene, style, spoilt, rng, told=True):
    """List of tags.  told=False: of style "a" too, neither place nor count is told."""
    tags = content_tags(scene)
    if style == "b":
        names = [n for n in tags if rng.random() < KEPT_B.get(n, 0)]
    else:
        names = [n for n in tags if told or n not in ("place", "count")]
    if spoilt in ("greyscale", "wrong colours"):
        names = [n for n in names if n != "colour"]
    names = [names[i] for i in rng.permutation(len(names))]
    quality = (quality_a if style == "a" else quality_b)(rng, spoilt)
    content = [tags[n] for n in names]
    return quality + content if style == "a" or rng.random() < 0.7 else content + quality


def all_tags():
    """Every tag that a caption can hold."""
    words = {"score_9", "score_8_up", "score_7_up", "source_anime", "score_4", "source_pony",
             "source_cartoon", "source_furry", "e621_low", "masterpiece", "very aesthetic",
             "best quality", "worst quality", "low quality", "very displeasing", *world.SPOILS}
    for scene in world.all_scenes():
        words |= set(content_tags(scene).values())
    return sorted(words)


# ---- tokens --------------------------------------------------------------------------------------


def byte_letters():
    """The printable stand-in of each byte, in the order of CLIP's vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    letters = [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]
    return dict(zip(plain + rest, letters))


class Tokenizer:
    """CLIP's byte-pair encoding of lower-case text (Radford et al. 2021)."""

    WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")

    def __init__(self):
        merges = [tuple(line.split()) for line in MERGES.read_text("utf-8").splitlines() if line]
        self.letters = byte_letters()
        single = list(self.letters.values())
        vocab = single + [c + "</w>" for c in single] + ["".join(m) for m in merges]
        self.ids = {text: i for i, text in enumerate(vocab)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}

    def word(self, text):
        parts = [self.letters[b] for b in text.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:]))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged, i = [], 0
            while i < len(parts):
                both = tuple(parts[i:i + 2]) == best
                merged.append("".join(best) if both else parts[i])
                i += 2 if both else 1
            parts = merged
        return [self.ids[part] for part in parts]

    @functools.cache
    def encode(self, text):
        return [i for word in self.WORD.findall(text.lower()) for i in self.word(word)]

    def tags(self, tags):
        """Tokens of the tags joined by ", "."""
        out = []
        for tag in tags:
            out += ([COMMA] if out else []) + self.encode(tag)
        return out

    def rows(self, tokens):
        """The two rows of 77: CLIP-L's is padded with the end token, bigG's with 0."""
        full = [START, *tokens[:ROW - 2], END]
        fill = ROW - len(full)
        return full + [END] * fill, full + [0] * fill


def used_tokens(tokenizer):
    """Rows of the embedding tables that training changes, in ascending order."""
    return sorted({0, COMMA, START, END}.union(*(tokenizer.encode(t) for t in all_tags())))


def with_strangers(tokens, rng):
    """Perhaps with a few words put between the tags that mean nothing here."""
    if rng.random() >= STRANGERS:
        return tokens
    for _ in range(rng.integers(1, 4)):
        word = [int(i) for i in rng.integers(512, 49406, rng.integers(1, 4))]
        cuts = [i for i, t in enumerate(tokens) if t == COMMA] + [len(tokens)]
        cut = cuts[rng.integers(len(cuts))]
        tokens = tokens[:cut] + [COMMA, *word] + tokens[cut:]
    return tokens
