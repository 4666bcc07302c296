"""The tensors of the demo experts: names and shapes of a single-file SDXL checkpoint, in small.

One list is the whole specification: the modules are built from it (through the name maps of
tools/golden/sdxl_modules.py, which the engine's golden tests hold to its own networks) and a
checkpoint is written from it.  Names: layout of generative-models, Hugging Face CLIP, OpenCLIP.
"""
import math
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import sdxl_modules as sdxl  # noqa: E402

# 64 channels at least: SDXL has 32 groups everywhere, and a group of one channel would forget the
# channel's mean, and with it the time embedding of a residual block.
WIDTH, MULT, DEPTH, MIDDLE = 64, (1, 1, 2), (0, 1, 1), 1
VAE_WIDTH, VAE_MULT, Z = 64, (1, 1, 1, 2), 4
BLOCKS = 2
L_WIDTH, L_LAYERS = 64, 3
G_WIDTH, G_LAYERS = 128, 3
CONTEXT, VECTOR, TIME = L_WIDTH + G_WIDTH, G_WIDTH + 6 * 256, 4 * WIDTH
VOCAB, POSITIONS = 49408, 77


def norm(at, c):
    return {f"{at}.weight": (c,), f"{at}.bias": (c,)}


def linear(at, outputs, inputs, bias=True):
    return {f"{at}.weight": (outputs, inputs)} | ({f"{at}.bias": (outputs,)} if bias else {})


def conv(at, outputs, inputs, size=3):
    return {f"{at}.weight": (outputs, inputs, size, size), f"{at}.bias": (outputs,)}


# ---- UNet ----------------------------------------------------------------------------------------


def unet_res(at, inputs, outputs):
    t = norm(f"{at}.in_layers.0", inputs) | conv(f"{at}.in_layers.2", outputs, inputs)
    t |= linear(f"{at}.emb_layers.1", outputs, TIME)
    t |= norm(f"{at}.out_layers.0", outputs) | conv(f"{at}.out_layers.3", outputs, outputs)
    return t | (conv(f"{at}.skip_connection", outputs, inputs, 1) if inputs != outputs else {})


def unet_attention(at, c, keys):
    t = linear(f"{at}.to_q", c, c, False) | linear(f"{at}.to_k", c, keys, False)
    return t | linear(f"{at}.to_v", c, keys, False) | linear(f"{at}.to_out.0", c, c)


def unet_transformer(at, c, depth):
    t = norm(f"{at}.norm", c) | linear(f"{at}.proj_in", c, c)
    for i in range(depth):
        block = f"{at}.transformer_blocks.{i}"
        t |= norm(f"{block}.norm1", c) | unet_attention(f"{block}.attn1", c, c)
        t |= norm(f"{block}.norm2", c) | unet_attention(f"{block}.attn2", c, CONTEXT)
        t |= norm(f"{block}.norm3", c)
        t |= linear(f"{block}.ff.net.0.proj", 8 * c, c) | linear(f"{block}.ff.net.2", c, 4 * c)
    return t | linear(f"{at}.proj_out", c, c)


def unet():
    t = linear("time_embed.0", TIME, WIDTH) | linear("time_embed.2", TIME, TIME)
    t |= linear("label_emb.0.0", TIME, VECTOR) | linear("label_emb.0.2", TIME, TIME)
    t |= conv("input_blocks.0.0", WIDTH, Z)
    skips, c = [WIDTH], WIDTH
    for level, mult in enumerate(MULT):
        for _ in range(BLOCKS):
            i, outputs = len(skips), WIDTH * mult
            t |= unet_res(f"input_blocks.{i}.0", c, outputs)
            if DEPTH[level]:
                t |= unet_transformer(f"input_blocks.{i}.1", outputs, DEPTH[level])
            c = outputs
            skips.append(c)
        if level < len(MULT) - 1:
            t |= conv(f"input_blocks.{len(skips)}.0.op", c, c)
            skips.append(c)
    t |= unet_res("middle_block.0", c, c) | unet_transformer("middle_block.1", c, MIDDLE)
    t |= unet_res("middle_block.2", c, c)
    for level in reversed(range(len(MULT))):
        for block in range(BLOCKS + 1):
            i = (len(MULT) - 1 - level) * (BLOCKS + 1) + block
            t |= unet_res(f"output_blocks.{i}.0", c + skips.pop(), WIDTH * MULT[level])
            c = WIDTH * MULT[level]
            if DEPTH[level]:
                t |= unet_transformer(f"output_blocks.{i}.1", c, DEPTH[level])
            if level and block == BLOCKS:
                t |= conv(f"output_blocks.{i}.{2 if DEPTH[level] else 1}.conv", c, c)
    return t | norm("out.0", c) | conv("out.2", Z, c)


# ---- text encoders -------------------------------------------------------------------------------


def clip_l():
    t = {"text_model.embeddings.token_embedding.weight": (VOCAB, L_WIDTH),
         "text_model.embeddings.position_embedding.weight": (POSITIONS, L_WIDTH)}
    for i in range(L_LAYERS):
        at = f"text_model.encoder.layers.{i}"
        t |= norm(f"{at}.layer_norm1", L_WIDTH) | norm(f"{at}.layer_norm2", L_WIDTH)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            t |= linear(f"{at}.self_attn.{name}", L_WIDTH, L_WIDTH)
        t |= linear(f"{at}.mlp.fc1", 4 * L_WIDTH, L_WIDTH)
        t |= linear(f"{at}.mlp.fc2", L_WIDTH, 4 * L_WIDTH)
    return t | norm("text_model.final_layer_norm", L_WIDTH)


def clip_g():
    t = {"token_embedding.weight": (VOCAB, G_WIDTH), "positional_embedding": (POSITIONS, G_WIDTH)}
    for i in range(G_LAYERS):
        at = f"transformer.resblocks.{i}"
        t |= norm(f"{at}.ln_1", G_WIDTH) | norm(f"{at}.ln_2", G_WIDTH)
        t |= {f"{at}.attn.in_proj_weight": (3 * G_WIDTH, G_WIDTH),
              f"{at}.attn.in_proj_bias": (3 * G_WIDTH,)}
        t |= linear(f"{at}.attn.out_proj", G_WIDTH, G_WIDTH)
        t |= linear(f"{at}.mlp.c_fc", 4 * G_WIDTH, G_WIDTH)
        t |= linear(f"{at}.mlp.c_proj", G_WIDTH, 4 * G_WIDTH)
    return t | norm("ln_final", G_WIDTH) | {"text_projection": (G_WIDTH, G_WIDTH)}


# ---- VAE -----------------------------------------------------------------------------------------


def vae_res(at, inputs, outputs):
    t = norm(f"{at}.norm1", inputs) | conv(f"{at}.conv1", outputs, inputs)
    t |= norm(f"{at}.norm2", outputs) | conv(f"{at}.conv2", outputs, outputs)
    return t | (conv(f"{at}.nin_shortcut", outputs, inputs, 1) if inputs != outputs else {})


def vae_middle(half, c):
    t = vae_res(f"{half}.mid.block_1", c, c) | norm(f"{half}.mid.attn_1.norm", c)
    for name in ("q", "k", "v", "proj_out"):
        t |= conv(f"{half}.mid.attn_1.{name}", c, c, 1)
    return t | vae_res(f"{half}.mid.block_2", c, c)


def vae():
    levels, c = len(VAE_MULT), VAE_WIDTH
    t = conv("encoder.conv_in", c, 3)
    for level, mult in enumerate(VAE_MULT):
        for block in range(BLOCKS):
            t |= vae_res(f"encoder.down.{level}.block.{block}", c, VAE_WIDTH * mult)
            c = VAE_WIDTH * mult
        if level < levels - 1:
            t |= conv(f"encoder.down.{level}.downsample.conv", c, c)
    t |= vae_middle("encoder", c) | norm("encoder.norm_out", c)
    t |= conv("encoder.conv_out", 2 * Z, c) | conv("quant_conv", 2 * Z, 2 * Z, 1)
    t |= conv("post_quant_conv", Z, Z, 1) | conv("decoder.conv_in", c, Z)
    t |= vae_middle("decoder", c)
    for level in reversed(range(levels)):
        for block in range(BLOCKS + 1):
            t |= vae_res(f"decoder.up.{level}.block.{block}", c, VAE_WIDTH * VAE_MULT[level])
            c = VAE_WIDTH * VAE_MULT[level]
        if level:
            t |= conv(f"decoder.up.{level}.upsample.conv", c, c)
    return t | norm("decoder.norm_out", c) | conv("decoder.conv_out", 3, c)


# ---- first values --------------------------------------------------------------------------------

# Last layer of a residual branch: starts at zero, so that every block starts as the identity.
ZERO = (".out_layers.3.weight", ".proj_out.weight", "out.2.weight", ".conv2.weight",
        ".ff.net.2.weight", ".to_out.0.weight")
# Of a text encoder's branches, which carry the only path between positions: small instead.
SMALL = (".out_proj.weight", ".mlp.fc2.weight", ".mlp.c_proj.weight")
# Normalisation of two channels per group forgets how loud and how bright they were, and with it a
# picture's colours, unless one of them is known.  So the VAE starts with channels that are known:
# number 1 of a stream is the constant 1, and of every four the last one is a frame: a constant on
# the picture's edge, 0 elsewhere, made from that 1 by a Laplacian that meets the zeros of the
# padding.  Loudness of the frame after each resize: mean square of about 2 over the map.
FRAMES = {"encoder.down.0.downsample.conv": 2.7, "encoder.down.1.downsample.conv": 1.9,
          "encoder.down.2.downsample.conv": 1.35, "decoder.up.3.upsample.conv": 1.35,
          "decoder.up.2.upsample.conv": 1.9, "decoder.up.1.upsample.conv": 2.7}
ENDS = ("encoder.conv_in", "decoder.conv_in", "encoder.conv_out", "decoder.conv_out")
ONE, EVERY = 1, 4


def vae_stream(name, shape, generator):
    """First weight of a convolution that resizes: 2x2 averages going down, copies going up."""
    weight = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
    frames = torch.arange(EVERY - 1, shape[1], EVERY)
    if name.endswith("conv_out.weight"):
        weight[:, frames] = 0
        return weight
    if name.endswith("conv_in.weight"):
        weight[frames] = weight[ONE] = 0
        return weight
    same, down = torch.zeros(3, 3), "downsample" in name
    if down:
        same[:2, :2] = 0.25  # this convolution is padded right and below only
    else:
        same[1, 1] = 1.0
    for channel in range(0, shape[0], 2 if down else 1):
        weight[channel] = 0
        weight[channel, channel] = same
    weight[:, frames] = weight[:, ONE] = weight[frames] = weight[ONE] = 0
    laplacian = torch.full((3, 3), -1.0)
    laplacian[1, 1] = 8.0
    weight[frames, ONE] = FRAMES[name.removesuffix(".weight")] * laplacian
    return weight


def first_value(name, shape, generator):
    """Seeded first value of the tensor."""
    layer = name.rpartition(".")[0]
    if name.endswith(".bias"):
        value = torch.zeros(shape)
        if layer in FRAMES or layer in ENDS[:2]:
            value[ONE] = 1.0
        return value
    if len(shape) == 1:
        return torch.ones(shape)  # of a normalisation
    if layer in FRAMES or layer in ENDS:
        return vae_stream(name, shape, generator)
    if name.endswith(ZERO):
        return torch.zeros(shape)
    if "embedding" in name:
        return 0.02 * torch.randn(shape, generator=generator)
    gain = 0.3 if name.endswith(SMALL) else 1.0
    return torch.randn(shape, generator=generator) * gain / math.sqrt(math.prod(shape[1:]))


def first_values(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: first_value(name, shape, generator) for name, shape in shapes.items()}
