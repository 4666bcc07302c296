"""An expert to train: modules in SDXL's layout, and the checkpoint made from them."""
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

import captions
import layout

sdxl = layout.sdxl
TABLES = {sdxl.CLIP_L: "text_model.embeddings.token_embedding.weight",
          sdxl.CLIP_G: "token_embedding.weight"}
SEEDS = {sdxl.CLIP_L: 1, sdxl.CLIP_G: 2}  # of the rows that no caption uses
ROW_DEVIATION = 0.02


def scramble(x):
    """SplitMix (Steele, Lea & Flood 2014) of u64s, as the engine's random checkpoints use it."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def seeded_rows(seed, rows, width):
    """Table f16 [rows, width] of uniform elements of deviation 0.02, the same in any language.

    Element i takes bits 16 (i mod 4) .. of scramble(scramble(seed) + i / 4): the level of one of
    2^16 equal steps."""
    with np.errstate(over="ignore"):
        key = scramble(np.array([seed], dtype=np.uint64))
        words = scramble(key + np.arange((rows * width + 3) // 4, dtype=np.uint64))
    levels = words.astype("<u8").view("<u2")[:rows * width].astype(np.float32) - 32768
    unit = np.float32(ROW_DEVIATION * 3 ** 0.5) * np.float32(2.0 ** -15)
    return torch.from_numpy((levels * unit).astype(np.float16).reshape(rows, width))


class Table(torch.nn.Module):
    """A token table of which only the used rows are trained; the rest is a function of the seed."""

    def __init__(self, used, rest):
        super().__init__()
        index = torch.full((rest.shape[0],), -1)
        index[torch.tensor(used)] = torch.arange(len(used))
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("rest", rest.float(), persistent=False)
        self.rows = torch.nn.Parameter(rest[torch.tensor(used)].float().clone())

    def forward(self, ids):
        row = self.index[ids]
        return torch.where((row >= 0)[..., None], self.rows[row.clamp(min=0)], self.rest[ids])

    def whole(self):
        """[vocabulary, width] as a checkpoint holds it."""
        table = self.rest.clone()
        table[self.index >= 0] = self.rows.detach()
        return table


class Sinusoids(sdxl.Sinusoids):
    """Of numbers on any device: they are few, and f64 belongs to the CPU."""

    def forward(self, value):
        return super().forward(value.cpu()).to(value.device, torch.float32)


class Denoiser(torch.nn.Module):
    """UNet and both text encoders: what is trained on captions and latents."""

    def __init__(self, seed):
        super().__init__()
        f32 = torch.float32
        used = captions.used_tokens(captions.Tokenizer())
        self.unet = sdxl.build_unet(layout.first_values(layout.unet(), seed), f32)
        self.clip_l = sdxl.build_clip_l(layout.first_values(layout.clip_l(), seed + 1), f32)
        self.clip_g = sdxl.build_clip_g(layout.first_values(layout.clip_g(), seed + 2), f32)
        for clip, part, width in ((self.clip_l, sdxl.CLIP_L, layout.L_WIDTH),
                                  (self.clip_g, sdxl.CLIP_G, layout.G_WIDTH)):
            clip.text_model.embeddings.token_embedding = Table(
                used, seeded_rows(SEEDS[part], layout.VOCAB, width))
        self.unet.time_proj, self.numbers = Sinusoids(layout.WIDTH), Sinusoids(256)
        self.requires_grad_(True)
        # SDXL reads CLIP-L before its last layer: nothing trains that layer.
        self.clip_l.text_model.encoder.layers[-1].requires_grad_(False)
        self.clip_l.text_model.final_layer_norm.requires_grad_(False)

    def text(self, ids_l, ids_g):
        """Context [n, 77, c] and pooled [n, p] of token rows [n, 77]."""
        l = self.clip_l(ids_l, output_hidden_states=True).hidden_states[-2]
        g = self.clip_g(ids_g, output_hidden_states=True)
        return torch.cat([l, g.hidden_states[-2]], dim=-1), g.text_embeds

    def forward(self, x, timestep, ids_l, ids_g, sizes, told):
        """Noise [n, 4, h, w] in x; sizes [n, 6]; told [n]: 0 where the text is left out, which
        is all zeros for SDXL, not the encoding of an empty prompt."""
        context, pooled = self.text(ids_l, ids_g)
        context, pooled = context * told[:, None, None], pooled * told[:, None]
        numbers = self.numbers(sizes.flatten()).reshape(len(x), -1)
        vector = torch.cat([pooled, numbers], dim=1)
        return sdxl.unet_forward(self.unet, x, timestep, context, vector)


# ---- to a checkpoint -----------------------------------------------------------------------------


def from_clip_g(shapes, state):
    """OpenCLIP's tensors of the module's: sdxl_modules.open_clip_to_hf the other way round."""
    out = {}
    for name in shapes:
        if name == "text_projection":
            out[name] = state["text_projection.weight"].T
        elif ".attn.in_proj_" in name:
            block, kind = name.split(".attn.in_proj_")
            layer = block.replace("transformer.resblocks", "text_model.encoder.layers")
            out[name] = torch.cat([state[f"{layer}.self_attn.{h}_proj.{kind}"] for h in "qkv"])
        else:
            # The map is from names to names: feed it one tensor and see where it went.
            (mapped,) = sdxl.open_clip_to_hf({name: torch.empty(0)})
            out[name] = state[mapped]
    return out


def part_tensors(prefix, module):
    """{name in the file: tensor} of one part's module; prefix: one of sdxl_modules' four."""
    state = dict(module.state_dict())
    if prefix in TABLES:
        at = "text_model.embeddings.token_embedding"
        del state[f"{at}.rows"]
        state[f"{at}.weight"] = module.text_model.embeddings.token_embedding.whole()
    if prefix == sdxl.UNET:
        shapes = layout.unet()
        found = {name: state[sdxl.unet_name(name)] for name in shapes}
    elif prefix == sdxl.VAE:
        shapes = layout.vae()
        levels = len(layout.VAE_MULT)
        found = {name: state[sdxl.vae_name(name, levels)] for name in shapes}
    elif prefix == sdxl.CLIP_L:
        shapes = layout.clip_l()
        found = {name: state[name] for name in shapes}
    else:
        shapes = layout.clip_g()
        found = from_clip_g(shapes, state)
    return {prefix + name: found[name].detach().reshape(shapes[name]) for name in shapes}


def f16(tensors):
    return {name: t.to("cpu", torch.float16).contiguous().clone() for name, t in tensors.items()}


def unet_part(denoiser):
    return f16(part_tensors(sdxl.UNET, denoiser.unet))


def vae_part(vae):
    return f16(part_tensors(sdxl.VAE, vae))


def text_part(denoiser, whole=False):
    """Both text encoders; of the token tables only the used rows, whose numbers are "used_tokens"
    (i32 [rows]), unless the whole tables are wanted."""
    tensors = f16(part_tensors(sdxl.CLIP_L, denoiser.clip_l)
                  | part_tensors(sdxl.CLIP_G, denoiser.clip_g))
    if not whole:
        used = captions.used_tokens(captions.Tokenizer())
        for prefix, table in TABLES.items():
            tensors[prefix + table] = tensors[prefix + table][used].clone()
        tensors["used_tokens"] = torch.tensor(used, dtype=torch.int32)
    return tensors


def checkpoint(denoiser, vae):
    """All tensors of a single-file checkpoint, f16."""
    return unet_part(denoiser) | text_part(denoiser, whole=True) | vae_part(vae)


def save(path, tensors, notes):
    """A safetensors file and, beside it, where it comes from."""
    path = pathlib.Path(path)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"format": "pt"})
    part.replace(path)
    path.with_suffix(".json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
