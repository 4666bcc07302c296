"""LoRA files of every kind and spelling, and what the reference implementations make of them.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    python tools/golden/make_loras.py tiny7.safetensors tests/golden

Writes lora_kinds, lora_peft and lora_old .safetensors (the LoRAs) and lora_merges.safetensors: for
"FILE/TENSOR" 128 elements, evenly spaced, of the tensor merged at strength 0.7.

Kinds: LyCORIS' own modules, with random factors, merge into themselves.  At other strengths than 1
LyCORIS scales a DoRA's magnitudes only; here, as everywhere, strength goes from the plain weight
to the merged one.  peft: its own merge.  Old spellings: W + s up down, in f64.
"""
import json
import sys

import torch
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

STRENGTH, RANK, SAMPLES = 0.7, 4, 128
UNET = "model.diffusion_model."
CLIP_L = "conditioner.embedders.0.transformer.text_model."
CLIP_G = "conditioner.embedders.1.model."

# name in the file, canonical tensor, module, its options
IN4, IN5 = "input_blocks.4.1.transformer_blocks.0.", "input_blocks.5.1.transformer_blocks.0."
KINDS = [
    (IN4 + "attn1.to_q", LoConModule, {}),
    ("input_blocks.1.0.in_layers.2", LoConModule, {}),
    ("input_blocks.2.0.in_layers.2", LoConModule, {"use_tucker": True}),
    ("input_blocks.4.0.skip_connection", LoConModule, {}),
    (IN5 + "attn1.to_q", LoConModule, {"weight_decompose": True}),
    (IN5 + "attn2.to_k", LoConModule, {"weight_decompose": True, "wd_on_out": False}),
    ("input_blocks.1.0.out_layers.3", LoConModule, {"weight_decompose": True}),
    ("input_blocks.2.0.out_layers.3", LoConModule,
     {"weight_decompose": True, "wd_on_out": False}),
    (IN4 + "attn1.to_k", LohaModule, {}),
    ("input_blocks.3.0.op", LohaModule, {}),
    ("input_blocks.4.0.out_layers.3", LohaModule, {"use_tucker": True}),
    (IN4 + "attn1.to_v", LokrModule, {"factor": 8, "lora_dim": 2}),
    (IN4 + "attn2.to_q", LokrModule, {"factor": 8, "decompose_both": True, "lora_dim": 2}),
    (IN4 + "attn2.to_k", LokrModule, {"factor": 8, "full_matrix": True}),
    ("input_blocks.5.0.in_layers.2", LokrModule, {"factor": 4}),
    ("input_blocks.5.0.out_layers.3", LokrModule, {"factor": 4, "use_tucker": True}),
    ("input_blocks.4.1.norm", NormModule, {}),
]


def samples(tensor):
    flat = tensor.detach().to(torch.float32).flatten()
    return flat[torch.arange(SAMPLES) * flat.numel() // SAMPLES].clone()


def layer_of(weight, bias):
    """A torch layer that holds the checkpoint's own numbers."""
    if weight.ndim == 1:
        layer = torch.nn.GroupNorm(32, weight.shape[0])
    elif weight.ndim == 2:
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    else:
        layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:],
                                padding=weight.shape[2] // 2, bias=bias is not None)
    layer.weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer


def randomise(module):
    """Trained factors are not zero; magnitudes are near what they begin with."""
    for name, p in list(module.named_parameters()) + list(module.named_buffers()):
        if "dora" in name:
            p.data.mul_(1 + 0.1 * torch.randn_like(p))
        elif p.ndim and "alpha" not in name:
            p.data.copy_(0.2 * torch.randn_like(p))


def merged(module, layer, kind):
    """Weight and bias at STRENGTH."""
    if kind is NormModule:
        return module.get_merged_weight(STRENGTH)
    if kind in (LohaModule, LokrModule):
        # What forward adds.  get_diff_weight multiplies by alpha / rank a second time.
        return layer.weight + STRENGTH * module.get_weight(layer.weight.shape), None
    if not getattr(module, "wd", False):
        return module.get_merged_weight(STRENGTH)[0], None
    whole = module.get_merged_weight(1)[0]
    return layer.weight + STRENGTH * (whole - layer.weight), None


def make_kinds(base):
    lora, want = {}, {}
    for name, kind, options in KINDS:
        weight, bias = base[UNET + name + ".weight"], base.get(UNET + name + ".bias")
        layer = layer_of(weight, bias)
        key = "lora_unet_" + name.replace(".", "_")
        options = {"lora_dim": RANK, "alpha": 3, **options}
        if kind is NormModule:
            options = {}
        module = kind(key, layer, **options)
        randomise(module)
        for k, t in module.state_dict().items():
            if k != "scalar" and not k.startswith("org_"):
                lora[f"{key}.{k}"] = t.clone().contiguous()
        new, new_bias = merged(module, layer, kind)
        want[f"lora_kinds/{UNET}{name}.weight"] = samples(new)
        if new_bias is not None:
            want[f"lora_kinds/{UNET}{name}.bias"] = samples(new_bias)
    by_hand(base, lora, want)
    return lora, want


def factors(rows, columns, rank=RANK):
    return torch.randn(rows, rank) * 0.2, torch.randn(rank, columns) * 0.2


def by_hand(base, lora, want):
    """What no module of LyCORIS writes, and what is cut or turned in our layout."""
    name = IN5 + "attn2.to_q"
    new = 0.2 * torch.randn(64, 64)
    old = base[UNET + name + ".weight"]
    lora["lora_unet_" + name.replace(".", "_") + ".set_weight"] = new
    want[f"lora_kinds/{UNET}{name}.weight"] = samples(old + STRENGTH * (new - old))

    name = "input_blocks.4.1.proj_in"
    for leaf, key in (("weight", "diff"), ("bias", "diff_b")):
        old = base[f"{UNET}{name}.{leaf}"]
        diff = 0.2 * torch.randn_like(old)
        lora[f"lora_unet_{name.replace('.', '_')}.{key}"] = diff
        want[f"lora_kinds/{UNET}{name}.{leaf}"] = samples(old + STRENGTH * diff)

    name = "input_blocks.1.0.emb_layers.1"
    diff = 0.2 * torch.randn(32)
    lora["lora_unet_" + name.replace(".", "_") + ".diff_b"] = diff
    want[f"lora_kinds/{UNET}{name}.bias"] = samples(base[UNET + name + ".bias"] + STRENGTH * diff)

    name = CLIP_G + "transformer.resblocks.1.attn.in_proj_weight"
    rows = base[name].clone().double()
    for i, part in enumerate("qkv"):
        if part == "k":  # left as it is
            continue
        up, down = factors(64, 64)
        key = f"lora_te2_text_model_encoder_layers_1_self_attn_{part}_proj"
        lora[key + ".lora_up.weight"], lora[key + ".lora_down.weight"] = up, down
        lora[key + ".alpha"] = torch.tensor(2.0)
        rows[64 * i:64 * (i + 1)] += STRENGTH * 2 / RANK * up.double() @ down.double()
    want["lora_kinds/" + name] = samples(rows)

    name = CLIP_G + "text_projection"
    up, down = factors(64, 64)
    lora["lora_te2_text_projection.lora_up.weight"] = up
    lora["lora_te2_text_projection.lora_down.weight"] = down
    want["lora_kinds/" + name] = samples(base[name].double()
                                         + STRENGTH * (up.double() @ down.double()).T)


def make_peft(base):
    """Two linear layers, one of them DoRA, and a convolution, as diffusers saves them."""
    theirs = {"a": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
              "b": "mid_block.attentions.0.transformer_blocks.0.attn1.to_v",
              "c": "down_blocks.0.resnets.0.conv1"}
    ours = {"a": IN4 + "attn1.to_q", "b": "middle_block.1.transformer_blocks.0.attn1.to_v",
            "c": "input_blocks.1.0.in_layers.2"}
    lora, want = {}, {}
    for letter, name in ours.items():
        weight = base[UNET + name + ".weight"]
        host = torch.nn.ModuleDict({letter: layer_of(weight, base.get(UNET + name + ".bias"))})
        config = LoraConfig(r=RANK, lora_alpha=6, target_modules=[letter], use_dora=letter == "b")
        model = get_peft_model(host, config)
        for k, p in model.named_parameters():
            if "magnitude" in k:
                p.data.mul_(1 + 0.1 * torch.randn_like(p))
            elif "lora_" in k:
                p.data.copy_(0.2 * torch.randn_like(p))
        for k, t in model.state_dict().items():
            if "lora_" in k:
                leaf = k.split(letter + ".", 2)[-1].replace(".default", "")
                lora[f"unet.{theirs[letter]}.{leaf}"] = t.clone().contiguous()
        model.merge_adapter()
        new = model.base_model.model[letter].base_layer.weight
        want[f"lora_peft/{UNET}{name}.weight"] = samples(weight + STRENGTH * (new - weight))
    return lora, want


def make_old(base):
    """Spellings that only differ in the names; no alpha: the scale is 1."""
    block = "down_blocks.1.attentions.0.transformer_blocks.0."
    layers = [
        (f"unet.{block}attn1.processor.to_q_lora.up.weight", UNET + IN4 + "attn1.to_q"),
        (f"unet.{block}attn1.processor.to_out_lora.up.weight", UNET + IN4 + "attn1.to_out.0"),
        (f"{block}attn1.to_v.lora.up.weight", UNET + IN4 + "attn1.to_v"),
        ("lora_unet_" + (block + "attn2.to_q").replace(".", "_") + ".lora_up.weight",
         UNET + IN4 + "attn2.to_q"),
        ("lycoris_" + (block + "attn2.to_k").replace(".", "_") + ".lora_up.weight",
         UNET + IN4 + "attn2.to_k"),
        (f"diffusion_model.{IN4}attn2.to_v.lora_B.default.weight", UNET + IN4 + "attn2.to_v"),
        (f"base_model.model.{block}ff.net.2.lora_B.weight", UNET + IN4 + "ff.net.2"),
        ("text_encoder.text_model.encoder.layers.1.self_attn.q_proj.lora_linear_layer.up.weight",
         CLIP_L + "encoder.layers.1.self_attn.q_proj"),
        ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora.up.weight",
         CLIP_G + "transformer.resblocks.0.mlp.c_fc"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc2.lora_up.weight",
         CLIP_L + "encoder.layers.0.mlp.fc2"),
    ]
    lora, want = {}, {}
    for key, name in layers:
        weight = base[name + ".weight"]
        up, down = factors(*weight.shape)
        lora[key] = up
        lora[key.replace("lora_B", "lora_A").replace("up.weight", "down.weight")] = down
        want[f"lora_old/{name}.weight"] = samples(
            weight.double() + STRENGTH * up.double() @ down.double())
    return lora, want


def main(checkpoint, folder):
    torch.manual_seed(11)
    base, want = load_file(checkpoint), {}
    for name, make, metadata in (
            ("lora_kinds", make_kinds, None),
            ("lora_peft", make_peft,
             {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": 6})}),
            ("lora_old", make_old, None)):
        lora, expected = make(base)
        save_file({k: t.float() for k, t in lora.items()}, f"{folder}/{name}.safetensors", metadata)
        want |= expected
    save_file(want, f"{folder}/lora_merges.safetensors")


main(*sys.argv[1:])
