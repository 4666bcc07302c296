r"""Checks networks.safetensors by other roads than the one that made it.

    python tools/golden/check_networks.py tiny7.safetensors tiny8.safetensors \
        tests/golden/networks.safetensors

1. Names: diffusers' own single-file conversion of the checkpoint gives the same parameters.
2. bigG: open_clip's text tower, loaded with the checkpoint's own names, gives the same outputs.
3. CLIP-L, UNet and VAE: a plain restatement over the checkpoint's names, below, in f64, gives the
   same tensors.  It knows nothing of diffusers: it follows the block table of SDXL.
4. The relay: the same restatement, and diffusers' own Karras sigmas and timesteps.
"""
import math
import sys

import diffusers.loaders.single_file_utils as single_file
import open_clip
import torch
import torch.nn.functional as F
from diffusers import EulerDiscreteScheduler
from safetensors.torch import load_file

import sdxl_modules as sdxl

F64 = torch.float64
LIMIT = 3e-7  # f64 against f64, both rounded to f32 once


class Report:
    def __init__(self, golden):
        self.golden, self.seen, self.worst = golden, set(), 0.0

    def close(self, name, value):
        """value [1, c, h, w] or as stored, against the golden tensor of that name."""
        want = self.golden[name].to(F64)
        value = value.permute(0, 2, 3, 1) if value.ndim == 4 else value
        error = float((value - want).norm() / want.norm())
        self.seen.add(name)
        self.worst = max(self.worst, error)
        if value.shape != want.shape or not error <= LIMIT:
            sys.exit(f"{name}: {list(value.shape)} against {list(want.shape)}, error {error:.3g}")


# ---- names ---------------------------------------------------------------------------------------


def same(what, module, theirs):
    """Each parameter of ours equals the one diffusers' conversion gives; none is left over."""
    ours = module.state_dict()
    theirs = {k: v for k, v in theirs.items() if not sdxl.UNUSED.search(k)}
    if set(ours) != set(theirs):
        sys.exit(f"{what}: names differ: {sorted(set(ours) ^ set(theirs))[:6]}")
    for name, tensor in ours.items():
        other = theirs[name].to(F64)
        if not torch.equal(tensor.reshape(other.shape), other):
            sys.exit(f"{what}: {name} differs")
    print(f"{what}: {len(ours)} parameters as diffusers converts them")


def check_names(file, parts):
    unet, vae = sdxl.build_unet(parts[sdxl.UNET], F64), sdxl.build_vae(parts[sdxl.VAE], F64)
    clip_l = sdxl.build_clip_l(parts[sdxl.CLIP_L], F64)
    clip_g = sdxl.build_clip_g(parts[sdxl.CLIP_G], F64)
    same("UNet", unet, single_file.convert_ldm_unet_checkpoint(dict(file), dict(unet.config)))
    same("VAE", vae, single_file.convert_ldm_vae_checkpoint(dict(file), dict(vae.config)))
    same("CLIP-L", clip_l, single_file.convert_ldm_clip_checkpoint(dict(file)))
    same("bigG", clip_g, single_file.convert_open_clip_checkpoint(
        clip_g, dict(file), prefix=sdxl.CLIP_G))


# ---- text ----------------------------------------------------------------------------------------


def check_clip_g(report, t):
    width = t["token_embedding.weight"].shape[1]
    layers = sdxl.count(t, r"transformer\.resblocks\.(\d+)\.")
    tower = open_clip.transformer.TextTransformer(
        context_length=77, vocab_size=t["token_embedding.weight"].shape[0], width=width,
        heads=width // sdxl.HEAD, layers=layers, output_dim=t["text_projection"].shape[1],
        mlp_ratio=t["transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / width)
    tower.load_state_dict(t, strict=True)
    tower = tower.to(F64).eval()
    ids = report.golden["text.g.ids"].long()
    inputs = []
    tower.transformer.resblocks[-1].register_forward_pre_hook(lambda _, a: inputs.append(a[0]))
    report.close("text.g.pooled", tower(ids))
    report.close("text.g.penultimate", inputs[0])


def attend(q, k, v, heads, mask=None):
    """[n, s, c] each, split into heads; softmax(q k / sqrt(d)) v."""
    def split(x):
        return x.unflatten(2, (heads, -1)).transpose(1, 2)
    q, k, v = split(q), split(k), split(v)
    score = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    score = score if mask is None else score + mask
    return (score.softmax(3) @ v).transpose(1, 2).flatten(2)


class Plain:
    """The layers of a checkpoint part, by name."""

    def __init__(self, tensors):
        self.t = {k: v.to(F64) for k, v in tensors.items()}

    def has(self, name):
        return any(k.startswith(name + ".") for k in self.t)

    def linear(self, name, x):
        return x @ self.t[name + ".weight"].flatten(1).T + self.t.get(name + ".bias", 0.0)

    def conv(self, name, x, stride=1):
        weight = self.t[name + ".weight"]
        return F.conv2d(x, weight, self.t[name + ".bias"], stride, weight.shape[2] // 2)

    def layer_norm(self, name, x):
        x = (x - x.mean(-1, True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return x * self.t[name + ".weight"] + self.t[name + ".bias"]

    def group_norm(self, name, x, eps):
        g = x.unflatten(1, (32, -1)).flatten(2)
        g = (g - g.mean(2, True)) / (g.var(2, correction=0, keepdim=True) + eps).sqrt()
        shape = (1, -1, 1, 1)
        return (g.reshape(x.shape) * self.t[name + ".weight"].reshape(shape)
                + self.t[name + ".bias"].reshape(shape))


def check_clip_l(report, p):
    base = "text_model."
    ids = report.golden["text.l.ids"].long()
    x = p.t[base + "embeddings.token_embedding.weight"][ids]
    x = x + p.t[base + "embeddings.position_embedding.weight"]
    mask = torch.full((77, 77), -torch.inf, dtype=F64).triu(1)
    for i in range(sdxl.count(p.t, r"text_model\.encoder\.layers\.(\d+)\.") - 1):
        layer = f"{base}encoder.layers.{i}."
        y = p.layer_norm(layer + "layer_norm1", x)
        q, k, v = (p.linear(f"{layer}self_attn.{s}_proj", y) for s in "qkv")
        x = x + p.linear(layer + "self_attn.out_proj", attend(q, k, v, x.shape[2] // 64, mask))
        y = p.linear(layer + "mlp.fc1", p.layer_norm(layer + "layer_norm2", x))
        x = x + p.linear(layer + "mlp.fc2", y * torch.sigmoid(1.702 * y))
    report.close("text.l.penultimate", x)


# ---- UNet ----------------------------------------------------------------------------------------


def silu(x):
    return x * torch.sigmoid(x)


def res_block(p, name, x, emb):
    y = p.conv(name + ".in_layers.2", silu(p.group_norm(name + ".in_layers.0", x, 1e-5)))
    y = y + p.linear(name + ".emb_layers.1", silu(emb))[:, :, None, None]
    y = p.conv(name + ".out_layers.3", silu(p.group_norm(name + ".out_layers.0", y, 1e-5)))
    skip = name + ".skip_connection"
    return y + (p.conv(skip, x) if p.has(skip) else x)


def transformer(p, name, x, context):
    n, c, h, w = x.shape
    y = p.group_norm(name + ".norm", x, 1e-6).flatten(2).transpose(1, 2)
    y = p.linear(name + ".proj_in", y)
    for j in range(sdxl.count(p.t, name.replace(".", r"\.") + r"\.transformer_blocks\.(\d+)\.")):
        block = f"{name}.transformer_blocks.{j}."
        for at, norm in (("attn1", "norm1"), ("attn2", "norm2")):
            z = p.layer_norm(block + norm, y)
            source = z if at == "attn1" else context
            out = attend(p.linear(f"{block}{at}.to_q", z), p.linear(f"{block}{at}.to_k", source),
                         p.linear(f"{block}{at}.to_v", source), c // 64)
            y = y + p.linear(f"{block}{at}.to_out.0", out)
        z = p.linear(block + "ff.net.0.proj", p.layer_norm(block + "norm3", y))
        value, gate = z.chunk(2, 2)
        gate = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
        y = y + p.linear(block + "ff.net.2", value * gate)
    return x + p.linear(name + ".proj_out", y).transpose(1, 2).reshape(n, c, h, w)


def unet_block(p, name, x, emb, context, check):
    """Every module of one block in its order; `check` is told each inner one's output."""
    indices = [i for i in range(3) if p.has(f"{name}.{i}")]
    for i in indices:
        part = f"{name}.{i}"
        if p.has(part + ".in_layers"):
            x = res_block(p, part, x, emb)
        elif p.has(part + ".proj_in"):
            x = transformer(p, part, x, context)
        elif p.has(part + ".op"):
            x = p.conv(part + ".op", x, stride=2)
        elif p.has(part + ".conv"):
            x = p.conv(part + ".conv", x.repeat_interleave(2, 2).repeat_interleave(2, 3))
        else:
            x = p.conv(part, x)
        check(name if i == indices[-1] else part, x)
    return x


def nearest(x, h, w):
    rows, columns = (torch.arange(n) * have // n for n, have in ((h, x.shape[2]), (w, x.shape[3])))
    return x[:, :, rows][:, :, :, columns]


def sinusoids(value, dim):
    angle = [value * math.exp(-math.log(10000) * i / (dim // 2)) for i in range(dim // 2)]
    return torch.tensor([[math.cos(a) for a in angle] + [math.sin(a) for a in angle]], dtype=F64)


def unet(p, x, time, context, vector, check):
    """eps [1, 4, h, w]; `check` is told every intermediate tensor under its golden name."""
    table = sinusoids(time, p.t["time_embed.0.weight"].shape[1])
    time_embed = p.linear("time_embed.2", silu(p.linear("time_embed.0", table)))
    label = p.linear("label_emb.0.2", silu(p.linear("label_emb.0.0", vector)))
    emb, skips = time_embed + label, []
    for name, value in (("time_embed", time_embed), ("label_emb", label), ("emb", emb)):
        check(name, value)
    for i in range(sdxl.count(p.t, r"input_blocks\.(\d+)\.")):
        x = unet_block(p, f"input_blocks.{i}", x, emb, context, check)
        skips.append(x)
    x = unet_block(p, "middle_block", x, emb, context, check)
    for i in range(sdxl.count(p.t, r"output_blocks\.(\d+)\.")):
        skip = skips.pop()
        if x.shape[2:] != skip.shape[2:]:
            x = nearest(x, *skip.shape[2:])
            check(f"output_blocks.{i - 1}.resized", x)
        x = unet_block(p, f"output_blocks.{i}", torch.cat([x, skip], 1), emb, context, check)
    x = p.conv("out.2", silu(p.group_norm("out.0", x, 1e-5)))
    check("out", x)
    return x


def check_unet(report, p, case):
    golden = report.golden

    def check(name, value):
        full = f"unet.{name}" if "emb" in name else f"unet.{case}.{name}"
        if full in golden:
            report.close(full, value)

    x = golden[f"unet.{case}.x"].to(F64).permute(0, 3, 1, 2)
    unet(p, x, 601.5, golden["unet.context"].to(F64), golden["unet.vector"].to(F64), check)
    report.seen |= {f"unet.{case}.x", "unet.context", "unet.vector"}


# ---- VAE -----------------------------------------------------------------------------------------


def vae_res(p, name, x):
    y = p.conv(name + ".conv1", silu(p.group_norm(name + ".norm1", x, 1e-6)))
    y = p.conv(name + ".conv2", silu(p.group_norm(name + ".norm2", y, 1e-6)))
    skip = name + ".nin_shortcut"
    return y + (p.conv(skip, x) if p.has(skip) else x)


def vae_attention(p, name, x):
    n, c, h, w = x.shape
    y = p.group_norm(name + ".norm", x, 1e-6).flatten(2).transpose(1, 2)
    y = attend(*(p.linear(f"{name}.{s}", y) for s in "qkv"), 1)
    return x + p.linear(name + ".proj_out", y).transpose(1, 2).reshape(n, c, h, w)


def check_vae(report, p, case):
    def check(name, value):
        if f"vae.{case}.{name}" in report.golden:
            report.close(f"vae.{case}.{name}", value)

    latent = report.golden[f"vae.{case}.latent"].to(F64).permute(0, 3, 1, 2)
    report.seen.add(f"vae.{case}.latent")
    x = p.conv("decoder.conv_in", p.conv("post_quant_conv", latent / 0.13025))
    check("conv_in", x)
    x = vae_res(p, "decoder.mid.block_1", x)
    x = vae_res(p, "decoder.mid.block_2", vae_attention(p, "decoder.mid.attn_1", x))
    check("mid", x)
    for level in reversed(range(sdxl.count(p.t, r"decoder\.up\.(\d+)\."))):
        for i in range(3):
            x = vae_res(p, f"decoder.up.{level}.block.{i}", x)
        if p.has(f"decoder.up.{level}.upsample"):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = p.conv(f"decoder.up.{level}.upsample.conv", x)
        check(f"up.{level}", x)
    check("image", p.conv("decoder.conv_out", silu(p.group_norm("decoder.norm_out", x, 1e-6))))


# ---- relay ---------------------------------------------------------------------------------------


def conditioning(parts, golden):
    """context [2, 77, c] and vector [2, v] of one expert, through transformers."""
    clip_l = sdxl.build_clip_l(parts[sdxl.CLIP_L], F64)
    clip_g = sdxl.build_clip_g(parts[sdxl.CLIP_G], F64)
    one = clip_l(golden["text.l.ids"].long(), output_hidden_states=True).hidden_states[-2]
    two = clip_g(golden["text.g.ids"].long(), output_hidden_states=True)
    sizes = torch.cat([sinusoids(v, 256) for v in (128, 128, 0, 0, 128, 128)], 1)
    vector = torch.cat([two.text_embeds, sizes.expand(2, -1)], 1)
    return torch.cat([one, two.hidden_states[-2]], 2), vector


def check_relay(report, experts):
    """diffusers' own sigmas; each step as a blend of x and x0; CFG in eps; one row a call."""
    golden = report.golden
    scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085,
                                       beta_end=0.012, use_karras_sigmas=True)
    scheduler.set_timesteps(4)
    sigmas, times = scheduler.sigmas.to(F64), scheduler.timesteps
    times = torch.tensor([float(t.to(torch.float16)) for t in times], dtype=F64)
    for name, value in (("relay.sigmas", sigmas), ("relay.timesteps", times)):
        report.seen.add(name)
        if not torch.allclose(golden[name].to(F64), value, rtol=1e-6):
            sys.exit(f"{name}: {golden[name]} against {value}")
    sigmas, times = golden["relay.sigmas"].to(F64), golden["relay.timesteps"].to(F64)
    x = golden["relay.noise"].to(F64).permute(0, 3, 1, 2) * sigmas[0]
    report.seen.add("relay.noise")
    for step in range(4):
        expert = int(step >= 2)
        context, vector = conditioning(experts[expert], golden)
        report.close(f"relay.vector.{expert}", vector)
        p, scaled = Plain(experts[expert][sdxl.UNET]), x / (sigmas[step] ** 2 + 1).sqrt()
        yes, no = (unet(p, scaled, float(times[step]), context[i:i + 1], vector[i:i + 1],
                        lambda *_: None) for i in (0, 1))
        report.close(f"relay.eps.{step}", torch.cat([yes, no]))
        x0 = x - sigmas[step] * (6.0 * yes - 5.0 * no)
        ratio = sigmas[step + 1] / sigmas[step]
        x = ratio * x + (1 - ratio) * x0
        report.close(f"relay.latent.{step}", x)


def main():
    golden = load_file(sys.argv[3])
    file, report = load_file(sys.argv[1]), Report(golden)
    experts = [sdxl.read_parts(path) for path in sys.argv[1:3]]
    parts = experts[0]
    with torch.no_grad():
        check_names(file, parts)
        check_clip_g(report, parts[sdxl.CLIP_G])
        check_clip_l(report, Plain(parts[sdxl.CLIP_L]))
        for case in ("even", "odd"):
            check_unet(report, Plain(parts[sdxl.UNET]), case)
        for case in ("small", "square", "wide"):
            check_vae(report, Plain(parts[sdxl.VAE]), case)
        check_relay(report, experts)
    left = sorted(n for n in set(golden) - report.seen if not n.endswith(".ids"))
    print(f"{len(report.seen)} tensors agree, worst relative error {report.worst:.2g}")
    if left:
        sys.exit(f"not covered: {left}")


if __name__ == "__main__":
    main()
