r"""A1111's prompt language, slowly: the reference of make_prompts.py.

Written from the rules (extra-network tags, AND, edits, attention, BREAK), not from the C code, and
for clearness: regular expressions, and a recursive descent with memory that returns text.
"""
import functools
import math
import re

NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
WHEN = re.compile(rf"\s*({NUMBER})\s*\]")
SPECIAL = "\\[]():|"


def take_tags(text):
    """(text without <kind:...>, [[kind, argument, ...]])"""
    tags = []

    def keep(match):
        tags.append([match[1], *match[2].split(":")])
        return ""
    return re.sub(r"<(\w+):([^>]+)>", keep, text), tags


def split_and(text):
    """[(text, weight)]"""
    out = []
    for part in re.split(r"\bAND\b", text):
        match = re.fullmatch(r"(.*?)(?:\s*:\s*([+-]?(?:\d+\.?|\d*\.\d+)))?\s*", part, re.S)
        out.append((match[1], float(match[2] or 1)))
    return out


# ---- edits ---------------------------------------------------------------------------------------
# A tree: str, or ("edit", from, to, literal), ("pick", options), each of them lists of trees.


class Broken(Exception):
    """The whole text is to be taken as it stands."""


class Edits:
    def __init__(self, text):
        self.text = text
        self.group = functools.cache(self.group)

    def at(self, i):
        return self.text[i:i + 1]

    def escape(self, i):
        """Whether a backslash at i has something to escape."""
        return self.at(i) == "\\" and self.at(i + 1) not in ("", "\n")

    def plain(self, i):
        """End of the plain characters from i."""
        while i < len(self.text):
            if self.escape(i):
                i += 2
            elif self.text[i] in SPECIAL:
                break
            else:
                i += 1
        return i

    def sequence(self, i):
        """(nodes, end): as much as there is; may be empty."""
        nodes = []
        while True:
            end = self.plain(i)
            if end > i:
                nodes.append(self.text[i:end])
            found = self.group(end) if self.at(end) in ("(", "[") else None
            if not found:
                return nodes, end
            nodes, i = nodes + found[0], found[1]

    def group(self, i):
        """(nodes, end) of the group that opens at i, or None."""
        first, end = self.sequence(i + 1)
        if self.text[i] == "(":
            return self.round(first, end)
        if self.at(end) == "]":
            return ["[", *first, "]"], end + 1
        if self.at(end) == "|":
            return self.alternation(first, end)
        if self.at(end) != ":":
            return None
        if when := WHEN.match(self.text, end + 1):
            return [("edit", [], first, when[1])], when.end()
        second, end = self.sequence(end + 1)
        if self.at(end) == ":" and (when := WHEN.match(self.text, end + 1)):
            return [("edit", first, second, when[1])], when.end()
        return None

    def round(self, first, end):
        if self.at(end) == ")":
            return ["(", *first, ")"], end + 1
        if self.at(end) != ":":
            return None
        second, end = self.sequence(end + 1)
        return (["(", *first, ":", *second, ")"], end + 1) if self.at(end) == ")" else None

    def alternation(self, first, end):
        options = [first]
        while self.at(end) == "|":
            option, end = self.sequence(end + 1)
            options.append(option)
        return ([("pick", options)], end + 1) if self.at(end) == "]" else None

    def top(self):
        nodes, i = [], 0
        while i < len(self.text):
            c = self.text[i]
            found = self.group(i) if c in "([" else None
            if found:
                nodes, i = nodes + found[0], found[1]
            elif c == "|" or (c == "\\" and not self.escape(i)):
                raise Broken
            elif c in "()[]:":
                nodes.append(c)
                i += 1
            else:
                end = self.plain(i)
                nodes.append(self.text[i:end])
                i = end
        return nodes


def resolve(literal, first, hires):
    """The call count that a `when` means; `first` and `hires` are nominal totals of the passes."""
    value, fraction = float(literal), "." in literal
    if not hires:
        return min(math.trunc(value * first if fraction else value), first)
    return min(math.trunc((value - 1.0) * hires if fraction else value - first), hires)


def boundaries(nodes, clock, out):
    for node in nodes:
        if node[0] == "edit" and not isinstance(node, str):
            out.add(resolve(node[3], *clock))
            boundaries(node[1], clock, out)
            boundaries(node[2], clock, out)
        elif node[0] == "pick" and not isinstance(node, str):
            out.update(range(1, (clock[1] or clock[0]) + 1))
            for option in node[1]:
                boundaries(option, clock, out)


def render(nodes, step, clock):
    out = ""
    for node in nodes:
        if isinstance(node, str):
            out += node
        elif node[0] == "edit":
            out += render(node[1 if step <= resolve(node[3], *clock) else 2], step, clock)
        else:
            out += render(node[1][(step - 1) % len(node[1])], step, clock)
    return out


def schedule(text, first, hires):
    """[(until, text)]"""
    total = hires or first
    try:
        nodes = Edits(text).top()
    except Broken:
        return [(total, text)]
    steps = {total}
    boundaries(nodes, (first, hires), steps)
    return [(b, render(nodes, b, (first, hires))) for b in sorted(steps) if b >= 1]


# ---- attention -----------------------------------------------------------------------------------

TOKEN = re.compile(r"(?P<escape>\\[][()\\])|(?P<lone>\\)|(?P<open>[(\[])"
                   r"|:\s*(?P<weight>[+-]?[.\d]+)\s*\)|(?P<close>[)\]])|(?P<text>[^][()\\:]+|:)")


def attention(text):
    """[[text, weight]]; a number that is none (1.2.3) raises ValueError."""
    pieces, stacks = [], {"(": [], "[": []}

    def scale(start, by):
        for piece in pieces[start:]:
            piece[1] *= by

    for token in TOKEN.finditer(text):
        close, weight, opener = token["close"], token["weight"], token["open"]
        if token["escape"]:
            pieces.append([token["escape"][1], 1.0])
        elif token["lone"]:
            pieces.append(["", 1.0])
        elif opener:
            stacks[opener].append(len(pieces))
        elif weight and stacks["("]:
            scale(stacks["("].pop(), float(weight))
        elif close == ")" and stacks["("]:
            scale(stacks["("].pop(), 1.1)
        elif close == "]" and stacks["["]:
            scale(stacks["["].pop(), 1 / 1.1)
        else:
            first, *more = re.split(r"\s*\bBREAK\b\s*", token[0])
            pieces.append([first, 1.0])
            for part in more:
                pieces += [["BREAK", -1.0], [part, 1.0]]
    for bracket, by in (("(", 1.1), ("[", 1 / 1.1)):
        for start in stacks[bracket]:
            scale(start, by)
    merged = []
    for piece in pieces or [["", 1.0]]:
        if merged and merged[-1][1] == piece[1]:
            merged[-1][0] += piece[0]
        else:
            merged.append(list(piece))
    return merged


def parse(text, polarity, steps, second_order, hires_steps):
    """(parts, tags); ValueError where A1111 stops."""
    first, hires = (n * (2 if second_order else 1) for n in (steps, hires_steps))
    tags, parts = [], [(text, 1.0)]
    if polarity == "positive":
        text, tags = take_tags(text)
        parts = split_and(text)
    return [{"weight": weight,
             "schedule": [{"until": until, "text": variant, "attention": attention(variant)}
                          for until, variant in schedule(part, first, hires)]}
            for part, weight in parts], tags
