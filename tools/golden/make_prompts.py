r"""Writes tests/golden/prompts.jsonl: what A1111 v1.10.1 makes of some 900 prompts.

    python3 tools/golden/make_prompts.py > tests/golden/prompts.jsonl

Pure Python (the version goes into the first line); the language is prompt_language.py.  The first
line says where the file comes from; every other line is one case:

  {"text", "steps", "second_order", "hires_steps" (0: first pass), "polarity", "error",
   "parts": [{"weight", "schedule": [{"until", "text", "attention": [[text, weight], ...]}]}],
   "tags": [[kind, argument, ...]]}

"until" is A1111's boundary, in calls.  A BREAK is ["BREAK", -1.0]; inside emphasis its weight is
another and it is a word.  Empty pieces stand where A1111 has them (beside a BREAK).  Where "error"
is true A1111 stops (a weight such as 1.2.3), and parts and tags are empty.  Where A1111's parser
chooses at random (a stray bracket that touches a group) the group is taken if one parses.
"""
import json
import platform
import random
import re
import sys

import prompt_language as language

PONY = ("[score_9, score_8_up, score_7_up, source_anime:very aesthetic, masterpiece, best quality:"
        "{}], 1girl, solo, <lora:detail:0.8>, looking at viewer")
PONY_NEGATIVE = ("[source_pony, source_cartoon, source_furry, e621_low, bad hands:worst quality, "
                 "low quality, very displeasing, text:{}], 3d, blurry, jpeg artifacts, bad anatomy,"
                 " watermark, greyscale, unfinished, oil painting, signature, text")

# Examples, separated by broken bars.
TAGS = r"""<lora:a:1>¦[<lora:a:1>:b:5]¦cat <lora:x:0.8:0.5> dog¦<lora:x:te=0.5:unet=1>¦<lyco:a>
<unknown:tag:1:2:3> cat¦<lora:a b c:1>¦<lora:a:1¦<lora a:1>¦<:a>¦a < b > c¦<lora:a><lora:b:2>
<lora:é:1>猫¦<lora:a AND b:1> c¦(<lora:a:1>:1.2)¦[a|<lora:b:1>c]¦<lora:a:1>:1.3¦<<lora:a:1>>"""

ANDS = r"""a AND b¦AND¦AND AND¦a AND¦AND a¦a AND b AND c¦a AND_b¦aANDb¦a and b¦(a AND b:1.2)
[a AND b:c:3]¦a:1.3¦the time is 12:30¦masterpiece, 1girl:1.3¦a :1.2 AND b : -2 ¦a:1. AND b:.5
a:+3 AND b:-0.75¦a:1e3¦a:1.2.3¦a:¦:1.5¦a:-¦a AND b:0¦a:1:2¦  a  AND  b  ¦a: 1 b¦a.AND.b
(a:1.2) AND [b:c:2]:0.5¦a:1.2)¦[a:b:3]:2¦AND:2¦a AND:2¦x:007¦x:1_0¦éAND b¦é AND b¦[a|b AND c|d]"""

EDITS = r"""[cat:dog:10]¦[a:b:0.5]¦[b:0.25]¦[a::3]¦[::3]¦[:b:2]¦[:2]¦[a|b]¦[a|b|c]¦[|a]¦[a||b]¦[|]
[[a|b]|c]¦[a|[b|c]|d]¦[a:[b:c:0.75]:0.25]¦[[a:b:2]:[c:d:4]:3]¦[[a:b:4]:c:2]¦[a|[b:c:3]]¦[||]
[a|b:5]¦[a:b:c:5]¦[a:b:5x]¦[a:b:5.5.5]¦[a:b:5¦[:]¦[]¦[[]]¦[a]¦[[a]]¦[a:b]¦[a:b:]¦[a:b:c]¦[[a:b:5]
[a:b:1]¦[a:b:1.0]¦[a:b:1e1]¦[a:b:5e-1]¦[a:b:1.0e-1]¦[a:b:10.0]¦[a:b:0]¦[a:b:0.0]¦[a:b:-1]¦[a:b:.5]
[a:b:-0.5]¦[a:b:+3]¦[a:b:5.]¦[a:b:1.E0]¦[a:b:2e0]¦[a:b:1e+1]¦[a:b:.]¦[a:b:e1]¦[a:b:1e]¦[a:b:+-1]
[a:b:1 2]¦[a:b: 5 ]¦[a:b :5]¦[a: b:5]¦[a:b:99]¦[a:b:1.5]¦[a:b:1.05]¦[a:b:0.05]¦[a:b:0.04]¦([a:b:3])
(a [b:c:5]¦(a [b:c:5]:1.2)¦([a:b:3]:1.3)¦[(a:1.2):(b:0.8):3]¦[a (b):c:3]¦[(a|b):c:3]¦[(a|b)|c]
[a(b:c:3]¦[a)b:c:3]¦[a:(b:c:3]¦[(a:b:c):d:3]¦[(a:b):c:3]¦[a:(b:c):3]¦a:b¦a:b:3¦:¦::¦(¦)¦(()¦())¦((a)
a|b [c:d:5]¦[c:d:5] a|b¦|¦[a|b¦(a|b)¦(a|b) [c:d:3]¦[a:b:3]|¦[[a|b:c:3]¦[a|b]]¦[a|b](c¦[c:d:3]\
\[a:b:3\]¦[a:b:3]\\¦[a\:b:c:3]¦[a\|b|c]¦a\|b [c:d:3]¦[\(a:b\):3]¦(\(a\):1.2)¦[a:b\:3]¦[a:b:3\]
[a:b:3]]¦[a:b:3](c¦[a:b:3]:x¦x[a:b:3]y[c:d:5]z¦[a:b:3], [c:d:3], [e:f:4]¦[a:b:3] [c|d]¦[a:b:4][c|d]
[a[b[c[d[e:f:1]:g:2]:h:3]:i:4]:j:5]¦[a：b：3]¦[a:b:３]¦[猫:犬:0.5]¦[a:b:5], c¦[a, b, c::0.3]
[::0.5] x¦a [b] c¦a [[b]:c:2]¦[a:b [c] d:2]¦[a:b:0.29]¦[a:b:0.57]¦[a:b:0.99]¦[a:b:1.3]¦[a:b:2.0]
[a:b:switch]¦[switch:5]¦[a:b:switch1]¦[ a | b ]¦[a:[b|c]:2]¦[[b|c]:a:-1]¦[a:5:5]¦[5:5]¦[a:5 :6]"""

ATTENTION = r"""(x)¦((x))¦(((x)))¦[x]¦[[x]]¦([x])¦[(x)]¦(x:1.5)¦((a:1.2):1.5)¦(a (b:1.2) c:1.1)
[(a]:1.3)¦[x:1.2]¦([x:1.2])¦[a(b]c)¦x:1.2)¦x:1.2¦(x:1.2¦(x¦[x¦((x)¦([x¦[(x¦x)¦x]¦)(¦][¦(x))¦[x]]
(a:1.2.3)¦(a:.)¦(a:-.)¦(a:+)¦(a:-)¦(a:)¦(a:b)¦(a:1.2.3¦a:1.2.3)¦(a:..)¦((a:1.2):.)¦(a:-1)¦(a:0)
(a:1e3)¦(a:100)¦(a: 1.2 )¦(a :1.2)¦(a:1.)¦(a:.5)¦(a:+1.5)¦(１:１.５)¦(a:１)¦(a:٣)¦(a:b:1.2)¦(a:1:2)
back\slash¦a\\b¦\(a\)¦\[a\]¦(\(a\):1.2)¦\a¦a\(b¦a \\( b)¦\\¦\\\(¦a\n¦(a\)¦(a\:1.2)¦(a\\:1.2)
a BREAK b¦BREAK¦BREAK a¦a BREAK¦aBREAK b¦a BREAKb¦a, BREAK, b¦a   BREAK   b¦(a BREAK b)¦[a BREAK b]
(BREAK)¦(BREAK:1)¦(BREAK:2)¦BREAK BREAK¦a BREAK BREAK b¦(a) BREAK (b)¦(a BREAK b:1.0)¦break
(a:1.0) b¦(a:1) (b:1.0)¦(a:1.1) (b)¦a(b)c(d)e¦(a)(b)¦(a)[b]¦a  b¦(,)¦( a )¦(a , b:1.3)¦a\BREAK b
(猫:1.2), 犬¦(é:1.3)¦😀 (😃:1.2)¦{a:1.2}¦((((a))))¦[[[[a]]]]¦(a:1.1) BREAK (b:0.9)¦,¦(a:1.2 b)
a|b¦(a|b:1.2)¦a (b)c [d] e¦(a:-0.5)¦a AND b¦(a:1.2)AND(b)¦<lora:x:1> (a)¦[[a](b)]¦((a)[b](c):0.5)"""

PLAIN = ["", " ", "\n", "\t a \n", "a\nb", "a, b, c", "1girl, solo, long hair", "\u3000", "\\",
         "[a:b:3\n]", "[a:b:\u30003]", "[a\nb:c:2]", "(a\n:1.2)", "(a:\n1.2\n)", "a\nBREAK\nb",
         "a\\", "[a:b:3] \\\n c", "a \\\n (b)", "a\nAND\nb:2\n", "[a:\nb\n:\n3\n]", "\u00e9" * 40,
         "(" * 30 + "a" + ")" * 30, "[" * 20 + "a" + "]" * 20, "[" * 12 + "a" + ":b:3]" * 12,
         "<lora:a\nb:1> c", "[a|b]:1.5", "a" * 300, "(a:1.2)" * 30, "\u0661:\u0662", "a BREAK\tb",
         "a\u00a0b"]

WORDS = ["cat", "dog", "a", "b", "1girl", "score_9", "long hair", "猫", "é", "😀", ", ", " ", "5",
         "x-y"]
BITS = ["(", ")", "[", "]", ":", "|", "\\", "AND", "BREAK", " ", ",", "<lora:x:1>", "0.5", "1.2",
        "3", ":1.2)", ":3]", ":0.5]", "1e1", "-1", "\n", "\\(", "\\]", "  ", "(", "[", "]", ":"]


def hand():
    """(text, polarity or None for both)"""
    for table, polarity in ((TAGS, None), (ANDS, None), (EDITS, "positive"),
                            (ATTENTION, "negative")):
        for row in table.split("\n"):
            yield from ((text, polarity) for text in row.split("¦"))
    for text in PLAIN:
        yield text, None
    for when in ("0.5", "10", "0.8", "switch"):
        yield PONY.format(when), "positive"
        yield PONY_NEGATIVE.format(when), "negative"


def well_formed(rng, depth=0):
    """A prompt as people mean it."""
    out = ""
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(9 if depth < 3 else 3)
        if kind < 3:
            out += rng.choice(WORDS) + rng.choice(["", " ", ", "])
        elif kind == 3:
            out += f"({well_formed(rng, depth + 1)})"
        elif kind == 4:
            weight = rng.choice(["1.2", "0.8", "1.35", "-1", "2"])
            out += f"({well_formed(rng, depth + 1)}:{weight})"
        elif kind == 5:
            out += f"[{well_formed(rng, depth + 1)}]"
        elif kind == 6:
            options = [well_formed(rng, depth + 2) for _ in range(rng.randint(2, 3))]
            out += f"[{'|'.join(options)}]"
        else:
            when = rng.choice(["0.5", "3", "0.25", "7", "1.0", " 2 ", "-1", "1.4", "12", "1e1",
                               ".75"])
            before = well_formed(rng, depth + 1) if rng.random() < 0.7 else ""
            after = well_formed(rng, depth + 1) if rng.random() < 0.8 else ""
            out += rng.choice([f"[{before}:{after}:{when}]", f"[{after}:{when}]"])
    return out


def mutated(rng):
    text = well_formed(rng)
    for _ in range(rng.randint(1, 3)):
        at, end = (rng.randint(0, len(text)) for _ in range(2))
        cut = min(abs(end - at), rng.choice([0, 0, 1, 2]))
        text = text[:at] + rng.choice(BITS) + text[at + cut:]
    return text


def soup(rng):
    return "".join(rng.choice(BITS + WORDS) for _ in range(rng.randint(2, 14)))


def texts():
    """(text, polarity or None)"""
    yield from hand()
    rng = random.Random(20240727)
    for maker, count in ((well_formed, 130), (mutated, 190), (soup, 190)):
        for _ in range(count):
            text = maker(rng)
            joined = maker(rng) if rng.random() < 0.15 else None
            if joined is not None:
                text += f" AND {joined}:{rng.choice(['1', '.5', '-1.'])}"
            yield text, rng.choice(["positive", "positive", "negative"])


def cases():
    """One dict a case, without what comes out."""
    rng, seen = random.Random(1), set()
    clocks = [(20, False, 0), (10, False, 0), (6, False, 0), (5, True, 0), (8, False, 6),
              (4, True, 5), (20, False, 15), (30, False, 0), (1, False, 0), (100, False, 0)]
    weights = [6, 6, 6, 4, 4, 3, 3, 2, 1, 1]
    for text, polarity in texts():
        wide = "|" in text and len(text) > 8
        for side in [polarity] if polarity else ["positive", "negative"]:
            steps, second, hires = rng.choices(clocks[1:6] if wide else clocks,
                                               weights[1:6] if wide else weights)[0]
            key = (text, side)
            if key in seen or re.search(r"<\w+:>", text) or len(text) > 400:
                continue
            seen.add(key)
            yield dict(text=text, steps=steps, second_order=second, hires_steps=hires,
                       polarity=side)
    for text in ("[a:b:5]", "[a:b:0.5]", "[a:b:1.5]", "[a:b:12]", "[a|b]", "[a:b:1.0]", "[a:b:25]",
                 "[a:[b:c:1.3]:0.5]", "[a:b:0.29]", "[a:b:20]", "[a:b:1.01]", "[a:b:2.0]"):
        for steps, second, hires in ((5, True, 0), (20, False, 30), (10, True, 4), (100, False, 0)):
            if "|" not in text or steps < 20:
                yield dict(text=text, steps=steps, second_order=second, hires_steps=hires,
                           polarity="positive")


def answer(case):
    try:
        parts, tags = language.parse(**case)
        return dict(case, error=False, parts=parts, tags=tags)
    except ValueError:
        return dict(case, error=True, parts=[], tags=[])


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    print(json.dumps({"made_by": "tools/golden/make_prompts.py",
                      "python": platform.python_version(),
                      "reference": "A1111 v1.10.1, restated in tools/golden/prompt_language.py"}))
    for case in cases():
        line = json.dumps(answer(case), ensure_ascii=False, separators=(",", ":"))
        if len(line) <= 1600:
            print(line)


main()
