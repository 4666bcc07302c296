"""Writes engine/text/vocab/: run by hand, when the vocabulary or the entity list changes upstream.

merges.txt    the merges of OpenAI's CLIP that its vocabulary of 49,408 uses, in rank order, as
              open_clip ships them (bpe_simple_vocab_16e6.txt.gz, whose other lines are never read).
entities.txt  the named character references of HTML 5, as Python's html.entities has them, and the
              upper-cased names that ftfy adds.

usage: make_vocab.py FOLDER
"""
import gzip
import html.entities
import os
import sys

from ftfy import chardata
from open_clip.tokenizer import default_bpe

MERGES = 49152 - 256 - 2  # 49,408 less 512 single bytes and 2 specials, as both tokenizers cut it


def merges():
    lines = gzip.open(default_bpe()).read().decode("utf-8").split("\n")
    return lines[1 : MERGES + 1]


def entities():
    with_semicolon = {n[:-1]: text for n, text in html.entities.html5.items() if n.endswith(";")}
    rows = []
    for name, text in with_semicolon.items():
        rows.append((name, "l" if name in html.entities.html5 else "n", text))
    for name, text in chardata.HTML_ENTITIES.items():
        if name[1:-1] not in with_semicolon:
            rows.append((name[1:-1], "f", text))
    for name, kind, text in sorted(rows):
        yield f"{name} {kind} " + " ".join(f"{ord(c):X}" for c in text)


def main(folder):
    for name, lines in (("merges.txt", merges()), ("entities.txt", entities())):
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as out:
            out.writelines(line + "\n" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1])
