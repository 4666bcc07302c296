"""Writes tests/golden/tokens.jsonl: what the real tokenizers of SDXL make of a few thousand texts.

Run by hand; needs transformers, open_clip_torch and ftfy (versions go into the first line).

CLIP-L is transformers' slow CLIPTokenizer with ftfy installed, on OpenAI's vocabulary; CLIP-G is
open_clip's SimpleTokenizer.  One thing is changed: ftfy's repair of mojibake is switched off
(fix_encoding=False), because refinery leaves it out.  Chunks follow AUTOMATIC1111's rules, restated
below.  Every line but the first is one case:

  {"t": text, "l": ids, "g": ids}           "g" is left out where it equals "l"
  {"t": text, "times": n, "l": [count, digest], "g": [count, digest]}      the text n times over
  {"ranges": [[first, last], ...], "l": [...], "g": [...]}  the text of sweep_text() for these code
                                            points, with counts and digests
  {"t": text, "l_chunks": [[77 ids], ...], "g_chunks": [...]}

usage: make_tokens.py OUT.jsonl
"""
import json
import os
import sys
import tempfile
import unicodedata

import ftfy

ftfy_fix_text = ftfy.fix_text
ftfy.fix_text = lambda text: ftfy_fix_text(
    text, ftfy.TextFixerConfig(fix_encoding=False, explain=False)
)

import open_clip.tokenizer as open_clip_tokenizer  # noqa: E402  (after the patch)
import transformers  # noqa: E402
from importlib.metadata import version  # noqa: E402

sys.path.insert(0, os.path.dirname(__file__))
import token_texts  # noqa: E402

START, END, COMMA = 49406, 49407, 267
PRIVATE_BLOCKS = (0xE000, 0xF800, 0xF0000, 0xFFF00, 0x100000, 0x10FF00)


def clip_l_tokenizer():
    """transformers' slow tokenizer on vocabulary files made from open_clip's copy of it."""
    g = open_clip_tokenizer.SimpleTokenizer()
    ids = dict(g.encoder)
    ids["<|startoftext|>"] = ids.pop("<start_of_text>")
    ids["<|endoftext|>"] = ids.pop("<end_of_text>")
    ranks = sorted(g.bpe_ranks, key=g.bpe_ranks.get)
    with tempfile.TemporaryDirectory() as folder:
        vocab, merges = os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt")
        with open(vocab, "w", encoding="utf-8") as out:
            json.dump(ids, out)
        with open(merges, "w", encoding="utf-8") as out:
            out.write("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in ranks))
        return transformers.CLIPTokenizer(vocab, merges)


hugging_face = clip_l_tokenizer()
simple = open_clip_tokenizer.SimpleTokenizer()


def clip_l(text):
    return hugging_face(text, add_special_tokens=False)["input_ids"]


def clip_g(text):
    return simple.encode(text)


def digest(ids):
    """Count, and FNV-1a over whole ids."""
    h = 0xCBF29CE484222325
    for i in ids:
        h = (h ^ i) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return [len(ids), f"{h:016x}"]


def chunks(ids, pad):
    """AUTOMATIC1111's tokenize_line and process_tokens for one piece without attention."""
    done, chunk, last_comma = [], [], -1
    for token in ids:
        if token == COMMA:
            last_comma = len(chunk)
        elif len(chunk) == 75 and last_comma != -1 and len(chunk) - last_comma <= 20:
            done.append(chunk[: last_comma + 1])
            chunk = chunk[last_comma + 1 :]
            last_comma = -1
        if len(chunk) == 75:
            done.append(chunk)
            chunk, last_comma = [], -1
        chunk.append(token)
    if chunk or not done:
        done.append(chunk)
    rows = [[START] + c + [END] * (76 - len(c)) for c in done]
    if pad != END:
        rows = [r[: r.index(END) + 1] + [pad] * (76 - r.index(END)) for r in rows]
    return rows


def sweep_text(ranges):
    """Each character alone, between letters, and after a sigma: its class, case and composition."""
    out = []
    for first, last in ranges:
        for code in range(first, last + 1):
            c = chr(code)
            out.append(f"{c} a{c}a e{c} A\u03a3{c} A\u03a3{c}a\n")
    return "".join(out)


def sweep_ranges():
    """The assigned code points, in lists of ranges of one block of 256 each."""
    for block in range(0, 0x110000, 256):
        ranges = []
        for code in range(max(block, 1), block + 256):
            if unicodedata.category(chr(code)) in ("Cn", "Cs"):
                continue
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
        # Private use is alike from end to end: the first and last block of each area will do.
        private = all(unicodedata.category(chr(first)) == "Co" for first, _ in ranges)
        if ranges and (not private or block in PRIVATE_BLOCKS):
            yield ranges


def rows():
    versions = {p: version(p) for p in ("transformers", "open_clip_torch", "ftfy", "regex")}
    versions["python"] = sys.version.split()[0]
    versions["unicode"] = unicodedata.unidata_version
    yield {"made_by": "tools/golden/make_tokens.py", "versions": versions,
           "changed": "ftfy with fix_encoding=False", "license": "MIT (OpenAI CLIP vocabulary)"}
    for text in token_texts.texts():
        l, g = clip_l(text), clip_g(text)
        yield {"t": text, "l": l} if l == g else {"t": text, "l": l, "g": g}
    for text, times in token_texts.long_texts():
        yield {"t": text, "times": times, "l": digest(clip_l(text * times)),
               "g": digest(clip_g(text * times))}
    for ranges in sweep_ranges():
        text = sweep_text(ranges)
        yield {"ranges": ranges, "l": digest(clip_l(text)), "g": digest(clip_g(text))}
    for text in token_texts.chunk_texts():
        yield {"t": text, "l_chunks": chunks(clip_l(text), END),
               "g_chunks": chunks(clip_g(text), 0)}


def main(path):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for row in rows():
            json.dump(row, out, ensure_ascii=False, separators=(",", ":"))
            out.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
