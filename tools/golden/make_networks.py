r"""Writes tests/golden/networks.{safetensors,md}: what PyTorch computes for a tiny expert.

A developer's tool, run by hand once; neither the build nor a test needs it.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    refinery synth --arch tiny --seed 8 --dtype f32 tiny8.safetensors
    python tools/golden/make_networks.py tiny7.safetensors tiny8.safetensors tests/golden
    python tools/golden/check_networks.py tiny7.safetensors tiny8.safetensors \
        tests/golden/networks.safetensors

Needs torch, diffusers, transformers, safetensors (and open_clip for the check); the versions used
are recorded in networks.md.  Everything is computed in f64 on the CPU and stored as f32, images and
feature maps channels-last.  Where diffusers and A1111 differ (odd sizes), A1111 holds.
"""
import argparse
import contextlib
import datetime
import hashlib
import math
import pathlib

import diffusers
import numpy as np
import safetensors.numpy
import torch
import transformers

import sdxl_modules as sdxl

F64 = torch.float64
TIMESTEP = 601.5
VAE_SCALE = 0.13025
STEPS, SWITCH, CFG, SIDE = 4, 2, 6.0, 128
ROOM = 1_500_000


class Golden:
    """The tensors of the file, each with one line of explanation."""

    def __init__(self):
        self.data, self.text = {}, {}

    def add(self, name, tensor, text):
        array = np.asarray(tensor.detach().numpy() if torch.is_tensor(tensor) else tensor)
        kind = np.int32 if array.dtype.kind == "i" else np.float32
        self.data[name] = np.ascontiguousarray(array.astype(kind))
        self.text[name] = text

    def map(self, name, tensor, text):
        """A feature map [1, c, h, w], stored [1, h, w, c]."""
        self.add(name, tensor.permute(0, 2, 3, 1), text)


class Expert:
    def __init__(self, path):
        parts = sdxl.read_parts(path)
        self.path = pathlib.Path(path)
        self.sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.clip_l = sdxl.build_clip_l(parts[sdxl.CLIP_L], F64)
        self.clip_g = sdxl.build_clip_g(parts[sdxl.CLIP_G], F64)
        self.unet = sdxl.build_unet(parts[sdxl.UNET], F64)
        self.vae = sdxl.build_vae(parts[sdxl.VAE], F64)


def normal(seed, *shape):
    """Fixed noise, rounded to f32 first so that the file holds exactly what was computed with."""
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return torch.from_numpy(array).to(F64)


# ---- text ----------------------------------------------------------------------------------------


def sequences(pad):
    """ids [2, 77]: a prompt of 12 words, padded, and one that fills its chunk."""
    rows = []
    for salt, words in ((1, 12), (2, 75)):
        row = [49406] + [(7919 * (i + 1) * salt + 311) % 49406 for i in range(words)] + [49407]
        rows.append(row + [pad] * (77 - len(row)))
    return torch.tensor(rows)


def encode(expert):
    """(L penultimate, G penultimate, pooled) of both sequences: inputs of the last layers, no
    final LayerNorm; pooled at the first end token through the final LayerNorm and projection."""
    hidden_l = expert.clip_l(sequences(49407), output_hidden_states=True).hidden_states[-2]
    out = expert.clip_g(sequences(0), output_hidden_states=True)
    return hidden_l, out.hidden_states[-2], out.text_embeds


def add_text(golden, expert):
    hidden_l, hidden_g, pooled = encode(expert)
    golden.add("text.l.ids", sequences(49407), "token ids for CLIP-L, padded with the end token")
    golden.add("text.g.ids", sequences(0), "token ids for bigG, padded with 0")
    golden.add("text.l.penultimate", hidden_l, "CLIP-L: input of its last layer, not normalised")
    golden.add("text.g.penultimate", hidden_g, "bigG: input of its last layer, not normalised")
    golden.add("text.g.pooled", pooled, "bigG: final LayerNorm, first end token, x text_projection")


# ---- UNet ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def watching(pairs):
    """Collects the outputs of modules: {name: tensor} from [(name, module)]."""
    seen = {}

    def keep(name):
        def hook(_module, _args, out):
            seen[name] = out[0] if isinstance(out, tuple) else out
        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in pairs]
    yield seen
    for handle in handles:
        handle.remove()


EVEN_BLOCKS = ("input_blocks.5", "middle_block", "output_blocks.1", "output_blocks.4")


def unet_watchlist(unet, names):
    """(LDM name, module) of every block, from the checkpoint's names: of its last module, whose
    output is the block's own."""
    blocks = {}
    for name in names:
        piece = name.split(".")
        if piece[0] in ("input_blocks", "output_blocks"):
            blocks.setdefault(".".join(piece[:2]), set()).add(piece[2])
        elif piece[0] == "middle_block":
            blocks.setdefault("middle_block", set()).add(piece[1])
    out = [("time_embed", unet.time_embedding), ("label_emb", unet.add_embedding)]
    for block, indices in blocks.items():
        full = f"{block}.{max(indices)}"
        conv = any(n.startswith(f"{full}.conv.") for n in names)
        down = any(n.startswith(f"{full}.op.") for n in names)
        if block == "input_blocks.0":
            module = unet.conv_in
        else:
            ldm = f"{full}.conv" if conv else f"{full}.op" if down else full
            module = unet.get_submodule(sdxl.unet_module(ldm))
        out.append((block, module))
        if conv:
            resized = unet.get_submodule(sdxl.unet_module(ldm).removesuffix(".conv"))
            out.append((f"{block}.resized", resized))
    return out


def add_unet(golden, expert, names, case, h, w):
    """One forward; `odd` keeps every block, `even` a few of them."""
    unet, base = expert.unet, f"unet.{case}."
    context_width = unet.config.cross_attention_dim
    vector_width = unet.config.projection_class_embeddings_input_dim
    x, context = normal(h, 1, 4, h, w), golden_context(golden, context_width)
    vector = golden_vector(golden, vector_width)
    golden.map(base + "x", x, f"input latent {h}x{w}, already scaled by 1/sqrt(sigma^2 + 1)")
    with watching(unet_watchlist(unet, names)) as seen:
        out = sdxl.unet_forward(unet, x, torch.tensor([TIMESTEP], dtype=F64), context, vector)
    if case == "odd":
        golden.add("unet.time_embed", seen["time_embed"], f"time_embed of timestep {TIMESTEP}")
        golden.add("unet.label_emb", seen["label_emb"], "label_emb of unet.vector")
        golden.add("unet.emb", seen["time_embed"] + seen["label_emb"], "the sum the blocks get")
    for name in sorted(set(seen) - {"time_embed", "label_emb"}):
        even = seen[name].shape == seen.get(name.removesuffix(".resized"), seen[name]).shape
        if name.endswith(".resized") and even or case == "even" and name not in EVEN_BLOCKS:
            continue
        golden.map(base + name, seen[name], explain(name))
    golden.map(base + "out", out, "the network's output (eps)")


def explain(name):
    if name.endswith(".resized"):
        return "the block's output after the nearest resize to the next skip map's size"
    return "after the block"


def golden_context(golden, width):
    if "unet.context" not in golden.data:
        golden.add("unet.context", normal(3, 1, 154, width), "text conditioning, two chunks of 77")
    return torch.from_numpy(golden.data["unet.context"]).to(F64)


def golden_vector(golden, width):
    if "unet.vector" not in golden.data:
        golden.add("unet.vector", normal(4, 1, width), "vector conditioning")
    return torch.from_numpy(golden.data["unet.vector"]).to(F64)


# ---- VAE -----------------------------------------------------------------------------------------


def add_vae(golden, expert, case, h, w, levels):
    """Decodes a latent in the sampler's scale; with `levels` the maps after the inner levels too."""
    decoder, base = expert.vae.decoder, f"vae.{case}."
    count = len(decoder.up_blocks)
    pairs = [("mid", decoder.mid_block)]
    if levels:
        pairs += [("conv_in", decoder.conv_in)]
        pairs += [(f"up.{count - 1 - i}", decoder.up_blocks[i]) for i in range(count - 2)]
    latent = normal(100 + h, 1, 4, h, w)
    golden.map(base + "latent", latent, f"latent {h}x{w} as the sampler leaves it")
    with watching(pairs) as seen:
        image = expert.vae.decode(latent / VAE_SCALE, return_dict=False)[0]
    for name, value in seen.items():
        golden.map(base + name, value, f"after decoder.{name}")
    golden.map(base + "image", image, "decoder output, not clamped, nominally -1 .. 1")


# ---- end to end ----------------------------------------------------------------------------------


def sigma_table():
    """The 1000 training sigmas of SDXL, ascending, rounded to f32 where A1111 rounds."""
    betas = np.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=np.float64) ** 2
    keep = np.cumprod(1.0 - betas).astype(np.float32)
    return np.sqrt((1 - keep) / keep, dtype=np.float32)


def karras(table, steps, rho=7.0):
    """Karras et al. 2022, equation 5, between the table's ends, then 0."""
    low, high = float(table[0]) ** (1 / rho), float(table[-1]) ** (1 / rho)
    ramp = np.linspace(0.0, 1.0, steps)
    return np.append((high + ramp * (low - high)) ** rho, 0.0).astype(np.float32)


def timestep(table, sigma):
    """Linear interpolation in ln sigma, then rounded to f16, as the UNet sees it in A1111."""
    log = np.log(table.astype(np.float64))
    return float(np.float16(np.interp(math.log(sigma), log, np.arange(1000.0))))


def conditioning(expert):
    """context [2, 77, c] and vector [2, v]: row 0 the prompt, row 1 the negative prompt."""
    hidden_l, hidden_g, pooled = encode(expert)
    sizes = torch.tensor([SIDE, SIDE, 0, 0, SIDE, SIDE], dtype=F64)
    embedded = sdxl.Sinusoids(256)(sizes).reshape(1, -1).expand(2, -1)
    return torch.cat([hidden_l, hidden_g], dim=2), torch.cat([pooled, embedded], dim=1)


def add_relay(golden, experts):
    """Euler over Karras sigmas, CFG in x0, the expert changing before step SWITCH."""
    table = sigma_table()
    sigmas = karras(table, STEPS)
    times = [timestep(table, float(s)) for s in sigmas[:-1]]
    noise = normal(5, 1, 4, SIDE // 8, SIDE // 8)
    x = noise * float(sigmas[0])
    golden.map("relay.noise", noise, "initial noise, unit variance")
    golden.add("relay.sigmas", sigmas, f"Karras, {STEPS} values, then 0")
    golden.add("relay.timesteps", np.array(times), "of the calls: log-linear in the table, f16")
    for step in range(STEPS):
        expert = experts[step >= SWITCH]
        context, vector = conditioning(expert)
        if step in (0, SWITCH):
            golden.add(f"relay.vector.{int(step >= SWITCH)}", vector,
                       "vector conditioning: pooled, then sizes; rows prompt, negative")
        sigma, after = float(sigmas[step]), float(sigmas[step + 1])
        scaled = (x / math.sqrt(sigma ** 2 + 1)).expand(2, -1, -1, -1)
        time = torch.full((2,), times[step], dtype=F64)
        eps = sdxl.unet_forward(expert.unet, scaled, time, context, vector)
        golden.map(f"relay.eps.{step}", eps, f"output of the UNet, step {step}; prompt, negative")
        positive, negative = (x - sigma * eps).chunk(2)
        denoised = negative + CFG * (positive - negative)
        x = x + (x - denoised) / sigma * (after - sigma)
        golden.map(f"relay.latent.{step}", x, f"latent after step {step} "
                   f"({'second' if step >= SWITCH else 'first'} expert)")


# ---- the two files -------------------------------------------------------------------------------

INTRO = """# networks.safetensors

What PyTorch computes for a tiny SDXL expert: the oracle of the parity tests of the text encoders,
the UNet, the VAE decoder and a four-step relay with a switch.  Computed in f64 on the CPU, stored
as f32; maps are channels-last `[1, h, w, c]`.  Written by `tools/golden/make_networks.py` (how: see
its top); checked by `tools/golden/check_networks.py` against independent code.

- Made on {date} with torch {torch}, diffusers {diffusers}, transformers {transformers}.
- First expert: `refinery synth --arch tiny --seed 7 --dtype f32`, SHA-256 `{seven}`.
- Second expert (relay steps {switch} and later): the same with `--seed 8`, SHA-256 `{eight}`.
- Everything except `relay.*` belongs to the first expert.
- UNet: timestep {time}, `unet.context` and `unet.vector` for both sizes. `odd` forces the nearest
  resize of odd maps after the upsampler's convolution, as A1111 does (diffusers alone would not).
  A block's tensor is its output, upsampler included, before that resize (`.resized` is after it).
- VAE: `latent` is in the sampler's scale; the decoder gets latent / {scale}.  Level `up.3` is the
  innermost (LDM's numbering); a level's tensor is after its upsampler, where it has one.
- Relay: Euler, Karras, {steps} steps (0 to 3) at {side}x{side}, CFG {cfg}, switch before step
  {switch}; prompt = row 0 and negative = row 1 of `text.*.ids`, encoded by each expert's own
  encoders; vector = pooled, then the sinusoids of {side}, {side}, 0, 0, {side}, {side} (256 wide
  each, cosines first).

| tensor | shape | what |
|---|---|---|
"""


def write(golden, experts, folder):
    facts = dict(seven=experts[0].sha256, eight=experts[1].sha256)
    path = folder / "networks.safetensors"
    # One entry only: the order of several would differ from run to run.
    metadata = {"experts_sha256": " ".join(facts.values())}
    safetensors.numpy.save_file(golden.data, path, metadata=metadata)
    size = path.stat().st_size
    if size > ROOM:
        raise ValueError(f"{path}: {size} bytes, more than {ROOM}")
    text = INTRO.format(date=datetime.date.today(), torch=torch.__version__.split("+")[0],
                        diffusers=diffusers.__version__, transformers=transformers.__version__,
                        time=TIMESTEP, scale=VAE_SCALE, steps=STEPS, switch=SWITCH, side=SIDE,
                        cfg=CFG, **facts)
    for name in sorted(golden.data):
        array = golden.data[name]
        kind = " i32" if array.dtype == np.int32 else ""
        text += f"| `{name}` | {list(array.shape)}{kind} | {golden.text[name]} |\n"
    (folder / "networks.md").write_text(text)
    print(f"{path}: {len(golden.data)} tensors, {size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seven", help="tiny checkpoint of seed 7")
    parser.add_argument("eight", help="tiny checkpoint of seed 8")
    parser.add_argument("folder", type=pathlib.Path, help="where the two files go")
    args = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation: the same file every time
    experts = [Expert(args.seven), Expert(args.eight)]
    names = list(sdxl.read_parts(args.seven)[sdxl.UNET])
    golden = Golden()
    with torch.no_grad():
        add_text(golden, experts[0])
        add_unet(golden, experts[0], names, "even", 16, 16)
        add_unet(golden, experts[0], names, "odd", 9, 13)
        add_vae(golden, experts[0], "small", 2, 3, True)
        add_vae(golden, experts[0], "square", 8, 8, False)
        add_vae(golden, experts[0], "wide", 6, 10, False)
        add_relay(golden, experts)
    write(golden, experts, args.folder)


if __name__ == "__main__":
    main()
