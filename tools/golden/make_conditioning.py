r"""Writes tests/golden/conditioning.safetensors, and what is in it at the end of networks.md.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    python tools/golden/make_conditioning.py tiny7.safetensors tests/golden

Whole conditioning of prompts by the tiny expert, as A1111 v1.10.1 makes it: text, attention,
chunks, both encoders, emphasis; in f64 on the CPU, stored as f32.  Run it after
make_networks.py, which writes networks.md anew.  The prompts are plain ASCII without HTML
references, for which both of SDXL's tokenizers give the same ids: open_clip's serves for both.
"""
import argparse
import datetime
import hashlib
import pathlib

import numpy as np
import open_clip
import safetensors.numpy
import torch
import transformers

import prompt_language as language
import sdxl_modules as sdxl

START, END, COMMA, BACKTRACK, ROOM = 49406, 49407, 267, 20, 300_000
STEPS = 20
PROMPT = "a photo of [an (old:1.3) castle:a ((small)) [[boat]]:0.5], (sunset:0.7), score_9"
LONG = ("(masterpiece:1.2), best quality, a castle on a hill BREAK a river, (three boats:0.8), "
        "[clouds], soft light")
# name: (text, emphasis, steps of its schedule that are encoded together, skip of CLIP-L)
CASES = {
    "plain": ("a photo of an old castle, sunset, score_9", "Original", "all", 2),
    "skip1": ("a photo of an old castle, sunset, score_9", "Original", "all", 1),
    "alone": (PROMPT, "Original", "first", 2),
    "coupled": (PROMPT, "Original", "all", 2),
    "no_norm": (PROMPT, "No norm", "first", 2),
    "break": (LONG, "Original", "all", 2),
}


def chunks(pieces, tokenizer):
    """[(75 ids, 75 weights)]: a chunk that overflows soon after a comma is cut at that comma."""
    done, ids, weights, comma = [], [], [], None

    def close():
        nonlocal ids, weights, comma
        pad = 75 - len(ids)
        done.append((ids + [END] * pad, weights + [1.0] * pad))
        ids, weights, comma = [], [], None

    for text, weight in pieces:
        if text == "BREAK" and weight == -1.0:
            close()
            continue
        for token in tokenizer.encode(text):
            if token == COMMA:
                comma = len(ids)
            elif len(ids) == 75 and comma is not None and 75 - comma <= BACKTRACK:
                rest = ids[comma + 1:], weights[comma + 1:]
                del ids[comma + 1:], weights[comma + 1:]
                close()
                ids, weights = rest
            if len(ids) == 75:
                close()
            ids.append(token)
            weights.append(weight)
    if ids or not done:
        close()
    return done


def encode(clips, ids, skip):
    """(L [n, 77, c], G [n, 77, c], pooled [n, p]) of 75 ids each, [n, 75]."""
    ends = torch.full((len(ids), 1), END)
    rows = torch.cat([torch.full((len(ids), 1), START), torch.tensor(ids), ends], 1)
    zeros = rows.clone()
    for row in zeros:  # bigG: zeros after the first end token
        row[int((row == END).nonzero()[0]) + 1:] = 0
    hidden_l = clips[0](rows, output_hidden_states=True).hidden_states[-skip]
    out = clips[1](zeros, output_hidden_states=True)
    return hidden_l, out.hidden_states[-2], out.text_embeds


def emphasise(z, weights, mode):
    """z [n, 77, c] times weights [n, 77]; Original: the mean of all n together stays."""
    scaled = z * weights[:, :, None]
    if mode == "No norm":
        return scaled
    return scaled * (z.mean() / scaled.mean())


def condition(clips, tokenizer, texts, mode, skip):
    """(context [n, 77 chunks, c], pooled [n, p]) of a prompt's variants, encoded together."""
    laid = [chunks(language.attention(text), tokenizer) for text in texts]
    out, pooled = [], None
    for column in zip(*laid, strict=True):
        ids, weights = zip(*column)
        ones = torch.ones(len(ids), 1)
        weights = torch.cat([ones, torch.tensor(weights), ones], 1).to(torch.float64)
        hidden_l, hidden_g, last = encode(clips, ids, skip)
        pooled = last if pooled is None else pooled
        out.append(torch.cat([emphasise(hidden_l, weights, mode),
                              emphasise(hidden_g, weights, mode)], 2))
    return torch.cat(out, 1), pooled


HEAD = """
# conditioning.safetensors

Whole conditioning of prompts by the first expert: context (CLIP-L, then bigG, on the last axis; 77
rows a chunk) and pooled vector.  Made on {date} with torch {torch}, transformers {transformers},
open_clip {open_clip}, in f64, stored as f32, by `tools/golden/make_conditioning.py`, which follows
A1111 v1.10.1 (emphasis per encoder and chunk; the mean that Original restores is taken over all
variants that are encoded together).  Run it after `make_networks.py`.

- Checkpoint: `refinery synth --arch tiny --seed 7 --dtype f32`, SHA-256
  `{sha256}`.
- `plain`: `{plain}`.
  With clip_l_skip 2 the same tensors come out; with clip_l_skip 1 CLIP-L's half is
  `skip1.context_l`, and bigG's half and the pooled vector stay.
- `alone`, `coupled`, `no_norm`: variants over {steps} steps of
  `{prompt}`.
  `alone` and `no_norm`: the first variant encoded on its own, emphasis Original and No norm;
  `coupled`: both variants encoded together, Original.  The pooled vector of `no_norm` is `alone`'s.
- `break`: emphasis Original,
  `{long}`.

| tensor | shape | what |
|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path, help="tiny checkpoint of seed 7")
    parser.add_argument("folder", type=pathlib.Path, help="where the file goes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts = sdxl.read_parts(args.checkpoint)
    clips = (sdxl.build_clip_l(parts[sdxl.CLIP_L], torch.float64),
             sdxl.build_clip_g(parts[sdxl.CLIP_G], torch.float64))
    tokenizer, data = open_clip.tokenizer.SimpleTokenizer(), {}
    for name, (text, mode, which, skip) in CASES.items():
        texts = [variant for _, variant in language.schedule(text, STEPS, 0)]
        texts = texts if which == "all" else texts[:1]
        print(name, texts)
        with torch.no_grad():
            context, pooled = condition(clips, tokenizer, texts, mode, skip)
        if name == "skip1":
            data["skip1.context_l"] = context[..., :parts[sdxl.CLIP_L][
                "text_model.embeddings.token_embedding.weight"].shape[1]]
            continue
        data[name + ".context"] = context
        if name != "no_norm":
            data[name + ".pooled"] = pooled
    data = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in data.items()}
    sha256 = hashlib.sha256(args.checkpoint.read_bytes()).hexdigest()
    path, notes = args.folder / "conditioning.safetensors", args.folder / "networks.md"
    safetensors.numpy.save_file(data, path, metadata={"expert_sha256": sha256})
    if path.stat().st_size > ROOM:
        raise ValueError(f"{path}: {path.stat().st_size} bytes, more than {ROOM}")
    text = HEAD.format(date=datetime.date.today(), torch=torch.__version__.split("+")[0],
                       transformers=transformers.__version__, open_clip=open_clip.__version__,
                       sha256=sha256, plain=CASES["plain"][0], prompt=PROMPT, steps=STEPS,
                       long=LONG)
    for name, array in sorted(data.items()):
        what = "pooled, of the first chunk" if "pooled" in name else "context, a row per token"
        text += f"| `{name}` | {list(array.shape)} | {what} |\n"
    notes.write_text(notes.read_text().split("\n# conditioning.safetensors")[0] + text)
    print(f"{path}: {len(data)} tensors, {path.stat().st_size} bytes")


main()
