"""A single-file SDXL checkpoint as diffusers and transformers modules, in any size.

Every size is read off the tensors' shapes, so a tiny checkpoint of the same layout works like a
full one; every tensor of the file must find its place and every parameter its tensor (strict).
Names: layout of generative-models (sd_xl_base.yaml), Hugging Face CLIP, OpenCLIP.
"""
import functools
import re

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2DCrossAttn
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.models.clip import modeling_clip

UNET = "model.diffusion_model."
CLIP_L = "conditioner.embedders.0.transformer."
CLIP_G = "conditioner.embedders.1.model."
REFINER_CLIP_G = "conditioner.embedders.0.model."  # of Stability's refiner, which has no CLIP-L
VAE = "first_stage_model."
HEAD = 64
TOKEN_END = 49407
# Saved by training code, used by nobody.
UNUSED = re.compile(r"(position_ids|logit_scale)$")


def read_parts(path):
    """{prefix: {name without prefix: tensor}}; a tensor outside the four parts is an error."""
    parts = {UNET: {}, CLIP_L: {}, CLIP_G: {}, VAE: {}}
    for name, tensor in load_file(path).items():
        name = name.replace(REFINER_CLIP_G, CLIP_G, 1)
        prefix = next((p for p in parts if name.startswith(p)), None)
        if prefix is None:
            raise ValueError(f"{path}: {name} belongs to no part")
        if not UNUSED.search(name):
            parts[prefix][name[len(prefix):]] = tensor
    return parts


def load_strict(module, tensors, dtype):
    """Every parameter gets exactly one tensor of its own shape."""
    module.load_state_dict(tensors, strict=True)
    return torch.nn.Module.to(module, dtype).eval().requires_grad_(False)


def count(names, pattern):
    """1 + the greatest number that `pattern`'s group takes among `names`; 0 if none does."""
    found = [int(m.group(1)) for m in map(re.compile(pattern).match, names) if m]
    return max(found, default=-1) + 1


def swap(name, table):
    """`name` with the first key of `table` that starts it replaced."""
    for old, new in table.items():
        if name.startswith(old):
            return new + name[len(old):]
    raise ValueError(f"no rule for {name}")


# ---- UNet ----------------------------------------------------------------------------------------

RES = {"in_layers.0.": "norm1.", "in_layers.2.": "conv1.", "emb_layers.1.": "time_emb_proj.",
       "out_layers.0.": "norm2.", "out_layers.3.": "conv2.", "skip_connection.": "conv_shortcut."}
UNET_ENDS = {"time_embed.0.": "time_embedding.linear_1.",
             "time_embed.2.": "time_embedding.linear_2.",
             "label_emb.0.0.": "add_embedding.linear_1.",
             "label_emb.0.2.": "add_embedding.linear_2.",
             "input_blocks.0.0.": "conv_in.", "out.0.": "conv_norm_out.", "out.2.": "conv_out."}


def unet_module(block):
    """diffusers' module of an LDM one: "input_blocks.4.1" -> "down_blocks.1.attentions.0".

    Two residual blocks per level going down and three going up; index 0 of a block is a residual
    block (or the strided convolution "0.op"), 1 a transformer or, like 2, the upsampler."""
    kind, index, *rest = block.split(".")
    if kind == "middle_block":
        return "mid_block." + {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}[index]
    index = int(index)
    if kind == "input_blocks":
        base, layer = f"down_blocks.{(index - 1) // 3}.", (index - 1) % 3
    else:
        base, layer = f"up_blocks.{index // 3}.", index % 3
    if rest == ["0", "op"]:
        return base + "downsamplers.0.conv"
    if rest[-1] == "conv":
        return base + "upsamplers.0.conv"
    return f"{base}{('resnets', 'attentions')[int(rest[0])]}.{layer}"


def unet_name(name):
    """diffusers' parameter name of an LDM one."""
    if any(name.startswith(end) for end in UNET_ENDS):
        return swap(name, UNET_ENDS)
    pattern = r"(middle_block\.\d+|\w+\.\d+\.\d+(?:\.op|\.conv)?)\.(.*)"
    block, rest = re.match(pattern, name).groups()
    module = unet_module(block)
    return f"{module}.{swap(rest, RES) if '.resnets.' in module else rest}"


class Sinusoids(torch.nn.Module):
    """Cosines, then sines, of value * 10000^(-i / (dim/2)), evaluated in f64 always."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, value):
        half = self.dim // 2
        freq = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = value.to(torch.float64)[:, None] * freq
        return torch.cat([angle.cos(), angle.sin()], dim=1)


def upsample_then_resize(conv, x, size=None):
    """Nearest 2x, convolution, and only then the nearest resize to an odd skip map, as
    generative-models and A1111 do.  diffusers instead upsamples to the odd size before the
    convolution: another picture."""
    x = conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    odd = size is not None and tuple(size) != tuple(x.shape[-2:])
    return F.interpolate(x, size=tuple(size), mode="nearest") if odd else x


def unet_config(t):
    """Keyword arguments of UNet2DConditionModel, and the depth of the middle block."""
    levels = (count(t, r"input_blocks\.(\d+)\.") + 2) // 3
    channels = [t[f"input_blocks.{1 + 3 * i}.0.out_layers.0.weight"].shape[0]
                for i in range(levels)]
    depth = [count(t, rf"input_blocks\.{1 + 3 * i}\.1\.transformer_blocks\.(\d+)")
             for i in range(levels)]
    context = t["middle_block.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]
    kinds = ["CrossAttn" if d else "" for d in depth]
    config = dict(
        in_channels=t["input_blocks.0.0.weight"].shape[1], out_channels=t["out.2.weight"].shape[0],
        block_out_channels=channels, layers_per_block=2, norm_num_groups=32, norm_eps=1e-5,
        down_block_types=[("%sDownBlock2D" % k) for k in kinds],
        up_block_types=[("%sUpBlock2D" % k) for k in reversed(kinds)],
        transformer_layers_per_block=[max(d, 1) for d in depth], cross_attention_dim=context,
        # diffusers calls the number of heads "attention_head_dim".
        attention_head_dim=[max(c // HEAD, 1) for c in channels],
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=t["label_emb.0.0.weight"].shape[1],
    )
    return config, count(t, r"middle_block\.1\.transformer_blocks\.(\d+)")


def build_unet(t, dtype):
    """The UNet; call it with unet_forward."""
    config, middle = unet_config(t)
    unet = UNet2DConditionModel(**config)
    width, top = config["block_out_channels"][0], config["block_out_channels"][-1]
    # The constructor gives the middle block the last level's depth; here it is a size of its own.
    unet.mid_block = UNetMidBlock2DCrossAttn(
        in_channels=top, temb_channels=t["time_embed.2.weight"].shape[0], resnet_eps=1e-5,
        resnet_groups=32, transformer_layers_per_block=middle, num_attention_heads=top // HEAD,
        cross_attention_dim=config["cross_attention_dim"], use_linear_projection=True)
    unet.time_proj = Sinusoids(width)
    for module in unet.modules():
        if type(module).__name__ == "Upsample2D":
            module.forward = functools.partial(upsample_then_resize, module.conv)
    linear = {k: v.flatten(1) if re.search(r"\.proj_(in|out)\.weight$", k) else v
              for k, v in t.items()}
    return load_strict(unet, {unet_name(k): v for k, v in linear.items()}, dtype)


def unet_forward(unet, x, timestep, context, vector):
    """x [n, 4, h, w], timestep [n], context [n, tokens, c], vector [n, v] -> eps [n, 4, h, w]."""
    # The whole vector is given: nothing of it is derived from sizes in here.
    unet.get_aug_embed = lambda **_: unet.add_embedding(vector)
    return unet(x, timestep, context, return_dict=False)[0]


# ---- VAE -----------------------------------------------------------------------------------------

VAE_MID = {"block_1.": "resnets.0.", "block_2.": "resnets.1.",
           "attn_1.norm.": "attentions.0.group_norm.", "attn_1.q.": "attentions.0.to_q.",
           "attn_1.k.": "attentions.0.to_k.", "attn_1.v.": "attentions.0.to_v.",
           "attn_1.proj_out.": "attentions.0.to_out.0."}


def vae_name(name, levels):
    """diffusers' parameter name of an LDM one; LDM numbers the decoder's levels from the image."""
    name = name.replace("nin_shortcut.", "conv_shortcut.").replace("norm_out.", "conv_norm_out.")
    if m := re.match(r"(encoder|decoder)\.mid\.(.*)", name):
        return f"{m[1]}.mid_block.{swap(m[2], VAE_MID)}"
    if m := re.match(r"encoder\.down\.(\d+)\.(block\.|downsample\.)(.*)", name):
        return f"encoder.down_blocks.{m[1]}." + \
            (f"resnets.{m[3]}" if m[2] == "block." else f"downsamplers.0.{m[3]}")
    if m := re.match(r"decoder\.up\.(\d+)\.(block\.|upsample\.)(.*)", name):
        return f"decoder.up_blocks.{levels - 1 - int(m[1])}." + \
            (f"resnets.{m[3]}" if m[2] == "block." else f"upsamplers.0.{m[3]}")
    return name


def vae_config(t):
    """Keyword arguments of AutoencoderKL."""
    levels = count(t, r"decoder\.up\.(\d+)\.")
    channels = [t[f"decoder.up.{i}.block.0.norm2.weight"].shape[0] for i in range(levels)]
    return dict(block_out_channels=channels, layers_per_block=2, norm_num_groups=32,
                latent_channels=t["decoder.conv_in.weight"].shape[1],
                down_block_types=["DownEncoderBlock2D"] * levels,
                up_block_types=["UpDecoderBlock2D"] * levels)


def build_vae(t, dtype):
    config = vae_config(t)
    levels = len(config["block_out_channels"])
    # The attention's 1x1 convolutions are Linears in diffusers.
    flat = {k: v.flatten(1) if re.search(r"attn_1\.(q|k|v|proj_out)\.weight$", k) else v
            for k, v in t.items()}
    named = {vae_name(k, levels): v for k, v in flat.items()}
    return load_strict(AutoencoderKL(**config), named, dtype)


# ---- text encoders -------------------------------------------------------------------------------

OPEN_BLOCK = {"ln_1.": "layer_norm1.", "ln_2.": "layer_norm2.",
              "attn.out_proj.": "self_attn.out_proj.", "mlp.c_fc.": "mlp.fc1.",
              "mlp.c_proj.": "mlp.fc2."}
OPEN_ENDS = {"token_embedding.weight": "embeddings.token_embedding.weight",
             "positional_embedding": "embeddings.position_embedding.weight",
             "ln_final.": "final_layer_norm."}


def causal_mask(shape, dtype, device, **_):
    """[1, 1, n, n]: minus infinity above the diagonal; transformers' own fails in f64."""
    return torch.full((1, 1, shape[1], shape[1]), -torch.inf, dtype=dtype, device=device).triu(1)


modeling_clip._create_4d_causal_attention_mask = causal_mask


def clip_config(tokens, positions, mlp, layers, **more):
    width = tokens.shape[1]
    return CLIPTextConfig(
        vocab_size=tokens.shape[0], hidden_size=width, intermediate_size=mlp.shape[0],
        num_hidden_layers=layers, num_attention_heads=width // HEAD,
        max_position_embeddings=positions.shape[0], layer_norm_eps=1e-5, bos_token_id=49406,
        eos_token_id=TOKEN_END, attn_implementation="sdpa", **more)


def build_clip_l(t, dtype):
    config = clip_config(t["text_model.embeddings.token_embedding.weight"],
                         t["text_model.embeddings.position_embedding.weight"],
                         t["text_model.encoder.layers.0.mlp.fc1.weight"],
                         count(t, r"text_model\.encoder\.layers\.(\d+)\."), hidden_act="quick_gelu")
    return load_strict(CLIPTextModel(config), t, dtype)


def open_clip_to_hf(t):
    """OpenCLIP's text tower under Hugging Face's names: fused q k v rows split, projection turned
    (OpenCLIP computes x P, a Linear computes W x)."""
    out = {}
    for name, tensor in t.items():
        if name == "text_projection":
            out["text_projection.weight"] = tensor.T.contiguous()
        elif m := re.match(r"transformer\.resblocks\.(\d+)\.(.*)", name):
            base = f"text_model.encoder.layers.{m[1]}."
            if q := re.match(r"attn\.in_proj_(weight|bias)", m[2]):
                for head, rows in zip("qkv", tensor.chunk(3)):
                    out[f"{base}self_attn.{head}_proj.{q[1]}"] = rows.contiguous()
            else:
                out[base + swap(m[2], OPEN_BLOCK)] = tensor
        else:
            out["text_model." + swap(name, OPEN_ENDS)] = tensor
    return out


def build_clip_g(t, dtype):
    config = clip_config(t["token_embedding.weight"], t["positional_embedding"],
                         t["transformer.resblocks.0.mlp.c_fc.weight"],
                         count(t, r"transformer\.resblocks\.(\d+)\."), hidden_act="gelu",
                         projection_dim=t["text_projection"].shape[1])
    return load_strict(CLIPTextModelWithProjection(config), open_clip_to_hf(t), dtype)
